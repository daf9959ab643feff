//! A closed loop of HTTP requests over kept-alive connections, made to cost as little as it can: it shares the machine
//! with what it measures, so what it costs is missing there.
//!
//! Each connection has one request under way at a time. They are spread over one thread a core, each with a runtime of
//! its own, so that no connection wanders between cores.

mod connection; // one request, one answer
mod requests; // what is asked
mod tally; // what was answered

pub(super) use requests::{Posts, Reactions, Requests, Users};
pub(super) use tally::Tally;

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

/// How long the last answers may take once no more is asked; a call's own deadline is far below.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// Who is asked, and by how many at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) target: SocketAddr,
    pub(super) connections: NonZeroU16,
    /// No new request is begun after this; those under way are still awaited.
    pub(super) duration: Duration,
}

impl Load {
    /// Asks until the time is over and every answer is there. Dropping this stops it.
    pub(super) async fn run(self, requests: Requests) -> Result<Tally, Failure> {
        let threads = cores().min(self.connections.get().into());
        let mut shares: Vec<Vec<TcpStream>> = (0..threads).map(|_| Vec::new()).collect();
        for connection in 0..usize::from(self.connections.get()) {
            let stream = connect(self.target).doing(|| format!("connect to {}", self.target))?;
            shares[connection % threads].push(stream);
        }

        let stop = Arc::new(AtomicBool::new(false));
        let _stop = StopOnDrop(stop.clone());
        let started = Instant::now();
        let mut working = JoinSet::new();
        for share in shares {
            let shift = Shift {
                requests: requests.clone(),
                until: started + self.duration,
                stop: stop.clone(),
            };
            working.spawn_blocking(move || shift.work(share));
        }
        let mut whole = Tally::new()?;
        while let Some(part) = working.join_next().await {
            let part = part.doing(|| "run the load".to_owned())??;
            whole.add(&part)?;
        }
        whole.took = started.elapsed();
        Ok(whole)
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
    until: Instant,
    stop: Arc<AtomicBool>,
}

impl Shift {
    fn work(self, streams: Vec<TcpStream>) -> Result<Tally, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "start the load's runtime".to_owned())?;
        let tally = Rc::new(RefCell::new(Tally::new()?));
        let this = Rc::new(self);
        LocalSet::new().block_on(&runtime, async {
            let mut loops = JoinSet::new();
            for stream in streams {
                let connection =
                    Connection::over(stream).doing(|| "take a connection".to_owned())?;
                loops.spawn_local(this.clone().ask(connection, tally.clone()));
            }
            let all = async {
                while let Some(one) = loops.join_next().await {
                    one.doing(|| "run the load".to_owned())?
                        .map_err(|broken| Failure::new(Kind::Failed, broken.to_string()))?;
                }
                Ok(())
            };
            let patience = this.until.saturating_duration_since(Instant::now()) + LAST_ANSWERS;
            tokio::time::timeout(patience, all).await.map_err(|_| {
                let what = format!("requests are still unanswered after {LAST_ANSWERS:?}");
                Failure::new(Kind::Failed, what)
            })?
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
        let mut now = Instant::now();
        while now < self.until && !self.stop.load(Relaxed) {
            self.requests.next(&mut request);
            let status = connection.exchange(&request).await?;
            let asked = std::mem::replace(&mut now, Instant::now());
            tally.borrow_mut().count(status, now - asked);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
