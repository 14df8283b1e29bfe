//! The hot paths, by name: what divan times and what CI counts instructions of.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gab::ipc::{Packer, Reader};
use gab::pack::Pack;
use gab::{Level, PortName};
use llt::NodeId;

use crate::Mesh;

/// One path: it does its work once per call, for so many messages.
pub struct Path {
    /// Its name.
    pub name: &'static str,
    /// Messages per call.
    pub messages: u64,
    /// Makes what it works on.
    pub make: fn() -> Box<dyn FnMut()>,
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Path").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Nodes of the meshes, and the one that sends: not the sequencer.
const NODES: u8 = 4;
const SENDER: usize = 3;
const JUMBO: usize = 9000;
/// Messages of a pack that fills a jumbo frame.
const SMALL: u64 = 128;

/// All of them.
pub const PATHS: [Path; 8] = [
    // One sender, four members, everything from the client's call to the last delivery.
    Path { name: "pack of 128 x 64 B, 4 nodes", messages: SMALL, make: pack_64 },
    Path { name: "message of 64 B, 4 nodes", messages: 1, make: || one(64) },
    Path { name: "message of 8 KiB, 4 nodes", messages: 1, make: || one(8192) },
    Path { name: "message of 64 KiB, 4 nodes", messages: 1, make: || one(65_536) },
    Path { name: "SAFE message of 64 B, 4 nodes", messages: 1, make: safe },
    Path { name: "point-to-point message of 64 B", messages: 1, make: directed },
    Path { name: "client: pack 128 x 64 B", messages: SMALL, make: client_packs },
    Path { name: "client: read a pack of 128 x 64 B", messages: SMALL, make: client_reads },
];

fn small() -> Pack {
    let message = [7; 64];
    Pack::of(&vec![&message[..]; usize::try_from(SMALL).expect("a small number")])
}

/// Does something in a mesh and lets everything be delivered; now and then time passes.
fn in_mesh(mut act: impl FnMut(&mut Mesh) + 'static) -> Box<dyn FnMut()> {
    let mut mesh = Mesh::new(NODES, JUMBO);
    Box::new(move || {
        act(&mut mesh);
        mesh.settle();
        // What is acknowledged late is acknowledged then.
        mesh.pass(Duration::from_micros(100));
    })
}

fn pack_64() -> Box<dyn FnMut()> {
    let pack = small();
    in_mesh(move |mesh| mesh.broadcast_pack(SENDER, Level::Agreed, pack.clone()))
}

fn one(len: usize) -> Box<dyn FnMut()> {
    let payload = Bytes::from(vec![7; len]);
    in_mesh(move |mesh| mesh.broadcast(SENDER, Level::Agreed, payload.clone()))
}

fn safe() -> Box<dyn FnMut()> {
    let payload = Bytes::from(vec![7; 64]);
    in_mesh(move |mesh| mesh.broadcast(SENDER, Level::Safe, payload.clone()))
}

fn directed() -> Box<dyn FnMut()> {
    let payload = Bytes::from(vec![7; 64]);
    in_mesh(move |mesh| mesh.send_to(SENDER, 1, payload.clone()))
}

fn client_packs() -> Box<dyn FnMut()> {
    let (mut packer, message) = (Packer::default(), [7; 64]);
    Box::new(move || {
        for _ in 0..SMALL {
            packer.push_broadcast(Level::Agreed, &message);
        }
        assert!(packer.pop().is_some(), "there is something to send");
    })
}

fn client_reads() -> Box<dyn FnMut()> {
    let delivery = gab::event::PackDelivery {
        sender: NodeId::ZERO,
        level: Level::Agreed,
        generation: 1,
        sequence: 1,
        messages: small(),
    };
    let mut datagram = BytesMut::new();
    gab::ipc::Record::DeliverPack(delivery).encode(&mut datagram);
    let datagram = datagram.freeze();
    Box::new(move || {
        let mut sum = 0;
        for record in Reader::new(datagram.clone()) {
            let Ok(gab::ipc::Record::DeliverPack(pack)) = record else {
                unreachable!("it was written above")
            };
            sum += pack.map(|delivery| delivery.payload.len()).sum::<usize>();
        }
        assert_eq!(sum, 64 * 128);
    })
}

/// The port of the meshes' clients, for benches of codecs.
pub fn port() -> PortName {
    PortName::new('A').expect("A is a letter")
}
