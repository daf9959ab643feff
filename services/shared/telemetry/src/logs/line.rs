//! What a line looks like.

use std::fmt::{self, Write as _};

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
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::Format;

/// Writes each event as a line.
pub(super) struct Lines(pub(super) Format);

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
        let message = Printable(&fields.message);
        write!(
            to,
            "{dim}{time}{plain} {colour}{level:>5}{plain} {dim}{target}{plain} {message}"
        )?;
        for (name, value) in &fields.others {
            match value {
                Value::String(text) => write!(to, " {dim}{name}={plain}{}", Printable(text))?,
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

/// Text whose control characters can't do anything to a terminal, nor look like another line.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            if char.is_control() {
                write!(f, "{}", char.escape_default())?;
            } else {
                f.write_char(char)?;
            }
        }
        Ok(())
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
