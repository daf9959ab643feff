//! What a process' telemetry is told: by its `main`, and by OpenTelemetry's environment variables.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use crate::{names::attribute, sampler::Sampling};

/// What a process' telemetry is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// `service.name`: `reaction`, `notification` or `duet`.
    pub service: String,
    /// `service.version`.
    pub version: String,
    /// `service.instance.id`: this process among those of the service; random unless it is told.
    pub instance: String,
    /// Further attributes of the resource; they win over the three above.
    pub resource: Vec<(String, String)>,
    /// Where an OTLP/gRPC collector listens, as a URL. Without one, spans are not recorded.
    pub endpoint: Option<String>,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// How long a span that ended waits to be exported.
    pub export_every: Duration,
    /// Spans that may wait to be exported; those above are dropped.
    pub queue: usize,
    /// The longest that one export takes.
    pub export_timeout: Duration,
}

/// An environment variable that says what can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is {value:?}, which is not {expected}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What it says.
    pub value: String,
    /// What it may say.
    pub expected: &'static str,
}

impl Config {
    /// A process without a collector, with the default sampling.
    pub fn new(service: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            version: version.into(),
            instance: format!("{:016x}", rand::random::<u64>()),
            resource: Vec::new(),
            endpoint: None,
            sampling: Sampling::default(),
            export_every: Duration::from_millis(500),
            queue: 4 * 1024,
            export_timeout: Duration::from_secs(5),
        }
    }

    /// What the environment says, in OpenTelemetry's own variables:
    ///
    /// | variable | for |
    /// |---|---|
    /// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector; `OTEL_EXPORTER_OTLP_HEADERS` is heeded too |
    /// | `OTEL_EXPORTER_OTLP_PROTOCOL` | must be `grpc` |
    /// | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds for one export |
    /// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the resource; the first wins |
    /// | `OTEL_TRACES_SAMPLER` | see [`Sampling::named`] |
    /// | `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` | milliseconds between exports; spans that may wait |
    /// | `OTEL_SDK_DISABLED` | `true`: as if there was no collector |
    ///
    /// # Errors
    /// If a variable says what can't be. An empty one counts as not set.
    pub fn from_env(
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        Self::from_variables(service, version, |name| std::env::var(name).ok())
    }

    fn from_variables(
        service: impl Into<String>,
        version: impl Into<String>,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let number = |variable| match get(variable) {
            None => Ok(None),
            Some(value) => match value.parse::<u32>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(ConfigError {
                    variable,
                    value,
                    expected: "a whole number above 0",
                }),
            },
        };
        let millis =
            |variable| number(variable).map(|ms| ms.map(|ms| Duration::from_millis(ms.into())));

        let mut config = Self::new(service, version);
        if let Some(listed) = get(RESOURCE_ATTRIBUTES) {
            config.resource = listed_attributes(&listed).ok_or(ConfigError {
                variable: RESOURCE_ATTRIBUTES,
                value: listed,
                expected: "a list of key=value, separated by commas and percent-encoded",
            })?;
        }
        if let Some(name) = get("OTEL_SERVICE_NAME") {
            config.resource.push((attribute::SERVICE_NAME.into(), name));
        }
        if get("OTEL_SDK_DISABLED").is_none_or(|disabled| !disabled.eq_ignore_ascii_case("true")) {
            config.endpoint = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
                .or_else(|| get("OTEL_EXPORTER_OTLP_ENDPOINT"));
        }
        if let Some(protocol) = get(PROTOCOL)
            && config.endpoint.is_some()
            && protocol != "grpc"
        {
            return Err(ConfigError {
                variable: PROTOCOL,
                value: protocol,
                expected: "grpc",
            });
        }
        if let Some(name) = get(TRACES_SAMPLER) {
            config.sampling = Sampling::named(&name).ok_or(ConfigError {
                variable: TRACES_SAMPLER,
                value: name,
                expected: "duet, always_on, always_off, parentbased_always_on or parentbased_always_off",
            })?;
        }
        if let Some(every) = millis("OTEL_BSP_SCHEDULE_DELAY")? {
            config.export_every = every;
        }
        if let Some(queue) = number("OTEL_BSP_MAX_QUEUE_SIZE")? {
            config.queue = queue as usize;
        }
        if let Some(timeout) = millis("OTEL_EXPORTER_OTLP_TIMEOUT")? {
            config.export_timeout = timeout;
        }
        Ok(config)
    }

    /// The one resource of all that this process tells.
    pub(crate) fn resource(&self) -> Resource {
        let own = [
            (attribute::SERVICE_NAME, &self.service),
            (attribute::SERVICE_VERSION, &self.version),
            (attribute::SERVICE_INSTANCE_ID, &self.instance),
        ];
        let own = own.map(|(key, value)| KeyValue::new(key, value.clone()));
        let told = self.resource.iter().cloned();
        Resource::builder()
            .with_attributes(own)
            .with_attributes(told.map(|(key, value)| KeyValue::new(key, value)))
            .build()
    }
}

const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";

fn listed_attributes(list: &str) -> Option<Vec<(String, String)>> {
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
        Config::from_variables("reaction", "1.2.3", |name| {
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
        assert_eq!(config.endpoint, None);
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

    #[test]
    fn the_traces_endpoint_wins_and_an_empty_one_counts_as_none() {
        let config = told(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
        ]);
        assert_eq!(config.unwrap().endpoint.unwrap(), "http://traces:4317");
        let config = told(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
        assert_eq!(config.unwrap().endpoint, None);
    }

    #[test]
    fn a_disabled_sdk_has_no_endpoint() {
        let config = told(&[
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
        ]);
        assert_eq!(config.unwrap().endpoint, None);
    }

    #[test]
    fn another_protocol_is_refused_where_it_would_be_spoken() {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318");
        assert!(told(&[protocol]).is_ok());
        let error = told(&[protocol, endpoint]).unwrap_err();
        assert_eq!((error.variable, error.expected), (protocol.0, "grpc"));
    }

    #[test]
    fn what_cant_be_is_refused_by_name() {
        for (variable, value) in [
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_RESOURCE_ATTRIBUTES", "no-value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "half=%4"),
            ("OTEL_RESOURCE_ATTRIBUTES", "not-hex=%é"),
            ("OTEL_RESOURCE_ATTRIBUTES", "not-utf8=%ff"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ] {
            let error = told(&[(variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(error.to_string().contains(value), "{error}");
        }
    }
}
