//! Nodes, the port between them and their disks. One step at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cvm::core::iod::{Command, Iod, IodConfig, IodNotice, IodOutput, Upcall, Write};
use cvm::core::txn::{Before, Txn, TxnId};
use cvm::disk::{CopyList, Decision, Image, RequestId};
use cvm::model::{Group, Stamp, UniqueId};
use llt::{Duration, Id, Incarnation, Instant, NodeId};

use crate::bus::{Bus, Event};
use crate::disks::{Disks, Fate};

pub(crate) fn node(number: u8) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A node with its vxiod, and what stands for its vxconfigd.
pub(crate) struct Node {
    pub(crate) iod: Iod,
    out: VecDeque<IodOutput>,
    upcalls: VecDeque<Upcall>,
    /// What its vxconfigd was told of transactions.
    pub(crate) told: Vec<(RequestId, Decision)>,
    is_up: bool,
    is_frozen: bool,
    has_configd: bool,
}

/// A transaction that a master's vxconfigd drives.
struct Driven {
    master: NodeId,
    txn: Txn,
    to_load: VecDeque<NodeId>,
    loaded: BTreeSet<NodeId>,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) bus: Bus,
    pub(crate) disks: Disks,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    driven: Option<Driven>,
    late: Vec<Write>,
    /// Time does not pass this: late writes are late by no more than a lease and a disk's time.
    pub(crate) horizon: Option<Instant>,
    /// What the vxiods had to say.
    pub(crate) notices: Vec<(NodeId, IodNotice)>,
    requests: u64,
    random: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_millis(1000),
            bus: Bus::default(),
            disks: Disks::default(),
            nodes: BTreeMap::new(),
            driven: None,
            late: Vec::new(),
            horizon: None,
            notices: Vec::new(),
            requests: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Nodes 0 to `count` are members of the cluster.
    pub(crate) fn formed(seed: u64, count: u8) -> Self {
        let mut world = Self::new(seed);
        for number in 0..count {
            world.boot(node(number));
            world.settle();
        }
        for number in 0..count {
            assert!(world.nodes[&node(number)].iod.role().is_member, "node {number} has joined");
        }
        world
    }

    pub(crate) fn boot(&mut self, node: NodeId) {
        let incarnation = Incarnation(self.now.as_nanos());
        let mut iod = Iod::new(Id { node, incarnation }, IodConfig::default());
        iod.handle_configd(self.now, true);
        iod.handle_command(self.now, Command::StartNode);
        let told = self.nodes.remove(&node).map(|node| node.told).unwrap_or_default();
        let new = Node {
            iod,
            out: VecDeque::new(),
            upcalls: VecDeque::new(),
            told,
            is_up: true,
            is_frozen: false,
            has_configd: true,
        };
        self.nodes.insert(node, new);
        self.collect(node);
    }

    /// The process is gone, between two steps.
    pub(crate) fn crash(&mut self, node: NodeId, fate: Fate) {
        let Some(gone) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        gone.is_up = false;
        gone.out.clear();
        gone.upcalls.clear();
        self.late.extend(self.disks.orphan(node, fate));
        self.lose_driver(node);
        let keep = if self.bus.unread() > 0 { self.draw(self.bus.unread() + 1) } else { 0 };
        self.bus.leave(node, keep);
    }

    /// The process stands still, and the others throw it out.
    pub(crate) fn freeze(&mut self, node: NodeId) {
        let Some(frozen) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        frozen.is_frozen = true;
        self.lose_driver(node);
        let keep = if self.bus.unread() > 0 { self.draw(self.bus.unread() + 1) } else { 0 };
        self.bus.leave(node, keep);
    }

    /// It goes on where it stood, does what it had begun, and then learns that it is out.
    pub(crate) fn thaw(&mut self, node: NodeId) {
        let Some(frozen) = self.nodes.get_mut(&node).filter(|node| node.is_frozen) else { return };
        frozen.is_frozen = false;
        for _ in 0..200 {
            if !self.output(node) && !self.complete(node) {
                break;
            }
        }
        let now = self.now;
        if let Some(frozen) = self.nodes.get_mut(&node) {
            frozen.iod.handle_closed(now, "this node was ejected from the cluster");
        }
        self.collect(node);
    }

    pub(crate) fn kill_configd(&mut self, node: NodeId) {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        state.has_configd = false;
        state.upcalls.clear();
        state.iod.handle_configd(now, false);
        self.lose_driver(node);
        // Port w shows it to the master's.
        self.complain(node, "vxconfigd is gone");
        self.collect(node);
    }

    pub(crate) fn start_configd(&mut self, node: NodeId) {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        state.has_configd = true;
        state.iod.handle_configd(now, true);
        self.collect(node);
    }

    fn lose_driver(&mut self, node: NodeId) {
        if self.driven.as_ref().is_some_and(|driven| driven.master == node) {
            self.driven = None;
        }
    }

    /// The master's vxconfigd hears that something is wrong at a node.
    fn complain(&mut self, at: NodeId, why: &str) {
        let Some(driven) = &self.driven else { return };
        let (master, id, why) = (driven.master, driven.txn.id.clone(), why.to_owned());
        self.driven = None;
        self.command(master, Command::Abandon { id, node: at, why });
    }

    pub(crate) fn command(&mut self, node: NodeId, command: Command) {
        let now = self.now;
        if let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) {
            state.iod.handle_command(now, command);
            self.collect(node);
        }
    }

    pub(crate) fn master(&self) -> Option<NodeId> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up && !node.is_frozen);
        let masters = up.filter(|(id, node)| node.iod.role().master == Some(**id));
        masters.map(|(id, _)| *id).next()
    }

    /// The master's vxconfigd begins a transaction that makes `group` the configuration in force.
    pub(crate) fn begin(&mut self, group: &Arc<Group>, before: Before) -> RequestId {
        let master = self.master().unwrap();
        let iod = &self.nodes[&master].iod;
        let origin = iod.id();
        self.requests += 1;
        let request = RequestId { origin, number: self.requests };
        let table = iod.tables().get(&group.id);
        let found = match &before {
            Before::OnDisk(image) => image.stamp,
            Before::InForce(_) | Before::Nothing => Stamp::default(),
        };
        let in_force = match &before {
            Before::OnDisk(image) => Some(image.slot),
            Before::InForce(_) | Before::Nothing => table.map(|table| table.slot()),
        };
        let disks = group.disks.values().filter_map(|disk| disk.disk.as_ref());
        let slot = iod.free_slot(in_force, disks);
        let stamp = iod.next_stamp(&group.id, found);
        let id = TxnId { group: group.id.clone(), stamp, reconfig: iod.role().reconfig };
        let held = table.map(|table| table.image.copies.clone()).unwrap_or_default();
        let copies = held.assign(group, &BTreeSet::new());
        let claim = |disk: &UniqueId| self.disks.claim(disk);
        let tenure = |disk: UniqueId| {
            let newest = claim(&disk);
            let same = newest.as_ref().and_then(|claim| claim.member.as_ref());
            let is_ours = same.is_some_and(|member| member.group == group.id);
            let tenure = newest.as_ref().map_or(0, |claim| claim.tenure);
            (disk, if is_ours { tenure } else { tenure + 1 })
        };
        let disks = group.disks.values().filter_map(|disk| disk.disk.clone());
        let tenures = disks.map(tenure).collect();
        let txn = Txn {
            id,
            request,
            before,
            group: Arc::clone(group),
            copies,
            tenures,
            time: 0,
            slot: slot.unwrap(),
            volumes: group.volumes.keys().cloned().collect(),
            closed: Vec::new(),
        };
        let to_load = iod.role().members.iter().collect();
        self.driven = Some(Driven { master, txn, to_load, loaded: BTreeSet::new() });
        request
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % below as u64).unwrap()
    }

    /// Takes what a machine wants done.
    fn collect(&mut self, node: NodeId) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        while let Some(output) = state.iod.poll_output() {
            state.out.push_back(output);
        }
    }

    /// One thing happens, if there is something.
    pub(crate) fn step(&mut self) -> bool {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up && !node.is_frozen);
        let nodes: Vec<NodeId> = up.map(|(id, _)| *id).collect();
        let actors = nodes.len() * 4 + 2;
        let first = self.draw(actors);
        (0..actors).any(|offset| {
            let actor = (first + offset) % actors;
            match nodes.get(actor / 4) {
                Some(&node) => match actor % 4 {
                    0 => self.output(node),
                    1 => self.event(node),
                    2 => self.complete(node),
                    _ => self.upcall(node),
                },
                None if actor % 2 == 0 => self.bus.order_next(),
                None => self.load_next(),
            }
        })
    }

    fn output(&mut self, node: NodeId) -> bool {
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        let Some(output) = state.out.pop_front() else { return false };
        match output {
            IodOutput::Broadcast(payload) => self.bus.broadcast(node, payload),
            IodOutput::ClosePort => self.bus.leave(node, usize::MAX / 2),
            IodOutput::Notice(notice) => self.notices.push((node, notice)),
            IodOutput::OpenPort => self.bus.join(node),
            IodOutput::SendTo(to, payload) => self.bus.send_to(node, to, payload),
            IodOutput::Tell(upcall) => state.upcalls.push_back(upcall),
            IodOutput::Write(token, write) => self.disks.submit(node, token, write),
        }
        true
    }

    fn event(&mut self, node: NodeId) -> bool {
        let Some(event) = self.bus.next(node) else { return false };
        let now = self.now;
        let state = self.nodes.get_mut(&node).unwrap();
        match event {
            Event::Message(from, payload) => state.iod.handle_message(now, from, payload),
            Event::View(view) => state.iod.handle_view(now, &view),
        }
        self.collect(node);
        true
    }

    fn complete(&mut self, node: NodeId) -> bool {
        let Some(token) = self.disks.next_of(node) else { return false };
        let now = self.now;
        self.nodes.get_mut(&node).unwrap().iod.handle_write(now, token, Ok(()));
        self.collect(node);
        true
    }

    /// What a vxconfigd does with what it is told.
    fn upcall(&mut self, node: NodeId) -> bool {
        let state = self.nodes.get_mut(&node).unwrap();
        let Some(upcall) = state.upcalls.pop_front() else { return false };
        match upcall {
            Upcall::Decided { request, outcome, id, .. } => {
                state.told.push((request, outcome));
                if self.driven.as_ref().is_some_and(|driven| driven.txn.id == id) {
                    self.driven = None;
                }
            }
            Upcall::Joining { announce } => {
                let tables = state.iod.tables().values().filter(|table| table.is_shared());
                let images =
                    tables.map(|table| (Arc::clone(&table.image), table.tenures.clone())).collect();
                let joiner = announce.id.node;
                if self.driven.is_none() {
                    self.command(joiner, Command::Stage(images));
                    self.command(node, Command::Admit { node: joiner });
                }
            }
            Upcall::Loaded { id, refused } => self.on_loaded(node, &id, refused),
            Upcall::Out { .. } => self.lose_driver(node),
            Upcall::Activated { .. } | Upcall::Role(_) | Upcall::Tables(..) => {}
        }
        true
    }

    fn load_next(&mut self) -> bool {
        let Some(driven) = &mut self.driven else { return false };
        let Some(to) = driven.to_load.pop_front() else { return false };
        let txn = driven.txn.clone();
        if self.nodes.get(&to).is_some_and(|node| node.has_configd) {
            self.command(to, Command::Load(Box::new(txn)));
        } else {
            self.complain(to, "vxconfigd is gone");
        }
        true
    }

    fn on_loaded(&mut self, node: NodeId, id: &TxnId, refused: Option<String>) {
        let Some(driven) = self.driven.as_mut().filter(|driven| driven.txn.id == *id) else {
            return;
        };
        if let Some(why) = refused {
            self.complain(node, &why);
            return;
        }
        driven.loaded.insert(node);
        let master = driven.master;
        let members = self.nodes[&master].iod.role().members;
        if members.iter().all(|member| driven.loaded.contains(&member)) {
            self.command(master, Command::Begin { id: id.clone() });
        }
    }

    /// Until nothing happens any more, timers included.
    pub(crate) fn settle(&mut self) {
        for _ in 0..20_000 {
            if self.step() {
                continue;
            }
            let up = self.nodes.values().filter(|node| node.is_up && !node.is_frozen);
            let next = up.filter_map(|node| node.iod.next_deadline()).min();
            let past = |next: &Instant| self.horizon.is_some_and(|horizon| *next > horizon);
            let Some(next) = next.filter(|next| !past(next)) else { return };
            self.now = self.now.max(next) + Duration::from_millis(1);
            let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
            for id in ids {
                let now = self.now;
                let state = self.nodes.get_mut(&id).unwrap();
                if state.is_up && !state.is_frozen {
                    state.iod.handle_timer(now);
                    self.collect(id);
                }
            }
        }
        panic!("it never comes to rest");
    }

    /// What was still on its way when its node was lost reaches the disks now.
    pub(crate) fn land_late_writes(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.disks.land(late);
        self.horizon = None;
    }

    /// Nodes that run and are members.
    pub(crate) fn members(&self) -> Vec<NodeId> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up && !node.is_frozen);
        up.filter(|(_, node)| node.iod.role().is_member).map(|(id, _)| *id).collect()
    }

    pub(crate) fn image(&self, node: NodeId, group: &UniqueId) -> Option<Arc<Image>> {
        self.nodes[&node].iod.tables().get(group).map(|table| Arc::clone(&table.image))
    }
}

/// Where the copies of a group are that nobody has imported yet.
pub(crate) fn copies(group: &Group) -> CopyList {
    CopyList::default().assign(group, &BTreeSet::new())
}
