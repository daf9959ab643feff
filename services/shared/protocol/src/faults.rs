//! What goes wrong on purpose where a receiver takes events: decided for each batch, before it is applied.
//!
//! The protocol knows nothing of it. A batch that waits is as one that is slow to arrive, an event that fails as one that the service
//! can't apply, a batch without an answer as a receiver that hangs.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::dice::Dice;
use crate::event::Event;
use crate::receipt::ReceiverName;
use crate::settings::Faults;
use crate::time::{Moment, Timestamp};

impl Faults {
    /// Whether they act at this receiver, now.
    pub fn act_at(&self, receiver: &ReceiverName, now: Timestamp) -> bool {
        let here = self.receiver.as_ref().is_none_or(|at| at == receiver);
        here && !self.are_over(now)
    }

    /// Whether they have ended by themselves.
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether an event fails that was parked and is tried once more. Chance follows from the seed.
    pub fn fail_again(&self, event: &Event, seed: u64) -> bool {
        self.errors.covers(Dice::new(seed ^ event.hash().0).next())
    }

    /// How long they still act; `None` if they don't end by themselves.
    pub fn end_in(&self, now: Timestamp) -> Option<Duration> {
        self.until.map(|until| until.since(now))
    }
}

/// What happens to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// It gets no answer: it is held until whoever sent it has given up.
    pub hangs: bool,
    /// How long it waits before it is applied.
    pub wait: Duration,
    /// Which of its events can't be applied, by their place in it; empty where all can.
    pub fails: Vec<usize>,
    /// The turns that it took, where turns are counted: what it did not need is given back.
    pub turns: Option<Turns>,
}

/// Turns that a batch took of so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    taken: usize,
    per_second: NonZeroU32,
}

/// Decides for each batch, and remembers when the next one has its turn.
#[derive(Debug)]
pub struct Striker {
    dice: Dice,
    /// All turns up to here are taken.
    free_at: Moment,
}

impl Striker {
    /// Chance follows from the seed.
    pub fn new(seed: u64) -> Self {
        Striker {
            dice: Dice::new(seed),
            free_at: Moment::START,
        }
    }

    /// What happens to a batch of so many events that nobody waits for after `deadline`, while these faults act.
    pub fn strike(
        &mut self,
        faults: &Faults,
        events: usize,
        deadline: Option<Moment>,
        now: Moment,
    ) -> Strike {
        let patience = deadline.map(|deadline| deadline.since(now));
        let delay = self.delay(faults);
        let fails = match faults.errors.get() {
            0 => Vec::new(),
            _ => (0..events)
                .filter(|_| faults.errors.covers(self.dice.next()))
                .collect(),
        };
        if faults.hangs.covers(self.dice.next()) {
            return Strike {
                hangs: true,
                wait: Duration::ZERO,
                fails,
                turns: None,
            };
        }
        let turn = faults
            .max_per_second
            .map_or(Duration::ZERO, |_| self.free_at.since(now));
        let wait = turn.saturating_add(delay);
        // Whoever gives up before its turn takes none: else those who come later would wait for nobody.
        let in_time = patience.is_none_or(|patience| wait < patience);
        let turns = faults
            .max_per_second
            .filter(|_| in_time)
            .map(|per_second| Turns {
                taken: events,
                per_second,
            });
        if let Some(turns) = turns {
            self.free_at = self.free_at.max(now) + turns.last();
        }
        Strike {
            hangs: false,
            wait: patience.map_or(wait, |patience| wait.min(patience)),
            fails,
            turns,
        }
    }

    /// So many of the batch's events were tried; the others were copies, or it was too late for them.
    pub fn tried(&mut self, turns: Turns, events: usize) {
        let taken = turns.taken.saturating_sub(events);
        self.free_at = self.free_at - Turns { taken, ..turns }.last();
    }

    fn delay(&mut self, faults: &Faults) -> Duration {
        if faults.jitter.is_zero() {
            return faults.delay;
        }
        let shortest = faults.delay.saturating_sub(faults.jitter);
        let longest = faults.delay.saturating_add(faults.jitter);
        shortest + (longest - shortest).mul_f64(self.dice.share())
    }
}

impl Turns {
    /// How long they last.
    fn last(self) -> Duration {
        Duration::from_secs_f64(self.taken as f64 / f64::from(self.per_second.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Body, TraceContext};
    use crate::sequence::{Sequence, Source};
    use crate::settings::{Generation, Percent};

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u32) -> Moment {
        Moment::START + MS * millis
    }

    fn percent(percent: u8) -> Percent {
        Percent::new(percent).unwrap()
    }

    fn strikes(faults: &Faults, batches: usize, events: usize) -> Vec<Strike> {
        let mut striker = Striker::new(7);
        (0..batches)
            .map(|_| striker.strike(faults, events, None, at(0)))
            .collect()
    }

    #[test]
    fn no_fault_changes_nothing() {
        let nothing = Strike {
            hangs: false,
            wait: Duration::ZERO,
            fails: Vec::new(),
            turns: None,
        };
        assert_eq!(strikes(&Faults::default(), 1, 5), [nothing]);
    }

    #[test]
    fn a_delay_is_longer_and_shorter_by_the_jitter_and_never_less_than_nothing() {
        for (delay, jitter, least, most) in
            [(200, 0, 200, 200), (200, 50, 150, 250), (10, 50, 0, 60)]
        {
            let faults = Faults {
                delay: MS * delay,
                jitter: MS * jitter,
                ..Faults::default()
            };
            let waits = strikes(&faults, 1_000, 1)
                .into_iter()
                .map(|strike| strike.wait);
            let (low, high) = waits.fold((Duration::MAX, Duration::ZERO), |(low, high), wait| {
                (low.min(wait), high.max(wait))
            });
            let close = |a: Duration, b: u32| a.abs_diff(MS * b) <= MS * (most - least) / 50;
            assert!(
                close(low, least) && close(high, most),
                "{delay} {jitter}: {low:?} to {high:?}"
            );
        }
    }

    #[test]
    fn the_shares_of_events_and_of_batches_are_what_the_percents_say() {
        let faults = Faults {
            errors: percent(5),
            hangs: percent(20),
            ..Faults::default()
        };
        let strikes = strikes(&faults, 2_000, 50);
        let hangs = strikes.iter().filter(|strike| strike.hangs).count();
        let fails: usize = strikes.iter().map(|strike| strike.fails.len()).sum();
        assert!((350..450).contains(&hangs), "{hangs}");
        assert!((4_700..5_300).contains(&fails), "{fails}");
        for (none_or_all, expected) in [(0, 0), (100, 50)] {
            let faults = Faults {
                errors: percent(none_or_all),
                ..Faults::default()
            };
            assert_eq!(
                super::tests::strikes(&faults, 1, 50)[0].fails.len(),
                expected
            );
        }
    }

    #[test]
    fn batches_have_their_turn_one_after_the_other() {
        let faults = Faults {
            max_per_second: NonZeroU32::new(100),
            ..Faults::default()
        };
        let waits: Vec<_> = strikes(&faults, 3, 50)
            .into_iter()
            .map(|strike| strike.wait)
            .collect();
        assert_eq!(waits, [0, 500, 1_000].map(|wait| MS * wait));
    }

    #[test]
    fn whoever_gives_up_takes_no_turn_and_what_was_not_tried_is_given_back() {
        let faults = Faults {
            max_per_second: NonZeroU32::new(100),
            ..Faults::default()
        };
        let mut striker = Striker::new(7);
        let mut wait = |deadline: Option<u32>, now: u32| {
            let strike = striker.strike(&faults, 50, deadline.map(at), at(now));
            (strike.wait, strike.turns)
        };
        let (_, first) = wait(None, 0);
        assert_eq!(wait(Some(300), 100), (MS * 200, None));
        assert_eq!(wait(Some(500), 100), (MS * 400, None), "just too late");
        assert_eq!(wait(Some(700), 100).0, MS * 400);
        assert_eq!(wait(None, 100).0, MS * 900);
        // The first were copies but for ten.
        striker.tried(first.unwrap(), 10);
        assert_eq!(striker.strike(&faults, 1, None, at(100)).wait, MS * 1_000);
    }

    #[test]
    fn faults_end_by_the_wall_clock_and_act_where_they_are_meant_to() {
        let name = |name: &str| ReceiverName::new(name).unwrap();
        let seconds = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let faults = Faults {
            receiver: Some(name("trending")),
            until: Some(seconds(30)),
            ..Faults::default()
        };
        assert!(faults.act_at(&name("trending"), seconds(29)));
        assert!(!faults.act_at(&name("trending"), seconds(30)));
        assert!(!faults.act_at(&name("notification"), seconds(29)));
        assert!(Faults::default().act_at(&name("notification"), seconds(1_000)));
        assert_eq!(faults.end_in(seconds(10)), Some(Duration::from_secs(20)));
        assert_eq!(Faults::default().end_in(seconds(10)), None);
    }

    #[test]
    fn the_share_of_what_is_parked_fails_again_and_another_seed_strikes_others() {
        let event = |sequence| Event {
            source: Source::default(),
            sequence: Sequence(sequence),
            time: Timestamp::default(),
            body: Body::Opened {
                previous: None,
                joined: Vec::new(),
            },
            trace: TraceContext::default(),
            generation: Generation::FIRST,
        };
        let struck = |percent, seed| {
            let faults = Faults {
                errors: Percent::new(percent).unwrap(),
                ..Faults::default()
            };
            let all = (1..=1_000).filter(|it| faults.fail_again(&event(*it), seed));
            all.collect::<Vec<_>>()
        };
        assert_eq!((struck(0, 1).len(), struck(100, 1).len()), (0, 1_000));
        let some = struck(30, 1);
        assert!((250..350).contains(&some.len()), "{}", some.len());
        assert_eq!(some, struck(30, 1));
        assert_ne!(some, struck(30, 2));
    }
}
