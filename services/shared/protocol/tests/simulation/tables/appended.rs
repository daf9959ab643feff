//! What commits tell the sender's machine.

use std::sync::Arc;

use duet_protocol::accept::Dispatch;
use duet_protocol::event::Event;
use duet_protocol::membership::Changed;
use duet_protocol::sender::Sender;
use duet_protocol::time::Moment;

/// What a commit tells the sender of, in order.
#[derive(Clone, Debug)]
pub(crate) enum Appended {
    Event(Arc<Event>, Dispatch),
    Receivers(Changed),
}

impl Appended {
    /// Who joined, left or begins anew, if it is that.
    pub(crate) fn change(&self) -> Option<Changed> {
        match self {
            Appended::Receivers(changed) => Some(changed.clone()),
            Appended::Event(..) => None,
        }
    }

    /// Tells a machine what was committed.
    pub(crate) fn tell(machine: &mut Sender, appended: Vec<Appended>, now: Moment) {
        for what in appended {
            match what {
                Appended::Event(event, dispatch) => machine.committed([(event, dispatch)], now),
                Appended::Receivers(changed) => machine.receivers_changed(&changed, now),
            }
        }
    }
}
