use llt::{LinkAddr, LinkId};
use proptest::prelude::*;

use super::*;

fn bytes_of(record: &Record) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    assert_eq!(out.len(), record.encoded_len());
    out.to_vec()
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn read(datagram: &[u8]) -> Vec<Result<Record, Malformed>> {
    Reader::new(Bytes::copy_from_slice(datagram)).collect()
}

fn problem(datagram: &[u8]) -> Problem {
    let mut records = read(datagram);
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0).unwrap_err().problem
}

#[test]
fn an_open_has_these_bytes() {
    let record = Record::Open {
        version: 1,
        port: PortName::new('G').unwrap(),
        options: OpenOptions { ack: true, shared: true, ..OpenOptions::default() },
        name: "gp".into(),
    };
    let bytes = [0, 0, 0, 13, 1, 0b101, 0, 0, 0, 1, b'G', b'g', b'p'];
    assert_eq!(bytes_of(&record), bytes);
    assert_eq!(read(&bytes), [Ok(record)]);
}

#[test]
fn the_open_of_a_supervised_client_has_these_bytes() {
    let record = Record::Open {
        version: 1,
        port: PortName::new('h').unwrap(),
        options: OpenOptions {
            heartbeat: Some(Duration::from_millis(15_000)),
            ..OpenOptions::default()
        },
        name: "had".into(),
    };
    let bytes = [0, 0, 0, 18, 1, 16, 0, 0, 0, 1, b'h', 0, 0, 0x3a, 0x98, b'h', b'a', b'd'];
    assert_eq!(bytes_of(&record), bytes);
    assert_eq!(read(&bytes), [Ok(record)]);
    // Without room for the time.
    let short = [0, 0, 0, 13, 1, 16, 0, 0, 0, 1, b'h', 0, 0];
    assert_eq!(problem(&short), Problem::Body { kind: 1, len: 5 });
}

#[test]
fn short_records_have_these_bytes() {
    let cases: [(Record, &[u8]); 21] = [
        (
            Record::Broadcast { level: Level::Safe, payload: Bytes::from_static(b"hi") },
            &[0, 0, 0, 10, 2, 1, 0, 0, b'h', b'i'],
        ),
        (
            Record::Pack { level: Level::Safe, messages: Pack::of(&[b"hi", b""]) },
            &[0, 0, 0, 18, 13, 1, 0, 0, 0, 0, 0, 2, b'h', b'i', 0, 0, 0, 0],
        ),
        (
            Record::DeliverPack(PackDelivery {
                sender: node(3),
                level: Level::Agreed,
                generation: 7,
                sequence: 258,
                messages: Pack::of(&[b"x"]),
            }),
            &[
                0, 0, 0, 29, 76, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0,
                1, b'x',
            ],
        ),
        (
            Record::Send { node: node(127), payload: Bytes::from_static(b"x") },
            &[0, 0, 0, 9, 3, 0, 127, 0, b'x'],
        ),
        (Record::Ack { generation: 0x0102 }, &[0, 0, 0, 16, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]),
        (
            Record::Credit { messages: 256, bytes: 65_536 },
            &[0, 0, 0, 16, 5, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0],
        ),
        (Record::Close, &[0, 0, 0, 8, 6, 0, 0, 0]),
        (Record::Opened { version: 1, node: node(2) }, &[0, 0, 0, 10, 65, 0, 2, 0, 0, 1]),
        (
            Record::Refused { errno: 16, text: "no".into() },
            &[0, 0, 0, 14, 66, 0, 0, 0, 0, 0, 0, 16, b'n', b'o'],
        ),
        (Record::Closed(104), &[0, 0, 0, 12, 70, 0, 0, 0, 0, 0, 0, 104]),
        (
            Record::Answer { more: true, error: false, text: Bytes::from_static(b"{") },
            &[0, 0, 0, 9, 71, 1, 0, 0, b'{'],
        ),
        (
            Record::LltOpen { version: 1, port: LltPort::new(20).unwrap() },
            &[0, 0, 0, 11, 8, 0, 0, 0, 0, 1, 20],
        ),
        (
            Record::LltSend { node: node(3), reliable: false, payload: Bytes::from_static(b"d") },
            &[0, 0, 0, 9, 9, 1, 3, 0, b'd'],
        ),
        (Record::Beat { number: 258 }, &[0, 0, 0, 12, 11, 0, 0, 0, 0, 0, 1, 2]),
        (Record::AskBeat { number: 258 }, &[0, 0, 0, 12, 74, 0, 0, 0, 0, 0, 1, 2]),
        (Record::Trace { on: true }, &[0, 0, 0, 8, 10, 0, 0, 0]),
        (Record::Trace { on: false }, &[0, 0, 0, 8, 10, 1, 0, 0]),
        (Record::Watch { on: true }, &[0, 0, 0, 8, 12, 0, 0, 0]),
        (Record::Watch { on: false }, &[0, 0, 0, 8, 12, 1, 0, 0]),
        (
            Record::Event { json: Bytes::from_static(b"{}") },
            &[0, 0, 0, 10, 75, 0, 0, 0, b'{', b'}'],
        ),
        (
            Record::LltMessage { node: node(1), reliable: true, payload: Bytes::from_static(b"m") },
            &[0, 0, 0, 9, 72, 0, 1, 0, b'm'],
        ),
    ];
    for (record, bytes) in cases {
        assert_eq!(bytes_of(&record), bytes, "{record:?}");
        assert_eq!(read(bytes), [Ok(record)]);
    }
}

#[test]
fn a_delivery_has_these_bytes() {
    let record = Record::Deliver(Delivery {
        sender: node(3),
        broadcast: true,
        level: Level::Agreed,
        generation: 7,
        sequence: 258,
        payload: Bytes::from_static(b"m"),
    });
    let bytes = [0, 0, 0, 25, 67, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2, b'm'];
    assert_eq!(bytes_of(&record), bytes);
    assert_eq!(read(&bytes), [Ok(record)]);
}

#[test]
fn a_traced_frame_has_these_bytes() {
    let record = Record::Frame(TracedFrame {
        link: LinkId::new(1).unwrap(),
        outgoing: true,
        addr: LinkAddr::V4 { ip: [127, 77, 1, 2], port: 50_000 },
        time_ns: 0x0102_0304_0506_0708,
        lost: 9,
        frame: Bytes::from_static(b"LL"),
    });
    let bytes = [
        0, 0, 0, 31, 73, 0, 0, 0, // record
        1, 1, 2, 127, 77, 1, 2, 195, 80, // link, direction, address
        1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, b'L', b'L',
    ];
    assert_eq!(bytes_of(&record), bytes);
    assert_eq!(read(&bytes), [Ok(record)]);
    for (at, value) in [(8, 8), (9, 2), (10, 0), (10, 4), (10, 3)] {
        let mut wrong = bytes;
        wrong[at] = value;
        assert!(matches!(problem(&wrong), Problem::Frame { .. }), "byte {at} is {value}");
    }
}

#[test]
fn a_view_writes_node_0_as_the_last_bit() {
    let set = |ids: &[u8]| ids.iter().map(|&id| node(id)).collect::<NodeSet>();
    let view = PortView {
        generation: 1,
        members: set(&[0, 1]),
        joined: set(&[1]),
        left: set(&[127]),
        jeopardy: set(&[]),
        visible: set(&[8]),
    };
    let bytes = bytes_of(&Record::View(view));
    assert_eq!(bytes.len(), 96);
    assert_eq!(bytes[..8], [0, 0, 0, 96, 68, 0, 0, 0]);
    assert_eq!((bytes[31], bytes[47]), (3, 2));
    assert_eq!((bytes[48], bytes[63], bytes[79], bytes[94]), (0x80, 0, 0, 1));
    assert_eq!(read(&bytes), [Ok(Record::View(view))]);
    let mut status = bytes;
    status[4] = 69;
    assert_eq!(read(&status), [Ok(Record::Status(view))]);
}

#[test]
fn a_payload_is_a_slice_of_its_datagram() {
    let datagram = Bytes::copy_from_slice(&[0, 0, 0, 10, 2, 0, 0, 0, b'h', b'i']);
    let Some(Ok(Record::Broadcast { payload, .. })) = Reader::new(datagram.clone()).next() else {
        panic!("a broadcast");
    };
    assert_eq!(payload.as_ptr(), datagram[8..].as_ptr());
}

#[test]
fn whole_records_before_a_broken_one_are_read() {
    let mut bytes = bytes_of(&Record::Close);
    bytes.extend([0, 0, 0, 9, 6, 0, 0, 0, 0]);
    bytes.extend(bytes_of(&Record::Close));
    let records = read(&bytes);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], Ok(Record::Close));
    let broken = records[1].clone().unwrap_err();
    assert_eq!((broken.at, broken.problem), (8, Problem::Body { kind: 6, len: 1 }));
    assert_eq!(
        broken.to_string(),
        "record at byte 8 of the datagram: a body of 1 bytes does not fit kind 6"
    );
}

#[test]
fn each_broken_field_is_named() {
    assert_eq!(problem(&[0, 0, 0]), Problem::Header { left: 3 });
    assert_eq!(problem(&[0, 0, 0, 7, 6, 0, 0, 0]), Problem::Length { length: 7, left: 8 });
    assert_eq!(problem(&[0, 0, 0, 9, 6, 0, 0, 0]), Problem::Length { length: 9, left: 8 });
    let huge = [0xff, 0xff, 0xff, 0xff, 6, 0, 0, 0];
    assert_eq!(problem(&huge), Problem::Length { length: u32::MAX, left: 8 });
    assert_eq!(problem(&[0, 0, 0, 8, 99, 0, 0, 0]), Problem::Kind(99));
    assert_eq!(problem(&[0, 0, 0, 8, 6, 1, 0, 0]), Problem::Flags { kind: 6, flags: 1 });
    assert_eq!(problem(&[0, 0, 0, 8, 6, 0, 1, 0]), Problem::NotZero { kind: 6 });
    assert_eq!(problem(&[0, 0, 0, 8, 6, 0, 0, 1]), Problem::NotZero { kind: 6 });
    assert_eq!(problem(&[0, 0, 0, 8, 3, 0, 128, 0]), Problem::Node(128));
    assert_eq!(problem(&[0, 0, 0, 11, 1, 0, 0, 0, 0, 1, b'1']), Problem::Port(b'1'));
    assert_eq!(problem(&[0, 0, 0, 11, 8, 0, 0, 0, 0, 1, 32]), Problem::LltPort(32));
    let name = [0, 0, 0, 12, 1, 0, 0, 0, 0, 1, b'A', 0xff];
    assert_eq!(problem(&name), Problem::Text { kind: 1 });
}

#[test]
fn a_message_longer_than_64_kib_is_refused() {
    let mut out = BytesMut::new();
    let payload = Bytes::from(vec![0; MESSAGE_MAX + 1]);
    Record::Broadcast { level: Level::Agreed, payload }.encode(&mut out);
    assert_eq!(problem(&out), Problem::Body { kind: 2, len: MESSAGE_MAX + 1 });
}

#[test]
fn packed_datagrams_stay_within_the_limit_and_keep_the_order() {
    let mut packer = Packer::default();
    assert!(packer.is_empty() && packer.pop().is_none());
    let record = |n: usize| Record::Broadcast {
        level: Level::Agreed,
        payload: Bytes::from(vec![u8::try_from(n).unwrap(); 50_000]),
    };
    for n in 0..5 {
        packer.push(&record(n));
    }
    let mut datagrams = Vec::new();
    while let Some(datagram) = packer.pop() {
        assert!(datagram.len() <= IPC_DATAGRAM_MAX);
        datagrams.push(datagram);
    }
    assert_eq!(datagrams.len(), 3);
    let records: Vec<_> = datagrams.into_iter().flat_map(Reader::new).map(Result::unwrap).collect();
    assert_eq!(records, (0..5).map(record).collect::<Vec<_>>());
}

#[test]
fn messages_packed_from_slices_have_the_bytes_of_their_records() {
    let (mut sliced, mut whole) = (Packer::default(), Packer::default());
    let payload = Bytes::from_static(b"hello");
    sliced.push_broadcast(Level::Safe, &payload);
    sliced.push_send(node(5), &payload);
    sliced.push_llt_send(node(6), false, &payload);
    whole.push(&Record::Broadcast { level: Level::Safe, payload: payload.clone() });
    whole.push(&Record::Send { node: node(5), payload: payload.clone() });
    whole.push(&Record::LltSend { node: node(6), reliable: false, payload });
    assert_eq!(sliced.queued_bytes(), whole.queued_bytes());
    assert_eq!(sliced.pop(), whole.pop());
}

/// What a client broadcasts, in its order.
fn broadcasts(datagrams: impl IntoIterator<Item = Bytes>) -> Vec<(Level, Bytes)> {
    let mut out = Vec::new();
    for record in datagrams.into_iter().flat_map(Reader::new).map(Result::unwrap) {
        match record {
            Record::Broadcast { level, payload } => out.push((level, payload)),
            Record::Pack { level, messages } => {
                assert!(messages.messages() > 1, "one message is no pack");
                out.extend(messages.map(|message| (level, message)));
            }
            other => panic!("not a broadcast: {other:?}"),
        }
    }
    out
}

proptest! {
    #[test]
    fn broadcasts_stay_the_same_and_in_order_however_they_are_packed(
        messages in proptest::collection::vec((levels(), 0_usize..2200, any::<bool>()), 0..400),
    ) {
        let mut packer = Packer::default();
        let mut datagrams = Vec::new();
        let mut sent = Vec::new();
        for (number, &(level, len, flush)) in messages.iter().enumerate() {
            let payload = Bytes::from(vec![u8::try_from(number % 251).unwrap(); len]);
            packer.push_broadcast(level, &payload);
            sent.push((level, payload));
            if flush && number % 7 == 0 {
                datagrams.extend(packer.pop());
            }
        }
        while let Some(datagram) = packer.pop() {
            prop_assert!(datagram.len() <= IPC_DATAGRAM_MAX);
            datagrams.push(datagram);
        }
        prop_assert!(packer.is_empty());
        prop_assert_eq!(broadcasts(datagrams), sent);
    }
}

#[test]
fn long_bodies_are_not_copied_into_their_datagrams() {
    let mut packer = Packer::default();
    let (short, long) = (Bytes::from_static(b"short"), Bytes::from(vec![7; 60_000]));
    let record = |payload: &Bytes| Record::Send { node: node(1), payload: payload.clone() };
    for payload in [&short, &long, &short, &long, &long] {
        packer.push(&record(payload));
    }
    let datagram = packer.pop_pieces().unwrap();
    let shared = datagram.pieces().iter().filter(|piece| piece.as_ptr() == long.as_ptr());
    assert_eq!(shared.count(), 2, "the third is in the next datagram");
    let joined: Bytes = datagram.pieces().iter().flatten().copied().collect();
    let records: Vec<_> = Reader::new(joined).map(Result::unwrap).collect();
    assert_eq!(records, [&short, &long, &short, &long].map(record));
}

fn packs() -> impl Strategy<Value = Pack> {
    proptest::collection::vec(payloads(), 1..20).prop_map(|messages| {
        let slices: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
        Pack::of(&slices)
    })
}

fn payloads() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn node_ids() -> impl Strategy<Value = NodeId> {
    (0..128u8).prop_map(node)
}

fn views() -> impl Strategy<Value = PortView> {
    (any::<u64>(), any::<[u128; 5]>()).prop_map(|(generation, sets)| {
        let [members, joined, left, jeopardy, visible] = sets.map(NodeSet::from_bits);
        PortView { generation, members, joined, left, jeopardy, visible }
    })
}

fn levels() -> impl Strategy<Value = Level> {
    any::<bool>().prop_map(|safe| if safe { Level::Safe } else { Level::Agreed })
}

fn from_clients() -> impl Strategy<Value = Record> {
    prop_oneof![
        (any::<u16>(), 0..26u8, any::<[bool; 4]>(), any::<Option<u32>>(), "\\PC{0,16}").prop_map(
            |(version, letter, [ack, kernel, shared, status], ms, name)| {
                let heartbeat = ms.map(|ms| Duration::from_millis(ms.into()));
                Record::Open {
                    version,
                    port: PortName::new(char::from(b'A' + letter)).unwrap(),
                    options: OpenOptions { ack, heartbeat, kernel, shared, status },
                    name,
                }
            }
        ),
        (levels(), payloads()).prop_map(|(level, payload)| Record::Broadcast { level, payload }),
        (levels(), packs()).prop_map(|(level, messages)| Record::Pack { level, messages }),
        (levels(), packs(), node_ids(), any::<(u64, u64)>()).prop_map(
            |(level, messages, sender, (generation, sequence))| {
                Record::DeliverPack(PackDelivery { sender, level, generation, sequence, messages })
            }
        ),
        (node_ids(), payloads()).prop_map(|(node, payload)| Record::Send { node, payload }),
        any::<u64>().prop_map(|generation| Record::Ack { generation }),
        any::<(u32, u32)>().prop_map(|(messages, bytes)| Record::Credit { messages, bytes }),
        Just(Record::Close),
        payloads().prop_map(|json| Record::Admin { json }),
        (any::<u16>(), 0..32u8).prop_map(|(version, port)| Record::LltOpen {
            version,
            port: LltPort::new(port).unwrap()
        }),
        (node_ids(), any::<bool>(), payloads())
            .prop_map(|(node, reliable, payload)| Record::LltSend { node, reliable, payload }),
        any::<bool>().prop_map(|on| Record::Trace { on }),
        any::<bool>().prop_map(|on| Record::Watch { on }),
        any::<u32>().prop_map(|number| Record::Beat { number }),
    ]
}

fn from_gabd() -> impl Strategy<Value = Record> {
    prop_oneof![
        (any::<u16>(), node_ids()).prop_map(|(version, node)| Record::Opened { version, node }),
        (any::<u32>(), "\\PC{0,80}").prop_map(|(errno, text)| Record::Refused { errno, text }),
        (node_ids(), any::<bool>(), levels(), any::<(u64, u64)>(), payloads()).prop_map(
            |(sender, broadcast, level, (generation, sequence), payload)| {
                let (generation, sequence) = (generation, sequence);
                Record::Deliver(Delivery {
                    sender,
                    broadcast,
                    level,
                    generation,
                    sequence,
                    payload,
                })
            }
        ),
        views().prop_map(Record::View),
        views().prop_map(Record::Status),
        any::<u32>().prop_map(Record::Closed),
        (any::<(bool, bool)>(), payloads()).prop_map(|((more, error), text)| Record::Answer {
            more,
            error,
            text
        }),
        (node_ids(), any::<bool>(), payloads())
            .prop_map(|(node, reliable, payload)| Record::LltMessage { node, reliable, payload }),
        traced_frames().prop_map(Record::Frame),
        payloads().prop_map(|json| Record::Event { json }),
        any::<u32>().prop_map(|number| Record::AskBeat { number }),
    ]
}

fn traced_frames() -> impl Strategy<Value = TracedFrame> {
    let addresses = prop_oneof![
        any::<[u8; 6]>().prop_map(LinkAddr::Mac),
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| LinkAddr::V4 { ip, port }),
        any::<([u8; 16], u32, u16)>().prop_map(|(ip, scope, port)| LinkAddr::V6 {
            ip,
            scope,
            port
        }),
    ];
    (0..8u8, any::<(bool, u64, u32)>(), addresses, payloads()).prop_map(
        |(link, (outgoing, time_ns, lost), addr, frame)| {
            let link = LinkId::new(link).unwrap();
            TracedFrame { link, outgoing, addr, time_ns, lost, frame }
        },
    )
}

fn records() -> impl Strategy<Value = Record> {
    prop_oneof![from_clients(), from_gabd()]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(records in proptest::collection::vec(records(), 0..20)) {
        let mut out = BytesMut::new();
        for record in &records {
            let before = out.len();
            record.encode(&mut out);
            prop_assert_eq!(out.len() - before, record.encoded_len());
        }
        let back: Result<Vec<_>, _> = Reader::new(out.freeze()).collect();
        prop_assert_eq!(back, Ok(records));
    }

    #[test]
    fn random_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Reader::new(Bytes::from(bytes)).count() <= 300 / HEADER_LEN + 1);
    }

    /// One spelling only: whatever is accepted is what we would have written.
    #[test]
    fn a_changed_byte_is_refused_or_means_something_else(
        record in records(), at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let mut bytes = bytes_of(&record);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let back: Result<Vec<_>, _> = Reader::new(Bytes::from(bytes.clone())).collect();
        if let Ok(back) = back {
            let mut out = BytesMut::new();
            back.iter().for_each(|record| record.encode(&mut out));
            prop_assert_eq!(&out[..], &bytes[..]);
        }
    }
}
