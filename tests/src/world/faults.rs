//! What can be done to processes and cables.

use core::time::Duration;

use crate::input::Input;
use crate::node::State;

use super::{Happening, World};

impl World {
    /// Starts the process of a node that is down: a new, greater incarnation.
    pub fn boot(&mut self, node: usize) {
        if self.state(node) != State::Down {
            return;
        }
        self.processes[node].state = State::Running;
        self.new_life(node);
        for agent in 0..self.agents[node].len() {
            let wake = self.agents[node][agent].next_wake(self.now);
            if !self.agent_scheduled(node) {
                self.schedule(wake, Happening::Agent { node, agent });
            } else {
                self.processes[node].due.insert(agent);
            }
        }
        self.wake(node);
    }

    /// Agents' timers run from the first boot on, whatever becomes of the process.
    fn agent_scheduled(&self, node: usize) -> bool {
        self.hosts.history.lives.iter().filter(|life| life.id.node.index() == node).count() > 1
    }

    fn new_life(&mut self, node: usize) {
        let process = &mut self.processes[node];
        process.incarnation = (process.incarnation + 1).max(self.now.as_nanos());
        process.disturbed = self.now;
        process.leaving = false;
        process.told.fill(false);
        let incarnation = process.incarnation;
        let seed = process.draw.bits();
        self.apply(node, Input::Boot { incarnation, seed });
        self.say(|| format!("node {node}: boots as {incarnation:x}"));
    }

    /// Kills the process of a node.
    pub fn crash(&mut self, node: usize) {
        if self.state(node) == State::Down {
            return;
        }
        self.say(|| format!("node {node}: killed"));
        self.stats.crashes += 1;
        self.stop(node);
    }

    fn stop(&mut self, node: usize) {
        self.apply(node, Input::Crash);
        self.processes[node].clear();
        self.processes[node].state = State::Down;
        self.close_agents(node);
    }

    /// Starts a node that is down after this time, unless it was started in between.
    pub fn restart_after(&mut self, node: usize, down: Duration) {
        let incarnation = self.processes[node].incarnation;
        self.schedule(self.now + down, Happening::Restart { node, incarnation });
    }

    pub(super) fn restart(&mut self, node: usize, incarnation: u64) {
        if self.processes[node].incarnation != incarnation {
            return;
        }
        if self.state(node) == State::Running && self.processes[node].leaving {
            self.crash(node);
        }
        self.boot(node);
    }

    /// Stops a process; it goes on after this time.
    pub fn pause(&mut self, node: usize, length: Duration) {
        if self.state(node) != State::Running {
            return;
        }
        self.say(|| format!("node {node}: stopped for {length:?}"));
        self.stats.pauses += 1;
        self.processes[node].state = State::Paused;
        self.processes[node].turn_at = None;
        self.schedule(self.now + length, Happening::Resume { node });
    }

    pub(super) fn resume(&mut self, node: usize) {
        if self.state(node) == State::Paused {
            self.say(|| format!("node {node}: goes on"));
            self.processes[node].state = State::Running;
            self.processes[node].disturbed = self.now;
            self.wake(node);
        }
    }

    /// Turns of a node take up to this long from now on.
    pub fn slow(&mut self, node: usize, latency: Duration) {
        self.say(|| format!("node {node}: turns take up to {latency:?}"));
        self.processes[node].pace.latency = latency;
    }

    /// A node leaves in order and starts again after this time.
    pub fn leave(&mut self, node: usize, down: Duration) {
        if self.state(node) != State::Running || self.processes[node].leaving {
            return;
        }
        self.say(|| format!("node {node}: leaves"));
        self.stats.leaves += 1;
        self.processes[node].leaving = true;
        for agent in &mut self.agents[node] {
            let client = agent.client;
            agent.closed();
            if let Some(client) = client {
                let local = self.processes[node].clock.local(self.now);
                self.hosts.apply(self.now, node, local, Input::Close { client });
            }
        }
        self.close_agents(node);
        self.apply(node, Input::Leave);
        // Whoever cannot leave in order is killed in the end, as an administrator would.
        self.restart_after(node, Duration::from_secs(3) + down);
        self.wake(node);
    }

    /// The clean leave is done.
    pub(super) fn left(&mut self, node: usize) {
        self.apply(node, Input::Bye);
        self.flush(node);
        self.stop(node);
        let down = self.processes[node].draw.between(Duration::ZERO, Duration::from_millis(1500));
        self.restart_after(node, down);
    }

    /// The others threw this node out: every client was told. With a kernel-type client the
    /// process ends and its supervisor starts it again, else it goes on as a new incarnation.
    pub(super) fn ejected(&mut self, node: usize, halt: bool) {
        self.say(|| format!("node {node}: thrown out, halt {halt}"));
        self.stats.ejections += 1;
        self.close_agents(node);
        self.processes[node].readable.clear();
        if halt {
            self.processes[node].clear();
            self.processes[node].state = State::Down;
            let down = self.processes[node].draw.between(Duration::ZERO, Duration::from_secs(1));
            self.restart_after(node, down);
        } else {
            self.new_life(node);
            self.wake(node);
        }
    }

    /// The node is on the side of a split that must not go on: it says goodbye and ends, and somebody
    /// starts it again.
    pub(super) fn halted(&mut self, node: usize) {
        self.say(|| format!("node {node}: halts itself"));
        self.stats.halts += 1;
        self.apply(node, Input::Bye);
        self.flush(node);
        self.stop(node);
        let down = self.processes[node].draw.between(Duration::ZERO, Duration::from_secs(1));
        self.restart_after(node, down);
    }

    /// Cuts or mends both directions between two nodes on one link.
    fn set_pair(&mut self, link: usize, one: usize, other: usize, cut: bool) {
        let now = self.now;
        self.net.set_cut(now, link, one, other, cut);
        self.net.set_cut(now, link, other, one, cut);
    }

    /// Cuts or mends one link of one node.
    pub fn cut_node_link(&mut self, node: usize, link: usize, cut: bool) {
        self.say(|| format!("node {node}: link {link} cut: {cut}"));
        for other in (0..self.nodes()).filter(|other| *other != node) {
            self.set_pair(link, node, other, cut);
        }
    }

    /// Pulls the cable of one link of a node; half of the cards notice.
    pub fn pull_cable(&mut self, node: usize, link: usize) {
        self.cut_node_link(node, link, true);
        if self.cables.chance(0.5) {
            self.say(|| format!("node {node}: link {link} has no carrier"));
            self.processes[node].pulled[link] = true;
            self.wake(node);
        }
    }

    /// The interface of one link of a node is taken down: nothing passes, and the node knows it.
    pub fn take_down(&mut self, node: usize, link: usize) {
        self.cut_node_link(node, link, true);
        self.processes[node].pulled[link] = true;
        self.wake(node);
    }

    /// The operator seeds by hand on a node (`gabconfig -x`).
    pub fn seed(&mut self, node: usize) {
        self.say(|| format!("node {node}: seeded by hand"));
        self.apply(node, Input::Seed);
        self.wake(node);
    }

    /// Cuts or mends all links of a node but `spared`.
    pub fn cut_node(&mut self, node: usize, spared: Option<usize>, cut: bool) {
        for link in (0..self.net.links()).filter(|link| Some(*link) != spared) {
            self.cut_node_link(node, link, cut);
        }
    }

    /// Cuts all links from one node to another, and back if `both`.
    pub fn cut_pair(&mut self, from: usize, to: usize, both: bool) {
        self.say(|| format!("cut: {from} to {to}, both ways: {both}"));
        for link in 0..self.net.links() {
            let now = self.now;
            self.net.set_cut(now, link, from, to, true);
            if both {
                self.net.set_cut(now, link, to, from, true);
            }
        }
    }

    /// Nodes with different numbers do not hear each other; nodes with the same do.
    pub fn partition(&mut self, sides: &[u64]) {
        self.say(|| format!("split: {sides:?}"));
        self.stats.partitions += 1;
        for link in 0..self.net.links() {
            for one in 0..self.nodes() {
                for other in 0..one {
                    self.set_pair(link, one, other, sides[one] != sides[other]);
                }
            }
        }
    }

    /// Mends every cable.
    pub fn mend(&mut self) {
        self.say(|| "cables mended".to_owned());
        let now = self.now;
        self.net.mend(now);
        for node in 0..self.nodes() {
            self.processes[node].pulled.fill(false);
            self.wake(node);
        }
    }

    /// What an operator does when everybody whom the record names is dead: nobody could ever be
    /// authorised again (facts algorithms 1.14), so the record is cleared and the living seed anew.
    pub fn clear_dead_record(&mut self) {
        let Some(record) = self.keeper.record() else { return };
        let lives =
            |id: &llt::Id| self.hosts.stack(id.node.index()).is_some_and(|stack| stack.id() == *id);
        if record.members.iter().any(lives) {
            return;
        }
        self.say(|| "the record is cleared: all it names are dead".to_owned());
        self.keeper.clear();
        // Whoever is still in a view of the old lineage must not find itself authorised again:
        // the operator stops it first.
        for node in 0..self.nodes() {
            if self.hosts.stack(node).is_some_and(|stack| stack.gab().view().is_some()) {
                self.crash(node);
                self.boot(node);
            }
        }
        self.hosts.record_changed(self.now, crate::input::RecordValue::cleared());
    }

    /// The last fault is over: cables mended, network calm, everybody runs, reads and is quick.
    pub fn heal(&mut self) {
        self.say(|| "healed".to_owned());
        self.busy = false;
        self.mend();
        let calm = self.profile.calm;
        self.net.set_faults(calm);
        for node in 0..self.nodes() {
            self.resume(node);
            let pace = crate::node::Pace::default();
            self.processes[node].pace = pace;
            if self.processes[node].leaving {
                self.stop(node);
            }
            self.boot(node);
        }
    }
}
