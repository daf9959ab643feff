//! Logging in at a broker that knows its users.

use std::fs;
use std::pin::pin;
use std::time::Duration;

use duet_channel::transport::Provision;
use duet_channel::transport::jetstream::{JetStreamProvision, Login, Nats, ensure};
use duet_testkit::NatsServer;
use futures::StreamExt;

use super::conformance::{receivers, settings};

const PATIENCE: Duration = Duration::from_secs(30);

/// A user that may hear what is said to its own inbox, and nothing else.
const USERS: &str = r#"
authorization {
  users: [{
    user: "reaction", password: "right"
    permissions: {publish: ">", subscribe: "_INBOX.reaction.>"}
  }]
}
"#;

#[tokio::test]
async fn the_password_is_read_at_each_attempt_and_answers_come_to_its_own_inbox() {
    let server = NatsServer::start_with(USERS).await;
    let dir = tempfile::tempdir().unwrap();
    let login = Login {
        user: "reaction".to_owned(),
        password_file: dir.path().join("password"),
    };
    let connect = async |name| {
        let login = Some(login.clone());
        Nats::connect(&server.url(), name, login).await.unwrap()
    };
    let nats = connect("reaction").await;
    let moment = Duration::from_millis(300);
    assert!(!nats.connected_within(moment).await, "no file");
    assert!(!nats.is_refused(), "nothing was asked of the broker");
    let mut changes = pin!(nats.changes());
    fs::write(&login.password_file, "wrong").unwrap();
    let refused = async {
        while !nats.is_refused() {
            changes.next().await;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    assert!(refused.is_ok(), "the wrong password");
    assert!(!nats.connected_within(Duration::ZERO).await);
    fs::write(&login.password_file, "right\n").unwrap();
    assert!(nats.connected_within(PATIENCE).await, "the right one");
    assert!(!nats.is_refused());

    let provision =
        |nats: &Nats| JetStreamProvision::new(nats.clone(), "reactions", settings(), receivers());
    ensure(&provision(&nats)).await.unwrap();

    // Under another name its answers would come to where it may not hear them.
    let other = connect("other").await;
    assert!(other.connected_within(PATIENCE).await);
    let observed = tokio::time::timeout(moment, provision(&other).observe()).await;
    assert!(!matches!(observed, Ok(Ok(_))), "{observed:?}");
    assert!(!format!("{nats:?} {login:?}").contains("right"));
}

/// What the chart lets the operator say and hear, as NATS' configuration has it.
fn rights_of_the_operator(stream: &str) -> String {
    const RIGHTS: &str = include_str!("../../../../../../helm/duet/templates/nats/_rights.tpl");
    let (_, operator) = RIGHTS.split_once("\noperator:\n").unwrap();
    let (publish, subscribe) = operator.split_once("subscribe:").unwrap();
    let [publish, subscribe] = [publish, subscribe].map(|subjects| {
        let subjects = subjects
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "));
        let quoted: Vec<_> = subjects
            .map(|subject| format!("{:?}", subject.replace("{{ $stream }}", stream)))
            .collect();
        quoted.join(", ")
    });
    format!("publish: [{publish}], subscribe: [{subscribe}]")
}

#[tokio::test]
async fn the_operators_rights_are_enough_to_provision_to_correct_and_to_remove() {
    let mut settings = settings();
    let rights = rights_of_the_operator(&settings.stream.name);
    let users = format!(
        "authorization {{ users: [{{ user: operator, password: right, permissions: {{ {rights} }} }}] }}"
    );
    let server = NatsServer::start_with(&users).await;
    let dir = tempfile::tempdir().unwrap();
    let password_file = dir.path().join("password");
    fs::write(&password_file, "right").unwrap();
    let login = Login {
        user: "operator".to_owned(),
        password_file,
    };
    let nats = Nats::connect(&server.url(), "operator", Some(login))
        .await
        .unwrap();
    assert!(nats.connected_within(PATIENCE).await);
    for max_age in [3_600, 7_200].map(Duration::from_secs) {
        settings.stream.max_age = max_age;
        let provision =
            JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), receivers());
        assert_ne!(ensure(&provision).await.unwrap().0, [""; 0]);
    }
    let none = JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), Vec::new());
    let removed = ensure(&none.of_all_receivers()).await.unwrap();
    assert_eq!(removed.0.len(), receivers().len(), "{removed:?}");
    let provision = JetStreamProvision::new(nats, "reactions", settings, receivers());
    assert_eq!(provision.remove().await.unwrap().0.len(), 1);
    assert_eq!(provision.observe().await.unwrap().stream, None);
}
