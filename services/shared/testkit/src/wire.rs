//! The wire between a client and nats-server, with the faults a wire has: a real TCP proxy that knows frames, and no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What becomes of the server's word that a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Acks {
    /// It comes.
    Come,
    /// It never does.
    GetLost,
    /// It comes twice.
    ComeTwice,
}

/// A proxy before a nats-server. It ends with the test; what goes through it is otherwise as it was.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    faults: Arc<Faults>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Faults {
    acks: AtomicU8,
    struck: AtomicU64,
}

impl Wire {
    /// To the server at `address`.
    ///
    /// # Panics
    /// If there is no port for it.
    pub async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let faults = Arc::new(Faults {
            acks: AtomicU8::new(Acks::Come as u8),
            struck: AtomicU64::new(0),
        });
        let own = listener.local_addr().expect("a listener has an address");
        let shared = faults.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, address, shared.clone()));
            }
        });
        Self {
            address: own,
            faults,
            task: task.abort_handle(),
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn acks(&self, acks: Acks) {
        self.faults.acks.store(acks as u8, Ordering::Relaxed);
    }

    /// How many words got lost or came twice.
    pub fn struck(&self) -> u64 {
        self.faults.struck.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Both directions, until one ends.
async fn carry(client: TcpStream, address: SocketAddr, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(address).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let up = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let down = async {
        let mut frames = BufReader::new(from_server);
        while let Some(frame) = next(&mut frames).await? {
            for _ in 0..faults.copies(&frame) {
                to_client.write_all(&frame).await?;
            }
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
}

impl Faults {
    /// How often a frame is written on.
    fn copies(&self, frame: &[u8]) -> usize {
        let acks = self.acks.load(Ordering::Relaxed);
        if acks == Acks::Come as u8 || !is_ack(frame) {
            return 1;
        }
        self.struck.fetch_add(1, Ordering::Relaxed);
        if acks == Acks::GetLost as u8 { 0 } else { 2 }
    }
}

/// One frame of the server's: a line, and after `MSG` and `HMSG` a payload. `None` at the end.
async fn next(from: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<Option<Vec<u8>>> {
    let mut frame = Vec::new();
    if from.read_until(b'\n', &mut frame).await? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&frame);
    let has_payload = line.starts_with("MSG ") || line.starts_with("HMSG ");
    let length = line.split_ascii_whitespace().last();
    if has_payload && let Some(length) = length.and_then(|it| it.parse::<usize>().ok()) {
        let begin = frame.len();
        frame.resize(begin + length + "\r\n".len(), 0);
        from.read_exact(&mut frame[begin..]).await?;
    }
    Ok(Some(frame))
}

/// Whether it says that a message is stored.
fn is_ack(frame: &[u8]) -> bool {
    let text = String::from_utf8_lossy(frame);
    let payload = text.split_once("\r\n").map(|(_, payload)| payload);
    payload.is_some_and(|payload| {
        payload.starts_with(r#"{"stream":"#) && payload.contains(r#""seq":"#)
    })
}
