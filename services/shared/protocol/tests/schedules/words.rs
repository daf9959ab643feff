//! What a sender makes of a receiver's word, and what it does not.

use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::{Asked, Health, HelloAnswer, Recorded};
use duet_protocol::sender::Path;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId};

use crate::pair::*;
use crate::sweeps::data;

/// The first epoch that no clock makes.
const NONSENSE: Epoch = Epoch(i64::MAX as u64);

fn stranger() -> ReceiverName {
    ReceiverName::new("stranger").expect("a short name")
}

/// What the receiver says after it received the opening.
fn a_word(pair: &mut Pair) -> Receipt {
    let opening = pair.opening();
    pair.receives(opening);
    pair.receipts().remove(0)
}

impl Pair {
    fn seen(&mut self) -> Epoch {
        must(self.sender.outbox.seen())
    }
}

#[test]
fn what_a_stranger_says_and_what_is_said_to_another_store_changes_nothing() {
    let mut pair = Pair::new();
    let word = a_word(&mut pair);
    let mut from_stranger = word.clone();
    from_stranger.receiver = stranger();
    let mut to_another = word.clone();
    to_another.source.lane.store = StoreId(8);
    let kept = pair.sender.outbox.len();
    for recorded in pair.hears(&[from_stranger, to_another]) {
        assert_eq!(recorded, Recorded::default());
    }
    assert_eq!(pair.sender.outbox.len(), kept);
    assert_ne!(pair.hears(&[word])[0], Recorded::default());
}

#[test]
fn only_the_first_word_of_an_incarnation_voids_what_runs_had_said() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let [_, second, _, fourth] = [LIKE, LOVE, LIKE, LOVE].map(|value| pair.writes(value));
    pair.receives(opening);
    pair.receives(second);
    let words = pair.receipts();
    assert!(pair.hears(&words)[0].new_incarnation.is_some());
    pair.receives(fourth);
    let mut words = pair.receipts();
    words[0].runs.remove(0); // as of a receipt that is capped
    assert_eq!(pair.hears(&words)[0].new_incarnation, None);
    assert!(pair.is_received(second) && pair.is_received(fourth));
}

#[test]
fn the_highest_epoch_that_was_seen_never_falls_and_is_none_that_no_clock_made() {
    let mut pair = Pair::new();
    let word = a_word(&mut pair);
    let ahead = Epoch(word.source.epoch.0 + 1_000);
    let says = |pair: &mut Pair, epoch: Epoch| {
        let mut word = word.clone();
        word.source.epoch = epoch;
        let suspicion = pair.hears(&[word])[0].suspicion;
        assert!(suspicion.is_some(), "{epoch:?} never was this store's");
        pair.seen()
    };
    assert_eq!(says(&mut pair, ahead), ahead);
    assert_eq!(says(&mut pair, Epoch(ahead.0 - 1)), ahead);
    assert_eq!(says(&mut pair, NONSENSE), ahead);
    assert_eq!(says(&mut pair, Epoch(u64::MAX)), ahead);
}

#[test]
fn an_answer_that_names_an_epoch_that_no_clock_made_is_no_alarm() {
    let mut pair = Pair::new();
    a_word(&mut pair);
    let (asked, mut answer) = asks(&mut pair);
    answer.highest = NONSENSE;
    assert_eq!(pair.judges(&asked, &answer), Some(Health::Sound));
    answer.highest = Epoch(NONSENSE.0 - 1);
    let alarm = pair.judges(&asked, &answer);
    assert!(matches!(alarm, Some(Health::SenderRegressed(_))));
}

/// What a hello asks now, and its answer.
fn asks(pair: &mut Pair) -> (Asked, HelloAnswer) {
    let mut machine = pair.machine(Path::Broker);
    let hello = machine.poll_hello(at(0)).expect("one is said at start");
    let asked = machine.asked(&notification(), hello.id).expect("it waits");
    (asked, pair.answer())
}

#[test]
fn an_answer_under_an_older_incarnation_is_an_alarm_only_if_it_is_older_than_was_known_when_asked()
{
    let mut pair = Pair::new();
    let word = a_word(&mut pair);
    pair.hears(&[word]);
    let (asked, mut answer) = asks(&mut pair);
    pair.receiver_opens();
    let words = pair.receipts();
    pair.hears(&words); // while the answer was on its way
    let judged = [-1, 0, 1].map(|by| {
        answer.incarnation = Epoch(asked.incarnation.0.wrapping_add_signed(by));
        pair.judges(&asked, &answer)
    });
    assert_eq!(judged, [Some(Health::ReceiverRegressed), None, None]);
}

#[test]
fn an_epoch_that_a_hello_did_not_name_was_forgotten_whole_and_must_be_held_whole() {
    let mut pair = Pair::new();
    let like = pair.writes(LIKE);
    let opening = pair.opening();
    for id in [opening, like] {
        pair.receives(id);
    }
    let (words, mut short) = (pair.receipts(), pair.receipts());
    short[0].watermark = Sequence::FIRST;
    short[0].hash = pair.event(opening).hash();
    pair.hears(&words);
    pair.sender_opens();
    let newest = pair.opening().source;
    let asked = Asked {
        incarnation: pair.receiver.incarnation,
        forgotten: vec![(newest, Sequence::ZERO)],
        resyncing: false,
    };
    let mut answer = pair.answer();
    answer.receipts = words;
    assert_eq!(pair.judges(&asked, &answer), Some(Health::Sound));
    answer.receipts = short;
    assert_eq!(
        pair.judges(&asked, &answer),
        Some(Health::ReceiverRegressed)
    );
}

#[test]
fn an_answer_names_each_other_store_of_which_something_is_open_once_and_not_too_many() {
    let mut pair = Pair::new();
    a_word(&mut pair);
    assert!(pair.answer().others.is_empty());
    for store in 100..130 {
        for partition in 0..2 {
            let lane = Lane {
                store: StoreId(store),
                partitions: 2,
                partition: Partition(partition),
            };
            pair.receives_event(
                &data(lane, 5, 2),
                duet_protocol::receive::Arrival::Background,
            );
        }
    }
    let closed = Lane {
        store: StoreId(100),
        partitions: 2,
        partition: Partition(0),
    };
    for partition in 0..2 {
        let lane = Lane {
            partition: Partition(partition),
            ..closed
        };
        let inbox = pair.receiver.received.inboxes.get_mut(&lane);
        inbox.expect("it was received of").close_below(Epoch(6));
    }
    let others = pair.answer().others;
    let expected = (101..).map(StoreId).take(HelloAnswer::MAX_OTHERS);
    assert_eq!(others, expected.collect::<Vec<_>>());
}
