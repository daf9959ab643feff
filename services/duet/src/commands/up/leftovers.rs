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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        process::Process,
        running::{Running, Service},
    };
    use std::os::unix::process::CommandExt;

    fn named(children: &[(&str, Process)]) -> Running {
        let service = || Service {
            public: String::new(),
            internal: String::new(),
        };
        Running {
            duet: Process::this().unwrap(),
            channel: "channel.yaml".into(),
            reaction: service(),
            notification: service(),
            trending: None,
            nats: String::new(),
            jaeger: None,
            otlp: None,
            children: children
                .iter()
                .map(|(name, it)| (name.to_string(), it.clone()))
                .collect(),
        }
    }

    fn sleeping() -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_named_is_ended_and_what_only_has_its_id_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path());
        let (mut left, mut other) = (sleeping(), sleeping());
        let left_process = Process::with_id(left.id()).unwrap();
        let reused = Process::with_id(other.id()).unwrap().born_earlier();
        data.tell(&named(&[("nats", left_process), ("reaction", reused)]))
            .unwrap();

        let reaper = std::thread::spawn(move || left.wait().unwrap());
        end(&data).await.unwrap();
        assert!(!reaper.join().unwrap().success());
        assert!(data.named().is_none());
        assert!(
            other.try_wait().unwrap().is_none(),
            "another process was ended"
        );
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
