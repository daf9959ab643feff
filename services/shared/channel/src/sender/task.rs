//! The task that owns the sender's machine and everything that is under way for it.
//!
//! It carries and decides nothing: what comes in is handed to the machine, what the machine wants done is started as a task of its own,
//! and each task's end is an input again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use duet_protocol::accept::{Compensated, Dispatch};
use duet_protocol::event::{Event, EventId};
use duet_protocol::membership::{self, Changed, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::{Health, HelloAnswer, Recorded};
use duet_protocol::resync::Stage;
use duet_protocol::rules::Rules;
use duet_protocol::sender::{
    Backlog, HelloId, Load, Path, Policy, Sender as Machine, Standing, Timing, Transmission,
};
use duet_protocol::sequence::Epoch;
use duet_protocol::settings::Settings;
use duet_protocol::unrecorded::Unrecorded;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::broker::{self, Broker, MakeBroker};
use super::counted::Counted;
use super::observe::Told;
use super::resync::Announcing;
use super::transmit::Carried;
use super::{Sender, SendingService, SharedCalls, lock};
use crate::clock::Clock;
use crate::failing::{Failing, Reason};
use crate::settings::SettingsState;
use crate::store::{Committed, CommittedGroup, ReceiverStanding, Store, StoreError};
use crate::strikes::{self, Strikes};
use crate::transport::spans::Observer;
use crate::transport::{Call, Feedback};
use crate::waiters::Waiters;

/// Makes what calls a receiver, of its name in the Channel; `None` where this process has no address for it.
pub type MakeCall = Box<dyn Fn(&ReceiverName) -> Option<Arc<dyn Call>> + Send + Sync>;

/// What a sender is made of.
pub struct Parts<S: Store, V: SendingService<S::Connection>> {
    /// The store, open.
    pub store: S,
    /// What it commits, from its opening on.
    pub committed: mpsc::UnboundedReceiver<CommittedGroup>,
    /// The service.
    pub service: Arc<V>,
    /// The settings in force, followed.
    pub settings: watch::Receiver<SettingsState>,
    /// How to call each receiver.
    pub calls: MakeCall,
    /// How to reach the broker.
    pub broker: MakeBroker,
    /// Where it tells what it does.
    pub observer: Observer,
    /// The times by which it waits.
    pub timing: Timing,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// The process's clock.
    pub clock: Clock,
}

/// How a task under way ended.
pub(super) enum Done {
    Transmitted(Transmission, Carried),
    Recorded(Result<Vec<(ReceiverName, Recorded)>, StoreError>),
    Compensated(EventId, Option<Compensated>),
    Loaded(Load, Vec<Event>),
    Backlog(ReceiverName, Backlog),
    /// The way took the question; the answer comes as feedback, or came already.
    Asked(HelloId, Option<HelloAnswer>),
    NotAsked(ReceiverName, HelloId),
    Judged(ReceiverName, HelloId, Option<(Health, Vec<Recorded>)>),
    /// Rows were told anew.
    Announced(Result<Option<Stage>, StoreError>),
    /// The store has the receivers that the settings name.
    Followed(Result<(), StoreError>),
}

/// See the module.
pub struct SenderTask<S: Store, V: SendingService<S::Connection>> {
    pub(super) machine: Machine,
    pub(super) store: S,
    committed: mpsc::UnboundedReceiver<CommittedGroup>,
    pub(super) service: Arc<V>,
    pub(super) settings: watch::Receiver<SettingsState>,
    pub(super) pending: SharedCalls<V::Value>,
    make_call: MakeCall,
    /// Of those who receive, those that there is an address of.
    pub(super) calls: BTreeMap<ReceiverName, Arc<dyn Call>>,
    /// Who receives: what was committed, not what the settings have said since.
    receivers: BTreeSet<ReceiverName>,
    /// The store could not follow the settings: it is asked again.
    is_behind: bool,
    pub(super) broker: Broker,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Clock,
    questions: mpsc::Receiver<oneshot::Sender<Standing>>,
    pub(super) receipts: Unrecorded,
    pub(super) answers: VecDeque<(HelloId, HelloAnswer)>,
    pub(super) recording: bool,
    pub(super) announcing: Announcing,
    pub(super) told: Told,
    failing: watch::Sender<BTreeMap<ReceiverName, Failing>>,
    pub(super) counted: Arc<Counted>,
    waiters: Waiters,
    strikes: Strikes,
    pub(super) tasks: JoinSet<Done>,
}

/// How many hellos' answers wait; more are dropped, and those hellos said again.
const MAX_ANSWERS: usize = 16;
/// How many events are taken in before the machine is polled again.
const AT_ONCE: usize = 64;

impl<S: Store, V: SendingService<S::Connection>> SenderTask<S, V> {
    /// Makes the task, and the handle for those who send.
    ///
    /// # Errors
    /// Those of the store, from which it reads how the outbox stands.
    pub async fn new(parts: Parts<S, V>) -> Result<(Sender<S, V>, Self), StoreError> {
        let Parts {
            store,
            committed,
            service,
            settings,
            calls: make_call,
            broker,
            observer,
            timing,
            rules,
            clock,
        } = parts;
        let identity = store.identity();
        let standing = store.outbox().await?;
        let process = standing
            .sources
            .iter()
            .map(|(source, _)| source.epoch)
            .max()
            .unwrap_or(Epoch::ZERO);
        let mut broker = Broker::new(broker, identity.store);
        let current = settings.borrow().settings().cloned();
        let receivers = standing.receivers.iter().map(|known| known.name.clone());
        let receivers: BTreeSet<_> = receivers.collect();
        broker.configure(current.as_deref(), &receivers).await;
        let calls = calls_of(&make_call, &receivers);
        let policy = policy(current.as_deref(), &calls, &broker);
        let mut machine = Machine::new(
            rules.clone(),
            timing,
            policy,
            process,
            process.0 ^ identity.store.0,
        );
        for (source, state) in &standing.sources {
            machine.source_opened(*source, *state);
        }
        for ReceiverStanding {
            name,
            incarnation,
            begin,
            marks,
        } in &standing.receivers
        {
            machine.receiver_known(name.clone(), *incarnation, begin, marks, clock.now());
        }
        let mut announcing = Announcing::Nothing;
        if let Some((resync, stage)) = &standing.resync {
            machine.resync_known(resync, *stage);
            if *stage == Stage::Announcing {
                announcing = Announcing::Next;
            }
        }
        let (questions, questions_in) = mpsc::channel(8);
        let pending = SharedCalls::<V::Value>::default();
        let failing = watch::Sender::default();
        let counted = Arc::<Counted>::default();
        let waiters = Waiters::default();
        let handle = Sender {
            store: store.clone(),
            service: service.clone(),
            settings: settings.clone(),
            calls: pending.clone(),
            rules: rules.clone(),
            clock,
            questions,
            failing: failing.subscribe(),
            counted: counted.clone(),
            waiters: waiters.clone(),
        };
        let task = SenderTask {
            machine,
            store,
            committed,
            service,
            settings,
            pending,
            make_call,
            calls,
            receivers,
            is_behind: true,
            broker,
            rules,
            clock,
            questions: questions_in,
            receipts: Unrecorded::default(),
            answers: VecDeque::new(),
            recording: false,
            announcing,
            failing,
            counted,
            waiters,
            strikes: Strikes::new(observer.instruments.clone()),
            told: Told::new(observer),
            tasks: JoinSet::new(),
        };
        Ok((handle, task))
    }

    /// Runs until it is told to stop and every call is answered. What is in the outbox stays there. It ends earlier only if a part of
    /// it panicked.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut settings_end = false;
        let mut strikes_due = tokio::time::interval(strikes::EVERY);
        loop {
            let stopping = stop.is_cancelled();
            self.do_what_is_due(stopping);
            // What else is under way, nobody waits for: it is durable, and sent again by the next process.
            if stopping && self.machine.standing().calls == 0 && !self.recording {
                return;
            }
            let wake = self
                .machine
                .wake_at()
                .map(|at| self.clock.instant(at).into());
            let wake_up = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(group) = self.committed.recv() => self.take_committed(group).await,
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Ok(done) => self.take_done(done),
                    // What the machine waits for is lost: whoever owns this task starts anew, from what is durable.
                    Err(error) => {
                        tracing::error!(%error, "a task of the sender's failed");
                        return;
                    }
                },
                feedback = self.broker.feedback() => self.take_feedback(feedback).await,
                changed = self.settings.changed(), if !settings_end => match changed {
                    Ok(()) => self.configure().await,
                    Err(_) => settings_end = true,
                },
                Some(answer) = self.questions.recv() => self.tell(answer).await,
                () = stop.cancelled(), if !stopping => {}
                () = wake_up => {}
                _ = strikes_due.tick() => {
                    self.strikes.tell(&self.rules);
                    if self.announcing == Announcing::Failed {
                        self.announcing = Announcing::Next;
                    }
                    if self.is_behind && !stopping {
                        self.follow();
                    }
                }
            }
        }
    }

    async fn configure(&mut self) {
        self.settings.mark_unchanged();
        self.follow();
        self.reach().await;
    }

    /// Has the store follow the settings, though nothing is accepted.
    fn follow(&mut self) {
        let (store, settings) = (self.store.clone(), self.settings.clone());
        let (rules, clock) = (self.rules.clone(), self.clock);
        self.is_behind = false;
        self.tasks.spawn(async move {
            let job = move |tx: &mut S::Tx<'_>| {
                let settings = settings.borrow().settings().cloned();
                settings.map_or(Ok(()), |settings| follow(tx, &settings, clock, &rules))
            };
            Done::Followed(store.write(job).await)
        });
    }

    /// Makes what the settings and those who receive ask for.
    async fn reach(&mut self) {
        let current = self.settings.borrow().settings().cloned();
        let current = current.as_deref();
        self.broker.configure(current, &self.receivers).await;
        self.calls.retain(|name, _| self.receivers.contains(name));
        let is_new = |name: &&ReceiverName| !self.calls.contains_key(*name);
        let new = self.receivers.iter().filter(is_new).cloned().collect();
        self.calls.extend(calls_of(&self.make_call, &new));
        let policy = policy(current, &self.calls, &self.broker);
        self.machine.configure(policy, self.clock.now());
    }

    async fn take_committed(&mut self, group: CommittedGroup) {
        let mut groups = vec![group];
        while groups.len() < AT_ONCE
            && let Ok(group) = self.committed.try_recv()
        {
            groups.push(group);
        }
        let now = self.clock.now();
        groups
            .iter()
            .for_each(|group| self.told.committed(group, now));
        let mut changed = false;
        for CommittedGroup {
            mut events,
            changes,
            ..
        } in groups
        {
            let mut taken = 0;
            for (at, change) in changes {
                let later = events.split_off(at.saturating_sub(taken).min(events.len()));
                taken = at;
                self.machine.committed(in_order(events), now);
                events = later;
                self.receivers_changed(&change);
                changed = true;
            }
            self.machine.committed(in_order(events), now);
        }
        if changed {
            self.reach().await;
        }
    }

    fn receivers_changed(&mut self, change: &Changed) {
        for name in &change.left {
            tracing::info!(receiver = %name, "a receiver left");
            self.receivers.remove(name);
            self.failing
                .send_if_modified(|failing| failing.remove(name).is_some());
        }
        for name in &change.joined {
            tracing::info!(receiver = %name, "a receiver joined: it is sent what is accepted from now on");
            self.receivers.insert(name.clone());
        }
        if change.resync {
            tracing::info!("a resync begins: every row is told anew");
            self.announcing = Announcing::Next;
        }
        self.machine.receivers_changed(change, self.clock.now());
        let is_over = |id: EventId| self.machine.is_received(id) || change.overtook(id.source);
        lock(&self.pending).cover_where(is_over);
        self.wake_received();
    }

    fn wake_received(&self) {
        let waited_for = self.waiters.all().into_iter();
        self.waiters
            .wake(waited_for.filter(|event| self.machine.is_received(*event)));
    }

    /// What is committed is taken in first: who asks after its change was accepted finds it counted.
    async fn tell(&mut self, answer: oneshot::Sender<Standing>) {
        while let Ok(group) = self.committed.try_recv() {
            self.take_committed(group).await;
        }
        // Who asked may be gone.
        let _ = answer.send(self.machine.standing());
    }

    async fn take_feedback(&mut self, feedback: Feedback) {
        let now = self.clock.now();
        match feedback {
            Feedback::Connected => {
                self.machine.reconnected(Path::Broker, now);
                self.reach().await; // what a message may carry, the server says when it is connected to
            }
            Feedback::Receipts(receipts) => self.receipts.add(receipts),
            Feedback::Hello(id, answer) => self.judge(id, answer),
        }
    }

    /// Judged when nothing is being recorded: the machine hears of both in the order of their commits.
    fn judge(&mut self, id: HelloId, answer: HelloAnswer) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back((id, answer));
        }
    }

    fn take_done(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::Transmitted(transmission, carried) => {
                let receiver = &transmission.receiver;
                self.tell_whether_failing(receiver, carried.failed);
                self.machine
                    .transmitted(receiver, transmission.id, carried.sent, now);
                self.receipts.add(carried.receipts);
            }
            Done::Recorded(recorded) => {
                self.recording = false;
                match recorded {
                    Ok(recorded) => recorded
                        .iter()
                        .for_each(|(receiver, recorded)| self.take_recorded(receiver, recorded)),
                    Err(error) => {
                        tracing::warn!(%error, "receipts could not be recorded; they come again")
                    }
                }
            }
            Done::Compensated(id, compensated) => self.machine.compensated(id, compensated, now),
            Done::Loaded(load, events) => self.machine.loaded(load, events, now),
            Done::Backlog(receiver, backlog) => self.machine.backlog(&receiver, backlog, now),
            Done::Asked(id, Some(answer)) => self.judge(id, answer),
            Done::Announced(announced) => self.announced(announced),
            Done::Followed(Ok(())) => {}
            Done::Followed(Err(error)) => {
                self.is_behind = true;
                tracing::warn!(%error, "who receives could not be recorded; trying again");
            }
            Done::Asked(_, None) => {}
            Done::NotAsked(receiver, id) => {
                tracing::debug!(%receiver, ?id, "a hello could not be said; it is said again")
            }
            Done::Judged(receiver, id, judged) => {
                self.recording = false;
                let health = judged.as_ref().map(|(health, _)| *health);
                let is_well = |health: &Health| matches!(health, Health::Sound | Health::Resyncing);
                if let Some(health) = health.filter(|health| !is_well(health)) {
                    tracing::error!(%receiver, ?health, "the two stores do not fit: one was restored or lost");
                }
                for recorded in judged.iter().flat_map(|(_, recorded)| recorded) {
                    self.take_recorded(&receiver, recorded);
                }
                self.machine.judged(&receiver, id, health, now);
            }
        }
    }

    /// Whichever way something got through to a receiver, what failed before is over.
    fn tell_whether_failing(&self, receiver: &ReceiverName, failed: Option<(Reason, Arc<str>)>) {
        if !self.receivers.contains(receiver) {
            return; // it has left
        }
        let wall = self.clock.wall();
        self.failing.send_if_modified(|failing| {
            let Some(failed) = failed else {
                let over = failing.remove(receiver);
                if over.is_some() {
                    tracing::info!(%receiver, "events get through again");
                }
                return over.is_some();
            };
            let (now, is_news) = Failing::after(failing.get(receiver), wall, failed);
            if is_news {
                let (reason, cause) = (now.reason.as_str(), &now.cause);
                tracing::warn!(%receiver, reason, %cause, "events do not get through; they are kept");
                failing.insert(receiver.clone(), now);
            }
            is_news
        });
    }

    fn take_recorded(&mut self, receiver: &ReceiverName, recorded: &Recorded) {
        let now = self.clock.now();
        let was_resyncing = self.machine.is_resyncing();
        self.machine.recorded(receiver, recorded, now);
        if was_resyncing && !self.machine.is_resyncing() {
            tracing::info!("the resync is done: every receiver holds what this store holds");
            self.wake_received();
        }
        for (source, mark) in &recorded.marks {
            self.told.received(receiver, *source, mark, now);
            let waited_for = self.waiters.of_source(*source).into_iter();
            self.waiters
                .wake(waited_for.filter(|event| self.machine.is_received(*event)));
        }
    }
}

/// Who receives becomes whom the settings name, in the transaction that an event is accepted in or in one of its own.
pub(super) fn follow<T: OutboxTables<Error = StoreError>>(
    tx: &mut T,
    settings: &Settings,
    clock: Clock,
    rules: &Rules,
) -> Result<(), StoreError> {
    let new = || NewEpochs {
        wall: clock.wall(),
        random: rand::random(),
        generation: settings.generation,
    };
    membership::follow(tx, &settings.to, new, rules).map(drop)
}

fn in_order(events: Vec<Committed>) -> impl Iterator<Item = (Arc<Event>, Dispatch)> {
    let pair = |committed: Committed| (committed.event, committed.dispatch);
    events.into_iter().map(pair)
}

fn calls_of(
    make: &MakeCall,
    receivers: &BTreeSet<ReceiverName>,
) -> BTreeMap<ReceiverName, Arc<dyn Call>> {
    let call = |name: &ReceiverName| Some((name.clone(), make(name)?));
    receivers.iter().filter_map(call).collect()
}

fn policy(
    settings: Option<&Settings>,
    calls: &BTreeMap<ReceiverName, Arc<dyn Call>>,
    broker: &Broker,
) -> Policy {
    let call = broker::least(calls.values().map(|call| call.limits()));
    match settings {
        Some(settings) => Policy::new(settings, call, broker.capacity()),
        None => Policy::idle(call),
    }
}
