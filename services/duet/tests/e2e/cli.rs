//! helm and kubectl, as a person runs them.

use std::ffi::OsStr;
use std::process::Command;

/// Which helm.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Helm {
    /// The current one.
    Four,
    /// The one that many still have.
    Three,
}

impl Helm {
    /// Its program; where both are installed, Helm 3 is `helm3`.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Helm::Four => "helm",
            Helm::Three => "helm3",
        }
    }
}

/// What a program said, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// What it printed.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub(crate) fn or_panic(self) -> String {
        assert!(self.success, "{self:#?}");
        self.stdout
    }
}

/// Runs a program to its end.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Said {
    said(Command::new(program).args(args), program, "")
}

/// Runs a program to its end, with `input` at its standard input.
pub(crate) fn run_with<S: AsRef<OsStr>>(
    program: &str,
    args: impl IntoIterator<Item = S>,
    input: &str,
) -> Said {
    said(Command::new(program).args(args), program, input)
}

fn said(command: &mut Command, program: &str, input: &str) -> Said {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
    // A program that doesn't read to the end has refused early, and says so itself.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs kubectl, which must succeed.
#[track_caller]
pub(crate) fn kubectl(args: &[&str]) -> String {
    run("kubectl", args).or_panic()
}
