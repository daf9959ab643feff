//! The task that takes messages from a broker, and tells receipts over it.

mod standing;
mod take;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{Settings, TransportSettings};
use duet_protocol::time::Timestamp;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use standing::ConsumerStanding;
use take::Watched;

use super::{Receiver, ReceivingService};
use crate::settings::SettingsState;
use crate::store::{Store, StoreError};
use crate::transport::spans::Observer;
use crate::transport::{
    Consume, ConsumeError, Feedback, Holder, Incoming, Position, ProvisionError, Provisioned,
    Trouble,
};

/// What the consumer's task needs of a broker.
#[async_trait]
pub trait BrokerSide: Send + Sync + 'static {
    /// Makes a receiver's consuming half from its settings; `None` where this process has no broker to go to.
    fn consumer(
        &self,
        settings: &TransportSettings,
        receiver: &ReceiverName,
    ) -> Option<Box<dyn Consume>>;
    /// Makes what the broker needs, if that is this process's to do. Takes nothing away.
    async fn provision(&self, settings: &Settings) -> Result<Provisioned, ProvisionError>;
    /// Takes away what the broker has for receivers that the Channel has no more, if that is this process's to do.
    async fn tidy(&self, settings: &Settings) -> Result<Provisioned, ProvisionError>;
    /// How often what the broker has is to be looked after; `None` where that is not this process's to do.
    fn looks_every(&self) -> Option<Duration>;
    /// Takes away what the broker has for a receiver, if that is this process's to do: provisioning makes it anew, and what was in it
    /// is sent again.
    async fn take_away(
        &self,
        settings: &Settings,
        receiver: &ReceiverName,
    ) -> Result<(), ProvisionError>;
}

/// What the task is made of.
pub struct ConsumerParts<S: Store, A: ReceivingService<S::Connection>> {
    /// The receiver.
    pub receiver: Receiver<S, A>,
    /// The broker.
    pub broker: Arc<dyn BrokerSide>,
    /// The settings in force, followed.
    pub settings: watch::Receiver<SettingsState>,
    /// Where it tells what it does.
    pub observer: Observer,
}

/// See the module.
pub struct ConsumerTask<S: Store, A: ReceivingService<S::Connection>> {
    parts: ConsumerParts<S, A>,
    standing: watch::Sender<ConsumerStanding>,
    tried: Tried,
}

/// What was tried so far.
#[derive(Debug)]
struct Tried {
    /// How long the next failure is rested after.
    rest: Duration,
    /// How often in a row the consumer was begun anew for being deaf, and gave nothing.
    deaf: u32,
    /// The settings, or this process, are new: what is made at the broker is no correction.
    is_new: bool,
    /// The position that belongs to no stream any more, as was told already.
    noticed: Option<Position>,
}

impl Tried {
    fn nothing() -> Self {
        Tried {
            rest: REST,
            deaf: 0,
            is_new: true,
            noticed: None,
        }
    }
}

/// The first wait after a failure; doubles up to [`REST_MAX`].
const REST: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(2);

/// How long settings stand before anything is taken away by them. [Receivers that share a laptop see a change at different moments: one
/// that is late would remove what another has just made, and the messages in it with it.]
const TIDY: Duration = Duration::from_secs(2);

/// Why the consumer stopped consuming.
enum Stopped {
    Stop,
    SettingsChanged,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store, A: ReceivingService<S::Connection>> ConsumerTask<S, A> {
    /// The task for a receiver and its broker.
    pub fn new(parts: ConsumerParts<S, A>) -> Self {
        ConsumerTask {
            parts,
            standing: watch::Sender::default(),
            tried: Tried::nothing(),
        }
    }

    /// How it stands.
    pub fn standing(&self) -> watch::Receiver<ConsumerStanding> {
        self.standing.subscribe()
    }

    /// Runs until it is told to stop; then finishes what it took, gives the rest back, and tells its last receipts.
    ///
    /// It goes on consuming what the broker holds in either mode: a switch converts nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let current = self.parts.settings.borrow_and_update().settings().cloned();
            let transport = current
                .as_ref()
                .and_then(|settings| settings.r#async.as_ref());
            let name = &self.parts.receiver.0.name;
            let is_named = |settings: &&Arc<Settings>| settings.to.contains(name);
            let consumer = current.as_ref().filter(is_named).and(transport);
            let consumer =
                consumer.and_then(|settings| self.parts.broker.consumer(&settings.transport, name));
            let (Some(settings), Some(mut consumer)) = (current.clone(), consumer) else {
                self.standing.send_modify(ConsumerStanding::idles);
                let is_none = current.filter(|settings| !is_named(&settings));
                let takes_leave = takes_leave(self.parts.broker.clone(), is_none);
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = self.parts.settings.changed() => if changed.is_err() { return },
                    () = takes_leave => {}
                }
                continue;
            };
            match self.consume(&settings, &mut *consumer, &stop).await {
                Ok(Stopped::Stop) => return,
                Ok(Stopped::SettingsChanged) => self.tried = Tried::nothing(),
                Err(error) => {
                    self.failed(&error);
                    // Else what was taken would come again only after the consumer's AckWait.
                    consumer.release().await;
                    let again = async {
                        self.begin_anew(&error, &settings).await;
                        // It stays full until some of it is applied, redriven or discarded.
                        if matches!(error, Failed::Store(StoreError::ParkedFull)) {
                            self.tried.rest = REST_MAX;
                        }
                        tokio::time::sleep(self.tried.rest).await;
                        self.tried.rest = (self.tried.rest * 2).min(REST_MAX);
                    };
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = again => {}
                    }
                }
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.receiver.0.clock.wall()
    }

    fn failed(&self, error: &Failed) {
        let now = self.now();
        self.standing
            .send_modify(|standing| standing.failed(error, now));
        if let Failed::Consume(ConsumeError::Trouble(trouble)) = error {
            self.rebuilt(*trouble);
        }
    }

    /// Counted: what the watchdog finds begins anew.
    fn rebuilt(&self, trouble: Trouble) {
        let (now, word) = (self.now(), trouble.word());
        tracing::warn!(%trouble, "consuming begins anew");
        self.parts.observer.instruments.consumer_rebuilt(word);
        self.standing
            .send_modify(|standing| standing.rebuilt(trouble, now));
    }

    /// A consumer that stays deaf to a new question is made anew in the broker as well.
    async fn begin_anew(&mut self, error: &Failed, settings: &Settings) {
        const QUESTIONS: u32 = 1;
        let Failed::Consume(ConsumeError::Trouble(Trouble::Deaf)) = error else {
            return;
        };
        self.tried.deaf += 1;
        if self.tried.deaf <= QUESTIONS {
            return;
        }
        let (broker, name) = (&self.parts.broker, &self.parts.receiver.0.name);
        match broker.take_away(settings, name).await {
            Ok(()) => tracing::warn!("the consumer is made anew: it stayed deaf"),
            Err(error) => tracing::warn!(%error, "the consumer stays deaf, and can't be made anew"),
        }
    }

    /// What was done at the broker is a correction, unless it was to be done.
    fn provisioned(&mut self, provisioned: &Provisioned) {
        tell_steps(provisioned);
        let is_new = std::mem::take(&mut self.tried.is_new);
        if !is_new && !provisioned.steps.0.is_empty() {
            let (steps, now) = (&provisioned.steps, self.now());
            self.standing
                .send_modify(|standing| standing.corrected(steps, now));
        }
    }

    async fn consume(
        &mut self,
        settings: &Arc<Settings>,
        consumer: &mut dyn Consume,
        stop: &CancellationToken,
    ) -> Result<Stopped, Failed> {
        let provisioned = tokio::select! {
            () = stop.cancelled() => return Ok(Stopped::Stop),
            provisioned = self.parts.broker.provision(settings) => provisioned?,
        };
        self.provisioned(&provisioned);
        let mut holders = provisioned.holders;
        let path = consumer.path();
        let position = self.parts.receiver.0.store.position(&path).await?;
        let trouble = consumer.start(position.clone()).await?;
        if let Some(trouble) = trouble.filter(|_| self.tried.noticed != position) {
            self.tried.noticed = position;
            self.rebuilt(trouble);
        }
        self.tried.rest = REST;
        let receiver = self.parts.receiver.clone();
        receiver.tell_all(consumer).await?;
        self.standing.send_modify(ConsumerStanding::consumes);
        let mut looks = looks(self.parts.broker.clone(), settings.clone());
        let watched = Watched::new(&self.parts.observer, settings);
        let mut asked = SystemTime::now();
        let tidy = tokio::time::sleep(TIDY);
        tokio::pin!(tidy);
        let mut is_tidy = false;
        loop {
            tokio::select! {
                // What has changed comes before what is due: nothing is taken away by settings of before.
                biased;
                () = stop.cancelled() => {
                    consumer.release().await;
                    receiver.tell_all(consumer).await?;
                    return Ok(Stopped::Stop);
                }
                changed = self.parts.settings.changed() => {
                    let now = self.parts.settings.borrow().settings().cloned();
                    if changed.is_err() || now.is_some_and(|now| now.r#async != settings.r#async || now.to != settings.to) {
                        consumer.release().await;
                        return Ok(Stopped::SettingsChanged);
                    }
                }
                () = receiver.receipts_due() => receiver.tell_due(consumer).await?,
                () = receiver.0.advanced.notified() => {}
                () = &mut tidy, if !is_tidy => {
                    // What was put right and what is taken away are told apart.
                    let looked = self.parts.broker.provision(settings).await;
                    self.looked(looked, &mut holders);
                    is_tidy = tidied(&*self.parts.broker, settings).await;
                    tidy.as_mut().reset(tokio::time::Instant::now() + TIDY);
                }
                Some(looked) = looks.next() => self.looked(looked, &mut holders),
                incoming = consumer.next() => match incoming? {
                    Incoming::Messages(consumed) => {
                        self.tried.deaf = 0;
                        receiver.take(consumer, consumed, &watched, asked).await?;
                        asked = SystemTime::now();
                    }
                    Incoming::Hello(id, store) => {
                        let answer = receiver.hello(store).await?;
                        consumer.tell(store, &Feedback::Hello(id, answer)).await?;
                    }
                },
            }
        }
    }

    /// The broker was looked after while it is consumed from. What strangers keep is told if they keep it from one look to the next.
    fn looked(&mut self, looked: Result<Provisioned, ProvisionError>, before: &mut Vec<Holder>) {
        let now = self.now();
        let (keep, error) = match looked {
            Ok(provisioned) => {
                self.provisioned(&provisioned);
                let keeps = |holder: &&Holder| before.iter().any(|before| holder.keeps(before));
                let keep = provisioned.holders.iter().filter(keeps).cloned().collect();
                *before = provisioned.holders;
                (keep, None)
            }
            Err(error) => (Vec::new(), Some(error)),
        };
        let standing = &self.standing;
        standing.send_modify(|standing| standing.looked(&keep, error.as_ref(), now));
    }
}

/// It is no receiver of the Channel's, or not any more: what the broker has for it goes, if that is this process's to do. Waits for ever
/// then, or at once if there is nothing to leave.
async fn takes_leave(broker: Arc<dyn BrokerSide>, left: Option<Arc<Settings>>) {
    if let Some(settings) = left {
        tokio::time::sleep(TIDY).await;
        // Whoever is a receiver does the same.
        tidied(&*broker, &settings).await;
    }
    std::future::pending().await
}

/// Whether it is.
async fn tidied(broker: &dyn BrokerSide, settings: &Settings) -> bool {
    let tidied = broker.tidy(settings).await;
    match &tidied {
        Ok(provisioned) => tell_steps(provisioned),
        Err(error) => {
            tracing::debug!(%error, "what the broker has for others is not taken away yet")
        }
    }
    tidied.is_ok()
}

fn tell_steps(provisioned: &Provisioned) {
    for step in &provisioned.steps.0 {
        tracing::info!(step, "provisioned");
    }
}

/// Looks after what the broker has, again and again; a look goes on where it was left.
fn looks(
    broker: Arc<dyn BrokerSide>,
    settings: Arc<Settings>,
) -> BoxStream<'static, Result<Provisioned, ProvisionError>> {
    let Some(every) = broker.looks_every() else {
        return stream::pending().boxed();
    };
    stream::repeat(())
        .then(move |()| {
            let (broker, settings) = (broker.clone(), settings.clone());
            async move {
                tokio::time::sleep(every).await;
                broker.provision(&settings).await
            }
        })
        .boxed()
}
