//! The terms in words.

use crate::compare::{
    measured::{Length, PairPlace, Terms},
    printed::{PerSecond, Time},
};

/// What a reader must know to take the figures for what they are: a name, and what it was.
pub(super) fn rows(terms: &Terms) -> Vec<(&'static str, String)> {
    let machine = &terms.machine;
    let processor = machine
        .processor
        .as_ref()
        .map(|it| format!(", {it}"))
        .unwrap_or_default();
    let cores = match machine.cores {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    let versions: Vec<_> = terms
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    vec![
        ("Command", format!("`{}`", terms.command)),
        (
            "When",
            format!(
                "{}, for {}",
                terms.began.strftime("%Y-%m-%d %H:%M UTC"),
                Time(terms.took)
            ),
        ),
        (
            "Length",
            match terms.length {
                Length::Quick => "quick: short scenarios, to look at".to_owned(),
                Length::Full => "full".to_owned(),
            },
        ),
        ("Pair", place(&terms.place)),
        ("Machine", format!("{cores}{processor}, {}", machine.system)),
        ("Versions", versions.join(", ")),
        (
            "Load",
            format!(
                "{} where nothing else is said, sent when it is due whatever is answered; waits count from then",
                PerSecond(terms.per_second)
            ),
        ),
        (
            "Deadline",
            format!("{} for a synchronous call", Time(terms.deadline)),
        ),
        ("Receivers", terms.receivers.join(", ")),
    ]
}

fn place(place: &PairPlace) -> String {
    match place {
        PairPlace::Laptop { own } => {
            let whose = if *own {
                "started for this run"
            } else {
                "that of `duet up`"
            };
            format!("{whose}, on the machine that measured it, with broker and load beside it")
        }
        PairPlace::Cluster {
            context,
            namespace,
            pods,
        } => {
            let pods: Vec<_> = pods
                .iter()
                .map(|(service, pods)| format!("{service} × {pods}"))
                .collect();
            format!(
                "in the cluster {context}, namespace {namespace} ({}); through a forwarded port, whose time is in every wait",
                pods.join(", ")
            )
        }
    }
}

/// The same in one line.
pub(super) fn line(terms: &Terms) -> String {
    let place = match &terms.place {
        PairPlace::Laptop { .. } => "on this machine".to_owned(),
        PairPlace::Cluster {
            context, namespace, ..
        } => format!("in {context}/{namespace}"),
    };
    let length = match terms.length {
        Length::Quick => "quick",
        Length::Full => "full",
    };
    format!(
        "{}, a {length} run of {} {place}, {} cores, {}",
        terms.began.strftime("%Y-%m-%d %H:%M UTC"),
        Time(terms.took),
        terms.machine.cores,
        PerSecond(terms.per_second)
    )
}
