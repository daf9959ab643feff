use crate::common::{PATIENCE, duet_on};
use crate::rows;
use crate::stores::{Backup, lose};
use duet_testkit::{Mode, Pair, until};
use serde_json::Value;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const CALLERS: usize = 16;
const PER_SECOND: u32 = 200;
/// Changes accepted before a backup, and after it, and so on.
const SOME: usize = 60;

/// What happens to one of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// Reaction's is put back as it was some time before.
    SenderRestored,
    /// Reaction's is gone, and a new one is made.
    SenderLost,
    /// Notification's is put back as it was some time before.
    ReceiverRestored,
    /// Notification's is gone, and a new one is made.
    ReceiverLost,
}

impl Damage {
    /// The condition's reason, and what its message says of it.
    fn told_as(self) -> (&'static str, &'static str) {
        match self {
            Damage::SenderRestored | Damage::SenderLost => (
                "SenderRegressed",
                "notification holds what this store never sent",
            ),
            Damage::ReceiverRestored | Damage::ReceiverLost => (
                "ReceiverRegressed",
                "notification lacks what this store has forgotten",
            ),
        }
    }

    async fn happens(self, pair: &mut Pair, backup: &Backup) {
        let service = match self {
            Damage::SenderRestored | Damage::SenderLost => &mut pair.reaction,
            Damage::ReceiverRestored | Damage::ReceiverLost => &mut pair.notification,
        };
        service.kill();
        match self {
            Damage::SenderRestored | Damage::ReceiverRestored => backup.put_back(service),
            Damage::SenderLost | Damage::ReceiverLost => lose(service),
        }
        service.restart().await;
        pair.ready().await;
    }
}

/// Reaction's condition `Degraded`, if it is so: its reason and its message.
async fn degraded(pair: &Pair) -> Result<Option<(String, String)>, String> {
    let told = pair.reaction.channel().await?;
    let conditions = told["conditions"].as_array().unwrap();
    let mut degraded = conditions
        .iter()
        .filter(|it| it["type"] == "Degraded" && it["status"] == "True");
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    Ok(degraded
        .next()
        .map(|it| (text(&it["reason"]), text(&it["message"]))))
}

async fn is_noticed(pair: &Pair, damage: Damage) {
    let (reason, sentence) = damage.told_as();
    until(PATIENCE, || async {
        match degraded(pair).await? {
            Some((found, message)) if found == reason => {
                assert!(message.contains(sentence), "{message}");
                assert!(message.contains("duet resync --preview"), "{message}");
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let said = duet_on(pair, "status", &[]);
    assert_eq!(said.code, Some(9), "{said:?}");
    assert!(said.stdout.contains(sentence), "{said:?}");
    assert!(said.stderr.contains(reason), "{said:?}");
}

async fn is_healed(mode: Mode, damage: Damage) {
    let mut pair = Pair::builder(DUET, mode).start().await;
    let before = pair.load("bob", CALLERS, PER_SECOND);
    before.accepts(SOME).await;
    let backup = Backup::of(match damage {
        Damage::SenderRestored | Damage::SenderLost => &pair.reaction,
        Damage::ReceiverRestored | Damage::ReceiverLost => &pair.notification,
    });
    before.accepts(SOME).await;
    before.stop().await.came_true(&pair).await;
    damage.happens(&mut pair, &backup).await;

    let load = pair.load("eve", CALLERS, PER_SECOND);
    is_noticed(&pair, damage).await;
    load.accepts(SOME).await;
    let told = load.stop().await;
    told.came_true(&pair).await;
}

macro_rules! healed {
    ($($name:ident: $mode:ident, $damage:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                is_healed(Mode::$mode, Damage::$damage).await;
            }
        )+
    };
}

healed! {
    in_sync_reactions_store_was_restored: Sync, SenderRestored;
    in_async_reactions_store_was_restored: Async, SenderRestored;
    in_sync_reactions_volume_is_new: Sync, SenderLost;
    in_async_reactions_volume_is_new: Async, SenderLost;
    in_sync_notifications_store_was_restored: Sync, ReceiverRestored;
    in_async_notifications_store_was_restored: Async, ReceiverRestored;
    in_sync_notifications_store_was_lost: Sync, ReceiverLost;
    in_async_notifications_store_was_lost: Async, ReceiverLost;
}
