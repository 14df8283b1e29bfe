//! What sealing and opening a frame costs: `cargo bench -p llt --bench seal`.
//!
//! Half of it is ChaCha20 and half Poly1305; a frame of 100 bytes pays mostly for the start.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use llt::seal::{Key, Keyring, Opener, Sealer};
use llt::wire::{BROADCAST_NODE, Header, Kind, emit_probe};
use llt::{ClusterId, Id, Incarnation, LinkId, NodeId};

fn main() {
    divan::main();
}

/// Plain lengths: an acknowledgement or a short message, the MTUs of Ethernet, the default of UDP.
const LENGTHS: [usize; 4] = [100, 1456, 8192, 8956];

fn id(node: u8) -> Id {
    Id { node: NodeId::new(node).expect("below 128"), incarnation: Incarnation(1 << 60) }
}

fn link() -> LinkId {
    LinkId::new(0).expect("below 8")
}

/// A plain frame of this length.
fn plain(len: usize) -> bytes::Bytes {
    let header = Header {
        cluster: ClusterId(1),
        kind: Kind::Probe,
        src: 1,
        dst: BROADCAST_NODE,
        sequence: 1,
        src_incarnation: id(1).incarnation,
        dst_incarnation: Incarnation(0),
        src_session: 1,
        dst_session: 1,
        ack: 1,
    };
    emit_probe(&header, 1, len)
}

#[divan::bench(args = LENGTHS)]
fn seal(bencher: Bencher<'_, '_>, len: usize) {
    let (key, frame) = (Key::new([7; 32]), plain(len));
    let mut sealer = Sealer::new(id(1), link());
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| sealer.seal(&key, BROADCAST_NODE, black_box(&frame)));
}

#[divan::bench(args = LENGTHS)]
fn open(bencher: Bencher<'_, '_>, len: usize) {
    let (key, frame) = (Key::new([7; 32]), plain(len));
    let keys = Keyring::new(key.clone(), None).expect("one key");
    let mut sealer = Sealer::new(id(1), link());
    let mut opener = Opener::new(id(2));
    bencher
        .counter(BytesCount::new(len))
        // Each is opened once, as in life.
        .with_inputs(|| sealer.seal(&key, BROADCAST_NODE, &frame))
        .bench_local_refs(|sealed| {
            opener.open(&keys, link(), |_| Incarnation(0), sealed).expect("its key and a new count")
        });
}

#[divan::bench]
fn refuse_a_forged_frame_of_1500_bytes(bencher: Bencher<'_, '_>) {
    let key = Key::new([7; 32]);
    let mut forged = Sealer::new(id(1), link()).seal(&key, BROADCAST_NODE, &plain(1456)).to_vec();
    forged[100] ^= 1;
    let keys = Keyring::new(key, None).expect("one key");
    let mut opener = Opener::new(id(2));
    bencher.bench_local(|| {
        opener.open(&keys, link(), |_| Incarnation(0), black_box(&forged)).expect_err("a bad tag")
    });
}
