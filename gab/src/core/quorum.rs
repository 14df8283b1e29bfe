//! The majority arbiter (`-q`; protocols.md, precise rule 9): which side of a split goes on.
//!
//! No side keeps anything on disk or asks anybody outside, so what counts is the view before. Two
//! sides that both come from a view V cannot both have a majority of it; but V alone is not enough.
//! Members that were READY for a view Q after V cannot know whether somebody has Q in force and
//! goes on from there, with a majority of Q, which is fewer nodes. So whoever drops Q needs a
//! majority of it, too: of every view that anybody in V was READY for since V came into force.
//!
//! A node whose LEAVE is ordered is nobody's voter: who has seen it ordered does not count it at
//! all, and the node itself says in STATE that it is leaving, so that nobody counts on it.

use llt::{Id, Instant, NodeId, NodeSet};

use super::{ArbiterKind, Gab, GabOutput, HaltCause, Notice};
use crate::event::CloseReason;
use crate::ids::PortName;
use crate::limits::READY_VIEWS_MAX;
use crate::wire::{Prepared, Proposal};

/// A view of which too few are here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lack {
    /// Its members, without those that left in order.
    of: NodeSet,
    /// Those of them that would go on.
    present: NodeSet,
}

impl Gab {
    /// Does a majority authorise views here?
    pub(super) fn is_majority_ruled(&self) -> bool {
        self.config.arbiter == ArbiterKind::Majority
    }

    /// The number of visible nodes from which on this node seeds by itself; 0 if it never does.
    /// Nothing survives a restart, so nodes that all have started anew, even if they are most of
    /// them, cannot know whether the others still have a view (facts algorithms 3.3).
    pub(super) fn seed_count(&self) -> u32 {
        match self.config.seed {
            Some(count) if self.is_majority_ruled() => count.max(self.config.configured_nodes),
            count => count.unwrap_or(0),
        }
    }

    /// Remembers a view that this node is about to be READY for; false if there were too many: what
    /// cannot be remembered must not be said. Where nobody counts majorities the oldest is
    /// forgotten.
    pub(super) fn note_prepared(&mut self, proposal: &Proposal) -> bool {
        if self.view.is_none() {
            // Whoever counts a view has a majority of the one before in common with it, and those
            // nodes report.
            return true;
        }
        if let Some(known) = self.prepared.iter_mut().find(|p| p.members == proposal.members) {
            known.vid = known.vid.max(proposal.vid);
            return true;
        }
        if self.prepared.len() >= READY_VIEWS_MAX {
            if self.is_majority_ruled() {
                return false;
            }
            self.prepared.remove(0);
        }
        self.prepared.push(Prepared { vid: proposal.vid, members: proposal.members.clone() });
        true
    }

    /// This node may not say that it is READY for one more view, and so stands still. If that lasts
    /// longer than a member may stall a change, it halts: the others may go on without it, and it
    /// could never again.
    pub(super) fn refuse_ready(&mut self, now: Instant) {
        self.notice(Notice::TooManyChanges { failed: self.prepared.len() });
        let since = *self.membership.mute_since.get_or_insert(now);
        if now >= since + self.config.stable * self.config.policy.conn_wait {
            self.halt(now, HaltCause::Quorum, PortName::CONTROL);
        }
    }

    /// The view of which these members, who have reported, are not enough to go on. Everything up
    /// to the cut is held, so every LEAVE below it is known.
    pub(super) fn lacks_quorum(&self, members: &[Id]) -> Option<Lack> {
        let view = self.view.as_ref().filter(|_| self.is_majority_ruled())?;
        if self.config.policy.single_network || self.is_mutant_minority() {
            return None;
        }
        let left = |node: NodeId| self.stream.as_ref().is_some_and(|s| s.has_left(node));
        let staying = |of: &[Id]| of.iter().filter(|id| !left(id.node)).copied().collect();
        let base: Vec<Id> = staying(&view.members);
        let reports = || self.states().filter(|(_, state)| state.installed == view.vid);
        let prepared = || {
            let views = reports().flat_map(|(_, state)| &state.prepared);
            views.filter(|prepared| prepared.vid > view.vid)
        };
        // A view of somebody who has left since may be in force among those that it let in.
        let is_orphan =
            |p: &Prepared| left(p.vid.proposer.node) && !members.contains(&p.vid.proposer);
        if base.iter().all(|id| members.contains(id)) && !prepared().any(is_orphan) {
            // Nobody is missed, so there is no other side.
            return None;
        }
        let leaving: NodeSet =
            self.states().filter(|(_, state)| state.leaving).map(|(id, _)| id.node).collect();
        let is_voter = |id: &&Id| !left(id.node) && !leaving.contains(id.node);
        let voters: Vec<Id> = members.iter().filter(is_voter).copied().collect();
        let mut counted = vec![base];
        if !self.is_mutant_ready_views() {
            counted.extend(prepared().map(|p| staying(&p.members)));
        }
        let lacking = counted.into_iter().find(|of| !is_majority(of, &voters))?;
        let present = lacking.iter().filter(|id| voters.contains(id)).map(|id| id.node).collect();
        Some(Lack { of: lacking.iter().map(|id| id.node).collect(), present })
    }

    /// This node is on the side that must not go on.
    pub(super) fn lose_quorum(&mut self, now: Instant, lack: Lack) {
        self.notice(Notice::QuorumLost { of: lack.of, present: lack.present });
        if self.leaving.is_some() {
            // It goes anyway, and nobody is left to tell.
            self.finish_leave();
            return;
        }
        self.halt(now, HaltCause::Quorum, PortName::CONTROL);
    }

    /// The node must not go on: clients learn that they are out, and the driver halts it.
    pub(super) fn halt(&mut self, now: Instant, cause: HaltCause, port: PortName) {
        self.close_all(now, CloseReason::Ejected);
        self.end();
        self.out.push_back(GabOutput::Halt { cause, port });
    }
}

/// More than half of `of`, or exactly half with its lowest node: never two disjoint sets of voters.
fn is_majority(of: &[Id], voters: &[Id]) -> bool {
    let present = of.iter().filter(|id| voters.contains(id)).count();
    let lowest = of.iter().min_by_key(|id| id.node);
    present * 2 > of.len() || present * 2 == of.len() && lowest.is_none_or(|id| voters.contains(id))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use llt::Incarnation;
    use proptest::prelude::*;

    use super::super::{GabConfig, Transport};
    use super::*;
    use crate::ids::{Versions, Vid, View};

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) }
    }

    fn ids(nodes: &[u8]) -> Vec<Id> {
        nodes.iter().map(|&node| id(node)).collect()
    }

    /// A member of a view of eighteen, that is READY for as many views of seventeen of them.
    fn ready_for_many(arbiter: ArbiterKind) -> (Gab, Vec<bool>) {
        let config = GabConfig { arbiter, ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), config, transport, 1);
        let all: Vec<Id> = (0..18).map(id).collect();
        gab.view = Some(View { vid: Vid { round: 1, proposer: id(0) }, members: all.clone() });
        let noted = (1..18).map(|without| {
            let members = all.iter().filter(|id| id.node.get() != without).copied().collect();
            let vid = Vid { round: 1 + u64::from(without), proposer: id(0) };
            gab.note_prepared(&Proposal {
                vid,
                base: Vid::NONE,
                versions: Versions::OURS,
                members,
                jeopardy: Vec::new(),
                cut: 0,
                sequence: 0,
                generation: 0,
                removed: BTreeMap::new(),
                ports: BTreeMap::new(),
            })
        });
        let noted = noted.collect();
        (gab, noted)
    }

    #[test]
    fn what_a_majority_would_need_is_remembered_or_not_said() {
        let (gab, noted) = ready_for_many(ArbiterKind::Majority);
        assert_eq!(noted.iter().position(|noted| !noted), Some(READY_VIEWS_MAX));
        assert_eq!(gab.prepared.len(), READY_VIEWS_MAX);
        assert_eq!(gab.prepared[0].vid.round, 2);
    }

    #[test]
    fn whoever_may_not_be_ready_any_more_halts_when_that_lasts() {
        let (mut gab, _) = ready_for_many(ArbiterKind::Majority);
        let patience = gab.config.stable * gab.config.policy.conn_wait;
        let halts = |gab: &mut Gab| {
            let outputs = std::iter::from_fn(|| gab.poll_output());
            outputs.filter(|output| matches!(output, GabOutput::Halt { .. })).count()
        };
        gab.refuse_ready(Instant::ZERO);
        let told = Notice::TooManyChanges { failed: READY_VIEWS_MAX };
        assert_eq!(gab.poll_output(), Some(GabOutput::Notice(told)));
        gab.refuse_ready(Instant::ZERO + patience / 2);
        assert_eq!(halts(&mut gab), 0);
        gab.refuse_ready(Instant::ZERO + patience);
        assert_eq!(halts(&mut gab), 1);
    }

    #[test]
    fn where_nobody_counts_no_number_of_failed_changes_ends_them() {
        let (gab, noted) = ready_for_many(ArbiterKind::None);
        assert!(noted.iter().all(|&noted| noted));
        assert_eq!(gab.prepared.len(), READY_VIEWS_MAX);
        assert_eq!(gab.prepared[0].vid.round, 3, "the oldest was forgotten");
    }

    #[test]
    fn half_of_a_view_goes_on_only_with_its_lowest_node() {
        let of = ids(&[1, 2, 3, 4]);
        assert!(is_majority(&of, &ids(&[2, 3, 4])));
        assert!(is_majority(&of, &ids(&[1, 4])));
        assert!(!is_majority(&of, &ids(&[2, 3])));
        assert!(!is_majority(&of, &ids(&[1])));
        assert!(!is_majority(&ids(&[1, 2, 3]), &ids(&[1])), "odd: less than half, lowest or not");
        assert!(!is_majority(&of, &ids(&[1, 7, 8, 9])), "others do not count");
        assert!(is_majority(&ids(&[5]), &ids(&[5])));
    }

    #[test]
    fn a_life_that_ended_is_no_voter() {
        let mut again = ids(&[0, 1]);
        again[0].incarnation = Incarnation(2);
        assert!(!is_majority(&ids(&[0, 1]), &again));
    }

    proptest! {
        #[test]
        fn two_sides_never_both_have_it(of in proptest::collection::btree_set(0_u8..12, 1..9), side in any::<u16>()) {
            let here = |node: &u8| side >> node & 1 == 1;
            let (ours, theirs): (BTreeSet<u8>, BTreeSet<u8>) = of.iter().partition(|node| here(node));
            let list = |nodes: &BTreeSet<u8>| ids(&nodes.iter().copied().collect::<Vec<_>>());
            let (a, b) = (is_majority(&list(&of), &list(&ours)), is_majority(&list(&of), &list(&theirs)));
            prop_assert!(a != b);
        }
    }
}
