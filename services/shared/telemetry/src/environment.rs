//! OpenTelemetry's environment variables, as its specification has them.

use std::time::Duration;

use http::Uri;

use crate::{
    config::{Batches, Config},
    names::attribute,
    otlp::{Headers, Otlp, Protocol, Signal, TIMEOUT},
    sampler::Sampling,
};

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
const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";

/// The variables about one signal's way, each before that of all signals.
struct OfSignal {
    signal: Signal,
    endpoint: &'static str,
    protocol: [&'static str; 2],
    headers: [&'static str; 2],
    timeout: [&'static str; 2],
    compression: [&'static str; 2],
}

/// The endpoint of all signals.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

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

const TRACES: OfSignal = of_signal!(Traces, "TRACES");
const METRICS: OfSignal = of_signal!(Metrics, "METRICS");
const LOGS: OfSignal = of_signal!(Logs, "LOGS");

/// Which exporters there are.
struct Exporters {
    traces: bool,
    prometheus: bool,
    metrics: bool,
    logs: bool,
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// An empty one counts as not set.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The first that is set.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names
            .into_iter()
            .find_map(|name| Some((name, self.get(name)?)))
    }

    fn number(&self, variable: &'static str) -> Result<Option<u32>, ConfigError> {
        match self.get(variable) {
            None => Ok(None),
            Some(value) => match value.parse::<u32>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(ConfigError {
                    variable,
                    value: Some(value),
                    expected: "a whole number above 0",
                }),
            },
        }
    }

    fn millis(&self, variable: &'static str) -> Result<Option<Duration>, ConfigError> {
        let millis = self.number(variable)?;
        Ok(millis.map(|millis| Duration::from_millis(millis.into())))
    }

    fn batches(
        &self,
        usual: Batches,
        every: &'static str,
        queue: &'static str,
    ) -> Result<Batches, ConfigError> {
        Ok(Batches {
            every: self.millis(every)?.unwrap_or(usual.every),
            queue: self.number(queue)?.map_or(usual.queue, |it| it as usize),
        })
    }

    /// One of these words, in any case of letters.
    fn one_of(
        &self,
        variable: &'static str,
        words: &[&'static str],
        expected: &'static str,
    ) -> Result<Option<&'static str>, ConfigError> {
        let Some(value) = self.get(variable) else {
            return Ok(None);
        };
        let known = words.iter().find(|word| value.eq_ignore_ascii_case(word));
        known.map(|word| Some(*word)).ok_or(ConfigError {
            variable,
            value: Some(value),
            expected,
        })
    }

    fn is_disabled(&self) -> bool {
        self.get("OTEL_SDK_DISABLED")
            .is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"))
    }

    fn exporters(&self) -> Result<Exporters, ConfigError> {
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

    /// One signal's way.
    fn otlp(&self, of: &OfSignal) -> Result<Otlp, ConfigError> {
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
    let has_user = endpoint.contains('@');
    let good = uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && authority(&uri).is_some_and(|it| !it.is_empty() && !has_user)
            && uri.query().is_none()
    });
    if good {
        return Ok(endpoint);
    }
    Err(ConfigError {
        variable,
        // A password has no place in it, and might be there.
        value: (!has_user).then_some(endpoint),
        expected: "an address such as http://collector:4317 (credentials go into OTEL_EXPORTER_OTLP_HEADERS)",
    })
}

fn listed_pairs(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .filter(|member| !member.trim().is_empty())
        .map(|member| {
            let (key, value) = member.split_once('=')?;
            Some((percent_decoded(key.trim())?, percent_decoded(value.trim())?))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables("reaction", "1.2.3", &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn attribute_of(config: &Config, key: &'static str) -> Option<String> {
        config
            .resource()
            .get(&key.into())
            .map(|value| value.to_string())
    }

    #[test]
    fn without_variables_nothing_is_exported_and_the_service_has_its_own_name() {
        let config = told(&[]).unwrap();
        assert_eq!(
            (&config.traces, &config.metrics, &config.logs),
            (&None, &None, &None)
        );
        assert!(config.prometheus);
        assert_eq!(config.sampling, Sampling::default());
        assert_eq!(attribute_of(&config, "service.name").unwrap(), "reaction");
        assert_eq!(attribute_of(&config, "service.version").unwrap(), "1.2.3");
        assert_eq!(
            attribute_of(&config, "service.instance.id").unwrap().len(),
            16
        );
    }

    #[test]
    fn two_processes_have_different_instances() {
        assert_ne!(told(&[]).unwrap().instance, told(&[]).unwrap().instance);
    }

    #[test]
    fn resource_attributes_are_decoded_and_win_over_our_own() {
        let list = "service.instance.id=pod-7, k8s.node.name=a%2Cb ,team=caf%C3%A9,";
        let config = told(&[("OTEL_RESOURCE_ATTRIBUTES", list)]).unwrap();
        assert_eq!(
            attribute_of(&config, "service.instance.id").unwrap(),
            "pod-7"
        );
        assert_eq!(attribute_of(&config, "k8s.node.name").unwrap(), "a,b");
        assert_eq!(attribute_of(&config, "team").unwrap(), "café");
        assert_eq!(attribute_of(&config, "service.name").unwrap(), "reaction");
    }

    #[test]
    fn the_service_name_variable_wins_over_the_list() {
        let config = told(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed"),
            ("OTEL_SERVICE_NAME", "named"),
        ]);
        assert_eq!(
            attribute_of(&config.unwrap(), "service.name").unwrap(),
            "named"
        );
    }

    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318");

    fn endpoint(otlp: Option<Otlp>) -> Option<String> {
        otlp.map(|otlp| otlp.endpoint)
    }

    #[test]
    fn a_signals_own_variables_win_over_those_of_all() {
        let config = told(&[
            COLLECTOR,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "team=a,key=all%20of"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9/in"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "key=logs"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "300"),
        ])
        .unwrap();
        let headers = |pairs: &[(&str, &str)]| Headers::new(pairs.iter().copied()).unwrap();
        let expected = |endpoint: &str, protocol, headers, timeout| {
            let mut otlp = Otlp::to("", protocol, Signal::Traces);
            otlp.endpoint = endpoint.into();
            otlp.headers = headers;
            otlp.timeout = Duration::from_millis(timeout);
            Some(otlp)
        };
        let all = headers(&[("team", "a"), ("key", "all of")]);
        let http = Protocol::HttpProtobuf;
        let traces = expected("http://all:4318/v1/traces", http, all.clone(), 700);
        assert_eq!(config.traces, traces);
        // Taken as it is: no path is added.
        assert_eq!(
            config.metrics,
            expected("http://metrics:9/in", http, all, 700)
        );
        let own = headers(&[("key", "logs")]);
        assert_eq!(
            config.logs,
            expected("http://all:4318", Protocol::Grpc, own, 300)
        );
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        let config = told(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
            ("OTEL_METRICS_EXPORTER", " "),
        ]);
        let config = config.unwrap();
        assert_eq!(config.traces, None);
        assert!(config.prometheus);
    }

    #[test]
    fn what_is_exported_and_where_to() {
        for (variables, prometheus, [traces, metrics, logs]) in [
            (&[COLLECTOR][..], true, [true, false, false]),
            (
                &[("OTEL_TRACES_EXPORTER", "otlp")],
                true,
                [true, false, false],
            ),
            (
                &[COLLECTOR, ("OTEL_TRACES_EXPORTER", "none")],
                true,
                [false; 3],
            ),
            (
                &[("OTEL_METRICS_EXPORTER", "otlp")],
                false,
                [false, true, false],
            ),
            (
                &[("OTEL_METRICS_EXPORTER", "Prometheus, otlp")],
                true,
                [false, true, false],
            ),
            (&[("OTEL_METRICS_EXPORTER", "none")], false, [false; 3]),
            (
                &[COLLECTOR, ("OTEL_LOGS_EXPORTER", "otlp")],
                true,
                [true, false, true],
            ),
            (
                &[COLLECTOR, ("OTEL_SDK_DISABLED", "True")],
                false,
                [false; 3],
            ),
        ] {
            let config = told(variables).unwrap();
            let exported = [&config.traces, &config.metrics, &config.logs].map(Option::is_some);
            assert_eq!(
                (config.prometheus, exported),
                (prometheus, [traces, metrics, logs]),
                "{variables:?}"
            );
        }
        // Asked for without an endpoint: as the specification says.
        let config = told(&[("OTEL_METRICS_EXPORTER", "otlp")]).unwrap();
        assert_eq!(endpoint(config.metrics).unwrap(), "http://localhost:4317");
    }

    #[test]
    fn what_cant_be_is_refused_by_name_and_with_what_may_be() {
        for (variable, value) in [
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_RESOURCE_ATTRIBUTES", "no-value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "half=%4"),
            ("OTEL_RESOURCE_ATTRIBUTES", "not-hex=%é"),
            ("OTEL_RESOURCE_ATTRIBUTES", "not-utf8=%ff"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "-1"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_METRICS_EXPORTER", "otlp,none"),
            ("OTEL_METRICS_EXPORTER", "otlp,,prometheus"),
            ("OTEL_LOGS_EXPORTER", "otlp,otlp"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5s"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://collector/?key=1",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "neither",
            ),
        ] {
            let error = told(&[COLLECTOR, (variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(error.to_string().contains(value), "{error}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_told() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer hush"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=hush%0a"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://ana:hush@collector",
            ),
        ] {
            let error = told(&[COLLECTOR, (variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_way_that_isnt_taken_is_not_judged() {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
        assert!(told(&[protocol]).is_ok());
        assert!(told(&[protocol, COLLECTOR, ("OTEL_SDK_DISABLED", "true")]).is_ok());
    }
}
