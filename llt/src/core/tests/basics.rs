//! Connecting, datagrams, broadcasts, reliable messages.

use bytes::Bytes;

use super::net::{Net, broadcast_address, config, port};
use crate::core::{Event, LinkStatus, SendError};
use crate::ids::LltPort;
use crate::time::Duration;

#[test]
fn nodes_connect_within_a_few_round_trips() {
    let mut net = Net::new(3, 2, 1);
    let start = net.now;
    net.connect();
    assert!(net.now.since(start) < Duration::from_millis(1), "{:?}", net.now.since(start));
    net.run(Duration::from_secs(5));
    for index in 0..3 {
        let events = net.take_events(index);
        let ups = events.iter().filter(|event| matches!(event, Event::PeerUp { .. }));
        assert_eq!(ups.count(), 2);
        assert!(!events.iter().any(|event| matches!(event, Event::PeerDown { .. })));
        for peer in net.llt(index).peers() {
            assert!(peer.links.iter().all(|link| link.status == LinkStatus::Up));
        }
    }
    net.check_alarms();
}

#[test]
fn sixty_four_nodes_connect_when_they_start_at_the_same_instant() {
    // With the smallest MTU a list of 63 nodes takes three heartbeats.
    let configs = (0..64).map(|me| {
        let mut config = config(me, 64, 1);
        config.links[0].mtu = 576;
        config.links[0].broadcast = Some(broadcast_address(0));
        config.links[0].peers.clear();
        config
    });
    let mut net = Net::with(configs.collect(), 4);
    let start = net.now;
    net.connect();
    assert!(net.now.since(start) < Duration::from_millis(200), "{:?}", net.now.since(start));
    net.run(Duration::from_secs(1));
    assert!(net.is_connected());
    for index in 0..64 {
        let events = net.take_events(index);
        assert!(!events.iter().any(|event| matches!(event, Event::PeerDown { .. })));
        let peers = net.llt(index).peers();
        assert!(peers.iter().all(|peer| peer.links[0].status == LinkStatus::Up));
    }
    net.check_alarms();
}

#[test]
fn datagrams_and_broadcasts_reach_whom_they_are_for() {
    let mut net = Net::new(3, 2, 2);
    net.connect();
    let (now, to) = (net.now, net.id(1));
    net.llt(0).datagram(now, port(3), to, Bytes::from_static(b"one")).unwrap();
    net.llt(0).broadcast(now, port(4), Bytes::from_static(b"all")).unwrap();
    net.run(Duration::from_millis(10));
    let datagrams = |net: &mut Net, index| -> Vec<(LltPort, Bytes)> {
        let events = net.take_events(index).into_iter();
        events
            .filter_map(|event| match event {
                Event::Datagram { port, payload, .. } => Some((port, payload)),
                _ => None,
            })
            .collect()
    };
    let (one, all) = (Bytes::from_static(b"one"), Bytes::from_static(b"all"));
    assert_eq!(datagrams(&mut net, 1), [(port(3), one), (port(4), all.clone())]);
    assert_eq!(datagrams(&mut net, 2), [(port(4), all)]);
    assert_eq!(datagrams(&mut net, 0), []);
}

#[test]
fn messages_arrive_once_and_in_order_under_loss_and_reordering() {
    let mut net = Net::new(2, 2, 3);
    net.connect();
    net.loss = 300;
    net.duplication = 100;
    net.delay = (Duration::from_micros(50), Duration::from_millis(3));
    let to = net.id(1);
    let message = |n: u32| -> Bytes {
        let len = if n.is_multiple_of(4) { 66_560 } else { 100 * n as usize };
        let bytes: Vec<u8> = (0..len).map(|at| (at * (n as usize + 7)).to_le_bytes()[0]).collect();
        bytes.into()
    };
    let total = 40;
    let mut next = 0;
    let mut received = Vec::new();
    let end = net.now + Duration::from_secs(60);
    let done = net.run_until(end, |net| {
        let now = net.now;
        while next < total {
            match net.llt(0).send(now, LltPort::GAB, to, message(next)) {
                Ok(()) => next += 1,
                Err(error) => {
                    assert_eq!(error, SendError::WouldBlock);
                    break;
                }
            }
        }
        net.drain(0);
        received.extend(net.take_messages(1));
        received.len() >= total as usize
    });
    assert!(done, "{} of {total}", received.len());
    for (n, payload) in received.iter().enumerate() {
        assert!(*payload == message(u32::try_from(n).unwrap()), "message {n} differs");
    }
    net.loss = 0;
    net.run(Duration::from_secs(1));
    assert!(net.take_messages(1).is_empty());
    assert_eq!(net.llt(0).peers()[0].queued, 0);
    net.check_alarms();
}
