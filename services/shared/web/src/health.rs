//! The internal port's `/livez`, `/readyz` (with reasons), `/version` and `/metrics`. They need no token and tell nothing
//! secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use duet_telemetry::metrics::{CONTENT_TYPE, Metrics};
use serde::Serialize;
use tokio::sync::watch;

use crate::problem::Problem;
use crate::routes::at;

/// Why the process is not ready: no reason left means it is. Shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// The part called `name` can't serve, for this reason.
    pub fn not_ready(&self, name: &'static str, reason: impl Into<String>) {
        self.reasons().insert(name, reason.into());
    }

    /// The part called `name` can serve.
    pub fn ready(&self, name: &'static str) {
        self.reasons().remove(name);
    }

    /// Whether every part can serve.
    pub fn is_ready(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Follows what `states` says of the part called `name`, until it ends: `why_not` is why it can't serve, if it can't. What it
    /// says now counts before anything is awaited.
    pub fn follow<T: Send + Sync + 'static>(
        &self,
        name: &'static str,
        mut states: watch::Receiver<T>,
        why_not: impl Fn(&T) -> Option<String> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let readiness = self.clone();
        let note = move |states: &mut watch::Receiver<T>| match why_not(&states.borrow_and_update())
        {
            Some(reason) => readiness.not_ready(name, reason),
            None => readiness.ready(name),
        };
        note(&mut states);
        async move {
            while states.changed().await.is_ok() {
                note(&mut states);
            }
        }
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which program this is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Version {
    /// The service's name.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// What the internal port tells of the process.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether it can serve.
    pub readiness: Readiness,
    /// What it is.
    pub version: Version,
    /// Its metrics.
    pub metrics: Metrics,
}

impl Health {
    /// Registers the four resources.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        let readyz = {
            let readiness = self.readiness.clone();
            move || std::future::ready(readyz(&readiness))
        };
        let version = {
            let version = self.version;
            move || std::future::ready(web::Json(version))
        };
        let metrics = {
            let metrics = self.metrics.clone();
            move || std::future::ready(prometheus(&metrics))
        };
        config
            .service(at("/livez").get(async || "ok\n"))
            .service(at("/readyz").get(readyz))
            .service(at("/version").get(version))
            .service(at("/metrics").get(metrics));
    }
}

fn prometheus(metrics: &Metrics) -> Result<HttpResponse, Problem> {
    let text = metrics.render().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

fn readyz(readiness: &Readiness) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        ready: bool,
        reasons: &'a BTreeMap<&'static str, String>,
    }
    let reasons = readiness.reasons();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    HttpResponse::build(status).json(Body {
        ready,
        reasons: &reasons,
    })
}
