//! CPU time of processes, user and system.

use crate::{
    failure::{Doing, Failure, Kind},
    process::Process,
};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike},
};
use std::time::Duration;

/// What this process has used so far.
pub(super) fn own() -> Result<Duration, Failure> {
    let usage =
        getrusage(UsageWho::RUSAGE_SELF).doing(|| "tell this process's CPU time".to_owned())?;
    let of = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

/// What another process has used so far, to 10 ms.
pub(super) fn of(name: &str, process: &Process) -> Result<Duration, Failure> {
    let used = used(process.pid).filter(|_| process.is_running());
    used.ok_or_else(|| {
        Failure::new(
            Kind::Failed,
            format!(
                "{name} (process {}) ended while it was measured",
                process.pid
            ),
        )
    })
}

/// From proc(5).
#[cfg(target_os = "linux")]
fn used(pid: u32) -> Option<Duration> {
    let ticks_a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state comes after it, user and system time 11 fields on.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    Some(Duration::from_secs_f64(
        f64::from(ticks) / ticks_a_second as f64,
    ))
}

/// From ps(1).
#[cfg(not(target_os = "linux"))]
fn used(pid: u32) -> Option<Duration> {
    let ps = std::process::Command::new("ps")
        .env("LC_ALL", "C")
        .args(["-o", "time=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    clock(String::from_utf8(ps.stdout).ok()?.trim())
}

/// `[[DAYS-]HOURS:]MINUTES:SECONDS[.HUNDREDTHS]`
#[cfg_attr(target_os = "linux", cfg(test))]
fn clock(text: &str) -> Option<Duration> {
    let (days, time) = text.split_once('-').unwrap_or(("0", text));
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(days.parse::<f64>().ok()? * 86_400.0 + seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_seen_from_within_and_from_outside() {
        let this = Process::this().unwrap();
        let before = (own().unwrap(), of("this", &this).unwrap());
        let mut digest = 1u64;
        while own().unwrap() < before.0 + Duration::from_millis(60) {
            digest = std::hint::black_box(digest.wrapping_mul(3));
        }
        let outside = of("this", &this).unwrap() - before.1;
        assert!(outside >= Duration::from_millis(40), "{outside:?}");
    }

    #[test]
    fn ps_tells_time_in_several_ways() {
        assert_eq!(clock("0:00.05"), Some(Duration::from_millis(50)));
        assert_eq!(clock("61:01.50"), Some(Duration::from_millis(3_661_500)));
        assert_eq!(clock("1-02:03:04"), Some(Duration::from_secs(93_784)));
        assert_eq!(clock(""), None);
    }
}
