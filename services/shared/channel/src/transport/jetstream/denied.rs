//! What the broker denies the user that this process logs in as.
//!
//! It says so apart from the question, which it leaves without an answer.

use std::collections::BTreeMap;
use std::time::Instant;

use async_nats::ServerError;
use tokio::sync::watch;

/// The most subjects that are remembered.
const SUBJECTS: usize = 64;

/// A subject that this user may not publish or subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker denies {0} to this user: it lacks the right to it")]
pub(super) struct Denied(pub(super) String);

/// When each subject was denied last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Denials(watch::Sender<BTreeMap<String, Instant>>);

impl Denials {
    /// What the server says outside of any answer.
    pub(super) fn note(&self, error: &ServerError) {
        let ServerError::Other(text) = error else {
            return;
        };
        let Some(subject) = denied(text) else { return };
        self.0.send_modify(|denials| {
            if denials.len() >= SUBJECTS {
                denials.clear();
            }
            if denials.insert(subject.to_owned(), Instant::now()).is_none() {
                tracing::warn!(subject, "NATS denies it to this user");
            }
        });
    }

    /// Whether it was denied since then.
    pub(super) fn since(&self, subject: &str, since: Instant) -> Option<Denied> {
        let denials = self.0.borrow();
        let at = denials.get(subject)?;
        (*at >= since).then(|| Denied(subject.to_owned()))
    }

    /// What `asked` comes to, unless the subject that it asks at is denied meanwhile.
    pub(super) async fn unless_denied<T>(
        &self,
        subject: &str,
        asked: impl Future<Output = T>,
    ) -> Result<T, Denied> {
        let since = Instant::now();
        let mut denials = self.0.subscribe();
        let denied =
            denials.wait_for(|denials| denials.get(subject).is_some_and(|at| *at >= since));
        tokio::select! {
            biased;
            answer = asked => Ok(answer),
            // The sender lives as long as this.
            _ = denied => Err(Denied(subject.to_owned())),
        }
    }
}

/// The subject, as in `Permissions Violation for Publish to "a.b"`.
fn denied(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    rest.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_read_from_what_the_server_says() {
        for (text, subject) in [
            (r#"Permissions Violation for Publish to "a.b""#, Some("a.b")),
            (
                r#"Permissions Violation for Subscription to "a.>""#,
                Some("a.>"),
            ),
            (
                r#"Permissions Violation for Subscription to "a" using queue "q""#,
                Some("a"),
            ),
            ("Maximum Connections Exceeded", None),
            ("Permissions Violation for nothing", None),
        ] {
            assert_eq!(denied(text), subject, "{text}");
        }
    }

    #[tokio::test]
    async fn a_question_that_is_denied_ends_at_once_and_another_does_not() {
        let denials = Denials::default();
        let other = r#"Permissions Violation for Publish to "other""#;
        denials.note(&ServerError::Other(other.to_owned()));
        let ours = r#"Permissions Violation for Publish to "ours""#;
        let asked = async {
            denials.note(&ServerError::Other(ours.to_owned()));
            std::future::pending::<()>().await;
        };
        let answer = denials.unless_denied("ours", asked).await;
        assert_eq!(answer, Err(Denied("ours".to_owned())));
        // It may have been given the right in the meantime.
        assert_eq!(denials.unless_denied("ours", async { 1 }).await, Ok(1));
    }

    #[test]
    fn no_more_is_remembered_than_can_be_of_use() {
        let denials = Denials::default();
        for number in 0..SUBJECTS * 3 {
            let text = format!("Permissions Violation for Publish to \"{number}\"");
            denials.note(&ServerError::Other(text));
        }
        assert!(denials.0.borrow().len() <= SUBJECTS);
    }
}
