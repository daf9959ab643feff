//! One transmission, carried by its transport; what came of it, in the machine's words.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::receipt::Receipt;
use duet_protocol::sender::{Attempt, Path, Sent, Transmission, Urgency};
use duet_protocol::time::Timestamp;

use crate::transport::{self, Batch, Call, CallError, Outgoing, Publish, PublishError};

/// How long a request that nobody waits for may take.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);
/// An event older than this starts a trace of its own, linked to the one it was created in.
const LATE: Duration = Duration::from_secs(600);
/// How long a full broker is left alone.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Carries a transmission. The receipts are those that came with the answer.
pub(super) async fn transmit(
    call: Option<Arc<dyn Call>>,
    broker: Option<Arc<dyn Publish>>,
    transmission: &Transmission,
    now: Timestamp,
) -> (Sent, Vec<Receipt>) {
    let batch = batch(transmission, now);
    match transmission.path {
        Path::Call => match call {
            Some(call) => deliver(&*call, &batch, transmission.urgency).await,
            None => (Sent::NotSent { retry_after: None }, Vec::new()),
        },
        Path::Broker => match broker {
            Some(broker) => (publish(&*broker, &batch, transmission).await, Vec::new()),
            None => (Sent::NotSent { retry_after: None }, Vec::new()),
        },
    }
}

fn batch(transmission: &Transmission, now: Timestamp) -> Batch {
    let outgoing = |(event, attempt): &(Arc<_>, Attempt)| {
        let event: &Arc<duet_protocol::event::Event> = event;
        Outgoing {
            event: event.clone(),
            late: *attempt == Attempt::Again || now.since(event.time) > LATE,
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

async fn deliver(call: &dyn Call, batch: &Batch, urgency: Urgency) -> (Sent, Vec<Receipt>) {
    let within = match urgency {
        Urgency::Inline { within } => within,
        Urgency::Background => BACKGROUND_PATIENCE,
    };
    match call.deliver(batch, within).await {
        Ok(delivered) => (Sent::Answered(delivered.outcomes), delivered.receipts),
        Err(CallError::NotApplied(cause)) => {
            tracing::debug!(%cause, "not applied");
            (Sent::NotSent { retry_after: None }, Vec::new())
        }
        Err(CallError::Overloaded { retry_after }) => (Sent::NotSent { retry_after }, Vec::new()),
        Err(CallError::Unknown(cause)) => {
            tracing::debug!(%cause, "no answer");
            (Sent::Unknown, Vec::new())
        }
    }
}

async fn publish(broker: &dyn Publish, batch: &Batch, transmission: &Transmission) -> Sent {
    match broker.publish(transmission.message, batch).await {
        Ok(place) => Sent::Stored(place),
        Err(PublishError::Full(_)) => Sent::NotSent {
            retry_after: Some(FULL_PAUSE),
        },
        Err(PublishError::NotStored(cause)) => {
            tracing::debug!(%cause, "not stored");
            Sent::NotSent { retry_after: None }
        }
        Err(PublishError::Unknown(cause)) => {
            tracing::debug!(%cause, "no word from the broker");
            Sent::Unknown
        }
    }
}
