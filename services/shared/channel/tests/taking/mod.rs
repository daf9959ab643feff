//! Where the receivers of these tests take what is delivered by calls.

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode};
use duet_channel::open::{Receiver, SqliteStore, Versioned, intake};

async fn take(
    request: HttpRequest,
    body: Bytes,
    receiver: web::Data<Receiver<SqliteStore, Versioned>>,
) -> HttpResponse {
    let header = |name| request.headers().get(name)?.to_str().ok();
    let (status, body) = intake::answer(&receiver, request.path(), header, &body).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).body(body)
}

/// The receiver's server, which runs once it is polled.
pub(crate) fn server(receiver: Receiver<SqliteStore, Versioned>, port: TcpListener) -> Server {
    let taking = web::Data::new(receiver);
    let app = move || {
        App::new()
            .app_data(taking.clone())
            .route(intake::EVENTS, web::post().to(take))
            .route(intake::HELLO, web::post().to(take))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    server.listen(port).unwrap().run()
}
