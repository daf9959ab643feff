//! The transport seam: four small traits, each stating its limits and features.
//!
//! [`Call`] asks a receiver and waits; [`Publish`] hands messages to a broker and hears receipts; [`Consume`] takes them from the
//! broker; [`Provision`] makes what the broker needs. A transport implements those that it has. `conformance` is the suite that each
//! passes. A new transport is one file here and one line in the suite.

pub mod cloudevents;
pub mod conformance;
pub mod http;
pub mod jetstream;
pub mod spans;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use duet_protocol::event::Event;
use duet_protocol::receipt::Receipt;
use duet_protocol::receive::Outcome;
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::{Backlog, BrokerPlace, HelloId, MessageId};
use duet_protocol::sequence::StoreId;
use futures::stream::BoxStream;

pub use trouble::Trouble;

/// How much one message or request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events in it.
    pub events: usize,
    /// Bytes of it, envelope included.
    pub bytes: usize,
    /// Bytes of its headers.
    pub header_bytes: usize,
    /// Messages or requests under way at once.
    pub in_flight: usize,
}

/// What a transport keeps of the order in which messages were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// None.
    None,
    /// Those of one key (a message's key is its source) stay in order, but for redelivery.
    ByKey,
}

/// What a transport can tell of what is still to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogKnown {
    /// By place: what is done with, and what is not.
    Exact,
    /// About how much.
    Approximate,
    /// Nothing: loss is judged by age alone.
    No,
}

/// How receipts come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptsBy {
    /// The transport carries them itself.
    Itself,
    /// They come in answers over HTTP.
    Http,
}

/// What a transport can do. The conformance suite reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// What it keeps of the order of sending.
    pub order: Order,
    /// What it can tell of its backlog.
    pub backlog: BacklogKnown,
    /// Whether it may deliver a message again that was settled.
    pub repeats: bool,
    /// How receipts come back.
    pub receipts: ReceiptsBy,
}

/// An event on its way, and whether it comes late: then it starts a trace of its own, linked to the one it was created in.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The event.
    pub event: Arc<Event>,
    /// A retransmission, a redrive, or an event over ten minutes old.
    pub late: bool,
}

/// Events that travel together: of one source, ascending, gaps allowed. Never empty.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The events.
    pub events: Vec<Outgoing>,
    /// Whether callers wait for them.
    pub urgency: Urgency,
}

/// Whether a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Callers wait: what can't be applied is answered, not parked.
    Inline,
    /// Nobody waits.
    Background,
}

/// A receiver's answer to a delivered batch.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// One for each event, in order.
    pub outcomes: Vec<Outcome>,
    /// What the receiver holds of the batch's sources.
    pub receipts: Vec<Receipt>,
}

/// Why a call gave no outcomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing of the batch was applied, nor will be: it never got there, or was turned away.
    #[error("not applied: {0}")]
    NotApplied(Arc<str>),
    /// Turned away because the receiver has too much to do. Nothing was applied.
    #[error("the receiver has too much to do")]
    Overloaded {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It may have been applied, or may yet be: the answer did not come, or made no sense.
    #[error("outcome unknown: {0}")]
    Unknown(Arc<str>),
}

/// Asks a receiver and waits for its answer.
#[async_trait]
pub trait Call: Send + Sync + 'static {
    /// How much a request may carry.
    fn limits(&self) -> Limits;
    /// What it can do.
    fn features(&self) -> Features;
    /// Delivers a batch. The time that remains travels along, so that the receiver does not commit what nobody waits for.
    async fn deliver(&self, batch: &Batch, within: Duration) -> Result<Delivered, CallError>;
    /// Asks what the receiver holds of a store's sources.
    async fn hello(&self, store: StoreId, within: Duration) -> Result<HelloAnswer, CallError>;
}

/// Why a broker did not say that it stored a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The stream holds all that it may: back-pressure. The message was not stored.
    #[error("{0}")]
    Full(Arc<str>),
    /// The broker itself, or the account there, holds all that it may: back-pressure. The message was not stored.
    #[error("the broker takes no more: {0}")]
    BrokerFull(Arc<str>),
    /// It was not stored: there is no stream, no connection, or it was refused.
    #[error("not stored: {0}")]
    NotStored(Arc<str>),
    /// It was not stored: it is more than the broker takes.
    #[error("not stored: {0}")]
    TooLarge(Arc<str>),
    /// It was not stored: this process lacks the right to.
    #[error("{0}")]
    Denied(Arc<str>),
    /// It may have been stored: no answer came. Repeat it under the same [`MessageId`].
    #[error("no answer: {0}")]
    Unknown(Arc<str>),
}

/// What a sender hears over a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// The transport itself says that its connection is new: what the broker remembered may be gone.
    Connected,
    /// What it holds.
    Receipts(Vec<Receipt>),
    /// Its answer to a hello.
    Hello(HelloId, HelloAnswer),
}

/// Hands messages to a broker.
#[async_trait]
pub trait Publish: Send + Sync + 'static {
    /// How much a message may carry.
    fn limits(&self) -> Limits;
    /// What it can do.
    fn features(&self) -> Features;
    /// Publishes a message and waits for the broker's word that it is stored: the place it was given, if the broker gives one.
    ///
    /// Called concurrently, up to `limits().in_flight`. Order between calls is that of their first poll.
    async fn publish(
        &self,
        id: MessageId,
        batch: &Batch,
    ) -> Result<Option<BrokerPlace>, PublishError>;
    /// Asks the receivers what they hold of a store's sources; the answers come as [`Feedback::Hello`].
    async fn hello(&self, id: HelloId, store: StoreId) -> Result<(), PublishError>;
    /// What receivers say, to this store's senders, from now on. It ends when the transport is dropped.
    async fn feedback(&self, store: StoreId) -> BoxStream<'static, Feedback>;
    /// What is still to be received, as the broker's leader knows it. Asked rarely.
    async fn backlog(&self) -> Backlog;
}

/// How far a consumer has come: the broker's own words, opaque to everyone else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(pub Bytes);

/// What a consumer gets.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// Messages.
    Messages(Consumed),
    /// A sender asks what is held of its store's sources.
    Hello(HelloId, StoreId),
}

/// Messages that were taken from a broker, in its order.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// The events in them, each with the context of the span that sent it: the parent of its `process` span.
    pub events: Vec<Event>,
    /// How far this comes.
    pub position: Position,
    /// Messages that could not be decoded: their place, and why. They are kept by place and settled; nothing waits behind them.
    pub undecodable: Vec<Undecodable>,
}

/// A message that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its place in the broker's stream.
    pub place: BrokerPlace,
    /// Its bytes, at most 64 KiB of them.
    pub payload: Bytes,
    /// Why.
    pub cause: String,
}

/// Why a consumer got nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// It does not, for this reason.
    #[error("nothing can be consumed: {0}")]
    Failed(Arc<str>),
    /// This process lacks the right to.
    #[error("nothing can be consumed: {0}")]
    Denied(Arc<str>),
    /// It answers, and has to be begun anew.
    #[error("{0}")]
    Trouble(Trouble),
}

/// Takes messages from a broker. Cancelling [`Consume::next`] loses nothing.
#[async_trait]
pub trait Consume: Send + Sync + 'static {
    /// What it can do.
    fn features(&self) -> Features;
    /// The name under which its [`Position`] is stored.
    fn path(&self) -> String;
    /// Begins after `position`, or where the broker says if there is none. Called again after an error. If what is there is not what
    /// the position is of, it says so: what was in it is sent again.
    async fn start(&mut self, position: Option<Position>) -> Result<Option<Trouble>, ConsumeError>;
    /// Waits for what comes next: all messages that are there, up to a bound.
    async fn next(&mut self) -> Result<Incoming, ConsumeError>;
    /// Lets the broker forget everything up to and including `position`, which is committed.
    async fn settle(&mut self, position: &Position) -> Result<(), ConsumeError>;
    /// Leaves everything up to and including `position` without an answer, as a receiver does that hangs: the broker gives it out
    /// again when it has waited long enough. False, and nothing is done, where a broker can't.
    async fn leave(&mut self, position: &Position) -> Result<bool, ConsumeError> {
        let _ = position;
        Ok(false)
    }
    /// Gives back what was taken and is not settled, without counting an attempt.
    async fn release(&mut self);
    /// What is still to be received.
    async fn backlog(&self) -> Backlog;
    /// Says something to the senders of a store. What is lost is said again.
    async fn tell(&self, store: StoreId, feedback: &Feedback) -> Result<(), ConsumeError>;
}

/// What `provision` found, what it would do, or did: one line each, for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub Vec<String>);

/// What came of provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// What was done.
    pub steps: Steps,
    /// Who else holds messages there.
    pub holders: Vec<Holder>,
}

/// A consumer that is not Duet's and holds messages of Duet's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Up to here it has settled all.
    pub ack_floor: BrokerPlace,
    /// How many messages it has not settled.
    pub holds: u64,
}

impl Holder {
    /// Whether it has settled nothing since it was seen before.
    pub fn keeps(&self, before: &Holder) -> bool {
        (&self.name, self.ack_floor) == (&before.name, before.ack_floor)
    }
}

/// Why a broker can't be provisioned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The broker does not answer.
    #[error("the broker does not answer: {0}")]
    Unreachable(Arc<str>),
    /// What is there belongs to another, or differs in what can't be changed.
    #[error("{0}")]
    Conflict(Arc<str>),
    /// The broker refused a change.
    #[error("the broker refused: {0}")]
    Refused(Arc<str>),
    /// This process lacks a right that it needs.
    #[error("{0}")]
    Denied(Arc<str>),
}

/// Makes what a broker needs: observe, plan, apply. Planning is pure.
#[async_trait]
pub trait Provision: Send + Sync + 'static {
    /// What is there.
    type Observed: Send + Sync;
    /// What has to be done.
    type Plan: Send + Sync;

    /// Reads; changes nothing.
    async fn observe(&self) -> Result<Self::Observed, ProvisionError>;
    /// Decides; does nothing. An empty plan means that all is as it should be.
    fn plan(&self, observed: &Self::Observed) -> Result<Self::Plan, ProvisionError>;
    /// Writes.
    async fn apply(&self, plan: Self::Plan) -> Result<Steps, ProvisionError>;
}
