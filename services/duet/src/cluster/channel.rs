//! The release's Channel: found, patched, waited for.

use super::{
    connect::Cluster,
    pods::Component,
    problem::asking,
    standing::{Standing, following},
};
use crate::failure::{Failure, Kind};
use duet_crd::{Mode, kubernetes::ChannelResource};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, ValidationDirective},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Channels in one namespace are fewer than this.
const CHANNELS: u32 = 500;
/// Between two looks at the status.
const PAUSE: Duration = Duration::from_millis(100);
/// Who changed it, as the object's managed fields tell it.
const MANAGER: &str = "duet";

impl Cluster {
    /// Whether the Channel that Reaction's pods follow is to this Service.
    pub(super) async fn is_to(&self, service: &str) -> bool {
        let many = ListParams::default().limit(CHANNELS);
        let found = self.channels().list(&many).await;
        let from = self.release.service(Component::Reaction);
        let channel = found.ok().and_then(|found| choose(found.items, from));
        channel.is_some_and(|it| names(&it, service))
    }

    /// The Channel that Reaction's pods follow.
    pub(crate) async fn channel(&self) -> Result<Standing, Failure> {
        let many = ListParams::default().limit(CHANNELS);
        let found = asking("read Channels", self.channels().list(&many)).await?;
        let from = self.release.service(Component::Reaction);
        let names: Vec<_> = found.items.iter().map(ResourceExt::name_any).collect();
        let channel = choose(found.items, from).ok_or_else(|| {
            let first = self.release.first_channel();
            none_of(from, &self.namespace, &names, &first, &self.kubectl())
        })?;
        Standing::of(&self.namespace, &channel)
    }

    /// Asks for another mode, and returns the Channel as it is then.
    pub(crate) async fn switch(&self, channel: &Standing, mode: Mode) -> Result<Standing, Failure> {
        let patch = json!({ "spec": { "mode": mode } });
        self.patch_channel(&channel.name, &patch).await
    }

    /// Applies a merge patch to a Channel, and returns it as it is then. A field that its definition doesn't know is refused.
    pub(crate) async fn patch_channel(
        &self,
        name: &str,
        patch: &Value,
    ) -> Result<Standing, Failure> {
        self.patch_channel_as(MANAGER, name, patch).await
    }

    /// The same, told apart from other changes in the object's managed fields.
    pub(crate) async fn patch_channel_as(
        &self,
        manager: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Standing, Failure> {
        self.may_be_changed().await?;
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let channels = self.channels();
        let patch = Patch::Merge(patch);
        let patched = channels.patch(name, &params, &patch);
        let patched = asking("change the Channel", patched).await?;
        Standing::of(&self.namespace, &patched)
    }

    /// Whether a change by hand lasts: where the chart's `channel.enforce` is on, the operator takes it back.
    async fn may_be_changed(&self) -> Result<(), Failure> {
        let name = self.release.first_channel();
        let first: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        // Who may not read it is not kept from changing the Channel.
        let Ok(first) = asking("read the release's Channel", first.get(&name)).await else {
            return Ok(());
        };
        match is_enforced(&first) {
            false => Ok(()),
            true => Err(Failure::new(
                Kind::Failed,
                "the operator would take the change back: the chart's channel.enforce is on",
            )
            .hint(format!(
                "Change channel.spec in the release's values: `helm upgrade {} CHART --namespace {} --reuse-values --set channel.spec.mode=Async`.",
                self.release.name, self.namespace
            ))),
        }
    }

    /// Waits until the status says that every pod follows the Channel as it was then.
    pub(crate) async fn all_follow(
        &self,
        then: &Standing,
        patience: Duration,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            let now = asking("read the Channel", self.channels().get(&then.name)).await?;
            match following(then, &Standing::of(&self.namespace, &now)?) {
                Ok(()) => return Ok(()),
                Err(why) if why.is_final() || Instant::now() >= deadline => {
                    return Err(Failure::new(Kind::Late, why.to_string())
                        .hint("The Channel is changed. `duet status` shows what each pod says, and `kubectl describe` its Events."));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// As the API has them: one that is no good hides no other.
    pub(super) fn channels(&self) -> Api<DynamicObject> {
        let channels = ApiResource::erase::<ChannelResource>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &channels)
    }
}

/// The one of that sender; of several the oldest, which is the one in force.
fn choose(channels: Vec<DynamicObject>, from: &str) -> Option<DynamicObject> {
    let of_it = channels
        .into_iter()
        .filter(|it| it.data["spec"]["from"] == from);
    of_it.min_by_key(|it| (it.creation_timestamp().map(|at| at.0), it.name_any()))
}

/// Whether a Channel is to this Service.
fn names(channel: &DynamicObject, service: &str) -> bool {
    let to = channel.data["spec"]["to"].as_array();
    to.is_some_and(|to| to.iter().any(|it| it["name"] == service))
}

/// Whether the release keeps its Channel as its values have it.
fn is_enforced(first: &ConfigMap) -> bool {
    let told = first.data.as_ref().and_then(|data| data.get("enforce"));
    told.is_some_and(|told| told == "true")
}

/// Why there is no Channel of that sender, and how there will be one; `first` is the ConfigMap that the first one is made from.
fn none_of(from: &str, namespace: &str, others: &[String], first: &str, kubectl: &str) -> Failure {
    let mut what = format!("no Channel of {from} is in the namespace {namespace}");
    if !others.is_empty() {
        what += &format!(", only others: {}", others.join(", "));
    }
    Failure::new(Kind::NotRunning, what).hint(format!(
        "The operator makes the first one: does it run (`{kubectl} get pods`)? One that was deleted comes back only if you make it:\n  \
         {kubectl} get configmap {first} --output jsonpath='{{.data.channel\\.yaml}}' | {kubectl} create --filename -"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str, created: &str, spec: Value) -> DynamicObject {
        let metadata = json!({"name": name, "creationTimestamp": format!("2026-11-24T{created}Z")});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn a_release_that_keeps_its_channel_says_so() {
        let told =
            |data: Value| is_enforced(&serde_json::from_value(json!({"data": data})).unwrap());
        assert!(told(json!({"enforce": "true", "channel.yaml": ""})));
        assert!(!told(json!({"enforce": "false"})));
        // A release of an older chart.
        assert!(!told(json!({"channel.yaml": "enforce: true"})));
    }

    #[test]
    fn of_several_channels_of_a_sender_the_oldest_is_meant_and_no_good_ones_hide_none() {
        let all = vec![
            channel("no-spec", "07:00:00", Value::Null),
            channel("no-sender", "08:00:00", json!({"from": 7, "to": "x"})),
            channel("newer", "11:00:00", json!({"from": "duet-reaction"})),
            channel("other", "09:00:00", json!({"from": "other-reaction"})),
            channel("older", "10:00:00", json!({"from": "duet-reaction"})),
        ];
        let chosen = |from| choose(all.clone(), from).map(|it| it.name_any());
        assert_eq!(chosen("duet-reaction").as_deref(), Some("older"));
        assert_eq!(chosen("nobody"), None);
    }

    #[test]
    fn a_channel_is_to_the_services_that_it_names_and_one_that_is_no_good_to_none() {
        let to = |to: Value| channel("it", "07:00:00", json!({ "to": to }));
        let both = to(json!([{"name": "duet-notification"}, {"name": "duet-trending"}]));
        assert!(names(&both, "duet-trending") && !names(&both, "trending"));
        assert!(!names(&to(json!("duet-trending")), "duet-trending"));
    }

    #[test]
    fn where_there_is_none_it_is_told_how_a_deleted_one_is_made_again() {
        let told = |others: &[&str]| {
            let others: Vec<_> = others.iter().map(|it| (*it).to_owned()).collect();
            let kubectl = "kubectl --context c --namespace ns";
            none_of("duet-reaction", "ns", &others, "duet-channel", kubectl).to_string()
        };
        let deleted = "\
no Channel of duet-reaction is in the namespace ns
The operator makes the first one: does it run (`kubectl --context c --namespace ns get pods`)? One that was deleted comes back only if you make it:
  kubectl --context c --namespace ns get configmap duet-channel --output jsonpath='{.data.channel\\.yaml}' | kubectl --context c --namespace ns create --filename -";
        assert_eq!(told(&[]), deleted);
        assert!(told(&["a", "b"]).contains("in the namespace ns, only others: a, b\n"));
    }

    #[test]
    fn only_the_one_that_is_meant_must_be_one_that_can_be_read() {
        for (spec, told) in [
            (json!({"mode": "Async", "later": {}}), Ok(Mode::Async)),
            (
                json!({"mode": "Later"}),
                Err("spec.mode: unknown variant `Later`"),
            ),
            (json!({}), Err("spec.mode: ")),
        ] {
            let channel = channel("reactions", "10:00:00", spec);
            match (Standing::of("duet", &channel), told) {
                (Ok(standing), Ok(mode)) => assert_eq!(standing.mode, mode),
                (Err(failure), Err(why)) => {
                    assert_eq!(failure.kind(), Kind::Invalid);
                    let failure = failure.to_string();
                    let which = "can't read channel/reactions (namespace duet): ";
                    assert!(failure.starts_with(&format!("{which}{why}")), "{failure}");
                }
                (found, _) => panic!("{found:?} is not {told:?}"),
            }
        }
    }
}
