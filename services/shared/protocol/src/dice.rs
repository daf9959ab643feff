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
