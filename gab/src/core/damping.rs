//! Nodes that come back: a removed one that was alive all the time shows that its network comes and
//! goes, and each time it is let in too early costs everybody another view change (facts algorithms
//! 4.3, scenario 26). It has to be connected for a while before it is let in again: six stable
//! times, and twice as long each time, up to eight times as long. A node that crashed, or was
//! started anew, or left, is let in at once. That it was alive is seen when it still stands in its
//! old view, or told by itself: if it heard us all the time, it knows that it is out, and has begun
//! a new life, before we hear of it.
//!
//! Each node remembers what it has seen itself. A member that joined after the return knows nothing
//! of it, and may let the node in sooner; that costs a view change and nothing else.

use std::collections::BTreeMap;

use llt::{Duration, Id, Incarnation, Instant, NodeId};

use super::{Gab, Notice};

/// What a node remembers of those that came back.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Damping {
    returns: BTreeMap<NodeId, Return>,
}

/// A node that came back.
#[derive(Clone, Copy, Debug, Hash)]
struct Return {
    /// The life that was removed, and was not over.
    life: Incarnation,
    at: Instant,
    /// How often without a long quiet time in between.
    times: u32,
}

/// How often the time to wait is doubled.
const DOUBLINGS: u32 = 3;
/// Times to wait after which a return is forgotten.
const FORGOTTEN_AFTER: u32 = 16;

impl Damping {
    pub(super) fn len(&self) -> usize {
        self.returns.len()
    }
}

impl Gab {
    /// How long a node that came back has to be connected, the `times`-th time.
    fn rejoin_hold(&self, times: u32) -> Duration {
        let once = self.config.stable * self.config.policy.rejoin_hold;
        once * (1 << times.saturating_sub(1).min(DOUBLINGS))
    }

    /// A node stands in a view of its own, in a life that was removed from ours; or that life was
    /// thrown out, and went on as another.
    pub(super) fn note_return(&mut self, now: Instant, peer: Id) {
        let known = self.damping.returns.get(&peer.node).copied();
        if known.is_some_and(|known| known.life == peer.incarnation) {
            return;
        }
        let recent =
            |known: &Return| now < known.at + self.rejoin_hold(known.times) * FORGOTTEN_AFTER;
        let times = known.filter(recent).map_or(0, |known| known.times) + 1;
        let returned = Return { life: peer.incarnation, at: now, times };
        self.damping.returns.insert(peer.node, returned);
        let hold = self.rejoin_hold(times);
        if !hold.is_zero() {
            self.notice(Notice::Returned { node: peer.node, hold });
        }
    }

    /// Until when a connected node is not let in: it came back, and may go again.
    pub(super) fn held_back_until(&self, id: Id) -> Instant {
        let (Some(returned), Some(peer)) =
            (self.damping.returns.get(&id.node), self.peers.get(&id.node))
        else {
            return Instant::ZERO;
        };
        let hold = self.rejoin_hold(returned.times);
        // Later lives are let in at once if they were started anew.
        let returns = peer.hello.as_ref().is_some_and(|(_, hello)| hello.returned);
        if self.now >= returned.at + hold * FORGOTTEN_AFTER || peer.id != id || !returns {
            return Instant::ZERO;
        }
        peer.since + hold
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GabConfig, Transport};
    use super::*;
    use crate::ids::{Versions, Vid};
    use crate::wire::Hello;

    const SEC: Duration = Duration::from_secs(1);

    fn id(node: u8, life: u64) -> Id {
        Id { node: NodeId::new(node).expect("below 128"), incarnation: Incarnation(life) }
    }

    fn gab() -> Gab {
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        Gab::new(Instant::ZERO, id(0, 1), GabConfig::default(), transport, 1)
    }

    /// Connects, and introduces itself.
    fn comes(gab: &mut Gab, now: Instant, peer: Id, returned: bool) {
        gab.handle_peer_up(now, peer, 1);
        let hello = Hello {
            configured: true,
            was_frozen: false,
            refused: false,
            quorum: false,
            returned,
            versions: Versions::OURS,
            seed: 0,
            members: Vec::new(),
        };
        gab.receive_hello(now, peer, Vid::NONE, hello);
    }

    #[test]
    fn each_return_makes_the_next_wait_twice_as_long_until_it_is_forgotten() {
        let mut gab = gab();
        let mut now = Instant::ZERO;
        let mut waits = Vec::new();
        for life in 1..7 {
            gab.note_return(now, id(1, life));
            now += SEC * 40;
            comes(&mut gab, now, id(1, life + 1), true);
            waits.push(gab.held_back_until(id(1, life + 1)).since(now).as_secs());
        }
        // Six stable times of five seconds.
        assert_eq!(waits, [30, 60, 120, 240, 240, 240]);
        now += SEC * 240 * 16;
        comes(&mut gab, now, id(1, 8), true);
        assert_eq!(gab.held_back_until(id(1, 8)), Instant::ZERO, "forgotten");
        gab.note_return(now, id(1, 8));
        assert_eq!(gab.held_back_until(id(1, 8)).since(now).as_secs(), 30);
        comes(&mut gab, now, id(1, 9), false);
        assert_eq!(gab.held_back_until(id(1, 9)), Instant::ZERO, "its process is another");
    }

    #[test]
    fn one_return_is_counted_once_and_may_cost_nothing() {
        let mut gab = gab();
        gab.note_return(Instant::ZERO, id(1, 1));
        gab.note_return(Instant::ZERO + SEC, id(1, 1));
        assert_eq!(gab.damping.returns[&id(1, 1).node].times, 1);
        gab.config.policy.rejoin_hold = 0;
        comes(&mut gab, Instant::ZERO + SEC, id(1, 2), true);
        assert!(gab.held_back_until(id(1, 2)) <= gab.now);
    }
}
