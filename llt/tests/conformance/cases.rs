//! What every backend has to do.

use std::time::Duration;

use llt::LinkAddr;
use llt::io::{Flushed, LinkFrame};

use crate::bed::{Bed, Deadline, Station};

/// A frame that tells its number, of at least eight bytes.
fn numbered(number: u64, len: usize) -> Vec<u8> {
    let mut frame = number.to_be_bytes().to_vec();
    frame.extend((8..len).map(|at| fill(number, at)));
    frame
}

fn fill(number: u64, at: usize) -> u8 {
    u8::try_from((number * 31 + at as u64 * 7) % 251).unwrap()
}

/// The number of a frame, which has to be whole.
fn number(frame: &[u8]) -> u64 {
    let number = u64::from_be_bytes(frame[..8].try_into().unwrap());
    assert!(frame[8..].iter().enumerate().all(|(at, byte)| *byte == fill(number, at + 8)));
    number
}

fn numbers(frames: &[LinkFrame], from: LinkAddr) -> Vec<u64> {
    let ours = frames.iter().filter(|(address, _)| *address == from);
    ours.map(|(_, frame)| number(frame)).collect()
}

pub(crate) fn frames_arrive_whole_from_the_right_address(bed: &mut Bed) {
    let to = bed.address(2);
    let sizes = [48, 100, 100, 100, 60, bed.mtu, bed.mtu, 48, bed.mtu - 1, 500];
    for sender in [0, 1] {
        for (index, len) in sizes.into_iter().enumerate() {
            bed.stations[sender].queue(to, numbered(index as u64, len));
        }
        bed.stations[sender].flush();
    }
    let frames = bed.stations[2].receive(2 * sizes.len());
    for sender in [0, 1] {
        let from = bed.address(sender);
        let mine: Vec<_> = frames.iter().filter(|(address, _)| *address == from).collect();
        // Backends may put frames to one address in order of their kind, but never others.
        let mut seen: Vec<(u64, usize)> =
            mine.iter().map(|(_, frame)| (number(frame), frame.len())).collect();
        seen.sort_unstable();
        let sent: Vec<(u64, usize)> = (0..).zip(sizes).collect();
        assert_eq!(seen, sent);
        let counters = bed.stations[sender].link.counters();
        let bytes: usize = sizes.iter().sum();
        assert_eq!((counters.sent >= 10, counters.sent_bytes >= bytes as u64), (true, true));
    }
    assert_eq!(frames.len(), 2 * sizes.len(), "nothing else");
}

pub(crate) fn broadcasts_reach_everybody(bed: &mut Bed) {
    let everybody = bed.broadcast.unwrap();
    let from = bed.address(1);
    for index in 0..20 {
        bed.stations[1].queue(everybody, numbered(index, 200));
    }
    // The largest, too.
    let mtu = bed.mtu;
    bed.stations[1].queue(everybody, numbered(20, mtu));
    bed.stations[1].flush();
    for station in [0, 2] {
        let frames = bed.stations[station].receive(21);
        assert_eq!(numbers(&frames, from), (0..=20).collect::<Vec<_>>());
    }
}

pub(crate) fn own_frames_do_not_come_back(bed: &mut Bed) {
    let everybody = bed.broadcast.unwrap();
    let (a, b) = bed.pair(0, 1);
    a.queue(everybody, numbered(1, 100));
    a.flush();
    assert_eq!(b.receive(1).len(), 1);
    b.queue(a.address, numbered(2, 100));
    b.flush();
    // The answer is there, so whatever came before it is, too.
    let frames = a.receive(1);
    assert_eq!(numbers(&frames, b.address), [2]);
    assert_eq!(frames.len(), 1);
}

pub(crate) fn urgent_frames_go_first(bed: &mut Bed) {
    let (a, b) = bed.pair(0, 1);
    for index in 1..=5 {
        a.queue(b.address, numbered(index, 300));
    }
    a.link.queue(b.address, true, numbered(0, 72).into());
    a.flush();
    let frames = b.receive(6);
    assert_eq!(numbers(&frames, a.address), (0..=5).collect::<Vec<_>>());
}

pub(crate) fn the_full_size_passes_and_one_byte_more_is_refused(bed: &mut Bed) {
    let mtu = bed.mtu;
    let (a, b) = bed.pair(0, 1);
    a.queue(b.address, numbered(0, mtu));
    a.queue(b.address, numbered(1, mtu + 1));
    a.queue(b.address, numbered(2, mtu));
    a.flush();
    let frames = b.receive(2);
    assert_eq!(numbers(&frames, a.address), [0, 2]);
    assert!(frames.iter().all(|(_, frame)| frame.len() == mtu));
    let counters = a.link.counters();
    assert_eq!((counters.dropped_large, counters.dropped_error), (1, 0));
}

pub(crate) fn thousands_of_frames_arrive_in_order(bed: &mut Bed) {
    let (a, b) = bed.pair(0, 1);
    let before = a.link.counters().sent;
    let mut next = 0;
    // As many at once as the smallest buffer holds that a system gives to everybody.
    for _ in 0..50 {
        for _ in 0..100 {
            a.queue(b.address, numbered(next, 300));
            next += 1;
        }
        a.flush();
        let frames = b.receive(100);
        assert_eq!(numbers(&frames, a.address), (next - 100..next).collect::<Vec<_>>());
    }
    assert_eq!(a.link.counters().sent - before, 5000);
    assert!(b.link.counters().received >= 5000);
}

pub(crate) fn many_frames_take_few_calls(bed: &mut Bed) {
    let (a, b) = bed.pair(0, 1);
    let before = *a.link.counters();
    for index in 0..640 {
        a.queue(b.address, numbered(index, 200));
    }
    a.flush();
    assert_eq!(numbers(&b.receive(640), a.address), (0..640).collect::<Vec<_>>());
    let calls = a.link.counters().sent_calls - before.sent_calls;
    assert!(calls <= 640 / 32, "{calls} calls for 640 frames");
}

pub(crate) fn a_receiver_that_does_not_read_loses_frames_and_nothing_else(bed: &mut Bed) {
    let (deaf, other) = (bed.address(1), bed.address(2));
    let from = bed.address(0);
    let total = 20_000;
    let mut heard = 0;
    for index in 0..total {
        bed.stations[0].queue(deaf, numbered(index, 1000));
        if index % 100 == 0 {
            bed.stations[0].queue(other, numbered(index, 100));
            bed.stations[0].flush();
            heard += numbers(&bed.stations[2].receive(1), from).len() as u64;
        }
    }
    bed.stations[0].flush();
    assert_eq!(heard, total / 100, "the other one gets everything meanwhile");
    let frames = bed.stations[1].receive(1);
    let got = numbers(&frames, from);
    assert!((got.len() as u64) < total, "no buffer holds so much");
    assert!(got.is_sorted_by(|a, b| a < b), "what is left is in order, once");
    // And it is as good as ever once it reads again.
    bed.stations[1].drain();
    bed.stations[0].queue(deaf, numbered(total, 100));
    bed.stations[0].flush();
    assert_eq!(numbers(&bed.stations[1].receive(1), from), [total]);
}

pub(crate) fn an_unreachable_peer_is_counted_and_disturbs_nobody(bed: &mut Bed) {
    let nobody = bed.nobody;
    let (a, b) = bed.pair(0, 1);
    let before = *a.link.counters();
    for index in 0..50 {
        a.queue(nobody, numbered(index, 100));
        a.queue(b.address, numbered(index, 100));
        a.flush();
    }
    let frames = b.receive(50);
    assert_eq!(numbers(&frames, a.address), (0..50).collect::<Vec<_>>());
    let after = a.link.counters();
    let refused = after.dropped_error - before.dropped_error;
    assert_eq!(after.sent - before.sent + refused, 100, "every frame is counted once");
}

pub(crate) fn the_descriptor_is_readable_when_there_is_work(bed: &mut Bed) {
    let (a, b) = bed.pair(0, 1);
    assert!(!b.wait_readable(Duration::ZERO), "nothing has been sent");
    let mut frames = Vec::new();
    b.link.receive(&mut frames);
    assert_eq!(frames, []);
    for round in 0..3 {
        a.queue(b.address, numbered(round, 64));
        a.flush();
        let end = Deadline::new("a readable descriptor");
        while !b.wait_readable(Duration::from_millis(100)) {
            end.check(String::new);
        }
        assert_eq!(numbers(&b.drain(), a.address), [round]);
        assert!(!b.wait_readable(Duration::ZERO), "everything has been received");
    }
}

pub(crate) fn an_address_of_another_kind_is_refused(bed: &mut Bed) {
    let station: &mut Station = &mut bed.stations[0];
    let elsewhere = match station.address {
        LinkAddr::Mac(_) => LinkAddr::V4 { ip: [127, 0, 0, 1], port: 9 },
        LinkAddr::V4 { .. } | LinkAddr::V6 { .. } => LinkAddr::Mac([2; 6]),
    };
    let before = station.link.counters().sent;
    station.queue(elsewhere, vec![0; 100]);
    assert_eq!(station.link.flush(), Flushed::Done);
    let counters = station.link.counters();
    // The cable in memory knows all kinds of addresses, and nobody is there.
    if station.tab.is_some() {
        assert_eq!((counters.sent - before, counters.dropped_address), (0, 1));
    }
}
