//! Chance that follows from a seed (SplitMix64): randomness is an argument too.

/// See the module.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// Spread evenly over all numbers.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Spread evenly from 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        f64::from((self.next() >> 40) as u32) / f64::from(1u32 << 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_split_mix_64() {
        let mut dice = Dice::new(1_234_567);
        let drawn = [0; 3].map(|_| dice.next());
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn chance_is_spread_evenly_from_one_seed_and_from_seed_to_seed() {
        const DRAWS: u32 = 10_000;
        let mut one = Dice::new(1);
        let from_one: Vec<f64> = (0..DRAWS).map(|_| one.share()).collect();
        let of_each: Vec<f64> = (0..DRAWS)
            .map(|seed| Dice::new(seed.into()).share())
            .collect();
        for shares in [from_one, of_each] {
            let mut tenths = [0u32; 10];
            for share in shares {
                assert!((0.0..1.0).contains(&share), "{share}");
                tenths[(share * 10.0) as usize] += 1;
            }
            let even = |count: &u32| (850..1_150).contains(count);
            assert!(tenths.iter().all(even), "{tenths:?}");
        }
        let bits: Vec<u64> = (0..DRAWS).map(|_| one.next()).collect();
        for bit in 0..64 {
            let set = bits.iter().filter(|bits| **bits >> bit & 1 == 1).count();
            assert!((4_700..5_300).contains(&set), "bit {bit}: {set}");
        }
    }
}
