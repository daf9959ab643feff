//! The public port: what a post's owner reads.

/// One notification, as its owner is told.
pub(crate) mod notification;
/// `/v1/users/{user}/notifications` and what is unread of them.
mod notifications;
/// The OpenAPI document.
mod openapi;
/// `/v1/users/{user}/preferences`.
mod preferences;
/// `/v1/users/{user}/notifications/read`.
mod read;
/// `/v1/users/{user}/notifications/stream`.
mod stream;

pub use openapi::{DOCUMENT, document};

use actix_web::web::ServiceConfig;
use duet_channel::store::StoreError;
use duet_web::Problem;
use duet_web::docs;
use duet_web::routes::at;

/// Registers every resource of the public port. The app's data has the store, its [`Memory`](crate::store::Memory) and the
/// [`Streams`](crate::stream::Streams).
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(at("/v1/users/{user}/notifications").get(notifications::list))
        .service(at("/v1/users/{user}/notifications/unread").get(notifications::unread))
        .service(at("/v1/users/{user}/notifications/read").post(read::mark))
        .service(at("/v1/users/{user}/notifications/stream").get(stream::stream))
        .service(
            at("/v1/users/{user}/preferences")
                .get(preferences::get)
                .put(preferences::put),
        );
    docs::configure(config, DOCUMENT);
}

/// The store did not give what was asked for.
fn unavailable(error: StoreError) -> Problem {
    Problem::not_read(error)
}
