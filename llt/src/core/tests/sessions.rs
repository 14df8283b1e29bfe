//! Restarts, resets, pauses, goodbyes.

use bytes::Bytes;

use super::net::{Net, config};
use crate::core::{DownReason, Event, Llt};
use crate::ids::{Incarnation, LltPort};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn downs(events: &[Event]) -> Vec<DownReason> {
    let reasons = events.iter().filter_map(|event| match event {
        Event::PeerDown { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

fn ups(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::PeerUp { .. })).count()
}

/// One message each way, now.
fn exchange(net: &mut Net) {
    for (from, to) in [(0, 1), (1, 0)] {
        let (now, id) = (net.now, net.id(to));
        net.llt(from).send(now, LltPort::GAB, id, Bytes::from_static(b"hello")).unwrap();
        net.run(MS);
        assert_eq!(net.take_messages(to).len(), 1);
    }
}

#[test]
fn a_restart_faster_than_detection_is_a_new_peer() {
    let mut net = Net::new(2, 2, 1);
    net.connect();
    net.run(500 * MS);
    net.take_events(0);
    let mut restarted = config(1, 2, 2);
    restarted.incarnation = Incarnation(101);
    net.nodes[1] = Some(Llt::new(net.now, restarted, 9));
    net.events[1].clear();
    let end = net.now + 200 * MS;
    let new = net.id(1);
    assert!(net.run_until(end, |net| {
        let peer = &net.llt(0).peers()[0];
        peer.connected && peer.id == Some(new)
    }));
    let events = net.take_events(0);
    assert_eq!(downs(&events), [DownReason::Restarted]);
    assert_eq!(ups(&events), 1);
    assert!(!events.iter().any(|event| matches!(event, Event::Duplicate { .. })));
    net.run(10 * MS);
    exchange(&mut net);
    net.check_alarms();
}

#[test]
fn a_paused_node_learns_that_it_was_given_up_and_comes_back() {
    let mut net = Net::new(2, 2, 2);
    net.connect();
    net.run(500 * MS);
    net.take_events(0);
    net.take_events(1);
    net.paused[1] = true;
    net.run(3000 * MS);
    assert_eq!(downs(&net.take_events(0)), [DownReason::Silent]);
    net.paused[1] = false;
    net.connect();
    let events = net.take_events(1);
    assert!(matches!(events[0], Event::Late { late_ms } if late_ms > 2500), "{events:?}");
    assert_eq!(downs(&events), [DownReason::Reset]);
    assert_eq!(ups(&events), 1);
    assert_eq!(ups(&net.take_events(0)), 1);
    net.run(MS);
    exchange(&mut net);
    net.check_alarms();
}

#[test]
fn a_short_pause_of_our_own_is_nobody_elses_fault() {
    let mut net = Net::new(3, 2, 3);
    net.connect();
    net.run(500 * MS);
    net.take_events(1);
    net.paused[1] = true;
    net.run(800 * MS);
    // What arrived meanwhile is lost, as if the sockets had overflown.
    net.loss = 1000;
    net.paused[1] = false;
    net.run(10 * MS);
    net.loss = 0;
    net.run(1000 * MS);
    assert!(net.is_connected());
    for index in 0..3 {
        assert_eq!(downs(&net.take_events(index)), []);
    }
    assert_eq!(net.llt(1).stats().late_timer, 1);
}

#[test]
fn both_sides_give_up_and_connect_again() {
    let mut net = Net::new(2, 2, 4);
    net.connect();
    let all = vec![(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0)];
    for round in 0..5 {
        net.run(500 * MS);
        net.take_events(0);
        net.take_events(1);
        // What is under way when the connection ends is lost with it.
        let (now, to) = (net.now, net.id(1));
        net.cuts = all.clone();
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"lost")).unwrap();
        net.run(2000 * MS);
        assert!(!net.is_connected());
        net.cuts.clear();
        net.connect();
        for index in 0..2 {
            let events = net.take_events(index);
            assert_eq!(downs(&events), [DownReason::Silent], "round {round}");
            assert_eq!(ups(&events), 1);
        }
        net.run(MS);
        exchange(&mut net);
    }
    net.check_alarms();
}

#[test]
fn a_goodbye_is_heard_at_once_and_never_taken_back() {
    let mut net = Net::new(2, 2, 5);
    net.connect();
    net.run(500 * MS);
    net.take_events(0);
    net.take_events(1);
    let now = net.now;
    net.llt(1).leave(now);
    net.run(MS);
    assert_eq!(downs(&net.take_events(0)), [DownReason::Left]);
    assert_eq!(net.llt(0).peers()[0].id, None);
    // It is silent but for its goodbyes, and nothing that it says makes it a peer again.
    net.run(1000 * MS);
    assert_eq!(net.take_events(0), []);
    assert_eq!(net.take_events(1), []);
    // Its next life is welcome at once.
    let mut restarted = config(1, 2, 2);
    restarted.incarnation = Incarnation(101);
    net.nodes[1] = Some(Llt::new(net.now, restarted, 9));
    let start = net.now;
    net.connect();
    assert!(net.now.since(start) < 5 * MS);
}

#[test]
fn a_lost_goodbye_is_repeated() {
    let mut net = Net::new(2, 1, 6);
    net.connect();
    net.run(500 * MS);
    net.take_events(0);
    net.cuts = vec![(0, 1, 0)];
    let now = net.now;
    net.llt(1).leave(now);
    net.drain(1);
    net.cuts.clear();
    net.run(60 * MS);
    assert_eq!(downs(&net.take_events(0)), [DownReason::Left]);
}

#[test]
fn learned_addresses_are_enough_to_connect() {
    let mut configs = vec![config(0, 2, 2), config(1, 2, 2)];
    configs[0].links.iter_mut().for_each(|link| link.peers.clear());
    let mut net = Net::with(configs, 7);
    net.connect();
    net.run(10 * MS);
    exchange(&mut net);
}

#[test]
fn messages_under_way_when_the_peer_resets_are_not_delivered_later() {
    let mut net = Net::new(2, 1, 8);
    net.connect();
    net.run(500 * MS);
    let (now, to) = (net.now, net.id(1));
    net.keep_sent = true;
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"old")).unwrap();
    net.llt(0).datagram(now, LltPort::GAB, to, Bytes::from_static(b"old")).unwrap();
    net.llt(0).broadcast(now, LltPort::GAB, Bytes::from_static(b"old")).unwrap();
    net.drain(0);
    let old: Vec<Bytes> = std::mem::take(&mut net.sent)
        .into_iter()
        .filter(|(_, from, frame)| *from == 0 && matches!(frame[6], 0x0b | 0x0d))
        .map(|(_, _, frame)| frame)
        .collect();
    assert_eq!(old.len(), 3);
    net.run(2000 * MS);
    // Not connected: refused. Connected again: refused too.
    for reconnected in [false, true] {
        if reconnected {
            net.cuts.clear();
            net.connect();
            net.run(10 * MS);
        }
        net.take_events(1);
        let refused = net.llt(1).stats().rcv_bad_generation + net.llt(1).stats().rcv_not_connected;
        for frame in &old {
            net.frame(1, 0, 0, frame.clone());
        }
        assert_eq!(net.take_events(1), [], "reconnected: {reconnected}");
        let stats = net.llt(1).stats();
        assert_eq!(stats.rcv_bad_generation + stats.rcv_not_connected, refused + 3);
    }
}
