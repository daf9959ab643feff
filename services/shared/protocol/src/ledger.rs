//! The ledger: what became of each event that a source sent to a receiver, counted in the transaction in which it became so; and a digest
//! of the state that all of them together came to.
//!
//! Of each source and receiver, what was accepted is what was applied, superseded, discarded, is parked or dead, or is in flight. Counts
//! and rolling hashes can't tell an event that was marked and counted, and whose row was not written: the digest does.

use xxhash_rust::xxh3::Xxh3;

use crate::event::{Body, Event, Key, RollingHash};
use crate::receive::Outcome;
use crate::sequence::{Epoch, Sequence};

/// How an event ended at a receiver: it is neither parked nor dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It changed its key's row.
    Applied,
    /// Something newer of its key was stored.
    Superseded,
    /// A person discarded it.
    Discarded,
    /// It is the channel's own, and changes no row of the service's.
    Own,
}

impl Ending {
    /// How an event that was just received ended, if it did.
    pub fn of(event: &Event, outcome: &Outcome) -> Option<Ending> {
        match (&event.body, outcome) {
            (Body::Data(_), Outcome::Applied(_)) => Some(Ending::Applied),
            (Body::Data(_), Outcome::Superseded) => Some(Ending::Superseded),
            (Body::Data(_), _) => None,
            _ => Some(Ending::Own),
        }
    }

    /// How one ended that was parked, and is not any more: only the service's own are.
    pub(crate) fn after(outcome: &Outcome) -> Ending {
        match outcome {
            Outcome::Superseded => Ending::Superseded,
            _ => Ending::Applied,
        }
    }
}

/// How the events of one source ended at a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// Those of the channel's own.
    pub own: u64,
    /// See [`Ending::Applied`].
    pub applied: u64,
    /// See [`Ending::Superseded`].
    pub superseded: u64,
    /// See [`Ending::Discarded`].
    pub discarded: u64,
}

impl Endings {
    /// One more.
    pub fn count(&mut self, ending: Ending) {
        let count = match ending {
            Ending::Own => &mut self.own,
            Ending::Applied => &mut self.applied,
            Ending::Superseded => &mut self.superseded,
            Ending::Discarded => &mut self.discarded,
        };
        *count = count.saturating_add(1);
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        [self.own, self.applied, self.superseded, self.discarded]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// What a receiver proves of the epochs that it has closed: the sum of all hashes of those that it closed since one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The lowest epoch that is in the sum, if it was closed.
    pub since: Epoch,
    /// The sum.
    pub hash: RollingHash,
}

/// One source at one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the sender numbered.
    pub sent: Sequence,
    /// How many of these are the channel's own.
    pub sent_own: u64,
    /// How many the receiver holds.
    pub received: u64,
    /// How they ended.
    pub endings: Endings,
    /// How many are parked.
    pub parked: u64,
    /// How many are dead letters.
    pub dead: u64,
}

/// Why an account does not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imbalance {
    /// More is held than was sent.
    MoreThanSent,
    /// So many that are held neither ended nor are parked or dead.
    Unaccounted(u64),
    /// So many more ended, or are parked or dead, than are held.
    Surplus(u64),
    /// All was received, and another number of the channel's own among it.
    OwnDiffers,
}

impl Account {
    /// What was accepted from callers.
    pub fn accepted(&self) -> u64 {
        self.sent.0.saturating_sub(self.sent_own)
    }

    /// What is on its way.
    pub fn in_flight(&self) -> u64 {
        self.sent.0.saturating_sub(self.received)
    }

    /// Whether everything that was sent is accounted for, each once.
    ///
    /// # Errors
    /// What is not.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let accounted = [self.endings.all(), self.parked, self.dead]
            .into_iter()
            .fold(0, u64::saturating_add);
        if self.received > self.sent.0 {
            return Err(Imbalance::MoreThanSent);
        }
        if accounted < self.received {
            return Err(Imbalance::Unaccounted(self.received - accounted));
        }
        if accounted > self.received {
            return Err(Imbalance::Surplus(accounted - self.received));
        }
        if self.in_flight() == 0 && self.endings.own != self.sent_own {
            return Err(Imbalance::OwnDiffers);
        }
        Ok(())
    }

    /// By how many events it does not balance; 0 if it does.
    pub fn imbalance(&self) -> u64 {
        match self.balance() {
            Ok(()) => 0,
            Err(Imbalance::MoreThanSent) => self.received - self.sent.0,
            Err(Imbalance::Unaccounted(events) | Imbalance::Surplus(events)) => events,
            Err(Imbalance::OwnDiffers) => self.endings.own.abs_diff(self.sent_own),
        }
    }
}

/// What a key's value adds to the digest of the state, at both ends the same. Nothing that stands adds nothing.
pub fn row_hash(key: &Key, value: &[u8]) -> RollingHash {
    let mut hash = Xxh3::new();
    for part in [key.as_str().as_bytes(), value] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    RollingHash(hash.digest())
}

/// How a receiver's state stands to its sender's, where nothing is on its way, parked or dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Their digests are the same.
    Agrees,
    /// They differ.
    Differs,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(sent: u64, received: u64, applied: u64) -> Account {
        Account {
            sent: Sequence(sent),
            sent_own: 1,
            received,
            endings: Endings {
                own: 1,
                applied,
                ..Endings::default()
            },
            ..Account::default()
        }
    }

    #[test]
    fn what_was_accepted_ended_or_is_parked_dead_or_in_flight() {
        let balanced = Account {
            parked: 1,
            dead: 1,
            ..account(10, 6, 3)
        };
        assert_eq!(balanced.balance(), Ok(()));
        assert_eq!((balanced.accepted(), balanced.in_flight()), (9, 4));
        assert_eq!(balanced.imbalance(), 0);
        assert_eq!(account(4, 4, 3).balance(), Ok(()), "nothing is in flight");
        let of_own_more = Account {
            sent_own: 2,
            ..account(10, 6, 5)
        };
        assert_eq!(of_own_more.balance(), Ok(()), "the other may be in flight");
        let cases = [
            (account(3, 5, 4), Imbalance::MoreThanSent, 2),
            (account(9, 9, 2), Imbalance::Unaccounted(6), 6),
            (account(9, 2, 6), Imbalance::Surplus(5), 5),
            (
                Account {
                    sent_own: 2,
                    ..account(4, 4, 3)
                },
                Imbalance::OwnDiffers,
                1,
            ),
        ];
        for (account, imbalance, events) in cases {
            assert_eq!(account.balance(), Err(imbalance), "{account:?}");
            assert_eq!(account.imbalance(), events, "{account:?}");
        }
    }

    #[test]
    fn a_rows_hash_tells_key_and_value_apart() {
        let hash = |key: &str, value: &str| row_hash(&Key::new(key).unwrap(), value.as_bytes());
        assert_ne!(hash("p/ab", "c"), hash("p/a", "bc"));
        assert_eq!(hash("p/a", "like"), hash("p/a", "like"));
    }

    #[test]
    fn each_event_ends_once_and_in_one_way() {
        use crate::receive::Failure;
        use crate::sequence::Source;
        use crate::settings::Generation;

        let event = |body| Event {
            source: Source::default(),
            sequence: Sequence::FIRST,
            time: Default::default(),
            body,
            trace: Default::default(),
            generation: Generation::FIRST,
        };
        let data = event(Body::Data(crate::event::Data {
            kind: "set".into(),
            key: Key::new("p/a").unwrap(),
            json: Default::default(),
        }));
        let own = event(Body::Sweep { below: Epoch(1) });
        let applied = Outcome::Applied(None);
        let ends = [
            (&data, &applied, Some(Ending::Applied)),
            (&data, &Outcome::Superseded, Some(Ending::Superseded)),
            (&data, &Outcome::Parked, None),
            (&data, &Outcome::Dead, None),
            (&data, &Outcome::Failed(Failure::new("no")), None),
            (&own, &applied, Some(Ending::Own)),
        ];
        for (event, outcome, ending) in ends {
            assert_eq!(Ending::of(event, outcome), ending, "{outcome:?}");
        }
        assert_eq!(Ending::after(&applied), Ending::Applied);
        assert_eq!(Ending::after(&Outcome::Superseded), Ending::Superseded);

        use Ending::{Applied, Discarded, Own, Superseded};
        let mut endings = Endings::default();
        let all = [(Own, 1), (Applied, 2), (Superseded, 3), (Discarded, 4)];
        for (ending, times) in all {
            (0..times).for_each(|_| endings.count(ending));
        }
        let Endings {
            own,
            applied,
            superseded,
            discarded,
        } = endings;
        assert_eq!([own, applied, superseded, discarded], [1, 2, 3, 4]);
        assert_eq!(endings.all(), 10);
    }
}
