//! One measurement: a load, what was answered, and what every process spent meanwhile.

use super::{
    cpu,
    load::{Load, Requests, Tally},
};
use crate::{failure::Failure, process::Process};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) answered: Tally,
    /// From the first request until all was stored.
    pub(super) took: Duration,
    /// CPU time by process.
    pub(super) cpu: BTreeMap<String, Duration>,
    /// Bytes that all of them wrote to files; none where the system doesn't tell.
    pub(super) written: Option<u64>,
    /// CPU time of this process: the load generator.
    pub(super) load_cpu: Duration,
}

impl Sample {
    /// Runs the load, then waits until all of it is stored. `processes` must be the same ones afterwards.
    pub(super) async fn take(
        load: Load,
        requests: Requests,
        processes: &BTreeMap<String, Process>,
        stored: impl Future<Output = Result<(), Failure>>,
    ) -> Result<Self, Failure> {
        let spent = || -> Result<BTreeMap<_, _>, Failure> {
            let each = processes.iter();
            each.map(|(name, process)| Ok((name.clone(), cpu::of(name, process)?)))
                .collect()
        };
        let written = || processes.values().map(written).sum::<Option<u64>>();
        let (before, own_before, written_before) = (spent()?, cpu::own()?, written());
        let started = Instant::now();
        let answered = load.run(requests).await?;
        stored.await?;
        let took = started.elapsed();
        let mut cpu = spent()?;
        for (name, spent) in &mut cpu {
            *spent = spent.saturating_sub(before.get(name).copied().unwrap_or_default());
        }
        Ok(Self {
            answered,
            took,
            cpu,
            written: written()
                .zip(written_before)
                .map(|(after, before)| after - before),
            load_cpu: cpu::own()?.saturating_sub(own_before),
        })
    }

    pub(super) fn per_second(&self) -> f64 {
        self.answered.accepted() as f64 / self.took.as_secs_f64()
    }

    /// From the last answer until all was stored.
    pub(super) fn drain(&self) -> Duration {
        self.took.saturating_sub(self.answered.took)
    }

    /// Microseconds for each request that was accepted.
    pub(super) fn micros_each(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / (self.answered.accepted().max(1)) as f64
    }

    /// KiB for each request that was accepted.
    pub(super) fn kib_written_each(&self) -> Option<f64> {
        let kib = self.written? as f64 / 1024.0;
        Some(kib / self.answered.accepted().max(1) as f64)
    }

    /// CPU time of all processes but this one.
    pub(super) fn together(&self) -> Duration {
        self.cpu.values().sum()
    }

    pub(super) fn load_share(&self) -> f64 {
        let all = self.together() + self.load_cpu;
        self.load_cpu.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub(super) fn cores_busy(&self) -> f64 {
        (self.together() + self.load_cpu).as_secs_f64() / self.took.as_secs_f64()
    }
}

/// Bytes that a process has caused to be written to disks so far: `write_bytes` of proc(5), which only Linux has.
fn written(process: &Process) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{}/io", process.pid)).ok()?;
    let bytes = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    bytes.parse().ok()
}
