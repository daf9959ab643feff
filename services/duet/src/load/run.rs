//! The traffic, from the first post to the last comparison.

use super::{
    ask::{Heard, Services},
    chapter::{Chapter, Difference},
    progress::Progress,
    report::{CutShort, Ending, Report, Traffic},
    story::{Step, Story},
    unchecked::Unchecked,
};
use crate::{
    failure::{Doing, Failure, Kind},
    signals::Signals,
};
use std::time::Duration;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, interval_at, sleep_until, timeout_at},
};

/// Requests under way at most. What is due beyond is sent as soon as one is answered, and its caller's wait counts from when it was due.
const UNDER_WAY: usize = 1_000;
/// How long the first posts may take to be made.
const FIRST_POSTS: Duration = Duration::from_secs(10);

/// What traffic to make.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Requests a second, evenly.
    pub(crate) per_second: u32,
    /// For how long; without it until this process is asked to stop.
    pub(crate) length: Option<Duration>,
    /// How long Notification may take after the last answer to show everything.
    pub(crate) patience: Duration,
    /// Between two lines about the progress.
    pub(crate) tells_every: Duration,
}

/// Makes the traffic. The first signal ends it early, and what was accepted is still waited for; the second ends everything.
pub(crate) async fn run(
    plan: &Plan,
    at: &Services,
    signals: &mut Signals,
    tell: impl Fn(String),
) -> Result<Report, Failure> {
    let id = format!("{:05x}", rand::random_range(0..0x10_0000));
    let mut run = Run {
        at: at.clone(),
        story: Story::new(id.clone(), rand::random(), plan.per_second),
        progress: Progress::new()?,
        asking: JoinSet::new(),
        making: JoinSet::new(),
        comparing: JoinSet::new(),
        unchecked: Unchecked::new(Instant::now()),
        started: Instant::now(),
    };
    let interrupted = || Failure::new(Kind::Failed, "interrupted");
    tokio::select! {
        first = run.first_posts() => first?,
        () = signals.stop() => return Err(interrupted()),
    }
    run.started = Instant::now();
    let traffic = run.traffic(plan, signals, &tell).await?;
    let arrivals = async {
        run.last_answers().await?;
        let answered = Instant::now();
        run.arrivals(answered + plan.patience).await?;
        Ok::<_, Failure>((answered - run.started, answered.elapsed()))
    };
    let (took, arrived_after) = tokio::select! {
        done = arrivals => done?,
        () = signals.stop() => return Err(interrupted()),
    };
    let ending = Ending {
        run: id,
        per_second: plan.per_second,
        took,
        begun: run.story.begun,
        traffic,
        arrived_after,
        left: run.unchecked.left(),
    };
    Ok(Report::of(run.progress, ending))
}

/// Everything under way. Dropped, all of it ends.
struct Run {
    at: Services,
    story: Story,
    progress: Progress,
    asking: JoinSet<Asked>,
    making: JoinSet<u64>,
    /// One at a time: comparing is not what is measured.
    comparing: JoinSet<(Chapter, Result<Difference, String>)>,
    unchecked: Unchecked,
    started: Instant,
}

/// A request, when it was due, and what came of it.
struct Asked {
    step: Step,
    due: Instant,
    answered: Instant,
    heard: Heard,
}

impl Run {
    /// Makes the first posts: before these there is nothing to react to, and nobody may be there at all.
    async fn first_posts(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + FIRST_POSTS;
        if let Some(opening) = self.story.opening() {
            for (post, title) in &opening.posts {
                while let Err(why) = self.at.post(post, &opening.owner, title).await {
                    if Instant::now() > deadline {
                        return Err(Failure::new(
                            Kind::NotRunning,
                            format!("can't make a post: {why}"),
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            self.story.opened(opening.number);
        }
        self.make_posts();
        while let Ok(Some(made)) = timeout_at(deadline, self.making.join_next()).await {
            self.story.opened(ended(made)?);
        }
        Ok(())
    }

    /// Sends what is due, until the time is over or a signal comes, or too much of it was not received.
    async fn traffic(
        &mut self,
        plan: &Plan,
        signals: &mut Signals,
        tell: &impl Fn(String),
    ) -> Result<Traffic, Failure> {
        let pace = Pace {
            started: self.started,
            per_second: plan.per_second,
        };
        let end = plan.length.map(|length| self.started + length);
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let mut telling = interval_at(self.started + plan.tells_every, plan.tells_every);
        let mut sent = 0;
        let cut_short = loop {
            if let Some(unseen) = self.unchecked.too_many() {
                break Some(CutShort {
                    after: self.started.elapsed(),
                    unseen,
                });
            }
            let due = pace.due(sent);
            let may_send = self.asking.len() < UNDER_WAY && end.is_none_or(|end| due < end);
            tokio::select! {
                () = signals.stop() => break None,
                () = &mut over => break None,
                () = sleep_until(due), if may_send => {
                    self.send(due);
                    sent += 1;
                }
                Some(asked) = self.asking.join_next() => self.answered(ended(asked)?)?,
                Some(made) = self.making.join_next() => {
                    self.story.opened(ended(made)?);
                    self.take_ended();
                }
                Some(compared) = self.comparing.join_next() => self.compared(compared)?,
                () = sleep_until(self.unchecked.next), if self.may_compare() => self.compare(),
                _ = telling.tick() => tell(self.progress.line()?),
            }
        };
        self.making.shutdown().await;
        let now = Instant::now();
        let due = pace.due_before(end.map_or(now, |end| end.min(now)));
        Ok(Traffic {
            unsent: due.saturating_sub(sent),
            cut_short,
        })
    }

    fn send(&mut self, due: Instant) {
        let Some(step) = self.story.next() else {
            return;
        };
        self.progress.sent += 1;
        let at = self.at.clone();
        self.asking.spawn(async move {
            let heard = at.ask(&step).await;
            Asked {
                step,
                due,
                answered: Instant::now(),
                heard,
            }
        });
        self.make_posts();
    }

    fn make_posts(&mut self) {
        while let Some(opening) = self.story.opening() {
            let at = self.at.clone();
            self.making.spawn(async move {
                at.make(&opening).await;
                opening.number
            });
        }
    }

    fn answered(&mut self, asked: Asked) -> Result<(), Failure> {
        let Asked {
            step,
            due,
            answered,
            heard,
        } = asked;
        self.story.answered(&step, heard.answer);
        self.take_ended();
        self.progress
            .count(&heard.end, due - self.started, answered - due)
    }

    fn take_ended(&mut self) {
        while let Some(chapter) = self.story.ended() {
            self.unchecked.add(chapter);
        }
    }

    fn may_compare(&self) -> bool {
        self.comparing.is_empty() && !self.unchecked.is_empty()
    }

    fn compare(&mut self) {
        if let Some(chapter) = self.unchecked.take() {
            let at = self.at.clone();
            self.comparing.spawn(async move {
                let outcome = at.compare(&chapter).await;
                (chapter, outcome)
            });
        }
    }

    fn compared(
        &mut self,
        compared: Result<(Chapter, Result<Difference, String>), JoinError>,
    ) -> Result<(), Failure> {
        let (chapter, outcome) = ended(compared)?;
        self.unchecked.compared(chapter, outcome, Instant::now());
        Ok(())
    }

    /// Waits for every answer; each is bounded.
    async fn last_answers(&mut self) -> Result<(), Failure> {
        while let Some(asked) = self.asking.join_next().await {
            self.answered(ended(asked)?)?;
        }
        self.story.end();
        self.take_ended();
        Ok(())
    }

    /// Compares until nothing differs, or until the deadline.
    async fn arrivals(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            if let Some(compared) = self.comparing.join_next().await {
                self.compared(compared)?;
            }
            if self.unchecked.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            sleep_until(self.unchecked.next.min(deadline)).await;
            self.compare();
        }
    }
}

/// When requests are due: evenly, from the start.
#[derive(Debug, Clone, Copy)]
struct Pace {
    started: Instant,
    per_second: u32,
}

impl Pace {
    /// When the request of this number is due, from 0.
    fn due(self, number: u64) -> Instant {
        let each = u64::from(self.per_second);
        let rest = Duration::from_secs(number % each) / self.per_second;
        self.started + Duration::from_secs(number / each) + rest
    }

    /// How many are due before that instant.
    fn due_before(self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.started);
        let due = (passed.as_nanos() * u128::from(self.per_second)).div_ceil(1_000_000_000);
        due.try_into().unwrap_or(u64::MAX)
    }
}

/// What a task of ours brought.
fn ended<T>(task: Result<T, JoinError>) -> Result<T, Failure> {
    task.doing(|| "run the load".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_and_without_drift() {
        let pace = Pace {
            started: Instant::now(),
            per_second: 3,
        };
        for (number, millis) in [
            (0, 0),
            (1, 333),
            (2, 666),
            (3, 1_000),
            (3_000_000, 1_000_000_000),
        ] {
            assert_eq!(
                (pace.due(number) - pace.started).as_millis(),
                millis,
                "{number}"
            );
        }
        for number in [0, 1, 2, 3, 1_000_000, 1_000_001] {
            let due = pace.due(number);
            assert_eq!(pace.due_before(due), number);
            assert_eq!(pace.due_before(due + Duration::from_millis(1)), number + 1);
        }
    }
}
