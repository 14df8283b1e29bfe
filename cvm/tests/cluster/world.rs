//! Nodes with their vxiod and vxconfigd, the ports between them and their disks. One step at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cvm::core::configd::{Configd, ConfigdConfig, ConfigdNotice, ConfigdOutput};
use cvm::core::iod::{
    Command, DiskError, DrainTicket, Iod, IodConfig, IodNotice, IodOutput, LogIo, LogToken,
    OpenRefused, OpenTicket, Owes, RangeNumber, Token, Upcall, VolumeIo, VolumeName, Write,
};
use cvm::core::wire::parcel::{Parcels, Way};
use cvm::core::wire::v::VMessage;
use cvm::core::wire::w::WMessage;
use cvm::disk::Image;
use cvm::model::{Activation, Name, Rid, Sectors, UniqueId};
use cvm::request::{ClusterRequest, Failure, Reply, Request};
use cvm::sim::{Answer, Course, Disks, Fate, Job, Jobs, Ranges};
use cvm::stats::{Counters, ObjectStats, Objects, Observe, Observed, Stats, Traced};
use cvm::volume::IoFailed;
use llt::{Duration, Id, Incarnation, Instant, NodeId};

use crate::bus::{Bus, Event};

pub(crate) fn node(number: u8) -> NodeId {
    NodeId::new(number).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Why a request was refused.
#[track_caller]
pub(crate) fn failure(reply: Reply) -> Failure {
    match reply {
        Reply::Failed(failure) => failure,
        other => panic!("it was not refused: {other:?}"),
    }
}

/// A node: two processes.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) iod: Iod,
    pub(crate) configd: Configd,
    iod_out: VecDeque<IodOutput>,
    drains: VecDeque<DrainTicket>,
    /// Where ranges begin that were held.
    held_at: BTreeMap<RangeNumber, Sectors>,
    /// What is copied from other volumes.
    fills: VecDeque<(VolumeName, RangeNumber)>,
    /// That fails.
    pub(crate) cannot_fill: bool,
    /// Looking at disks never ends.
    pub(crate) never_looks: bool,
    /// Disks that are looked at.
    looks: VecDeque<UniqueId>,
    /// Logs that are read or written.
    logs: VecDeque<(LogToken, LogIo)>,
    pub(crate) ranges: Ranges,
    configd_out: VecDeque<ConfigdOutput>,
    /// From vxiod to vxconfigd, and back.
    upcalls: VecDeque<Upcall>,
    pub(crate) commands: VecDeque<Command>,
    /// What programs were told that open volumes.
    pub(crate) opened: BTreeMap<u64, Result<(), OpenRefused>>,
    /// What utilities were told, by session.
    pub(crate) replies: BTreeMap<u64, Reply>,
    is_up: bool,
    is_frozen: bool,
    has_configd: bool,
}

impl Node {
    /// Its vxconfigd still knows who asked.
    pub(crate) const fn answers(&self) -> bool {
        self.has_configd && self.is_up && !self.is_frozen
    }
}

/// Something that was said aloud.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "for people who look at a failed run")]
pub(crate) enum Said {
    Configd(NodeId, ConfigdNotice),
    Iod(NodeId, IodNotice),
}

#[derive(Clone, Copy, Debug)]
enum Port {
    U,
    V,
    W,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Instant,
    u: Bus,
    v: Bus,
    w: Bus,
    pub(crate) disks: Disks,
    jobs: Jobs,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// Disks that a node sees, and cannot write.
    pub(crate) unwritable: BTreeSet<(NodeId, UniqueId)>,
    /// All configurations are written, and said to have failed.
    pub(crate) refuses_images: bool,
    late: Vec<Job>,
    /// Time does not pass this: late writes are late by no more than a lease and a disk's time.
    pub(crate) horizon: Option<Instant>,
    pub(crate) said: Vec<Said>,
    /// What was sent on ports, and written to disks, in words: `v 0 Commit`.
    pub(crate) trace: Vec<String>,
    /// What `/etc/default/vxdg` says on all nodes.
    pub(crate) activation: Activation,
    sessions: u64,
    random: u64,
}

impl World {
    pub(crate) fn new(seed: u64, disks: u32) -> Self {
        let known = (1..=disks).map(|number| UniqueId::new(1_283_432_300, number, "host1"));
        Self {
            now: Instant::from_millis(1000),
            u: Bus::default(),
            v: Bus::default(),
            w: Bus::default(),
            disks: Disks::new(known.collect()),
            jobs: Jobs::default(),
            nodes: BTreeMap::new(),
            unwritable: BTreeSet::new(),
            refuses_images: false,
            late: Vec::new(),
            horizon: None,
            said: Vec::new(),
            trace: Vec::new(),
            activation: Activation::Off,
            sessions: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Nodes 0 to `count` are members of the cluster, and can reach so many disks.
    pub(crate) fn formed(seed: u64, count: u8, disks: u32) -> Self {
        let mut world = Self::new(seed, disks);
        for number in 0..count {
            world.boot(node(number));
            world.settle();
        }
        for number in 0..count {
            let state = &world.nodes[&node(number)];
            assert!(state.iod.role().is_member, "node {number} has joined: {:?}", world.said);
        }
        world
    }

    fn configd(&mut self, node: NodeId) -> Configd {
        self.sessions += 1;
        let incarnation = Incarnation(self.now.as_nanos() + self.sessions);
        let config = ConfigdConfig {
            host: name(&format!("host{node}")),
            cluster: name("clus1"),
            answer_limit: Duration::from_secs(10),
            activation: self.activation,
            join_limit: Duration::from_secs(20),
            preference: 0,
        };
        let mut configd = Configd::new(Id { node, incarnation }, config);
        configd.set_wall_time(1_283_432_345);
        configd
    }

    pub(crate) fn boot(&mut self, node: NodeId) {
        let incarnation = Incarnation(self.now.as_nanos());
        let mut iod = Iod::new(Id { node, incarnation }, IodConfig::default());
        iod.handle_configd(self.now, true);
        let replies = self.nodes.remove(&node).map(|node| node.replies).unwrap_or_default();
        let configd = self.configd(node);
        let new = Node {
            iod,
            configd,
            iod_out: VecDeque::new(),
            drains: VecDeque::new(),
            held_at: BTreeMap::new(),
            fills: VecDeque::new(),
            cannot_fill: false,
            never_looks: false,
            looks: VecDeque::new(),
            logs: VecDeque::new(),
            ranges: Ranges::default(),
            configd_out: VecDeque::new(),
            upcalls: VecDeque::new(),
            commands: VecDeque::new(),
            opened: BTreeMap::new(),
            replies,
            is_up: true,
            is_frozen: false,
            has_configd: true,
        };
        self.nodes.insert(node, new);
        self.u.join(node);
        self.w.join(node);
        self.request(node, Request::Cluster(ClusterRequest::Start));
        self.collect(node);
    }

    /// Nothing more comes from the node; what nobody has read of it may be lost.
    fn cut_off(&mut self, node: NodeId) {
        for port in [Port::U, Port::V, Port::W] {
            let unread = self.bus(port).unread();
            let keep = if unread > 0 { self.draw(unread + 1) } else { 0 };
            self.bus(port).leave(node, keep);
        }
    }

    /// Both processes are gone, between two steps.
    pub(crate) fn crash(&mut self, node: NodeId, fate: Fate) {
        let Some(gone) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        gone.is_up = false;
        let mut number = 0;
        let late = self.jobs.orphan(node, &mut self.disks, |_, _| {
            number += 1;
            // Every second one is whole.
            if fate == Fate::Torn && number % 2 == 0 { Fate::Landed } else { fate }
        });
        self.late.extend(late);
        self.cut_off(node);
    }

    /// The node stands still, and the others throw it out.
    pub(crate) fn freeze(&mut self, node: NodeId) {
        let Some(frozen) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        frozen.is_frozen = true;
        self.cut_off(node);
    }

    /// It goes on where it stood, does what it had begun, and then learns that it is out.
    pub(crate) fn thaw(&mut self, node: NodeId) {
        let Some(frozen) = self.nodes.get_mut(&node).filter(|node| node.is_frozen) else { return };
        frozen.is_frozen = false;
        while self.iod_output(node)
            || self.complete(node)
            || self.drained(node)
            || self.ranged(node)
            || self.logged(node)
            || self.looked(node)
            || self.local(node)
        {}
        let now = self.now;
        if let Some(frozen) = self.nodes.get_mut(&node) {
            frozen.iod.handle_closed(now, "this node was ejected from the cluster");
        }
        self.collect(node);
        while self.local(node) {}
    }

    pub(crate) fn kill_configd(&mut self, node: NodeId) {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        state.has_configd = false;
        state.upcalls.clear();
        state.commands.clear();
        state.configd_out.clear();
        state.iod.handle_configd(now, false);
        self.u.leave(node, 0);
        self.w.leave(node, 0);
        self.collect(node);
    }

    pub(crate) fn start_configd(&mut self, node: NodeId) {
        let now = self.now;
        let configd = self.configd(node);
        let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) else { return };
        state.has_configd = true;
        state.configd = configd;
        state.iod.handle_configd(now, true);
        self.u.join(node);
        self.w.join(node);
        self.collect(node);
    }

    /// A utility on a node; the answer comes under the number that is given.
    pub(crate) fn request(&mut self, node: NodeId, request: Request) -> u64 {
        self.sessions += 1;
        let (now, session) = (self.now, self.sessions);
        if let Some(state) = self.nodes.get_mut(&node).filter(|state| state.has_configd) {
            state.configd.handle_request(now, session, request);
        }
        self.collect(node);
        session
    }

    /// The answer to a request, once it is there.
    pub(crate) fn reply(&self, node: NodeId, session: u64) -> Option<&Reply> {
        self.nodes[&node].replies.get(&session)
    }

    /// A program opens a volume for writing, and is answered before anything else happens.
    pub(crate) fn open(
        &mut self,
        node: NodeId,
        group: &UniqueId,
        volume: &str,
    ) -> Result<(), OpenRefused> {
        self.sessions += 1;
        let ticket = self.sessions;
        self.ask_open(node, ticket, group, volume);
        self.settle();
        self.nodes[&node].opened[&ticket]
    }

    /// A program asks to open a volume for writing.
    pub(crate) fn ask_open(&mut self, node: NodeId, ticket: u64, group: &UniqueId, volume: &str) {
        let iod = &mut self.nodes.get_mut(&node).unwrap().iod;
        iod.open_volume(OpenTicket(ticket), group, &name(volume), true);
        self.collect(node);
    }

    /// A node cannot write a plex of a volume that is open there.
    pub(crate) fn fail_plex(&mut self, node: NodeId, group: &UniqueId, plex: &str) {
        self.fail_plex_on(node, group, plex, None);
    }

    /// Because of this disk, if it is known.
    pub(crate) fn fail_plex_on(
        &mut self,
        node: NodeId,
        group: &UniqueId,
        plex: &str,
        disk: Option<UniqueId>,
    ) {
        let now = self.now;
        if let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) {
            state.iod.handle_plex_failed(now, group, name(plex), disk, 1_283_432_400);
        }
        self.collect(node);
    }

    /// A disk does not answer a node, or has answered.
    pub(crate) fn hangs(&mut self, node: NodeId, disk: &UniqueId, owes: Owes) {
        if let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) {
            state.iod.handle_hangs(disk.clone(), owes);
        }
        self.collect(node);
    }

    /// A program is about to change a volume that it has open.
    pub(crate) fn first_change(&mut self, node: NodeId, group: &UniqueId, volume: &str) {
        let now = self.now;
        if let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) {
            let volume = (group.clone(), name(volume));
            state.iod.handle_first_change(now, &volume, 1_283_432_400);
        }
        self.collect(node);
    }

    /// A program waits until a region of a volume is filled.
    pub(crate) fn unfilled(&mut self, node: NodeId, group: &UniqueId, volume: &str, at: Sectors) {
        let now = self.now;
        if let Some(state) = self.nodes.get_mut(&node).filter(|node| node.is_up) {
            state.iod.handle_unfilled(now, &(group.clone(), name(volume)), at, 8);
        }
        self.collect(node);
    }

    /// A program closes a volume, and everything has come of it.
    pub(crate) fn close(&mut self, node: NodeId, group: &UniqueId, volume: &str) {
        self.begin_close(node, group, volume);
        self.settle();
    }

    /// A program closes a volume.
    pub(crate) fn begin_close(&mut self, node: NodeId, group: &UniqueId, volume: &str) {
        let now = self.now;
        self.nodes.get_mut(&node).unwrap().iod.close_volume(now, group, &name(volume));
        self.collect(node);
    }

    /// A request that is answered before anything else happens.
    #[track_caller]
    pub(crate) fn ask(&mut self, node: NodeId, request: Request) -> Reply {
        let session = self.request(node, request.clone());
        self.settle();
        let reply = self.reply(node, session).cloned();
        reply.unwrap_or_else(|| panic!("no answer to {request:?}: {:?}", self.said))
    }

    fn running(&self) -> Vec<NodeId> {
        let up = self.nodes.iter().filter(|(_, node)| node.is_up && !node.is_frozen);
        up.map(|(id, _)| *id).collect()
    }

    /// Nodes that run and are members.
    pub(crate) fn members(&self) -> Vec<NodeId> {
        let is_member = |id: &NodeId| self.nodes[id].iod.role().is_member;
        self.running().into_iter().filter(is_member).collect()
    }

    pub(crate) fn image(&self, node: NodeId, group: &UniqueId) -> Option<Arc<Image>> {
        self.nodes[&node].iod.tables().get(group).map(|table| Arc::clone(&table.image))
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % below as u64).unwrap()
    }

    /// Takes what the machines want done.
    fn collect(&mut self, node: NodeId) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        while let Some(output) = state.iod.poll_output() {
            state.iod_out.push_back(output);
        }
        while let Some(output) = state.configd.poll_output() {
            if state.has_configd {
                state.configd_out.push_back(output);
            }
        }
    }

    /// One thing happens, if there is something.
    pub(crate) fn step(&mut self) -> bool {
        const KINDS: usize = 9;
        let nodes = self.running();
        let actors = nodes.len() * KINDS + 3;
        let first = self.draw(actors);
        (0..actors).any(|offset| {
            let actor = (first + offset) % actors;
            match (nodes.get(actor / KINDS), actor % KINDS) {
                (Some(&node), 0) => self.iod_output(node),
                (Some(&node), 1) => self.configd_output(node),
                (Some(&node), 2) => self.complete(node),
                (Some(&node), 3) => self.local(node),
                (Some(&node), 4) => self.event(node, Port::V),
                (Some(&node), 5) => self.event(node, Port::W),
                (Some(&node), 6) => self.drained(node) || self.logged(node) || self.looked(node),
                (Some(&node), 7) => self.ranged(node),
                (Some(&node), _) => self.event(node, Port::U),
                (None, 0) => self.u.order_next(),
                (None, 1) => self.v.order_next(),
                (None, _) => self.w.order_next(),
            }
        })
    }

    fn iod_output(&mut self, node: NodeId) -> bool {
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        let Some(output) = state.iod_out.pop_front() else { return false };
        match output {
            IodOutput::Broadcast(payload) => {
                self.trace.push(said_on_v(node, &payload));
                self.v.broadcast(node, payload);
            }
            IodOutput::CopyRange { volume, number } => {
                let at = state.held_at.get(&number).copied().unwrap_or_default();
                state.ranges.copy(volume, number);
                self.trace.push(format!("copy {node} {at}"));
                self.check_copies();
            }
            IodOutput::FillRange { volume, number, at, .. } => {
                self.trace.push(format!("fill {node} {at}"));
                state.fills.push_back((volume, number));
            }
            IodOutput::Filled { volume, at, .. } => {
                self.trace.push(format!("filled {node} {} {at}", volume.1));
            }
            IodOutput::Drain(ticket, _) => state.drains.push_back(ticket),
            IodOutput::Log(token, io) => {
                self.trace.push(format!("log {node}"));
                state.logs.push_back((token, io));
            }
            IodOutput::HoldRange { volume, number, at, .. } => {
                state.held_at.insert(number, at);
                state.ranges.hold(volume, number);
                self.check_copies();
            }
            IodOutput::ReleaseRange { volume } => {
                state.ranges.release(&volume);
                self.check_copies();
            }
            IodOutput::ClosePort => self.v.leave(node, usize::MAX / 2),
            IodOutput::Look(disk) => state.looks.push_back(disk),
            IodOutput::Notice(notice) => self.said.push(Said::Iod(node, notice)),
            IodOutput::Observe(ask, what) => {
                self.trace.push(format!("observe {node}"));
                let answer = match what {
                    Observe::Stats { .. } => Observed::Stats(counted_by(node)),
                    Observe::Trace(taken) => {
                        Observed::Traced(Traced { taken, ..Traced::default() })
                    }
                };
                state.iod.handle_observed(ask, answer);
                self.collect(node);
            }
            IodOutput::Opened(ticket, result) => {
                let before = state.opened.insert(ticket.0, result);
                assert!(before.is_none(), "a second answer to {ticket:?}");
            }
            IodOutput::OpenPort => self.v.join(node),
            IodOutput::Prepare(_) => {}
            IodOutput::SendTo(to, payload) => {
                self.trace.push(said_on_v(node, &payload));
                self.v.send_to(node, to, payload);
            }
            IodOutput::Tell(upcall) if state.has_configd => state.upcalls.push_back(upcall),
            IodOutput::Tell(_) => {}
            IodOutput::Write(token, write, is_shared) => {
                self.begin_write(node, token, write, is_shared);
            }
        }
        true
    }

    fn begin_write(&mut self, node: NodeId, token: Token, write: Write, is_shared: bool) {
        let is_image = matches!(write, Write::Image(..));
        if is_image {
            self.trace.push(format!("disk {node} Image"));
        }
        if matches!(&write, Write::Claim(claim) if claim.member.is_none()) {
            self.trace.push(format!("disk {node} Free"));
        }
        let is_unwritable = self.unwritable.contains(&(node, write.disk().clone()));
        let refuses = is_unwritable || self.refuses_images && is_image;
        let failed = if is_image { Fate::Landed } else { Fate::Lost };
        let course = Course { error: refuses.then_some(30), failed, ..AT_ONCE };
        self.jobs.submit(node, Job::Write(token, write), is_shared, course);
    }

    /// What disks copy nobody changes who may change anything.
    fn check_copies(&self) {
        let running = self.running();
        let members = || running.iter().filter(|node| self.nodes[*node].iod.role().is_member);
        for copier in members() {
            for copy in self.nodes[copier].ranges.copies() {
                let runs = |node: &NodeId| {
                    matches!(self.nodes[node].iod.io_of(&copy.volume), VolumeIo::Runs { .. })
                };
                // What stands still has given nothing to disks, nor what is about to be told more.
                if !runs(copier) || !self.nodes[copier].iod_out.is_empty() {
                    continue;
                }
                for node in members() {
                    let (state, runs) = (&self.nodes[node], runs(node));
                    let holds = state.ranges.held(&copy.volume) == Some(copy.number);
                    // It is not told before it has done what was asked of it first.
                    let is_told = state.iod_out.is_empty();
                    assert!(holds || !runs || !is_told, "{node} changes what {copier} copies");
                }
            }
        }
    }

    /// A log was read, or written.
    fn logged(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        let Some((token, io)) = state.logs.pop_front() else { return false };
        let (LogIo::Read { disk, .. } | LogIo::Write { disk, .. }) = &io;
        let refuses =
            matches!(io, LogIo::Write { .. }) && self.unwritable.contains(&(node, disk.clone()));
        let done = if refuses { Err(DiskError::Failed(30)) } else { self.disks.log(node, &io) };
        state.iod.handle_log(now, token, done);
        self.collect(node);
        true
    }

    /// A disk was looked at.
    fn looked(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        if state.never_looks {
            return false;
        }
        let Some(disk) = state.looks.pop_front() else { return false };
        let sees = self.disks.is_reached(node, &disk).is_ok();
        self.trace.push(format!("look {node} {sees}"));
        state.iod.handle_looked(now, &disk, sees);
        self.collect(node);
        true
    }

    /// A range is held, or a copy has come to its end.
    fn ranged(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        if let Some((volume, number)) = state.ranges.cleared() {
            state.iod.handle_range_clear(&volume, number);
        } else if let Some((volume, number)) = state.fills.pop_front() {
            let result = if state.cannot_fill { Err(IoFailed::Io) } else { Ok(()) };
            state.iod.handle_filled(now, &volume, number, result);
        } else if let Some(copy) = state.ranges.copied() {
            state.iod.handle_copied(now, &copy.volume, copy.number, !copy.is_cancelled);
        } else {
            return false;
        }
        self.collect(node);
        true
    }

    /// I/O that was to stop has come to its end.
    fn drained(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        if state.ranges.copies().next().is_some() || !state.fills.is_empty() {
            return false;
        }
        let Some(ticket) = state.drains.pop_front() else { return false };
        state.iod.handle_drained(now, ticket);
        self.collect(node);
        true
    }

    fn configd_output(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let devices = self.disks.devices(node);
        let Some(state) = self.nodes.get_mut(&node) else { return false };
        let Some(output) = state.configd_out.pop_front() else { return false };
        match output {
            ConfigdOutput::Broadcast(payload) => {
                self.trace.push(said_on_w(node, &payload));
                self.w.broadcast(node, payload);
            }
            ConfigdOutput::Command(command) => state.commands.push_back(command),
            ConfigdOutput::Notice(notice) => self.said.push(Said::Configd(node, notice)),
            ConfigdOutput::Reply(_, Reply::Named(_)) => {}
            ConfigdOutput::Reply(session, reply) => {
                let before = state.replies.insert(session, reply);
                assert!(before.is_none(), "a second answer to {session}");
            }
            ConfigdOutput::Scan => {
                state.configd.handle_scan(now, devices);
                self.collect(node);
            }
            ConfigdOutput::KeepPreference(session, _) | ConfigdOutput::Reinit(session) => {
                state.configd.handle_kept(session, Ok(()));
                self.collect(node);
            }
            ConfigdOutput::Disk(..) | ConfigdOutput::Snapshot(_) => panic!("nobody asked"),
            ConfigdOutput::SendTo(to, payload) => {
                self.trace.push(said_on_w(node, &payload));
                self.w.send_to(node, to, payload);
            }
            ConfigdOutput::Ship(to, payload) => {
                self.trace.push(format!("u {node} {to}"));
                self.u.send_to(node, to, payload);
            }
        }
        true
    }

    fn bus(&mut self, port: Port) -> &mut Bus {
        match port {
            Port::U => &mut self.u,
            Port::V => &mut self.v,
            Port::W => &mut self.w,
        }
    }

    fn event(&mut self, node: NodeId, port: Port) -> bool {
        let Some(event) = self.bus(port).next(node) else { return false };
        let now = self.now;
        let state = self.nodes.get_mut(&node).unwrap();
        match (port, event) {
            (Port::U, Event::Message(from, _, payload)) => {
                state.configd.handle_shipped(now, from, &payload);
            }
            (Port::U, Event::View(view)) => state.configd.handle_shipping_view(now, &view),
            (Port::V, Event::Message(from, _, payload)) => {
                state.iod.handle_message(now, from, payload);
            }
            (Port::V, Event::View(view)) => state.iod.handle_view(now, &view),
            (Port::W, Event::Message(from, way, payload)) => {
                state.configd.handle_message(now, from, way, &payload);
            }
            (Port::W, Event::View(view)) => state.configd.handle_view(now, &view),
        }
        self.collect(node);
        true
    }

    fn complete(&mut self, node: NodeId) -> bool {
        let Some(ended) = self.jobs.end_next(node, &mut self.disks) else { return false };
        let now = self.now;
        let Answer::Write(token, done) = ended.answer else { panic!("{ended:?}") };
        self.nodes.get_mut(&node).unwrap().iod.handle_write(now, token, done);
        self.collect(node);
        true
    }

    /// Something passes between the two processes of a node.
    fn local(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let state = self.nodes.get_mut(&node).unwrap();
        if let Some(upcall) = state.upcalls.pop_front() {
            state.configd.handle_upcall(now, upcall);
        } else if let Some(command) = state.commands.pop_front() {
            state.iod.handle_command(now, command);
        } else {
            return false;
        }
        self.collect(node);
        true
    }

    /// Until nothing happens any more, timers included.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() && !self.wake() {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.said);
    }

    /// Time passes until the next timer; `false` if there is none.
    pub(crate) fn wake(&mut self) -> bool {
        let deadlines = self.running().into_iter().flat_map(|id| {
            let node = &self.nodes[&id];
            let configd = node.configd.next_deadline().filter(|_| node.has_configd);
            [node.iod.next_deadline(), configd]
        });
        let next = deadlines.flatten().min();
        let past = |next: &Instant| self.horizon.is_some_and(|horizon| *next > horizon);
        let Some(next) = next.filter(|next| !past(next)) else { return false };
        self.now = self.now.max(next) + Duration::from_millis(1);
        for id in self.running() {
            let now = self.now;
            let state = self.nodes.get_mut(&id).unwrap();
            state.iod.handle_timer(now);
            if state.has_configd {
                state.configd.handle_timer(now);
            }
            self.collect(id);
        }
        true
    }

    /// What was still on its way when its node was lost reaches the disks now.
    pub(crate) fn land_late_writes(&mut self) {
        let late = std::mem::take(&mut self.late);
        for job in &late {
            let Job::Write(_, write) = job else { panic!("{job:?}") };
            self.disks.apply(write);
        }
        self.horizon = None;
    }
}

/// What volumes of a node have done, in this world.
pub(crate) fn counted_by(node: NodeId) -> Stats {
    let failed_reads = u64::from(node.get()) + 1;
    let counters = Counters { failed_reads, ..Counters::default() };
    let object = ObjectStats { counters, ..ObjectStats::default() };
    let mut stats = Stats::default();
    stats.add_objects(&UniqueId::new(1, 1, "counted"), &Objects::from([(Rid(1), object)]));
    stats
}

fn said_on_v(node: NodeId, payload: &Bytes) -> String {
    let message = VMessage::decode(payload.clone()).unwrap();
    format!("v {node} {}", kind(&message))
}

fn said_on_w(node: NodeId, payload: &Bytes) -> String {
    // All that is sent here fits one parcel.
    let whole = Parcels::default().take(node, Way::Broadcast, payload).unwrap().unwrap();
    format!("w {node} {}", kind(&WMessage::decode(whole).unwrap()))
}

/// The name of a message.
fn kind(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
/// Writes end when the test says so.
const AT_ONCE: Course = Course { takes: Duration::ZERO, error: None, failed: Fate::Lost };
