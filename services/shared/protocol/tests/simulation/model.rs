//! What should be: every write, who was told what of it, and what of it may stand in the end.

use std::collections::BTreeMap;

use duet_protocol::event::{EventId, Key};
use duet_protocol::receipt::ReceiverName;

use crate::tables::Value;

/// A caller's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) u32);

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// 200: every receiver holds it.
    Delivered,
    /// 202: it stands, and will be delivered.
    Accepted,
    /// It failed and was taken back.
    Failed,
    /// It failed, and whether it stands is not known.
    Unknown,
}

/// One event that was committed.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) value: Option<Value>,
    /// Who receives it: which membership of each.
    pub(crate) audience: BTreeMap<ReceiverName, u64>,
    /// The event that had written the row before.
    over: Option<EventId>,
    /// The call that this takes back.
    compensates: Option<EventId>,
    undone_by: Option<EventId>,
    promised: Option<(Caller, Told)>,
    failed: Option<Caller>,
}

/// All that was committed, and all that was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) writes: BTreeMap<EventId, Written>,
    pub(crate) told: [u64; 4],
    /// How often something had been damaged when the last resync began.
    pub(crate) resynced_after: Option<u64>,
}

impl Model {
    pub(crate) fn written(
        &mut self,
        id: EventId,
        key: Key,
        value: Option<Value>,
        over: Option<EventId>,
        audience: BTreeMap<ReceiverName, u64>,
    ) -> Result<(), String> {
        let written = Written {
            key,
            value,
            audience,
            over,
            compensates: None,
            undone_by: None,
            promised: None,
            failed: None,
        };
        self.writes.insert(id, written);
        Ok(())
    }

    /// `by` takes back `call`.
    pub(crate) fn compensated(
        &mut self,
        call: EventId,
        by: EventId,
        over: Option<EventId>,
        audience: BTreeMap<ReceiverName, u64>,
    ) -> Result<(), String> {
        let Some(undone) = self.writes.get_mut(&call) else {
            return Err(format!("{call:?} was taken back and never written"));
        };
        undone.undone_by = Some(by);
        let (key, restores, promised) = (undone.key.clone(), undone.over, undone.promised);
        let value = restores
            .and_then(|id| self.writes.get(&id))
            .and_then(|written| written.value);
        self.written(by, key, value, over, audience)?;
        if let Some(written) = self.writes.get_mut(&by) {
            written.compensates = Some(call);
        }
        match promised {
            Some((caller, told)) => Err(format!(
                "{caller:?} was told {told:?}, and then {call:?} was taken back"
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn told(&mut self, caller: Caller, id: EventId, told: Told) -> Result<(), String> {
        self.told[told as usize] += 1;
        let Some(written) = self.writes.get_mut(&id) else {
            return Ok(()); // of a store that is gone
        };
        match told {
            Told::Delivered | Told::Accepted => {
                written.promised = Some((caller, told));
                match written.undone_by {
                    Some(by) => Err(format!(
                        "{caller:?} is told {told:?} of {id:?}, which {by:?} has taken back"
                    )),
                    None => Ok(()),
                }
            }
            Told::Failed => {
                written.failed = Some(caller);
                match written.undone_by {
                    Some(_) => Ok(()),
                    None => Err(format!(
                        "{caller:?} is told that {id:?} failed, and it stands"
                    )),
                }
            }
            Told::Unknown => Ok(()),
        }
    }

    /// An event is applied only by those who were receivers when it was accepted.
    pub(crate) fn is_for(&self, id: EventId, name: &ReceiverName) -> Result<(), String> {
        match self.writes.get(&id) {
            Some(written) if !written.audience.contains_key(name) => {
                Err(format!("{id:?} is applied by {name}, which it is not for"))
            }
            _ => Ok(()),
        }
    }

    /// Whether an event is for a receiver as it is now: accepted since it joined last.
    pub(crate) fn is_due(&self, id: EventId, name: &ReceiverName, spell: Option<u64>) -> bool {
        let written = self.writes.get(&id);
        let of = written.and_then(|written| written.audience.get(name));
        spell.is_some() && of == spell.as_ref()
    }

    /// What a restored store never had is gone, and with it every promise.
    pub(crate) fn forget_unless(&mut self, knows: impl Fn(EventId) -> bool) {
        self.writes.retain(|id, _| knows(*id));
        for written in self.writes.values_mut() {
            written.undone_by = written.undone_by.filter(|by| knows(*by));
            written.failed = written.failed.filter(|_| written.undone_by.is_some());
        }
    }

    /// Whose write stands, where a row has this event: a compensation lets the one before stand.
    fn standing(&self, mut id: EventId) -> Option<EventId> {
        while let Some(call) = self.writes.get(&id)?.compensates {
            id = self.writes.get(&call)?.over?;
        }
        Some(id)
    }

    /// Whether what a key's row ends with may be: nobody was told that it failed.
    pub(crate) fn may_stand(&self, id: EventId) -> Result<(), String> {
        let standing = self.standing(id).and_then(|id| self.writes.get(&id));
        match standing.and_then(|written| written.failed) {
            Some(caller) => Err(format!(
                "{caller:?} was told that it failed, and what it wrote stands as {id:?}"
            )),
            None => Ok(()),
        }
    }
}
