//! The statements in the essay's words, and what Duet does about each.

use super::{Judged, consistency, failures, surges, waiting, way};
use crate::compare::measured::Measured;
use duet_crd::Mode;
use serde::Serialize;

/// A statement.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    /// A short name, for links.
    pub(crate) id: &'static str,
    /// The row that it is in: statements that one measurement answers share a row.
    pub(crate) row: u8,
    /// The mode that it is said of.
    pub(crate) of: Mode,
    /// The essay's words.
    pub(crate) words: &'static str,
    /// What Duet does about it.
    pub(crate) duet: &'static str,
    /// Holds it against a run.
    #[serde(skip)]
    pub(crate) judge: fn(&Measured) -> Judged,
}

/// All of them, in the essay's order: the synchronous mode's, then the asynchronous mode's.
pub(crate) const SAID: &[Said] = &[
    Said {
        id: "simple",
        row: 1,
        of: Mode::Sync,
        words: "It is simple and intuitive",
        duet: "One library and one document for both modes: the mode is a line of the Channel, not of the code.",
        judge: way::simple,
    },
    Said {
        id: "real-time",
        row: 1,
        of: Mode::Sync,
        words: "Communication happens in realtime",
        duet: "`delivery.status` says whether the receivers had it when the caller was answered.",
        judge: consistency::real_time,
    },
    Said {
        id: "response",
        row: 2,
        of: Mode::Sync,
        words: "When you cannot proceed without a response from the other service",
        duet: "A synchronous answer holds the receiver's decision in `delivery.outcome`; a 202 can't, and says where to ask.",
        judge: consistency::response,
    },
    Said {
        id: "blocked",
        row: 3,
        of: Mode::Sync,
        words: "Caller is blocked until the response is received",
        duet: "One deadline for the whole call (`sync.deadline`), and calls at the same time share a request.",
        judge: waiting::blocked,
    },
    Said {
        id: "provisioned",
        row: 4,
        of: Mode::Sync,
        words: "Servers need to be pro-actively provisioned for peaks",
        duet: "The mode can be switched under load, so that a peak can be met in Async.",
        judge: surges::provisioned,
    },
    Said {
        id: "cascading",
        row: 5,
        of: Mode::Sync,
        words: "There is a risk of cascading failures",
        duet: "Calls wait on tasks of their own within one deadline, so that requests which need nobody else are served meanwhile. A circuit breaker and a bound on calls are not in force in this version: the figures are without.",
        judge: failures::cascading,
    },
    Said {
        id: "coupled",
        row: 6,
        of: Mode::Sync,
        words: "The participating services are strongly coupled",
        duet: "A call that fails is taken back before its caller is told, and the problem says whether the receiver may have seen it. A receiver that is older than the event is not tried: there is one version of the event yet.",
        judge: failures::coupled,
    },
    Said {
        id: "moves-on",
        row: 7,
        of: Mode::Async,
        words: "Services do not need to wait for the response and can move on",
        duet: "A caller is answered 202 once its event is durable, in the same transaction as the reaction.",
        judge: waiting::moves_on,
    },
    Said {
        id: "surges",
        row: 7,
        of: Mode::Async,
        words: "Services can handle surges and spikes better",
        duet: "What the receiver can't take yet waits in the outbox and in the stream; commits and messages are grouped.",
        judge: surges::absorbed,
    },
    Said {
        id: "unprovisioned",
        row: 7,
        of: Mode::Async,
        words: "Servers do not need to be proactively provisioned",
        duet: "The receiver pulls at its own rate, `consumer.maxAckPending` at a time, and catches up after the peak.",
        judge: surges::unprovisioned,
    },
    Said {
        id: "no-drop",
        row: 7,
        of: Mode::Async,
        words: "No request drop due to target service being overwhelmed",
        duet: "Only a receipt of the receiver frees an event from the outbox; a full stream holds events back, it drops none.",
        judge: surges::none_dropped,
    },
    Said {
        id: "hop",
        row: 8,
        of: Mode::Async,
        words: "No extra network hop due to Load Balancer",
        duet: "The receivers' pods pull from the stream themselves; `GET /v1/channel` shows what each took.",
        judge: way::hop,
    },
    Said {
        id: "control",
        row: 9,
        of: Mode::Async,
        words: "Better control over failures and retries is possible",
        duet: "What can't be applied is parked in the receiver's own store; nothing waits behind it.",
        judge: failures::control,
    },
    Said {
        id: "retried",
        row: 9,
        of: Mode::Async,
        words: "When it is okay for the processing to fail and you are allowed to retry",
        duet: "Parked events are tried again with backoff, and an event that comes twice changes nothing.",
        judge: failures::retried,
    },
    Said {
        id: "decoupled",
        row: 10,
        of: Mode::Async,
        words: "Services are truly decoupled",
        duet: "Accepting needs the sender's own store and nothing else: neither the receiver nor the broker.",
        judge: failures::decoupled,
    },
    Said {
        id: "several",
        row: 10,
        of: Mode::Async,
        words: "When multiple services need to react to the same event",
        duet: "Each receiver in `spec.to` has a consumer and receipts of its own; the outbox forgets at the slowest.",
        judge: waiting::several,
    },
    Said {
        id: "delay",
        row: 11,
        of: Mode::Async,
        words: "When delay in processing is okay",
        duet: "Events are handed to the broker as soon as they are committed, and pushed to a receiver that waits.",
        judge: consistency::delay,
    },
    Said {
        id: "long-job",
        row: 11,
        of: Mode::Async,
        words: "When the job at hand is long-running and takes time to execute",
        duet: "`consumer.ackWait` and not a caller's deadline bounds the work; what takes longer is parked and run from there.",
        judge: failures::long_job,
    },
    Said {
        id: "eventual",
        row: 12,
        of: Mode::Async,
        words: "Eventual consistency",
        duet: "`Duet-Position` makes a read wait for one's own write; `Prefer: wait` makes a write wait for the receipt.",
        judge: consistency::eventual,
    },
    Said {
        id: "broker",
        row: 13,
        of: Mode::Async,
        words: "Broker could become a SPoF",
        duet: "The broker carries events, the outbox keeps them: what a broker loses is sent again. It can fail a delay, not a reaction.",
        judge: failures::broker,
    },
    Said {
        id: "track",
        row: 14,
        of: Mode::Async,
        words: "It is harder to track the flow of the message between services",
        duet: "The trace's context is stored with the event, so that one trace reaches from the caller to the owner's inbox in both modes.",
        judge: way::track,
    },
];
