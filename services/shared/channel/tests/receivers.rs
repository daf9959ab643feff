//! Several receivers of one sender, over real connections and a real broker: they join and leave while it sends, and none holds up
//! another but the callers that wait for all.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

mod taking; // where receivers take calls

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use duet_channel::open::{
    Changed, Changes, Connection, Data, Delivery, Documents, Event, Kept, Key, Open, ReceivingEnd,
    SendingEnd, Store, StoreError, Versioned, documents,
};
use duet_channel::sender::SendError;
use duet_protocol::event::EventId;
use duet_protocol::sender::{FailureCause, Standing};
use duet_testkit::{NatsServer, until};

const PATIENCE: Duration = Duration::from_secs(30);

/// The numbers that a receiver was told of, and not told to forget.
struct Numbers;
const TABLES: &[&str] = &["CREATE TABLE numbers (number TEXT PRIMARY KEY)"];

impl Changes for Numbers {
    fn change(&self, table: &Connection, _: &Event, told: &Data) -> Changed {
        let number = told.key.as_str();
        Ok(match documents::read::<u32>(told) {
            Ok(Some(_)) => {
                table.execute("REPLACE INTO numbers VALUES (?1)", [number])?;
                Ok(Kept::Something)
            }
            Ok(None) => {
                table.execute("DELETE FROM numbers WHERE number = ?1", [number])?;
                Ok(Kept::Nothing)
            }
            Err(failure) => Err(failure),
        })
    }

    fn remove(&self, table: &Connection, key: &Key) -> Result<(), StoreError> {
        table.execute("DELETE FROM numbers WHERE number = ?1", [key.as_str()])?;
        Ok(())
    }
}

/// A receiver, and where it takes events.
struct Receiving {
    end: ReceivingEnd<Versioned>,
    at: String,
}

impl Receiving {
    async fn numbers(&self) -> BTreeSet<String> {
        let read = self.end.store().read(|table| {
            let mut select = table.prepare_cached("SELECT number FROM numbers")?;
            let all = select.query_map([], |row| row.get(0))?;
            Ok(all.collect::<Result<_, _>>()?)
        });
        read.await.unwrap()
    }

    async fn has(&self, numbers: &BTreeSet<String>) {
        until(PATIENCE, || async {
            let has = self.numbers().await;
            if has == *numbers {
                Ok(())
            } else {
                Err(format!("{has:?}"))
            }
        })
        .await;
    }
}

/// A directory, a broker, and the document that all follow.
struct Place {
    dir: tempfile::TempDir,
    nats: NatsServer,
}

impl Place {
    async fn new(mode: &str, to: &[&str]) -> Self {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
            nats: NatsServer::start().await,
        };
        place.follows(mode, to);
        place
    }

    fn document(&self) -> PathBuf {
        self.dir.path().join("channel.yaml")
    }

    fn follows(&self, mode: &str, to: &[&str]) {
        let to: Vec<_> = to.iter().map(|name| format!("{{name: {name}}}")).collect();
        let document = format!(
            "apiVersion: duet.dev/v1alpha1
kind: Channel
metadata: {{name: numbers}}
spec:
  from: source
  to: [{}]
  mode: {mode}
  sync: {{deadline: 500ms}}
  async:
    transport: NATSJetStream
    natsJetStream: {{stream: {{name: NUMBERS, subject: numbers, maxBytes: 64Mi}}}}
",
            to.join(", ")
        );
        let new = self.dir.path().join("new.yaml");
        fs::write(&new, document).unwrap();
        fs::rename(new, self.document()).unwrap();
    }

    fn open(&self, name: &str) -> Open {
        Open::new(name, self.dir.path().join(name), self.document()).nats(self.nats.url())
    }

    async fn receiver(&self, name: &str) -> Receiving {
        let open = self.open(name).tables(TABLES);
        let end = open.receive(Versioned::new(Numbers)).await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", port.local_addr().unwrap());
        tokio::spawn(taking::server(end.receiver.clone(), port));
        Receiving { end, at }
    }

    async fn source(&self, receivers: &[(&str, &str)]) -> Source {
        let documents = Documents::new("com.example.number");
        let end = self.open("source").send(receivers, documents).await;
        Source(end.unwrap())
    }
}

struct Source(SendingEnd<Documents<u32>>);

impl Source {
    async fn says(&self, number: u32) -> EventId {
        let key = Key::new(number.to_string()).unwrap();
        let reply = self.0.request(key, Some(number)).await.unwrap();
        assert_eq!(reply.delivery, Delivery::Accepted);
        reply.event.unwrap()
    }

    /// Waits until it stands so.
    async fn stands(&self, so: impl Fn(&Standing) -> bool) {
        until(PATIENCE, || async {
            let standing = self.0.sender.standing().await.unwrap();
            if so(&standing) {
                Ok(())
            } else {
                Err(format!("{standing:?}"))
            }
        })
        .await;
    }

    async fn sends_to(&self, to: &[&str]) {
        self.stands(|standing| {
            let names = standing.receivers.iter().map(|known| known.name.as_str());
            names.eq(to.iter().copied())
        })
        .await;
    }
}

fn numbers(of: impl Iterator<Item = u32>) -> BTreeSet<String> {
    of.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_receiver_joins_and_leaves_and_joins_again_under_load() {
    let place = Place::new("Async", &["one"]).await;
    let (one, two) = (place.receiver("one").await, place.receiver("two").await);
    let source = place.source(&[("one", &one.at), ("two", &two.at)]).await;
    source.sends_to(&["one"]).await;
    let mut next = 0;
    let (mut owed, mut never) = (BTreeSet::new(), BTreeSet::new());
    for (to, is_to_two) in [
        (&["one", "two"][..], true),
        (&["one"], false),
        (&["one", "two"], true),
    ] {
        place.follows("Async", to);
        let told = async {
            source.sends_to(to).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::pin!(told);
        while futures::poll!(&mut told).is_pending() {
            let event = source.says(next).await;
            let receivers = source.0.sender.receivers_of(event).await.unwrap().unwrap();
            let two = receivers.iter().any(|(name, _)| name.as_str() == "two");
            match (is_to_two, two) {
                (true, true) => drop(owed.insert(next.to_string())),
                (true, false) => drop(never.insert(next.to_string())),
                // It leaves: what it was owed last is nobody's, and may or may not have come.
                (false, _) => {}
            }
            next += 1;
        }
        for _ in 0..20 {
            source.says(next).await;
            let which = if is_to_two { &mut owed } else { &mut never };
            which.insert(next.to_string());
            next += 1;
        }
        until(PATIENCE, || async {
            let has = two.numbers().await;
            let lacks: Vec<_> = owed.difference(&has).cloned().collect();
            if lacks.is_empty() {
                Ok(())
            } else {
                Err(lacks.join(", "))
            }
        })
        .await;
    }
    one.has(&numbers(0..next)).await;
    source.stands(|standing| standing.unacknowledged == 0).await;
    let oldest = source.0.sender.store().oldest().await.unwrap();
    assert_eq!(oldest, None, "the outbox is empty");
    let has = two.numbers().await;
    assert!(has.is_disjoint(&never), "{:?}", has.intersection(&never));
    assert!(owed.len() >= 40 && never.len() >= 20);
}

#[tokio::test]
async fn one_that_does_not_exist_holds_up_nobody_in_async_and_leaves_nothing_behind() {
    let place = Place::new("Async", &["nobody", "one"]).await;
    let one = place.receiver("one").await;
    let source = place.source(&[("one", &one.at)]).await;
    for number in 0..50 {
        source.says(number).await;
    }
    one.has(&numbers(0..50)).await;
    let standing = source.0.sender.standing().await.unwrap();
    assert!(standing.unacknowledged > 50, "{standing:?}");

    place.follows("Async", &["one"]);
    source.stands(|standing| standing.unacknowledged == 0).await;
    let client = async_nats::jetstream::new(place.nats.client().await);
    let stream = client.get_stream("NUMBERS").await.unwrap();
    until(PATIENCE, || async {
        let info = stream.get_info().await.unwrap();
        let left = (info.state.consumer_count, info.state.messages);
        if left == (1, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_hangs_fails_the_call_in_sync_and_it_is_taken_back_at_the_other() {
    let place = Place::new("Sync", &["hangs", "one"]).await;
    let one = place.receiver("one").await;
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", hangs.local_addr().unwrap());
    let source = place.source(&[("one", &one.at), ("hangs", &at)]).await;
    let failed = source.0.request(Key::new("1").unwrap(), Some(1)).await;
    let Err(SendError::Failed { cause, .. }) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(cause, FailureCause::Deadline);
    one.has(&BTreeSet::new()).await;

    place.follows("Sync", &["one"]);
    source.sends_to(&["one"]).await;
    let reply = source.0.request(Key::new("2").unwrap(), Some(2)).await;
    assert!(matches!(reply.unwrap().delivery, Delivery::Delivered(_)));
    one.has(&numbers(2..3)).await;
    drop(hangs);
}
