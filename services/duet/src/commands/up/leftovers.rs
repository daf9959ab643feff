//! What a `duet up` that was killed left running. On Linux the kernel has ended it already; elsewhere this does.

use crate::{
    data_dir::DataDir,
    failure::{Failure, Kind},
};
use std::time::{Duration, Instant};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// Ends what the data directory names, if it is still the same process. It was not told to stop and need not be: what
/// is durable is kept, as after a crash.
pub(super) async fn end(data: &DataDir) -> Result<(), Failure> {
    let Some(named) = data.named() else {
        return Ok(());
    };
    let since = Instant::now();
    for (name, process) in &named.children {
        if process.is_running() {
            eprintln!(
                "duet: ending {name} (process {}), left by one that was killed",
                process.pid
            );
            process.kill_group();
        }
        while process.is_running() {
            if since.elapsed() > GONE {
                let what = format!(
                    "{name} (process {}) of an earlier `duet up` doesn't end",
                    process.pid
                );
                return Err(Failure::new(Kind::Failed, what));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    data.tell_nothing();
    Ok(())
}
