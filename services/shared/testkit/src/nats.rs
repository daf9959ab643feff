//! A real nats-server with JetStream on free ports, with the faults a broker has.

use crate::{eventually::until, kept::Kept, process::Process};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long a server may take to be ready; it takes 70 ms on an idle machine.
const START: Duration = Duration::from_secs(20);

/// One nats-server, JetStream's storage in a temporary directory. It keeps its address through
/// [`kill`](Self::kill) and [`restart`](Self::restart), so that clients find it again.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    address: SocketAddr,
    monitoring: SocketAddr,
    kept: Kept,
    dir: tempfile::TempDir,
}

impl NatsServer {
    /// Starts a server and waits until JetStream is ready.
    ///
    /// # Panics
    /// If no nats-server is found or it doesn't get ready.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same with a configuration of its own, in nats-server's language: users, for one.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start_with(config: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("duet-nats-")
            .tempdir()
            .expect("a temporary directory can be made");
        std::fs::write(configuration(dir.path()), config).expect("a file can be written");
        let process = spawn(dir.path(), "-1", "-1");
        let pid = process.id();
        let (address, monitoring) = until(START, || async { read_ports(dir.path(), pid) }).await;
        let server = Self {
            process,
            address,
            monitoring,
            kept: Kept::default(),
            dir,
        };
        server.ready().await;
        server
    }

    /// Where clients connect, as `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Where clients connect, as an address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its monitoring pages, as `http://127.0.0.1:PORT` (`/jsz`, `/connz`, `/healthz`).
    pub fn monitoring(&self) -> String {
        format!("http://{}", self.monitoring)
    }

    /// A client of its own for the test.
    ///
    /// # Panics
    /// If the server doesn't take connections.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.url())
            .await
            .expect("nats-server takes connections")
    }

    /// SIGKILL. What was not flushed to its storage files survives in the page cache, as in a crash of the process.
    pub fn kill(&mut self) {
        self.process.kill();
        self.kept = Kept::of(&[self.address, self.monitoring]);
    }

    /// Sends SIGKILL and doesn't wait.
    pub(crate) fn strike(&self) {
        self.process.signal(nix::sys::signal::Signal::SIGKILL);
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Empties JetStream's storage, as a broker does whose disk was lost.
    ///
    /// # Panics
    /// If the server runs: it would write back what it remembers.
    pub fn wipe(&mut self) {
        self.is_killed();
        let storage = storage(self.dir.path());
        if storage.exists() {
            std::fs::remove_dir_all(&storage).expect("JetStream's storage can be removed");
        }
    }

    /// Copies JetStream's storage as it is now.
    ///
    /// # Panics
    /// If the server runs, or it can't be copied.
    pub fn storage(&mut self) -> NatsStorage {
        self.is_killed();
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        copy(&storage(self.dir.path()), dir.path()).expect("JetStream's storage can be copied");
        NatsStorage(dir)
    }

    /// Puts back what the storage was.
    ///
    /// # Panics
    /// As [`NatsServer::wipe`], or if it can't be copied.
    pub fn put_back(&mut self, before: &NatsStorage) {
        self.wipe();
        copy(before.0.path(), &storage(self.dir.path()))
            .expect("JetStream's storage can be put back");
    }

    fn is_killed(&mut self) {
        let has_ended = self.process.exit().is_some();
        assert!(has_ended, "this needs a nats-server that was killed before");
    }

    /// Gives it another configuration, for its next start.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn configure(&self, config: &str) {
        std::fs::write(configuration(self.dir.path()), config).expect("a file can be written");
    }

    /// Starts it again at the same address, over the storage as it is, and waits until JetStream is ready.
    ///
    /// # Panics
    /// If it doesn't get ready.
    pub async fn restart(&mut self) {
        self.kill();
        let [client, monitoring] = [self.address, self.monitoring].map(|it| it.port().to_string());
        self.process = spawn(self.dir.path(), &client, &monitoring);
        self.ready().await;
    }

    async fn ready(&self) {
        let url = format!("{}/healthz?js-enabled-only=true", self.monitoring());
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client can be built");
        until(START, || async {
            http.get(&url)
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
        })
        .await;
    }
}

/// A copy of JetStream's storage: [`NatsServer::storage`].
#[derive(Debug)]
pub struct NatsStorage(tempfile::TempDir);

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn storage(dir: &Path) -> PathBuf {
    dir.join("jetstream")
}

fn configuration(dir: &Path) -> PathBuf {
    dir.join("nats.conf")
}

fn spawn(dir: &Path, port: &str, monitoring: &str) -> Process {
    let mut command = Command::new(program());
    command
        .args([
            "--addr",
            "127.0.0.1",
            "--port",
            port,
            "--http_port",
            monitoring,
        ])
        .arg("--ports_file_dir")
        .arg(dir)
        .arg("--config")
        .arg(configuration(dir))
        .args(["--jetstream", "--store_dir"])
        .arg(storage(dir));
    Process::spawn("nats-server", command, &dir.join("log"))
}

/// `DUET_NATS_SERVER`, else what `make tools` fetched, else the one on `PATH`.
fn program() -> OsString {
    if let Some(named) = std::env::var_os("DUET_NATS_SERVER") {
        return named;
    }
    // A test runs from TARGET/debug/deps; `make tools` puts what it fetches into TARGET/tools/bin.
    let fetched = std::env::current_exe().ok().and_then(|test| {
        test.ancestors()
            .map(|dir| dir.join("tools/bin/nats-server"))
            .find(|tool| tool.is_file())
    });
    if let Some(tool) = fetched {
        return tool.into_os_string();
    }
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|dir| dir.join("nats-server").is_file())
    });
    assert!(
        on_path,
        "no nats-server: run `make tools`, or set DUET_NATS_SERVER (2.14 or later)"
    );
    "nats-server".into()
}

/// Reads `{"nats":["nats://HOST:PORT"],"monitoring":["http://HOST:PORT"]}` from `PROGRAM_PID.ports`, which may not be
/// there or whole yet.
fn read_ports(dir: &Path, pid: u32) -> Result<(SocketAddr, SocketAddr), String> {
    let ending = format!("_{pid}.ports");
    let mut names = std::fs::read_dir(dir)
        .map_err(|error| error.to_string())?
        .flatten();
    let file = names
        .find(|entry| entry.file_name().to_string_lossy().ends_with(&ending))
        .ok_or("nats-server has not written its ports")?;
    let text = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
    let ports: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let address = |kind: &str, scheme: &str| {
        ports[kind][0]
            .as_str()
            .and_then(|url| url.strip_prefix(scheme))
            .and_then(|address| address.parse().ok())
    };
    address("nats", "nats://")
        .zip(address("monitoring", "http://"))
        .ok_or_else(|| format!("no addresses in {text}"))
}
