//! Where the corpus of `cargo fuzz` comes from, as far as it is not written by hand: one of each
//! frame and message that a small cluster puts on its wire, each record of `gab.sock`, and each
//! block of a disk.
//!
//! `cargo run -p sim --bin fuzz-decoders -- --corpus tests/fuzz/corpus` writes them anew after a
//! format has changed.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use gab::event::{Delivery, OpenOptions};
use gab::ids::Vid;
use gab::ipc::Record;
use gab::wire::{Body, Head, Message, P2p, P2pAck, Repair};
use gab::{Level, PortName};
use llt::wire::Frame;
use llt::{Id, Incarnation, NodeId, NodeSet};

use super::Mini;
use super::blocks;
use super::entry::sealed_frame;
use crate::setup::keyring;

/// An input that its decoder accepts.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The decoder's name in [`TARGETS`](super::entry::TARGETS).
    pub target: &'static str,
    /// The name of its file.
    pub name: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// All of them.
pub fn seeds() -> Vec<Seed> {
    let mut mini = Mini::new(1);
    let mut plain = mini.take_seen();
    for _ in 0..200 {
        mini.turn();
    }
    plain.extend(mini.take_seen());
    let mut seeds = Vec::new();
    let mut add = |target, list: BTreeMap<String, Bytes>| {
        let seed = |(name, bytes)| Seed { target, name: format!("ok-{name}"), bytes };
        seeds.extend(list.into_iter().map(seed));
    };
    add("llt_frame", shortest(plain.iter().filter_map(named_frame)));
    let keys = keyring(1, Some(2));
    let mut sealed = Mini::with_keys(1, Some(&keys));
    let mut frames = sealed.take_seen();
    (0..200).for_each(|_| sealed.turn());
    frames.extend(sealed.take_seen());
    add("sealed_frame", shortest(frames.iter().filter_map(named_sealed)));
    let messages = plain.iter().filter_map(payload).chain(rare_messages());
    add("gab_message", shortest(messages.filter_map(named_message)));
    add("ipc_records", shortest(records().into_iter().map(named_record)));
    add("disk_blocks", blocks::samples().into_iter().collect());
    seeds
}

/// The shortest of each name.
fn shortest(all: impl Iterator<Item = (String, Bytes)>) -> BTreeMap<String, Bytes> {
    let mut list: BTreeMap<String, Bytes> = BTreeMap::new();
    for (name, bytes) in all {
        let kept = list.entry(name).or_insert_with(|| bytes.clone());
        if bytes.len() < kept.len() {
            *kept = bytes;
        }
    }
    list
}

fn named_frame(frame: &Bytes) -> Option<(String, Bytes)> {
    let body = format!("{:?}", Frame::check(frame).ok()?.body);
    Some((variant(&body), frame.clone()))
}

/// Those that node 1 opens.
fn named_sealed(frame: &Bytes) -> Option<(String, Bytes)> {
    let (name, _) = named_frame(&crate::setup::plain(frame)?)?;
    sealed_frame(frame).then(|| (name, frame.clone()))
}

/// What a frame carries for the layer above, if it is whole.
fn payload(frame: &Bytes) -> Option<Bytes> {
    match Frame::check(frame).ok()?.body {
        llt::wire::Body::Data(data) if data.first && data.last => Some(data.payload),
        llt::wire::Body::Datagram(datagram) => Some(datagram.payload),
        _ => None,
    }
}

fn named_message(bytes: Bytes) -> Option<(String, Bytes)> {
    let body = format!("{:?}", Message::decode(bytes.clone()).ok()?.body);
    Some((variant(&body), bytes))
}

/// Messages of which a cluster in good health sends none.
fn rare_messages() -> Vec<Bytes> {
    let port = PortName::new('A').expect("A is a letter");
    let proposer = Id { node: NodeId::ZERO, incarnation: Incarnation(7) };
    let head = Head { vid: Vid { round: 3, proposer }, ack: 5, busy: 0 };
    let (from_client, to_client, number) = (8, 9, 1);
    let payload = Bytes::from_static(b"abc");
    let p2p = P2p { port, generation: 2, from_client, to_client, number, payload };
    let bodies = [
        Body::Nak(vec![(6, 6), (8, 10)]),
        Body::P2p(p2p),
        Body::P2pAck(P2pAck { port, from_client, to_client, number }),
        Body::Refuse,
        Body::Retr(Repair { last: true, slots: Vec::new() }),
    ];
    bodies.iter().map(|body| body.encode(head)).collect()
}

fn records() -> Vec<Record> {
    let (node, port) = (NodeId::ZERO, PortName::new('A').expect("A is a letter"));
    let payload = Bytes::from_static(b"abc");
    let nodes = |bits| NodeSet::from_bits(bits);
    let view = gab::event::PortView {
        generation: 2,
        members: nodes(0b011),
        joined: nodes(0b010),
        left: nodes(0b100),
        jeopardy: nodes(0b010),
        visible: nodes(0b1000),
    };
    vec![
        Record::Ack { generation: 2 },
        Record::Admin { json: Bytes::from_static(b"\"Config\"") },
        Record::Answer { more: true, error: false, text: Bytes::from_static(b"{") },
        Record::AskBeat { number: 7 },
        Record::Beat { number: 7 },
        Record::Broadcast { level: Level::Safe, payload: payload.clone() },
        Record::Close,
        Record::Closed(104),
        Record::Credit { messages: 256, bytes: 65_536 },
        Record::Deliver(Delivery {
            sender: node,
            broadcast: true,
            level: Level::Agreed,
            generation: 2,
            sequence: 258,
            payload: payload.clone(),
        }),
        Record::Event { json: Bytes::from_static(b"{}") },
        Record::Open { version: 1, port, options: OpenOptions::default(), name: "gp".into() },
        Record::Opened { version: 1, node },
        Record::Refused { errno: 16, text: "no".into() },
        Record::Send { node, payload },
        Record::Status(view),
        Record::View(view),
        Record::Watch { on: true },
    ]
}

fn named_record(record: Record) -> (String, Bytes) {
    let mut bytes = BytesMut::new();
    record.encode(&mut bytes);
    (variant(&format!("{record:?}")), bytes.freeze())
}

/// The name of an enum's variant, in the manner of files.
fn variant(debug: &str) -> String {
    let end = debug.find(|c: char| !c.is_alphanumeric()).unwrap_or(debug.len());
    debug[..end].to_lowercase()
}
