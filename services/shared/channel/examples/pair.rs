//! A pair of one's own: a shop takes orders, and the stock sets aside what was ordered. In both modes, over a real broker.
//!
//! What only one of the modes needs stands below `For Sync` or `For Async`, as far as `For both`: so it is counted.
//!
//! `cargo run -p duet-channel --example pair` (nats-server is found by `DUET_NATS_SERVER`, or on PATH).

use std::{error::Error, fs, net::TcpListener, time::Duration};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode};
use duet_channel::open::{
    Changed, Changes, Connection, Data, Delivery, Documents, Event, Kept, Key, Mode, Open,
    Receiver, SqliteStore, Store, StoreError, Versioned, documents, intake,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// The document that both ends follow: edit it while they run.
const CHANNEL: &str = "
apiVersion: duet.dev/v1alpha1
kind: Channel
metadata: {name: orders}
spec:
  from: shop
  to: [{name: stock}]
  mode: Sync
  # For Async:
  async:
    transport: NATSJetStream
    natsJetStream: {stream: {name: ORDERS, subject: orders, maxBytes: 64Mi}}
  # For both:
";

/// What the shop keeps of an order, and its event tells.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    pieces: u32,
}

/// The stock's own table, and what an order changes in it.
struct Stock;
const TABLES: &[&str] = &["CREATE TABLE aside (number TEXT PRIMARY KEY, pieces INTEGER)"];

impl Changes for Stock {
    fn change(&self, stock: &Connection, _: &Event, told: &Data) -> Changed {
        let number = told.key.as_str();
        Ok(match documents::read::<Order>(told) {
            Ok(Some(order)) => {
                let put = "REPLACE INTO aside VALUES (?1, ?2)";
                stock.execute(put, (number, order.pieces))?;
                Ok(Kept::Something)
            }
            Ok(None) => {
                stock.execute("DELETE FROM aside WHERE number = ?1", [number])?;
                Ok(Kept::Nothing)
            }
            Err(failure) => Err(failure), // by the broker: it is kept, and tried again
        })
    }

    fn remove(&self, stock: &Connection, number: &Key) -> Result<(), StoreError> {
        stock.execute("DELETE FROM aside WHERE number = ?1", [number.as_str()])?;
        Ok(())
    }
}

// For Sync:
type Taking = web::Data<Receiver<SqliteStore, Versioned>>;

/// Where the shop delivers in Sync.
async fn take(request: HttpRequest, body: Bytes, stock: Taking) -> HttpResponse {
    let header = |name| request.headers().get(name)?.to_str().ok();
    let (status, body) = intake::answer(&stock, request.path(), header, &body).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).body(body)
}
// For both:

/// How many pieces the stock has set aside.
async fn aside(stock: &SqliteStore) -> Result<u32, Box<dyn Error>> {
    let sum = "SELECT coalesce(sum(pieces), 0) FROM aside";
    let read = stock.read(move |stock| Ok(stock.query_row(sum, [], |row| row.get(0))?));
    Ok(read.await?)
}

/// Orders in both modes, and tells what came of it.
pub(crate) async fn trade(nats: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let channel = dir.path().join("channel.yaml");
    fs::write(&channel, CHANNEL)?;
    let open = |name| Open::new(name, dir.path().join(name), &channel).nats(nats);

    let stock = open("stock").tables(TABLES);
    let stock = stock.receive(Versioned::new(Stock)).await?;
    // For Sync:
    let port = TcpListener::bind("127.0.0.1:0")?;
    let at = format!("http://{}", port.local_addr()?);
    let taking = web::Data::new(stock.receiver.clone());
    let take = move || web::post().to(take);
    let app = move || {
        let app = App::new().app_data(taking.clone());
        app.route(intake::EVENTS, take())
            .route(intake::HELLO, take())
    };
    let server = HttpServer::new(app).workers(1).listen(port)?.run();
    let (handle, server) = (server.handle(), tokio::spawn(server));
    // For both:

    let orders = Documents::<Order>::new("com.example.order");
    let shop = open("shop").send(&[("stock", &at)], orders).await?;
    let mut told = Vec::new();
    for (number, mode) in [("1001", Mode::Sync), ("1002", Mode::Async)] {
        let document = CHANNEL.replace("mode: Sync", &format!("mode: {mode:?}"));
        fs::write(&channel, document)?;
        tokio::join!(shop.follows(mode), stock.follows(mode));

        let key = Key::new(number).ok_or("a key is 1 to 512 bytes")?;
        let before = aside(stock.store()).await?;
        let reply = shop.request(key, Some(Order { pieces: 6 })).await?;
        let how = match reply.delivery {
            Delivery::Delivered(_) => "delivered",
            Delivery::Accepted => "accepted",
        };
        told.push(format!("{mode:?}: order {number} is {how}"));
        while aside(stock.store()).await? == before {
            sleep(Duration::from_millis(5)).await; // Async: it comes by the broker, in a moment
        }
        let pieces = aside(stock.store()).await?;
        told.push(format!("{mode:?}: {pieces} pieces are set aside"));
    }
    shop.close().await;
    // For Sync:
    handle.stop(true).await;
    server.await??;
    // For both:
    stock.close().await;
    Ok(told)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nats = duet_testkit::NatsServer::start().await;
    for line in trade(&nats.url()).await? {
        println!("{line}");
    }
    Ok(())
}
