//! The first half of a transaction: everybody checks it and loads it; the rest is vxiod's (design 2).
//!
//! ```text
//! master     PRECHECK -> Checking -> own vxiod loads -> LOAD -> Loading -> BEGIN -> Deciding
//! everybody            check, VOTE                      load, LOADED            told what was decided
//! ```
//! The master's vxiod loads first: from then on it can tell everybody that it is abandoned.

use bytes::Bytes;
use llt::{Instant, NodeId, NodeSet};

use super::import::UNDONE;
use super::plan::Plan;
use super::requests::Waiting;
use super::{Configd, ConfigdNotice, Scan, Work};
use crate::core::iod::{Command, RECONFIGURES};
use crate::core::txn::{Before, Txn, TxnId};
use crate::core::wire::w::{Base, Precheck, WMessage};
use crate::disk::RequestId;
use crate::model::Group;
use crate::model::change::Change;
use crate::request::Failure;

/// A transaction that this node drives.
#[derive(Clone, Debug)]
pub(super) struct Driven {
    pub(super) precheck: Precheck,
    /// All nodes take part.
    pub(super) is_shared: bool,
    waiting: Waiting,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Votes are awaited.
    Checking { votes: NodeSet, deadline: Instant },
    /// The own vxiod is to load it.
    LoadingHere,
    /// All others are to load it.
    Loading { loaded: NodeSet, deadline: Instant },
    /// vxiod has it.
    Deciding,
}

impl Driven {
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Checking { deadline, .. } | Phase::Loading { deadline, .. } => Some(deadline),
            Phase::Deciding | Phase::LoadingHere => None,
        }
    }

    /// No vxiod has it yet.
    pub(super) const fn is_put_aside_easily(&self) -> bool {
        matches!(self.phase, Phase::Checking { .. })
    }

    /// vxiod was told to carry it out.
    pub(super) const fn is_begun(&self) -> bool {
        matches!(self.phase, Phase::Deciding)
    }
}

/// A vxconfigd that is not there (facts 3.7): no configuration is changed without it.
pub(super) fn missing(node: NodeId) -> Failure {
    Failure::with_id("V-5-1-2197", format!("node {node}: missing vxconfigd"))
}

impl Configd {
    /// Begins to carry out what a request makes of the configuration.
    pub(super) fn drive(&mut self, now: Instant, waiting: Waiting, mut plan: Plan) {
        // One that was put aside has left votes about its name behind.
        let used = self.used.entry(plan.group.id.clone()).or_default();
        if plan.stamp <= *used && plan.stamp.epoch == used.epoch {
            plan.stamp.tid.0 = used.tid.0 + 1;
        }
        *used = plan.stamp;
        let reconfig = if plan.is_shared { self.role.reconfig } else { 0 };
        let id = TxnId { group: plan.group.id.clone(), stamp: plan.stamp, reconfig };
        if let Some(node) = self.role.members.difference(self.present).first()
            && plan.is_shared
        {
            self.fail(waiting.id, missing(node));
            return;
        }
        let is_shared = plan.is_shared;
        let precheck = match self.precheck(id, waiting.id, plan) {
            Ok(precheck) => precheck,
            Err(failure) => {
                self.fail(waiting.id, failure);
                return;
            }
        };
        let phase = if is_shared {
            self.broadcast(&WMessage::Precheck(Box::new(precheck.clone())));
            Phase::Checking { votes: NodeSet::EMPTY, deadline: now + self.config.answer_limit }
        } else {
            self.command(Command::Load(Box::new(precheck.clone())));
            Phase::LoadingHere
        };
        self.work = Work::Txn(Box::new(Driven { precheck, is_shared, waiting, phase }));
    }

    /// What is sent to all of a plan.
    fn precheck(&self, id: TxnId, request: RequestId, plan: Plan) -> Result<Precheck, Failure> {
        let (base, old) = match plan.before {
            Before::InForce(stamp) => {
                (Base::InForce(stamp), self.tables.get(&id.group).map(|table| &table.image))
            }
            Before::Nothing => (Base::Nothing, None),
            Before::OnDisk(ref image) => {
                let bytes = image.encode(u32::MAX).map_err(|e| Failure::plain(e.to_string()))?;
                (Base::OnDisk(Bytes::from(bytes), image.slot), Some(image))
            }
        };
        Ok(Precheck {
            id,
            request,
            base,
            change: Change::between(old.map(|image| &*image.group), &plan.group),
            copies: plan.copies.iter().map(|(disk, copies)| (disk.clone(), copies)).collect(),
            tenures: plan.tenures,
            time: plan.time,
            slot: plan.slot,
            volumes: plan.volumes,
            closed: plan.closed,
            disks: plan.check,
        })
    }

    /// The master asks whether anything is in the way of a change here (CVM-02, CVM-03).
    pub(super) fn on_precheck(&mut self, from: NodeId, precheck: Precheck) {
        // The master has one at a time: what was to be checked before is forgotten.
        self.drop_checks();
        // The master's vxiod and vxconfigd may be ahead of those here, for port w is another port.
        // What this node is not concerned with waits here until the next one comes.
        let table = self.tables.get(&precheck.id.group);
        let is_behind = match &precheck.base {
            Base::InForce(stamp) => table.is_none_or(|table| table.image.stamp < *stamp),
            Base::Nothing | Base::OnDisk(..) => false,
        };
        if self.role.master != Some(from) || !self.role.is_member || is_behind {
            self.early_precheck = Some((from, Box::new(precheck)));
            return;
        }
        self.early_precheck = None;
        if precheck.disks.is_empty() {
            self.check(from, precheck);
        } else {
            self.scan(Scan::Check(Box::new(precheck), from));
        }
    }

    /// What was checked, or is to be when the disks are looked at, is not loaded any more.
    fn drop_checks(&mut self) {
        self.checked = None;
        for scan in self.scans.iter_mut().filter(|scan| matches!(scan, Scan::Check(..))) {
            *scan = Scan::Look;
        }
    }

    /// vxiod has told more.
    pub(super) fn look_at_early_precheck(&mut self) {
        if let Some((from, precheck)) = self.early_precheck.take() {
            self.on_precheck(from, *precheck);
        }
    }

    /// The disks were looked at, if that was needed.
    pub(super) fn check(&mut self, from: NodeId, precheck: Precheck) {
        let refused = self.in_the_way(&precheck);
        let id = precheck.id.clone();
        self.checked = refused.is_none().then(|| Box::new(precheck));
        if self.role.master == Some(from) {
            self.send_to(from, &WMessage::Vote { id, refused });
        }
    }

    /// What is in the way of a change here. Whether it fits what is in force vxiod sees when it loads
    /// it; what comes of it is made here only for the sake of private groups.
    fn in_the_way(&self, precheck: &Precheck) -> Option<String> {
        if self.tables.values().any(|table| !table.image.group.is_shared()) {
            let in_force = self.tables.get(&precheck.id.group).map(|table| &table.image);
            // A plex may have been taken off since the master has made it: then it begins anew, which
            // the master's vxiod sees to.
            let is_older = matches!((&precheck.base, in_force), (Base::InForce(stamp), Some(image))
                if *stamp < image.stamp);
            let txn = Txn::of(precheck, in_force);
            if is_older {
                return None;
            }
            if let Err(why) = txn.and_then(|txn| self.check_private(&txn.group)) {
                return Some(why);
            }
        }
        // CVM-04.
        let missing = precheck.disks.iter().find(|id| self.found_by_id(id).is_none());
        missing.map(|disk| format!("cannot access disk {disk}"))
    }

    /// CVM-03: what this node has for itself must not collide with a shared group.
    pub(super) fn check_private(&self, group: &Group) -> Result<(), String> {
        if !group.is_shared() {
            // It is about to be nobody's, or somebody else's.
            return Ok(());
        }
        let others = self.tables.values().map(|table| &table.image.group);
        for private in others.filter(|other| !other.is_shared() && other.id != group.id) {
            if private.name == group.name {
                return Err("Disk group exists and is imported".to_owned());
            }
            let taken = private.volumes.values().map(|volume| volume.minor);
            let ours: Vec<u32> = group.volumes.values().map(|volume| volume.minor).collect();
            if taken.into_iter().any(|minor| ours.contains(&minor)) {
                return Err("minor number conflict".to_owned());
            }
        }
        Ok(())
    }

    pub(super) fn on_vote(
        &mut self,
        now: Instant,
        from: NodeId,
        id: &TxnId,
        refused: Option<String>,
    ) {
        if !self.role.members.contains(from) {
            return;
        }
        if let Some(why) = refused {
            if self.drives(id) {
                self.fault(now, from, why);
            }
            return;
        }
        let members = self.role.members;
        let Work::Txn(driven) = &mut self.work else { return };
        let Phase::Checking { votes, .. } = &mut driven.phase else { return };
        if driven.precheck.id != *id {
            return;
        }
        votes.insert(from);
        if members.difference(*votes).is_empty() {
            driven.phase = Phase::LoadingHere;
            let precheck = driven.precheck.clone();
            self.command(Command::Load(Box::new(precheck)));
        }
    }

    fn drives(&self, id: &TxnId) -> bool {
        matches!(&self.work, Work::Txn(driven) if driven.precheck.id == *id)
    }

    pub(super) fn on_load(&mut self, from: NodeId, id: &TxnId) {
        // Joiners hear it, too.
        if self.role.master != Some(from) || from == self.me.node || !self.role.is_member {
            return;
        }
        match self.checked.take_if(|precheck| precheck.id == *id) {
            Some(precheck) => {
                self.loaded.insert(precheck.id.clone(), precheck.request);
                self.command(Command::Load(precheck));
            }
            None => {
                let refused = Some("the change was not checked here".to_owned());
                self.send_to(from, &WMessage::Loaded { id: id.clone(), refused });
            }
        }
    }

    /// The own vxiod has loaded it, or refuses to.
    pub(super) fn on_own_loaded(&mut self, now: Instant, id: &TxnId, refused: Option<String>) {
        if !self.drives(id) {
            if refused.is_some() {
                self.loaded.remove(id);
            }
            if let Some(master) = self.role.master.filter(|master| *master != self.me.node) {
                self.send_to(master, &WMessage::Loaded { id: id.clone(), refused });
            }
            return;
        }
        let deadline = now + self.config.answer_limit;
        let me = self.me.node;
        let members = self.role.members;
        if refused.is_some() && self.is_overtaken(id) {
            // A plex was taken off meanwhile: it begins anew with what is in force now.
            self.put_aside();
            self.next_work(now);
            return;
        }
        if refused.as_deref() == Some(RECONFIGURES) && self.role.is_member {
            // Nobody has it: it begins anew when that is over (CVM-14), if this node is master still.
            self.put_aside();
            self.refuse_others();
            return;
        }
        let Work::Txn(driven) = &mut self.work else { return };
        if let Some(why) = refused {
            // Nobody else has it.
            let id = driven.waiting.id;
            self.work = Work::Idle;
            self.notice(ConfigdNotice::Failed { node: me, text: why.clone() });
            self.fail(id, Failure::told(why));
            self.next_work(now);
            return;
        }
        let alone = !driven.is_shared || members.len() == 1;
        if alone {
            driven.phase = Phase::Deciding;
            self.command(Command::Begin { id: id.clone() });
        } else {
            let loaded = [me].into_iter().collect();
            driven.phase = Phase::Loading { loaded, deadline };
            self.broadcast(&WMessage::Load { id: id.clone() });
        }
    }

    /// What it was to change is not in force any more, or its name is taken.
    fn is_overtaken(&self, id: &TxnId) -> bool {
        let Work::Txn(driven) = &self.work else { return false };
        let (base, table) = (&driven.precheck.base, self.tables.get(&id.group));
        match (base, table) {
            (Base::InForce(stamp), Some(table)) => {
                table.image.stamp != *stamp || table.next > id.stamp
            }
            (Base::InForce(_) | Base::Nothing | Base::OnDisk(..), _) => false,
        }
    }

    pub(super) fn on_loaded(
        &mut self,
        now: Instant,
        from: NodeId,
        id: &TxnId,
        refused: Option<String>,
    ) {
        if !self.drives(id) || !self.role.members.contains(from) {
            return;
        }
        if let Some(why) = refused {
            self.fault(now, from, why);
            return;
        }
        let members = self.role.members;
        let Work::Txn(driven) = &mut self.work else { return };
        let Phase::Loading { loaded, .. } = &mut driven.phase else { return };
        loaded.insert(from);
        if members.difference(*loaded).is_empty() {
            driven.phase = Phase::Deciding;
            self.command(Command::Begin { id: id.clone() });
        }
    }

    /// Something is wrong at a node with what is under way.
    pub(super) fn fault(&mut self, now: Instant, node: NodeId, why: String) {
        if matches!(&self.work, Work::Txn(driven) if driven.is_shared) {
            self.stop_work(now, node, why);
        }
    }

    fn stop_work(&mut self, now: Instant, node: NodeId, why: String) {
        let Work::Txn(driven) = &mut self.work else { return };
        let (id, request) = (driven.precheck.id.clone(), driven.waiting.id);
        match driven.phase {
            Phase::Checking { .. } => {
                self.work = Work::Idle;
                self.broadcast(&WMessage::Forget { id });
                self.notice(ConfigdNotice::Failed { node, text: why.clone() });
                self.fail(request, Failure::told(format!("node {node}: {why}")));
                self.next_work(now);
            }
            Phase::Deciding | Phase::Loading { .. } | Phase::LoadingHere => {
                driven.phase = Phase::Deciding;
                self.command(Command::Abandon { id, node, why });
            }
        }
    }

    /// What was found on the disks, or not found, is being undone: a vxconfigd that is gone had begun it,
    /// and vxiod has told this one only now.
    pub(super) fn fault_undone(&mut self, now: Instant) {
        let Work::Txn(driven) = &self.work else { return };
        let id = &driven.precheck.id.group;
        let is_found = !matches!(driven.precheck.base, Base::InForce(_));
        if !driven.is_begun() && is_found && self.repairing.contains(id) {
            self.stop_work(now, self.me.node, UNDONE.to_owned());
        }
    }

    pub(super) fn on_forget(&mut self, from: NodeId, id: &TxnId) {
        self.early_precheck.take_if(|(by, precheck)| *by == from && precheck.id == *id);
        let is_checked = self.checked.as_ref().is_some_and(|precheck| precheck.id == *id);
        let is_to_be = |scan: &Scan| matches!(scan, Scan::Check(check, _) if check.id == *id);
        if self.role.master == Some(from) && (is_checked || self.scans.iter().any(is_to_be)) {
            self.drop_checks();
        }
    }

    /// A join goes first: what nobody has loaded yet begins anew afterwards (CVM-14).
    pub(super) fn put_aside(&mut self) {
        let Work::Txn(driven) = std::mem::replace(&mut self.work, Work::Idle) else { return };
        if driven.is_shared {
            self.broadcast(&WMessage::Forget { id: driven.precheck.id });
        }
        self.requests.queue.push_front(driven.waiting);
    }

    /// The cluster has changed: what nobody has loaded yet begins anew, what was loaded is decided.
    pub(super) fn drop_work(&mut self) {
        match &self.work {
            Work::Txn(driven) if driven.is_shared && driven.is_put_aside_easily() => {
                self.put_aside();
            }
            Work::Join(_) => self.work = Work::Idle,
            Work::Idle | Work::Txn(_) => {}
        }
    }

    pub(super) fn check_answers(&mut self, now: Instant) {
        let members = self.role.members;
        let late = match &self.work {
            Work::Txn(driven) if driven.deadline().is_some_and(|deadline| deadline <= now) => {
                let answered = match driven.phase {
                    Phase::Checking { votes, .. } => votes,
                    Phase::Loading { loaded, .. } => loaded,
                    Phase::Deciding | Phase::LoadingHere => members,
                };
                // Out of the cluster there is nobody to wait for, and nothing comes of it.
                members.difference(answered).first().or(Some(self.me.node))
            }
            Work::Idle | Work::Join(_) | Work::Txn(_) => None,
        };
        if let Some(node) = late {
            self.fault(now, node, "vxconfigd does not answer".to_owned());
        }
        self.check_join(now);
    }
}
