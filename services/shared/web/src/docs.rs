//! The OpenAPI document at `/openapi.json`, and a page to read it and to try it out, at `/docs/`: Swagger UI, out of this very binary.

use std::sync::Arc;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use crate::problem::Problem;
use crate::routes::{at, nothing_at, problems};

/// The page loads from this origin alone, and asks it alone. Swagger UI sets styles in its markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const DOCUMENT: &str = "/openapi.json";

/// Serves what tells of the API: `document` as `/openapi.json`, the page, and what each kind of problem means.
pub fn configure(config: &mut ServiceConfig, document: &'static str) {
    let page = Config::from(DOCUMENT)
        .validator_url("none")
        .deep_linking(true)
        .display_request_duration(true)
        .try_it_out_enabled(true);
    let document = move || async move {
        HttpResponse::Ok()
            .content_type("application/json")
            .body(document)
    };
    let to_page = async || {
        HttpResponse::PermanentRedirect()
            .insert_header((LOCATION, "/docs/"))
            .finish()
    };
    config
        .app_data(Data::new(Page(Arc::new(page))))
        .service(at(DOCUMENT).get(document))
        .service(at("/docs").get(to_page))
        .service(at("/docs/{file:.*}").get(file))
        .service(problems());
}

struct Page(Arc<Config<'static>>);

async fn file(request: HttpRequest, page: Data<Page>) -> Result<HttpResponse, Problem> {
    let name = request.match_info().query("file");
    let file = serve(name, page.0.clone()).map_err(Problem::internal)?;
    let SwaggerFile {
        bytes,
        content_type,
        ..
    } = file.ok_or_else(|| nothing_at(request.path()))?;
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(bytes.into_owned()))
}
