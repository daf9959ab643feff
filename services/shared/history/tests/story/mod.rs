//! A story of one pair, in few words.
#![allow(dead_code, reason = "not every test program tells everything")]

use std::collections::BTreeMap;
use std::time::Duration;

use duet_history::{Answer, Did, Held, History, Kind, Operation, Pair, Violation};

pub(crate) const ANA: &str = "ana";

/// From and to in milliseconds, and what was done.
pub(crate) type Step = (u64, u64, Did);

pub(crate) fn wrote(wanted: &str, answer: Answer) -> Did {
    Did::Wrote {
        wanted: standing(wanted),
        answer,
    }
}

pub(crate) fn read(saw: &str) -> Did {
    Did::Read { saw: standing(saw) }
}

pub(crate) fn observed(saw: &str) -> Did {
    Did::Observed {
        at: "notification".into(),
        saw: standing(saw),
    }
}

/// `-` is none.
pub(crate) fn standing(name: &str) -> Option<Kind> {
    (name != "-").then(|| name.into())
}

pub(crate) fn history(steps: &[Step]) -> History {
    let mut history = History::default();
    for (caller, (from, to, did)) in steps.iter().enumerate() {
        let operation = Operation {
            caller,
            invoked: Duration::from_millis(*from),
            ended: Duration::from_millis(*to),
            did: did.clone(),
        };
        history.add(&Pair::new("walk", ANA), operation);
    }
    history
}

pub(crate) fn held(sender: &str, receiver: &str) -> Held {
    let rows = |name: &str| {
        let pair = Pair::new("walk", ANA);
        standing(name)
            .map(|kind| (pair, kind))
            .into_iter()
            .collect()
    };
    Held {
        sender: rows(sender),
        receivers: BTreeMap::from([("notification".into(), rows(receiver))]),
    }
}

pub(crate) fn judged(steps: &[Step], stands: &str) -> Result<(), Box<Violation>> {
    let judged = history(steps).check(&held(stands, stands));
    judged.map(drop).map_err(|mut violations| {
        assert_eq!(violations.len(), 1, "{violations:?}");
        Box::new(violations.remove(0))
    })
}

#[track_caller]
pub(crate) fn right(steps: &[Step], stands: &str) {
    if let Err(violation) = judged(steps, stands) {
        panic!("{violation}");
    }
}

#[track_caller]
pub(crate) fn refused(steps: &[Step], stands: &str) -> Violation {
    *judged(steps, stands).expect_err("this can't be explained")
}
