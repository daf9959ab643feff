use super::ConfigError;
use super::signal::{ENDPOINT, TRACES};
use super::variables::Variables;

const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";

/// Which exporters there are.
pub(super) struct Exporters {
    pub(super) traces: bool,
    pub(super) prometheus: bool,
    pub(super) metrics: bool,
    pub(super) logs: bool,
}

impl Variables<'_> {
    pub(super) fn exporters(&self) -> Result<Exporters, ConfigError> {
        let otlp_or_none = |variable| self.one_of(variable, &["otlp", "none"], "otlp or none");
        let traces = match otlp_or_none("OTEL_TRACES_EXPORTER")? {
            Some(exporter) => exporter == "otlp",
            None => self
                .get(TRACES.endpoint)
                .or_else(|| self.get(ENDPOINT))
                .is_some(),
        };
        let logs = otlp_or_none("OTEL_LOGS_EXPORTER")? == Some("otlp");
        let (mut prometheus, mut metrics) = (true, false);
        if let Some(listed) = self.get(METRICS_EXPORTER) {
            let names: Vec<_> = listed
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .collect();
            let has = |name| names.iter().any(|listed| listed == name);
            let known = |name: &String| ["prometheus", "otlp"].contains(&name.as_str());
            if !(names.iter().all(known) || names == ["none"]) {
                return Err(ConfigError {
                    variable: METRICS_EXPORTER,
                    value: Some(listed),
                    expected: "prometheus, otlp, both with a comma between, or none",
                });
            }
            (prometheus, metrics) = (has("prometheus"), has("otlp"));
        }
        Ok(Exporters {
            traces,
            prometheus,
            metrics,
            logs,
        })
    }
}
