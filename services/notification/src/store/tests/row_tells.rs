use duet_protocol::event::Key;

use super::Bob;
use crate::store::applied;

#[test]
fn a_row_tells_of_its_event_what_was_decided_and_when_it_was_applied() {
    let mut bob = Bob::new();
    let key = Key::new("p1/ana").unwrap();
    let told = |bob: &Bob| {
        let told = applied(&bob.connection, &key).unwrap()?;
        let (value, applied) = (told.value.unwrap_or_default(), told.applied.unwrap());
        let at = applied.0.micros() / 1_000;
        Some((told.event.version().sequence.0, value, told.decision, at))
    };
    assert_eq!(told(&bob), None);
    let since = bob.reacts("p1", "ana", "like");
    let notified = Some("notified".to_owned());
    assert_eq!(
        told(&bob),
        Some((1, "like".to_owned(), notified.clone(), 1_004))
    );
    bob.takes_back("p1", "ana", "wow", since);
    assert_eq!(
        told(&bob),
        Some((2, "wow".to_owned(), notified, 2_004)),
        "it stands since second 1"
    );
    bob.undoes("p1", "ana");
    let withdrawn = Some("withdrawn".to_owned());
    assert_eq!(told(&bob), Some((3, String::new(), withdrawn, 3_004)));
}
