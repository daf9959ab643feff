//! The tasks that a process owns.

use tokio_util::task::AbortOnDropHandle;

/// Tasks that run beside the ports: awaited in the end, or taken along when this is dropped.
#[derive(Debug, Default)]
pub struct Tasks(Vec<(&'static str, AbortOnDropHandle<()>)>);

impl Tasks {
    /// Starts a task. It ends by itself once it is told to stop; its name is for the log. Needs a Tokio runtime.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0
            .push((name, AbortOnDropHandle::new(tokio::spawn(task))));
    }

    /// Waits until all have ended.
    pub async fn ended(self) {
        for (name, task) in self.0 {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task {name} failed");
            }
        }
    }
}
