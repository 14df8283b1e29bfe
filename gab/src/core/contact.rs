//! Introductions: who is where, and what happens when nodes of different views meet.
//!
//! Histories are never merged. When two views exclude nodes of each other, one side has to give up:
//! the larger group stays; of equal groups the one that moved on while the other was left behind,
//! else the one with the lowest node (facts 2.11, algorithms 1.12). Both sides compute the same.

use llt::{Id, Instant, NodeId};

use super::{ArbiterKind, Gab, GabOutput, Notice};
use crate::event::{ClientEvent, CloseReason};
use crate::ids::{Versions, Vid, View};
use crate::wire::{Body, Hello};

impl Gab {
    /// Introduces this node to a peer.
    pub(super) fn greet(&mut self, peer: Id) {
        if self.over {
            return;
        }
        let hello = Hello {
            configured: self.config.configured && self.leaving.is_none(),
            was_frozen: self.membership.was_frozen,
            refused: self.removed(peer.node).is_some_and(|newest| peer.incarnation <= newest),
            quorum: self.is_majority_ruled(),
            returned: self.config.returned,
            versions: self.spoken(),
            seed: self.seed_count(),
            members: self.view.as_ref().map(|view| view.members.clone()).unwrap_or_default(),
        };
        self.send_about(peer, self.view_id(), &Body::Hello(hello));
    }

    /// What is spoken here: by all of the view, or by this node alone.
    pub(super) fn spoken(&self) -> Versions {
        self.spoken.unwrap_or(self.config.versions)
    }

    /// Introduces this node to all who are not in its view: something about it has changed.
    pub(super) fn greet_outsiders(&mut self) {
        let inside = |id: Id| self.view.as_ref().is_some_and(|view| view.contains(id));
        let outsiders: Vec<Id> =
            self.peers.values().map(|peer| peer.id).filter(|&id| !inside(id)).collect();
        for peer in outsiders {
            self.greet(peer);
        }
    }

    /// A peer introduces itself.
    pub(super) fn receive_hello(&mut self, now: Instant, from: Id, vid: Vid, hello: Hello) {
        let Some(peer) = self.peers.get_mut(&from.node).filter(|peer| peer.id == from) else {
            return;
        };
        if hello.refused && self.view.is_none() && !self.over {
            // We were about to be a member and never learned it; that member was removed since.
            self.eject(now, vid);
            return;
        }
        let (before, quorum, returned) = (peer.hello.take(), hello.quorum, hello.returned);
        let news = before.as_ref().is_none_or(|(_, before)| before.quorum != quorum);
        let configured = hello.configured && self.config.configured;
        let versions = hello.versions;
        let is_news = before.is_none_or(|(_, before)| before.versions != versions);
        peer.hello = Some((vid, hello));
        let ours = self.spoken();
        if is_news && configured && ours.common(versions).is_none() {
            self.notice(Notice::VersionRefused { node: from.node, versions, ours });
        }
        if news && configured && quorum != self.is_majority_ruled() {
            self.notice(Notice::QuorumDiffers { node: from.node, theirs: quorum });
            // It may not know of us, or have forgotten: a member is not introduced again.
            self.greet(from);
        }
        if self.meets_seeded() {
            // This node joins that; if it vanishes, the operator has to decide again.
            self.membership.seed_now = false;
        }
        self.membership.highest_round = self.membership.highest_round.max(vid.round);
        if configured && let Some(newest) = self.removed(from.node) {
            if !vid.is_none() && from.incarnation <= newest {
                self.note_return(now, from);
            } else if vid.is_none() && from.incarnation > newest && returned {
                // It learned that it was out before it could be heard, or stalled all the others.
                self.note_return(now, Id { incarnation: newest, ..from });
            }
        }
        self.note_joiners(now);
        self.meet(now, from);
    }

    /// Looks again at everybody outside: our own view has changed.
    pub(super) fn meet_all(&mut self, now: Instant) {
        let peers: Vec<Id> = self.peers.values().map(|peer| peer.id).collect();
        for peer in peers {
            self.meet(now, peer);
        }
    }

    fn meet(&mut self, now: Instant, peer: Id) {
        let Some(ours) = self.view.clone().filter(|_| !self.over) else { return };
        let Some((vid, hello)) = self.peers.get(&peer.node).and_then(|peer| peer.hello.clone())
        else {
            return;
        };
        if !is_rival(self.id, &ours, peer, vid, &hello) {
            return;
        }
        let ours_there = hello.members.contains(&self.id);
        let theirs_here = ours.contains(peer);
        if self.config.arbiter == ArbiterKind::Record {
            // The record decides who is out, not the count.
            self.read_record(now);
            return;
        }
        if self.is_mutant_no_ejection() {
            return;
        }
        let frozen_older =
            if vid > ours.vid { self.membership.was_frozen } else { hello.was_frozen };
        let left_behind = ours_there || theirs_here;
        // A majority went on from the view in which the other side still stands, however few they
        // are by now: it may not outvote them as a crowd. Either has to know that it is so.
        let went_on = self.is_majority_ruled() || hello.quorum || frozen_older;
        if loses(&ours.members, ours.vid, &hello.members, vid, left_behind, went_on) {
            self.eject(now, vid);
        } else if theirs_here {
            // It has gone on without us and will be thrown out: no use waiting for it.
            self.suspect(now, peer, true);
        } else {
            self.greet(peer);
        }
    }

    /// Is a node connected that stands in another view, without us or not in ours?
    pub(super) fn meets_rival(&self) -> bool {
        let Some(ours) = &self.view else { return false };
        self.peers.values().any(|peer| {
            let said = peer.hello.as_ref();
            said.is_some_and(|(vid, hello)| is_rival(self.id, ours, peer.id, *vid, hello))
        })
    }

    /// This node is out: its clients learn that it was they who were thrown out.
    pub(super) fn eject(&mut self, now: Instant, by: Vid) {
        if self.leaving.is_some_and(|leaving| leaving.announced) {
            // The others have delivered our LEAVE and gone on before we heard that it is stable.
            return self.finish_leave();
        }
        let kernel = self.clients.by_id.values().any(|client| client.options.kernel);
        let halt = kernel || self.config.policy.rejoin_halt && self.view.is_some();
        self.notice(Notice::Ejected { by });
        self.close_all(now, CloseReason::Ejected);
        self.end();
        self.out.push_back(GabOutput::Ejected { halt });
    }

    /// Closes every registration.
    pub(super) fn close_all(&mut self, now: Instant, reason: CloseReason) {
        let ids: Vec<_> = self.clients.by_id.keys().copied().collect();
        for id in ids {
            self.clients.push(now, id, ClientEvent::Closed(reason));
        }
    }

    /// This life is over: nothing is sent, delivered or answered any more.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.supervision.clear();
        self.pending.clear();
        self.change = None;
        self.accepting = None;
        self.ready = None;
    }
}

/// Do our view and the one that `peer` named exclude each other? If both of us are in both, we are
/// of the same lineage and one is a step behind: the view change sees to it. So it does if the peer is
/// in ours and names an older one, in which we were not yet: it was READY for ours, and has still to
/// install it. One that never does loses its connection, or names a newer one.
fn is_rival(me: Id, ours: &View, peer: Id, vid: Vid, hello: &Hello) -> bool {
    let is_step_behind = ours.contains(peer) && (hello.members.contains(&me) || vid < ours.vid);
    vid != ours.vid && !vid.is_none() && !is_step_behind
}

/// Does our side have to give up?
fn loses(
    ours: &[Id],
    our_vid: Vid,
    theirs: &[Id],
    their_vid: Vid,
    left_behind: bool,
    went_on: bool,
) -> bool {
    let ours_is_newer = our_vid > their_vid;
    let (newer, older) = if ours_is_newer { (ours, theirs) } else { (theirs, ours) };
    // Members of both have moved on to the newer view, or are about to.
    let stayed: Vec<Id> = older.iter().filter(|id| !newer.contains(id)).copied().collect();
    let lowest = |ids: &[Id]| ids.iter().map(|id| id.node).min().unwrap_or(NodeId::ZERO);
    let newer_wins = if went_on && left_behind || stayed.len() < newer.len() {
        true
    } else if stayed.len() > newer.len() {
        false
    } else {
        left_behind || lowest(newer) < lowest(&stayed)
    };
    newer_wins != ours_is_newer
}

#[cfg(test)]
mod tests {
    use llt::Incarnation;

    use super::*;

    fn ids(nodes: &[u8]) -> Vec<Id> {
        nodes
            .iter()
            .map(|&node| Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) })
            .collect()
    }

    fn vid(round: u64) -> Vid {
        Vid { round, proposer: ids(&[0])[0] }
    }

    /// Who loses, asked from both sides, which must agree.
    fn loser(newer: &[u8], older: &[u8], left_behind: bool, went_on: bool) -> &'static str {
        let (n, o) = (ids(newer), ids(older));
        let newer_loses = loses(&n, vid(9), &o, vid(8), left_behind, went_on);
        let older_loses = loses(&o, vid(8), &n, vid(9), left_behind, went_on);
        assert_ne!(newer_loses, older_loses, "exactly one side gives up");
        if newer_loses { "newer" } else { "older" }
    }

    #[test]
    fn who_is_a_step_behind_is_no_rival() {
        let ours = View { vid: vid(6), members: ids(&[0, 1, 2]) };
        let [me, peer, outsider] = [0, 1, 3].map(|node| ids(&[node])[0]);
        let rival = |peer, round, members: &[u8]| {
            let hello = Hello {
                configured: true,
                was_frozen: false,
                refused: false,
                quorum: true,
                returned: false,
                versions: Versions::OURS,
                seed: 0,
                members: ids(members),
            };
            is_rival(me, &ours, peer, vid(round), &hello)
        };
        assert!(!rival(peer, 6, &[0, 1, 2]));
        assert!(!rival(peer, 7, &[0, 1, 2]) && !rival(peer, 5, &[0, 1]));
        // We have joined with ours, which it has still to install.
        assert!(!rival(peer, 5, &[1, 2]));
        assert!(rival(peer, 7, &[1, 2]), "it has gone on without us");
        assert!(rival(outsider, 5, &[0, 3]) && rival(outsider, 5, &[3]));
    }

    #[test]
    fn the_larger_group_stays_and_ties_are_settled_the_same_way_on_both_sides() {
        // A partition where both sides moved on.
        assert_eq!(loser(&[0, 1], &[2], false, false), "older");
        assert_eq!(loser(&[2], &[0, 1], false, false), "newer");
        assert_eq!(loser(&[1], &[0], false, false), "newer");
        assert_eq!(loser(&[0], &[1], false, false), "older");
        // One side still stands in the common view.
        assert_eq!(loser(&[0, 1], &[0, 1, 2], true, false), "older");
        assert_eq!(loser(&[2], &[0, 1, 2], true, false), "newer");
        assert_eq!(loser(&[1], &[0, 1], true, false), "older");
        // Two of three were frozen and know it: the one that went on keeps its history.
        assert_eq!(loser(&[0], &[0, 1, 2], true, true), "older");
        // Under a majority two of five had it in a view of three, and three slept meanwhile.
        assert_eq!(loser(&[0, 1], &[0, 1, 2, 3, 4], true, true), "older");
        // Where nobody is left behind, nobody has gone on: the count decides.
        assert_eq!(loser(&[0], &[1, 2], false, true), "newer");
    }
}
