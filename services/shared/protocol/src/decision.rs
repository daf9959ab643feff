//! What a receiving service decided about an event that it applied: a word of its own.

use std::fmt;
use std::str::FromStr;

/// The word: 1 to [`Decision::MAX`] of `a-z-`, such as `notified`. The channel carries it to the caller and reads nothing into it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    length: u8,
    bytes: [u8; Decision::MAX],
}

impl Decision {
    /// The most bytes a word has.
    pub const MAX: usize = 32;

    /// A word that is written in the code: one that is none does not compile where the result is a `const`.
    ///
    /// # Panics
    /// If it is none.
    pub const fn named(word: &str) -> Self {
        match Self::read(word.as_bytes()) {
            Some(decision) => decision,
            None => panic!("a decision is 1 to 32 of a-z and -"),
        }
    }

    const fn read(word: &[u8]) -> Option<Self> {
        if word.is_empty() || word.len() > Self::MAX {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        let mut at = 0;
        while at < word.len() {
            if !word[at].is_ascii_lowercase() && word[at] != b'-' {
                return None;
            }
            bytes[at] = word[at];
            at += 1;
        }
        Some(Decision {
            length: word.len() as u8,
            bytes,
        })
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        let word = self.bytes.get(..usize::from(self.length));
        word.and_then(|word| str::from_utf8(word).ok())
            .unwrap_or_default()
    }
}

/// A text that is no decision's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a decision is 1 to {} of a-z and -", Decision::MAX)]
pub struct NotADecision;

impl FromStr for Decision {
    type Err = NotADecision;

    fn from_str(word: &str) -> Result<Self, NotADecision> {
        Self::read(word.as_bytes()).ok_or(NotADecision)
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_and_what_is_none_is_refused() {
        const NOTIFIED: Decision = Decision::named("notified");
        assert_eq!(NOTIFIED.as_str(), "notified");
        let longest = "a-".repeat(16);
        for word in ["notified", "-", &longest] {
            let read: Decision = word.parse().unwrap();
            assert_eq!((read.as_str(), read.to_string()), (word, word.to_owned()));
        }
        let too_long = "a".repeat(33);
        for text in ["", "Notified", "two words", "ä", "no\0", &too_long] {
            assert_eq!(text.parse::<Decision>(), Err(NotADecision), "{text:?}");
        }
    }
}
