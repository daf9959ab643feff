//! W3C Trace Context: between processes, and stored with an event.
//!
//! <https://www.w3.org/TR/trace-context-2/>. Read as leniently as it asks: later versions of `traceparent` are understood as far
//! as they are known, and a broken `tracestate` costs only itself. Nothing here panics, whatever the input.

use std::{fmt, str};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The header of a request, and the CloudEvents attribute, that names trace and parent.
pub const TRACEPARENT: &str = "traceparent";
/// The header of a request, and the CloudEvents attribute, with what other tracing systems add.
pub const TRACESTATE: &str = "tracestate";
/// The header of an answer that names its trace.
pub const TRACERESPONSE: &str = "traceresponse";

/// The most bytes of `tracestate` that are passed on; W3C asks for at least these.
pub const MAX_TRACESTATE_BYTES: usize = 512;
/// The most members of `tracestate`.
pub const MAX_TRACESTATE_MEMBERS: usize = 32;
/// Members longer than this go first when there are too many bytes.
const LONG_MEMBER: usize = 128;

/// The flags that are known: sampled, and random (the trace id's last 7 bytes are).
const KNOWN_FLAGS: u8 = 0b11;

/// A `traceparent`: 55 bytes of ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; Self::LEN]);

impl Traceparent {
    /// Its length in bytes.
    pub const LEN: usize = 55;

    /// Names a span and whether it is sampled. An invalid context gives one that readers ignore.
    pub fn of(span: &SpanContext) -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&span.trace_id().to_bytes(), &mut text[3..35]);
        write_hex(&span.span_id().to_bytes(), &mut text[36..52]);
        write_hex(&[span.trace_flags().to_u8() & KNOWN_FLAGS], &mut text[53..]);
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    // Upper case is not allowed.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The span that `traceparent` names, as one of another process; `None` if it names none. `tracestate` may be empty.
pub fn parse(traceparent: &str, tracestate: &str) -> Option<SpanContext> {
    let text = traceparent.trim_matches([' ', '\t']).as_bytes();
    let [version] = read_hex(text.get(..2)?)?;
    let ends = match version {
        0 => text.len() == Traceparent::LEN,
        0xff => false,
        _ => text.get(Traceparent::LEN).is_none_or(|&byte| byte == b'-'),
    };
    let separated = [2, 35, 52].iter().all(|&at| text.get(at) == Some(&b'-'));
    if !ends || !separated {
        return None;
    }
    let trace_id = TraceId::from_bytes(read_hex(text.get(3..35)?)?);
    let span_id = SpanId::from_bytes(read_hex(text.get(36..52)?)?);
    let [flags] = read_hex(text.get(53..55)?)?;
    let flags = TraceFlags::new(flags & KNOWN_FLAGS);
    let span = SpanContext::new(trace_id, span_id, flags, true, read_state(tracestate));
    span.is_valid().then_some(span)
}

fn read_state(text: &str) -> TraceState {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if text.is_empty() || !printable {
        return TraceState::NONE;
    }
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty());
    let read: Option<Vec<(&str, &str)>> = shortened(members.collect())
        .into_iter()
        .map(|member| member.split_once('=').filter(|(key, _)| !key.is_empty()))
        .collect();
    read.and_then(|members| TraceState::from_key_value(members).ok())
        .unwrap_or_default()
}

/// As many members as may be passed on: W3C's 3.3.1.5, long ones go first, then those at the end.
fn shortened(mut members: Vec<&str>) -> Vec<&str> {
    let bytes = |members: &[&str]| {
        members
            .iter()
            .map(|member| member.len() + 1)
            .sum::<usize>()
            .saturating_sub(1)
    };
    members.truncate(MAX_TRACESTATE_MEMBERS);
    while bytes(&members) > MAX_TRACESTATE_BYTES {
        let last_long = members
            .iter()
            .rposition(|member| member.len() > LONG_MEMBER);
        members.remove(last_long.unwrap_or(members.len() - 1));
    }
    members
}

/// The `tracestate` that goes with a span's `traceparent`; mostly empty, and then not sent.
pub fn tracestate(span: &SpanContext) -> String {
    span.trace_state().header()
}

/// The caller's span, from a request's headers. `get` gives the values of a header: as an `Option` where there can be but one, or
/// as an iterator.
pub fn extract<'a, V: IntoIterator<Item = &'a str>>(
    get: impl Fn(&'static str) -> V,
) -> Option<SpanContext> {
    let mut parents = get(TRACEPARENT).into_iter();
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    let mut states = get(TRACESTATE).into_iter();
    match (states.next(), states.next()) {
        (None, _) => parse(parent, ""),
        (Some(state), None) => parse(parent, state),
        (Some(first), Some(second)) => {
            let joined: Vec<_> = [first, second].into_iter().chain(states).collect();
            parse(parent, &joined.join(","))
        }
    }
}

/// Puts a span into a request's headers. One that isn't valid sets none.
pub fn inject(span: &SpanContext, mut set: impl FnMut(&'static str, &str)) {
    if !span.is_valid() {
        return;
    }
    set(TRACEPARENT, Traceparent::of(span).as_str());
    let state = tracestate(span);
    if !state.is_empty() {
        set(TRACESTATE, &state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn state_of(tracestate: &str) -> String {
        let span = parse(PARENT, tracestate).expect("a broken tracestate costs only itself");
        super::tracestate(&span)
    }

    #[test]
    fn a_span_that_is_written_and_read_is_the_same_but_remote() {
        for flags in ["00", "01", "02", "03"] {
            let text = format!("{}{flags}", &PARENT[..53]);
            let span = parse(&text, "vendor=value,other@sys=1").unwrap();
            assert!(span.is_remote());
            assert_eq!(span.is_sampled(), flags.ends_with(['1', '3']));
            assert_eq!(Traceparent::of(&span).as_str(), text);
            assert_eq!(tracestate(&span), "vendor=value,other@sys=1");
        }
    }

    #[test]
    fn a_later_version_is_understood_as_far_as_it_is_known() {
        let later = PARENT.replacen("00", "cc", 1);
        for text in [
            later.clone(),
            format!("{later}-what-ever"),
            format!("{later}-"),
        ] {
            assert_eq!(Traceparent::of(&parse(&text, "").unwrap()).as_str(), PARENT);
        }
        assert_eq!(parse(&format!("{later}x"), ""), None);
    }

    #[test]
    fn unknown_flags_are_not_passed_on() {
        let span = parse(&format!("{}ff", &PARENT[..53]), "").unwrap();
        assert_eq!(span.trace_flags().to_u8(), 0b11);
    }

    #[test]
    fn what_names_no_span_is_none() {
        for text in [
            "",
            "00",
            "00-",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(text, ""), None, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_one_byte_off_panics() {
        for at in 0..PARENT.len() {
            for byte in 0..=127u8 {
                let mut text = PARENT.as_bytes().to_vec();
                text[at] = byte;
                let _ = parse(str::from_utf8(&text).unwrap(), "");
            }
            let _ = parse(&PARENT[..at], &PARENT[at..]);
        }
    }

    #[test]
    fn a_broken_tracestate_costs_only_itself() {
        for text in [
            "novalue", "UPPER=1", "a=b,c", "a=é", "a=b=c", "=", ",,", "a=\u{7}", " ",
        ] {
            assert_eq!(state_of(text), "", "{text:?}");
        }
        assert_eq!(state_of(" a=1 ,\t, b=2,"), "a=1,b=2");
    }

    #[test]
    fn a_tracestate_over_its_limits_loses_long_members_first_then_the_last() {
        let many: Vec<_> = (0..40).map(|n| format!("k{n}={n}")).collect();
        assert_eq!(
            state_of(&many.join(",")).split(',').count(),
            MAX_TRACESTATE_MEMBERS
        );

        let long = format!("long={}", "x".repeat(200));
        let short: Vec<_> = (0..8).map(|n| format!("k{n}={}", "y".repeat(50))).collect();
        let all = format!("{long},{}", short.join(","));
        assert_eq!(state_of(&all), short.join(","));

        let full: Vec<_> = (0..16)
            .map(|n| format!("k{n}={}", "z".repeat(60)))
            .collect();
        let kept = state_of(&full.join(","));
        assert!(kept.len() <= MAX_TRACESTATE_BYTES && full.join(",").starts_with(&kept));
        assert!(kept.len() > MAX_TRACESTATE_BYTES - 64);
    }

    #[test]
    fn headers_are_read_as_they_were_set() {
        let span = parse(PARENT, "a=1").unwrap();
        let mut headers = Vec::new();
        inject(&span, |name, value| headers.push((name, value.to_owned())));
        let get = |name| {
            headers
                .iter()
                .filter(move |(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(extract(get), Some(span));
    }

    #[test]
    fn several_tracestate_headers_are_one_list_and_several_traceparents_are_none() {
        let states = |name| match name {
            TRACEPARENT => vec![PARENT],
            _ => vec!["a=1", "b=2", "c=3"],
        };
        assert_eq!(tracestate(&extract(states).unwrap()), "a=1,b=2,c=3");
        assert_eq!(extract(|_| [PARENT, PARENT]), None);
        assert_eq!(extract(|_| None), None);
    }

    #[test]
    fn an_invalid_span_sets_no_header() {
        inject(&SpanContext::NONE, |name, _| panic!("{name}"));
    }
}
