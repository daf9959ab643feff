use crate::{DUET, rows};
use duet_testkit::{Mode, Pair, eventually};
use std::{net::SocketAddr, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// How a caller leaves.
#[derive(Debug, Clone, Copy)]
enum HangUp {
    /// In order: it has sent all that it wanted to say, and reads no answer.
    Fin,
    /// At once, as a process does that is killed with data unread.
    Rst,
}

const HANGS_UP: [HangUp; 2] = [HangUp::Fin, HangUp::Rst];
/// Callers that hang up, of each kind.
const CALLERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects and sends a whole PUT.
async fn send(pair: &Pair, post: &str, user: &str) -> TcpStream {
    let address: SocketAddr = pair.reaction.public()["http://".len()..].parse().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = r#"{"kind":"like"}"#;
    let request = format!(
        "PUT /v1/posts/{post}/reactions/{user} HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn hang_up(stream: TcpStream, how: HangUp) {
    if let HangUp::Rst = how {
        // Closing sends RST instead of FIN.
        stream.set_zero_linger().unwrap();
    }
    drop(stream);
}

async fn accepted(pair: &Pair, number: usize) {
    eventually(PATIENCE, || async {
        pair.unacknowledged().await >= number as u64
    })
    .await;
}

/// Callers whose calls hang at Notification.
async fn hanging(pair: &Pair) -> Vec<(TcpStream, HangUp)> {
    let mut streams = Vec::new();
    for how in HANGS_UP {
        for caller in 0..CALLERS {
            let user = format!("{how:?}-{caller}");
            streams.push((send(pair, "walk", &user).await, how));
        }
    }
    accepted(pair, streams.len()).await;
    streams
}

async fn pair(deadline: &str) -> Pair {
    let pair = Pair::builder(DUET, Mode::Sync)
        .channel("deadline: 2s", deadline)
        .start()
        .await;
    pair.post("walk", "bob", "A walk").await;
    // The store's first event of all, which opens it, is received.
    pair.drained().await;
    pair
}

#[tokio::test]
async fn callers_who_hang_up_during_a_slow_sync_call_leave_what_then_succeeds_at_both_ends() {
    let pair = pair("deadline: 60s").await;
    pair.notification.pause();
    for (stream, how) in hanging(&pair).await {
        hang_up(stream, how);
    }
    pair.notification.resume();
    pair.drained().await;
    assert_eq!(rows::equal(&pair), HANGS_UP.len() * CALLERS);
    assert_eq!(
        pair.inbox("bob").await[0]["count"],
        HANGS_UP.len() * CALLERS
    );
}

#[tokio::test]
async fn callers_who_hang_up_during_a_sync_call_that_fails_leave_nothing_at_either_end() {
    let pair = pair("deadline: 2s").await;
    pair.notification.pause();
    for (stream, how) in hanging(&pair).await {
        hang_up(stream, how);
    }
    // Nobody waits any more, and still each is taken back: its event and the one that undoes it wait to be received.
    accepted(&pair, 2 * HANGS_UP.len() * CALLERS).await;
    assert_eq!(pair.reactions("walk").await.len(), 0);
    pair.notification.resume();
    pair.drained().await;
    assert_eq!(rows::equal(&pair), 0);
    assert!(pair.inbox("bob").await.is_empty());
}

#[tokio::test]
async fn callers_who_hang_up_at_any_moment_leave_the_same_at_both_ends() {
    let pair = pair("deadline: 2s").await;
    for mode in [Mode::Sync, Mode::Async] {
        pair.switch(mode);
        pair.follows(mode).await;
        for how in HANGS_UP {
            for caller in 0..CALLERS {
                let user = format!("{}-{how:?}-{caller}", mode.as_str());
                let stream = send(&pair, "walk", &user).await;
                // From before it is read to after it is answered.
                tokio::time::sleep(Duration::from_micros(200) * caller as u32).await;
                hang_up(stream, how);
            }
        }
    }
    // A last one, that all before it are received when it is.
    pair.react("zoe", "walk").await;
    pair.drained().await;
    let pairs = rows::equal(&pair);
    assert!(pairs > 0);
    assert_eq!(pair.inbox("bob").await[0]["count"], pairs);
}
