//! vxiod, vxconfigd and gabd of a node start and end, each for itself.

use core::time::Duration;

use cvm::core::configd::{Configd, ConfigdConfig};
use cvm::core::iod::{Debts, Iod, IodConfig, IodOutput};
use cvm::model::Activation;
use cvm::request::{ClusterRequest, Request};
use cvm::sim::CLUSTER;
use gab::core::Mutant;
use llt::{Id, Incarnation, Instant};

use super::driver::Driver;
use super::node::{Heard, Vxiod};
use super::workload::{Effect, name};
use crate::history::End;
use crate::node::State;

const V: usize = 0;

impl Driver {
    /// What became of the gabd of each node since the last step.
    pub(super) fn see_gabds(&mut self) {
        for node in 0..self.nodes.len() {
            let life = self.world.hosts.life(node);
            let was = self.nodes[node].life;
            if life == was {
                continue;
            }
            self.nodes[node].life = life;
            let end = was.and_then(|was| self.world.hosts.history.lives[was].ended);
            let is_off = self.nodes[node].iod.is_none() && self.nodes[node].configd.is_none();
            if matches!(end, Some((_, End::Ejected | End::Halted))) {
                // Clients are told, and gabd kills the one of the kernel type with itself.
                self.lose_iod(node);
                continue;
            }
            if is_off || !matches!(end, Some((_, End::Crashed))) {
                continue;
            }
            if self.draw.chance(0.7) {
                self.power_off(node);
            } else {
                self.say(|| format!("node {node}: only gabd is gone"));
                let node = &mut self.nodes[node];
                [&mut node.v, &mut node.w, &mut node.u].into_iter().for_each(super::Port::lose);
            }
        }
    }

    /// Who is a member since the last step, or no more.
    pub(super) fn see_members(&mut self) {
        let now = self.world.now();
        for node in &mut self.nodes {
            let since = node.member_since.unwrap_or(now);
            node.member_since = node.member().is_some().then_some(since);
        }
    }

    /// The whole node fails.
    pub fn crash(&mut self, node: usize) {
        self.power_off(node);
        self.world.crash(node);
    }

    /// The power of the disks goes, too, when all nodes have failed: what is not durable may be lost.
    pub fn lose_power(&mut self) {
        self.say(|| "the disks have no power".to_owned());
        for node in 0..self.nodes.len() {
            self.storage.end_late(self.nodes[node].id);
        }
        self.data.lose_power(&mut self.draw);
    }

    /// vxiod and vxconfigd fail with their machine.
    fn power_off(&mut self, node: usize) {
        self.say(|| format!("node {node}: the machine is gone"));
        self.end_iod(node, true);
        self.end_configd(node);
        let node = &mut self.nodes[node];
        [&mut node.v, &mut node.w, &mut node.u].into_iter().for_each(super::Port::forget);
        node.to_configd.clear();
        node.to_iod.clear();
        (node.iod_at, node.configd_at) = (None, None);
    }

    fn end_iod(&mut self, node: usize, with_machine: bool) {
        let now = self.world.now();
        let state = &mut self.nodes[node];
        if state.iod.is_none() && state.left.is_empty() {
            return;
        }
        self.end_plane(node, with_machine);
        let state = &mut self.nodes[node];
        state.iod = None;
        state.is_closing = false;
        self.storage.orphan(now, state.id);
        state.iod_out.clear();
        state.ended.clear();
        state.debts = Debts::default();
        state.configd_hears = false;
        (state.iod_hears, state.generation) = (false, 0);
    }

    fn end_configd(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.configd.take().is_none() {
            return;
        }
        state.configd_out.clear();
        state.scans.clear();
        state.to_ask.clear();
        state.iod_out.retain(|output| !matches!(output, IodOutput::Tell(_)));
        (state.starting, state.is_joining) = (None, false);
        (state.iod_hears, state.configd_hears) = (false, false);
        let unanswered = |asked: &&mut super::Asked| asked.node == node && asked.reply.is_none();
        self.asked.iter_mut().filter(unanswered).for_each(|asked| asked.is_lost = true);
    }

    /// Only vxiod is killed, and starts again after this time.
    pub fn kill_iod(&mut self, node: usize, down: Duration) {
        if self.nodes[node].iod.is_none() || self.world.state(node) != State::Running {
            return;
        }
        self.lose_iod(node);
        self.nodes[node].is_leaving = true;
        self.leave_port(node);
        self.nodes[node].iod_at = Some(self.world.now() + down);
    }

    /// vxiod is killed; vxconfigd has heard some of what it had said.
    fn lose_iod(&mut self, node: usize) {
        if self.nodes[node].iod.is_none() {
            return;
        }
        self.say(|| format!("node {node}: vxiod is killed"));
        self.end_iod(node, false);
        let heard = self.draw.pick(self.nodes[node].to_configd.len() + 1);
        let node = &mut self.nodes[node];
        node.v.forget();
        (node.is_leaving, node.iod_at) = (false, None);
        node.to_iod.clear();
        node.to_configd.truncate(heard);
        node.to_configd.push_back(Heard::Gone);
    }

    /// The port of a vxiod that was killed is left when disks have done what it told them.
    pub(super) fn leave_port(&mut self, node: usize) {
        let waits = self.broken != Some(Mutant::OrphansUnawaited);
        let is_stopped = self.is_stopped(node);
        let state = &mut self.nodes[node];
        if state.is_leaving && !is_stopped && (state.left.is_empty() || !waits) {
            state.is_leaving = false;
            self.world.kill_client(node, V);
        }
    }

    /// The port of a vxiod that leaves is closed when disks have done what it told them.
    pub(super) fn close_port(&mut self, node: usize) {
        self.nodes[node].is_closing = true;
        self.close_if_still(node);
    }

    pub(super) fn close_if_still(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let changes = state.plane.changes_shared() || self.storage.jobs.changes_shared(state.id);
        if state.is_closing && !changes {
            state.is_closing = false;
            state.v.close(&mut self.world);
            self.give_up_lease(node);
        }
    }

    /// Only vxconfigd is killed, and starts again after this time. What it had said last may have been
    /// heard or not.
    pub fn kill_configd(&mut self, node: usize, down: Duration) {
        if self.nodes[node].configd.is_none() || self.world.state(node) != State::Running {
            return;
        }
        self.say(|| format!("node {node}: vxconfigd is killed"));
        self.end_configd(node);
        let at = self.world.now() + down;
        let heard = self.draw.pick(self.nodes[node].to_iod.len() + 1);
        let state = &mut self.nodes[node];
        state.w.close(&mut self.world);
        state.u.close(&mut self.world);
        state.configd_at = Some(at);
        state.to_configd.clear();
        state.to_iod.truncate(heard);
        state.to_iod.push_back(Heard::Gone);
    }

    /// A node cannot write one of the plexes that it has; `which` draws it.
    pub fn fail_plex(&mut self, node: usize, which: u64) {
        let local = self.local(node);
        let Some(iod) = self.nodes[node].iod.as_mut() else { return };
        let plexes = iod.tables().iter().flat_map(|(id, table)| {
            table.image.group.plexes.keys().map(|plex| (id.clone(), plex.clone()))
        });
        let plexes: Vec<_> = plexes.collect();
        let place = usize::try_from(which % plexes.len().max(1) as u64).unwrap_or(0);
        let Some((group, plex)) = plexes.get(place) else { return };
        iod.handle_plex_failed(local, group, plex.clone(), None, 1_283_432_400);
        self.say(|| format!("node {node}: plex {plex} of {group} cannot be written"));
        self.nodes[node].collect();
    }

    /// vxconfigd answers nobody for a while.
    pub fn hang_configd(&mut self, node: usize, time: Duration) {
        self.say(|| format!("node {node}: vxconfigd hangs for {time:?}"));
        self.nodes[node].hangs_until = self.world.now() + time;
    }

    /// What is to start by now.
    pub(super) fn start_processes(&mut self) {
        let now = self.world.now();
        for node in 0..self.nodes.len() {
            if self.world.state(node) != State::Running {
                continue;
            }
            let wait = self.draw.between(Duration::from_millis(1), Duration::from_millis(40));
            let state = &mut self.nodes[node];
            // A machine that has just come up.
            if state.iod.is_none() && state.iod_at.is_none() {
                state.iod_at = Some(now + wait);
            }
            if state.configd.is_none() && state.configd_at.is_none() {
                state.configd_at = Some(now + wait);
            }
            let due = |at: &mut Instant| *at <= now;
            // What the one before has left holds its lock.
            if state.left.is_empty() && state.iod_at.take_if(due).is_some() {
                self.start_iod(node);
            }
            if self.nodes[node].configd_at.take_if(due).is_some() {
                self.start_configd(node);
            }
            self.start_node(node);
        }
    }

    /// Each life has a greater one.
    fn incarnation(&self) -> Incarnation {
        Incarnation(self.world.now().as_nanos())
    }

    fn start_iod(&mut self, node: usize) {
        let id = Id { node: self.nodes[node].id, incarnation: self.incarnation() };
        self.say(|| format!("node {node}: vxiod starts"));
        self.storage.end_late(id.node);
        let config = IodConfig {
            quiesce_limit: Duration::from_secs(3),
            write_limit: Duration::from_secs(12),
            retry: Duration::from_millis(300),
            rest_after: Duration::from_millis(500),
            ..IodConfig::default()
        };
        let state = &mut self.nodes[node];
        state.iod = Some(Vxiod::new(Iod::new(id, config)));
        (state.collected, state.watched) = (0, 0);
        self.link(node);
    }

    fn start_configd(&mut self, node: usize) {
        let id = Id { node: self.nodes[node].id, incarnation: self.incarnation() };
        self.say(|| format!("node {node}: vxconfigd starts"));
        let config = ConfigdConfig {
            host: name(&format!("host{node}")),
            cluster: name(CLUSTER),
            answer_limit: Duration::from_secs(4),
            activation: Activation::SharedWrite,
            join_limit: Duration::from_secs(5),
            preference: 0,
        };
        self.nodes[node].configd = Some(Configd::new(id, config));
        self.link(node);
    }

    /// vxconfigd finds its vxiod.
    fn link(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.iod.is_some() && state.configd.is_some() {
            state.to_iod.push_back(Heard::Here);
            state.to_configd.push_back(Heard::Here);
        }
    }

    /// An administrator wants every node in the cluster.
    fn start_node(&mut self, node: usize) {
        let now = self.world.now();
        let state = &mut self.nodes[node];
        if let Some(place) = state.starting
            && self.asked[place].reply.is_some()
        {
            state.starting = None;
            state.start_at = state.start_at.max(now + AGAIN);
        }
        let is_out = state.iod.as_ref().is_some_and(|iod| iod.out_of_cluster().is_some());
        if is_out
            && state.configd_hears
            && state.iod_hears
            && state.starting.is_none()
            && state.start_at <= now
        {
            let start = Request::Cluster(ClusterRequest::Start);
            self.nodes[node].starting = Some(self.ask(node, start, Effect::None));
        }
    }
}

/// Between two tries to join.
const AGAIN: Duration = Duration::from_millis(400);
