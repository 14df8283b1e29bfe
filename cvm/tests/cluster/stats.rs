//! `vxstat`: one node is asked, and has what all have counted (facts 3.16).

use std::collections::BTreeSet;

use cvm::core::iod::Command;
use cvm::model::{Rid, UniqueId};
use cvm::request::{NodesStats, Reply, Request};
use cvm::stats::TraceTaken;

use crate::crashes::init;
use crate::world::{World, counted_by, node};

fn prepared() -> World {
    let mut world = World::new(3, 3);
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    world
}

fn request(nodes: &[u8]) -> Request {
    Request::Stats { nodes: nodes.iter().copied().collect(), reset: None }
}

#[track_caller]
fn answer(reply: Reply) -> NodesStats {
    let Reply::Stats(stats) = reply else { panic!("{reply:?}") };
    *stats
}

fn nodes(stats: &NodesStats) -> Vec<u8> {
    for (number, counted) in &stats.nodes {
        assert_eq!(*counted, counted_by(node(*number)), "node {number}");
    }
    stats.nodes.keys().copied().collect()
}

#[test]
fn all_nodes_are_asked_or_those_that_are_named() {
    let mut world = prepared();
    for asked in 0..3 {
        let all = answer(world.ask(node(asked), request(&[])));
        assert_eq!((nodes(&all), &all.silent), (vec![0, 1, 2], &BTreeSet::new()));
        let some = answer(world.ask(node(asked), request(&[2])));
        assert_eq!((nodes(&some), &some.silent), (vec![2], &BTreeSet::new()));
    }
    let mut sum = counted_by(node(0));
    sum.add(&counted_by(node(1)));
    let object = sum.of(&UniqueId::new(1, 1, "counted"), Rid(1)).counters;
    assert_eq!(object.failed_reads, 3);
    let reply = world.ask(node(0), request(&[1, 9]));
    let Reply::Failed(failure) = reply else { panic!("{reply:?}") };
    assert_eq!(failure.text, "node 9 is not in the cluster");
}

#[test]
fn who_does_not_answer_is_named_and_not_waited_for() {
    let mut world = prepared();
    world.kill_configd(node(2));
    let all = answer(world.ask(node(1), request(&[])));
    assert_eq!((nodes(&all), all.silent), (vec![0, 1], BTreeSet::from([2])));
    // Its vxconfigd has it, and the vxiod hangs.
    let mut world = prepared();
    let begun = world.now;
    let session = world.request(node(1), request(&[]));
    while world.reply(node(1), session).is_none() {
        let state = world.nodes.get_mut(&node(0)).unwrap();
        state.commands.retain(|command| !matches!(command, Command::Observe(..)));
        if !world.step() {
            world.settle();
        }
    }
    let all = answer(world.reply(node(1), session).unwrap().clone());
    assert_eq!((nodes(&all), all.silent), (vec![1, 2], BTreeSet::from([0])));
    assert!(world.now.since(begun) < std::time::Duration::from_secs(10));
}

#[test]
fn what_happens_is_asked_of_the_own_node_alone() {
    let mut world = prepared();
    let taken = TraceTaken { next: vec![7], room: 9 };
    let reply = world.ask(node(2), Request::Trace(taken.clone()));
    let Reply::Traced(traced) = reply else { panic!("{reply:?}") };
    assert_eq!(traced.taken, taken);
    let asked = |what: &String| what.starts_with("observe");
    assert_eq!(world.trace.iter().filter(|what| asked(what)).count(), 1);
}
