//! The size of everything that could grow, with its limit (MS14): what the simulator holds against
//! [`limits`](crate::limits).

use llt::limits::NODES_MAX;

use super::Gab;
use super::ports::Port;
use crate::limits::{
    Bounded, CLIENTS_MAX, MESSAGE_MAX, P2P_HELD_BYTES, P2P_HELD_MESSAGES, PORTS_MAX,
    READY_VIEWS_MAX, REGISTRATIONS_UNDER_WAY, SEND_QUEUE_MESSAGES, WINDOW_BYTES, WINDOW_SLOTS,
};

/// Nodes; and ports of nodes.
const NODES: usize = NODES_MAX as usize;
const SOURCES: usize = NODES * PORTS_MAX;
/// Slots from the first that is not stable to the last that may exist, and the same again for those
/// that are stable and wait to be delivered.
#[expect(clippy::cast_possible_truncation, reason = "some thousands")]
const SLOTS: usize = 4 * WINDOW_SLOTS as usize;

impl Gab {
    /// Everything in GAB that could grow, and how much of it there may be. Of what each port, client
    /// or node has for itself it is the largest.
    pub fn bounded(&self) -> Vec<Bounded> {
        let most = |of: fn(&Port) -> usize| self.ports.values().map(of).max().unwrap_or(0);
        let p2p = |port: &Port| {
            port.closing.iter().chain(&port.local).map(|local| local.p2p.len()).max().unwrap_or(0)
        };
        let mut all = vec![
            Bounded::new("peers", self.peers.len(), NODES),
            Bounded::new("views prepared", self.prepared.len(), READY_VIEWS_MAX),
            Bounded::new("nodes that came back", self.damping.len(), NODES),
            Bounded::new("ports", self.ports.len(), PORTS_MAX),
            Bounded::new("ports to deliver on", self.undelivered.len(), PORTS_MAX),
            Bounded::new("acknowledgements of messages", self.p2p_acks.len(), SOURCES),
            Bounded::new("slots of a port", most(|port| port.queue.len()), SLOTS),
            Bounded::new("items held", most(Port::held_items), SLOTS),
            Bounded::new("port members", most(|port| port.members.len()), NODES),
            Bounded::new(
                "registrations that end",
                most(|port| port.closing.len()),
                REGISTRATIONS_UNDER_WAY,
            ),
            Bounded::new("messages to one node", most(p2p), SEND_QUEUE_MESSAGES * NODES),
            Bounded::new("early messages", most(|port| port.p2p.early()), P2P_HELD_MESSAGES),
            Bounded::new("messages without room", most(|port| port.p2p.full()), P2P_HELD_MESSAGES),
            Bounded::new(
                "bytes without room",
                most(|port| port.p2p.full_bytes()),
                P2P_HELD_BYTES + NODES * MESSAGE_MAX,
            ),
            Bounded::new("nodes with messages", most(|port| port.p2p.sources()), NODES),
            Bounded::new("own messages", self.pending.longest(), self.accepted_max()),
            Bounded::new("own messages to deliver", self.latency.longest(), SLOTS),
            Bounded::new("sources", self.sequencer.sources(), SOURCES),
            Bounded::new("messages to order", self.sequencer.len(), SOURCES * SEND_QUEUE_MESSAGES),
        ];
        all.extend(self.membership.bounded());
        all.extend(self.clients.bounded());
        all.extend(self.supervision.bounded());
        all.extend(self.stash.bounded());
        all.extend(self.order.bounded());
        all.extend(self.repair.bounded());
        if let Some(stream) = &self.stream {
            all.extend([
                Bounded::new("slots", stream.held_slots(), SLOTS),
                Bounded::new("bytes in slots", stream.held_bytes(), 4 * WINDOW_BYTES),
            ]);
            all.extend(stream.bounded());
        }
        all
    }

    /// Messages of one port that its clients, and those that have ended, may have accepted.
    fn accepted_max(&self) -> usize {
        let shared = self.ports.values().filter_map(|port| port.local.as_ref());
        let clients = shared.map(|local| local.clients.len()).max().unwrap_or(0).min(CLIENTS_MAX);
        (clients + 2 * REGISTRATIONS_UNDER_WAY) * SEND_QUEUE_MESSAGES
    }
}
