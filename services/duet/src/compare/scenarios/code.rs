//! The lines of a pair of one's own, counted where the program was built.

use crate::compare::measured::{Code, Scenario};

/// How many they are, by mode.
pub(super) fn lines(command: String) -> Scenario<Code> {
    Scenario::missing(command, "this build has no example of a pair of one's own")
}
