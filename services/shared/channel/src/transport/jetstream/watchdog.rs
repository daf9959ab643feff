//! Looks now and then whether a consumer is one that works: it decides only; asking the broker and beginning anew is its owner's.

use std::time::{Duration, Instant};

use crate::transport::Trouble;

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
    /// Messages are out, and none of them is here.
    pub(super) is_out_elsewhere: bool,
    /// How long a message may be out.
    pub(super) ack_wait: Duration,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Duration,
    due: Instant,
    came: bool,
    /// The last place that came: the stream reaches as far as that, whenever it was last looked at.
    reached: u64,
    before: Option<Seen>,
    /// Since when all that there is has been out elsewhere, and nothing moved.
    elsewhere: Option<Instant>,
}

impl Watchdog {
    /// One that looks so often.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Watchdog {
            every,
            due: now + every,
            came: false,
            reached: 0,
            before: None,
            elsewhere: None,
        }
    }

    /// It begins anew, with a consumer that is.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Watchdog::new(self.every, now);
    }

    /// When to look.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Messages came, of places up to this one.
    pub(super) fn came(&mut self, place: u64) {
        self.came = true;
        self.reached = self.reached.max(place);
    }

    /// What was seen when it was due.
    pub(super) fn look(&mut self, seen: Seen, now: Instant) -> Result<(), Trouble> {
        self.due = now + self.every;
        let came = std::mem::take(&mut self.came);
        if seen.last < self.reached {
            return Err(Trouble::Stream);
        }
        let Some(before) = self.before.replace(seen) else {
            return Ok(());
        };
        if seen.created != before.created || seen.last < before.last {
            return Err(Trouble::Stream);
        }
        if seen.ack_floor < before.ack_floor {
            return Err(Trouble::AckFloor);
        }
        if seen.may_be_given && before.may_be_given && !came {
            return Err(Trouble::Deaf);
        }
        // Whoever has them is given them again and again, if they are not given to us once they have been out for long.
        let stands = seen.is_out_elsewhere && !came && seen.ack_floor == before.ack_floor;
        let since = stands.then(|| *self.elsewhere.get_or_insert(now));
        self.elsewhere = since;
        match since {
            Some(since) if now - since > 2 * seen.ack_wait => Err(Trouble::Deaf),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const WELL: Seen = Seen {
        created: 1,
        last: 10,
        ack_floor: 5,
        may_be_given: true,
        is_out_elsewhere: false,
        ack_wait: EVERY,
    };
    const LATER: Seen = Seen {
        last: 20,
        ack_floor: 6,
        ..WELL
    };
    const ELSEWHERE: Seen = Seen {
        may_be_given: false,
        is_out_elsewhere: true,
        ..WELL
    };

    fn looks(looks: &[(bool, Seen)]) -> Result<(), Trouble> {
        let mut now = Instant::now();
        let mut watchdog = Watchdog::new(EVERY, now);
        for (came, seen) in looks {
            assert!(now < watchdog.due());
            now = watchdog.due();
            if *came {
                watchdog.came(seen.last);
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
    fn a_stream_that_ends_before_what_came_is_noticed_at_the_first_look() {
        let mut watchdog = Watchdog::new(EVERY, Instant::now());
        watchdog.came(WELL.last + 1);
        assert_eq!(watchdog.look(WELL, watchdog.due()), Err(Trouble::Stream));
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
        assert_eq!(looks(&[(true, WELL), (false, LATER)]), Err(Trouble::Deaf));
    }

    #[test]
    fn what_another_holds_is_waited_for_as_long_as_a_message_may_be_out_twice() {
        let moves = Seen {
            ack_floor: 6,
            ..ELSEWHERE
        };
        let twice = [(false, ELSEWHERE); 4];
        assert_eq!(looks(&twice), Ok(()));
        assert_eq!(
            looks(&[&twice[..], &[(false, ELSEWHERE)]].concat()),
            Err(Trouble::Deaf)
        );
        let ends: [&[_]; 3] = [
            &[(true, ELSEWHERE)],
            &[(false, moves), (false, moves)],
            &[(
                false,
                Seen {
                    is_out_elsewhere: false,
                    ..ELSEWHERE
                },
            )],
        ];
        for end in ends {
            assert_eq!(looks(&[&twice[..], end].concat()), Ok(()), "{end:?}");
        }
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
