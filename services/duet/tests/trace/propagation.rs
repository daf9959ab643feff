//! What goes along from hop to hop: the caller's decision, tracestate, and the trace itself across a crash.

use super::*;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use duet_testkit::Process;
use std::process::Command;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn a_callers_sampled_trace_goes_on_with_its_tracestate_in_both_modes() {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, Mode::Sync).await;
    for (mode, shape, user) in [(Mode::Sync, SYNC, "ana"), (Mode::Async, ASYNC, "eva")] {
        pair.switch(mode);
        pair.follows(mode).await;
        let trace = format!(
            "{}{}",
            &TRACE[..29],
            if mode == Mode::Sync { "aaa" } else { "bbb" }
        );
        let status = react_within(
            &pair,
            &format!("00-{trace}-b7ad6b7169203331-01"),
            "shop=42,other=x",
            user,
        )
        .await;
        assert!(status.is_success());
        let spans = shaped(&collector, &trace, &[shape]).await;
        assert_eq!(spans[0].parent.as_deref(), Some("b7ad6b7169203331"));
        assert!(
            spans
                .iter()
                .all(|span| span.trace_state == "shop=42,other=x"),
            "{spans:#?}"
        );
    }
}

#[tokio::test]
async fn a_caller_that_decided_against_recording_leaves_no_span() {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, Mode::Async).await;
    assert_eq!(
        react_within(&pair, &format!("00-{TRACE}-b7ad6b7169203331-00"), "", "ana").await,
        202
    );
    let reply = pair.react("eva", "post-1").await;
    shaped(&collector, &reply.trace_id(), &[ASYNC, ASYNC_TOGETHER]).await;
    assert_eq!(drawn(&collector.trace(TRACE)), "");
}

#[tokio::test]
async fn a_trace_goes_on_across_a_crash_of_the_sender() {
    let collector = OtlpReceiver::start().await;
    let mut pair = pair(&collector, Mode::Async).await;
    pair.nats.kill();
    let reply = pair.react("ana", "post-1").await;
    assert_eq!(reply.status, 202);
    let before = ["PUT /v1/posts/{post}/reactions/{user}", "commit reaction"];
    collector
        .trace_with(&reply.trace_id(), &before, PATIENCE)
        .await;
    pair.reaction.kill();
    pair.nats.restart().await;
    pair.reaction.restart().await;
    pair.drained().await;
    let after = ["process duet.reactions", "apply reaction"];
    let spans = collector
        .trace_with(&reply.trace_id(), &after, PATIENCE)
        .await;
    let roots = spans.iter().filter(|span| span.parent.is_none()).count();
    assert_eq!(roots, 1, "{}", drawn(&spans));
}

/// Passes requests on without what carries the trace.
async fn strip(request: HttpRequest, body: web::Bytes, to: web::Data<String>) -> HttpResponse {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Array(mut events)) => {
            for event in events
                .iter_mut()
                .filter_map(serde_json::Value::as_object_mut)
            {
                event.remove("traceparent");
            }
            serde_json::to_string(&events).unwrap()
        }
        _ => text,
    };
    let mut passed = reqwest::Client::new()
        .post(format!("{}{}", to.as_str(), request.path()))
        .body(body);
    for (name, value) in request.headers() {
        if ["content-type", "duet-deadline", "duet-delivery"].contains(&name.as_str()) {
            passed = passed.header(name.as_str(), value.as_bytes());
        }
    }
    let answer = passed.send().await.unwrap();
    HttpResponse::build(actix_web::http::StatusCode::from_u16(answer.status().as_u16()).unwrap())
        .content_type("application/json")
        .body(answer.bytes().await.unwrap())
}

/// The tests above would notice: on a way that drops the trace, the tree is not the drawn one.
#[tokio::test]
async fn a_way_that_drops_the_context_breaks_the_tree() {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, Mode::Sync).await;
    let to = web::Data::new(pair.notification.internal());
    let app = move || {
        App::new()
            .app_data(to.clone())
            .default_service(web::post().to(strip))
    };
    let proxy = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let through = format!("notification=http://{}", proxy.addrs()[0]);
    let proxy = proxy.run();
    let stop = proxy.handle();
    let serving = tokio::spawn(proxy);

    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.args([
        "serve",
        "reaction",
        "--listen",
        "127.0.0.1:0",
        "--internal-listen",
        "127.0.0.1:0",
    ]);
    command
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--channel")
        .arg(pair.channel())
        .args(["--receiver", &through]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let mut reaction = Process::spawn("reaction", command, &dir.path().join("log"));
    let addresses = dir.path().join("data/addresses.json");
    let address = || {
        let text = std::fs::read_to_string(&addresses).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(json["listen"].as_str()?.to_owned())
    };
    eventually(PATIENCE, || async { address().is_some() }).await;
    let url = format!("http://{}/v1/posts/post-1", address().unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = |url: String, body: serde_json::Value| http.put(url).json(&body).send();
    eventually(PATIENCE, || async {
        put(url.clone(), json!({"owner": "bob", "title": "A walk"}))
            .await
            .is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    let answer = put(format!("{url}/reactions/ana"), json!({"kind": "like"}))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let trace = answer.headers()["traceresponse"]
        .to_str()
        .unwrap()
        .split('-')
        .nth(1)
        .unwrap()
        .to_owned();
    let here = [
        "PUT /v1/posts/{post}/reactions/{user}",
        "commit reaction",
        "POST /v1/events",
    ];
    let spans = collector.trace_with(&trace, &here, PATIENCE).await;
    assert!(
        spans.iter().all(|span| span.service == "reaction"),
        "{}",
        drawn(&spans)
    );
    assert_ne!(drawn(&spans), SYNC);

    reaction.terminate();
    reaction.ended(PATIENCE).await;
    stop.stop(false).await;
    serving.await.unwrap().unwrap();
}
