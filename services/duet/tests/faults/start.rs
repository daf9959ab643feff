use crate::DUET;
use duet_testkit::{Exit, Mode, Pair, Process, until};
use serde_json::Value;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const SERVICES: [&str; 2] = ["reaction", "notification"];
const PATIENCE: Duration = Duration::from_secs(30);
const FREE: &str = "127.0.0.1:0";

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("duet-start-")
                .tempdir()
                .unwrap(),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a service with its log in this directory.
    fn serve(&self, service: &str, listen: &str, internal: &str, data_dir: &Path) -> Process {
        let mut command = Command::new(DUET);
        command
            .args([
                "serve",
                service,
                "--listen",
                listen,
                "--internal-listen",
                internal,
            ])
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--channel")
            .arg(self.path("channel.yaml"));
        Process::spawn(service, command, &self.path(&format!("{service}.log")))
    }
}

/// Waits until it has given up, and checks that it says why on one line.
async fn gives_up(mut process: Process, words: &[&str]) {
    let exit = process.ended(PATIENCE).await;
    let output = process.output();
    assert!(
        matches!(exit, Exit::Code(code) if code != 0),
        "{exit:?}: {output}"
    );
    let told = output
        .lines()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told, "no line with all of {words:?} in:\n{output}");
    assert!(!output.contains("panicked"), "{output}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let dir = Dir::new();
    let taken = TcpListener::bind(FREE).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for service in SERVICES {
        let data_dir = dir.path(service);
        let process = dir.serve(service, &address, FREE, &data_dir);
        gives_up(process, &[&address, "--listen"]).await;
        let process = dir.serve(service, FREE, &address, &data_dir);
        gives_up(process, &[&address, "--internal-listen"]).await;
    }
}

/// Root writes everywhere, so the directory is one that can't be: below a file.
#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let dir = Dir::new();
    std::fs::write(dir.path("file"), "").unwrap();
    for service in SERVICES {
        let data_dir = dir.path("file").join(service);
        let process = dir.serve(service, FREE, FREE, &data_dir);
        gives_up(process, &[data_dir.to_str().unwrap(), "--data-dir"]).await;
    }
}

#[tokio::test]
async fn a_store_of_a_newer_schema_is_left_as_it_is() {
    let mut pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 200);
    let dir = Dir::new();
    assert_eq!(pair.reaction.terminate().await, Exit::Code(0));
    assert_eq!(pair.notification.terminate().await, Exit::Code(0));
    for service in [&pair.reaction, &pair.notification] {
        let (name, data_dir) = (service.name(), service.data_dir());
        let file = data_dir.join(format!("{name}.sqlite"));
        let version = |change: i64| {
            let store = rusqlite::Connection::open(&file).unwrap();
            let version = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            let found = store.query_row("PRAGMA user_version", [], version).unwrap();
            store
                .pragma_update(None, "user_version", found + change)
                .unwrap();
        };
        version(1);
        let before = std::fs::read(&file).unwrap();
        let process = dir.serve(name, FREE, FREE, data_dir);
        gives_up(process, &[file.to_str().unwrap(), "version", "newer"]).await;
        assert_eq!(
            std::fs::read(&file).unwrap(),
            before,
            "{name}'s store was touched"
        );
        version(-1);
    }
    // The right version finds all that was there.
    pair.notification.restart().await;
    pair.reaction.restart().await;
    pair.ready().await;
    assert_eq!(
        pair.reaction_of("walk", "ana").await.as_deref(),
        Some("like")
    );
    assert_eq!(pair.inbox("bob").await[0]["count"], 1);
}

#[tokio::test]
async fn a_store_that_another_process_has_open_is_not_opened_twice() {
    let pair = Pair::start(DUET, Mode::Sync).await;
    let dir = Dir::new();
    for service in [&pair.reaction, &pair.notification] {
        let process = dir.serve(service.name(), FREE, FREE, service.data_dir());
        gives_up(process, &["in use", &service.id().to_string()]).await;
    }
    pair.ready().await;
}

#[tokio::test]
async fn a_service_that_has_never_seen_a_channel_is_not_ready_and_says_so() {
    let dir = Dir::new();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for service in SERVICES {
        let _ = std::fs::remove_file(dir.path("channel.yaml"));
        let data_dir = dir.path(service);
        let _process = dir.serve(service, FREE, FREE, &data_dir);
        let addresses = until(PATIENCE, || async {
            let text =
                std::fs::read(data_dir.join("addresses.json")).map_err(|it| it.to_string())?;
            serde_json::from_slice::<Value>(&text).map_err(|it| it.to_string())
        })
        .await;
        let url = |address: &str, path: &str| {
            format!("http://{}{path}", addresses[address].as_str().unwrap())
        };
        let readyz = url("internal_listen", "/readyz");
        let reply = http.get(&readyz).send().await.unwrap();
        assert_eq!(reply.status(), 503);
        let reasons = reply.text().await.unwrap();
        assert!(
            reasons.contains("no Channel has been seen yet"),
            "{reasons}"
        );
        assert_eq!(
            http.get(url("internal_listen", "/livez"))
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        if service == "reaction" {
            let put = |path: &str, body: Value| http.put(url("listen", path)).json(&body).send();
            let post = serde_json::json!({ "owner": "bob", "title": "A walk" });
            assert!(
                put("/v1/posts/walk", post)
                    .await
                    .unwrap()
                    .status()
                    .is_success()
            );
            let kind = serde_json::json!({ "kind": "like" });
            let reply = put("/v1/posts/walk/reactions/ana", kind).await.unwrap();
            assert_eq!(reply.status(), 503);
            let problem: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
            assert_eq!(problem["type"], "/problems/not-ready", "{problem}");
            assert_eq!(problem["applied"], "no", "{problem}");
        }
        // It is ready as soon as it sees one.
        std::fs::write(dir.path("channel.yaml"), duet_crd::EXAMPLE).unwrap();
        until(PATIENCE, || async {
            let reply = http
                .get(&readyz)
                .send()
                .await
                .map_err(|it| it.to_string())?;
            if reply.status() == 200 {
                Ok(())
            } else {
                Err(reply.text().await.unwrap_or_default())
            }
        })
        .await;
    }
}
