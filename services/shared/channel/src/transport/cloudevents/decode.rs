//! CloudEvents to events: strict, within limits.

use std::borrow::Cow;
use std::fmt::Display;

use bytes::Bytes;
use duet_protocol::event::{Body, Data, Event, Key, Seal, TraceContext};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Epoch, Sequence, Source};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use duet_telemetry::propagation::MAX_TRACESTATE_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::name::Attribute;
use super::{DATA, MAX_BYTES, MAX_EVENTS, MAX_TYPE, OPENED, SWEEP};

/// A `traceparent` of a later version may be longer than today's 55 bytes; this is the most that is kept.
const MAX_TRACEPARENT: usize = 128;
/// The most receivers that begin with one epoch: a Channel has fewer.
const MAX_JOINED: usize = 64;

/// Why bytes are no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than are taken.
    #[error("{0} bytes, more than the {MAX_BYTES} that are taken")]
    TooLarge(usize),
    /// More events than are taken.
    #[error("{0} events, more than the {MAX_EVENTS} that are taken")]
    TooMany(usize),
    /// No events.
    #[error("a batch without events")]
    Empty,
    /// It is not a JSON array of CloudEvents.
    #[error("no JSON batch of CloudEvents: {0}")]
    NotABatch(String),
    /// An attribute is missing, or can't be what it says.
    #[error("event {at}: {attribute}: {why}")]
    Attribute {
        /// Which event, from 0.
        at: usize,
        /// Which attribute, or `data`.
        attribute: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A CloudEvent as JSON. Attributes that Duet doesn't know may be there.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text", rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    duetsequence: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    duetgeneration: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    tracestate: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "also_null")]
    data: Option<&'a RawValue>,
}

/// Shares the message's memory where it has no escapes: Serde does that with a `Cow`, but not with one in an `Option`.
fn text<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let text = Option::<Text<'a>>::deserialize(deserializer)?;
    Ok(text.map(|Text(text)| text))
}

/// `null` is data, too.
fn also_null<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The events of a JSON batch. Their data shares `body`'s memory.
///
/// # Errors
/// [`DecodeError`]; one event that is wrong spoils the batch.
pub fn batch(body: &Bytes) -> Result<Vec<Event>, DecodeError> {
    if body.len() > MAX_BYTES {
        return Err(DecodeError::TooLarge(body.len()));
    }
    let batch: Vec<Wire<'_>> =
        serde_json::from_slice(body).map_err(|error| DecodeError::NotABatch(error.to_string()))?;
    match batch.len() {
        0 => return Err(DecodeError::Empty),
        too_many @ MAX_EVENTS.. if too_many > MAX_EVENTS => {
            return Err(DecodeError::TooMany(too_many));
        }
        _ => {}
    }
    let read = |(at, wire): (usize, Wire<'_>)| event(&wire, body).map_err(|wrong| wrong.at(at));
    batch.into_iter().enumerate().map(read).collect()
}

/// The one event of a message in binary mode; `header` gives the value of a header.
///
/// # Errors
/// [`DecodeError`].
pub fn binary<'a>(
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &Bytes,
) -> Result<Event, DecodeError> {
    if body.len() > MAX_BYTES {
        return Err(DecodeError::TooLarge(body.len()));
    }
    let get = |attribute: Attribute| header(attribute.header()).map(unescaped);
    let data = serde_json::from_slice(body).map_err(|error| Wrong::new("data", error).at(0))?;
    let wire = Wire {
        specversion: get(Attribute::Specversion),
        id: get(Attribute::Id),
        source: get(Attribute::Source),
        kind: get(Attribute::Type),
        subject: get(Attribute::Subject),
        time: get(Attribute::Time),
        datacontenttype: header("content-type").map(Cow::Borrowed),
        duetsequence: get(Attribute::Sequence),
        duetgeneration: get(Attribute::Generation),
        traceparent: get(Attribute::Traceparent),
        tracestate: get(Attribute::Tracestate),
        data: Some(data),
    };
    event(&wire, body).map_err(|wrong| wrong.at(0))
}

/// What is wrong with one event.
struct Wrong {
    attribute: &'static str,
    why: String,
}

impl Wrong {
    fn new(attribute: &'static str, why: impl Display) -> Self {
        Wrong {
            attribute,
            why: why.to_string(),
        }
    }

    fn at(self, at: usize) -> DecodeError {
        let Wrong { attribute, why } = self;
        DecodeError::Attribute { at, attribute, why }
    }
}

fn event(wire: &Wire<'_>, body: &Bytes) -> Result<Event, Wrong> {
    let specversion = required("specversion", &wire.specversion)?;
    if specversion != "1.0" {
        return Err(Wrong::new("specversion", "only 1.0 is understood"));
    }
    if let Some(media) = &wire.datacontenttype
        && !media
            .split(';')
            .next()
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(DATA))
    {
        return Err(Wrong::new(
            "datacontenttype",
            format_args!("only {DATA} is understood"),
        ));
    }
    let source: Source = required("source", &wire.source)?
        .parse()
        .map_err(|error| Wrong::new("source", error))?;
    let sequence = Sequence(number(
        "duetsequence",
        required("duetsequence", &wire.duetsequence)?,
    )?);
    if sequence == Sequence::ZERO {
        return Err(Wrong::new("duetsequence", "the first is 1"));
    }
    if required("id", &wire.id)? != required("duetsequence", &wire.duetsequence)? {
        return Err(Wrong::new("id", "is not duetsequence"));
    }
    let time: jiff::Timestamp = required("time", &wire.time)?
        .parse()
        .map_err(|error| Wrong::new("time", error))?;
    let generation = Generation(number(
        "duetgeneration",
        required("duetgeneration", &wire.duetgeneration)?,
    )?);
    Ok(Event {
        source,
        sequence,
        time: Timestamp::from_micros(time.as_microsecond()),
        body: content(wire, body)?,
        trace: trace(wire),
        generation,
    })
}

fn content(wire: &Wire<'_>, body: &Bytes) -> Result<Body, Wrong> {
    let kind = required("type", &wire.kind)?;
    let data = wire.data.ok_or_else(|| Wrong::new("data", "missing"))?;
    if kind == OPENED {
        return opened(data);
    }
    if kind == SWEEP {
        return sweep(data);
    }
    if !(1..=MAX_TYPE).contains(&kind.len()) {
        return Err(Wrong::new(
            "type",
            format_args!("has 1 to {MAX_TYPE} bytes"),
        ));
    }
    let subject = required("subject", &wire.subject)?;
    let key = Key::new(subject)
        .ok_or_else(|| Wrong::new("subject", format_args!("has 1 to {} bytes", Key::MAX)))?;
    Ok(Body::Data(Data {
        kind: kind.into(),
        key,
        json: body.slice_ref(data.get().as_bytes()),
    }))
}

fn opened(data: &RawValue) -> Result<Body, Wrong> {
    #[derive(Deserialize)]
    struct Opened<'a> {
        #[serde(borrow)]
        previous: Option<Previous<'a>>,
        #[serde(borrow, default)]
        joined: Vec<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Previous<'a> {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        last: u64,
    }
    let opened: Opened<'_> =
        serde_json::from_str(data.get()).map_err(|error| Wrong::new("data", error))?;
    let seal = |Previous { epoch, last }: Previous<'_>| {
        let epoch = hex(&epoch)
            .ok_or_else(|| Wrong::new("data", "previous.epoch has 16 hexadecimal digits"))?;
        Ok(Seal {
            epoch: Epoch(epoch),
            last: Sequence(last),
        })
    };
    if opened.joined.len() > MAX_JOINED {
        return Err(Wrong::new(
            "data",
            format_args!("joined has at most {MAX_JOINED} names"),
        ));
    }
    let name = |name: &Cow<'_, str>| {
        let wrong = || format!("joined has names of 1 to {} bytes", ReceiverName::MAX);
        ReceiverName::new(name).ok_or_else(|| Wrong::new("data", wrong()))
    };
    Ok(Body::Opened {
        previous: opened.previous.map(seal).transpose()?,
        joined: opened.joined.iter().map(name).collect::<Result<_, _>>()?,
    })
}

fn sweep(data: &RawValue) -> Result<Body, Wrong> {
    #[derive(Deserialize)]
    struct Sweep<'a> {
        #[serde(borrow)]
        below: Cow<'a, str>,
    }
    let sweep: Sweep<'_> =
        serde_json::from_str(data.get()).map_err(|error| Wrong::new("data", error))?;
    let below =
        hex(&sweep.below).ok_or_else(|| Wrong::new("data", "below has 16 hexadecimal digits"))?;
    Ok(Body::Sweep {
        below: Epoch(below),
    })
}

/// A broken trace context costs only itself.
fn trace(wire: &Wire<'_>) -> TraceContext {
    let kept = |text: &Option<Cow<'_, str>>, most: usize| -> Box<str> {
        text.as_deref()
            .filter(|text| text.len() <= most)
            .unwrap_or_default()
            .into()
    };
    let traceparent = kept(&wire.traceparent, MAX_TRACEPARENT);
    let tracestate = if traceparent.is_empty() {
        Box::default()
    } else {
        kept(&wire.tracestate, MAX_TRACESTATE_BYTES)
    };
    TraceContext {
        traceparent,
        tracestate,
    }
}

fn required<'a>(
    attribute: &'static str,
    value: &'a Option<Cow<'_, str>>,
) -> Result<&'a str, Wrong> {
    value
        .as_deref()
        .ok_or_else(|| Wrong::new(attribute, "missing"))
}

/// Decimal digits, as they are written here: no sign, no leading zero.
fn number(attribute: &'static str, text: &str) -> Result<u64, Wrong> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    match text.parse() {
        Ok(number) if canonical => Ok(number),
        _ => Err(Wrong::new(
            attribute,
            "is a number of 64 bits, in decimal digits",
        )),
    }
}

/// 16 hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// Undoes the bindings' percent-encoding. What is not encoded rightly stays as it is.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = value.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let encoded = (byte == b'%')
            .then(|| digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))))
            .flatten();
        match encoded {
            Some((high, low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}
