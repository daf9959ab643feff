//! What is asked: the same every time, or a new reaction every time.

use std::{
    fmt::{self, Display},
    io::Write,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Whose posts [`Requests::making`] makes.
pub(in crate::bench) const OWNER: &str = "owner-0";

/// What each request says, as bytes.
#[derive(Debug, Clone)]
pub(in crate::bench) enum Requests {
    /// Every time the same.
    Same(Arc<[u8]>),
    /// Every time another user, or another post.
    Reactions(Arc<Reactions>),
    /// Every time the next post is made, all of one owner.
    Posts(Posts, Arc<AtomicU64>),
}

impl Requests {
    /// `GET /`.
    pub(in crate::bench) fn root() -> Self {
        Self::Same((*b"GET / HTTP/1.1\r\nhost: duet\r\n\r\n").into())
    }

    /// Each makes the next of these posts, from the first on.
    pub(in crate::bench) fn making(posts: Posts) -> Self {
        Self::Posts(posts, Arc::default())
    }

    /// Writes the next one in place of what is there.
    pub(super) fn next(&self, into: &mut Vec<u8>) {
        into.clear();
        match self {
            Self::Same(bytes) => into.extend_from_slice(bytes),
            Self::Reactions(reactions) => reactions.next(into),
            Self::Posts(posts, made) => {
                let post = made.fetch_add(1, Relaxed);
                let title = format!("{post:08}");
                let body = format!("{{\"owner\":\"{OWNER}\",\"title\":\"{title}\"}}");
                // Writing into memory doesn't fail.
                let _ = write!(
                    into,
                    "PUT /v1/posts/{} HTTP/1.1\r\nhost: duet\r\n\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    posts.id(post),
                    body.len()
                );
            }
        }
    }
}

/// The posts that are reacted to. Their ids have the same length, so that they are stored in the order of their numbers: else those at one
/// end would lie further from each other than those at the other.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Posts(pub(in crate::bench) NonZeroU32);

impl Posts {
    /// Posts an owner has.
    const EACH: u32 = 10;

    /// Each post's id and owner.
    pub(in crate::bench) fn all(self) -> impl Iterator<Item = (String, String)> {
        (0..self.0.get()).map(move |post| {
            let owner = format!("owner-{}", post / Self::EACH);
            (self.id(post.into()).to_string(), owner)
        })
    }

    /// One post's id.
    pub(in crate::bench) fn id(self, post: u64) -> impl Display {
        let digits = (self.0.get() - 1).checked_ilog10().unwrap_or(0) as usize + 1;
        fmt::from_fn(move |f| write!(f, "post-{post:0digits$}"))
    }
}

/// In which order the users of a post come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(in crate::bench) enum Users {
    /// As ids that grow with time: a post's rows lie side by side
    Ordered,
    /// In none: each row lands on a page of its own, which is then read and written for it alone
    Scattered,
}

/// Reactions of which no two are of the same user to the same post.
#[derive(Debug)]
pub(in crate::bench) struct Reactions {
    posts: Posts,
    /// How many of them are reacted to, from the first on.
    among: NonZeroU32,
    users: Users,
    begun: AtomicU64,
}

impl Reactions {
    pub(in crate::bench) fn to(posts: Posts, users: Users) -> Arc<Self> {
        Self::from(0, posts, users)
    }

    /// Those after so many.
    pub(in crate::bench) fn from(first: u64, posts: Posts, users: Users) -> Arc<Self> {
        Self::among(posts.0, first, posts, users)
    }

    /// Those to the first post alone, after so many.
    pub(in crate::bench) fn to_the_first(after: u64, posts: Posts, users: Users) -> Arc<Self> {
        Self::among(NonZeroU32::MIN, after, posts, users)
    }

    fn among(among: NonZeroU32, first: u64, posts: Posts, users: Users) -> Arc<Self> {
        Arc::new(Self {
            posts,
            among,
            users,
            begun: AtomicU64::new(first),
        })
    }

    fn next(&self, into: &mut Vec<u8>) {
        let (post, user) = self.pair(self.begun.fetch_add(1, Relaxed));
        // Writing into memory doesn't fail.
        let _ = write!(
            into,
            "PUT /v1/posts/{}/reactions/user-{user:08x} HTTP/1.1\r\nhost: duet\r\n\
             content-type: application/json\r\ncontent-length: 15\r\n\r\n{{\"kind\":\"like\"}}",
            self.posts.id(post)
        );
    }

    /// The post goes round. To scatter, a number is multiplied by odd ones and its upper bits are taken into the lower:
    /// all of which can be undone, so no user comes twice.
    fn pair(&self, number: u64) -> (u64, u32) {
        let posts = u64::from(self.among.get());
        let round = (number / posts) as u32;
        let user = match self.users {
            Users::Ordered => round,
            Users::Scattered => {
                let user = round.wrapping_mul(0x9e37_79b1);
                (user ^ (user >> 15)).wrapping_mul(0x85eb_ca6b)
            }
        };
        (number % posts, user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_user_reacts_twice_to_a_post() {
        for users in [Users::Ordered, Users::Scattered] {
            let reactions = Reactions::to(Posts(NonZeroU32::new(7).unwrap()), users);
            let pairs: HashSet<_> = (0..200_000).map(|number| reactions.pair(number)).collect();
            assert_eq!(pairs.len(), 200_000);
        }
    }

    #[test]
    fn posts_are_stored_in_the_order_of_their_numbers() {
        let posts = |many| {
            Posts(NonZeroU32::new(many).unwrap())
                .all()
                .map(|(id, _)| id)
        };
        assert_eq!(posts(1).collect::<Vec<_>>(), ["post-0"]);
        assert_eq!(posts(10).last().as_deref(), Some("post-9"));
        assert!(posts(101).is_sorted());
    }

    #[test]
    fn a_request_says_how_long_it_is() {
        let mut request = Vec::new();
        Requests::Reactions(Reactions::to(Posts(NonZeroU32::MIN), Users::Ordered))
            .next(&mut request);
        let request = String::from_utf8(request).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("PUT /v1/posts/post-0/reactions/user-00000000 HTTP/1.1\r\n"));
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{head}"
        );
    }
}
