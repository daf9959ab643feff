//! The lines of a pair of one's own, counted in the example that was there when this program was built.

use crate::compare::measured::{Code, Figure, Scenario};

/// The example. A comment that is one of the marks says for which mode the lines below it are.
const EXAMPLE: &str = include_str!("../../../../shared/channel/examples/pair.rs");
const SYNC: &str = "For Sync:";
const ASYNC: &str = "For Async:";
const BOTH: &str = "For both:";

/// How many they are, by mode.
pub(super) fn lines(command: String) -> Scenario<Code> {
    let [shared_lines, sync, r#async] = count(EXAMPLE);
    let code = |own_lines| Code {
        shared_lines,
        own_lines,
    };
    Scenario {
        command,
        done: "lines were counted in examples/pair.rs, but for comments, blank lines and `use`"
            .to_owned(),
        sync: Figure::Measured(code(sync)),
        r#async: Figure::Measured(code(r#async)),
    }
}

/// Lines for both modes, for Sync alone, for Async alone; without comments, blank lines and what is imported.
fn count(text: &str) -> [u32; 3] {
    let (mut lines, mut whose, mut imports) = ([0; 3], 0, false);
    for line in text.lines().map(str::trim) {
        let comment = line.trim_start_matches(['/', '#', '!']).trim();
        whose = match comment {
            BOTH => 0,
            SYNC => 1,
            ASYNC => 2,
            _ => whose,
        };
        imports |= line.starts_with("use ");
        let is_code = !line.is_empty() && !line.starts_with("//") && !line.starts_with("# ");
        if is_code && !imports {
            lines[whose] += 1;
        }
        imports &= !line.ends_with(';');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_for_whom_they_are() {
        let text = "\
//! What it is.
use a::{
    b,
};
fn both() {} // For Sync: no mark
  // For Sync:
let a = 1;

/* one more */ let b = 2;
  # For Async:
  async: {}
  # For both:
#[derive(Debug)]
struct End;
";
        assert_eq!(count(text), [3, 2, 1]);
    }

    #[test]
    fn the_example_has_lines_for_each() {
        let [both, sync, r#async] = count(EXAMPLE);
        assert!(
            both > 50 && sync > 10 && r#async > 2,
            "{both} {sync} {}",
            r#async
        );
    }
}
