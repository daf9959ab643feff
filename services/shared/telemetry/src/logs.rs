//! Log lines: coloured on a terminal, JSON elsewhere, with the ids of the trace they belong to.
//!
//! A line belongs to a trace if it is written while an OpenTelemetry [`Context`] with a span is attached (see
//! [`Span::context`](crate::Span::context)); whether the trace is recorded doesn't matter.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use jiff::Timestamp;
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Writer},
    },
    registry::LookupSpan,
};

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, coloured.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// What `DUET_LOG_FORMAT` asks for: `pretty`, `json`, or `auto` (which is also the default): pretty on a terminal and JSON
    /// elsewhere. `None` for any other word.
    pub fn named(name: &str, terminal: bool) -> Option<Self> {
        match name {
            "" | "auto" if terminal => Some(Self::Pretty),
            "" | "auto" => Some(Self::Json),
            "pretty" => Some(Self::Pretty),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What keeps logs from being written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// `DUET_LOG_FORMAT` says something else.
    #[error("DUET_LOG_FORMAT is {0:?}, which is not pretty, json or auto")]
    Format(String),
    /// `RUST_LOG` can't be read.
    #[error("RUST_LOG can't be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else writes them already.
    #[error("logs are set up already")]
    Already(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Writes this process' log lines to standard error from now on: what `RUST_LOG` asks for, else `info`; as `DUET_LOG_FORMAT` asks
/// for, see [`Format::named`].
///
/// # Errors
/// If one of the two says what can't be, or it has been called before.
pub fn init() -> Result<(), LogsError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let asked = variable("DUET_LOG_FORMAT");
    let format =
        Format::named(&asked, io::stderr().is_terminal()).ok_or(LogsError::Format(asked))?;
    let filter = variable("RUST_LOG");
    let filter = if filter.is_empty() { "info" } else { &filter };
    let subscriber = subscriber(format, EnvFilter::try_new(filter)?, io::stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

fn subscriber<W>(format: Format, filter: EnvFilter, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(format == Format::Pretty)
        .fmt_fields(DefaultFields::new())
        .event_format(Lines(format))
        .with_writer(to)
        .finish()
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let trace = Context::map_current(|context| {
            context
                .has_active_span()
                .then(|| context.span().span_context().clone())
        });
        let line = Line {
            time: Timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            fields,
            trace: trace.filter(SpanContext::is_valid),
        };
        match self.0 {
            Format::Pretty => line.pretty(writer),
            Format::Json => line.json(writer),
        }
    }
}

struct Line<'a> {
    time: Timestamp,
    level: Level,
    target: &'a str,
    fields: Fields,
    trace: Option<SpanContext>,
}

impl Line<'_> {
    fn pretty(self, mut to: Writer<'_>) -> fmt::Result {
        const DIM: &str = "\x1b[2m";
        const PLAIN: &str = "\x1b[0m";
        let colour = match self.level {
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            Level::DEBUG => "\x1b[34m",
            Level::TRACE => "\x1b[35m",
        };
        let (dim, colour, plain) = if to.has_ansi_escapes() {
            (DIM, colour, PLAIN)
        } else {
            ("", "", "")
        };
        let Self {
            time,
            level,
            target,
            fields,
            trace,
        } = self;
        let time = time.strftime("%H:%M:%S%.3f");
        write!(
            to,
            "{dim}{time}{plain} {colour}{level:>5}{plain} {dim}{target}{plain} {}",
            fields.message
        )?;
        for (name, value) in &fields.others {
            match value {
                Value::String(text) => write!(to, " {dim}{name}={plain}{text}")?,
                other => write!(to, " {dim}{name}={plain}{other}")?,
            }
        }
        if let Some(trace) = trace {
            write!(to, " {dim}trace_id={}{plain}", trace.trace_id())?;
        }
        writeln!(to)
    }

    fn json(self, mut to: Writer<'_>) -> fmt::Result {
        let Self {
            time,
            level,
            target,
            fields,
            trace,
        } = self;
        let mut line = Map::new();
        line.insert("timestamp".into(), format!("{time:.6}").into());
        line.insert("level".into(), level.as_str().into());
        line.insert("target".into(), target.into());
        line.insert("message".into(), fields.message.into());
        if let Some(trace) = trace {
            line.insert("trace_id".into(), trace.trace_id().to_string().into());
            line.insert("span_id".into(), trace.span_id().to_string().into());
        }
        for (name, value) in fields.others {
            // The names above are the line's own.
            line.entry(name).or_insert(value);
        }
        writeln!(to, "{}", Value::Object(line))
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.put(field, value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
