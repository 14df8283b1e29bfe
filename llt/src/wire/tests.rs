//! Every frame both ways, byte by byte, and random bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ids::{ClusterId, Incarnation, LltPort, NodeId, NodeSet};

fn header(kind: Kind) -> Header {
    let is_broadcast = kind == Kind::Bye;
    Header {
        cluster: ClusterId(0x0102),
        kind,
        src: 3,
        dst: if is_broadcast { BROADCAST_NODE } else { 4 },
        sequence: 0x0506_0708,
        src_incarnation: Incarnation(0x1112_1314_1516_1718),
        dst_incarnation: Incarnation(0x2122_2324_2526_2728),
        src_session: 0x3132,
        dst_session: 0x3334,
        ack: 0x4142_4344_4546_4748,
    }
}

/// A header as it is on the wire, up to the checksum.
fn head(kind: u8, len: u8) -> Vec<u8> {
    let mut bytes = vec![0x4C, 0x4C, 1, 1, 1, 2, kind, 0, 3, 4, 0, len, 5, 6, 7, 8];
    bytes.extend([0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]);
    bytes.extend([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28]);
    bytes.extend([0x31, 0x32, 0x33, 0x34]);
    bytes.extend([0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48]);
    bytes
}

/// Checks the bytes of a frame but for the checksum, which `check` has to find right.
fn expect(frame: &Bytes, head: &[u8], body: &[u8]) {
    assert_eq!(frame[..44], *head);
    assert_eq!(frame[48..], *body);
    let mut covered = frame.to_vec();
    covered[44..48].fill(0);
    assert_eq!(frame[44..48], crc32c::crc32c(&covered).to_be_bytes());
}

#[test]
fn a_heartbeat_is_these_bytes() {
    let fixed = HeartbeatHeader {
        sequence: 0x0102_0304_0506_0708,
        broadcast_sequence: 0x090a_0b0c,
        mtu: 0x0d0e,
        window: 0x0f10,
        link: 2,
        dead: 0x81,
        open_ports: 0x1112_1314,
        busy_ports: 0x1516_1718,
        covers: (4, 5),
    };
    let heard = Heard {
        node: NodeId::new(4).unwrap(),
        heard: true,
        connected: true,
        session: 0x3132,
        peer_session: 0x3334,
        echo: 0x3536,
        incarnation: Incarnation(0x2122_2324_2526_2728),
        probe: 0x3738,
    };
    let frame = emit_heartbeat(&header(Kind::Heartbeat), &fixed, &[heard]);
    let mut body = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 2, 4, 5, 1];
    body.extend([0x81, 0, 0, 0]);
    body.extend([0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]);
    body.extend([4, 3, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36]);
    body.extend([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x37, 0x38]);
    expect(&frame, &head(0x0a, 50), &body);
    let frame = Frame::check(&frame).unwrap();
    assert_eq!(frame.header, header(Kind::Heartbeat));
    let Body::Heartbeat(heartbeat) = frame.body else { panic!("a heartbeat") };
    assert_eq!(heartbeat.header, fixed);
    assert_eq!(heartbeat.entries().collect::<Vec<_>>(), [heard]);
    assert_eq!(heartbeat.entry(heard.node), Some(heard));
    assert!(heartbeat.covers(NodeId::new(5).unwrap()));
    assert!(!heartbeat.covers(NodeId::new(6).unwrap()));
}

#[test]
fn a_packet_is_these_bytes() {
    let data = Data {
        number: 0x0102_0304_0506_0708,
        port: LltPort::new(9).unwrap(),
        first: true,
        last: false,
        message_len: 0x1_0400,
        offset: 0x0506,
        more: true,
        payload: Bytes::from_static(b"abc"),
    };
    let frame = emit_data(&header(Kind::Data), &data);
    let body = [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 4, 0, 9, 5, 5, 6, b'a', b'b', b'c'];
    expect(&frame, &head(0x0b, 19), &body);
    assert_eq!(Frame::check(&frame).unwrap().body, Body::Data(data));
}

#[test]
fn an_acknowledgement_is_these_bytes() {
    let ranges = [AckRange { first: 7, last: 9 }];
    let frame =
        emit_ack(&header(Kind::Ack), 0x0102_0304_0506_0708, 0x090a_0b0c, 0x0d0e_0f10, &ranges);
    let mut body: Vec<u8> = (1..=16).collect();
    body.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9]);
    expect(&frame, &head(0x0c, 32), &body);
    let Body::Ack(ack) = Frame::check(&frame).unwrap().body else { panic!("an ack") };
    assert_eq!(ack.missing_before, 0x0102_0304_0506_0708);
    assert_eq!((ack.delay_us, ack.busy_ports), (0x090a_0b0c, 0x0d0e_0f10));
    assert_eq!(ack.ranges().collect::<Vec<_>>(), ranges);
}

#[test]
fn a_datagram_is_these_bytes() {
    let port = LltPort::new(9).unwrap();
    let frame = emit_datagram(&header(Kind::Datagram), port, NodeSet::EMPTY, b"abc");
    expect(&frame, &head(0x0d, 7), &[9, 0, 0, 0, b'a', b'b', b'c']);
    let recipients = NodeSet::from_bits(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let everybody = Header { dst: BROADCAST_NODE, ..header(Kind::Datagram) };
    let frame = emit_datagram(&everybody, port, recipients, b"abc");
    let mut head = head(0x0d, 23);
    head[7] = 1;
    head[9] = 0xFF;
    let mut body = vec![9, 0, 0, 0];
    body.extend(1..=16);
    body.extend(b"abc");
    expect(&frame, &head, &body);
    let payload = Bytes::from_static(b"abc");
    let datagram = Datagram { port, recipients, payload };
    assert_eq!(Frame::check(&frame).unwrap().body, Body::Datagram(datagram));
}

#[test]
fn notices_are_these_bytes() {
    let mut bye = head(0x0e, 0);
    bye[7] = 1;
    bye[9] = 0xFF;
    expect(&emit_bye(&header(Kind::Bye)), &bye, &[]);
    let older = Incarnation(0x0102_0304_0506_0708);
    let frame = emit_duplicate(&header(Kind::Duplicate), older);
    expect(&frame, &head(0x0f, 8), &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(Frame::check(&frame).unwrap().body, Body::Duplicate(Duplicate { older }));
}

#[test]
fn questions_are_these_bytes() {
    let frame = emit_probe(&header(Kind::Probe), 0x0102, 53);
    expect(&frame, &head(0x10, 5), &[1, 2, 0, 0, 0]);
    assert_eq!(Frame::check(&frame).unwrap().body, Body::Probe(Probe { number: 0x0102 }));
    let frame = emit_request(&header(Kind::Request));
    expect(&frame, &head(0x11, 0), &[]);
    assert_eq!(Frame::check(&frame).unwrap().body, Body::Request);
}

/// A frame with a right checksum around whatever header and body.
fn sealed(mut head: Vec<u8>, body: &[u8]) -> Bytes {
    head[10..12].copy_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    head.extend([0; 4]);
    head.extend(body);
    let crc = crc32c::crc32c(&head);
    head[44..48].copy_from_slice(&crc.to_be_bytes());
    head.into()
}

#[test]
fn what_is_inconsistent_is_refused_with_what_was_expected() {
    let message = |len: u32, flags: u8, port: u8, number: u64, payload: &[u8]| {
        let mut body = number.to_be_bytes().to_vec();
        body.extend(len.to_be_bytes());
        body.extend([port, flags, 0, 0]);
        body.extend(payload);
        body
    };
    let list = |node: u8, count: u8| {
        let mut body = vec![0; 50];
        body[19] = count;
        body[32] = node;
        body
    };
    let range = |first: u8, last: u8| {
        let mut body = vec![0; 32];
        (body[23], body[31]) = (first, last);
        body
    };
    let cases: Vec<(u8, Vec<u8>, &str)> = vec![
        (0x0a, vec![0; 31], "a heartbeat of 32 bytes at least"),
        (0x0a, vec![0; 49], "a list of 18 bytes each"),
        (0x0a, list(1, 2), "a list as long as the heartbeat says"),
        (0x0a, list(128, 1), "node ids of 0 to 127 in the list"),
        (0x0b, vec![0; 15], "a data header of 16 bytes"),
        (0x0b, message(1, 3, 32, 1, b"a"), "a port of 0 to 31"),
        (0x0b, message(1, 3, 0, 0, b"a"), "packets numbered from 1"),
        (0x0b, message(1, 11, 0, 1, b"a"), "known flags of a packet"),
        (0x0b, message(1, 0, 0, 1, b"ab"), "a fragment that fits its message"),
        (0x0b, message(3, 3, 0, 1, b"ab"), "a fragment that fits its message"),
        (0x0b, message(3, 6, 0, 1, b""), "parts that are not empty"),
        (0x0b, message(66_561, 1, 0, 1, b"ab"), "a fragment that fits its message"),
        (0x0c, vec![0; 15], "an acknowledgement of 16 bytes at least"),
        (0x0c, vec![0; 17], "ranges of 16 bytes each"),
        (0x0c, vec![0; 16 + 16 * 33], "at most 28 ranges"),
        (0x0c, range(2, 1), "ranges that do not run backwards"),
        (0x0d, vec![0; 3], "a datagram header of 4 bytes"),
        (0x0d, vec![32, 0, 0, 0], "a port of 0 to 31"),
        (0x0e, vec![0], "a goodbye without a body"),
        (0x0f, vec![0; 7], "a notice of 8 bytes"),
        (0x10, vec![1], "a probe of 2 bytes at least"),
        (0x10, vec![0, 0], "probes numbered from 1"),
        (0x11, vec![0], "a request without a body"),
        (0x12, vec![], "a known kind"),
    ];
    for (kind, body, what) in cases {
        let frame = sealed(head(kind, 0), &body);
        assert_eq!(Frame::check(&frame), Err(WireError::Malformed { what }), "{body:?}");
    }
    for (at, byte, what) in [
        (0, 0, "the magic number"),
        (7, 1, "flags that agree with the destination"),
        (9, 0xFF, "flags that agree with the destination"),
    ] {
        let mut head = head(0x0e, 0);
        head[at] = byte;
        assert_eq!(Frame::check(&sealed(head, &[])), Err(WireError::Malformed { what }));
    }
    let mut data = head(0x0b, 0);
    (data[7], data[9]) = (1, 0xFF);
    let what = "a destination, for this kind";
    assert_eq!(Frame::check(&sealed(data, &[])), Err(WireError::Malformed { what }));
}

#[test]
fn versions_must_overlap() {
    for (max, min, fits) in [(1, 1, true), (9, 1, true), (1, 0, true), (0, 0, false), (9, 2, false)]
    {
        let mut head = head(0x0e, 0);
        (head[2], head[3]) = (max, min);
        let frame = sealed(head, &[]);
        let found = Frame::check(&frame).map(|frame| frame.body);
        let expected = if fits { Ok(Body::Bye) } else { Err(WireError::Version { min, max }) };
        assert_eq!(found, expected);
    }
}

/// Reads everything that a frame has to say.
fn read(frame: &Bytes) -> bool {
    let Ok(frame) = Frame::check(frame) else { return false };
    match frame.body {
        Body::Ack(ack) => assert!(ack.ranges().all(|range| range.first <= range.last)),
        Body::Bye | Body::Duplicate(_) | Body::Probe(_) | Body::Request => {}
        Body::Data(data) => assert!(data.payload.len() <= data.message_len as usize),
        Body::Datagram(datagram) => drop(datagram.recipients.iter().count()),
        Body::Heartbeat(heartbeat) => drop(heartbeat.entries().count()),
    }
    true
}

proptest! {
    #[test]
    fn random_bytes_are_refused_and_never_panic(bytes: Vec<u8>) {
        prop_assert!(!read(&bytes.into()));
    }

    #[test]
    fn random_bodies_under_a_good_header_never_panic(
        kind in 0x09u8..0x14,
        broadcast: bool,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut head = head(kind, 0);
        if broadcast {
            (head[7], head[9]) = (1, 0xFF);
        }
        read(&sealed(head, &body));
    }

    #[test]
    fn one_flipped_bit_is_always_seen(at in 0usize..67, bit in 0u8..8) {
        let data = Data {
            number: 1,
            port: LltPort::GAB,
            first: true,
            last: true,
            message_len: 3,
            offset: 0,
            more: false,
            payload: Bytes::from_static(b"abc"),
        };
        let mut bytes = emit_data(&header(Kind::Data), &data).to_vec();
        bytes[at] ^= 1 << bit;
        // The version bytes may say "and older ones, too"; the checksum still tells.
        prop_assert!(Frame::check(&bytes.into()).is_err());
    }

    #[test]
    fn packets_come_back_as_they_went(
        number in 1u64..,
        port in 0u8..32,
        payload in proptest::collection::vec(any::<u8>(), 1..2000),
        rest in 0u32..58_000,
        first: bool,
        offset in 0u16..6000,
        more: bool,
    ) {
        let data = Data {
            number,
            port: LltPort::new(port).unwrap(),
            first,
            last: false,
            message_len: u32::try_from(payload.len()).unwrap() + u32::from(offset) + rest,
            offset,
            more,
            payload: payload.into(),
        };
        let frame = emit_data(&header(Kind::Data), &data);
        prop_assert_eq!(Frame::check(&frame).map(|frame| frame.body), Ok(Body::Data(data)));
    }
}
