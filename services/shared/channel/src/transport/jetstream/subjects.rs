//! The subjects below a channel's own: each receiver has its messages on one of its own, so that none is sent what is for another,
//! and what is not taken by one holds up nobody else. The stream takes those by name, so that it doesn't capture the others.

use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::HelloId;
use duet_protocol::sequence::StoreId;

/// Where nobody publishes: a stream's subject until its consumers are there.
pub(super) fn idle(subject: &str) -> String {
    format!("{subject}.unused")
}

/// Where messages for a receiver go.
pub(super) fn messages(subject: &str, receiver: &ReceiverName) -> String {
    format!("{subject}.to.{receiver}")
}

/// The same of any receiver, as far as the stream's subjects tell.
pub(super) fn is_messages(subject: &str, on: &str) -> bool {
    let below = on.strip_prefix(subject);
    below.is_some_and(|below| below.starts_with(".to."))
}

/// Where a sender says hello to a receiver.
pub(super) fn hello(subject: &str, receiver: &ReceiverName, store: StoreId, id: HelloId) -> String {
    format!("{subject}.hello.{receiver}.{store}.{}", id.0)
}

/// Every sender's hello to a receiver.
pub(super) fn hellos(subject: &str, receiver: &ReceiverName) -> String {
    format!("{subject}.hello.{receiver}.*.*")
}

/// Who says hello, of the subject it came on.
pub(super) fn who_says_hello(on: &str) -> Option<(HelloId, StoreId)> {
    let mut tokens = on.rsplit('.');
    let id = tokens.next()?.parse().ok()?;
    let store = tokens.next().filter(|store| store.len() == 16)?;
    Some((HelloId(id), StoreId(u64::from_str_radix(store, 16).ok()?)))
}

/// Where a receiver tells a store's senders what it holds.
pub(super) fn receipts(subject: &str, receiver: &ReceiverName, store: StoreId) -> String {
    format!("{subject}.told.{receiver}.{store}.receipts")
}

/// Where a receiver answers a store's hello.
pub(super) fn hello_answer(
    subject: &str,
    receiver: &ReceiverName,
    store: StoreId,
    id: HelloId,
) -> String {
    format!("{subject}.told.{receiver}.{store}.hello.{}", id.0)
}

/// Everything a receiver tells a store's senders.
pub(super) fn told(subject: &str, receiver: &ReceiverName, store: StoreId) -> String {
    format!("{subject}.told.{receiver}.{store}.>")
}

/// What was told, of the subject it came on: the hello that is answered, or receipts.
pub(super) fn what_is_told(on: &str) -> Option<Option<HelloId>> {
    let (before, last) = on.rsplit_once('.')?;
    match last {
        "receipts" => Some(None),
        id => before
            .ends_with(".hello")
            .then(|| id.parse().ok().map(HelloId).map(Some))
            .flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_subject_is_read_from_it() {
        let (store, id) = (StoreId(0xfeed), HelloId(7));
        let (on, receiver) = ("duet.reactions", ReceiverName::new("trending").unwrap());
        assert_eq!(
            who_says_hello(&hello(on, &receiver, store, id)),
            Some((id, store))
        );
        assert_eq!(
            what_is_told(&hello_answer(on, &receiver, store, id)),
            Some(Some(id))
        );
        assert_eq!(what_is_told(&receipts(on, &receiver, store)), Some(None));
        assert!(is_messages(on, &messages(on, &receiver)));
        assert!(!is_messages(on, &idle(on)) && !is_messages(on, on));
    }

    #[test]
    fn what_others_publish_there_is_nothing() {
        for on in [
            "",
            "x",
            "a.hello.x.y",
            "a.hello.feed.1",
            "a.told.000000000000feed.else",
        ] {
            assert_eq!(who_says_hello(on), None, "{on}");
            assert_eq!(what_is_told(on), None, "{on}");
        }
    }
}
