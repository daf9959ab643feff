//! Recording a receipt in the sender's store: the only thing that lets it forget an event.

use crate::ledger::Agreement;
use crate::outbox::{self, Mark, OutboxTables};
use crate::receipt::{Receipt, ReceiverName};
use crate::receive::{self, InboxTables};
use crate::resync;
use crate::rules::{Rule, Rules};

use crate::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId};

/// Why a receipt can't be the whole truth: the sender says hello to learn more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// It names an epoch that this store never had.
    UnknownEpoch,
    /// It holds more than was ever numbered.
    BeyondEnd,
    /// The rolling hash at the watermark differs, or that of all epochs that were closed.
    HashDiffers,
    /// The receiver holds open lanes of another store: there was another sender under this one's name. Only a hello's answer tells.
    AnotherStore,
}

/// What a receipt changed: nothing, where this store should not listen to it: from an older incarnation, to another store, of an epoch that
/// is none of its business, from a stranger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What the receiver is now known to hold, for each source that the receipt told of.
    pub marks: Vec<(Source, Mark)>,
    /// It spoke under a new incarnation: what only runs had said is void.
    pub new_incarnation: Option<Incarnation>,
    /// What does not fit.
    pub suspicion: Option<Suspicion>,
    /// How the receiver's state stands to this store's, of a lane of which nothing is on its way.
    pub state: Option<(Lane, Agreement)>,
}

/// Records a receipt, and forgets what every receiver now holds.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn record<T: OutboxTables>(
    tables: &mut T,
    receipt: &Receipt,
    rules: &Rules,
) -> Result<Recorded, T::Error> {
    let lane = receipt.source.lane;
    if outbox::lane(tables, lane.partition)? != lane
        || !tables.receivers()?.contains(&receipt.receiver)
    {
        return Ok(Recorded::default());
    }
    let resync = tables.resync()?;
    if resync.is_some_and(|resync| resync.is_after(receipt.source)) {
        return Ok(Recorded::default()); // who spoke before it is forgotten
    }
    let mut recorded = Recorded::default();
    let known = tables.incarnation(&receipt.receiver)?;
    if receipt.incarnation < known && rules.holds(Rule::NewestIncarnation) {
        return Ok(Recorded::default());
    }
    if receipt.incarnation > known {
        tables.put_incarnation(&receipt.receiver, receipt.incarnation)?;
        recorded.new_incarnation = Some(receipt.incarnation);
        if rules.holds(Rule::RunsDieWithIncarnation) {
            tables.drop_runs(&receipt.receiver)?;
        }
    }
    let head = tables.head(lane.partition)?.unwrap_or_default();
    if receipt.lowest_open <= head && !forget_below(tables, receipt, &mut recorded, rules)? {
        recorded.suspicion = Some(Suspicion::HashDiffers);
        return Ok(recorded);
    }
    if !outbox::concerns(tables, &receipt.receiver, receipt.source, rules)? {
        return Ok(recorded); // from before it joined again
    }
    let Some(epoch) = tables.epoch(receipt.source)? else {
        see(tables, receipt.source.epoch)?;
        recorded.suspicion = Some(Suspicion::UnknownEpoch);
        return Ok(recorded);
    };
    if receipt.highest() > epoch.last {
        recorded.suspicion = Some(Suspicion::BeyondEnd);
        return Ok(recorded);
    }
    let mark = tables.mark(&receipt.receiver, receipt.source)?;
    if receipt.watermark < mark.watermark.max(epoch.forgotten) {
        return Ok(recorded); // late, or a receiver that lost something: only a hello tells
    }
    let hash =
        epoch.hash + tables.hash_between(receipt.source, epoch.forgotten, receipt.watermark)?;
    if hash != receipt.hash && rules.holds(Rule::CompareHash) {
        recorded.suspicion = Some(Suspicion::HashDiffers);
        return Ok(recorded);
    }
    hold(
        tables,
        &receipt.receiver,
        receipt.source,
        merged(&mark, receipt),
        &mut recorded,
        rules,
    )?;
    let all = receipt.watermark == epoch.last && receipt.source.epoch == head;
    if all && receipt.lowest_open == head && rules.holds(Rule::CompareState) {
        recorded.state = agreement(tables, receipt)?.map(|agreement| (lane, agreement));
    }
    Ok(recorded)
}

/// Of the year 2248: nothing that a clock made, and above it there is no room for new ones.
const NONSENSE: Epoch = Epoch(i64::MAX as u64);

/// An epoch that a receiver holds: new ones are taken above it.
fn see<T: OutboxTables>(tables: &mut T, epoch: Epoch) -> Result<(), T::Error> {
    if epoch < NONSENSE && epoch > tables.seen()? {
        tables.put_seen(epoch)?;
    }
    Ok(())
}

/// How the receiver's state stands to this store's, where nothing is on its way.
fn agreement<T: OutboxTables>(
    tables: &mut T,
    receipt: &Receipt,
) -> Result<Option<Agreement>, T::Error> {
    let Some(digest) = receipt.digest else {
        return Ok(None);
    };
    if resync::is_under_way(tables)? {
        return Ok(None); // it is not told all rows yet
    }
    let lane = receipt.source.lane;
    let since = tables.rows_since(&receipt.receiver, lane.partition)?;
    let own = tables.digest(lane, since)?;
    Ok(Some(match own == digest {
        true => Agreement::Agrees,
        false => Agreement::Differs,
    }))
}

/// Whether the epochs that the receiver closed are as this store sent them. [A restored copy of this store would otherwise forget what
/// took the numbers of what was lost with it.]
fn proves_closed<T: OutboxTables>(tables: &mut T, receipt: &Receipt) -> Result<bool, T::Error> {
    let lane = receipt.source.lane;
    let begin = tables.begin(&receipt.receiver, lane.partition)?;
    // What it closed before it began anew concerns nobody, and may be gone here.
    if tables.has_epochs(lane, receipt.closed.since, begin)? {
        return Ok(true);
    }
    let sent = tables.hash_of_epochs(lane, receipt.closed.since, receipt.lowest_open)?;
    Ok(sent == receipt.closed.hash)
}

/// Everything under the lowest open epoch is held. [A closed epoch sends no more receipts; its last one may have been lost.] `false` if
/// it proves to be something else.
fn forget_below<T: OutboxTables>(
    tables: &mut T,
    receipt: &Receipt,
    recorded: &mut Recorded,
    rules: &Rules,
) -> Result<bool, T::Error> {
    let unforgotten = tables.unforgotten(receipt.source.lane, receipt.lowest_open)?;
    if !unforgotten.is_empty() && !proves_closed(tables, receipt)? && rules.holds(Rule::ProveClosed)
    {
        return Ok(false);
    }
    for closed in unforgotten {
        let source = receipt.source.lane.source(closed);
        if let Some(state) = tables.epoch(source)?
            && rules.holds(Rule::ForgetBelowLowestOpen)
        {
            hold(
                tables,
                &receipt.receiver,
                source,
                Mark {
                    watermark: state.last,
                    runs: Vec::new(),
                },
                recorded,
                rules,
            )?;
        }
    }
    Ok(true)
}

fn hold<T: OutboxTables>(
    tables: &mut T,
    receiver: &ReceiverName,
    source: Source,
    mark: Mark,
    recorded: &mut Recorded,
    rules: &Rules,
) -> Result<(), T::Error> {
    if !outbox::concerns(tables, receiver, source, rules)? {
        return Ok(());
    }
    tables.put_mark(receiver, source, &mark)?;
    outbox::forget_what_all_hold(tables, source, rules)?;
    recorded.marks.push((source, mark));
    Ok(())
}

/// Both are true, so their union is.
fn merged(mark: &Mark, receipt: &Receipt) -> Mark {
    let watermark = mark.watermark.max(receipt.watermark);
    if mark.runs.is_empty() && receipt.runs.is_empty() {
        return Mark {
            watermark,
            runs: Vec::new(),
        };
    }
    let mut runs: Vec<_> = mark.runs.iter().chain(&receipt.runs).cloned().collect();
    runs.sort_by_key(|run| *run.start());
    let mut union: Vec<std::ops::RangeInclusive<u64>> = Vec::with_capacity(runs.len());
    for run in runs {
        match union.last_mut() {
            Some(last) if *run.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(run.end())
            }
            _ => union.push(run),
        }
    }
    let above = union
        .into_iter()
        .filter(|run| *run.end() > watermark.0)
        .take(2 * Receipt::MAX_RUNS);
    Mark {
        watermark,
        runs: above.collect(),
    }
}

/// A question to a receiver: what do you hold of me? With what the sender had forgotten when it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The newest incarnation that the receiver was known to have spoken under.
    pub incarnation: Incarnation,
    /// Up to where each source was forgotten. One that is not named was forgotten whole, long before.
    pub forgotten: Vec<(Source, Sequence)>,
    /// Whether a resync was under way, or has begun since: what the receiver still held of other stores then, it was about to drop.
    pub resyncing: bool,
}

/// A receiver's answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloAnswer {
    /// Who answers.
    pub receiver: ReceiverName,
    /// Under which incarnation.
    pub incarnation: Incarnation,
    /// A receipt for each open epoch of the asker's store; none if the receiver knows nothing of it.
    pub receipts: Vec<Receipt>,
    /// The highest epoch of which it ever received anything, of whichever store; zero if there is none.
    pub highest: Epoch,
    /// The other stores of which it holds open lanes, at most [`HelloAnswer::MAX_OTHERS`].
    pub others: Vec<StoreId>,
}

impl HelloAnswer {
    /// The most other stores that an answer names.
    pub const MAX_OTHERS: usize = 16;

    /// What is held of a store's sources, and of others, as an inbox has it.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn from_tables<T: InboxTables>(
        tables: &mut T,
        store: StoreId,
        receiver: &ReceiverName,
        incarnation: Incarnation,
    ) -> Result<Self, T::Error> {
        let mut answer = HelloAnswer {
            receiver: receiver.clone(),
            incarnation,
            receipts: Vec::new(),
            highest: Epoch::ZERO,
            others: Vec::new(),
        };
        for lane in tables.lanes(None)? {
            let inbox = tables.inbox(lane)?;
            answer.highest = answer.highest.max(inbox.highest());
            if lane.store == store {
                let receipts = receive::receipts(tables, lane, receiver, incarnation)?;
                answer.receipts.extend(receipts);
            } else if !inbox.epochs.is_empty()
                && !answer.others.contains(&lane.store)
                && answer.others.len() < Self::MAX_OTHERS
            {
                answer.others.push(lane.store);
            }
        }
        Ok(answer)
    }
}

/// What a hello found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Both ends agree.
    #[default]
    Sound,
    /// The receiver holds what this store never sent: this store was restored from an older copy. Heal it with `duet resync`.
    SenderRegressed(Suspicion),
    /// The receiver lacks what this store has forgotten: its store was restored or lost. Heal it with `duet resync`.
    ReceiverRegressed,
    /// A resync is under way that heals whatever was wrong.
    Resyncing,
}

/// How many of a lane's newest epochs a hello is about.
pub const HELLO_EPOCHS: usize = 16;

/// Judges a hello's answer, after recording its receipts. `None` if a newer incarnation has spoken since it was asked: then it says
/// nothing. [One that is older than what was known when it was asked is a restored store, opened with its clock set back.]
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn judge<T: OutboxTables>(
    tables: &mut T,
    asked: &Asked,
    answer: &HelloAnswer,
    rules: &Rules,
) -> Result<Option<(Health, Vec<Recorded>)>, T::Error> {
    if !tables.receivers()?.contains(&answer.receiver) {
        return Ok(None); // it has left
    }
    if answer.incarnation < tables.incarnation(&answer.receiver)? {
        let regressed = answer.incarnation < asked.incarnation;
        return Ok(regressed.then(|| (Health::ReceiverRegressed, Vec::new())));
    }
    see(tables, answer.highest)?;
    let mut recorded = Vec::with_capacity(answer.receipts.len());
    for receipt in &answer.receipts {
        recorded.push(record(tables, receipt, rules)?);
    }
    let suspicion = recorded.iter().find_map(|recorded| recorded.suspicion);
    if let Some(suspicion) = suspicion {
        return Ok(Some((Health::SenderRegressed(suspicion), recorded)));
    }
    let holds = |source: &Source, up_to: Sequence| {
        let of_lane = |receipt: &&Receipt| receipt.source.lane == source.lane;
        answer.receipts.iter().filter(of_lane).any(|receipt| {
            receipt.lowest_open > source.epoch
                || (receipt.source == *source && receipt.watermark >= up_to)
        })
    };
    let as_asked = rules.holds(Rule::HelloAsAsked);
    for (source, forgotten) in &asked.forgotten {
        if !outbox::concerns(tables, &answer.receiver, *source, rules)? {
            continue;
        }
        let up_to = if as_asked {
            *forgotten
        } else {
            tables.epoch(*source)?.unwrap_or_default().forgotten
        };
        if up_to > Sequence::ZERO && !holds(source, up_to) {
            return Ok(Some((Health::ReceiverRegressed, recorded)));
        }
    }
    for receipt in &answer.receipts {
        if !outbox::concerns(tables, &answer.receiver, receipt.source, rules)? {
            continue;
        }
        // What was opened since it was asked was not forgotten then.
        let is_asked = asked
            .forgotten
            .iter()
            .any(|(source, _)| *source == receipt.source);
        let is_older = asked.forgotten.iter().any(|(source, _)| {
            source.lane == receipt.source.lane && source.epoch > receipt.source.epoch
        });
        let forgotten = tables.epoch(receipt.source)?.unwrap_or_default().forgotten;
        let judged = !is_asked && (is_older || !as_asked);
        if judged && receipt.watermark < forgotten {
            return Ok(Some((Health::ReceiverRegressed, recorded)));
        }
    }
    let mut newest = Epoch::ZERO;
    for partition in 0..tables.partitions()? {
        let head = tables.head(Partition(partition))?;
        newest = newest.max(head.unwrap_or_default());
    }
    // What it closed below that, also for another store, it never takes: a resync that began too low heals nothing.
    if answer.highest > newest && answer.highest < NONSENSE && rules.holds(Rule::HelloTellsHighest)
    {
        let unknown = Health::SenderRegressed(Suspicion::UnknownEpoch);
        return Ok(Some((unknown, recorded)));
    }
    let resyncing =
        resync::is_under_way(tables)? || (asked.resyncing && rules.holds(Rule::ResyncAsAsked));
    let health = if resyncing {
        Health::Resyncing
    } else if !answer.others.is_empty() && rules.holds(Rule::OneStoreAName) {
        Health::SenderRegressed(Suspicion::AnotherStore)
    } else {
        Health::Sound
    };
    Ok(Some((health, recorded)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RollingHash;
    use crate::ledger::Closed;

    fn receipt(watermark: u64, runs: &[std::ops::RangeInclusive<u64>]) -> Receipt {
        Receipt {
            source: Source::default(),
            lowest_open: Epoch::ZERO,
            receiver: ReceiverName::new("notification").unwrap(),
            incarnation: Epoch(1),
            watermark: Sequence(watermark),
            hash: RollingHash::default(),
            runs: runs.to_vec(),
            closed: Closed::default(),
            digest: None,
        }
    }

    fn mark(watermark: u64, runs: &[std::ops::RangeInclusive<u64>]) -> Mark {
        Mark {
            watermark: Sequence(watermark),
            runs: runs.to_vec(),
        }
    }

    #[test]
    fn two_words_on_one_source_are_both_true_whichever_came_first() {
        let cases = [
            (mark(3, &[]), receipt(5, &[]), mark(5, &[])),
            (mark(5, &[]), receipt(3, &[]), mark(5, &[])),
            (mark(1, &[3..=4]), receipt(1, &[5..=6]), mark(1, &[3..=6])),
            (mark(1, &[3..=4, 8..=9]), receipt(4, &[]), mark(4, &[8..=9])),
            (mark(1, &[3..=9]), receipt(1, &[4..=5]), mark(1, &[3..=9])),
        ];
        for (before, receipt, after) in cases {
            assert_eq!(merged(&before, &receipt), after);
        }
    }

    #[test]
    fn the_runs_of_a_mark_are_bounded() {
        let odd: Vec<_> = (1..1_000).map(|n| 2 * n + 1..=2 * n + 1).collect();
        let merged = merged(&mark(1, &odd), &receipt(1, &[]));
        assert_eq!(merged.runs.len(), 2 * Receipt::MAX_RUNS);
    }
}
