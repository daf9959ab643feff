//! What a resync would come to, how far one is, and how it is begun: for people, by `duet resync`.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, ServiceConfig};
use duet_channel::sender::{BeginResyncError, ResyncState, Sender, SendingService};
use duet_channel::store::sqlite::SqliteStore;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::resync::Stage;
use duet_protocol::sender::Standing;
use serde::Serialize;
use tokio::sync::Mutex;

use super::{Connection, regressed};
use crate::routes::at;
use crate::words::counted;
use crate::{Kind, Problem, time};

/// `GET` and `POST /v1/resync`. The app's data has the service's [`Sender`].
pub fn configure<V: SendingService<Connection>>(config: &mut ServiceConfig) {
    config.service(at("/v1/resync").get(get::<V>).post(post::<V>));
}

/// The resync under way in a sentence: how far it is, and which receivers are not known to hold all of it yet.
pub fn under_way(state: &ResyncState, standing: &Standing) -> String {
    let announced = counted(state.resync.announced, "row");
    let told = match state.stage {
        Stage::Announcing => format!("{announced} announced so far"),
        Stage::Sweeping | Stage::Done => format!("{announced} announced, and these are all"),
    };
    let waits_for = waits_for(standing);
    let waits = match waits_for.is_empty() {
        true => String::new(),
        false => format!(", waiting for {}", waits_for.join(" and ")),
    };
    format!("a resync is under way: {told}{waits}")
}

/// The receivers that are not known to hold all that was sent.
fn waits_for(standing: &Standing) -> Vec<String> {
    let behind = standing.receivers.iter().filter(|it| it.unacknowledged > 0);
    behind.map(|it| it.name.to_string()).collect()
}

/// What a resync would come to, and how the last one stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resync {
    /// The store that the receivers would be made to follow.
    store: String,
    /// The rows that stand in it: all would be announced.
    rows: u64,
    /// The events of the outbox that would be dropped, since the rows tell what they told.
    dropped: u64,
    receivers: Vec<Receiver>,
    /// The last one; none if there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// How a receiver fits the store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Receiver {
    name: String,
    /// Events that it is not known to hold.
    unacknowledged: u64,
    /// What is wrong, in a word; none if they fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// And in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The last resync.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    /// `Announcing` while rows are announced, `Sweeping` while some receiver is not known to hold all of them, `Done`.
    stage: &'static str,
    begun: String,
    /// The rows that were announced so far.
    announced: u64,
    /// The receivers that are not known to hold all of it; none once it is done.
    waits_for: Vec<String>,
}

impl Last {
    fn of(state: &ResyncState, standing: &Standing) -> Self {
        let (stage, waits_for) = match state.stage {
            Stage::Announcing => ("Announcing", waits_for(standing)),
            Stage::Sweeping => ("Sweeping", waits_for(standing)),
            Stage::Done => ("Done", Vec::new()),
        };
        Last {
            stage,
            begun: time::text(state.resync.begun),
            announced: state.resync.announced,
            waits_for,
        }
    }
}

async fn get<V: SendingService<Connection>>(
    sender: Data<Sender<SqliteStore, V>>,
) -> Result<Json<Resync>, Problem> {
    told(&sender).await.map(Json)
}

async fn told<V: SendingService<Connection>>(
    sender: &Sender<SqliteStore, V>,
) -> Result<Resync, Problem> {
    let (preview, state, standing) = tokio::join!(
        sender.resync_preview(),
        sender.resync_state(),
        sender.standing()
    );
    let preview = preview.map_err(Problem::not_read)?;
    let state = state.map_err(Problem::not_read)?;
    // Once it has stopped, it tells no more.
    let standing = standing.unwrap_or_default();
    let receiver = |name: &ReceiverName| {
        let standing = standing.receivers.iter().find(|it| it.name == *name);
        let (reason, message) = standing.and_then(|it| regressed(name, it.health)).unzip();
        Receiver {
            name: name.to_string(),
            unacknowledged: standing.map_or(0, |it| it.unacknowledged),
            reason,
            message,
        }
    };
    Ok(Resync {
        store: preview.store.to_string(),
        rows: preview.rows,
        dropped: preview.dropped,
        receivers: preview.receivers.iter().map(receiver).collect(),
        last: state.map(|state| Last::of(&state, &standing)),
    })
}

/// Two who ask at once begin one resync.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// 202 where it began one, 200 where one is under way: that one goes on.
async fn post<V: SendingService<Connection>>(
    sender: Data<Sender<SqliteStore, V>>,
) -> Result<(Json<Resync>, StatusCode), Problem> {
    let _one = ONE_AT_A_TIME.lock().await;
    let state = sender.resync_state().await.map_err(Problem::not_read)?;
    let status = if state.is_some_and(|state| state.stage != Stage::Done) {
        StatusCode::OK
    } else {
        sender.begin_resync().await.map_err(|error| match error {
            BeginResyncError::NoReceivers => {
                let detail = "No Channel that this store has seen names a receiver: there is nobody to resync.";
                Problem::new(Kind::NoReceivers, detail)
            }
            BeginResyncError::Store(error) => Problem::not_read(error),
        })?;
        StatusCode::ACCEPTED
    };
    Ok((Json(told(&sender).await?), status))
}
