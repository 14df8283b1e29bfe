//! The rhythm in which a peer's heartbeats come in on a link: those that were lost, and those that
//! were late, are told (facts 1.14, `lost hb` and `delayed hb`).

use super::context::Context;
use super::output::Event;
use super::peer::Peer;
use crate::time::{Duration, Instant};

/// What is remembered of the heartbeats of a peer on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Beat>,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    /// The number of the period, which the sender counts on the link.
    number: u16,
    at: Instant,
    /// The time from the beat before to this one.
    gap: Duration,
}

/// What a heartbeat tells of those before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Told {
    /// Periods of which no heartbeat arrived.
    lost: u16,
    /// How long after the one before it came, if that was much too long.
    delayed: Option<Duration>,
}

impl Rhythm {
    /// A heartbeat of period `number` arrived; `period` is ours, since nobody tells his.
    fn on_beat(&mut self, now: Instant, number: u16, period: Duration) -> Told {
        let Some(last) = self.last else {
            self.last = Some(Beat { number, at: now, gap: Duration::ZERO });
            return Told::default();
        };
        let jump = number.wrapping_sub(last.number);
        if jump == 0 || jump > u16::MAX / 2 {
            // Out of turn, or overtaken on its way.
            return Told::default();
        }
        let gap = now.since(last.at);
        self.last = Some(Beat { number, at: now, gap });
        // A peer with longer periods than ours is always as late as the last time.
        let late = gap > 2 * period && gap > 2 * last.gap;
        let has_rhythm = !last.gap.is_zero();
        Told { lost: jump - 1, delayed: (late && has_rhythm).then_some(gap) }
    }
}

impl Context {
    /// A heartbeat of the peer arrived: tells which are missing before it, and whether it is late.
    pub(super) fn on_beat(&mut self, peer: &mut Peer, link: usize, number: u16, sequence: u64) {
        let period = self.heartbeat(link);
        let told = peer.links[link].rhythm.on_beat(self.now, number, period);
        let (Some(peer), link) = (peer.id(), self.links[link].id) else { return };
        if let Some(gap) = told.delayed {
            let ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            self.event(Event::Delayed { peer, link, ms });
        }
        if told.lost > 0 {
            self.event(Event::Lost { peer, link, heartbeats: told.lost, sequence });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(50);

    /// Beats `(ms, number)`, and what each tells.
    fn told(beats: &[(u64, u16)]) -> Vec<(u16, Option<u64>)> {
        let mut rhythm = Rhythm::default();
        let mut all = Vec::new();
        for &(ms, number) in beats {
            let now = Instant::ZERO + Duration::from_millis(1000 + ms);
            let told = rhythm.on_beat(now, number, PERIOD);
            let delayed = told.delayed.map(|gap| u64::try_from(gap.as_millis()).unwrap());
            all.push((told.lost, delayed));
        }
        all
    }

    #[test]
    fn a_steady_peer_tells_nothing() {
        let beats: Vec<(u64, u16)> = (0..100).map(|n| (u64::from(n) * 50, n)).collect();
        assert!(told(&beats).iter().all(|told| *told == (0, None)));
        // Out of turn, and overtaken.
        assert_eq!(told(&[(0, 7), (10, 7), (50, 8), (60, 7), (100, 9)]), [(0, None); 5]);
    }

    #[test]
    fn what_is_missing_is_counted_over_the_wrap() {
        assert_eq!(told(&[(0, 65_533), (50, 65_534), (200, 1)])[2], (2, Some(150)));
        assert_eq!(told(&[(0, 1), (50, 2), (100, 4)])[2], (1, None));
    }

    #[test]
    fn a_late_one_is_told_even_if_none_is_missing() {
        let beats = [(0, 1), (50, 2), (2000, 3), (2050, 4), (2100, 5)];
        assert_eq!(told(&beats)[2..], [(0, Some(1950)), (0, None), (0, None)]);
    }

    #[test]
    fn a_peer_with_longer_periods_is_not_late() {
        let beats: Vec<(u64, u16)> = (0..20).map(|n| (u64::from(n) * 500, n)).collect();
        assert!(told(&beats).iter().all(|told| *told == (0, None)));
    }
}
