//! Waiting for a condition instead of for a time.

use std::{future::Future, panic::Location, time::Duration};
use tokio::time::Instant;

/// Between two looks: short enough not to slow a test, long enough not to starve what it waits for.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `condition` until it says yes; panics at the caller's line when `timeout` passes first.
#[track_caller]
pub fn eventually<F, C>(timeout: Duration, mut condition: C) -> impl Future<Output = ()>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    until(timeout, move || {
        let answer = condition();
        async move {
            answer
                .await
                .then_some(())
                .ok_or("the condition stayed false")
        }
    })
}

/// Asks `attempt` until it has an answer, which is returned; panics with the last reason when `timeout` passes first.
#[track_caller]
pub fn until<T, E, F, A>(timeout: Duration, mut attempt: A) -> impl Future<Output = T>
where
    A: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + timeout;
        let mut last = None;
        loop {
            // An attempt that hangs is bounded too, and the reason before it is the better story.
            match tokio::time::timeout_at(deadline, attempt()).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(reason)) => last = Some(reason.to_string()),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                let reason = last.unwrap_or_else(|| "no attempt came to an end".to_owned());
                panic!("{caller}: not within {timeout:?}: {reason}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn asks_again_until_the_condition_holds() {
        let asked = AtomicU32::new(0);
        eventually(Duration::from_secs(5), || async {
            asked.fetch_add(1, Ordering::Relaxed) == 3
        })
        .await;
        assert_eq!(asked.into_inner(), 4);
    }

    #[tokio::test]
    #[should_panic(expected = "eventually.rs")]
    async fn names_the_waiting_line_when_it_gives_up() {
        eventually(Duration::from_millis(20), std::future::pending).await;
    }
}
