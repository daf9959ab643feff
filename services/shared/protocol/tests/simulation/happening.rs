//! What is on its way, and when it arrives.

use std::sync::Arc;

use duet_protocol::event::{Event, Key};
use duet_protocol::receipt::Receipt;
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::{Backlog, HelloId, Load, MessageId, Sent, TransmissionId};
use duet_protocol::sequence::Incarnation;
use duet_protocol::time::Moment;

use crate::tables::Appended;
use crate::transactions::Done;

/// Something on its way. What is meant for a process that is gone by then is lost.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    SenderStarts,
    SenderWakes,
    Commit {
        process: u64,
    },
    Committed {
        process: u64,
        appended: Vec<Appended>,
    },
    JobDone {
        process: u64,
        done: Done,
    },
    Sent {
        attempt: Attempt,
        sent: Sent,
        receipts: Vec<Receipt>,
    },
    Loaded {
        process: u64,
        load: Load,
        fails: bool,
    },
    HelloAnswered {
        process: Option<u64>,
        id: HelloId,
        answer: HelloAnswer,
    },
    BacklogTold {
        process: u64,
        node: usize,
        backlog: Backlog,
    },
    Feedback {
        receipts: Vec<Receipt>,
    },
    ReceiverStarts {
        node: usize,
    },
    ReceiverWakes {
        node: usize,
    },
    Request(Request),
    Consume {
        node: usize,
    },
    Process {
        node: usize,
        incarnation: Incarnation,
        taken: Vec<(u64, Vec<Arc<Event>>)>,
    },
    HelloArrives {
        node: usize,
        process: Option<u64>,
        id: HelloId,
    },
    Publish {
        node: usize,
        message: MessageId,
        events: Vec<Arc<Event>>,
        attempt: Attempt,
    },
    Settle {
        node: usize,
        places: Vec<u64>,
    },
    BrokerBack {
        node: usize,
    },
    /// What a receiver needs of the broker follows the settings.
    Provisioned {
        node: usize,
    },
    Heals {
        node: usize,
        key: Key,
    },
}

/// Names one attempt at a transmission: it has one result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) process: u64,
    pub(crate) number: u64,
    pub(crate) node: usize,
    pub(crate) id: TransmissionId,
}

/// A call on its way to a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) attempt: Attempt,
    pub(crate) inline: bool,
    pub(crate) events: Vec<Arc<Event>>,
}

/// A happening in the order of time, and of scheduling.
pub(crate) struct Scheduled {
    pub(crate) at: Moment,
    pub(crate) number: u64,
    pub(crate) what: Box<Happening>,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
