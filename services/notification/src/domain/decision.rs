use duet_protocol::decision::Decision;

/// Its owner sees it.
const NOTIFIED: Decision = Decision::named("notified");
/// It is the owner's own, which nobody is notified of.
const OWN: Decision = Decision::named("own");
/// It was undone, and left its group.
const WITHDRAWN: Decision = Decision::named("withdrawn");

/// What is decided about a pair's reaction: whether it stands, and whether it is the owner's own.
pub fn decision(stands: bool, own: bool) -> Decision {
    match (stands, own) {
        (_, true) => OWN,
        (true, false) => NOTIFIED,
        (false, false) => WITHDRAWN,
    }
}
