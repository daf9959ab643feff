//! The public port: posts and reactions.

/// `/v1/deliveries/{position}`.
mod deliveries;
/// How a change reaches the owner, as the answers tell it.
mod delivery;
/// The OpenAPI document.
mod openapi;
/// Path parameters.
mod path;
/// `/v1/posts` and `/v1/posts/{post}`.
mod posts;
/// `/v1/posts/{post}/reactions` and one pair's.
mod reactions;

pub use openapi::{DOCUMENT, document};

use actix_web::web::ServiceConfig;
use duet_channel::store::StoreError;
use duet_web::docs;
use duet_web::routes::at;
use duet_web::{Kind, Problem};

/// Registers every resource of the public port. The app's data has a [`Sending`](crate::service::Sending).
pub fn configure(config: &mut ServiceConfig) {
    // Tried in this order: what is asked most comes first.
    config
        .service(
            at("/v1/posts/{post}/reactions/{user}")
                .get(reactions::get)
                .put(reactions::put)
                .delete(reactions::delete),
        )
        .service(at("/v1/posts/{post}").get(posts::get).put(posts::put))
        .service(at("/v1/posts").get(posts::list))
        .service(at("/v1/posts/{post}/reactions").get(reactions::list))
        .service(at("/v1/deliveries/{position}").get(deliveries::get));
    docs::configure(config, DOCUMENT);
}

/// The store did not give or take what was asked for. Nothing was written.
fn unavailable(error: StoreError) -> Problem {
    match error {
        StoreError::Overloaded => overloaded(),
        other => Problem::store(other),
    }
}

fn overloaded() -> Problem {
    let detail = "The store has too much to do. Nothing was done: ask again in a moment.";
    Problem::new(Kind::Overloaded, detail).retry_after(std::time::Duration::from_secs(1))
}
