use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use duet_channel::store::{Store, StoreError};
use duet_web::cursor;
use futures::Stream;
use futures::stream;
use rand::Rng;
use russe::{Event, Message};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::{EventId, Listening, Progress, Streams};
use crate::domain::Newness;
use crate::routes::notification::{Notification, Removed};
use crate::store::changes::{self, Change, Page};

/// How many changes are read and told at once.
const PAGE: usize = 32;
/// After how long without an event a comment says that the stream lives. Then the store is asked too, whether or not it said something.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What changes again within this is told once.
const PACE: Duration = Duration::from_millis(50);
/// How long a client should wait before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// How long to wait for a store that has too much to do.
const REST: Duration = Duration::from_secs(1);

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// After this change.
    After(Newness),
    /// At the start: every group there is.
    Start,
    /// At the start, because the client was told what can't be gone on from: it is told to forget that.
    Anew,
}

/// What a stream needs. Dropped with the connection.
struct Following<S> {
    store: S,
    streams: Streams,
    listening: Listening,
    progress: Progress,
    next: Step,
    told: Instant,
}

enum Step {
    Hello(Begin),
    Read,
    Wait,
    End,
}

/// The answer's body: it ends when streams are to end, or with the store.
pub fn follow<S>(
    store: S,
    streams: Streams,
    listening: Listening,
    begin: Begin,
) -> impl Stream<Item = Result<Bytes, Infallible>>
where
    S: Store<Connection = rusqlite::Connection>,
{
    let following = Following {
        store,
        streams,
        listening,
        progress: Progress::of(begin),
        next: Step::Hello(begin),
        told: Instant::now(),
    };
    stream::unfold(following, |mut following| async move {
        let chunk = following.next().await?;
        Some((Ok(chunk), following))
    })
}

impl<S: Store<Connection = rusqlite::Connection>> Following<S> {
    /// The next bytes to send; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match std::mem::replace(&mut self.next, Step::Read) {
                Step::Hello(begin) => return Some(self.hello(begin)),
                Step::End => return None,
                Step::Read => {
                    let closing = self.streams.closing.clone();
                    let read = closing.run_until_cancelled(self.read()).await;
                    match read.unwrap_or(Err(StoreError::Closed)) {
                        Ok(page) if !self.progress.take(&page) => {
                            self.progress = Progress::of(Begin::Anew);
                            return Some(self.hello(Begin::Anew));
                        }
                        Ok(Page { changes, .. }) if changes.is_empty() => self.next = Step::Wait,
                        Ok(Page { changes, .. }) => return Some(self.tell(changes)),
                        // It ends, or the process does.
                        Err(StoreError::Closed) => return Some(self.bye()),
                        Err(error) => {
                            tracing::debug!(%error, "a stream waits for the store");
                            sleep(REST).await;
                        }
                    }
                }
                Step::Wait => {
                    if let Some(chunk) = self.wait().await {
                        return Some(chunk);
                    }
                }
            }
        }
    }

    /// The first bytes: how long to wait before connecting again, and from where on, if nothing else was told by then.
    fn hello(&mut self, begin: Begin) -> Bytes {
        let id = self.id(self.progress.after());
        let mut text = encoded([Event::Retry(RETRY)]);
        match begin {
            // An id alone is taken note of and is no event.
            Begin::After(_) | Begin::Start => text.push_str(&format!("id: {id}\n\n")),
            Begin::Anew => text.push_str(&encoded([event("reset", &id, &json!({}))])),
        }
        text.into()
    }

    /// The last bytes. Not all clients are to come back at once.
    fn bye(&mut self) -> Bytes {
        self.next = Step::End;
        let retry = rand::rng().random_range(RETRY / 4..RETRY * 2);
        encoded([Event::Retry(retry)]).into()
    }

    async fn read(&mut self) -> Result<Page, StoreError> {
        self.listening.up_to_date();
        let _turn = self.listening.turn().await;
        let (owner, after) = (self.listening.user().clone(), self.progress.after());
        let read = move |connection: &rusqlite::Connection| {
            Ok(changes::page(connection, &owner, after, PAGE)?)
        };
        self.store.read(read).await
    }

    fn tell(&mut self, changes: Vec<Change>) -> Bytes {
        let mut text = String::new();
        for change in changes {
            let id = self.id(change.newness);
            text += &encoded([match change.group {
                Some(group) => {
                    let group = Notification::of(self.listening.user(), group);
                    event("notification", &id, &group)
                }
                None => event("removed", &id, &Removed { post: change.post }),
            }]);
        }
        self.told = Instant::now();
        text.into()
    }

    /// Waits until there may be something to read; the bytes to send meanwhile, if it takes long.
    async fn wait(&mut self) -> Option<Bytes> {
        let quiet = sleep_until(self.told + HEARTBEAT);
        let paced = self.told + PACE;
        tokio::select! {
            () = async { self.listening.changed().await; sleep_until(paced).await } => None,
            () = quiet => {
                self.told = Instant::now();
                Some(encoded([Event::Comment("".into())]).into())
            }
            () = self.streams.closing.cancelled() => Some(self.bye()),
        }
    }

    fn id(&self, newness: Newness) -> String {
        cursor::encode(&EventId::new(
            self.listening.user(),
            self.streams.incarnation,
            newness,
        ))
    }
}

fn event(name: &'static str, id: &str, data: &impl serde::Serialize) -> Event {
    Event::Message(Message {
        id: Some(id.into()),
        event: Some(name.into()),
        data: serde_json::to_string(data).unwrap_or_default().into(),
        retry: None,
    })
}

fn encoded<const N: usize>(events: [Event; N]) -> String {
    let encoded = events.map(|event| event.into_bytestring().unwrap_or_default());
    encoded.iter().map(|text| &**text).collect()
}
