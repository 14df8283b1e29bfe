//! The rhythm in which a peer's heartbeats come in on a link: those that were lost, and those that
//! were late, are told (facts 1.14, `lost hb` and `delayed hb`).
//!
//! A link that loses most of what is sent on it is never silent, and yet no good: what goes over it
//! is repeated until everybody waits (facts algorithms 4.3, scenario 27). It counts as in trouble,
//! and the peer is told that it is not heard, until most heartbeats arrive again.

use super::context::Context;
use super::output::Event;
use super::peer::Peer;
use crate::time::{Duration, Instant};

/// What is remembered of the heartbeats of a peer on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Beat>,
    /// The last periods, the newest lowest: did a heartbeat arrive? And of how many that is known.
    arrived: u32,
    known: u32,
    lossy: bool,
}

/// Of the last 32 heartbeats fewer arrived: the link is lossy.
const LOSSY_BELOW: u32 = 12;
/// So many arrived: it is not any more.
const SOUND_FROM: u32 = 20;
/// One gap counts for so many at most, so that it alone makes no link lossy, however long the
/// trouble time is.
const GAP_MAX: u32 = u32::BITS - LOSSY_BELOW;

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
    /// A heartbeat of period `number` arrived; `period` is ours, since nobody tells his. What is
    /// missing before it counts as lost for `held_against` periods at most.
    fn on_beat(&mut self, now: Instant, number: u16, period: Duration, held_against: u32) -> Told {
        let Some(last) = self.last else {
            self.last = Some(Beat { number, at: now, gap: Duration::ZERO });
            self.count(1);
            return Told::default();
        };
        // There is no period 0.
        let wrapped = u16::from(number < last.number);
        let jump = number.wrapping_sub(last.number).wrapping_sub(wrapped);
        if jump == 0 {
            return Told::default();
        }
        if jump > u16::MAX / 2 {
            // What was overtaken on its way does not come here: the peer's link counts anew, or we
            // have not heard it for so long that nothing is known of it any more.
            *self = Self::default();
            return self.on_beat(now, number, period, held_against);
        }
        let gap = now.since(last.at);
        self.last = Some(Beat { number, at: now, gap });
        self.count(u32::from(jump).min(held_against + 1));
        // A peer with longer periods than ours is always as late as the last time.
        let late = gap > 2 * period && gap > 2 * last.gap;
        let has_rhythm = !last.gap.is_zero();
        Told { lost: jump - 1, delayed: (late && has_rhythm).then_some(gap) }
    }

    /// So many periods have gone by, of which the last had a heartbeat.
    fn count(&mut self, periods: u32) {
        self.arrived = self.arrived.checked_shl(periods).unwrap_or(0) | 1;
        self.known = (self.known + periods).min(u32::BITS);
        let arrived = self.arrived.count_ones();
        if arrived >= SOUND_FROM {
            self.lossy = false;
        } else if arrived < LOSSY_BELOW && self.known == u32::BITS {
            self.lossy = true;
        }
    }

    /// Are most heartbeats lost?
    pub(super) fn is_lossy(&self) -> bool {
        self.lossy
    }
}

impl Context {
    /// A heartbeat of the peer arrived: tells which are missing before it, and whether it is late.
    pub(super) fn on_beat(&mut self, peer: &mut Peer, link: usize, number: u16, sequence: u64) {
        if number == 0 {
            // Out of turn.
            return;
        }
        let period = self.heartbeat(link);
        let told = {
            let judge = self.judge(link);
            // A longer gap is a silence, and judged as one; and what we slept over is our own loss.
            let is_own = self.now < judge.hold_until;
            let periods = judge.trouble.as_nanos() / period.as_nanos().max(1);
            let held_against =
                u32::try_from(periods).unwrap_or(u32::MAX).saturating_sub(1).min(GAP_MAX);
            let held_against = if is_own { 0 } else { held_against };
            peer.links[link].rhythm.on_beat(self.now, number, period, held_against)
        };
        self.note_lossy(peer, link);
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
            let told = rhythm.on_beat(now, number, PERIOD, 17);
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
        assert_eq!(told(&[(0, 7), (10, 7), (50, 8), (60, 8), (100, 9)]), [(0, None); 5]);
    }

    #[test]
    fn what_is_missing_is_counted_over_the_wrap() {
        assert_eq!(told(&[(0, 65_533), (50, 65_534), (200, 1)])[2], (1, Some(150)));
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

    /// Of `count` heartbeats every `every`-th arrives, and no other.
    fn after(rhythm: &mut Rhythm, first: u16, count: u16, every: u16, held_against: u32) -> bool {
        for number in (first..first + count).step_by(usize::from(every)) {
            let now = Instant::ZERO + PERIOD * u32::from(number + 1);
            rhythm.on_beat(now, number, PERIOD, held_against);
        }
        rhythm.is_lossy()
    }

    #[test]
    fn a_link_that_loses_most_is_lossy_until_most_arrives() {
        let mut rhythm = Rhythm::default();
        assert!(!after(&mut rhythm, 0, 1000, 2, 17), "half of them arrive");
        assert!(after(&mut rhythm, 1000, 100, 5, 17), "four in five are lost");
        assert!(after(&mut rhythm, 1100, 1000, 2, 17), "half is not enough to come back");
        assert!(!after(&mut rhythm, 2100, 20, 1, 17), "twenty in a row");
    }

    #[test]
    fn one_gap_is_a_silence_and_no_loss() {
        let mut rhythm = Rhythm::default();
        assert!(!after(&mut rhythm, 0, 100, 1, 17));
        assert!(!after(&mut rhythm, 1000, 1, 1, 17), "900 are missing, and judged as silence");
        assert!(!after(&mut rhythm, 5000, 1000, 5, 0), "we slept over them ourselves");
        let mut rhythm = Rhythm::default();
        assert!(!after(&mut rhythm, 0, 30, 10, 17), "too few to tell");
    }

    #[test]
    fn a_link_that_counts_anew_begins_anew() {
        let mut rhythm = Rhythm::default();
        assert!(after(&mut rhythm, 1000, 200, 5, 17));
        assert!(!after(&mut rhythm, 0, 1, 1, 17), "it was removed, and added again");
        assert!(!after(&mut rhythm, 40_000, 1, 1, 17), "half of the numbers are missing");
    }

    #[test]
    fn no_gap_alone_makes_a_link_lossy() {
        let mut rhythm = Rhythm::default();
        assert!(!after(&mut rhythm, 0, 100, 1, GAP_MAX));
        assert!(!after(&mut rhythm, 1000, 1, 1, GAP_MAX));
    }
}
