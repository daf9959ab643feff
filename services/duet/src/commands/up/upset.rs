//! What a `duet compare` upsets for a while. It asks in a file, [`Journal`]; here it is done, and undone once that process is no more, however
//! it ended.

use super::parts::Parts;
use crate::{compare::Journal, data_dir::DataDir};
use std::{collections::BTreeSet, time::Duration};

/// Between two looks at the file.
const PAUSE: Duration = Duration::from_millis(50);
/// Until what could not be put back is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Keeps down what is asked for, for as long as whoever asks is there. Never ends.
pub(super) async fn follow<T>(data: &DataDir, parts: &Parts) -> T {
    loop {
        let (down, pause) = match Journal::of(data) {
            Some(asked) if asked.is_under_way() => (asked.down, PAUSE),
            Some(left) => (
                BTreeSet::new(),
                if heal(&left, data) { PAUSE } else { AGAIN },
            ),
            None => (BTreeSet::new(), PAUSE),
        };
        parts.keep_down(&down);
        tokio::time::sleep(pause).await;
    }
}

/// Puts back what one left that was killed while nothing ran, if one did.
pub(super) fn begin(data: &DataDir) {
    if let Some(left) = Journal::of(data).filter(|it| !it.is_under_way()) {
        heal(&left, data);
    }
}

/// Puts it back, and says so. Whether nothing of it is left.
fn heal(left: &Journal, data: &DataDir) -> bool {
    let outcome = left.put_back(data);
    match &outcome {
        Ok(told) => eprintln!("duet: {told}"),
        Err(failure) => eprintln!("duet: {failure}"),
    }
    outcome.is_ok()
}
