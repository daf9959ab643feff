use super::Facts;
use super::channel::InForce;
use super::resync;
use super::sentence::{Sentence, at, event};
use duet_channel::life::{Holds, Row, Sent, Waiting};
use duet_protocol::event::Key;
use duet_protocol::settings::Mode;

const ABOUT: &str = "reaction";

/// What Reaction tells of the pair.
pub(super) fn sentences(facts: &Facts) -> Vec<Sentence> {
    let Facts { post, user, .. } = facts;
    let sent = match &facts.sender {
        Ok(sent) => sent,
        Err(why) => {
            let what = format!("It tells nothing of what it accepted: {why}");
            return vec![Sentence::about(ABOUT, what)];
        }
    };
    let mut told = Vec::new();
    match &sent.row {
        Some(row) => Life::of(facts, sent, row).tell(&mut told),
        None if sent.waiting.is_empty() => told.push(Sentence::about(
            ABOUT,
            format!("It has no reaction of {user} to {post}, and nothing of it waits"),
        )),
        None => told.push(Sentence::about(
            ABOUT,
            format!("It has no reaction of {user} to {post} any more"),
        )),
    }
    let row = facts.event();
    for waiting in sent.waiting.iter().filter(|it| Some(it.event) != row) {
        told.push(earlier(sent, waiting));
    }
    if sent.waiting_cut {
        let what = "Its outbox holds more than is looked through: earlier events of the pair may be in it too";
        told.push(Sentence::about(ABOUT, what));
    }
    told
}

/// The life of the event that wrote the row.
struct Life<'a> {
    facts: &'a Facts,
    sent: &'a Sent,
    row: &'a Row,
    /// The Channel under which it was accepted, if that is kept.
    then: Option<InForce<'a>>,
    /// The one in force now.
    now: Option<InForce<'a>>,
}

impl<'a> Life<'a> {
    fn of(facts: &'a Facts, sent: &'a Sent, row: &'a Row) -> Self {
        let key = Key::new(format!("{}/{}", facts.post, facts.user));
        let of = |kept| InForce::of(kept, key.as_ref()?);
        let then = sent
            .generations
            .iter()
            .find(|it| Some(it.generation) == row.generation);
        Life {
            facts,
            sent,
            row,
            then: then.and_then(of),
            now: sent.generations.last().and_then(of),
        }
    }

    fn say(&self, text: impl Into<String>) -> Sentence {
        Sentence::about(ABOUT, text)
    }

    fn tell(&self, told: &mut Vec<Sentence>) {
        told.push(self.stands());
        told.push(self.accepted());
        told.extend(self.mode());
        told.extend(self.outcome());
        told.push(self.trace());
    }

    fn stands(&self) -> Sentence {
        let Facts { post, user, .. } = self.facts;
        self.say(match &self.row.value {
            Some(value) => format!("{user}'s reaction to {post} is {value}"),
            None => format!(
                "{user}'s reaction to {post} is undone; that it was is kept until every receiver holds it"
            ),
        })
    }

    fn accepted(&self) -> Sentence {
        let Row {
            event: name,
            accepted,
            restores,
            ..
        } = *self.row;
        let (name, accepted) = (event(name), at(accepted, self.sent.now));
        if !restores {
            return self.say(format!("It was accepted at {accepted} as {name}"));
        }
        let sentence = self.say(format!(
            "A call failed, and at {accepted} what it had changed was taken back by {name}, which restores what was there before and notifies nobody anew"
        ));
        match &self.then {
            Some(then) => sentence.by([then.deadline(), then.on_failure()]),
            None => sentence,
        }
    }

    fn mode(&self) -> Vec<Sentence> {
        let Some(generation) = self.row.generation else {
            return vec![
                self.say("Under which settings is not known: the row is from before that was kept"),
            ];
        };
        let Some(then) = &self.then else {
            return vec![self.say(format!(
                "It was accepted under generation {generation} of the Channel, whose settings are not kept any more"
            ))];
        };
        let now = self.sent.now;
        let until = match then.kept.until {
            Some(until) => format!(" until {}", at(until, now)),
            None => ", and still is".to_owned(),
        };
        let (by, side) = then.why_this_mode();
        let side = side.map_or_else(String::new, |side| format!(": {side}"));
        let (generation, since) = (then.kept.known_as(), at(then.kept.since, now));
        let mode = then.mode.as_str();
        let mut told = vec![
            self.say(format!(
                "The mode was {mode} under generation {generation} of the Channel, in force from {since}{until}{side}"
            ))
            .by(by),
        ];
        if !self.row.restores {
            told.push(self.dispatched(then));
        }
        told
    }

    fn dispatched(&self, then: &InForce<'_>) -> Sentence {
        let (way, setting) = then.way();
        if !self.row.provisional {
            let what =
                format!("Its caller was answered without waiting; it goes to receivers by {way}");
            return self.say(what).by([setting]);
        }
        let back = match self.row.receivers.iter().all(|it| it.holds) {
            true => "was not taken back, for it did not fail or had arrived",
            false => "is taken back if it fails, unless it arrives first",
        };
        self.say(format!(
            "Its caller waited for the receivers' answers over {way}; the change {back}"
        ))
        .by([then.deadline(), then.on_failure()])
    }

    fn outcome(&self) -> Vec<Sentence> {
        let receivers = &self.row.receivers;
        let resync = resync::after(self.facts, self.row.event);
        let resync = resync.map(|resync| self.say(resync::of_older(resync, self.sent.now)));
        let mut told: Vec<_> = resync.into_iter().collect();
        if receivers.is_empty() && told.is_empty() {
            told.push(self.say("It is for no receiver of now: each joined after it"));
        }
        let held: Vec<_> = names(receivers, true);
        if !held.is_empty() {
            let what = format!("Receipts say that it is held by {}", held.join(" and "));
            told.push(self.say(what));
        }
        for receiver in names(receivers, false) {
            told.push(self.waits_for(receiver));
        }
        told
    }

    fn waits_for(&self, receiver: &str) -> Sentence {
        let why = match &self.sent.process {
            None => "; Reaction does not run, so nothing is sent now".to_owned(),
            Some(process) => {
                let met = process.iter().find(|it| it.receiver == receiver);
                let failing = met.and_then(|met| met.failing.as_ref());
                failing.map_or_else(String::new, |failing| format!(": {failing}"))
            }
        };
        let what =
            format!("It is still in the outbox, for {receiver} has not said that it holds it{why}");
        let sentence = self.say(what);
        match (&self.then, &self.now) {
            (Some(then), Some(now)) if then.mode != now.mode => {
                let (way, _) = now.way();
                let text = format!(
                    "{}; it now goes by {way}, for what waits drains the new way",
                    sentence.text
                );
                self.say(text)
                    .by([format!("spec.mode = {}", now.settings.mode.as_str())])
            }
            (_, Some(now)) if now.mode == Mode::Async => sentence.by([now.way().1]),
            _ => sentence,
        }
    }

    fn trace(&self) -> Sentence {
        self.say(match (&self.facts.trace, &self.row.trace) {
            (Some(page), _) => format!("Its trace is at {page}"),
            (None, Some(id)) => {
                format!("Its trace is {id}: `duet trace {id}` shows it, as long as Jaeger keeps it")
            }
            (None, None) => "It was not sampled: there is no trace of it".to_owned(),
        })
    }
}

fn names(receivers: &[Holds], holds: bool) -> Vec<&str> {
    let those = receivers.iter().filter(|it| it.holds == holds);
    those.map(|it| it.receiver.as_str()).collect()
}

/// An event that is in the outbox beside the one that wrote the row: older, as a rule.
fn earlier(sent: &Sent, waiting: &Waiting) -> Sentence {
    let (name, accepted) = (event(waiting.event), at(waiting.accepted, sent.now));
    let lack = names(&waiting.receivers, false).join(" and ");
    Sentence::about(
        ABOUT,
        format!(
            "Before that {name} was accepted at {accepted} under generation {}, and is still in the outbox, for {lack} has not said that it holds it; where the later one is first, it is superseded",
            waiting.generation
        ),
    )
}
