//! A canonical hash of the whole state, for the model checker: two nodes that behave alike from
//! here on have equal digests, however they came here.
//!
//! What the core does depends on instants only by how far they are from the present: it compares
//! them and adds to them. So they are hashed as that distance, and a state is the same an hour
//! later. What is left out decides nothing: counters, but for alarms, latencies, and the log of
//! installed views, which checkers have in their histories. Every field is named, so that a new one is not
//! forgotten: the compiler asks for it here.

use std::hash::{Hash, Hasher};

use llt::Instant;
use rand_core::Rng as _;

use super::Gab;

/// Instants further back are all alike: nothing in the core is remembered for that long (the longest
/// is the return of a node, for 3840 s with the default stable time).
const LONG_AGO_NANOS: i128 = 4_000_000_000_000;

impl Gab {
    /// Feeds everything that decides what this node does next, and nothing else, to `hasher`. All
    /// outputs have been polled; the configuration is that of the node all its life.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        let Self {
            id,
            config: _,
            transport: _,
            rng,
            out,
            counters,
            peers,
            membership,
            damping,
            view,
            spoken,
            stream,
            table,
            control_generation,
            promised,
            frozen_since,
            accepting,
            ready,
            prepared,
            change,
            authorisation,
            pending,
            latency: _,
            stash,
            sequencer,
            order,
            repair,
            ports,
            undelivered,
            clients,
            supervision,
            next_client,
            p2p_acks,
            leaving,
            stops,
            over,
            now,
            dirty,
            installed: _,
        } = self;
        debug_assert!(out.is_empty() && !dirty, "digest of {id} in the middle of a turn");
        let hasher = &mut Relative { inner: hasher, now: *now };
        (id, counters.alarms, over, leaving, stops, next_client).hash(hasher);
        // What the generator gives next is all there is to know of it.
        rng.clone().next_u64().hash(hasher);
        (peers, membership, damping, spoken).hash(hasher);
        (view, stream, table, control_generation).hash(hasher);
        (promised, frozen_since, accepting, ready, prepared, change).hash(hasher);
        (authorisation, pending, stash, sequencer, order, repair).hash(hasher);
        (ports, undelivered, clients, supervision, p2p_acks).hash(hasher);
    }
}

/// Passes everything on, instants as their distance from `now`.
struct Relative<'a, H> {
    inner: &'a mut H,
    now: Instant,
}

impl<H: Hasher> Hasher for Relative<'_, H> {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }

    fn write_u8(&mut self, number: u8) {
        self.inner.write_u8(number);
    }

    fn write_u64(&mut self, number: u64) {
        self.inner.write_u64(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.inner.write_usize(number);
    }

    /// Only [`Instant`] is hashed as one.
    fn write_i128(&mut self, instant: i128) {
        let distance = instant - i128::from(self.now.as_nanos());
        self.inner.write_i128(distance.max(-LONG_AGO_NANOS));
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use llt::{Id, Incarnation, NodeId};

    use super::super::{GabConfig, Transport};
    use super::*;

    fn digest(gab: &mut Gab) -> u64 {
        while gab.poll_output().is_some() {}
        let mut hasher = DefaultHasher::new();
        gab.digest(&mut hasher);
        hasher.finish()
    }

    /// Node 0 of two at `start`, which hears of node 1 and waits `wait` ms then.
    fn at(start: u64, wait: u64) -> Gab {
        let id = |node| Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) };
        let config = GabConfig { configured: true, seed: Some(2), ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let start = Instant::from_millis(start);
        let mut gab = Gab::new(start, id(0), config, transport, 1);
        gab.handle_peer_up(start, id(1), 1);
        gab.handle_timer(start + llt::Duration::from_millis(wait));
        gab
    }

    #[test]
    fn only_distances_in_time_count() {
        assert_eq!(
            digest(&mut at(10_000_000, 7)),
            digest(&mut at(90_000_000, 7)),
            "later is the same"
        );
        assert_ne!(digest(&mut at(10_000_000, 7)), digest(&mut at(10_000_000, 8)), "a wait is not");
        let mut one = at(10_000_000, 7);
        let before = digest(&mut one);
        assert_eq!(digest(&mut one.clone()), before);
        one.leave(Instant::from_millis(10_000_007));
        assert_ne!(digest(&mut one), before, "what happens is");
    }
}
