//! Rules between fields. Each reads only the fields it is about, so that it says nothing where one of them is wrong itself.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::duration::Duration;
use crate::problem::{Problem, shown};

const ASYNC: &str = "spec.async";
const STREAM: &str = "spec.async.natsJetStream.stream";
const CONSUMER: &str = "spec.async.natsJetStream.consumer";

/// Each transport with the one member of `spec.async` that it needs, and that no other may have.
const MEMBERS: [(&str, &str); 1] = [("NATSJetStream", "natsJetStream")];

/// Every rule that the document breaks. Its defaults are filled in, what the schema refused is null.
pub(crate) fn check(document: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    async_has_a_transport(document, &mut problems);
    the_transports_own_member_is_there(document, &mut problems);
    nobody_receives_their_own(document, &mut problems);

    let max_age = format!("{STREAM}.maxAge");
    // The server refuses such a stream.
    at_most(
        document,
        &format!("{STREAM}.duplicateWindow"),
        &max_age,
        &mut problems,
    );
    // A message would be gone before it is delivered a second time.
    at_most(
        document,
        &format!("{CONSUMER}.ackWait"),
        &max_age,
        &mut problems,
    );
    problems
}

fn async_has_a_transport(document: &Value, problems: &mut Vec<Problem>) {
    let wanted = at(document, "spec.mode").and_then(Value::as_str) == Some("Async");
    let absent = at(document, "spec").is_some_and(|spec| spec.get("async").is_none());
    if wanted && absent {
        problems.push(problem(ASYNC, "is required where spec.mode is Async"));
    }
}

fn the_transports_own_member_is_there(document: &Value, problems: &mut Vec<Problem>) {
    let Some(members) = at(document, ASYNC).and_then(Value::as_object) else {
        return;
    };
    let Some(transport) = members.get("transport").and_then(Value::as_str) else {
        return;
    };
    for (of, member) in MEMBERS {
        match (of == transport, members.contains_key(member)) {
            (true, false) => problems.push(problem(
                &format!("{ASYNC}.{member}"),
                format!("is required where {ASYNC}.transport is {of}"),
            )),
            (false, true) => problems.push(problem(
                &format!("{ASYNC}.{member}"),
                format!("may only be there where {ASYNC}.transport is {of}"),
            )),
            _ => {}
        }
    }
}

fn nobody_receives_their_own(document: &Value, problems: &mut Vec<Problem>) {
    let (Some(from), Some(to)) = (
        at(document, "spec.from"),
        at(document, "spec.to").and_then(Value::as_array),
    ) else {
        return;
    };
    for (index, receiver) in to.iter().enumerate() {
        if !from.is_null() && receiver.get("name") == Some(from) {
            let says = format!(
                "must be another Service than spec.from, not {}",
                shown(from)
            );
            problems.push(problem(&format!("spec.to[{index}].name"), says));
        }
    }
}

fn at_most(document: &Value, short: &str, long: &str, problems: &mut Vec<Problem>) {
    if let (Some(least), Some(most)) = (
        read::<Duration>(document, short),
        read::<Duration>(document, long),
    ) && least > most
    {
        problems.push(problem(
            short,
            format!("must be at most {long} ({most}), not {least}"),
        ));
    }
}

fn problem(path: &str, says: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        says: says.into(),
        unknown_field: false,
    }
}

fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(document, |value, field| value.get(field))
}

fn read<T: DeserializeOwned>(document: &Value, path: &str) -> Option<T> {
    T::deserialize(at(document, path)?).ok()
}
