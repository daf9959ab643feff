//! A receiver in a process of its own: a real one, over SQLite, behind actix-web.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, PayloadConfig, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use duet_channel::clock::Clock;
use duet_channel::receiver::{Receiver, ReceivingService};
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::{Options, SqliteStore};
use duet_channel::transport::conformance::FAILS;
use duet_channel::transport::http::intake::{self, IntakeError};
use duet_channel::transport::http::{EVENTS, HELLO};
use duet_channel::transport::{Delivered, cloudevents};
use duet_protocol::event::{self, Event, Key};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Lane, Sequence, Version};
use duet_testkit::{Process, until};
use rusqlite::{Connection, OptionalExtension, params};

/// Keeps each event that it applies, as the JSON batch it would be sent as.
struct Keeping;

struct Rows<'t>(&'t Connection);

impl ReceivingService<Connection> for Keeping {
    type Rows<'t> = Rows<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> Rows<'t> {
        Rows(connection)
    }
}

impl Apply for Rows<'_> {
    type Error = StoreError;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        let select = "SELECT epoch, sequence FROM kept WHERE key = ?1";
        let version = |row: &rusqlite::Row<'_>| {
            Ok(Version {
                epoch: Epoch(row.get::<_, i64>(0)?.cast_unsigned()),
                sequence: Sequence(row.get::<_, i64>(1)?.cast_unsigned()),
            })
        };
        Ok(self
            .0
            .query_row(select, [key.as_str()], version)
            .optional()?)
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &event::Data,
    ) -> Result<Result<(), Failure>, StoreError> {
        if &*data.kind == FAILS {
            return Ok(Err(Failure {
                cause: "it is made to fail".into(),
            }));
        }
        let insert = "INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4)";
        let (epoch, sequence) = (
            event.source.epoch.0.cast_signed(),
            event.sequence.0.cast_signed(),
        );
        self.0.execute(
            insert,
            params![data.key.as_str(), epoch, sequence, &*as_json(event)],
        )?;
        Ok(Ok(()))
    }

    fn tombstones(&mut self, _: Lane, _: Version, _: usize) -> Result<Vec<Key>, StoreError> {
        Ok(Vec::new())
    }

    fn drop_tombstone(&mut self, _: &Key) -> Result<(), StoreError> {
        Ok(())
    }
}

fn as_json(event: &Event) -> Bytes {
    use duet_channel::transport::{Batch, Outgoing, Urgency};
    let outgoing = Outgoing {
        event: Arc::new(event.clone()),
        late: false,
    };
    let batch = Batch {
        events: vec![outgoing],
        urgency: Urgency::Background,
    };
    cloudevents::batch_to_json(&batch, |_| cloudevents::Carried::AsCreated(&event.trace))
}

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
    let options = Options::new(
        &[
            "CREATE TABLE kept (key TEXT PRIMARY KEY, epoch INTEGER, sequence INTEGER, event BLOB) STRICT",
        ],
        clock,
        rand::random(),
    );
    let (store, _committed) = SqliteStore::open(&store_file(&dir), options).unwrap();
    let name = ReceiverName::new("notification").unwrap();
    let receiver = Receiver::new(
        store,
        Arc::new(Keeping),
        name,
        Arc::new(Rules::default()),
        clock,
        Duration::from_secs(60),
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
        let mut select = connection.prepare("SELECT event FROM kept").unwrap();
        let rows = select
            .query_map([], |row| row.get::<_, Vec<u8>>(0))
            .unwrap();
        rows.map(|json| cloudevents::batch(&json.unwrap().into()).unwrap().remove(0))
            .collect()
    }
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "receiver::serve", "--nocapture"])
        .env(DIRECTORY, dir);
    Process::spawn("receiver", command, &dir.join("log"))
}
