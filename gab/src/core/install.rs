//! A view comes into force: the old stream ends at the cut, the new one starts.

use llt::{Id, Instant, NodeSet};

use super::ports::Departed;
use super::sequencer::Sequencer;
use super::stream::Stream;
use super::{Gab, Notice};
use crate::ids::{PortName, Vid, View};
use crate::limits::CHAIN_MAX;
use crate::wire::Proposal;

impl Gab {
    /// INSTALL arrived, or a proof of it.
    pub(super) fn receive_install(&mut self, now: Instant, vid: Vid) {
        let due = self.ready.as_ref().is_some_and(|ready| ready.vid == vid && vid > self.view_id());
        if due && let Some(proposal) = self.ready.take() {
            self.install(now, proposal);
        }
    }

    /// A message of a view's stream from a member of it proves that the view is in force.
    pub(super) fn prove_install(&mut self, now: Instant, from: Id, vid: Vid) {
        let ready = self.ready.as_ref();
        if ready.is_some_and(|ready| ready.vid == vid && ready.members.contains(&from)) {
            self.receive_install(now, vid);
        }
    }

    fn install(&mut self, now: Instant, proposal: Proposal) {
        let old = self.view.clone();
        // Before the leftovers: the side that flushes may lose the arbitration.
        self.authorisation
            .note_view(now, old.as_ref().is_some_and(|old| departs(old, &proposal.members)));
        if old.is_some() {
            self.finish_stream(now, &proposal);
        } else {
            self.take_over(&proposal);
        }
        let vid = proposal.vid;
        self.remember(&proposal, old.as_ref());
        self.counters.views += 1;
        self.view = Some(View { vid, members: proposal.members.clone() });
        self.spoken = Some(proposal.versions);
        #[cfg(any(test, feature = "sim"))]
        self.installed.extend(self.view.clone().map(|view| (view, proposal.sequence)));
        if self.promised < vid {
            self.promised = vid;
        }
        self.accepting = None;
        if self.change.as_ref().is_some_and(|change| change.vid <= vid) {
            self.change = None;
        }
        let me = self.id.node;
        let sequence = proposal.sequence;
        self.stream = Some(match &self.stream {
            Some(stream) => stream.next(&proposal.members, sequence),
            None => Stream::new(me, &proposal.members, sequence),
        });
        self.prepared.clear();
        self.undelivered.clear();
        self.sequencer = Sequencer::default();
        self.order = super::order::Ordering::default();
        self.repair.restart();
        if !self.is_mutant_stale_payload() {
            self.stash.clear();
        }
        for peer in self.peers.values_mut() {
            peer.busy = 0;
            if proposal.members.contains(&peer.id) {
                // What a joiner said of itself before it was one of us.
                peer.hello = None;
            }
        }
        self.change_ports(now, &proposal);
        if old.is_none() && self.membership.seed_now {
            self.notice(Notice::SeededByHand { members: self.cluster_nodes() });
        }
        self.pending.restart();
        self.settle_suspicions();
        self.suspect_the_unconnected(now);
        self.race(now);
        let ports: Vec<PortName> = self.ports.keys().copied().collect();
        for port in ports {
            self.sync_local(now, port);
            self.p2p_membership(now, port);
        }
        self.greet_outsiders();
        self.meet_all(now);
        self.tell_status(now);
    }

    /// A member that was lost while it joined was none of our view then, and nobody suspected it.
    fn suspect_the_unconnected(&mut self, now: Instant) {
        let connected = |id: &Id| self.peers.get(&id.node).is_some_and(|peer| peer.id == *id);
        let members = self.view.iter().flat_map(|view| &view.members);
        let lost: Vec<Id> =
            members.filter(|id| **id != self.id && !connected(id)).copied().collect();
        for id in lost {
            self.suspect(now, id, false);
        }
    }

    /// The old view's stream ends: everything up to the cut is delivered, nothing beyond exists.
    fn finish_stream(&mut self, now: Instant, proposal: &Proposal) {
        let Some(stream) = &mut self.stream else { return };
        let cont = stream.cont;
        stream.discard_beyond(proposal.cut);
        if cont != proposal.cut {
            self.alarm("the stream does not end at the cut");
        }
        self.deliver(now, true);
    }

    /// A node that was in no view takes the ports as they are.
    fn take_over(&mut self, proposal: &Proposal) {
        self.table.generation = proposal.generation;
        self.table.ports = proposal.ports.clone();
        for (&name, table) in &proposal.ports {
            let port = self.ports.entry(name).or_default();
            port.generation = table.generation;
            port.members = table.members.clone();
        }
        self.membership.removed = proposal.removed.clone();
    }

    fn remember(&mut self, proposal: &Proposal, old: Option<&View>) {
        for id in
            old.iter().flat_map(|old| &old.members).filter(|id| !proposal.members.contains(id))
        {
            let newest = self.membership.removed.entry(id.node).or_insert(id.incarnation);
            *newest = (*newest).max(id.incarnation);
            let left = self.stream.as_ref().is_some_and(|stream| stream.has_left(id.node));
            // It was lost and is connected again. Who was connected all the time did not come back
            // yet: it stalled, or acknowledged nothing.
            let suspected = self.membership.first_suspicion;
            let again = |since| suspected.is_some_and(|suspected| since > suspected);
            let peer = self.peers.get(&id.node).filter(|peer| peer.id == *id);
            if !left && peer.is_some_and(|peer| again(peer.since)) {
                self.note_return(self.now, *id);
            }
        }
        self.membership.chain.insert(proposal.vid);
        if self.membership.chain.len() > CHAIN_MAX {
            self.membership.chain.pop_first();
        }
    }

    /// Port a takes the next generation, and so does every port that lost a member.
    fn change_ports(&mut self, now: Instant, proposal: &Proposal) {
        let set = |ids: &[Id]| -> NodeSet { ids.iter().map(|id| id.node).collect() };
        let nodes = set(&proposal.members);
        let jeopardy = if self.is_mutant_own_jeopardy() {
            set(&self.lost_in_jeopardy())
        } else {
            set(&proposal.jeopardy)
        };
        for (name, generation) in self.table.install(&proposal.members) {
            if name == PortName::CONTROL {
                self.control_generation = generation;
                self.notice(Notice::Membership { port: name, generation, members: nodes });
            } else {
                self.depart(now, name, Departed { keep: nodes, generation, jeopardy });
            }
        }
    }
}

fn departs(old: &View, members: &[Id]) -> bool {
    old.members.iter().any(|id| !members.contains(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llt::core::DownReason;
    use llt::{Incarnation, NodeId};

    use super::super::{GabConfig, Transport};
    use super::*;
    use crate::ids::Versions;

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).expect("below 128"), incarnation: Incarnation(1) }
    }

    /// Node 2 is lost between its STATE and the first view that it is in.
    #[test]
    fn who_is_lost_while_it_joins_is_suspected_when_it_has_joined() {
        let config = GabConfig { configured: true, ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), config, transport, 1);
        gab.handle_peer_up(Instant::ZERO, id(1), 2);
        gab.handle_peer_up(Instant::ZERO, id(2), 2);
        gab.handle_peer_down(Instant::ZERO, id(2), DownReason::Silent);
        assert!(gab.membership.first_suspicion.is_none(), "it is in no view");
        let proposal = Proposal {
            vid: Vid { round: 1, proposer: id(1) },
            base: Vid::NONE,
            versions: Versions::OURS,
            members: vec![id(0), id(1), id(2)],
            jeopardy: Vec::new(),
            cut: 0,
            sequence: 0,
            generation: 1,
            removed: BTreeMap::new(),
            ports: BTreeMap::new(),
        };
        gab.install(Instant::ZERO, proposal);
        assert_eq!(gab.membership.first_suspicion, Some(Instant::ZERO));
        assert!(gab.membership.suspects.keys().eq([&id(2)]));
    }
}
