//! The scenarios' names, and what each does in a sentence.

use crate::compare::{
    ground::{Ground, Upset},
    printed::Time,
    stage::Stage,
};
use clap::ValueEnum;

/// A scenario, as `--only` takes it, in the order in which they are done: what harms nothing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Nothing is wrong
    Baseline,
    /// What a trace shows
    Traces,
    /// What a reaction passes on its way
    Way,
    /// The owner's inbox is read right after the answer
    Consistency,
    /// Notification takes longer and longer
    Slow,
    /// Each event takes longer than the synchronous deadline
    LongJob,
    /// Notification takes so many a second, and more and more come
    Surge,
    /// Notification is there and answers nobody
    Hung,
    /// Notification is not there
    Absent,
    /// Notification is replaced by a new process
    Redeployed,
    /// Notification can't apply some of the events
    Failing,
    /// The broker is stopped
    BrokerDown,
    /// The broker is stopped and loses what it stored
    BrokerWiped,
    /// A second receiver joins, a fast one and then a slow one
    SecondReceiver,
    /// The lines of a pair of one's own
    Code,
}

impl Name {
    pub(super) const ALL: [Self; 15] = [
        Self::Baseline,
        Self::Traces,
        Self::Way,
        Self::Consistency,
        Self::Slow,
        Self::LongJob,
        Self::Surge,
        Self::Hung,
        Self::Absent,
        Self::Redeployed,
        Self::Failing,
        Self::BrokerDown,
        Self::BrokerWiped,
        Self::SecondReceiver,
        Self::Code,
    ];

    pub(in crate::compare) fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Traces => "traces",
            Self::Way => "way",
            Self::Consistency => "consistency",
            Self::Slow => "slow",
            Self::LongJob => "long-job",
            Self::Surge => "surge",
            Self::Hung => "hung",
            Self::Absent => "absent",
            Self::Redeployed => "redeployed",
            Self::Failing => "failing",
            Self::BrokerDown => "broker-down",
            Self::BrokerWiped => "broker-wiped",
            Self::SecondReceiver => "second-receiver",
            Self::Code => "code",
        }
    }

    /// What is done, in a sentence.
    pub(super) fn done(self, stage: &Stage, ground: &Ground) -> String {
        let plan = &stage.plan;
        let rate = plan.per_second;
        let under = |what: String| format!("{what}, under {rate} requests a second");
        match self {
            Self::Baseline => format!(
                "{rate} requests a second for {}; beside them one reaction every {} whose way to the owner's inbox is watched",
                Time(plan.baseline),
                Time(plan.probe_every)
            ),
            Self::Traces => format!("{} reactions, and what Jaeger has of each", plan.traces),
            Self::Way => "the two services' open connections, and what their metrics counted for each reaction".to_owned(),
            Self::Consistency => format!(
                "{} reactions of each sort, and the owner's inbox read right after each answer",
                plan.reads
            ),
            Self::Slow => {
                let [first, second] = plan.delays.map(Time);
                under(format!("Notification took {first}, then {second} longer for each batch (faults.delay)"))
            }
            Self::LongJob => under(format!(
                "Notification took {} for each batch (faults.delay), the deadline being {}",
                Time(super::long_job::takes(stage)),
                Time(stage.deadline)
            )),
            Self::Surge => format!(
                "from {rate} to {} requests a second, {} each, with Notification held to {} a second (faults.maxPerSecond)",
                rate * plan.surge.last().copied().unwrap_or(1),
                Time(plan.surge_step),
                rate * plan.cap
            ),
            Self::Hung => under(ground.how(Upset::Hung, plan.hung(stage.deadline))),
            Self::Absent => under(ground.how(Upset::Absent, plan.away)),
            Self::Redeployed => under("Notification was stopped, and started again at once".to_owned()),
            Self::Failing => under(format!(
                "{} % of the events could not be applied at each receiver (faults.errorPercent)",
                super::failing::PERCENT
            )),
            Self::BrokerDown => under(ground.how(Upset::BrokerDown, plan.away)),
            Self::BrokerWiped => under(ground.how(Upset::BrokerWiped, plan.away)),
            Self::SecondReceiver => under(format!(
                "Trending joined the receivers, then took {} longer for each batch",
                Time(super::second_receiver::SLOW_BY)
            )),
            // It is told by who counts them.
            Self::Code => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_what_the_command_line_calls_it() {
        for name in Name::ALL {
            let value = name.to_possible_value().unwrap();
            assert_eq!(value.get_name(), name.as_str());
        }
        assert_eq!(Name::ALL.len(), Name::value_variants().len());
    }
}
