//! Starting, being told what is wrong, and stopping.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use duet_reaction::{Error, run_until};
use duet_testkit::answer;
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use duet_web::service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::app::{TestApp, config};

#[tokio::test]
async fn without_a_channel_it_is_not_ready_and_says_so_and_one_that_comes_is_in_force_at_once() {
    let data_dir = tempfile::tempdir().unwrap();
    let channel = data_dir.path().join("channel.yaml");
    let app = TestApp::start_with(data_dir, channel.clone()).await;
    app.put_post("p1").await;
    let problem = app
        .react("p1", "ana", "love")
        .await
        .problem(503, "not-ready");
    assert_eq!(problem["applied"], "no");
    let internal = format!("http://{}", app.addresses.internal_listen);
    let readyz = answer(app.client.get(format!("{internal}/readyz")))
        .await
        .ok(503);
    let reason = readyz["reasons"]["channel"].as_str().unwrap();
    assert!(reason.contains("channel.yaml"), "{reason}");

    fs::write(
        &channel,
        duet_crd::EXAMPLE.replace("mode: Sync", "mode: Async"),
    )
    .unwrap();
    let ready = || answer(app.client.get(format!("{internal}/readyz")));
    while ready().await.status != 200 {
        tokio::task::yield_now().await;
    }
    app.react("p1", "ana", "love").await.ok(202);
    let channel = answer(app.client.get(format!("{internal}/v1/channel")))
        .await
        .ok(200);
    let accepted =
        json!([{"type": "Accepted", "status": "True", "reason": "Valid", "message": ""}]);
    assert_eq!(
        (&channel["mode"], &channel["observedGeneration"]),
        (&json!("Async"), &json!(1))
    );
    assert_eq!(channel["conditions"][0], accepted[0]);
    // There is no broker here, which is noticed with the first event.
    loop {
        let channel = answer(app.client.get(format!("{internal}/v1/channel")))
            .await
            .ok(200);
        let degraded = &channel["conditions"][1];
        assert_eq!(degraded["type"], "Degraded");
        if degraded["status"] == "True" {
            assert_eq!(degraded["reason"], "NoWay", "{degraded}");
            break;
        }
        tokio::task::yield_now().await;
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_received_yet_is_told_in_status_and_metrics() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let internal = format!("http://{}", app.addresses.internal_listen);
    let channel = async || {
        let told = answer(app.client.get(format!("{internal}/v1/channel")));
        told.await.ok(200)
    };
    // Nobody accepted the event that opened the store.
    let before = channel().await;
    assert_eq!(
        (&before["unacknowledged"], &before["opening"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(before["oldestAge"], Value::Null, "{before}");
    app.react("p1", "ana", "love").await.ok(202);
    let after = channel().await;
    assert_eq!(
        (&after["unacknowledged"], &after["opening"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(after["receivers"][0]["unacknowledged"], 1, "{after}");
    assert!(after["oldestAge"].is_string(), "{after}");
    let counted = r#"duet_outbox_unacknowledged{duet_receiver="notification"} 1"#;
    loop {
        let metrics = answer(app.client.get(format!("{internal}/metrics")))
            .await
            .ok(200);
        if metrics.as_str().unwrap().contains(counted) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path().to_owned(), dir.path().join("channel.yaml"));
    config.args.listen = taken.unwrap();
    let _listens = TcpListener::bind(config.args.listen).await;
    let error = run_until(config.clone(), Stop::by_hand())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&config.args.listen.to_string()) && error.contains("--listen"),
        "{error}"
    );
}

#[tokio::test]
async fn a_data_directory_that_cant_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let below = file.join("data");
    let error = run_until(config(below.clone(), file), Stop::by_hand())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&below.display().to_string()) && error.contains("--data-dir"),
        "{error}"
    );
}

#[tokio::test]
async fn a_store_of_a_newer_schema_is_left_alone() {
    let app = TestApp::start().await;
    let dir = app.stop_and_keep().await;
    let data_dir = dir.path().join("reaction");
    let store = rusqlite::Connection::open(data_dir.join("reaction.sqlite")).unwrap();
    store.pragma_update(None, "user_version", 1_000).unwrap();
    drop(store);
    let error = run_until(
        config(data_dir, dir.path().join("channel.yaml")),
        Stop::by_hand(),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(error, Error::Service(service::Error::Open(_)))
            && error.to_string().contains("version 1000"),
        "{error}"
    );
}

/// The program itself, over a store in `dir`.
fn program(dir: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_duet-reaction"))
        .args([
            "--listen=127.0.0.1:0",
            "--internal-listen=127.0.0.1:0",
            "--drain-delay=60s",
            "--grace-period=120s",
        ])
        .arg("--data-dir")
        .arg(dir)
        .arg("--channel")
        .arg(dir.join("channel.yaml"))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_signal_drains_it_and_a_second_one_aborts_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = program(dir.path());
    let pid = Pid::from_raw(child.id().unwrap().cast_signed());
    let addresses = loop {
        match Addresses::read(dir.path()) {
            Ok(addresses) => break addresses,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let client = reqwest::Client::new();
    let readyz = || answer(client.get(format!("http://{}/readyz", addresses.internal_listen)));

    kill(pid, Signal::SIGTERM).unwrap();
    while readyz().await.body["reasons"]["process"] != "it is stopping" {
        tokio::task::yield_now().await;
    }
    // It still takes requests.
    let body = r#"{"owner": "bob", "title": "T"}"#;
    let url = format!("http://{}/v1/posts/p1", addresses.listen);
    let request = client.put(url).header("content-type", "application/json");
    answer(request.body(body)).await.ok(201);

    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
}
