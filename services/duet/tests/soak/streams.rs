use crate::callers::owners;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::BytesMut;
use duet_history::Told;
use duet_testkit::{Pair, group};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::codec::Decoder;

/// After how long a listener whose stream has ended connects again.
const AGAIN: Duration = Duration::from_millis(50);

/// Every owner listens to an event stream, over all its connections. They end when it is dropped.
pub(crate) struct Streams {
    told: Arc<Mutex<BTreeMap<Arc<str>, Vec<Told>>>>,
    _listeners: JoinSet<()>,
}

impl Streams {
    pub(crate) fn listen(pair: &Pair) -> Self {
        let told = Arc::<Mutex<BTreeMap<_, Vec<_>>>>::default();
        let mut listeners = JoinSet::new();
        for owner in owners().into_values().collect::<BTreeSet<_>>() {
            let url = format!(
                "{}/v1/users/{owner}/notifications/stream?from=start",
                pair.notification.public()
            );
            let told = told.clone();
            listeners.spawn(async move {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                let mut listener = Listener::default();
                loop {
                    let mut request = http.get(&url);
                    if !listener.last.is_empty() {
                        request = request.header("last-event-id", &listener.last);
                    }
                    let mut buffer = BytesMut::new();
                    let mut decoder = russe::Decoder::default();
                    if let Ok(mut answer) = request.send().await
                        && answer.status().is_success()
                    {
                        while let Ok(Some(chunk)) = answer.chunk().await {
                            buffer.extend(chunk);
                            while let Some(event) = decoder.decode(&mut buffer).unwrap() {
                                let event = listener.heard(&owner, event);
                                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                                told.entry(owner.clone()).or_default().extend(event);
                            }
                        }
                    }
                    sleep(AGAIN).await;
                }
            });
        }
        Self {
            told,
            _listeners: listeners,
        }
    }

    /// What an owner was told so far.
    pub(crate) fn told(&self, owner: &str) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(owner).cloned().unwrap_or_default()
    }
}

#[derive(Default)]
struct Listener {
    /// The last id that came: where the next connection goes on.
    last: String,
}

impl Listener {
    fn heard(&mut self, owner: &Arc<str>, event: russe::Event) -> Option<Told> {
        let russe::Event::Message(message) = event else {
            return None;
        };
        if let Some(id) = &message.id {
            self.last = id.to_string();
        }
        let name = message.event?;
        let data: Value = serde_json::from_str(&message.data).unwrap_or_default();
        Some(match &*name {
            "notification" => Told::Shown {
                id: place(&self.last),
                group: group(owner, &data),
            },
            "removed" => Told::Removed {
                id: place(&self.last),
                post: data["post"].as_str().unwrap().into(),
            },
            "reset" => Told::Reset,
            _ => panic!("a stream tells {name}"),
        })
    }
}

/// Where a change stands among all. An id tells besides which process told it, and the same change told by another is told twice.
fn place(id: &str) -> String {
    let json = URL_SAFE_NO_PAD.decode(id).unwrap();
    let (_, (_, _, place)): (String, (String, u64, i64)) = serde_json::from_slice(&json).unwrap();
    place.to_string()
}
