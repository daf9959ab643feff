//! The subjects beside the stream's own. The stream's has no wildcards, so that it doesn't capture them.

use duet_protocol::sender::HelloId;
use duet_protocol::sequence::StoreId;

/// Where nobody publishes: a stream's subject until its consumers are there.
pub(super) fn idle(subject: &str) -> String {
    format!("{subject}.unused")
}

/// Where a sender says hello to receivers.
pub(super) fn hello(subject: &str, store: StoreId, id: HelloId) -> String {
    format!("{subject}.hello.{store}.{}", id.0)
}

/// Every sender's hello.
pub(super) fn hellos(subject: &str) -> String {
    format!("{subject}.hello.*.*")
}

/// Who says hello, of the subject it came on.
pub(super) fn who_says_hello(on: &str) -> Option<(HelloId, StoreId)> {
    let mut tokens = on.rsplit('.');
    let id = tokens.next()?.parse().ok()?;
    let store = tokens.next().filter(|store| store.len() == 16)?;
    Some((HelloId(id), StoreId(u64::from_str_radix(store, 16).ok()?)))
}

/// Where receivers tell a store's senders what they hold.
pub(super) fn receipts(subject: &str, store: StoreId) -> String {
    format!("{subject}.told.{store}.receipts")
}

/// Where receivers answer a store's hello.
pub(super) fn hello_answer(subject: &str, store: StoreId, id: HelloId) -> String {
    format!("{subject}.told.{store}.hello.{}", id.0)
}

/// Everything receivers tell a store's senders.
pub(super) fn told(subject: &str, store: StoreId) -> String {
    format!("{subject}.told.{store}.>")
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
        assert_eq!(
            who_says_hello(&hello("duet.reactions", store, id)),
            Some((id, store))
        );
        assert_eq!(
            what_is_told(&hello_answer("duet.reactions", store, id)),
            Some(Some(id))
        );
        assert_eq!(what_is_told(&receipts("duet.reactions", store)), Some(None));
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
