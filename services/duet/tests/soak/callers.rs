use duet_history::{Answer, Did, History, Operation, Pair as Key, Restored, Standing};
use duet_testkit::Pair;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{Interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// How many ask at once: several of the same pair now and then.
const CALLERS: usize = 16;
/// Requests begun a second, all callers together.
const PER_SECOND: u32 = 400;
/// Posts that several users react to, and posts that one does: of those Notification's lists tell how each pair stands there.
const SHARED: usize = 20;
const ALONE: usize = 100;
const USERS: [&str; 5] = ["ana", "cy", "dan", "eve", "fay"];
const OWNERS: usize = 4;
const KINDS: [&str; 6] = ["like", "love", "laugh", "wow", "sad", "angry"];
/// Of a hundred requests, how many take back and how many read.
const TAKE_BACK: u32 = 25;
const READ: u32 = 15;
/// A caller that gets no answer for so long gives up.
const GIVES_UP: Duration = Duration::from_secs(8);
/// One that can't connect tries again after this.
const AWAY: Duration = Duration::from_millis(20);
/// How often an owner's list is read.
const LOOKS: Duration = Duration::from_millis(100);

/// Callers under way.
pub(crate) struct Callers {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

struct Shared {
    http: reqwest::Client,
    reaction: String,
    notification: String,
    began: Instant,
    pace: tokio::sync::Mutex<Interval>,
    pairs: Vec<Key>,
    told: Mutex<Told>,
}

/// Everything that was asked and told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) history: History,
    /// Answers that a caller of this sort should never get, a few of them.
    pub(crate) strange: Vec<String>,
}

/// Who owns a post.
pub(crate) fn owners() -> BTreeMap<Arc<str>, Arc<str>> {
    let posts = (0..SHARED + ALONE).map(|it| {
        let owner = format!("owner-{}", it % OWNERS);
        (post(it), owner.into())
    });
    posts.collect()
}

fn post(number: usize) -> Arc<str> {
    format!("post-{number}").into()
}

impl Callers {
    /// Makes the posts, and begins.
    pub(crate) async fn begin(pair: &Pair, seed: u64) -> Self {
        for (post, owner) in owners() {
            pair.post(&post, &owner, "Soak").await;
        }
        let shared = (0..SHARED).flat_map(|it| USERS.map(|user| Key::new(&post(it), user)));
        let alone = (SHARED..SHARED + ALONE).map(|it| Key::new(&post(it), USERS[0]));
        let shared = Arc::new(Shared {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(GIVES_UP)
                .build()
                .unwrap(),
            reaction: pair.reaction.public(),
            notification: pair.notification.public(),
            began: Instant::now(),
            pace: tokio::time::interval(Duration::from_secs(1) / PER_SECOND).into(),
            pairs: shared.chain(alone).collect(),
            told: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS {
            let (shared, stop) = (shared.clone(), stop.clone());
            let mut dice = StdRng::seed_from_u64(seed.wrapping_add(1 + caller as u64));
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    shared.pace.lock().await.tick().await;
                    shared.ask(caller, &mut dice).await;
                }
            });
        }
        let (looking, ended) = (shared.clone(), stop.clone());
        tasks.spawn(async move {
            for owner in (0..OWNERS).cycle() {
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = sleep(LOOKS) => {}
                }
                looking.look(&format!("owner-{owner}")).await;
            }
        });
        Self {
            shared,
            stop,
            tasks,
        }
    }

    /// How long they have been at it.
    pub(crate) fn time(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// A store was put back as it was before, and is healed.
    pub(crate) fn restored(&self, restored: Restored) {
        self.shared.told(|it| it.history.restored(restored));
    }

    /// Lets each finish what it has begun.
    pub(crate) async fn end(mut self) -> Told {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.shared.told(std::mem::take)
    }
}

impl Shared {
    fn told<T>(&self, then: impl FnOnce(&mut Told) -> T) -> T {
        then(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One request, of whatever pair.
    async fn ask(&self, caller: usize, dice: &mut StdRng) {
        let pair = self.pairs.choose(dice).unwrap();
        let url = format!(
            "{}/v1/posts/{}/reactions/{}",
            self.reaction, pair.post, pair.user
        );
        let roll = dice.random_range(0..100);
        let wanted: Option<Standing> = match roll {
            0..READ => None,
            _ if roll < READ + TAKE_BACK => Some(None),
            _ => KINDS.choose(dice).map(|kind| Some((*kind).into())),
        };
        let request = match &wanted {
            None => self.http.get(&url),
            Some(None) => self.http.delete(&url),
            Some(Some(kind)) => self.http.put(&url).json(&json!({ "kind": &**kind })),
        };
        let invoked = self.began.elapsed();
        let answer = heard(request).await;
        let ended = self.began.elapsed();
        let did = match (wanted, answer) {
            (_, Err(Silence::Away)) => return sleep(AWAY).await,
            (None, Ok((200, body))) => body["kind"].as_str().map(|kind| Did::Read {
                saw: Some(kind.into()),
            }),
            (None, Ok((404, _))) => Some(Did::Read { saw: None }),
            (None, _) => None,
            (Some(wanted), answer) => {
                let answer = answer.map_or(Some(Answer::Unknown), |(status, body)| {
                    let answer = answer_of(status, &body);
                    if answer.is_none() {
                        self.told(|it| it.strange.push(format!("{status} {body}")));
                    }
                    answer
                });
                answer.map(|answer| Did::Wrote { wanted, answer })
            }
        };
        let Some(did) = did else { return };
        let operation = Operation {
            caller,
            invoked,
            ended,
            did,
        };
        self.told(|it| it.history.add(pair, operation));
    }

    /// Reads an owner's list, which shows how the only reaction to each of many posts stands at Notification.
    async fn look(&self, owner: &str) {
        let url = format!(
            "{}/v1/users/{owner}/notifications?limit=500",
            self.notification
        );
        let invoked = self.began.elapsed();
        let Ok((200, body)) = heard(self.http.get(url)).await else {
            return;
        };
        let ended = self.began.elapsed();
        assert!(body["next"].is_null(), "one page has all: {body}");
        let groups = body["items"].as_array().unwrap().iter();
        let shown: BTreeMap<&str, &Value> = groups
            .map(|it| (it["post"].as_str().unwrap(), &it["kinds"]))
            .collect();
        for number in
            (SHARED..SHARED + ALONE).filter(|it| owner == format!("owner-{}", it % OWNERS))
        {
            let pair = Key::new(&post(number), USERS[0]);
            let kinds = shown.get(&*pair.post).and_then(|it| it.as_object());
            let saw = kinds.and_then(|it| it.keys().next());
            let operation = Operation {
                caller: CALLERS,
                invoked,
                ended,
                did: Did::Observed {
                    at: "notification".into(),
                    saw: saw.map(|it| it.as_str().into()),
                },
            };
            self.told(|it| it.history.add(&pair, operation));
        }
    }
}

/// No answer.
enum Silence {
    /// Nobody listened, so nothing was sent.
    Away,
    /// Nobody knows what came of it.
    Lost,
}

async fn heard(request: reqwest::RequestBuilder) -> Result<(u16, Value), Silence> {
    let lost = |error: reqwest::Error| match error.is_connect() {
        true => Silence::Away,
        false => Silence::Lost,
    };
    let answer = request.send().await.map_err(lost)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(lost)?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// What the README says of each answer to a change: none, if no caller of a post that is there should get it.
fn answer_of(status: u16, body: &Value) -> Option<Answer> {
    match status {
        200 if body["delivery"]["attempts"] == 0 => Some(Answer::Stood),
        200 => Some(Answer::Delivered),
        202 => Some(Answer::Accepted),
        503 if body["type"] == "/problems/outcome-unknown" => Some(Answer::Unknown),
        503 | 504 if body["type"].is_string() => Some(Answer::Refused),
        _ => None,
    }
}
