//! One store's rows beside the other's, key by key: what is missing, what is a ghost, what is something else.

use super::{Report, Store};
use crate::failure::Failure;
use duet_channel::store::sqlite::audit::{AtReceiver, Begin, Finding, MOST, SenderTables, Stands};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// How many rows are compared at once, at most.
const PAGE: usize = 1_000;
/// How often what differs is read again, and how long it rests in between.
const TIMES: usize = 50;
const REST: Duration = Duration::from_millis(100);

/// What comparing a receiver's rows came to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Compared {
    pub(crate) receiver: String,
    /// Rows that are at both ends as they should be.
    pub(crate) same: u64,
    /// Whose last event is on its way.
    pub(crate) in_flight: u64,
    /// Of whose events one is parked, dead or was discarded.
    pub(crate) waiting: u64,
    /// Which the receiver is not to have: they are from before it joined, or it keeps only a part.
    pub(crate) not_kept: u64,
    /// Which are not as they should be.
    pub(crate) different: u64,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.same {
            1 => write!(f, "1 row is the same")?,
            same => write!(f, "{same} rows are the same")?,
        }
        for (count, has, have) in [
            (
                self.in_flight,
                "has an event in flight",
                "have an event in flight",
            ),
            (
                self.waiting,
                "has one that is parked, dead or discarded",
                "have one that is parked, dead or discarded",
            ),
            (self.not_kept, "is not kept there", "are not kept there"),
            (self.different, "differs", "differ"),
        ] {
            match count {
                0 => {}
                1 => write!(f, ", 1 {has}")?,
                _ => write!(f, ", {count} {have}")?,
            }
        }
        Ok(())
    }
}

/// How a key stands at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Same,
    InFlight,
    Waiting,
    NotKept,
    Differs(String),
}

/// The sender's side of a comparison.
struct Sent {
    store: u64,
    partitions: u16,
    begins: BTreeMap<u16, Begin>,
    keeps_all: bool,
}

/// Compares each row of one with that of the other.
pub(super) async fn compare(
    sender: &Store,
    receiver: &Store,
    report: &mut Report,
) -> Result<(), Failure> {
    let tables: SenderTables = sender.sender(&BTreeMap::new()).await?;
    let Some(said) = tables.receivers.iter().find(|it| it.name == receiver.name) else {
        return Ok(()); // told already
    };
    let begins = said.begins.iter().map(|begin| (begin.partition, *begin));
    let mut walk = Walk {
        sender,
        receiver,
        sent: Sent {
            store: tables.store,
            partitions: tables.partitions,
            begins: begins.collect(),
            keeps_all: receiver.receiver().await?.keeps_all,
        },
        compared: Compared {
            receiver: receiver.name.clone(),
            ..Compared::default()
        },
        report,
    };
    walk.sent_rows().await?;
    walk.ghosts().await?;
    let Walk { compared, .. } = walk;
    report.rows.push(compared);
    Ok(())
}

struct Walk<'a> {
    sender: &'a Store,
    receiver: &'a Store,
    sent: Sent,
    compared: Compared,
    report: &'a mut Report,
}

impl Walk<'_> {
    /// What the sender has must be at the receiver.
    async fn sent_rows(&mut self) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let page = self.sender.page(after.as_deref(), PAGE).await?;
            let Some(last) = page.last().map(|row| row.key.clone()) else {
                return Ok(());
            };
            self.settle(
                page.into_iter()
                    .map(|row| (row.key.clone(), Some(row)))
                    .collect(),
            )
            .await?;
            after = Some(last);
        }
    }

    /// What the receiver has must be at the sender.
    async fn ghosts(&mut self) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let page = self.receiver.page(after.as_deref(), PAGE).await?;
            let Some(last) = page.last().map(|row| row.key.clone()) else {
                return Ok(());
            };
            let standing = page.into_iter().filter(|row| row.hash.is_some());
            let keys: Vec<_> = standing.map(|row| row.key).collect();
            let known = self.sender.rows(&keys).await?;
            let unknown = keys.into_iter().zip(known).filter(|(_, row)| row.is_none());
            self.settle(unknown.collect()).await?;
            after = Some(last);
        }
    }

    /// Compares these keys, and those that differ again, until they are explained or stay as they are.
    async fn settle(&mut self, mut rows: Vec<(String, Option<Stands>)>) -> Result<(), Failure> {
        let mut seen: BTreeMap<String, (Option<Stands>, Verdict)> = BTreeMap::new();
        for time in 0.. {
            if rows.is_empty() {
                return Ok(());
            }
            if time > 0 {
                tokio::time::sleep(REST).await;
            }
            let own = Some((self.sent.store, self.sent.partitions));
            let asked: Vec<_> = rows
                .iter()
                .map(|(key, row)| (key.clone(), row.as_ref().and_then(|row| row.event(own))))
                .collect();
            let at = self.receiver.at_receiver(&asked).await?;
            let mut again = Vec::new();
            for ((key, row), at) in rows.into_iter().zip(at) {
                let verdict = self.sent.judge(&key, row.as_ref(), &at);
                let stays = seen
                    .get(&key)
                    .is_some_and(|before| *before == (row.clone(), verdict.clone()));
                match verdict {
                    // Twice the same, with the sender's row as it was in between.
                    Verdict::Differs(what) if stays => self.differs(&key, row.as_ref(), &at, what),
                    Verdict::Differs(_) if time < TIMES => {
                        seen.insert(key.clone(), (row, verdict));
                        again.push(key);
                    }
                    Verdict::Differs(_) => {
                        let why = format!("{key} changes faster than it can be compared");
                        self.report.untold.push(why);
                    }
                    Verdict::Same => self.compared.same += 1,
                    Verdict::InFlight => self.compared.in_flight += 1,
                    Verdict::Waiting => self.compared.waiting += 1,
                    Verdict::NotKept => self.compared.not_kept += 1,
                }
            }
            let now = self.sender.rows(&again).await?;
            rows = again.into_iter().zip(now).collect();
        }
        Ok(())
    }

    fn differs(&mut self, key: &str, row: Option<&Stands>, at: &AtReceiver, what: String) {
        self.compared.different += 1;
        if self.compared.different > MOST as u64 {
            return; // told by the count
        }
        let own = Some((self.sent.store, self.sent.partitions));
        let event = row.and_then(|row| row.event(own));
        let event = event.or_else(|| at.row.as_ref().and_then(|row| row.event(own)));
        let finding = Finding::new(what).of_key(key);
        let finding = match event {
            Some(event) => finding.of_event(event),
            None => finding,
        };
        self.report.findings.push(Finding {
            store: self.receiver.name.clone(),
            ..finding
        });
    }
}

impl Sent {
    /// How a key stands, of which the sender has this row.
    fn judge(&self, key: &str, row: Option<&Stands>, at: &AtReceiver) -> Verdict {
        if at.waiting > 0 || at.discarded {
            return Verdict::Waiting;
        }
        let stands = at.row.as_ref().filter(|row| row.hash.is_some());
        let own = Some((self.store, self.partitions));
        let partition =
            duet_protocol::event::Key::new(key).map_or(0, |key| key.partition(self.partitions).0);
        let since = self
            .begins
            .get(&partition)
            .map_or(0, |begin| begin.rows_since);
        let Some(row) = row else {
            return match stands {
                // From before it joined: it holds it no better than it did then.
                Some(stands) if stands.epoch < since => Verdict::NotKept,
                Some(_) => Verdict::Differs(format!(
                    "it has{}, and the sender has nothing",
                    value(stands)
                )),
                None => Verdict::Same,
            };
        };
        if row.epoch < since {
            return Verdict::NotKept;
        }
        if !at.held {
            return Verdict::InFlight;
        }
        let there = at.row.as_ref();
        match (row.hash, stands.and_then(|row| row.hash)) {
            (None, None) => Verdict::Same,
            (Some(_), None) if !self.keeps_all => Verdict::NotKept,
            (Some(_), None) => Verdict::Differs(format!("it lacks the row{}", value(Some(row)))),
            (None, Some(_)) => Verdict::Differs(format!(
                "it has{}, and at the sender that is undone",
                value(stands)
            )),
            (Some(sent), Some(held)) if sent != held => Verdict::Differs(format!(
                "it has{}, and the sender has{}",
                value(stands),
                value(Some(row))
            )),
            _ => {
                let version = |row: &Stands| (row.epoch, row.sequence);
                let same_store = there.is_some_and(|there| there.lane.or(own) == own);
                match there {
                    // A resync tells a row anew, under a newer event than the sender's row keeps.
                    Some(there) if same_store && version(there) >= version(row) => Verdict::Same,
                    _ => Verdict::Differs(
                        "its row is of another event than the sender's, and that was received"
                            .to_owned(),
                    ),
                }
            }
        }
    }
}

/// A value as a person reads it.
fn value(row: Option<&Stands>) -> String {
    match row.and_then(|row| row.value.as_ref()) {
        Some(value) => format!(" {value:?}"),
        None => " something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: u64 = 7;

    fn row(value: Option<&str>, sequence: u64) -> Stands {
        let hash = value.map(|value| value.bytes().map(u64::from).sum());
        Stands {
            key: "p/ana".to_owned(),
            hash,
            value: value.map(str::to_owned),
            lane: Some((STORE, 1)),
            epoch: 10,
            sequence,
        }
    }

    fn at(row: Option<Stands>, held: bool) -> AtReceiver {
        AtReceiver {
            row,
            held,
            waiting: 0,
            discarded: false,
        }
    }

    fn sent() -> Sent {
        Sent {
            store: STORE,
            partitions: 1,
            begins: BTreeMap::new(),
            keeps_all: true,
        }
    }

    fn judged(sender: Option<Stands>, at: &AtReceiver) -> &'static str {
        match sent().judge("p/ana", sender.as_ref(), at) {
            Verdict::Same => "same",
            Verdict::InFlight => "in flight",
            Verdict::Waiting => "waiting",
            Verdict::NotKept => "not kept",
            Verdict::Differs(_) => "differs",
        }
    }

    #[test]
    fn a_difference_is_one_only_if_nothing_explains_it() {
        let like = |sequence| Some(row(Some("like"), sequence));
        let (love, undone) = (Some(row(Some("love"), 5)), Some(row(None, 5)));
        let cases = [
            (like(5), at(like(5), true), "same"),
            (like(5), at(None, true), "differs"),
            (like(5), at(None, false), "in flight"),
            (like(5), at(like(4), true), "differs"),
            (like(5), at(like(6), true), "same"),
            (like(5), at(love.clone(), true), "differs"),
            (undone.clone(), at(None, true), "same"),
            (undone.clone(), at(like(4), true), "differs"),
            (undone, at(like(4), false), "in flight"),
            (None, at(like(4), false), "differs"),
            (None, at(None, false), "same"),
        ];
        for (sender, receiver, wanted) in cases {
            assert_eq!(
                judged(sender.clone(), &receiver),
                wanted,
                "{sender:?} {receiver:?}"
            );
        }
        let parked = AtReceiver {
            waiting: 1,
            ..at(None, true)
        };
        assert_eq!(judged(like(5), &parked), "waiting");
    }

    #[test]
    fn what_is_from_before_a_receiver_joined_is_not_asked_of_it() {
        let begin = Begin {
            partition: 0,
            epoch: 11,
            rows_since: 11,
        };
        let joined = Sent {
            begins: [(0, begin)].into(),
            ..sent()
        };
        let old = row(Some("like"), 5);
        let verdict = |sender, receiver| joined.judge("p/ana", sender, &at(receiver, false));
        assert_eq!(verdict(Some(&old), None), Verdict::NotKept);
        assert_eq!(verdict(None, Some(row(Some("like"), 5))), Verdict::NotKept);
    }
}
