//! What is watched while a world runs, because it needs the network, or the inside of a stack.

use core::time::Duration;

use gab::limits::Bounded;

use crate::node::State;
use crate::world::World;

/// Watches a world; call it every so often.
#[derive(Debug, Default)]
pub struct Watch {
    /// Views of each life that were looked at.
    seen: Vec<usize>,
}

impl Watch {
    /// Looks at every running node.
    pub fn look(&mut self, world: &mut World) {
        for node in 0..world.nodes() {
            if world.state(node) == State::Running {
                invariant_llt_no_peer_is_up_in_silence(world, node);
                invariant_ms13_no_slot_is_forgotten_before_it_is_stable(world, node);
                invariant_ms14_everything_is_bounded(world, node);
                invariant_ms14_the_window_is_bounded(world, node);
            }
        }
        invariant_vw8_members_could_hear_each_other(world, &mut self.seen);
    }
}

/// VW8: members of a view could hear each other when it was formed.
///
/// `seen` is how many views of each life were looked at.
fn invariant_vw8_members_could_hear_each_other(world: &mut World, seen: &mut Vec<usize>) {
    let lives = &world.hosts.history.lives;
    seen.resize(lives.len(), 0);
    let mut faults = Vec::new();
    for (life, seen) in lives.iter().zip(seen) {
        for installed in &life.views[*seen..] {
            let nodes: Vec<usize> =
                installed.view.members.iter().map(|id| id.node.index()).collect();
            for one in &nodes {
                for other in nodes.iter().filter(|other| *other != one) {
                    // Only the cable counts: who was stopped or slow heard nothing in time.
                    let deaf = world.net.deaf_for(installed.at, *one, *other);
                    let calm = [*one, *other].iter().all(|node| {
                        let process = world.process(*node);
                        process.state == State::Running
                            && installed.at.since(process.disturbed) > blind(world)
                    });
                    if calm && deaf > blind(world) {
                        faults.push(format!(
                            "{} of {}: {other} has not heard {one} for {deaf:?}",
                            installed.view.vid, life.id
                        ));
                    }
                }
            }
        }
        *seen = life.views.len();
    }
    let now = world.now();
    for text in faults {
        world.hosts.history.fault(now, "vw8-clique", text);
    }
}

/// LLT: no peer is up without a frame from it within the inactive time.
fn invariant_llt_no_peer_is_up_in_silence(world: &mut World, node: usize) {
    let now = world.now();
    let Some(stack) = world.hosts.stack(node) else { return };
    let process = world.process(node);
    let mut faults = Vec::new();
    for peer in stack.llt().peers().iter().filter(|peer| peer.connected) {
        let last = process.heard[peer.node.index()].max(process.disturbed);
        if now.since(last) > blind(world) {
            faults.push(format!("node {node}: {} is up, silent since {last}", peer.node));
        }
    }
    for text in faults {
        world.hosts.history.fault(now, "llt-up-in-silence", text);
    }
}

/// MS14, LLT: nothing grows beyond its limit.
fn invariant_ms14_everything_is_bounded(world: &mut World, node: usize) {
    let now = world.now();
    let Some(stack) = world.hosts.stack(node) else { return };
    let beyond = beyond(&stack.bounded());
    for text in beyond {
        world.hosts.history.fault(now, "ms14-bounded", format!("node {node}: {text}"));
    }
}

/// MS14: once everything has come to rest, what was remembered for a message, a link or a fault is
/// forgotten. What remains counts nodes, links and ports; and the views of the own history, which
/// have their own limit.
pub fn invariant_ms14_nothing_is_kept_at_rest(world: &mut World) {
    let now = world.now();
    let limit = 64 + 4 * world.nodes();
    for node in 0..world.nodes() {
        let Some(stack) = world.hosts.stack(node) else { continue };
        let at_rest = |what: Bounded| Bounded { limit: what.limit.min(limit), ..what };
        let kept = stack.bounded().into_iter().filter(|what| !what.name.contains("history"));
        let kept = beyond(&kept.map(at_rest).collect::<Vec<_>>());
        for text in kept {
            world.hosts.history.fault(now, "ms14-at-rest", format!("node {node}: {text}"));
        }
    }
}

fn beyond(all: &[Bounded]) -> Vec<String> {
    let beyond = all.iter().filter(|what| what.size > what.limit);
    beyond.map(|what| format!("{} {}, at most {}", what.size, what.name, what.limit)).collect()
}

/// MS13: no slot is forgotten before every member holds it: those from the first that is not stable
/// to the last that was held without a gap are in memory.
fn invariant_ms13_no_slot_is_forgotten_before_it_is_stable(world: &mut World, node: usize) {
    let now = world.now();
    let Some(stack) = world.hosts.stack(node) else { return };
    let gab = stack.gab();
    let (cont, _, stable) = gab.progress();
    if let Some(slot) = forgotten(stable, cont, |slot| gab.keeps_slot(slot)) {
        let text = format!("node {node}: slot {slot} is gone, stable are {stable} of {cont}");
        world.hosts.history.fault(now, "ms13-garbage", text);
    }
}

/// The first slot that is not stable and not kept.
fn forgotten(stable: u64, cont: u64, keeps: impl Fn(u64) -> bool) -> Option<u64> {
    (stable + 1..=cont).find(|slot| !keeps(*slot))
}

/// MS14: no more slots are unstable than the window has. Only the sequencer knows at once what is
/// stable; another member hears of new slots from whoever has acknowledged them, too, and of what
/// was stable then with the next ORD: it may be a window behind, but the slots are held by all.
fn invariant_ms14_the_window_is_bounded(world: &mut World, node: usize) {
    let now = world.now();
    let Some(stack) = world.hosts.stack(node) else { return };
    let (_, last, stable) = stack.gab().progress();
    let known = last.saturating_sub(stable);
    let window = gab::limits::WINDOW_SLOTS;
    if known <= window {
        return;
    }
    let orders = stack.snapshot().gab.sequencer.map(usize::from) == Some(node);
    let beyond = match held_by_all(world, node) {
        Some(held) if !orders => known > 2 * window || last.saturating_sub(held) > window,
        Some(_) | None => true,
    };
    if beyond {
        let text = format!("node {node}: {known} slots are not stable");
        world.hosts.history.fault(now, "ms14-window", text);
    }
}

/// The last slot up to which all who are in the view of this node hold everything.
fn held_by_all(world: &World, node: usize) -> Option<u64> {
    let vid = world.hosts.stack(node)?.gab().view()?.vid;
    let stacks = (0..world.nodes()).filter_map(|other| world.hosts.stack(other));
    let inside = stacks.map(|stack| stack.gab());
    let inside = inside.filter(|gab| gab.view().is_some_and(|view| view.vid == vid));
    inside.map(|gab| gab.progress().0).min()
}

/// Longer than anybody may take to notice: the inactive time on the slowest clock, a trouble
/// interval of not judging, the stable time and its restarts, and a slow turn.
fn blind(world: &World) -> Duration {
    let setup = world.hosts.setup();
    (setup.timers.peer_inact + setup.timers.peer_trouble + setup.stable * 4) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ms14_sees_what_is_beyond_its_limit() {
        let all = [Bounded::new("peers", 3, 3), Bounded::new("slots", 5, 4)];
        assert_eq!(beyond(&all), ["5 slots, at most 4"]);
    }

    #[test]
    fn ms13_sees_a_slot_that_is_forgotten_too_early() {
        assert_eq!(forgotten(3, 6, |slot| slot > 3), None);
        assert_eq!(forgotten(3, 6, |slot| slot > 4), Some(4));
        assert_eq!(forgotten(6, 6, |_| false), None);
    }
}
