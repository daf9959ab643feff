//! What the sender's task tells of itself: commits in their traces, and the time from accept to receipt.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use duet_protocol::outbox::Mark;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::Repair;
use duet_protocol::sequence::{Sequence, Source};
use duet_protocol::time::Moment;
use duet_telemetry::Span;
use duet_telemetry::names::{attribute, span};
use opentelemetry::KeyValue;

use crate::store::CommittedGroup;
use crate::transport::spans::{Observer, context, is_sampled, time_of};

/// How many commits are remembered until a receipt covers them; beyond that the oldest count no more.
const REMEMBERED: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Told {
    observer: Observer,
    /// For each source, the last sequence of each commit and when it was made.
    commits: BTreeMap<Source, VecDeque<(Sequence, Moment)>>,
    receivers: BTreeMap<ReceiverName, Arc<str>>,
}

impl Told {
    pub(super) fn new(observer: Observer) -> Self {
        Told {
            observer,
            commits: BTreeMap::new(),
            receivers: BTreeMap::new(),
        }
    }

    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// A group was committed: each sampled event's trace has its `commit reaction`; what several shared is a trace of its own.
    pub(super) fn committed(&mut self, group: &CommittedGroup, now: Moment) {
        self.observer.instruments.committed(group.events.len());
        if let Some(last) = group.events.last() {
            let commits = self.commits.entry(last.event.source).or_default();
            if commits.len() == REMEMBERED {
                commits.pop_front();
            }
            commits.push_back((last.event.sequence, now));
        }
        let (begun, durable) = group.span;
        let sampled = group
            .events
            .iter()
            .filter(|committed| is_sampled(&committed.event.trace));
        let tracer = &self.observer.tracer;
        let commits: Vec<Span> = sampled
            .map(|committed| {
                let parent = context(&committed.event.trace);
                tracer
                    .child(span::COMMIT_REACTION, &parent)
                    .start_at(time_of(committed.event.time))
            })
            .collect();
        if group.events.len() > 1 && !commits.is_empty() {
            let shared = tracer
                .shared(span::COMMIT_GROUP, commits.iter().map(Span::span_context))
                .start_at(begun);
            shared.attributes(|| {
                [
                    KeyValue::new(attribute::DB_SYSTEM_NAME, "sqlite"),
                    KeyValue::new(attribute::BATCH_SIZE, group.events.len() as i64),
                ]
            });
            commits
                .iter()
                .for_each(|commit| commit.link(shared.span_context()));
            shared.end_at(durable);
        }
        commits
            .into_iter()
            .for_each(|commit| commit.end_at(durable));
    }

    /// What had been lost on its way is received.
    pub(super) fn repaired(&self, repair: &Repair) {
        let Repair {
            receiver,
            why,
            events,
        } = repair;
        tracing::warn!(%receiver, events, "loss was repaired: {why}");
        self.observer.instruments.repaired(why.word(), *events);
    }

    /// A receiver holds more of a source: one measurement for each commit that is now covered.
    pub(super) fn received(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        mark: &Mark,
        now: Moment,
    ) {
        let Some(commits) = self.commits.get_mut(&source) else {
            return;
        };
        while let Some((last, committed)) = commits.front()
            && *last <= mark.watermark
        {
            let name = self
                .receivers
                .entry(receiver.clone())
                .or_insert_with(|| receiver.as_str().into());
            self.observer
                .instruments
                .receipt(name, now.since(*committed));
            commits.pop_front();
        }
        if commits.is_empty() {
            self.commits.remove(&source);
        }
    }
}
