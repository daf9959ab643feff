//! When a load began, and that it is over: for all that goes on beside it.

use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Shared by the load and what goes on beside it.
#[derive(Debug)]
pub(super) struct Clock {
    began: watch::Sender<Option<Instant>>,
    over: CancellationToken,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            began: watch::Sender::new(None),
            over: CancellationToken::new(),
        }
    }

    /// The first request is due at this instant.
    pub(super) fn begin(&self, at: Instant) {
        self.began.send_replace(Some(at));
    }

    /// Waits for the beginning; when it was.
    pub(super) async fn began(&self) -> Instant {
        let mut began = self.began.subscribe();
        loop {
            if let Some(at) = *began.borrow_and_update() {
                return at;
            }
            if began.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// How long ago it began; zero before.
    pub(super) fn now(&self) -> Duration {
        let began = *self.began.borrow();
        began.map(|it| it.elapsed()).unwrap_or_default()
    }

    /// Waits until so much time has passed since it began.
    pub(super) async fn at(&self, since: Duration) {
        sleep_until(self.began().await + since).await;
    }

    /// No more requests are sent.
    pub(super) fn over(&self) {
        self.over.cancel();
    }

    /// Is cancelled once it is over.
    pub(super) fn token(&self) -> CancellationToken {
        self.over.clone()
    }
}
