//! The first Channel: made once from the release's values, and where they are to win, set to them again.
//!
//! That it was made is noted at the ConfigMap that the values are in, so that a Channel that is deleted by hand stays deleted.

use std::path::PathBuf;
use std::time::Duration;

use duet_crd::kubernetes::ChannelResource;
use duet_crd::{API_VERSION, Channel, KIND, MAX_BYTES, Problems};
use duet_web::health::Readiness;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::apply::MANAGER;
use crate::events::{News, Teller};
use crate::stored::Stored;

/// The annotation that says that the Channel was made.
const CREATED: &str = "duet.dev/channel-created";
/// How often the values are compared with the Channel, where they win. Also the pause after an error.
const EVERY: Duration = Duration::from_secs(5);

/// The first Channel.
#[derive(Clone, Debug)]
pub(crate) struct FirstChannel {
    /// The document, as the ConfigMap is mounted.
    pub(crate) file: PathBuf,
    /// The ConfigMap's name.
    pub(crate) config_map: String,
    /// Whether the document wins over what the Channel's spec became.
    pub(crate) enforce: bool,
}

/// Why the first Channel is not what it should be.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Document(#[from] Problems),
    #[error("{0}")]
    Api(#[from] kube::Error),
}

impl FirstChannel {
    /// Makes it, and keeps it if it is to be enforced, until `stop`.
    pub(crate) async fn keep(
        &self,
        client: &Client,
        namespace: &str,
        teller: &Teller,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) {
        let step = || self.step(client, namespace, teller);
        let mut told = None;
        loop {
            match step().await {
                Ok(()) => {
                    readiness.ready("first-channel");
                    told = None;
                    if !self.enforce {
                        return;
                    }
                }
                Err(error) => {
                    let error = format!("{}: {error}", self.file.display());
                    if told.as_ref() != Some(&error) {
                        tracing::error!("the first Channel is not made: {error}");
                        readiness.not_ready("first-channel", error.clone());
                        told = Some(error);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn step(&self, client: &Client, namespace: &str, teller: &Teller) -> Result<(), Error> {
        let document = self.read().await?;
        let channels: Api<Stored> = Api::namespaced(client.clone(), namespace);
        let name = document.metadata.name.as_str();
        let there = channels.list(&ListParams::default()).await?.items;
        let made = there.iter().find(|stored| stored.name_any() == name);
        if let Some(made) = made {
            self.note(client, namespace).await?;
            let differs = made
                .document()
                .map_or(true, |(made, _)| made.spec != document.spec);
            if self.enforce && differs && made.metadata.deletion_timestamp.is_none() {
                enforce(&channels, &document).await?;
                teller
                    .tell(&made.object_ref(&()), vec![News::enforced()])
                    .await;
            }
        } else if there.is_empty() && !self.is_noted(client, namespace).await? {
            let channels: Api<ChannelResource> = Api::namespaced(client.clone(), namespace);
            let mut resource = ChannelResource::from(document);
            resource.metadata.namespace = Some(namespace.to_owned());
            let by = PostParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PostParams::default()
            };
            let made = channels.create(&by, &resource).await?;
            teller
                .tell(&made.object_ref(&()), vec![News::created()])
                .await;
            self.note(client, namespace).await?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<Channel, Error> {
        let mut text = String::new();
        // One byte more than is allowed shows that there is more.
        let bound = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
        let file = tokio::fs::File::open(&self.file).await?;
        file.take(bound).read_to_string(&mut text).await?;
        Ok(Channel::from_yaml(&text)?)
    }

    async fn is_noted(&self, client: &Client, namespace: &str) -> Result<bool, Error> {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let map = maps.get(&self.config_map).await?;
        Ok(map.annotations().contains_key(CREATED))
    }

    async fn note(&self, client: &Client, namespace: &str) -> Result<(), Error> {
        if self.is_noted(client, namespace).await? {
            return Ok(());
        }
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let patch = json!({"metadata": {"annotations": {CREATED: "true"}}});
        let by = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        maps.patch(&self.config_map, &by, &Patch::Merge(patch))
            .await?;
        Ok(())
    }
}

/// Sets the Channel's spec to the document's.
async fn enforce(channels: &Api<Stored>, document: &Channel) -> Result<(), Error> {
    let name = document.metadata.name.as_str();
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": document.spec,
    });
    let by = PatchParams::apply(MANAGER).force();
    channels.patch(name, &by, &Patch::Apply(patch)).await?;
    Ok(())
}
