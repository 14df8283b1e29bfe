//! Node ids that are used twice, and our own frames coming back.

use super::net::{Net, address, broadcast_address, config, node};
use crate::core::{DuplicateScope, Event, OwnNote};
use crate::ids::Incarnation;
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn duplicates(events: &[Event]) -> Vec<(u8, DuplicateScope)> {
    let found = events.iter().filter_map(|event| match event {
        Event::Duplicate { node, scope, .. } => Some((node.get(), *scope)),
        _ => None,
    });
    found.collect()
}

/// Nodes 0 and 1, and somebody else who calls itself 1 but has an address of its own.
#[test]
fn the_younger_of_two_nodes_with_one_id_is_told_and_the_view_stays() {
    let mut configs: Vec<_> = (0..2).map(|me| config(me, 2, 2)).collect();
    let mut younger = config(1, 2, 2);
    younger.incarnation = Incarnation(200);
    configs.push(younger);
    let mut net = Net::with(configs, 1);
    net.separate_address(2, 66);
    net.stopped[2] = true;
    net.connect_only(&[0, 1]);
    net.run(500 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    net.stopped[2] = false;
    net.run(3000 * MS);
    let events = net.take_events(0);
    assert_eq!(duplicates(&events), [(1, DuplicateScope::Peer); 3]);
    assert!(!events.iter().any(|event| matches!(event, Event::PeerDown { .. })), "{events:?}");
    let told = duplicates(&net.take_events(2));
    assert_eq!(told, [(1, DuplicateScope::OwnYounger); 3]);
    assert_eq!(duplicates(&net.take_events(1)), []);
    assert_eq!(net.llt(0).peers()[0].id, Some(net.id(1)));
    // When the older one dies, the younger may take its place.
    net.nodes[1] = None;
    net.run(3000 * MS);
    let status = net.llt(0).peers().remove(0);
    assert_eq!(status.id.map(|id| id.incarnation), Some(Incarnation(200)));
}

/// The same, but node 0 has connected to the younger one first, and the older one appears later.
#[test]
fn the_younger_of_two_is_told_also_if_the_older_one_comes_later() {
    let mut configs: Vec<_> = (0..2).map(|me| config(me, 2, 2)).collect();
    configs[1].incarnation = Incarnation(200);
    configs.push(config(1, 2, 2));
    let mut net = Net::with(configs, 1);
    net.separate_address(2, 66);
    net.stopped[2] = true;
    net.connect_only(&[0, 1]);
    net.run(500 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    net.stopped[2] = false;
    net.run(3000 * MS);
    let events = net.take_events(0);
    assert_eq!(duplicates(&events), [(1, DuplicateScope::Peer); 3]);
    let strangers = events.iter().filter_map(|event| match event {
        Event::Duplicate { from, .. } => Some(from.unwrap().1),
        _ => None,
    });
    let strangers: Vec<_> = strangers.collect();
    assert!(
        strangers.iter().all(|at| (0..2).any(|link| *at == address(link, 66))),
        "{strangers:?}"
    );
    assert_eq!(net.llt(0).own_notes(), [OwnNote::Duplicate { node: node(1) }]);
    // The younger one halts, on what it is told; nothing happens to who stays.
    assert_eq!(duplicates(&net.take_events(1)), [(1, DuplicateScope::OwnYounger); 3]);
    let told = net.take_events(2);
    assert!(duplicates(&told).iter().all(|told| *told == (1, DuplicateScope::OwnOlder)));
    assert!(!duplicates(&told).is_empty());
    // What it hears of node 0 is answers to its own heartbeats: none is missing.
    assert!(!told.iter().any(|event| matches!(event, Event::Lost { .. })), "{told:?}");
    assert_eq!(net.llt(0).peers()[0].id.map(|id| id.incarnation), Some(Incarnation(200)));
    // The older one has its place again.
    net.nodes[1] = None;
    net.run(3000 * MS);
    let status = net.llt(0).peers().remove(0);
    assert_eq!(status.id.map(|id| id.incarnation), Some(Incarnation(100)));
}

#[test]
fn two_nodes_with_one_id_on_one_wire_know_who_is_older() {
    let mut configs: Vec<_> = (0..2).map(|_| config(1, 2, 1)).collect();
    configs[1].incarnation = Incarnation(200);
    for config in &mut configs {
        config.links[0].broadcast = Some(broadcast_address(0));
        config.links[0].peers.clear();
    }
    let mut net = Net::with(configs, 2);
    net.separate_address(1, 66);
    net.run(900 * MS);
    assert_eq!(duplicates(&net.take_events(0)), [(1, DuplicateScope::OwnOlder)]);
    assert_eq!(duplicates(&net.take_events(1)), [(1, DuplicateScope::OwnYounger)]);
}

#[test]
fn own_frames_that_come_back_are_nobody() {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs[0].links[0].broadcast = Some(broadcast_address(0));
    let mut net = Net::with(configs, 3);
    net.loops_back = true;
    net.connect();
    net.run(1000 * MS);
    assert!(net.llt(0).stats().snd_loopback >= 20);
    assert_eq!(duplicates(&net.take_events(0)), []);
    assert_eq!(net.llt(0).peers().len(), 1);
    assert_eq!(net.llt(0).peers()[0].node, node(1));
}

#[test]
fn frames_of_an_older_incarnation_change_nothing() {
    let mut net = Net::new(2, 1, 4);
    net.keep_sent = true;
    net.run(100 * MS);
    let old = net.sent.iter().filter(|(_, from, _)| *from == 1);
    let old: Vec<_> = old.map(|(_, _, frame)| frame.clone()).collect();
    let mut restarted = config(1, 2, 1);
    restarted.incarnation = Incarnation(101);
    net.nodes[1] = Some(crate::core::Llt::new(net.now, restarted, 5));
    net.run(500 * MS);
    assert!(net.is_connected());
    net.take_events(0);
    net.llt(0).zero_stats();
    for frame in &old {
        net.frame(0, 0, 1, frame.clone());
    }
    assert_eq!(net.take_events(0), []);
    assert_eq!(net.llt(0).stats().rcv_bad_generation, old.len() as u64);
}
