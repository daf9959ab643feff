//! The public APIs held against their OpenAPI documents, on a running pair with a second receiver and in both modes: every operation is tried by
//! schemathesis, with data that fits and with data that doesn't, and each status that a document names is seen.
//!
//! `make api` runs it: it needs schemathesis, which `DUET_SCHEMATHESIS` names. What it finds is printed with the request that shows it.
#![allow(clippy::unwrap_used, missing_docs)]

mod document;
mod provoked;
mod schemathesis;

use duet_testkit::{Mode, Pair};
use reqwest::Client;
use serde_json::json;

use document::{Document, Seen};
use provoked::Real;

/// The post and users that there are.
const POST: &str = "post-1";
const OWNER: &str = "bob";
const USER: &str = "ana";

#[tokio::test]
#[ignore = "needs schemathesis: make api"]
async fn every_operation_holds_to_its_document_and_every_status_is_seen() {
    let mut seen = Seen::default();
    for mode in [Mode::Sync, Mode::Async] {
        let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), mode).trending();
        let pair = pair.start().await;
        let client = Client::new();
        let documents = [
            Document::of("reaction", &pair.reaction.public(), &client).await,
            Document::of("notification", &pair.notification.public(), &client).await,
            Document::of("trending", &pair.trending().public(), &client).await,
        ];
        let real = some_data(&pair, &client).await;
        for document in &documents {
            schemathesis::run(document, &real, &mut seen);
        }
        if mode == Mode::Sync {
            provoked::unhappy(&pair, &documents, &real, &mut seen).await;
        }
        if mode == Mode::Async {
            let missing = seen.missing(&documents);
            assert!(
                missing.is_empty(),
                "documented, and never answered: {missing:#?}"
            );
        }
    }
}

/// Posts and reactions of which each list has more than a page, and what names a place in each.
async fn some_data(pair: &Pair, client: &Client) -> Real {
    let mut position = String::new();
    for post in [POST, "post-2"] {
        pair.post(post, OWNER, "First light").await;
        for user in [USER, "cy"] {
            let reacted = pair.react(user, post).await;
            assert!(reacted.status.is_success(), "{reacted:?}");
            position = reacted.headers["duet-position"]
                .to_str()
                .unwrap()
                .to_owned();
        }
    }
    pair.drained().await;
    let next = async |base: String, path: String| {
        let list = client
            .get(format!("{base}{path}?limit=1"))
            .send()
            .await
            .unwrap();
        let list: serde_json::Value = serde_json::from_str(&list.text().await.unwrap()).unwrap();
        list["next"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: {list}"))
            .to_owned()
    };
    let (reaction, notification) = (pair.reaction.public(), pair.notification.public());
    let trending = pair.trending().public();
    let notifications = next(notification, format!("/v1/users/{OWNER}/notifications")).await;
    let cursors = json!({
        "listPosts": next(reaction.clone(), "/v1/posts".to_owned()).await,
        "listReactions": next(reaction, format!("/v1/posts/{POST}/reactions")).await,
        "listNotifications": notifications,
        "listTrending": next(trending, "/v1/trending".to_owned()).await,
    });
    Real { position, cursors }
}
