//! Which of a namespace's Channels that want the same is in force: the oldest. The operator and the pods both hold to this.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// What a Channel wants for itself alone. The older comes first; of two that are as old, the first by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// None sorts first: it comes from a server that does not tell.
    created: Option<Timestamp>,
    name: String,
    from: Option<String>,
    stream: Option<String>,
}

impl Claim {
    /// What a Channel claims, also one whose spec is no good: pods hold to the oldest, and wait for it to be put right.
    pub fn of(metadata: &ObjectMeta, spec: &Value) -> Claim {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let created = metadata.creation_timestamp.as_ref();
        Claim {
            created: created.map(|time| time.0),
            name: metadata.name.clone().unwrap_or_default(),
            from: text(&spec["from"]),
            stream: text(&spec["async"]["natsJetStream"]["stream"]["name"]),
        }
    }

    /// The Channel's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn shares_with(&self, other: &Claim) -> Option<Over> {
        let same =
            |own: &Option<String>, others: &Option<String>| own.clone().filter(|_| own == others);
        same(&self.from, &other.from)
            .map(Over::From)
            .or_else(|| same(&self.stream, &other.stream).map(Over::Stream))
    }
}

/// What two Channels both want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The Service that events are from.
    From(String),
    /// The stream.
    Stream(String),
}

/// The older Channel that has what another wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// What it has.
    pub over: Over,
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rival { name, over } = self;
        write!(f, "the Channel {name}, which is older, has ")?;
        match over {
            Over::From(service) => write!(f, "from {service}"),
            Over::Stream(stream) => write!(f, "the stream {stream}"),
        }?;
        write!(f, "; delete one of the two")
    }
}

/// Who keeps the Channel called `name` from being in force, of all the namespace's. A Channel that is not in force itself keeps nobody.
pub fn rival(name: &str, mut claims: Vec<Claim>) -> Option<Rival> {
    claims.sort();
    let mut in_force: Vec<Claim> = Vec::new();
    for claim in claims {
        let rival = in_force.iter().find_map(|older| {
            claim.shares_with(older).map(|over| Rival {
                name: older.name.clone(),
                over,
            })
        });
        if claim.name == name {
            return rival;
        }
        if rival.is_none() {
            in_force.push(claim);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, second: i64, from: &str, stream: Option<&str>) -> Claim {
        Claim {
            name: name.to_owned(),
            created: Timestamp::from_second(second).ok(),
            from: Some(from.to_owned()),
            stream: stream.map(str::to_owned),
        }
    }

    #[test]
    fn the_older_is_in_force_and_the_other_is_told_why() {
        let older = || claim("older", 1, "a", Some("S"));
        let cases = [
            (
                "the same from",
                claim("x", 2, "a", None),
                Some(Over::From("a".to_owned())),
            ),
            (
                "the same stream",
                claim("x", 2, "b", Some("S")),
                Some(Over::Stream("S".to_owned())),
            ),
            ("nothing in common", claim("x", 2, "b", Some("T")), None),
            ("two without a stream", claim("x", 2, "b", None), None),
            ("it is the older itself", claim("x", 0, "a", None), None),
            (
                "as old, and the later name",
                claim("x", 1, "a", None),
                Some(Over::From("a".to_owned())),
            ),
            (
                "as old, and the earlier name",
                claim("a", 1, "a", None),
                None,
            ),
        ];
        for (case, this, over) in cases {
            let name = this.name.clone();
            let rival = rival(&name, vec![this, older()]);
            let expected = over.map(|over| Rival {
                name: "older".to_owned(),
                over,
            });
            assert_eq!(rival, expected, "{case}");
        }
    }

    #[test]
    fn one_that_is_not_in_force_keeps_nobody() {
        let claims = || {
            vec![
                claim("c", 3, "c", Some("T")),
                claim("b", 2, "a", Some("T")),
                claim("a", 1, "a", Some("S")),
            ]
        };
        assert_eq!(rival("b", claims()).unwrap().name, "a");
        assert_eq!(rival("c", claims()), None);
    }
}
