//! Where an event stands: partition, epoch and sequence, and the names built from them.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// A number that only grows, made anew each time a store is opened: milliseconds since 1970 above 20 random bits.
///
/// A sender's epochs and a receiver's incarnations are both made this way. A copy of a store that is restored and opened
/// takes a number that the lost original did not have, so that the two are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The number of low bits of an [`Epoch`] that are random.
const RANDOM_BITS: u32 = 20;

impl Epoch {
    /// Below every epoch that is ever made.
    pub const ZERO: Epoch = Epoch(0);

    /// The next epoch: from the wall clock and random bits, and above every one `seen` even when the clock went back.
    pub fn next(seen: Epoch, wall: Timestamp, random: u32) -> Epoch {
        let random = u64::from(random) & ((1 << RANDOM_BITS) - 1);
        let by_clock = (wall.millis() << RANDOM_BITS) | random;
        let above = seen.0.saturating_add(1).saturating_add(random);
        Epoch(if by_clock > seen.0 { by_clock } else { above })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Which opening of a receiver's store speaks; made as an [`Epoch`] is.
pub type Incarnation = Epoch;

/// An event's place within its source: gapless, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first event.
    pub const ZERO: Sequence = Sequence(0);
    /// The first event of every epoch, which is always `opened`.
    pub const FIRST: Sequence = Sequence(1);

    /// The place after this one.
    pub const fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }

    /// The place before this one; zero's is zero.
    pub const fn previous(self) -> Sequence {
        Sequence(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What orders the events of one pair: the epoch first, then the sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The epoch the event was accepted under.
    pub epoch: Epoch,
    /// Its place there.
    pub sequence: Sequence,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.sequence)
    }
}

/// One of the shares that a store's pairs are divided into by hash; fixed when the store is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// The identity of a sender's store, random, made with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One partition of one store: what a chain of epochs belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The store's identity.
    pub store: StoreId,
    /// Into how many partitions it is divided, from 1. Part of the name, so that a store divided anew is another one.
    pub partitions: u16,
    /// The partition, from 0.
    pub partition: Partition,
}

impl Lane {
    /// This lane's source under `epoch`.
    pub const fn source(self, epoch: Epoch) -> Source {
        Source { lane: self, epoch }
    }
}

/// A run of gapless sequences: one partition of one store, under one epoch. Its text form is the CloudEvents `source`:
/// `/duet/{store}/{partitions}/{partition}/{epoch}`, store and epoch as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The partition and its store.
    pub lane: Lane,
    /// The epoch.
    pub epoch: Epoch,
}

impl Source {
    /// The version of the event at `sequence` of this source.
    pub const fn version(self, sequence: Sequence) -> Version {
        Version {
            epoch: self.epoch,
            sequence,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lane {
            store,
            partitions,
            partition,
        } = self.lane;
        write!(
            f,
            "/duet/{store}/{partitions}/{}/{}",
            partition.0, self.epoch
        )
    }
}

/// A text that names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a source is /duet/STORE/PARTITIONS/PARTITION/EPOCH, store and epoch as 16 hexadecimal digits"
)]
pub struct NotASource;

impl FromStr for Source {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        let hex = |part: &str| match part.len() {
            16 => u64::from_str_radix(part, 16).map_err(|_| NotASource),
            _ => Err(NotASource),
        };
        let mut parts = text.strip_prefix("/duet/").ok_or(NotASource)?.split('/');
        let mut part = || parts.next().ok_or(NotASource);
        let store = StoreId(hex(part()?)?);
        let partitions: u16 = part()?.parse().map_err(|_| NotASource)?;
        let partition = Partition(part()?.parse().map_err(|_| NotASource)?);
        let epoch = Epoch(hex(part()?)?);
        if parts.next().is_some() || partition.0 >= partitions {
            return Err(NotASource);
        }
        Ok(Lane {
            store,
            partitions,
            partition,
        }
        .source(epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_grows_with_the_clock_and_when_the_clock_goes_back() {
        let first = Epoch::next(Epoch::ZERO, Timestamp::from_micros(1_000_000_000), 7);
        let later = Epoch::next(first, Timestamp::from_micros(2_000_000_000), 3);
        let clock_back = Epoch::next(later, Timestamp::from_micros(0), 3);
        assert!(first < later && later < clock_back);
    }

    #[test]
    fn an_epoch_is_the_clock_above_twenty_bits_of_chance_and_where_that_is_not_above_what_was_seen_one_more()
     {
        let millis = |millis: i64| Timestamp::from_micros(1_000 * millis);
        let next = |seen, millis, random| Epoch::next(Epoch(seen), millis, random).0;
        let second = 1_000 << 20;
        assert_eq!(next(0, millis(1_000), 7), second + 7);
        assert_eq!(next(0, millis(1_000), u32::MAX), second + 0xf_ffff);
        // The same millisecond and the same chance as before.
        assert_eq!(next(second + 7, millis(1_000), 7), second + 15);
        assert_eq!(next(2 * second, millis(1_000), 7), 2 * second + 8);
    }

    #[test]
    fn a_version_is_shown_as_its_epoch_and_its_place_there() {
        let version = Source::default().version(Sequence(12));
        assert_eq!(version.to_string(), "0000000000000000:12");
    }

    #[test]
    fn two_openings_of_one_restored_copy_differ_in_their_random_bits() {
        let seen = Epoch(1 << 60);
        assert_ne!(
            Epoch::next(seen, Timestamp::default(), 1),
            Epoch::next(seen, Timestamp::default(), 2)
        );
    }

    #[test]
    fn a_source_survives_its_text_form() {
        let source = Lane {
            store: StoreId(0xfeed),
            partitions: 16,
            partition: Partition(3),
        }
        .source(Epoch(42));
        assert_eq!(source.to_string().parse(), Ok(source));
    }

    #[test]
    fn garbage_is_no_source() {
        for text in [
            "",
            "/duet/",
            "/duet/1/1/0/1",
            "/duet/000000000000feed/2/2/000000000000002a",
            "/duet/000000000000feed/2/1/000000000000002a/x",
        ] {
            assert_eq!(text.parse::<Source>(), Err(NotASource), "{text}");
        }
    }
}
