//! The tasks that a process owns.

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::drain::Stop;

/// Tasks that run beside the ports: awaited in the end, or taken along when this is dropped.
#[derive(Debug)]
pub struct Tasks {
    tasks: Vec<(&'static str, AbortOnDropHandle<()>)>,
    stop: Stop,
}

/// Says so when it is dropped before the process is to stop: its task returned, or panicked.
struct Alive {
    name: &'static str,
    draining: CancellationToken,
    died: CancellationToken,
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.draining.is_cancelled() {
            tracing::error!("the task {} ended before it was told to", self.name);
            self.died.cancel();
        }
    }
}

impl Tasks {
    /// No tasks yet, of a process that `stop` tells what to do.
    pub fn new(stop: &Stop) -> Self {
        Self {
            tasks: Vec::new(),
            stop: stop.clone(),
        }
    }

    /// Starts a task. It ends by itself once it is told to stop; its name is for the log. If it ends earlier, [`Stop::died`] says
    /// so: what it did for others nobody does any more. Needs a Tokio runtime.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let alive = Alive {
            name,
            draining: self.stop.draining.clone(),
            died: self.stop.died.clone(),
        };
        let task = async move {
            let _alive = alive;
            task.await;
        };
        self.tasks
            .push((name, AbortOnDropHandle::new(tokio::spawn(task))));
    }

    /// Waits until all have ended.
    pub async fn ended(self) {
        for (name, task) in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task {name} failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_returns_before_it_is_told_to_is_noticed() {
        for panics in [true, false] {
            let stop = Stop::by_hand();
            let mut tasks = Tasks::new(&stop);
            tasks.spawn("test", async move { assert!(!panics, "on purpose") });
            let died = tokio::time::timeout(Duration::from_secs(10), stop.died.cancelled());
            assert!(died.await.is_ok(), "{panics}");
            tasks.ended().await;
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_when_it_is_told_to_is_no_news() {
        let stop = Stop::by_hand();
        let mut tasks = Tasks::new(&stop);
        let told = stop.draining.clone();
        tasks.spawn("test", async move { told.cancelled().await });
        stop.draining.cancel();
        tasks.ended().await;
        assert!(!stop.died.is_cancelled());
    }
}
