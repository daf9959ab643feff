//! The Channel's type, as the API server enforces it: what is wrong is refused with a message that helps.

use duet_crd::EXAMPLE;

use crate::cli::{kubectl, run_with};
use crate::release::{chart, unique};

/// Makes the type known, as Helm does; it stays, as the chart's does.
fn define() {
    let crds = chart().join("crds");
    kubectl(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=helm",
        "-f",
        crds.to_str().unwrap(),
    ]);
    kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/channels.duet.dev",
        "--timeout=30s",
    ]);
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_wrong_channel_is_refused_with_a_message_that_helps() {
    define();
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "mode: Sync ",
            "mode: Fast ",
            &["spec.mode", "\"Sync\"", "\"Async\""],
        ),
        (
            "deadline: 2s",
            "deadline: 10m",
            &["spec.sync.deadline", "5m"],
        ),
        ("deadline: 2s", "deadline: soon", &["spec.sync.deadline"]),
        ("deadline: 2s", "dedline: 2s", &["dedline"]),
        ("maxBytes: 1Gi", "maxBytes: 1Ki", &["maxBytes", "1Mi"]),
        (
            "maxEvents: 256               # 1 to 512: calls",
            "maxEvents: 1000 # ",
            &["spec.sync.batch.maxEvents", "512"],
        ),
        ("name: notification", "name: reaction", &["spec"]),
        (
            "duplicateWindow: 2m ",
            "duplicateWindow: 20h ",
            &["duplicateWindow", "maxAge"],
        ),
        ("ackWait: 30s ", "ackWait: 55m ", &["ackWait", "maxAge"]),
        ("subject: duet.reactions", "subject: duet.*", &["subject"]),
        ("replicas: 1", "replicas: 9", &["replicas", "5"]),
        (
            "deletionPolicy: Retain",
            "deletionPolicy: Perhaps",
            &["deletionPolicy", "Delete"],
        ),
    ];
    let short_lived = EXAMPLE.replace("maxAge: 72h ", "maxAge: 10m ");
    for (right, wrong, helps) in cases {
        let base = if helps.contains(&"maxAge") {
            &short_lived
        } else {
            EXAMPLE
        };
        assert!(base.contains(right), "the example has no {right:?}");
        let said = run_with(
            "kubectl",
            ["apply", "--dry-run=server", "-f", "-"],
            &base.replacen(right, wrong, 1),
        );
        assert!(!said.success, "{wrong} was taken");
        for word in *helps {
            assert!(
                said.stderr.contains(word),
                "{wrong}: {word:?} isn't said: {}",
                said.stderr
            );
        }
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn what_may_not_change_is_refused_and_what_may_is_taken() {
    define();
    let name = format!("e2e-{}", unique());
    let channel = EXAMPLE.replace("name: reactions", &format!("name: {name}"));
    run_with("kubectl", ["apply", "-f", "-"], &channel).or_panic();
    let change = |right: &str, wrong: &str| {
        run_with(
            "kubectl",
            ["apply", "--dry-run=server", "-f", "-"],
            &channel.replacen(right, wrong, 1),
        )
    };
    let sender = change("from: reaction", "from: another");
    let storage = change("storage: File", "storage: Memory");
    let mode = change("mode: Sync ", "mode: Async ");
    let shown = kubectl(&["get", "chan", &name]);
    let explained = kubectl(&["explain", "channel.spec.sync.deadline"]);
    kubectl(&["delete", "channel", &name]);
    assert!(
        !sender.success && sender.stderr.contains("spec.from"),
        "{sender:?}"
    );
    assert!(
        !storage.success && storage.stderr.contains("storage"),
        "{storage:?}"
    );
    assert!(mode.success, "{mode:?}");
    for column in ["MODE", "READY", "UNACKNOWLEDGED", "OLDEST", "LAG", "AGE"] {
        assert!(shown.contains(column), "{shown}");
    }
    assert!(explained.contains("504"), "{explained}");
}
