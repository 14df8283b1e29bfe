//! Keys: who has another, none, or only recordings is never heard; and the key changes under load.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};

use super::net::{Net, broadcast_address, config, link, node};
use crate::config::Config;
use crate::core::{
    DuplicateScope, Event, LinkStatus, Llt, Note, OwnNote, PeerLinkStatus, PeerStatus,
    RefusedCause, SendError, SetKeysError,
};
use crate::ids::{Id, Incarnation, LltPort};
use crate::seal::{ClearHeader, Key, Keyring, peek};
use crate::stats::Stats;
use crate::time::Duration;
use crate::wire::Frame;

const MS: Duration = Duration::from_millis(1);

fn ring(first: u8, second: Option<u8>) -> Keyring {
    let key = |bytes| Key::new([bytes; 32]);
    Keyring::new(key(first), second.map(key)).unwrap()
}

/// As [`config`], with key 1.
fn keyed(me: u8, nodes: u8, links: u8) -> Config {
    Config { keys: Some(ring(1, None)), ..config(me, nodes, links) }
}

fn net(nodes: u8, links: u8, seed: u64) -> Net {
    let mut net = Net::with((0..nodes).map(|me| keyed(me, nodes, links)).collect(), seed);
    net.keep_sent = true;
    net
}

/// What a key keeps out, and why.
fn refused(stats: &Stats) -> [u64; 5] {
    let Stats { rcv_not_sealed, rcv_unknown_key, rcv_bad_tag, rcv_replayed, rcv_sealed, .. } =
        *stats;
    [rcv_not_sealed, rcv_unknown_key, rcv_bad_tag, rcv_replayed, rcv_sealed]
}

/// All causes together, those of plain frames included.
fn dropped(stats: &Stats) -> u64 {
    let plain = [
        stats.rcv_bad_dest,
        stats.rcv_bad_generation,
        stats.rcv_bad_source,
        stats.rcv_bad_version,
        stats.rcv_malformed,
        stats.snd_loopback,
    ];
    refused(stats).iter().chain(&plain).sum()
}

/// A recorded frame: link, sender, bytes.
type Recorded = (u8, usize, Bytes);

/// Traffic of every kind: three nodes, a fourth one that calls itself 1, and a goodbye of node 2.
/// What is lost, per mille, may be new to its receiver when it is played.
fn recording(links: u8, loss: u32, broadcast: bool) -> (Net, Vec<Recorded>) {
    let mut configs: Vec<_> = (0..3).map(|me| keyed(me, 3, links)).collect();
    configs.push(Config { incarnation: Incarnation(200), ..keyed(1, 3, links) });
    for (index, link) in configs.iter_mut().flat_map(|config| (0..).zip(&mut config.links)) {
        link.broadcast = broadcast.then(|| broadcast_address(index));
    }
    let mut net = Net::with(configs, 7);
    net.separate_address(3, 66);
    net.stopped[3] = true;
    net.connect_only(&[0, 1, 2]);
    net.keep_sent = true;
    net.loss = loss;
    for number in 0..200u32 {
        for from in 0..3 {
            let (now, to) = (net.now, net.id((from + 1) % 3));
            let payload = Bytes::copy_from_slice(&number.to_be_bytes());
            net.llt(from).send(now, LltPort::GAB, to, payload.clone()).unwrap();
            net.llt(from).datagram(now, LltPort::GAB, to, payload.clone()).unwrap();
            net.llt(from).broadcast(now, LltPort::GAB, payload).unwrap();
        }
        net.run(MS);
    }
    net.loss = 0;
    net.run(500 * MS);
    net.stopped[3] = false;
    net.run(500 * MS);
    net.nodes[3] = None;
    // Long enough for node 0 to ask node 1 for heartbeats, and not to give it up.
    let before = net.sent.len();
    net.cuts = (0..links).map(|link| (link, 1, 0)).collect();
    net.run(780 * MS);
    net.cuts.clear();
    let others = net.sent.split_off(before).into_iter().filter(|(_, from, _)| *from != 1);
    net.sent.extend(others);
    net.run(500 * MS);
    let now = net.now;
    net.llt(2).leave(now);
    net.run(100 * MS);
    net.nodes[2] = None;
    let recorded = std::mem::take(&mut net.sent);
    let kinds: BTreeSet<String> = recorded
        .iter()
        .map(|(_, _, frame)| {
            let plain = peek(&ring(1, None), frame).unwrap();
            let header = Frame::check(&plain).unwrap().header;
            format!("{:?} {}", header.kind, header.is_broadcast())
        })
        .collect();
    let heartbeats = if broadcast { "Heartbeat true" } else { "Heartbeat false" };
    let others = [
        "Ack false",
        "Bye false",
        "Data false",
        "Datagram false",
        "Datagram true",
        "Duplicate false",
        "Probe false",
        "Request false",
    ];
    assert!(others.iter().chain([&heartbeats]).all(|kind| kinds.contains(*kind)), "{kinds:?}");
    (0..2).for_each(|index| drop(net.take_events(index)));
    (net, recorded)
}

/// Throws recorded frames at a node, from the addresses that they were sent from or, on the other
/// link, from there. Gives how many were thrown.
fn replay(net: &mut Net, to: usize, recorded: &[Recorded], swap: bool) -> u64 {
    let mut count = 0;
    for (link, from, frame) in recorded {
        let link = if swap { 1 - link } else { *link };
        net.frame(to, link, u8::try_from(*from).unwrap(), frame.clone());
        count += 1;
    }
    count
}

#[test]
fn sealed_nodes_do_all_that_plain_ones_do() {
    let mut net = net(3, 2, 1);
    let start = net.now;
    net.connect();
    assert!(net.now.since(start) < MS, "{:?}", net.now.since(start));
    net.loss = 200;
    net.duplication = 100;
    net.delay = (Duration::from_micros(50), 3 * MS);
    let to = net.id(1);
    let message = |n: u32| Bytes::from(vec![n.to_le_bytes()[0]; 1 + 7000 * n as usize % 66_560]);
    let (total, mut next, mut received) = (60, 0, Vec::new());
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
    assert!((0..).zip(&received).all(|(n, payload)| *payload == message(n)));
    // The network's second copies are heard once; nothing else is wrong.
    let stats = *net.llt(1).stats();
    assert!(stats.rcv_replayed > 0);
    assert_eq!(refused(&stats), [0, 0, 0, stats.rcv_replayed, 0]);
    assert!(net.sent.iter().all(|(_, _, frame)| frame.starts_with(b"LS") && frame.len() <= 1500));
    net.check_alarms();
}

#[test]
fn the_largest_of_everything_fits_the_smallest_mtu() {
    let configs = (0..64).map(|me| {
        let mut config = keyed(me, 64, 1);
        config.links[0].mtu = 576;
        config.links[0].broadcast = Some(broadcast_address(0));
        config.links[0].peers.clear();
        config
    });
    let mut net = Net::with(configs.collect(), 4);
    net.keep_sent = true;
    net.connect();
    let (now, max) = (net.now, net.llt(0).datagram_max());
    let plain = Llt::new(now, Config { keys: None, ..net.llt(0).config().clone() }, 1);
    assert_eq!(max + 44, plain.datagram_max());
    net.take_events(1);
    net.llt(0).broadcast(now, LltPort::GAB, vec![7; max].into()).unwrap();
    let to = net.id(1);
    net.llt(0).send(now, LltPort::GAB, to, vec![8; 66_560].into()).unwrap();
    net.run(200 * MS);
    let events = net.take_events(1);
    let has = |len| {
        events.iter().any(|event| match event {
            Event::Datagram { payload, .. } | Event::Message { payload, .. } => {
                payload.len() == len
            }
            _ => false,
        })
    };
    assert!(has(max) && has(66_560));
    let longest = net.sent.iter().map(|(_, _, frame)| frame.len()).max();
    assert_eq!(longest, Some(576), "as long as may be, and no longer");
    net.check_alarms();
}

#[test]
fn a_path_that_takes_only_the_shortest_frames_takes_them_sealed() {
    let mut net = net(2, 1, 5);
    net.narrow = vec![(0, 0, 1, 576), (0, 1, 0, 576)];
    net.connect();
    // Before anybody knows, and after the probes have told.
    for _ in 0..2 {
        let (now, to) = (net.now, net.id(1));
        for number in 0..5 {
            net.llt(0).send(now, LltPort::GAB, to, vec![number; 20_000].into()).unwrap();
        }
        let mut received = Vec::new();
        let end = net.now + Duration::from_secs(5);
        let done = net.run_until(end, |net| {
            received.extend(net.take_messages(1));
            received.len() == 5
        });
        assert!(done, "{} of 5", received.len());
        assert!((0..).zip(&received).all(|(number, bytes)| *bytes == vec![number; 20_000]));
        net.run(1000 * MS);
        net.sent.clear();
        net.llt(0).zero_stats();
    }
    net.run(100 * MS);
    assert_eq!(net.llt(0).stats().snd_retransmit, 0);
    assert!(matches!(net.llt(0).peers()[0].links[0].notes[..], [Note::Mtu { sent: 1500 }]));
    net.check_alarms();
}

#[test]
fn nodes_with_another_key_or_none_do_not_hear_each_other() {
    // Nodes 0 and 1 share a key, 2 has another, 3 and 4 have none.
    let keys = [Some(1), Some(1), Some(2), None, None];
    let configs = (0..5).zip(keys).map(|(me, key)| {
        let keys = key.map(|key| ring(key, None));
        Config { keys, ..config(me, 5, 2) }
    });
    let mut net = Net::with(configs.collect(), 2);
    net.run(3000 * MS);
    let connected = |net: &mut Net, index: usize| -> Vec<u8> {
        let peers = net.llt(index).peers().into_iter();
        peers.filter(|peer| peer.connected).map(|peer| peer.node.get()).collect()
    };
    let heard = |net: &mut Net, index: usize| -> Vec<u8> {
        let peers = net.llt(index).peers().into_iter();
        peers.filter(|peer| peer.id.is_some()).map(|peer| peer.node.get()).collect()
    };
    let expected: [&[u8]; 5] = [&[1], &[0], &[], &[4], &[3]];
    for (index, expected) in expected.into_iter().enumerate() {
        assert_eq!(connected(&mut net, index), expected);
        assert_eq!(heard(&mut net, index), expected);
    }
    let causes = |net: &mut Net, index: usize| refused(net.llt(index).stats()).map(|n| n > 0);
    assert_eq!(causes(&mut net, 0), [true, true, false, false, false]);
    assert_eq!(causes(&mut net, 2), [true, true, false, false, false]);
    assert_eq!(causes(&mut net, 3), [false, false, false, false, true]);
    net.check_alarms();
}

#[test]
fn recordings_are_refused_on_their_link_and_on_another() {
    let (mut net, recorded) = recording(2, 0, false);
    net.run(500 * MS);
    for to in 0..2 {
        for swap in [false, true] {
            net.take_events(to);
            let before = net.llt(to).peers();
            net.llt(to).zero_stats();
            let count = replay(&mut net, to, &recorded, swap);
            assert_eq!(told(&mut net, to), [], "node {to}, swapped {swap}");
            let stats = *net.llt(to).stats();
            assert_eq!(dropped(&stats), count);
            assert!(stats.rcv_replayed > 100);
            let after = net.llt(to).peers();
            assert_eq!(states(&before), states(&after));
            // A recording is no sign of life: the silence goes on.
            assert!(silences(&before).iter().zip(silences(&after)).all(|(old, new)| *old <= new));
            let link = link(0);
            let refused = net.llt(to).own_notes().into_iter().find(|note| {
                matches!(note, OwnNote::Refused { cause: RefusedCause::Replayed, link: on, count, .. }
                    if *on == link && *count > 50)
            });
            assert!(refused.is_some(), "lltstat says why");
        }
    }
    // Their connection is what it was.
    let (now, to) = (net.now, net.id(1));
    net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"still here")).unwrap();
    net.run(10 * MS);
    assert_eq!(net.take_messages(1), [Bytes::from_static(b"still here")]);
}

#[test]
fn recordings_make_nothing_of_the_dead_for_who_has_just_started() {
    for swap in [false, true] {
        let (mut net, recorded) = recording(2, 0, false);
        // Everybody is gone; node 0 starts, and hears a recording of all that there was.
        net.nodes[1] = None;
        let restarted = Config { incarnation: Incarnation(300), ..keyed(0, 3, 2) };
        net.nodes[0] = Some(Llt::new(net.now, restarted, 8));
        replay(&mut net, 0, &recorded, swap);
        for _ in 0..40 {
            net.run(100 * MS);
            replay(&mut net, 0, &recorded, swap);
        }
        let events = told(&mut net, 0);
        let is_harmless = |event: &Event| match event {
            Event::Link { status, .. } => *status != LinkStatus::Up,
            // The silence of the dead is noticed, as anybody's would be, and so are the numbers
            // that the recording lacks.
            Event::AddressChanged { .. }
            | Event::Lost { .. }
            | Event::Requested { .. }
            | Event::Silent { .. } => true,
            _ => false,
        };
        assert!(events.iter().all(is_harmless), "{events:?}");
        let peers = net.llt(0).peers();
        assert!(peers.iter().all(|peer| !peer.connected && peer.queued == 0));
    }
}

#[test]
fn recordings_do_not_keep_the_living_from_who_has_just_started() {
    let (mut net, recorded) = recording(2, 0, false);
    let restarted = Config { incarnation: Incarnation(300), ..keyed(0, 3, 2) };
    net.nodes[0] = Some(Llt::new(net.now, restarted, 8));
    replay(&mut net, 0, &recorded, false);
    net.take_events(0);
    net.connect();
    let sent_before = net.take_messages(0);
    assert_eq!(sent_before, Vec::<Bytes>::new());
    let (now, to) = (net.now, net.id(1));
    net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"anew")).unwrap();
    net.run(10 * MS);
    assert_eq!(net.take_messages(1), [Bytes::from_static(b"anew")]);
    net.run(100 * MS);
    // And once they are connected, it is as if there were no recording.
    net.take_events(0);
    replay(&mut net, 0, &recorded, false);
    assert_eq!(told(&mut net, 0), []);
}

#[test]
fn recordings_of_an_earlier_life_are_refused_by_the_peers() {
    let mut net = net(2, 2, 4);
    net.run(100 * MS);
    let recorded = std::mem::take(&mut net.sent);
    let old: Vec<_> = recorded.into_iter().filter(|(_, from, _)| *from == 1).collect();
    let restarted = Config { incarnation: Incarnation(300), ..keyed(1, 2, 2) };
    net.nodes[1] = Some(Llt::new(net.now, restarted, 9));
    net.run(500 * MS);
    assert!(net.is_connected());
    net.take_events(0);
    net.llt(0).zero_stats();
    for swap in [false, true] {
        replay(&mut net, 0, &old, swap);
    }
    assert_eq!(told(&mut net, 0), []);
    // They are not even opened.
    let stats = *net.llt(0).stats();
    assert_eq!(stats.rcv_bad_generation, 2 * old.len() as u64);
    assert_eq!(dropped(&stats), stats.rcv_bad_generation);
}

#[test]
fn recordings_of_its_own_earlier_life_do_not_halt_a_node() {
    let (mut net, recorded) = recording(2, 0, true);
    let restarted = Config { incarnation: Incarnation(300), ..keyed(1, 3, 2) };
    net.nodes[1] = Some(Llt::new(net.now, restarted, 9));
    net.connect();
    net.take_events(1);
    // Heartbeats at their pace, and all of them authentic, as of somebody older who has its id.
    let own: Vec<_> = recorded.iter().filter(|(_, from, _)| *from == 1).cloned().collect();
    for frame in own.chunks(20) {
        replay(&mut net, 1, frame, false);
        net.run(5 * MS);
    }
    let stats = *net.llt(1).stats();
    assert!(stats.rcv_bad_source > 20, "{stats:?}");
    let events = net.take_events(1);
    assert_eq!(duplicates(&events), []);
    assert!(net.is_connected());
}

#[test]
fn a_bit_flipped_in_any_byte_of_any_kind_is_counted_and_changes_nothing() {
    let (mut net, recorded) = recording(1, 0, false);
    let mut kinds = BTreeMap::new();
    for (link, from, frame) in &recorded {
        let plain = peek(&ring(1, None), frame).unwrap();
        let to = ClearHeader::check(frame).unwrap().dst;
        if *from != 0 && (to == 0 || to == 0xFF) {
            kinds.entry(plain[6]).or_insert_with(|| (*link, *from, frame.clone()));
        }
    }
    assert!(kinds.len() >= 5, "{kinds:?}");
    for (link, from, frame) in kinds.values() {
        // As if it had never arrived: the window must not be what refuses it.
        net.nodes[0] = Some(Llt::new(net.now, keyed(0, 3, 1), 8));
        net.run(Duration::ZERO);
        net.take_events(0);
        net.llt(0).zero_stats();
        for at in 0..frame.len() {
            let mut damaged = BytesMut::from(&frame[..]);
            damaged[at] ^= 1 << (at % 8);
            net.frame(0, *link, u8::try_from(*from).unwrap(), damaged.freeze());
        }
        assert_eq!(told(&mut net, 0), []);
        let stats = *net.llt(0).stats();
        assert_eq!(dropped(&stats), frame.len() as u64, "{stats:?}");
        assert!(stats.rcv_bad_tag >= frame.len() as u64 - 12, "{stats:?}");
        assert!(net.llt(0).peers().iter().all(|peer| peer.id.is_none()));
        // Whole, it passes.
        net.frame(0, *link, u8::try_from(*from).unwrap(), frame.clone());
        assert_eq!(refused(net.llt(0).stats()), refused(&stats));
    }
}

#[test]
fn every_frame_has_a_count_of_its_own_and_a_broadcast_one_for_all() {
    let (_, recorded) = recording(2, 100, false);
    let mut seen: BTreeMap<(u8, u64, u8, u64), Bytes> = BTreeMap::new();
    let mut copies = 0;
    for (link, _, frame) in &recorded {
        let clear = ClearHeader::check(frame).unwrap();
        assert_eq!(clear.link.get(), *link);
        let place = (clear.src, clear.incarnation.0, *link, clear.count);
        if let Some(other) = seen.insert(place, frame.clone()) {
            assert_eq!(other, *frame, "one count, two frames");
            assert_eq!(clear.dst, 0xFF);
            copies += 1;
        }
    }
    assert!(copies > 100);
}

#[test]
fn the_key_changes_under_load_and_no_message_and_no_link_is_lost() {
    let mut net = net(3, 2, 3);
    net.connect();
    net.run(500 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    (0..3).for_each(|index| net.llt(index).zero_stats());
    // Step by step and node by node, as an administrator does; last, the old key goes.
    let steps = [ring(1, Some(2)), ring(2, Some(1)), ring(2, None)];
    let mut received = vec![BTreeMap::<u8, Vec<u32>>::new(); 3];
    let mut datagrams = [0; 3];
    let mut number = 0;
    let mut talk = |net: &mut Net, rounds: u32| {
        for _ in 0..rounds {
            for from in 0..3 {
                let payload = Bytes::copy_from_slice(&u32::to_be_bytes(number));
                let now = net.now;
                net.llt(from).broadcast(now, LltPort::GAB, payload.clone()).unwrap();
                for to in (0..3).filter(|to| *to != from) {
                    let to = net.id(to);
                    net.llt(from).send(now, LltPort::GAB, to, payload.clone()).unwrap();
                }
            }
            number += 1;
            net.run(MS / 4);
        }
        number
    };
    for step in &steps {
        for index in 0..3 {
            talk(&mut net, 400);
            let now = net.now;
            net.llt(index).set_keys(now, Some(step.clone())).unwrap();
        }
    }
    let sent = talk(&mut net, 400);
    net.run(100 * MS);
    for index in 0..3 {
        for event in net.take_events(index) {
            match event {
                Event::Message { from, payload, .. } => {
                    let number = u32::from_be_bytes(payload[..].try_into().unwrap());
                    received[index].entry(from.node.get()).or_default().push(number);
                }
                Event::Datagram { .. } => datagrams[index] += 1,
                other => panic!("node {index}: {other:?}"),
            }
        }
        assert_eq!(received[index].len(), 2);
        let all: Vec<u32> = (0..sent).collect();
        assert!(received[index].values().all(|numbers| *numbers == all));
        assert_eq!(datagrams[index], 2 * sent);
        assert_eq!(refused(net.llt(index).stats()), [0; 5]);
        assert_eq!(net.llt(index).stats().snd_retransmit, 0);
    }
    let newest = net.sent.last().unwrap();
    assert_eq!(ClearHeader::check(&newest.2).unwrap().key, Key::new([2; 32]).id());
    net.check_alarms();
}

#[test]
fn keys_that_would_cut_the_node_off_are_refused() {
    let mut net = net(2, 1, 4);
    net.connect();
    let now = net.now;
    let refuse = |net: &mut Net, keys, error| {
        assert_eq!(net.llt(0).set_keys(now, keys), Err(error));
        assert_eq!(net.llt(0).config().keys.as_ref().unwrap().ids().count(), 1);
    };
    refuse(&mut net, None, SetKeysError::Sealing);
    refuse(&mut net, Some(ring(2, Some(3))), SetKeysError::NoCommonKey);
    let mut plain = Net::new(1, 1, 5);
    assert_eq!(plain.llt(0).set_keys(now, Some(ring(1, None))), Err(SetKeysError::NotSealing));
    assert_eq!(plain.llt(0).set_keys(now, None), Ok(()));
    net.run(100 * MS);
    assert!(net.is_connected());
}

/// What is known of the peers and their links, without how long they have been silent.
fn states(peers: &[PeerStatus]) -> Vec<(Option<Id>, bool, Vec<PeerLinkStatus>)> {
    let still = |link: &PeerLinkStatus| PeerLinkStatus { silent_ms: None, ..link.clone() };
    let state =
        |peer: &PeerStatus| (peer.id, peer.connected, peer.links.iter().map(still).collect());
    peers.iter().map(state).collect()
}

/// How long each link of each peer has been silent.
fn silences(peers: &[PeerStatus]) -> Vec<Option<u64>> {
    peers.iter().flat_map(|peer| &peer.links).map(|link| link.silent_ms).collect()
}

/// What a node was told but for what its key kept out.
fn told(net: &mut Net, index: usize) -> Vec<Event> {
    let mut events = net.take_events(index);
    events.retain(|event| !matches!(event, Event::Refused { .. }));
    events
}

fn duplicates(events: &[Event]) -> Vec<(u8, DuplicateScope)> {
    let found = events.iter().filter_map(|event| match event {
        Event::Duplicate { node, scope, .. } => Some((node.get(), *scope)),
        _ => None,
    });
    found.collect()
}

#[test]
fn two_nodes_with_one_id_are_told_apart_with_keys_too() {
    // A third node finds out, and the view stays.
    let mut configs: Vec<_> = (0..2).map(|me| keyed(me, 2, 2)).collect();
    configs.push(Config { incarnation: Incarnation(200), ..keyed(1, 2, 2) });
    let mut net = Net::with(configs, 1);
    net.separate_address(2, 66);
    net.stopped[2] = true;
    net.connect_only(&[0, 1]);
    net.run(500 * MS);
    (0..3).for_each(|index| drop(net.take_events(index)));
    net.stopped[2] = false;
    net.run(900 * MS);
    assert_eq!(duplicates(&net.take_events(0)), [(1, DuplicateScope::Peer)]);
    assert_eq!(duplicates(&net.take_events(2)), [(1, DuplicateScope::OwnYounger)]);
    assert_eq!(net.llt(0).peers()[0].id, Some(net.id(1)));
    // When the older one dies, the younger may take its place.
    net.nodes[1] = None;
    net.run(3000 * MS);
    assert_eq!(net.llt(0).peers()[0].id, Some(net.id(2)));

    // Nobody else is there: the older one tells the younger.
    let mut configs: Vec<_> = (0..2).map(|_| keyed(1, 2, 1)).collect();
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
    assert_eq!(net.llt(0).config().node, node(1));
}
