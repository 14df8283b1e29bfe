//! Reading and writing of what travels.

use benches::paths::port;
use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use gab::Level;
use gab::ids::Vid;
use gab::pack::Pack;
use gab::wire::{Body, Data, Entry, EntryKind, Head, Message, Ordered};
use llt::{Id, Incarnation, NodeId};

fn main() {
    divan::main();
}

const HEAD: Head = Head {
    vid: Vid { round: 1, proposer: Id { node: NodeId::ZERO, incarnation: Incarnation(1) } },
    ack: 7,
    busy: 0,
};

/// Messages of 64 bytes in one ORD, one by one.
fn singles(count: u64) -> Body {
    let entry = |mseq| Entry {
        src: NodeId::ZERO,
        port: port(),
        kind: EntryKind::User,
        level: Level::Agreed,
        mseq,
        len: 64,
        crc: 0,
        pack: 0,
        payload: Some(Bytes::from(vec![7; 64])),
    };
    let entries = (1..=count).map(entry).collect();
    Body::Ord(Ordered { stable: 0, high: count, need_ack: false, first: 1, entries })
}

/// The same as one pack.
fn packed(count: u16) -> Body {
    let message = [7; 64];
    let pack = Pack::of(&vec![&message[..]; count.into()]);
    let entry = Entry {
        src: NodeId::ZERO,
        port: port(),
        kind: EntryKind::User,
        level: Level::Agreed,
        mseq: 1,
        len: u32::try_from(pack.bytes().len()).expect("less than a frame"),
        crc: 0,
        pack: count,
        payload: Some(pack.bytes().clone()),
    };
    let high = count.into();
    Body::Ord(Ordered { stable: 0, high, need_ack: false, first: 1, entries: vec![entry] })
}

fn piece(len: usize) -> Body {
    let total = u32::try_from(len).expect("at most 64 KiB");
    let (port, piece) = (port(), Bytes::from(vec![7; len]));
    Body::Data(Data { port, level: Level::Agreed, mseq: 1, pack: 0, total, offset: 0, piece })
}

#[divan::bench]
fn write_ord_of_100(bencher: Bencher<'_, '_>) {
    let body = singles(100);
    bencher.bench(|| body.encode(HEAD));
}

#[divan::bench]
fn read_ord_of_100(bencher: Bencher<'_, '_>) {
    let bytes = singles(100).encode(HEAD);
    bencher.bench(|| Message::decode(bytes.clone()));
}

#[divan::bench]
fn write_pack_of_100(bencher: Bencher<'_, '_>) {
    let body = packed(100);
    bencher.bench(|| body.encode(HEAD));
}

#[divan::bench]
fn read_pack_of_100(bencher: Bencher<'_, '_>) {
    let bytes = packed(100).encode(HEAD);
    bencher.bench(|| Message::decode(bytes.clone()));
}

#[divan::bench(args = [1024, 8192])]
fn read_data(bencher: Bencher<'_, '_>, len: usize) {
    let bytes = piece(len).encode(HEAD);
    bencher.counter(BytesCount::new(len)).bench(|| Message::decode(bytes.clone()));
}

#[divan::bench(args = [64, 1024, 8192, 65_536])]
fn checksum(bencher: Bencher<'_, '_>, len: usize) {
    let bytes = vec![7; len];
    bencher.counter(BytesCount::new(len)).bench(|| llt::crc::crc32c(divan::black_box(&bytes)));
}
