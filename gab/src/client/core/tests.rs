use bytes::BytesMut;

use super::*;
use crate::event::{Delivery, PackDelivery};
use crate::limits::PACK_MESSAGES_MAX;
use crate::pack::Pack;

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn view(generation: u64, members: &[u8]) -> PortView {
    PortView {
        generation,
        members: members.iter().map(|&id| node(id)).collect(),
        joined: NodeSet::EMPTY,
        left: NodeSet::EMPTY,
        jeopardy: NodeSet::EMPTY,
        visible: NodeSet::EMPTY,
    }
}

fn deliver(sequence: u64, len: usize) -> Record {
    Record::Deliver(Delivery {
        sender: node(0),
        broadcast: true,
        level: Level::Agreed,
        generation: 1,
        sequence,
        payload: Bytes::from(vec![7; len]),
    })
}

fn datagram(records: &[Record]) -> Bytes {
    let mut out = BytesMut::new();
    records.iter().for_each(|record| record.encode(&mut out));
    out.freeze()
}

fn sent(core: &mut ClientCore) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(datagram) = core.poll_transmit() {
        records.extend(ipc::Reader::new(datagram).map(Result::unwrap));
    }
    records
}

fn events(core: &mut ClientCore) -> Vec<ClientEvent> {
    std::iter::from_fn(|| core.poll_event()).collect()
}

fn opening(options: OpenOptions) -> ClientCore {
    ClientCore::new(PortName::new('G').unwrap(), options, "test")
}

/// Registered as node 2 with this much credit, the view {0, 2} polled, nothing to send.
fn open(messages: u32, bytes: u32) -> ClientCore {
    let mut core = opening(OpenOptions { ack: true, ..OpenOptions::default() });
    core.handle_datagram(datagram(&[
        Record::Opened { version: 1, node: node(2) },
        Record::Credit { messages, bytes },
        Record::View(view(1, &[0, 2])),
    ]));
    assert_eq!(events(&mut core), [ClientEvent::View(view(1, &[0, 2]))]);
    sent(&mut core);
    core
}

#[test]
fn it_first_asks_to_register_and_grants_what_it_has_room_for() {
    let options = OpenOptions { shared: true, ..OpenOptions::default() };
    let mut core = opening(options);
    let port = PortName::new('G').unwrap();
    assert_eq!(
        sent(&mut core),
        [
            Record::Open { version: 1, port, options, name: "test".into() },
            Record::Credit { messages: 4096, bytes: 4 << 20 },
        ]
    );
    assert_eq!(*core.state(), ClientState::Opening);
    core.handle_datagram(datagram(&[Record::Opened { version: 1, node: node(2) }]));
    assert_eq!(*core.state(), ClientState::Open(node(2)));
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let mut core = ClientCore::new(
        PortName::CONTROL,
        OpenOptions::default(),
        &"é".repeat(40).replacen('é', "a", 1),
    );
    let Record::Open { name, .. } = sent(&mut core).remove(0) else {
        panic!("an Open");
    };
    assert_eq!(name.len(), 63);
}

#[test]
fn a_refused_registration_says_why() {
    let mut core = opening(OpenOptions::default());
    core.handle_datagram(datagram(&[Record::Refused { errno: 16, text: "taken".into() }]));
    assert_eq!(*core.state(), ClientState::Refused { errno: 16, text: "taken".into() });
    core.handle_hang_up();
    assert_eq!(events(&mut core), []);
    assert_eq!(core.broadcast(Level::Agreed, b""), Err(SendError::Closed));
}

#[test]
fn nothing_is_sent_before_the_first_view() {
    let mut core = opening(OpenOptions::default());
    assert_eq!(core.broadcast(Level::Agreed, b"x"), Err(SendError::NotMember));
    core.handle_datagram(datagram(&[
        Record::Opened { version: 1, node: node(2) },
        Record::Credit { messages: 1, bytes: 100 },
    ]));
    sent(&mut core);
    assert_eq!(core.broadcast(Level::Agreed, b"x"), Err(SendError::NotMember));
    assert_eq!(core.send_to(node(2), b"x"), Err(SendError::NotMember));
    assert!(!core.wants_transmit());
    core.handle_datagram(datagram(&[Record::View(view(1, &[2]))]));
    assert_eq!(core.broadcast(Level::Agreed, b"x"), Ok(()));
}

#[test]
fn a_send_costs_credit_and_without_it_would_block() {
    let mut core = open(2, 10);
    assert_eq!(core.broadcast(Level::Safe, b"12345678901"), Err(SendError::WouldBlock));
    assert_eq!(core.broadcast(Level::Safe, b"1234567"), Ok(()));
    assert_eq!(core.send_credit(), (1, 3));
    assert_eq!(core.send_to(node(0), b"abc"), Ok(()));
    assert_eq!(core.send_to(node(0), b""), Err(SendError::WouldBlock));
    assert_eq!(
        sent(&mut core),
        [
            Record::Broadcast { level: Level::Safe, payload: Bytes::from_static(b"1234567") },
            Record::Send { node: node(0), payload: Bytes::from_static(b"abc") },
        ]
    );
    core.handle_datagram(datagram(&[Record::Credit { messages: 1, bytes: 0 }]));
    assert_eq!(core.send_to(node(0), b""), Ok(()));
}

#[test]
fn a_refused_send_changes_nothing() {
    let mut core = open(9, 1 << 20);
    let before = core.send_credit();
    assert_eq!(core.send_to(node(1), b"x"), Err(SendError::NotMember));
    let long = vec![0; MESSAGE_MAX + 1];
    assert_eq!(core.broadcast(Level::Agreed, &long), Err(SendError::TooLarge));
    assert_eq!((core.send_credit(), core.wants_transmit()), (before, false));
}

#[test]
fn credit_that_overflows_saturates() {
    let mut core = open(u32::MAX, u32::MAX);
    let all = Record::Credit { messages: u32::MAX, bytes: u32::MAX };
    for _ in 0..3 {
        core.handle_datagram(datagram(std::slice::from_ref(&all)));
    }
    assert_eq!(core.broadcast(Level::Agreed, b"x"), Ok(()));
}

#[test]
fn many_records_travel_as_one_datagram() {
    let mut core = open(4096, 4 << 20);
    for _ in 0..1000 {
        core.broadcast(Level::Agreed, &[1; 64]).unwrap();
    }
    assert!(core.poll_full_transmit().is_none());
    let datagram = core.poll_transmit().unwrap();
    assert_eq!(
        datagram.len(),
        1000 * (4 + 64) + 4 * ipc::HEADER_LEN,
        "three full packs and a rest"
    );
    assert!(core.poll_transmit().is_none());
}

#[test]
fn a_pack_comes_as_its_messages_and_costs_as_much() {
    let mut core = open(0, 0);
    let pack = |sequence, messages: &[&[u8]]| {
        let (sender, level) = (NodeId::ZERO, Level::Safe);
        let messages = Pack::of(messages);
        Record::DeliverPack(PackDelivery { sender, level, generation: 1, sequence, messages })
    };
    let all = vec![&b"x"[..]; PACK_MESSAGES_MAX];
    let mut sequence = 1;
    for _ in 0..RECEIVE_QUEUE_MESSAGES / PACK_MESSAGES_MAX {
        core.handle_datagram(datagram(&[pack(sequence, &all)]));
        for _ in &all {
            let Some(ClientEvent::Deliver(delivery)) = core.poll_event() else {
                panic!("a message of the pack")
            };
            assert_eq!((delivery.sequence, &delivery.payload[..]), (sequence, &b"x"[..]));
            assert!(delivery.broadcast && delivery.level == Level::Safe);
            sequence += 1;
        }
        assert!(!core.has_event() && core.poll_event().is_none());
    }
    let granted: u32 = std::iter::from_fn(|| core.poll_transmit())
        .flat_map(ipc::Reader::new)
        .map(|record| match record {
            Ok(Record::Credit { messages, .. }) => messages,
            other => panic!("only credit is due, not {other:?}"),
        })
        .sum();
    assert_eq!(usize::try_from(granted).unwrap(), RECEIVE_QUEUE_MESSAGES, "all was given back");
    for _ in 0..=RECEIVE_QUEUE_MESSAGES / PACK_MESSAGES_MAX {
        core.handle_datagram(datagram(&[pack(sequence, &all)]));
    }
    assert!(core.is_over(), "one more than was granted");
}

#[test]
fn events_come_in_the_order_of_their_records() {
    let mut core = open(0, 0);
    let changed = view(2, &[2]);
    core.handle_datagram(datagram(&[
        deliver(5, 1),
        Record::Status(view(1, &[0, 2])),
        Record::View(changed),
        deliver(6, 1),
    ]));
    let kinds: Vec<_> = events(&mut core)
        .into_iter()
        .map(|event| match event {
            ClientEvent::Closed(_) => 'c',
            ClientEvent::Deliver(_) => 'd',
            ClientEvent::Status(_) => 's',
            ClientEvent::View(_) => 'v',
        })
        .collect();
    assert_eq!(kinds, ['d', 's', 'v', 'd']);
    assert_eq!(core.send_to(node(0), b"x"), Err(SendError::WouldBlock));
}

#[test]
fn what_the_user_takes_is_granted_again_in_quarters() {
    let mut core = open(0, 0);
    let batch: Vec<_> = (0..1022).map(|n| deliver(n, 0)).collect();
    core.handle_datagram(datagram(&batch));
    assert_eq!(events(&mut core).len(), 1022);
    // The view was one more, this makes 1024.
    assert_eq!(sent(&mut core), []);
    core.handle_datagram(datagram(&[deliver(2000, 9)]));
    assert_eq!(sent(&mut core), [], "what is not polled takes room");
    events(&mut core);
    assert_eq!(sent(&mut core), [Record::Credit { messages: 1024, bytes: 9 }]);
}

#[test]
fn gabd_may_send_for_ever_to_a_user_that_reads() {
    let mut core = open(0, 0);
    let (mut messages, mut bytes) = (4095_i64, 4_i64 << 20);
    for sequence in 0..20_000 {
        core.handle_datagram(datagram(&[deliver(sequence, 60_000)]));
        messages -= 1;
        bytes -= 60_000;
        assert_eq!(events(&mut core).len(), 1);
        for record in sent(&mut core) {
            let Record::Credit { messages: more, bytes: room } = record else {
                panic!("{record:?}");
            };
            messages += i64::from(more);
            bytes += i64::from(room);
        }
        assert!(messages > 0 && bytes >= 65_536, "{messages} messages, {bytes} bytes left");
    }
    assert_eq!(*core.state(), ClientState::Open(node(2)));
}

#[test]
fn more_than_was_granted_ends_the_registration() {
    let mut core = open(0, 0);
    for _ in 0..4095 {
        core.handle_datagram(datagram(&[deliver(1, 0)]));
    }
    assert_eq!(*core.state(), ClientState::Open(node(2)));
    core.handle_datagram(datagram(&[deliver(1, 0)]));
    assert_eq!(*core.state(), ClientState::Closed(CloseReason::Protocol));
    let events = events(&mut core);
    assert_eq!(events.len(), 4096);
    assert_eq!(events.last(), Some(&ClientEvent::Closed(CloseReason::Protocol)));
}

#[test]
fn only_the_newest_view_is_acknowledged_and_once() {
    let mut core = open(0, 0);
    assert_eq!(core.ack(0), Err(AckError::Stale));
    core.handle_datagram(datagram(&[Record::View(view(2, &[2]))]));
    assert_eq!(core.ack(2), Err(AckError::Stale), "not received by the user");
    events(&mut core);
    assert_eq!(core.ack(1), Err(AckError::Stale));
    assert_eq!(core.ack(2), Ok(()));
    assert_eq!(core.ack(2), Err(AckError::Stale));
    assert_eq!(sent(&mut core), [Record::Ack { generation: 2 }]);
    core.handle_hang_up();
    assert_eq!(core.ack(2), Err(AckError::Closed));
}

#[test]
fn the_death_of_gabd_is_one_closed_event_after_all_others() {
    let mut core = open(9, 99);
    core.broadcast(Level::Agreed, b"lost").unwrap();
    core.handle_datagram(datagram(&[deliver(3, 1)]));
    core.handle_hang_up();
    core.handle_hang_up();
    let events = events(&mut core);
    assert_eq!(events.len(), 2);
    assert_eq!(events[1], ClientEvent::Closed(CloseReason::Died));
    assert_eq!(core.broadcast(Level::Agreed, b"x"), Err(SendError::Closed));
    assert_eq!(core.send_to(node(0), b"x"), Err(SendError::Closed));
    assert!(!core.wants_transmit());
}

#[test]
fn the_reason_that_gabd_gives_is_told() {
    for (errno, reason) in [
        (116, CloseReason::Ejected),
        (105, CloseReason::NotReading),
        (108, CloseReason::Stopped),
        (0, CloseReason::Protocol),
        (7777, CloseReason::Protocol),
        (u32::MAX, CloseReason::Protocol),
    ] {
        let mut core = open(0, 0);
        core.handle_datagram(datagram(&[Record::Closed(errno), deliver(1, 1)]));
        core.handle_hang_up();
        assert_eq!(events(&mut core), [ClientEvent::Closed(reason)], "errno {errno}");
    }
}

#[test]
fn what_gabd_may_not_say_ends_the_registration() {
    let wrong = [
        Record::Close,
        Record::Ack { generation: 1 },
        Record::Opened { version: 1, node: node(3) },
        Record::Answer { more: false, error: false, text: Bytes::new() },
    ];
    for record in wrong {
        let mut core = open(0, 0);
        core.handle_datagram(datagram(std::slice::from_ref(&record)));
        let ended = [ClientEvent::Closed(CloseReason::Protocol)];
        assert_eq!(events(&mut core), ended, "{record:?}");
    }
    let mut core = open(0, 0);
    core.handle_datagram(Bytes::from_static(b"nonsense"));
    assert_eq!(events(&mut core), [ClientEvent::Closed(CloseReason::Protocol)]);
    let mut core = open(0, 0);
    let closes = vec![Record::Refused { errno: 1, text: String::new() }; 11_000];
    core.handle_datagram(datagram(&closes));
    assert_eq!(events(&mut core), [ClientEvent::Closed(CloseReason::Protocol)], "too long");
}

#[test]
fn a_gabd_of_another_version_is_refused() {
    let mut core = opening(OpenOptions::default());
    core.handle_datagram(datagram(&[Record::Opened { version: 2, node: node(2) }]));
    assert_eq!(*core.state(), ClientState::Closed(CloseReason::Protocol));
}

#[test]
fn a_close_follows_what_was_accepted_and_is_done_when_gabd_says_so() {
    let mut core = open(9, 99);
    core.handle_datagram(datagram(&[deliver(1, 1)]));
    core.broadcast(Level::Agreed, b"last").unwrap();
    core.close();
    core.close();
    assert_eq!(core.broadcast(Level::Agreed, b"later"), Err(SendError::Closed));
    assert_eq!(
        sent(&mut core),
        [
            Record::Broadcast { level: Level::Agreed, payload: Bytes::from_static(b"last") },
            Record::Close,
        ]
    );
    core.handle_datagram(datagram(&[deliver(2, 1), Record::View(view(2, &[2]))]));
    assert_eq!(*core.state(), ClientState::Closing);
    core.handle_datagram(datagram(&[Record::Closed(0)]));
    core.handle_hang_up();
    assert_eq!(*core.state(), ClientState::Done);
    assert_eq!(events(&mut core), []);
}

#[test]
fn a_closing_client_goes_on_granting() {
    let mut core = open(9, 99);
    core.handle_datagram(datagram(&(0..3000).map(|n| deliver(n, 0)).collect::<Vec<_>>()));
    core.close();
    let granted = Record::Credit { messages: 3001, bytes: 0 };
    assert_eq!(sent(&mut core), [Record::Close, granted]);
    core.handle_datagram(datagram(&(0..4000).map(|n| deliver(n, 0)).collect::<Vec<_>>()));
    assert_eq!(*core.state(), ClientState::Closing);
}

#[test]
fn gabd_dying_while_a_client_closes_is_not_done() {
    let mut core = open(9, 99);
    core.close();
    core.handle_hang_up();
    assert_eq!(*core.state(), ClientState::Closed(CloseReason::Died));
}

proptest::proptest! {
    #[test]
    fn random_datagrams_end_without_a_panic(
        datagrams in proptest::collection::vec(proptest::collection::vec(0..128u8, 0..64), 0..8),
    ) {
        let mut core = open(1, 1);
        for datagram in datagrams {
            core.handle_datagram(Bytes::from(datagram));
            events(&mut core);
            sent(&mut core);
        }
    }
}
