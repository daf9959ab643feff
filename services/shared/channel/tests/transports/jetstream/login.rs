//! Logging in at a broker that knows its users.

use std::fs;
use std::pin::pin;
use std::time::{Duration, Instant};

use duet_channel::transport::conformance::Events;
use duet_channel::transport::jetstream::{
    JetStreamConsume, JetStreamProvision, JetStreamPublish, Login, Nats, ensure,
};
use duet_channel::transport::{
    Consume, ConsumeError, Provision, ProvisionError, Publish, PublishError,
};
use duet_testkit::NatsServer;
use futures::StreamExt;

use super::broker::batch;
use super::conformance::{WATCHDOG, receivers, settings};
use crate::observer;

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

/// The password is `right`.
async fn log_in(server: &NatsServer, user: &str) -> Nats {
    let dir = tempfile::tempdir().unwrap();
    let password_file = dir.path().join("password");
    fs::write(&password_file, "right").unwrap();
    let login = Login {
        user: user.to_owned(),
        password_file,
    };
    let nats = Nats::connect(&server.url(), user, Some(login))
        .await
        .unwrap();
    assert!(nats.connected_within(PATIENCE).await);
    nats
}

#[tokio::test]
async fn a_right_that_is_lacking_is_told_by_name_and_not_taken_for_silence() {
    let server = NatsServer::start_with(
        r#"authorization { users: [{ user: reaction, password: right, permissions: {
            publish: ["$JS.API.*.INFO.REACTIONS", "duet.reactions"], subscribe: ["_INBOX.reaction.>"]
        } }] }"#,
    )
    .await;
    let nats = log_in(&server, "reaction").await;
    let mut settings = settings();
    settings.stream.name = "OTHER".to_owned();
    settings.stream.subject = "duet.other".to_owned();

    let provision =
        JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), receivers());
    let began = Instant::now();
    let Err(ProvisionError::Denied(why)) = provision.observe().await else {
        panic!("not denied");
    };
    assert!(why.contains("denies $JS.API.STREAM.INFO.OTHER"), "{why}");
    // A broker that says nothing is waited for much longer.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );

    let receiver = receivers().remove(0);
    let mut consume =
        JetStreamConsume::new(nats.clone(), &settings, receiver, observer(), WATCHDOG);
    let started = consume.start(None).await;
    assert!(
        matches!(started, Err(ConsumeError::Denied(_))),
        "{started:?}"
    );

    let publish = JetStreamPublish::new(nats, &settings, receivers().remove(0), observer());
    let mut events = Events::of(1);
    let event = events.one();
    let id = events.message(std::slice::from_ref(&event));
    let Err(PublishError::Denied(why)) = publish.publish(id, &batch(&event)).await else {
        panic!("not denied");
    };
    assert!(why.contains("denies duet.other.to.notification"), "{why}");
}

#[tokio::test]
async fn the_operators_rights_are_enough_to_provision_to_correct_and_to_remove() {
    let mut settings = settings();
    let rights = rights_of_the_operator(&settings.stream.name);
    let users = format!(
        "authorization {{ users: [{{ user: operator, password: right, permissions: {{ {rights} }} }},
           {{ user: stranger, password: right }}] }}"
    );
    let server = NatsServer::start_with(&users).await;
    let nats = log_in(&server, "operator").await;
    for max_age in [3_600, 7_200].map(Duration::from_secs) {
        settings.stream.max_age = max_age;
        let provision =
            JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), receivers());
        assert_ne!(ensure(&provision).await.unwrap().steps.0, [""; 0]);
    }
    let login =
        async_nats::ConnectOptions::with_user_and_password("stranger".into(), "right".into());
    let stranger = login.connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(stranger);
    let stream = context.get_stream(&settings.stream.name).await.unwrap();
    // Its interest keeps messages that a consumer's removal would drop.
    let strangers = async_nats::jetstream::consumer::pull::Config::default();
    stream.create_consumer(strangers).await.unwrap();
    let on = format!("{}.to.notification", settings.stream.subject);
    context.publish(on, "".into()).await.unwrap().await.unwrap();
    let pause = format!("CONSUMER.PAUSE.{}.notification", settings.stream.name);
    let until = serde_json::json!({ "pause_until": "2099-01-01T00:00:00Z" });
    let paused: serde_json::Value = context.request(pause, &until).await.unwrap();
    assert_eq!(paused["paused"], true, "{paused}");
    let provision =
        JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), receivers());
    let resumed = ensure(&provision).await.unwrap().steps;
    assert_eq!(resumed.0, ["consumer notification: paused, resumed"]);
    let none = JetStreamProvision::new(nats.clone(), "reactions", settings.clone(), Vec::new());
    let removed = ensure(&none.of_all_receivers()).await.unwrap().steps;
    assert_eq!(
        removed.0.len(),
        3,
        "subject, consumer, messages: {removed:?}"
    );
    let provision = JetStreamProvision::new(nats, "reactions", settings, receivers());
    assert_eq!(provision.remove().await.unwrap().0.len(), 1);
    assert_eq!(provision.observe().await.unwrap().stream, None);
}
