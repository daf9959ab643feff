//! Loss, and what came of it: events that were taken for lost, sent again, and are received now.

use crate::receipt::ReceiverName;

/// By what an event was taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// What was sent after it on the same way was received, and it was not.
    Overtaken,
    /// The broker was done with its place.
    DoneWith,
    /// The broker can't say, and it had been under way for long.
    Old,
    /// The broker's stream or consumer was made anew, or lost its end.
    Reset,
}

impl Lost {
    /// In a word, as metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Lost::Overtaken => "overtaken",
            Lost::DoneWith => "done_with",
            Lost::Old => "old",
            Lost::Reset => "reset",
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lost::Overtaken => "what was sent later had come, and they had not",
            Lost::DoneWith => "the broker was done with them, and no receipt had come",
            Lost::Old => "no receipt had come for long, and the broker could not say why",
            Lost::Reset => "the broker's stream or consumer was made anew, or had lost its end",
        })
    }
}

/// Events that had been lost on the way to a receiver, and are received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Whose.
    pub receiver: ReceiverName,
    /// By what they were taken for lost.
    pub why: Lost,
    /// How many.
    pub events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_loss_has_a_word_and_a_sentence_of_its_own() {
        let all = [Lost::Overtaken, Lost::DoneWith, Lost::Old, Lost::Reset];
        let words = all.map(Lost::word);
        assert_eq!(words, ["overtaken", "done_with", "old", "reset"]);
        let mut sentences = all.map(|lost| lost.to_string()).to_vec();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), all.len());
    }
}
