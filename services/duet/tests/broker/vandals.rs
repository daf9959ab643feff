use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, Config as Consumer, DeliverPolicy},
    stream::{Config, DiscardPolicy, RetentionPolicy, Stream},
};
use serde_json::json;

use crate::{
    CONSUMER, SOME, STREAM, all_came_once, anybody, builder, load, pair, says, says_repaired,
};

/// What somebody does.
#[derive(Debug, Clone, Copy)]
enum Act {
    DeletesTheStream,
    PurgesTheStream,
    DeletesTheConsumer,
    DeletesEachMessage,
    MakesTheConsumerAnewWithOtherLimits,
    MakesTheConsumerAnewForWhatIsNew,
    MakesTheConsumerAnewWithoutAnswers,
    PausesTheConsumer,
    LeavesNoRoom,
    LeavesNoRoomAndDropsTheOldest,
    LetsNoMessageBeStoredThatIsLarge,
    LetsNothingBeAcknowledged,
    GivesItLimitsRetention,
    TakesTheSubjectAway,
    MakesTheStreamAnewWithoutConsumers,
}

impl Act {
    async fn done(self, jetstream: &Context) {
        match self {
            Act::DeletesTheStream => {
                // One that was not made again since the last time is as gone as can be.
                if let Err(error) = jetstream.delete_stream(STREAM).await {
                    assert!(error.to_string().contains("stream not found"), "{error}");
                }
            }
            Act::PurgesTheStream => drop(stream(jetstream).await.purge().await.unwrap()),
            Act::DeletesTheConsumer => drop(
                stream(jetstream)
                    .await
                    .delete_consumer(CONSUMER)
                    .await
                    .unwrap(),
            ),
            Act::DeletesEachMessage => delete_each(jetstream).await,
            Act::MakesTheConsumerAnewWithOtherLimits => {
                let limits = Consumer {
                    max_deliver: 1,
                    max_ack_pending: 1,
                    ack_wait: std::time::Duration::from_secs(600),
                    ..plain()
                };
                anew(jetstream, limits).await;
            }
            Act::MakesTheConsumerAnewForWhatIsNew => {
                let deliver_policy = DeliverPolicy::New;
                let new = Consumer {
                    deliver_policy,
                    ..plain()
                };
                anew(jetstream, new).await;
            }
            Act::MakesTheConsumerAnewWithoutAnswers => {
                let ack_policy = AckPolicy::All;
                let all = Consumer {
                    ack_policy,
                    ..plain()
                };
                anew(jetstream, all).await;
            }
            Act::PausesTheConsumer => pause(jetstream).await,
            Act::LeavesNoRoom => changed(jetstream, |it| it.max_bytes = 1).await,
            Act::LeavesNoRoomAndDropsTheOldest => {
                let with = |it: &mut Config| {
                    it.max_messages = 1;
                    it.discard = DiscardPolicy::Old;
                };
                changed(jetstream, with).await;
            }
            Act::LetsNoMessageBeStoredThatIsLarge => {
                changed(jetstream, |it| it.max_message_size = 16).await
            }
            Act::LetsNothingBeAcknowledged => changed(jetstream, |it| it.no_ack = true).await,
            Act::GivesItLimitsRetention => {
                changed(jetstream, |it| it.retention = RetentionPolicy::Limits).await
            }
            Act::TakesTheSubjectAway => {
                changed(jetstream, |it| it.subjects = vec!["else.where".to_owned()]).await
            }
            Act::MakesTheStreamAnewWithoutConsumers => {
                let mut stream = stream(jetstream).await;
                let mut config = stream.info().await.unwrap().config.clone();
                config.max_messages = 5;
                jetstream.delete_stream(STREAM).await.unwrap();
                jetstream.create_stream(config).await.unwrap();
            }
        }
    }

    /// What a receiver says that it put right, if that is for sure.
    fn corrected(self) -> Option<&'static str> {
        Some(match self {
            // A message that is deleted is no setting; and the deletion of a stream ends the very look that may have begun to make it.
            Act::PurgesTheStream | Act::DeletesEachMessage | Act::DeletesTheStream => return None,
            Act::DeletesTheConsumer => "consumer notification: made",
            Act::MakesTheConsumerAnewWithOtherLimits => "maxDeliver 1 → -1",
            Act::MakesTheConsumerAnewForWhatIsNew => "made anew, for deliverPolicy New → All",
            Act::MakesTheConsumerAnewWithoutAnswers => "made anew, for ackPolicy All → Explicit",
            Act::PausesTheConsumer => "consumer notification: paused, resumed",
            Act::LeavesNoRoom => "maxBytes 1 →",
            Act::LeavesNoRoomAndDropsTheOldest => "maxMsgs 1 → -1",
            Act::LetsNoMessageBeStoredThatIsLarge => "maxMsgSize 16 → -1",
            Act::LetsNothingBeAcknowledged => "noAck true → false",
            Act::GivesItLimitsRetention => "retention Limits → Interest",
            Act::TakesTheSubjectAway => "stream REACTIONS: takes duet.reactions.to.notification",
            Act::MakesTheStreamAnewWithoutConsumers => "consumer notification: made",
        })
    }

    /// Whether what waited in the broker is lost by it, and has to be sent again.
    fn loses(self) -> bool {
        matches!(
            self,
            Act::DeletesTheStream
                | Act::PurgesTheStream
                | Act::DeletesTheConsumer
                | Act::DeletesEachMessage
                | Act::MakesTheConsumerAnewForWhatIsNew
                | Act::LeavesNoRoomAndDropsTheOldest
                | Act::MakesTheStreamAnewWithoutConsumers
        )
    }
}

async fn stream(jetstream: &Context) -> Stream {
    jetstream.get_stream(STREAM).await.unwrap()
}

async fn changed(jetstream: &Context, with: impl FnOnce(&mut Config)) {
    let mut config = stream(jetstream).await.info().await.unwrap().config.clone();
    with(&mut config);
    jetstream.update_stream(config).await.unwrap();
}

/// A consumer of the receiver's name, as nobody has said anything of it.
fn plain() -> Consumer {
    Consumer {
        durable_name: Some(CONSUMER.to_owned()),
        name: Some(CONSUMER.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ..Consumer::default()
    }
}

async fn anew(jetstream: &Context, config: Consumer) {
    let stream = stream(jetstream).await;
    stream.delete_consumer(CONSUMER).await.unwrap();
    // Whoever looks after it may have been quicker.
    let subject = format!("CONSUMER.DURABLE.CREATE.{STREAM}.{CONSUMER}");
    let asked = json!({ "stream_name": STREAM, "config": config });
    let answer: serde_json::Value = jetstream.request(subject, &asked).await.unwrap();
    println!("made anew: {answer}");
}

async fn pause(jetstream: &Context) {
    let subject = format!("CONSUMER.PAUSE.{STREAM}.{CONSUMER}");
    let until = json!({ "pause_until": "2099-01-01T00:00:00Z" });
    let answer: serde_json::Value = jetstream.request(subject, &until).await.unwrap();
    assert_eq!(answer["paused"], true, "{answer}");
}

async fn delete_each(jetstream: &Context) {
    let mut stream = stream(jetstream).await;
    let state = stream.info().await.unwrap().state.clone();
    for sequence in state.first_sequence..=state.last_sequence {
        // What is settled meanwhile is gone already.
        let _ = stream.delete_message(sequence).await;
    }
}

/// It is done while traffic runs, and once more while messages wait in the broker for a receiver that is away.
async fn survives(act: Act) {
    let mut pair = pair().await;
    let jetstream = anybody(&pair).await;
    let load = load(&pair);
    load.accepts(SOME).await;
    act.done(&jetstream).await;
    if let Some(corrected) = act.corrected() {
        let told = says(&pair.notification, corrected, |told| {
            let why = told["corrected"]["why"].as_str();
            why.is_some_and(|why| why.contains(corrected))
        })
        .await;
        println!("{act:?}: {}", told["corrected"]);
    }
    load.accepts(SOME).await;

    pair.notification.kill();
    load.accepts(SOME).await;
    act.done(&jetstream).await;
    load.accepts(SOME).await;
    pair.notification.restart().await;
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    if act.loses() {
        println!(
            "{act:?}: {} events were repaired",
            says_repaired(&pair).await
        );
    }
    crate::is_sound(&pair.notification).await;
    crate::is_sound(&pair.reaction).await;
}

macro_rules! survives {
    ($($name:ident: $act:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                survives(Act::$act).await;
            }
        )+
    };
}

survives! {
    the_stream_is_deleted: DeletesTheStream;
    the_stream_is_purged: PurgesTheStream;
    the_consumer_is_deleted: DeletesTheConsumer;
    messages_are_deleted_one_by_one: DeletesEachMessage;
    the_consumer_is_made_anew_with_other_limits: MakesTheConsumerAnewWithOtherLimits;
    the_consumer_is_made_anew_for_what_is_new: MakesTheConsumerAnewForWhatIsNew;
    the_consumer_is_made_anew_without_an_answer_for_each: MakesTheConsumerAnewWithoutAnswers;
    the_consumer_is_paused: PausesTheConsumer;
    the_stream_is_left_no_room: LeavesNoRoom;
    the_stream_is_left_no_room_and_drops_the_oldest: LeavesNoRoomAndDropsTheOldest;
    the_stream_takes_only_small_messages: LetsNoMessageBeStoredThatIsLarge;
    the_stream_acknowledges_nothing: LetsNothingBeAcknowledged;
    the_stream_keeps_what_is_settled: GivesItLimitsRetention;
    the_streams_subject_is_taken_away: TakesTheSubjectAway;
    the_stream_is_made_anew_without_consumers: MakesTheStreamAnewWithoutConsumers;
}

/// To change what a stream can't change, its storage for one, the Channel gives it another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_the_channel_gives_another_name_takes_its_subject_along_and_the_old_one_goes()
{
    let pair = pair().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.edit("name: REACTIONS", "name: RENAMED").await;
    load.accepts(SOME).await;
    let jetstream = anybody(&pair).await;
    all_came_once(&pair, load).await;
    assert!(jetstream.get_stream("RENAMED").await.is_ok());
    assert!(
        jetstream.get_stream(STREAM).await.is_err(),
        "the old one is gone"
    );
}

/// The receiver is asked what it holds once the broker is done with a place: that is sooner than any patience with places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_noticed_by_asking_the_receiver_and_not_only_when_a_place_was_done_with_for_long()
 {
    const NEVER: &str = "600s";
    let pair = builder().env("DUET_PLACE_PATIENCE", NEVER);
    let mut pair = pair.env("DUET_ORDER_SLACK", NEVER).start().await;
    pair.drained().await;
    let load = load(&pair);
    pair.notification.kill();
    load.accepts(SOME).await;
    let jetstream = anybody(&pair).await;
    Act::PurgesTheStream.done(&jetstream).await;
    pair.notification.restart().await;
    all_came_once(&pair, load).await;
    println!("{} repaired", says_repaired(&pair).await);
}
