//! A service in the test's own process, and what it answers.

use std::{net::SocketAddr, path::Path};

use clap::{Args, FromArgMatches};
use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

/// The configuration that these arguments make, on free ports.
///
/// # Panics
/// If they make none; clap ends the process where they are wrong.
pub fn configured<C: Args + FromArgMatches>(arguments: &[&str]) -> C {
    let free = [
        "test",
        "--listen=127.0.0.1:0",
        "--internal-listen=127.0.0.1:0",
    ];
    let command = C::augment_args(clap::Command::new("test"));
    let matches = command.get_matches_from(free.iter().chain(arguments));
    C::from_arg_matches(&matches).expect("what clap matched is a configuration")
}

/// Waits until a service has written where it listens, into this file.
///
/// # Panics
/// If it ends first.
pub async fn listening<A: DeserializeOwned, T>(file: &Path, running: &JoinHandle<T>) -> A {
    loop {
        let written = std::fs::read(file).ok();
        if let Some(addresses) = written.and_then(|text| serde_json::from_slice(&text).ok()) {
            return addresses;
        }
        assert!(!running.is_finished(), "it ended before it listened");
        tokio::task::yield_now().await;
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers; none are read of a [`raw`] answer.
    pub headers: HeaderMap,
    /// The body as JSON, or else as a text.
    pub body: Value,
}

impl Answer {
    /// A header's text; none if it isn't there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// If it has another.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body of an answer that is a problem of this type.
    ///
    /// # Panics
    /// If it is none, or another.
    #[track_caller]
    pub fn problem(self, status: u16, kind: &str) -> Value {
        let body = self.ok(status);
        assert_eq!(body["type"], format!("/problems/{kind}"), "{body}");
        assert_eq!(body["status"], status);
        let detail = body["detail"].as_str();
        assert!(detail.is_some_and(|detail| detail.ends_with('.')), "{body}");
        body
    }
}

/// Sends a request and reads the answer.
///
/// # Panics
/// If there is none.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer comes");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body comes");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer {
        status,
        headers,
        body,
    }
}

/// The answer to a request whose path is sent as it is: clients resolve dots first.
///
/// # Panics
/// If there is none.
pub async fn raw(to: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut response = String::new();
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut response).await
    };
    exchange.await.expect("an answer comes");
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status is answered"),
        headers: HeaderMap::new(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}
