//! Scenario 34: members that depart in jeopardy, and those that do not.

use std::time::Duration;

use gab::event::PortView;
use llt::NodeSet;
use sim::scenario::{Client, Stage};
use sim::setup::{LinkSetup, Setup};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The nodes of a set.
fn list(set: NodeSet) -> Vec<u8> {
    set.iter().map(llt::NodeId::get).collect()
}

/// The last view that this client read.
fn last(stage: &Stage, client: Client) -> PortView {
    *stage.log(client).expect("it is registered").port_views().last().expect("a view").1
}

/// What nodes 0 and 1 are told when node 2 is gone: who left, and who is in jeopardy.
fn told(stage: &mut Stage, clients: &[Client]) -> (Vec<u8>, Vec<u8>) {
    stage.wait_view(&[0, 1]);
    stage.wait("both clients are told", |world| {
        clients[..2].iter().all(|client| {
            let log = sim::scenario::log_of(world, *client);
            log.and_then(|log| log.view).is_some_and(|view| view.members.len() == 2)
        })
    });
    let views = [0, 1].map(|node| last(stage, clients[node]));
    assert_eq!(views[0], views[1], "both are told the same");
    (list(views[0].left), list(views[0].jeopardy))
}

#[test]
fn s34_a_member_with_one_link_left_is_lost_in_jeopardy() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    stage.world.cut_node_link(2, 0, true);
    stage.pass(ms(6000));
    for node in 0..2 {
        let ports = stage.world.hosts.stack(node).expect("it runs").snapshot().gab.ports;
        assert_eq!(ports[0].jeopardy, [2], "as node {node} sees it");
    }
    stage.world.cut_node_link(2, 1, true);
    assert_eq!(told(&mut stage, &clients), (vec![2], vec![2]));
    stage.conclude();
}

#[test]
fn s34_a_member_that_loses_all_links_at_once_is_not() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    stage.world.cut_node(2, None, true);
    assert_eq!(told(&mut stage, &clients), (vec![2], vec![]));
    stage.conclude();
}

#[test]
fn a_crash_is_no_jeopardy_although_links_of_low_priority_are_missed_later() {
    let mut links = vec![LinkSetup::plain(8192); 2];
    links[1].lowpri = true;
    let mut stage = Stage::formed_with(Setup { links, ..Setup::fast(3) });
    let clients = stage.open_all('G');
    stage.world.crash(2);
    assert_eq!(told(&mut stage, &clients), (vec![2], vec![]));
    stage.conclude();
}

#[test]
fn a_jeopardy_that_only_one_member_saw_is_told_to_all() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let now = stage.now();
    for (from, to) in [(0, 2), (2, 0)] {
        stage.world.net.set_cut(now, 0, from, to, true);
    }
    stage.pass(ms(3000));
    let seen = |stage: &Stage, node: usize| {
        let ports = stage.world.hosts.stack(node).expect("it runs").snapshot().gab.ports;
        ports[0].jeopardy.clone()
    };
    assert_eq!((seen(&stage, 0), seen(&stage, 1)), (vec![2], vec![]));
    stage.world.cut_node(2, None, true);
    assert_eq!(told(&mut stage, &clients), (vec![2], vec![2]));
    stage.conclude();
}

#[test]
fn who_leaves_in_jeopardy_in_order_is_not_lost() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    stage.world.cut_node_link(2, 0, true);
    stage.pass(ms(3000));
    stage.world.leave(2, ms(0));
    let (left, jeopardy) = told(&mut stage, &clients);
    assert_eq!((left, jeopardy), (vec![2], vec![]));
    stage.conclude();
}
