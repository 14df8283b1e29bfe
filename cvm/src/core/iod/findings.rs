//! What vxiods find out by themselves becomes configuration by a transaction that the master's vxiod
//! makes itself, so that no vxconfigd is needed for I/O to go on: a plex cannot be written and is
//! taken off (facts 2.10, CVM-48); a node begins to write a volume, or has closed it (the original's
//! dirty flags, CVM-23); copies may differ, or are equal again.
//!
//! ```text
//! any       finds something -> v FINDING: everybody notes it
//! master    v FINDINGS, and when that is here: QUIESCE, write, COMMIT as in any other transaction
//! ```
//! A transaction that is under way goes first. Whatever comes in between, what is still so is found
//! again: a write that failed fails anew, one that waits asks anew. So notes can be dropped in every
//! view in which somebody leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llt::{Id, Incarnation, Instant, NodeId};

use super::slots::disks_of;
use super::{Iod, IodNotice, Table, VolumeName};
use crate::core::txn::{Txn, TxnId};
use crate::core::wire::v::{Findings, VMessage};
use crate::core::wire::w::{Base, Precheck};
use crate::disk::RequestId;
use crate::model::change::Change;
use crate::model::{Finding, Group, KernelState, Name, UniqueId};

/// What is to become configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// What, and when that was seen last, in seconds since 1970.
    wanted: BTreeMap<UniqueId, (BTreeSet<Finding>, u64)>,
    /// FINDINGS of this one is on its way; nothing else begins.
    loading: Option<TxnId>,
    /// After one that came to nothing.
    not_before: Option<Instant>,
}

impl Wanted {
    /// Something of it is on its way.
    pub(super) const fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// A volume is copied anew.
    pub(super) fn forget_equal(&mut self, (group, volume): &VolumeName) {
        if let Some((findings, _)) = self.wanted.get_mut(group) {
            findings
                .retain(|finding| !matches!(finding, Finding::Equal(name, _) if name == volume));
        }
    }

    /// These plexes are current now: what they had and the last one had not is written anew.
    pub(super) fn forget_ahead(&mut self, group: &UniqueId, current: &[Name]) {
        if let Some((findings, _)) = self.wanted.get_mut(group) {
            findings.retain(|finding| match finding {
                Finding::PlexFailed(plex, None) => !current.contains(plex),
                _ => true,
            });
        }
    }

    /// It is known already what the loss of these writers of a volume means.
    pub(super) fn has_lost(&self, (group, volume): &VolumeName, nodes: &BTreeSet<u8>) -> bool {
        let findings = self.wanted.get(group).map(|(findings, _)| findings);
        findings.into_iter().flatten().any(|finding| {
            matches!(finding, Finding::Lost(name, lost, _) if name == volume && lost == nodes)
        })
    }

    /// Nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.loading.is_none()
    }

    /// Somebody left: whoever still needs it will say so again.
    pub(super) fn forget_shared(&mut self, is_shared: impl Fn(&UniqueId) -> bool) {
        self.wanted.retain(|group, _| !is_shared(group));
        (self.loading, self.not_before) = (None, None);
    }
}

impl Iod {
    /// A plex of an open volume could not be written on this node, because of this disk if that is
    /// known. `time` is in seconds since 1970.
    pub fn handle_plex_failed(
        &mut self,
        now: Instant,
        group: &UniqueId,
        plex: Name,
        disk: Option<UniqueId>,
        time: u64,
    ) {
        self.find(now, group, Finding::PlexFailed(plex, disk), time);
    }

    /// A program is about to change a volume that this node does not write yet, or does not write any
    /// more. `time` is in seconds since 1970.
    pub fn handle_first_change(&mut self, now: Instant, volume: &VolumeName, time: u64) {
        let writes = Finding::Writes(volume.1.clone(), self.me.node.get());
        self.resyncs.is_written(volume);
        self.find(now, &volume.0, writes, time);
    }

    /// This node has found something.
    pub(super) fn find(&mut self, now: Instant, group: &UniqueId, finding: Finding, time: u64) {
        let Some(table) = self.tables.get(group) else { return };
        if table.is_shared() {
            self.broadcast(&VMessage::Finding { group: group.clone(), finding, time });
        } else {
            self.want(now, group, finding, time);
        }
    }

    /// A member has found something.
    pub(super) fn on_finding(
        &mut self,
        now: Instant,
        from: NodeId,
        group: &UniqueId,
        finding: Finding,
        time: u64,
    ) {
        let me = self.me.node;
        if !self.membership().is_some_and(|m| m.is_member(me) && m.is_member(from)) {
            return;
        }
        if self.asks_others(now, from, group, &finding, time) {
            return;
        }
        let is_theirs = match &finding {
            Finding::PlexFailed(plex, _) => {
                let (group, plex) = (group.clone(), plex.clone());
                self.notice(IodNotice::PlexFailed { group, plex, node: from });
                true
            }
            Finding::Writes(_, node) | Finding::Rests(_, node) => *node == from.get(),
            // The master says that only in a transaction.
            Finding::Equal(..)
            | Finding::Lost(..)
            | Finding::FillBegun(..)
            | Finding::Filled(..)
            | Finding::Spoilt(..) => false,
        };
        if is_theirs {
            self.want(now, group, finding, time);
        }
    }

    /// It is to become configuration; what was wanted against it is not any more.
    pub(super) fn want(&mut self, now: Instant, group: &UniqueId, finding: Finding, time: u64) {
        self.wall = self.wall.max(time);
        let (findings, since) = self.wanted.wanted.entry(group.clone()).or_default();
        if let Some(undone) = finding.undone() {
            findings.remove(&undone);
        }
        findings.insert(finding);
        *since = (*since).max(time);
        self.make_findings_true(now);
    }

    /// Begins to do what is wanted, if nothing is in the way.
    pub(super) fn make_findings_true(&mut self, now: Instant) {
        let waits = self.wanted.not_before.is_some_and(|at| at > now);
        if self.open.is_some() || self.wanted.is_loading() || waits {
            return;
        }
        self.wanted.not_before = None;
        self.forget_what_is_so();
        let groups: Vec<UniqueId> = self.wanted.wanted.keys().cloned().collect();
        for group in groups {
            if self.may_make_true(&group) && self.make_true(now, &group) {
                return;
            }
        }
    }

    /// What is in the configuration already, and what is not to come into it; on every node, for any
    /// may become master.
    fn forget_what_is_so(&mut self) {
        let tables = &self.tables;
        for (id, (findings, _)) in &mut self.wanted.wanted {
            let group = tables.get(id).map(|table| &*table.image.group);
            findings.retain(|finding| group.is_some_and(|group| finding.is_new(group)));
        }
        self.wanted.wanted.retain(|_, (findings, _)| !findings.is_empty());
    }

    /// The master, for shared groups, while the cluster stands.
    pub(super) fn may_make_true(&self, group: &UniqueId) -> bool {
        let Some(table) = self.tables.get(group) else { return false };
        let stands = self.membership().is_some_and(|m| {
            m.is_settled && !m.is_suspended && m.admitting.is_none() && !m.is_switching
        });
        let is_ours = !table.is_shared() || self.is_master() && stands;
        is_ours && !self.repairs.contains_key(group)
    }

    /// `false`: there is nothing to be done, or nowhere to write it for now.
    fn make_true(&mut self, now: Instant, id: &UniqueId) -> bool {
        let Some((all, time)) = self.wanted.wanted.get(id) else { return false };
        let time = *time;
        let Some(table) = self.tables.get(id) else { return false };
        let now_possible = all.iter().filter(|finding| finding.can_be_made(&table.image.group));
        // The rest goes with the next one: a message has its bounds.
        let mut room = FINDINGS_BYTES;
        let fits = |finding: &&Finding| {
            let fits = room == FINDINGS_BYTES || finding.size() <= room;
            room = room.saturating_sub(finding.size());
            fits
        };
        let findings: Vec<Finding> =
            now_possible.take(FINDINGS_MAX).take_while(fits).cloned().collect();
        if findings.is_empty() {
            return false;
        }
        let group = Finding::apply(&table.image.group, &findings).group;
        let disks = disks_of(&table.image.group);
        let Some(slot) = self.free_slot(Some(table.slot()), &disks) else {
            self.wanted.not_before = Some(now + self.config.retry);
            return false;
        };
        let is_shared = table.is_shared();
        let reconfig = self.membership().filter(|_| is_shared).map_or(0, |m| m.reconfig);
        let stamp = self.next_stamp(id, table.stamp());
        let copies = table.image.copies.assign(&group, &table.failed);
        let findings = Findings {
            id: TxnId { group: id.clone(), stamp, reconfig },
            base: table.stamp(),
            findings,
            copies: copies.iter().map(|(disk, copies)| (disk.clone(), copies)).collect(),
            time,
            slot,
        };
        if is_shared {
            self.wanted.loading = Some(findings.id.clone());
            self.broadcast(&VMessage::Findings(Box::new(findings)));
        } else {
            self.load_findings(now, self.me.node, findings);
        }
        true
    }

    /// The master makes a transaction of what was found.
    pub(super) fn on_findings(&mut self, now: Instant, from: NodeId, findings: Findings) {
        let Some(membership) = self.membership() else { return };
        if membership.master == Some(from)
            && membership.reconfig == findings.id.reconfig
            && membership.is_member(self.me.node)
        {
            self.load_findings(now, from, findings);
        }
    }

    fn load_findings(&mut self, now: Instant, from: NodeId, findings: Findings) {
        self.wanted.loading = None;
        let id = findings.id.clone();
        // Who cannot load it refuses when it is to quiesce.
        let begins = from == self.me.node;
        let table = self.tables.get(&id.group);
        let is_shared = table.is_some_and(Table::is_shared);
        let precheck = table.map(|table| precheck(table, from, findings));
        let request = precheck.as_ref().map(|precheck| precheck.request);
        if precheck.is_some_and(|precheck| self.load_own(&precheck)) {
            if begins {
                self.begin(now, &id);
            }
        } else if begins {
            // The others may have loaded it.
            if let Some(request) = request.filter(|_| is_shared) {
                let (node, why) = (self.me.node, "the master cannot load it".to_owned());
                self.broadcast(&VMessage::Abandon { id, request, wrote: false, node, why });
            }
            self.findings_came_to_nothing(now);
        }
    }

    /// A volume that this node would be said to write no more, and has opened again since: that is taken
    /// back. From here on to the decision it stands still.
    pub(super) fn is_open_again(&mut self, now: Instant, txn: &Txn) -> bool {
        let Some(table) = self.tables.get(&txn.id.group).filter(|table| table.is_shared()) else {
            return false;
        };
        let me = self.me.node.get();
        let writes = |group: &Group, name: &Name| {
            group.volumes.get(name).is_some_and(|volume| volume.writers.contains(&me))
        };
        // What is closed for all, as a volume that cannot be filled, is written by nobody.
        let stays = |name: &Name| {
            let after = txn.group.volumes.get(name);
            after.is_some_and(|volume| volume.kernel == KernelState::Enabled)
        };
        let rests = |name: &&Name| {
            writes(&table.image.group, name) && !writes(&txn.group, name) && stays(name)
        };
        let is_meant = |name: &&Name| {
            // Who stands apart counts as lost, open or not.
            let key = (txn.id.group.clone(), (*name).clone());
            let is_apart = self.apart_from(&key).any(|node| node == me);
            self.open_count(&key.0, name) > 0 && !is_apart
        };
        let again: Vec<Name> = txn.volumes.iter().filter(rests).filter(is_meant).cloned().collect();
        for name in &again {
            self.handle_first_change(now, &(txn.id.group.clone(), name.clone()), self.wall);
        }
        !again.is_empty()
    }

    /// Somebody has left, or this node: whoever still needs it will say so again.
    pub(super) fn forget_findings(&mut self) {
        let tables = &self.tables;
        self.wanted.forget_shared(|group| tables.get(group).is_none_or(Table::is_shared));
        self.apart.forget_questions();
        self.resyncs.look();
    }

    /// It is tried again, a little later.
    pub(super) fn findings_came_to_nothing(&mut self, now: Instant) {
        self.wanted.not_before = Some(now + self.config.retry);
        self.load_late();
        self.tell_joiners();
    }

    /// What they came to nothing for is over.
    pub(super) const fn try_findings_at_once(&mut self) {
        self.wanted.not_before = None;
    }

    pub(super) fn findings_deadline(&self) -> Option<Instant> {
        let waits = self.open.is_none() && !self.wanted.is_loading();
        self.wanted.not_before.filter(|_| waits)
    }
}

/// So many findings go into one transaction.
const FINDINGS_MAX: usize = 256;
/// And so many bytes of them, about: a message ends at 64 KiB.
const FINDINGS_BYTES: usize = 32 << 10;

/// No utility has asked for it, and no vxconfigd knows of it; one of a vxconfigd may be called the same.
pub(super) const fn is_own(request: &RequestId) -> bool {
    request.origin.incarnation.0 == 0
}

/// The transaction, as everybody makes it of the same table.
fn precheck(table: &Table, from: NodeId, findings: Findings) -> Precheck {
    let Findings { id, base, findings, copies, time, slot } = findings;
    let before: &Arc<_> = &table.image.group;
    let found = Finding::apply(before, &findings);
    // That is its own.
    let origin = Id { node: from, incarnation: Incarnation(0) };
    Precheck {
        id,
        request: RequestId { origin, number: 0 },
        base: Base::InForce(base),
        change: Change::between(Some(before), &found.group),
        copies,
        tenures: table.tenures.clone(),
        time,
        slot,
        volumes: found.volumes.into_iter().collect(),
        closed: Vec::new(),
        disks: Vec::new(),
    }
}
