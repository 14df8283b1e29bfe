//! The view change: COLLECT, STATE, PROPOSE, READY, INSTALL (facts algorithms 1.11).
//!
//! ```text
//! proposer   Collecting -> (Consulting) -> Fetching -> Proposed -> installed
//! member     frozen by COLLECT -> accepting PROPOSE (fetches up to the cut) -> ready -> installed
//! ```
//! LLT carries these messages reliably and in order as long as two nodes are connected; what is
//! lost with a connection is repeated by a new round.

use std::collections::{BTreeMap, BTreeSet};

use llt::time::earliest;
use llt::{Id, Instant, NodeId, NodeSet};

use super::authorise::Consulted;
use super::stream::add_to_ranges;
use super::{ArbiterKind, Gab, GabOutput, Notice};
use crate::ids::{Versions, Vid};
use crate::wire::{Body, Connection, Proposal, State};

/// A view change that this node proposes.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Change {
    pub(crate) vid: Vid,
    target: Vec<Id>,
    states: BTreeMap<NodeId, State>,
    phase: Phase,
    /// When the first of an unbroken row of tries began, to know who stalls them.
    since: Instant,
    deadline: Instant,
}

#[derive(Clone, Debug, Hash)]
enum Phase {
    /// STATE is awaited from every target.
    Collecting,
    /// The arbiter is asked about a prepared view before it is dropped.
    Consulting,
    /// Slots up to the cut are fetched from their holders.
    Fetching { members: Vec<Id>, cut: u64 },
    /// READY is awaited from every member.
    Proposed { proposal: Proposal, ready: BTreeSet<Id> },
}

impl Gab {
    /// Starts a view change if one is due.
    pub(super) fn propose_if_due(&mut self, now: Instant) {
        if self.change_due().is_some_and(|due| due <= now) {
            self.start_change(now, now);
        }
    }

    /// When the view change needs the timer.
    pub(super) fn change_deadline(&self) -> Option<Instant> {
        earliest(self.change_due(), self.change.as_ref().map(|change| change.deadline))
    }

    fn start_change(&mut self, now: Instant, since: Instant) {
        let target = self.change_target();
        let round =
            self.promised.round.max(self.view_id().round).max(self.membership.highest_round) + 1;
        let vid = Vid { round, proposer: self.id };
        self.counters.view_changes += 1;
        let deadline = now + self.change_timeout();
        self.change = Some(Change {
            vid,
            target: target.clone(),
            states: BTreeMap::new(),
            phase: Phase::Collecting,
            since,
            deadline,
        });
        tracing::debug!(node = self.id.node.get(), %vid, targets = target.len(), "collect");
        let collect = Body::Collect { target: target.clone() };
        let me = self.id;
        for &to in target.iter().filter(|&&to| to != me) {
            self.send_about(to, vid, &collect);
        }
        self.freeze(now, vid);
        let state = self.own_state();
        self.receive_state(now, self.id, vid, state);
    }

    /// Promises to answer nothing below `vid`. From here on the old view stands still.
    fn freeze(&mut self, now: Instant, vid: Vid) {
        if !self.is_frozen() {
            self.frozen_since = now;
        }
        self.promised = vid;
        self.membership.highest_round = self.membership.highest_round.max(vid.round);
    }

    fn own_state(&self) -> State {
        State {
            installed: self.view_id(),
            ready: self.ready.as_ref().map_or(Vid::NONE, |ready| ready.vid),
            cont: self.stream.as_ref().map_or(0, |stream| stream.cont),
            beyond: self.stream.as_ref().map(super::stream::Stream::beyond).unwrap_or_default(),
            row: self.connections(),
            versions: self.config.versions,
            leaving: self.leaving.is_some_and(|leaving| leaving.announced),
            prepared: self.prepared.clone(),
            lost_in_jeopardy: self.lost_in_jeopardy(),
        }
    }

    /// COLLECT arrived.
    pub(super) fn receive_collect(&mut self, now: Instant, from: Id, vid: Vid, target: &[Id]) {
        self.membership.highest_round = self.membership.highest_round.max(vid.round);
        if !target.contains(&self.id) || !self.may_propose(from) || vid.proposer != from {
            self.counters.other_view += 1;
            self.greet(from);
            return;
        }
        if vid < self.promised {
            let promised = self.promised;
            self.send_about(from, promised, &Body::Refuse);
            return;
        }
        if self.change.as_ref().is_some_and(|change| change.vid < vid) {
            self.change = None;
        }
        if vid > self.promised {
            self.accepting = None;
            self.frozen_since = now;
            self.freeze(now, vid);
        }
        let state = self.own_state();
        self.send_about(from, vid, &Body::State(state));
    }

    /// Only a member of our view, or of one that we are ready for, changes it; anybody admits a
    /// node that is in none.
    fn may_propose(&self, from: Id) -> bool {
        if !self.config.configured || self.leaving.is_some_and(|_| self.view.is_none()) {
            return false;
        }
        let Some(view) = &self.view else { return true };
        view.contains(from)
            || self.ready.as_ref().is_some_and(|ready| ready.members.contains(&from))
    }

    /// A higher round is known somewhere.
    pub(super) fn receive_refuse(&mut self, now: Instant, higher: Vid) {
        self.membership.highest_round = self.membership.highest_round.max(higher.round);
        if self.change.as_ref().is_some_and(|change| higher > change.vid) {
            self.change = None;
            self.back_off(now);
        }
    }

    /// STATE arrived.
    pub(super) fn receive_state(&mut self, now: Instant, from: Id, vid: Vid, state: State) {
        let Some(change) = &mut self.change else { return };
        if change.vid != vid
            || !matches!(change.phase, Phase::Collecting)
            || !change.target.contains(&from)
        {
            return;
        }
        // Nobody holds more than the windows of our own view allow.
        let reach = self.stream.as_ref().map_or(u64::MAX, super::stream::Stream::reach);
        if state.installed == self.view.as_ref().map_or(Vid::NONE, |view| view.vid)
            && state.cont > reach
        {
            self.counters.other_view += 1;
            return;
        }
        change.states.insert(from.node, state);
        if change.states.len() == change.target.len() {
            self.decide(now);
        }
    }

    /// Everybody has reported: finish what was begun, or propose.
    fn decide(&mut self, now: Instant) {
        let base = self.view_id();
        if base.is_none() && self.states().any(|(_, state)| !state.installed.is_none()) {
            // Somebody is in a view: we join that one.
            self.give_up_change(now);
            return;
        }
        let prepared = self.ready.as_ref().map(|ready| ready.vid).filter(|&vid| vid > base);
        if !self.is_mutant_no_stragglers() && self.finish_stragglers(now, base, prepared) {
            return;
        }
        match prepared {
            Some(prepared)
                if self.config.arbiter == ArbiterKind::Record && !self.is_mutant_no_consult() =>
            {
                let Some(change) = &mut self.change else { return };
                change.phase = Phase::Consulting;
                let vid = change.vid;
                self.consult(now, prepared, vid, Consulted::AsProposer);
            }
            _ => self.choose(now),
        }
    }

    pub(super) fn states(&self) -> impl Iterator<Item = (Id, &State)> {
        let change = self.change.iter();
        change.flat_map(|change| {
            change.target.iter().filter_map(|&id| Some((id, change.states.get(&id.node)?)))
        })
    }

    /// Who did what the step that is under way awaits of them.
    pub(super) fn change_answered(&self) -> Option<NodeSet> {
        let change = self.change.as_ref()?;
        Some(match &change.phase {
            Phase::Proposed { ready, .. } => ready.iter().map(|id| id.node).collect(),
            Phase::Collecting | Phase::Consulting | Phase::Fetching { .. } => {
                self.states().map(|(id, _)| id.node).collect()
            }
        })
    }

    /// Step 1: a view that a live responder has installed is completed, never dropped.
    fn finish_stragglers(&mut self, now: Instant, base: Vid, prepared: Option<Vid>) -> bool {
        // Only members of our view, or of the one that we are ready for, are behind in it: whoever
        // else says so is none of us.
        let mut known: Vec<Id> = self.view.iter().flat_map(|view| view.members.clone()).collect();
        known.extend(self.ready.iter().flat_map(|ready| ready.members.clone()));
        let installed = prepared.filter(|&vid| {
            self.states().any(|(id, state)| state.installed == vid && known.contains(&id))
        });
        let behind = |vid: Vid| {
            let known = &known;
            move |(id, state): &(Id, &State)| {
                state.ready == vid && state.installed != vid && known.contains(id)
            }
        };
        let finish = installed.or_else(|| {
            Some(base)
                .filter(|_| !base.is_none() && self.states().any(|state| behind(base)(&state)))
        });
        let Some(vid) = finish else { return false };
        let stragglers: Vec<Id> = self.states().filter(behind(vid)).map(|(id, _)| id).collect();
        self.complete(now, vid, &stragglers);
        true
    }

    /// Tells those who are ready for `vid` that it is in force, then starts anew.
    fn complete(&mut self, now: Instant, vid: Vid, ready: &[Id]) {
        let since = self.change.take().map_or(now, |change| change.since);
        let me = self.id;
        for &id in ready.iter().filter(|&&id| id != me) {
            self.send_about(id, vid, &Body::Install);
        }
        if ready.contains(&self.id) {
            self.receive_install(now, vid);
        }
        if !self.over {
            self.start_change(now, since);
        }
    }

    /// The arbiter has answered the proposer: `in_force` if the prepared view was authorised.
    pub(super) fn consulted_as_proposer(
        &mut self,
        now: Instant,
        vid: Vid,
        prepared: Vid,
        in_force: bool,
    ) {
        let Some(change) = &self.change else { return };
        if change.vid != vid || !matches!(change.phase, Phase::Consulting) {
            return;
        }
        if in_force {
            let ready: Vec<Id> = self
                .states()
                .filter(|(_, state)| state.ready == prepared)
                .map(|(id, _)| id)
                .collect();
            self.complete(now, prepared, &ready);
        } else {
            self.choose(now);
        }
    }

    /// Steps 3 and 4: members, and the cut.
    fn choose(&mut self, now: Instant) {
        let base = self.view_id();
        let foreign = self.is_mutant_foreign();
        let reported: BTreeMap<Id, &State> = self.states().collect();
        let in_base =
            |id: &Id| reported.get(id).is_some_and(|state| state.installed == base || foreign);
        let old: Vec<Id> = self.view.as_ref().map(|view| view.members.clone()).unwrap_or_default();
        let mut members: Vec<Id> = old.iter().filter(|id| in_base(id)).copied().collect();
        let mut joiners: Vec<Id> = reported
            .iter()
            .filter(|(id, state)| {
                state.installed.is_none() && old.iter().all(|m| m.node != id.node)
            })
            .map(|(&id, _)| id)
            .collect();
        joiners.sort();
        // Whoever is in a view of its own lineage waits for none of ours, whatever it said before:
        // asked again and again it would stay frozen and could never tell.
        let elsewhere = |id: &Id, state: &State| {
            !state.installed.is_none() && state.installed != base && !old.contains(id)
        };
        let elsewhere: Vec<Id> =
            reported.iter().filter(|(id, state)| elsewhere(id, state)).map(|(&id, _)| id).collect();
        members.extend(joiners.iter().copied());
        // Who cannot be one of us keeps nobody else out.
        let (members, mut foreign) = speakers(self.id, members, &reported, false);
        let Some(members) = clique(self.id, members, &old, &reported) else {
            // We are the one who does not fit. The others need the time to find that out without
            // being frozen by us again and again.
            return self.leave_it_to_others(now, 8);
        };
        let gone =
            |id: &Id| self.membership.suspects.get(id).is_some_and(|suspicion| suspicion.sure);
        if self.membership.gave_way < GIVE_WAY_MAX
            && outnumbered(self.id, &members, &old, gone, &reported)
        {
            // Whom we do not hear the others do, and they are more without us than with us.
            // They take their turns one after the other.
            let turns = u32::try_from(members.len()).unwrap_or(u32::MAX);
            self.membership.gave_way += 1;
            return self.leave_it_to_others(now, turns.saturating_add(3));
        }
        let (members, more) = speakers(self.id, members, &reported, true);
        foreign.extend(more);
        let outside: Vec<Id> = joiners.into_iter().filter(|id| !members.contains(id)).collect();
        let own_only = self.is_mutant_own_cut();
        let holders: Vec<&State> = reported
            .iter()
            .filter(|(id, state)| {
                state.installed == base
                    && !base.is_none()
                    && members.contains(id)
                    && (!own_only || **id == self.id)
            })
            .map(|(_, &state)| state)
            .collect();
        let mut cut = holders.iter().map(|state| state.cont).max().unwrap_or(0);
        while holders.iter().any(|state| state.holds(cut + 1)) {
            cut += 1;
        }
        let deadline = now + self.change_timeout();
        for joiner in outside {
            self.skip_joiner(now, joiner);
        }
        for (id, versions, ours) in foreign {
            self.notice(Notice::VersionRefused { node: id.node, versions, ours });
        }
        for id in elsewhere {
            if let Some(peer) = self.peers.get_mut(&id.node).filter(|peer| peer.id == id) {
                peer.hello = None;
            }
        }
        let Some(change) = &mut self.change else { return };
        change.phase = Phase::Fetching { members, cut };
        change.deadline = deadline;
        self.repair.restart();
        self.continue_fetch(now);
    }

    /// Frozen slots are taken up to here.
    pub(super) fn fetching_to(&self) -> u64 {
        let proposing = match self.change.as_ref().map(|change| &change.phase) {
            Some(Phase::Fetching { cut, .. }) => *cut,
            _ => 0,
        };
        proposing.max(self.accepting.as_ref().map_or(0, |proposal| proposal.cut))
    }

    /// Is everything up to the cut here?
    pub(super) fn has_fetched(&self) -> bool {
        self.missing_to(self.fetching_to()).is_empty()
    }

    /// Goes on when everything up to the cut is here; else asks for it.
    pub(super) fn continue_fetch(&mut self, now: Instant) {
        if let Some(Change { phase: Phase::Fetching { members, cut }, .. }) = &self.change {
            let (members, cut) = (members.clone(), *cut);
            if self.missing_to(cut).is_empty() {
                self.propose(now, members, cut);
            } else {
                self.fetch_from_holders(cut);
            }
        }
        if let Some(proposal) = self.accepting.clone() {
            let missing = self.missing_to(proposal.cut);
            if missing.is_empty() {
                self.become_ready(now, proposal);
            } else {
                self.fetch(proposal.vid.proposer, missing);
            }
        }
    }

    fn missing_to(&self, cut: u64) -> Vec<(u64, u64)> {
        self.stream.as_ref().map(|stream| stream.missing(cut)).unwrap_or_default()
    }

    fn fetch(&mut self, holder: Id, ranges: Vec<(u64, u64)>) {
        self.counters.naks_sent += 1;
        let head = crate::wire::Head { vid: self.view_id(), ack: 0, busy: 0 };
        self.out.push_back(GabOutput::Send(holder, Body::Nak(ranges).encode(head)));
    }

    /// As proposer: asks for each missing slot whoever reported that it holds it.
    fn fetch_from_holders(&mut self, cut: u64) {
        let mut wanted: BTreeMap<Id, Vec<(u64, u64)>> = BTreeMap::new();
        let base = self.view_id();
        for slot in self.missing_to(cut).into_iter().flat_map(|(first, last)| first..=last) {
            let holder = self
                .states()
                .find(|(id, state)| *id != self.id && state.installed == base && state.holds(slot))
                .map(|(id, _)| id);
            let Some(holder) = holder else { continue };
            add_to_ranges(wanted.entry(holder).or_default(), (slot, slot));
        }
        for (holder, ranges) in wanted {
            self.fetch(holder, ranges);
        }
    }

    /// Step 5.
    fn propose(&mut self, now: Instant, members: Vec<Id>, cut: u64) {
        if let Some(lack) = self.lacks_quorum(&members) {
            self.lose_quorum(now, lack);
            return;
        }
        let timeout = self.change_timeout();
        // Those that this very view removes as well: a joiner has no view before to see it by.
        let mut removed = self.membership.removed.clone();
        for id in self.view.iter().flat_map(|view| &view.members).filter(|id| !members.contains(id))
        {
            let newest = removed.entry(id.node).or_insert(id.incarnation);
            *newest = (*newest).max(id.incarnation);
        }
        let jeopardy = self.departed_in_jeopardy(&members);
        let speak = self.states().filter(|(id, _)| members.contains(id));
        let versions = speak.map(|(_, state)| state.versions);
        let Some(versions) = versions.reduce(|all, one| all.common(one).unwrap_or(all)) else {
            return self.alarm("a proposal without reports");
        };
        let Some(change) = &mut self.change else { return };
        let proposal = Proposal {
            vid: change.vid,
            base: self.view.as_ref().map_or(Vid::NONE, |view| view.vid),
            versions,
            members: members.clone(),
            jeopardy,
            cut,
            sequence: self.stream.as_ref().map_or(0, |stream| stream.sequence) + cut,
            generation: self.table.generation,
            removed,
            ports: self.table.ports.clone(),
        };
        change.phase = Phase::Proposed { proposal: proposal.clone(), ready: BTreeSet::new() };
        change.deadline = now + timeout;
        let me = self.id;
        for &to in members.iter().filter(|&&to| to != me) {
            self.send_about(to, proposal.vid, &Body::Propose(proposal.clone()));
        }
        self.receive_propose(now, self.id, proposal);
    }

    /// PROPOSE arrived.
    pub(super) fn receive_propose(&mut self, now: Instant, from: Id, proposal: Proposal) {
        let promised = proposal.vid == self.promised || self.is_mutant_ready_late();
        let mine = proposal.members.contains(&self.id) && proposal.vid.proposer == from;
        let base = self.view_id();
        let reach = self.stream.as_ref().map_or(u64::MAX, super::stream::Stream::reach);
        // Who builds on another view than ours is of another lineage, even if it counts us in.
        let ours = base == proposal.base || self.is_mutant_foreign();
        let fits = (base.is_none() || ours && proposal.cut <= reach)
            && self.config.versions.common(proposal.versions) == Some(proposal.versions);
        if !promised || !mine || proposal.vid <= base || !fits {
            self.counters.other_view += 1;
            return;
        }
        let prepared = self.ready.as_ref().map(|ready| ready.vid);
        let prepared = prepared.filter(|&vid| vid > base && vid != proposal.vid);
        if let Some(prepared) = prepared
            && self.config.arbiter == ArbiterKind::Record
            && !self.is_mutant_no_consult()
            && from != self.id
        {
            self.consult(now, prepared, proposal.vid, Consulted::AsMember(Box::new(proposal)));
            return;
        }
        self.accept(now, proposal);
    }

    /// Takes the proposal: fetches up to its cut, then is ready.
    pub(super) fn accept(&mut self, now: Instant, proposal: Proposal) {
        if proposal.vid != self.promised && !self.is_mutant_ready_late() {
            return;
        }
        if self.view.is_none() {
            self.become_ready(now, proposal);
            return;
        }
        self.accepting = Some(proposal);
        self.repair.restart();
        self.continue_fetch(now);
    }

    fn become_ready(&mut self, now: Instant, proposal: Proposal) {
        self.accepting = None;
        if self.view.is_some() {
            let same =
                proposal.generation == self.table.generation && proposal.ports == self.table.ports;
            if !same {
                self.alarm("the proposal's port table is not ours after the cut");
            }
            if self.is_mutant_drop_at_ready()
                && let Some(stream) = &mut self.stream
            {
                stream.discard_beyond(proposal.cut);
            }
        }
        if !self.note_prepared(&proposal) {
            return self.refuse_ready(now);
        }
        let (vid, proposer) = (proposal.vid, proposal.vid.proposer);
        self.ready = Some(proposal);
        if proposer == self.id {
            self.receive_ready(now, self.id, vid);
        } else {
            self.send_about(proposer, vid, &Body::Ready);
        }
    }

    /// READY arrived.
    pub(super) fn receive_ready(&mut self, now: Instant, from: Id, vid: Vid) {
        let majority = self.is_mutant_majority();
        let Some(change) = &mut self.change else { return };
        let Phase::Proposed { proposal, ready } = &mut change.phase else { return };
        if change.vid != vid || !proposal.members.contains(&from) {
            return;
        }
        ready.insert(from);
        let needed = if majority { proposal.members.len() / 2 + 1 } else { proposal.members.len() };
        if ready.len() < needed || !ready.contains(&self.id) {
            return;
        }
        let members = proposal.members.clone();
        self.change = None;
        let me = self.id;
        for &to in members.iter().filter(|&&to| to != me) {
            self.send_about(to, vid, &Body::Install);
        }
        self.receive_install(now, vid);
    }

    /// A step took too long: whoever is silent is remembered, and a new round begins.
    pub(super) fn expire_change(&mut self, now: Instant) {
        let Some(change) = self.change.as_ref().filter(|change| change.deadline <= now) else {
            self.propose_if_due(now);
            return;
        };
        let since = change.since;
        let silent: Vec<Id> = match &change.phase {
            Phase::Collecting => change
                .target
                .iter()
                .filter(|id| !change.states.contains_key(&id.node))
                .copied()
                .collect(),
            Phase::Proposed { proposal, ready } => {
                // This node may not be READY itself, which is nobody's fault (quorum.rs).
                let unready = |id: &&Id| !ready.contains(id) && **id != self.id;
                proposal.members.iter().filter(unready).copied().collect()
            }
            Phase::Consulting | Phase::Fetching { .. } => Vec::new(),
        };
        if silent.iter().any(|id| self.stalls(now, *id, since)) {
            self.dump();
        }
        // Gone before anybody is blamed: a blame may start the next round itself.
        self.change = None;
        for id in silent {
            self.blame(now, id, since);
        }
        if self.over {
            return;
        }
        if self.view.is_some() {
            self.start_change(now, since);
        } else {
            self.back_off(now);
        }
    }

    /// Somebody in the change is gone: begin again without it.
    pub(super) fn abandon_change_with(&mut self, now: Instant, id: Id) {
        let Some(change) = self.change.as_ref().filter(|change| change.target.contains(&id)) else {
            return;
        };
        let since = change.since;
        self.change = None;
        if self.view.is_some() {
            self.start_change(now, since);
        } else {
            self.back_off(now);
        }
    }

    /// After an own pause: those who are asked get their time again.
    pub(super) fn excuse_change(&mut self, now: Instant) {
        let deadline = now + self.change_timeout();
        if let Some(change) = &mut self.change {
            change.since = now;
            change.deadline = change.deadline.max(deadline);
        }
    }

    /// Another has to propose: this node does not for so many steps.
    fn leave_it_to_others(&mut self, now: Instant, steps: u32) {
        self.give_up_change(now);
        let patience = now + self.change_timeout() * steps;
        self.membership.not_before = self.membership.not_before.max(patience);
    }

    fn give_up_change(&mut self, now: Instant) {
        self.change = None;
        self.back_off(now);
    }
}

/// Members that can all talk to each other (facts algorithms 2.3). First those of the view settle it
/// among themselves: the one with the most missing connections goes; of equals one in jeopardy, then
/// the last in rank. Then newcomers that do not get on with all that are left go in the same way:
/// they can come later, perhaps a moment later, when their connections are made, and no member is
/// thrown out for them. `None` if we are not left: another has to propose.
fn clique(me: Id, members: Vec<Id>, old: &[Id], states: &BTreeMap<Id, &State>) -> Option<Vec<Id>> {
    let (inside, newcomers): (Vec<Id>, Vec<Id>) =
        members.into_iter().partition(|id| old.contains(id));
    let mut members = settle(inside, &[], states);
    let fixed = members.clone();
    members.extend(newcomers);
    let members = settle(members, &fixed, states);
    members.contains(&me).then_some(members)
}

/// Takes out whoever lacks most connections until nobody lacks any, but nobody of `fixed`.
fn settle(mut members: Vec<Id>, fixed: &[Id], states: &BTreeMap<Id, &State>) -> Vec<Id> {
    let hears = |from: Id, to: Id| -> Option<Connection> {
        states.get(&from)?.row.iter().copied().find(|connection| connection.peer == to)
    };
    let connected = |a: Id, b: Id| a == b || hears(a, b).is_some() && hears(b, a).is_some();
    loop {
        let missing = |id: Id| members.iter().filter(|&&other| !connected(id, other)).count();
        let in_jeopardy = |id: Id| {
            members.iter().any(|&other| hears(other, id).is_some_and(|link| link.jeopardy))
        };
        let worst = members
            .iter()
            .enumerate()
            .filter(|(_, id)| !fixed.contains(id))
            .map(|(rank, &id)| (missing(id), in_jeopardy(id), rank))
            .max();
        match worst {
            Some((lacks, _, rank)) if lacks > 0 => members.remove(rank),
            Some(_) | None => return members,
        };
    }
}

/// Does somebody who has answered hear more members of the old view, some of which we do not hear and
/// none of which is known to be gone (`gone`), than stay with us? Then they go on without us: the
/// one whose proposal comes first must not take the one that both sides hear away from the larger
/// part (facts algorithms 4.3, scenario 29).
fn outnumbered(
    me: Id,
    members: &[Id],
    old: &[Id],
    gone: impl Fn(&Id) -> bool,
    reported: &BTreeMap<Id, &State>,
) -> bool {
    let inside = members.iter().filter(|id| old.contains(id)).count();
    let hears = |state: &State, id: &Id| state.row.iter().any(|to| to.peer == *id);
    let is_other = |id: &Id| *id != me && old.contains(id) && !gone(id);
    let mut others = reported.iter().filter(|(id, _)| is_other(id));
    others.any(|(_, state)| {
        let unheard: Vec<Id> = old
            .iter()
            .filter(|id| is_other(id) && !reported.contains_key(id) && hears(state, id))
            .copied()
            .collect();
        // With them go those of our own answers that hear all of them.
        let both = reported.iter().filter(|(id, _)| is_other(id));
        let both = both.filter(|(_, state)| unheard.iter().all(|id| hears(state, id))).count();
        !unheard.is_empty() && unheard.len() + both > inside
    })
}

/// How often a proposer gives way to those who are more without it, until the next view: they may
/// all have died since.
const GIVE_WAY_MAX: u32 = 2;

/// Of those that could be members, in their order, the ones that speak a version which the proposer
/// speaks, and, `together`, all before them, too; and the others, with what each speaks and what the
/// members do.
fn speakers(
    me: Id,
    members: Vec<Id>,
    reported: &BTreeMap<Id, &State>,
    together: bool,
) -> (Vec<Id>, Vec<(Id, Versions, Versions)>) {
    let speaks = |id: &Id| reported.get(id).map(|state| state.versions);
    let (mut common, mut foreign) = (speaks(&me), Vec::new());
    let mut fits = |id: &Id| {
        let (Some(ours), Some(theirs)) = (common, speaks(id)) else { return true };
        match ours.common(theirs) {
            Some(both) if together => common = Some(both),
            Some(_) => {}
            None => foreign.push((*id, theirs, ours)),
        }
        ours.common(theirs).is_some()
    };
    let members = members.into_iter().filter(|id| fits(id)).collect();
    (members, foreign)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use llt::{Duration, Incarnation};

    use super::super::stream::Stream;
    use super::super::{GabConfig, Transport};
    use super::*;
    use crate::ids::View;
    use crate::wire::Hello;

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) }
    }

    /// A node that said it is in no view, and then, asked to join ours, that it is in one.
    #[test]
    fn who_turns_out_to_be_in_another_view_is_not_asked_again_to_join() {
        let config = GabConfig { configured: true, stable: Duration::ZERO, ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(1), config, transport, 1);
        let vid = Vid { round: 3, proposer: id(1) };
        gab.view = Some(View { vid, members: vec![id(1)] });
        gab.stream = Some(Stream::new(id(1).node, &[id(1)], 0));
        gab.promised = vid;
        gab.handle_peer_up(Instant::ZERO, id(2), 1);
        let hello = Hello {
            versions: Versions::OURS,
            configured: true,
            was_frozen: false,
            refused: false,
            quorum: false,
            returned: false,
            seed: 0,
            members: Vec::new(),
        };
        gab.receive_hello(Instant::ZERO, id(2), Vid::NONE, hello);
        while gab.poll_output().is_some() {}
        let round = gab.change.as_ref().expect("somebody waits to join").vid;
        let state = State {
            versions: Versions::OURS,
            installed: Vid { round: 2, proposer: id(0) },
            ready: Vid::NONE,
            cont: 0,
            beyond: Bytes::new(),
            row: vec![Connection { peer: id(1), jeopardy: false }],
            leaving: false,
            prepared: Vec::new(),
            lost_in_jeopardy: Vec::new(),
        };
        gab.receive_state(Instant::ZERO, id(2), round, state);
        while gab.poll_output().is_some() {}
        assert_eq!(gab.view.as_ref().map(|view| view.vid), Some(round), "we go on without it");
        assert_eq!(gab.change_due(), None, "and let it alone, so that it can go on, too");
    }

    fn choose(me: u8, nodes: &[u8], old: &[u8], cuts: &[(u8, u8)]) -> Option<Vec<u8>> {
        let members: Vec<Id> = nodes.iter().map(|&n| id(n)).collect();
        let states: BTreeMap<Id, State> = members
            .iter()
            .map(|&from| {
                let row = members
                    .iter()
                    .filter(|&&to| to != from && !cuts.contains(&(from.node.get(), to.node.get())))
                    .map(|&peer| Connection { peer, jeopardy: false })
                    .collect();
                let (installed, ready) = (Vid::NONE, Vid::NONE);
                let (leaving, prepared, lost_in_jeopardy) = (false, Vec::new(), Vec::new());
                let beyond = Bytes::new();
                (
                    from,
                    State {
                        versions: Versions::OURS,
                        installed,
                        ready,
                        cont: 0,
                        beyond,
                        row,
                        leaving,
                        prepared,
                        lost_in_jeopardy,
                    },
                )
            })
            .collect();
        let states = states.iter().map(|(&id, state)| (id, state)).collect();
        let old: Vec<Id> = old.iter().map(|&n| id(n)).collect();
        clique(id(me), members, &old, &states)
            .map(|ids| ids.iter().map(|id| id.node.get()).collect())
    }

    #[test]
    fn members_that_cannot_all_talk_end_in_one_clique() {
        assert_eq!(choose(0, &[0, 1, 2], &[0, 1, 2], &[]), Some(vec![0, 1, 2]));
        // One way is no way.
        assert_eq!(choose(0, &[0, 1, 2], &[0, 1, 2], &[(0, 2)]), Some(vec![0, 1]));
        // Whoever lacks most goes, even if it ranks first.
        assert_eq!(choose(1, &[0, 1, 2, 3], &[0, 1, 2, 3], &[(0, 1), (0, 2)]), Some(vec![1, 2, 3]));
        // No member goes for newcomers, however many have no connection with it yet.
        assert_eq!(choose(0, &[0, 1, 2, 3], &[0, 1], &[(1, 2), (1, 3)]), Some(vec![0, 1]));
        // Of newcomers those that get on with all members stay.
        assert_eq!(choose(0, &[0, 1, 2, 3], &[0, 1], &[(2, 3), (1, 3)]), Some(vec![0, 1, 2]));
        // A member that goes anyway keeps no newcomer out.
        assert_eq!(choose(0, &[0, 1, 2], &[0, 1], &[(0, 1), (1, 2)]), Some(vec![0, 2]));
        assert_eq!(choose(0, &[0, 1, 2], &[1, 2], &[(0, 1)]), None, "we are the one that goes");
    }
}
