//! The public port: what a post's owner reads.

/// `/v1/users/{user}/notifications` and what is unread of them.
mod notifications;
/// The OpenAPI document.
mod openapi;

pub use openapi::{DOCUMENT, document};

use actix_web::web::ServiceConfig;
use duet_channel::store::StoreError;
use duet_web::Problem;
use duet_web::docs;
use duet_web::routes::at;

/// Registers every resource of the public port. The app's data has the store.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(at("/v1/users/{user}/notifications").get(notifications::list))
        .service(at("/v1/users/{user}/notifications/unread").get(notifications::unread));
    docs::configure(config, DOCUMENT);
}

/// The store did not give what was asked for.
fn unavailable(error: StoreError) -> Problem {
    Problem::not_read(error)
}
