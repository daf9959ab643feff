//! What a resync would come to, in figures and in words. Pure.

use super::told::{Inbox, Last, Receiver, Stage, Told};
use duet_web::words::counted;
use serde::Serialize;
use std::fmt;

/// What it would come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Preview {
    /// The rows of the sender's store: all would be announced.
    pub(super) rows: u64,
    /// The events of its outbox that would be dropped.
    dropped: u64,
    receivers: Vec<At>,
    /// Whether most of what a receiver holds would go, or can't be told: then --sweep-most is asked for.
    pub(super) sweeps_most: bool,
    /// The resync that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    under_way: Option<Last>,
}

/// What it would come to at one receiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct At {
    #[serde(flatten)]
    fits: Receiver,
    /// What it holds; none if it can't be asked.
    holds: Option<Inbox>,
    /// How many of its rows would be swept at least: those that it holds over what the sender's store holds.
    swept_at_least: Option<u64>,
    /// Why it can't be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

impl At {
    fn loses_most(&self) -> bool {
        let rows = self.holds.as_ref().map(|it| it.rows);
        match (self.swept_at_least, rows) {
            (Some(swept), Some(rows)) => swept * 2 > rows,
            _ => true,
        }
    }
}

impl Preview {
    pub(super) fn of(told: &Told) -> Self {
        let sender = &told.sender;
        let at = |fits: &Receiver| {
            let held = told.held_by(&fits.name);
            At {
                fits: fits.clone(),
                holds: held.ok().cloned(),
                swept_at_least: held.ok().map(|it| it.rows.saturating_sub(sender.rows)),
                unknown: held.err().map(str::to_owned),
            }
        };
        let receivers: Vec<_> = sender.receivers.iter().map(at).collect();
        Preview {
            rows: sender.rows,
            dropped: sender.dropped,
            sweeps_most: receivers.iter().any(At::loses_most),
            receivers,
            under_way: sender.last.clone().filter(|it| it.stage != Stage::Done),
        }
    }

    /// Why --sweep-most is asked for.
    pub(super) fn why_most(&self) -> String {
        let most = self.receivers.iter().filter(|it| it.loses_most());
        let each = most.map(|it| {
            let name = &it.fits.name;
            match (&it.holds, it.swept_at_least) {
                (Some(holds), Some(swept)) => {
                    let rows = counted(holds.rows, "row");
                    format!("at least {swept} of the {rows} of {name} would go")
                }
                _ => format!("what {name} would lose can't be told"),
            }
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = counted(self.rows, "row");
        writeln!(
            f,
            "Reaction's store holds {rows}; a resync announces each of them anew, which notifies nobody."
        )?;
        for it in &self.receivers {
            write!(f, "{it}")?;
        }
        let unknown_or_held = |it: &&At| it.holds.as_ref().is_none_or(|it| it.rows > 0);
        let emptied: Vec<_> = self.receivers.iter().filter(unknown_or_held).collect();
        if self.rows == 0 && !emptied.is_empty() {
            let names: Vec<_> = emptied.iter().map(|it| it.fits.name.as_str()).collect();
            writeln!(
                f,
                "Reaction's store is EMPTY: a resync would sweep {} empty. If its data was lost, restore it first.",
                names.join(" and ")
            )?;
        }
        if let Some(last) = &self.under_way {
            let Last {
                begun,
                announced,
                waits_for,
                ..
            } = last;
            write!(
                f,
                "A resync is under way since {begun}: {} announced",
                counted(*announced, "row")
            )?;
            match waits_for.is_empty() {
                true => writeln!(f, ".")?,
                false => writeln!(f, ", waiting for {}.", waits_for.join(" and "))?,
            }
            return writeln!(f, "`duet resync --yes` follows it.");
        }
        let flags = match self.sweeps_most {
            true => "--yes --sweep-most",
            false => "--yes",
        };
        writeln!(
            f,
            "Nothing is changed yet. `duet resync {flags}` begins it; traffic may go on."
        )
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At {
            fits,
            holds,
            swept_at_least,
            unknown,
        } = self;
        let name = &fits.name;
        match &fits.message {
            Some(message) => writeln!(f, "{message}.")?,
            None => writeln!(f, "{name} fits this store, as far as is known.")?,
        }
        let Some(holds) = holds else {
            let why = unknown.as_deref().unwrap_or_default();
            return writeln!(f, "  It can't be asked what it holds: {why}");
        };
        write!(f, "  It holds {}", counted(holds.rows, "row"))?;
        match swept_at_least.unwrap_or_default() {
            0 => write!(
                f,
                ", no more than Reaction; any that Reaction lacks would be swept all the same (`duet audit` names them)"
            )?,
            swept => write!(f, ", of which at least {swept} would be swept")?,
        }
        match (holds.parked, holds.dead) {
            (0, 0) => writeln!(f, "."),
            (parked, dead) => writeln!(f, "; its {parked} parked and {dead} dead events would go."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Sender;
    use super::*;

    fn told(rows: u64, held: &[(&str, u64)]) -> Told {
        let receiver = |(name, _): &(&str, u64)| Receiver {
            name: (*name).to_owned(),
            ..Receiver::default()
        };
        let inbox = |(name, rows): &(&str, u64)| Inbox {
            receiver: (*name).to_owned(),
            rows: *rows,
            ..Inbox::default()
        };
        Told {
            reaction: String::new(),
            sender: Sender {
                rows,
                receivers: held.iter().map(receiver).collect(),
                ..Sender::default()
            },
            inboxes: held.iter().map(inbox).collect(),
            silent: Vec::new(),
        }
    }

    #[test]
    fn more_than_half_is_most() {
        for (rows, held, is_most) in [
            (100, 100, false),
            (100, 0, false),
            (0, 0, false),
            (50, 100, false),
            (49, 100, true),
            (0, 1, true),
        ] {
            let preview = Preview::of(&told(rows, &[("notification", held)]));
            assert_eq!(preview.sweeps_most, is_most, "{rows} here, {held} there");
        }
        let second = Preview::of(&told(50, &[("notification", 60), ("trending", 101)]));
        assert_eq!(
            second.why_most(),
            "at least 51 of the 101 rows of trending would go"
        );
    }

    #[test]
    fn an_empty_sender_is_told_in_plain_words() {
        let text = Preview::of(&told(0, &[("notification", 3), ("trending", 0)])).to_string();
        assert!(text.contains("Reaction's store holds 0 rows"), "{text}");
        assert!(
            text.contains("of which at least 3 would be swept"),
            "{text}"
        );
        assert!(
            text.contains("EMPTY: a resync would sweep notification empty"),
            "{text}"
        );
        assert!(
            text.contains("`duet resync --yes --sweep-most` begins it"),
            "{text}"
        );
        let nothing = Preview::of(&told(0, &[("notification", 0)])).to_string();
        assert!(!nothing.contains("EMPTY"), "{nothing}");
        // Two stores of as many rows may have other ones: the count is a bound, and says so.
        let as_many = Preview::of(&told(3, &[("notification", 3)])).to_string();
        let words = "holds 3 rows, no more than Reaction; any that Reaction lacks would be swept";
        assert!(as_many.contains(words), "{as_many}");
    }

    #[test]
    fn what_can_not_be_asked_may_lose_most() {
        let mut told = told(5, &[("notification", 5)]);
        told.inboxes.clear();
        told.silent.push((
            "duet-notification-0".to_owned(),
            "Connection refused".to_owned(),
        ));
        let preview = Preview::of(&told);
        assert!(preview.sweeps_most);
        assert_eq!(
            preview.why_most(),
            "what notification would lose can't be told"
        );
        let text = preview.to_string();
        assert!(
            text.contains("can't be asked what it holds: Connection refused"),
            "{text}"
        );
    }

    #[test]
    fn a_regression_and_one_under_way_are_told() {
        let mut told = told(5, &[("notification", 5)]);
        told.sender.receivers[0].message = Some("notification lacks something".to_owned());
        told.inboxes[0].parked = 2;
        let text = Preview::of(&told).to_string();
        assert!(text.contains("notification lacks something."), "{text}");
        assert!(
            text.contains("its 2 parked and 0 dead events would go"),
            "{text}"
        );
        told.sender.last = Some(Last {
            announced: 1,
            waits_for: vec!["notification".to_owned()],
            ..Last::default()
        });
        let text = Preview::of(&told).to_string();
        assert!(
            text.contains("1 row announced, waiting for notification."),
            "{text}"
        );
        assert!(text.contains("`duet resync --yes` follows it"), "{text}");
    }
}
