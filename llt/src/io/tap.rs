//! Faults on purpose: the tap between a node and one of its links.
//!
//! Only testbeds have one. It decides frame by frame, with a seeded generator; what it holds back
//! it gives out in [`Tap::release`], when the instant of [`Tap::next_deadline`] has come.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::core::Transmit;
use crate::ids::{LinkAddr, NodeId, NodeSet};
use crate::time::{Duration, Instant};

/// What a tap does. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Nothing passes, either way.
    pub cut: bool,
    /// Nothing that was received passes.
    pub deaf: bool,
    /// Nothing that is sent passes.
    pub mute: bool,
    /// Nothing from or to these nodes passes.
    pub blocked: NodeSet,
    /// Faults of frames sent.
    pub rates: Rates,
}

/// Faults per frame sent. Probabilities from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Lost.
    pub loss: f64,
    /// Sent twice.
    pub dup: f64,
    /// One bit flipped.
    pub corrupt: f64,
    /// Held back behind later ones, or for [`REORDER_HOLD`].
    pub reorder: f64,
    /// Extra delay.
    pub delay: Duration,
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is lost.
    Drop,
    /// It goes on.
    Pass,
}

/// What a tap did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TapCounters {
    /// Frames lost because the link is cut or the node blocked.
    pub cut: u64,
    /// Frames lost by chance.
    pub lost: u64,
    /// Frames sent twice.
    pub duplicated: u64,
    /// Frames with a bit flipped.
    pub corrupted: u64,
    /// Frames held back behind others.
    pub reordered: u64,
    /// Frames lost because more were held back than [`HELD_MAX`].
    pub overflow: u64,
}

/// The tap of one link.
#[derive(Debug)]
pub struct Tap {
    faults: Faults,
    /// Whose static address is whose: a broadcast that goes to each one by one carries 0xFF as its
    /// destination, and only the address tells for whom it is.
    peers: BTreeMap<LinkAddr, NodeId>,
    held: BTreeMap<(Instant, u64), Transmit>,
    held_count: u64,
    rng: Xoshiro256PlusPlus,
    counters: TapCounters,
}

impl Tap {
    /// A tap that lets everything pass. `peers` are the static addresses of the link.
    pub fn new(peers: &[(NodeId, LinkAddr)], seed: u64) -> Self {
        Self {
            faults: Faults::default(),
            peers: peers.iter().map(|&(node, address)| (address, node)).collect(),
            held: BTreeMap::new(),
            held_count: 0,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            counters: TapCounters::default(),
        }
    }

    /// What it does.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Changes what it does. Frames that are held back stay so until their time.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What it did.
    pub fn counters(&self) -> &TapCounters {
        &self.counters
    }

    /// Judges a frame that was received.
    pub fn incoming(&mut self, frame: &[u8]) -> Verdict {
        let blocked = node_at(frame, SOURCE_AT).is_some_and(|n| self.faults.blocked.contains(n));
        self.judge(blocked || self.faults.deaf)
    }

    /// Judges a frame to be sent: `put` gets it, changed, twice, later or not at all.
    pub fn outgoing(&mut self, now: Instant, mut frame: Transmit, mut put: impl FnMut(Transmit)) {
        if self.judge(self.is_blocked(&frame) || self.faults.mute) == Verdict::Drop {
            return;
        }
        let rates = self.faults.rates;
        if self.chance(rates.loss) {
            self.counters.lost += 1;
            return;
        }
        if self.chance(rates.corrupt) && !frame.frame.is_empty() {
            self.counters.corrupted += 1;
            frame.frame = self.flip_a_bit(&frame.frame);
        }
        let twice = self.chance(rates.dup);
        let reorder = self.chance(rates.reorder);
        let mut hold = rates.delay;
        if reorder {
            self.counters.reordered += 1;
            hold += REORDER_HOLD;
        }
        if twice {
            self.counters.duplicated += 1;
        }
        for _ in 0..=usize::from(twice) {
            if hold.is_zero() { put(frame.clone()) } else { self.hold(now + hold, frame.clone()) }
        }
    }

    /// Gives out what was held back and is due at `now`; a cut link loses it.
    pub fn release(&mut self, now: Instant, mut put: impl FnMut(Transmit)) {
        while let Some(entry) = self.held.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let frame = entry.remove();
            if self.judge(self.is_blocked(&frame) || self.faults.mute) == Verdict::Pass {
                put(frame);
            }
        }
    }

    /// When [`Tap::release`] has something to give out.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(&(due, _), _)| due)
    }

    fn is_blocked(&self, frame: &Transmit) -> bool {
        // 0xFF is no node: then the address tells, and where it does not the receiver's tap
        // filters by the source.
        let node =
            node_at(&frame.frame, DESTINATION_AT).or_else(|| self.peers.get(&frame.to).copied());
        node.is_some_and(|node| self.faults.blocked.contains(node))
    }

    fn judge(&mut self, blocked: bool) -> Verdict {
        if self.faults.cut || blocked {
            self.counters.cut += 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    }

    fn hold(&mut self, due: Instant, frame: Transmit) {
        if self.held.len() >= HELD_MAX {
            self.counters.overflow += 1;
            return;
        }
        self.held_count += 1;
        self.held.insert((due, self.held_count), frame);
    }

    fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        // 53 bits are what a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
        let draw = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        draw < probability
    }

    fn flip_a_bit(&mut self, frame: &Bytes) -> Bytes {
        let mut bytes = BytesMut::from(&frame[..]);
        let draw = self.rng.next_u64();
        let at = usize::try_from(draw >> 8).unwrap_or(0) % bytes.len();
        bytes[at] ^= 1 << (draw & 7);
        bytes.freeze()
    }
}

/// The node whose id stands at this offset of a frame; `None` for 0xFF, which means everybody, and
/// for frames that are too short.
fn node_at(frame: &[u8], at: usize) -> Option<NodeId> {
    frame.get(at).copied().and_then(NodeId::new)
}

/// Where the frame header holds the source node (docs/wire.md).
const SOURCE_AT: usize = 8;
/// Where the frame header holds the destination node (docs/wire.md).
const DESTINATION_AT: usize = 9;
/// How long a frame stays behind later ones: longer than a turn of a busy reactor, shorter than
/// the retransmission time-out that would hide it.
pub const REORDER_HOLD: Duration = Duration::from_millis(2);
/// Frames held back at most: at 8 KiB a frame this is 128 MiB, for a testbed on one machine.
pub const HELD_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LinkId;

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn address(port: u16) -> LinkAddr {
        LinkAddr::V4 { ip: [10, 0, 0, 1], port }
    }

    fn frame(source: u8, destination: u8, to: LinkAddr) -> Transmit {
        let mut bytes = vec![0u8; 48];
        bytes[SOURCE_AT] = source;
        bytes[DESTINATION_AT] = destination;
        let link = LinkId::new(0).unwrap();
        Transmit { link, to, urgent: false, frame: bytes.into() }
    }

    fn tap(faults: Faults) -> Tap {
        let mut tap = Tap::new(&[(node(1), address(1)), (node(2), address(2))], 7);
        tap.set_faults(faults);
        tap
    }

    fn passed(tap: &mut Tap, count: usize, one: &Transmit) -> Vec<Transmit> {
        let mut out = Vec::new();
        for _ in 0..count {
            tap.outgoing(Instant::ZERO, one.clone(), |frame| out.push(frame));
        }
        out
    }

    #[test]
    fn a_blocked_node_is_deaf_and_dumb() {
        let blocked = NodeSet::from_iter([node(2)]);
        let mut tap = tap(Faults { blocked, ..Faults::default() });
        assert_eq!(tap.incoming(&frame(2, 0, address(0)).frame), Verdict::Drop);
        assert_eq!(tap.incoming(&frame(1, 0, address(0)).frame), Verdict::Pass);
        assert!(passed(&mut tap, 1, &frame(0, 2, address(2))).is_empty());
        // A broadcast that goes out one by one is recognised by the address.
        assert!(passed(&mut tap, 1, &frame(0, 0xFF, address(2))).is_empty());
        assert_eq!(passed(&mut tap, 1, &frame(0, 0xFF, address(1))).len(), 1);
    }

    #[test]
    fn a_deaf_link_sends_and_a_mute_one_hears() {
        let sent = frame(0, 1, address(1));
        let heard = frame(1, 0, address(0)).frame;
        let mut one = tap(Faults { deaf: true, ..Faults::default() });
        assert_eq!(passed(&mut one, 1, &sent).len(), 1);
        assert_eq!(one.incoming(&heard), Verdict::Drop);
        let mut one = tap(Faults { mute: true, ..Faults::default() });
        assert!(passed(&mut one, 1, &sent).is_empty());
        assert_eq!(one.incoming(&heard), Verdict::Pass);
    }

    #[test]
    fn a_cut_link_loses_what_was_held_back_too() {
        let mut tap = tap(Faults {
            rates: Rates { delay: Duration::from_millis(5), ..Rates::default() },
            ..Faults::default()
        });
        assert!(passed(&mut tap, 3, &frame(0, 1, address(1))).is_empty());
        assert_eq!(tap.next_deadline(), Some(Instant::from_millis(5)));
        tap.set_faults(Faults { cut: true, ..Faults::default() });
        tap.release(Instant::from_millis(5), |_| panic!("the link is cut"));
        assert_eq!((tap.counters().cut, tap.next_deadline()), (3, None));
    }

    #[test]
    fn delayed_frames_keep_their_order() {
        let mut tap = tap(Faults {
            rates: Rates { delay: Duration::from_millis(5), ..Rates::default() },
            ..Faults::default()
        });
        for id in 0..4 {
            passed(&mut tap, 1, &frame(0, id, address(1)));
        }
        tap.release(Instant::from_millis(4), |_| panic!("too early"));
        let mut out = Vec::new();
        tap.release(Instant::from_millis(5), |frame| out.push(frame.frame[DESTINATION_AT]));
        assert_eq!(out, [0, 1, 2, 3]);
    }

    #[test]
    fn rates_are_about_what_they_say() {
        let rates = Rates { loss: 0.3, dup: 0.1, corrupt: 0.2, ..Rates::default() };
        let mut tap = tap(Faults { rates, ..Faults::default() });
        let sent = passed(&mut tap, 10_000, &frame(0, 1, address(1)));
        let counters = *tap.counters();
        assert!((2700..3300).contains(&counters.lost), "{counters:?}");
        assert!((600..800).contains(&counters.duplicated), "{counters:?}");
        assert!((1250..1550).contains(&counters.corrupted), "{counters:?}");
        assert_eq!(sent.len() as u64, 10_000 - counters.lost + counters.duplicated);
    }

    #[test]
    fn a_reordered_frame_comes_behind_a_later_one() {
        let mut tap =
            tap(Faults { rates: Rates { reorder: 1.0, ..Rates::default() }, ..Faults::default() });
        assert!(passed(&mut tap, 1, &frame(0, 1, address(1))).is_empty());
        tap.set_faults(Faults::default());
        assert_eq!(passed(&mut tap, 1, &frame(0, 2, address(1))).len(), 1);
        assert_eq!(tap.next_deadline(), Some(Instant::ZERO + REORDER_HOLD));
    }
}
