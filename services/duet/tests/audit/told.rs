use super::{DUET, PATIENCE, store};
use crate::common::duet_on;
use duet_protocol::sequence::{Epoch, Lane, Partition, StoreId};
use duet_testkit::{Mode, Pair, Service, answer, until};
use serde_json::{Value, json};

/// What a service's metric says of a receiver.
async fn imbalance(service: &Service, receiver: &str) -> Option<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/metrics", service.internal());
    let text = http.get(url).send().await.unwrap().text().await.unwrap();
    let receiver = format!("duet_receiver=\"{receiver}\"");
    let is_it =
        |line: &&str| line.starts_with("duet_ledger_imbalance{") && line.contains(&receiver);
    let line = text.lines().find(is_it)?;
    line.rsplit_once(' ').map(|(_, value)| value.to_owned())
}

async fn is(service: &Service, events: &str) {
    until(PATIENCE, || async {
        let found = imbalance(service, "notification").await;
        let is_so = found.as_deref() == Some(events);
        is_so.then_some(()).ok_or(format!("{found:?}"))
    })
    .await;
}

/// Waits until a service says that the ledger differs, in these words.
async fn is_told(service: &Service, words: &str) {
    until(PATIENCE, || async {
        let told = service.channel().await?;
        let conditions = told["conditions"].as_array().unwrap();
        let is_it = |it: &&Value| it["reason"] == "LedgerDiffers" && it["status"] == "True";
        let message = conditions.iter().find(is_it);
        let is_so = message.is_some_and(|it| it["message"].to_string().contains(words));
        is_so.then_some(()).ok_or(told.to_string())
    })
    .await;
}

/// And `duet status` does.
fn is_in_status(pair: &Pair, words: &str) {
    let said = duet_on(pair, "status", &[]);
    assert_eq!(said.code, Some(9), "{said:?}");
    assert!(said.stdout.contains("LedgerDiffers"), "{said:?}");
    assert!(said.stdout.contains(words), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_does_not_balance_is_a_metric_and_a_condition_at_each_end() {
    let mut pair = Pair::start(DUET, Mode::Async).await;
    pair.post("walk", "bob", "A walk").await;
    for user in ["ana", "cy"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    pair.drained().await;
    is(&pair.reaction, "0").await;
    is(&pair.notification, "0").await;
    store(&pair, "notification")
        .execute_batch("UPDATE inbox_epochs SET applied = applied + 2 WHERE applied > 0")
        .unwrap();
    is(&pair.notification, "2").await;
    is(&pair.reaction, "0").await;
    is_told(&pair.notification, "2 events held here").await;
    is_in_status(&pair, "2 events held here");

    pair.notification.kill();
    for user in ["dee", "eve"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    is(&pair.reaction, "0").await;
    store(&pair, "reaction")
        .execute_batch("DELETE FROM outbox WHERE key = 'walk/dee'")
        .unwrap();
    is(&pair.reaction, "1").await;
    is_told(&pair.reaction, "the outbox lacks 1 event").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_not_what_was_accepted_are_an_event_at_the_least() {
    let mut pair = Pair::start(DUET, Mode::Async).await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    pair.drained().await;
    // As a service would have it that marks an event and loses its row.
    pair.notification.kill();
    store(&pair, "notification")
        .execute_batch("UPDATE inbox_epochs SET digest = digest + 1")
        .unwrap();
    pair.notification.restart().await;
    pair.ready().await;
    assert_eq!(pair.react("cy", "walk").await.status, 202);
    pair.drained().await;
    is(&pair.reaction, "1").await;
    is_told(&pair.reaction, "its rows are not what they came to").await;
    is_in_status(&pair, "its rows are not what they came to");
}

/// What `duet audit` asks of a pair in a cluster, of services that run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_runs_tells_its_tables_and_its_rows() {
    let pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 200);
    pair.drained().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |service: &Service, path: &str| format!("{}/v1/ledger{path}", service.internal());
    let get = |service, path| answer(http.get(url(service, path)));
    let post = |service, path, body: Value| answer(http.post(url(service, path)).json(&body));

    let sent = get(&pair.reaction, "").await.ok(200);
    assert_eq!(sent["epochs"][0]["last"], 2, "{sent}");
    let at = json!({"places": [[sent_source(&sent), 1]]});
    let sent = post(&pair.reaction, "", at).await.ok(200);
    let held = get(&pair.notification, "").await.ok(200);
    assert_eq!(held["lanes"][0]["epochs"][0]["applied"], 1, "{held}");
    assert_eq!(sent["findings"], json!([]));
    for service in [&pair.reaction, &pair.notification] {
        let page = get(service, "/rows?limit=1").await.ok(200);
        assert_eq!(page[0]["key"], "walk/ana", "{page}");
        assert_eq!(
            get(service, "/rows?after=walk/ana").await.ok(200),
            json!([])
        );
    }
    let rows = json!({"keys": ["walk/ana", "walk/cy"]});
    let rows = post(&pair.reaction, "/rows", rows).await.ok(200);
    assert_eq!(
        (&rows[0]["value"], &rows[1]),
        (&json!("like"), &json!(null))
    );
    let keys = json!({"keys": [["walk/ana", null]]});
    let at = post(&pair.notification, "/rows", keys).await.ok(200);
    assert_eq!(at[0]["row"]["value"], "like", "{at}");
}

/// The name of the source of the first epoch that a sender tells.
fn sent_source(sent: &Value) -> String {
    let number = |it: &Value| it.as_u64().unwrap();
    let epoch = &sent["epochs"][0];
    let lane = Lane {
        store: StoreId(number(&sent["store"])),
        partitions: number(&sent["partitions"]).try_into().unwrap(),
        partition: Partition(number(&epoch["partition"]).try_into().unwrap()),
    };
    let epoch = Epoch(number(&epoch["epoch"]));
    lane.source(epoch).to_string()
}
