//! What must come true after the last fault: one membership, everything delivered, queues empty.

use std::collections::BTreeSet;

use llt::Id;

use crate::node::State;
use crate::world::World;

/// What keeps the cluster from being at rest; `None` when it is.
pub fn unsettled(world: &World) -> Option<String> {
    membership(world).or_else(|| stacks(world)).or_else(|| clients(world))
}

/// One view of exactly those that live, at everybody.
fn membership(world: &World) -> Option<String> {
    let mut living: BTreeSet<Id> = BTreeSet::new();
    for node in 0..world.nodes() {
        let Some(stack) = world.hosts.stack(node) else {
            return Some(format!("node {node} is down"));
        };
        if world.state(node) != State::Running {
            return Some(format!("node {node} does not run"));
        }
        living.insert(stack.id());
    }
    let mut first = None;
    for node in 0..world.nodes() {
        let Some(view) = world.hosts.stack(node).and_then(|stack| stack.gab().view()) else {
            return Some(format!("node {node} has no view"));
        };
        if view.members.iter().copied().collect::<BTreeSet<_>>() != living {
            let members: Vec<u8> = view.members.iter().map(|id| id.node.get()).collect();
            return Some(format!("node {node} is in {} of {members:?}", view.vid));
        }
        if *first.get_or_insert(view.vid) != view.vid {
            return Some(format!("node {node} is in {}", view.vid));
        }
    }
    None
}

/// No view change, nothing unstable, nothing queued in LLT.
fn stacks(world: &World) -> Option<String> {
    for node in 0..world.nodes() {
        let stack = world.hosts.stack(node)?;
        let gab = stack.snapshot().gab;
        if stack.gab().is_changing() {
            return Some(format!("node {node} changes its view"));
        }
        let sizes = stack.gab().sizes();
        if sizes.pending + sizes.p2p + sizes.held_items + sizes.undelivered > 0 {
            return Some(format!("node {node} has work left: {sizes:?}"));
        }
        if gab.last_slot != gab.stable_slot {
            let (last, stable) = (gab.last_slot, gab.stable_slot);
            return Some(format!("node {node}: slot {last}, stable {stable}"));
        }
        if let Some(peer) = stack.llt().peers().iter().find(|peer| peer.queued > 0) {
            return Some(format!("node {node}: {} packets to {}", peer.queued, peer.node));
        }
        if let Some(peer) = stack.llt().peers().iter().find(|peer| {
            !peer.connected && peer.node != stack.id().node && peer.node.index() < world.nodes()
        }) {
            return Some(format!("node {node}: {} is not connected", peer.node));
        }
    }
    None
}

/// Every agent is registered, has sent its probes and has read all of its own broadcasts; all
/// clients of a port see the same membership.
fn clients(world: &World) -> Option<String> {
    let mut ports = std::collections::BTreeMap::new();
    for (node, agents) in world.agents.iter().enumerate() {
        for (index, agent) in agents.iter().enumerate().filter(|(_, agent)| !agent.retired) {
            let name = || format!("node {node} agent {index} port {}", agent.plan.port);
            let Some(client) = agent.client else {
                // An exclusive port has room for one: a second agent on it stays outside.
                let alone = agents.iter().filter(|a| a.plan.port == agent.plan.port).count() == 1;
                if alone || agent.plan.options.shared {
                    return Some(format!("{} is not registered", name()));
                }
                continue;
            };
            let Some(log) = world.hosts.client(node, client) else {
                return Some(format!("{} is not known", name()));
            };
            let Some(view) = log.view else {
                return Some(format!("{} has no membership", name()));
            };
            if agent.probes != (0, 0) {
                return Some(format!("{} cannot send", name()));
            }
            if log.own_read != log.broadcasts.len() {
                let (read, sent) = (log.own_read, log.broadcasts.len());
                return Some(format!("{} read {read} of its {sent}", name()));
            }
            if log.unacked.is_some() {
                return Some(format!("{} has a membership to acknowledge", name()));
            }
            let seen = (view.generation, view.members);
            let known = *ports.entry(log.port).or_insert(seen);
            if known != seen {
                return Some(format!("{} sees {seen:?}, others {known:?}", name()));
            }
        }
    }
    None
}
