//! Why a command failed, with its exit code and what to do.

use std::{
    fmt,
    process::{ExitCode, ExitStatus},
};

/// A failure as the user reads it: what is wrong, then what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    what: String,
    hint: Option<String>,
}

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Something went wrong that is none of the below.
    Failed = 1,
    /// The command line can't be read, as clap ends with it, or asks for nothing that can be.
    Usage = 2,
    /// The pair isn't running, or a part of it isn't ready.
    NotRunning = 3,
    /// A port or the data directory is taken.
    Taken = 4,
    /// The Channel document is not valid.
    Invalid = 5,
    /// It was done, and not seen in force in time.
    Late = 6,
    /// There is no such trace, dead letter or receiver.
    NotFound = 7,
    /// What is stored is not what was accepted.
    Differs = 8,
    /// All is ready, and something keeps events from getting through.
    Degraded = 9,
    /// Whether something is so can't be told now.
    Untold = 10,
}

/// For `duet --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line can't be read
  3  the pair isn't running, or a part of it isn't ready
  4  a port or the data directory is taken
  5  the Channel document is not valid
  6  done, but not seen in force in time
  7  there is no such trace, dead letter or receiver
  8  what is stored is not what was accepted
  9  all is ready, and something keeps events from getting through
  10 it can't be told now";

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            hint: None,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// What is wrong, without what to do about it.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}

/// Adds to an error what was being done.
pub(crate) trait Doing<T> {
    /// `doing` completes "can't …".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(Kind::Failed, format!("can't {}: {error}", doing())))
    }
}

/// How a process ended, in words.
pub(crate) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(signal) => signal.to_string(),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => "an unknown ending".to_owned(),
    }
}
