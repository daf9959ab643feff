use std::sync::Arc;

use bytes::Bytes;
use duet_channel::transport::cloudevents::{
    self, Carried, batch_to_json, binary_body, binary_headers,
};
use duet_channel::transport::{Batch, Outgoing, Urgency};
use duet_protocol::event::{Event, EventId};

use crate::split;

/// Events as a JSON batch, or one with its attributes as headers: `name: value` lines, an empty one, and the body. What is taken is
/// encoded both ways and is the same again.
pub fn events(data: &[u8]) {
    let (which, data) = split(data);
    let events = match which % 2 {
        0 => cloudevents::batch(&Bytes::copy_from_slice(data)).unwrap_or_default(),
        _ => one_with_headers(data).into_iter().collect(),
    };
    for event in &events {
        let id = event.id();
        let named: EventId = id.to_string().parse().expect("its own name");
        assert_eq!(named, id);
        let carried = Carried::AsCreated(&event.trace);
        let mut headers = Vec::new();
        binary_headers(event, &carried, |name, value| {
            headers.push((name, value.to_owned()));
        });
        let header = |name| {
            let mut named = headers.iter().filter(|(of, _)| *of == name);
            named.next().map(|(_, value)| value.as_str())
        };
        let again = cloudevents::binary(header, &binary_body(event));
        assert_eq!(&again.expect("what was encoded"), event);
    }
    if events.is_empty() {
        return;
    }
    let outgoing = |event: &Event| Outgoing {
        event: Arc::new(event.clone()),
        late: false,
    };
    let batch = Batch {
        events: events.iter().map(outgoing).collect(),
        urgency: Urgency::Background,
    };
    let json = batch_to_json(&batch, |index| {
        Carried::AsCreated(&batch.events[index].event.trace)
    });
    // Escapes may make it longer than a batch may be.
    if json.len() <= cloudevents::MAX_BYTES {
        assert_eq!(cloudevents::batch(&json).expect("what was encoded"), events);
    }
}

fn one_with_headers(data: &[u8]) -> Option<Event> {
    let text = std::str::from_utf8(data).ok()?;
    let (head, body) = text.split_once("\n\n")?;
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(of, _)| *of == name);
        named.next().map(|(_, value)| value)
    };
    cloudevents::binary(header, &Bytes::copy_from_slice(body.as_bytes())).ok()
}
