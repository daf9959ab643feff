//! Links between processes that can be cut, slowed and left half-open: a real Toxiproxy, and what its JSON API is asked.

use crate::{eventually::until, process::Process};
use serde_json::json;
use std::{
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

/// How long it may take to be ready.
const START: Duration = Duration::from_secs(20);

/// One Toxiproxy, through which any number of links go.
#[derive(Debug)]
pub struct Toxiproxy {
    process: Process,
    api: String,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// What is wrong with a link, in both directions, until [`Toxiproxy::heal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Every connection is ended, and none is taken.
    Cut,
    /// What is sent comes later by so much, give or take a tenth.
    Slow(Duration),
    /// So many kilobytes a second go through, and no more.
    Narrow(u32),
    /// Connections are taken and stay, and nothing that is sent ever comes.
    HalfOpen,
    /// Every connection is reset at once.
    Reset,
}

impl Toxiproxy {
    /// Starts one on free ports.
    ///
    /// # Panics
    /// If none is found (`DUET_TOXIPROXY` names it; `make soak` fetches it), or it doesn't get ready.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("duet-toxiproxy-")
            .tempdir()
            .expect("a temporary directory can be made");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let free = free.expect("there is a free port");
        let program = std::env::var_os("DUET_TOXIPROXY");
        let program = program.unwrap_or_else(|| OsString::from("toxiproxy-server"));
        let mut command = Command::new(program);
        command.args(["-host", "127.0.0.1", "-port", &free.port().to_string()]);
        command.env("LOG_LEVEL", "error");
        let toxiproxy = Self {
            process: Process::spawn("toxiproxy", command, &dir.path().join("log")),
            api: format!("http://{free}"),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client can be built"),
            _dir: dir,
        };
        until(START, || async {
            let version = toxiproxy.http.get(format!("{}/version", toxiproxy.api));
            version
                .send()
                .await
                .map_err(|error| format!("{error}: {}", toxiproxy.process.output()))
        })
        .await;
        toxiproxy
    }

    /// A new link to `upstream`: its name, and the address to connect to instead.
    ///
    /// # Panics
    /// If the name is taken.
    pub async fn link(&self, name: &str, upstream: SocketAddr) -> SocketAddr {
        let made = json!({
            "name": name,
            "listen": "127.0.0.1:0",
            "upstream": upstream.to_string(),
            "enabled": true,
        });
        let told = self.ask("proxies", &made).await;
        let address = told["listen"].as_str().and_then(|it| it.parse().ok());
        address.unwrap_or_else(|| panic!("no address in {told}"))
    }

    /// From now on something is wrong with that link.
    ///
    /// # Panics
    /// If there is no such link.
    pub async fn spoil(&self, link: &str, wrong: Wrong) {
        let (kind, attributes) = match wrong {
            Wrong::Cut => {
                let off = json!({ "enabled": false });
                self.ask(&format!("proxies/{link}"), &off).await;
                return;
            }
            Wrong::Slow(late) => {
                let late = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                ("latency", json!({ "latency": late, "jitter": late / 10 }))
            }
            Wrong::Narrow(rate) => ("bandwidth", json!({ "rate": rate })),
            Wrong::HalfOpen => ("timeout", json!({ "timeout": 0 })),
            Wrong::Reset => ("reset_peer", json!({ "timeout": 0 })),
        };
        for stream in ["upstream", "downstream"] {
            let toxic = json!({ "type": kind, "stream": stream, "attributes": attributes });
            self.ask(&format!("proxies/{link}/toxics"), &toxic).await;
        }
    }

    /// Nothing is wrong with any link any more; what hung is ended.
    ///
    /// # Panics
    /// If Toxiproxy doesn't answer.
    pub async fn heal(&self) {
        self.ask("reset", &json!({})).await;
    }

    async fn ask(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let url = format!("{}/{path}", self.api);
        let answer = self.http.post(&url).json(body).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}
