//! The state of links: trouble, failover, low priority, one-way loss, carrier.

use bytes::Bytes;

use super::net::{Net, address, broadcast_address, config, link};
use crate::core::{DownReason, Event, LinkChange, LinkStatus};
use crate::ids::LltPort;
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn status(net: &mut Net, index: usize, peer: usize, link: usize) -> LinkStatus {
    let node = net.id(peer).node;
    let peers = net.llt(index).peers();
    peers.iter().find(|status| status.node == node).unwrap().links[link].status
}

/// Sends a message every millisecond for `time`, and gives how many arrived.
fn talk(net: &mut Net, time: Duration) -> usize {
    let to = net.id(1);
    let end = net.now + time;
    let mut received = 0;
    while net.now < end {
        let now = net.now;
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
        net.run(MS);
        received += net.take_messages(1).len();
    }
    received
}

#[test]
fn every_transition_of_a_link_is_announced() {
    let mut net = Net::new(2, 2, 1);
    let mut lines = String::new();
    let mut phase = |net: &mut Net, name: &str, time: Duration| {
        let start = net.now;
        net.run(time);
        lines.push_str(&format!("{name}\n"));
        for (at, event) in std::mem::take(&mut net.events[0]) {
            // The network's delay is a matter of microseconds and not of interest.
            let ms = at.since(start).as_millis();
            let line = match event {
                Event::Link { link, status, silent_ms, links_up, .. } => {
                    format!("link {link} {status:?}, silent {silent_ms} ms, {links_up} up")
                }
                Event::PeerDown { reason, .. } => format!("peer down, {reason:?}"),
                Event::PeerUp { .. } => "peer up".into(),
                Event::AddressChanged { link, from, to, .. } => {
                    format!("link {link} address {to}, was {from:?}")
                }
                Event::Note { link, note, found, .. } => {
                    format!("link {link} {note:?} {}", if found { "found" } else { "over" })
                }
                Event::Requested { link, left, .. } => {
                    format!("link {link} heartbeat requested, {left} more to go")
                }
                other => format!("{other:?}"),
            };
            lines.push_str(&format!("  {ms:>5} ms  {line}\n"));
        }
    };
    phase(&mut net, "start", 500 * MS);
    net.cuts = vec![(1, 1, 0), (1, 0, 1)];
    phase(&mut net, "link 1 cut", 2000 * MS);
    net.cuts = vec![];
    phase(&mut net, "link 1 healed", 500 * MS);
    net.cuts = vec![(1, 0, 1)];
    phase(&mut net, "link 1 carries nothing to the peer", 2000 * MS);
    net.cuts = vec![];
    phase(&mut net, "healed", 500 * MS);
    net.cuts = vec![(0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1)];
    phase(&mut net, "both cut", 2000 * MS);
    net.cuts = vec![];
    phase(&mut net, "healed", 500 * MS);
    insta::assert_snapshot!(lines);
    net.check_alarms();
}

#[test]
fn a_peer_that_dies_is_gone_after_the_inactive_time_and_not_before() {
    let mut net = Net::new(2, 2, 2);
    net.connect();
    net.run(777 * MS);
    net.take_events(0);
    net.nodes[1] = None;
    let (died, end) = (net.now, net.now + Duration::from_secs(5));
    assert!(net.run_until(end, |net| !net.llt(0).peers()[0].connected));
    let after = net.now.since(died);
    assert!(after <= 1000 * MS && after >= 900 * MS, "{after:?}");
    let events = net.take_events(0);
    let down = Event::PeerDown {
        peer: crate::ids::Id {
            node: super::net::node(1),
            incarnation: crate::ids::Incarnation(100),
        },
        reason: DownReason::Silent,
    };
    assert!(events.contains(&down), "{events:?}");
}

#[test]
fn a_link_that_falls_silent_is_avoided_before_it_is_in_trouble() {
    let mut net = Net::new(2, 2, 31);
    net.connect();
    assert_eq!(talk(&mut net, 100 * MS), 100);
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    // Trouble is at 300 ms; half of it is enough to go elsewhere, and the rest to catch up.
    talk(&mut net, 250 * MS);
    assert_eq!(status(&mut net, 0, 1, 0), LinkStatus::Up);
    net.take_messages(1);
    assert_eq!(talk(&mut net, 20 * MS), 20);
    assert_eq!(status(&mut net, 0, 1, 0), LinkStatus::Up);
    net.check_alarms();
}

#[test]
fn traffic_goes_on_over_the_other_link_when_one_is_cut() {
    let mut net = Net::new(2, 2, 3);
    net.connect();
    assert_eq!(talk(&mut net, 100 * MS), 100);
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    let received = talk(&mut net, 1000 * MS);
    net.run(200 * MS);
    assert_eq!(received + net.take_messages(1).len(), 1000);
    assert_ne!(status(&mut net, 0, 1, 0), LinkStatus::Up);
    assert_eq!(status(&mut net, 0, 1, 1), LinkStatus::Up);
    net.check_alarms();
}

#[test]
fn lost_carrier_fails_over_at_once() {
    let mut net = Net::new(2, 2, 4);
    net.connect();
    net.run(500 * MS);
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    let (now, to) = (net.now, net.id(1));
    for _ in 0..64 {
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    }
    net.drain(0);
    net.llt(0).handle_link(now, link(0), LinkChange::NoCarrier);
    net.drain(0);
    assert_eq!(status(&mut net, 0, 1, 0), LinkStatus::Trouble);
    net.run(MS);
    assert_eq!(net.take_messages(1).len(), 64);
    net.cuts = vec![];
    let now = net.now;
    net.llt(0).handle_link(now, link(0), LinkChange::Carrier);
    net.run(200 * MS);
    assert_eq!(status(&mut net, 0, 1, 0), LinkStatus::Up);
}

#[test]
fn low_priority_links_carry_data_only_while_no_other_is_up() {
    let mut configs = vec![config(0, 2, 2), config(1, 2, 2)];
    for config in &mut configs {
        config.links[1].lowpri = true;
    }
    let mut net = Net::with(configs, 5);
    net.connect();
    net.run(500 * MS);
    let frames = |net: &mut Net, link: u8| {
        let data = net
            .sent
            .iter()
            .filter(|(at, from, frame)| *at == link && *from == 0 && frame[6] == 0x0b);
        data.count()
    };
    net.keep_sent = true;
    assert_eq!(talk(&mut net, 50 * MS), 50);
    assert_eq!((frames(&mut net, 0), frames(&mut net, 1)), (50, 0));
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    talk(&mut net, 1000 * MS);
    net.sent.clear();
    net.take_messages(1);
    assert_eq!(talk(&mut net, 50 * MS), 50);
    assert_eq!((frames(&mut net, 0), frames(&mut net, 1)), (0, 50));
    net.cuts = vec![];
    net.run(500 * MS);
    net.sent.clear();
    assert_eq!(talk(&mut net, 50 * MS), 50);
    assert_eq!((frames(&mut net, 0), frames(&mut net, 1)), (50, 0));
    // Half the heartbeats, too.
    net.sent.clear();
    net.run(2000 * MS);
    let beats = |net: &Net, link: u8| {
        net.sent
            .iter()
            .filter(|(at, from, frame)| *at == link && *from == 0 && frame[6] == 0x0a)
            .count()
    };
    assert_eq!((beats(&net, 0), beats(&net, 1)), (40, 20));
}

#[test]
fn one_way_loss_takes_the_link_down_on_both_sides() {
    let mut net = Net::new(2, 2, 6);
    net.connect();
    net.run(500 * MS);
    net.cuts = vec![(0, 0, 1)];
    net.run(600 * MS);
    assert_eq!(status(&mut net, 0, 1, 0), LinkStatus::Down);
    assert_eq!(status(&mut net, 1, 0, 0), LinkStatus::Trouble);
    assert!(net.is_connected());
}

#[test]
fn a_peer_that_hears_us_no_more_is_given_up() {
    let mut net = Net::new(2, 1, 7);
    net.connect();
    net.run(500 * MS);
    net.cuts = vec![(0, 0, 1)];
    net.run(1100 * MS);
    assert!(!net.llt(0).peers()[0].connected);
    assert!(!net.llt(1).peers()[0].connected);
    net.run(2000 * MS);
    net.take_events(0);
    net.cuts = vec![];
    net.connect();
    assert_eq!(
        net.take_events(0).iter().filter(|event| matches!(event, Event::PeerUp { .. })).count(),
        1
    );
}

#[test]
fn linkburst_zero_keeps_a_destination_on_one_link() {
    let mut configs: Vec<_> = (0..3).map(|me| config(me, 3, 2)).collect();
    for config in &mut configs {
        config.flow.linkburst = 0;
    }
    let mut net = Net::with(configs, 8);
    net.connect();
    net.run(200 * MS);
    net.keep_sent = true;
    let now = net.now;
    for index in 1..3 {
        let to = net.id(index);
        for _ in 0..100 {
            net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
        }
    }
    net.run(20 * MS);
    let mut used: Vec<(u8, u8)> = net
        .sent
        .iter()
        .filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b)
        .map(|(link, _, frame)| (frame[9], *link))
        .collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used, [(1, 1), (2, 0)]);
}

#[test]
fn packets_are_spread_over_the_links_in_bursts() {
    let mut net = Net::new(2, 2, 9);
    net.connect();
    net.run(200 * MS);
    net.keep_sent = true;
    let (now, to) = (net.now, net.id(1));
    for _ in 0..128 {
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    }
    net.drain(0);
    let links: Vec<u8> = net
        .sent
        .iter()
        .filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b)
        .map(|(link, ..)| *link)
        .collect();
    let changes = links.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(links.len(), 128);
    assert!((3..=4).contains(&changes), "{changes} changes of link");
}

#[test]
fn a_broadcast_is_one_frame_where_the_link_can() {
    let mut configs: Vec<_> = (0..4).map(|me| config(me, 4, 2)).collect();
    for config in &mut configs {
        for (index, link) in (0..).zip(&mut config.links) {
            link.broadcast = Some(broadcast_address(index));
            link.peers.clear();
        }
    }
    let mut net = Net::with(configs, 10);
    net.connect();
    net.run(200 * MS);
    assert!(net.llt(0).has_broadcast());
    assert_eq!(net.llt(0).peers()[0].links[0].addr, Some(address(0, 1)));
    (0..4).for_each(|index| drop(net.take_events(index)));
    net.keep_sent = true;
    let now = net.now;
    net.llt(0).broadcast(now, LltPort::GAB, Bytes::from_static(b"all")).unwrap();
    net.drain(0);
    assert_eq!(net.sent.len(), 1);
    net.run(MS);
    for index in 1..4 {
        assert!(matches!(&net.take_events(index)[..], [Event::Datagram { .. }]));
    }
    assert!(net.take_events(0).is_empty());
    net.check_alarms();
}

#[test]
fn a_broadcast_reaches_peers_that_share_no_link() {
    let mut net = Net::new(3, 2, 11);
    net.connect();
    net.run(200 * MS);
    // Node 1 is reachable on link 0 only, node 2 on link 1 only.
    net.cuts = vec![(1, 0, 1), (1, 1, 0), (0, 0, 2), (0, 2, 0)];
    net.run(700 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    let now = net.now;
    net.llt(0).broadcast(now, LltPort::GAB, Bytes::from_static(b"all")).unwrap();
    net.run(MS);
    for index in 1..3 {
        let events = net.take_events(index);
        assert!(matches!(&events[..], [Event::Datagram { .. }]), "{events:?}");
    }
}
