use duet_channel::dead_letters::{self as core, Only, Would};
use duet_protocol::delivery;
use duet_protocol::event::EventId;
use serde_json::value::RawValue;

use crate::dead_letters::filter::Text;
use crate::dead_letters::{Cause, Failing, Filter, Letter, Preview, Progress, Redriving, State};

impl From<Filter> for core::Filter {
    fn from(filter: Filter) -> Self {
        core::Filter {
            ids: filter.ids.into_iter().map(|Text(id)| id).collect(),
            cause: filter.cause.map(|Text(cause)| cause),
            state: filter.state.map(|state| match state {
                State::Parked => Only::Parked,
                State::Dead => Only::Dead,
            }),
            kind: filter.kind.map(|Text(kind)| kind.into()),
            key_prefix: filter.key_prefix.map(|Text(prefix)| prefix.into()),
            before: filter.before,
        }
    }
}

impl From<core::Letter> for Letter {
    fn from(letter: core::Letter) -> Self {
        let (state, next_attempt) = match letter.state {
            delivery::State::Parked { next_attempt } => (State::Parked, Some(next_attempt)),
            delivery::State::Dead => (State::Dead, None),
        };
        Letter {
            id: letter.id.to_string(),
            source: letter.id.source.to_string(),
            sequence: letter.id.sequence.0,
            key: letter.key.as_str().to_owned(),
            kind: letter.kind.into(),
            state,
            job: letter.is_job,
            next_attempt,
            cause: letter.cause.into(),
            fingerprint: letter.fingerprint.to_string(),
            attempts: letter.attempts,
            redrives: letter.redrives,
            first_failure: letter.first_failure,
            last_failure: letter.last_failure,
            accepted: letter.accepted,
            trace: trace(&letter.trace.traceparent),
            data: data(&letter.data),
        }
    }
}

/// The trace's id: the second part of a `traceparent`.
fn trace(traceparent: &str) -> Option<String> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32).then(|| id.to_owned())
}

/// Its JSON as it came; what is none is told as a text.
fn data(json: &[u8]) -> Option<Box<RawValue>> {
    let text = String::from_utf8_lossy(json).into_owned();
    RawValue::from_string(text.clone())
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .ok()
}

impl Cause {
    /// With one of its letters.
    pub(super) fn of(cause: core::Cause, example: Option<EventId>) -> Self {
        Cause {
            fingerprint: cause.fingerprint.to_string(),
            cause: cause.cause.into(),
            example: example.map(|id| id.to_string()),
            parked: cause.parked,
            dead: cause.dead,
            first_failure: cause.first_failure,
            last_failure: cause.last_failure,
        }
    }
}

impl From<core::Preview> for Preview {
    fn from(preview: core::Preview) -> Self {
        let mut told = Preview {
            matching: preview.matching,
            tried: preview.letters.len() as u64,
            ..Preview::default()
        };
        for (_, would) in preview.letters {
            match would {
                Would::Apply => told.would_apply += 1,
                Would::Supersede => told.superseded += 1,
                Would::Run => told.queued += 1,
                Would::BePassedOver => told.passed_over += 1,
                Would::Fail { cause, fingerprint } => {
                    let fingerprint = fingerprint.to_string();
                    let known = told.still_fails.iter_mut();
                    match known.into_iter().find(|it| it.fingerprint == fingerprint) {
                        Some(known) => known.count += 1,
                        None => told.still_fails.push(Failing {
                            fingerprint,
                            cause: cause.into(),
                            count: 1,
                        }),
                    }
                }
            }
        }
        told
    }
}

impl From<core::Progress> for Progress {
    fn from(progress: core::Progress) -> Self {
        Progress {
            state: match progress.state {
                core::Redriving::Running => Redriving::Running,
                core::Redriving::Finished => Redriving::Finished,
                core::Redriving::Cancelled => Redriving::Cancelled,
            },
            began: Some(progress.started()),
            ended: progress
                .ended
                .map(duet_protocol::time::Timestamp::from_micros),
            rate: progress.rate,
            matching: progress.matching,
            applied: progress.applied,
            superseded: progress.superseded,
            failed: progress.failed_again,
            queued: progress.queued,
            passed_over: progress.passed_over,
        }
    }
}
