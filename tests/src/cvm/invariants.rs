//! What must hold of CVM at every moment (facts algorithms 6.6, as far as configuration goes).
//!
//! All members read the same messages of port v in one order, and what they agree on depends on
//! nothing else: after the same message all have the same master, members and tables. That is CV1
//! and most of CV3, without looking at clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use core::time::Duration;
use cvm::core::iod::{Iod, Upcall, Write};
use cvm::core::txn::TxnId;
use cvm::disk::{Decision, FoundDisk, FoundSlot, Image, Outcome, RequestId};
use cvm::model::{Epoch, Stamp, UniqueId};
use cvm::request::Reply;
use llt::{Id, Instant, NodeId, NodeSet};

use super::node::Node;
use super::storage::Storage;
use crate::payload::Uid;

/// Where a member stands after a message.
#[derive(Debug, PartialEq)]
struct Stand {
    generation: u64,
    master: Option<NodeId>,
    members: NodeSet,
    reconfig: u64,
    tables: BTreeMap<UniqueId, (Epoch, Arc<Image>)>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// What was wrong since the last step.
    pub faults: Vec<(&'static str, String)>,
    /// What was ever to be written, by group, stamp and writer. After an outage of all nodes a stamp may
    /// be given again, if no disk has kept anything of it.
    images: BTreeMap<UniqueId, BTreeMap<(Stamp, Id), Arc<Image>>>,
    in_force: BTreeMap<UniqueId, BTreeSet<(Stamp, Id)>>,
    abandoned: BTreeSet<RequestId>,
    /// After an outage of all nodes a transaction may be called as another one was.
    decided: BTreeMap<(TxnId, RequestId), (Decision, NodeId)>,
    committed: BTreeSet<RequestId>,
    failed: BTreeSet<RequestId>,
    /// Disabled groups that are being deported.
    drops: u32,
    stands: BTreeMap<Uid, (NodeId, Stand)>,
    looked: Instant,
    /// The latest generation of port v that any member was seen in.
    latest: u64,
    /// How many decisions there were: committed, abandoned.
    pub decisions: (u64, u64),
}

impl Watch {
    fn fault(&mut self, kind: &'static str, text: String) {
        self.faults.push((kind, text));
    }

    /// CV2: what has one stamp, of one writer, is one configuration, on all disks.
    pub fn submitted(&mut self, node: NodeId, write: &Write) {
        let Write::Image(_, image) = write else { return };
        let known = self.images.entry(image.group.id.clone()).or_default();
        let mut unreadable = None;
        let known = known.entry((image.stamp, image.writer)).or_insert_with(|| {
            unreadable = image.encode(u32::MAX).err();
            Arc::clone(image)
        });
        if let Some(error) = unreadable {
            let text = format!("node {node}: {error}: {image:?}");
            self.faults.push(("cvm-unreadable", text));
        }
        if !Arc::ptr_eq(known, image) && known != image {
            let (group, stamp) = (image.group.id.clone(), image.stamp);
            self.fault("cv2-images", format!("node {node}: {group} {stamp} is two things"));
        }
    }

    /// CV3, CV5: what is in force was written, and is not what somebody was told is not. Gives what was
    /// not in force anywhere before.
    pub fn tables(&mut self, iod: &Iod) -> Vec<Arc<Image>> {
        let mut new = Vec::new();
        for (group, table) in iod.tables() {
            let stamp = (table.stamp(), table.image.writer);
            if self.in_force.get(group).is_some_and(|stamps| stamps.contains(&stamp)) {
                continue;
            }
            self.in_force.entry(group.clone()).or_default().insert(stamp);
            new.push(Arc::clone(&table.image));
            let written = self.images.get(group).and_then(|images| images.get(&stamp));
            let is_same = written.is_some_and(|image| {
                image.group == table.image.group
                    && image.copies == table.image.copies
                    && image.slot == table.image.slot
            });
            let (node, (stamp, writer)) = (iod.id().node, stamp);
            if !is_same {
                self.fault(
                    "cv5-unwritten",
                    format!("node {node}: {group} {stamp} of {writer} is in force"),
                );
            }
            let mut outcomes = table.image.outcomes.iter();
            let revived = outcomes.find(|outcome| {
                outcome.decision == Decision::Committed && self.failed.contains(&outcome.request)
            });
            if let Some(Outcome { request, .. }) = revived {
                let text = format!("node {node}: {group} {stamp} has {request}, which failed");
                self.fault("cvm-revived", text);
            }
        }
        new
    }

    /// CV1: members that have read the same message stand at the same point.
    pub fn stands(&mut self, uid: Uid, generation: u64, iod: &Iod) {
        let role = iod.role();
        if !role.is_member {
            return;
        }
        let shared = iod.tables().iter().filter(|(_, table)| table.is_shared());
        let tables =
            shared.map(|(id, table)| (id.clone(), (table.epoch, Arc::clone(&table.image))));
        let (master, members, reconfig) = (role.master, role.members, role.reconfig);
        let stand = Stand { generation, master, members, reconfig, tables: tables.collect() };
        let node = iod.id().node;
        let Some((other, known)) = self.stands.get(&uid) else {
            self.stands.insert(uid, (node, stand));
            return;
        };
        if *known != stand {
            let text =
                format!("after message {uid}: {node} and {other}: {}", unlike(&stand, known));
            self.fault("cv1-stands", text);
        }
    }

    /// CV3: a transaction is committed by all that decide it, or abandoned by all.
    pub fn upcall(&mut self, node: NodeId, upcall: &Upcall) {
        let Upcall::Decided { id, request, outcome, .. } = upcall else { return };
        let key = (id.clone(), *request);
        let first = !self.decided.contains_key(&key);
        let (known, other) = *self.decided.entry(key).or_insert((*outcome, node));
        if known != *outcome {
            self.fault("cv3-decisions", format!("{id}: {node} {outcome:?}, {other} {known:?}"));
        }
        match outcome {
            Decision::Committed => {
                self.decisions.0 += u64::from(first);
                self.committed.insert(*request);
                if self.failed.contains(request) {
                    self.fault("cvm-told", format!("{request} failed, and {id} is committed"));
                }
            }
            Decision::Abandoned => {
                self.decisions.1 += u64::from(first);
                self.abandoned.insert(*request);
            }
        }
        if self.committed.contains(request) && self.abandoned.contains(request) {
            self.fault("cv3-requests", format!("{id}: {request} is committed and abandoned"));
        }
    }

    /// A disabled group is deported: that is done without a transaction.
    pub fn drop_asked(&mut self) {
        self.drops += 1;
    }

    /// What a utility was told is what happened.
    pub fn told(&mut self, request: Option<RequestId>, reply: &Reply) {
        let Some(request) = request else { return };
        let is_committed = self.committed.contains(&request);
        match reply {
            Reply::Done if !is_committed && self.drops > 0 => self.drops -= 1,
            Reply::Done if !is_committed => {
                self.fault("cvm-told", format!("{request} is done, and nobody committed it"));
            }
            Reply::Failed(_) if is_committed => {
                self.fault("cvm-told", format!("{request} has failed, and was committed"));
            }
            Reply::Failed(_) => {
                self.failed.insert(request);
            }
            _ => {}
        }
    }

    /// CV5, CV6: an import would find what is in force, or what the master of the moment is about to
    /// put in force: never less, and never what somebody left that is out.
    pub fn look_at_disks(
        &mut self,
        now: Instant,
        nodes: &[Node],
        stopped: &[bool],
        leases: &[bool],
        storage: &Storage,
    ) {
        /// Reading all disks takes a while in real time, too.
        const EVERY: Duration = Duration::from_millis(100);
        if now < self.looked + EVERY {
            return;
        }
        self.looked = now;
        let found = storage.disks.found();
        self.look_at_writers(&found);
        // Who stands still while all others leave and begin anew does not know of it, and counts no more;
        // nor who goes on when they are gone.
        let there = || nodes.iter().filter(|node| node.member().is_some());
        self.latest = there().map(|node| node.generation).fold(self.latest, u64::max);
        let latest = self.latest;
        let counts = |node: &&Node| leases[node.id.index()] || node.generation == latest;
        let members: Vec<&Iod> = there().filter(counts).filter_map(Node::member).collect();
        let mut newest: BTreeMap<&UniqueId, Stamp> = BTreeMap::new();
        for (id, table) in members.iter().flat_map(|iod| iod.tables()) {
            let stamp = newest.entry(id).or_default();
            *stamp = (*stamp).max(table.stamp());
        }
        // One that stands still may have a successor, and be all that is left.
        let master = settled_master(nodes, &members).filter(|id| !stopped[id.node.index()]);
        for (group, in_force) in newest {
            // Disks that are dead may make an import impossible.
            let Ok(choice) = cvm::sim::import(&found, group) else { continue };
            let (stamp, writer) = (choice.image.stamp, choice.image.writer);
            if stamp < in_force {
                let text = format!("{group}: {in_force} is in force, an import finds {stamp}");
                self.fault("cv5-older", text);
            }
            if stamp > in_force && master.is_some_and(|master| master != writer) {
                let text = format!("{group}: {in_force} is in force, {stamp} of {writer} on disk");
                self.fault("cv6-lost-writer", text);
            }
        }
    }

    /// CV1: no two writers have put something under one stamp on the disks.
    fn look_at_writers(&mut self, found: &[FoundDisk]) {
        let mut writers: BTreeMap<(UniqueId, Stamp), Id> = BTreeMap::new();
        let slots = found.iter().flat_map(|disk| disk.slots.iter().map(move |slot| (disk, slot)));
        for (disk, slot) in slots {
            let FoundSlot::Image(image) = slot else { continue };
            // What lies on a disk that is not the group's is read by nobody, and an import that does not
            // see the disk does not know its stamp.
            if disk.claims.member().is_none_or(|member| member.group != image.group.id) {
                continue;
            }
            let key = (image.group.id.clone(), image.stamp);
            let writer = *writers.entry(key.clone()).or_insert(image.writer);
            if writer != image.writer {
                let (group, stamp) = key;
                let text = format!("{group} {stamp} of {writer} and {}", image.writer);
                self.fault("cv1-writers", text);
            }
        }
    }
}

/// What is different, for people.
fn unlike(one: &Stand, other: &Stand) -> String {
    let plain = |stand: &Stand| (stand.generation, stand.master, stand.members, stand.reconfig);
    let ids: BTreeSet<_> = one.tables.keys().chain(other.tables.keys()).collect();
    let tables = ids.into_iter().filter(|id| one.tables.get(*id) != other.tables.get(*id));
    let table = |stand: &Stand, id: &UniqueId| {
        stand.tables.get(id).map(|(epoch, image)| {
            let group = (image.group.disks.len(), image.group.volumes.len());
            let outcomes = short(image);
            (*epoch, image.stamp, image.slot, image.earlier.len(), image.claiming, group, outcomes)
        })
    };
    let tables: Vec<_> = tables.map(|id| (id, table(one, id), table(other, id))).collect();
    format!("{:?}, {:?}, {tables:?}", plain(one), plain(other))
}

/// The newest outcomes that an image has.
pub(super) fn short(image: &Image) -> String {
    let outcome =
        |outcome: &Outcome| format!("{} {} {:?}", outcome.tid, outcome.request, outcome.decision);
    let count = image.outcomes.iter().len();
    let newest = image.outcomes.iter().skip(count.saturating_sub(2)).map(outcome);
    format!("{count}: {}", newest.collect::<Vec<_>>().join(", "))
}

/// The vxiod of the master, if all members agree on it and it can speak for itself. One whose members
/// are somewhere else stood still: the others have had a successor since, and may be gone by now.
fn settled_master(nodes: &[Node], members: &[&Iod]) -> Option<Id> {
    let roles: Vec<_> = members.iter().map(|iod| iod.role()).collect();
    let master = roles.first()?.master?;
    let is_there = |node: NodeId| nodes[node.index()].member().is_some();
    let agree = roles.iter().all(|role| {
        role.master == Some(master) && !role.is_suspended && role.members.iter().all(is_there)
    });
    let iod = nodes[master.index()].member().filter(|_| agree)?;
    Some(iod.id())
}
