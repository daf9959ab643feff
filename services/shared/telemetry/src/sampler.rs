//! Which traces are recorded.
//!
//! The caller's decision stands if it made one. Else every trace is recorded up to 20 a second, and 1 in 1,000 above that; what
//! is exceptional (failures, retransmissions, redrives) has a budget of its own, 5 a second.
//! [`Sampler::decide`](crate::sampler::Sampler::decide) is pure: time and randomness are arguments, and a "no" costs one atomic
//! load. `should_sample.rs` is the thin shell around it.

use std::time::Duration;

use opentelemetry::trace::TraceId;

use crate::rate_limit::RateLimit;

/// Where a span comes from, as far as sampling is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It continues a trace, or is shared by some: the decision is made.
    Decided {
        /// What it is.
        sampled: bool,
    },
    /// It begins a trace.
    Ordinary,
    /// It begins a trace of something that shouldn't happen often: a failure, a retransmission, a redrive.
    Exceptional,
}

/// Which traces that begin here are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Roots {
    /// Within [`Rates`].
    #[default]
    Limited,
    /// All.
    All,
    /// None.
    None,
}

/// How decisions are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Whether a caller's decision stands. If not, `roots` decides for every span.
    pub heeds_caller: bool,
    /// Who decides where there is no caller's decision.
    pub roots: Roots,
    /// The figures of [`Roots::Limited`].
    pub rates: Rates,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            heeds_caller: true,
            roots: Roots::default(),
            rates: Rates::default(),
        }
    }
}

impl Sampling {
    /// As `OTEL_TRACES_SAMPLER` names it: `duet` (the default sampling), `always_on`, `always_off`, `parentbased_always_on`,
    /// `parentbased_always_off`; `None` for any other.
    pub fn named(name: &str) -> Option<Self> {
        let (heeds_caller, roots) = match name {
            "duet" => (true, Roots::Limited),
            "always_on" => (false, Roots::All),
            "always_off" => (false, Roots::None),
            "parentbased_always_on" => (true, Roots::All),
            "parentbased_always_off" => (true, Roots::None),
            _ => return None,
        };
        Some(Self {
            heeds_caller,
            roots,
            rates: Rates::default(),
        })
    }
}

/// The figures of the default sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Traces a second that are all recorded; at least 1.
    pub per_second: u32,
    /// Above that, one in this many; at least 1.
    pub one_in: u32,
    /// Exceptional traces a second; at least 1.
    pub exceptional_per_second: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            per_second: 20,
            one_in: 1_000,
            exceptional_per_second: 5,
        }
    }
}

/// A number that is as good as random, and the same for all of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness(pub u64);

impl Randomness {
    /// The low half of a trace id: random, by W3C Trace Context Level 2.
    pub fn of(trace_id: TraceId) -> Self {
        let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Whether it is the one in `n`. Of the 56 bits that are surely random.
    fn is_one_in(self, n: u32) -> bool {
        const BITS: u32 = 56;
        let low = self.0 & ((1 << BITS) - 1);
        low < (1 << BITS) / u64::from(n.max(1))
    }
}

/// Makes the decisions. Shared by all threads; nothing in it blocks.
#[derive(Debug)]
pub struct Sampler {
    heeds_caller: bool,
    roots: Roots,
    one_in: u32,
    ordinary: RateLimit,
    exceptional: RateLimit,
}

impl Sampler {
    /// A sampler with both budgets full.
    pub fn new(sampling: Sampling) -> Self {
        let Rates {
            per_second,
            one_in,
            exceptional_per_second,
        } = sampling.rates;
        Self {
            heeds_caller: sampling.heeds_caller,
            roots: sampling.roots,
            one_in,
            ordinary: RateLimit::per_second(per_second),
            exceptional: RateLimit::per_second(exceptional_per_second),
        }
    }

    /// Whether to record a span. `now` is the time since some fixed moment, and matters only where a trace begins.
    pub fn decide(&self, origin: Origin, now: Duration, randomness: Randomness) -> bool {
        if let Origin::Decided { sampled } = origin
            && self.heeds_caller
        {
            return sampled;
        }
        match (self.roots, origin) {
            (Roots::All, _) => true,
            (Roots::None, _) => false,
            (Roots::Limited, Origin::Decided { sampled }) => sampled,
            (Roots::Limited, Origin::Ordinary) => {
                self.ordinary.permit(now) || randomness.is_one_in(self.one_in)
            }
            (Roots::Limited, Origin::Exceptional) => self.exceptional.permit(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// Is not the one in a thousand.
    const UNLUCKY: Randomness = Randomness(u64::MAX);
    const LUCKY: Randomness = Randomness(0);

    fn sampler() -> Sampler {
        Sampler::new(Sampling::default())
    }

    fn seeds() -> impl Iterator<Item = StdRng> {
        (0..200).map(StdRng::seed_from_u64)
    }

    #[test]
    fn a_callers_decision_stands_and_costs_no_budget() {
        let sampler = sampler();
        for _ in 0..1_000 {
            assert!(sampler.decide(Origin::Decided { sampled: true }, SECOND, UNLUCKY));
            assert!(!sampler.decide(Origin::Decided { sampled: false }, SECOND, LUCKY));
        }
        assert!(sampler.decide(Origin::Ordinary, SECOND, UNLUCKY));
    }

    #[test]
    fn what_never_exceeds_the_rate_in_any_second_is_all_recorded() {
        for mut random in seeds() {
            let sampler = sampler();
            let mut recent = std::collections::VecDeque::new();
            let mut now = SECOND;
            for _ in 0..2_000 {
                now += Duration::from_nanos(random.random_range(0..60_000_000));
                while recent.front().is_some_and(|&then| then + SECOND <= now) {
                    recent.pop_front();
                }
                if recent.len() == 20 {
                    now = recent.pop_front().unwrap() + SECOND;
                }
                recent.push_back(now);
                assert!(sampler.decide(Origin::Ordinary, now, UNLUCKY));
            }
        }
    }

    #[test]
    fn a_flood_leaves_twenty_a_second_and_one_in_a_thousand() {
        let sampler = sampler();
        let mut random = StdRng::seed_from_u64(1);
        let (seconds, rate) = (20, 50_000);
        let mut recorded = 0;
        for n in 0..seconds * rate {
            let now = SECOND + SECOND / rate * n;
            recorded +=
                u32::from(sampler.decide(Origin::Ordinary, now, Randomness(random.random())));
        }
        let expected = (20 + rate / 1_000) * seconds;
        assert!(
            recorded.abs_diff(expected) < expected / 5,
            "{recorded} of {expected}"
        );
    }

    #[test]
    fn what_is_exceptional_has_a_budget_of_its_own() {
        let sampler = sampler();
        let count = |origin| {
            (0..1_000)
                .filter(|_| sampler.decide(origin, SECOND, UNLUCKY))
                .count()
        };
        assert_eq!(count(Origin::Ordinary), 20);
        assert_eq!(count(Origin::Exceptional), 5);
        assert!(!sampler.decide(Origin::Exceptional, SECOND, LUCKY));
    }

    #[test]
    fn one_in_n_is_judged_by_the_bits_that_are_surely_random() {
        let mut random = StdRng::seed_from_u64(1);
        for n in [1, 2, 10, 1_000] {
            let hits = (0..100_000)
                .filter(|_| Randomness(random.random()).is_one_in(n))
                .count();
            let expected = 100_000 / n as usize;
            assert!(
                hits.abs_diff(expected) <= expected / 5,
                "{hits} of {expected}"
            );
        }
        assert!(
            Randomness(0xff << 56).is_one_in(1_000),
            "the top byte doesn't count"
        );
    }

    #[test]
    fn samplers_are_named_as_opentelemetry_names_them() {
        let decides = |name, sampled, origin: fn(bool) -> Origin| {
            let sampler = Sampler::new(Sampling::named(name).unwrap());
            (0..100).all(|_| sampler.decide(origin(sampled), SECOND, UNLUCKY))
        };
        let caller = |sampled| Origin::Decided { sampled };
        let root = |_| Origin::Ordinary;
        assert!(decides("always_on", false, caller) && decides("always_on", false, root));
        assert!(!decides("always_off", true, caller) && !decides("always_off", true, root));
        assert!(decides("parentbased_always_on", true, caller));
        assert!(!decides("parentbased_always_on", false, caller));
        assert!(decides("parentbased_always_on", false, root));
        assert!(decides("parentbased_always_off", true, caller));
        assert!(!decides("parentbased_always_off", true, root));
        assert_eq!(Sampling::named("duet"), Some(Sampling::default()));
        assert_eq!(Sampling::named("traceidratio"), None);
    }
}
