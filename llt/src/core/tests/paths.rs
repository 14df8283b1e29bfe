//! Paths that do not take frames of the full size.

use bytes::Bytes;

use super::net::{Net, broadcast_address, config, link, port};
use crate::config::Config;
use crate::core::{Event, LinkChange, Note, SendError};
use crate::ids::LltPort;
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);
const JUMBO: usize = 9000;

fn jumbo(links: u8, broadcast: bool) -> Vec<Config> {
    let one = |me| {
        let mut config = config(me, 2, links);
        for (index, link) in (0..).zip(&mut config.links) {
            link.mtu = JUMBO;
            link.broadcast = broadcast.then(|| broadcast_address(index));
        }
        config
    };
    (0..2).map(one).collect()
}

/// The Mtu notes among the events since the last look.
fn mtu_notes(net: &mut Net, index: usize) -> Vec<(u8, usize, bool)> {
    let events = net.take_events(index).into_iter();
    events
        .filter_map(|event| match event {
            Event::Note { link, note: Note::Mtu { sent }, found, .. } => {
                Some((link.get(), sent, found))
            }
            _ => None,
        })
        .collect()
}

fn notes(net: &mut Net, index: usize, link: usize) -> Vec<Note> {
    net.llt(index).peers()[0].links[link].notes.clone()
}

fn large(number: u8) -> Bytes {
    (0..60_000_u32).map(|at| (at % 251).to_le_bytes()[0] ^ number).collect::<Vec<u8>>().into()
}

/// Sends large messages from node 0, and expects all of them within the time.
fn send_large(net: &mut Net, count: u8, time: Duration) {
    let (now, to) = (net.now, net.id(1));
    for number in 0..count {
        net.llt(0).send(now, LltPort::GAB, to, large(number)).unwrap();
    }
    let mut received = Vec::new();
    let end = net.now + time;
    let done = net.run_until(end, |net| {
        received.extend(net.take_messages(1));
        received.len() == usize::from(count)
    });
    assert!(done, "{} of {count}", received.len());
    assert!(received.iter().zip(0..).all(|(payload, number)| *payload == large(number)));
}

#[test]
fn frames_of_the_full_size_are_probed_once_in_four_inactive_times() {
    let mut net = Net::with(jumbo(2, false), 1);
    net.keep_sent = true;
    net.connect();
    net.run(Duration::from_millis(3900));
    let probes = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x10);
    let probes: Vec<(u8, usize)> = probes.map(|(on, _, frame)| (*on, frame.len())).collect();
    assert_eq!(probes, [(0, JUMBO), (1, JUMBO)]);
    net.run(Duration::from_millis(4000));
    assert_eq!(net.llt(0).stats().snd_probe, 4);
    assert_eq!(net.llt(1).stats().rcv_probe, 4);
    assert!(notes(&mut net, 0, 0).is_empty());
    net.check_alarms();
}

#[test]
fn a_path_that_is_too_narrow_is_named_and_named_again_when_it_is_not() {
    let mut net = Net::with(jumbo(2, false), 2);
    net.narrow = vec![(1, 0, 1, 1500)];
    net.connect();
    net.run(1000 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(1, JUMBO, true)]);
    assert_eq!(notes(&mut net, 0, 1), [Note::Mtu { sent: JUMBO }]);
    assert_eq!(mtu_notes(&mut net, 1), []);
    net.narrow.clear();
    net.run(5000 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(1, JUMBO, false)]);
    assert!(notes(&mut net, 0, 1).is_empty());
    net.check_alarms();
}

#[test]
fn long_frames_take_the_other_link_and_short_ones_both() {
    let mut net = Net::with(jumbo(2, false), 3);
    net.narrow = vec![(1, 0, 1, 1500)];
    net.connect();
    net.run(1000 * MS);
    net.keep_sent = true;
    send_large(&mut net, 20, 100 * MS);
    let data = |net: &Net, on: u8| {
        let frames = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b);
        frames.filter(|(link, ..)| *link == on).map(|(_, _, frame)| frame.len()).collect::<Vec<_>>()
    };
    assert!(data(&net, 0).contains(&JUMBO));
    assert!(data(&net, 1).iter().all(|len| *len <= 1500));
    assert_eq!(net.llt(0).stats().snd_retransmit, 0);
    net.sent.clear();
    let (now, to) = (net.now, net.id(1));
    for _ in 0..64 {
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"short")).unwrap();
    }
    net.run(10 * MS);
    assert_eq!(data(&net, 0).len() + data(&net, 1).len(), 64);
    assert!(data(&net, 1).len() >= 32);
    // Datagrams too.
    net.sent.clear();
    let (now, most) = (net.now, net.llt(0).datagram_max());
    for _ in 0..64 {
        net.llt(0).datagram(now, LltPort::GAB, to, Bytes::from(vec![1; most])).unwrap();
    }
    net.run(10 * MS);
    let datagrams = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0d);
    assert!(datagrams.clone().all(|(on, ..)| *on == 0));
    assert_eq!(datagrams.count(), 64);
}

#[test]
fn where_no_path_takes_long_frames_the_stream_carries_everything_in_pieces() {
    for broadcast in [false, true] {
        let mut net = Net::with(jumbo(2, broadcast), 4);
        net.narrow = vec![(0, 0, 1, 1500), (1, 0, 1, 1450)];
        net.connect();
        net.run(2000 * MS);
        assert_eq!(mtu_notes(&mut net, 0).len(), 2);
        net.keep_sent = true;
        net.take_events(1);
        let (now, to, most) = (net.now, net.id(1), net.llt(0).datagram_max());
        let payload = large(7).slice(..most);
        net.llt(0).datagram(now, LltPort::GAB, to, payload.clone()).unwrap();
        net.llt(0).broadcast(now, LltPort::GAB, payload.clone()).unwrap();
        net.llt(0).broadcast(now, LltPort::GAB, payload.slice(..1000)).unwrap();
        net.run(10 * MS);
        let events = net.take_events(1);
        let messages = events.iter().filter(
            |event| matches!(event, Event::Message { payload: found, .. } if *found == payload),
        );
        assert_eq!(messages.count(), 2, "{broadcast}");
        assert!(events.iter().any(
            |event| matches!(event, Event::Datagram { payload, .. } if payload.len() == 1000)
        ));
        assert_eq!(net.llt(0).stats().snd_datagram_long, 2);
        send_large(&mut net, 20, 100 * MS);
        // What passes on both is what the pieces are cut for: 1400 was tried and found good.
        assert_eq!(net.llt(0).stats().snd_retransmit, 0);
        let longest = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b);
        assert_eq!(longest.map(|(_, _, frame)| frame.len()).max(), Some(1400));
        net.check_alarms();
    }
}

#[test]
fn what_was_cut_for_a_long_path_goes_over_a_short_one_in_parts() {
    let mut net = Net::with(jumbo(2, false), 5);
    net.narrow = vec![(1, 0, 1, 1400)];
    net.connect();
    net.run(2000 * MS);
    // Everything is under way on link 0 when it dies.
    net.cuts = vec![(0, 0, 1)];
    let (now, to) = (net.now, net.id(1));
    for number in 0..10 {
        net.llt(0).send(now, LltPort::GAB, to, large(number)).unwrap();
    }
    net.drain(0);
    net.loss = 100;
    net.duplication = 100;
    net.delay = (50 * Duration::from_micros(1), 2 * MS);
    net.llt(0).handle_link(now, link(0), LinkChange::NoCarrier);
    net.run(2000 * MS);
    let received = net.take_messages(1);
    assert_eq!(received.len(), 10);
    assert!(received.iter().zip(0..).all(|(payload, number)| *payload == large(number)));
    assert!(net.llt(0).stats().snd_part > 100);
    assert!(net.llt(1).stats().rcv_part > 100);
    net.check_alarms();
}

#[test]
fn a_path_that_becomes_narrow_under_load_stops_nobody_for_long() {
    let mut net = Net::with(jumbo(1, false), 6);
    net.connect();
    net.run(1000 * MS);
    net.narrow = vec![(0, 0, 1, 1300)];
    // The next probe is due within four inactive times, and the verdict takes some heartbeats.
    send_large(&mut net, 10, Duration::from_secs(5));
    send_large(&mut net, 10, 100 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(0, JUMBO, true)]);
    net.check_alarms();
}

#[test]
fn a_peer_with_a_shorter_mtu_is_believed_and_named() {
    let mut configs = jumbo(1, true);
    configs[1].links[0].mtu = 1500;
    let mut net = Net::with(configs, 7);
    net.narrow = vec![(0, 0, 1, 1500)];
    net.connect();
    net.run(100 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(0, JUMBO, true)]);
    assert_eq!(mtu_notes(&mut net, 1), []);
    let (now, most) = (net.now, net.llt(0).datagram_max());
    assert!(most > 8000);
    net.llt(0).broadcast(now, LltPort::GAB, large(1).slice(..most)).unwrap();
    net.run(10 * MS);
    assert_eq!(net.take_messages(1), [large(1).slice(..most)]);
    send_large(&mut net, 5, 100 * MS);
    assert_eq!(net.llt(0).stats().snd_retransmit, 0);
    net.run(5000 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [], "1500 pass, so there is nothing new to say");
}

#[test]
fn chance_is_not_taken_for_a_narrow_path_for_long() {
    let mut net = Net::with(jumbo(1, false), 8);
    net.connect();
    // No long frame at all for a while.
    net.narrow = vec![(0, 0, 1, 8999)];
    net.run(600 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(0, JUMBO, true)]);
    net.narrow.clear();
    net.run(1000 * MS);
    assert_eq!(mtu_notes(&mut net, 0), [(0, JUMBO, false)]);
}

#[test]
fn datagrams_that_find_the_stream_full_are_lost_and_counted() {
    let mut net = Net::with(jumbo(1, false), 9);
    net.narrow = vec![(0, 0, 1, 1500)];
    net.connect();
    net.run(2000 * MS);
    let (now, to) = (net.now, net.id(1));
    let payload = large(1).slice(..8000);
    while net.llt(0).send(now, port(3), to, payload.clone()) != Err(SendError::WouldBlock) {}
    net.llt(0).zero_stats();
    net.llt(0).datagram(now, port(3), to, payload.clone()).unwrap();
    net.llt(0).datagram(now, LltPort::GAB, to, payload).unwrap();
    let stats = net.llt(0).stats();
    assert_eq!((stats.snd_no_buffer, stats.snd_datagram_long), (1, 1));
}
