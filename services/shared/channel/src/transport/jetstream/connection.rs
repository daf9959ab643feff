//! A connection to NATS that is made anew for as long as it takes.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Auth, AuthError, Client, ClientError, ConnectErrorKind, ConnectOptions, Event};
use futures::{Stream, stream};
use tokio::sync::watch;

use super::denied::Denials;
use crate::pause::Pauses;

/// How long the broker may take to answer a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that says nothing for two of these is given up.
const PING: Duration = Duration::from_secs(5);
/// Between two attempts to connect.
const PAUSES: Pauses = Pauses {
    first: Duration::from_millis(20),
    longest: Duration::from_secs(1),
};
/// The longest password that is read, in bytes.
const PASSWORD: u64 = 4096;

/// A connection to NATS. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Nats {
    client: Client,
    context: Context,
    connected: watch::Receiver<Connections>,
    denials: Denials,
}

/// Who logs in. The password is in a file, which is read at each attempt to connect: a new one needs no restart.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Where the password is, and nothing else but a line's end.
    pub password_file: PathBuf,
}

impl Login {
    fn read(&self) -> Result<Auth, AuthError> {
        let password = password(&self.password_file).map_err(|error| {
            let file = self.password_file.display();
            AuthError::new(format_args!("can't read the password in {file}: {error}"))
        })?;
        let mut auth = Auth::new();
        auth.username = Some(self.user.clone());
        auth.password = Some(password);
        Ok(auth)
    }
}

fn password(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(PASSWORD).read_to_string(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// What became of the connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connections {
    /// How often it was made.
    pub(super) made: u64,
    /// How often it was lost.
    pub(super) lost: u64,
    /// Whether the last attempt to make it failed at the login.
    is_refused: bool,
}

/// Why there is no connection, nor will there be.
#[derive(Debug, thiserror::Error)]
#[error("no connection to NATS can be made")]
pub struct NatsError(#[source] async_nats::ConnectError);

impl Nats {
    /// Connects to `url`, such as `nats://127.0.0.1:4222`, as `name`, whose answers come to subjects below `_INBOX.name` alone. A server
    /// that doesn't answer is tried again for ever, in the background: this doesn't wait for it.
    ///
    /// # Errors
    /// If `url` is none.
    pub async fn connect(url: &str, name: &str, login: Option<Login>) -> Result<Self, NatsError> {
        let (seen, connected) = watch::channel(Connections::default());
        let denials = Denials::default();
        let denied = denials.clone();
        let options = match login {
            None => ConnectOptions::new(),
            Some(login) => {
                ConnectOptions::with_auth_callback(move |_| std::future::ready(login.read()))
            }
        };
        let client = options
            .name(name)
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| PAUSES.after(attempts))
            .ping_interval(PING)
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .event_callback(move |event| {
                if let Event::ServerError(error) = &event {
                    denied.note(error);
                }
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
            denials,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn denials(&self) -> &Denials {
        &self.denials
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

    /// Whether the broker answers, and refuses the login.
    pub fn is_refused(&self) -> bool {
        self.connected.borrow().is_refused
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
            connections.is_refused = false;
        }
        Event::Disconnected => {
            tracing::warn!("the connection to NATS is lost");
            connections.lost += 1;
        }
        Event::ClientError(ClientError::Other(why)) => {
            // An attempt to connect failed; the client tells nothing but the kind's text.
            let is_refused = *why == ConnectErrorKind::AuthorizationViolation.to_string();
            let was_refused = mem::replace(&mut connections.is_refused, is_refused);
            if is_refused && !was_refused {
                tracing::warn!("NATS refuses the login");
            }
            return is_refused != was_refused;
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
