//! Requests for the statuses that need bad luck: a body that never comes, a receiver that hangs or is away, a store that fails.

use std::time::Duration;

use duet_testkit::Pair;
use futures::future::join_all;
use reqwest::{Client, Method, RequestBuilder};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::document::{Document, Operation, Seen};
use crate::{OWNER, POST, USER};

/// What the services gave out.
pub(crate) struct Real {
    pub(crate) position: String,
    /// By the list's operation.
    pub(crate) cursors: Value,
}

impl Real {
    pub(crate) fn to_json(&self) -> String {
        json!({"position": self.position, "cursors": self.cursors, "owner": OWNER}).to_string()
    }

    /// The path of an operation about what is there.
    fn path(&self, operation: &Operation) -> String {
        let user = if operation.path.starts_with("/v1/users") {
            OWNER
        } else {
            USER
        };
        operation
            .path
            .replace("{post}", POST)
            .replace("{user}", user)
            .replace("{position}", &self.position)
    }

    /// A request that succeeds while all is well.
    fn request(&self, client: &Client, base: &str, operation: &Operation) -> RequestBuilder {
        let method: Method = operation.method.parse().unwrap();
        let request = client.request(method, format!("{base}{}", self.path(operation)));
        match operation.takes_body {
            true => request.json(&body(&operation.id)),
            false => request,
        }
    }
}

/// A body that an operation takes.
fn body(operation: &str) -> Value {
    match operation {
        "putPost" => json!({"owner": OWNER, "title": "Second light"}),
        "putReaction" => json!({"kind": "wow"}),
        "markRead" => json!({"post": POST}),
        "putPreferences" => json!({"mute": {"posts": [], "kinds": [], "users": []}}),
        other => panic!("say here which body {other} takes"),
    }
}

/// A position that nobody was given.
const NOWHERE: &str = "000000000000feed.0001.0000.000000000000002a.0000000000000007";

/// Provokes each such status of each operation. The pair is in `Sync` mode, and is of no more use afterwards.
pub(crate) async fn unhappy(pair: &Pair, documents: &[Document], real: &Real, seen: &mut Seen) {
    let client = Client::new();
    let all = documents.iter().flat_map(|document| {
        let operations = document.operations.iter();
        operations.map(|operation| (&*document.base, operation))
    });
    let all: Vec<_> = all.collect();
    let answered = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();

    let (base, reaction) = (&documents[0].base, &documents[0]);
    let of = |id: &str| {
        reaction
            .operations
            .iter()
            .find(|operation| operation.id == id)
            .unwrap()
    };
    let owned = client
        .put(format!("{base}/v1/posts/{POST}"))
        .json(&json!({"owner": "eve", "title": "Mine"}));
    seen.note(of("putPost"), answered(owned).await);

    let with_body = || all.iter().filter(|(_, operation)| operation.takes_body);
    for (base, operation) in with_body() {
        let request = || {
            real.request(&client, base, operation)
                .header("content-type", "application/json")
        };
        seen.note(
            operation,
            answered(request().body(" ".repeat(64 * 1024 + 1))).await,
        );
        seen.note(
            operation,
            answered(request().header("content-type", "text/plain")).await,
        );
        seen.note(
            operation,
            answered(request().body("[".repeat(60_000))).await,
        );
    }
    let late = join_all(
        with_body()
            .map(async |(base, operation)| (*operation, never_sent(base, real, operation).await)),
    );
    for (operation, status) in late.await {
        seen.note(operation, status);
    }

    for (base, operation) in all.iter().filter(|(_, operation)| operation.takes_position) {
        let request = real
            .request(&client, base, operation)
            .header("duet-position", NOWHERE);
        seen.note(
            operation,
            answered(request.header("prefer", "wait=0.05")).await,
        );
    }
    for (base, operation) in all.iter().filter(|(_, operation)| operation.streams) {
        let request = || real.request(&client, base, operation);
        seen.note(operation, answered(request()).await);
        seen.note(
            operation,
            answered(request().header("last-event-id", "garbage")).await,
        );
    }

    let (put, delete) = (of("putReaction"), of("deleteReaction"));
    for (before, operation) in [(delete, put), (put, delete)] {
        // What changes nothing would not be sent.
        seen.note(before, answered(real.request(&client, base, before)).await);
        pair.notification.pause();
        seen.note(
            operation,
            answered(real.request(&client, base, operation)).await,
        );
        pair.notification.resume();
        pair.drained().await;
    }

    for (service, store) in [
        (&pair.reaction, "reaction.sqlite"),
        (&pair.notification, "notification.sqlite"),
        (pair.trending(), "trending.sqlite"),
    ] {
        lose_the_tables(&service.data_dir().join(store));
    }
    for (base, operation) in &all {
        seen.note(
            operation,
            answered(real.request(&client, base, operation)).await,
        );
    }
}

/// The answer to a request whose body is announced and never comes.
async fn never_sent(base: &str, real: &Real, operation: &Operation) -> u16 {
    let address = base.strip_prefix("http://").unwrap();
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n",
        operation.method,
        real.path(operation)
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer["HTTP/1.1 ".len()..])
        .parse()
        .unwrap()
}

/// Every table of a store is gone under its service's hands.
fn lose_the_tables(store: &std::path::Path) {
    let connection = Connection::open(store).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut select = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let names = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<_> = names.map(Result::unwrap).collect();
    for name in names {
        let rename = format!("ALTER TABLE \"{name}\" RENAME TO \"{name}_away\"");
        connection.execute_batch(&rename).unwrap();
    }
}
