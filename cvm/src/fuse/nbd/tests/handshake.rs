//! The first phase.

use std::io::{self, Cursor, Read, Write};

use rustix::io::Errno;

use super::super::handshake::{Export, Handshake};
use super::{Peer, option_reply};
use crate::fuse::volume::Refused;

const ACK: u32 = 1;
const SERVER: u32 = 2;
const INFO: u32 = 3;
const POLICY: u32 = 0x8000_0002;
const UNKNOWN: u32 = 0x8000_0006;

fn export_info(size: u64, flags: u16) -> Vec<u8> {
    [&[0, 0][..], &size.to_be_bytes(), &flags.to_be_bytes()].concat()
}

fn block_info(sizes: [u32; 3]) -> Vec<u8> {
    [&[0, 3][..], &sizes.map(u32::to_be_bytes).concat()].concat()
}

/// A server whose words were written down: what it is told does not matter.
#[derive(Debug)]
struct Script(Cursor<Vec<u8>>);

impl Script {
    fn new(replies: &[Vec<u8>]) -> Self {
        Self::raw([&b"NBDMAGICIHAVEOPT\0\x03"[..], &replies.concat()].concat())
    }

    fn raw(bytes: Vec<u8>) -> Self {
        Self(Cursor::new(bytes))
    }
}

impl Read for Script {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn info(replies: &[Vec<u8>]) -> Result<Export, Refused> {
    Handshake::begin(Script::new(replies))?.info("dg/v")
}

#[test]
fn exports_are_listed_told_of_and_opened() {
    let (mut peer, client) = Peer::pair();
    let asks = std::thread::Builder::new().spawn(move || {
        let mut handshake = Handshake::begin(client).unwrap();
        let names = handshake.list().unwrap();
        let info = handshake.info("dg/v").unwrap();
        let is_structured = handshake.ask_structured().unwrap();
        let (export, _socket) = handshake.go("dg/v").unwrap();
        (names, info, is_structured, export)
    });
    peer.greet();
    assert_eq!(peer.option(), (3, vec![]));
    let name = |name: &[u8]| [&[0, 0, 0, 4], name].concat();
    let names = [name(b"dg/v"), name(b"dg/w and what is said of it"), name(b"\xff\xff/v")];
    for name in names {
        peer.send(&[&option_reply(3, SERVER, &name)]);
    }
    peer.send(&[&option_reply(3, ACK, &[])]);
    let wish = b"\0\0\0\x04dg/v\0\x01\0\x03".to_vec();
    assert_eq!(peer.option(), (6, wish.clone()));
    peer.send(&[
        &option_reply(6, INFO, &export_info(1 << 20, 0x1af)),
        &option_reply(6, INFO, b"\0\x02a description"),
        &option_reply(6, INFO, &block_info([512, 4096, 1 << 20])),
        &option_reply(6, ACK, &[]),
    ]);
    assert_eq!(peer.option(), (8, vec![]));
    peer.send(&[&option_reply(8, 0x8000_0001, b"")]);
    assert_eq!(peer.option(), (7, wish));
    peer.send(&[&option_reply(7, INFO, &export_info(1000, 3)), &option_reply(7, ACK, &[])]);
    let (names, info, is_structured, export) = asks.unwrap().join().unwrap();
    assert_eq!(names, ["dg/v", "dg/w"]);
    assert_eq!(info, Export { size: 1 << 20, flags: 0x1af, block: 512, request_max: 1 << 20 });
    assert!(info.is_read_only() && !is_structured);
    // The last block of one that is no multiple of it is left out.
    assert_eq!(export, Export { size: 512, flags: 3, block: 512, request_max: 32 << 20 });
}

/// The texts are those of vxiod (`iod/door.rs`, `core/iod/opens.rs`).
#[test]
fn refusals_of_vxiod_are_told_as_errors_that_fit() {
    let group = "the disk group is not activated for this on this node";
    for (kind, text, errno) in [
        (POLICY, format!("vol1: {group}"), Errno::ACCESS),
        (POLICY, format!("exclusive: {group}"), Errno::ACCESS),
        (POLICY, "v: the volume is exclusive, and node 2 has it open".to_owned(), Errno::BUSY),
        (POLICY, "v: the volume is being taken away".to_owned(), Errno::BUSY),
        (POLICY, "v: the volume is not started".to_owned(), Errno::NXIO),
        (POLICY, String::new(), Errno::ACCESS),
        (UNKNOWN, "v: no such volume".to_owned(), Errno::NOENT),
        (UNKNOWN, "no volume \"dg\": expected GROUP/VOLUME".to_owned(), Errno::NOENT),
        (0x8000_0003, "what?".to_owned(), Errno::IO),
    ] {
        let replies = [option_reply(7, kind, text.as_bytes())];
        let refused = Handshake::begin(Script::new(&replies)).unwrap().go("dg/v").unwrap_err();
        assert_eq!(refused.errno(), errno, "{text}");
        assert!(refused.to_string().ends_with(&text), "{refused}");
    }
    let refused = info(&[option_reply(6, POLICY, b"v: a\nb\xff")]).unwrap_err();
    assert_eq!(refused.to_string(), "v: a b\u{fffd}", "it is one line of a log");
}

#[test]
fn a_server_that_is_none_is_not_understood() {
    for greeting in [
        &b"SSH-2.0-OpenSSH_9.9p1 Debian"[..],
        b"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53\0\x03",
        b"NBDMAGICIHAVEOPT\0\x02",
    ] {
        let error = Handshake::begin(Script::raw(greeting.to_vec())).unwrap_err();
        assert!(matches!(error, Refused::BadServer(_)), "{error:?}");
    }
    let ok = || [option_reply(6, INFO, &export_info(4096, 3)), option_reply(6, ACK, &[])];
    assert!(info(&ok()).is_ok());
    let mut magic = ok();
    magic[0][0] ^= 1;
    let mut long = ok();
    long[0][16] = 1;
    let blocks = |sizes| [option_reply(6, INFO, &block_info(sizes)), ok().concat()];
    let endless = vec![option_reply(6, INFO, b"\0\x01name"); 100];
    for wrong in [
        &magic[..],
        &long,
        &endless,
        &blocks([0x1_0000_u32 << 1, 4096, 1 << 20]),
        &blocks([513, 4096, 1 << 20]),
        &blocks([512, 4096, 0]),
        &[option_reply(7, ACK, &[])],
        &[option_reply(6, ACK, &[])],
        &[option_reply(6, SERVER, &[])],
        &[option_reply(6, INFO, &[0, 0, 1])],
        &[option_reply(6, INFO, &[0, 3, 1])],
    ] {
        let error = info(wrong).unwrap_err();
        assert!(matches!(error, Refused::BadServer(_)), "{error:?}");
        assert_eq!(error.errno(), Errno::IO);
    }
    let name = option_reply(3, SERVER, b"\0\0\0\xffshort");
    let error = Handshake::begin(Script::new(&[name])).unwrap().list().unwrap_err();
    assert!(matches!(error, Refused::BadServer(_)), "{error:?}");
}

#[test]
fn a_server_that_goes_away_is_unreachable_wherever_it_stops() {
    let replies = [option_reply(6, INFO, &export_info(4096, 3)), option_reply(6, ACK, &[])];
    let all = Script::new(&replies).0.into_inner();
    for len in 0..all.len() {
        let script = Script::raw(all[..len].to_vec());
        let error = Handshake::begin(script).and_then(|mut all| all.info("dg/v")).unwrap_err();
        assert!(matches!(error, Refused::Unreachable(_)), "{len}: {error:?}");
        assert_eq!(error.errno(), Errno::NXIO);
    }
}

#[test]
fn one_that_says_nothing_is_given_up() {
    let (_peer, client) = Peer::pair();
    client.set_read_timeout(Some(std::time::Duration::from_millis(10))).unwrap();
    let error = Handshake::begin(client).unwrap_err();
    assert_eq!(error.to_string(), "vxiod does not answer: timed out");
}
