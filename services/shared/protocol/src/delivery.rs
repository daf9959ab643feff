//! What becomes of an event that could not be applied: when it is tried again, when it is a dead letter, and what a redrive may do.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use crate::dice::Dice;
use crate::event::Event;
use crate::receive::{Failure, Lasting};
use crate::rules::{Rule, Rules};
use crate::settings::DeliverySettings;
use crate::time::Timestamp;

/// So many times a dead letter is redriven, and dies again of the same cause, before a redrive of many passes over it.
pub const FUTILE_REDRIVES: u32 = 3;

/// How an event in the parked table stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is tried again at this time.
    Parked {
        /// By the receiver's wall clock.
        next_attempt: Timestamp,
    },
    /// It is a dead letter: it is not tried again by itself.
    Dead,
}

/// What the parked table knows of an event besides the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// How it stands.
    pub state: State,
    /// How often it was tried, since it was parked or last redriven.
    pub attempts: u32,
    /// How often it was redriven.
    pub redrives: u32,
    /// What it died of last; none if it never did.
    pub died_of: Option<Fingerprint>,
    /// How many of its latest redrives ended in its death by the same cause as before.
    pub futile: u32,
}

impl Parked {
    /// A job, which was not tried yet: it is to be run now.
    pub fn job(now: Timestamp) -> Self {
        Parked {
            state: State::Parked { next_attempt: now },
            attempts: 0,
            redrives: 0,
            died_of: None,
            futile: 0,
        }
    }

    /// Whether it is a dead letter.
    pub fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Redriven: its attempts begin anew, the first of them now.
    pub fn redriven(self, now: Timestamp, rules: &Rules) -> Self {
        let restarts = rules.holds(Rule::RedriveRestartsAttempts);
        Parked {
            state: State::Parked { next_attempt: now },
            attempts: if restarts { 0 } else { self.attempts },
            redrives: self.redrives.saturating_add(1),
            ..self
        }
    }

    /// Whether a redrive of many passes over it: it would die of the same once more.
    pub fn is_futile(&self, rules: &Rules) -> bool {
        self.is_dead() && self.futile >= FUTILE_REDRIVES && rules.holds(Rule::PassOverFutile)
    }
}

/// Decides after failed attempts.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// How often, and how far apart.
    pub settings: &'a DeliverySettings,
    /// Where this transaction's chance comes from.
    pub seed: u64,
    /// The receiver's wall clock.
    pub now: Timestamp,
    /// The rules in force.
    pub rules: &'a Rules,
}

impl Delivery<'_> {
    /// How an event stands after an attempt that failed; `before` is how it stood, none at its first.
    ///
    /// What is of an unknown type never dies: a newer sender may be rolling out, and this receiver will follow.
    pub fn failed(&self, event: &Event, failure: &Failure, before: Option<Parked>) -> Parked {
        let before = before.unwrap_or_else(|| Parked::job(self.now));
        let waits =
            failure.lasting == Lasting::UnknownType && self.rules.holds(Rule::UnknownTypeWaits);
        if waits || !self.is_spent(before.attempts.saturating_add(1)) {
            return self.begun(event, before);
        }
        let cause = failure.fingerprint();
        // It died before: so it was redriven since.
        let again = before.died_of == Some(cause);
        Parked {
            state: State::Dead,
            attempts: before.attempts.saturating_add(1),
            died_of: Some(cause),
            futile: if again {
                before.futile.saturating_add(1)
            } else {
                0
            },
            ..before
        }
    }

    /// How an event stands while an attempt is under way that was counted when it began: should it come to nothing, the event is due after
    /// its wait.
    pub fn begun(&self, event: &Event, before: Parked) -> Parked {
        let attempts = before.attempts.saturating_add(1);
        let next_attempt = self.now + self.wait(event, attempts);
        Parked {
            state: State::Parked { next_attempt },
            attempts,
            ..before
        }
    }

    /// Whether so many attempts are all there are.
    pub fn is_spent(&self, attempts: u32) -> bool {
        attempts >= self.settings.max_attempts.get() && self.rules.holds(Rule::DieAfterAttempts)
    }

    /// Full jitter: any wait up to the backoff, which doubles from attempt to attempt.
    fn wait(&self, event: &Event, attempts: u32) -> Duration {
        const LEAST: Duration = Duration::from_millis(1);
        let longest = longest_wait(self.settings, attempts);
        let seed = self.seed ^ event.hash().0 ^ u64::from(attempts);
        longest
            .mul_f64(Dice::new(seed).share())
            .clamp(LEAST.min(longest), longest)
    }
}

/// The longest that an event waits after so many attempts: the first backoff, doubled with each further one, and never over the longest.
pub fn longest_wait(settings: &DeliverySettings, attempts: u32) -> Duration {
    let doubled = 1u32.checked_shl(attempts.saturating_sub(1));
    let wait = doubled.and_then(|factor| settings.backoff_initial.checked_mul(factor));
    wait.unwrap_or(settings.backoff_max)
        .min(settings.backoff_max)
}

/// Whether a parked event is to be tried now, where no wait is longer than `longest`. [A wall clock that was set back would
/// otherwise make it wait for as long as that was.]
pub fn is_retry_due(next_attempt: Timestamp, now: Timestamp, longest: Duration) -> bool {
    next_attempt <= now || next_attempt > now + longest
}

/// Names a cause: causes that differ only in numbers, in words with digits and in quoted values have the same. Its text form is 16
/// hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// As much of a cause as counts, in bytes.
    const BYTES: usize = 1024;

    /// Of a cause, of which the first 1,024 bytes count.
    pub fn of(cause: &str) -> Self {
        let mut rest = &cause[..cause.floor_char_boundary(Self::BYTES)];
        let mut hash = Xxh3::new();
        let mut in_word = false;
        while let Some(first) = rest.chars().next() {
            let (taken, put) = match first {
                // An apostrophe within a word quotes nothing.
                '"' | '`' | '\'' if !in_word => match rest[1..].find(first) {
                    Some(end) => (end + 2, "?"),
                    None => (1, &rest[..1]),
                },
                _ if is_of_word(first) => {
                    let end = rest.find(|it| !is_of_word(it)).unwrap_or(rest.len());
                    let word = &rest[..end];
                    let counts = word.contains(|it: char| it.is_ascii_digit());
                    (end, if counts { "#" } else { word })
                }
                _ => (first.len_utf8(), &rest[..first.len_utf8()]),
            };
            in_word = is_of_word(first);
            hash.update(put.as_bytes());
            rest = &rest[taken..];
        }
        Fingerprint(hash.digest())
    }
}

/// Hyphens too, so that a UUID is one word.
fn is_of_word(it: char) -> bool {
    it.is_alphanumeric() || matches!(it, '_' | '-')
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that names no cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cause is named by 16 hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Only as it is written.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let written = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(written) {
            return Err(NotAFingerprint);
        }
        u64::from_str_radix(text, 16)
            .map(Fingerprint)
            .map_err(|_| NotAFingerprint)
    }
}

#[cfg(test)]
mod tests;
