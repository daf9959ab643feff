//! What callers notice when something is away, fails, or takes too long.

use super::{
    Judged,
    rules::{ENOUGH, FEW, MANY, NEARLY_ALL, Tail, holds, least},
    view::{Done, View, did_not_hold, failed, held, in_part, weigh},
};
use crate::compare::{
    measured::{Figure, Measured, Outage, Quantiles, Scenario, Scenarios, Traffic},
    printed::{Count, Share, Time},
};
use duet_crd::Mode;
use std::{fmt, time::Duration};

type Of<T> = for<'a> fn(&'a Scenarios) -> &'a Scenario<T>;

/// The ways in which a receiver can be away.
pub(crate) const RECEIVER_AWAY: [(&str, Of<Outage>); 3] = [
    ("hung", |it| &it.hung),
    ("absent", |it| &it.absent),
    ("redeployed", |it| &it.redeployed),
];

/// The same of the broker.
pub(crate) const BROKER_AWAY: [(&str, Of<Outage>); 2] = [
    ("down", |it| &it.broker_down),
    ("wiped", |it| &it.broker_wiped),
];

/// What callers noticed of several outages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noticed {
    /// The share of requests that failed, by outage.
    pub(crate) failed: Vec<(&'static str, Share)>,
    /// Successes that never came to the owner.
    pub(crate) lost: u64,
    /// The longest that owners waited, where it was seen.
    pub(crate) late: Option<Duration>,
}

impl Noticed {
    fn shares(&self) -> impl Iterator<Item = f64> {
        self.failed.iter().map(|(_, share)| share.of_one())
    }

    /// Whether callers noticed none.
    pub(crate) fn none(&self) -> bool {
        self.shares().all(|share| share <= FEW)
    }
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (outage, share)) in self.failed.iter().enumerate() {
            match nth {
                0 => write!(f, "{share} failed while {outage}")?,
                _ => write!(f, ", {share} while {outage}")?,
            }
        }
        write!(f, "; {} lost", Count(self.lost))
    }
}

/// Over those outages that were measured; there must be one.
pub(crate) fn noticed<const N: usize>(
    view: View<'_>,
    outages: [(&'static str, Of<Outage>); N],
) -> Result<Noticed, String> {
    let mut noticed = Noticed {
        failed: Vec::new(),
        lost: 0,
        late: None,
    };
    let mut missing = String::new();
    for (name, of) in outages {
        let outage = view
            .of(of)
            .and_then(|it| Ok((failed(&it.traffic)?, lost(&it.traffic)?, &it.traffic)));
        match outage {
            Ok((share, lost, traffic)) => {
                noticed.failed.push((name, share));
                noticed.lost += lost;
                let late = traffic.freshness.get().ok().map(|it| it.took.longest);
                noticed.late = noticed.late.max(late);
            }
            Err(why) => missing = format!("{name}: {why}"),
        }
    }
    match noticed.failed.is_empty() {
        true => Err(missing),
        false => Ok(noticed),
    }
}

fn lost(traffic: &Traffic) -> Result<u64, String> {
    traffic
        .lost
        .get()
        .copied()
        .map_err(|why| format!("what was lost: {why}"))
}

fn all_done<const N: usize>(measured: &Measured, outages: [(&str, Of<Outage>); N]) -> [Done; N] {
    outages.map(|(_, of)| of(&measured.scenarios).into())
}

/// What a hung receiver did to requests that don't need it.
#[derive(Debug, Clone, PartialEq)]
struct Reads {
    before: Quantiles,
    during: Result<Quantiles, String>,
    failed: u64,
    writes: Share,
}

impl Reads {
    fn tail(&self) -> Tail {
        Tail::of(
            [Some(&self.before), self.during.as_ref().ok()]
                .into_iter()
                .flatten(),
        )
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            before,
            during,
            failed,
            writes,
        } = self;
        let tail = self.tail();
        write!(f, "`GET /v1/posts` {tail} {} → ", Time(tail.time(before)))?;
        match during {
            Ok(during) => write!(f, "{}", Time(tail.time(during)))?,
            Err(why) => write!(f, "none ({why})")?,
        }
        write!(f, ", {} failed; of the writes {writes}", Count(*failed))
    }
}

pub(super) fn cascading(measured: &Measured) -> Judged {
    let reads = |view: View<'_>| {
        let hung = view.of(|it| &it.hung)?;
        Ok(Reads {
            before: *least(&hung.reads_before, "reads before")?,
            during: least(&hung.reads_during, "reads during").copied(),
            failed: *hung
                .reads_failed
                .get()
                .map_err(|why| format!("failed reads: {why}"))?,
            writes: failed(&hung.traffic)?,
        })
    };
    let done = (&measured.scenarios.hung).into();
    weigh(measured, Mode::Sync, [done], reads, |sync, _| {
        let Reads {
            before,
            during,
            failed,
            writes,
        } = sync;
        let tail = sync.tail();
        let told = format!("With Notification hung, {sync} failed.");
        let (slowed, answered) = match during {
            Ok(during) => (!holds(tail.time(before), tail.time(during)), during.samples),
            // Few were answered, since they failed.
            Err(_) if *failed >= ENOUGH => (true, 0),
            Err(why) => return Err(why.clone()),
        };
        let share = Share {
            part: *failed,
            whole: answered + failed,
        };
        match (slowed || share.of_one() > FEW, writes.of_one() >= MANY) {
            (true, _) => held(format!("{told} Requests that need nobody else suffered.")),
            (false, true) => in_part(format!(
                "{told} It reached the callers of Notification, and no further."
            )),
            (false, false) => did_not_hold(told),
        }
    })
}

pub(super) fn coupled(measured: &Measured) -> Judged {
    let outages = [RECEIVER_AWAY[1], RECEIVER_AWAY[2]];
    let done = all_done(measured, outages);
    weigh(
        measured,
        Mode::Sync,
        done,
        |view| noticed(view, outages),
        |sync, _| {
            let because = format!("Of the requests in Sync, {sync}.");
            let suffered = sync.shares().filter(|share| *share >= MANY).count();
            match suffered {
                0 if sync.none() => did_not_hold(because),
                suffered if suffered == sync.failed.len() => held(because),
                _ => in_part(because),
            }
        },
    )
}

pub(super) fn decoupled(measured: &Measured) -> Judged {
    let done = all_done(measured, RECEIVER_AWAY);
    weigh(
        measured,
        Mode::Async,
        done,
        |view| noticed(view, RECEIVER_AWAY),
        |asynchronous, _| {
            let because = format!("Of the requests in Async, {asynchronous}.");
            let suffered = asynchronous.shares().filter(|share| *share > FEW).count();
            match suffered {
                _ if asynchronous.lost > 0 => did_not_hold(because),
                0 => held(because),
                suffered if suffered < asynchronous.failed.len() => in_part(because),
                _ => did_not_hold(because),
            }
        },
    )
}

pub(super) fn broker(measured: &Measured) -> Judged {
    let done = all_done(measured, BROKER_AWAY);
    weigh(
        measured,
        Mode::Async,
        done,
        |view| noticed(view, BROKER_AWAY),
        |asynchronous, _| {
            let told = format!("Of the requests in Async, {asynchronous}");
            if asynchronous.lost > 0 || asynchronous.shares().any(|share| share >= MANY) {
                return held(format!("{told}."));
            }
            let usual = View::new(measured, Mode::Async)
                .baseline()?
                .traffic
                .freshness
                .get();
            match (asynchronous.late, usual) {
                (Some(late), Ok(usual))
                    if asynchronous.none() && holds(usual.took.longest, late) =>
                {
                    did_not_hold(format!("{told}; owners saw all within {}.", Time(late)))
                }
                (Some(late), _) if asynchronous.none() => in_part(format!(
                    "{told}. Of delay only: owners waited up to {}.",
                    Time(late)
                )),
                (None, _) if asynchronous.none() => in_part(format!("{told}. Of delay at most.")),
                _ => in_part(format!("{told}.")),
            }
        },
    )
}

/// What became of events that the receiver failed to apply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unapplied {
    pub(crate) error_percent: u8,
    pub(crate) failed: Share,
    pub(crate) parked: u64,
    pub(crate) left: u64,
    pub(crate) lost: u64,
}

impl fmt::Display for Unapplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            failed,
            parked,
            left,
            lost,
            ..
        } = self;
        let [parked, left, lost] = [parked, left, lost].map(|it| Count(*it));
        write!(
            f,
            "callers' failures {failed}; {parked} parked, {left} of them left, {lost} lost"
        )
    }
}

pub(crate) fn unapplied(view: View<'_>) -> Result<Unapplied, String> {
    let failing = view.of(|it| &it.failing)?;
    let counted = |figure: &Figure<u64>, what: &str| {
        figure
            .get()
            .copied()
            .map_err(|why| format!("{what}: {why}"))
    };
    Ok(Unapplied {
        error_percent: failing.error_percent,
        failed: failed(&failing.traffic)?,
        parked: counted(&failing.parked, "what was parked")?,
        left: counted(&failing.left, "what was left")?,
        lost: lost(&failing.traffic)?,
    })
}

pub(super) fn control(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.failing).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        unapplied,
        |asynchronous, sync| {
            let sync = sync?;
            if asynchronous.parked == 0 && sync.failed.part == 0 {
                return Err("nothing failed".to_owned());
            }
            let because = format!(
                "With {} % of events failing at each receiver, {} of callers in Sync were told so and {} in Async; there up to {} were parked at once and {} lost.",
                asynchronous.error_percent,
                sync.failed,
                asynchronous.failed,
                Count(asynchronous.parked),
                Count(asynchronous.lost)
            );
            match (asynchronous.lost, asynchronous.failed.of_one()) {
                (1.., _) => did_not_hold(because),
                (0, failed) if failed > FEW && failed >= sync.failed.of_one() => {
                    did_not_hold(because)
                }
                (0, failed) if failed > FEW => in_part(because),
                _ => held(because),
            }
        },
    )
}

pub(super) fn retried(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.failing).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        unapplied,
        |asynchronous, _| {
            let Unapplied {
                parked, left, lost, ..
            } = asynchronous;
            let because = format!(
                "Up to {} events that failed were parked at once; the retries left {} of them, {} lost.",
                Count(*parked),
                Count(*left),
                Count(*lost)
            );
            match (parked, left, lost) {
                (0, _, 0) => Err("no event failed at first".to_owned()),
                (_, 0, 0) => held(because),
                (_, _, 0) => in_part(because),
                _ => did_not_hold(because),
            }
        },
    )
}

/// What became of jobs that are longer than a caller may wait.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Long {
    pub(crate) job: Duration,
    pub(crate) deadline: Duration,
    pub(crate) failed: Share,
    pub(crate) lost: u64,
}

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            job, failed, lost, ..
        } = self;
        write!(
            f,
            "jobs of {}: {failed} failed, {} lost",
            Time(*job),
            Count(*lost)
        )
    }
}

pub(super) fn long_job(measured: &Measured) -> Judged {
    let long = |view: View<'_>| {
        let long = view.of(|it| &it.long_job)?;
        if long.job <= long.deadline {
            return Err("the job was within the deadline".to_owned());
        }
        Ok(Long {
            job: long.job,
            deadline: long.deadline,
            failed: failed(&long.traffic)?,
            lost: lost(&long.traffic)?,
        })
    };
    let done = (&measured.scenarios.long_job).into();
    weigh(measured, Mode::Async, [done], long, |asynchronous, sync| {
        let sync = sync?;
        let because = format!(
            "Of jobs of {} under a deadline of {}, {} failed in Sync and {} in Async.",
            Time(asynchronous.job),
            Time(asynchronous.deadline),
            sync.failed,
            asynchronous.failed
        );
        match (
            asynchronous.lost,
            asynchronous.failed.of_one(),
            sync.failed.of_one(),
        ) {
            (1.., _, _) => did_not_hold(because),
            (0, ..=FEW, NEARLY_ALL..) => held(because),
            (0, own, other) if own < other => in_part(because),
            _ => did_not_hold(because),
        }
    })
}
