//! `GET /v1/inbox` on the internal port: what is held here, counted, for who would resync it. It scans what it counts.

use actix_web::web::{Data, Json, ServiceConfig};
use duet_channel::receiver::ReceivingService;
use duet_channel::store::Store;
use serde::Serialize;

use super::Connection;
use super::intake::Intake;
use crate::Problem;
use crate::routes::at;

/// Registers it. The app's data has an [`Intake`].
pub(super) fn configure<A: ReceivingService<Connection>>(config: &mut ServiceConfig) {
    config.service(at("/v1/inbox").get(get::<A>));
}

/// What is held.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    /// Under which name the Channel has it.
    receiver: String,
    /// The rows that stand.
    rows: u64,
    /// The same, by the store whose events wrote them.
    stores: Vec<OfStore>,
    /// The events that are kept for another attempt.
    parked: u64,
    /// The events that no attempt is left for.
    dead: u64,
    /// The sweep of a resync that goes on; none but for a while after one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweeping: Option<Sweeping>,
}

#[derive(Debug, Serialize)]
struct OfStore {
    store: String,
    rows: u64,
}

/// A sweep under way.
#[derive(Debug, Serialize)]
struct Sweeping {
    /// The rows that it took so far, undone ones included.
    swept: u64,
    /// The rows that stand and that it is still to take.
    left: u64,
}

async fn get<A: ReceivingService<Connection>>(
    intake: Data<Intake<A>>,
) -> Result<Json<Held>, Problem> {
    let store = intake.receiver.store();
    let (counts, sweeping) = tokio::join!(store.counts(), intake.receiver.sweeping());
    let (counts, sweeps) = (
        counts.map_err(Problem::not_read)?,
        sweeping.map_err(Problem::not_read)?,
    );
    let own = intake.own.clone();
    let below = sweeps.iter().map(|it| it.sweep.below).max();
    let count = move |connection: &Connection| {
        let left = below.map_or(Ok(Vec::new()), |below| own.count(connection, Some(below)))?;
        Ok((own.count(connection, None)?, left))
    };
    let (stores, left) = store.read(count).await.map_err(Problem::not_read)?;
    let sum = |of: &[(_, u64)]| of.iter().map(|(_, rows)| rows).sum();
    Ok(Json(Held {
        receiver: intake.receiver.name().to_string(),
        rows: sum(&stores),
        stores: stores
            .iter()
            .map(|(store, rows)| OfStore {
                store: store.to_string(),
                rows: *rows,
            })
            .collect(),
        parked: counts.parked,
        dead: counts.dead,
        sweeping: below.map(|_| Sweeping {
            swept: sweeps.iter().map(|it| it.rows).sum(),
            left: sum(&left),
        }),
    }))
}
