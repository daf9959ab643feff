use std::sync::Arc;

use super::{
    Connection, End, Error, Mode, Open, Parts, Receiver, Side, SqliteStore, receiver_name,
};
use crate::receiver::{ConsumerParts, ConsumerTask, ParkedTask, ReceivingService, SweepTask};

/// A receiver that takes from the broker. What comes by HTTP it is given by a handler of the service's own server, which answers with
/// [`intake::answer`](crate::transport::http::intake::answer).
pub struct ReceivingEnd<A: ReceivingService<Connection>> {
    /// What takes events in, for the handler. Cheap to clone.
    pub receiver: Receiver<SqliteStore, A>,
    end: End,
}

impl Open {
    /// Opens it as a receiver. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is missing, in a sentence.
    pub async fn receive<A: ReceivingService<Connection>>(
        self,
        own: A,
    ) -> Result<ReceivingEnd<A>, Error> {
        let name = receiver_name(&self.name)?;
        let (mut end, parts, _) = self.open(Side::Receives).await?;
        let Parts {
            store,
            states,
            brokers,
            observer,
            clock,
            rules,
        } = parts;
        let (own, delivery) = (Arc::new(own), states.clone());
        let receiver = Receiver::new(store, own, name, rules, clock, delivery, observer.clone());
        let consumer = ConsumerTask::new(ConsumerParts {
            receiver: receiver.clone(),
            broker: Arc::new(brokers),
            settings: states,
            observer,
        });
        let stop = &end.stop;
        let tasks = &mut end.tasks;
        tasks.spawn(consumer.run(stop.clone()));
        tasks.spawn(ParkedTask::new(receiver.clone()).run(stop.clone()));
        tasks.spawn(SweepTask::new(receiver.clone()).run(stop.clone()));
        Ok(ReceivingEnd { receiver, end })
    }
}

impl<A: ReceivingService<Connection>> ReceivingEnd<A> {
    /// The store, for the service's own reads.
    pub fn store(&self) -> &SqliteStore {
        self.receiver.store()
    }

    /// Waits until it follows a Channel that is in this mode.
    pub async fn follows(&self, mode: Mode) {
        self.end.follows(mode).await;
    }

    /// Finishes what is under way, and closes the store.
    pub async fn close(self) {
        drop(self.receiver);
        self.end.close().await;
    }
}
