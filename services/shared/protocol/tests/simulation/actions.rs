//! What may happen next: a caller's request, time that passes, or something that goes wrong.

use std::time::Duration;

use duet_protocol::event::Key;

use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::plan::Plan;
use crate::tables::Value;

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Request {
        key: Key,
        value: Option<Value>,
    },
    Wait(Duration),
    Switch,
    Reconfigure,
    JoinOrLeave(usize),
    CrashSender,
    CrashReceiver(usize),
    /// The broker comes back without so many of its newest messages.
    CrashBroker(usize, u64),
    WipeBroker(usize, Duration),
    BrokerDown(usize, Duration),
    BrokerDeaf(usize, Duration),
    PurgeBroker(usize),
    LoseConsumer(usize, Duration),
    BackUpBroker(usize),
    RestoreBroker(usize),
    FailToApply(usize, Key, Duration),
    NotKnowType(usize, Key, Duration),
    Redrive(usize),
    SenderClockBack(Duration),
    ReceiverClockBack(usize, Duration),
    BackUpSender,
    BackUpReceiver(usize),
    RestoreSender,
    RestoreReceiver(usize),
    ReplaceSender,
    Resync,
}

pub(crate) fn key(index: usize) -> Key {
    const KEYS: [&str; 6] = ["a/ana", "a/bob", "b/ana", "b/bob", "c/cy", "d/dee"];
    Key::new(KEYS[index % KEYS.len()]).expect("a short key")
}

impl Action {
    pub(crate) fn draw(plan: &Plan, faults: &mut Faults, dice: &mut Dice) -> Action {
        let node = dice.index(plan.receivers);
        let a_while = |dice: &mut Dice| dice.mostly_short(Duration::from_secs(90));
        if dice.chance(2_500)
            && let Some(action) = Self::fault(plan, faults, node, a_while, dice)
        {
            return action;
        }
        if dice.chance(5_500) {
            let undo = dice.chance(3_000);
            return Action::Request {
                key: key(dice.index(plan.keys)),
                value: (!undo).then(|| dice.below(u64::from(plan.values)) as Value),
            };
        }
        let up_to = dice.one_of(&[1, 20, 20, 200, 200, 2_000, 2_000, 15_000]);
        Action::Wait(dice.time(Duration::from_millis(up_to)))
    }

    /// Faults that befall a whole part. Their probabilities are those of a quarter of all steps.
    fn fault(
        plan: &Plan,
        faults: &mut Faults,
        node: usize,
        a_while: impl Fn(&mut Dice) -> Duration,
        dice: &mut Dice,
    ) -> Option<Action> {
        let mut strikes = |fault, dice: &mut Dice| faults.strike(fault, dice);
        Some(if strikes(Fault::Switch, dice) {
            Action::Switch
        } else if strikes(Fault::Reconfigure, dice) {
            Action::Reconfigure
        } else if plan.receivers > 1 && strikes(Fault::JoinOrLeave, dice) {
            Action::JoinOrLeave(node)
        } else if strikes(Fault::SenderCrash, dice) {
            Action::CrashSender
        } else if strikes(Fault::ReceiverCrash, dice) {
            Action::CrashReceiver(node)
        } else if strikes(Fault::BrokerCrash, dice) {
            Action::CrashBroker(node, 1 + dice.below(10))
        } else if strikes(Fault::BrokerWipe, dice) {
            Action::WipeBroker(node, a_while(dice))
        } else if strikes(Fault::BrokerDown, dice) {
            Action::BrokerDown(node, a_while(dice))
        } else if strikes(Fault::BrokerDeaf, dice) {
            Action::BrokerDeaf(node, a_while(dice))
        } else if strikes(Fault::BrokerPurge, dice) {
            Action::PurgeBroker(node)
        } else if strikes(Fault::ConsumerLost, dice) {
            Action::LoseConsumer(node, a_while(dice))
        } else if strikes(Fault::BrokerOlder, dice) {
            Action::RestoreBroker(node)
        } else if strikes(Fault::ApplyFails, dice) {
            Action::FailToApply(node, key(dice.index(plan.keys)), a_while(dice))
        } else if strikes(Fault::UnknownType, dice) {
            Action::NotKnowType(node, key(dice.index(plan.keys)), a_while(dice))
        } else if strikes(Fault::Redrive, dice) {
            Action::Redrive(node)
        } else if strikes(Fault::ClockBack, dice) {
            let back = dice.mostly_short(Duration::from_secs(86_400));
            match dice.chance(5_000) {
                true => Action::SenderClockBack(back),
                false => Action::ReceiverClockBack(node, back),
            }
        } else if strikes(Fault::RestoreSender, dice) {
            Action::RestoreSender
        } else if strikes(Fault::RestoreReceiver, dice) {
            Action::RestoreReceiver(node)
        } else if strikes(Fault::ReplaceSender, dice) {
            Action::ReplaceSender
        } else if strikes(Fault::Resync, dice) {
            Action::Resync
        } else if faults.may(Fault::BrokerOlder) && dice.chance(300) {
            Action::BackUpBroker(node)
        } else if faults.may(Fault::RestoreSender) && dice.chance(300) {
            Action::BackUpSender
        } else if faults.may(Fault::RestoreReceiver) && dice.chance(1_500) {
            Action::BackUpReceiver(node)
        } else {
            return None;
        })
    }
}
