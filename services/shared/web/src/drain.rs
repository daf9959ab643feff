//! Stopping in order: not ready → keep accepting for the drain delay → end event streams and stop accepting → finish, all within the
//! grace period. A second signal aborts.

use std::io;
use std::time::Duration;

use actix_web::dev::Server;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::health::Readiness;

/// What a process is told to do: tokens, of which each part awaits the one it needs.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// It is to stop: load balancers must notice, what is under way goes on, new requests are still taken.
    pub draining: CancellationToken,
    /// Answers that have no end of their own end now: load balancers had time to notice, so who asks again asks another process.
    pub closing: CancellationToken,
    /// No more requests come: finish, commit, and end.
    pub end: CancellationToken,
    /// It was told twice: what is under way is lost.
    pub aborted: CancellationToken,
    /// One of the process's own tasks ended before it was told to.
    pub died: CancellationToken,
}

impl Stop {
    /// Stops by [`Stop::draining`] alone.
    pub fn by_hand() -> Self {
        Self::default()
    }

    /// Stops by SIGTERM or SIGINT; a second one aborts. Signals are heard until the handle is dropped.
    pub fn by_signals() -> io::Result<(Self, AbortOnDropHandle<()>)> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = Self::default();
        let told = stop.clone();
        let hearing = tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if told.draining.is_cancelled() {
                    tracing::warn!("{name} again: aborting");
                    told.aborted.cancel();
                } else {
                    tracing::info!("{name}: stopping");
                    told.draining.cancel();
                }
            }
        });
        Ok((stop, AbortOnDropHandle::new(hearing)))
    }
}

/// How long stopping may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long to keep accepting, so that load balancers notice.
    pub drain_delay: Duration,
    /// How long all of stopping may take.
    pub grace_period: Duration,
}

/// Of the grace period, what is kept for what comes after the last request: the service's own end, and the last spans.
const RESERVE: Duration = Duration::from_secs(3);

impl Patience {
    /// How long requests under way may take to end: what is left, but at least half, so that there is time to finish after them.
    pub(crate) fn for_requests(self) -> Duration {
        let left = self.grace_period.saturating_sub(self.drain_delay);
        left.saturating_sub(RESERVE).max(left / 2)
    }
}

/// Why a process ended other than by stopping in order.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// A server ended by itself.
    #[error("the HTTP server ended: {0}")]
    Server(#[from] io::Error),
    /// One of its own tasks ended by itself. Started anew, the process goes on from what is durable.
    #[error(
        "one of its tasks ended by itself (see the log); what is durable is kept, start it again"
    )]
    TaskEnded,
    /// The grace period was over first.
    #[error(
        "stopping took longer than the grace period; what is durable is kept, the rest was dropped"
    )]
    GracePeriodOver,
    /// It was told a second time to stop.
    #[error("aborted by a second signal; what is durable is kept, the rest was dropped")]
    Aborted,
}

/// Serves the ports until told to stop, then stops in order. `finish` is what the service does once no more requests
/// come: it has what is left of the grace period.
pub async fn serve_until_stopped(
    stop: &Stop,
    readiness: &Readiness,
    patience: Patience,
    servers: Vec<Server>,
    finish: impl Future<Output = ()>,
) -> Result<(), Unfinished> {
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    let in_order = async {
        stop.draining.cancelled().await;
        let deadline = Instant::now() + patience.grace_period;
        let steps = async {
            readiness.not_ready("process", "it is stopping");
            sleep(patience.drain_delay).await;
            stop.closing.cancel();
            futures::future::join_all(handles.iter().map(|handle| handle.stop(true))).await;
            stop.end.cancel();
            finish.await;
        };
        timeout_at(deadline, steps)
            .await
            .map_err(|_| Unfinished::GracePeriodOver)
    };
    let serving = async {
        futures::future::try_join_all(servers).await?;
        // All ended: in order if they were told to, which the other branch sees through.
        if !stop.draining.is_cancelled() {
            return Err(Unfinished::Server(io::Error::other(
                "it stopped without being told to",
            )));
        }
        std::future::pending().await
    };
    tokio::select! {
        done = in_order => done,
        failed = serving => failed,
        () = stop.aborted.cancelled() => Err(Unfinished::Aborted),
        () = stop.died.cancelled() => Err(Unfinished::TaskEnded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_get_the_grace_period_but_for_what_finishing_needs() {
        let requests = |drain_delay, grace_period| {
            let [drain_delay, grace_period] = [drain_delay, grace_period].map(Duration::from_secs);
            let patience = Patience {
                drain_delay,
                grace_period,
            };
            patience.for_requests().as_secs()
        };
        assert_eq!(requests(0, 10), 7);
        assert_eq!(requests(5, 30), 22);
        assert_eq!(requests(0, 4), 2);
        assert_eq!(requests(10, 10), 0);
    }
}
