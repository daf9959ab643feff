use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::{Health, Suspicion};

/// What to do about any regression: it ends the sentence that tells of one or more.
pub const HEAL: &str = "heal it with `duet resync`; look first with `duet resync --preview`";

/// The reason and the sentence for a receiver whose last hello found that one of the two stores was restored or lost; none if they fit,
/// or a resync is about to make them.
pub fn regressed(receiver: &ReceiverName, health: Health) -> Option<(&'static str, String)> {
    match health {
        Health::Sound | Health::Resyncing => None,
        Health::SenderRegressed(Suspicion::AnotherStore) => Some((
            "SenderRegressed",
            format!(
                "{receiver} holds what another store sent under this service's name: this store is a new one"
            ),
        )),
        Health::SenderRegressed(_) => Some((
            "SenderRegressed",
            format!(
                "{receiver} holds what this store never sent: this store was restored from an older copy"
            ),
        )),
        Health::ReceiverRegressed => Some((
            "ReceiverRegressed",
            format!(
                "{receiver} lacks what this store has forgotten: its store was restored from an older copy, or lost"
            ),
        )),
    }
}
