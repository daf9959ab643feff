//! Events to NATS messages and back.

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use bytes::Bytes;
use duet_protocol::event::Event;
use duet_protocol::sender::MessageId;

use crate::transport::Batch;
use crate::transport::cloudevents::{self, DecodeError};
use crate::transport::spans::Sending;

const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

/// A batch as a message for `stream`.
pub(super) fn encode(
    id: MessageId,
    stream: &str,
    batch: &Batch,
    sending: &Sending<'_>,
) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, id.to_string());
    headers.insert(NATS_EXPECTED_STREAM, stream);
    let payload = match batch.events.as_slice() {
        [one] => {
            cloudevents::binary_headers(&one.event, &sending.carried(0), |name, value| {
                headers.insert(HeaderName::from_static(name), value)
            });
            cloudevents::binary_body(&one.event)
        }
        _ => {
            headers.insert(CONTENT_TYPE, cloudevents::BATCH);
            cloudevents::batch_to_json(batch, |index| sending.carried(index))
        }
    };
    (headers, payload)
}

/// The events of a message.
pub(super) fn decode(
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Vec<Event>, DecodeError> {
    let header = |name: &'static str| {
        headers?
            .get(HeaderName::from_static(name))
            .map(|value| value.as_str())
    };
    if header("content-type").is_some_and(|media| media.starts_with(cloudevents::BATCH)) {
        cloudevents::batch(payload)
    } else {
        cloudevents::binary(header, payload).map(|event| vec![event])
    }
}
