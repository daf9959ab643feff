//! One of the services: a process that can be killed, stopped and started again where it was.

use super::PATIENCE;
use crate::{
    eventually::until,
    kept::Kept,
    process::{Exit, Process},
};
use serde_json::Value;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::Command};

/// `duet serve NAME` over a data directory of its own. It keeps its addresses and its store when it is started again.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    program: PathBuf,
    data_dir: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    addresses: Addresses,
    kept: Kept,
    process: Process,
    http: reqwest::Client,
}

/// What a service writes into `addresses.json` when it listens.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
struct Addresses {
    listen: SocketAddr,
    internal_listen: SocketAddr,
    pid: u32,
}

impl Service {
    pub(super) async fn start(
        name: &'static str,
        program: PathBuf,
        data_dir: PathBuf,
        args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
    ) -> Self {
        std::fs::create_dir_all(&data_dir).expect("a data directory can be made");
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let wanted = Addresses {
            listen: free,
            internal_listen: free,
            pid: 0,
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client can be built");
        let process = spawn(name, &program, &data_dir, &args, &env, wanted);
        let mut service = Self {
            name,
            program,
            data_dir,
            args,
            env,
            addresses: wanted,
            kept: Kept::default(),
            process,
            http,
        };
        service.addresses = service.listening().await;
        service
    }

    /// `reaction`, `notification` or `trending`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its public port, as `http://127.0.0.1:PORT`.
    pub fn public(&self) -> String {
        format!("http://{}", self.addresses.listen)
    }

    /// Its internal port, as `http://127.0.0.1:PORT`.
    pub fn internal(&self) -> String {
        format!("http://{}", self.addresses.internal_listen)
    }

    /// Its internal port, as an address.
    pub(super) fn internal_address(&self) -> SocketAddr {
        self.addresses.internal_listen
    }

    /// An environment variable, from its next start on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(it, _)| it != name);
        self.env.push((name.into(), value.into()));
    }

    /// Where its store is.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// What it has logged, over all its starts.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// What it says of the channel: `GET /v1/channel`.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub async fn channel(&self) -> Result<Value, String> {
        let url = format!("{}/v1/channel", self.internal());
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let body = answer.map_err(|error| error.to_string())?.text().await;
        let body = body.map_err(|error| error.to_string())?;
        serde_json::from_str(&body).map_err(|error| format!("{error} in {body}"))
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// If it doesn't, with what it says instead.
    pub async fn ready(&self) {
        until(PATIENCE, || async {
            let url = format!("{}/readyz", self.internal());
            let answer = self
                .http
                .get(url)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(format!(
                "{}: {}",
                self.name,
                answer.text().await.unwrap_or_default()
            ))
        })
        .await;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
        self.keep_ports();
    }

    /// Sends SIGKILL and doesn't wait.
    pub(super) fn strike(&self) {
        self.process.signal(nix::sys::signal::Signal::SIGKILL);
    }

    /// SIGSTOP: its connections stay open and it answers nobody.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// SIGTERM, and waits until it has ended by itself.
    ///
    /// # Panics
    /// If it hasn't after a minute.
    pub async fn terminate(&mut self) -> Exit {
        self.process.terminate();
        let exit = self.process.ended(PATIENCE).await;
        self.keep_ports();
        exit
    }

    fn keep_ports(&mut self) {
        self.kept = Kept::of(&[self.addresses.listen, self.addresses.internal_listen]);
    }

    /// Starts it again at the same addresses over the same store, killed first if it still runs, and waits until it
    /// listens. It need not be ready by then: see [`Service::ready`].
    ///
    /// # Panics
    /// If it ends instead.
    pub async fn restart(&mut self) {
        self.kill();
        let Self {
            name,
            program,
            data_dir,
            args,
            env,
            addresses,
            ..
        } = &*self;
        self.process = spawn(name, program, data_dir, args, env, *addresses);
        self.listening().await;
    }

    async fn listening(&mut self) -> Addresses {
        let file = self.data_dir.join("addresses.json");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let written = std::fs::read(&file).ok();
            let told = written.and_then(|text| serde_json::from_slice::<Addresses>(&text).ok());
            // The file of the process before may still be there.
            if let Some(addresses) = told.filter(|told| told.pid == self.process.id()) {
                return addresses;
            }
            let (name, exit) = (self.name, self.process.exit());
            assert!(exit.is_none(), "{name} ended before it listened: {exit:?}");
            assert!(
                tokio::time::Instant::now() < deadline,
                "{name} doesn't listen"
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

fn spawn(
    name: &str,
    program: &PathBuf,
    data_dir: &std::path::Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    addresses: Addresses,
) -> Process {
    let mut command = Command::new(program);
    command
        .args(["serve", name, "--listen", &addresses.listen.to_string()])
        .args(["--internal-listen", &addresses.internal_listen.to_string()])
        .arg("--data-dir")
        .arg(data_dir)
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)));
    Process::spawn(name, command, &data_dir.join("log"))
}
