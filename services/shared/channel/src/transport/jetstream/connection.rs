//! A connection to NATS that is made anew for as long as it takes.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use futures::{Stream, stream};
use tokio::sync::watch;

/// How long the broker may take to answer a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that says nothing for two of these is given up.
const PING: Duration = Duration::from_secs(5);
/// Between two attempts to connect, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// A connection to NATS. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Nats {
    client: Client,
    context: Context,
    connected: watch::Receiver<Connections>,
}

/// What became of the connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connections {
    /// How often it was made.
    pub(super) made: u64,
    /// How often it was lost.
    pub(super) lost: u64,
}

/// Why there is no connection, nor will there be.
#[derive(Debug, thiserror::Error)]
#[error("no connection to NATS can be made")]
pub struct NatsError(#[source] async_nats::ConnectError);

impl Nats {
    /// Connects to `url`, such as `nats://127.0.0.1:4222`, as `name`. A server that doesn't answer is tried again for ever, in the
    /// background: this doesn't wait for it.
    ///
    /// # Errors
    /// If `url` is none.
    pub async fn connect(url: &str, name: &str) -> Result<Self, NatsError> {
        let (seen, connected) = watch::channel(Connections::default());
        let client = ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(pause)
            .ping_interval(PING)
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .event_callback(move |event| {
                seen.send_if_modified(|connections| note(connections, &event));
                async {}
            })
            .connect(url)
            .await
            .map_err(NatsError)?;
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .build(client.clone());
        Ok(Nats {
            client,
            context,
            connected,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Waits for a connection, at most this long; whether there is one.
    pub async fn connected_within(&self, wait: Duration) -> bool {
        let mut connections = self.connected.clone();
        let made = connections.wait_for(|so_far| so_far.made > so_far.lost);
        matches!(tokio::time::timeout(wait, made).await, Ok(Ok(_)))
    }

    /// One item whenever the connection was made or lost, several at once as one.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.connections(), |mut connections| async move {
            connections.changed().await.ok()?;
            Some(((), connections))
        })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Follows how often the connection was made and lost.
    pub(super) fn connections(&self) -> watch::Receiver<Connections> {
        self.connected.clone()
    }
}

fn note(connections: &mut Connections, event: &Event) -> bool {
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            connections.made += 1;
        }
        Event::Disconnected => {
            tracing::warn!("the connection to NATS is lost");
            connections.lost += 1;
        }
        Event::SlowConsumer(subscription) => {
            tracing::warn!(
                subscription,
                "NATS dropped messages that were not taken in time"
            );
            return false;
        }
        other => {
            tracing::debug!(event = %other, "NATS");
            return false;
        }
    }
    true
}

/// Exponential, with half of it left to chance.
fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts)
        .unwrap_or(u32::MAX)
        .saturating_sub(1)
        .min(16);
    let most = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    most.mul_f64(rand::random_range(0.5..=1.0))
}
