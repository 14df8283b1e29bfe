//! Load, quiesce, write, commit or abandon (design 2).
//!
//! ```text
//! master     Loaded -> Quiescing -> Writing -> Deciding -> decided
//! others     Loaded ------------------------------------> decided
//! ```
//! Only the order of port v decides: COMMIT or ABANDON, whichever is delivered first, or a view in
//! which somebody left. Nothing is swapped and nobody is told before, at the master neither.

use std::collections::BTreeSet;
use std::sync::Arc;

use llt::{Id, Instant, NodeId, NodeSet};

use super::drain::After;
use super::findings::is_own;
use super::io::Purpose;
use super::repair::Repair;
use super::written::Written;
use super::{DiskError, Iod, IodNotice, IodOutput, Table, Upcall, Write, table};
use crate::core::txn::{Before, Txn, TxnId};
use crate::core::wire::v::VMessage;
use crate::core::wire::w::Precheck;
use crate::disk::{CopyKind, Decision, Image, Outcome, RequestId};
use crate::model::{Group, Name, Plex, Stamp, UniqueId};

/// The transaction that is loaded.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) txn: Txn,
    /// Who writes it if it comes to that: what is written.
    image: Option<Arc<Image>>,
    /// All nodes take part, by port v.
    pub(super) is_shared: bool,
    /// The master's vxiod has made it: no vxconfigd knows of it.
    is_own: bool,
    /// QUIESCE was delivered: from here on all say the same of whether the master may have written,
    /// however long the I/O of each of them goes on.
    is_quiescing: bool,
    phase: Phase,
}

/// One that the master's vxiod has made, and that is not loaded here.
#[derive(Clone, Debug)]
pub(super) struct Unloaded {
    txn: Txn,
    /// As of one that is loaded: the others know nothing of that here it is refused.
    is_quiescing: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Loaded,
    /// Master: QUIESCE is out.
    Quiescing {
        quiesced: NodeSet,
        deadline: Instant,
    },
    /// Master: the disks are written.
    Writing {
        image: Arc<Image>,
        left: usize,
        written: Written,
        fault: Option<String>,
        /// Written when all of that is, if it is enough.
        then: Vec<Write>,
    },
    /// Master: COMMIT or ABANDON is out.
    Deciding,
}

impl Open {
    /// Something of it may be on a disk.
    const fn may_be_written(&self) -> bool {
        self.is_quiescing
    }

    /// Master: its decision is said, and not delivered yet.
    pub(super) const fn is_deciding(&self) -> bool {
        matches!(self.phase, Phase::Deciding)
    }
}

/// Why nothing is loaded while the cluster changes.
pub const RECONFIGURES: &str = "a cluster reconfiguration is in progress";

impl Iod {
    pub(super) fn load(&mut self, precheck: Precheck) {
        // One that a vxiod has made goes first: what comes of this one is seen afterwards.
        self.wall = self.wall.max(precheck.time);
        if self.wanted.is_loading() || self.open.as_ref().is_some_and(|open| open.is_own) {
            self.late_loads.push_back(Box::new(precheck));
            return;
        }
        let in_force = self.tables.get(&precheck.id.group).map(|table| &table.image);
        let id = precheck.id.clone();
        let txn = match Txn::of(&precheck, in_force) {
            Ok(txn) => txn,
            Err(why) => {
                self.tell(Upcall::Loaded { id, refused: Some(why) });
                return;
            }
        };
        // A view in which nobody left stops nothing (CVM-15): it is loaded when that is settled. The
        // master's own vxconfigd begins anew instead: nobody else has it yet. So does that of one that was
        // master until now: who hands over has nothing loaded, and nobody drives this any more.
        let waits = self.membership().is_some_and(|membership| {
            !membership.is_settled
                && !membership.is_suspended
                && !membership.is_handed_over
                && membership.is_member(self.me.node)
        });
        if waits && !self.is_master() && self.concerns_all(&txn) {
            self.late_loads.push_back(Box::new(precheck));
            return;
        }
        let refused = self.unloadable(&txn);
        if refused.is_none() {
            self.take(txn, false);
        }
        self.tell(Upcall::Loaded { id, refused });
    }

    /// Loads what a vxiod has made; `false` if it does not fit.
    pub(super) fn load_own(&mut self, precheck: &Precheck) -> bool {
        let in_force = self.tables.get(&precheck.id.group).map(|table| &table.image);
        let Ok(txn) = Txn::of(precheck, in_force) else { return false };
        let fits = self.unloadable(&txn).is_none();
        if self.concerns_all(&txn) {
            // One that has come to nothing before it was to quiesce may have had the same name.
            let unloaded = Unloaded { txn: txn.clone(), is_quiescing: false };
            self.unloaded = (!fits).then_some(unloaded);
        }
        if fits {
            self.take(txn, true);
        }
        fits
    }

    fn take(&mut self, txn: Txn, is_own: bool) {
        let is_shared = self.concerns_all(&txn);
        // While the others load it and stand still, its bytes are made.
        let writes = !is_shared || self.is_master();
        let image = writes.then(|| Arc::new(self.image_of(&txn, self.me)));
        self.out.extend(image.iter().cloned().map(IodOutput::Prepare));
        let (is_quiescing, phase) = (false, Phase::Loaded);
        self.open = Some(Open { txn, image, is_shared, is_own, is_quiescing, phase });
    }

    /// The view is settled, or is not to be.
    pub(super) fn load_late(&mut self) {
        // What still has to wait queues anew.
        for precheck in std::mem::take(&mut self.late_loads) {
            self.load(*precheck);
        }
    }

    /// A shared group, before or after.
    fn concerns_all(&self, txn: &Txn) -> bool {
        let table = self.tables.get(&txn.id.group);
        txn.group.is_shared() || table.is_some_and(Table::is_shared)
    }

    /// What is in the way of a transaction.
    fn unloadable(&self, txn: &Txn) -> Option<String> {
        if self.open.is_some() {
            return Some("Transaction already in progress".to_owned());
        }
        let table = self.tables.get(&txn.id.group);
        let fits = match (&txn.before, table) {
            (Before::InForce(stamp), Some(table)) => {
                table.stamp() == *stamp && txn.id.stamp.epoch >= table.epoch
            }
            (Before::InForce(_), None) | (Before::Nothing | Before::OnDisk(_), Some(_)) => false,
            (Before::Nothing | Before::OnDisk(_), None) => true,
        };
        let newer = table.is_none_or(|table| txn.id.stamp > table.stamp());
        let free = table.is_none_or(|table| table.slot() != txn.slot);
        if self.decided.get(&txn.id.group).is_some_and(|stamp| *stamp >= txn.id.stamp) {
            return Some("it is over already".to_owned());
        }
        if !fits || !newer || !free || self.repairs.contains_key(&txn.id.group) {
            return Some("its configuration is not the one in force here".to_owned());
        }
        if let Some(why) = self.hanging(txn) {
            return Some(why);
        }
        if let Some((disk, group)) = self.owned_elsewhere(txn) {
            return Some(format!("disk {disk} belongs to disk group {group}"));
        }
        if self.is_being_written_back(txn) {
            return Some("what was abandoned is being written back to its disks".to_owned());
        }
        if self.concerns_all(txn) {
            let membership = self.membership();
            let ready = membership.is_some_and(|membership| {
                membership.is_settled
                    && membership.is_member(self.me.node)
                    && membership.reconfig == txn.id.reconfig
                    && membership.admitting.is_none()
                    && !membership.is_switching
            });
            if !ready {
                return Some(RECONFIGURES.to_owned());
            }
        }
        let in_use = self.in_use(&txn.closed, &txn.id.group, &txn.group);
        in_use.map(|volume| {
            if txn.deports(table.map(|table| &*table.image.group)) {
                "Some volumes in the disk group are in use".to_owned()
            } else {
                format!("Volume {volume} is in use")
            }
        })
    }

    /// A disk that it takes, and another group that is in force here and has it: vxconfigd looked at disks
    /// when that was not so yet.
    fn owned_elsewhere(&self, txn: &Txn) -> Option<(UniqueId, Name)> {
        let mut others = self.tables.iter().filter(|(id, _)| **id != txn.id.group);
        others.find_map(|(_, table)| {
            let disk = txn.tenures.keys().find(|disk| table.tenures.contains_key(*disk))?;
            Some((disk.clone(), table.image.group.name.clone()))
        })
    }

    /// Another group that was not made, or not imported, still writes to disks of this one, which look
    /// free. Whoever writes sees to it; others may hear later that it is over.
    fn is_being_written_back(&self, txn: &Txn) -> bool {
        let writes = !self.concerns_all(txn) || self.is_master();
        let meets = |repair: &Repair| {
            repair.txn().id.group != txn.id.group
                && repair.disks().iter().any(|disk| txn.tenures.contains_key(disk))
        };
        writes && self.repairs.values().any(meets)
    }

    pub(super) fn begin(&mut self, now: Instant, id: &TxnId) {
        let deadline = now + self.config.quiesce_limit;
        let Some(open) = self.open.as_mut().filter(|open| open.txn.id == *id) else { return };
        if !matches!(open.phase, Phase::Loaded) {
            return;
        }
        open.phase = Phase::Quiescing { quiesced: NodeSet::EMPTY, deadline };
        if open.is_shared {
            self.broadcast(&VMessage::Quiesce { id: id.clone() });
        } else {
            self.quiesce(id);
        }
    }

    /// I/O of the volumes stands still from here on.
    pub(super) fn on_quiesce(&mut self, now: Instant, from: NodeId, id: &TxnId) {
        let Some(membership) = self.membership() else { return };
        if membership.master != Some(from)
            || membership.reconfig != id.reconfig
            || !membership.is_member(self.me.node)
        {
            return;
        }
        self.note_quiesce(id);
        let own = self.open.as_ref().filter(|open| open.txn.id == *id && open.is_own);
        let own = own.map(|open| open.txn.clone());
        let why = if own.is_some_and(|txn| self.is_open_again(now, &txn)) {
            "a volume is open again"
        } else if self.open.as_ref().is_some_and(|open| open.txn.id == *id) {
            self.quiesce(id);
            return;
        } else {
            "the transaction is not loaded"
        };
        let (id, why) = (id.clone(), why.to_owned());
        if self.is_master() {
            self.give_up(now, &id, self.me.node, why);
        } else {
            self.send_to_master(&VMessage::Refuse { id, why });
        }
    }

    /// QUIESCE is here: whether the master may have written is known, also where it is refused.
    fn note_quiesce(&mut self, id: &TxnId) {
        if let Some(open) = self.open.as_mut().filter(|open| open.txn.id == *id) {
            open.is_quiescing = true;
        }
        if let Some(unloaded) = self.unloaded.as_mut().filter(|of| of.txn.id == *id) {
            unloaded.is_quiescing = true;
        }
    }

    fn quiesce(&mut self, id: &TxnId) {
        self.note_quiesce(id);
        if let Some(table) = self.tables.get_mut(&id.group) {
            table.frozen = Some(id.clone());
        }
        self.drain(After::Quiesced(id.clone()));
    }

    /// No I/O of the volumes runs here any more.
    pub(super) fn quiesced(&mut self, now: Instant, id: &TxnId) {
        let me = self.me.node;
        let is_master = self.is_master();
        let Some(open) = self.open.as_ref().filter(|open| open.txn.id == *id) else { return };
        if !open.is_shared {
            self.start_writing(now);
        } else if is_master {
            self.on_quiesced(now, me, id);
        } else {
            self.send_to_master(&VMessage::Quiesced { id: id.clone() });
        }
    }

    pub(super) fn on_quiesced(&mut self, now: Instant, from: NodeId, id: &TxnId) {
        let members = self.membership().map(|membership| membership.members);
        let Some(open) = self.open.as_mut().filter(|open| open.txn.id == *id) else { return };
        let Phase::Quiescing { quiesced, .. } = &mut open.phase else { return };
        quiesced.insert(from);
        let all = members.is_some_and(|members| members.difference(*quiesced).is_empty());
        if all {
            self.start_writing(now);
        }
    }

    pub(super) fn quiesce_deadline(&self) -> Option<Instant> {
        match self.open.as_ref()?.phase {
            Phase::Quiescing { deadline, .. } => Some(deadline),
            Phase::Deciding | Phase::Loaded | Phase::Writing { .. } => None,
        }
    }

    pub(super) fn check_quiesce(&mut self, now: Instant) {
        if self.quiesce_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let members = self.membership().map_or(NodeSet::EMPTY, |membership| membership.members);
        let Some(open) = &self.open else { return };
        let Phase::Quiescing { quiesced, .. } = &open.phase else { return };
        let missing = members.difference(*quiesced).first().unwrap_or(self.me.node);
        let id = open.txn.id.clone();
        self.give_up(now, &id, missing, "its I/O does not come to an end".to_owned());
    }

    /// The image of a transaction that commits.
    fn image_of(&self, txn: &Txn, writer: Id) -> Image {
        let before = self.before(txn);
        let mut outcomes = before.map(|image| image.outcomes.clone()).unwrap_or_default();
        outcomes.note(outcome(&txn.id, txn.request, Decision::Committed));
        let earlier = match (&txn.before, self.before(txn)) {
            (Before::InForce(_), Some(image)) => image.earlier_for(&txn.copies),
            (Before::OnDisk(_), Some(image)) => image.earlier_in_doubt(&txn.copies),
            (Before::InForce(_) | Before::Nothing | Before::OnDisk(_), _) => Vec::new(),
        };
        Image {
            slot: txn.slot,
            stamp: txn.id.stamp,
            earlier,
            writer,
            claiming: matches!(txn.before, Before::OnDisk(_)),
            outcomes,
            copies: txn.copies.clone(),
            group: Arc::clone(&txn.group),
        }
    }

    fn start_writing(&mut self, now: Instant) {
        let Some(open) = &self.open else { return };
        let txn = open.txn.clone();
        let made = || Arc::new(self.image_of(&txn, self.me));
        let image = open.image.clone().unwrap_or_else(made);
        let before = self.before(&txn);
        let (mut claims, mut then) = (Vec::new(), Vec::new());
        // On every disk, also where it says the same: so the newest claim is always in the slot of
        // the configuration in force, which is never the one that is written.
        for disk in disks_of_txn(&txn, before.as_deref()) {
            let tenure = txn.tenures.get(&disk).copied().unwrap_or(0);
            let floor = before.as_ref().map_or_else(Stamp::default, |before| before.stamp);
            let claim = table::claim(&image, floor, &disk, tenure, txn.time);
            // An import raises serials: where claims had theirs before any image did, it would look as
            // though the disk had been imported elsewhere. And a disk that says that it is nobody's, or
            // another's, when no image could be written, is lost if it cannot be told otherwise.
            let owner = claim.member.as_ref().map(|member| &member.owner);
            let changes_owner =
                before.as_ref().is_some_and(|before| owner != Some(&before.group.owner));
            let is_later = image.claiming || changes_owner;
            let claims = if is_later { &mut then } else { &mut claims };
            claims.push(Write::Claim(Box::new(claim)));
        }
        // Also where only the one before has copies: no import may take that for the newest.
        let copies = config_disks(&image, &txn).into_iter();
        let mut writes: Vec<Write> =
            copies.map(|disk| Write::Image(disk, Arc::clone(&image))).collect();
        writes.append(&mut claims);
        let Some(open) = &mut self.open else { return };
        let left = writes.len();
        open.phase = Phase::Writing { image, left, written: Written::default(), fault: None, then };
        for write in writes {
            self.write(Purpose::Commit(txn.id.clone()), write);
        }
        if left == 0 {
            self.decide(now);
        }
    }

    /// The configuration that a transaction changes.
    pub(super) fn before(&self, txn: &Txn) -> Option<Arc<Image>> {
        match &txn.before {
            Before::InForce(_) => self.tables.get(&txn.id.group).map(|t| Arc::clone(&t.image)),
            Before::Nothing => None,
            Before::OnDisk(image) => Some(Arc::clone(image)),
        }
    }

    pub(super) fn on_commit_write(
        &mut self,
        now: Instant,
        id: &TxnId,
        disk: UniqueId,
        is_image: bool,
        done: Result<(), DiskError>,
    ) {
        let before = self.open.as_ref().and_then(|open| self.before(&open.txn));
        let open = self.open.as_mut().filter(|open| open.txn.id == *id);
        let Some(Open { phase: Phase::Writing { left, written, fault, .. }, .. }) = open else {
            // It was decided meanwhile; what is to be written back has waited for this.
            self.retry_repairs(now);
            return;
        };
        *left -= 1;
        let is_last = *left == 0;
        written.note(disk.clone(), is_image, done.is_ok());
        if let Err(error) = done {
            let is_new = before.is_none_or(|image| !has_disk(&image.group, &disk));
            if !is_image && is_new {
                *fault = Some(format!("cannot write disk {disk}: {error}"));
            }
            self.notice(IodNotice::CopyFailed { group: id.group.clone(), disk, error });
        }
        if is_last {
            self.decide(now);
        }
    }

    /// All that was to be written is written, or failed.
    fn decide(&mut self, now: Instant) {
        let Some(open) = &mut self.open else { return };
        let id = open.txn.id.clone();
        let Phase::Writing { image, left, written, fault, then } = &mut open.phase else { return };
        let written = written.safe();
        let enough = image.is_enough(&written);
        if enough && fault.is_none() && !then.is_empty() {
            let then = std::mem::take(then);
            *left = then.len();
            for write in then {
                self.write(Purpose::Commit(id.clone()), write);
            }
            return;
        }
        let fault =
            fault.clone().or_else(|| (!enough).then(|| "cvm config update failed".to_owned()));
        if let Some(why) = fault {
            let me = self.me.node;
            self.give_up(now, &id, me, why);
            return;
        }
        let active = open.txn.copies.active(CopyKind::Config);
        let failed = active.filter(|disk| !written.contains(*disk)).cloned().collect();
        let is_shared = open.is_shared;
        open.phase = Phase::Deciding;
        if is_shared {
            self.broadcast(&VMessage::Commit { id, failed });
        } else {
            self.commit(self.me, &failed);
        }
    }

    pub(super) fn on_commit(&mut self, from: NodeId, id: &TxnId, failed: &[UniqueId]) {
        let Some(membership) = self.membership() else { return };
        let known = self.open.as_ref().is_some_and(|open| open.txn.id == *id);
        let writer = membership.id_of(from);
        if membership.reconfig != id.reconfig || !membership.is_member(self.me.node) {
            return;
        }
        match writer.filter(|_| known) {
            Some(writer) => self.commit(writer, failed),
            None => self.alarm("a transaction is in force that is not loaded here"),
        }
    }

    /// The transaction is in force.
    fn commit(&mut self, writer: Id, failed: &[UniqueId]) {
        // Of a private group it is what was written, whatever this vxiod is called since.
        let written =
            self.open.as_ref().filter(|open| !open.is_shared).and_then(|o| o.image.clone());
        let made = |open: &Open| Arc::new(self.image_of(&open.txn, writer));
        let image = written.or_else(|| self.open.as_ref().map(made));
        let (Some(image), Some(Open { txn, is_own, .. })) = (image, self.open.take()) else {
            return;
        };
        let id = txn.id.clone();
        self.note_decided(&id.group, id.stamp);
        self.unloaded.take_if(|of| of.txn.id.group == id.group);
        self.disabled.remove(&id.group);
        let old = self.tables.remove(&id.group);
        if !txn.deports(old.as_ref().map(|table| &*table.image.group)) {
            // A disk that is out may be given to others, and come back with another.
            let is_in = |disk: &UniqueId| has_disk(&txn.group, disk);
            let tenures = txn.tenures.into_iter().filter(|(disk, _)| is_in(disk)).collect();
            if let Some(old) = &old {
                let current = became_current(&old.image.group, &image.group);
                self.wanted.forget_ahead(&id.group, &current);
            }
            let mut table = Table::new(image, tenures);
            table.failed = failed.iter().cloned().collect();
            self.tables.insert(id.group.clone(), table);
        } else {
            self.modes.retain(|(group, _), _| *group != id.group);
            self.forget_opens();
        }
        self.tell_tables();
        let (request, outcome) = (txn.request, Decision::Committed);
        if !is_own {
            self.tell(Upcall::Decided { id, request, outcome, fault: None });
        }
        self.load_late();
        self.resume_if_repaired();
        self.tell_joiners();
        self.leave_if_closed();
    }

    /// vxconfigd gives up what it has made: one that a vxiod has made may have the same name.
    pub(super) fn abandon_asked(&mut self, now: Instant, id: &TxnId, node: NodeId, why: String) {
        if let Some(place) = self.late_loads.iter().position(|late| late.id == *id) {
            // Nobody has loaded it.
            self.late_loads.remove(place);
            let why = format!("node {node}: {why}");
            self.tell(Upcall::Loaded { id: id.clone(), refused: Some(why) });
        } else if self.open.as_ref().is_some_and(|open| !open.is_own) {
            self.give_up(now, id, node, why);
        }
    }

    /// This node wants the transaction to end.
    pub(super) fn give_up(&mut self, now: Instant, id: &TxnId, node: NodeId, why: String) {
        let is_master = self.is_master();
        let Some(open) = self.open.as_mut().filter(|open| open.txn.id == *id) else { return };
        if !open.is_shared {
            let wrote = open.may_be_written();
            if !matches!(open.phase, Phase::Deciding) {
                self.abandon(now, wrote, (node, why), None);
            }
        } else if !is_master {
            self.send_to_master(&VMessage::Refuse { id: id.clone(), why });
        } else if !matches!(open.phase, Phase::Deciding) {
            // Once COMMIT is out it is too late to be of another opinion.
            let wrote = matches!(open.phase, Phase::Writing { .. });
            open.phase = Phase::Deciding;
            let request = open.txn.request;
            self.broadcast(&VMessage::Abandon { id: id.clone(), request, wrote, node, why });
        }
    }

    /// vxconfigd is gone.
    pub(super) fn lose_configd(&mut self, now: Instant) {
        self.late_loads.clear();
        let me = self.me.node;
        let own = self.open.as_ref().filter(|open| !open.is_own);
        if let Some(id) = own.map(|open| open.txn.id.clone()) {
            self.give_up(now, &id, me, "vxconfigd is gone".to_owned());
        }
    }

    pub(super) fn on_abandon(
        &mut self,
        now: Instant,
        from: NodeId,
        id: &TxnId,
        request: RequestId,
        wrote: bool,
        fault: (NodeId, String),
    ) {
        let Some(membership) = self.membership() else { return };
        if membership.master != Some(from) || membership.reconfig != id.reconfig {
            return;
        }
        // Told before the decision: the next thing that the master does may be to give all that to a
        // joiner, and what that is given is what everybody has.
        if !wrote {
            self.note_abandoned(id, request);
        }
        self.unloaded.take_if(|of| of.txn.id == *id);
        if self.open.as_ref().is_some_and(|open| open.txn.id == *id) {
            self.abandon(now, wrote, fault, None);
        } else {
            // It may still be loaded, by a message that comes another way; and the one who asked may
            // be here.
            self.note_decided(&id.group, id.stamp);
            self.tell_tables();
            let (id, outcome) = (id.clone(), Decision::Abandoned);
            if !is_own(&request) {
                self.tell(Upcall::Decided { id, request, outcome, fault: Some(fault) });
            }
        }
    }

    /// What became of the request is known to all who know the group.
    pub(super) fn note_abandoned(&mut self, id: &TxnId, request: RequestId) {
        self.note_decided(&id.group, id.stamp);
        if let Some(table) = self.tables.get_mut(&id.group) {
            let abandoned = outcome(id, request, Decision::Abandoned);
            Arc::make_mut(&mut table.image).outcomes.note(abandoned);
        }
    }

    pub(super) fn note_decided(&mut self, group: &UniqueId, stamp: Stamp) {
        let newest = self.decided.entry(group.clone()).or_default();
        *newest = (*newest).max(stamp);
        if self.decided.len() > DECIDED_MAX {
            // Of the oldest group, nothing is on its way any more.
            let oldest = self.decided.keys().find(|id| !self.tables.contains_key(*id)).cloned();
            oldest.map(|oldest| self.decided.remove(&oldest));
        }
    }

    /// Somebody left: a transaction that is not decided is abandoned (CVM-11, CVM-12). `writer` is
    /// the master that is gone.
    pub(super) fn abandon_in_view(&mut self, now: Instant, left: NodeSet, writer: Option<Id>) {
        if let Some(open) = self.open.as_ref().filter(|open| open.is_shared) {
            let wrote = open.may_be_written();
            let node = left.first().unwrap_or(self.me.node);
            self.abandoned = Some((open.txn.id.clone(), open.txn.request));
            self.abandon(now, wrote, (node, "the node left the cluster".to_owned()), writer);
        }
        // All write the same back, or wait until that is done, whoever is master then.
        if let Some(Unloaded { txn, .. }) = self.unloaded.take().filter(|of| of.is_quiescing) {
            self.note_decided(&txn.id.group, txn.id.stamp);
            if let Some(writer) = writer {
                self.leave_slot_alone(now, &txn, writer);
            }
            self.repairs.insert(txn.id.group.clone(), Repair::new(txn, true));
        }
    }

    fn abandon(
        &mut self,
        now: Instant,
        wrote: bool,
        (node, why): (NodeId, String),
        writer: Option<Id>,
    ) {
        let Some(open) = self.open.take() else { return };
        let Open { txn, is_shared, is_own, .. } = open;
        let (id, request) = (txn.id.clone(), txn.request);
        self.note_decided(&id.group, id.stamp);
        if let Some(writer) = writer.filter(|_| wrote) {
            self.leave_slot_alone(now, &txn, writer);
        }
        if let Some(table) = self.tables.get_mut(&id.group).filter(|_| !wrote) {
            table.frozen = None;
        }
        if !is_shared && !wrote {
            self.note_abandoned(&id, request);
        }
        if wrote {
            self.repairs.insert(id.group.clone(), Repair::new(txn, is_shared));
        }
        let fault = Some((node, why.clone()));
        self.notice(IodNotice::TxnFailed { id: id.clone(), node, why });
        self.tell_tables();
        if is_own {
            self.findings_came_to_nothing(now);
        } else {
            self.tell(Upcall::Decided { id, request, outcome: Decision::Abandoned, fault });
        }
        // In a view of which not everybody has spoken yet, that comes when they have.
        let in_view = self
            .membership()
            .is_some_and(|membership| membership.announces().len() == membership.present().len());
        if !is_shared || in_view && self.is_master() {
            self.start_repairs(now);
            self.resume_if_repaired();
        }
        self.leave_if_closed();
    }
}

/// Groups whose newest stamp is remembered; ids begin with the time when they were made.
const DECIDED_MAX: usize = 1024;

/// All disks of both configurations of a transaction. One that the configuration before counts and
/// that is another group's by now has no tenure in it, and is left alone.
pub(super) fn disks_of_txn(txn: &Txn, before: Option<&Image>) -> BTreeSet<UniqueId> {
    let before = before.into_iter().flat_map(|image| image.group.disks.values());
    let all = before.chain(txn.group.disks.values()).filter_map(|disk| disk.disk.clone());
    all.filter(|disk| txn.tenures.contains_key(disk)).collect()
}

/// Disks with an active copy that an image names, of those of the transaction.
pub(super) fn config_disks(image: &Image, txn: &Txn) -> BTreeSet<UniqueId> {
    let active = image.lists().flat_map(|list| list.active(CopyKind::Config)).cloned();
    active.filter(|disk| txn.tenures.contains_key(disk)).collect()
}

pub(super) fn outcome(id: &TxnId, request: RequestId, decision: Decision) -> Outcome {
    Outcome { request, decision, tid: id.stamp.tid }
}

/// Plexes that were to be copied to, and are read now.
fn became_current(before: &Group, after: &Group) -> Vec<Name> {
    let is_current = |name: &&Name| after.plexes.get(*name).is_some_and(Plex::is_current);
    let copied = before.plexes.iter().filter(|(_, plex)| plex.needs_copy());
    copied.map(|(name, _)| name).filter(is_current).cloned().collect()
}

fn has_disk(group: &Group, disk: &UniqueId) -> bool {
    group.disks.values().any(|dm| dm.disk.as_ref() == Some(disk))
}
