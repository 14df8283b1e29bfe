//! LLT ports of processes, between real daemons.

use std::time::Duration;

use gab::CloseReason;
use gab::client::{LltEvent, LltOpenError, LltPort};
use gab::echo::{self, Echo};
use llt::NodeId;
use rustix::process::Signal;

use crate::node::{Node, cluster, wait_for};
use crate::support::snapshot;

const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn number(port: u8) -> llt::LltPort {
    llt::LltPort::new(port).unwrap()
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn open(on: &Node, port: u8) -> LltPort {
    LltPort::open(on.root(), number(port)).unwrap()
}

/// Two nodes that are connected.
fn pair() -> Vec<Node> {
    let mut nodes = cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&[]));
    for node in &nodes {
        wait_for("a connection", || {
            snapshot(node).llt.nodes.iter().all(|other| other.state == "OPEN")
        });
    }
    nodes
}

fn message(port: &mut LltPort) -> (u8, bool, Vec<u8>) {
    match port.recv(LONG).expect("an event in time") {
        LltEvent::Message { from, reliable, payload } => (from.get(), reliable, payload.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_and_datagrams_go_both_ways() {
    let nodes = pair();
    let (mut zero, mut one) = (open(&nodes[0], 20), open(&nodes[1], 20));
    assert_eq!((zero.node(), one.node()), (node(0), node(1)));
    zero.send(node(1), b"hello", true).unwrap();
    assert_eq!(message(&mut one), (0, true, b"hello".to_vec()));
    let long = vec![7; llt::limits::MESSAGE_MAX];
    one.send(node(0), &long, true).unwrap();
    assert_eq!(message(&mut zero), (1, true, long));
    one.send(node(0), b"once", false).unwrap();
    assert_eq!(message(&mut zero), (1, false, b"once".to_vec()));
    // To oneself, too.
    zero.send(node(0), b"mirror", true).unwrap();
    assert_eq!(message(&mut zero), (0, true, b"mirror".to_vec()));
    zero.close().unwrap();
}

#[test]
fn what_cannot_be_sent_is_told() {
    let nodes = pair();
    let mut zero = open(&nodes[0], 20);
    zero.send(node(7), b"x", true).unwrap();
    let event = zero.recv(LONG).unwrap();
    let text = "node 7 is not connected".to_owned();
    assert_eq!(event, LltEvent::NotSent { errno: 107, text });
    zero.send(node(1), &[0; 20_000], false).unwrap();
    let Some(LltEvent::NotSent { errno: 90, text }) = zero.recv(LONG) else {
        panic!("a datagram of 20,000 bytes");
    };
    assert!(text.starts_with("a datagram to node 1 may have "), "{text}");
}

#[test]
fn a_port_has_one_client_and_is_free_again_at_once() {
    let mut node = Node::alone();
    node.start(&[]);
    let first = open(&node, 20);
    let busy = LltPort::open(node.root(), number(20)).unwrap_err();
    assert!(matches!(&busy, LltOpenError::Busy { .. }), "{busy:?}");
    assert_eq!(busy.to_string(), "LLT port 20 has a client on this node already");
    let other = open(&node, 21);
    for taken in [0, 31] {
        let error = LltPort::open(node.root(), number(taken)).unwrap_err();
        assert_eq!((error.errno(), error.to_string()), (16, format!("LLT port {taken} is GAB's")));
    }
    first.close().unwrap();
    let again = open(&node, 20);
    drop(again);
    wait_for("the port", || LltPort::open(node.root(), number(20)).is_ok());
    drop(other);
}

#[test]
fn questions_on_port_30_are_answered_by_every_gabd() {
    let nodes = pair();
    let (mut ping, mut other) = (open(&nodes[0], 30), open(&nodes[0], 30));
    for to in [0, 1] {
        for reliable in [true, false] {
            ping.send(node(to), &echo::question(5, 1, 128, true), reliable).unwrap();
            let (from, back, answer) = message(&mut ping);
            assert_eq!((from, back, answer.len()), (to, reliable, 128));
            let read = Echo::read(&answer).unwrap();
            assert!(read.answer && read.token == 5 && !read.damaged && read.is_whole(&answer));
            // Whoever else asks gets it, too, and knows by the token that it is not its own.
            assert_eq!(message(&mut other).2, answer);
        }
    }
    ping.send(node(1), &echo::question(5, 2, echo::ECHO_MAX, false), true).unwrap();
    assert_eq!(message(&mut ping).2.len(), echo::ECHO_MAX);
}

#[test]
fn ten_thousand_messages_arrive_whole_and_in_order() {
    let nodes = pair();
    let (mut zero, mut one) = (open(&nodes[0], 20), open(&nodes[1], 20));
    let sender = std::thread::Builder::new().name("sender".into()).spawn(move || {
        for n in 0..10_000u32 {
            zero.queue(node(1), &n.to_be_bytes(), true).unwrap();
        }
        zero.close().unwrap();
    });
    for n in 0..10_000u32 {
        assert_eq!(message(&mut one), (0, true, n.to_be_bytes().to_vec()));
    }
    sender.unwrap().join().unwrap();
}

#[test]
fn a_client_learns_that_its_gabd_stopped() {
    let mut node = Node::alone();
    node.start(&[]);
    let mut port = open(&node, 20);
    node.signal(Signal::TERM);
    assert_eq!(port.recv(LONG), Some(LltEvent::Closed(CloseReason::Stopped)));
    assert_eq!(node.wait(), Some(0));
}
