//! The way to the Kubernetes API: whatever becomes of it is known soon.

use std::time::Duration;

use kube::{Client, Config};

/// A client of the Kubernetes API that gives up a request which is not answered within `answer`, or a watch that says nothing for as
/// long beyond `watch`, which is what one lasts: zero for a client that watches nothing. Where the API says that it can't now, that is
/// an error at once.
///
/// # Errors
/// If what the configuration says makes no client.
pub fn kubernetes_client(
    mut config: Config,
    answer: Duration,
    watch: Duration,
) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(answer);
    config.read_timeout = Some(watch + answer);
    config.write_timeout = Some(answer);
    // The time that a connection was idle before is not the request's.
    config.reset_reader_on_write = true;
    // kube would ask again by itself, ever more rarely: nobody would hear that the API is away, and what changed meanwhile would be late
    // for minutes once it is back.
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
        let config = Config::new(url.parse().unwrap());
        let client = kubernetes_client(config, Duration::from_secs(5), Duration::ZERO).unwrap();
        assert!(client.apiserver_version().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
