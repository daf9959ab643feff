//! One caller's request, from its acceptance to its answer.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::accept::{Accepted, Accepting, Dispatch, Failed, Request};
use duet_protocol::event::{EventId, Key, TraceContext};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{Answer, FailureCause, MayBeApplied, Outcomes};
use duet_protocol::settings::{Mode, Settings};
use duet_protocol::time::Moment;
use tokio::sync::watch;

use super::counted::{Counted, Way};
use super::task::follow;
use super::{Sender, SendingService, lock};
use crate::clock::Clock;
use crate::settings::SettingsState;
use crate::store::{Store, StoreError, Transaction};
use crate::told::Waits;

/// How an accepted change stands when its caller is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Every receiver holds it; what came of it at each, if this process saw that.
    Delivered(Outcomes),
    /// It is durable, and will be delivered.
    Accepted,
}

/// The answer to a change that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The event that stands for the change; `None` if there never was one (undoing what was never done).
    pub event: Option<EventId>,
    /// The mode that the change took: the channel's, or the canary's.
    pub mode: Mode,
    /// How it stands.
    pub delivery: Delivery,
    /// How often its event was sent before the answer.
    pub attempts: u32,
    /// From the request to the answer.
    pub took: Duration,
}

/// Why a change is not answered with success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError<R> {
    /// The service refused it. Nothing was written.
    #[error("refused")]
    Refused(R),
    /// No Channel has ever been seen. Nothing was written.
    #[error("no Channel has been seen yet, so there is no mode to deliver by")]
    NoSettings,
    /// It could not be delivered, and was taken back.
    #[error("not delivered, and taken back")]
    Failed {
        /// Why.
        cause: FailureCause,
        /// Whether a receiver may have applied it before it was taken back.
        applied: MayBeApplied,
        /// The receivers that failed it.
        by: Arc<[ReceiverName]>,
    },
    /// The store could not accept it. Nothing was written.
    #[error("not accepted")]
    NotAccepted {
        /// The store has too much to do: trying again later helps.
        overloaded: bool,
    },
    /// Whether it stands is not known.
    #[error("whether it stands is not known")]
    Unknown,
}

impl<R> From<StoreError> for SendError<R> {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => SendError::NotAccepted { overloaded: true },
            StoreError::ParkedFull
            | StoreError::NotCommitted(_)
            | StoreError::Corrupt(_)
            | StoreError::Closed => SendError::NotAccepted { overloaded: false },
            StoreError::Unknown(_) => SendError::Unknown,
        }
    }
}

/// What the accepting transaction came to: the way it takes, and the answer to be waited for, if a call is under way.
type AcceptedAs<V, R> = Result<(Way, Accepted<V>, Option<Waits<Answer>>), R>;

/// A caller that waits, counted when it no longer does, whatever the reason.
struct Waiting<'s> {
    counted: &'s Counted,
    settings: &'s watch::Receiver<SettingsState>,
    clock: Clock,
    began: Moment,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let wait = self.clock.now().since(self.began);
        if let Some(settings) = self.settings.borrow().settings() {
            self.counted.waited(settings.generation, wait);
        }
    }
}

fn dispatch(settings: &Settings, mode: Mode, began: Moment) -> Dispatch {
    match mode {
        Mode::Sync => Dispatch::Inline {
            deadline: began + settings.sync.deadline,
        },
        Mode::Async => Dispatch::Background,
    }
}

impl<S: Store, V: SendingService<S::Connection>> Sender<S, V> {
    /// Accepts a change of a key's value, and answers as the mode says: once every receiver holds it, or once it is durable.
    ///
    /// Dropping the future drops the answer, not the change.
    ///
    /// # Errors
    /// [`SendError`], which says what was written.
    pub async fn request(
        &self,
        key: Key,
        value: Option<V::Value>,
        trace: TraceContext,
    ) -> Result<Reply, SendError<V::Refusal>> {
        let began = self.clock.now();
        let _waits = Waiting {
            counted: &self.counted,
            settings: &self.settings,
            clock: self.clock,
            began,
        };
        let settings = self
            .settings
            .borrow()
            .settings()
            .cloned()
            .ok_or(SendError::NoSettings)?;
        let request = Request {
            key,
            value,
            dispatch: Dispatch::Background,
            trace,
            generation: settings.generation,
        };
        let (way, accepted, answer) = self
            .accept(request, settings, began)
            .await?
            .map_err(SendError::Refused)?;
        self.counted.accepted(way);
        let reply = |event, delivery, attempts| Reply {
            event,
            mode: way.mode,
            delivery,
            attempts,
            took: self.clock.now().since(began),
        };
        let event = match accepted {
            Accepted::Unchanged { last: None } => {
                return Ok(reply(None, Delivery::Delivered(Outcomes::default()), 0));
            }
            Accepted::Unchanged {
                last: Some((id, true)),
            } => {
                let unseen = Delivery::Delivered(Outcomes::default());
                return Ok(reply(Some(id), unseen, 0));
            }
            Accepted::Unchanged {
                last: Some((id, false)),
            } => return Ok(reply(Some(id), Delivery::Accepted, 0)),
            Accepted::Joined(id) | Accepted::Written { id, .. } => id,
        };
        let Some(answer) = answer else {
            return Ok(reply(Some(event), Delivery::Accepted, 0));
        };
        match answer.await {
            Some(Answer::Delivered(outcomes)) => {
                Ok(reply(Some(event), Delivery::Delivered(outcomes), 1))
            }
            Some(Answer::Accepted) => Ok(reply(Some(event), Delivery::Accepted, 1)),
            Some(Answer::Failed { cause, applied, by }) => {
                Err(SendError::Failed { cause, applied, by })
            }
            Some(Answer::Unknown) | None => Err(SendError::Unknown),
        }
    }

    async fn accept(
        &self,
        mut request: Request<V::Value>,
        mut settings: Arc<Settings>,
        began: Moment,
    ) -> Result<AcceptedAs<V::Value, V::Refusal>, StoreError> {
        let (service, calls, rules, clock) = (
            self.service.clone(),
            self.calls.clone(),
            self.rules.clone(),
            self.clock,
        );
        let states = self.settings.clone();
        let job = move |tx: &mut S::Tx<'_>| {
            // Decided as it is numbered, so that along a source generations only grow: its oldest event tells whether it is drained.
            if let Some(now) = states.borrow().settings() {
                settings = Arc::clone(now);
            }
            let way = Way::of(&settings, &request.key);
            request.dispatch = dispatch(&settings, way.mode, began);
            request.generation = settings.generation;
            follow(tx, &settings, clock, &rules)?;
            let connection = tx.connection();
            if let Err(refusal) = service.admit(connection, &request.key, request.value.as_ref())? {
                return Ok(Err(refusal));
            }
            let mut rows = service.rows(connection);
            let mut calls = lock(&calls);
            let mut accepting = Accepting {
                outbox: tx,
                rows: &mut rows,
                calls: &mut calls,
                at: clock.wall(),
                rules: &rules,
            };
            let accepted = accepting.accept(&request)?;
            let call = match &accepted {
                Accepted::Joined(id) => calls.get_mut(*id),
                Accepted::Written { id, before } => {
                    let mut call = calls.get_mut(*id);
                    if let Some(call) = &mut call {
                        call.undo = Some(Failed {
                            call: *id,
                            key: request.key.clone(),
                            before: before.clone(),
                            trace: request.trace.clone(),
                            generation: request.generation,
                        });
                    }
                    call
                }
                Accepted::Unchanged { .. } => None,
            };
            let answer = call.map(|call| call.answer.shared());
            Ok(Ok((way, accepted, answer)))
        };
        self.store.write(job).await
    }
}
