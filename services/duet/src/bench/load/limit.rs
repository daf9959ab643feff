//! Whether the load generator itself was what limited: then nothing was measured but it.

use crate::failure::{Failure, Kind};
use std::time::Duration;

/// A generator whose threads hardly ever wait for an answer tells how fast it is, not what it asks.
const NEVER_WAITS: f64 = 0.9;

/// A load that is shorter tells nothing either way.
const TELLS: Duration = Duration::from_millis(500);

/// Fails if the generator, whose threads were busy for so long altogether, was what limited.
pub(super) fn refuse_if_limiting(
    busy: Duration,
    took: Duration,
    threads: usize,
) -> Result<(), Failure> {
    let share = busy.as_secs_f64() / (took.as_secs_f64() * threads as f64);
    if took < TELLS || share < NEVER_WAITS {
        return Ok(());
    }
    let what = format!(
        "the load generator itself is the limit: its {threads} threads were busy for {:.0} % of the time, and hardly waited for an answer",
        share * 100.0
    );
    Err(Failure::new(Kind::Untold, what)
        .hint("Nothing is reported: it would tell how fast the generator is. Give this process more cores."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_never_waits_is_refused() {
        let load = |millis, threads| {
            refuse_if_limiting(
                Duration::from_millis(millis),
                Duration::from_secs(10),
                threads,
            )
        };
        assert!(load(17_900, 2).is_ok());
        let refused = load(18_100, 2).unwrap_err();
        assert_eq!(refused.kind(), Kind::Untold);
        assert!(refused.to_string().contains("2 threads"), "{refused}");
        assert!(load(9_500, 1).is_err());
    }
}
