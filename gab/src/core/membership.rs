//! Who should be in the next view, and when to start making it.

use std::collections::{BTreeMap, BTreeSet};

use llt::limits::NODES_MAX;
use llt::time::earliest;
use llt::{Duration, Id, Incarnation, Instant, NodeId, NodeSet};
use rand_core::Rng;

use super::{Gab, Notice};
use crate::ids::{Vid, View};
use crate::limits::{Bounded, CHAIN_MAX};

/// Suspicions, and the memory that keeps a lineage one.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Membership {
    /// Members that are given up, until a view is without them. A connection that was lost once
    /// stays lost: what was under way on it is gone.
    pub(crate) suspects: BTreeMap<Id, Suspicion>,
    pub(super) first_suspicion: Option<Instant>,
    last_suspicion: Option<Instant>,
    /// The newest incarnation of each node that was removed: none up to it is admitted (VW6).
    pub(crate) removed: BTreeMap<NodeId, Incarnation>,
    /// Peers that one link is left to, and since when.
    jeopardy_since: BTreeMap<Id, Instant>,
    /// Members that had one link left, and then fell silent on that, too: until a view is without
    /// them, or they are heard again. Of each node one life, the last that was lost: STATE has room
    /// for no more.
    lost_in_jeopardy: BTreeMap<NodeId, Incarnation>,
    /// Ids of the views that this node has installed.
    pub(crate) chain: BTreeSet<Vid>,
    /// How often we gave way to a larger part of the view since it came into force.
    pub(super) gave_way: u32,
    /// Since when it could not say that it is READY, for it has said so too often (quorum.rs).
    pub(super) mute_since: Option<Instant>,
    /// Since when somebody waits to join.
    joiner_since: Option<Instant>,
    /// Joiners that did not answer, or cannot talk to all of us: left out until then, and how often
    /// they were.
    skipped: BTreeMap<Id, (Instant, u32)>,
    /// Members with one link left, as the log was told last.
    pub(crate) jeopardy_told: NodeSet,
    /// `gabconfig -x` was given: seed with whoever is visible.
    pub(crate) seed_now: bool,
    /// Do not start a change before: after a refusal, and after an own pause.
    pub(crate) not_before: Instant,
    /// The highest round seen anywhere.
    pub(crate) highest_round: u64,
    /// We were frozen for longer than the inactive time: the others may have gone on without us.
    pub(crate) was_frozen: bool,
    /// Until then nothing is ordered or delivered: what waits in our sockets is of the past, and
    /// whether we are still a member is not known yet.
    held_until: Option<Instant>,
}

impl Membership {
    pub(super) fn bounded(&self) -> [Bounded; 6] {
        let nodes = usize::from(NODES_MAX);
        [
            Bounded::new("suspects", self.suspects.len(), nodes),
            Bounded::new("nodes removed", self.removed.len(), nodes),
            Bounded::new("nodes in jeopardy", self.jeopardy_since.len(), nodes),
            Bounded::new("nodes lost in jeopardy", self.lost_in_jeopardy.len(), nodes),
            Bounded::new("views of the own history", self.chain.len(), CHAIN_MAX),
            Bounded::new("joiners left out", self.skipped.len(), nodes),
        ]
    }

    /// Whatever it was, this life of the node is not lost in jeopardy.
    fn is_heard(&mut self, peer: Id) {
        if self.lost_in_jeopardy.get(&peer.node) == Some(&peer.incarnation) {
            self.lost_in_jeopardy.remove(&peer.node);
        }
    }
}

/// Why a member is given up.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Suspicion {
    /// It said so or was replaced: no need to wait for others to fail with it.
    pub(super) sure: bool,
}

/// Joiners are collected for this long, so that a storm of them enters in one view change.
const GATHER: Duration = Duration::from_millis(50);

impl Gab {
    /// A step of a view change is given up after this long.
    pub(super) fn change_timeout(&self) -> Duration {
        (self.config.stable * 2).clamp(Duration::from_millis(200), Duration::from_millis(500))
    }

    /// A member is given up.
    pub(super) fn suspect(&mut self, now: Instant, id: Id, sure: bool) {
        if self.view.as_ref().is_some_and(|view| view.contains(id)) && id != self.id {
            self.membership.first_suspicion.get_or_insert(now);
            self.membership.last_suspicion = Some(now);
            let suspicion = self.membership.suspects.entry(id).or_insert(Suspicion { sure });
            suspicion.sure |= sure;
        }
        self.abandon_change_with(now, id);
        if !self.over {
            self.tell_status(now);
        }
    }

    /// A node that leaves is out as soon as its LEAVE is delivered.
    pub(super) fn note_leaver(&mut self, now: Instant, node: NodeId) {
        if node == self.id.node {
            self.finish_leave();
            return;
        }
        if let Some(id) = self.view.as_ref().and_then(|view| view.member(node)) {
            self.suspect(now, id, true);
        }
    }

    /// Our own clock jumped: we were not running.
    pub(super) fn note_late(&mut self, now: Instant, late: Duration) {
        self.excuse_members();
        self.excuse_change(now);
        self.membership.mute_since = None;
        self.clients.excuse(now, late);
        self.supervision.note_late(now, &self.config.policy, late);
        let quiet = now + self.config.stable.max(self.change_timeout());
        if late >= self.config.stuck
            && self.view.as_ref().is_some_and(|view| view.members.len() > 1)
        {
            self.membership.was_frozen = true;
            self.membership.held_until = Some(quiet);
        }
        self.membership.not_before = self.membership.not_before.max(quiet);
    }

    /// After a long own pause: is it still open whether we are a member? It is until the others were
    /// heard, and if some are lost until a view is without them.
    pub(super) fn is_held(&self) -> bool {
        let held = |until| self.now < until || !self.membership.suspects.is_empty();
        self.membership.held_until.is_some_and(held)
    }

    pub(super) fn held_deadline(&self) -> Option<Instant> {
        self.membership.held_until.filter(|&until| until > self.now)
    }

    /// Goes on after an own pause that nobody held against us.
    pub(super) fn end_hold(&mut self, now: Instant) {
        if self.membership.held_until.is_some() && !self.is_held() {
            self.membership.held_until = None;
            self.deliver(now, false);
        }
    }

    /// When to start a view change, if one is needed: the reason's own delay, then by rank.
    pub(super) fn change_due(&self) -> Option<Instant> {
        if self.change.is_some() || self.over || !self.config.configured {
            return None;
        }
        let due = match &self.view {
            // Somebody who seeds is let finish, unless it is gone: two would overtake each other.
            None if self.waits_for_proposer() => {
                self.seed_due()?.max(self.frozen_since + self.change_timeout() * 2)
            }
            None => self.seed_due()?,
            Some(view) => self.reason_due(view)? + self.change_timeout() * self.own_rank(view),
        };
        Some(due.max(self.membership.not_before))
    }

    /// Has another node, which is still there, the highest round?
    fn waits_for_proposer(&self) -> bool {
        let proposer = self.promised.proposer;
        proposer != self.id
            && self.peers.get(&proposer.node).is_some_and(|peer| peer.id == proposer)
    }

    /// Members before us that we do not suspect: the first starts at once, we give each its chance.
    fn own_rank(&self, view: &View) -> u32 {
        let before = view.members.iter().take_while(|&&id| id != self.id);
        let rank = before.filter(|id| !self.membership.suspects.contains_key(id)).count();
        u32::try_from(rank).unwrap_or(u32::MAX)
    }

    fn reason_due(&self, view: &View) -> Option<Instant> {
        let mut due = None;
        if let (Some(first), Some(last)) =
            (self.membership.first_suspicion, self.membership.last_suspicion)
        {
            // The wait restarts with each suspicion, so that a switch that fails makes one view
            // change and not many, but not for ever.
            let sure = self.membership.suspects.values().all(|suspicion| suspicion.sure);
            let stable = self.config.stable;
            due = Some(if sure { first } else { (last + stable).min(first + stable * 4) });
        }
        // The same members in a higher round, which may be authorised.
        due = earliest(due, self.authorisation.outranked());
        if let Some(since) = self.membership.joiner_since {
            let gathered = since + GATHER.min(self.config.stable);
            let next = self.candidates(view).map(|id| self.skipped_until(id)).min();
            due = earliest(due, next.map(|until| until.max(gathered)));
        }
        if self.is_frozen() {
            // Somebody is at it: let it finish, unless it is gone.
            let gone = self.promised.proposer != self.id && !self.waits_for_proposer();
            let patience = self.frozen_since + self.change_timeout() * 2;
            return if gone { due.or(Some(self.frozen_since)) } else { Some(patience) };
        }
        due
    }

    /// Connected nodes that are configured and in no view, and may enter ours some time.
    fn candidates<'a>(&'a self, view: &'a View) -> impl Iterator<Item = Id> + 'a {
        self.unseeded_peers().filter(move |id| {
            let again = self.removed(id.node).is_some_and(|newest| id.incarnation <= newest);
            view.member(id.node).is_none() && (!again || self.is_mutant_readmit())
        })
    }

    fn unseeded_peers(&self) -> impl Iterator<Item = Id> + '_ {
        self.peers
            .values()
            .filter(|peer| {
                // Whom no link is good to would freeze everybody, and answer nobody.
                let hello = peer.hello.as_ref().filter(|_| peer.links_up > 0);
                hello.is_some_and(|(vid, hello)| {
                    let speaks = hello.versions.common(self.spoken()).is_some();
                    vid.is_none() && hello.configured && speaks
                })
            })
            .map(|peer| peer.id)
    }

    fn skipped_until(&self, id: Id) -> Instant {
        let skipped = self.membership.skipped.get(&id).map_or(Instant::ZERO, |&(until, _)| until);
        skipped.max(self.held_back_until(id))
    }

    fn is_skipped(&self, id: Id) -> bool {
        self.skipped_until(id) > self.now
    }

    /// A joiner is left out for a while, each time for longer: every try freezes the members.
    pub(super) fn skip_joiner(&mut self, now: Instant, id: Id) {
        let timeout = self.change_timeout();
        let (until, times) = self.membership.skipped.entry(id).or_insert((now, 0));
        *until = now + timeout * (4 << (*times).min(6));
        *times += 1;
    }

    /// Is a configured node connected that is in a view?
    pub(super) fn meets_seeded(&self) -> bool {
        self.peers.values().any(|peer| {
            peer.hello.as_ref().is_some_and(|(vid, hello)| !vid.is_none() && hello.configured)
        })
    }

    /// Seeding: an unseeded node never forms a view by itself. It needs the configured number of
    /// nodes or the operator, and nobody who is in a view already.
    fn seed_due(&self) -> Option<Instant> {
        if self.meets_seeded() {
            return None;
        }
        if self.membership.seed_now {
            return Some(self.now);
        }
        let ready = self.unseeded_peers().filter(|&id| !self.is_skipped(id)).count() + 1;
        let visible = u32::try_from(ready).unwrap_or(u32::MAX);
        let may_seed = |count: u32| count != 0 && count <= visible;
        if !may_seed(self.seed_count()) {
            // Perhaps with those that did not answer before.
            let skipped = self.unseeded_peers().filter(|&id| self.is_skipped(id));
            return skipped.map(|id| self.skipped_until(id)).min();
        }
        // The lowest of those that may does it.
        let lower = self.peers.values().any(|peer| {
            peer.id.node < self.id.node
                && peer
                    .hello
                    .as_ref()
                    .is_some_and(|(_, hello)| hello.configured && may_seed(hello.seed))
        });
        if lower {
            // It may not hear what we hear: give it its time.
            return Some(self.membership.joiner_since? + self.change_timeout() * 4);
        }
        Some(
            self.membership
                .joiner_since
                .map_or(self.now, |since| since + GATHER.min(self.config.stable)),
        )
    }

    /// Whom to ask for the next view.
    pub(super) fn change_target(&self) -> Vec<Id> {
        match &self.view {
            None => {
                let ready = self.unseeded_peers().filter(|&id| !self.is_skipped(id));
                let mut target: Vec<Id> = ready.chain([self.id]).collect();
                target.sort();
                target
            }
            Some(view) => {
                let stays = |id: &&Id| {
                    **id == self.id
                        || !self.membership.suspects.contains_key(id)
                            && self.peers.get(&id.node).is_some_and(|peer| peer.id == **id)
                };
                let mut target: Vec<Id> = view.members.iter().filter(stays).copied().collect();
                let ready = self.candidates(view).filter(|&id| !self.is_skipped(id));
                let mut joiners: Vec<Id> = ready.collect();
                joiners.sort();
                target.extend(joiners);
                target
            }
        }
    }

    /// Somebody's introduction or departure may have changed who waits to join.
    pub(super) fn note_joiners(&mut self, now: Instant) {
        let waiting = match &self.view {
            Some(view) => self.candidates(view).next().is_some(),
            None => self.unseeded_peers().next().is_some(),
        };
        if !waiting {
            self.membership.joiner_since = None;
        } else if self.membership.joiner_since.is_none() {
            self.membership.joiner_since = Some(now);
        }
    }

    /// Somebody did not answer in time. A joiner waits for another view; a member is given up when
    /// it has stalled changes for longer than any stable time would explain (facts 2.6, conn_wait).
    pub(super) fn blame(&mut self, now: Instant, silent: Id, since: Instant) {
        let member = self.view.as_ref().is_some_and(|view| view.contains(silent));
        if !member {
            self.skip_joiner(now, silent);
        } else if self.stalls(now, silent, since) {
            let conn_wait = self.config.policy.conn_wait;
            self.notice(Notice::Stalled { node: silent.node, conn_wait });
            self.suspect(now, silent, true);
        }
    }

    /// Is this a member, and has it stalled changes for too long?
    pub(super) fn stalls(&self, now: Instant, silent: Id, since: Instant) -> bool {
        let patience = self.config.stable * self.config.policy.conn_wait;
        now >= since + patience && self.view.as_ref().is_some_and(|view| view.contains(silent))
    }

    /// Waits a random time before the next try, so that two proposers do not meet again.
    pub(super) fn back_off(&mut self, now: Instant) {
        let timeout = u64::try_from(self.change_timeout().as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(timeout / 2 + self.rng.next_u64() % timeout);
        self.membership.not_before = self.membership.not_before.max(now + wait);
    }

    /// A view is in force: suspicions that it settled are forgotten.
    pub(super) fn settle_suspicions(&mut self) {
        let view = self.view.as_ref();
        self.membership.suspects.retain(|id, _| view.is_some_and(|view| view.contains(*id)));
        if self.membership.suspects.is_empty() {
            self.membership.first_suspicion = None;
            self.membership.last_suspicion = None;
        }
        self.membership.lost_in_jeopardy.retain(|&node, &mut incarnation| {
            view.is_some_and(|view| view.contains(Id { node, incarnation }))
        });
        self.membership.joiner_since = None;
        self.membership.gave_way = 0;
        self.membership.mute_since = None;
        self.membership.seed_now = false;
        self.membership.was_frozen = false;
        self.membership.held_until = None;
        let (peers, now) = (&self.peers, self.now);
        self.membership.skipped.retain(|id, _| {
            let known = peers.get(&id.node).is_some_and(|peer| peer.id == *id);
            known && !view.is_some_and(|view| view.contains(*id))
        });
        self.note_joiners(now);
    }

    /// Members that are connected over one link only, or not at all; not ourselves.
    pub(super) fn jeopardy(&self) -> NodeSet {
        let Some(view) = &self.view else { return NodeSet::EMPTY };
        let one = |id: &&Id| {
            self.peers.get(&id.node).is_some_and(|peer| peer.id == **id && peer.links_up == 1)
        };
        view.members.iter().filter(one).map(|id| id.node).collect()
    }

    /// So many links to a peer are good now; the one that changed has been silent for so long. A
    /// node that dies is missed on each link at a time of its own: it was in jeopardy only if one
    /// link was all that was left before the last silence began.
    pub(super) fn note_jeopardy(
        &mut self,
        now: Instant,
        peer: Id,
        links_up: u8,
        silence: Duration,
    ) {
        let membership = &mut self.membership;
        match links_up {
            0 => {
                let since = membership.jeopardy_since.remove(&peer);
                if since.is_some_and(|since| since + silence <= now) {
                    membership.lost_in_jeopardy.insert(peer.node, peer.incarnation);
                }
            }
            1 => {
                membership.jeopardy_since.entry(peer).or_insert(now);
                membership.is_heard(peer);
            }
            _ => {
                membership.jeopardy_since.remove(&peer);
                membership.is_heard(peer);
            }
        }
    }

    /// The connection to a peer is over; `sure`: it said so, or has started anew.
    pub(super) fn end_jeopardy(&mut self, peer: Id, sure: bool) {
        self.membership.jeopardy_since.remove(&peer);
        if sure {
            self.membership.is_heard(peer);
        }
    }

    /// Nodes that were in jeopardy when they were lost, as STATE reports it: one life of each.
    pub(super) fn lost_in_jeopardy(&self) -> Vec<Id> {
        let lost = self.membership.lost_in_jeopardy.iter();
        lost.map(|(&node, &incarnation)| Id { node, incarnation }).collect()
    }

    /// Of those whom a view is without: who was in jeopardy when it was lost, for anybody who has
    /// reported.
    pub(super) fn departed_in_jeopardy(&self, members: &[Id]) -> Vec<Id> {
        let Some(view) = &self.view else { return Vec::new() };
        let reports = || self.states().filter(|(_, state)| state.installed == view.vid);
        let lost = |id: &Id| reports().any(|(_, state)| state.lost_in_jeopardy.contains(id));
        let departed = view.members.iter().filter(|id| !members.contains(id));
        departed.filter(|id| lost(id)).copied().collect()
    }

    /// Nodes of the view.
    pub(super) fn cluster_nodes(&self) -> NodeSet {
        self.view.as_ref().map(View::nodes).unwrap_or_default()
    }

    /// Whom this node is connected with, as STATE reports it.
    pub(super) fn connections(&self) -> Vec<crate::wire::Connection> {
        self.peers
            .values()
            .filter(|peer| !self.membership.suspects.contains_key(&peer.id))
            .map(|peer| crate::wire::Connection { peer: peer.id, jeopardy: peer.links_up == 1 })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GabConfig, Transport};
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    /// Node 0 with node 1, to which two links are good; then so many are, at that second, by a link
    /// that has been silent for so many seconds. Was node 1 lost in jeopardy?
    fn lost(links: &[(u32, u8, u32)]) -> bool {
        let id = |node| Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), GabConfig::default(), transport, 1);
        let vid = Vid { round: 1, proposer: id(0) };
        gab.view = Some(View { vid, members: vec![id(0), id(1)] });
        gab.handle_peer_up(Instant::ZERO, id(1), 1);
        gab.handle_links(Instant::ZERO, id(1), 2, Duration::ZERO);
        for &(at, up, silence) in links {
            gab.handle_links(Instant::ZERO + SEC * at, id(1), up, SEC * silence);
        }
        gab.lost_in_jeopardy() == [id(1)]
    }

    #[test]
    fn only_who_had_one_link_left_before_it_fell_silent_is_lost_in_jeopardy() {
        assert!(lost(&[(12, 1, 2), (72, 0, 2)]), "a link was lost a minute before");
        assert!(!lost(&[(12, 0, 2)]), "both at once");
        assert!(!lost(&[(12, 1, 2), (14, 0, 4)]), "a crash, seen later on a link of low priority");
        assert!(!lost(&[(12, 1, 2), (20, 2, 0), (72, 0, 2)]), "the link came back in between");
        assert!(!lost(&[(12, 1, 2), (72, 0, 2), (73, 1, 0)]), "it is heard again");
        assert!(!lost(&[(12, 1, 2), (72, 1, 0)]), "it is not lost");
    }

    /// When node 0 of eight is due to start a view change, by the losses of others at these seconds.
    fn due(losses: &[u32]) -> Duration {
        let id = |node| Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), GabConfig::default(), transport, 1);
        assert_eq!(gab.config.stable, SEC * 5);
        let vid = Vid { round: 1, proposer: id(0) };
        let view = View { vid, members: (0..8).map(id).collect() };
        gab.view = Some(view.clone());
        for node in 1..8 {
            gab.handle_peer_up(Instant::ZERO, id(node), 2);
        }
        for (node, &at) in (1..8).zip(losses) {
            gab.handle_peer_down(Instant::ZERO + SEC * at, id(node), llt::core::DownReason::Silent);
        }
        gab.reason_due(&view).map(|at| at.since(Instant::ZERO)).expect("somebody is lost")
    }

    #[test]
    fn the_stable_time_begins_anew_with_each_loss_but_ends_after_four() {
        assert_eq!(due(&[16]), SEC * 21, "peerinact and stable: facts 2.10");
        assert_eq!(due(&[16, 20]), SEC * 25);
        assert_eq!(due(&[16, 20, 24, 28]), SEC * 33);
        assert_eq!(due(&[16, 20, 24, 28, 32]), SEC * 36, "four stable times after the first");
        assert_eq!(due(&[16, 20, 24, 28, 32, 35]), SEC * 36);
    }

    #[test]
    fn of_two_lives_that_are_lost_state_has_the_last() {
        let life = |of| Id { node: NodeId::new(1).unwrap(), incarnation: Incarnation(of) };
        let own = Id { node: NodeId::new(0).unwrap(), incarnation: Incarnation(1) };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, own, GabConfig::default(), transport, 1);
        for (of, at) in [(1, 9), (2, 20)] {
            gab.handle_peer_up(Instant::ZERO + SEC * at, life(of), 1);
            gab.handle_links(Instant::ZERO + SEC * at, life(of), 1, Duration::ZERO);
            gab.handle_links(Instant::ZERO + SEC * (at + 9), life(of), 0, SEC);
        }
        assert_eq!(gab.lost_in_jeopardy(), [life(2)]);
        gab.handle_links(Instant::ZERO + SEC * 40, life(1), 1, Duration::ZERO);
        assert_eq!(gab.lost_in_jeopardy(), [life(2)], "the life before says nothing of this one");
    }

    #[test]
    fn who_left_in_order_is_not_lost() {
        let id = |node| Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), GabConfig::default(), transport, 1);
        gab.handle_peer_up(Instant::ZERO, id(1), 1);
        gab.handle_links(Instant::ZERO + SEC * 9, id(1), 0, SEC);
        assert_eq!(gab.lost_in_jeopardy(), [id(1)]);
        gab.handle_peer_down(Instant::ZERO + SEC * 9, id(1), llt::core::DownReason::Left);
        assert_eq!(gab.lost_in_jeopardy(), []);
    }
}
