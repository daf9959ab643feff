//! What tests begin with: a Channel in Async that is in force, provisioned and followed; and an API server.

use std::collections::BTreeMap;

use duet_channel::transport::Steps;
use duet_channel::transport::jetstream::{self, Action};
use duet_crd::{Channel, EXAMPLE, Mode};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{JetStreamSettings, Settings, TransportSettings};
use k8s_openapi::jiff::Timestamp;
use kube::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::apply::Outcome;
use crate::broker::{Broker, Wanted};
use crate::observe::{Document, Observed};
use crate::participants::{Answer, Participant, PodCondition, Role, Told, Which};
use crate::stored::Subject;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn subject() -> Subject {
    Subject {
        namespace: "demo".to_owned(),
        name: "reactions".to_owned(),
        uid: "uid-1".to_owned(),
        generation: 3,
        is_deleted: false,
        has_finalizer: false,
    }
}

/// A pod that follows [`subject`] in Async.
pub(crate) fn follower(pod: &str, role: Role) -> Participant {
    let told = Told {
        channel: Some(Which {
            name: "reactions".to_owned(),
            uid: Some("uid-1".to_owned()),
        }),
        mode: Some(Mode::Async),
        observed_generation: Some(3),
        drained: (role == Role::Sender).then_some(true),
        unacknowledged: (role == Role::Sender).then_some(0),
        ..Told::default()
    };
    Participant {
        pod: pod.to_owned(),
        role,
        answer: Answer::Told(Box::new(told)),
    }
}

pub(crate) fn told(participant: &mut Participant) -> &mut Told {
    match &mut participant.answer {
        Answer::Told(told) => told,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn condition(r#type: &str, status: &str, reason: &str, message: &str) -> PodCondition {
    PodCondition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..PodCondition::default()
    }
}

/// What a Channel says, in Async.
pub(crate) fn document() -> Document {
    let mut channel = Channel::from_yaml(EXAMPLE).unwrap();
    channel.spec.mode = Mode::Async;
    let settings = Settings::try_from(&channel).unwrap();
    Document {
        wanted: Wanted::of(&subject(), &settings),
        spec: channel.spec,
        settings,
        unknown: Vec::new(),
    }
}

/// What the broker has once it is provisioned for a Channel, with changed settings.
pub(crate) fn provisioned(
    owner: &str,
    change: impl FnOnce(&mut JetStreamSettings),
) -> Box<jetstream::Observed> {
    let settings = document().settings;
    let TransportSettings::NatsJetStream(mut settings) = settings.r#async.unwrap().transport;
    change(&mut settings);
    let receivers = [ReceiverName::new("notification").unwrap()];
    let mut seen = jetstream::Observed::default();
    for action in jetstream::plan(owner, &settings, &receivers, &seen)
        .unwrap()
        .0
    {
        match action {
            Action::CreateStream(config)
            | Action::UpdateStream { config, .. }
            | Action::TakeSubject(config) => seen.stream = Some(*config),
            Action::RemakeConsumer { .. }
            | Action::ResumeConsumer(_)
            | Action::RemoveConsumer(_)
            | Action::RemoveStream(_)
            | Action::Purge(_) => unreachable!("{action}"),
            Action::PutConsumer { config, .. } => {
                seen.consumers = BTreeMap::from([(receivers[0].clone(), *config)]);
                seen.unsettled = BTreeMap::from([(receivers[0].clone(), 0)]);
            }
        }
    }
    Box::new(seen)
}

/// All is well.
pub(crate) fn observed(at: Timestamp) -> Observed {
    Observed {
        at,
        document: Ok(Box::new(document())),
        rival: None,
        participants: Some(vec![
            follower("reaction-0", Role::Sender),
            follower(
                "notification-0",
                Role::Receiver(ReceiverName::new("notification").unwrap()),
            ),
        ]),
        broker: Broker::Seen(provisioned("demo/reactions", |_| {})),
    }
}

/// Nothing was to be done.
pub(crate) fn done() -> Outcome {
    Outcome {
        finalizer: None,
        broker: Ok(Steps::default()),
    }
}

/// The way to an API server that answers a request, and how many came before it, with a status and a body.
pub(crate) async fn api_server(
    answer: impl Fn(&str, usize) -> (&'static str, String) + Send + 'static,
) -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut before = 0;
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]);
            let (status, body) = answer(request.lines().next().unwrap_or_default(), before);
            before += 1;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    Config::new(url.parse().unwrap())
}
