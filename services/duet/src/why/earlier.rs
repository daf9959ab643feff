use super::resync;
use super::sentence::{Sentence, at, event};
use super::{AtReceiver, Facts};
use duet_channel::life::{Arrival, Name};
use std::cmp::Ordering;

/// What is known of the event that is asked about by name: nothing where it is the latest, of which all else tells.
pub(super) fn sentences(facts: &Facts) -> Vec<Sentence> {
    let Some(asked) = facts.asked.filter(|asked| facts.event() != Some(*asked)) else {
        return Vec::new();
    };
    let sender = at_sender(facts, asked).map(|text| Sentence::about("reaction", text));
    let receivers = facts.receivers.iter().filter_map(|receiver| {
        let text = at_receiver(receiver, asked)?;
        Some(Sentence::about(&receiver.name, text))
    });
    sender.into_iter().chain(receivers).collect()
}

fn at_sender(facts: &Facts, asked: Name) -> Option<String> {
    let sent = facts.sender.as_ref().ok()?;
    if sent.waiting.iter().any(|it| it.event == asked) {
        return None; // told with what else is in the outbox
    }
    let name = event(asked);
    let Some(row) = &sent.row else {
        return Some(format!(
            "Of {name} nothing is kept: it is not in the outbox any more"
        ));
    };
    if let Some(resync) = resync::told_anew(facts, asked) {
        let begun = at(resync.begun, sent.now);
        return Some(format!(
            "By {name} the resync that began at {begun} told the row anew, which keeps its own event"
        ));
    }
    Some(match asked.order(row.event) {
        Some(Ordering::Less) => format!(
            "A later event of the pair took the place of {name}, which is not in the outbox any more: each receiver holds it, or it does not concern them"
        ),
        _ => format!(
            "It knows nothing of {name}: Reaction's store is an older copy, or another (`duet audit` compares, `duet resync` heals)"
        ),
    })
}

fn at_receiver(receiver: &AtReceiver, asked: Name) -> Option<String> {
    let told = receiver.told.as_ref().ok()?;
    if told.kept.iter().any(|kept| kept.event == asked) {
        return None; // told with what else is kept
    }
    let name = event(asked);
    Some(match receiver.asked? {
        Arrival::NotYet => format!("It has not received {name}"),
        Arrival::Closed => format!(
            "The epoch of {name} is closed: it was received long ago, or is from before this receiver joined or was filled anew"
        ),
        Arrival::Received => match told.row.as_ref().map(|row| (row, asked.order(row.event))) {
            Some((_, Some(Ordering::Equal))) => format!("It received {name}, and has that one"),
            Some((row, Some(Ordering::Less))) => format!(
                "It received {name}, which the later {} superseded: it was applied before that, or came after it and changed nothing",
                event(row.event)
            ),
            None => format!("It received {name}, and keeps nothing of the pair"),
            Some(_) => format!(
                "It received {name}, which is neither applied nor kept: it was discarded, or `duet audit` tells what is wrong"
            ),
        },
    })
}
