//! Which of several Channels that want the same is in force: the oldest. Pods choose theirs by the same rule.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::stored::Stored;

/// What a Channel wants for itself alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) name: String,
    /// None sorts first: it comes from a server that does not tell.
    pub(crate) created: Option<Timestamp>,
    pub(crate) from: String,
    pub(crate) stream: Option<String>,
}

impl Claim {
    /// What a Channel claims, also one that is no good: pods hold to the oldest, and wait for it to be put right.
    pub(crate) fn of(stored: &Stored) -> Option<Claim> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let spec = &stored.spec;
        Some(Claim {
            name: stored.metadata.name.clone()?,
            created: stored
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0),
            from: text(&spec["from"])?,
            stream: text(&spec["async"]["natsJetStream"]["stream"]["name"]),
        })
    }

    fn shares_with(&self, other: &Claim) -> Option<Over> {
        if self.from == other.from {
            Some(Over::From(self.from.clone()))
        } else if self.stream.is_some() && self.stream == other.stream {
            self.stream.clone().map(Over::Stream)
        } else {
            None
        }
    }
}

/// What two Channels both want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    From(String),
    Stream(String),
}

/// The older Channel that has what another wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    pub(crate) name: String,
    pub(crate) over: Over,
}

/// Who keeps the Channel called `name` from being in force. A Channel that is not in force itself keeps nobody.
pub(crate) fn rival(name: &str, mut claims: Vec<Claim>) -> Option<Rival> {
    claims.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
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
            from: from.to_owned(),
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
