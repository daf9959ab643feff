//! How events and runs are kept in columns.
//!
//! SQLite's integers are signed: what is a `u64` is kept by its bits. Runs are LEB128 numbers, each the distance from the one
//! before, and after them, in an inbox, the eight bytes of the run's hash.

use std::ops::RangeInclusive;

use duet_protocol::event::{Body, Data, Event, Key, RollingHash, Seal, TraceContext};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::runs::{Run, Runs};
use duet_protocol::sequence::{Epoch, Sequence, Source};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::error::corrupt;
use crate::store::StoreError;

/// What an `opened` event has in the column `type`; its `key` is NULL, which no event of a service's has.
const OPENED: &str = "dev.duet.opened";

/// What the event that ends a resync has there; its `key` is NULL, too.
const SWEEP: &str = "dev.duet.sweep";

/// What an `opened` event has in the column `data`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    previous: Option<Previous>,
    /// Absent if nobody joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    joined: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Swept {
    /// As 16 hexadecimal digits.
    below: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    /// As 16 hexadecimal digits: JSON's numbers end at 2^53.
    epoch: String,
    last: u64,
}

/// An event's body as the columns `type`, `key` and `data` have it.
pub(super) struct BodyColumns<'a> {
    pub(super) kind: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) data: std::borrow::Cow<'a, [u8]>,
}

pub(super) fn body(body: &Body) -> Result<BodyColumns<'_>, StoreError> {
    match body {
        Body::Data(data) => Ok(BodyColumns {
            kind: &data.kind,
            key: Some(data.key.as_str()),
            data: data.json.as_ref().into(),
        }),
        Body::Opened { previous, joined } => {
            let joined = joined.iter().map(ReceiverName::to_string).collect();
            let previous = previous.map(|seal| Previous {
                epoch: seal.epoch.to_string(),
                last: seal.last.0,
            });
            Ok(BodyColumns {
                kind: OPENED,
                key: None,
                data: serde_json::to_vec(&Opened { previous, joined })
                    .map_err(corrupt)?
                    .into(),
            })
        }
        Body::Sweep { below } => {
            let below = below.to_string();
            let data = serde_json::to_vec(&Swept { below }).map_err(corrupt)?;
            Ok(BodyColumns {
                kind: SWEEP,
                key: None,
                data: data.into(),
            })
        }
    }
}

/// The columns that outbox and parked table share, in the order in which [`event`] reads them.
macro_rules! event_columns {
    () => {
        "time, type, key, data, traceparent, tracestate, generation"
    };
}
pub(super) use event_columns;

/// An event from its columns, the first of which is at `at`.
pub(super) fn event(
    row: &Row<'_>,
    at: usize,
    source: Source,
    sequence: Sequence,
) -> Result<Event, StoreError> {
    let kind: Box<str> = row.get(at + 1)?;
    let key: Option<Box<str>> = row.get(at + 2)?;
    let data: Vec<u8> = row.get(at + 3)?;
    Ok(Event {
        source,
        sequence,
        time: Timestamp::from_micros(row.get(at)?),
        body: match key {
            Some(key) => Body::Data(Data {
                kind,
                key: Key::new(key).ok_or_else(|| corrupt("a key of no length a key has"))?,
                json: data.into(),
            }),
            None if &*kind == OPENED => opened(&data)?,
            None if &*kind == SWEEP => {
                let Swept { below } = serde_json::from_slice(&data).map_err(corrupt)?;
                Body::Sweep {
                    below: epoch(&below)?,
                }
            }
            None => {
                return Err(corrupt(format_args!(
                    "an event of type {kind} without a key"
                )));
            }
        },
        trace: TraceContext {
            traceparent: row.get(at + 4)?,
            tracestate: row.get(at + 5)?,
        },
        generation: Generation(unsigned(row.get(at + 6)?)),
    })
}

fn opened(data: &[u8]) -> Result<Body, StoreError> {
    let Opened { previous, joined } = serde_json::from_slice(data).map_err(corrupt)?;
    let seal = |Previous { epoch, last }| {
        Ok::<_, StoreError>(Seal {
            epoch: self::epoch(&epoch)?,
            last: Sequence(last),
        })
    };
    let name = |name: String| {
        ReceiverName::new(&name).ok_or_else(|| corrupt("a receiver's name of no length a name has"))
    };
    Ok(Body::Opened {
        previous: previous.map(seal).transpose()?,
        joined: joined.into_iter().map(name).collect::<Result<_, _>>()?,
    })
}

fn epoch(text: &str) -> Result<Epoch, StoreError> {
    Ok(Epoch(u64::from_str_radix(text, 16).map_err(corrupt)?))
}

/// A number's bits as SQLite keeps them.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The number whose bits SQLite kept.
pub(super) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// A mark's runs.
pub(super) fn ranges_to_blob(ranges: &[RangeInclusive<u64>]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(ranges.len() * 4);
    let mut before = 0;
    for range in ranges {
        put_range(&mut blob, &mut before, range);
    }
    blob
}

/// The reverse of [`ranges_to_blob`].
pub(super) fn ranges_from_blob(mut blob: &[u8]) -> Result<Vec<RangeInclusive<u64>>, StoreError> {
    let (mut ranges, mut before) = (Vec::new(), 0);
    while !blob.is_empty() {
        ranges.push(take_range(&mut blob, &mut before).ok_or_else(|| corrupt("runs"))?);
    }
    Ok(ranges)
}

/// An inbox's runs.
pub(super) fn runs_to_blob(runs: &Runs) -> Vec<u8> {
    let mut blob = Vec::with_capacity(runs.len() * 12);
    let mut before = 0;
    for run in runs.iter() {
        put_range(&mut blob, &mut before, &run.range());
        blob.extend_from_slice(&run.hash.0.to_le_bytes());
    }
    blob
}

/// The reverse of [`runs_to_blob`].
pub(super) fn runs_from_blob(mut blob: &[u8]) -> Result<Runs, StoreError> {
    let (mut runs, mut before) = (Vec::new(), 0);
    while !blob.is_empty() {
        let run = take_range(&mut blob, &mut before).and_then(|range| {
            let (hash, rest) = blob.split_first_chunk::<8>()?;
            blob = rest;
            Some(Run {
                first: Sequence(*range.start()),
                last: Sequence(*range.end()),
                hash: RollingHash(u64::from_le_bytes(*hash)),
            })
        });
        runs.push(run.ok_or_else(|| corrupt("runs"))?);
    }
    Ok(Runs::from_ascending(runs))
}

/// Appends a range, of which the first is above `before`; that becomes its last.
fn put_range(blob: &mut Vec<u8>, before: &mut u64, range: &RangeInclusive<u64>) {
    put_number(blob, range.start().wrapping_sub(*before));
    put_number(blob, range.end().wrapping_sub(*range.start()));
    *before = *range.end();
}

fn take_range(blob: &mut &[u8], before: &mut u64) -> Option<RangeInclusive<u64>> {
    let first = before.checked_add(take_number(blob)?)?;
    let last = first.checked_add(take_number(blob)?)?;
    *before = last;
    Some(first..=last)
}

/// LEB128: seven bits a byte, the lowest first, the eighth set while more follow.
fn put_number(blob: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        blob.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    blob.push(number as u8);
}

fn take_number(blob: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = blob.split_first()?;
        *blob = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_survive_their_blob_at_both_ends_of_a_u64() {
        for ranges in [
            vec![],
            vec![2..=2],
            vec![1..=127, 129..=300, 70_000..=70_001],
            vec![5..=5, u64::MAX - 3..=u64::MAX],
        ] {
            let blob = ranges_to_blob(&ranges);
            assert_eq!(ranges_from_blob(&blob).unwrap(), ranges, "{blob:?}");
        }
    }

    #[test]
    fn runs_survive_their_blob_with_their_hashes() {
        let mut runs = Runs::default();
        for sequence in [3, 4, 9, 1_000_000, u64::MAX] {
            runs.insert(
                Sequence(sequence),
                RollingHash(sequence.wrapping_mul(0x9e37_79b9)),
            );
        }
        assert_eq!(runs_from_blob(&runs_to_blob(&runs)).unwrap(), runs);
    }

    #[test]
    fn a_blob_cut_short_or_beyond_a_u64_is_corrupt() {
        let blob = ranges_to_blob(&[300..=70_000]);
        let too_long = [0xff; 11];
        let overflow = [ranges_to_blob(&[1..=u64::MAX]), vec![1, 0]].concat();
        for blob in [&blob[..1], &blob[..3], &too_long[..], &overflow] {
            let read = ranges_from_blob(blob);
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{blob:?}");
        }
    }
}
