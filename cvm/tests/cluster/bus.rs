//! A port of GAB: one order of messages and views, SAFE.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use cvm::core::wire::parcel::Way;
use gab::PortView;
use llt::{NodeId, NodeSet};

/// What a member is told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    View(PortView),
    Message(NodeId, Way, Bytes),
}

/// The port, from the outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bus {
    generation: u64,
    members: NodeSet,
    /// Messages of the view in their order.
    order: Vec<(NodeId, Bytes)>,
    /// How many of them each member has read.
    read: BTreeMap<NodeId, usize>,
    /// Views, and what of the order before them is still to be read, by member.
    inbox: BTreeMap<NodeId, VecDeque<Event>>,
    /// Sent, and not yet in the order.
    sent: VecDeque<(NodeId, Bytes)>,
    direct: BTreeMap<(NodeId, NodeId), VecDeque<Bytes>>,
}

impl Bus {
    pub(crate) fn join(&mut self, node: NodeId) {
        let mut members = self.members;
        members.insert(node);
        self.inbox.insert(node, VecDeque::new());
        // Who is new has read everything.
        self.read.insert(node, self.order.len());
        self.change(members, self.order.len());
    }

    /// A node is gone. What nobody has read of the order may be lost: `keep` of it stays.
    pub(crate) fn leave(&mut self, node: NodeId, keep: usize) {
        if !self.members.contains(node) {
            return;
        }
        // SAFE: whatever anybody has read, all survivors will.
        let least = self.read.values().copied().max().unwrap_or(0);
        let cut = (least + keep).min(self.order.len());
        self.read.remove(&node);
        self.inbox.remove(&node);
        self.sent.retain(|(from, _)| *from != node);
        self.direct.retain(|(from, to), _| *from != node && *to != node);
        let mut members = self.members;
        members.remove(node);
        self.change(members, cut);
    }

    /// How much of the order nobody has read yet.
    pub(crate) fn unread(&self) -> usize {
        let most = self.read.values().copied().max().unwrap_or(0);
        self.order.len() - most.min(self.order.len())
    }

    fn change(&mut self, members: NodeSet, cut: usize) {
        self.generation += 1;
        let lost: Vec<_> = self.order.drain(..).collect();
        // Survivors submit again what has lost its place.
        for (from, payload) in lost[cut..].iter().rev().filter(|(from, _)| members.contains(*from))
        {
            self.sent.push_front((*from, payload.clone()));
        }
        let view = PortView {
            generation: self.generation,
            members,
            joined: members.difference(self.members),
            left: self.members.difference(members),
            jeopardy: NodeSet::EMPTY,
            visible: NodeSet::EMPTY,
        };
        for node in members.iter() {
            let read = self.read.insert(node, 0).unwrap_or(cut);
            let inbox = self.inbox.entry(node).or_default();
            let rest = lost[read.min(cut)..cut].iter().cloned();
            let event = |(from, payload)| Event::Message(from, Way::Broadcast, payload);
            inbox.extend(rest.map(event));
            inbox.push_back(Event::View(view));
        }
        self.members = members;
    }

    pub(crate) fn broadcast(&mut self, from: NodeId, payload: Bytes) {
        if self.members.contains(from) {
            self.sent.push_back((from, payload));
        }
    }

    pub(crate) fn send_to(&mut self, from: NodeId, to: NodeId, payload: Bytes) {
        if self.members.contains(from) && self.members.contains(to) {
            self.direct.entry((from, to)).or_default().push_back(payload);
        }
    }

    /// The oldest message that was sent gets its place.
    pub(crate) fn order_next(&mut self) -> bool {
        let next = self.sent.pop_front();
        next.map(|message| self.order.push(message)).is_some()
    }

    /// The next that a member is told, if there is something.
    pub(crate) fn next(&mut self, node: NodeId) -> Option<Event> {
        if let Some(event) = self.inbox.get_mut(&node)?.pop_front() {
            return Some(event);
        }
        let read = self.read.get_mut(&node)?;
        if let Some((from, payload)) = self.order.get(*read) {
            *read += 1;
            return Some(Event::Message(*from, Way::Broadcast, payload.clone()));
        }
        let mut pairs = self.direct.iter_mut().filter(|((_, to), _)| *to == node);
        pairs.find_map(|((from, _), queue)| {
            Some(Event::Message(*from, Way::Direct, queue.pop_front()?))
        })
    }
}
