//! SIGKILL under load, in both modes: what was accepted is in its owner's inbox exactly once, what was refused is not.
//!
//! A kill counts only if at that moment at least [`AT_STAKE`] accepted changes were unreceived or callers were waiting. Each
//! test tries until one does, and prints how many there were.

mod rows;

use duet_testkit::{Load, Mode, Pair};
use std::{io::Write, time::Duration};

/// The least that must be under way for a kill to count.
const AT_STAKE: u64 = 100;
/// More callers than that, so that so many can wait.
const CALLERS: usize = 128;
const PER_SECOND: u32 = 600;
/// Changes accepted before the kill, and again after all runs again.
const SOME: usize = 150;
/// How long the victims are away while callers go on.
const AWAY: Duration = Duration::from_millis(300);
const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Reaction,
    Notification,
    Broker,
    /// nats-server, and its storage is lost before it comes back.
    BrokerAndItsStorage,
    All,
    AllAndTheBrokersStorage,
}

/// Starts a pair whose broker gives out again soon what a dead process had taken.
async fn start(mode: Mode) -> Pair {
    Pair::builder(env!("CARGO_BIN_EXE_duet"), mode)
        .channel("ackWait: 30s", "ackWait: 1s")
        .env("DUET_BACKLOG_EVERY", "500ms")
        .start()
        .await
}

/// When a kill comes. Either way Notification is stopped first, until much waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Notification goes on, and works through what waited.
    AtWork,
    /// Nothing moves: messages and requests are on their way, and nothing of them is stored.
    AtStandstill,
}

/// What would be lost if one end forgot: callers who wait, or changes that were accepted and not received.
async fn at_stake(pair: &Pair, load: &Load, mode: Mode) -> u64 {
    match mode {
        Mode::Sync => load.waiting() as u64,
        Mode::Async => pair.unacknowledged().await,
    }
}

/// What Reaction knows to be received: it grows while Notification works.
async fn received(pair: &Pair, load: &Load, mode: Mode) -> u64 {
    let accepted = load.accepted() as u64;
    match mode {
        Mode::Sync => accepted,
        Mode::Async => accepted.saturating_sub(pair.unacknowledged().await),
    }
}

/// Kills while much is at stake. Where Notification was too quick, and too little was left, again.
async fn kill(pair: &mut Pair, load: &Load, mode: Mode, victim: Victim, moment: Moment) {
    const ATTEMPTS: u32 = 50;
    for attempt in 1..=ATTEMPTS {
        pair.notification.pause();
        let much = match mode {
            Mode::Sync => AT_STAKE + 20,
            Mode::Async => 3 * AT_STAKE,
        };
        while at_stake(pair, load, mode).await < much {
            tokio::time::sleep(MS).await;
        }
        if moment == Moment::AtWork {
            let before = received(pair, load, mode).await;
            pair.notification.resume();
            // Callers in `Sync` are answered many at once: where that leaves too few, the kill comes before the first answer.
            let wait = if attempt < ATTEMPTS / 5 { 100 } else { 0 };
            for _ in 0..wait {
                if received(pair, load, mode).await > before {
                    break;
                }
                tokio::time::sleep(MS).await;
            }
        }
        let at_stake = at_stake(pair, load, mode).await;
        if at_stake >= AT_STAKE {
            match victim {
                Victim::Reaction => pair.reaction.kill(),
                Victim::Notification => pair.notification.kill(),
                Victim::Broker | Victim::BrokerAndItsStorage => pair.nats.kill(),
                Victim::All | Victim::AllAndTheBrokersStorage => pair.kill(),
            }
            pair.notification.resume();
            say(&format!(
                "{mode:?}, {victim:?} killed {moment:?} with {at_stake} at stake, in attempt {attempt}"
            ));
            return;
        }
        pair.notification.resume();
    }
    panic!("{ATTEMPTS} times less than {AT_STAKE} were at stake when the kill was due");
}

/// Says it even where the output of tests that pass is not shown: what was at stake is part of the result.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Brings back what was killed, the sender first: it must not need the others to start.
async fn bring_back(pair: &mut Pair, victim: Victim) {
    if matches!(
        victim,
        Victim::BrokerAndItsStorage | Victim::AllAndTheBrokersStorage
    ) {
        pair.nats.wipe();
    }
    match victim {
        Victim::Reaction => pair.reaction.restart().await,
        Victim::Notification => pair.notification.restart().await,
        Victim::Broker | Victim::BrokerAndItsStorage => pair.nats.restart().await,
        Victim::All | Victim::AllAndTheBrokersStorage => {
            pair.reaction.restart().await;
            pair.notification.restart().await;
            pair.nats.restart().await;
        }
    }
    pair.ready().await;
}

async fn survives(mode: Mode, victim: Victim) {
    let mut pair = start(mode).await;
    let load = pair.load("bob", CALLERS, PER_SECOND);
    load.accepts(SOME).await;
    for moment in [Moment::AtWork, Moment::AtStandstill] {
        kill(&mut pair, &load, mode, victim, moment).await;
        tokio::time::sleep(AWAY).await;
        bring_back(&mut pair, victim).await;
        load.accepts(SOME).await;
    }
    let told = load.stop().await;
    told.came_true(&pair).await;
    let pairs = rows::equal(&pair);
    say(&format!(
        "{mode:?}, {victim:?}: {pairs} reactions stand at both ends; {}",
        told.summary()
    ));
}

macro_rules! survives {
    ($($name:ident: $mode:ident, $victim:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                survives(Mode::$mode, Victim::$victim).await;
            }
        )+
    };
}

survives! {
    reaction_is_killed_in_sync: Sync, Reaction;
    reaction_is_killed_in_async: Async, Reaction;
    notification_is_killed_in_sync: Sync, Notification;
    notification_is_killed_in_async: Async, Notification;
    the_broker_is_killed_in_sync: Sync, Broker;
    the_broker_is_killed_in_async: Async, Broker;
    all_are_killed_at_once_in_sync: Sync, All;
    all_are_killed_at_once_in_async: Async, All;
    the_brokers_storage_is_lost_in_async: Async, BrokerAndItsStorage;
    all_are_killed_and_the_brokers_storage_is_lost_in_async: Async, AllAndTheBrokersStorage;
}

/// In `Sync` no event is in the broker; that its storage was lost must not show, also not in what is sent through it later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_storage_is_lost_in_sync_and_the_mode_is_switched_afterwards() {
    let mut pair = start(Mode::Sync).await;
    let load = pair.load("bob", CALLERS, PER_SECOND);
    load.accepts(SOME).await;
    let victim = Victim::BrokerAndItsStorage;
    kill(&mut pair, &load, Mode::Sync, victim, Moment::AtWork).await;
    // Nobody waits for the broker, so nobody's wait is longer without it.
    load.accepts(SOME).await;
    bring_back(&mut pair, victim).await;
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    load.accepts(SOME).await;
    let told = load.stop().await;
    told.came_true(&pair).await;
    rows::equal(&pair);
}
