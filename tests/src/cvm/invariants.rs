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
use cvm::disk::{Decision, Image, RequestId};
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
    /// What was ever to be written, by group and stamp.
    images: BTreeMap<UniqueId, BTreeMap<Stamp, Arc<Image>>>,
    in_force: BTreeMap<UniqueId, BTreeSet<Stamp>>,
    abandoned: BTreeMap<UniqueId, BTreeMap<Stamp, RequestId>>,
    decided: BTreeMap<TxnId, (Decision, NodeId)>,
    committed: BTreeSet<RequestId>,
    failed: BTreeSet<RequestId>,
    stands: BTreeMap<Uid, (NodeId, Stand)>,
    looked: Instant,
    /// How many decisions there were: committed, abandoned.
    pub decisions: (u64, u64),
}

impl Watch {
    fn fault(&mut self, kind: &'static str, text: String) {
        self.faults.push((kind, text));
    }

    /// CV2: what has one stamp is one configuration, on all disks. CV1: and of one writer, for of two
    /// masters the later one counts on.
    pub fn submitted(&mut self, node: NodeId, write: &Write) {
        let Write::Image(_, image) = write else { return };
        let known = self.images.entry(image.group.id.clone()).or_default();
        let known = known.entry(image.stamp).or_insert_with(|| Arc::clone(image));
        if !Arc::ptr_eq(known, image) && known != image {
            let kind = if known.writer == image.writer { "cv2-images" } else { "cv1-writers" };
            let (group, stamp) = (image.group.id.clone(), image.stamp);
            let text =
                format!("node {node}: {group} {stamp} of {} and {}", known.writer, image.writer);
            self.fault(kind, text);
        }
    }

    /// CV3, CV5: what is in force was written, and was not abandoned.
    pub fn tables(&mut self, iod: &Iod) {
        for (group, table) in iod.tables() {
            let stamp = table.stamp();
            if self.in_force.get(group).is_some_and(|stamps| stamps.contains(&stamp)) {
                continue;
            }
            self.in_force.entry(group.clone()).or_default().insert(stamp);
            let written = self.images.get(group).and_then(|images| images.get(&stamp));
            let is_same = written.is_some_and(|image| {
                image.group == table.image.group
                    && image.copies == table.image.copies
                    && image.writer == table.image.writer
                    && image.slot == table.image.slot
            });
            let node = iod.id().node;
            if !is_same {
                self.fault("cv5-unwritten", format!("node {node}: {group} {stamp} is in force"));
            }
            if self.abandoned.get(group).is_some_and(|stamps| stamps.contains_key(&stamp)) {
                self.fault("cv3-abandoned", format!("node {node}: {group} {stamp} is in force"));
            }
        }
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
            let text = format!("after message {uid}: {node} has {stand:?}, {other} {known:?}");
            self.fault("cv1-stands", text);
        }
    }

    /// CV3: a transaction is committed by all that decide it, or abandoned by all.
    pub fn upcall(&mut self, node: NodeId, upcall: &Upcall) {
        let Upcall::Decided { id, request, outcome, .. } = upcall else { return };
        let first = !self.decided.contains_key(id);
        let (known, other) = *self.decided.entry(id.clone()).or_insert((*outcome, node));
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
                let stamps = self.abandoned.entry(id.group.clone()).or_default();
                stamps.insert(id.stamp, *request);
                if self.in_force.get(&id.group).is_some_and(|stamps| stamps.contains(&id.stamp)) {
                    self.fault("cv3-abandoned", format!("node {node}: {id} was in force"));
                }
            }
        }
    }

    /// What a utility was told is what happened.
    pub fn told(&mut self, request: Option<RequestId>, reply: &Reply) {
        let Some(request) = request else { return };
        let is_committed = self.committed.contains(&request);
        match reply {
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
    pub fn look_at_disks(&mut self, now: Instant, nodes: &[Node], storage: &Storage) {
        /// Reading all disks takes a while in real time, too.
        const EVERY: Duration = Duration::from_millis(100);
        if now < self.looked + EVERY {
            return;
        }
        self.looked = now;
        let members: Vec<&Iod> = nodes.iter().filter_map(Node::member).collect();
        let mut newest: BTreeMap<&UniqueId, Stamp> = BTreeMap::new();
        for (id, table) in members.iter().flat_map(|iod| iod.tables()) {
            let stamp = newest.entry(id).or_default();
            *stamp = (*stamp).max(table.stamp());
        }
        let master = settled_master(nodes, &members);
        for (group, in_force) in newest {
            // Disks that are dead may make an import impossible.
            let Ok(choice) = storage.disks.import(group) else { continue };
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
}

/// The vxiod of the master, if all members agree on it and it can speak for itself.
fn settled_master(nodes: &[Node], members: &[&Iod]) -> Option<Id> {
    let roles: Vec<_> = members.iter().map(|iod| iod.role()).collect();
    let master = roles.first()?.master?;
    let agree = roles.iter().all(|role| role.master == Some(master) && !role.is_suspended);
    let iod = nodes[master.index()].member().filter(|_| agree)?;
    Some(iod.id())
}
