//! Limits of the flow: the window and its hysteresis, busy ports, acknowledgements.

use bytes::Bytes;

use super::net::{Net, config, link, port};
use crate::core::sender::{Rules, Sender};
use crate::core::{Event, SendError};
use crate::ids::LltPort;
use crate::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn rules(window: usize, sws: usize) -> Rules {
    Rules { window, sws, busy: 0, large: 1024, ceiling: 100 * MS }
}

/// Takes all packets that may go now.
fn take(sender: &mut Sender, now: Instant, rules: &Rules) -> usize {
    let mut count = 0;
    while sender.prepare(rules).is_some() {
        sender.next_packet(now, link(0), rules.ceiling).unwrap();
        count += 1;
    }
    count
}

#[test]
fn a_full_window_opens_when_it_has_emptied_below_sws() {
    let now = Instant::from_millis(1);
    let mut sender = Sender::new();
    for _ in 0..100 {
        sender.push(port(1), Bytes::from_static(b"message"), 1000);
    }
    let rules = rules(10, 4);
    assert_eq!(take(&mut sender, now, &rules), 10);
    sender.on_ack(now, 6, Duration::ZERO, rules.ceiling);
    assert_eq!(take(&mut sender, now, &rules), 0, "four are in flight");
    sender.on_ack(now, 7, Duration::ZERO, rules.ceiling);
    assert_eq!(take(&mut sender, now, &rules), 7);
    // A window that was not full gives way to every acknowledgement.
    let mut sender = Sender::new();
    for _ in 0..9 {
        sender.push(port(1), Bytes::from_static(b"message"), 1000);
    }
    assert_eq!(take(&mut sender, now, &rules), 9);
    sender.on_ack(now, 1, Duration::ZERO, rules.ceiling);
    sender.push(port(1), Bytes::from_static(b"message"), 1000);
    assert_eq!(take(&mut sender, now, &rules), 1);
}

#[test]
fn sws_is_held_below_the_window_and_above_nothing() {
    for (window, sws) in [(1, 0), (1, 40), (8, 0), (8, 8), (8, 100), (50, 40)] {
        let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
        for config in &mut configs {
            (config.flow.window, config.flow.sws) = (window, sws);
        }
        let mut net = Net::with(configs, 1);
        net.connect();
        net.run(100 * MS);
        let (now, to) = (net.now, net.id(1));
        net.keep_sent = true;
        for _ in 0..200 {
            net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
        }
        net.drain(0);
        let data = net.sent.iter().filter(|(_, from, frame)| *from == 0 && frame[6] == 0x0b);
        assert_eq!(data.count(), window);
        net.run(1500 * MS);
        assert_eq!(net.take_messages(1).len(), 200, "window {window}, sws {sws}");
    }
}

/// The ports of the messages among the events since the last look.
fn ports(net: &mut Net, index: usize) -> Vec<u8> {
    let events = net.take_events(index).into_iter();
    events
        .filter_map(|event| match event {
            Event::Message { port, .. } => Some(port.get()),
            _ => None,
        })
        .collect()
}

#[test]
fn nothing_begins_for_a_busy_port_and_the_others_go_on() {
    let mut net = Net::new(2, 2, 2);
    net.connect();
    net.run(100 * MS);
    let now = net.now;
    net.llt(1).set_busy_ports(now, 1 << 5);
    net.run(MS);
    assert_eq!(net.llt(0).peers()[0].busy_ports, 1 << 5, "an acknowledgement told");
    let (now, to) = (net.now, net.id(1));
    let message = Bytes::from_static(b"message");
    let mut refused = 0;
    for _ in 0..300 {
        net.llt(0).send(now, port(6), to, message.clone()).unwrap_or_else(|_| refused += 1);
    }
    assert_eq!(refused, 100);
    net.run(MS * 10);
    assert_eq!(ports(&mut net, 1), [6; 200]);
    net.take_events(0);
    // A busy port has a limit of its own, and does not use up that of the others.
    let now = net.now;
    for _ in 0..200 {
        net.llt(0).send(now, port(5), to, message.clone()).unwrap();
    }
    assert_eq!(net.llt(0).send(now, port(5), to, message.clone()), Err(SendError::WouldBlock));
    for _ in 0..200 {
        net.llt(0).send(now, port(6), to, message.clone()).unwrap();
    }
    net.run(100 * MS);
    assert_eq!(ports(&mut net, 1), [6; 200]);
    assert_eq!(net.llt(0).peers()[0].queued, 200);
    assert_eq!(net.take_events(0), []);
    let now = net.now;
    net.llt(1).set_busy_ports(now, 0);
    net.run(5 * MS);
    assert_eq!(ports(&mut net, 1), [5; 200]);
    assert_eq!(net.take_events(0), [Event::Writable { peer: to }]);
}

#[test]
fn a_message_that_has_begun_is_finished() {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs[0].flow.window = 64;
    let mut net = Net::with(configs, 3);
    net.connect();
    net.run(100 * MS);
    let (now, to) = (net.now, net.id(1));
    // More than a window: the rest waits for acknowledgements.
    let long = Bytes::from(vec![7; 66_560]);
    for _ in 0..8 {
        net.llt(0).send(now, port(5), to, long.clone()).unwrap_or(());
    }
    net.drain(0);
    net.llt(1).set_busy_ports(now, 1 << 5);
    net.run(50 * MS);
    let before = ports(&mut net, 1).len();
    assert!((1..4).contains(&before), "{before}");
    net.run(200 * MS);
    assert_eq!(ports(&mut net, 1).len(), 0);
    let now = net.now;
    net.llt(1).set_busy_ports(now, 0);
    net.run(50 * MS);
    assert!(!ports(&mut net, 1).is_empty());
    assert_eq!(net.llt(0).peers()[0].queued, 0);
}

#[test]
fn heartbeats_repeat_what_a_lost_acknowledgement_said_of_ports() {
    let mut net = Net::new(2, 1, 4);
    net.connect();
    net.run(100 * MS);
    assert_eq!(net.llt(0).peers()[0].open_ports, 1 | 1 << 30);
    net.cuts = vec![(0, 1, 0)];
    let now = net.now;
    net.llt(1).set_busy_ports(now, 1 << 9);
    net.llt(1).set_open_ports(now, 1 << 9);
    net.run(MS);
    net.cuts.clear();
    assert_eq!(net.llt(0).peers()[0].busy_ports, 0);
    net.run(60 * MS);
    let peer = net.llt(0).peers().remove(0);
    assert_eq!((peer.busy_ports, peer.open_ports), (1 << 9, 1 | 1 << 9 | 1 << 30));
}

#[test]
fn an_acknowledgement_is_due_after_so_many_packets() {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs[1].flow.ackval = 3;
    let mut net = Net::with(configs, 5);
    net.connect();
    net.run(100 * MS);
    net.llt(1).zero_stats();
    for _ in 0..9 {
        let (now, to) = (net.now, net.id(1));
        net.llt(0).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
        net.run(Duration::from_micros(200));
    }
    assert_eq!(net.llt(1).stats().snd_ack, 3);
}
