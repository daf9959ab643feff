//! `GET /v1/why` on the internal port: what this store tells of a pair, and what the process has met on the way to each receiver.

use actix_web::web::{Data, Json};
use duet_channel::clock::Clock;
use duet_channel::life::{Met, Sent};
use duet_channel::store::Store;
use duet_channel::store::sqlite::audit::imbalance;
use duet_channel::store::sqlite::life;
use duet_web::Problem;
use duet_web::why::Asked;

use crate::service::Sending;
use crate::status;
use crate::store::reactions;

pub(crate) async fn why(
    Asked { key, .. }: Asked,
    sending: Data<Sending>,
) -> Result<Json<Sent>, Problem> {
    let now = Clock::start().wall();
    let read = sending.store().read(move |connection| {
        let row = reactions::own_row(connection, &key)?;
        life::sender(connection, &key, row, now)
    });
    let imbalances = sending.store().read(imbalance::of_sender);
    let (sent, standing, imbalances) = tokio::join!(read, sending.standing(), imbalances);
    let known = status::Known {
        failing: sending.failing(),
        imbalances: imbalances.unwrap_or_default(),
    };
    let met = standing.map(|standing| {
        let met = |receiver| Met {
            failing: status::trouble(receiver, &known).map(|(_, sentence)| sentence),
            receiver: receiver.name.to_string(),
            unacknowledged: receiver.accepted(),
        };
        standing.receivers.iter().map(met).collect()
    });
    let sent = sent.map_err(Problem::not_read)?;
    Ok(Json(Sent {
        process: met,
        ..sent
    }))
}
