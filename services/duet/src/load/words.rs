//! Names and titles, so that a trace or a notification of this traffic is good to read.

use std::fmt;

/// Who posts.
const OWNERS: [&str; 12] = [
    "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "niaj", "olivia",
    "peggy",
];

/// Who reacts. None of them owns a post, so that everybody is notified of everything.
const USERS: [&str; 41] = [
    "ana", "eva", "ben", "cleo", "dan", "ella", "finn", "gwen", "hugo", "iris", "jack", "kim",
    "leo", "mia", "noah", "oona", "paul", "quinn", "rosa", "sam", "tess", "uma", "vic", "wren",
    "xena", "yara", "zoe", "amir", "bea", "chen", "dora", "emil", "fay", "gus", "hana", "ines",
    "jon", "kaya", "luca", "maya", "nils",
];

/// How many users lie between one who reacts to a post and the next: no divisor of their number, so that all of them come.
const STRIDE: usize = 11;

/// What the posts are about.
const TITLES: [&str; 32] = [
    "First light over the harbour",
    "What I learned from a failed deploy",
    "The bread finally rose",
    "A walk along the old railway",
    "Notes on reading slowly",
    "Our cat found the printer",
    "Six weeks without a phone",
    "Snow on the first of May",
    "How we halved our build times",
    "A letter from my grandmother",
    "The bridge at midnight",
    "Tomatoes, year three",
    "Why I still keep a paper diary",
    "The last tram home",
    "Learning the cello at forty",
    "A map of every bakery in town",
    "Two days in the mountains",
    "The bug that only came on Tuesdays",
    "My favourite small libraries",
    "Rain on a tin roof",
    "The neighbours' piano",
    "Painting the kitchen green",
    "Ten kilometres, slowly",
    "A recipe with three things in it",
    "Watching the storm come in",
    "What the tide left behind",
    "The quietest cafe in the city",
    "Mending an old bicycle",
    "Postcards I never sent",
    "Everything I know about moss",
    "The first swim of the year",
    "A table made from a door",
];

/// A user that reacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User(usize);

impl User {
    /// The `nth` to react to the post of this number; to one post each comes once.
    pub(super) fn of(post: u64, nth: usize) -> Self {
        // The remainder fits.
        let first = (post % USERS.len() as u64) as usize;
        let round = nth / USERS.len();
        Self(round * USERS.len() + (first + nth * STRIDE) % USERS.len())
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(USERS[self.0 % USERS.len()])?;
        match self.0 / USERS.len() {
            0 => Ok(()),
            round => write!(f, "-{round}"),
        }
    }
}

/// The owner of this number; `run` tells one run's from another's.
pub(super) fn owner(run: &str, number: u64) -> String {
    let names = OWNERS.len() as u64;
    let name = OWNERS[(number % names) as usize];
    match number / names {
        0 => format!("{name}-{run}"),
        round => format!("{name}-{run}-{round}"),
    }
}

/// The post of this number: its id and its title.
pub(super) fn post(run: &str, number: u64) -> (String, &'static str) {
    let title = TITLES[(number % TITLES.len() as u64) as usize];
    let mut id: String = title
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == ' ')
        .map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    id += &format!("-{run}-{number}");
    (id, title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_web::ids::{PostId, Title, UserId};
    use std::collections::HashSet;

    #[test]
    fn nobody_reacts_twice_to_a_post() {
        for number in [0, 7, u64::MAX] {
            let users: HashSet<_> = (0..200)
                .map(|nth| User::of(number, nth).to_string())
                .collect();
            assert_eq!(users.len(), 200);
        }
        assert_eq!(User::of(0, 0).to_string(), "ana");
    }

    #[test]
    fn every_name_and_title_is_one_that_the_services_take() {
        let mut seen = HashSet::new();
        for number in 0..200 {
            let (id, title) = post("k3f9q", number);
            id.parse::<PostId>().unwrap();
            title.parse::<Title>().unwrap();
            let owner = owner("k3f9q", number);
            owner.parse::<UserId>().unwrap();
            assert!(seen.insert(id) && seen.insert(owner), "{number}");
        }
        assert_eq!(post("k3f9q", 20).0, "the-neighbours-piano-k3f9q-20");
    }
}
