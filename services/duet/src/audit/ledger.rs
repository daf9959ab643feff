//! What was sent, and what became of it at a receiver: counts, rolling hashes, and what the sender believes.

use super::{Report, Store};
use crate::failure::Failure;
use duet_channel::store::sqlite::audit::{
    Finding, HeldEpoch, HeldLane, ReceiverTables, Said, SenderTables, SentEpoch,
};
use duet_protocol::{
    ledger::{self, Endings, Imbalance},
    sequence::{Epoch, Sequence, Source},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// How often what moves is read again, and how long it rests in between.
const TIMES: usize = 25;
const REST: Duration = Duration::from_millis(200);

/// One source at one receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) source: String,
    pub(crate) receiver: String,
    /// What callers asked for; the channel's own events are not in it.
    pub(crate) accepted: u64,
    pub(crate) applied: u64,
    pub(crate) superseded: u64,
    pub(crate) parked: u64,
    pub(crate) dead: u64,
    pub(crate) discarded: u64,
    pub(crate) in_flight: u64,
    /// Whether the rolling hashes of both ends agree at the receiver's watermark; none if nothing is held.
    pub(crate) hashes_agree: Option<bool>,
}

impl Account {
    pub(super) fn sum<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        accounts.fold(Account::default(), |mut sum, it| {
            sum.accepted += it.accepted;
            sum.applied += it.applied;
            sum.superseded += it.superseded;
            sum.parked += it.parked;
            sum.dead += it.dead;
            sum.discarded += it.discarded;
            sum.in_flight += it.in_flight;
            sum
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account {
            accepted,
            applied,
            superseded,
            parked,
            dead,
            discarded,
            in_flight,
            ..
        } = self;
        write!(
            f,
            "accepted {accepted} = applied {applied} + superseded {superseded} + parked {parked} + dead {dead} + discarded {discarded} + in flight {in_flight}"
        )
    }
}

/// Compares the ledgers. The sender is read before and after the receiver: what it believed before must be so, and what the receiver
/// then holds must have been sent.
pub(super) async fn compare(
    sender: &Store,
    receiver: &Store,
    report: &mut Report,
) -> Result<(), Failure> {
    for time in 1..=TIMES {
        let before = sender.sender(&BTreeMap::new()).await?;
        let held = receiver.receiver().await?;
        let after = sender.sender(&places(&held)).await?;
        let Some(said) = before.receivers.iter().find(|it| it.name == receiver.name) else {
            return Ok(()); // it has left meanwhile
        };
        let comparison = Comparison {
            sender: &sender.name,
            receiver: &receiver.name,
            before: &before,
            after: &after,
            held: &held,
            said,
        };
        match comparison.judge() {
            Some((accounts, findings)) => {
                report.accounts.extend(accounts);
                report.findings.extend(findings);
                report.findings.extend(after.findings);
                report.findings.extend(held.findings);
                return Ok(());
            }
            None if time < TIMES => tokio::time::sleep(REST).await,
            None => {
                let why = "what was sent was forgotten faster than it could be compared: try again when less is going on";
                report.untold.push(why.to_owned());
            }
        }
    }
    Ok(())
}

/// Up to where each open epoch is held.
fn places(held: &ReceiverTables) -> BTreeMap<Source, Sequence> {
    let mut places = BTreeMap::new();
    for lane in &held.lanes {
        let open = lane.epochs.iter().filter(|epoch| epoch.open);
        places.extend(open.map(|epoch| (source(lane, epoch), Sequence(epoch.watermark))));
    }
    places
}

fn source(lane: &HeldLane, epoch: &HeldEpoch) -> Source {
    let lane = duet_protocol::sequence::Lane {
        store: duet_protocol::sequence::StoreId(lane.store),
        partitions: lane.partitions,
        partition: duet_protocol::sequence::Partition(lane.partition),
    };
    lane.source(Epoch(epoch.epoch))
}

struct Comparison<'a> {
    sender: &'a str,
    receiver: &'a str,
    before: &'a SenderTables,
    after: &'a SenderTables,
    held: &'a ReceiverTables,
    said: &'a Said,
}

impl Comparison<'_> {
    /// None if something moved on meanwhile that has to be read again.
    fn judge(&self) -> Option<(Vec<Account>, Vec<Finding>)> {
        let (mut accounts, mut findings) = (Vec::new(), Vec::new());
        for epoch in &self.after.epochs {
            let begin = self
                .said
                .begins
                .iter()
                .find(|it| it.partition == epoch.partition);
            if begin.is_some_and(|begin| epoch.epoch < begin.epoch) {
                continue;
            }
            let source = self.after.source(epoch);
            let mut tell = |store: &str, what: String| {
                let finding = Finding::new(what).of_source(source);
                findings.push(Finding {
                    store: store.to_owned(),
                    ..finding
                });
            };
            let lane = self.held.lanes.iter().find(|lane| {
                lane.store == self.after.store
                    && lane.partitions == self.after.partitions
                    && lane.partition == epoch.partition
            });
            let known = lane.and_then(|lane| {
                let mut epochs = lane.epochs.iter();
                epochs.find(|it| it.epoch == epoch.epoch)
            });
            let floor = lane.map_or(0, |lane| lane.floor);
            let counted = lane.map_or(0, |lane| lane.counted_since);
            let held = match known {
                Some(held) => *held,
                None if epoch.epoch < counted => continue, // from before there were counts
                None if epoch.epoch < floor => {
                    tell(
                        self.receiver,
                        "the epoch is closed, and what it came to is gone".to_owned(),
                    );
                    continue;
                }
                None => HeldEpoch::default(),
            };
            let hashes = match self.hashes(epoch, &held) {
                Some(hashes) => hashes,
                None if self.forgotten(epoch) > held.watermark => None, // found below
                None => return None,
            };
            let hashes_agree = match hashes {
                Some(false) => {
                    let what = format!(
                        "the rolling hash of what {} holds up to {} is not that of what was sent",
                        self.receiver, held.watermark
                    );
                    tell(self.receiver, what);
                    Some(false)
                }
                agree => agree,
            };
            self.believed(epoch, &held, &mut tell);
            let account = account(epoch, &held);
            if let Err(imbalance) = account.balance() {
                tell(self.receiver, sentence(imbalance));
            }
            accounts.push(Account {
                source: source.to_string(),
                receiver: self.receiver.to_owned(),
                accepted: account.accepted(),
                applied: held.applied,
                superseded: held.superseded,
                parked: held.parked,
                dead: held.dead,
                discarded: held.discarded,
                in_flight: account.in_flight(),
                hashes_agree,
            });
        }
        Some((accounts, findings))
    }

    /// Whether both ends' rolling hashes agree; `Some(None)` if there is nothing to compare, `None` if it moved on.
    #[allow(clippy::option_option, reason = "not known yet, and nothing to know")]
    fn hashes(&self, sent: &SentEpoch, held: &HeldEpoch) -> Option<Option<bool>> {
        if held.watermark == 0 {
            return Some(None);
        }
        if held.watermark == sent.last {
            return Some(Some(held.hash == sent.hash));
        }
        if !held.open || held.watermark > sent.last {
            return Some(Some(false));
        }
        sent.hash_at.map(|hash| Some(hash == held.hash))
    }

    /// What the sender had forgotten of an epoch before the receiver was read.
    fn forgotten(&self, epoch: &SentEpoch) -> u64 {
        let place = (epoch.partition, epoch.epoch);
        let mut epochs = self.before.epochs.iter();
        let before = epochs.find(|it| (it.partition, it.epoch) == place);
        before.map_or(0, |before| before.forgotten)
    }

    /// What the sender believed before the receiver was read must be so.
    fn believed(&self, epoch: &SentEpoch, held: &HeldEpoch, tell: &mut impl FnMut(&str, String)) {
        let place = (epoch.partition, epoch.epoch);
        let mut marks = self.said.marks.iter();
        let mark = marks.find(|(partition, epoch, _)| (*partition, *epoch) == place);
        let forgotten = self.forgotten(epoch);
        let marked = mark.map_or(0, |(_, _, mark)| *mark);
        if forgotten > held.watermark {
            let what = format!(
                "it lacks what {} has forgotten: it holds all up to {}, and forgotten is all up to {forgotten}",
                self.sender, held.watermark
            );
            tell(self.receiver, what);
        } else if marked > held.watermark {
            let what = format!(
                "it believes that {} holds all up to {marked}, and it holds all up to {}",
                self.receiver, held.watermark
            );
            tell(self.sender, what);
        }
    }
}

fn account(sent: &SentEpoch, held: &HeldEpoch) -> ledger::Account {
    ledger::Account {
        sent: Sequence(sent.last),
        sent_own: sent.own,
        received: held.received,
        endings: Endings {
            own: held.own,
            applied: held.applied,
            superseded: held.superseded,
            discarded: held.discarded,
        },
        parked: held.parked,
        dead: held.dead,
    }
}

fn sentence(imbalance: Imbalance) -> String {
    match imbalance {
        Imbalance::MoreThanSent => "it holds more events than were sent".to_owned(),
        Imbalance::Unaccounted(count) => format!(
            "{count} of the events that it holds were neither applied, superseded nor discarded, and are not parked or dead"
        ),
        Imbalance::Surplus(count) => format!(
            "{count} more events were applied, superseded or discarded, or are parked or dead, than it holds"
        ),
        Imbalance::OwnDiffers => {
            "it counts another number of the channel's own events than were sent".to_owned()
        }
    }
}
