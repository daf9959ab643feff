//! What a `duet compare` does to a release for a while: its Channel patched, a part of it taken away, and given back.

use super::{connect::Cluster, pods::Component, problem::asking};
use crate::failure::{Failure, Kind};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Where a run keeps, on the Channel, what it has changed.
const NOTE: &str = "duet.dev/compare";

impl Cluster {
    /// The Channel as the API has it, and the run's note on it.
    pub(crate) async fn document(&self, name: &str) -> Result<(Value, Option<String>), Failure> {
        let channels = self.channels();
        let channel = asking("read the Channel", channels.get(name)).await?;
        let note = channel.metadata.annotations.as_ref();
        let note = note.and_then(|it| it.get(NOTE)).cloned();
        let metadata = json!({ "name": name });
        let document = json!({
            "apiVersion": duet_crd::API_VERSION, "kind": duet_crd::KIND,
            "metadata": metadata, "spec": channel.data["spec"],
        });
        Ok((document, note))
    }

    /// Writes the run's note on the Channel, or takes it away.
    pub(crate) async fn note(&self, channel: &str, note: Option<&str>) -> Result<(), Failure> {
        let patch = json!({"metadata": {"annotations": {NOTE: note}}});
        self.patch_channel(channel, &patch).await.map(|_| ())
    }

    /// How many pods the part is to have; none if the release has no such part.
    pub(crate) async fn replicas(&self, part: Component) -> Result<Option<i64>, Failure> {
        let controllers = self.controllers(part);
        let found = controllers.get_opt(self.release.service(part));
        let found = asking("read how many pods there are to be", found).await?;
        Ok(found.map(|it| it.data["spec"]["replicas"].as_i64().unwrap_or(1)))
    }

    /// Whether the part has what it stores again after its pod was replaced.
    pub(crate) async fn keeps_its_store(&self, part: Component) -> Result<bool, Failure> {
        let found = self.controller(part, "read what a pod keeps").await?;
        let spec = &found.data["spec"];
        let claimed = spec["volumeClaimTemplates"]
            .as_array()
            .is_some_and(|it| !it.is_empty());
        let volumes = spec["template"]["spec"]["volumes"].as_array();
        let data = volumes.and_then(|all| all.iter().find(|it| it["name"] == "data"));
        Ok(claimed || data.is_some_and(|it| it.get("persistentVolumeClaim").is_some()))
    }

    /// The API server's version.
    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let told = asking(
            "read the cluster's version",
            self.client.apiserver_version(),
        )
        .await?;
        Ok(told.git_version)
    }

    /// The tag of the image that the part runs, which is its version; none where it has none.
    pub(crate) async fn tag(&self, part: Component) -> Result<Option<String>, Failure> {
        let found = self.controller(part, "read which image a pod runs").await?;
        let image = found.data["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        let name = image.and_then(|it| it.split('@').next()?.rsplit('/').next());
        let tag = name.and_then(|it| it.split_once(':'));
        Ok(tag.map(|(_, tag)| tag.to_owned()))
    }

    /// Asks for so many pods of the part.
    pub(crate) async fn scale(&self, part: Component, replicas: i64) -> Result<(), Failure> {
        let patch = json!({"spec": {"replicas": replicas}});
        self.patch_controller(part, &patch).await
    }

    /// Asks for a new pod in place of each, as `kubectl rollout restart` does.
    pub(crate) async fn restart(&self, part: Component) -> Result<(), Failure> {
        let now = jiff::Timestamp::now().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        self.patch_controller(part, &patch).await
    }

    /// Deletes the part's pods at once; others come in their place.
    pub(crate) async fn delete_pods(&self, part: Component) -> Result<(), Failure> {
        let now = DeleteParams::default().grace_period(0);
        let (pods, of_it) = (self.pods(), self.of(part));
        let deleted = pods.delete_collection(&now, &of_it);
        asking("delete pods", deleted).await.map(|_| ())
    }

    /// Waits until no pod of the part is left.
    pub(crate) async fn gone(&self, part: Component, patience: Duration) -> Result<(), Failure> {
        self.wait(part, patience, "has pods left", async || {
            let pods = asking("list pods", self.pods().list(&self.of(part))).await?;
            Ok(pods.items.is_empty())
        })
        .await
    }

    /// Waits until as many pods of the part as there are to be are up to date and ready.
    pub(crate) async fn whole(&self, part: Component, patience: Duration) -> Result<(), Failure> {
        self.wait(part, patience, "isn't ready", async || {
            let found = self
                .controller(part, "read how many pods are ready")
                .await?;
            let wanted = found.data["spec"]["replicas"].as_i64().unwrap_or(1);
            let status = &found.data["status"];
            let of = |field: &str| status[field].as_i64().unwrap_or_default();
            let observed = status["observedGeneration"].as_i64() >= found.metadata.generation;
            let each = ["replicas", "updatedReplicas", "readyReplicas"].map(of);
            Ok(observed && each == [wanted; 3])
        })
        .await
    }

    async fn wait(
        &self,
        part: Component,
        patience: Duration,
        why: &str,
        is_so: impl AsyncFn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        while !is_so().await? {
            if Instant::now() >= deadline {
                let part = self.release.service(part);
                let what = format!("{part} {why} after {patience:?}");
                return Err(Failure::new(Kind::Late, what));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn controller(&self, part: Component, doing: &str) -> Result<DynamicObject, Failure> {
        let controllers = self.controllers(part);
        let found = controllers.get(self.release.service(part));
        asking(doing, found).await
    }

    async fn patch_controller(&self, part: Component, patch: &Value) -> Result<(), Failure> {
        let controllers = self.controllers(part);
        let params = PatchParams::default();
        let patch = Patch::Merge(patch);
        let patched = controllers.patch(self.release.service(part), &params, &patch);
        let doing = format!("change {}", self.release.service(part));
        asking(&doing, patched).await.map(|_| ())
    }

    /// A Deployment, or for the broker a StatefulSet, of the Service's name.
    fn controllers(&self, part: Component) -> Api<DynamicObject> {
        let kind = match part {
            Component::Nats => ApiResource::erase::<StatefulSet>(&()),
            _ => ApiResource::erase::<Deployment>(&()),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
    }
}
