//! What takes longer than any deadline: it is parked as soon as it is received, and applied once its work is done.

use std::num::NonZeroU32;

use duet_protocol::delivery::{Parked, State};
use duet_protocol::event::Event;
use duet_protocol::receive::{Failure, JobTurn, Outcome, Redriven};

use crate::pair::*;

/// Its turn, by itself.
const RUN: JobTurn = JobTurn::Run { redriven: false };

/// A reaction that is a job, received.
fn a_job(pair: &mut Pair) -> Event {
    pair.receiver.rows.jobs.insert(key());
    let opening = pair.opening();
    pair.receives(opening);
    let like = pair.writes(LIKE);
    assert_eq!(pair.receives(like), Outcome::Parked);
    pair.event(like)
}

impl Pair {
    fn begins(&mut self, job: &Event) -> JobTurn {
        must(self.with_receiving(|receiving| receiving.begin_job(job)))
    }

    fn ends(&mut self, job: &Event) -> Outcome {
        let done = Ok(job.data().expect("a reaction").clone());
        must(self.with_receiving(|receiving| receiving.end_job(job, &done)))
    }

    fn fails_job(&mut self, job: &Event) -> Outcome {
        let failed = Err(Failure::new("told to fail"));
        must(self.with_receiving(|receiving| receiving.end_job(job, &failed)))
    }

    fn attempts(&self) -> Option<u32> {
        self.letter().map(|letter| letter.attempts)
    }
}

#[test]
fn a_job_is_applied_once_its_work_is_done_and_not_before() {
    let mut pair = Pair::new();
    let job = a_job(&mut pair);
    let retried = must(pair.with_receiving(|receiving| receiving.retry_parked(&job)));
    assert_eq!((retried, pair.notified()), (Outcome::Parked, UNDONE));
    let redriven = must(pair.with_receiving(|receiving| receiving.redrive(&job, true)));
    assert_eq!((redriven, pair.notified()), (Redriven::Queued, UNDONE));
    assert_eq!(pair.begins(&job), JobTurn::Run { redriven: true });
    assert_eq!((pair.attempts(), pair.notified()), (Some(1), UNDONE));
    assert_eq!(pair.ends(&job), Outcome::Applied(None));
    assert_eq!((pair.letter(), pair.notified()), (None, LIKE));
    assert_eq!(pair.begins(&job), JobTurn::None, "it is done");
    assert_eq!(pair.ends(&job), Outcome::Applied(None), "it was");
}

#[test]
fn a_job_that_fails_was_counted_when_it_began_and_dies_of_its_last_attempt() {
    let mut pair = Pair::new();
    pair.delivery.max_attempts = NonZeroU32::new(2).expect("two");
    let job = a_job(&mut pair);
    assert_eq!(pair.begins(&job), RUN);
    assert_eq!(pair.fails_job(&job), Outcome::Parked);
    assert_eq!(pair.attempts(), Some(1));
    assert_eq!(pair.begins(&job), RUN);
    assert_eq!(pair.fails_job(&job), Outcome::Dead);
    assert_eq!(pair.attempts(), Some(2));
    assert_eq!(pair.begins(&job), JobTurn::None, "by itself no more");
}

#[test]
fn a_job_that_ends_its_process_each_time_is_a_dead_letter_in_the_end() {
    let mut pair = Pair::new();
    pair.delivery.max_attempts = NonZeroU32::new(2).expect("two");
    let job = a_job(&mut pair);
    let turns = [(); 4].map(|()| pair.begins(&job));
    use JobTurn::{Dead, None};
    assert_eq!(turns, [RUN, RUN, Dead, None]);
    assert_eq!(pair.attempts(), Some(2));
}

#[test]
fn a_job_that_is_given_back_has_not_been_tried_and_is_due_at_once() {
    let mut pair = Pair::new();
    let job = a_job(&mut pair);
    let before = pair.letter();
    assert_eq!(pair.begins(&job), RUN);
    assert_ne!(pair.letter(), before);
    must(pair.with_receiving(|receiving| receiving.give_back_job(&job)));
    let next_attempt = pair.wall();
    let due = before.map(|letter| Parked {
        state: State::Parked { next_attempt },
        ..letter
    });
    assert_eq!(pair.letter(), due);
}

#[test]
fn a_job_that_died_is_not_given_back_to_life() {
    let mut pair = Pair::new();
    pair.delivery.max_attempts = NonZeroU32::MIN;
    let job = a_job(&mut pair);
    assert_eq!(pair.begins(&job), RUN);
    assert_eq!(pair.fails_job(&job), Outcome::Dead);
    must(pair.with_receiving(|receiving| receiving.give_back_job(&job)));
    assert_eq!(pair.letter().map(|letter| letter.is_dead()), Some(true));
}

#[test]
fn a_job_of_which_something_newer_is_stored_is_not_run() {
    let mut pair = Pair::new();
    let job = a_job(&mut pair);
    pair.receiver.rows.jobs.clear();
    let love = pair.writes(LOVE);
    assert_eq!(pair.receives(love), Outcome::Applied(None));
    assert_eq!(pair.begins(&job), JobTurn::None, "it is none any more");
    pair.receiver.rows.jobs.insert(key());
    assert_eq!(pair.begins(&job), JobTurn::Superseded);
    assert_eq!((pair.letter(), pair.notified()), (None, LOVE));
}
