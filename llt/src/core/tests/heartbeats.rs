//! Who gets heartbeats and when: unicast, discovery, requests, dead links, starved timers.

use bytes::Bytes;

use super::net::{Net, address, broadcast_address, config, link, node};
use crate::config::{Config, Timers};
use crate::core::{Event, LinkChange, LinkStatus, Llt};
use crate::ids::{Incarnation, LltPort};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Nodes whose links can broadcast and send heartbeats to each peer alone, with no address known.
fn unicast(nodes: u8, links: u8) -> Vec<Config> {
    let one = |me| {
        let mut config = config(me, nodes, links);
        for (index, link) in (0..).zip(&mut config.links) {
            link.broadcast = Some(broadcast_address(index));
            link.broadcast_heartbeats = false;
            link.peers.clear();
        }
        config
    };
    (0..nodes).map(one).collect()
}

fn heartbeats(net: &Net, from: usize, broadcast: bool) -> usize {
    let sent = net.sent.iter().filter(|(_, sender, frame)| *sender == from && frame[6] == 0x0a);
    sent.filter(|(_, _, frame)| (frame[9] == 0xFF) == broadcast).count()
}

fn status(net: &mut Net, index: usize, link: usize) -> LinkStatus {
    net.llt(index).peers()[0].links[link].status
}

#[test]
fn peers_are_found_by_broadcast_and_then_spoken_to_alone() {
    let mut net = Net::with(unicast(3, 2), 1);
    net.keep_sent = true;
    let start = net.now;
    net.connect();
    assert!(net.now.since(start) < MS, "{:?}", net.now.since(start));
    net.run(110 * MS);
    assert!(net.llt(0).peers().iter().all(|peer| peer.links.iter().all(|l| l.addr.is_some())));
    net.sent.clear();
    // `arpreq` is a second here; each of the two peers gets 20 a second on each of the links.
    net.run(800 * MS);
    assert_eq!((heartbeats(&net, 0, true), heartbeats(&net, 0, false)), (0, 64));
    net.sent.clear();
    net.run(1000 * MS);
    assert_eq!((heartbeats(&net, 0, true), heartbeats(&net, 0, false)), (2, 80));
    net.check_alarms();
}

#[test]
fn the_search_goes_on_with_every_heartbeat_until_somebody_is_found() {
    let mut net = Net::with(unicast(2, 1), 2);
    net.stopped[1] = true;
    net.keep_sent = true;
    net.run(1000 * MS);
    assert_eq!(heartbeats(&net, 0, true), 21);
    // And it never begins where it is switched off.
    let mut configs = unicast(2, 1);
    configs[0].links[0].discover = false;
    configs[1].timers.discover = Duration::ZERO;
    let mut net = Net::with(configs, 3);
    net.keep_sent = true;
    net.run(1000 * MS);
    assert_eq!(net.sent.len(), 0);
}

#[test]
fn a_connected_peer_that_the_search_missed_on_a_link_is_looked_for_again() {
    let mut configs = unicast(3, 2);
    configs.iter_mut().for_each(|config| config.timers.discover = Duration::from_secs(30));
    let mut net = Net::with(configs, 4);
    // Link 1 between nodes 1 and 2 comes a little late, when both know node 0 there.
    net.cuts = vec![(1, 1, 2), (1, 2, 1)];
    net.connect();
    net.run(200 * MS);
    net.cuts.clear();
    net.run(100 * MS);
    assert!(net.llt(1).peers().iter().all(|peer| peer.links_up() == 2));
}

#[test]
fn addresses_that_are_not_confirmed_are_forgotten_and_flushed_ones_come_back() {
    let mut configs = unicast(2, 1);
    for config in &mut configs {
        config.timers.forget_addresses = Duration::from_secs(3);
        config.timers.discover = Duration::from_secs(30);
    }
    let mut net = Net::with(configs, 5);
    net.connect();
    net.run(10_000 * MS);
    assert_eq!(net.llt(0).peers()[0].links[0].addr, Some(address(0, 1)));
    net.take_events(0);
    for index in 0..2 {
        let now = net.now;
        net.llt(index).forget_learned(now);
        assert_eq!(net.llt(index).peers()[0].links[0].addr, None);
    }
    net.run(60 * MS);
    assert_eq!(net.llt(0).peers()[0].links[0].addr, Some(address(0, 1)));
    assert_eq!(net.take_events(0), [], "the same address is no news");
    net.nodes[1] = None;
    net.run(2900 * MS);
    assert_eq!(net.llt(0).peers()[0].links[0].addr, Some(address(0, 1)));
    net.run(200 * MS);
    assert_eq!(net.llt(0).peers()[0].links[0].addr, None);
}

#[test]
fn another_address_of_a_peer_is_news() {
    let mut net = Net::with(unicast(2, 1), 6);
    net.connect();
    net.run(1000 * MS);
    let learned = |from, to| Event::AddressChanged { node: node(1), link: link(0), from, to };
    assert_eq!(net.take_events(0)[0], learned(None, address(0, 1)));
    net.separate_address(1, 66);
    net.run(1000 * MS);
    assert_eq!(net.take_events(0), [learned(Some(address(0, 1)), address(0, 66))]);
    assert!(net.is_connected());
}

#[test]
fn silence_is_told_each_second_and_asked_about_five_times() {
    let mut configs = vec![config(0, 2, 2), config(1, 2, 2)];
    configs.iter_mut().for_each(|config| config.timers = Timers::default());
    let mut net = Net::with(configs, 7);
    net.connect();
    net.run(Duration::from_secs(5));
    net.take_events(0);
    net.cuts = vec![(1, 1, 0)];
    let start = net.now;
    net.run(Duration::from_secs(20));
    let mut silent = Vec::new();
    let mut requested = Vec::new();
    let mut expired = Vec::new();
    for (at, event) in std::mem::take(&mut net.events[0]) {
        let after = at.since(start).as_millis();
        match event {
            Event::Silent { link: on, seconds, sequence, .. } => {
                assert_eq!(on, link(1));
                assert!(sequence > 10);
                assert!(after.abs_diff(u128::from(seconds) * 1000) <= 1000);
                silent.push(seconds);
            }
            Event::Requested { link: on, left, .. } => {
                assert_eq!(on, link(1));
                requested.push((after / 100, left));
            }
            Event::Link { status: LinkStatus::Expired, .. } => expired.push(after / 1000),
            _ => {}
        }
    }
    assert_eq!(silent, (5..16).collect::<Vec<_>>());
    let first = requested[0].0;
    assert!((135..=140).contains(&first), "{requested:?}");
    let expected = (0..5).map(|n| (first + 4 * u128::from(n), 4 - n));
    assert_eq!(requested, expected.collect::<Vec<_>>());
    assert_eq!(expired, [15]);
    assert_eq!((net.llt(0).stats().snd_request, net.llt(1).stats().rcv_request), (5, 5));
}

#[test]
fn a_request_is_answered_at_once_and_not_without_bound() {
    let mut net = Net::new(2, 1, 8);
    net.connect();
    net.run(510 * MS);
    let status = net.llt(0).peers().remove(0);
    let to = net.id(1);
    // What node 1 would send: its sessions are in its heartbeats.
    net.keep_sent = true;
    net.run(50 * MS);
    let sent = net.sent.iter().rfind(|(_, from, frame)| *from == 1 && frame[6] == 0x0a);
    let header = crate::wire::Frame::check(&sent.unwrap().2).unwrap().header;
    assert_eq!((status.id, header.src_incarnation), (Some(to), to.incarnation));
    let request = crate::wire::Header { kind: crate::wire::Kind::Request, ..header };
    net.sent.clear();
    for _ in 0..10 {
        net.frame(0, 0, 1, crate::wire::emit_request(&request));
    }
    assert_eq!(heartbeats(&net, 0, false), 4);
    assert_eq!(net.llt(0).stats().rcv_request, 10);
}

#[test]
fn a_dead_link_is_told_on_the_others_and_nobody_waits_for_its_silence() {
    let mut net = Net::new(3, 2, 9);
    net.connect();
    net.run(500 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    net.cuts = vec![(0, 0, 1), (0, 1, 0), (0, 0, 2), (0, 2, 0)];
    let (now, to) = (net.now, net.id(0));
    // Half of these are on the dead link when its death is told.
    for _ in 0..64 {
        net.llt(1).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    }
    net.drain(1);
    net.llt(0).handle_link(now, link(0), LinkChange::NoCarrier);
    net.run(2 * MS);
    assert_eq!(net.take_messages(0).len(), 64);
    assert_eq!(status(&mut net, 1, 0), LinkStatus::Trouble);
    assert_eq!(status(&mut net, 2, 0), LinkStatus::Trouble);
    assert_eq!(status(&mut net, 1, 1), LinkStatus::Up);
    let events = net.take_events(1);
    let told = events.iter().find_map(|event| match event {
        Event::Link { status: LinkStatus::Trouble, silent_ms, links_up, .. } => {
            Some((*silent_ms < 60, *links_up))
        }
        _ => None,
    });
    assert_eq!(told, Some((true, 1)));
    net.cuts.clear();
    let now = net.now;
    net.llt(0).handle_link(now, link(0), LinkChange::Carrier);
    net.run(60 * MS);
    for index in 0..3 {
        assert!((0..2).all(|link| status(&mut net, index, link) == LinkStatus::Up));
    }
    net.check_alarms();
}

#[test]
fn a_dead_link_is_known_by_the_number_that_its_owner_gives_it() {
    // Node 1's link 0 is on the wire of the others' link 1, and the other way round.
    let mut net = Net::new(2, 2, 10);
    let mut swapped = config(1, 2, 2);
    let addresses = [1, 0].map(|wire| vec![(node(0), address(wire, 0))]);
    for (link, peers) in swapped.links.iter_mut().zip(addresses) {
        link.peers = peers;
    }
    net.swapped[1] = Some((0, 1));
    net.nodes[1] = Some(Llt::new(net.now, swapped, 1));
    net.connect();
    net.run(500 * MS);
    let now = net.now;
    net.llt(1).handle_link(now, link(0), LinkChange::NoCarrier);
    net.run(MS);
    assert_eq!(status(&mut net, 0, 0), LinkStatus::Up);
    assert_eq!(status(&mut net, 0, 1), LinkStatus::Trouble);
}

#[test]
fn an_old_heartbeat_cannot_kill_a_link_that_has_come_back() {
    let mut net = Net::new(2, 2, 11);
    net.connect();
    net.run(500 * MS);
    net.keep_sent = true;
    let now = net.now;
    net.llt(1).handle_link(now, link(0), LinkChange::NoCarrier);
    net.drain(1);
    let told = net.sent.iter().rfind(|(on, from, _)| (*on, *from) == (1, 1)).unwrap().2.clone();
    net.llt(1).handle_link(now, link(0), LinkChange::Carrier);
    net.run(60 * MS);
    assert_eq!(status(&mut net, 0, 0), LinkStatus::Up);
    net.frame(0, 1, 1, told);
    assert_eq!(status(&mut net, 0, 0), LinkStatus::Up);
}

#[test]
fn heartbeats_go_out_with_any_input_while_the_timer_is_starved() {
    let timers = Timers { starved_max: Duration::from_secs(2), ..Timers::fast() };
    let mut config = config(0, 2, 1);
    config.timers = timers;
    let mut net = Net::with(vec![config], 12);
    net.keep_sent = true;
    net.run(100 * MS);
    net.sent.clear();
    let noise = Bytes::from_static(b"noise");
    let mut beats = Vec::new();
    let start = net.now;
    while net.now.since(start) < Duration::from_secs(4) {
        net.now += MS;
        let count = net.sent.len();
        net.frame(0, 0, 1, noise.clone());
        beats.extend(vec![net.now.since(start); net.sent.len() - count]);
    }
    // Nothing until the timer counts as starved, which is after the longer of the two periods and
    // `timetosendhb`; then in their rhythm until `sendhbcap`.
    assert!(beats[0] > 250 * MS && beats[0] <= 300 * MS, "{:?}", beats[0]);
    assert!(*beats.last().unwrap() <= 2000 * MS);
    assert_eq!(beats.len(), 35, "{beats:?}");
    let now = net.now;
    net.llt(0).handle_timer(now);
    net.drain(0);
    assert_eq!(net.sent.len(), 36);
}

#[test]
fn a_restart_with_unicast_heartbeats_takes_no_search() {
    let mut configs = unicast(2, 2);
    configs.iter_mut().for_each(|config| config.timers.discover = Duration::from_secs(30));
    let mut restarted = configs[1].clone();
    restarted.incarnation = Incarnation(101);
    let mut net = Net::with(configs, 13);
    net.connect();
    net.run(2000 * MS);
    net.nodes[1] = Some(Llt::new(net.now, restarted, 9));
    net.run(200 * MS);
    assert!(net.is_connected());
    assert_eq!(net.llt(0).peers()[0].id, Some(net.id(1)));
    assert!((0..2).all(|link| status(&mut net, 0, link) == LinkStatus::Up));
}

#[test]
fn what_a_peer_has_heard_is_proven_by_its_heartbeats() {
    let mut net = Net::new(2, 2, 7);
    let peer = net.id(1);
    assert_eq!(net.llt(0).proven(peer), None);
    net.connect();
    for _ in 0..20 {
        net.run(100 * MS);
        let proven = net.llt(0).proven(peer).expect("both hear each other");
        assert!(net.now.since(proven) <= 160 * MS, "three periods at most");
    }
    // It is heard and hears nothing: nothing is proven, until it gives us up.
    let cut = net.now;
    net.cuts = vec![(0, 0, 1), (1, 0, 1)];
    net.run(900 * MS);
    let proven = net.llt(0).proven(peer).expect("still connected");
    assert!(proven <= cut && cut.since(proven) <= 160 * MS);
    net.run(200 * MS);
    assert_eq!(net.llt(0).proven(peer), None, "the connection is over");
    net.cuts.clear();
    net.run(300 * MS);
    let healed = net.now;
    net.run(200 * MS);
    assert!(net.llt(0).proven(peer).is_some_and(|proven| proven >= healed));
    let later = crate::ids::Id { incarnation: Incarnation(99), ..peer };
    assert_eq!(net.llt(0).proven(later), None, "of another life nothing is known");
    // It hears and is not heard: what it heard is not known, and what we say to it keeps nothing up.
    let cut = net.now;
    net.cuts = vec![(0, 1, 0), (1, 1, 0)];
    net.run(900 * MS);
    assert!(net.llt(0).proven(peer).is_some_and(|proven| proven <= cut));
    net.check_alarms();
}
