//! Log lines: coloured on a terminal, JSON elsewhere, with the ids of the trace they belong to.
//!
//! A line belongs to a trace if it is written while an OpenTelemetry [`Context`](opentelemetry::Context) with a span is attached (see
//! [`Span::context`](crate::Span::context)); whether the trace is recorded doesn't matter. The same lines go to a collector, where
//! [`Config::logs`](crate::Config::logs) names one.

/// To a collector.
pub(crate) mod collector;
/// What a line looks like.
mod line;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::format::DefaultFields, layer::SubscriberExt};

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

/// What is written where `RUST_LOG` asks for nothing: what libraries say at each step and each attempt, we tell once; and no line for each
/// request whose head is none, by which anybody could fill the log.
const USUAL: &str = "info,actix_http::h1::dispatcher=off,actix_server=warn,async_nats=warn,kube_client=off,kube_runtime=off,opentelemetry_sdk=warn";

/// Writes this process' log lines to standard error from now on: what `RUST_LOG` asks for, else `info`; as `DUET_LOG_FORMAT` asks
/// for, see [`Format::named`]; without colours if `NO_COLOR` is set.
///
/// # Errors
/// If one of the two says what can't be, or it has been called before.
pub fn init() -> Result<(), LogsError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let asked = variable("DUET_LOG_FORMAT");
    let format =
        Format::named(&asked, io::stderr().is_terminal()).ok_or(LogsError::Format(asked))?;
    let filter = variable("RUST_LOG");
    let filter = if filter.is_empty() { USUAL } else { &filter };
    let coloured = format == Format::Pretty && variable("NO_COLOR").is_empty();
    let subscriber = subscriber(format, coloured, EnvFilter::try_new(filter)?, io::stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

fn subscriber<W>(
    format: Format,
    coloured: bool,
    filter: EnvFilter,
    to: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(coloured)
        .fmt_fields(DefaultFields::new())
        .event_format(line::Lines(format))
        .with_writer(to)
        .finish()
        .with(collector::ToCollector)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;
    use serde_json::{Map, Value};

    use super::*;
    use crate::{Tracer, names::span};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, filter: &str, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let subscriber = subscriber(format, true, EnvFilter::new(filter), move || to.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn json(log: impl FnOnce()) -> Map<String, Value> {
        serde_json::from_str(&written(Format::Json, "info", log)).unwrap()
    }

    #[test]
    fn the_format_is_pretty_on_a_terminal_and_json_elsewhere_unless_one_is_asked_for() {
        for (name, terminal, format) in [
            ("", true, Some(Format::Pretty)),
            ("", false, Some(Format::Json)),
            ("auto", true, Some(Format::Pretty)),
            ("auto", false, Some(Format::Json)),
            ("pretty", false, Some(Format::Pretty)),
            ("json", true, Some(Format::Json)),
            ("xml", true, None),
        ] {
            assert_eq!(Format::named(name, terminal), format, "{name}");
        }
    }

    #[test]
    fn a_json_line_keeps_the_types_of_its_fields() {
        let error = io::Error::other("it broke");
        let line = json(|| {
            tracing::warn!(count = 3_u64, below = -1, share = 0.5, ok = true, name = "ana", %error, "said {}", 1);
        });
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], module_path!());
        assert_eq!(line["message"], "said 1");
        assert_eq!(line["count"], 3);
        assert_eq!(line["below"], -1);
        assert_eq!(line["share"], 0.5);
        assert_eq!(line["ok"], true);
        assert_eq!(line["name"], "ana");
        assert_eq!(line["error"], "it broke");
        let time: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(Timestamp::now().duration_since(time).as_secs() < 60);
        assert!(!line.contains_key("trace_id"));
    }

    #[test]
    fn a_field_cant_pass_for_what_is_the_lines_own() {
        let line = json(|| tracing::info!(level = "ERROR", timestamp = "never", "said"));
        assert_eq!(line["level"], "INFO");
        assert_ne!(line["timestamp"], "never");
    }

    #[test]
    fn a_line_within_a_span_names_it_recorded_or_not() {
        let span = Tracer::default().root(span::COMMIT_REACTION).start();
        let ids = span.span_context();
        let line = json(|| {
            let _attached = span.context().attach();
            tracing::info!("said");
        });
        assert_eq!(line["trace_id"], ids.trace_id().to_string());
        assert_eq!(line["span_id"], ids.span_id().to_string());
        let line = written(Format::Pretty, "info", || {
            let _attached = span.context().attach();
            tracing::info!("said");
        });
        assert!(
            line.contains(&format!("trace_id={}", ids.trace_id())),
            "{line}"
        );
    }

    #[test]
    fn a_pretty_line_is_coloured_and_cant_be_broken_by_what_it_tells() {
        let line = written(Format::Pretty, "info", || {
            tracing::error!(user = "ana\n\x1b[31mERROR all is lost", "a\nb");
        });
        assert!(line.contains("\x1b[31mERROR\x1b[0m"), "{line}");
        assert!(line.contains(r"a\nb"), "{line}");
        assert!(line.contains(r"ana\n\u{1b}[31mERROR all is lost"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }

    #[test]
    fn what_any_client_can_cause_fills_no_log() {
        // As the server says it of a request whose head is none.
        let head = || tracing::error!(target: "actix_http::h1::dispatcher", "stream error: {}", 1);
        assert_eq!(written(Format::Json, USUAL, head), "");
        assert_ne!(written(Format::Json, "info", head), "");
    }

    #[test]
    fn what_the_filter_leaves_out_is_not_written() {
        assert_eq!(
            written(Format::Json, "info", || tracing::debug!("said")),
            ""
        );
        assert_ne!(
            written(Format::Json, "debug", || tracing::debug!("said")),
            ""
        );
    }
}
