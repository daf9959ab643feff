//! The code, the hops and the traces.

use super::{
    Judged,
    rules::ENOUGH_TRACES,
    view::{View, did_not_hold, held, in_part, weigh},
};
use crate::compare::{
    measured::{Code, Measured, Way},
    printed::Share,
};
use duet_crd::Mode;
use std::fmt;

/// Lines that a pair of one's own takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lines(Code);

impl Lines {
    fn all(self) -> u32 {
        self.0.shared_lines + self.0.own_lines
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines, {} of them for this mode alone",
            self.all(),
            self.0.own_lines
        )
    }
}

pub(super) fn simple(measured: &Measured) -> Judged {
    let lines = |view: View<'_>| view.of(|it| &it.code).map(|it| Lines(*it));
    let done = (&measured.scenarios.code).into();
    weigh(measured, Mode::Sync, [done], lines, |sync, other| {
        let asynchronous = other?;
        let because = format!(
            "A pair of one's own takes {} lines in Sync and {} in Async; {} are the same.",
            sync.all(),
            asynchronous.all(),
            sync.0.shared_lines
        );
        match (sync.all(), asynchronous.all()) {
            (0, _) | (_, 0) => Err("no lines were counted".to_owned()),
            (own, other) if own >= other => did_not_hold(because),
            // A tenth more is a matter of settings, not of thought.
            (own, other) if f64::from(other) <= f64::from(own) * 1.1 => in_part(because),
            _ => held(because),
        }
    })
}

/// What a reaction passes.
#[derive(Debug, Clone)]
struct Passes<'a>(&'a Way);

impl fmt::Display for Passes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Way {
            between,
            connections,
            messages_each,
            shares,
        } = self.0;
        match &between[..] {
            [] => write!(f, "nothing between the services")?,
            between => write!(f, "{} between: {}", between.len(), between.join(", "))?,
        }
        if let Ok(connections) = connections.get() {
            write!(f, "; {connections} connections")?;
        }
        if let Ok(messages) = messages_each.get() {
            write!(f, "; {messages:.2} messages a reaction")?;
        }
        if let (Some(least), Some(most), 2..) =
            (shares.values().min(), shares.values().max(), shares.len())
        {
            let whole = shares.values().sum();
            let [least, most] = [least, most].map(|part| Share { part: *part, whole });
            write!(f, "; {} pods took {least} to {most} each", shares.len())?;
        }
        Ok(())
    }
}

pub(super) fn hop(measured: &Measured) -> Judged {
    fn passes(view: View<'_>) -> Result<Passes<'_>, String> {
        view.of(|it| &it.way).map(Passes)
    }
    let done = (&measured.scenarios.way).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        passes,
        |asynchronous, sync| {
            let (own, other) = (&asynchronous.0.between, &sync?.0.between);
            let named = |between: &[String]| match between {
                [] => "nothing".to_owned(),
                between => between.join(", "),
            };
            let because = format!(
                "Between the services an event passes {} in Async and {} in Sync.",
                named(own),
                named(other)
            );
            match (own.len(), other.len()) {
                (own, other) if own < other => held(because),
                (own, other) if own == other && own > 0 => in_part(format!(
                    "{because} The broker is the hop in place of the load balancer."
                )),
                (0, _) => did_not_hold(format!(
                    "{because} There was no load balancer to be spared."
                )),
                _ => did_not_hold(format!("{because} The broker is a hop itself.")),
            }
        },
    )
}

/// Traces that are whole.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Whole {
    share: Share,
    spans: Option<u64>,
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share { part, whole } = self.share;
        write!(f, "{part} of {whole} traces reach the receiver's commit")?;
        match self.spans {
            Some(spans) => write!(f, ", {spans} spans each"),
            None => Ok(()),
        }
    }
}

pub(super) fn track(measured: &Measured) -> Judged {
    let whole = |view: View<'_>| {
        let traces = view.of(|it| &it.traces)?;
        match traces.asked {
            few if few < ENOUGH_TRACES => Err(format!("{few} traces, fewer than {ENOUGH_TRACES}")),
            whole => Ok(Whole {
                share: Share {
                    part: traces.whole,
                    whole,
                },
                spans: traces.spans.get().ok().copied(),
            }),
        }
    };
    let done = (&measured.scenarios.traces).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        whole,
        |asynchronous, sync| {
            let sync = sync?;
            let because = format!(
                "One trace reaches from the caller to the receiver's commit for {} of reactions in Async and {} in Sync.",
                asynchronous.share, sync.share
            );
            match (asynchronous.share.of_one(), sync.share.of_one()) {
                (_, 0.0) => Err("no trace was whole in Sync either".to_owned()),
                (own, other) if own >= other => did_not_hold(because),
                (0.5.., _) => in_part(because),
                _ => held(because),
            }
        },
    )
}
