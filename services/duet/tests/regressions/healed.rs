use crate::common::duet_on;
use crate::stores::{Backup, lose};
use crate::told::{Quiet, is_degraded, is_sound};
use crate::{CALLERS, DUET, PER_SECOND, SOME, rows};
use duet_testkit::{Mode, Pair};

/// What happens to one of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// Reaction's is put back as it was some time before.
    SenderRestored,
    /// The same, and its clock goes an hour back.
    SenderRestoredAndClockSetBack,
    /// Reaction's is gone, and a new one is made.
    SenderLost,
    /// Notification's is put back as it was some time before.
    ReceiverRestored,
    /// The same, and its clock goes an hour back.
    ReceiverRestoredAndClockSetBack,
    /// Notification's is gone, and a new one is made.
    ReceiverLost,
}

use Damage::*;

impl Damage {
    fn is_senders(self) -> bool {
        matches!(
            self,
            SenderRestored | SenderRestoredAndClockSetBack | SenderLost
        )
    }

    /// The condition's reason, and what its message says of it.
    fn told_as(self) -> (&'static str, &'static str) {
        match self {
            SenderRestored | SenderRestoredAndClockSetBack => (
                "SenderRegressed",
                "notification holds what this store never sent",
            ),
            SenderLost => (
                "SenderRegressed",
                "notification holds what another store sent",
            ),
            ReceiverRestored | ReceiverRestoredAndClockSetBack | ReceiverLost => (
                "ReceiverRegressed",
                "notification lacks what this store has forgotten",
            ),
        }
    }

    async fn happens(self, pair: &mut Pair, backup: &Backup) {
        let service = match self.is_senders() {
            true => &mut pair.reaction,
            false => &mut pair.notification,
        };
        service.kill();
        match self {
            SenderLost | ReceiverLost => lose(service),
            _ => backup.put_back(service),
        }
        if matches!(
            self,
            SenderRestoredAndClockSetBack | ReceiverRestoredAndClockSetBack
        ) {
            service.set_env("DUET_CLOCK_OFF", "-3600");
        }
        service.restart().await;
        pair.ready().await;
    }
}

/// Damaged under load, noticed, healed under load: then both stores hold the same, and what was equal all along is as it was.
async fn is_healed(mode: Mode, damage: Damage) {
    let mut pair = Pair::builder(DUET, mode).start().await;
    let quiet = Quiet::of(&pair).await;
    let seen = quiet.sees(&pair).await;
    let before = pair.load("bob", CALLERS, PER_SECOND);
    // Far more than comes after the copy, however busy the machine is: what a restored Reaction lacks must not be most of all.
    before.accepts(4 * SOME).await;
    let backup = Backup::of(match damage.is_senders() {
        true => &pair.reaction,
        false => &pair.notification,
    });
    before.accepts(SOME / 4).await;
    let before = before.stop().await;
    before.came_true(&pair).await;
    damage.happens(&mut pair, &backup).await;

    let load = pair.load("eve", CALLERS, PER_SECOND);
    let (reason, sentence) = damage.told_as();
    let message = is_degraded(&pair, reason).await;
    assert!(message.contains(sentence), "{message}");
    assert!(message.contains("heal it with `duet resync`"), "{message}");
    let said = duet_on(&pair, "status", &[]);
    assert_eq!(said.code, Some(9), "{said:?}");
    assert!(said.stdout.contains(sentence), "{said:?}");

    let said = duet_on(&pair, "resync", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains(sentence), "{said:?}");
    // Whether a new store has more rows than it would sweep by now depends on the load.
    let flags: &[&str] = match damage {
        SenderLost => &["--yes", "--sweep-most"],
        _ => &["--yes"],
    };
    let said = duet_on(&pair, "resync", flags);
    assert_eq!(said.code, Some(0), "{said:?}");
    load.accepts(SOME).await;
    let told = load.stop().await;
    told.came_true(&pair).await;
    assert!(rows::equal(&pair) > 0);
    is_sound(&pair).await;
    match damage {
        SenderRestored | SenderRestoredAndClockSetBack => {
            assert_eq!(quiet.sees(&pair).await, seen);
        }
        SenderLost => assert_eq!(quiet.sees(&pair).await.groups, [0; 0]),
        ReceiverRestored | ReceiverRestoredAndClockSetBack => {
            assert_eq!(quiet.sees(&pair).await, seen);
            before.came_true(&pair).await;
        }
        ReceiverLost => {
            assert_eq!(quiet.sees(&pair).await.groups.len(), seen.groups.len());
            before.came_true(&pair).await;
        }
    }
}

macro_rules! healed {
    ($($name:ident: $mode:ident, $damage:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                is_healed(Mode::$mode, $damage).await;
            }
        )+
    };
}

healed! {
    in_sync_reactions_store_was_restored: Sync, SenderRestored;
    in_async_reactions_store_was_restored: Async, SenderRestored;
    in_async_reactions_store_was_restored_and_its_clock_set_back: Async, SenderRestoredAndClockSetBack;
    in_sync_reactions_volume_is_new: Sync, SenderLost;
    in_async_reactions_volume_is_new: Async, SenderLost;
    in_sync_notifications_store_was_restored: Sync, ReceiverRestored;
    in_async_notifications_store_was_restored: Async, ReceiverRestored;
    in_sync_notifications_store_was_restored_and_its_clock_set_back: Sync, ReceiverRestoredAndClockSetBack;
    in_sync_notifications_store_was_lost: Sync, ReceiverLost;
    in_async_notifications_store_was_lost: Async, ReceiverLost;
}
