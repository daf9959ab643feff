//! What a resync tells, what makes it begin anew, and what a receiver claims that none can have made.

use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::{Asked, Health, Suspicion};
use duet_protocol::resync::{self, Stage};
use duet_protocol::sender::{Path, Sender, Sent};
use duet_protocol::sequence::Epoch;
use duet_protocol::settings::Generation;

use crate::pair::*;

impl Pair {
    /// Wall clock and chance of the next opening.
    fn anew(&mut self) -> NewEpochs {
        self.opened += 1;
        NewEpochs {
            wall: self.wall(),
            random: self.opened,
            generation: Generation::FIRST,
        }
    }

    /// Under which epoch rows are told anew.
    fn resyncs_from(&mut self) -> Option<Epoch> {
        let standing = must(resync::standing(&mut self.sender.outbox));
        standing.map(|(resync, _)| resync.sources[0].epoch)
    }

    fn asks_hello(&mut self) -> Asked {
        let mut machine = self.machine(Path::Broker);
        let hello = machine.poll_hello(at(0)).expect("one is said at start");
        machine.asked(&notification(), hello.id).expect("it waits")
    }
}

#[test]
fn a_store_that_is_opened_while_rows_are_told_anew_goes_on_unless_someone_joins() {
    let mut pair = Pair::new();
    pair.writes(LIKE);
    pair.resyncs();
    let begun = pair.resyncs_from();
    pair.sender_opens();
    assert_eq!(pair.resyncs_from(), begun);

    let trending = ReceiverName::new("trending").expect("a short name");
    let (new, to) = (pair.anew(), [notification(), trending]);
    let opened = membership::open(&mut pair.sender.outbox, Some(&to), new, &pair.rules);
    assert!(must(opened).resync, "the newcomer, too, is told every row");
    assert!(pair.resyncs_from() > begun);
}

#[test]
fn an_epoch_of_the_year_2248_is_nonsense_and_none_is_made_above_it() {
    let mut pair = Pair::new();
    let asked = pair.asks_hello();
    let mut claims = |highest: u64| {
        let mut answer = pair.answer();
        answer.highest = Epoch(highest);
        let health = pair.judges(&asked, &answer);
        (health, must(pair.sender.outbox.seen()))
    };
    let first_nonsense = i64::MAX as u64;
    for nonsense in [u64::MAX, first_nonsense] {
        assert_eq!(claims(nonsense), (Some(Health::Sound), Epoch::ZERO));
    }
    let unknown = Health::SenderRegressed(Suspicion::UnknownEpoch);
    let last = first_nonsense - 1;
    assert_eq!(claims(last), (Some(unknown), Epoch(last)));
}

#[test]
fn while_rows_are_told_anew_no_receiver_is_told_to_be_sound_whatever_it_answers() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Broker);
    let health = |machine: &Sender| machine.standing().receivers[0].health;
    let answers = |machine: &mut Sender, seconds| {
        let hello = machine.poll_hello(at(seconds)).expect("one is due");
        machine.judged(&notification(), hello.id, Some(Health::Sound), at(seconds));
    };
    answers(&mut machine, 0);
    assert_eq!(health(&machine), Health::Sound);
    pair.resyncs();
    pair.sends(&mut machine, at(1));
    answers(&mut machine, 60);
    assert_eq!(health(&machine), Health::Resyncing);
}

#[test]
fn a_resync_tells_each_older_row_once_and_what_is_written_meanwhile_tells_itself() {
    let mut pair = Pair::new();
    pair.writes(LIKE);
    pair.resyncs();
    assert_eq!(pair.announces().len(), 3, "the opening, the row, the sweep");
    let announced = |pair: &Pair| pair.sender.outbox.last_resync().map(|it| it.announced);
    assert_eq!(announced(&pair), Some(1));
    pair.resyncs();
    pair.writes(LOVE);
    assert_eq!(pair.announces().len(), 3, "the opening, love, the sweep");
    assert_eq!(announced(&pair), Some(0));
}

#[test]
fn what_only_waited_to_be_repeated_is_over_once_all_rows_are_told_anew() {
    let mut pair = Pair::new();
    let before = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    machine.transmitted(&notification(), sent[0].id, Sent::Unknown, at(0));
    pair.resyncs();
    let opening = pair.opening();
    assert_eq!(ids(&pair.sends(&mut machine, at(1))), [opening]);
    let later = ids(&pair.sends(&mut machine, at(100)));
    assert!(!later.contains(&before), "{later:?}");
}

#[test]
fn a_resync_over_a_restart_is_done_only_once_what_was_told_before_that_is_held_too() {
    let mut pair = Pair::new();
    let like = pair.writes(LIKE);
    pair.resyncs();
    let first = pair.opening();
    assert!(first.source.epoch > like.source.epoch);
    pair.sender_opens();
    let told = pair.announces();
    let mut machine = pair.machine(Path::Broker);
    let (resync, stage) = must(resync::standing(&mut pair.sender.outbox)).expect("it runs");
    machine.resync_known(&resync, stage);
    for id in told {
        pair.receives(id);
    }
    let hears_all = |pair: &mut Pair, machine: &mut Sender| {
        let receipts = pair.receipts();
        for recorded in pair.hears(&receipts) {
            machine.recorded(&notification(), &recorded, at(1));
        }
    };
    hears_all(&mut pair, &mut machine);
    assert_eq!(pair.stage(), Some(Stage::Sweeping));
    assert!(machine.is_resyncing());
    pair.receives(first);
    hears_all(&mut pair, &mut machine);
    assert_eq!(pair.stage(), Some(Stage::Done));
    assert!(!machine.is_resyncing());
}
