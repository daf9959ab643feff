//! Notifications as they change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use duet_testkit::{NatsServer, answer, until};
use futures::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::alone::{Alone, Sse};
use crate::app::TestApp;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_change_is_told_once_in_order_also_after_the_service_was_started_anew() {
    let mut app = Alone::start(&[]).await;
    app.reacts("before", "ana").await;
    let mut stream = app.listen("", None).await;
    stream.begun().await;
    assert!(stream.retry.is_some());
    for (post, user) in [("p1", "ana"), ("p2", "ana"), ("p1", "cy")] {
        app.reacts(post, user).await;
        let count = if user == "cy" { 2 } else { 1 };
        assert_eq!(stream.told().await, format!("notification {post} {count}*"));
    }
    app.undoes("p1", "cy").await;
    assert_eq!(stream.told().await, "notification p1 1*");
    app.undoes("p2", "ana").await;
    assert_eq!(stream.told().await, "removed p2");
    let after = stream.id.clone();
    drop(stream);

    // What happens while nobody listens, and the service stops and starts.
    app.reacts("p3", "ana").await;
    app.restart().await;
    app.undoes("p1", "ana").await;
    app.reacts("p3", "cy").await;
    let mut stream = app.listen("", Some(&after)).await;
    assert_eq!(stream.told().await, "removed p1");
    assert_eq!(stream.told().await, "notification p3 2*");
    app.reacts("p4", "ana").await;
    assert_eq!(stream.told().await, "notification p4 1*");

    // One that was told is the list's.
    let (_, item) = {
        app.reacts("p5", "ana").await;
        stream.next().await.unwrap()
    };
    let list = app.get("/v1/users/bob/notifications").await.ok(200);
    assert_eq!(list["items"][0], item);
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_client_can_begin_at_the_start_and_go_on_from_anywhere_in_it() {
    let mut app = Alone::start(&[]).await;
    for post in ["p1", "p2", "p3"] {
        app.reacts(post, "ana").await;
    }
    let mut stream = app.listen("?from=start", None).await;
    assert_eq!(stream.told().await, "notification p1 1*");
    let after = stream.id.clone();
    let mut stream = app.listen("?from=start", Some(&after)).await;
    for post in ["p2", "p3"] {
        assert_eq!(stream.told().await, format!("notification {post} 1*"));
    }
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn where_it_cant_go_on_it_says_so_and_begins_anew() {
    let another = Alone::start(&[]).await;
    let mut stream = another.listen("", None).await;
    stream.begun().await;
    let foreign = stream.id.clone();
    drop(stream);
    another.stop().await;

    let mut app = Alone::start(&[]).await;
    app.reacts("p1", "ana").await;
    let mut stream = app.listen("", Some(&foreign)).await;
    assert_eq!(
        stream.next().await.unwrap(),
        ("reset".to_owned(), json!({}))
    );
    assert_eq!(stream.told().await, "notification p1 1*");
    let own = stream.id.clone();
    let mut stream = app.listen("", Some(&own)).await;
    app.reacts("p2", "ana").await;
    assert_eq!(stream.told().await, "notification p2 1*");
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn ids_and_parameters_that_make_no_sense_are_refused() {
    let app = Alone::start(&[]).await;
    let path = "/v1/users/bob/notifications/stream";
    let url = format!("http://{}{path}", app.addresses.listen);
    let mut eves = Sse::of(
        app.client
            .get(url.replace("bob", "eve"))
            .send()
            .await
            .unwrap(),
    );
    eves.begun().await;
    let long = "A".repeat(5_000);
    for (id, says) in [
        ("garbage", "not an id of this stream"),
        ("WyJzdHJlYW0iLFtdXQ", "not an id of this stream"),
        (&long, "not an id of this stream"),
        (&eves.id, "another user"),
    ] {
        let request = app.client.get(&url).header("last-event-id", id);
        let problem = answer(request).await.problem(400, "invalid-header");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert_eq!(problem["errors"][0]["header"], "Last-Event-ID");
    }
    for query in [
        "?from=yesterday",
        "?from=",
        "?from=now&from=now",
        "?cursor=x",
    ] {
        app.get(&format!("{path}{query}"))
            .await
            .problem(400, "invalid-parameter");
    }
    // An empty one is none.
    drop(app.listen("", Some("")).await);
    let head = app.client.head(&url).send().await.unwrap();
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    drop(eves);
    app.stop().await;
}

#[tokio::test]
async fn under_load_every_group_reaches_its_last_state() {
    let mut app = Alone::start(&[]).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = app.listen("", None).await;
        stream.begun().await;
        streams.push(stream);
    }
    let follow = async |mut stream: Sse| {
        let (mut seen, mut told) = (BTreeMap::new(), 0);
        loop {
            let (name, data) = stream.next().await.expect("it goes on");
            let post = data["post"].as_str().unwrap().to_owned();
            told += 1;
            if post == "last" {
                return (seen, told);
            }
            // Nothing is told twice.
            let was = match name.as_str() {
                "removed" => seen.remove(&post),
                _ => seen.insert(post, data.clone()),
            };
            assert_ne!(was, Some(data));
        }
    };
    let load = async {
        for round in 0..20 {
            let reaction = |n: usize| {
                let (post, user) = (format!("p{}", n % 40), format!("u{}", (round + n) % 7));
                (post, user, (n % 3 != round % 3).then_some("like"))
            };
            let reactions: Vec<_> = (0..200).map(reaction).collect();
            app.give(&reactions).await;
        }
        app.reacts("last", "ana").await;
    };
    let (views, ()) = tokio::join!(join_all(streams.into_iter().map(follow)), load);
    let list = app
        .get("/v1/users/bob/notifications?limit=500")
        .await
        .ok(200);
    let mut expected = BTreeMap::new();
    for item in list["items"].as_array().unwrap() {
        expected.insert(item["post"].as_str().unwrap().to_owned(), item.clone());
    }
    expected.remove("last");
    for (seen, told) in views {
        assert_eq!(seen, expected);
        assert!(
            told < 4_000,
            "what changes faster than it is told is told once, not {told} times"
        );
    }
    app.stop().await;
}

async fn connect(app: &Alone, query: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(app.addresses.listen).await.unwrap();
    let request =
        format!("GET /v1/users/bob/notifications/stream{query} HTTP/1.1\r\nhost: duet\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn many(posts: usize) -> Vec<(String, String, Option<&'static str>)> {
    let reaction = |n| (format!("p{n}"), "ana".to_owned(), Some("like"));
    (0..posts).map(reaction).collect()
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_client_that_never_reads_is_dropped() {
    let mut app = Alone::start(&["--write-timeout=2s"]).await;
    app.give(&many(2_000)).await;
    let stalled = connect(&app, "?from=start").await;
    let open = async |wanted: u64| {
        let open = app.open().await;
        (open == wanted)
            .then_some(())
            .ok_or(format!("{open} are open"))
    };
    until(PATIENCE, || open(1)).await;
    until(PATIENCE, || open(0)).await;
    drop(stalled);
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_place_at_once() {
    let app = Alone::start(&[]).await;
    let mut leaving = connect(&app, "").await;
    let mut head = [0; 1024];
    assert_ne!(leaving.read(&mut head).await.unwrap(), 0);
    // A FIN: without looking for it, the next heartbeat would find out.
    leaving.shutdown().await.unwrap();
    until(Duration::from_secs(5), async || {
        let open = app.open().await;
        (open == 0).then_some(()).ok_or(format!("{open} are open"))
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_and_all_else_is_answered() {
    const MAX: usize = 50;
    const CLIENTS: usize = 2_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000), hard).unwrap();
    let mut app = Alone::start(&[&format!("--max-streams={MAX}")]).await;
    app.reacts("p1", "ana").await;
    let client = async || {
        let mut stream = connect(&app, "").await;
        let mut head = vec![0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
        let accepted = head.starts_with("http/1.1 200");
        if !accepted {
            assert!(head.starts_with("http/1.1 503"), "{head}");
            assert!(head.contains("retry-after: 5"), "{head}");
            assert!(head.contains("connection: close"), "{head}");
        }
        accepted.then_some(stream)
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let began = Instant::now();
            app.get("/v1/users/bob/notifications").await.ok(200);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let clients = join_all((0..CLIENTS).map(|_| client()));
    let (clients, slowest) = tokio::join!(clients, others);
    let open: Vec<_> = clients.into_iter().flatten().collect();
    assert_eq!(open.len(), MAX);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert_eq!(app.open().await, MAX as u64);
    app.stop().await;
}

#[tokio::test]
async fn it_stops_in_time_and_tells_its_streams_when_to_come_back() {
    let mut app = Alone::start(&["--grace-period=6s"]).await;
    app.give(&many(2_000)).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = app.listen("", None).await;
        stream.begun().await;
        streams.push(stream);
    }
    let _stalled = connect(&app, "?from=start").await;
    let began = Instant::now();
    app.stop.draining.cancel();
    for mut stream in streams {
        stream.retry = None;
        assert_eq!(stream.next().await, None);
        assert!(stream.retry.is_some());
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
    // It would have panicked, had it not stopped in order.
    (&mut app.ended).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn in_async_mode_a_stream_that_begins_at_a_position_has_what_was_written() {
    let nats = NatsServer::start().await;
    let app = TestApp::start_in("Async", Some(nats.url())).await;
    app.put_post("p1", "bob").await;
    let accepted = app.try_to_react("p1", "ana", "like").await;
    let position = accepted.header("duet-position").unwrap().to_owned();
    accepted.ok(202);
    let address = app.notification.listen;
    let url = format!("http://{address}/v1/users/bob/notifications/stream?from=start");
    let request = app.client.get(url).header("duet-position", position);
    let mut stream = Sse::of(request.send().await.unwrap());
    assert_eq!(stream.told().await, "notification p1 1*");
    // Read elsewhere, it is told here.
    let read = app.post("/v1/users/bob/notifications/read", json!({"post": "p1"}));
    assert_eq!(read.await.ok(200), json!({"unread": 0}));
    assert_eq!(stream.told().await, "notification p1 1");
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_waits_for_its_position_no_longer_than_it_is_told() {
    let app = Alone::start(&[]).await;
    let address = app.addresses.listen;
    let url = format!("http://{address}/v1/users/bob/notifications/stream");
    let request = app.client.get(url).header("prefer", "wait=0.1");
    let stranger = "000000000000feed.0001.0000.000000000000002a.0000000000000007";
    let late = answer(request.header("duet-position", stranger)).await;
    let problem: Value = late.problem(504, "position-not-reached");
    assert_eq!(problem["status"], 504);
    assert_eq!(app.open().await, 0);
    app.stop().await;
}
