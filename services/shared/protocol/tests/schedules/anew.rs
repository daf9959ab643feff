//! What makes a resync begin anew, and what a receiver claims that none can have made.

use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::{Asked, Health, Suspicion};
use duet_protocol::resync;
use duet_protocol::sender::{Path, Sender};
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
    let new = pair.anew();
    must(resync::begin(&mut pair.sender.outbox, new, &pair.rules));
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
    let new = pair.anew();
    must(resync::begin(&mut pair.sender.outbox, new, &pair.rules));
    pair.sends(&mut machine, at(1));
    answers(&mut machine, 60);
    assert_eq!(health(&machine), Health::Resyncing);
}
