//! The way to the Kubernetes API: whatever becomes of it is known soon.

use std::time::Duration;

use kube::{Client, Config};

use super::WATCH;

/// What an answer may take, beyond what a watch lasts.
const ANSWER: Duration = Duration::from_secs(5);

/// A client for watches of that length.
pub(super) fn watching(mut config: Config) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(ANSWER);
    config.read_timeout = Some(WATCH + ANSWER);
    config.write_timeout = Some(ANSWER);
    config.reset_reader_on_write = true;
    // Where the API says that it can't now, kube would ask again by itself, ever more rarely: nobody would hear that it is away, and
    // settings would be late for minutes once it is back.
    config.default_retry = false;
    Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_api_that_can_not_now_is_an_error_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = connection.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                let _ = connection.write_all(answer).await;
            }
        });
        let client = watching(Config::new(url.parse().unwrap())).unwrap();
        assert!(client.apiserver_version().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
