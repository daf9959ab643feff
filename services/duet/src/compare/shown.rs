//! What a run tells while it works: a line for each scenario and mode. On a terminal the line shows the figures as they come.

use duet_crd::Mode;
use std::{
    cell::RefCell,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// Between two lines of the running figures: on a terminal. A log gets the last one only.
const WATCHED: Duration = Duration::from_millis(500);
const LOGGED: Duration = Duration::from_secs(3_600);

/// Tells on stderr.
#[derive(Debug)]
pub(super) struct Shown {
    terminal: bool,
    now: RefCell<Now>,
}

#[derive(Debug)]
struct Now {
    what: String,
    began: Instant,
}

impl Shown {
    pub(super) fn new() -> Self {
        let now = Now {
            what: String::new(),
            began: Instant::now(),
        };
        Self {
            terminal: std::io::stderr().is_terminal(),
            now: RefCell::new(now),
        }
    }

    /// How often there is something to show.
    pub(super) fn every(&self) -> Duration {
        match self.terminal {
            true => WATCHED,
            false => LOGGED,
        }
    }

    /// A scenario begins in a mode.
    pub(super) fn begin(&self, scenario: &str, mode: Mode) {
        let mode = match mode {
            Mode::Sync => "sync",
            Mode::Async => "async",
        };
        *self.now.borrow_mut() = Now {
            what: format!("{scenario:<15} {mode:<5}"),
            began: Instant::now(),
        };
        self.running("");
    }

    /// Its figures so far.
    pub(super) fn running(&self, figures: &str) {
        if self.terminal {
            let line = self.line(figures);
            let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
        }
    }

    /// It has ended, with these.
    pub(super) fn end(&self, figures: &str) {
        let line = self.line(figures);
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let _ = writeln!(std::io::stderr(), "{clear}{line}");
    }

    /// Something else that is worth a line.
    pub(super) fn say(&self, line: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let _ = writeln!(std::io::stderr(), "{clear}duet: {line}");
    }

    fn line(&self, figures: &str) -> String {
        let now = self.now.borrow();
        let seconds = now.began.elapsed().as_secs_f64();
        format!("{} {seconds:>5.1} s  {figures}", now.what)
    }
}
