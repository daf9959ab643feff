//! Logging in at a broker that knows its users.

use std::fs;
use std::time::Duration;

use duet_channel::transport::Provision;
use duet_channel::transport::jetstream::{JetStreamProvision, Login, Nats, ensure};
use duet_testkit::NatsServer;

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
    fs::write(&login.password_file, "wrong").unwrap();
    assert!(!nats.connected_within(moment).await, "the wrong password");
    fs::write(&login.password_file, "right\n").unwrap();
    assert!(nats.connected_within(PATIENCE).await, "the right one");

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
