//! What the API tells, event by event, and what that shows.

use std::io;
use std::time::Duration;

use duet_crd::EXAMPLE;
use duet_crd::names::ServiceName;
use duet_protocol::time::{Moment, Timestamp};
use kube::api::DynamicObject;
use kube::core::Status;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use super::absence;
use super::channels::{Channels, Ours, Shown, Side};
use crate::settings::Trouble;
use crate::settings::follow::Follow;

/// The example as the API has it, changed.
fn channel(name: &str, second: u8, spec: Value) -> DynamicObject {
    let mut document: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    document["metadata"] = json!({
        "name": name,
        "namespace": "demo",
        "uid": format!("uid-of-{name}"),
        "generation": 3,
        "resourceVersion": "71",
        "creationTimestamp": format!("2026-11-24T09:00:{second:02}Z"),
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    });
    document["status"] = json!({"mode": "Sync"});
    for (field, value) in spec.as_object().unwrap() {
        document["spec"][field] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

/// One that is from `from`.
fn from(from: &str, name: &str, second: u8) -> DynamicObject {
    channel(name, second, json!({"from": from}))
}

fn channels(side: Side, service: &str) -> Channels {
    Channels::of(Ours {
        service: ServiceName::try_from(service.to_owned()).unwrap(),
        side,
        namespace: "demo".to_owned(),
    })
}

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

/// The name of the Channel that is shown, or what is shown in its place.
fn shown(channels: &Channels, now: Moment) -> String {
    let shown = channels.shown(now);
    match channels.document(&shown) {
        None => "nothing".to_owned(),
        Some(Ok((document, _))) => document.channel.metadata.name.to_string(),
        Some(Err(problem)) => format!("{:?}", problem.trouble),
    }
}

#[test]
fn of_the_channels_that_are_told_of_the_oldest_that_is_ours_is_shown() {
    use Event::{Apply, Delete, Init, InitApply, InitDone};
    let ours = |name, second| from("reaction", name, second);
    let other = |name, second| from("other", name, second);
    let rows: Vec<(&str, Vec<Event<DynamicObject>>, &str)> = vec![
        ("nothing is asked yet", vec![], "nothing"),
        (
            "the answer has begun",
            vec![Init, InitApply(ours("a", 1))],
            "nothing",
        ),
        ("none", vec![Init, InitDone], "Missing"),
        ("ours", vec![Init, InitApply(ours("a", 1)), InitDone], "a"),
        (
            "another's",
            vec![Init, InitApply(other("a", 1)), InitDone],
            "Missing",
        ),
        (
            "the older one, whatever comes first",
            vec![
                Init,
                InitApply(ours("a", 9)),
                InitApply(ours("b", 2)),
                InitDone,
            ],
            "b",
        ),
        (
            "the first by name of two that are as old",
            vec![
                Init,
                InitApply(ours("b", 2)),
                InitApply(ours("a", 2)),
                InitDone,
            ],
            "a",
        ),
        ("made later", vec![Init, InitDone, Apply(ours("a", 1))], "a"),
        (
            "a younger one changes nothing",
            vec![Init, InitApply(ours("a", 1)), InitDone, Apply(ours("b", 2))],
            "a",
        ),
        (
            "the younger one follows when the older is gone",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitApply(ours("b", 2)),
                InitDone,
                Delete(ours("a", 1)),
            ],
            "b",
        ),
        (
            "gone",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitDone,
                Delete(ours("a", 1)),
            ],
            "Missing",
        ),
        (
            "another is gone",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitDone,
                Delete(other("b", 1)),
            ],
            "a",
        ),
        (
            "no longer ours",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitDone,
                Apply(other("a", 1)),
            ],
            "Missing",
        ),
        (
            "asked anew, the old answer stays until the new one is whole",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitDone,
                Init,
                InitApply(ours("b", 2)),
            ],
            "a",
        ),
        (
            "asked anew, what was not told of again is gone",
            vec![
                Init,
                InitApply(ours("a", 1)),
                InitDone,
                Init,
                InitApply(ours("b", 2)),
                InitDone,
            ],
            "b",
        ),
        (
            "an answer that breaks off is forgotten",
            vec![
                Init,
                InitApply(ours("a", 1)),
                Init,
                InitApply(ours("b", 2)),
                InitDone,
            ],
            "b",
        ),
    ];
    for (row, events, expected) in rows {
        let mut channels = channels(Side::From, "reaction");
        events.into_iter().for_each(|event| channels.take(event));
        assert_eq!(shown(&channels, at(1)), expected, "{row}");
    }
}

#[test]
fn a_sender_is_under_from_and_a_receiver_under_to() {
    for (side, service, expected) in [
        (Side::From, "reaction", "a"),
        (Side::From, "notification", "Missing"),
        (Side::To, "notification", "a"),
        (Side::To, "reaction", "NotAReceiver"),
    ] {
        let mut channels = channels(side, service);
        channels.take(Event::InitApply(from("reaction", "a", 1)));
        channels.take(Event::InitDone);
        assert_eq!(shown(&channels, at(1)), expected, "{side:?} {service}");
    }
}

/// One rule for the operator and the pods: what the one does not provision, the other does not follow.
#[test]
fn one_that_an_older_keeps_from_being_in_force_is_not_followed() {
    let on = |name, second, sender, stream| {
        let mut object = from(sender, name, second);
        object.data["spec"]["async"]["natsJetStream"]["stream"]["name"] = json!(stream);
        Event::Apply(object)
    };
    let older = || on("older", 1, "other", "S");
    let gone = || Event::Delete(from("other", "older", 1));
    for (row, events, sender, receiver) in [
        (
            "another's of the same stream is older",
            vec![older(), on("ours", 2, "reaction", "S")],
            "Refused",
            "older",
        ),
        (
            "the older becomes known later",
            vec![on("ours", 2, "reaction", "S"), older()],
            "Refused",
            "older",
        ),
        (
            "ours is the older",
            vec![older(), on("ours", 0, "reaction", "S")],
            "ours",
            "ours",
        ),
        (
            "the older goes",
            vec![older(), on("ours", 2, "reaction", "S"), gone()],
            "ours",
            "ours",
        ),
        (
            "the older takes another stream",
            vec![
                older(),
                on("ours", 2, "reaction", "S"),
                on("older", 1, "other", "T"),
            ],
            "ours",
            "older",
        ),
        (
            "a second one of ours is in force",
            vec![
                older(),
                on("first", 2, "reaction", "S"),
                on("second", 3, "reaction", "T"),
            ],
            "second",
            "older",
        ),
    ] {
        for (side, service, expected) in [
            (Side::From, "reaction", sender),
            (Side::To, "notification", receiver),
        ] {
            let mut channels = channels(side, service);
            channels.take(Event::InitDone);
            for event in &events {
                channels.take(event.clone());
            }
            assert_eq!(shown(&channels, at(1)), expected, "{side:?}: {row}");
        }
    }
    let mut channels = channels(Side::From, "reaction");
    channels.take(Event::InitDone);
    channels.take(older());
    channels.take(on("ours", 2, "reaction", "S"));
    let problem = channels.document(&channels.shown(at(1))).unwrap().err();
    assert_eq!(
        problem.unwrap().message,
        "channel/ours is not in force: the Channel older, which is older, has the stream S; delete one of the two"
    );
}

#[test]
fn a_channel_that_names_a_receiver_no_more_is_followed_still_and_one_that_never_did_is_not() {
    let to = |names: &[&str]| {
        let to: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        channel("a", 1, json!({"to": to}))
    };
    let mut channels = channels(Side::To, "trending");
    channels.take(Event::InitDone);
    channels.take(Event::Apply(to(&["notification"])));
    assert_eq!(shown(&channels, at(1)), "NotAReceiver");
    for names in [&["notification", "trending"][..], &["notification"]] {
        channels.take(Event::Apply(to(names)));
        assert_eq!(shown(&channels, at(1)), "a", "{names:?}");
    }
    channels.take(Event::Delete(to(&["notification"])));
    assert_eq!(shown(&channels, at(1)), "NotAReceiver");
}

#[test]
fn a_receiver_that_no_channel_names_is_ready_once_all_could_be_read_and_a_sender_is_not() {
    let other = || {
        Event::InitApply(channel(
            "other",
            1,
            json!({"from": "a", "to": [{"name": "b"}]}),
        ))
    };
    let known: Vec<Event<DynamicObject>> = vec![Event::Init, other(), Event::InitDone];
    for (row, side, events, fails, expected) in [
        ("nothing is read yet", Side::To, vec![], false, false),
        (
            "not all is read yet",
            Side::To,
            vec![Event::Init, other()],
            false,
            false,
        ),
        ("the API is away", Side::To, vec![], true, false),
        ("none names it", Side::To, known.clone(), false, true),
        (
            "there is none at all",
            Side::To,
            vec![Event::InitDone],
            false,
            true,
        ),
        ("none is from it", Side::From, known, false, false),
    ] {
        let mut channels = channels(side, "trending");
        for event in events {
            channels.take(event);
        }
        if fails {
            channels.failed("refused", at(0), Timestamp::default());
        }
        let dir = tempfile::tempdir().unwrap();
        let mut follow = Follow::begin(dir.path());
        if let Some(shown) = channels.document(&channels.shown(at(10))) {
            follow.judge(shown.map(|(document, _)| document));
        }
        let not_ready = follow.state().not_ready();
        assert_eq!(not_ready.is_none(), expected, "{row}: {not_ready:?}");
    }
}

#[test]
fn whatever_the_spec_is_it_is_shown_or_refused() {
    for (row, spec, trouble) in [
        ("as it is", json!({}), None),
        (
            "a mode that is none",
            json!({"mode": "Fast"}),
            Some(Trouble::Invalid),
        ),
        (
            "two receivers",
            json!({"to": [{"name": "notification"}, {"name": "b"}]}),
            None,
        ),
        (
            "receivers that are no list",
            json!({"to": "notification"}),
            Some(Trouble::NotAReceiver),
        ),
        (
            "a receiver that is no map",
            json!({"to": ["notification"]}),
            Some(Trouble::NotAReceiver),
        ),
    ] {
        let mut channels = channels(Side::To, "notification");
        channels.take(Event::InitDone);
        channels.take(Event::Apply(channel("a", 1, spec)));
        let document = channels.document(&channels.shown(at(1))).unwrap();
        assert_eq!(
            document.err().map(|problem| problem.trouble),
            trouble,
            "{row}"
        );
    }
}

#[test]
fn the_document_is_the_spec_with_the_resources_own_uid_and_generation() {
    let mut channels = channels(Side::From, "reaction");
    channels.take(Event::InitDone);
    channels.take(Event::Apply(from("reaction", "reactions", 1)));
    let (document, _) = channels.document(&channels.shown(at(1))).unwrap().unwrap();
    let resource = document.resource.unwrap();
    assert_eq!(
        (resource.uid.as_str(), resource.generation),
        ("uid-of-reactions", 3)
    );
    assert_eq!(
        document.channel.spec,
        duet_crd::Channel::from_yaml(EXAMPLE).unwrap().spec
    );
}

#[test]
fn a_change_that_is_not_the_specs_shows_nothing_new() {
    let mut channels = channels(Side::From, "reaction");
    channels.take(Event::InitDone);
    channels.take(Event::Apply(from("reaction", "a", 1)));
    let before = channels.shown(at(1));
    let mut object = from("reaction", "a", 1);
    object.data["status"] = json!({"mode": "Async", "unacknowledged": 7});
    object.metadata.resource_version = Some("72".to_owned());
    object.metadata.annotations = None;
    channels.take(Event::Apply(object));
    assert_eq!(channels.shown(at(1)), before);
}

/// One thing after another, each at a second.
enum Step {
    Fails(u64, &'static str),
    Tells(Box<Event<DynamicObject>>),
    Shows(u64, &'static str),
    WakesAt(u64, Option<u64>),
}

#[test]
fn an_api_that_is_away_is_told_after_ten_seconds_and_until_it_answers() {
    use Step::{Fails, Shows, WakesAt};
    let tells = |event| Step::Tells(Box::new(event));
    let there = || Event::InitApply(from("reaction", "a", 1));
    for (row, steps) in [
        (
            "before anything was known",
            vec![
                Fails(0, "refused"),
                Shows(9, "nothing"),
                Fails(9, "refused"),
                Shows(10, "Unreachable"),
                tells(Event::Init),
                Shows(11, "Unreachable"),
                tells(Event::InitDone),
                Shows(11, "Missing"),
            ],
        ),
        (
            "while a Channel is in force",
            vec![
                tells(Event::Init),
                tells(there()),
                tells(Event::InitDone),
                WakesAt(1, None),
                Fails(20, "closed"),
                Shows(29, "a"),
                WakesAt(25, Some(30)),
                Shows(30, "Unreachable"),
                WakesAt(30, None),
                tells(Event::Init),
                tells(there()),
                Shows(31, "a"),
            ],
        ),
        (
            "again and again, for moments",
            vec![
                tells(Event::InitDone),
                tells(Event::Apply(from("reaction", "a", 1))),
                Fails(0, "closed"),
                tells(Event::InitDone),
                Fails(8, "closed"),
                Shows(12, "Missing"),
                Shows(18, "Unreachable"),
            ],
        ),
    ] {
        let mut channels = channels(Side::From, "reaction");
        for step in steps {
            match step {
                Step::Tells(event) => channels.take(*event),
                Shows(second, expected) => {
                    assert_eq!(shown(&channels, at(second)), expected, "{row}: at {second}");
                }
                WakesAt(second, expected) => {
                    let wake_at = channels.wake_at(at(second));
                    assert_eq!(wake_at, expected.map(at), "{row}: at {second}");
                }
                Fails(second, cause) => {
                    channels.failed(cause, at(second), Timestamp::default());
                }
            }
        }
    }
}

#[test]
fn what_is_told_of_an_absence_does_not_change_while_it_lasts() {
    let mut channels = channels(Side::From, "reaction");
    let wall = Timestamp::from_micros(1_790_000_000_000_000);
    assert!(channels.failed("end of file", at(0), wall), "it is news");
    assert!(
        !channels.failed("connection refused", at(3), wall),
        "it is none"
    );
    let Shown::Away(since, cause) = channels.shown(at(10)) else {
        panic!("{:?}", channels.shown(at(10)));
    };
    assert_eq!((since, cause.as_str()), (wall, "connection refused"));
    let told = channels
        .document(&channels.shown(at(10)))
        .unwrap()
        .unwrap_err();
    assert_eq!(
        told.message,
        "the Kubernetes API can't be asked for Channels since 2026-09-21T14:13:20Z: connection refused"
    );
    channels.failed("timed out", at(12), wall);
    assert_eq!(channels.shown(at(12)), channels.shown(at(10)));
}

#[test]
fn an_api_that_answers_is_away_unless_it_only_forgot_what_was_watched() {
    let answers = |message, code| Status::failure(message, "Reason").with_code(code).boxed();
    let lists =
        |message, code| watcher::Error::InitialListFailed(kube::Error::Api(answers(message, code)));
    let definition = "it knows no Channels: the definition channels.duet.dev is not installed";
    let forbidden = "channels.duet.dev is forbidden: no right to list";
    for (error, says) in [
        (
            watcher::Error::WatchError(answers("too old resource version", 410)),
            None,
        ),
        (lists("Expired: continue token", 410), None),
        (lists("404 page not found", 404), Some(definition)),
        (lists(forbidden, 403), Some(forbidden)),
        (
            watcher::Error::WatchFailed(kube::Error::ReadEvents(io::ErrorKind::TimedOut.into())),
            Some("it does not answer"),
        ),
    ] {
        assert_eq!(absence(&error).as_deref(), says, "{error}");
    }
}
