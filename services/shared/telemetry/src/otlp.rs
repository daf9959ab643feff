//! One signal's way to a collector, by OTLP.

use std::{collections::HashMap, fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use tonic::{metadata::MetadataMap, transport::ClientTlsConfig};

use crate::http_client;

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC; collectors listen on port 4317.
    Grpc,
    /// OTLP/HTTP with protobuf bodies; collectors listen on port 4318.
    HttpProtobuf,
}

impl Protocol {
    /// What `OTEL_EXPORTER_OTLP_PROTOCOL` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Grpc, Self::HttpProtobuf]
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }

    /// Where a collector on this machine listens.
    pub(crate) const fn usual_endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:4317",
            Self::HttpProtobuf => "http://localhost:4318",
        }
    }
}

/// What is told to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Its path in OTLP/HTTP, below the collector's address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        })
    }
}

/// One signal's way to a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Otlp {
    /// Where it goes, an `http` or `https` URL. In OTLP/HTTP with the signal's path; in gRPC a path counts for nothing.
    pub endpoint: String,
    /// How it is spoken.
    pub protocol: Protocol,
    /// Sent with each export.
    pub headers: Headers,
    /// The longest that one export takes, its repetitions included.
    pub timeout: Duration,
}

impl Otlp {
    /// To a collector's own address, without headers.
    pub fn to(collector: &str, protocol: Protocol, signal: Signal) -> Self {
        let endpoint = match protocol {
            Protocol::Grpc => collector.to_owned(),
            Protocol::HttpProtobuf => {
                format!("{}/{}", collector.trim_end_matches('/'), signal.path())
            }
        };
        Self {
            endpoint,
            protocol,
            headers: Headers::default(),
            timeout: TIMEOUT,
        }
    }

    pub(crate) fn spans(&self) -> Result<SpanExporter, ExporterBuildError> {
        let builder = SpanExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.by_grpc(builder.with_tonic()).build(),
            Protocol::HttpProtobuf => self.by_http(builder.with_http())?.build(),
        }
    }

    pub(crate) fn metrics(&self) -> Result<MetricExporter, ExporterBuildError> {
        let builder = MetricExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.by_grpc(builder.with_tonic()).build(),
            Protocol::HttpProtobuf => self.by_http(builder.with_http())?.build(),
        }
    }

    pub(crate) fn log_records(&self) -> Result<LogExporter, ExporterBuildError> {
        let builder = LogExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.by_grpc(builder.with_tonic()).build(),
            Protocol::HttpProtobuf => self.by_http(builder.with_http())?.build(),
        }
    }

    fn by_grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> B {
        let builder = builder
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_metadata(MetadataMap::from_headers(self.headers.0.clone()));
        if self.is_https() {
            builder.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            builder
        }
    }

    fn by_http<B: WithExportConfig + WithHttpConfig>(
        &self,
        builder: B,
    ) -> Result<B, ExporterBuildError> {
        let client = http_client::shared(self.is_https(), self.timeout).map_err(|error| {
            ExporterBuildError::InternalFailure(format!(
                "the certificates of this machine can't be read: {error}"
            ))
        })?;
        Ok(builder
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_headers(self.headers.texts())
            .with_shared_http_client(client))
    }

    fn is_https(&self) -> bool {
        let uri = self.endpoint.parse::<Uri>();
        uri.is_ok_and(|uri| uri.scheme() == Some(&http::uri::Scheme::HTTPS))
    }
}

/// The longest that one export takes, unless another is told.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// Headers that go with each export; their values may be secrets, and are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Headers of these names and values; `None` if one can't be a header.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Option<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.as_ref().parse().ok()?;
            // gRPC takes such a value for base64.
            if name.as_str().ends_with("-bin") {
                return None;
            }
            let mut value: HeaderValue = value.as_ref().parse().ok()?;
            value.to_str().ok()?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Some(Self(headers))
    }

    fn texts(&self) -> HashMap<String, String> {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = self.0.iter();
        headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_known_by_the_name_the_specification_has() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            assert_eq!(Protocol::named(protocol.name()), Some(protocol));
        }
        assert_eq!(Protocol::named("http/json"), None);
    }

    #[test]
    fn only_http_has_a_path_for_each_signal() {
        let to = |collector, protocol| Otlp::to(collector, protocol, Signal::Logs).endpoint;
        assert_eq!(to("http://c:4317", Protocol::Grpc), "http://c:4317");
        for collector in ["http://c:4318/otlp", "http://c:4318/otlp/"] {
            let endpoint = to(collector, Protocol::HttpProtobuf);
            assert_eq!(endpoint, "http://c:4318/otlp/v1/logs");
        }
    }

    #[test]
    fn what_a_header_holds_is_not_shown() {
        let headers = Headers::new([("Authorization", "Bearer hush")]).unwrap();
        let mut otlp = Otlp::to("http://c:4317", Protocol::Grpc, Signal::Traces);
        otlp.headers = headers;
        let shown = format!("{otlp:?}");
        assert!(
            shown.contains("authorization") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn what_cant_be_a_header_is_refused() {
        for (name, value) in [
            ("a b", "c"),
            ("a", "b\nc"),
            ("", "c"),
            ("a-bin", "c"),
            ("a", "é"),
        ] {
            assert_eq!(Headers::new([(name, value)]), None, "{name}: {value}");
        }
    }
}
