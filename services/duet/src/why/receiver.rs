use super::resync;
use super::sentence::{Sentence, at, event, later};
use super::{AtReceiver, Facts};
use duet_channel::life::{Applied, Arrival, Generation, Kept, Name, Received};
use duet_protocol::settings::{DeliverySettings, Settings};
use std::cmp::Ordering;

/// What a receiver tells of the pair.
pub(super) fn sentences(facts: &Facts, receiver: &AtReceiver) -> Vec<Sentence> {
    let say = |text: String| Sentence::about(&receiver.name, text);
    let told = match &receiver.told {
        Ok(told) => told,
        Err(why) => return vec![say(format!("It tells nothing of what came: {why}"))],
    };
    let part = Part { facts, told };
    let mut all = Vec::new();
    match &told.row {
        Some(row) => {
            all.push(say(part.row(row)));
            all.extend(part.decided(row).map(say));
        }
        None => all.extend(part.nothing().map(say)),
    }
    all.extend(told.kept.iter().map(|kept| part.kept(kept, say)));
    all
}

struct Part<'a> {
    facts: &'a Facts,
    told: &'a Received,
}

impl Part<'_> {
    /// Which event its row is of, beside the one that Reaction's row is of.
    fn row(&self, row: &Applied) -> String {
        let name = event(row.event);
        let when = row.applied.map_or_else(String::new, |applied| {
            format!(" at {}", at(applied, self.told.now))
        });
        let Ok(sent) = &self.facts.sender else {
            return format!("It applied {name}{when}");
        };
        let Some(sender) = &sent.row else {
            return match &row.value {
                None => format!(
                    "It applied {name}{when}, which undid the reaction; that is kept until nothing older can come"
                ),
                Some(_) => {
                    let ends = resync::sweeps(self.facts)
                        .unwrap_or("`duet audit` compares, `duet resync` heals");
                    format!(
                        "It has the reaction by {name}, applied{when}, of which Reaction knows nothing: Reaction's store is an older copy or a new one ({ends})"
                    )
                }
            };
        };
        if let Some(resync) = resync::told_anew(self.facts, row.event) {
            let begun = at(resync.begun, sent.now);
            return format!(
                "It has the row as the resync that began at {begun} told it anew by {name}, applied{when}"
            );
        }
        match row.event.order(sender.event) {
            Some(Ordering::Equal) => {
                let after = row
                    .applied
                    .and_then(|applied| later(sender.accepted.0, applied.0));
                let after = after.map_or_else(String::new, |after| format!(", {after}"));
                format!("It received the event and applied it{when}{after}")
            }
            Some(Ordering::Less) => {
                let stands = match self.told.arrival {
                    _ if self.is_kept(sender.event) => {
                        "which stays until the later one, received and kept, can be applied"
                    }
                    Some(Arrival::Received | Arrival::Closed) => {
                        "and received the later one, which changed nothing: `duet audit` tells what is wrong"
                    }
                    _ => "for the later one has not come",
                };
                format!("It still has {name}, applied{when}, {stands}")
            }
            Some(Ordering::Greater) => format!(
                "It has the later {name}, applied{when}, by which Reaction's own is superseded: Reaction's store was restored from an older copy (`duet audit` compares, `duet resync` heals)"
            ),
            None => {
                let ends = resync::sweeps(self.facts).unwrap_or("`duet resync` heals that");
                format!(
                    "It has {name}, applied{when}, which is of another store of Reaction's: this one is new under an old name ({ends})"
                )
            }
        }
    }

    fn is_kept(&self, event: Name) -> bool {
        self.told.kept.iter().any(|kept| kept.event == event)
    }

    /// What was decided of the event that the row is of.
    fn decided(&self, row: &Applied) -> Option<String> {
        let owner = row.owner.as_ref()?;
        let user = &self.facts.user;
        Some(match row.decision.as_deref() {
            Some("notified") => {
                format!("It decided: notified. {owner} has it among the notifications")
            }
            Some("muted") => format!(
                "It decided: muted. {owner} has muted the post, the kind or {user}, and is not notified (preferences of {owner})"
            ),
            Some("own") => format!(
                "It decided: own. The post is {user}'s, and nobody is notified of their own reaction"
            ),
            Some("withdrawn") => format!(
                "It decided: withdrawn. The reaction was undone, and {owner} does not see it any more"
            ),
            Some(other) => format!("It decided: {other}"),
            None => {
                format!("There was nothing that {owner} had to be told, or not to be told any more")
            }
        })
    }

    /// It has no row.
    fn nothing(&self) -> Option<String> {
        self.facts.event()?;
        if !self.told.kept.is_empty() {
            return None;
        }
        Some(match self.told.arrival {
            Some(Arrival::Received) => "It received the event and keeps nothing of the pair: it was undone or is too old to count, and nothing older can come".to_owned(),
            Some(Arrival::Closed) => "Nothing of the pair is kept, and the event's epoch is closed: it was received long ago and undone or too old to count, or is from before this receiver joined".to_owned(),
            Some(Arrival::NotYet) | None => "It has not received the event".to_owned(),
        })
    }

    /// An event that could not be applied.
    fn kept(&self, kept: &Kept, say: impl Fn(String) -> Sentence) -> Sentence {
        let which = match self.facts.event() == Some(kept.event) {
            true => "It received the event".to_owned(),
            false => format!("It received {}", event(kept.event)),
        };
        let (cause, first) = (&kept.cause, at(kept.first_failure, self.told.now));
        let delivery = self.told.generation.as_ref().and_then(delivery);
        let tried = match &delivery {
            Some(delivery) => format!("{} of {} times", kept.attempts, delivery.max_attempts),
            None => format!("{} times", kept.attempts),
        };
        let setting = |name: &str, value: String| format!("spec.delivery.{name} = {value}");
        match kept.next_attempt {
            Some(next) => {
                let what = if kept.job { "job" } else { "event" };
                let next = at(next, self.told.now);
                say(format!(
                    "{which} and could not apply it: {cause}. It is a parked {what}: tried {tried} since {first}, next at {next}"
                ))
                .by(delivery.map(|it| {
                    setting("backoff", format!("{:?} to {:?}", it.backoff_initial, it.backoff_max))
                }))
            }
            None => say(format!(
                "{which} and could not apply it: {cause}. It is a dead letter: tried {tried} since {first}, and not again by itself; `duet dead-letters redrive --id {}` tries it again",
                kept.event
            ))
            .by(delivery.map(|it| setting("maxAttempts", it.max_attempts.to_string()))),
        }
    }
}

/// What becomes of what can't be applied, by a Channel; none if this version can't read the document.
fn delivery(of: &Generation) -> Option<DeliverySettings> {
    Settings::try_from(&of.document).ok().map(|it| it.delivery)
}
