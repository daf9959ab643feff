//! What the sender's machine wants done, started: each as a task whose end is an input again.

use std::time::Duration;

use duet_protocol::accept::Accepting;
use duet_protocol::event::EventId;
use duet_protocol::sender::{Answer, Attempt, Backlog, CallStep, Path, SayHello, Transmission};
use duet_telemetry::names::span;

use super::record::{judge, record};
use super::task::{Done, SenderTask, follow};
use super::transmit::transmit;
use super::{SendingService, lock};
use crate::store::{Store, Transaction};
use crate::told::Wakes;
use crate::transport::CallError;
use crate::transport::spans::{context, is_sampled};

/// How long a hello over a call may take.
const HELLO_PATIENCE: Duration = Duration::from_secs(3);

impl<S: Store, V: SendingService<S::Connection>> SenderTask<S, V> {
    pub(super) fn do_what_is_due(&mut self, stopping: bool) {
        let now = self.clock.now();
        self.machine.scan(now);
        let mut answers = Vec::new();
        while let Some((id, step)) = self.machine.poll_call(now) {
            match step {
                CallStep::Compensate => self.compensate(id),
                CallStep::Answer(answer) => answers.push((id, answer)),
            }
        }
        if !answers.is_empty() {
            self.answer(answers);
        }
        while (!stopping || self.machine.standing().calls > 0)
            && let Some(transmission) = self.machine.poll_transmit(now)
        {
            self.transmit(transmission);
        }
        while let Some(repair) = self.machine.poll_repair() {
            self.told.repaired(&repair);
            self.counted.repaired(&repair, self.clock.wall());
        }
        if !self.recording {
            self.record();
        }
        if stopping {
            return;
        }
        self.announce();
        while let Some(load) = self.machine.poll_load() {
            let store = self.store.clone();
            self.tasks.spawn(async move {
                let read = store.events(load.source, load.after, load.limit).await;
                Done::Loaded(
                    load,
                    read.inspect_err(
                        |error| tracing::warn!(%error, "the outbox could not be read"),
                    )
                    .unwrap_or_default(),
                )
            });
        }
        while let Some(receiver) = self.machine.poll_backlog(now) {
            let broker = self.broker.publish(&receiver);
            self.tasks.spawn(async move {
                let backlog = match broker {
                    Some(broker) => broker.backlog().await,
                    None => Backlog::Unknown,
                };
                Done::Backlog(receiver, backlog)
            });
        }
        while let Some(hello) = self.machine.poll_hello(now) {
            self.say_hello(hello);
        }
    }

    /// One at a time: what waits is coalesced meanwhile.
    fn record(&mut self) {
        let (store, calls, rules) = (self.store.clone(), self.pending.clone(), self.rules.clone());
        while let Some((id, answer)) = self.answers.pop_front() {
            let receiver = answer.receiver.clone();
            let Some(asked) = self.machine.asked(&receiver, id) else {
                continue;
            };
            self.recording = true;
            let judging = judge(store, calls, rules, asked, answer);
            self.tasks.spawn(async move {
                let judged = judging.await.inspect_err(
                    |error| tracing::warn!(%error, "a hello's answer could not be judged"),
                );
                Done::Judged(receiver, id, judged.ok().flatten())
            });
            return;
        }
        if let Some(receipts) = self.receipts.take() {
            self.recording = true;
            let recording = record(store, calls, rules, receipts);
            self.tasks.spawn(async { Done::Recorded(recording.await) });
        }
    }

    fn transmit(&mut self, transmission: Transmission) {
        let call = self.calls.get(&transmission.receiver).cloned();
        let broker = self.broker.publish(&transmission.receiver);
        let again = |(_, attempt): &&(_, Attempt)| *attempt == Attempt::Again;
        let again = transmission.events.iter().filter(again).count();
        self.counted.sent_again(again);
        let wall = self.clock.wall();
        self.tasks.spawn(async move {
            let carried = transmit(call, broker, &transmission, wall).await;
            Done::Transmitted(transmission, carried)
        });
    }

    fn say_hello(&mut self, hello: SayHello) {
        let SayHello { id, receiver, path } = hello;
        let store = self.store.identity().store;
        let (call, broker) = (
            self.calls.get(&receiver).cloned(),
            self.broker.publish(&receiver),
        );
        self.tasks.spawn(async move {
            let asked = match (path, call, broker) {
                (Path::Broker, _, Some(broker)) => broker
                    .hello(id, store)
                    .await
                    .map(|()| None)
                    .map_err(|error| error.to_string()),
                (_, Some(call), _) => call
                    .hello(store, HELLO_PATIENCE)
                    .await
                    .map(Some)
                    .map_err(|error: CallError| error.to_string()),
                _ => Err("there is no way to the receiver".to_owned()),
            };
            match asked {
                Ok(answer) => Done::Asked(id, answer),
                Err(cause) => {
                    tracing::debug!(%receiver, cause, "hello failed");
                    Done::NotAsked(receiver, id)
                }
            }
        });
    }

    fn answer(&self, answers: Vec<(EventId, Answer)>) {
        let mut wakes = Wakes::default();
        let mut calls = lock(&self.pending);
        for (id, answer) in answers {
            // A delivered call can be joined until a receipt covers it; any other is over.
            match answer {
                Answer::Delivered(_) => {
                    if let Some(call) = calls.get_mut(id) {
                        call.answer.tell(answer, &mut wakes);
                    }
                    calls.delivered(id);
                }
                Answer::Failed { .. } | Answer::Accepted | Answer::Unknown => {
                    if let Some(call) = calls.end(id) {
                        call.answer.tell(answer, &mut wakes);
                    }
                }
            }
        }
        drop(calls);
        wakes.wake();
    }

    fn compensate(&mut self, id: EventId) {
        let (store, service, rules, clock) = (
            self.store.clone(),
            self.service.clone(),
            self.rules.clone(),
            self.clock,
        );
        let (pending, tracer) = (self.pending.clone(), self.told.observer().tracer.clone());
        let settings = self.settings.clone();
        self.tasks.spawn(async move {
            let failed = lock(&pending).failed(id).and_then(|call| call.undo.clone());
            let Some(mut failed) = failed else {
                return Done::Compensated(id, None);
            };
            let trace = failed.trace.clone();
            let job = move |tx: &mut S::Tx<'_>| {
                // As every event, it is of the generation that it is numbered under.
                if let Some(settings) = settings.borrow().settings() {
                    failed.generation = settings.generation;
                    follow(tx, settings, clock, &rules)?;
                }
                let mut rows = service.rows(tx.connection());
                let mut calls = lock(&pending);
                let mut accepting = Accepting {
                    outbox: tx,
                    rows: &mut rows,
                    calls: &mut calls,
                    at: clock.wall(),
                    rules: &rules,
                };
                accepting.compensate(&failed)
            };
            let span = is_sampled(&trace).then(|| {
                tracer
                    .child(span::COMPENSATE_REACTION, &context(&trace))
                    .start()
            });
            let compensated = store.write(job).await;
            drop(span);
            Done::Compensated(
                id,
                compensated
                    .inspect_err(
                        |error| tracing::error!(%error, "a failed call could not be taken back"),
                    )
                    .ok(),
            )
        });
    }
}
