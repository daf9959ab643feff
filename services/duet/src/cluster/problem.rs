//! What the API server says, as the user reads it.

use crate::failure::{Failure, Kind};
use std::{fmt::Write as _, time::Duration};

/// How long one answer of the API server may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Why a request to the API server brought nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// There is no kubeconfig that says where it is.
    NoConfig(String),
    /// The kubeconfig has others than the context that is wanted, or no context is.
    NoContext {
        wanted: Option<String>,
        there: Vec<String>,
    },
    /// It could not be reached.
    Unreachable(String),
    /// The user may not; the message says which right is missing.
    Forbidden(String),
    /// The API server doesn't know the user.
    Unauthorized(String),
    /// The API server doesn't know such a resource.
    NoDefinition,
    /// There is no such object.
    NotFound(String),
    /// The object is not as its definition wants it.
    Refused(String),
    /// Anything else.
    Other(String),
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        use kube::Error;
        match error {
            Error::Api(status) => match status.code {
                401 => Self::Unauthorized(status.message),
                403 => Self::Forbidden(status.message),
                // Of a resource that isn't there the API server names the object; of a path that isn't there it can't.
                404 if status
                    .details
                    .as_ref()
                    .is_some_and(|it| !it.name.is_empty()) =>
                {
                    Self::NotFound(status.message)
                }
                404 => Self::NoDefinition,
                422 => Self::Refused(status.message),
                _ => Self::Other(status.message),
            },
            Error::HyperError(error) => Self::Unreachable(whole(&error)),
            Error::Service(error) => Self::Unreachable(whole(&*error)),
            Error::Auth(_) => Self::Unauthorized(whole(&error)),
            error => Self::Other(whole(&error)),
        }
    }
}

impl Problem {
    /// Whether it may be otherwise a moment later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::NotFound(_) | Self::Other(_)
        )
    }

    /// `doing` completes "can't …".
    pub(super) fn failure(self, doing: &str) -> Failure {
        let (kind, why, hint) = match self {
            Self::NoConfig(why) => (
                Kind::NotRunning,
                why,
                Some("Name another file with KUBECONFIG, or another context with --context. `make kind` makes a cluster and both.".to_owned()),
            ),
            Self::NoContext { wanted, there } => (
                Kind::NotRunning,
                match wanted {
                    Some(wanted) => format!("the kubeconfig has no context {wanted}"),
                    None => "the kubeconfig has no current context".to_owned(),
                },
                Some(match there[..] {
                    [] => "It has none at all. `make kind` makes a cluster and its context; KUBECONFIG names another file.".to_owned(),
                    _ => format!(
                        "It has: {}. Name one with --context, or another file with KUBECONFIG.",
                        there.join(", ")
                    ),
                }),
            ),
            Self::Unreachable(why) => (
                Kind::NotRunning,
                format!("the API server can't be reached: {why}"),
                Some("Does `kubectl cluster-info` answer? --context names another cluster.".to_owned()),
            ),
            Self::Forbidden(message) => (
                Kind::Failed,
                message,
                Some("Whoever administers the cluster can give that right.".to_owned()),
            ),
            Self::Unauthorized(message) => (
                Kind::Failed,
                format!("the API server doesn't accept the credentials: {message}"),
                None,
            ),
            Self::NoDefinition => (
                Kind::NotRunning,
                "the cluster doesn't know Channels: channels.duet.dev is not installed".to_owned(),
                Some("Installing the chart installs it.".to_owned()),
            ),
            Self::NotFound(message) => (Kind::NotRunning, message, None),
            Self::Refused(message) => (Kind::Invalid, message, None),
            Self::Other(message) => (Kind::Failed, message, None),
        };
        let failure = Failure::new(kind, format!("can't {doing}: {why}"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Awaits an answer, within a bound.
pub(super) async fn asking<T>(
    doing: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => answer.map_err(|error| Problem::from(error).failure(doing)),
        Err(_) => Err(Problem::Unreachable(format!("no answer within {ANSWER:?}")).failure(doing)),
    }
}

/// An error and what caused it, each once.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let one = error.to_string();
        if !text.contains(&one) {
            // Writing to a String can't fail.
            let _ = write!(text, "{}{one}", if text.is_empty() { "" } else { ": " });
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{Status, response::StatusDetails};

    #[test]
    fn what_the_api_server_says_is_told_with_what_to_do() {
        let said = |code, message: &str, name: &str| {
            let details: StatusDetails =
                serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
            let status = Status::failure(message, "")
                .with_code(code)
                .with_details(details);
            Problem::from(kube::Error::Api(status.boxed())).failure("patch the Channel")
        };
        for (code, message, name, kind, told) in [
            (
                403,
                "User \"eva\" cannot patch",
                "reactions",
                Kind::Failed,
                "can't patch the Channel: User \"eva\" cannot patch",
            ),
            (
                404,
                "channels \"x\" not found",
                "x",
                Kind::NotRunning,
                "channels \"x\" not found",
            ),
            (
                404,
                "404 page not found",
                "",
                Kind::NotRunning,
                "channels.duet.dev is not installed",
            ),
            (
                422,
                "spec.mode: Unsupported value",
                "reactions",
                Kind::Invalid,
                "spec.mode: Unsupported value",
            ),
            (401, "Unauthorized", "", Kind::Failed, "credentials"),
            (500, "etcd is away", "", Kind::Failed, "etcd is away"),
        ] {
            let failure = said(code, message, name);
            assert_eq!(failure.kind(), kind, "{message}");
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
