//! The broker in use: made from the settings for each receiver, and made anew when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::Capacity;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::{Settings, TransportSettings};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};

use crate::transport::{Feedback, Limits, Publish};

/// Makes the publishing half of a broker's transport for a receiver, from its settings; `None` where this process has no broker to go to.
pub type MakeBroker =
    Box<dyn Fn(&TransportSettings, &ReceiverName) -> Option<Arc<dyn Publish>> + Send + Sync>;

/// See the module.
pub(super) struct Broker {
    make: MakeBroker,
    store: StoreId,
    made_from: Option<TransportSettings>,
    /// For each receiver; none where there is no broker.
    publish: BTreeMap<ReceiverName, Option<Arc<dyn Publish>>>,
    /// Each ends with its receiver's transport.
    feedback: SelectAll<BoxStream<'static, Feedback>>,
}

impl Broker {
    pub(super) fn new(make: MakeBroker, store: StoreId) -> Self {
        Broker {
            make,
            store,
            made_from: None,
            publish: BTreeMap::new(),
            feedback: SelectAll::new(),
        }
    }

    /// Follows the settings, and who receives.
    pub(super) async fn configure(
        &mut self,
        settings: Option<&Settings>,
        receivers: &BTreeSet<ReceiverName>,
    ) {
        let wanted = settings
            .and_then(|settings| settings.r#async.as_ref())
            .map(|settings| &settings.transport);
        if wanted != self.made_from.as_ref() {
            self.made_from = wanted.cloned();
            self.publish.clear();
            self.feedback.clear();
        }
        self.publish.retain(|name, _| receivers.contains(name));
        for name in receivers {
            if self.publish.contains_key(name) {
                continue;
            }
            let publish = wanted.and_then(|wanted| (self.make)(wanted, name));
            if let Some(publish) = &publish {
                self.feedback.push(publish.feedback(self.store).await);
            }
            self.publish.insert(name.clone(), publish);
        }
    }

    pub(super) fn publish(&self, receiver: &ReceiverName) -> Option<Arc<dyn Publish>> {
        self.publish.get(receiver).cloned().flatten()
    }

    /// What receivers say next. Waits for ever where there is no broker.
    pub(super) async fn feedback(&mut self) -> Feedback {
        match self.feedback.next().await {
            Some(feedback) => feedback,
            None => std::future::pending().await,
        }
    }

    pub(super) fn capacity(&self) -> Capacity {
        let all = self.publish.values().flatten();
        least(all.map(|publish| publish.limits()))
    }
}

const NOTHING: Capacity = Capacity {
    events: 1,
    bytes: usize::MAX,
    in_flight: 1,
};

/// A transport's limits as the machine takes them.
fn capacity(limits: Limits) -> Capacity {
    Capacity {
        events: limits.events,
        bytes: limits.bytes,
        in_flight: limits.in_flight,
    }
}

/// The least of several receivers' limits; [`NOTHING`] if there is none.
pub(super) fn least(limits: impl Iterator<Item = Limits>) -> Capacity {
    let both = |a: Capacity, b: Capacity| Capacity {
        events: a.events.min(b.events),
        bytes: a.bytes.min(b.bytes),
        in_flight: a.in_flight.min(b.in_flight),
    };
    limits.map(capacity).reduce(both).unwrap_or(NOTHING)
}
