//! MS11 and MS12: what must hold the moment that a client reads or a frame leaves.

use std::collections::BTreeMap;

use gab::event::Level;
use gab::ids::Vid;
use gab::wire::{Body, Message};
use llt::NodeId;

use crate::history::What;
use crate::world::World;

/// MS11: a SAFE message that is read while its view is in force was held by every member before.
/// Members that died, or went on to another view, cannot be asked any more.
pub fn invariant_ms11_safe_messages_are_held_by_every_member(
    world: &mut World,
    node: usize,
    client: u32,
    events: u32,
) {
    let Some((vid, slot)) = last_safe(world, node, client, events) else { return };
    let mut conts = Vec::new();
    for other in 0..world.nodes() {
        let Some(stack) = world.hosts.stack(other) else { continue };
        let gab = stack.gab();
        if gab.view().is_some_and(|view| view.vid == vid && view.contains(stack.id())) {
            conts.push((stack.id().node, gab.progress().0));
        }
    }
    let now = world.now();
    for (short, cont) in lacking(slot, &conts) {
        let text = format!("node {node} read SAFE slot {slot} of {vid}, {short} holds {cont}");
        world.hosts.history.fault(now, "ms11-stability", text);
    }
}

/// The last slot that these last events of a client delivered as SAFE in the view in force.
fn last_safe(world: &World, node: usize, client: u32, events: u32) -> Option<(Vid, u64)> {
    let log = world.hosts.client(node, client)?;
    let life = &world.hosts.history.lives[world.hosts.life(node)?];
    let installed = life.views.last()?;
    let news = log.entries.iter().rev().take(usize::try_from(events).ok()?);
    let sequence = news.filter_map(|entry| match &entry.what {
        What::Deliver(read) if read.broadcast && read.level == Level::Safe => Some(read.sequence),
        What::Closed(_) | What::Deliver(_) | What::Status(_) | What::View(_) => None,
    });
    // What is numbered up to the base is a leftover of a flush.
    let slot = sequence.max()?.checked_sub(installed.base).filter(|slot| *slot > 0)?;
    Some((installed.view.vid, slot))
}

/// Who does not hold everything up to this slot.
fn lacking(slot: u64, conts: &[(NodeId, u64)]) -> Vec<(NodeId, u64)> {
    conts.iter().copied().filter(|(_, cont)| *cont < slot).collect()
}

/// What each life told its proposer that it holds of its view.
#[derive(Debug, Default)]
pub struct Freeze {
    /// By life: the view it was in, and the last slot of its first STATE there.
    reported: BTreeMap<usize, (Vid, u64)>,
}

/// MS12: once a node has answered STATE, no message of its acknowledges more of the old view than
/// that STATE said. LLT repeats messages from before the freeze, so an acknowledgement as such
/// proves nothing; one of a slot that came later does. Answers what is wrong.
pub fn invariant_ms12_a_frozen_node_acknowledges_nothing_more(
    freeze: &mut Freeze,
    life: usize,
    message: &Message,
) -> Option<String> {
    if let Body::State(state) = &message.body {
        let known = freeze.reported.entry(life).or_insert((state.installed, state.cont));
        if known.0 < state.installed {
            *known = (state.installed, state.cont);
        }
        return None;
    }
    let (vid, cont) = *freeze.reported.get(&life)?;
    let head = message.head;
    (head.vid == vid && head.ack > cont).then(|| {
        format!("{} acknowledges {} of {vid} after a STATE up to {cont}", message.name(), head.ack)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gab::wire::{Head, State};
    use llt::{Id, Incarnation};

    use super::*;
    use crate::profile::Kind;
    use crate::run::{Order, run};
    use crate::world::Trace;

    fn vid(round: u64) -> Vid {
        let node = NodeId::new(0).unwrap();
        Vid { round, proposer: Id { node, incarnation: Incarnation(1) } }
    }

    fn message(round: u64, ack: u64, body: Body) -> Message {
        Message { head: Head { vid: vid(round), ack, busy: 0 }, body }
    }

    fn state(round: u64, installed: u64, cont: u64) -> Message {
        let (installed, beyond) = (vid(installed), Bytes::new());
        let state = State {
            installed,
            ready: Vid::NONE,
            cont,
            beyond,
            row: Vec::new(),
            versions: gab::Versions::OURS,
            leaving: false,
            lost_in_jeopardy: Vec::new(),
            prepared: Vec::new(),
        };
        message(round, 0, Body::State(state))
    }

    #[test]
    fn ms11_sees_a_member_that_lacks_the_slot() {
        let node = |node| NodeId::new(node).unwrap();
        assert_eq!(lacking(5, &[(node(0), 5), (node(1), 4), (node(2), 9)]), [(node(1), 4)]);
    }

    #[test]
    fn ms11_sees_safe_messages_released_too_early() {
        let seen = (1..=20).any(|seed| {
            let mutant = Some("SafeWithoutStability".to_owned());
            let order = Order {
                seed,
                kind: Kind::Swarm,
                nodes: None,
                mutant,
                sealed: None,
                length: None,
                trace: Trace::Silent,
            };
            run(&order, None).violations.counts().contains_key("ms11-stability")
        });
        assert!(seen, "no seed released a SAFE message that a member lacked");
    }

    #[test]
    fn ms12_sees_an_acknowledgement_after_the_state() {
        let mut freeze = Freeze::default();
        let mut look = |message: &Message| {
            invariant_ms12_a_frozen_node_acknowledges_nothing_more(&mut freeze, 0, message)
        };
        assert_eq!(look(&message(1, 7, Body::Ack)), None);
        assert_eq!(look(&state(2, 1, 7)), None);
        assert_eq!(look(&message(1, 7, Body::Ack)), None, "a repetition from before");
        assert_eq!(look(&state(3, 1, 9)), None);
        assert!(look(&message(1, 8, Body::Ack)).is_some());
        assert_eq!(look(&message(3, 8, Body::Ack)), None, "in the next view");
    }
}
