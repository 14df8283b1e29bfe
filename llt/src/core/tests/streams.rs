//! Windows, queues, fairness, sequences of links.

use bytes::Bytes;

use super::net::{Net, config, port};
use crate::core::{Event, SendError};
use crate::ids::LltPort;
use crate::limits::{MESSAGE_MAX, SEND_QUEUE_PACKETS_MAX};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn senders_other_than_gab_are_refused_at_highwater_and_told_at_lowwater() {
    let mut net = Net::new(2, 1, 1);
    net.connect();
    net.run(100 * MS);
    net.take_events(0);
    let (now, to) = (net.now, net.id(1));
    let message = Bytes::from_static(b"message");
    for _ in 0..200 {
        net.llt(0).send(now, port(5), to, message.clone()).unwrap();
    }
    assert_eq!(net.llt(0).send(now, port(5), to, message.clone()), Err(SendError::WouldBlock));
    assert_eq!(net.llt(0).stats().snd_no_buffer, 1);
    net.llt(0).send(now, LltPort::GAB, to, message).unwrap();
    net.run(50 * MS);
    let writable = Event::Writable { peer: to };
    assert_eq!(net.take_events(0), [writable]);
    assert_eq!(net.take_messages(1).len(), 201);
}

#[test]
fn gab_is_refused_only_at_the_bound_of_the_queue() {
    let mut net = Net::new(2, 1, 2);
    net.connect();
    let (now, to) = (net.now, net.id(1));
    let message = Bytes::from_static(b"message");
    for _ in 0..SEND_QUEUE_PACKETS_MAX {
        net.llt(0).send(now, LltPort::GAB, to, message.clone()).unwrap();
    }
    assert_eq!(net.llt(0).send(now, LltPort::GAB, to, message), Err(SendError::WouldBlock));
    assert_eq!(net.llt(0).peers()[0].queued, SEND_QUEUE_PACKETS_MAX);
}

#[test]
fn no_more_than_a_window_is_in_flight() {
    let mut net = Net::new(2, 1, 3);
    net.connect();
    net.run(100 * MS);
    net.keep_sent = true;
    net.cuts = vec![(0, 0, 1)];
    let (now, to) = (net.now, net.id(1));
    for _ in 0..1000 {
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    }
    net.drain(0);
    let data = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b);
    assert_eq!(data.count(), 256);
}

#[test]
fn a_smaller_window_of_the_receiver_counts() {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs[1].flow.window = 16;
    let mut net = Net::with(configs, 4);
    net.connect();
    let to = net.id(1);
    net.loss = 100;
    let now = net.now;
    for _ in 0..500 {
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    }
    net.run(2000 * MS);
    assert_eq!(net.take_messages(1).len(), 500);
    assert_eq!(net.llt(1).stats().rcv_out_of_window, 0);
}

#[test]
fn ports_take_turns_by_one_large_message_or_five_short_ones() {
    let mut net = Net::new(2, 1, 5);
    net.connect();
    net.run(100 * MS);
    let (now, to) = (net.now, net.id(1));
    net.take_events(1);
    for number in [1, 2, 3] {
        for n in 0..10u8 {
            let payload = Bytes::from(vec![n; if number == 2 { 5000 } else { 10 }]);
            net.llt(0).send(now, port(number), to, payload).unwrap();
        }
    }
    net.run(50 * MS);
    let order: Vec<(u8, u8)> = net
        .take_events(1)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message { port, payload, .. } => Some((port.get(), payload[0])),
            _ => None,
        })
        .collect();
    let short = |port, first: u8| (first..first + 5).map(move |n| (port, n));
    let round = |n: u8| short(1, 5 * n).chain([(2, n)]).chain(short(3, 5 * n));
    let expected = (0..2).flat_map(round).chain((2..10).map(|n| (2, n)));
    assert_eq!(order, expected.collect::<Vec<_>>());
}

#[test]
fn oversized_payloads_and_strangers_are_refused_and_change_nothing() {
    let mut net = Net::new(2, 1, 6);
    net.connect();
    let (now, to) = (net.now, net.id(1));
    let max = net.llt(0).datagram_max();
    assert_eq!(max, 1500 - 48 - 20);
    let long = Bytes::from(vec![0; MESSAGE_MAX + 1]);
    let llt = net.llt(0);
    let too_large = |max| Err(SendError::TooLarge { max });
    assert_eq!(llt.send(now, LltPort::GAB, to, long.clone()), too_large(MESSAGE_MAX));
    assert_eq!(llt.datagram(now, LltPort::GAB, to, long.slice(..=max)), too_large(max));
    assert_eq!(llt.broadcast(now, LltPort::GAB, long.slice(..=max)), too_large(max));
    let mut stranger = to;
    stranger.incarnation.0 += 1;
    let gone = Err(SendError::NotConnected);
    assert_eq!(llt.send(now, LltPort::GAB, stranger, long.slice(..9)), gone);
    assert_eq!(llt.datagram(now, LltPort::GAB, stranger, long.slice(..9)), gone);
    assert_eq!(llt.stats().snd_not_connected, 2);
    assert_eq!(llt.peers()[0].queued, 0);
    llt.datagram(now, LltPort::GAB, to, long.slice(..max)).unwrap();
    llt.broadcast(now, LltPort::GAB, long.slice(..max)).unwrap();
    net.run(MS);
    assert_eq!(net.llt(1).stats().rcv_datagram, 2);
}

#[test]
fn link_sequences_survive_the_wrap() {
    let mut net = Net::new(2, 1, 7);
    net.delay = (Duration::from_micros(50), Duration::from_micros(50));
    for index in 0..2 {
        net.llt(index).start_link_sequences_at(u32::MAX - 1000);
    }
    net.connect();
    net.run(100 * MS);
    let to = net.id(1);
    for _ in 0..2000 {
        let now = net.now;
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"m")).unwrap();
        net.llt(0).datagram(now, LltPort::GAB, to, Bytes::from_static(b"d")).unwrap();
        net.llt(0).broadcast(now, LltPort::GAB, Bytes::from_static(b"b")).unwrap();
        net.run(MS);
    }
    assert_eq!(net.llt(1).stats().rcv_holes, 0);
    assert_eq!(net.llt(1).stats().rcv_datagram, 4000);
    assert_eq!(net.take_messages(1).len(), 2000);
}

#[test]
fn lost_broadcasts_show_as_holes_even_the_last_one() {
    let mut net = Net::new(2, 1, 8);
    net.connect();
    net.run(100 * MS);
    net.take_events(1);
    let broadcast = |net: &mut Net| {
        let now = net.now;
        net.llt(0).broadcast(now, LltPort::GAB, Bytes::from_static(b"all")).unwrap();
        net.run(MS);
    };
    let holes = |net: &mut Net| -> u32 {
        let events = net.take_events(1).into_iter();
        events
            .map(|event| match event {
                Event::Hole { frames, .. } => frames,
                _ => 0,
            })
            .sum()
    };
    broadcast(&mut net);
    net.cuts = vec![(0, 0, 1)];
    broadcast(&mut net);
    broadcast(&mut net);
    net.cuts = vec![];
    broadcast(&mut net);
    assert_eq!(holes(&mut net), 2);
    net.cuts = vec![(0, 0, 1)];
    broadcast(&mut net);
    net.cuts = vec![];
    assert_eq!(holes(&mut net), 0);
    net.run(60 * MS);
    assert_eq!(holes(&mut net), 1);
    net.run(500 * MS);
    assert_eq!(holes(&mut net), 0);
}

#[test]
fn an_idle_pair_acknowledges_within_two_milliseconds_and_falls_silent() {
    let mut net = Net::new(2, 1, 9);
    net.connect();
    net.run(100 * MS);
    let (now, to) = (net.now, net.id(1));
    net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    net.run(3 * MS);
    assert_eq!(net.llt(0).peers()[0].queued, 0);
    assert_eq!(net.llt(1).stats().snd_ack, 1);
    net.run(500 * MS);
    assert_eq!(net.llt(0).stats().snd_retransmit, 0);
    assert_eq!(net.llt(1).stats().snd_ack, 1);
}

#[test]
fn a_lost_packet_is_sent_again_before_the_time_out() {
    let mut net = Net::new(2, 1, 10);
    net.connect();
    let to = net.id(1);
    let send = |net: &mut Net| {
        let now = net.now;
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
        net.drain(0);
    };
    // Some traffic, so that the round trip is known.
    for _ in 0..20 {
        send(&mut net);
        net.run(3 * MS);
    }
    net.take_events(1);
    net.cuts = vec![(0, 0, 1)];
    send(&mut net);
    net.cuts = vec![];
    send(&mut net);
    net.run(4 * MS);
    assert_eq!(net.take_messages(1).len(), 2);
    assert_eq!(net.llt(0).stats().snd_retransmit, 1);
}
