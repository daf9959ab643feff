use duet_web::problem::ProblemDetails;
use utoipa::OpenApi;

use super::notification::{Notification, Removed};
use super::{notifications, preferences, read, stream};

/// The document as it is served and committed: `openapi.json` beside the code, which a test makes anew and compares.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Duet: Notification",
        description = "What the owners of posts are notified of. How soon after a reaction depends on the channel's mode.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "notifications", description = "Reactions to a user's posts, grouped by post"),
        (name = "preferences", description = "What a user wants to be notified of"),
    ),
    servers((url = "/", description = "This process")),
    security(()),
    paths(
        notifications::list,
        notifications::unread,
        read::mark,
        stream::stream,
        preferences::get,
        preferences::put,
    ),
    components(schemas(ProblemDetails, Notification, Removed)),
)]
struct Api;

/// The document, made from the code.
pub fn document() -> utoipa::openapi::OpenApi {
    duet_web::openapi::closed(Api::openapi())
}
