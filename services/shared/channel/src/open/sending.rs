use std::collections::BTreeMap;
use std::sync::Arc;

use duet_protocol::event::TraceContext;
use duet_protocol::sender::Timing;

use super::{Connection, End, Error, Key, Mode, Open, Parts, Side, SqliteStore, receiver_name};
use crate::sender::{self, Reply, SendError, Sender, SenderTask, SendingService};
use crate::transport::Call;
use crate::transport::http::HttpCall;

/// A sender.
pub struct SendingEnd<V: SendingService<Connection>> {
    /// What request handlers hold. Cheap to clone.
    pub sender: Sender<SqliteStore, V>,
    end: End,
}

impl Open {
    /// Opens it as a sender to these receivers: each by its name in the Channel document, and the base URL of where it takes events.
    /// Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is missing, in a sentence.
    pub async fn send<V: SendingService<Connection>>(
        self,
        receivers: &[(&str, &str)],
        own: V,
    ) -> Result<SendingEnd<V>, Error> {
        let names = receivers.iter().map(|(name, _)| receiver_name(name));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let (mut end, parts, committed) = self.open(Side::Sends).await?;
        let Parts {
            store,
            states,
            brokers,
            observer,
            clock,
            rules,
        } = parts;
        let mut calls = BTreeMap::<_, Arc<dyn Call>>::new();
        for (name, (_, url)) in names.into_iter().zip(receivers) {
            calls.insert(name, Arc::new(HttpCall::new(url, observer.clone())?));
        }
        let (sender, task) = SenderTask::new(sender::Parts {
            store,
            committed,
            service: Arc::new(own),
            settings: states,
            calls: Box::new(move |name| calls.get(name).cloned()),
            broker: brokers.publishing(),
            observer,
            timing: Timing::default(),
            rules,
            clock,
        })
        .await?;
        end.tasks.spawn(task.run(end.stop.clone()));
        Ok(SendingEnd { sender, end })
    }
}

impl<V: SendingService<Connection>> SendingEnd<V> {
    /// Accepts a change of a key's value, outside of any trace, and answers as the mode says: see [`Sender::request`].
    ///
    /// # Errors
    /// [`SendError`], which says what was written.
    pub async fn request(
        &self,
        key: Key,
        value: Option<V::Value>,
    ) -> Result<Reply, SendError<V::Refusal>> {
        self.sender
            .request(key, value, TraceContext::default())
            .await
    }

    /// Waits until it follows a Channel that is in this mode.
    pub async fn follows(&self, mode: Mode) {
        self.end.follows(mode).await;
    }

    /// Finishes what is under way, and closes the store. What is not delivered yet is once it is opened again.
    pub async fn close(self) {
        drop(self.sender);
        self.end.close().await;
    }
}
