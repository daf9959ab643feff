//! The HTTP server on a port: limits on what a connection may take, a problem where nothing is.

use std::any::Any;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::{Server, Service};
use actix_web::http::ConnectionType;
use actix_web::{App, HttpRequest, HttpServer, web};
use duet_telemetry::Observer;
#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::sys::socket::{setsockopt, sockopt};
use tokio_util::sync::CancellationToken;

use crate::routes::not_found;
use crate::trace::Traced;

/// Threads that serve a port.
pub const WORKERS: usize = 2;
/// Connections a port has at most, over all its workers.
const MAX_CONNECTIONS: usize = 16_384;
/// How long a request's head may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: longer than the usual load balancer's minute, so that it is never we who close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Told of when the process stops, to whoever waits for something in a handler. In the app's data.
#[derive(Clone, Debug)]
pub struct Draining(pub CancellationToken);

/// What `work` comes to; `None` if the process is told to stop before that.
pub async fn until_draining<T>(request: &HttpRequest, work: impl Future<Output = T>) -> Option<T> {
    let draining = request.app_data::<Draining>().cloned();
    let draining = async {
        match draining {
            Some(Draining(draining)) => draining.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = draining => None,
    }
}

/// Serves `listener` with the resources that `configure` registers, once on each worker. It runs while it is awaited, and
/// ends by its handle: signals are [`crate::drain`]'s. While it is `draining`, each answer closes its connection, so that who asks again
/// asks whom the load balancer names. `grace` is what a graceful stop waits for requests under way. A client that takes nothing of its
/// answer for `write_timeout` is dropped, in whole milliseconds; where the operating system can't do so (other than Linux), it is not. Without
/// an observer, requests make no spans and are not measured: the internal port's, which machines ask all the time.
pub fn serve<F>(
    listener: TcpListener,
    grace: Duration,
    write_timeout: Duration,
    draining: CancellationToken,
    observer: Option<Observer>,
    configure: F,
) -> io::Result<Server>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || {
        let nothing = web::to(not_found).wrap(Traced::no_route());
        let draining = draining.clone();
        let mut app = App::new()
            .app_data(Draining(draining.clone()))
            .configure(configure.clone())
            .default_service(nothing)
            .wrap_fn(move |request, service| {
                let (answer, draining) = (service.call(request), draining.clone());
                async move {
                    let mut answer = answer.await?;
                    if draining.is_cancelled() {
                        let head = answer.response_mut().head_mut();
                        head.set_connection_type(ConnectionType::Close);
                    }
                    Ok(answer)
                }
            });
        if let Some(observer) = &observer {
            app = app.app_data(Rc::new(observer.clone()));
        }
        app
    });
    Ok(server
        .workers(WORKERS)
        .max_connections(MAX_CONNECTIONS / WORKERS)
        .client_request_timeout(HEAD)
        .keep_alive(KEEP_ALIVE)
        // Who has closed their side has gone: an event stream would keep its place until its next heartbeat otherwise.
        .h1_allow_half_closed(false)
        .shutdown_timeout(grace.as_secs().max(1))
        .on_connect(move |connection, _| drop_stalled(connection, write_timeout))
        .disable_signals()
        .listen(listener)?
        .run())
}

/// Has the kernel end a connection whose peer acknowledges nothing, or has no room, for so long. The server itself waits for ever
/// until what it has written is taken.
fn drop_stalled(connection: &dyn Any, after: Duration) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(connection) = connection.downcast_ref::<tokio::net::TcpStream>() {
        let millis = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = setsockopt(connection, sockopt::TcpUserTimeout, &millis) {
            tracing::debug!(%error, "a connection has no write timeout");
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (connection, after);
}
