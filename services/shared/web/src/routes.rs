//! Resources by path and method. Another method is a 405 problem that names the right ones, another path a 404 problem.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, guard, web};
use serde::Serialize;

use crate::problem::{FieldError, Kind, Problem};
use crate::trace::Traced;

/// The resource at one path, with the methods it has. Each request makes a SERVER span named for method and path.
///
/// ```
/// # use duet_web::routes::at;
/// # use actix_web::HttpResponse;
/// # async fn read() -> HttpResponse { HttpResponse::Ok().finish() }
/// let resource = at("/v1/posts/{post}").get(read);
/// ```
pub struct At {
    path: &'static str,
    methods: Vec<Method>,
    resource: Resource,
}

/// The resource at `path`.
pub fn at(path: &'static str) -> At {
    At {
        path,
        methods: Vec::new(),
        resource: web::resource(path),
    }
}

impl At {
    /// Answers GET, and HEAD by the same without the body.
    #[must_use]
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        let get_or_head = guard::Any(guard::Get()).or(guard::Head());
        self.resource = self
            .resource
            .route(web::route().guard(get_or_head).to(handler));
        self.methods.extend([Method::GET, Method::HEAD]);
        self
    }

    /// Answers PUT.
    #[must_use]
    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::PUT, web::put().to(handler))
    }

    /// Answers POST.
    #[must_use]
    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::POST, web::post().to(handler))
    }

    /// Answers DELETE.
    #[must_use]
    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::DELETE, web::delete().to(handler))
    }

    fn method(mut self, method: Method, route: Route) -> Self {
        self.resource = self.resource.route(route);
        self.methods.push(method);
        self
    }
}

impl HttpServiceFactory for At {
    fn register(self, config: &mut AppService) {
        let methods = self.methods;
        let refuse = move |request: HttpRequest| {
            let problem = Problem::method_not_allowed(request.method(), &methods);
            std::future::ready(Err::<&str, _>(problem))
        };
        let resource = self.resource.default_service(web::to(refuse));
        resource.wrap(Traced::route(self.path)).register(config);
    }
}

/// What a problem's `type` leads to: what the kind means.
pub fn problems() -> At {
    #[derive(Serialize)]
    struct Meaning {
        r#type: &'static str,
        title: &'static str,
        status: u16,
        meaning: &'static str,
    }

    async fn meaning(request: HttpRequest) -> Result<web::Json<Meaning>, Problem> {
        let found = Kind::ALL.iter().find(|kind| kind.uri() == request.path());
        let kind = found.ok_or_else(|| nothing_at(request.path()))?;
        Ok(web::Json(Meaning {
            r#type: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            meaning: kind.meaning().trim(),
        }))
    }

    at("/problems/{kind}").get(meaning)
}

/// What answers where no resource is.
pub(crate) async fn not_found(request: HttpRequest) -> Result<&'static str, Problem> {
    Err(nothing_at(request.path()))
}

pub(crate) fn nothing_at(path: &str) -> Problem {
    let detail =
        format!("There is nothing at {path}: the public port's /openapi.json lists what there is.");
    Problem::new(Kind::NotFound, detail)
}

/// The path parameter `name` as what it stands for, or a problem that names it.
pub fn parameter<T>(request: &HttpRequest, name: &'static str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    request
        .match_info()
        .query(name)
        .parse()
        .map_err(|error: T::Err| {
            let error = FieldError::of(name, error.to_string());
            Problem::new(Kind::InvalidParameter, format!("{name}: {}.", error.detail)).with(error)
        })
}
