//! The broker in use: made from the settings, and made anew when they change.

use std::sync::Arc;

use duet_protocol::sender::Capacity;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::{Settings, TransportSettings};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::transport::{Feedback, Limits, Publish};

/// Makes the publishing half of a broker's transport from its settings; `None` where this process has no broker to go to.
pub type MakeBroker = Box<dyn Fn(&TransportSettings) -> Option<Arc<dyn Publish>> + Send + Sync>;

/// See the module.
pub(super) struct Broker {
    make: MakeBroker,
    store: StoreId,
    made_from: Option<TransportSettings>,
    publish: Option<Arc<dyn Publish>>,
    feedback: BoxStream<'static, Feedback>,
}

impl Broker {
    pub(super) fn new(make: MakeBroker, store: StoreId) -> Self {
        Broker {
            make,
            store,
            made_from: None,
            publish: None,
            feedback: stream::pending().boxed(),
        }
    }

    /// Follows the settings.
    pub(super) async fn configure(&mut self, settings: &Settings) {
        let wanted = settings
            .r#async
            .as_ref()
            .map(|settings| &settings.transport);
        if wanted == self.made_from.as_ref() {
            return;
        }
        self.made_from = wanted.cloned();
        self.publish = wanted.and_then(|wanted| (self.make)(wanted));
        self.feedback = match &self.publish {
            Some(publish) => publish
                .feedback(self.store)
                .await
                .chain(stream::pending())
                .boxed(),
            None => stream::pending().boxed(),
        };
    }

    pub(super) fn publish(&self) -> Option<Arc<dyn Publish>> {
        self.publish.clone()
    }

    /// What receivers say next. Waits for ever where there is no broker.
    pub(super) async fn feedback(&mut self) -> Feedback {
        match self.feedback.next().await {
            Some(feedback) => feedback,
            None => std::future::pending().await,
        }
    }

    pub(super) fn capacity(&self) -> Capacity {
        self.publish
            .as_ref()
            .map_or(NOTHING, |publish| capacity(publish.limits()))
    }
}

const NOTHING: Capacity = Capacity {
    events: 1,
    bytes: usize::MAX,
    in_flight: 1,
};

/// A transport's limits as the machine takes them.
pub(super) fn capacity(limits: Limits) -> Capacity {
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
