//! The process around a stack: socket buffers, pauses, slow turns, its own clock.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use llt::Instant;
use serde::{Deserialize, Serialize};

use crate::rng::Draw;

/// A node's monotonic clock: an offset and a rate.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Clock {
    /// What it shows at world time zero, in nanoseconds: the uptime.
    pub offset_ns: u64,
    /// Its speed in millionths; 1,000,000 is exact.
    pub rate_ppm: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_ns: 1_000_000_000, rate_ppm: 1_000_000 }
    }
}

impl Clock {
    /// What it shows at this world time.
    pub fn local(self, world: Instant) -> Instant {
        let (world, rate) = (world.as_nanos(), u64::from(self.rate_ppm));
        // Divisions of 128 bits are slow, and this is asked all the time.
        let run = match world.checked_mul(rate) {
            Some(run) => run / 1_000_000,
            None => {
                let run = u128::from(world) * u128::from(rate) / 1_000_000;
                u64::try_from(run).unwrap_or(u64::MAX / 2)
            }
        };
        Instant::from_nanos(self.offset_ns + run)
    }

    /// The first world time at which it shows at least `local`.
    pub fn world(self, local: Instant) -> Instant {
        let run = u128::from(local.as_nanos().saturating_sub(self.offset_ns)) * 1_000_000;
        let rate = u128::from(self.rate_ppm);
        Instant::from_nanos(u64::try_from(run.div_ceil(rate)).unwrap_or(u64::MAX))
    }
}

/// How long turns take.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Pace {
    /// From the cause of a turn to its start, at most; drawn evenly.
    pub latency: Duration,
    /// What each frame costs.
    pub per_frame: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { latency: Duration::from_micros(20), per_frame: Duration::from_micros(2) }
    }
}

/// What the operating system thinks of the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not running.
    Down,
    /// Stopped by SIGSTOP: sockets fill, nothing runs.
    Paused,
    /// Running.
    Running,
}

/// One node's process.
#[derive(Debug)]
pub struct Process {
    /// What the operating system thinks.
    pub state: State,
    /// Of the last life.
    pub incarnation: u64,
    /// Frames in the socket of each link, with the sender's node id.
    inbox: Vec<VecDeque<(u8, Bytes)>>,
    inbox_bytes: Vec<usize>,
    inbox_bytes_max: usize,
    /// Frames that found the socket buffer full.
    pub overruns: u64,
    /// The next turn, if one is due.
    pub turn_at: Option<Instant>,
    /// The reactor works until then.
    pub busy_until: Instant,
    /// Its clock.
    pub clock: Clock,
    /// How long turns take.
    pub pace: Pace,
    /// Clients with something to read.
    pub readable: BTreeSet<u32>,
    /// Agents that want to act in the next turn.
    pub due: BTreeSet<usize>,
    /// A clean leave is under way.
    pub leaving: bool,
    /// Links whose cable is pulled so that the card knows it.
    pub pulled: Vec<bool>,
    /// Those of them that the stack knows of.
    pub told: Vec<bool>,
    /// The last time it was resumed or booted.
    pub disturbed: Instant,
    /// When the stack last got a frame of each node.
    pub heard: Vec<Instant>,
    /// This node's own draws.
    pub draw: Draw,
}

impl Process {
    /// A process that does not run yet.
    pub fn new(links: usize, inbox_bytes_max: usize, clock: Clock, pace: Pace, draw: Draw) -> Self {
        Self {
            state: State::Down,
            incarnation: 0,
            inbox: vec![VecDeque::new(); links],
            inbox_bytes: vec![0; links],
            inbox_bytes_max,
            overruns: 0,
            turn_at: None,
            busy_until: Instant::ZERO,
            clock,
            pace,
            readable: BTreeSet::new(),
            due: BTreeSet::new(),
            leaving: false,
            pulled: vec![false; links],
            told: vec![false; links],
            disturbed: Instant::ZERO,
            heard: vec![Instant::ZERO; usize::from(llt::limits::NODES_MAX)],
            draw,
        }
    }

    /// A frame reaches the socket of `link`.
    pub fn receive(&mut self, link: usize, from: u8, frame: Bytes) {
        // The kernel charges a buffer and its administration for each datagram, however small.
        let cost = frame.len() + DATAGRAM_OVERHEAD;
        if self.state == State::Down || self.inbox_bytes[link] + cost > self.inbox_bytes_max {
            self.overruns += u64::from(self.state != State::Down);
            return;
        }
        self.inbox_bytes[link] += cost;
        self.inbox[link].push_back((from, frame));
    }

    /// The next frame of `link`.
    pub fn take(&mut self, link: usize) -> Option<(u8, Bytes)> {
        let (from, frame) = self.inbox[link].pop_front()?;
        self.inbox_bytes[link] -= frame.len() + DATAGRAM_OVERHEAD;
        Some((from, frame))
    }

    /// Is any frame waiting?
    pub fn has_frames(&self) -> bool {
        self.inbox.iter().any(|link| !link.is_empty())
    }

    /// The process is gone, and with it all that it held.
    pub fn clear(&mut self) {
        for (inbox, bytes) in self.inbox.iter_mut().zip(&mut self.inbox_bytes) {
            inbox.clear();
            *bytes = 0;
        }
        self.turn_at = None;
        self.readable.clear();
        self.due.clear();
        self.leaving = false;
    }
}

/// Bytes that a socket buffer is charged for a datagram besides its own.
const DATAGRAM_OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_its_own_deadline_and_not_much_later() {
        for rate_ppm in [900_000, 1_000_000, 1_100_000] {
            let clock = Clock { offset_ns: 4_294_967_000_000, rate_ppm };
            for ns in [0, 1, 7, 999_999_999, 123_456_789_012] {
                let deadline = Instant::from_nanos(clock.offset_ns + ns);
                let world = clock.world(deadline);
                assert!(clock.local(world) >= deadline);
                assert!(clock.local(world).since(deadline) <= Duration::from_nanos(2));
            }
        }
    }
}
