//! Lists that are long: a post's reactions and a user's notifications, read page by page to the end.

use super::Options;
use crate::{
    bench::{
        count::Stored,
        load::{OWNER, Posts, Reactions, Requests, Users, When},
        pair::{Pair, Setup},
        report::{Bound, Figure, Goal, Rows, Spread, in_micros, quantiles},
    },
    failure::{Doing, Failure, Kind},
    internal::{client, why},
    waits::Waits,
};
use duet_crd::Mode;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

/// Entries of a page, as a caller would ask for them.
const PAGE: usize = 100;
/// Pages at either end whose times are told.
const ENDS: usize = 20;
/// A page far inside may take this many times as long as one at the start: flat, but for noise.
const FLAT: f64 = 2.0;
const ONE: NonZeroU32 = NonZeroU32::MIN;

#[derive(Deserialize)]
struct Listed {
    items: Vec<serde::de::IgnoredAny>,
    next: Option<String>,
}

/// How long the pages of a list took, from the first to the last.
struct Walk {
    pages: Vec<Duration>,
    items: usize,
}

pub(super) async fn measure(
    options: &Options,
    home: &Path,
    baseline: &mut Rows,
    modes: &mut Rows,
) -> Result<Vec<Goal>, Failure> {
    let dir = home.join("lists");
    std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
    let setup = Setup::of(&options.common, Mode::Async, Posts(ONE));
    let pair = Pair::start(&dir, &setup.again()).await?;
    let lists = Lists {
        options,
        pair: &pair,
        posts: Requests::making(Posts(options.listed)),
    };
    let mut goals = Vec::new();
    let few = options.few.min(options.listed);
    lists.grow(0, few).await?;
    lists.told(few, baseline).await?;
    lists.grow(few.get(), options.listed).await?;
    for (list, far) in lists.told(options.listed, modes).await? {
        let of = format!(
            "{list}: a page at the end of {} to one at the start",
            options.listed
        );
        goals.push(Goal::new(of, Spread::of([far]), Bound::AtMost(FLAT)));
    }
    pair.stop().await?;
    // One reaction to each post, and all the others to the first.
    let held = u64::from(options.listed.get()) * 2 - 1;
    Stored::under(&dir)?.must_be(held)?;
    std::fs::remove_dir_all(&dir).doing(|| format!("remove {}", dir.display()))?;
    Ok(goals)
}

struct Lists<'a> {
    options: &'a Options,
    pair: &'a Pair,
    posts: Requests,
}

impl Lists<'_> {
    /// Makes both lists so long: one owner's posts with a reaction each, and the first post's reactions.
    async fn grow(&self, from: u32, to: NonZeroU32) -> Result<(), Failure> {
        let (from, to) = (u64::from(from), u64::from(to.get()));
        let made = |more| self.options.load(self.pair, When::Made(more));
        made(to - from).run(self.posts.clone()).await?;
        let each = Requests::Reactions(Reactions::from(
            from,
            Posts(self.options.listed),
            Users::Ordered,
        ));
        made(to - from).run(each).await?;
        // The first user's is there already.
        let from = from.max(1);
        let posts = Posts(self.options.listed);
        let first = Requests::Reactions(Reactions::to_the_first(from, posts, Users::Scattered));
        made(to - from).run(first).await?;
        self.pair.drained().await
    }

    /// Reads both lists to their end. Returns how a page there compares with one at the start.
    async fn told(
        &self,
        of: NonZeroU32,
        rows: &mut Rows,
    ) -> Result<Vec<(&'static str, f64)>, Failure> {
        let mut far = Vec::new();
        let first = format!("/v1/posts/{}", Posts(self.options.listed).id(0));
        let lists = [
            (
                "a post's reactions",
                self.pair.reaction,
                format!("{first}/reactions"),
            ),
            (
                "a user's notifications",
                self.pair.notification,
                format!("/v1/users/{OWNER}/notifications"),
            ),
        ];
        for (list, at, path) in lists {
            let walk = Walk::over(at, &path).await?;
            if walk.items != of.get() as usize {
                let what = format!("{path} lists {} of {of}", walk.items);
                return Err(Failure::new(Kind::Differs, what));
            }
            let ends = ENDS.min(walk.pages.len() / 2).max(1);
            let (start, end) = (&walk.pages[..ends], &walk.pages[walk.pages.len() - ends..]);
            let [start, end] = [waits(start)?, waits(end)?];
            far.push((
                list,
                in_micros(end.within(0.5)) / in_micros(start.within(0.5)).max(1.0),
            ));
            for (where_, waits) in [("first", start), ("last", end)] {
                let [p50, .., max] = quantiles(&waits);
                rows.add(&format!("{list}, {where_} pages of {of}"), [p50, max]);
            }
        }
        for (one, at, path) in [
            ("a post with its counts", self.pair.reaction, first),
            (
                "how many are unread",
                self.pair.notification,
                format!("/v1/users/{OWNER}/notifications/unread"),
            ),
        ] {
            let mut took = Vec::new();
            for _ in 0..ENDS {
                took.push(get::<serde::de::IgnoredAny>(&client(), at, &path).await?.1);
            }
            let p50 = in_micros(waits(&took)?.within(0.5));
            rows.add(&format!("{one}, of {of}"), [(Figure::P50, p50)]);
        }
        Ok(far)
    }
}

fn waits(took: &[Duration]) -> Result<Waits, Failure> {
    let mut waits = Waits::new()?;
    took.iter().for_each(|it| waits.record(*it));
    Ok(waits)
}

impl Walk {
    async fn over(at: SocketAddr, path: &str) -> Result<Self, Failure> {
        let http = client();
        let mut walk = Self {
            pages: Vec::new(),
            items: 0,
        };
        let mut cursor = None;
        loop {
            let from = cursor.map_or_else(String::new, |it: String| format!("&cursor={it}"));
            let (page, took) =
                get::<Listed>(&http, at, &format!("{path}?limit={PAGE}{from}")).await?;
            walk.pages.push(took);
            walk.items += page.items.len();
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(walk),
            }
        }
    }
}

/// Asks, and tells how long the whole answer took.
async fn get<T: serde::de::DeserializeOwned>(
    http: &reqwest::Client,
    at: SocketAddr,
    path: &str,
) -> Result<(T, Duration), Failure> {
    let started = Instant::now();
    let asked = async {
        let answer = http.get(format!("http://{at}{path}")).send().await?;
        answer.error_for_status()?.bytes().await
    };
    let body = asked.await.map_err(|error| {
        Failure::new(Kind::Failed, format!("can't read {path}: {}", why(&error)))
    })?;
    let took = started.elapsed();
    let told = serde_json::from_slice(&body).doing(|| format!("read {path}"))?;
    Ok((told, took))
}
