//! What every scenario needs beside the pair: the plan, the place where it tells, and what a reader must know in the end.

use super::{
    ground::{Ground, Waiting, waiting},
    load_on::Seen,
    plan::Plan,
    scenarios::Name,
    shown::Shown,
    wanted::Wanted,
};
use crate::{
    failure::{self, Failure},
    internal::client,
    load::{Rate, Services},
};
use duet_crd::Mode;
use duet_reaction::domain::Kind;
use std::{cell::RefCell, time::Duration};
use tokio::time::{Instant, sleep};

/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(50);
/// Between two reactions of somebody while others are waited for.
const USED: Duration = Duration::from_millis(300);

/// Shared by all scenarios.
pub(super) struct Stage {
    pub(super) plan: Plan,
    pub(super) shown: Shown,
    /// `sync.deadline` of the Channel.
    pub(super) deadline: Duration,
    /// The command that repeats one scenario, up to its name.
    pub(super) command: String,
    notes: RefCell<Vec<String>>,
}

impl Stage {
    pub(super) fn new(plan: Plan, deadline: Duration, command: String) -> Self {
        Self {
            plan,
            shown: Shown::new(),
            deadline,
            command,
            notes: RefCell::default(),
        }
    }

    /// The plan's rate, for so long.
    pub(super) fn steady(&self, lasts: Duration) -> [Rate; 1] {
        [Rate {
            per_second: self.plan.per_second,
            lasts,
        }]
    }

    /// The command that repeats one scenario.
    pub(super) fn command_of(&self, name: Name) -> String {
        format!("{} --only {}", self.command, name.as_str())
    }

    /// What a reader must know, once.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub(super) fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// A load that this machine could not make is no measurement of the pair.
    pub(super) fn note_shortfall(&self, seen: &Seen) {
        let (unsent, sent) = (seen.unsent(), seen.calls.len() as u64);
        if unsent > 0 {
            self.note(format!(
                "{unsent} of {} requests were due and not sent in time: the machine or the pair was overloaded, and those figures are too good",
                unsent + sent,
            ));
        }
    }

    /// Puts everything right in that mode, and waits until nothing waits for a receiver any more; how long that took.
    pub(super) async fn calm(&self, ground: &mut Ground, mode: Mode) -> Result<Duration, Failure> {
        ground.mend().await?;
        ground.apply(&Wanted::calm(mode)).await?;
        self.drained(ground).await
    }

    /// Waits until nothing waits for a receiver any more, within patience; how long that took.
    pub(super) async fn drained(&self, ground: &Ground) -> Result<Duration, Failure> {
        let pair = ground.pair_now().await?;
        let at = Services::at(&pair.reaction, &pair.notification);
        let (http, began) = (client(), Instant::now());
        let looking = async {
            loop {
                let now = waiting(&http, &pair).await;
                if now.is_none() {
                    return Ok(began.elapsed());
                }
                if began.elapsed() >= self.plan.patience {
                    return Err(still_waiting(now, self.plan.patience));
                }
                sleep(LOOK).await;
            }
        };
        // A receipt that was lost comes again with the next answer, so in a pair that is used it is never missed for long.
        let using = async {
            let post = format!("used-{:05x}", rand::random_range(0..0x10_0000));
            let kinds = [Kind::Like, Kind::Love];
            for number in 0.. {
                sleep(USED).await;
                let _ = at.post(&post, &post, "Used").await;
                at.react(&post, "ana", Some(kinds[number % 2]), None).await;
            }
        };
        tokio::select! {
            drained = looking => drained,
            () = using => Err(Failure::new(failure::Kind::Failed, "it was not waited for")),
        }
    }
}

fn still_waiting(now: Waiting, after: Duration) -> Failure {
    let of = |it: Option<u64>| it.map_or("unknown".to_owned(), |it| it.to_string());
    let what = format!(
        "after {after:?} events still wait (unacknowledged {}, parked {})",
        of(now.unacknowledged),
        of(now.parked)
    );
    Failure::new(failure::Kind::Late, what)
}
