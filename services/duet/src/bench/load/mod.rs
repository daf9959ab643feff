//! HTTP requests over kept-alive connections, made to cost as little as they can: the generator shares the machine with what it
//! measures, so what it costs is missing there. In a closed loop, where rate is the question; in an open one, where waiting is.
//!
//! Each connection has one request under way at a time. They are spread over one thread a core, each with a runtime of
//! its own, so that no connection wanders between cores.

mod connection; // one request, one answer
mod limit; // whether the generator itself was what limited
mod requests; // what is asked
mod tally; // what was answered
mod turns; // whose turn it is to ask

pub(super) use requests::{OWNER, Posts, Reactions, Requests, Users};
pub(super) use tally::{Answered, Part, Tally};
pub(super) use turns::When;

use super::cpu;
use crate::failure::{Doing, Failure, Kind};
use connection::{Broken, Connection};
use std::{
    cell::RefCell,
    net::{SocketAddr, TcpStream},
    num::NonZeroU16,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, LocalSet};
use turns::Turns;

/// The longest time without any answer; a call's own deadline is far below.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// Who is asked, by how many at a time, and when.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) target: SocketAddr,
    /// Where more is due than these can have under way, it is begun late, and its wait counts from when it was due.
    pub(super) connections: NonZeroU16,
    /// Nothing is due after this; what is due by then is still asked, and awaited.
    pub(super) when: When,
}

impl Load {
    /// Asks until the time is over and every answer is there. Dropping this stops it at once. Fails if this generator was what limited.
    pub(super) async fn run(self, requests: Requests) -> Result<Tally, Failure> {
        self.run_until(requests, std::future::pending()).await
    }

    /// The same, and no longer than until this is over.
    pub(super) async fn run_until(
        self,
        requests: Requests,
        over: impl Future<Output = ()>,
    ) -> Result<Tally, Failure> {
        let threads = self.threads();
        let mut shares: Vec<Vec<TcpStream>> = (0..threads).map(|_| Vec::new()).collect();
        for connection in 0..usize::from(self.connections.get()) {
            let stream = connect(self.target).doing(|| format!("connect to {}", self.target))?;
            shares[connection % threads].push(stream);
        }

        let stop = Arc::new(AtomicBool::new(false));
        let _stopping = StopOnDrop(stop.clone());
        let open = self.when.is_open();
        let busy_before = cpu::own()?;
        let started = Instant::now();
        let turns = Turns::starting(self.when, started, stop);
        let mut working = JoinSet::new();
        for share in shares {
            let shift = Shift {
                requests: requests.clone(),
                turns: turns.clone(),
            };
            let tally = Tally::new(started, open)?;
            working.spawn_blocking(move || shift.work(share, tally));
        }
        let ending = turns.clone();
        let ticking = tokio::task::spawn_blocking(move || turns.tick());
        let mut whole = Tally::new(started, open)?;
        let over = async {
            over.await;
            ending.end();
            std::future::pending().await
        };
        tokio::pin!(over);
        while let Some(part) = tokio::select! {
            part = working.join_next() => part,
            part = &mut over => part,
        } {
            whole.add(part.doing(|| "run the load".to_owned())??)?;
        }
        whole.took = started.elapsed();
        let busy = cpu::own()?.saturating_sub(busy_before);
        limit::refuse_if_limiting(busy, whole.took, threads)?;
        ticking.await.doing(|| "run the load".to_owned())?;
        Ok(whole)
    }

    /// Threads that ask.
    pub(super) fn threads(&self) -> usize {
        cores().min(self.connections.get().into())
    }
}

/// Cores that the system lets this process use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn connect(target: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// What one thread does.
struct Shift {
    requests: Requests,
    turns: Turns,
}

impl Shift {
    fn work(self, streams: Vec<TcpStream>, tally: Tally) -> Result<Tally, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "start the load's runtime".to_owned())?;
        let tally = Rc::new(RefCell::new(tally));
        let this = Rc::new(self);
        LocalSet::new().block_on(&runtime, async {
            let mut loops = JoinSet::new();
            for stream in streams {
                let connection =
                    Connection::over(stream).doing(|| "take a connection".to_owned())?;
                loops.spawn_local(this.clone().ask(connection, tally.clone()));
            }
            let mut answered = 0;
            loop {
                match tokio::time::timeout(LAST_ANSWERS, loops.join_next()).await {
                    Ok(None) => return Ok(()),
                    Ok(Some(one)) => one
                        .doing(|| "run the load".to_owned())?
                        .map_err(|broken| Failure::new(Kind::Failed, broken.to_string()))?,
                    Err(_) => {
                        let before = std::mem::replace(&mut answered, tally.borrow().answered());
                        if answered == before {
                            let what = format!("no request was answered within {LAST_ANSWERS:?}");
                            return Err(Failure::new(Kind::Failed, what));
                        }
                    }
                }
            }
        })?;
        Ok(Rc::unwrap_or_clone(tally).into_inner())
    }

    /// One connection's loop.
    async fn ask(
        self: Rc<Self>,
        mut connection: Connection,
        tally: Rc<RefCell<Tally>>,
    ) -> Result<(), Broken> {
        let mut request = Vec::with_capacity(256);
        while let Some(turn) = self.turns.next().await {
            self.requests.next(&mut request);
            let status = connection.exchange(&request).await?;
            tally.borrow_mut().count(turn, status, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
