//! How often something took how long: one bucket for each power of two microseconds.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts by time. Bucket 0 is less than a microsecond, bucket `n` less than 2^n and not less than
/// 2^(n-1); the last one has all that took longer, too: more than 17 minutes.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Histogram {
    counts: [u64; Self::BUCKETS],
}

impl Histogram {
    /// How many buckets there are.
    pub const BUCKETS: usize = 32;

    /// One more that took so many microseconds.
    pub fn count(&mut self, micros: u64) {
        let bits = u64::BITS - micros.leading_zeros();
        let bucket = usize::try_from(bits).unwrap_or(Self::BUCKETS).min(Self::BUCKETS - 1);
        self.counts[bucket] += 1;
    }

    /// Those of another one.
    pub fn add(&mut self, other: &Self) {
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
    }

    /// How many were counted.
    pub fn ops(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The counts, without the empty buckets at the end.
    pub fn counts(&self) -> &[u64] {
        let len = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        &self.counts[..len]
    }

    /// What all of a bucket took less than, in microseconds; of the last one it is not known.
    pub const fn below(bucket: usize) -> Option<u64> {
        if bucket + 1 < Self::BUCKETS { Some(1 << bucket) } else { None }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.counts().serialize(out)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let given = Vec::<u64>::deserialize(input)?;
        let mut histogram = Self::default();
        match histogram.counts.get_mut(..given.len()) {
            Some(counts) => counts.copy_from_slice(&given),
            None => return Err(D::Error::invalid_length(given.len(), &"32 buckets at most")),
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_what_is_less_than_its_power_of_two() {
        let of = |micros| {
            let mut histogram = Histogram::default();
            histogram.count(micros);
            histogram.counts().len() - 1
        };
        for bucket in 0..Histogram::BUCKETS - 1 {
            let below = Histogram::below(bucket).unwrap();
            assert_eq!((of(below - 1), of(below)), (bucket, bucket + 1), "{below}");
        }
        assert_eq!(Histogram::below(Histogram::BUCKETS - 1), None);
        assert_eq!(of(u64::MAX), Histogram::BUCKETS - 1);
    }

    #[test]
    fn it_is_told_without_its_end_and_read_back() {
        let mut histogram = Histogram::default();
        [0, 3, 3].into_iter().for_each(|micros| histogram.count(micros));
        let json = serde_json::to_string(&histogram).unwrap();
        assert_eq!(json, "[1,0,2]");
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
        let long = serde_json::to_string(&vec![1; Histogram::BUCKETS + 1]).unwrap();
        assert!(serde_json::from_str::<Histogram>(&long).is_err());
    }
}
