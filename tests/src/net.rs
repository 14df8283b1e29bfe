//! A network that loses, delays, doubles, reorders, cuts and damages, per link and direction.
//!
//! Each path `(link, from, to)` has its own branch of the seed tree. A path is first in, first out
//! unless a draw says otherwise: one Ethernet path is, too.

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use llt::Instant;
use serde::{Deserialize, Serialize};

use crate::rng::{Draw, Seed};

/// What the paths do to frames.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Faults {
    /// Every frame takes at least this long.
    pub delay_min: Duration,
    /// Mean of what comes on top.
    pub delay_mean: Duration,
    /// Probability of a loss.
    pub loss: f64,
    /// Probability of a second copy.
    pub dup: f64,
    /// Probability of flipped bits.
    pub corrupt: f64,
    /// Probability of being held back behind later frames.
    pub reorder: f64,
    /// Probability of a missing end.
    pub truncate: f64,
    /// Probability of random bytes after the end.
    pub oversize: f64,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    nodes: usize,
    paths: Vec<Path>,
    /// Per (link, node): the card receives but does not send.
    mute: Vec<bool>,
    faults: Faults,
    /// What happened.
    pub stats: NetStats,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetStats {
    /// Copies of frames that arrived or will.
    pub carried: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the path was cut.
    pub cut: u64,
    /// Damaged.
    pub damaged: u64,
    /// Doubled.
    pub doubled: u64,
    /// The most frames of a path that overtook one that had been sent before them.
    pub overtaken: u64,
}

/// One direction of one link between two nodes.
#[derive(Debug)]
struct Path {
    draw: Draw,
    cut: bool,
    cut_since: Instant,
    open_since: Instant,
    clogged_until: Instant,
    last_arrival: Instant,
    /// Frames that are held back: when they arrive, and how many have overtaken them.
    held_back: Vec<(Instant, u64)>,
    /// The longest frame that this path takes.
    longest: usize,
    /// Loss on this path alone, on top of the general one.
    loss: f64,
}

/// A frame on its way: when it arrives, and how it looks then.
#[derive(Debug)]
pub struct Arrival {
    /// World time.
    pub at: Instant,
    /// The bytes.
    pub frame: Bytes,
}

impl Net {
    /// `links` links between `nodes` nodes.
    pub fn new(seed: Seed, links: usize, nodes: usize, faults: Faults) -> Self {
        let mut paths = Vec::with_capacity(links * nodes * nodes);
        for link in 0..links {
            for from in 0..nodes {
                for to in 0..nodes {
                    let seed = seed.index(link as u64).index(from as u64).index(to as u64);
                    paths.push(Path {
                        draw: seed.draw(),
                        cut: false,
                        cut_since: Instant::ZERO,
                        open_since: Instant::ZERO,
                        clogged_until: Instant::ZERO,
                        last_arrival: Instant::ZERO,
                        held_back: Vec::new(),
                        longest: usize::MAX,
                        loss: 0.0,
                    });
                }
            }
        }
        Self { nodes, paths, mute: vec![false; links * nodes], faults, stats: NetStats::default() }
    }

    /// Number of links.
    pub fn links(&self) -> usize {
        self.mute.len() / self.nodes
    }

    /// What the paths do.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Sets what the paths do from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Cuts or mends one direction on one link.
    pub fn set_cut(&mut self, now: Instant, link: usize, from: usize, to: usize, cut: bool) {
        let path = self.path(link, from, to);
        if path.cut != cut {
            path.cut = cut;
            if cut {
                path.cut_since = now;
            } else {
                path.open_since = now;
            }
        }
    }

    /// Holds back everything on one path until then.
    pub fn clog(&mut self, link: usize, from: usize, to: usize, until: Instant) {
        self.path(link, from, to).clogged_until = until;
    }

    /// Loss on one path, on top of the general one.
    pub fn set_loss(&mut self, link: usize, from: usize, to: usize, loss: f64) {
        self.path(link, from, to).loss = loss;
    }

    /// One path takes no longer frames than this, for good.
    pub fn set_longest(&mut self, link: usize, from: usize, to: usize, longest: usize) {
        self.path(link, from, to).longest = longest;
    }

    /// The card of `node` on `link` receives but does not send, or works again.
    pub fn set_mute(&mut self, link: usize, node: usize, mute: bool) {
        self.mute[link * self.nodes + node] = mute;
    }

    /// Mends everything that is cut, clogged or mute.
    pub fn mend(&mut self, now: Instant) {
        self.mute.fill(false);
        for path in &mut self.paths {
            if path.cut {
                path.cut = false;
                path.open_since = now;
            }
            path.loss = 0.0;
            path.clogged_until = path.clogged_until.min(now);
        }
    }

    /// Is this direction of this link cut?
    pub fn is_cut(&self, link: usize, from: usize, to: usize) -> bool {
        self.mute[link * self.nodes + from] || self.paths[self.index(link, from, to)].cut
    }

    /// For how long has `to` been unable to hear `from` on any link?
    pub fn deaf_for(&self, now: Instant, from: usize, to: usize) -> Duration {
        (0..self.links())
            .map(|link| {
                let path = &self.paths[self.index(link, from, to)];
                if path.cut { now.since(path.cut_since) } else { Duration::ZERO }
            })
            .min()
            .unwrap_or(Duration::ZERO)
    }

    /// A frame enters a path: the copies that arrive.
    pub fn carry(
        &mut self,
        now: Instant,
        link: usize,
        from: usize,
        to: usize,
        frame: &Bytes,
    ) -> Vec<Arrival> {
        if self.is_cut(link, from, to) {
            self.stats.cut += 1;
            return Vec::new();
        }
        let faults = self.faults;
        let index = self.index(link, from, to);
        let path = &mut self.paths[index];
        if frame.len() > path.longest {
            self.stats.lost += 1;
            return Vec::new();
        }
        if path.draw.chance(faults.loss) || path.draw.chance(path.loss) {
            self.stats.lost += 1;
            return Vec::new();
        }
        let copies = if path.draw.chance(faults.dup) { 2 } else { 1 };
        self.stats.doubled += copies - 1;
        self.stats.carried += copies;
        let mut arrivals = Vec::with_capacity(2);
        for _ in 0..copies {
            let at = path.arrival(now, &faults);
            self.stats.overtaken = self.stats.overtaken.max(path.overtakes(now, at));
            let (frame, damaged) = path.damage(frame, &faults);
            self.stats.damaged += u64::from(damaged);
            arrivals.push(Arrival { at, frame });
        }
        arrivals
    }

    fn index(&self, link: usize, from: usize, to: usize) -> usize {
        (link * self.nodes + from) * self.nodes + to
    }

    fn path(&mut self, link: usize, from: usize, to: usize) -> &mut Path {
        let index = self.index(link, from, to);
        &mut self.paths[index]
    }
}

impl Path {
    fn arrival(&mut self, now: Instant, faults: &Faults) -> Instant {
        let delay = faults.delay_min + self.draw.exponential(faults.delay_mean);
        let at = (now + delay).max(self.clogged_until);
        if self.draw.chance(faults.reorder) {
            // Behind whatever the next milliseconds bring; the path's own order is left alone.
            let at = at + self.draw.exponential(delay * 4 + Duration::from_micros(200));
            self.held_back.push((at, 0));
            return at;
        }
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }

    /// The most frames that have overtaken one that is under way, with this one.
    fn overtakes(&mut self, now: Instant, at: Instant) -> u64 {
        self.held_back.retain(|(held, _)| *held > now);
        for (_, count) in self.held_back.iter_mut().filter(|(held, _)| *held > at) {
            *count += 1;
        }
        self.held_back.iter().map(|(_, count)| *count).max().unwrap_or(0)
    }

    fn damage(&mut self, frame: &Bytes, faults: &Faults) -> (Bytes, bool) {
        if frame.is_empty() {
            return (frame.clone(), false);
        }
        if self.draw.chance(faults.corrupt) {
            let mut bytes = BytesMut::from(&frame[..]);
            for _ in 0..self.draw.range(1, 3) {
                let at = self.draw.pick(bytes.len());
                bytes[at] ^= 1 << self.draw.below(8);
            }
            return (bytes.freeze(), true);
        }
        if self.draw.chance(faults.truncate) {
            return (frame.slice(..self.draw.pick(frame.len())), true);
        }
        if self.draw.chance(faults.oversize) {
            let mut bytes = BytesMut::from(&frame[..]);
            for _ in 0..self.draw.range(1, 64) {
                bytes.extend_from_slice(&self.draw.bits().to_be_bytes());
            }
            return (bytes.freeze(), true);
        }
        (frame.clone(), false)
    }
}
