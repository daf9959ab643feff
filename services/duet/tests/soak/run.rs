use crate::{
    callers::{Callers, Told},
    fault::{Fault, Victim, Way, make_member},
    healing::Healing,
    say,
    streams::Streams,
};
use duet_testkit::{Mode, Pair, Service};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

/// How many faults at most go together.
const TOGETHER: usize = 3;
/// How long they last, and how long all is well in between: shorter than most waits in Duet, or longer.
const LASTS: [std::ops::Range<u64>; 4] = [20..200, 200..1_000, 1_000..4_000, 8_000..12_000];
const BETWEEN: std::ops::Range<u64> = 0..1_500;

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plan {
    /// Everything that can go wrong, for so long.
    Everything(Duration),
    /// Kills alone, so many.
    Kills(u32),
}

/// A run under way.
pub(crate) struct Run {
    pair: Pair,
    callers: Callers,
    streams: Streams,
    dice: StdRng,
    reaction: Lives,
    healing: Healing,
    /// See [`Ended::trending_lacks`].
    trending_lacks: bool,
    /// How many faults there were, by kind.
    done: BTreeMap<&'static str, u32>,
}

/// How long a resync may take, with all else that goes on.
const HEALED: Duration = Duration::from_secs(120);
/// In a run of kills, after how many of them something else is done.
const OTHERS: f64 = 0.15;
/// How often a process that is started finds its wall clock changed.
const CLOCK_JUMPS: f64 = 0.3;
/// How far a process's wall clock may be off when it is started, in seconds: Trending keeps an hour's reactions, which the clocks of
/// two processes and the run itself must not exceed.
const CLOCKS: std::ops::RangeInclusive<i64> = -1_200..=1_200;

/// When Reaction was started and when it was killed, in turn.
#[derive(Debug, Default)]
struct Lives {
    killed: Vec<Duration>,
    started: Vec<Duration>,
}

/// What is left to be judged: all runs, and nobody asks.
pub(crate) struct Ended {
    pub(crate) pair: Pair,
    pub(crate) told: Told,
    pub(crate) streams: Streams,
    /// Trending was no receiver for a while, and no resync was seen to its end since: it lacks what it was not told.
    pub(crate) trending_lacks: bool,
}

impl Run {
    pub(crate) async fn start(seed: u32) -> Self {
        let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Sync)
            .trending()
            .links()
            .channel("deadline: 2s", "deadline: 500ms")
            .channel("ackWait: 30s", "ackWait: 1s")
            // What counts as lost does so soon: a run is short.
            .env("DUET_BACKLOG_EVERY", "500ms")
            .env("DUET_ORDER_SLACK", "1s")
            .env("DUET_PLACE_PATIENCE", "4s")
            .env("DUET_AGE_PATIENCE", "4s")
            .start()
            .await;
        let streams = Streams::listen(&pair);
        let callers = Callers::begin(&pair, seed.into()).await;
        Self {
            pair,
            callers,
            streams,
            dice: StdRng::seed_from_u64(seed.into()),
            reaction: Lives::default(),
            healing: Healing::default(),
            trending_lacks: false,
            done: BTreeMap::new(),
        }
    }

    /// Does what the plan says, heals all, and lets callers end.
    pub(crate) async fn carry_out(mut self, plan: Plan) -> Ended {
        match plan {
            Plan::Everything(time) => {
                while self.callers.time() < time {
                    self.round().await;
                }
            }
            Plan::Kills(kills) => {
                for kill in 0..kills {
                    if kill == kills / 2 {
                        self.begin(Fault::Switch(Way::Only(Mode::Async))).await;
                    }
                    self.kill().await;
                    if self.dice.random_bool(OTHERS) {
                        self.another().await;
                    }
                }
            }
        }
        self.begin(Fault::Trending { is_member: true }).await;
        self.is_healed().await;
        let all: u32 = self.done.values().sum();
        self.say(&format!("{all} faults, and all is healed: {:?}", self.done));
        let mut told = self.callers.end().await;
        told.history
            .end_unanswered(|gave_up| self.reaction.end_of(gave_up));
        Ended {
            pair: self.pair,
            told,
            streams: self.streams,
            trending_lacks: self.trending_lacks,
        }
    }

    /// Waits until what was put back is healed.
    async fn is_healed(&mut self) {
        let patience = self.callers.time() + HEALED;
        loop {
            self.look();
            if self.healing.is_idle() {
                return;
            }
            assert!(self.callers.time() < patience, "the stores are not healed");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn look(&mut self) {
        if let Some(restored) = self.healing.look(&self.pair, self.callers.time()) {
            self.say(&format!("healed: {restored:?}"));
            self.callers.restored(restored);
        }
    }

    /// Something that is no kill, alone.
    async fn another(&mut self) {
        let fault = match self.dice.random_bool(0.3) {
            true => Fault::Switch(Way::any(&mut self.dice)),
            false => Fault::of_stores(&mut self.dice),
        };
        let lasts = self.dice.random_range(LASTS[1].clone());
        self.say(&format!("{fault:?} for {lasts} ms"));
        if self.begin(fault).await {
            sleep(Duration::from_millis(lasts)).await;
            self.heal(&[fault]).await;
        }
    }

    /// A few faults at once, for a while.
    async fn round(&mut self) {
        let mut faults: Vec<Fault> = Vec::new();
        for _ in 0..self.dice.random_range(1..=TOGETHER) {
            let another = Fault::any(&mut self.dice);
            if !faults.iter().any(|it| it.is_of_the_same(another)) {
                faults.push(another);
            }
        }
        let lasts = LASTS.choose(&mut self.dice).unwrap().clone();
        // The longest are rare: most of the time something should change.
        let lasts = match lasts.end > 5_000 && self.dice.random_bool(0.7) {
            true => LASTS[0].clone(),
            false => lasts,
        };
        let lasts = Duration::from_millis(self.dice.random_range(lasts));
        self.say(&format!("{faults:?} for {lasts:?}"));
        // A store is copied while it is in use.
        faults.sort_by_key(|it| !matches!(it, Fault::Restore(_)));
        let mut begun = Vec::new();
        for fault in faults {
            if self.begin(fault).await {
                begun.push(fault);
            }
        }
        let faults = begun;
        sleep(lasts).await;
        self.heal(&faults).await;
        let between = self.dice.random_range(BETWEEN);
        sleep(Duration::from_millis(between)).await;
    }

    /// One process, or now and then all, gone and started again at once.
    async fn kill(&mut self) {
        let fault = match self.dice.random_bool(0.1) {
            true => Fault::KillAll { wiped: false },
            false => Fault::Kill(*Victim::ALL.choose(&mut self.dice).unwrap()),
        };
        self.say(&format!("{fault:?}"));
        self.begin(fault).await;
        self.heal(&[fault]).await;
        let alive = self.dice.random_range(0..400);
        sleep(Duration::from_millis(alive)).await;
    }

    /// False where it can't be now: a store is put back only once the one before is healed.
    async fn begin(&mut self, fault: Fault) -> bool {
        self.look();
        match fault {
            Fault::Restore(_) if !self.healing.is_idle() => return false,
            Fault::Restore(victim) => {
                let service = service(&mut self.pair, victim);
                self.healing.copy(service, || self.callers.time());
            }
            Fault::Resync => self.healing.resync(&self.pair),
            Fault::Trending { is_member } => {
                self.trending_lacks |= !is_member;
                make_member(&self.pair, is_member);
            }
            Fault::Kill(Victim::Broker) | Fault::Wipe => self.pair.nats.kill(),
            Fault::Kill(victim) => {
                service(&mut self.pair, victim).kill();
                self.reaction_may_be_gone();
            }
            Fault::KillAll { .. } => {
                self.pair.kill();
                self.reaction_may_be_gone();
            }
            Fault::Stop(Victim::Broker) => self.pair.nats.pause(),
            Fault::Stop(victim) => service(&mut self.pair, victim).pause(),
            Fault::Link(link, wrong) => self.pair.links().spoil(link, wrong).await,
            Fault::Switch(way) => way.write(&self.pair),
        }
        *self.done.entry(fault.kind()).or_default() += 1;
        true
    }

    /// Everything works again; who was killed is started in an order of chance.
    async fn heal(&mut self, faults: &[Fault]) {
        self.pair.nats.resume();
        for victim in [Victim::Reaction, Victim::Notification, Victim::Trending] {
            service(&mut self.pair, victim).resume();
        }
        self.pair.links().heal().await;
        let mut killed: Vec<Victim> = Vec::new();
        let mut wiped = false;
        for fault in faults {
            match fault {
                Fault::Kill(victim) => killed.push(*victim),
                Fault::KillAll { wiped: also } => {
                    killed.extend(Victim::ALL);
                    wiped |= also;
                }
                Fault::Wipe => {
                    killed.push(Victim::Broker);
                    wiped = true;
                }
                Fault::Restore(victim) => {
                    let from = self.callers.time();
                    service(&mut self.pair, *victim).kill();
                    self.reaction_may_be_gone();
                    let service = service(&mut self.pair, *victim);
                    self.healing.put_back(service, from..self.callers.time());
                    killed.push(*victim);
                }
                Fault::Stop(_)
                | Fault::Link(..)
                | Fault::Switch(_)
                | Fault::Trending { .. }
                | Fault::Resync => {}
            }
        }
        while !killed.is_empty() {
            let next = killed.swap_remove(self.dice.random_range(0..killed.len()));
            killed.retain(|it| *it != next);
            match next {
                Victim::Broker => {
                    if wiped {
                        self.pair.nats.wipe();
                    }
                    self.pair.nats.restart().await;
                }
                victim => {
                    if self.dice.random_bool(CLOCK_JUMPS) {
                        let off = self.dice.random_range(CLOCKS);
                        self.say(&format!("{victim:?}'s clock is {off} s off"));
                        service(&mut self.pair, victim).set_env("DUET_CLOCK_OFF", &off.to_string());
                    }
                    if victim == Victim::Reaction {
                        self.reaction.started.push(self.callers.time());
                    }
                    service(&mut self.pair, victim).restart().await;
                }
            }
        }
        if faults.iter().any(|it| matches!(it, Fault::Restore(_))) {
            self.healing.serves(self.callers.time());
            self.healing.resync(&self.pair);
        }
    }

    fn reaction_may_be_gone(&mut self) {
        let Lives { killed, started } = &mut self.reaction;
        let is_gone = !duet_testkit::running(self.pair.reaction.id());
        if is_gone && killed.len() == started.len() {
            killed.push(self.callers.time());
        }
    }

    fn say(&self, what: &str) {
        say(&format!(
            "{:8.3} s {what}",
            self.callers.time().as_secs_f64()
        ));
    }
}

impl Lives {
    /// When the process had ended that a caller asked who gave up then: the one that ran at that moment, or the last before.
    fn end_of(&self, gave_up: Duration) -> Duration {
        let begun = self.started.iter().filter(|it| **it <= gave_up).count();
        // The last one lives to the end of the run, and a little longer than any caller.
        let killed = self.killed.get(begun).copied();
        killed.unwrap_or(Duration::from_secs(1 << 20))
    }
}

fn service(pair: &mut Pair, victim: Victim) -> &mut Service {
    match victim {
        Victim::Reaction => &mut pair.reaction,
        Victim::Notification => &mut pair.notification,
        Victim::Trending => pair.trending_mut(),
        Victim::Broker => unreachable!("the broker is no service"),
    }
}
