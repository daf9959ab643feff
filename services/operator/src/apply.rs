//! Every write but the status: the finalizer, then the broker.

use duet_channel::transport::jetstream::Nats;
use duet_channel::transport::{ProvisionError, Steps};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::broker;
use crate::plan::{BrokerPlan, Finalizer, Plan};
use crate::stored::{FINALIZER, Stored};

/// Who the operator's writes are said to be by.
pub(crate) const MANAGER: &str = "duet-operator";

/// What came of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// What was done about the finalizer.
    pub(crate) finalizer: Option<Finalizer>,
    /// What was done at the broker, or why not.
    pub(crate) broker: Result<Steps, ProvisionError>,
}

impl Outcome {
    /// Whether anything was changed.
    pub(crate) fn is_something(&self) -> bool {
        let steps = self.broker.as_ref().is_ok_and(|steps| !steps.0.is_empty());
        self.finalizer.is_some() || steps
    }
}

/// Does what was planned. A broker that fails is an outcome.
///
/// # Errors
/// If the finalizer can't be written: then nothing is asked of the broker.
pub(crate) async fn apply(
    plan: Plan,
    stored: &Stored,
    channels: &Api<Stored>,
    nats: Option<&Nats>,
) -> Result<Outcome, kube::Error> {
    if let Some(finalizer) = &plan.finalizer {
        write(finalizer, stored, channels).await?;
    }
    let broker = match (plan.broker, nats) {
        (BrokerPlan::Provision(wanted, plan), Some(nats)) => {
            broker::provision(nats, &wanted, plan).await
        }
        (BrokerPlan::Remove(wanted), Some(nats)) => broker::remove(nats, &wanted).await,
        (BrokerPlan::Refuse(error), _) => Err(error),
        (BrokerPlan::Nothing, _) | (_, None) => Ok(Steps::default()),
    };
    Ok(Outcome {
        finalizer: plan.finalizer,
        broker,
    })
}

/// Writes the finalizers as they should be, if nobody else has written the Channel since.
async fn write(
    finalizer: &Finalizer,
    stored: &Stored,
    channels: &Api<Stored>,
) -> Result<(), kube::Error> {
    let others = stored.finalizers().iter().filter(|name| *name != FINALIZER);
    let ours = (*finalizer == Finalizer::Add).then(|| FINALIZER.to_owned());
    let finalizers: Vec<String> = others.cloned().chain(ours).collect();
    let patch = json!({
        "metadata": {"resourceVersion": stored.resource_version(), "finalizers": finalizers},
    });
    let by = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    channels
        .patch(&stored.name_any(), &by, &Patch::Merge(patch))
        .await
        .map(drop)
}
