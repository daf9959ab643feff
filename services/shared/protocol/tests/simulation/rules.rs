//! Each rule switched off alone: at which seed the simulation misses it, or what shows its use in its stead.

use std::sync::Arc;

use duet_protocol::rules::{Rule, Rules};

use crate::{SEEDS, replay, run_seeds, variable};

/// What shows that a rule is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// The first seed that goes wrong without it.
    At(u64),
    /// The same, of a rule that is missed so rarely that another seed is not soon found once the simulation is changed.
    RarelyAt(u64),
    /// A schedule in `tests/schedules` alone.
    BySchedule(&'static str),
}

use Missed::{At, BySchedule, RarelyAt};

/// Of every rule. `cargo test -p duet-protocol --test simulation each_rule -- --ignored --nocapture` finds the seeds anew.
fn missed(rule: Rule) -> Missed {
    match rule {
        Rule::ForgetOnReceipt => At(8),
        Rule::CompensateOwnVersion => At(2),
        Rule::CompensateUnreceived => At(64),
        Rule::WriteAnewIfUnsettled => BySchedule(
            "schedule_2_an_equal_request_elsewhere_is_written_anew_while_the_row_is_unsettled",
        ),
        Rule::JoinCurrentVersion => At(0),
        Rule::UndoJoins => At(0),
        Rule::JoinUntilCompensated => At(3),
        Rule::BackgroundJoinsNone => At(0),
        Rule::CompensationFirst => At(4),
        Rule::CompensateBeforeAnswer => At(0),
        Rule::NewEpoch => At(0),
        Rule::RefuseBeyondSeal => RarelyAt(424),
        Rule::NewestWins => At(0),
        Rule::InboxOnce => At(0),
        Rule::CopyStandsAsFirst => At(401),
        Rule::DropOverRunCap => At(0),
        Rule::ParkFirstFailure => At(15),
        Rule::DieAfterAttempts => At(5),
        Rule::UnknownTypeWaits => At(4),
        Rule::RedriveRestartsAttempts => At(15),
        Rule::PassOverFutile => RarelyAt(300),
        Rule::TombstoneUntilWatermark => At(0),
        Rule::TombstoneUntilOlderEpochs => At(23),
        Rule::TombstoneWhileParked => At(11),
        Rule::ForgetBelowLowestOpen => At(13),
        Rule::CompareHash => BySchedule("an_event_that_arrived_as_another_is_not_forgotten"),
        Rule::ProveClosed => {
            BySchedule("an_epoch_that_was_closed_over_another_events_content_is_not_forgotten")
        }
        Rule::CompareState => RarelyAt(3343),
        Rule::NewestIncarnation => RarelyAt(8046),
        Rule::RunsDieWithIncarnation => RarelyAt(441),
        Rule::HelloAsAsked => At(1),
        Rule::HelloNowAndThen => At(29),
        Rule::LossByOrder => BySchedule(
            "what_was_overtaken_is_sent_again_though_another_holds_up_what_the_broker_is_done_with",
        ),
        Rule::LossByPlace => At(90),
        Rule::LossByAge => At(147),
        Rule::StreamReset => At(452),
        Rule::JoinBeginsAnew => At(72),
        Rule::ConcernsFromBegin => At(5),
        Rule::EpochAboveSeen => At(131),
        Rule::OneStoreAName => RarelyAt(552),
        Rule::HelloTellsHighest => {
            BySchedule("a_resync_that_began_below_what_a_receiver_holds_is_known_to_heal_nothing")
        }
        Rule::ResyncAsAsked => At(648),
        Rule::ReceivedOnceSwept => At(1),
        Rule::ResyncKeepsCalls => BySchedule("a_call_that_a_resync_overtook_is_not_taken_back"),
        Rule::ResyncForgetsIncarnations => At(21),
        Rule::JoinRestartsResync => RarelyAt(6223),
        Rule::SweepWhenComplete => At(7),
        Rule::SweepClosesOlder => At(0),
        Rule::SweepClosesOthers => At(0),
        Rule::SweepParkedFirst => RarelyAt(4064),
        Rule::RepeatUnanswered => At(0),
    }
}

/// From a recorded seed on so many are tried: what is changed elsewhere in the simulation makes other runs of the same seeds.
const NEARBY: u64 = 200;

/// The first seed that goes wrong while a rule is off; `None` if none does.
fn first_missed(rule: Rule, seeds: std::ops::Range<u64>) -> Option<(u64, String)> {
    run_seeds(seeds, &Arc::new(Rules::all_but(rule))).failed
}

#[test]
fn a_rule_that_is_off_is_missed() {
    let is_found = |rule: &&Rule| match missed(**rule) {
        At(seed) => first_missed(**rule, seed..seed + NEARBY).is_some(),
        RarelyAt(_) | BySchedule(_) => true,
    };
    let lost: Vec<&Rule> = Rule::ALL.iter().filter(|rule| !is_found(rule)).collect();
    assert!(
        lost.is_empty(),
        "not missed near the seeds that `missed` names: {lost:?}"
    );
}

#[test]
#[ignore = "minutes: tells of each rule, or of RULE alone, the first of SEEDS seeds at which it is missed; SEED repeats one for RULE"]
fn each_rule_is_missed_at_a_seed() {
    let seeds = variable("SEEDS").unwrap_or(SEEDS);
    let from = variable("FROM").unwrap_or(0);
    let only = std::env::var("RULE").ok();
    for &rule in Rule::ALL {
        if only.as_ref().is_some_and(|only| only != rule.label()) {
            continue;
        }
        if let (Some(seed), Some(_)) = (variable("SEED"), &only) {
            let missed = replay(seed, Arc::new(Rules::all_but(rule)), usize::MAX);
            println!("{}: {missed:?}", rule.label());
            continue;
        }
        let known = missed(rule);
        match first_missed(rule, from..from + seeds) {
            Some((seed, violation)) => println!("{rule:?} => At({seed}), // {violation}"),
            None => println!("{rule:?} => {known:?}, // not among {seeds} seeds"),
        }
    }
}
