//! What is asked for: `delay=200ms errorPercent=5`, or `off`.

use duet_crd::{Channel, EXAMPLE, FaultsSpec, names::ServiceName, time::Time};
use serde_json::{Map, Value, json};

/// What the words of the command line ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To be shown what is set.
    Show,
    /// None any more.
    Off,
    /// These.
    These(FaultsSpec),
}

/// The names, as the Channel has them.
const NAMES: [&str; 5] = [
    "delay",
    "jitter",
    "errorPercent",
    "hangPercent",
    "maxPerSecond",
];

impl Asked {
    /// From the command line's words.
    ///
    /// # Errors
    /// Why they ask for nothing that can be, in sentences.
    pub(crate) fn from_words(
        words: &[String],
        receiver: Option<ServiceName>,
        until: Option<Time>,
    ) -> Result<Self, String> {
        match words {
            [] if receiver.is_none() && until.is_none() => return Ok(Self::Show),
            [] => {
                return Err(format!(
                    "say what goes wrong, as delay=200ms; there are {}",
                    NAMES.join(", ")
                ));
            }
            [_, _, ..] if words.iter().any(|it| it == "off") => {
                return Err("`off` stands alone: it takes all faults away".to_owned());
            }
            [off] if off == "off" => {
                return match (receiver, until) {
                    (None, None) => Ok(Self::Off),
                    _ => Err("`off` takes all faults away at once, everywhere".to_owned()),
                };
            }
            _ => {}
        }
        let mut asked = Map::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                format!(
                    "{word:?} is neither `off` nor a fault as delay=200ms; there are {}",
                    NAMES.join(", ")
                )
            })?;
            let name = NAMES
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| format!("{name:?} is no fault; there are {}", NAMES.join(", ")))?;
            let value = match value.parse::<u32>() {
                Ok(number) if name.contains("ercen") || name.contains("econd") => json!(number),
                _ => json!(value),
            };
            if asked.insert((*name).to_owned(), value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        let mut spec = checked(asked)?;
        (spec.receiver, spec.until) = (receiver, until);
        Ok(Self::These(spec))
    }
}

/// Held to the Channel's own rules, within a Channel that is good but for them.
fn checked(faults: Map<String, Value>) -> Result<FaultsSpec, String> {
    let example = Channel::from_yaml(EXAMPLE).map_err(|error| error.to_string())?;
    let mut document = serde_json::to_value(example).map_err(|error| error.to_string())?;
    document["spec"]["faults"] = faults.into();
    match Channel::from_value(document) {
        Ok(channel) => Ok(channel.spec.faults.unwrap_or_default()),
        Err(problems) => {
            let told = problems
                .iter()
                .map(|it| it.to_string().replace("spec.faults.", ""));
            Err(told.collect::<Vec<_>>().join("; "))
        }
    }
}

/// The fields that are set, as the document has them.
pub(crate) fn fields(faults: &FaultsSpec) -> Map<String, Value> {
    let nothing = FaultsSpec::default();
    let written = |faults: &FaultsSpec| match serde_json::to_value(faults) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let mut fields = written(faults);
    let defaults = written(&nothing);
    fields.retain(|name, value| defaults.get(name) != Some(value));
    fields
}

/// For a person: `delay=200ms errorPercent=5 at notification until 2026-11-24T09:27:00Z`.
pub(crate) fn told(faults: &FaultsSpec) -> String {
    let fields = fields(faults);
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut told: Vec<String> = NAMES
        .iter()
        .filter_map(|name| Some(format!("{name}={}", plain(fields.get(*name)?))))
        .collect();
    if told.is_empty() {
        told.push("nothing".to_owned());
    }
    let more = [("at", "receiver"), ("until", "until")];
    told.extend(
        more.iter()
            .filter_map(|(word, name)| Some(format!("{word} {}", plain(fields.get(*name)?)))),
    );
    told.join(" ")
}

/// As one line of YAML.
pub(crate) fn yaml(faults: &FaultsSpec) -> String {
    let field = |(name, value): (String, Value)| format!("{name}: {value}");
    let fields: Vec<String> = fields(faults).into_iter().map(field).collect();
    format!("{{{}}}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Result<Asked, String> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        Asked::from_words(&words, None, None)
    }

    fn these(words: &str) -> FaultsSpec {
        match asked(words) {
            Ok(Asked::These(faults)) => faults,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn faults_are_read_by_their_names_and_told_as_they_were_asked_for() {
        for words in [
            "delay=200ms errorPercent=5",
            "delay=1s jitter=50ms errorPercent=100 hangPercent=1 maxPerSecond=500",
        ] {
            assert_eq!(told(&these(words)), words);
        }
        assert_eq!(
            these("Delay=1s ERRORPERCENT=5"),
            these("errorPercent=5 delay=1s")
        );
        assert_eq!(asked(""), Ok(Asked::Show));
        assert_eq!(asked("off"), Ok(Asked::Off));
    }

    #[test]
    fn who_and_until_when_come_beside_them_and_stand_in_the_document() {
        let receiver = ServiceName::try_from("trending".to_owned()).unwrap();
        let until: Time = "2026-11-24T09:27:00Z".parse().unwrap();
        let words = ["delay=200ms".to_owned()];
        let asked = Asked::from_words(&words, Some(receiver.clone()), Some(until));
        let Ok(Asked::These(faults)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(
            told(&faults),
            "delay=200ms at trending until 2026-11-24T09:27:00Z"
        );
        assert_eq!(
            yaml(&faults),
            r#"{delay: "200ms", receiver: "trending", until: "2026-11-24T09:27:00Z"}"#
        );
        assert!(Asked::from_words(&["off".to_owned()], Some(receiver), None).is_err());
        assert!(Asked::from_words(&[], None, Some(until)).is_err());
    }

    #[test]
    fn what_can_not_be_is_refused_in_a_sentence() {
        let all = "there are delay, jitter, errorPercent, hangPercent, maxPerSecond";
        for (words, why) in [
            ("200ms", format!("\"200ms\" is neither `off` nor a fault as delay=200ms; {all}")),
            ("slow=1s", format!("\"slow\" is no fault; {all}")),
            ("off delay=1s", "`off` stands alone: it takes all faults away".to_owned()),
            ("delay=1s delay=2s", "delay is there twice".to_owned()),
            (
                "errorPercent=101 delay=soon",
                "delay must be a duration from 0s to 1m, written like 250ms, 2s or 1h30m, not \"soon\"; \
                 errorPercent must be a whole number from 0 to 100, not 101"
                    .to_owned(),
            ),
            (
                "maxPerSecond=0",
                "maxPerSecond must be a whole number from 1 to 1000000, not 0".to_owned(),
            ),
            (
                "hangPercent=many",
                "hangPercent must be a whole number from 0 to 100, not \"many\"".to_owned(),
            ),
        ] {
            assert_eq!(asked(words), Err(why), "{words}");
        }
    }
}
