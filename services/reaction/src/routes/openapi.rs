use utoipa::OpenApi;

use super::{deliveries, posts, reactions};

/// The document as it is served and committed: `openapi.json` beside the code, which a test makes anew and compares.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Duet: Reaction",
        description = "Posts and reactions. Whether the caller waits for the owner's notification is the channel's mode, which can change at any time.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags((name = "posts", description = "What is reacted to"), (name = "reactions", description = "One for each user and post")),
    servers((url = "/", description = "This process")),
    security(()),
    paths(posts::list, posts::put, posts::get, reactions::list, reactions::get, reactions::put, reactions::delete, deliveries::get),
)]
struct Api;

/// The document, made from the code.
pub fn document() -> utoipa::openapi::OpenApi {
    duet_web::openapi::closed(Api::openapi())
}
