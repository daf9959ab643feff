use super::Facts;
use super::sentence::at;
use duet_channel::life::{Name, ResyncStage, Resynced, When};

/// The resync that an event is older than, if the last one is.
pub(super) fn after(facts: &Facts, event: Name) -> Option<&Resynced> {
    let resync = facts.sender.as_ref().ok()?.resync.as_ref()?;
    resync.is_after(event).then_some(resync)
}

/// The resync that told the sender's row anew by this event, which is not the one that wrote the row.
pub(super) fn told_anew(facts: &Facts, event: Name) -> Option<&Resynced> {
    let row = facts.event()?;
    let resync = after(facts, row)?;
    let is_same_lane = row.0.source.lane == event.0.source.lane;
    (is_same_lane && !resync.is_after(event)).then_some(resync)
}

/// What a resync has done so far for what is older than it.
pub(super) fn of_older(resync: &Resynced, now: When) -> String {
    let begun = at(resync.begun, now);
    match resync.stage {
        ResyncStage::Announcing => format!(
            "It is older than the resync that began at {begun}, which is telling each row anew that stands, by an event of its own that notifies nobody: receivers wait for that one"
        ),
        ResyncStage::Sweeping => format!(
            "It is older than the resync that began at {begun}, which told each row anew that stood, by an event of its own that notifies nobody, and waits for a receiver to hold all of that; what was not told anew is then swept away there"
        ),
        ResyncStage::Done => format!(
            "It is older than the resync that began at {begun}, which told each row anew that stood, by an event of its own that notifies nobody; every receiver holds that, and what was not told anew is swept away there"
        ),
    }
}

/// What a resync that is under way will do with what a receiver has and it does not tell; none once it is done.
pub(super) fn sweeps(facts: &Facts) -> Option<&'static str> {
    let resync = facts.sender.as_ref().ok()?.resync.as_ref()?;
    (resync.stage != ResyncStage::Done).then_some("the resync under way sweeps it away at its end")
}
