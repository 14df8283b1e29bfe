//! Every frame that is dropped is counted once, by its cause.

use bytes::{Bytes, BytesMut};

use super::net::{Net, config, node};
use crate::core::{Event, RefusedCause};
use crate::ids::{ClusterId, Incarnation, LltPort};
use crate::stats::Stats;
use crate::time::Duration;
use crate::wire::{Data, Header, Kind, emit_bye, emit_data};

const MS: Duration = Duration::from_millis(1);

/// Two connected nodes, and a header that node 1 would write to node 0.
fn net() -> (Net, Header) {
    let mut configs = vec![config(0, 2, 1), config(1, 2, 1)];
    configs[0].excluded.insert(node(9));
    let mut net = Net::with(configs, 1);
    net.keep_sent = true;
    net.connect();
    net.run(500 * MS);
    let (now, to) = (net.now, net.id(0));
    net.llt(1).send(now, LltPort::GAB, to, Bytes::from_static(b"message")).unwrap();
    net.run(10 * MS);
    let frame = net.sent.iter().rfind(|(_, from, frame)| *from == 1 && frame[6] == 0x0b);
    let frame = frame.unwrap().2.clone();
    let header = crate::wire::Frame::check(&frame).unwrap().header;
    net.take_events(0);
    net.llt(0).zero_stats();
    (net, header)
}

fn data(header: Header, number: u64) -> Bytes {
    let payload = Bytes::from_static(b"payload");
    let data = Data {
        number,
        port: LltPort::GAB,
        first: true,
        last: true,
        message_len: 7,
        offset: 0,
        more: false,
        payload,
    };
    emit_data(&header, &data)
}

/// Gives node 0 the frame and expects exactly this counter to be 1 and no event but that strangers
/// were heard.
fn expect(frame: Bytes, net: &mut Net, counter: impl Fn(&mut Stats) -> &mut u64) {
    net.llt(0).zero_stats();
    net.frame(0, 0, 1, frame);
    let mut expected = Stats::default();
    *counter(&mut expected) = 1;
    let mut found = *net.llt(0).stats();
    // Answers are not the matter here.
    found.snd_ack = 0;
    assert_eq!(found, expected);
    let mut events = net.take_events(0);
    events.retain(|event| !matches!(event, Event::AddressChanged { .. }));
    // Each kind of strangers is told of once in a minute.
    let strangers = [
        (RefusedCause::OtherCluster, found.rcv_bad_cluster),
        (RefusedCause::OtherVersion, found.rcv_bad_version),
    ];
    let told = |cause: &RefusedCause| strangers.iter().any(|(c, count)| c == cause && *count > 0);
    events.retain(|event| !matches!(event, Event::Refused { cause, .. } if told(cause)));
    assert_eq!(events, []);
}

#[test]
fn frames_of_a_bad_form_are_dropped_and_counted() {
    let (mut net, header) = net();
    let good = data(header, 2);
    let net = &mut net;
    let patched = |at: usize, byte: u8| {
        let mut frame = BytesMut::from(&good[..]);
        frame[at] = byte;
        frame.freeze()
    };
    for len in [0, 1, 47, 48, good.len() - 1] {
        expect(good.slice(..len), net, |stats| &mut stats.rcv_malformed);
    }
    expect(patched(0, 0), net, |stats| &mut stats.rcv_malformed);
    expect(patched(3, 9), net, |stats| &mut stats.rcv_bad_version);
    expect(patched(60, 1), net, |stats| &mut stats.rcv_bad_checksum);
    let mut newer = BytesMut::from(&good[..]);
    newer[2] = 9;
    newer[3] = 8;
    expect(newer.freeze(), net, |stats| &mut stats.rcv_bad_version);
}

#[test]
fn frames_that_are_not_for_us_are_dropped_and_counted() {
    let (mut net, header) = net();
    let net = &mut net;
    let cluster = ClusterId(8);
    expect(data(Header { cluster, ..header }, 2), net, |stats| &mut stats.rcv_bad_cluster);
    expect(data(Header { dst: 3, ..header }, 2), net, |stats| &mut stats.rcv_bad_dest);
    expect(data(Header { src: 128, ..header }, 2), net, |stats| &mut stats.rcv_bad_source);
    let none = Incarnation(0);
    let nobody = Header { src_incarnation: none, ..header };
    expect(data(nobody, 2), net, |stats| &mut stats.rcv_bad_source);
    expect(data(Header { src: 9, ..header }, 2), net, |stats| &mut stats.rcv_unconfigured);
    let own = Header { src: 0, src_incarnation: Incarnation(100), ..header };
    expect(data(own, 2), net, |stats| &mut stats.snd_loopback);
    let twin = Header { src: 0, src_incarnation: Incarnation(99), ..header };
    expect(data(twin, 2), net, |stats| &mut stats.rcv_bad_source);
}

#[test]
fn frames_of_another_life_or_session_are_dropped_and_counted() {
    let (mut net, header) = net();
    let net = &mut net;
    let older = Header { src_incarnation: Incarnation(99), ..header };
    expect(data(older, 2), net, |stats| &mut stats.rcv_bad_generation);
    let ours = Header { dst_incarnation: Incarnation(99), ..header };
    expect(data(ours, 2), net, |stats| &mut stats.rcv_bad_generation);
    let theirs = Header { src_session: header.src_session + 1, ..header };
    expect(data(theirs, 2), net, |stats| &mut stats.rcv_bad_generation);
    let mine = Header { dst_session: header.dst_session + 1, ..header };
    expect(data(mine, 2), net, |stats| &mut stats.rcv_bad_generation);
    // One that we never met is not connected.
    let stranger = Header { src: 5, src_session: 0, dst_session: 0, ..header };
    expect(data(stranger, 1), net, |stats| &mut stats.rcv_bad_generation);
}

#[test]
fn packets_out_of_place_are_dropped_and_counted() {
    let (mut net, header) = net();
    let net = &mut net;
    expect(data(header, 1), net, |stats| &mut stats.rcv_duplicate);
    expect(data(header, 300), net, |stats| &mut stats.rcv_out_of_window);
    expect(data(Header { ack: 77, ..header }, 2), net, |stats| &mut stats.rcv_malformed);
    let set = crate::ids::NodeSet::EMPTY;
    let everybody = Header { dst: 0xFF, kind: Kind::Datagram, ack: u64::MAX, ..header };
    let others = crate::wire::emit_datagram(&everybody, LltPort::GAB, set, b"others");
    expect(others, net, |stats| &mut stats.rcv_datagram_dropped);
}

#[test]
fn nothing_is_heard_after_a_goodbye() {
    let (mut net, header) = net();
    net.stopped[1] = true;
    net.frame(0, 0, 1, emit_bye(&Header { kind: Kind::Bye, ..header }));
    net.take_events(0);
    let net = &mut net;
    expect(data(header, 2), net, |stats| &mut stats.rcv_bad_generation);
}
