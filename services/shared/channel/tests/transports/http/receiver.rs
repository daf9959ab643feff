//! A receiver in a process of its own: a real one, over SQLite, behind actix-web.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, PayloadConfig, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use duet_channel::clock::Clock;
use duet_channel::receiver::Receiver;
use duet_channel::store::sqlite::{Options, SqliteStore};
use duet_channel::transport::http::intake::{self, IntakeError};
use duet_channel::transport::http::{EVENTS, HELLO};
use duet_channel::transport::{Delivered, cloudevents};
use duet_protocol::event::Event;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_protocol::settings::DeliverySettings;
use duet_testkit::{Process, until};
use rusqlite::Connection;

use crate::keeping::{KEPT, Keeping, kept};

struct Intake {
    receiver: Receiver<SqliteStore, Keeping>,
    clock: Clock,
}

async fn events(request: HttpRequest, intake: Data<Intake>, body: Bytes) -> HttpResponse {
    let now = Instant::now();
    let arrived = match intake::read(
        |name| request.headers().get(name)?.to_str().ok(),
        &body,
        now,
    ) {
        Ok(arrived) => arrived,
        Err(IntakeError::TooLarge(_)) => return HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return HttpResponse::new(StatusCode::BAD_REQUEST),
    };
    let deadline = intake.clock.now() + arrived.deadline.saturating_duration_since(Instant::now());
    match intake
        .receiver
        .receive(arrived.events, arrived.urgency, deadline)
        .await
    {
        Ok(received) => {
            let delivered = Delivered {
                outcomes: received.outcomes,
                receipts: received.receipts,
            };
            HttpResponse::Ok().body(cloudevents::outcomes_to_json(&delivered))
        }
        Err(_) => HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn hello(intake: Data<Intake>, body: Bytes) -> HttpResponse {
    let store = cloudevents::hello_question_from_json(&body).unwrap();
    match intake.receiver.hello(store).await {
        Ok(answer) => HttpResponse::Ok().body(cloudevents::hello_to_json(&answer)),
        Err(_) => HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Where the process finds its directory.
const DIRECTORY: &str = "DUET_TEST_RECEIVER";

/// Not a test: what the receiver's process runs.
#[test]
#[ignore = "run by the other tests, in processes of their own"]
fn serve() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let clock = Clock::start();
    let options = Options::new(&[KEPT], clock, rand::random());
    let (store, _committed) = SqliteStore::open(&store_file(&dir), options).unwrap();
    let name = ReceiverName::new("notification").unwrap();
    let receiver = Receiver::new(
        store,
        Arc::new(Keeping),
        name,
        Arc::new(Rules::default()),
        clock,
        DeliverySettings::default(),
        crate::observer(),
    );
    let intake = Data::new(Intake { receiver, clock });
    actix_web::rt::System::new()
        .block_on(async move {
            let app = move || {
                App::new()
                    .app_data(intake.clone())
                    .app_data(PayloadConfig::new(cloudevents::MAX_BYTES))
                    .route(EVENTS, post().to(events))
                    .route(HELLO, post().to(hello))
            };
            let address = std::fs::read_to_string(address_file(&dir))
                .unwrap_or_else(|_| "127.0.0.1:0".to_owned());
            let server = HttpServer::new(app).workers(1).bind(address)?;
            std::fs::write(address_file(&dir), server.addrs()[0].to_string())?;
            std::fs::write(dir.join("ready"), "")?;
            server.run().await
        })
        .unwrap();
}

fn address_file(dir: &Path) -> PathBuf {
    dir.join("address")
}

fn store_file(dir: &Path) -> PathBuf {
    dir.join("store/receiver.db")
}

/// The process.
pub(crate) struct ReceiverProcess {
    process: Process,
    dir: tempfile::TempDir,
}

impl ReceiverProcess {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let process = spawn(dir.path());
        let this = ReceiverProcess { process, dir };
        this.ready().await;
        this
    }

    async fn ready(&self) {
        until(Duration::from_secs(20), || async {
            std::fs::read(self.dir.path().join("ready")).map_err(|_| self.process.output())
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        let address = std::fs::read_to_string(address_file(self.dir.path())).unwrap();
        format!("http://{address}")
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
        std::fs::remove_file(self.dir.path().join("ready")).unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.dir.path());
        self.ready().await;
    }

    pub(crate) fn wipe(&mut self) {
        std::fs::remove_dir_all(self.dir.path().join("store")).unwrap();
        std::fs::create_dir(self.dir.path().join("store")).unwrap();
    }

    /// Read beside it from its file.
    pub(crate) fn applied(&self) -> Vec<Event> {
        let connection = Connection::open(store_file(self.dir.path())).unwrap();
        kept(&connection)
    }
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--ignored",
            "--exact",
            "http::receiver::serve",
            "--nocapture",
        ])
        .env(DIRECTORY, dir);
    Process::spawn("receiver", command, &dir.join("log"))
}
