//! What keeps events from going, told while it lasts.

use std::sync::Arc;

use duet_protocol::time::Timestamp;

/// Events have not gone since some time. It is over with the first that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Why, in a word: what failed last.
    pub reason: Reason,
    /// Why, in a sentence.
    pub cause: Arc<str>,
}

/// Why events don't go, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This process knows no way to the receiver.
    NoWay,
    /// The stream holds all that it may: back-pressure.
    StreamFull,
    /// The broker itself, or the account there, holds all that it may: back-pressure.
    BrokerFull,
    /// The broker did not store a message.
    NotStored,
    /// The broker doesn't let this process do it.
    BrokerDenies,
    /// A receiver did not take a call.
    NotApplied,
    /// A receiver has too much to do.
    Overloaded,
    /// No answer came.
    NoAnswer,
    /// What the broker needs could not be made.
    NotProvisioned,
    /// What is there at the broker is another's, or can't become what it should be.
    StreamRefused,
    /// A consumer that is not Duet's holds messages, which fill the stream.
    ForeignConsumer,
    /// The broker gives nothing out.
    NotConsumed,
    /// The consumer gives nothing while messages wait; it is begun anew.
    ConsumerDeaf,
    /// The stream, or what was settled in it, went back or was made anew.
    StreamReset,
    /// The store fails.
    StoreFails,
    /// The parked table is full: back-pressure.
    ParkedFull,
}

impl Reason {
    /// The word, as a condition's reason is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoWay => "NoWay",
            Reason::StreamFull => "StreamFull",
            Reason::BrokerFull => "BrokerFull",
            Reason::NotStored => "NotStored",
            Reason::BrokerDenies => "BrokerDenies",
            Reason::NotApplied => "NotApplied",
            Reason::Overloaded => "Overloaded",
            Reason::NoAnswer => "NoAnswer",
            Reason::NotProvisioned => "NotProvisioned",
            Reason::StreamRefused => "StreamRefused",
            Reason::ForeignConsumer => "ForeignConsumer",
            Reason::ConsumerDeaf => "ConsumerDeaf",
            Reason::StreamReset => "StreamReset",
            Reason::NotConsumed => "NotConsumed",
            Reason::StoreFails => "StoreFails",
            Reason::ParkedFull => "ParkedFull",
        }
    }
}

impl Failing {
    /// What failed now goes on failing since `before`, or begins to. Whether that is news is the second.
    pub(crate) fn after(
        before: Option<&Failing>,
        now: Timestamp,
        (reason, cause): (Reason, Arc<str>),
    ) -> (Failing, bool) {
        let is_news =
            before.is_none_or(|before| (before.reason, &before.cause) != (reason, &cause));
        let since = before.map_or(now, |before| before.since);
        let failing = Failing {
            since,
            reason,
            cause,
        };
        (failing, is_news)
    }
}
