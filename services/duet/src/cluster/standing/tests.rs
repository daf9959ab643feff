use super::*;
use serde_json::{Value, json};

fn standing(mode: Mode, generation: i64, status: Value) -> Standing {
    Standing {
        name: "reactions".to_owned(),
        namespace: "duet".to_owned(),
        mode,
        canary: None,
        generation: Some(generation),
        status: serde_json::from_value(status).unwrap(),
    }
}

fn condition(of: &str, status: &str, reason: &str, message: &str) -> Value {
    let at = "2026-11-24T10:00:00Z";
    json!({"type": of, "status": status, "reason": reason, "message": message, "lastTransitionTime": at})
}

#[test]
fn a_switch_is_followed_when_the_status_says_so_of_every_pod_and_of_this_generation() {
    let then = standing(Mode::Async, 4, Value::Null);
    let both = json!({"ready": 2, "total": 2});
    let one = json!({"ready": 1, "total": 2, "diverging": [
        {"pod": "duet-reaction-x", "reason": "Behind", "message": "it is at generation 3", "observedAt": "2026-11-24T10:00:00Z"}
    ]});
    let refused = condition("Accepted", "False", "Conflict", "older has this sender");
    for (mode, status, told, is_final) in [
        (
            Mode::Async,
            json!({"observedGeneration": 4, "mode": "Async", "participants": both}),
            "",
            false,
        ),
        (
            Mode::Async,
            json!({"observedGeneration": 5, "mode": "Async", "participants": both}),
            "",
            false,
        ),
        (
            Mode::Async,
            json!({"observedGeneration": 3, "mode": "Async", "participants": both}),
            "about generation 3, not 4",
            false,
        ),
        (Mode::Async, Value::Null, "no status yet", false),
        (
            Mode::Async,
            json!({"observedGeneration": 4, "mode": "Switching", "participants": one}),
            "1 of 2 pods follow; not these: duet-reaction-x (Behind",
            false,
        ),
        (
            Mode::Async,
            json!({"observedGeneration": 4, "mode": "Async"}),
            "0 of 0",
            false,
        ),
        (
            Mode::Async,
            json!({"observedGeneration": 4, "conditions": [refused]}),
            "Conflict: older has",
            true,
        ),
        (
            Mode::Sync,
            json!({"observedGeneration": 5, "mode": "Sync", "participants": both}),
            "the mode is Sync again",
            true,
        ),
    ] {
        let now = standing(mode, 4, status.clone());
        match following(&then, &now) {
            Ok(()) => assert_eq!(told, "", "{status}"),
            Err(why) => {
                assert!(
                    !told.is_empty() && why.to_string().contains(told),
                    "{status}: {why}"
                );
                assert_eq!(why.is_final(), is_final, "{why}");
            }
        }
    }
}

#[test]
fn a_status_is_read_as_the_operator_wrote_it() {
    let status = json!({
        "observedGeneration": 3,
        "mode": "Switching",
        "guarantee": "Callers are answered once the event is durable.",
        "unacknowledged": 7,
        "oldestAge": "12s",
        "lag": 2,
        "participants": {"ready": 1, "total": 2, "diverging": [
            {"pod": "duet-notification-x", "reason": "Unreachable", "message": "no answer", "observedAt": "2026-11-24T10:00:00Z"}
        ]},
        "conditions": [condition("Ready", "False", "PodsDiverge", "1 of 2 pods follows")],
    });
    let standing = standing(Mode::Async, 4, status);
    let told = "\
channel/reactions  asks for Async  generation 4
  this is about generation 3:
  Switching  followed by 1 of 2 pods  unacknowledged 7  lag 2  oldest 12s
  Callers are answered once the event is durable.
  Ready=False PodsDiverge: 1 of 2 pods follows
  diverging: duet-notification-x Unreachable: no answer (seen 2026-11-24T10:00:00Z)
";
    assert_eq!(standing.to_string(), told);
    assert_eq!(standing.ready(), Err("Ready=False PodsDiverge".to_owned()));
    let new = Standing {
        status: None,
        ..standing
    };
    assert!(new.ready().is_err() && new.to_string().contains("nothing"));
}
