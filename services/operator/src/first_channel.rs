//! The first Channel: made once from the release's values, and where they are to win, set to them again.
//!
//! That it was made, or that the namespace had one, is noted at the ConfigMap that the values are in. A Channel that is deleted by hand
//! stays deleted, and none is made while a release is removed.

use std::path::PathBuf;
use std::time::Duration;

use duet_crd::kubernetes::ChannelResource;
use duet_crd::{Channel, MAX_BYTES, Problems};
use duet_web::health::Readiness;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::apply::MANAGER;
use crate::cluster::said;
use crate::events::{News, Teller};
use crate::stored::Stored;

/// The annotation that says that the Channel was made, or that the namespace had one.
const CREATED: &str = "duet.dev/channel-created";
/// What readiness calls it.
pub(crate) const PART: &str = "first-channel";
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
    #[error("{}", said(.0))]
    Api(#[from] kube::Error),
    #[error("a Channel is being deleted; the first one is made once that is gone")]
    Going,
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
                    readiness.ready(PART);
                    told = None;
                    if !self.enforce {
                        return;
                    }
                }
                Err(error) => {
                    let error = format!("{}: {error}", self.file.display());
                    if told.as_ref() != Some(&error) {
                        tracing::error!("the first Channel is not made: {error}");
                        readiness.not_ready(PART, error.clone());
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
        let there = channels.list(&ListParams::default()).await?.items;
        let is_noted = self.is_noted(client, namespace).await?;
        let step = Step::of(&document, &there, is_noted, self.enforce);
        match step {
            Step::Nothing | Step::Note => {}
            Step::Wait => return Err(Error::Going),
            Step::Create => {
                let channels: Api<ChannelResource> = Api::namespaced(client.clone(), namespace);
                let made = create(&channels, document, namespace).await?;
                teller
                    .tell(&made.object_ref(&()), vec![News::created()])
                    .await;
            }
            Step::Enforce(stored) => {
                enforce(&channels, stored, &document).await?;
                teller
                    .tell(&stored.object_ref(&()), vec![News::enforced()])
                    .await;
            }
        }
        if !is_noted && !matches!(step, Step::Nothing) {
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

/// What is to be done about the first Channel.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Nothing,
    Create,
    /// Those that are there are being deleted.
    Wait,
    /// It is there, or another is, and that was not noted.
    Note,
    /// It is there, and says something else than the document.
    Enforce(&'a Stored),
}

impl<'a> Step<'a> {
    /// Of a namespace that has these Channels. One that was made, and is gone, was deleted by hand: also where the document wins.
    fn of(document: &Channel, there: &'a [Stored], is_noted: bool, enforce: bool) -> Step<'a> {
        let name = document.metadata.name.as_str();
        match there.iter().find(|stored| stored.name_any() == name) {
            Some(made) => {
                let differs = made
                    .document()
                    .map_or(true, |(made, _)| made.spec != document.spec);
                if enforce && differs && !is_going(made) {
                    Step::Enforce(made)
                } else if is_noted {
                    Step::Nothing
                } else if is_going(made) {
                    // A former release's: this one's comes after it.
                    Step::Wait
                } else {
                    Step::Note
                }
            }
            None if is_noted => Step::Nothing,
            None if there.is_empty() => Step::Create,
            None if there.iter().all(is_going) => Step::Wait,
            None => Step::Note,
        }
    }
}

fn is_going(channel: &Stored) -> bool {
    channel.metadata.deletion_timestamp.is_some()
}

async fn create(
    channels: &Api<ChannelResource>,
    document: Channel,
    namespace: &str,
) -> Result<ChannelResource, Error> {
    let mut resource = ChannelResource::from(document);
    resource.metadata.namespace = Some(namespace.to_owned());
    let by = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    Ok(channels.create(&by, &resource).await?)
}

/// Sets the Channel's spec to the document's.
async fn enforce(
    channels: &Api<Stored>,
    stored: &Stored,
    document: &Channel,
) -> Result<(), kube::Error> {
    let patch =
        serde_json::from_value(whole_spec(stored, document)).map_err(kube::Error::SerdeError)?;
    let by = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let name = stored.name_any();
    channels
        .patch(&name, &by, &Patch::<()>::Json(patch))
        .await?;
    Ok(())
}

/// The spec as a whole, of this very Channel. Merged or applied, what the document does not have would stay: the two would differ for ever.
fn whole_spec(stored: &Stored, document: &Channel) -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": stored.metadata.uid},
        {"op": "replace", "path": "/spec", "value": document.spec},
    ])
}

#[cfg(test)]
mod tests {
    use duet_crd::{EXAMPLE, Mode};

    use super::*;

    fn stored(name: &str, change: impl FnOnce(&mut Channel)) -> Stored {
        let mut channel = Channel::from_yaml(EXAMPLE).unwrap();
        change(&mut channel);
        let mut resource = ChannelResource::from(channel);
        resource.metadata.name = Some(name.to_owned());
        serde_json::from_value(serde_json::to_value(resource).unwrap()).unwrap()
    }

    #[test]
    fn it_is_made_once_and_wins_only_where_it_is_to() {
        let document = Channel::from_yaml(EXAMPLE).unwrap();
        let same = || vec![stored("reactions", |_| {})];
        let patched = || {
            vec![stored("reactions", |channel| {
                channel.spec.mode = Mode::Async
            })]
        };
        let other = || vec![stored("other", |_| {})];
        let going = || {
            let mut going = patched();
            going[0].metadata.deletion_timestamp = Some(crate::fixtures::at(0).into());
            going
        };
        let other_going = || {
            let mut going = other();
            going[0].metadata.deletion_timestamp = Some(crate::fixtures::at(0).into());
            going
        };
        for (case, there, is_noted, enforce, expected) in [
            ("an empty namespace", vec![], false, false, "Create"),
            (
                "an empty namespace, enforced",
                vec![],
                false,
                true,
                "Create",
            ),
            ("it was deleted by hand", vec![], true, false, "Nothing"),
            (
                "it was deleted by hand, enforced",
                vec![],
                true,
                true,
                "Nothing",
            ),
            ("another is there", other(), false, true, "Note"),
            ("another is there, noted", other(), true, true, "Nothing"),
            ("the other is removed, noted", vec![], true, true, "Nothing"),
            (
                "another is being deleted",
                other_going(),
                false,
                true,
                "Wait",
            ),
            (
                "another is being deleted, a third stays",
                [other_going(), other()].concat(),
                false,
                true,
                "Note",
            ),
            (
                "it is there, and was not noted",
                same(),
                false,
                false,
                "Note",
            ),
            ("it is as it was made", same(), true, true, "Nothing"),
            ("it was patched", patched(), true, false, "Nothing"),
            ("it was patched, enforced", patched(), true, true, "Enforce"),
            ("it is being deleted", going(), true, true, "Nothing"),
            (
                "a former one is being deleted",
                going(),
                false,
                true,
                "Wait",
            ),
        ] {
            let step = format!("{:?}", Step::of(&document, &there, is_noted, enforce));
            assert!(step.starts_with(expected), "{case}: {step}");
        }
    }

    /// A Channel that has `async` differs from a document without it until `async` is gone.
    #[test]
    fn what_the_document_does_not_have_goes() {
        let made = stored("reactions", |_| {});
        assert!(!made.spec["async"].is_null());
        let mut document = Channel::from_yaml(EXAMPLE).unwrap();
        document.spec.r#async = None;
        let is_enforced = |made: &Stored| {
            let there = std::slice::from_ref(made);
            matches!(Step::of(&document, there, true, true), Step::Enforce(_))
        };
        assert!(is_enforced(&made));
        let patch = whole_spec(&made, &document);
        assert_eq!(patch[1]["path"], "/spec");
        let after = Stored {
            spec: patch[1]["value"].clone(),
            ..made
        };
        assert!(!is_enforced(&after));
    }
}
