//! Looks now and then whether a consumer is one that works: it decides only; asking the broker and beginning anew is its owner's.

use std::fmt;
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(30);

/// What the broker says of stream and consumer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When the stream was created.
    pub(super) created: u64,
    /// The stream's last place.
    pub(super) last: u64,
    /// Everything up to here is settled.
    pub(super) ack_floor: u64,
    /// Messages are pending, and there is room for them among the unsettled ones.
    pub(super) may_be_given: bool,
}

/// Why a consumer has to be begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It gives nothing while there is something.
    Stalled,
    /// What was settled is not any more.
    AckFloor,
    /// The stream is another, or has lost its end.
    Stream,
}

impl Trouble {
    /// In a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Trouble::Stalled => "stalled",
            Trouble::AckFloor => "ack_floor",
            Trouble::Stream => "stream",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Stalled => "the consumer gives nothing while messages are pending",
            Trouble::AckFloor => "the consumer's ack floor went back",
            Trouble::Stream => "the stream was made anew, or has lost its end",
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watchdog {
    due: Instant,
    came: bool,
    before: Option<Seen>,
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Self {
        Watchdog {
            due: now + EVERY,
            came: false,
            before: None,
        }
    }

    /// When to look.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Messages came.
    pub(super) fn came(&mut self) {
        self.came = true;
    }

    /// What was seen when it was due.
    pub(super) fn look(&mut self, seen: Seen, now: Instant) -> Result<(), Trouble> {
        self.due = now + EVERY;
        let came = std::mem::take(&mut self.came);
        let Some(before) = self.before.replace(seen) else {
            return Ok(());
        };
        if seen.created != before.created || seen.last < before.last {
            Err(Trouble::Stream)
        } else if seen.ack_floor < before.ack_floor {
            Err(Trouble::AckFloor)
        } else if seen.may_be_given && before.may_be_given && !came {
            Err(Trouble::Stalled)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Seen = Seen {
        created: 1,
        last: 10,
        ack_floor: 5,
        may_be_given: true,
    };
    const LATER: Seen = Seen {
        last: 20,
        ack_floor: 6,
        ..WELL
    };

    fn looks(looks: &[(bool, Seen)]) -> Result<(), Trouble> {
        let mut now = Instant::now();
        let mut watchdog = Watchdog::new(now);
        for (came, seen) in looks {
            assert!(now < watchdog.due());
            now = watchdog.due();
            if *came {
                watchdog.came();
            }
            watchdog.look(*seen, now)?;
        }
        Ok(())
    }

    #[test]
    fn a_consumer_that_works_is_left_alone() {
        assert_eq!(looks(&[(true, WELL), (true, WELL), (true, LATER)]), Ok(()));
    }

    #[test]
    fn one_that_has_nothing_to_give_may_be_quiet() {
        let empty = Seen {
            may_be_given: false,
            ..WELL
        };
        assert_eq!(
            looks(&[(false, empty), (false, empty), (false, WELL), (true, WELL)]),
            Ok(())
        );
    }

    #[test]
    fn one_that_gives_nothing_from_one_look_to_the_next_is_begun_anew() {
        assert_eq!(
            looks(&[(true, WELL), (false, LATER)]),
            Err(Trouble::Stalled)
        );
    }

    #[test]
    fn what_goes_backwards_is_begun_anew() {
        for (seen, trouble) in [
            (
                Seen {
                    created: 2,
                    ..LATER
                },
                Trouble::Stream,
            ),
            (Seen { last: 9, ..LATER }, Trouble::Stream),
            (
                Seen {
                    ack_floor: 4,
                    ..LATER
                },
                Trouble::AckFloor,
            ),
        ] {
            assert_eq!(looks(&[(true, WELL), (true, seen)]), Err(trouble));
        }
    }
}
