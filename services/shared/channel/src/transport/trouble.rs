//! Why consuming has to be begun anew, though the broker answers.

use std::fmt;

/// Why a consumer has to be begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It gives nothing while there is something.
    Deaf,
    /// What was settled is not any more.
    AckFloor,
    /// The stream is another, or has lost its end.
    Stream,
}

impl Trouble {
    /// In a word, as metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Trouble::Deaf => "deaf",
            Trouble::AckFloor => "ack_floor",
            Trouble::Stream => "stream",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Deaf => "the consumer gave nothing while messages waited",
            Trouble::AckFloor => "the consumer's ack floor went back",
            Trouble::Stream => "the stream was made anew, or had lost its end",
        })
    }
}
