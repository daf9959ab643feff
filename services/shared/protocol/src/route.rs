//! Which mode an event takes: the one place that decides.
//!
//! A pair always takes the same side of a share, in every process and version: by a hash of its key that never changes. It is
//! another one than that which gives a key its partition, so that every partition has the share.

use crate::event::Key;
use crate::settings::{Canary, Mode, Settings};

/// The channel's mode, and the share that takes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What all take that the share doesn't cover.
    pub mode: Mode,
    /// The share; none where it would change nothing.
    canary: Option<Canary>,
}

impl Route {
    /// All take one mode.
    pub const fn all(mode: Mode) -> Self {
        Route { mode, canary: None }
    }

    /// A share takes another mode.
    pub fn new(mode: Mode, canary: Option<Canary>) -> Self {
        let canary = canary.filter(|canary| canary.mode != mode && canary.percent.get() > 0);
        Route { mode, canary }
    }

    /// Which mode the events of a key take.
    pub fn mode_of(&self, key: &Key) -> Mode {
        match self.canary {
            Some(canary) if canary.covers(key) => canary.mode,
            Some(_) | None => self.mode,
        }
    }

    /// Whether keys differ in what they take.
    pub const fn is_split(&self) -> bool {
        self.canary.is_some()
    }

    /// Whether any key may take this mode.
    pub fn uses(&self, mode: Mode) -> bool {
        self.mode == mode || self.is_split()
    }
}

impl Canary {
    /// Whether the events of a key belong to it.
    pub fn covers(&self, key: &Key) -> bool {
        self.percent.covers(evenly(key))
    }
}

impl Settings {
    /// Which mode each key takes.
    pub fn route(&self) -> Route {
        Route::new(self.mode, self.canary)
    }

    /// Which mode the events of a key take.
    pub fn mode_of(&self, key: &Key) -> Mode {
        self.route().mode_of(key)
    }
}

/// A key's place, spread evenly over all numbers.
fn evenly(key: &Key) -> u64 {
    const SEED: u64 = 0x6475_6574_2d63_616e;
    xxhash_rust::xxh3::xxh3_64_with_seed(key.as_str().as_bytes(), SEED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Percent;

    fn keys(n: u32) -> impl Iterator<Item = Key> {
        (0..n).filter_map(|n| Key::new(format!("post-{}/user-{n}", n % 97)))
    }

    fn route(percent: u8) -> Route {
        let percent = Percent::new(percent).unwrap();
        let mode = Mode::Async;
        Route::new(Mode::Sync, Some(Canary { mode, percent }))
    }

    fn is_canary(percent: u8, key: &Key) -> bool {
        route(percent).mode_of(key) == Mode::Async
    }

    #[test]
    fn the_share_is_what_the_percent_says_in_every_partition() {
        const KEYS: u32 = 200_000;
        for percent in [1, 5, 20, 50, 99] {
            let mut of = [0_f64; 16];
            let mut covered = [0_f64; 16];
            for key in keys(KEYS) {
                let partition = usize::from(key.partition(16).0);
                of[partition] += 1.0;
                covered[partition] += f64::from(u8::from(is_canary(percent, &key)));
            }
            for (of, covered) in of.into_iter().zip(covered) {
                // Five standard deviations of the share of so many.
                let share = f64::from(percent) / 100.0;
                let within = 5.0 * (share * (1.0 - share) / of).sqrt();
                assert!(
                    (covered / of - share).abs() < within,
                    "{percent}: {covered} of {of}"
                );
            }
        }
    }

    #[test]
    fn nothing_and_everything_are_exact() {
        assert!(keys(10_000).all(|key| !is_canary(0, &key) && is_canary(100, &key)));
        assert!(!Percent::new(99).unwrap().covers(u64::MAX) && Percent::new(1).unwrap().covers(0));
        assert_eq!(Percent::new(101), None);
    }

    #[test]
    fn a_larger_share_keeps_the_keys_of_the_smaller() {
        for key in keys(2_000) {
            let first = (0..=100).find(|percent| is_canary(*percent, &key)).unwrap();
            assert!((first..=100).all(|percent| is_canary(percent, &key)));
        }
    }

    #[test]
    fn a_key_takes_the_same_side_in_every_version() {
        // Another hash would send pairs the other way that are under way.
        let first = |text: &str| {
            let key = Key::new(text).unwrap();
            (0..=100).find(|percent| is_canary(*percent, &key))
        };
        let sides = ["hello/ana", "hello/eva", "post-1/user-1", "a"].map(first);
        assert_eq!(sides, [54, 98, 92, 30].map(Some));
    }

    #[test]
    fn a_canary_of_no_pairs_changes_nothing() {
        assert_eq!(route(0), Route::all(Mode::Sync));
    }

    #[test]
    fn a_canary_of_the_channels_own_mode_changes_nothing() {
        let percent = Percent::new(50).unwrap();
        let mode = Mode::Sync;
        let route = Route::new(mode, Some(Canary { mode, percent }));
        assert_eq!(route, Route::all(mode));
        assert!(route.uses(Mode::Sync) && !route.uses(Mode::Async) && !route.is_split());
    }
}
