//! What receivers say: outcomes, receipts, and answers to a hello.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use duet_protocol::event::RollingHash;
use duet_protocol::ledger::Closed;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Failure, Outcome};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::{Epoch, Sequence, StoreId};
use serde::{Deserialize, Serialize};

use super::decode::hex;
use crate::transport::Delivered;

/// Why bytes are not what a receiver says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not what a receiver says: {0}")]
pub struct NotAnAnswer(String);

impl From<serde_json::Error> for NotAnAnswer {
    fn from(error: serde_json::Error) -> Self {
        NotAnAnswer(error.to_string())
    }
}

/// 64 bits as 16 hexadecimal digits.
struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        hex(&text)
            .map(Hex)
            .ok_or_else(|| serde::de::Error::custom("expected 16 hexadecimal digits"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReceipt<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    lowest_open: Hex,
    #[serde(borrow)]
    receiver: Cow<'a, str>,
    incarnation: Hex,
    watermark: u64,
    hash: Hex,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<(u64, u64)>,
    closed: WireClosed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Hex>,
}

#[derive(Serialize, Deserialize)]
struct WireClosed {
    since: Hex,
    hash: Hex,
}

impl<'a> From<&'a Receipt> for WireReceipt<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        WireReceipt {
            source: receipt.source.to_string().into(),
            lowest_open: Hex(receipt.lowest_open.0),
            receiver: receipt.receiver.as_str().into(),
            incarnation: Hex(receipt.incarnation.0),
            watermark: receipt.watermark.0,
            hash: Hex(receipt.hash.0),
            runs: receipt
                .runs
                .iter()
                .map(|run| (*run.start(), *run.end()))
                .collect(),
            closed: WireClosed {
                since: Hex(receipt.closed.since.0),
                hash: Hex(receipt.closed.hash.0),
            },
            digest: receipt.digest.map(|digest| Hex(digest.0)),
        }
    }
}

impl TryFrom<WireReceipt<'_>> for Receipt {
    type Error = NotAnAnswer;

    fn try_from(wire: WireReceipt<'_>) -> Result<Self, NotAnAnswer> {
        Ok(Receipt {
            source: wire
                .source
                .parse()
                .map_err(|error| NotAnAnswer(format!("source: {error}")))?,
            lowest_open: Epoch(wire.lowest_open.0),
            receiver: receiver(&wire.receiver)?,
            incarnation: Epoch(wire.incarnation.0),
            watermark: Sequence(wire.watermark),
            hash: RollingHash(wire.hash.0),
            runs: runs(wire.watermark, &wire.runs)?,
            closed: Closed {
                since: Epoch(wire.closed.since.0),
                hash: RollingHash(wire.closed.hash.0),
            },
            digest: wire.digest.map(|digest| RollingHash(digest.0)),
        })
    }
}

fn receiver(name: &str) -> Result<ReceiverName, NotAnAnswer> {
    ReceiverName::new(name)
        .ok_or_else(|| NotAnAnswer(format!("receiver: has 1 to {} bytes", ReceiverName::MAX)))
}

/// Ascending, apart from each other, above the watermark.
fn runs(watermark: u64, wire: &[(u64, u64)]) -> Result<Vec<RangeInclusive<u64>>, NotAnAnswer> {
    if wire.len() > Receipt::MAX_RUNS {
        return Err(NotAnAnswer(format!("runs: at most {}", Receipt::MAX_RUNS)));
    }
    let mut below = watermark;
    for &(first, last) in wire {
        if first <= below || last < first {
            return Err(NotAnAnswer(
                "runs: ascending, above the watermark".to_owned(),
            ));
        }
        below = last;
    }
    Ok(wire.iter().map(|&(first, last)| first..=last).collect())
}

fn to_wire(receipts: &[Receipt]) -> Vec<WireReceipt<'_>> {
    receipts.iter().map(WireReceipt::from).collect()
}

fn from_wire(receipts: Vec<WireReceipt<'_>>) -> Result<Vec<Receipt>, NotAnAnswer> {
    receipts.into_iter().map(Receipt::try_from).collect()
}

/// Plain data: its serialization can't fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
struct WireReceipts<'a> {
    #[serde(borrow)]
    receipts: Vec<WireReceipt<'a>>,
}

/// Receipts: `{"receipts": […]}`.
pub fn receipts_to_json(receipts: &[Receipt]) -> Vec<u8> {
    json(&WireReceipts {
        receipts: to_wire(receipts),
    })
}

/// Reads [`receipts_to_json`].
///
/// # Errors
/// [`NotAnAnswer`].
pub fn receipts_from_json(bytes: &[u8]) -> Result<Vec<Receipt>, NotAnAnswer> {
    from_wire(serde_json::from_slice::<WireReceipts<'_>>(bytes)?.receipts)
}

#[derive(Serialize, Deserialize)]
struct WireOutcome<'a> {
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    decision: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cow<'a, str>>,
}

/// An outcome in a word.
pub fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Superseded => "superseded",
        Outcome::Parked => "parked",
        Outcome::Dead => "dead",
        Outcome::Refused => "refused",
        Outcome::Dropped => "dropped",
        Outcome::Failed(_) => "failed",
        Outcome::Late => "late",
    }
}

fn outcome(wire: WireOutcome<'_>) -> Result<Outcome, NotAnAnswer> {
    Ok(match &*wire.outcome {
        // What is no decision here is a newer receiver's: that it applied the event is what counts.
        "applied" => Outcome::Applied(wire.decision.and_then(|word| word.parse().ok())),
        "superseded" => Outcome::Superseded,
        "parked" => Outcome::Parked,
        "dead" => Outcome::Dead,
        "refused" => Outcome::Refused,
        "dropped" => Outcome::Dropped,
        "failed" => Outcome::Failed(Failure::new(wire.cause.unwrap_or_default())),
        "late" => Outcome::Late,
        other => return Err(NotAnAnswer(format!("outcome: {other:?} is unknown"))),
    })
}

#[derive(Serialize, Deserialize)]
struct WireDelivered<'a> {
    #[serde(borrow)]
    outcomes: Vec<WireOutcome<'a>>,
    #[serde(borrow)]
    receipts: Vec<WireReceipt<'a>>,
}

/// The answer to a request: `{"outcomes": [{"outcome": "applied", "decision": "notified"}, …], "receipts": […]}`, an outcome for each
/// event, in order; `decision` may be absent.
pub fn outcomes_to_json(delivered: &Delivered) -> Vec<u8> {
    let wire = |outcome| WireOutcome {
        outcome: outcome_word(outcome).into(),
        decision: match outcome {
            Outcome::Applied(Some(decision)) => Some(decision.as_str().into()),
            _ => None,
        },
        cause: match outcome {
            Outcome::Failed(failure) => Some((*failure.cause).into()),
            _ => None,
        },
    };
    let outcomes = delivered.outcomes.iter().map(wire).collect();
    json(&WireDelivered {
        outcomes,
        receipts: to_wire(&delivered.receipts),
    })
}

/// Reads [`outcomes_to_json`].
///
/// # Errors
/// [`NotAnAnswer`], also if there are not `events` outcomes.
pub fn outcomes_from_json(bytes: &[u8], events: usize) -> Result<Delivered, NotAnAnswer> {
    let wire: WireDelivered<'_> = serde_json::from_slice(bytes)?;
    if wire.outcomes.len() != events {
        return Err(NotAnAnswer(format!(
            "{} outcomes for {events} events",
            wire.outcomes.len()
        )));
    }
    let outcomes = wire
        .outcomes
        .into_iter()
        .map(outcome)
        .collect::<Result<_, _>>()?;
    Ok(Delivered {
        outcomes,
        receipts: from_wire(wire.receipts)?,
    })
}

#[derive(Serialize, Deserialize)]
struct WireHello<'a> {
    #[serde(borrow)]
    receiver: Cow<'a, str>,
    incarnation: Hex,
    #[serde(borrow)]
    receipts: Vec<WireReceipt<'a>>,
    /// Absent from older receivers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    highest: Option<Hex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Hex>,
}

/// The answer to a hello: `{"receiver", "incarnation", "receipts", "highest", "others"}`; the last may be absent.
pub fn hello_to_json(answer: &HelloAnswer) -> Vec<u8> {
    json(&WireHello {
        receiver: answer.receiver.as_str().into(),
        incarnation: Hex(answer.incarnation.0),
        receipts: to_wire(&answer.receipts),
        highest: Some(Hex(answer.highest.0)),
        others: answer.others.iter().map(|store| Hex(store.0)).collect(),
    })
}

/// Reads [`hello_to_json`].
///
/// # Errors
/// [`NotAnAnswer`].
pub fn hello_from_json(bytes: &[u8]) -> Result<HelloAnswer, NotAnAnswer> {
    let wire: WireHello<'_> = serde_json::from_slice(bytes)?;
    let others = wire.others.into_iter().take(HelloAnswer::MAX_OTHERS);
    Ok(HelloAnswer {
        receiver: receiver(&wire.receiver)?,
        incarnation: Epoch(wire.incarnation.0),
        receipts: from_wire(wire.receipts)?,
        highest: Epoch(wire.highest.map_or(0, |highest| highest.0)),
        others: others.map(|store| StoreId(store.0)).collect(),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireQuestion {
    store: Hex,
}

/// A hello: `{"store": "…"}`.
pub fn hello_question_to_json(store: StoreId) -> Vec<u8> {
    json(&WireQuestion {
        store: Hex(store.0),
    })
}

/// Reads [`hello_question_to_json`].
///
/// # Errors
/// [`NotAnAnswer`].
pub fn hello_question_from_json(bytes: &[u8]) -> Result<StoreId, NotAnAnswer> {
    Ok(StoreId(
        serde_json::from_slice::<WireQuestion>(bytes)?.store.0,
    ))
}
