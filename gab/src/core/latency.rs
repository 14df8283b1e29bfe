//! How long own messages take from being accepted to being delivered at this node.
//!
//! It decides nothing: no rule looks at it, and two nodes that differ in it alone behave alike.

use std::collections::{BTreeMap, VecDeque};

use llt::{Duration, Instant};

use crate::event::Level;
use crate::ids::PortName;

/// Bounds of a histogram: `2^k` microseconds each; more than eight seconds are in the last bucket.
pub const BUCKETS: usize = 24;

/// Counts of durations by powers of two from 1 µs on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Histogram {
    buckets: [u64; BUCKETS + 1],
    sum: Duration,
}

impl Histogram {
    /// Counts so many that took so long each.
    pub fn add(&mut self, time: Duration, messages: u64) {
        let above = time.as_nanos().saturating_sub(1) / 1000;
        // The first bucket takes up to 1 µs, bucket k more than 2^(k-1) µs and up to 2^k.
        let at = usize::try_from(u128::BITS - above.leading_zeros()).unwrap_or(BUCKETS);
        self.buckets[at.min(BUCKETS)] += messages;
        let all = time.as_nanos().saturating_mul(messages.into());
        let all = Duration::from_nanos(u64::try_from(all).unwrap_or(u64::MAX));
        self.sum = self.sum.saturating_add(all);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all.
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Upper bounds, with how many were at most so long: cumulative, as Prometheus wants them. What
    /// is above the last is in [`Histogram::count`] only.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let mut so_far = 0;
        self.buckets.iter().take(BUCKETS).enumerate().map(move |(at, count)| {
            so_far += count;
            (Duration::from_micros(1 << at), so_far)
        })
    }
}

/// What is measured, by the level of the messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Delivered {
    /// AGREED messages.
    pub agreed: Histogram,
    /// SAFE messages.
    pub safe: Histogram,
}

/// Own messages that have their slot and are not yet delivered, and what came of those before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    /// By port, in order: the position of the first in the order of the cluster, and when they were
    /// accepted.
    waiting: BTreeMap<PortName, VecDeque<(u64, Instant)>>,
    delivered: Delivered,
}

impl Latency {
    /// An own message, or a pack that begins there, has its place in the order.
    pub(crate) fn ordered(&mut self, port: PortName, sequence: u64, accepted: Instant) {
        self.waiting.entry(port).or_default().push_back((sequence, accepted));
    }

    /// An own message is delivered, or a pack of so many.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        port: PortName,
        level: Level,
        sequence: u64,
        messages: u64,
    ) {
        let Some(waiting) = self.waiting.get_mut(&port) else { return };
        while let Some(&(first, accepted)) = waiting.front()
            && first <= sequence
        {
            waiting.pop_front();
            if first == sequence {
                let histogram = match level {
                    Level::Agreed => &mut self.delivered.agreed,
                    Level::Safe => &mut self.delivered.safe,
                };
                histogram.add(now.since(accepted), messages);
            }
        }
    }

    /// What was measured so far.
    pub(crate) const fn delivered(&self) -> &Delivered {
        &self.delivered
    }

    /// The most that wait on one port.
    pub(crate) fn longest(&self) -> usize {
        self.waiting.values().map(VecDeque::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_powers_of_two_of_a_microsecond() {
        let mut histogram = Histogram::default();
        let nanos = [0, 1000, 1001, 2000, 2001, 4000, 1_000_000, 60_000_000_000];
        nanos.iter().for_each(|&nanos| histogram.add(Duration::from_nanos(nanos), 1));
        assert_eq!(histogram.count(), 8);
        assert_eq!(histogram.sum().as_nanos(), nanos.iter().map(|&n| u128::from(n)).sum());
        let of: Vec<_> = histogram.cumulative().map(|(bound, n)| (bound.as_micros(), n)).collect();
        assert_eq!(of[..3], [(1, 2), (2, 4), (4, 6)]);
        assert_eq!(of[10], (1024, 7), "a millisecond is 1000 of them");
        assert_eq!(of.len(), BUCKETS);
        assert_eq!(of[BUCKETS - 1], (1 << 23, 7), "a minute is above the last bound");
    }

    #[test]
    fn a_message_that_is_never_delivered_does_not_shift_the_others() {
        let (port, other) = (PortName::new('A').unwrap(), PortName::new('B').unwrap());
        let at = Instant::from_millis;
        let mut latency = Latency::default();
        latency.ordered(port, 4, at(0));
        latency.ordered(port, 7, at(5));
        latency.deliver(at(6), other, Level::Safe, 7, 1);
        latency.deliver(at(6), port, Level::Safe, 7, 1);
        latency.deliver(at(9), port, Level::Safe, 7, 1);
        assert_eq!(latency.delivered().agreed.count(), 0);
        assert_eq!(latency.delivered().safe.sum(), Duration::from_millis(1));
        assert_eq!((latency.delivered().safe.count(), latency.longest()), (1, 0));
    }
}
