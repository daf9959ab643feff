//! Where the services' telemetry goes, as OpenTelemetry's environment variables.

use duet_telemetry::Protocol;

/// Where a collector listens for OTLP over HTTP, unless it is told otherwise.
const HTTP_PORT: u16 = 4318;

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exporting {
    /// As the environment of `duet up` has it.
    AsTheShellSays,
    /// To Jaeger's pages in this process, which take spans alone.
    ToPages(String),
    /// To a collector; what but spans, and with which headers, the shell says.
    To(String, Protocol),
}

impl Exporting {
    /// `otlp` is the collector that was asked for, `pages` where this process takes spans.
    pub(super) fn new(
        otlp: Option<&str>,
        protocol: Option<Protocol>,
        pages: Option<String>,
    ) -> Self {
        match (otlp, pages) {
            (Some(collector), _) => {
                let protocol = protocol.unwrap_or_else(|| usual_protocol(collector));
                Self::To(collector.to_owned(), protocol)
            }
            (None, Some(pages)) => Self::ToPages(pages),
            (None, None) => Self::AsTheShellSays,
        }
    }

    /// What the service of this name is told, whatever this shell has for other programs. An empty variable counts as not set.
    pub(super) fn variables(&self, service: &'static str) -> Vec<(&'static str, String)> {
        let (collector, protocol) = match self {
            Self::AsTheShellSays => return Vec::new(),
            Self::ToPages(pages) => (pages, Protocol::Grpc),
            Self::To(collector, protocol) => (collector, *protocol),
        };
        let mut variables = vec![
            ("OTEL_SERVICE_NAME", service.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.clone()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name().to_owned()),
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
        ];
        let mut unset = |names: &[&'static str]| {
            variables.extend(names.iter().map(|name| (*name, String::new())));
        };
        unset(&[
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        ]);
        if let Self::ToPages(_) = self {
            unset(&[
                "OTEL_METRICS_EXPORTER",
                "OTEL_LOGS_EXPORTER",
                "OTEL_EXPORTER_OTLP_HEADERS",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            ]);
        }
        variables
    }
}

fn usual_protocol(collector: &str) -> Protocol {
    match reqwest::Url::parse(collector)
        .ok()
        .and_then(|url| url.port())
    {
        Some(HTTP_PORT) => Protocol::HttpProtobuf,
        _ => Protocol::Grpc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_spoken_to_as_its_port_says_unless_told_otherwise() {
        let http = Some(Protocol::HttpProtobuf);
        for (collector, asked, spoken) in [
            ("http://c:4317", None, Protocol::Grpc),
            ("http://c:4318", None, Protocol::HttpProtobuf),
            ("https://c/otlp", None, Protocol::Grpc),
            ("https://c/otlp", http, Protocol::HttpProtobuf),
            ("http://c:4318", Some(Protocol::Grpc), Protocol::Grpc),
        ] {
            let exporting = Exporting::new(Some(collector), asked, Some("pages".into()));
            assert_eq!(exporting, Exporting::To(collector.into(), spoken));
        }
    }

    #[test]
    fn what_the_shell_has_for_other_programs_leads_no_span_elsewhere() {
        let pages = Exporting::new(None, None, Some("http://127.0.0.1:1".into()));
        let variables = pages.variables("reaction");
        let told = |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            told("OTEL_EXPORTER_OTLP_ENDPOINT"),
            Some("http://127.0.0.1:1")
        );
        assert_eq!(told("OTEL_EXPORTER_OTLP_PROTOCOL"), Some("grpc"));
        assert_eq!(told("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), Some(""));
        // Jaeger's pages don't take them.
        assert_eq!(told("OTEL_METRICS_EXPORTER"), Some(""));
        assert_eq!(Exporting::new(None, None, None).variables("reaction"), []);
    }
}
