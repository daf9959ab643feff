//! How much of a process is in memory.

use crate::{
    failure::{Failure, Kind},
    process::Process,
};

/// In bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) now: u64,
    /// The most there ever was of it; none where the system doesn't tell.
    pub(super) peak: Option<u64>,
}

/// What another process holds.
pub(super) fn of(name: &str, process: &Process) -> Result<Resident, Failure> {
    let told = resident(process.pid).filter(|_| process.is_running());
    told.ok_or_else(|| {
        let what = format!(
            "{name} (process {}) ended while it was measured",
            process.pid
        );
        Failure::new(Kind::Failed, what)
    })
}

/// From proc(5).
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> Option<Resident> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Resident {
        now: bytes("VmRSS:")?,
        peak: bytes("VmHWM:"),
    })
}

/// From ps(1).
#[cfg(not(target_os = "linux"))]
fn resident(pid: u32) -> Option<Resident> {
    let ps = std::process::Command::new("ps")
        .args(["-o", "rss=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let kib: u64 = String::from_utf8(ps.stdout).ok()?.trim().parse().ok()?;
    Some(Resident {
        now: kib * 1024,
        peak: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_memory_and_one_that_has_ended_is_not() {
        let this = Process::this().unwrap();
        let told = of("this", &this).unwrap();
        assert!(
            told.now > 0 && told.peak.is_none_or(|peak| peak >= told.now),
            "{told:?}"
        );
        let gone = of("that", &this.born_earlier()).unwrap_err();
        assert!(gone.to_string().contains("that"), "{gone}");
    }
}
