//! One transmission, carried by its transport; what came of it, in the machine's words.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::receipt::Receipt;
use duet_protocol::sender::{Attempt, Path, Sent, Transmission, Urgency};
use duet_protocol::time::Timestamp;

use crate::failing::Reason;
use crate::transport::{self, Batch, Call, CallError, Outgoing, Publish, PublishError, spans};

/// How long a request that nobody waits for may take.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);
/// How long a full broker is left alone.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What came of a transmission.
pub(super) struct Carried {
    pub(super) sent: Sent,
    /// Those that came with the answer.
    pub(super) receipts: Vec<Receipt>,
    /// Why it did not get through.
    pub(super) failed: Option<(Reason, Arc<str>)>,
}

impl Carried {
    fn through(sent: Sent, receipts: Vec<Receipt>) -> Self {
        Carried {
            sent,
            receipts,
            failed: None,
        }
    }

    fn failed(sent: Sent, reason: Reason, cause: Arc<str>) -> Self {
        Carried {
            sent,
            receipts: Vec::new(),
            failed: Some((reason, cause)),
        }
    }

    fn no_way(cause: &str) -> Self {
        let not_sent = Sent::NotSent { retry_after: None };
        Carried::failed(not_sent, Reason::NoWay, cause.into())
    }
}

/// Carries a transmission.
pub(super) async fn transmit(
    call: Option<Arc<dyn Call>>,
    broker: Option<Arc<dyn Publish>>,
    transmission: &Transmission,
    now: Timestamp,
) -> Carried {
    let batch = batch(transmission, now);
    match transmission.path {
        Path::Call => match call {
            Some(call) => deliver(&*call, &batch, transmission.urgency).await,
            None => {
                let name = &transmission.receiver;
                Carried::no_way(&format!(
                    "this process has no address for it: start it with --receiver {name}=URL"
                ))
            }
        },
        Path::Broker => match broker {
            Some(broker) => publish(&*broker, &batch, transmission).await,
            None => Carried::no_way("this process has no broker to go to"),
        },
    }
}

fn batch(transmission: &Transmission, now: Timestamp) -> Batch {
    let outgoing = |(event, attempt): &(Arc<_>, Attempt)| {
        let event: &Arc<duet_protocol::event::Event> = event;
        Outgoing {
            event: event.clone(),
            late: *attempt == Attempt::Again || spans::is_late(event, now),
        }
    };
    let urgency = match transmission.urgency {
        Urgency::Inline { .. } => transport::Urgency::Inline,
        Urgency::Background => transport::Urgency::Background,
    };
    Batch {
        events: transmission.events.iter().map(outgoing).collect(),
        urgency,
    }
}

async fn deliver(call: &dyn Call, batch: &Batch, urgency: Urgency) -> Carried {
    let within = match urgency {
        Urgency::Inline { within } => within,
        Urgency::Background => BACKGROUND_PATIENCE,
    };
    let error = match call.deliver(batch, within).await {
        Ok(delivered) => {
            return Carried::through(Sent::Answered(delivered.outcomes), delivered.receipts);
        }
        Err(error) => error,
    };
    let (sent, reason) = match error {
        CallError::NotApplied(_) => (Sent::NotSent { retry_after: None }, Reason::NotApplied),
        CallError::Overloaded { retry_after } => {
            (Sent::NotSent { retry_after }, Reason::Overloaded)
        }
        CallError::Unknown(_) => (Sent::Unknown, Reason::NoAnswer),
    };
    Carried::failed(sent, reason, error.to_string().into())
}

async fn publish(broker: &dyn Publish, batch: &Batch, transmission: &Transmission) -> Carried {
    let error = match broker.publish(transmission.message, batch).await {
        Ok(place) => return Carried::through(Sent::Stored(place), Vec::new()),
        Err(error) => error,
    };
    let (sent, reason) = match error {
        PublishError::Full(_) => {
            let retry_after = Some(FULL_PAUSE);
            (Sent::NotSent { retry_after }, Reason::StreamFull)
        }
        PublishError::BrokerFull(_) => {
            let retry_after = Some(FULL_PAUSE);
            (Sent::NotSent { retry_after }, Reason::BrokerFull)
        }
        PublishError::NotStored(_) => (Sent::NotSent { retry_after: None }, Reason::NotStored),
        PublishError::TooLarge(_) => (Sent::TooLarge, Reason::NotStored),
        PublishError::Denied(_) => (Sent::NotSent { retry_after: None }, Reason::BrokerDenies),
        PublishError::Unknown(_) => (Sent::Unknown, Reason::NoAnswer),
    };
    Carried::failed(sent, reason, error.to_string().into())
}
