//! Every read: the Channel's rivals, its pods, its broker. What can't be read is an observation too.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use duet_channel::transport::jetstream::Nats;
use duet_crd::kubernetes::{Claim, Rival, rival};
use duet_crd::{Problem, Problems, Spec};
use duet_protocol::settings::Settings;
use futures::{StreamExt, stream};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;
use reqwest::{Client, StatusCode, redirect};

use crate::broker::{self, Broker, Wanted};
use crate::participants::{Answer, Participant, Role};
use crate::stored::{Stored, Subject};

/// The name of the port that pods answer on.
const PORT: &str = "internal";
/// The label that says which Service a slice is of.
pub(crate) const SERVICE: &str = "kubernetes.io/service-name";
/// How long a pod may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a pod may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(500);
/// Pods that are asked at once.
const AT_ONCE: usize = 32;
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;
/// How long to wait for the first list of endpoints.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// What there is to be known of a Channel.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) at: Timestamp,
    /// What it says, or everything that is wrong with it.
    pub(crate) document: Result<Box<Document>, Problems>,
    /// The older Channel that has what it wants.
    pub(crate) rival: Option<Rival>,
    /// None if they were not looked for: the Channel is not in force, or the endpoints are not known.
    pub(crate) participants: Option<Vec<Participant>>,
    pub(crate) broker: Broker,
}

/// What a Channel says.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) spec: Spec,
    pub(crate) settings: Settings,
    /// What it asks of a broker, if it does.
    pub(crate) wanted: Option<Wanted>,
    /// Fields that this version does not know.
    pub(crate) unknown: Vec<Problem>,
}

impl Observed {
    /// What is in force.
    pub(crate) fn accepted(&self) -> Option<&Document> {
        self.document
            .as_deref()
            .ok()
            .filter(|_| self.rival.is_none())
    }
}

/// What observing takes.
#[derive(Clone)]
pub(crate) struct Eyes {
    pub(crate) channels: Store<Stored>,
    pub(crate) slices: Store<EndpointSlice>,
    pub(crate) nats: Option<Nats>,
    pub(crate) http: Client,
}

/// A client for asking pods.
pub(crate) fn http() -> Result<Client, reqwest::Error> {
    Client::builder()
        .timeout(ANSWER)
        .connect_timeout(CONNECT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        // A connection that was kept may belong to a pod that is gone.
        .pool_max_idle_per_host(0)
        .build()
}

impl Eyes {
    /// Reads everything about a Channel.
    pub(crate) async fn observe(&self, stored: &Stored, subject: &Subject) -> Observed {
        let document = document(stored, subject);
        let claims = self
            .channels
            .state()
            .iter()
            .map(|stored| Claim::of(&stored.metadata, &stored.spec))
            .collect();
        let mut observed = Observed {
            at: Timestamp::now(),
            rival: rival(&subject.name, claims),
            document,
            participants: None,
            broker: Broker::NotNeeded,
        };
        let going = subject.is_deleted;
        let settings = observed
            .accepted()
            .filter(|_| !going)
            .map(|document| &document.settings);
        let wanted = match &observed.document {
            Ok(document) if settings.is_some() || going => document.wanted.as_ref(),
            _ => None,
        };
        let (participants, broker) = tokio::join!(
            async { self.ask(settings?).await },
            broker::observe(self.nats.as_ref(), wanted)
        );
        observed.participants = participants;
        observed.broker = broker;
        observed.at = Timestamp::now();
        observed
    }

    async fn ask(&self, settings: &Settings) -> Option<Vec<Participant>> {
        let listed = tokio::time::timeout(FIRST_LIST, self.slices.wait_until_ready()).await;
        listed.ok()?.ok()?;
        let slices = self.slices.state();
        let mut pods = pods(&slices, &settings.from, Role::Sender);
        for to in &settings.to {
            pods.extend(self::pods(&slices, to.as_str(), Role::Receiver(to.clone())));
        }
        let asked = pods.into_iter().map(|(pod, role, url)| async move {
            Participant {
                pod,
                role,
                answer: ask(&self.http, &url).await,
            }
        });
        Some(stream::iter(asked).buffered(AT_ONCE).collect().await)
    }
}

/// Asks a pod.
async fn ask(http: &Client, url: &str) -> Answer {
    match get(http, url).await {
        Ok((StatusCode::OK, body)) if body.len() > LONGEST => {
            Answer::Unintelligible(format!("its answer is longer than {LONGEST} bytes"))
        }
        Ok((StatusCode::OK, body)) => match serde_json::from_slice(&body) {
            Ok(told) => Answer::Told(told),
            Err(error) => Answer::Unintelligible(format!("its answer makes no sense: {error}")),
        },
        Ok((status, _)) => Answer::Unintelligible(format!("it answered {status}")),
        Err(error) if error.is_timeout() => {
            Answer::Silent(format!("no answer in {} s", ANSWER.as_secs()))
        }
        Err(error) if error.is_connect() => Answer::Silent("no connection can be made".to_owned()),
        Err(_) => Answer::Silent("the connection broke".to_owned()),
    }
}

/// The status and the body, or the beginning of one that is too long.
async fn get(http: &Client, url: &str) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let mut response = http.get(url).send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok((response.status(), body))
}

fn document(stored: &Stored, subject: &Subject) -> Result<Box<Document>, Problems> {
    let (channel, unknown) = stored.document()?;
    let settings = Settings::try_from(&channel)?;
    Ok(Box::new(Document {
        wanted: Wanted::of(subject, &settings),
        spec: channel.spec,
        settings,
        unknown,
    }))
}

/// The pods behind a Service, each with the address to ask: ready or not, but for those that end and serve no more.
fn pods(
    slices: &[std::sync::Arc<EndpointSlice>],
    service: &str,
    role: Role,
) -> Vec<(String, Role, String)> {
    // A pod with addresses of both families is in two slices.
    let mut pods = BTreeMap::new();
    for slice in slices {
        let labels = slice.metadata.labels.as_ref();
        if labels
            .and_then(|labels| labels.get(SERVICE))
            .is_none_or(|of| of != service)
        {
            continue;
        }
        let ports = slice.ports.as_deref().unwrap_or_default();
        let named = ports.iter().find(|port| port.name.as_deref() == Some(PORT));
        let Some(port) = named.and_then(|port| port.port) else {
            continue;
        };
        for endpoint in slice.endpoints.as_deref().unwrap_or_default() {
            if let (false, Some(address)) = (is_gone(endpoint), endpoint.addresses.first()) {
                let name = endpoint
                    .target_ref
                    .as_ref()
                    .and_then(|target| target.name.clone());
                let url = url(address, port);
                pods.entry(name.unwrap_or_else(|| address.clone()))
                    .or_insert(url);
            }
        }
    }
    pods.into_iter()
        .map(|(pod, url)| (pod, role.clone(), url))
        .collect()
}

fn url(address: &str, port: i32) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => format!("http://[{address}]:{port}/v1/channel"),
        _ => format!("http://{address}:{port}/v1/channel"),
    }
}

fn is_gone(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_some_and(|is| is.terminating == Some(true) && is.serving != Some(true))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn slice(service: &str, port: &str, endpoints: serde_json::Value) -> Arc<EndpointSlice> {
        let slice = json!({
            "metadata": {"name": "s", "labels": {SERVICE: service}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}, {"name": port, "port": 8081}],
            "endpoints": endpoints,
        });
        Arc::new(serde_json::from_value(slice).unwrap())
    }

    fn endpoint(pod: &str, address: &str, conditions: serde_json::Value) -> serde_json::Value {
        json!({"addresses": [address], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}})
    }

    #[test]
    fn pods_are_asked_on_their_internal_port_unless_they_serve_no_more() {
        let slices = [
            slice(
                "reaction",
                "internal",
                json!([
                    endpoint("ready", "10.0.0.1", json!({"ready": true})),
                    endpoint("not-ready", "10.0.0.2", json!({"ready": false})),
                    endpoint("draining", "10.0.0.3", json!({"ready": false, "serving": true, "terminating": true})),
                    endpoint("gone", "10.0.0.4", json!({"ready": false, "serving": false, "terminating": true})),
                    {"addresses": ["10.0.0.5"]},
                ]),
            ),
            slice(
                "reaction",
                "internal",
                json!([endpoint("ready", "fd00::1", json!({}))]),
            ),
            slice(
                "reaction",
                "metrics",
                json!([endpoint("no-port", "10.0.0.6", json!({}))]),
            ),
            slice(
                "other",
                "internal",
                json!([endpoint("other", "10.0.0.7", json!({}))]),
            ),
        ];
        let asked: Vec<_> = pods(&slices, "reaction", Role::Sender)
            .into_iter()
            .map(|(pod, _, url)| format!("{pod} {url}"))
            .collect();
        assert_eq!(
            asked,
            [
                "10.0.0.5 http://10.0.0.5:8081/v1/channel",
                "draining http://10.0.0.3:8081/v1/channel",
                "not-ready http://10.0.0.2:8081/v1/channel",
                "ready http://10.0.0.1:8081/v1/channel",
            ]
        );
        assert_eq!(url("fd00::1", 1), "http://[fd00::1]:1/v1/channel");
    }

    /// A server that answers every connection with these bytes; or with nothing, and waits.
    async fn answering(bytes: &'static str, body: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/channel", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(bytes.as_bytes()).await;
                let _ = connection.write_all(&vec![b' '; body]).await;
                if bytes.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn whatever_a_pod_answers_is_an_observation() {
        const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let told = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"mode\":\"Sync\"}";
        let elsewhere =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let http = http().unwrap();
        let nobody = "http://127.0.0.1:1/v1/channel".to_owned();
        for (expected, url) in [
            ("Told(", answering(told, 0).await),
            (
                "Unintelligible(\"it answered 302 Found\")",
                answering(elsewhere, 0).await,
            ),
            (
                "Unintelligible(\"its answer makes no sense",
                answering(OK, 0).await,
            ),
            (
                "Unintelligible(\"its answer is longer than 65536 bytes\")",
                answering(OK, 2 * LONGEST).await,
            ),
            ("Silent(\"no answer in 1 s\")", answering("", 0).await),
            ("Silent(\"no connection can be made\")", nobody),
        ] {
            let answer = format!("{:?}", ask(&http, &url).await);
            assert!(answer.starts_with(expected), "{expected}: {answer}");
        }
    }
}
