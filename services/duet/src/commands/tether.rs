//! `duet tether`: becomes another program, after telling the kernel to kill it when its parent has gone.
//!
//! `duet up` starts everything through it, so that a `duet` that is killed leaves nothing running. The kernel's promise
//! (`PR_SET_PDEATHSIG`) outlasts the exec, so a program that knows nothing of Duet keeps it too. Only Linux has it;
//! elsewhere this just becomes the program, and the next `duet up` ends what was left.

use crate::failure::{Failure, Kind};
use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The process that started this one
    #[arg(long, value_name = "PID")]
    parent: i32,
    #[arg(required = true, last = true, value_name = "PROGRAM ARGS")]
    command: Vec<OsString>,
}

/// The command that becomes `program`, bound to this process. Its arguments are to follow.
pub(crate) fn command(program: &OsStr) -> std::io::Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let parent = std::process::id().to_string();
    command
        .args(["tether", "--parent", &parent, "--"])
        .arg(program);
    Ok(command)
}

pub(crate) fn run(Options { parent, command }: Options) -> Result<(), Failure> {
    bind_to(parent)?;
    let program = command.first().cloned().unwrap_or_default();
    let error = std::process::Command::new(&program)
        .args(&command[1..])
        .exec();
    Err(Failure::new(
        Kind::Failed,
        format!("can't start {}: {error}", program.display()),
    ))
}

#[cfg(target_os = "linux")]
fn bind_to(parent: i32) -> Result<(), Failure> {
    use crate::failure::Doing;
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .doing(|| "ask to end with the parent".to_owned())?;
    // It may have gone before the call above, which would then wait for the death of whoever adopted this process.
    if nix::unistd::Pid::parent().as_raw() != parent {
        return Err(Failure::new(Kind::Failed, "the parent has gone"));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn bind_to(_: i32) -> Result<(), Failure> {
    Ok(())
}
