//! A process that is known again, even after its id was given to another.

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// A process by its id and when it was started, so that a reused id is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// When it was started, in whatever way this system tells that; only compared.
    born: String,
}

impl Process {
    /// The one that has this id now; none if it has ended.
    pub(crate) fn with_id(pid: u32) -> Option<Self> {
        born(pid).map(|born| Self { pid, born })
    }

    /// This very process.
    pub(crate) fn this() -> Option<Self> {
        Self::with_id(std::process::id())
    }

    /// Another one, that had the same id before.
    #[cfg(test)]
    pub(crate) fn born_earlier(self) -> Self {
        Self {
            born: "earlier".to_owned(),
            ..self
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        Self::with_id(self.pid).as_ref() == Some(self)
    }

    /// SIGKILL to the group that it leads, if it is still there.
    pub(crate) fn kill_group(&self) {
        self.signal_group(Signal::SIGKILL);
    }

    /// SIGSTOP to the group that it leads: it keeps its sockets and answers nobody.
    pub(crate) fn stop_group(&self) {
        self.signal_group(Signal::SIGSTOP);
    }

    /// SIGCONT to the group that it leads; no harm where it goes on already.
    pub(crate) fn continue_group(&self) {
        self.signal_group(Signal::SIGCONT);
    }

    fn signal_group(&self, signal: Signal) {
        if self.is_running() {
            let pid = Pid::from_raw(self.pid.cast_signed());
            if killpg(pid, signal).is_err() {
                let _ = kill(pid, signal);
            }
        }
    }
}

/// Clock ticks from boot to start, with the boot's own id.
#[cfg(target_os = "linux")]
fn born(pid: u32) -> Option<String> {
    // proc(5): the name in parentheses may hold anything; the state comes after it, the start 19 fields on.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let start = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A zombie has ended, only its parent hasn't looked.
    (!matches!(state, "Z" | "X")).then(|| format!("{} {start}", boot.trim()))
}

/// The date and time that ps prints.
#[cfg(not(target_os = "linux"))]
fn born(pid: u32) -> Option<String> {
    let ps = std::process::Command::new("ps")
        .env("LC_ALL", "C")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8(ps.stdout).ok()?;
    let (state, start) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| start.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let process = Process::with_id(child.id()).unwrap();
        assert!(process.is_running());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_running());
    }

    #[test]
    fn another_with_the_same_id_is_not_it() {
        let this = Process::this().unwrap();
        let before = Process {
            born: "earlier".to_owned(),
            ..this
        };
        assert!(!before.is_running());
        before.kill_group();
    }
}
