//! Delivery: from slots in order, through stability and authorisation, into clients' queues.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::{Instant, NodeId, NodeSet};

use super::p2p::P2pPort;
use super::pending::Settled;
use super::table::Verdict;
use super::{ClientId, Gab, GabOutput, Notice};
use crate::event::{ClientEvent, Delivery, Level, PackDelivery, PortEvent, PortView};
use crate::ids::PortName;
use crate::pack::Pack;
use crate::wire::{Entry, EntryKind};

/// One port at this node.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Port {
    /// Slots of the stream for this port that are not yet delivered, in order.
    pub(crate) queue: VecDeque<u64>,
    /// Out of the stream, waiting for the view to be authorised.
    held: VecDeque<Item>,
    /// The membership that clients were told last.
    pub(crate) generation: u64,
    /// Its members and the incarnation of the client of each.
    pub(crate) members: BTreeMap<NodeId, u64>,
    /// The registration of this node.
    pub(crate) local: Option<LocalPort>,
    /// Registrations that are ending: what they accepted is still under way.
    pub(crate) closing: VecDeque<LocalPort>,
    /// Receiving side of point-to-point messages.
    pub(crate) p2p: P2pPort,
    /// What STATUS compares with: jeopardy and visible as told last.
    told: (NodeSet, NodeSet),
}

/// A registration of this node on a port: all its shared clients are one member.
#[derive(Clone, Debug, Hash)]
pub(crate) struct LocalPort {
    /// Never used twice in one life of the node.
    pub(crate) incarnation: u64,
    pub(crate) clients: Vec<ClientId>,
    pub(crate) shared: bool,
    pub(crate) kernel: bool,
    /// Its PORT_OPEN is accepted.
    pub(crate) opening: bool,
    /// Point-to-point messages under way.
    pub(crate) p2p: super::p2p::P2pOut,
}

/// Something in a port's order.
#[derive(Clone, Debug, Hash)]
enum Item {
    /// A membership change by a client.
    Change { node: NodeId, client: Option<u64>, generation: u64 },
    /// A view of only these nodes.
    Departed(Departed),
    /// A message, or a pack of so many.
    Message { sender: NodeId, level: Level, sequence: u64, pack: u16, payload: Bytes },
}

/// Who left a port with a view change.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Departed {
    /// Nodes that stay.
    pub(crate) keep: NodeSet,
    /// The port's generation from here on.
    pub(crate) generation: u64,
    /// Of those that left: who had one link left before.
    pub(crate) jeopardy: NodeSet,
}

impl Gab {
    /// Takes every slot that is held without a gap into its port's order.
    pub(super) fn advance(&mut self, now: Instant) {
        let Some(stream) = &mut self.stream else { return };
        let me = self.id.node;
        let mut settled = Vec::new();
        while let Some((slot, verdict, entry)) = stream.advance(&mut self.table) {
            if verdict != Verdict::Void {
                self.ports.entry(entry.port).or_default().queue.push_back(slot);
                self.undelivered.insert(entry.port);
            }
            if entry.src == me {
                settled.push((entry.port, entry.mseq, slot, verdict != Verdict::Void));
            }
        }
        let sequence = stream.sequence;
        for (port, mseq, slot, goes_on) in settled {
            if let Some(accepted) = self.pending.accepted(port, mseq).filter(|_| goes_on) {
                self.latency.ordered(port, sequence + slot, accepted);
            }
            self.settle(port, mseq);
        }
        self.deliver(now, false);
    }

    fn settle(&mut self, port: PortName, mseq: u64) {
        if self.is_mutant_resubmit_all() {
            return;
        }
        if let Some(Settled { client: Some(client), messages, bytes }) =
            self.pending.settle(port, mseq)
        {
            self.clients.settle(client, messages, bytes);
        }
    }

    /// Delivers what may be delivered: port by port, so that a SAFE message that waits does not
    /// hold up other ports. `leftovers`: at a view change, when every member holds everything.
    pub(super) fn deliver(&mut self, now: Instant, leftovers: bool) {
        if (self.is_frozen() || self.is_held()) && !leftovers {
            return;
        }
        let Some(stream) = &self.stream else { return };
        let stable = stream.stable();
        let ports: Vec<PortName> = self.undelivered.iter().copied().collect();
        for port in ports {
            while let Some(item) = self.next_item(port, stable, leftovers) {
                self.hold_or_release(now, port, item);
            }
        }
        if let Some(stream) = &mut self.stream {
            stream.free(stable);
            let all = stable >= stream.high;
            self.repair.note_stable(all);
        }
    }

    fn next_item(&mut self, name: PortName, stable: u64, leftovers: bool) -> Option<Item> {
        let safe_at_once = self.is_mutant_safe_at_once();
        let stream = self.stream.as_mut()?;
        let port = self.ports.get_mut(&name)?;
        let Some(&slot) = port.queue.front() else {
            self.undelivered.remove(&name);
            return None;
        };
        let sequence = stream.sequence + slot;
        let held = stream.get_mut(slot)?;
        let last = slot + held.entry.slots() - 1;
        let waits = held.entry.level == Level::Safe && last > stable && !leftovers && !safe_at_once;
        if waits {
            return None;
        }
        port.queue.pop_front();
        held.delivered = true;
        let Entry { src, kind, level, pack, ref payload, .. } = held.entry;
        let generation = match held.verdict {
            Some(Verdict::Change(generation)) => generation,
            _ => 0,
        };
        Some(match kind {
            EntryKind::User => Item::Message {
                sender: src,
                level,
                sequence,
                pack,
                payload: payload.clone().unwrap_or_default(),
            },
            EntryKind::Open { client } => {
                Item::Change { node: src, client: Some(client), generation }
            }
            EntryKind::Close { .. } => Item::Change { node: src, client: None, generation },
            // A node that leaves is nobody's member from here on; the view change follows.
            EntryKind::Leave => Item::Change { node: src, client: None, generation: 0 },
        })
    }

    fn hold_or_release(&mut self, now: Instant, name: PortName, item: Item) {
        let authorised = self.may_release(name);
        let port = self.ports.entry(name).or_default();
        if authorised && port.held.is_empty() {
            self.release(now, name, item);
        } else {
            port.held.push_back(item);
        }
    }

    /// The view has been authorised: what was held goes out in its order.
    pub(super) fn release_held(&mut self, now: Instant) {
        let names: Vec<PortName> = self.ports.keys().copied().collect();
        for name in names {
            while self.may_release(name) {
                let Some(item) = self.ports.get_mut(&name).and_then(|port| port.held.pop_front())
                else {
                    break;
                };
                self.release(now, name, item);
            }
        }
    }

    /// A view change leaves only these nodes on a port (PT3).
    pub(super) fn depart(&mut self, now: Instant, name: PortName, departed: Departed) {
        self.hold_or_release(now, name, Item::Departed(departed));
    }

    fn release(&mut self, now: Instant, name: PortName, item: Item) {
        match item {
            Item::Message { sender, level, sequence, pack, payload } => {
                let count = u64::from(pack.max(1));
                self.counters.delivered += count;
                if sender == self.id.node {
                    self.latency.deliver(now, name, level, sequence, count);
                }
                let port = self.ports.entry(name).or_default();
                let generation = port.generation;
                let event = if pack == 0 {
                    let broadcast = true;
                    let delivery =
                        Delivery { sender, broadcast, level, generation, sequence, payload };
                    PortEvent::One(ClientEvent::Deliver(delivery))
                } else {
                    let messages = Pack::known(payload, pack);
                    PortEvent::Pack(PackDelivery { sender, level, generation, sequence, messages })
                };
                for id in port.attached(self.id.node) {
                    self.clients.push(now, id, event.clone());
                }
            }
            Item::Change { node, generation: 0, .. } => self.note_leaver(now, node),
            Item::Change { node, client, generation } => {
                let port = self.ports.entry(name).or_default();
                let before = port.nodes();
                match client {
                    Some(client) => drop(port.members.insert(node, client)),
                    None => drop(port.members.remove(&node)),
                }
                let rejoined =
                    if client.is_some() { [node].into_iter().collect() } else { NodeSet::EMPTY };
                let before = before.difference(rejoined);
                self.change_membership(now, name, generation, before, NodeSet::EMPTY);
                let members = self.ports.get(&name).map(Port::nodes).unwrap_or_default();
                if client.is_none() && node == self.id.node && !members.is_empty() {
                    self.notice(Notice::PortClosed { port: name });
                }
            }
            Item::Departed(Departed { keep, generation, jeopardy }) => {
                let port = self.ports.entry(name).or_default();
                let before = port.nodes();
                port.members.retain(|&node, _| keep.contains(node));
                self.change_membership(now, name, generation, before, jeopardy);
            }
        }
    }

    /// Tells everybody on the port its new membership.
    fn change_membership(
        &mut self,
        now: Instant,
        name: PortName,
        generation: u64,
        before: NodeSet,
        lost_in_jeopardy: NodeSet,
    ) {
        let me = self.id.node;
        let (jeopardy, cluster) = (self.jeopardy(), self.cluster_nodes());
        let port = self.ports.entry(name).or_default();
        port.generation = generation;
        let members = port.nodes();
        let view = PortView {
            generation,
            members,
            joined: members.difference(before),
            left: before.difference(members),
            jeopardy: jeopardy.intersection(members),
            visible: cluster.difference(members),
        };
        let told = std::mem::replace(&mut port.told, (view.jeopardy, view.visible));
        let lost = lost_in_jeopardy.intersection(view.left);
        for id in port.attached(me) {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let first = !std::mem::replace(&mut client.attached, true);
            let (joined, left) =
                if first { (members, NodeSet::EMPTY) } else { (view.joined, view.left) };
            let jeopardy = view.jeopardy.union(lost.intersection(left));
            let view = PortView { joined, left, jeopardy, ..view };
            self.clients.push(now, id, ClientEvent::View(view));
        }
        self.out.push_back(GabOutput::Notice(Notice::Membership {
            port: name,
            generation,
            members,
        }));
        self.tell_classes(name, &view, told);
        self.p2p_membership(now, name);
    }

    /// Tells the log who of a port is in jeopardy and who only visible, where that has changed. The
    /// end of either shows in the next membership only, as in the original.
    fn tell_classes(&mut self, port: PortName, view: &PortView, before: (NodeSet, NodeSet)) {
        let PortView { generation, jeopardy, visible, .. } = *view;
        if jeopardy != before.0 && !jeopardy.is_empty() {
            self.notice(Notice::Jeopardy { port, generation, nodes: jeopardy });
        }
        // Where nobody is a member there is no membership to be visible in.
        if visible != before.1 && !visible.is_empty() && !view.members.is_empty() {
            self.notice(Notice::Visible { port, generation, nodes: visible });
        }
    }

    /// Another client of this node shares a port that is already a member: it starts with the
    /// membership as it stands.
    pub(super) fn attach_shared(&mut self, now: Instant, name: PortName, id: ClientId) {
        let (jeopardy, cluster) = (self.jeopardy(), self.cluster_nodes());
        let Some(port) = self.ports.get(&name) else { return };
        if !port.attached(self.id.node).any(|other| other == id) {
            return;
        }
        let members = port.nodes();
        let view = PortView {
            generation: port.generation,
            members,
            joined: members,
            left: NodeSet::EMPTY,
            jeopardy: jeopardy.intersection(members),
            visible: cluster.difference(members),
        };
        if let Some(client) = self.clients.get_mut(id) {
            client.attached = true;
        }
        self.clients.push(now, id, ClientEvent::View(view));
    }

    /// Jeopardy or visibility may have changed: STATUS for whom it concerns.
    pub(super) fn tell_status(&mut self, now: Instant) {
        let (jeopardy, cluster) = (self.jeopardy(), self.cluster_nodes());
        let me = self.id.node;
        let port_a = std::mem::replace(&mut self.membership.jeopardy_told, jeopardy);
        if port_a != jeopardy && !jeopardy.is_empty() {
            let (port, generation) = (PortName::CONTROL, self.control_generation);
            self.notice(Notice::Jeopardy { port, generation, nodes: jeopardy });
        }
        let mut changed = Vec::new();
        for (&name, port) in self.ports.iter_mut().filter(|(_, port)| port.generation != 0) {
            let members = port.nodes();
            let told = (jeopardy.intersection(members), cluster.difference(members));
            let before = std::mem::replace(&mut port.told, told);
            if before == told {
                continue;
            }
            let view = PortView {
                generation: port.generation,
                members,
                joined: NodeSet::EMPTY,
                left: NodeSet::EMPTY,
                jeopardy: told.0,
                visible: told.1,
            };
            for id in port.attached(me) {
                if self
                    .clients
                    .get(id)
                    .is_some_and(|client| client.options.status && client.attached)
                {
                    self.clients.push(now, id, ClientEvent::Status(view));
                }
            }
            changed.push((name, view, before));
        }
        for (name, view, before) in changed {
            self.tell_classes(name, &view, before);
        }
    }

    /// Ports whose clients at this node do not keep up: the sequencer orders nothing for them.
    pub(super) fn busy_ports(&self) -> u64 {
        let behind = self.clients.by_id.values().filter(|client| client.is_behind());
        let clients = behind.fold(0, |busy, client| busy | 1 << client.port.index());
        let held = |port: &Port| port.held.len() > crate::limits::RECEIVE_QUEUE_MESSAGES / 2;
        self.ports
            .iter()
            .filter(|(_, port)| held(port))
            .fold(clients, |b, (name, _)| b | 1 << name.index())
    }
}

impl Port {
    /// Nodes with a client on the port.
    pub(crate) fn nodes(&self) -> NodeSet {
        self.members.keys().copied().collect()
    }

    /// The clients of this node that receive, if its registration is the member.
    pub(crate) fn attached(&self, me: NodeId) -> impl Iterator<Item = ClientId> + use<> {
        let member = self.members.get(&me).copied();
        let local = self.local.as_ref().filter(|local| Some(local.incarnation) == member);
        local.map(|local| local.clients.clone()).unwrap_or_default().into_iter()
    }

    /// Items out of the stream that wait for authorisation.
    pub(crate) fn held_items(&self) -> usize {
        self.held.len()
    }
}
