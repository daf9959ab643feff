//! Callers who wait: joining, compensating, and what they are told.

use std::num::NonZeroU32;

use duet_protocol::accept::{Compensated, Dispatch};
use duet_protocol::event::EventId;
use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::rules::Rule;
use duet_protocol::sender::{Answer, CallStep, FailureCause, MayBeApplied, Path, Sent, Timing};
use duet_protocol::time::Moment;

use crate::pair::*;

#[test]
fn schedule_1_two_calls_that_fail_do_not_undo_each_other() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    // The first answers 202: a later call built on it.
    assert_eq!(pair.fails(0, like), Compensated::Stands);
    assert!(matches!(pair.fails(0, undo), Compensated::Undone(_)));
    assert_eq!(pair.row(), LIKE);

    let mut pair = Pair::without(Rule::CompensateOwnVersion);
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    assert!(matches!(pair.fails(0, like), Compensated::Undone(_)));
    assert!(matches!(pair.fails(0, undo), Compensated::Undone(_)));
    assert_eq!(pair.row(), LIKE, "both were told that they failed");
}

#[test]
fn schedule_2_an_equal_request_elsewhere_is_written_anew_while_the_row_is_unsettled() {
    let mut pair = Pair::new();
    let first = pair.asks(0, LIKE).wrote();
    let second = pair.asks(1, LIKE).wrote();
    assert!(second > first);
    assert_eq!(pair.fails(0, first), Compensated::Stands);
    assert_eq!(pair.row(), LIKE);

    let mut pair = Pair::without(Rule::WriteAnewIfUnsettled);
    let first = pair.asks(0, LIKE).wrote();
    assert_eq!(pair.asks(1, LIKE), Asks::Stands { received: false });
    assert!(matches!(pair.fails(0, first), Compensated::Undone(_)));
}

#[test]
fn schedule_2_after_a_crash_too() {
    let mut pair = Pair::new();
    let first = pair.asks(0, LIKE).wrote();
    pair.sender_opens();
    let second = pair.asks(0, LIKE).wrote();
    assert!(second.source.epoch > first.source.epoch);
}

#[test]
fn schedule_3_a_call_that_was_received_is_not_taken_back() {
    fn until_the_deadline(mut pair: Pair) -> Compensated {
        let opening = pair.opening();
        let like = pair.asks(0, LIKE).wrote();
        pair.receives(opening);
        pair.receives(like);
        pair.hears(&pair.receipts());
        assert_eq!(pair.asks(1, LIKE), Asks::Stands { received: true });
        pair.fails(0, like)
    }
    assert_eq!(until_the_deadline(Pair::new()), Compensated::Stands);
    let broken = until_the_deadline(Pair::without(Rule::CompensateUnreceived));
    assert!(matches!(broken, Compensated::Undone(_)));
}

#[test]
fn schedule_3_nor_after_the_receiver_that_said_so_has_restarted() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    pair.receives(like); // above a gap
    pair.hears(&pair.receipts());
    assert_eq!(pair.asks(0, LIKE), Asks::Stands { received: true });
    pair.receiver_opens();
    let mut told = pair.receipts();
    told[0].runs.clear(); // as if it told of another source first
    pair.hears(&told);
    assert!(!pair.is_received(like), "its runs have died");
    assert_eq!(pair.fails(0, like), Compensated::Stands);
}

#[test]
fn schedule_4_only_the_call_that_wrote_the_current_version_is_joined() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    let again = pair.asks(0, LIKE).wrote();
    assert!(like < undo && undo < again);

    let mut pair = Pair::without(Rule::JoinCurrentVersion);
    let like = pair.asks(0, LIKE).wrote();
    pair.asks(0, UNDONE).wrote();
    assert_eq!(pair.asks(0, LIKE), Asks::Joins(like));
    assert_eq!(pair.row(), UNDONE, "and it would be told that it is liked");
}

#[test]
fn schedule_4b_undoing_joins_as_doing_does() {
    fn two_undo(mut pair: Pair) -> (EventId, Asks) {
        pair.writes(LIKE);
        let undo = pair.asks(0, UNDONE).wrote();
        (undo, pair.asks(0, UNDONE))
    }
    let (undo, second) = two_undo(Pair::new());
    assert_eq!(second, Asks::Joins(undo));
    let (_, second) = two_undo(Pair::without(Rule::UndoJoins));
    assert_eq!(second, Asks::Stands { received: false });
}

#[test]
fn schedule_13_a_second_copy_is_answered_with_how_the_first_stands() {
    fn second_copy(mut pair: Pair) -> Outcome {
        let like = pair.asks(0, LIKE).wrote();
        pair.receiver.rows.failing.insert(key());
        assert_eq!(pair.receives(like), Outcome::Parked);
        let copy = pair.event(like);
        pair.receives_event(&copy, Arrival::Inline)
    }
    assert_eq!(second_copy(Pair::new()), Outcome::Parked);
    let mut last_attempt = Pair::new();
    last_attempt.delivery.max_attempts = NonZeroU32::MIN;
    let like = last_attempt.asks(0, LIKE).wrote();
    last_attempt.receiver.rows.failing.insert(key());
    assert_eq!(last_attempt.receives(like), Outcome::Dead);
    let copy = last_attempt.event(like);
    let again = last_attempt.receives_event(&copy, Arrival::Inline);
    assert_eq!(again, Outcome::Dead);
    let broken = second_copy(Pair::without(Rule::CopyStandsAsFirst));
    assert!(broken.is_delivered(), "a false success");
}

#[test]
fn schedule_14_a_failure_is_told_after_its_compensation_is_durable() {
    fn steps(mut pair: Pair) -> Vec<CallStep> {
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        pair.sends(&mut machine, at(0));
        let mut steps = Vec::new();
        while let Some((id, step)) = machine.poll_call(at(2)) {
            assert_eq!(id, like);
            steps.push(step);
        }
        let compensated = pair.fails(0, like);
        machine.compensated(like, Some(compensated), at(2));
        while let Some((_, step)) = machine.poll_call(at(2)) {
            steps.push(step);
        }
        steps
    }
    let steps_in_force = steps(Pair::new());
    assert!(matches!(
        steps_in_force[..],
        [
            CallStep::Compensate,
            CallStep::Answer(Answer::Failed { .. })
        ]
    ));
    let broken = steps(Pair::without(Rule::CompensateBeforeAnswer));
    assert!(matches!(broken[0], CallStep::Answer(Answer::Failed { .. })));
}

#[test]
fn schedule_15_a_call_is_joined_until_its_compensation_is_committed() {
    fn equal_after_the_deadline(mut pair: Pair) -> (EventId, Asks) {
        let like = pair.asks(0, LIKE).wrote();
        pair.calls[0].failed(like);
        let second = pair.asks(0, LIKE);
        assert!(matches!(pair.fails(0, like), Compensated::Undone(_)));
        (like, second)
    }
    let (like, second) = equal_after_the_deadline(Pair::new());
    assert_eq!(second, Asks::Joins(like), "and shares its outcome");
    let (_, second) = equal_after_the_deadline(Pair::without(Rule::JoinUntilCompensated));
    assert_eq!(second, Asks::Stands { received: false }, "then undone");
}

/// The transport hears first that the time is up: it waits as long as the caller does.
#[test]
fn a_request_that_is_given_up_at_its_deadline_fails_its_calls_by_that() {
    fn cause(heard: Moment) -> Option<FailureCause> {
        let mut pair = Pair::new();
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        let sent = pair.sends(&mut machine, at(0));
        let request = sent.iter().find(|sent| {
            let mut events = sent.events.iter();
            events.any(|(event, _)| event.id() == like)
        });
        machine.transmitted(&notification(), request?.id, Sent::Unknown, heard);
        let compensated = pair.fails(0, like);
        machine.compensated(like, Some(compensated), heard);
        std::iter::from_fn(|| machine.poll_call(heard)).find_map(|(_, step)| match step {
            CallStep::Answer(Answer::Failed { cause, .. }) => Some(cause),
            _ => None,
        })
    }
    assert_eq!(cause(at(1)), Some(FailureCause::Refused));
    assert_eq!(cause(at(2)), Some(FailureCause::Deadline));
}

/// In `Async` nobody waits for a receiver, nor for somebody else's call that does.
#[test]
fn a_request_that_does_not_wait_joins_no_call_and_keeps_what_it_wrote() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    let same = pair.accepts(0, LIKE, Dispatch::Background).wrote();
    assert!(same > like);
    assert_eq!(pair.fails(0, like), Compensated::Stands);
    assert_eq!(pair.row(), LIKE);

    let mut pair = Pair::without(Rule::BackgroundJoinsNone);
    let like = pair.asks(0, LIKE).wrote();
    let joins = pair.accepts(0, LIKE, Dispatch::Background);
    assert_eq!(joins, Asks::Joins(like), "and waits until the deadline");
}

#[test]
fn a_number_given_again_after_a_rollback_is_not_the_call_that_had_it() {
    let mut pair = Pair::new();
    let rolled_back = {
        let mut lost = Pair::new();
        lost.asks(0, LIKE).wrote()
    };
    pair.calls[0].begin(rolled_back, key(), true);
    let written = pair.writes(LIKE);
    assert_eq!(written.sequence, rolled_back.sequence);
    assert!(!pair.calls[0].is_known(written));
}

/// So that a receiver that comes back does not show for a moment what its caller was told is taken back.
#[test]
fn what_takes_a_failed_call_back_goes_out_before_it() {
    fn order(mut pair: Pair) -> (EventId, EventId, Vec<EventId>) {
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        let mut sent = pair.sends(&mut machine, at(0));
        for request in sent.drain(..) {
            let sent = Sent::NotSent { retry_after: None };
            machine.transmitted(&notification(), request.id, sent, at(0));
        }
        while machine.poll_call(at(2)).is_some() {}
        let compensated = pair.fails(0, like);
        let Compensated::Undone(by) = compensated else {
            panic!("{compensated:?}")
        };
        machine.compensated(like, Some(compensated), at(2));
        let mut order = Vec::new();
        for seconds in 10..20 {
            for request in pair.sends(&mut machine, at(seconds)) {
                order.extend(request.events.iter().map(|(event, _)| event.id()));
                let applied = vec![Outcome::Applied(None); request.events.len()];
                let sent = Sent::Answered(applied);
                machine.transmitted(&notification(), request.id, sent, at(seconds));
            }
        }
        order.retain(|id| [like, by].contains(id));
        (like, by, order)
    }
    let (like, by, sent) = order(Pair::new());
    assert_eq!(sent, [by, like]);
    let (like, by, sent) = order(Pair::without(Rule::CompensationFirst));
    assert_eq!(sent, [like, by]);
}

#[test]
fn what_was_turned_away_is_not_applied_and_what_got_no_answer_may_be() {
    fn applied(what: Option<Sent>) -> Option<(FailureCause, MayBeApplied)> {
        let mut pair = Pair::new();
        let opening = pair.opening();
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        for request in pair.sends(&mut machine, at(0)) {
            let answer = match ids(std::slice::from_ref(&request)) == [opening] {
                true => Some(Sent::Answered(vec![Outcome::Applied(None)])),
                false => what.clone(),
            };
            if let Some(answer) = answer {
                machine.transmitted(&notification(), request.id, answer, at(0));
            }
        }
        while machine.poll_call(at(2)).is_some() {}
        let compensated = pair.fails(0, like);
        machine.compensated(like, Some(compensated), at(2));
        match machine.poll_call(at(2)) {
            Some((_, CallStep::Answer(Answer::Failed { cause, applied, .. }))) => {
                Some((cause, applied))
            }
            _ => None,
        }
    }
    use FailureCause::{Deadline, Refused};
    use MayBeApplied::{No, Unknown};
    let not_sent = Sent::NotSent { retry_after: None };
    assert_eq!(applied(Some(not_sent)), Some((Refused, No)));
    assert_eq!(applied(Some(Sent::TooLarge)), Some((Refused, No)));
    let dropped = Sent::Answered(vec![Outcome::Dropped]);
    assert_eq!(applied(Some(dropped)), Some((Refused, No)));
    assert_eq!(applied(Some(Sent::Unknown)), Some((Refused, Unknown)));
    assert_eq!(applied(None), Some((Deadline, Unknown)));
}

#[test]
fn a_failed_call_follows_at_once_where_what_takes_it_back_is_out_already_or_waits_for_room() {
    fn follows(max_tracked: usize, is_out: bool) -> bool {
        let mut pair = Pair::new();
        let opening = pair.opening();
        pair.receives(opening);
        pair.hears(&pair.receipts());
        let timing = Timing {
            max_tracked,
            ..Timing::default()
        };
        let mut machine = pair.machine_with(Path::Call, timing);
        let like = pair.asks(0, LIKE).wrote();
        let request = pair.sends(&mut machine, at(0)).remove(0);
        assert_eq!(ids(std::slice::from_ref(&request)), [like]);
        let not_sent = Sent::NotSent { retry_after: None };
        machine.transmitted(&notification(), request.id, not_sent, at(0));
        while machine.poll_call(at(0)).is_some() {}
        let compensated = pair.fails(0, like);
        let sent = pair.sends(&mut machine, at(0));
        assert_eq!(sent.len(), usize::from(is_out), "what takes it back");
        for sent in sent {
            let applied = Sent::Answered(vec![Outcome::Applied(None)]);
            machine.transmitted(&notification(), sent.id, applied, at(0));
        }
        machine.compensated(like, Some(compensated), at(0));
        ids(&pair.sends(&mut machine, at(0))) == [like]
    }
    assert!(follows(16, true));
    assert!(follows(1, false));
}
