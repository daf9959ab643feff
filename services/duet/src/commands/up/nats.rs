//! Which nats-server, and when it is ready.

use crate::failure::{Doing, Failure, Kind};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

/// What JetStream's consumers need here came with it.
const OLDEST: (u32, u32) = (2, 14);
/// How long a server that runs may take to say what it is.
const ANSWER: Duration = Duration::from_secs(3);
/// In bytes; a server of a large cluster names them all.
const LONGEST_INFO: u64 = 64 * 1024;
/// Between two looks at a server that starts; it takes 70 ms.
const PAUSE: Duration = Duration::from_millis(10);

/// The one that is named, else what `make tools` fetched, else the one on PATH; and not an old one.
pub(crate) async fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let hint = "Run `make tools`, or name one with --nats-server PATH. `duet up` also takes a server that runs: --nats URL.";
    let program = match named {
        Some(path) => path.to_owned(),
        None => fetched()
            .or_else(on_path)
            .ok_or_else(|| Failure::new(Kind::Failed, "no nats-server is found").hint(hint))?,
    };
    let shown = program.display();
    let output = tokio::process::Command::new(&program)
        .arg("--version")
        .output()
        .await
        .doing(|| format!("run {shown}"))
        .map_err(|failure| failure.hint(hint))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match version(&said) {
        Some(version) if version >= OLDEST => Ok(program),
        Some((major, minor)) => {
            let what = format!(
                "{shown} is {major}.{minor}; Duet needs {}.{} or later",
                OLDEST.0, OLDEST.1
            );
            Err(Failure::new(Kind::Failed, what).hint(hint))
        }
        None => Err(
            Failure::new(Kind::Failed, format!("{shown} is no nats-server: {said:?}")).hint(hint),
        ),
    }
}

/// This program is TARGET/debug/duet; `make tools` puts what it fetches into TARGET/tools/bin.
fn fetched() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors()
        .map(|dir| dir.join("tools/bin/nats-server"))
        .find(|tool| tool.is_file())
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("nats-server"))
        .find(|tool| tool.is_file())
}

/// From `nats-server: v2.15.1`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What a server says of itself as soon as somebody connects.
#[derive(serde::Deserialize)]
struct Info {
    version: String,
    #[serde(default)]
    jetstream: bool,
}

/// A server that is named must answer, be no old one, and have JetStream. Over TLS it is not asked.
pub(super) async fn check(url: &str) -> Result<(), Failure> {
    let Some(at) = address(url) else {
        return Ok(());
    };
    let refuse = |what: &str| {
        Failure::new(Kind::Failed, format!("the NATS server at {at} {what}"))
            .hint("Name one that runs with --nats URL, or leave it out and one is started.")
    };
    let info = match tokio::time::timeout(ANSWER, info(&at)).await {
        Ok(Ok(info)) => info,
        Ok(Err(error)) => return Err(refuse(&format!("does not answer: {error}"))),
        Err(_) => return Err(refuse("does not answer")),
    };
    let (major, minor) = OLDEST;
    if version(&format!("v{}", info.version)).is_none_or(|version| version < OLDEST) {
        let said = &info.version;
        return Err(refuse(&format!(
            "is {said:?}; Duet needs {major}.{minor} or later"
        )));
    }
    if !info.jetstream {
        return Err(refuse("has no JetStream"));
    }
    Ok(())
}

/// The version that a server tells; none if it doesn't, or would over TLS alone.
pub(crate) async fn nats_version(url: &str) -> Option<String> {
    let at = address(url)?;
    let info = tokio::time::timeout(ANSWER, info(&at)).await;
    Some(info.ok()?.ok()?.version)
}

fn address(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str().filter(|_| url.scheme() == "nats")?;
    Some(format!("{host}:{}", url.port().unwrap_or(4222)))
}

async fn info(at: &str) -> std::io::Result<Info> {
    let stream = tokio::net::TcpStream::connect(at).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_INFO))
        .read_line(&mut line)
        .await?;
    let told = line.strip_prefix("INFO ").unwrap_or_default();
    serde_json::from_str(told).map_err(|_| std::io::Error::other("it is no NATS server"))
}

/// Ends when JetStream takes requests.
pub(super) async fn ready(http: &reqwest::Client, monitoring: SocketAddr) {
    let url = format!("http://{monitoring}/healthz?js-enabled-only=true");
    loop {
        if http
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_nats_server_is_not_taken_for_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        for (says, why) in [
            ("HTTP/1.1 400 Bad Request\r\n", "no NATS server"),
            (
                "INFO {\"version\":\"2.10.1\",\"jetstream\":true}\r\n",
                "2.14",
            ),
            ("INFO {\"version\":\"2.15.1\"}\r\n", "JetStream"),
        ] {
            let answer = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, says.as_bytes())
                    .await
                    .unwrap();
            };
            let (checked, ()) = tokio::join!(check(&url), answer);
            let told = checked.unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
        drop(listener);
        assert!(check(&url).await.is_err());
    }

    #[test]
    fn versions_are_read_from_what_servers_print() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(version("nats-server: v2.14.0-RC.1"), Some((2, 14)));
        assert_eq!(version("GNU bash, version 5"), None);
    }
}
