//! A trace as Jaeger's query API tells it; fields that nothing here reads are left out.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TraceId(String);

impl FromStr for TraceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || text.bytes().all(|byte| byte == b'0') {
            return Err("a trace id is 32 hex digits, not all 0".to_owned());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the API answers: `{"data": […]}`.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) data: Vec<Trace>,
}

/// One trace.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    #[serde(rename = "traceID")]
    pub(crate) trace_id: String,
    pub(crate) spans: Vec<Span>,
    pub(crate) processes: BTreeMap<String, Process>,
}

/// One span.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    #[serde(rename = "spanID")]
    pub(crate) span_id: String,
    pub(crate) operation_name: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    /// Microseconds since the Unix epoch.
    pub(crate) start_time: u64,
    /// Microseconds.
    pub(crate) duration: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(rename = "processID")]
    process_id: String,
}

/// Another span that this one points at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    ref_type: RefType,
    #[serde(rename = "traceID")]
    pub(crate) trace_id: String,
    #[serde(rename = "spanID")]
    pub(crate) span_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum RefType {
    ChildOf,
    FollowsFrom,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Tag {
    key: String,
    value: serde_json::Value,
}

/// The process that a span was made in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    service_name: String,
}

/// OpenTelemetry's span kinds, as Jaeger's tag `span.kind` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

impl Trace {
    /// The service that made `span`.
    pub(crate) fn service(&self, span: &Span) -> &str {
        self.processes
            .get(&span.process_id)
            .map_or("unknown", |it| &it.service_name)
    }

    pub(crate) fn span(&self, id: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.span_id == id)
    }

    /// The spans right below `span`, by start.
    pub(crate) fn children<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Span> {
        by_start(
            self.spans
                .iter()
                .filter(|it| it.parent_in(self) == Some(&span.span_id)),
        )
    }

    /// The spans whose parent isn't in the trace, by start: one, if all has arrived.
    pub(crate) fn tops(&self) -> impl Iterator<Item = &Span> {
        by_start(self.spans.iter().filter(|it| {
            it.parent_in(self)
                .is_none_or(|parent| self.span(parent).is_none())
        }))
    }

    /// The request that began it: a SERVER span without a parent.
    pub(crate) fn request(&self) -> Option<&Span> {
        self.tops()
            .find(|it| it.parent_in(self).is_none() && it.kind() == Kind::Server)
    }

    /// What still seems to be under way: spans that hand something to another process, which has told nothing yet.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| {
            matches!(span.kind(), Kind::Client | Kind::Producer)
                && span.error().is_none()
                && self.children(span).next().is_none()
        })
    }

    /// What keeps it from being complete, a line each. Above what callers ask of the service `first` stands what they trace
    /// themselves, which is sent elsewhere.
    pub(crate) fn missing(&self, first: &str) -> String {
        let unanswered = self.unanswered().map(|it| {
            format!(
                "  nothing has arrived below {} {}\n",
                it.operation_name,
                it.kind().as_str()
            )
        });
        let orphans = self
            .orphans()
            .filter(|it| it.kind() != Kind::Server || self.service(it) != first)
            .map(|it| {
                format!(
                    "  what {} {} is below has not arrived\n",
                    it.operation_name,
                    it.kind().as_str()
                )
            });
        unanswered.chain(orphans).collect()
    }

    /// Spans whose parent was named and hasn't arrived.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = &Span> {
        self.tops().filter(|it| it.parent_in(self).is_some())
    }
}

impl Span {
    fn parent_in(&self, trace: &Trace) -> Option<&str> {
        let parent = self
            .references
            .iter()
            .flatten()
            .find(|it| it.ref_type == RefType::ChildOf && it.trace_id == trace.trace_id);
        parent.map(|it| it.span_id.as_str())
    }

    /// The spans that it points at without being below them.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Reference> {
        self.references
            .iter()
            .flatten()
            .filter(|it| it.ref_type == RefType::FollowsFrom)
    }

    fn tag(&self, key: &str) -> Option<&serde_json::Value> {
        self.tags
            .iter()
            .find(|it| it.key == key)
            .map(|it| &it.value)
    }

    /// What it stands for; INTERNAL where nothing is said, as OpenTelemetry has it.
    pub(crate) fn kind(&self) -> Kind {
        match self.tag("span.kind").and_then(serde_json::Value::as_str) {
            Some("server") => Kind::Server,
            Some("client") => Kind::Client,
            Some("producer") => Kind::Producer,
            Some("consumer") => Kind::Consumer,
            _ => Kind::Internal,
        }
    }

    /// Why it failed, if it did; what is said of it may be empty.
    pub(crate) fn error(&self) -> Option<&str> {
        let failed = self.tag("error") == Some(&serde_json::Value::Bool(true))
            || self
                .tag("otel.status_code")
                .is_some_and(|code| code == "ERROR");
        let said = || {
            self.tag("otel.status_description")
                .and_then(serde_json::Value::as_str)
        };
        failed.then(|| said().unwrap_or_default())
    }
}

fn by_start<'a>(spans: impl Iterator<Item = &'a Span>) -> impl Iterator<Item = &'a Span> {
    let mut spans: Vec<_> = spans.collect();
    // What starts at the same microsecond and lasts longer comes first: it is the one that waits.
    spans.sort_by_key(|it| {
        (
            it.start_time,
            std::cmp::Reverse(it.duration),
            it.span_id.clone(),
        )
    });
    spans.into_iter()
}
