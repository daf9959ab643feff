//! OpenTelemetry's environment variables, as its specification has them.

/// Which exporters there are.
mod exporters;
/// Lists of pairs, percent-encoded.
mod pairs;
/// Where one signal is sent, and how.
mod signal;
/// One variable's value.
mod variables;

use self::pairs::listed_pairs;
use self::signal::{LOGS, METRICS, TRACES};
use self::variables::Variables;
use crate::{config::Config, names::attribute, sampler::Sampling};

/// An environment variable that says what can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {}, which is not {expected}", said(value.as_deref()))]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What it says; `None` where that may be a secret.
    pub value: Option<String>,
    /// What it may say.
    pub expected: &'static str,
}

fn said(value: Option<&str>) -> String {
    value.map_or_else(
        || "has a value (not shown: it may be a secret)".to_owned(),
        |value| format!("is {value:?}"),
    )
}

impl Config {
    /// What the environment says, in [OpenTelemetry's own variables][specification]:
    ///
    /// | variable | for |
    /// |---|---|
    /// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector, as `http://collector:4317`; `https` too. OTLP/HTTP adds `/v1/traces`, `/v1/metrics`, `/v1/logs` |
    /// | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc`, the default, or `http/protobuf` |
    /// | `OTEL_EXPORTER_OTLP_HEADERS` | `name=value,…`, percent-encoded: sent with each export |
    /// | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds for one export, 5,000 by default |
    /// | `OTEL_EXPORTER_OTLP_TRACES_…`, `…_METRICS_…`, `…_LOGS_…` | each of the four for one signal. Such an endpoint is taken as it is |
    /// | `OTEL_TRACES_EXPORTER` | `otlp` or `none`; by default `otlp` if there is an endpoint |
    /// | `OTEL_METRICS_EXPORTER` | a list of `prometheus` (`/metrics`, the default) and `otlp`, or `none` |
    /// | `OTEL_LOGS_EXPORTER` | `otlp` or `none`, the default: collectors usually read what a process writes, and would have each line twice |
    /// | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds between exports of metrics, 60,000 by default |
    /// | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, the default, `delta` or `lowmemory` |
    /// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the resource; the first wins |
    /// | `OTEL_TRACES_SAMPLER` | see [`Sampling::named`] |
    /// | `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` | milliseconds between exports of spans; spans that may wait |
    /// | `OTEL_BLRP_SCHEDULE_DELAY`, `OTEL_BLRP_MAX_QUEUE_SIZE` | the same of log lines |
    /// | `OTEL_SDK_DISABLED` | `true`: nothing is exported, nor shown at `/metrics`; traces are passed on as ever |
    ///
    /// What is asked for without an endpoint goes to `localhost`, as the specification says.
    ///
    /// [specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    ///
    /// # Errors
    /// If a variable says what can't be. An empty one counts as not set.
    pub fn from_env(
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let get = |name: &str| std::env::var(name).ok();
        Self::from_variables(service, version, &get)
    }

    fn from_variables(
        service: impl Into<String>,
        version: impl Into<String>,
        get: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let variables = Variables(get);
        let mut config = Self::new(service, version);
        if let Some(listed) = variables.get(RESOURCE_ATTRIBUTES) {
            config.resource = listed_pairs(&listed).ok_or(ConfigError {
                variable: RESOURCE_ATTRIBUTES,
                value: Some(listed),
                expected: "a list of key=value, separated by commas and percent-encoded",
            })?;
        }
        if let Some(name) = variables.get("OTEL_SERVICE_NAME") {
            config.resource.push((attribute::SERVICE_NAME.into(), name));
        }
        if let Some(name) = variables.get(TRACES_SAMPLER) {
            config.sampling = Sampling::named(&name).ok_or(ConfigError {
                variable: TRACES_SAMPLER,
                value: Some(name),
                expected: "duet, always_on, always_off, parentbased_always_on or parentbased_always_off",
            })?;
        }
        config.spans = variables.batches(
            config.spans,
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_BSP_MAX_QUEUE_SIZE",
        )?;
        config.log_records = variables.batches(
            config.log_records,
            "OTEL_BLRP_SCHEDULE_DELAY",
            "OTEL_BLRP_MAX_QUEUE_SIZE",
        )?;
        if let Some(every) = variables.millis("OTEL_METRIC_EXPORT_INTERVAL")? {
            config.metrics_every = every;
        }
        variables.one_of(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &["cumulative", "delta", "lowmemory"],
            "cumulative, delta or lowmemory",
        )?;
        if variables.is_disabled() {
            config.prometheus = false;
            return Ok(config);
        }
        let exporters = variables.exporters()?;
        config.prometheus = exporters.prometheus;
        let otlp = |wanted: bool, signal| wanted.then(|| variables.otlp(signal)).transpose();
        config.traces = otlp(exporters.traces, &TRACES)?;
        config.metrics = otlp(exporters.metrics, &METRICS)?;
        config.logs = otlp(exporters.logs, &LOGS)?;
        Ok(config)
    }
}

const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";

#[cfg(test)]
mod tests;
