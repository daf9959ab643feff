use crate::common::{PATIENCE, duet_on};
use duet_testkit::{Pair, until};
use serde_json::{Value, json};

/// Reaction's condition `Degraded`, if it is so: its reason and its message.
pub(crate) async fn degraded(pair: &Pair) -> Result<Option<(String, String)>, String> {
    let told = pair.reaction.channel().await?;
    let conditions = told["conditions"].as_array().unwrap();
    let is_it = |it: &&Value| it["type"] == "Degraded" && it["status"] == "True";
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let degraded = conditions.iter().find(is_it);
    Ok(degraded.map(|it| (text(&it["reason"]), text(&it["message"]))))
}

/// Waits until Reaction says so; the message.
pub(crate) async fn is_degraded(pair: &Pair, reason: &str) -> String {
    until(PATIENCE, || async {
        match degraded(pair).await? {
            Some((found, message)) if found == reason => Ok(message),
            other => Err(format!("{other:?}, not {reason}")),
        }
    })
    .await
}

/// Waits until nothing is wrong any more, for `duet status` too.
pub(crate) async fn is_sound(pair: &Pair) {
    until(PATIENCE, || async {
        let said = duet_on(pair, "status", &[]);
        let is_sound = said.code == Some(0);
        is_sound.then_some(()).ok_or_else(|| format!("{said:?}"))
    })
    .await;
}

/// What a resync would come to, as programs read it.
pub(crate) fn preview(pair: &Pair) -> Value {
    let said = duet_on(pair, "resync", &["--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

/// An owner whose posts nobody reacts to while a test does its damage: what this owner sees, and has read, is not to change.
pub(crate) struct Quiet {
    http: reqwest::Client,
}

/// What the owner sees: the groups, and how many are unread.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) groups: Vec<Value>,
    pub(crate) unread: Value,
}

const OWNER: &str = "carl";

impl Quiet {
    /// Three posts with reactions, of which the owner has read one.
    pub(crate) async fn of(pair: &Pair) -> Self {
        let quiet = Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        for post in ["walk", "swim", "run"] {
            pair.post(post, OWNER, post).await;
            for user in ["ana", "dan"] {
                assert!(pair.react(user, post).await.status.is_success());
            }
        }
        pair.drained().await;
        let url = format!(
            "{}/v1/users/{OWNER}/notifications/read",
            pair.notification.public()
        );
        let read = quiet.http.post(url).json(&json!({"post": "swim"}));
        assert!(read.send().await.unwrap().status().is_success());
        assert_eq!(quiet.sees(pair).await.groups.len(), 3);
        quiet
    }

    pub(crate) async fn sees(&self, pair: &Pair) -> Seen {
        let url = format!(
            "{}/v1/users/{OWNER}/notifications/unread",
            pair.notification.public()
        );
        let unread = self.http.get(url).send().await.unwrap();
        Seen {
            groups: pair.inbox(OWNER).await,
            unread: unread.json().await.unwrap(),
        }
    }
}
