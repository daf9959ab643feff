//! `duet dead-letters show ID`: one, with all that is known of it.

use super::receivers::At;
use crate::{
    commands::{print, print_json},
    failure::{Failure, Kind},
    place::JaegerAt,
};
use duet_protocol::event::EventId;
use duet_web::{
    dead_letters::{Filter, Letter, filter::Text},
    time::text,
};
use serde::Serialize;
use std::fmt;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Its id, as `list` has it; it is the event's position
    #[arg(value_name = "ID")]
    id: EventId,
    #[command(flatten)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A letter, whose it is, and where its trace is shown.
#[derive(Debug, Serialize)]
struct Shown {
    receiver: String,
    letter: Letter,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    let only = Filter {
        ids: vec![Text(options.id)],
        ..Filter::default()
    };
    let asked = options.at.ask(&only).await?;
    let jaeger = asked.pair.jaeger.as_ref();
    let mut shown = Vec::new();
    for holding in asked.receivers.iter().filter(|it| it.count() > 0) {
        let Some(receiver) = &holding.receiver else {
            continue;
        };
        match receiver.letter(options.id).await {
            Ok(letter) => shown.push(Shown {
                receiver: holding.name.clone(),
                page: letter.trace.as_deref().and_then(|it| page(jaeger?, it)),
                letter,
            }),
            // It was applied or discarded meanwhile.
            Err(why) if why.is_no_letter() => {}
            Err(why) => return Err(why.failure(&holding.name)),
        }
    }
    if shown.is_empty() {
        asked.all_told()?;
        let names: Vec<_> = asked.receivers.iter().map(|it| it.name.as_str()).collect();
        let what = format!("no dead letter {} at {}", options.id, names.join(", "));
        return Err(Failure::new(Kind::NotFound, what)
            .hint("It was applied, superseded or discarded, or it never failed."));
    }
    match options.json {
        true => print_json(&shown)?,
        false => {
            let shown: Vec<_> = shown.iter().map(Shown::to_string).collect();
            print(shown.join("\n"));
        }
    }
    Ok(())
}

/// The trace's page; and how to get there, where it takes a command first.
fn page(jaeger: &JaegerAt, trace: &str) -> Option<String> {
    let page = format!("{}/trace/{trace}", jaeger.page);
    Some(match &jaeger.way {
        Some(way) => format!("{page} (after: {way})"),
        None => page,
    })
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Letter {
            id,
            source,
            sequence,
            key,
            kind,
            state,
            job: _,
            next_attempt,
            cause,
            fingerprint,
            attempts,
            redrives,
            first_failure,
            last_failure,
            accepted,
            trace,
            data,
        } = &self.letter;
        let at = |time| text(time);
        let next = next_attempt.map(|next| format!(", tried again at {}", at(next)));
        let standing = format!(
            "{} at {}{}",
            state.as_str(),
            self.receiver,
            next.unwrap_or_default()
        );
        let times = format!("first {}, last {}", at(*first_failure), at(*last_failure));
        let none = || "none".to_owned();
        let page = self.page.as_ref().or(trace.as_ref());
        for (name, value) in [
            ("id", id.clone()),
            ("stands", standing),
            ("key", key.clone()),
            ("kind", kind.clone()),
            ("sender", format!("{source}, sequence {sequence}")),
            ("accepted", at(*accepted)),
            ("cause", cause.clone()),
            ("fingerprint", fingerprint.clone()),
            ("failed", times),
            ("attempts", format!("{attempts}, redrives {redrives}")),
            ("trace", page.cloned().unwrap_or_else(none)),
            ("data", data.as_ref().map_or_else(none, |it| it.to_string())),
        ] {
            writeln!(f, "{name:<12} {value}")?;
        }
        Ok(())
    }
}
