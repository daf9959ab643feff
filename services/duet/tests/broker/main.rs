//! A broker that misbehaves, under traffic: whatever somebody does to it, all that is accepted is received once; what is wrong is told
//! while it is, and what was repaired afterwards.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// The broker away for longer than any of its windows, or back with an older storage.
mod away;
/// No room: back-pressure.
mod full;
/// What the server, or the account there, does not take.
mod limits;
/// What heals only once a person has done something.
mod refusals;
/// What somebody with rights at the broker may do, and what heals by itself.
mod vandals;
/// Words of the broker's that get lost, or come twice.
mod wire;

#[path = "../rows/mod.rs"]
mod rows;

use async_nats::jetstream::Context;
use duet_testkit::{Load, Mode, Pair, PairBuilder, Service, until};
use serde_json::Value;
use std::time::Duration;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const STREAM: &str = "REACTIONS";
const CONSUMER: &str = "notification";
const PATIENCE: Duration = Duration::from_secs(60);
/// Callers, and how many reactions they begin a second.
const CALLERS: usize = 16;
const PER_SECOND: u32 = 200;
/// Changes accepted before and after what is done.
const SOME: usize = 40;

/// A pair in `Async` that finds loss in moments: the rules are the same.
fn builder() -> PairBuilder {
    Pair::builder(DUET, Mode::Async)
        .channel("ackWait: 30s", "ackWait: 1s")
        .env("DUET_ORDER_SLACK", "500ms")
        .env("DUET_PLACE_PATIENCE", "1s")
        .env("DUET_AGE_PATIENCE", "3s")
        .env("DUET_BACKLOG_EVERY", "200ms")
        .env("DUET_WATCHDOG_EVERY", "300ms")
        .env("DUET_PROVISION_EVERY", "200ms")
}

async fn pair() -> Pair {
    let pair = builder().start().await;
    pair.drained().await; // what opens the store is received
    pair
}

fn load(pair: &Pair) -> Load {
    pair.load("bob", CALLERS, PER_SECOND)
}

/// Whoever has rights at the broker.
async fn anybody(pair: &Pair) -> Context {
    async_nats::jetstream::new(pair.nats.client().await)
}

/// All that was accepted is at its owner's once, and nothing else.
async fn all_came_once(pair: &Pair, load: Load) {
    let told = load.stop().await;
    told.came_true(pair).await;
    let rows = rows::equal(pair);
    println!("{rows} reactions stand at both ends; {}", told.summary());
}

/// What a service says of the channel, once it says this.
async fn says(service: &Service, what: &str, is_said: impl Fn(&Value) -> bool) -> Value {
    until(PATIENCE, || async {
        let told = service.channel().await?;
        match is_said(&told) {
            true => Ok(told),
            false => Err(format!("{} says nothing of {what}: {told}", service.name())),
        }
    })
    .await
}

/// The `Degraded` condition, as `Reason: message`; none if all is well.
fn degraded(told: &Value) -> Option<String> {
    let conditions = told["conditions"].as_array()?;
    let degraded = conditions.iter().find(|it| it["type"] == "Degraded")?;
    let said = |name: &str| degraded[name].as_str().unwrap_or_default().to_owned();
    (said("status") == "True").then(|| format!("{}: {}", said("reason"), said("message")))
}

/// Waits until it is degraded, for that reason, in words that hold these.
async fn is_degraded(service: &Service, reason: &str, words: &[&str]) -> String {
    let told = says(service, reason, |told| {
        degraded(told).is_some_and(|said| {
            said.starts_with(&format!("{reason}: ")) && words.iter().all(|word| said.contains(word))
        })
    })
    .await;
    degraded(&told).unwrap()
}

async fn is_sound(service: &Service) {
    says(service, "being sound", |told| degraded(told).is_none()).await;
}

/// Waits until events that had been lost are said to be repaired, and says how many.
async fn says_repaired(pair: &Pair) -> u64 {
    let told = says(&pair.reaction, "repaired", |told| {
        told["repaired"]["events"].is_u64()
    })
    .await;
    let repaired = &told["repaired"];
    assert!(
        repaired["why"].as_str().unwrap().contains(CONSUMER),
        "{told}"
    );
    assert!(repaired["last"].as_str().unwrap().ends_with('Z'), "{told}");
    assert_eq!(told["lost"], Value::Null, "{told}");
    repaired["events"].as_u64().unwrap()
}
