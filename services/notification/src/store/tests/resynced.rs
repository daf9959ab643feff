use duet_protocol::event::{Data, Event, Key};
use duet_protocol::receive::Apply;
use duet_protocol::sequence::{Epoch, Sequence};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;
use serde_json::json;

use super::{Bob, LANE, SET, event};
use crate::domain::{Kind, Mute};

/// The resync's epoch: all else is of the first.
const BELOW: Epoch = Epoch(2);

impl Bob {
    /// A row is told anew, as it stands since then.
    fn is_told_anew(&mut self, post: &str, user: &str, kind: &str, since: i64) {
        self.second += 1;
        let data = Data {
            kind: SET.into(),
            key: Key::new(format!("{post}/{user}")).unwrap(),
            json: json!({
                "post": post, "user": user, "owner": "bob", "title": format!("About {post}"), "kind": kind,
                "at": jiff::Timestamp::from_second(since).unwrap().to_string(),
                "restores": true, "announces": true,
            })
            .to_string()
            .into(),
        };
        let now = Timestamp::from_micros(self.second * 1_000_000);
        let event = Event {
            source: LANE.source(BELOW),
            sequence: Sequence(self.second.cast_unsigned()),
            ..event(1, now, data.clone())
        };
        self.table().apply(&event, &data).unwrap().unwrap();
        self.memory.sums.write(&self.connection).unwrap();
    }

    /// All that is older goes, two rows at a time; how many went.
    fn is_swept(&self) -> u64 {
        let sweep = Sweep {
            lane: LANE,
            below: BELOW,
        };
        let (mut after, mut all) = (None, 0);
        loop {
            let mut table = self.table();
            let Swept { last, removed } = table.sweep(&sweep, after.as_ref(), 2).unwrap();
            all += removed;
            match last {
                Some(last) => after = Some(last),
                None => return all,
            }
        }
    }
}

#[test]
fn what_is_told_anew_as_it_is_changes_nothing_and_is_told_to_no_stream() {
    let mut bob = Bob::new();
    bob.mutes(Mute {
        kinds: [Kind::Sad].into(),
        ..Mute::default()
    });
    let love = bob
        .reacts("p1", "ana", "like")
        .max(bob.reacts("p1", "ana", "love"));
    let wow = bob.reacts("p2", "cy", "wow");
    let sad = bob.reacts("p1", "eve", "sad");
    let own = bob.reacts("p1", "bob", "like");
    let (last, _) = bob.told_after(bob.last());
    let before = bob.sees();
    bob.mutes(Mute::default());
    bob.is_told_anew("p1", "bob", "like", own);
    bob.is_told_anew("p1", "eve", "sad", sad);
    bob.is_told_anew("p1", "ana", "love", love);
    bob.is_told_anew("p2", "cy", "wow", wow);
    assert_eq!(bob.is_swept(), 0);
    assert_eq!(bob.sees(), before);
    assert_eq!(bob.told_after(last).1, [""; 0]);
}

#[test]
fn what_is_not_told_anew_leaves_groups_counts_and_kinds_and_streams_hear_of_it() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "love");
    let like = bob.reacts("p1", "cy", "like");
    bob.reacts("p1", "dee", "like");
    bob.undoes("p1", "dee");
    bob.reacts("p2", "ana", "wow");
    bob.is_told_anew("p1", "cy", "like", like);
    let before = bob.last();
    assert_eq!(bob.is_swept(), 3, "a tombstone, too");
    assert_eq!(bob.sees(), ["cy reacted to About p1* (1 like) at 2"]);
    let told = ["cy reacted to About p1*", "p2 is gone"];
    assert_eq!(bob.told_after(before).1, told);
    assert_eq!(bob.is_swept(), 0, "it is done once");
}

#[test]
fn what_a_lost_store_is_told_anew_is_there_again() {
    let mut bob = Bob::new();
    bob.is_told_anew("p1", "ana", "love", 1);
    bob.is_told_anew("p1", "cy", "like", 2);
    assert_eq!(bob.sees().len(), 1);
    assert!(bob.sees()[0].starts_with("cy and ana reacted to About p1"));
}

#[test]
fn what_was_missed_is_shown_and_is_no_news() {
    let mut bob = Bob::new();
    let like = bob.reacts("p1", "ana", "like");
    bob.reads_all();
    bob.is_told_anew("p1", "ana", "love", like + 1);
    assert_eq!(bob.sees(), ["ana reacted to About p1 (1 love) at 2"]);
}
