use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use duet_protocol::event::EventId;
use duet_web::position::Position;
use duet_web::problem::{AnyProblem, ProblemDetails};
use duet_web::routes::parameter;
use duet_web::{Kind, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::delivery::Status;
use super::unavailable;
use crate::service::Sending;

/// Where to ask how an event stands.
pub(super) fn location(position: &EventId) -> String {
    format!("/v1/deliveries/{position}")
}

/// The position that a path names.
pub(super) struct InPath(Position);

impl FromRequest for InPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameter(request, "position").map(InPath))
    }
}

/// How one event stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryProgress {
    /// The event's position.
    position: Position,
    status: Status,
    /// Every receiver of the channel.
    receivers: Vec<ReceiverProgress>,
}

/// How one event stands at one receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiverProgress {
    /// The receiver's name.
    name: String,
    /// Whether it has told that it holds the event.
    received: bool,
}

/// How an event stands at each receiver
///
/// By its position, which an answer to a write has as `Duet-Position` and a 202 in its `Location`.
#[utoipa::path(
    get,
    operation_id = "getDelivery",
    path = "/v1/deliveries/{position}",
    tag = "reactions",
    params(("position" = Position, Path, description = "`Duet-Position` of an answer to a write")),
    responses(
        (status = 200, body = DeliveryProgress, description = "How it stands"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "No such event was ever accepted here"),
        AnyProblem,
    )
)]
pub(super) async fn get(
    sending: web::Data<Sending>,
    InPath(position): InPath,
) -> Result<web::Json<DeliveryProgress>, Problem> {
    let receivers = sending
        .receivers_of(position.0)
        .await
        .map_err(unavailable)?;
    let receivers = receivers.ok_or_else(|| {
        let detail = format!("No event of position {position} was accepted here.");
        Problem::new(Kind::DeliveryNotFound, detail)
    })?;
    let status = match receivers.iter().all(|(_, received)| *received) {
        true => Status::Delivered,
        false => Status::Accepted,
    };
    let receivers = receivers
        .into_iter()
        .map(|(name, received)| ReceiverProgress {
            name: name.to_string(),
            received,
        });
    Ok(web::Json(DeliveryProgress {
        position,
        status,
        receivers: receivers.collect(),
    }))
}
