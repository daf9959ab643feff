use std::collections::BTreeMap;

use actix_web::web::{Data, Json, ServiceConfig};
use duet_channel::store::Store;
use duet_channel::store::sqlite::SqliteStore;
use duet_web::ids::{PostId, Title};
use duet_web::page::{List, Page, PageParams};
use duet_web::position::{AsOf, AsOfParams, AsOfProblem};
use duet_web::problem::{AnyProblem, ProblemDetails};
use duet_web::routes::at;
use duet_web::{Problem, docs};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::tally::{self, Counted, Place};

/// The document as it is served and committed: `openapi.json` beside the code, which a test makes anew and compares.
const DOCUMENT: &str = include_str!("../openapi.json");

/// Registers every resource of the public port. The app's data has the store.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(at("/v1/trending").get(trending));
    docs::configure(config, DOCUMENT);
}

/// A post that people react to
#[derive(Debug, Serialize, ToSchema)]
struct TrendingPost {
    post: PostId,
    /// The post's title, as the newest reaction knew it.
    title: Title,
    /// How many reactions of the last hour stand.
    #[schema(minimum = 1)]
    count: u64,
    /// How many of each kind.
    #[schema(example = json!({"like": 3, "love": 1}))]
    kinds: BTreeMap<String, u64>,
}

impl From<Counted> for TrendingPost {
    fn from(counted: Counted) -> Self {
        let Counted {
            post,
            title,
            count,
            kinds,
        } = counted;
        Self {
            post,
            title,
            count,
            kinds,
        }
    }
}

/// The posts with most reactions in the last hour
///
/// A reaction counts from when it was made until an hour later, or until it is undone. Of posts with as many, the one whose id
/// comes first is first.
#[utoipa::path(
    get,
    operation_id = "listTrending",
    path = "/v1/trending",
    tag = "trending",
    params(PageParams, AsOfParams),
    responses(
        AsOfProblem,
        (status = 200, body = List<TrendingPost>, description = "A page of them"),
        AnyProblem,
    )
)]
async fn trending(
    store: Data<SqliteStore>,
    page: Page<Place>,
    _: AsOf,
) -> Result<Json<List<TrendingPost>>, Problem> {
    let Page { after, limit } = page;
    let read =
        store.read(move |connection| Ok(tally::page(connection, after.as_ref(), limit.get() + 1)?));
    let posts = read.await.map_err(Problem::not_read)?;
    let List { items, next } = List::from_one_more(posts, limit, |counted| Place::from(counted));
    let items = items.into_iter().map(TrendingPost::from).collect();
    Ok(Json(List { items, next }))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Duet: Trending",
        description = "What people react to now. How soon after a reaction depends on the channel's mode.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags((name = "trending", description = "The last hour's reactions, counted")),
    servers((url = "/", description = "This process")),
    security(()),
    paths(trending),
    components(schemas(ProblemDetails)),
)]
struct Api;

/// The OpenAPI document, made from the code.
pub fn document() -> utoipa::openapi::OpenApi {
    duet_web::openapi::closed(Api::openapi())
}
