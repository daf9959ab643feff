use http::Uri;

use super::ConfigError;
use super::pairs::listed_pairs;
use super::variables::Variables;
use crate::otlp::{Headers, Otlp, Protocol, Signal, TIMEOUT};

/// The variables about one signal's way, each before that of all signals.
pub(super) struct OfSignal {
    signal: Signal,
    pub(super) endpoint: &'static str,
    protocol: [&'static str; 2],
    headers: [&'static str; 2],
    timeout: [&'static str; 2],
    compression: [&'static str; 2],
}

/// The endpoint of all signals.
pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

macro_rules! of_signal {
    ($signal:ident, $name:literal) => {
        OfSignal {
            signal: Signal::$signal,
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $name, "_ENDPOINT"),
            protocol: [
                concat!("OTEL_EXPORTER_OTLP_", $name, "_PROTOCOL"),
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ],
            headers: [
                concat!("OTEL_EXPORTER_OTLP_", $name, "_HEADERS"),
                "OTEL_EXPORTER_OTLP_HEADERS",
            ],
            timeout: [
                concat!("OTEL_EXPORTER_OTLP_", $name, "_TIMEOUT"),
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ],
            compression: [
                concat!("OTEL_EXPORTER_OTLP_", $name, "_COMPRESSION"),
                "OTEL_EXPORTER_OTLP_COMPRESSION",
            ],
        }
    };
}

pub(super) const TRACES: OfSignal = of_signal!(Traces, "TRACES");
pub(super) const METRICS: OfSignal = of_signal!(Metrics, "METRICS");
pub(super) const LOGS: OfSignal = of_signal!(Logs, "LOGS");

impl Variables<'_> {
    /// One signal's way.
    pub(super) fn otlp(&self, of: &OfSignal) -> Result<Otlp, ConfigError> {
        let protocol = match self.first(of.protocol) {
            None => Protocol::Grpc,
            Some((variable, value)) => {
                let name = value.to_ascii_lowercase();
                Protocol::named(&name).ok_or(ConfigError {
                    variable,
                    value: Some(value),
                    expected: "grpc or http/protobuf",
                })?
            }
        };
        for variable in of.compression {
            self.one_of(variable, &["none"], "none: exports are not compressed")?;
        }
        let mut otlp = match (self.get(of.endpoint), self.get(ENDPOINT)) {
            (Some(endpoint), _) => {
                let mut otlp = Otlp::to("", protocol, of.signal);
                otlp.endpoint = checked(of.endpoint, endpoint)?;
                otlp
            }
            (None, Some(endpoint)) => Otlp::to(&checked(ENDPOINT, endpoint)?, protocol, of.signal),
            (None, None) => Otlp::to(protocol.usual_endpoint(), protocol, of.signal),
        };
        if let Some((variable, value)) = self.first(of.headers) {
            otlp.headers = listed_pairs(&value)
                .and_then(Headers::new)
                .ok_or(ConfigError {
                    variable,
                    value: None,
                    expected: "a list of name=value, separated by commas and percent-encoded",
                })?;
        }
        otlp.timeout = match self.millis(of.timeout[0])? {
            Some(timeout) => timeout,
            None => self.millis(of.timeout[1])?.unwrap_or(TIMEOUT),
        };
        Ok(otlp)
    }
}

/// An endpoint, if it can be one.
fn checked(variable: &'static str, endpoint: String) -> Result<String, ConfigError> {
    let uri = endpoint.parse::<Uri>();
    let authority = |uri: &Uri| uri.authority().map(|it| it.as_str().to_owned());
    // A password or a key has no place in it, and might be there.
    let may_be_secret = endpoint.contains(['@', '?']);
    let good = uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && authority(&uri).is_some_and(|it| !it.is_empty())
            && !may_be_secret
    });
    if good {
        return Ok(endpoint);
    }
    Err(ConfigError {
        variable,
        value: (!may_be_secret).then_some(endpoint),
        expected: "an address such as http://collector:4317 (credentials go into OTEL_EXPORTER_OTLP_HEADERS)",
    })
}
