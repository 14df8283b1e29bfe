//! What the log is told, in situations made by hand that chance brings about too rarely.

use bytes::Bytes;
use llt::{Duration, Id, Incarnation, Instant, NodeId, NodeSet};

use super::stream::Stream;
use super::{Gab, GabConfig, GabOutput, Notice, Transport};
use crate::event::Level;
use crate::ids::{PortName, Vid, View};
use crate::limits::WINDOW_SLOTS;
use crate::wire::{Body, Entry, EntryKind, Head, Message, Ordered};

fn id(node: u8) -> Id {
    Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) }
}

fn set(nodes: &[u8]) -> NodeSet {
    nodes.iter().filter_map(|node| NodeId::new(*node)).collect()
}

/// One of the nodes 0 and 1, which are connected by two links each and in a view; 0 orders.
fn member(node: u8) -> Gab {
    let transport = Transport { datagram_max: 1400, has_broadcast: false };
    let config = GabConfig { configured: true, ..GabConfig::default() };
    let mut gab = Gab::new(Instant::ZERO, id(node), config, transport, 1);
    let members = vec![id(0), id(1)];
    let vid = Vid { round: 1, proposer: id(0) };
    gab.stream = Some(Stream::new(id(node).node, &members, 0));
    gab.view = Some(View { vid, members });
    gab.promised = vid;
    gab.control_generation = 1;
    let other = id(1 - node);
    gab.handle_peer_up(Instant::ZERO, other, 1);
    gab.handle_links(Instant::ZERO, other, 2, Duration::ZERO);
    notices(&mut gab);
    gab
}

/// What is told since it was asked last.
fn notices(gab: &mut Gab) -> Vec<Notice> {
    let mut notices = Vec::new();
    while let Some(output) = gab.poll_output() {
        if let GabOutput::Notice(notice) = output {
            notices.push(notice);
        }
    }
    notices
}

/// ORD of one slot with this message of node 0.
fn ord(gab: &Gab, slot: u64, mseq: u64) -> Bytes {
    let entry = Entry {
        src: id(0).node,
        port: PortName::new('h').unwrap(),
        kind: EntryKind::User,
        level: Level::Agreed,
        mseq,
        len: 2,
        crc: 0,
        pack: 0,
        payload: Some(Bytes::from_static(b"hi")),
    };
    let vid = gab.view_id();
    let ordered =
        Ordered { stable: 0, high: slot, need_ack: false, first: slot, entries: vec![entry] };
    Body::Ord(ordered).encode(Head { vid, ack: 0, busy: 0 })
}

#[test]
fn a_place_that_is_given_to_a_second_message_is_told_once() {
    let mut gab = member(1);
    for mseq in [1, 1, 2, 3] {
        let message = ord(&gab, 1, mseq);
        gab.handle_message(Instant::ZERO, id(0), message);
    }
    let told: Vec<Notice> = notices(&mut gab);
    assert_eq!(told, [Notice::ProtocolError { sequence: 1 }]);
    assert_eq!(gab.counters().slots_outside, 2, "each is counted");
}

#[test]
fn a_slow_member_is_told_of_every_ten_seconds_while_it_lasts() {
    let mut gab = member(0);
    gab.config.stuck = Duration::from_secs(3600);
    let behind = WINDOW_SLOTS / 2 + 1;
    let stream = gab.stream.as_mut().unwrap();
    (stream.cont, stream.high) = (behind, behind);
    let mut told = Vec::new();
    for tenth in 0..250 {
        let now = Instant::from_millis(tenth * 100);
        gab.watch_members(now);
        for notice in notices(&mut gab) {
            let expected = Notice::SlowMember { node: id(1).node, behind };
            assert_eq!(notice, expected);
            told.push(tenth);
        }
    }
    assert_eq!(told, [2, 102, 202], "after 0.2 s, and every 10 s after that");
    gab.stream.as_mut().unwrap().note_ack(id(1).node, behind);
    gab.watch_members(Instant::from_millis(60_000));
    assert_eq!(notices(&mut gab), []);
}

#[test]
fn a_member_that_is_given_up_leaves_a_dump_of_every_port() {
    let mut gab = member(0);
    let port = PortName::new('h').unwrap();
    let known = gab.ports.entry(port).or_default();
    known.members.insert(id(0).node, 1);
    known.generation = 2;
    let stream = gab.stream.as_mut().unwrap();
    (stream.cont, stream.high) = (7, 7);
    gab.handle_links(Instant::ZERO, id(1), 1, Duration::ZERO);
    notices(&mut gab);
    gab.watch_members(Instant::ZERO);
    gab.watch_members(Instant::ZERO + gab.config.stuck);
    let told = notices(&mut gab);
    let [Notice::Dump(a), Notice::Dump(h), Notice::StuckMember { .. }, ..] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((a.port, a.members, a.jeopardy), (PortName::CONTROL, set(&[0, 1]), set(&[1])));
    assert_eq!((h.port, h.members, h.generation), (port, set(&[0]), 2));
    assert_eq!(h.connected, set(&[0, 1]));
    assert_eq!((h.answered, h.held, h.stable), (set(&[0]), 7, 0), "node 1 holds nothing");
    assert_eq!(h.state, 1);
}

#[test]
fn jeopardy_is_told_when_it_begins_and_changes() {
    let mut gab = member(0);
    gab.handle_links(Instant::ZERO, id(1), 1, Duration::ZERO);
    gab.handle_links(Instant::ZERO, id(1), 1, Duration::ZERO);
    let jeopardy = [Notice::Jeopardy { port: PortName::CONTROL, generation: 1, nodes: set(&[1]) }];
    assert_eq!(notices(&mut gab), jeopardy);
    gab.handle_links(Instant::ZERO, id(1), 2, Duration::ZERO);
    assert_eq!(notices(&mut gab), [], "its end is not told");
    gab.handle_links(Instant::ZERO, id(1), 1, Duration::ZERO);
    assert_eq!(notices(&mut gab), jeopardy);
}

#[test]
fn a_question_is_answered_even_in_a_view_without_a_slot() {
    let mut gab = member(1);
    let nothing = Ordered { stable: 0, high: 0, need_ack: true, first: 0, entries: Vec::new() };
    let head = Head { vid: gab.view_id(), ack: 0, busy: 0 };
    gab.handle_message(Instant::ZERO, id(0), Body::Ord(nothing).encode(head));
    let answers = std::iter::from_fn(|| gab.poll_output()).filter(|output| match output {
        GabOutput::Datagram(to, answer) => {
            *to == id(0) && Message::decode(answer.clone()).is_ok_and(|it| it.body == Body::Ack)
        }
        _ => false,
    });
    assert_eq!(answers.count(), 1, "it says which ports are busy");
}
