use duet_channel::life::{Name, When};
use duet_protocol::time::Timestamp;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// One step of a life, and the setting that decided it, if one did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sentence {
    /// Whose part of it: `pair`, `reaction`, or a receiver.
    pub(crate) about: String,
    pub(crate) text: String,
    /// As `spec.sync.deadline = 2s`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) settings: Vec<String>,
}

impl Sentence {
    pub(crate) fn about(about: &str, text: impl Into<String>) -> Self {
        Self {
            about: about.to_owned(),
            text: text.into(),
            settings: Vec::new(),
        }
    }

    pub(crate) fn by(self, settings: impl IntoIterator<Item = String>) -> Self {
        Self {
            settings: settings.into_iter().collect(),
            ..self
        }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)?;
        if !self.settings.is_empty() {
            write!(f, " ({})", self.settings.join(", "))?;
        }
        f.write_str(".")
    }
}

/// A moment, and how long ago that is: `2026-11-24T09:27:00.123Z (3 min ago)`.
pub(super) fn at(when: When, now: When) -> String {
    let millis = when.0.micros() / 1_000;
    let text = jiff::Timestamp::from_millisecond(millis).map(|time| time.to_string());
    let relative = match now.0.micros() - when.0.micros() {
        past if past >= 0 => format!("{} ago", long(now.0.since(when.0))),
        _ => format!("in {}", long(when.0.since(now.0))),
    };
    format!("{} ({relative})", text.unwrap_or_default())
}

/// How much later the second is, to the millisecond. Two clocks may disagree: then it is not told.
pub(super) fn later(from: Timestamp, to: Timestamp) -> Option<String> {
    (to >= from).then(|| {
        let took = to.since(from);
        match took.as_millis() {
            0 => "within a millisecond".to_owned(),
            1..10_000 => format!("{} ms later", took.as_millis()),
            _ => format!("{} later", long(took)),
        }
    })
}

/// To its largest unit.
fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An event as people name it: its place in its epoch, then the whole.
pub(super) fn event(name: Name) -> String {
    format!("event {} ({name})", name.0.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_they_are_and_how_long_ago() {
        let when = |micros: i64| When(Timestamp::from_micros(1_795_512_420_000_000 + micros));
        for (now, told) in [
            (12_000, "12 ms ago"),
            (119_000_000, "119 s ago"),
            (180_000_000, "3 min ago"),
            (7_300_000_000, "2 h ago"),
            (3 * 86_400_000_000, "3 days ago"),
            (-5_000_000, "in 5 s"),
        ] {
            let told = format!("2026-11-24T09:27:00.001Z ({told})");
            assert_eq!(at(when(1_999), when(now + 1_999)), told);
        }
        let took = |micros| later(when(0).0, when(micros).0);
        assert_eq!(took(900).as_deref(), Some("within a millisecond"));
        assert_eq!(took(4_200).as_deref(), Some("4 ms later"));
        assert_eq!(took(45_000_000).as_deref(), Some("45 s later"));
        assert_eq!(took(-1), None, "the clocks disagree");
    }
}
