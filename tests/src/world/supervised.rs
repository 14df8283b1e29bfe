//! Processes of supervised clients: they answer, hang and are killed.

use core::time::Duration;

use gab::core::ClientSignal;

use super::{Happening, World};
use crate::input::Input;
use crate::node::State;

impl World {
    /// gabd asks a client for a sign of life; it answers at once unless it is stuck.
    pub(super) fn ask_client(&mut self, node: usize, client: u32) {
        if self.agents[node].iter().any(|agent| agent.client == Some(client) && !agent.stuck) {
            self.apply(node, Input::Beat { client });
        }
    }

    /// Some program is killed, or hangs if it is supervised.
    pub(super) fn strike_client(&mut self) {
        let Some(mean) = self.profile.client_faults.filter(|_| self.is_chaotic()) else { return };
        let mut draw = self.client_faults.clone();
        let node = draw.pick(self.nodes());
        let (agent, hangs) = (draw.below(4), draw.chance(0.5));
        let agent = usize::try_from(agent).unwrap_or(usize::MAX);
        if self.state(node) == State::Running
            && let Some(target) = self.agents[node].get_mut(agent)
            && target.client.is_some()
        {
            if !hangs {
                self.say(|| format!("node {node}: agent {agent} is killed"));
                self.kill_client(node, agent);
            } else if target.plan.options.heartbeat_ms > 0 {
                target.stuck = true;
                self.say(|| format!("node {node}: agent {agent} hangs"));
            }
        }
        let at = self.now + draw.exponential(mean) + DYING;
        self.client_faults = draw;
        self.schedule(at, Happening::ClientFault);
    }

    /// All registrations of a node are over. What hangs is dealt with like everything that outlives
    /// its node: somebody starts it again.
    pub(super) fn close_agents(&mut self, node: usize) {
        let strikes = self.profile.client_faults.is_some();
        for agent in &mut self.agents[node] {
            agent.closed();
            agent.stuck &= !strikes;
        }
    }

    /// Only those who gave no sign of life, or did not read, may be killed.
    fn judge_signal(&mut self, node: usize, client: u32) {
        let innocent = self.agents[node].iter().find(|agent| {
            agent.client == Some(client) && agent.is_reading() && !agent.plan.options.ack
        });
        if innocent.is_some() {
            let text = format!("node {node}: client {client} lives and reads, and is killed");
            self.hosts.history.fault(self.now, "supervision", text);
        }
    }

    /// gabd sends a signal. A stuck process takes SIGABRT only when it goes on.
    pub(super) fn signal_client(&mut self, node: usize, client: u32, signal: ClientSignal) {
        self.say(|| format!("node {node}: client {client} gets {signal:?}"));
        self.judge_signal(node, client);
        let (life, now) = (self.hosts.life(node), self.now);
        self.signals.push((now, node, signal));
        let dies = self.agents[node].iter().any(|agent| match signal {
            _ if agent.client != Some(client) || agent.unkillable => false,
            ClientSignal::Abort => !agent.stuck,
            ClientSignal::Kill => true,
        });
        if let Some(life) = life.filter(|_| dies) {
            let killed = signal == ClientSignal::Kill;
            self.schedule(now + DYING, Happening::ClientGone { node, life, client, killed });
        }
    }

    /// The process of an agent is gone; its supervisor starts it again unless it is retired.
    pub(super) fn client_gone(&mut self, node: usize, life: usize, client: u32, killed: bool) {
        if self.hosts.life(node) == Some(life) && self.state(node) == State::Paused {
            // gabd learns it when it goes on.
            for agent in &mut self.agents[node] {
                agent.stuck |= agent.client == Some(client);
            }
            let what = Happening::ClientGone { node, life, client, killed };
            self.schedule(self.now + PAUSED, what);
            return;
        }
        let mut kernel = false;
        if let Some(agent) = self.agents[node].iter_mut().find(|agent| agent.client == Some(client))
        {
            kernel = agent.plan.options.kernel;
            agent.closed();
            agent.stuck = false;
        }
        if self.hosts.life(node) != Some(life) || self.state(node) != State::Running {
            return;
        }
        // gabd has closed its registration with SIGKILL; else the socket that hangs up ends it, and
        // that of a kernel-type client its end.
        if killed && !kernel {
            self.apply(node, Input::Gone { client });
        } else {
            self.apply(node, Input::Died { client });
        }
        self.wake(node);
    }

    /// The process of a client is killed by somebody.
    pub fn kill_client(&mut self, node: usize, agent: usize) {
        if let (Some(client), Some(life)) = (self.agents[node][agent].client, self.hosts.life(node))
        {
            self.client_gone(node, life, client, false);
        }
    }
}

/// How often it is looked whether a gabd that is stopped goes on.
const PAUSED: Duration = Duration::from_millis(5);
/// What the system takes to end a process.
const DYING: Duration = Duration::from_millis(1);
