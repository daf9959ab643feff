//! A job: work that takes longer than any call or message may. A desk orders prints, and the press prints each once, in either mode.
//!
//! `cargo run -p duet-channel --example job` (nats-server is found by `DUET_NATS_SERVER`, or on PATH).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{error::Error, fs, net::TcpListener, time::Duration};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode};
use duet_channel::open::{
    Changed, Changes, Connection, Data, Delivery, Documents, Event, Failure, Kept, Key, Mode, Open,
    Receiver, SqliteStore, Store, StoreError, Versioned, intake,
};
use futures::future::BoxFuture;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A call may take 1.5 s, and the broker gives out again what is not settled for a second.
const CHANNEL: &str = "
apiVersion: duet.dev/v1alpha1
kind: Channel
metadata: {name: prints}
spec:
  from: desk
  to: [{name: press}]
  mode: Sync
  sync: {deadline: 1500ms}
  async:
    transport: NATSJetStream
    natsJetStream:
      stream: {name: PRINTS, subject: prints, maxBytes: 64Mi}
      consumer: {ackWait: 1s}
";
/// How long a print takes.
const PRINTING: Duration = Duration::from_secs(3);

/// What the press was told to print, under which name: a machine that is told a name twice prints once.
type Machine = Arc<Mutex<Vec<String>>>;

fn told(machine: &Machine) -> MutexGuard<'_, Vec<String>> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The press's own table, and what a print changes in it.
struct Press(Machine);
const TABLES: &[&str] = &["CREATE TABLE printed (title TEXT PRIMARY KEY, how TEXT)"];

impl Changes for Press {
    /// Each order is one: it is parked as it is received, in the transaction that does so, and run from there.
    fn is_job(&self, _: &Event) -> bool {
        true
    }

    /// Outside any transaction, and at least once: where the process dies before what it returns is stored, it runs again. The event's
    /// name is the same each time, so it is the key by which what it asks of others is done once.
    fn run(&self, order: Event, _: CancellationToken) -> BoxFuture<'_, Result<Bytes, Failure>> {
        Box::pin(async move {
            told(&self.0).push(order.id().to_string());
            sleep(PRINTING).await;
            Ok(Bytes::from_static(br#""on paper""#))
        })
    }

    /// What the work came to takes the place of the event's data.
    fn change(&self, press: &Connection, _: &Event, printed: &Data) -> Changed {
        let how = String::from_utf8_lossy(&printed.json);
        let put = "REPLACE INTO printed VALUES (?1, ?2)";
        press.execute(put, (printed.key.as_str(), how))?;
        Ok(Ok(Kept::Something))
    }

    fn remove(&self, press: &Connection, title: &Key) -> Result<(), StoreError> {
        press.execute("DELETE FROM printed WHERE title = ?1", [title.as_str()])?;
        Ok(())
    }

    /// What is kept is not what the desk has, so the two are not compared.
    fn keeps_all(&self) -> bool {
        false
    }
}

/// Where the desk delivers in Sync.
async fn take(
    request: HttpRequest,
    body: Bytes,
    press: web::Data<Receiver<SqliteStore, Versioned>>,
) -> HttpResponse {
    let header = |name| request.headers().get(name)?.to_str().ok();
    let (status, body) = intake::answer(&press, request.path(), header, &body).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).body(body)
}

/// How many prints are there.
async fn printed(press: &SqliteStore) -> Result<u32, Box<dyn Error>> {
    let count = "SELECT count(*) FROM printed WHERE how = '\"on paper\"'";
    let read = press.read(move |press| Ok(press.query_row(count, [], |row| row.get(0))?));
    Ok(read.await?)
}

/// Orders a print in each mode, and tells what came of it.
pub(crate) async fn print(nats: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let channel = dir.path().join("channel.yaml");
    fs::write(&channel, CHANNEL)?;
    let open = |name| Open::new(name, dir.path().join(name), &channel).nats(nats);

    let machine = Machine::default();
    let press = Versioned::new(Press(machine.clone()));
    let press = open("press").tables(TABLES).receive(press).await?;
    let port = TcpListener::bind("127.0.0.1:0")?;
    let at = format!("http://{}", port.local_addr()?);
    let taking = web::Data::new(press.receiver.clone());
    let app = move || {
        let app = App::new().app_data(taking.clone());
        app.route(intake::EVENTS, web::post().to(take))
            .route(intake::HELLO, web::post().to(take))
    };
    let server = HttpServer::new(app).workers(1).listen(port)?.run();
    let (handle, server) = (server.handle(), tokio::spawn(server));

    let orders = Documents::<String>::new("com.example.print");
    let desk = open("desk").send(&[("press", &at)], orders).await?;
    let mut lines = Vec::new();
    for (title, mode) in [("Tides", Mode::Sync), ("Moons", Mode::Async)] {
        fs::write(
            &channel,
            CHANNEL.replace("mode: Sync", &format!("mode: {mode:?}")),
        )?;
        tokio::join!(desk.follows(mode), press.follows(mode));
        let key = Key::new(title).ok_or("a key is 1 to 512 bytes")?;
        let reply = desk.request(key, Some("A4".to_owned())).await?;
        lines.push(match reply.delivery {
            Delivery::Delivered(_) => format!("{mode:?}: {title} is printed"),
            Delivery::Accepted => format!("{mode:?}: {title} is accepted"),
        });
    }
    while printed(press.store()).await? < 2 {
        sleep(Duration::from_millis(20)).await;
    }
    let runs = told(&machine).clone();
    let prints: BTreeSet<_> = runs.iter().collect();
    lines.push(format!("{} prints, in {} runs", prints.len(), runs.len()));
    desk.close().await;
    handle.stop(true).await;
    server.await??;
    press.close().await;
    Ok(lines)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nats = duet_testkit::NatsServer::start().await;
    for line in print(&nats.url()).await? {
        println!("{line}");
    }
    Ok(())
}
