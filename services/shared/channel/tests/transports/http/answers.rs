//! What a call makes of the answers that a receiver, or what stands before it, may give.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, PayloadConfig, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use duet_channel::transport::conformance::Events;
use duet_channel::transport::http::{DEADLINE, DELIVERY, EVENTS, HttpCall};
use duet_channel::transport::{Batch, Call, CallError, Delivered, Outgoing, Urgency};

use crate::observer;

/// What a caller waits for.
fn one_event() -> Batch {
    Batch {
        events: vec![Outgoing {
            event: Events::of(1).one().into(),
            late: false,
        }],
        urgency: Urgency::Inline,
    }
}

/// A server that answers every request in one way.
struct Server {
    url: String,
    handle: actix_web::dev::ServerHandle,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    fn start(answer: fn(&HttpRequest, &Bytes) -> HttpResponse) -> Self {
        let handler =
            move |request: HttpRequest, body: Bytes| async move { answer(&request, &body) };
        let app = move || {
            App::new()
                .app_data(PayloadConfig::new(2 << 20))
                .route(EVENTS, post().to(handler))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        Server {
            url,
            handle: server.handle(),
            task: tokio::spawn(server),
        }
    }

    async fn deliver(self, within: Duration) -> Result<Delivered, CallError> {
        let call = HttpCall::new(&self.url, observer()).unwrap();
        let answer = call.deliver(&one_event(), within).await;
        self.handle.stop(false).await;
        self.task.await.unwrap().unwrap();
        answer
    }
}

const LONG: Duration = Duration::from_secs(10);

fn status(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({"detail": "so it is"}))
}

#[tokio::test]
async fn too_much_to_do_is_overloaded_for_as_long_as_it_says() {
    let busy = Server::start(|_, _| {
        HttpResponse::ServiceUnavailable()
            .insert_header(("retry-after", "7"))
            .finish()
    });
    assert_eq!(
        busy.deliver(LONG).await.unwrap_err(),
        CallError::Overloaded {
            retry_after: Some(Duration::from_secs(7))
        }
    );
    let limited = Server::start(|_, _| status(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(
        limited.deliver(LONG).await.unwrap_err(),
        CallError::Overloaded { retry_after: None }
    );
}

#[tokio::test]
async fn what_is_refused_was_not_applied_and_the_cause_is_told() {
    let refusing = Server::start(|_, _| status(StatusCode::BAD_REQUEST));
    match refusing.deliver(LONG).await {
        Err(CallError::NotApplied(cause)) => assert_eq!(&*cause, "400 Bad Request so it is"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_leaves_the_outcome_unknown() {
    let answers: [fn(&HttpRequest, &Bytes) -> HttpResponse; 6] = [
        |_, _| status(StatusCode::INTERNAL_SERVER_ERROR),
        |_, _| status(StatusCode::BAD_GATEWAY),
        |_, _| HttpResponse::Ok().body("<html>"),
        |_, _| HttpResponse::Ok().body(r#"{"outcomes":[],"receipts":[]}"#),
        |_, _| HttpResponse::Ok().body(r#"{"outcomes":[{"outcome":"eaten"}],"receipts":[]}"#),
        |_, _| HttpResponse::Ok().body(vec![b' '; 2 << 20]),
    ];
    for answer in answers {
        let answer = Server::start(answer).deliver(LONG).await;
        assert!(matches!(answer, Err(CallError::Unknown(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let moved = Server::start(|_, _| {
        HttpResponse::TemporaryRedirect()
            .insert_header(("location", "/v1/events"))
            .finish()
    });
    let answer = moved.deliver(LONG).await;
    assert!(matches!(answer, Err(CallError::Unknown(_))), "{answer:?}");
}

#[tokio::test]
async fn a_request_says_how_long_it_waits_and_that_a_caller_does() {
    let telling = Server::start(|request, _| {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let left: u64 = header(DEADLINE).parse().unwrap();
        let said = (9_000..10_000).contains(&left)
            && header(DELIVERY) == "inline"
            && header("content-type").starts_with("application/cloudevents-batch+json");
        status(if said {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::BAD_REQUEST
        })
    });
    assert_eq!(
        telling.deliver(LONG).await.unwrap_err(),
        CallError::Overloaded { retry_after: None }
    );
}

#[tokio::test]
async fn silence_leaves_the_outcome_unknown_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let call = HttpCall::new(
        &format!("http://{}", listener.local_addr().unwrap()),
        observer(),
    )
    .unwrap();
    let began = std::time::Instant::now();
    let answer = call.deliver(&one_event(), Duration::from_millis(100)).await;
    assert!(matches!(answer, Err(CallError::Unknown(_))), "{answer:?}");
    assert!((Duration::from_millis(100)..Duration::from_secs(5)).contains(&began.elapsed()));
}

#[tokio::test]
async fn what_could_not_be_connected_to_was_not_applied_and_that_is_known_before_the_deadline() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel answers no more.
    let mut waiting = Vec::new();
    let connect = || tokio::net::TcpStream::connect(address);
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), connect()).await {
        waiting.push(connected.unwrap());
    }
    let call = HttpCall::new(&format!("http://{address}"), observer()).unwrap();
    let within = Duration::from_secs(1);
    let began = std::time::Instant::now();
    let answer = call.deliver(&one_event(), within).await;
    assert!(
        matches!(answer, Err(CallError::NotApplied(_))),
        "{answer:?}"
    );
    assert!(began.elapsed() < within, "{:?}", began.elapsed());
}

#[test]
fn an_address_that_is_none_is_refused() {
    for address in ["", "127.0.0.1:8091", "https://127.0.0.1", "unix:/tmp/x"] {
        assert!(
            HttpCall::new(address, observer_without_runtime()).is_err(),
            "{address}"
        );
    }
}

fn observer_without_runtime() -> duet_channel::transport::spans::Observer {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    observer()
}
