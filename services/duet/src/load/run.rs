//! The traffic, from the first post to the last comparison.

use super::{
    ask::{Heard, Services},
    audience::{Audience, Call},
    chapter::{Chapter, Difference},
    pace::{Pace, Rate},
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
/// A request that was due so shortly before the end might have been sent still.
const MOMENT: Duration = Duration::from_millis(100);
/// How long the first posts may take to be made.
const FIRST_POSTS: Duration = Duration::from_secs(10);

/// What traffic to make.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How much, one after the other.
    pub(crate) rates: Vec<Rate>,
    /// For how long in all; without it until this process is asked to stop. The last rate goes on until then.
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
    audience: &mut impl Audience,
) -> Result<Report, Failure> {
    let id = format!("{:05x}", rand::random_range(0..0x10_0000));
    let most = plan.rates.iter().map(|it| it.per_second).max();
    let mut run = Run {
        at: at.clone(),
        story: Story::new(id.clone(), rand::random(), most.unwrap_or(1)),
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
    audience.began(run.started);
    let traffic = run.traffic(plan, signals, audience).await?;
    let arrivals = async {
        run.last_answers(audience).await?;
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
        per_second: most.unwrap_or_default(),
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
        audience: &mut impl Audience,
    ) -> Result<Traffic, Failure> {
        let pace = Pace::of(self.started, &plan.rates);
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
                Some(asked) = self.asking.join_next() => self.answered(ended(asked)?, audience)?,
                Some(made) = self.making.join_next() => {
                    self.story.opened(ended(made)?);
                    self.take_ended();
                }
                Some(compared) = self.comparing.join_next() => self.compared(compared)?,
                () = sleep_until(self.unchecked.next), if self.may_compare() => self.compare(),
                _ = telling.tick() => audience.told(self.progress.line()?),
            }
        };
        self.making.shutdown().await;
        let now = Instant::now();
        // Of what is due at this very moment nobody can say that it was late.
        let late = now - MOMENT;
        let due = pace.due_before(end.map_or(late, |end| end.min(now)));
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

    fn answered(&mut self, asked: Asked, audience: &mut impl Audience) -> Result<(), Failure> {
        let Asked {
            step,
            due,
            answered,
            heard,
        } = asked;
        self.story.answered(&step, heard.answer);
        self.take_ended();
        let (due, waited) = (due - self.started, answered - due);
        self.progress.count(&heard.end, due, waited)?;
        audience.heard(Call { due, waited, heard });
        Ok(())
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
    async fn last_answers(&mut self, audience: &mut impl Audience) -> Result<(), Failure> {
        while let Some(asked) = self.asking.join_next().await {
            self.answered(ended(asked)?, audience)?;
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

/// What a task of ours brought.
fn ended<T>(task: Result<T, JoinError>) -> Result<T, Failure> {
    task.doing(|| "run the load".to_owned())
}
