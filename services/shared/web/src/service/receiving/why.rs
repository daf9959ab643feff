//! `GET /v1/why`: what this receiver's store tells of a key.

use actix_web::web::{Data, Json};
use duet_channel::life::Received;
use duet_channel::receiver::ReceivingService;
use duet_channel::store::Store;
use duet_channel::store::sqlite::{SqliteStore, life};

use super::Connection;
use super::intake::Intake;
use crate::Problem;
use crate::why::Asked;

pub(super) async fn why<A: ReceivingService<Connection>>(
    Asked { key, event }: Asked,
    intake: Data<Intake<A>>,
    store: Data<SqliteStore>,
) -> Result<Json<Received>, Problem> {
    let (own, now) = (intake.own.clone(), intake.clock.wall());
    let read = store.read(move |connection| {
        let row = own.applied(connection, &key)?;
        life::receiver(connection, &key, row, event, now)
    });
    read.await.map(Json).map_err(Problem::not_read)
}
