//! What an administrator changes while LLT runs.

use bytes::Bytes;

use super::net::{Net, address, config, link, node, port};
use crate::config::LinkConfig;
use crate::core::{AddLinkError, DownReason, Event, LinkStatus, RemoveLinkError, SendError};
use crate::ids::{Id, Incarnation, LltPort, NodeSet};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// The configuration of link `number` of node `me` among `nodes`.
fn link_config(me: u8, nodes: u8, number: u8) -> LinkConfig {
    config(me, nodes, number + 1).links.remove(usize::from(number))
}

fn statuses(net: &mut Net, index: usize) -> Vec<LinkStatus> {
    net.llt(index).peers()[0].links.iter().map(|link| link.status).collect()
}

/// Sends a message both ways every millisecond for `time`, and expects all of them in order.
fn talk(net: &mut Net, time: Duration) {
    let end = net.now + time;
    let mut sent = 0u32;
    let mut received = [Vec::new(), Vec::new()];
    while net.now < end {
        for (from, to) in [(0, 1), (1, 0)] {
            let (now, id) = (net.now, net.id(to));
            let payload = Bytes::from(sent.to_be_bytes().repeat(500));
            net.llt(from).send(now, LltPort::GAB, id, payload).unwrap();
        }
        sent += 1;
        net.run(MS);
        for (index, received) in received.iter_mut().enumerate() {
            received.extend(net.take_messages(index));
        }
    }
    net.run(500 * MS);
    for (index, received) in received.iter_mut().enumerate() {
        received.extend(net.take_messages(index));
        let numbers = received.iter().map(|payload| payload[..4].to_vec());
        assert!(numbers.eq((0..sent).map(|number| number.to_be_bytes().to_vec())));
    }
}

#[test]
fn a_link_is_added_disabled_and_removed_under_load_without_a_loss() {
    let mut net = Net::new(2, 1, 1);
    net.connect();
    for index in 0..2u8 {
        let now = net.now;
        let added = link_config(index, 2, 1);
        assert_eq!(net.llt(index.into()).add_link(now, added), Ok(link(1)));
    }
    talk(&mut net, 200 * MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Up; 2]);
    // The first one goes, on one side first; what is under way on it is sent again.
    let now = net.now;
    assert!(net.llt(0).enable_link(now, link(0), false));
    talk(&mut net, 200 * MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Trouble, LinkStatus::Up]);
    let now = net.now;
    assert_eq!(net.llt(0).remove_link(now, link(0)), Ok(()));
    assert!(net.llt(0).links()[0].is_none());
    talk(&mut net, 200 * MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Down, LinkStatus::Up]);
    // The number is free again.
    let now = net.now;
    assert_eq!(net.llt(0).add_link(now, link_config(0, 2, 0)), Ok(link(0)));
    talk(&mut net, 200 * MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Up; 2]);
    for index in 0..2 {
        assert_eq!(net.llt(index).stats().alarms, 0);
        assert!(net.llt(index).links().iter().flatten().all(|link| link.enabled && link.carrier));
    }
}

#[test]
fn links_are_removed_only_when_nothing_is_cut_off() {
    let mut net = Net::new(2, 2, 2);
    net.connect();
    let now = net.now;
    let llt = net.llt(0);
    assert_eq!(llt.remove_link(now, link(1)), Err(RemoveLinkError::Enabled(link(1))));
    assert_eq!(llt.remove_link(now, link(2)), Err(RemoveLinkError::NoSuchLink(link(2))));
    assert!(!llt.enable_link(now, link(2), false));
    assert!(llt.enable_link(now, link(0), false) && llt.enable_link(now, link(1), false));
    assert_eq!(llt.remove_link(now, link(0)), Ok(()));
    assert_eq!(llt.remove_link(now, link(0)), Err(RemoveLinkError::NoSuchLink(link(0))));
    assert_eq!(llt.remove_link(now, link(1)), Err(RemoveLinkError::Last(link(1))));
    assert!(!llt.enable_link(now, link(0), true));
    assert!(llt.enable_link(now, link(1), true));
    net.run(200 * MS);
    assert!(net.is_connected());
}

#[test]
fn no_more_than_eight_links_and_none_too_small() {
    let mut net = Net::new(2, 2, 3);
    let now = net.now;
    let small = LinkConfig { mtu: 1499, ..link_config(0, 2, 2) };
    let refused = AddLinkError::MtuTooSmall { mtu: 1499, min: 1500 };
    assert_eq!(net.llt(0).add_link(now, small), Err(refused));
    for number in 2..8 {
        let added = link_config(0, 2, number);
        assert_eq!(net.llt(0).add_link(now, added), Ok(link(number)));
    }
    let ninth = link_config(0, 2, 0);
    assert_eq!(net.llt(0).add_link(now, ninth), Err(AddLinkError::TooMany));
    net.connect();
    assert_eq!(net.llt(0).links().len(), 8);
    assert_eq!(net.llt(0).peers()[0].links.len(), 8);
}

#[test]
fn frames_on_a_disabled_link_are_counted_and_nothing_else() {
    let mut net = Net::new(2, 2, 4);
    net.connect();
    net.run(200 * MS);
    let now = net.now;
    assert!(net.llt(0).enable_link(now, link(1), false));
    net.run(10 * MS);
    net.llt(0).zero_stats();
    net.run(200 * MS);
    assert!(net.llt(0).stats().rcv_disabled >= 4);
    assert_eq!(statuses(&mut net, 0)[1], LinkStatus::Trouble);
    net.check_alarms();
}

#[test]
fn timers_take_effect_at_once() {
    let mut net = Net::new(2, 1, 5);
    net.connect();
    net.run(500 * MS);
    let now = net.now;
    let mut timers = net.llt(0).config().timers;
    timers.heartbeat = 10 * MS;
    net.llt(0).set_timers(now, timers);
    net.llt(0).zero_stats();
    net.run(1000 * MS);
    assert!((98..=101).contains(&net.llt(0).stats().snd_heartbeat));
    // A shorter patience judges the silence that there has been.
    net.nodes[1] = None;
    net.run(200 * MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Up]);
    let now = net.now;
    timers.peer_trouble = 100 * MS;
    net.llt(0).set_timers(now, timers);
    net.run(MS);
    assert_eq!(statuses(&mut net, 0), [LinkStatus::Trouble]);
    let now = net.now;
    timers.peer_inact = 150 * MS;
    net.llt(0).set_timers(now, timers);
    net.run(MS);
    assert!(!net.llt(0).peers()[0].connected);
}

#[test]
fn limits_take_effect_at_once() {
    let mut net = Net::new(2, 1, 6);
    net.connect();
    let (now, to) = (net.now, net.id(1));
    let message = Bytes::from_static(b"message");
    let mut flow = net.llt(0).config().flow;
    (flow.highwater, flow.lowwater) = (4, 2);
    net.llt(0).set_flow(now, flow);
    for _ in 0..4 {
        net.llt(0).send(now, port(5), to, message.clone()).unwrap();
    }
    assert_eq!(net.llt(0).send(now, port(5), to, message), Err(SendError::WouldBlock));
    net.take_events(0);
    (flow.highwater, flow.lowwater) = (8, 4);
    net.llt(0).set_flow(now, flow);
    net.drain(0);
    assert_eq!(net.take_events(0), [Event::Writable { peer: to }]);
}

#[test]
fn an_excluded_peer_is_disconnected_told_and_may_come_back() {
    let mut net = Net::new(3, 2, 7);
    net.connect();
    net.run(100 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    let now = net.now;
    let excluded: NodeSet = [node(1)].into_iter().collect();
    net.llt(0).set_excluded(now, excluded);
    net.run(MS);
    let reasons = |net: &mut Net, index: usize| -> Vec<DownReason> {
        let events = net.take_events(index).into_iter();
        events
            .filter_map(|event| match event {
                Event::PeerDown { reason, .. } => Some(reason),
                _ => None,
            })
            .collect()
    };
    assert_eq!(reasons(&mut net, 0), [DownReason::Excluded]);
    assert_eq!(reasons(&mut net, 1), [DownReason::Reset]);
    net.run(500 * MS);
    assert_eq!(reasons(&mut net, 2), []);
    assert_eq!(net.llt(0).peers().len(), 1);
    assert!(net.llt(0).stats().rcv_unconfigured > 5);
    let now = net.now;
    net.llt(0).set_excluded(now, NodeSet::EMPTY);
    net.connect();
    net.check_alarms();
}

#[test]
fn a_connection_that_is_reset_ends_on_both_sides_and_comes_back() {
    let mut net = Net::new(3, 2, 7);
    net.connect();
    net.run(100 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    let (now, peer) = (net.now, net.llt(1).config().id());
    let before = Id { incarnation: Incarnation(peer.incarnation.0 + 1), ..peer };
    net.llt(0).reset(now, before);
    net.run(MS);
    assert!(net.llt(0).peers().iter().all(|peer| peer.connected), "another life is meant");
    let now = net.now;
    net.llt(0).reset(now, peer);
    net.run(MS);
    let downs = |net: &mut Net, index: usize| -> Vec<Id> {
        let events = net.take_events(index).into_iter();
        events
            .filter_map(|event| match event {
                Event::PeerDown { peer, reason: DownReason::Reset } => Some(peer),
                _ => None,
            })
            .collect()
    };
    assert_eq!(downs(&mut net, 0), [peer]);
    assert_eq!(downs(&mut net, 1).len(), 1);
    assert_eq!(downs(&mut net, 2), []);
    net.connect();
    net.check_alarms();
}

#[test]
fn addresses_are_set_and_forgotten() {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs.iter_mut().for_each(|config| config.links[0].peers.clear());
    let mut net = Net::with(configs, 8);
    net.run(500 * MS);
    assert!(!net.is_connected());
    let now = net.now;
    assert!(!net.llt(0).set_address(now, node(1), link(1), address(1, 1)), "no such link");
    assert!(!net.llt(0).set_address(now, node(0), link(0), address(0, 0)), "ourselves");
    assert!(net.llt(0).set_address(now, node(1), link(0), address(0, 1)));
    net.connect();
    assert!(net.now.since(now) < MS, "the address is tried at once");
    let status = |net: &mut Net, index: usize| {
        let link = net.llt(index).peers()[0].links[0].clone();
        (link.addr, link.is_static)
    };
    assert_eq!(status(&mut net, 0), (Some(address(0, 1)), true));
    assert_eq!(status(&mut net, 1), (Some(address(0, 0)), false));
    let now = net.now;
    net.llt(0).forget_learned(now);
    net.llt(1).forget_learned(now);
    assert_eq!(status(&mut net, 0), (Some(address(0, 1)), true));
    assert_eq!(status(&mut net, 1), (None, false));
    net.run(60 * MS);
    assert_eq!(status(&mut net, 1), (Some(address(0, 0)), false));
    let now = net.now;
    assert!(net.llt(0).forget_address(now, node(1), link(0)));
    assert!(!net.llt(0).forget_address(now, node(1), link(0)));
    net.run(60 * MS);
    assert_eq!(status(&mut net, 0), (Some(address(0, 1)), false));
}
