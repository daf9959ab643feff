//! Waiting until every process of the pair follows a change of the Channel.

use crate::{
    failure::{Failure, Kind},
    internal::{self, Observed},
    place::Participant,
};
use futures::future::try_join_all;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two questions to a service.
const PAUSE: Duration = Duration::from_millis(20);

/// What is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    /// Whether a participant of this name, which tells this, follows.
    pub(crate) is_met: &'a dyn Fn(&str, &Observed) -> bool,
    /// The clock starts before the change is made: what is told is what a caller would have seen.
    pub(crate) since: Instant,
    pub(crate) patience: Duration,
}

/// Who follows: a service, in a cluster a pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Followed {
    pub(crate) service: String,
    pub(crate) took_ms: u128,
    /// What it told then.
    #[serde(skip)]
    pub(crate) told: Observed,
}

/// Waits until every participant says that it follows.
pub(crate) async fn followed(
    http: &reqwest::Client,
    participants: &[Participant],
    goal: Goal<'_>,
) -> Result<Vec<Followed>, Failure> {
    let follows = async |it: &Participant| {
        loop {
            let told = told(http, it).await;
            match told {
                Ok(told) if (goal.is_met)(&it.name, &told) => {
                    return Ok(Followed {
                        service: it.name.clone(),
                        took_ms: goal.since.elapsed().as_millis(),
                        told,
                    });
                }
                told if goal.since.elapsed() > goal.patience => {
                    return Err(not_followed(&it.name, told, goal.patience));
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    try_join_all(participants.iter().map(follows)).await
}

/// What a participant tells of the channel.
pub(crate) async fn told(http: &reqwest::Client, at: &Participant) -> Result<Observed, String> {
    internal::observed(http, at.internal.as_ref()?).await
}

fn not_followed(service: &str, told: Result<Observed, String>, patience: Duration) -> Failure {
    let instead = match told {
        Err(error) => error,
        Ok(told) => {
            let refused = told
                .conditions
                .iter()
                .find(|it| it.r#type == "Accepted" && it.status == "False");
            let why = refused.map(|it| format!(" ({}: {})", it.r#type, it.message));
            let generation = told
                .observed_generation
                .map(|it| format!(" of generation {it}"));
            format!(
                "it still says {}{}{}",
                told.mode.as_deref().unwrap_or("no mode"),
                generation.unwrap_or_default(),
                why.unwrap_or_default()
            )
        }
    };
    let what = format!("{service} doesn't follow within {patience:?}: {instead}");
    Failure::new(Kind::Late, what)
        .hint("The Channel is changed. `duet status` shows what each service says.")
}
