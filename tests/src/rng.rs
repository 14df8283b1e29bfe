//! Randomness as a tree of seeds, so that a new consumer does not shift the draws of the others.
//!
//! Draws use integer and exact floating-point arithmetic only: a seed means the same run on every
//! machine.

use core::time::Duration;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A place in the tree of seeds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seed(pub u64);

impl Seed {
    /// The branch with this name.
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        // FNV-1a over the name, then one splitmix64 step: cheap, and different names part at once.
        let mut hash = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(mix(hash))
    }

    /// The branch with this number.
    #[must_use]
    pub fn index(self, number: u64) -> Self {
        Self(mix(self.0.rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A generator for this place.
    pub fn draw(self) -> Draw {
        Draw(Xoshiro256PlusPlus::seed_from_u64(self.0))
    }
}

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Draw(Xoshiro256PlusPlus);

impl Draw {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..limit`; 0 if `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 {
            return 0;
        }
        let wide = u128::from(self.bits()) * u128::from(limit);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits fits 64")
    }

    /// An index into a collection of `len` items, which must not be empty.
    pub fn pick(&mut self, len: usize) -> usize {
        let limit = u64::try_from(len).expect("a length fits 64 bits");
        usize::try_from(self.below(limit)).expect("less than a length")
    }

    /// A number in `low..=high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A fraction in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.bits() >> 32).expect("32 bits");
        f64::from(bits) / 4_294_967_296.0
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A duration between both ends, ends included.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.range(nanos(low), nanos(high)))
    }

    /// An exponentially distributed duration with this mean, cut at eight times the mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        // -ln(u) for u in (0, 1]: the leading zeros give the power of two, a series the rest.
        let bits = self.bits() | 1;
        let zeros = bits.leading_zeros();
        let mantissa = u32::try_from((bits << zeros) >> 40).expect("24 bits");
        let m = f64::from(mantissa) / 8_388_608.0; // in [1, 2)
        let t = (m - 1.0) / (m + 1.0);
        let t2 = t * t;
        let ln_m = 2.0 * t * (1.0 + t2 * (1.0 / 3.0 + t2 * (0.2 + t2 / 7.0)));
        let x = f64::from(zeros + 1) * core::f64::consts::LN_2 - ln_m;
        mean.mul_f64(x.clamp(0.0, 8.0))
    }

    /// One of the weighted choices: the index of it. All weights zero gives the last.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let mut left = self.below(total);
        for (index, weight) in weights.iter().enumerate() {
            if left < u64::from(*weight) {
                return index;
            }
            left -= u64::from(*weight);
        }
        weights.len().saturating_sub(1)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_differ_and_repeat() {
        let root = Seed(1);
        assert_eq!(root.child("net").index(3), root.child("net").index(3));
        assert_ne!(root.child("net").index(3), root.child("net").index(4));
        assert_ne!(root.child("net"), root.child("node"));
    }

    #[test]
    fn the_exponential_has_its_mean() {
        let mut draw = Seed(7).draw();
        let mean = Duration::from_millis(10);
        let sum: Duration = (0..20_000).map(|_| draw.exponential(mean)).sum();
        let average = sum / 20_000;
        assert!(average > mean.mul_f64(0.95) && average < mean.mul_f64(1.05), "{average:?}");
    }
}
