//! What listings show of GAB.

use super::Gab;
use crate::core::Policy;
use crate::ids::{PortName, View};
use crate::snapshot::{ClientPolicy, GabSnapshot, PortSnapshot};

impl Gab {
    /// A copy of the state for administrators.
    pub fn snapshot(&self) -> GabSnapshot {
        let counters = self.counters.by_name();
        GabSnapshot {
            configured: self.config.configured,
            seeded: self.view.is_some(),
            node_count: self.config.seed.unwrap_or(0),
            stable_ms: millis(self.config.stable),
            quorum: self.is_majority_ruled(),
            protocol: self.spoken().max,
            view: self.view.as_ref().map(|view| view.vid.to_string()).unwrap_or_default(),
            sequencer: self.view.as_ref().map(|view| view.sequencer().node.get()),
            last_slot: self.stream.as_ref().map_or(0, |stream| stream.high),
            stable_slot: self.stream.as_ref().map_or(0, |stream| stream.stable()),
            changing: self.is_frozen(),
            ports: self.port_snapshots(),
            counters: counters.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            ..GabSnapshot::of_policy(&self.config.policy)
        }
    }

    fn port_snapshots(&self) -> Vec<PortSnapshot> {
        let Some(view) = &self.view else { return Vec::new() };
        let jeopardy = self.jeopardy();
        let numbers = |set: llt::NodeSet| set.iter().map(llt::NodeId::get).collect::<Vec<u8>>();
        let control = PortSnapshot {
            port: PortName::CONTROL.to_string(),
            generation: self.control_generation,
            members: numbers(view.nodes()),
            jeopardy: numbers(jeopardy),
            visible: Vec::new(),
            clients: 0,
            ..PortSnapshot::default()
        };
        let port = |name: PortName| {
            let port = &self.ports[&name];
            let members = port.nodes();
            PortSnapshot {
                port: name.to_string(),
                generation: port.generation,
                members: numbers(members),
                jeopardy: numbers(jeopardy.intersection(members)),
                visible: numbers(view.nodes().difference(members)),
                clients: port
                    .local
                    .as_ref()
                    .map_or(0, |local| u32::try_from(local.clients.len()).unwrap_or(u32::MAX)),
                ..PortSnapshot::default()
            }
        };
        // Lower case first, as users read port letters.
        let letters = ('a'..='z').chain('A'..='Z').filter_map(PortName::new);
        let known =
            letters.filter(|name| self.ports.get(name).is_some_and(|p| !p.members.is_empty()));
        std::iter::once(control).chain(known.map(port)).collect()
    }

    /// Sizes of everything that is bounded, for the checks of the simulator (MS14).
    pub fn sizes(&self) -> Sizes {
        let stream = self.stream.as_ref();
        let ports = || self.ports.values().flat_map(|port| port.closing.iter().chain(&port.local));
        Sizes {
            pending: self.pending.len(),
            to_order: self.sequencer.len(),
            held_slots: stream.map_or(0, |stream| stream.held_slots()),
            held_bytes: stream.map_or(0, |stream| stream.held_bytes()),
            unstable_slots: stream.map_or(0, |stream| stream.high.saturating_sub(stream.stable())),
            p2p: ports().map(|local| local.p2p.len()).sum(),
            held_items: self.ports.values().map(super::ports::Port::held_items).sum(),
            undelivered: self.ports.values().map(|port| port.queue.len()).sum(),
        }
    }

    /// The last slot held without a gap, the last that is known, and the stable one, of the view.
    pub fn progress(&self) -> (u64, u64, u64) {
        self.stream.as_ref().map_or((0, 0, 0), |stream| (stream.cont, stream.high, stream.stable()))
    }

    /// The version of GAB's protocol that the view in force runs at; 0 without one.
    pub fn version(&self) -> u8 {
        self.spoken.map_or(0, |spoken| spoken.max)
    }

    /// The sequence (precise rule 4) before the first slot of the view in force; 0 without one.
    pub fn sequence_base(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.sequence)
    }

    /// Is a view change under way here, or due?
    pub fn is_changing(&self) -> bool {
        self.is_frozen() || self.change_deadline().is_some()
    }

    /// Does this node hold the slot of the view in force?
    pub fn holds_slot(&self, slot: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.high >= slot && stream.is_held(slot))
    }

    /// Is the slot of the view in force in memory, so that others can still ask for it (MS13)?
    pub fn keeps_slot(&self, slot: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.get(slot).is_some())
    }

    /// The view that this node has said READY to and not yet seen in force, if any.
    pub fn prepared(&self) -> Option<View> {
        let ready = self.ready.as_ref()?;
        Some(View { vid: ready.vid, members: ready.members.clone() })
    }
}

impl GabSnapshot {
    /// What the options in force say, and nothing else.
    pub(crate) fn of_policy(policy: &Policy) -> Self {
        Self {
            rejoin_halt: policy.rejoin_halt,
            rejoin_hold: policy.rejoin_hold,
            single_network: policy.single_network,
            conn_wait: policy.conn_wait,
            send_queue: policy.send_queue,
            receive_queue: policy.receive_queue,
            clients: client_policy(policy),
            ..Self::default()
        }
    }
}

fn client_policy(policy: &Policy) -> ClientPolicy {
    ClientPolicy {
        client_stall_ms: millis(policy.client_stall),
        drain_ms: millis(policy.drain),
        iofence_ms: millis(policy.iofence),
        isolate_ms: millis(policy.isolate),
        keep_killing: policy.keep_killing,
        kill_tries: policy.kill_tries,
        missed_heartbeat_halt: policy.missed_heartbeat_halt,
        process_death_halt: policy.process_death_halt,
        register_halt: policy.register_halt,
        register_timeout_ms: millis(policy.register_timeout),
    }
}

fn millis(time: llt::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Sizes of what is bounded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sizes {
    /// Own messages without a sure slot.
    pub pending: usize,
    /// As sequencer: messages that wait for a slot.
    pub to_order: usize,
    /// Slots in memory.
    pub held_slots: usize,
    /// Payload bytes in them.
    pub held_bytes: usize,
    /// Slots that exist and are not stable.
    pub unstable_slots: u64,
    /// Own point-to-point messages that are not taken.
    pub p2p: usize,
    /// Items that wait for authorisation.
    pub held_items: usize,
    /// Slots that wait for stability.
    pub undelivered: usize,
}
