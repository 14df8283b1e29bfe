//! What does not take a device; the conformance suite (`llt/tests/conformance`) has the rest.

use super::*;
use crate::io::ether::packet::Address;

fn device() -> DeviceState {
    DeviceState {
        index: 3,
        name: "eth1".into(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        carrier: true,
        up: true,
        ethernet: true,
    }
}

fn check(device: DeviceState, mtu: Option<usize>) -> Result<usize, String> {
    let config = EtherConfig { device, sap: 0xCAFE, mtu };
    config.check().map(|(_, mtu)| mtu).map_err(|error| error.to_string())
}

#[test]
fn the_mtu_is_that_of_the_device_or_less() {
    assert_eq!(check(device(), None), Ok(1500));
    assert_eq!(check(device(), Some(1400)), Ok(1400));
    let refused = "eth1 takes frames of 1500 bytes: expected at least 9000";
    assert_eq!(check(device(), Some(9000)), Err(refused.into()));
    let refused = "eth1 takes frames of 400 bytes: expected at least 576";
    assert_eq!(check(DeviceState { mtu: 400, ..device() }, None), Err(refused.into()));
    // LLT's frames have a length of 16 bits, and UDP's bound.
    assert_eq!(check(DeviceState { mtu: 65_535, ..device() }, None), Ok(MTU_MAX));
}

#[test]
fn what_is_no_ethernet_is_refused_with_what_there_is() {
    let error = check(DeviceState { ethernet: false, ..device() }, None).unwrap_err();
    assert!(error.starts_with("eth1 is no Ethernet device; there are "), "{error}");
    assert!(error.contains("lo ("), "{error}");
}

/// A queue with `count` frames of data, told apart by their length.
fn queued(count: usize, counters: &mut LinkCounters) -> Outgoing {
    let mut outgoing = Outgoing::new(3, 0xCAFE, 1500);
    for len in 1..=count {
        outgoing.queue(LinkAddr::Mac([2; 6]), false, vec![0; len].into(), counters);
    }
    outgoing
}

fn refuse(error: i32) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(error))
}

/// A flush by calls that answer as `answers` says, then take everything. What was sent, by length.
fn flush(
    outgoing: &mut Outgoing,
    answers: &[io::Result<usize>],
    counters: &mut LinkCounters,
) -> (Flushed, Vec<usize>, bool) {
    let (mut sent, mut down) = (Vec::new(), false);
    let mut answers = answers.iter();
    let mut send = |batch: &[(Address, Bytes)]| {
        let count = match answers.next() {
            Some(Ok(count)) => *count,
            Some(Err(error)) => return refuse(error.raw_os_error().unwrap()),
            None => batch.len(),
        };
        sent.extend(batch.iter().take(count).map(|(_, frame)| frame.len()));
        Ok(count)
    };
    let flushed = outgoing.flush(&mut send, counters, &mut down);
    (flushed, sent, down)
}

#[test]
fn frames_go_out_in_few_calls() {
    let mut counters = LinkCounters::default();
    let mut outgoing = queued(200, &mut counters);
    let (flushed, sent, _) = flush(&mut outgoing, &[], &mut counters);
    assert_eq!((flushed, sent.len()), (Flushed::Done, 200));
    assert_eq!((counters.sent, counters.sent_calls, counters.sent_bytes), (200, 4, 20_100));
}

#[test]
fn what_a_full_device_does_not_take_is_kept_in_order() {
    for busy in [libc::EAGAIN, libc::ENOBUFS] {
        let mut counters = LinkCounters::default();
        let mut outgoing = queued(5, &mut counters);
        let answers = [Ok(2), refuse(busy)];
        let (flushed, sent, _) = flush(&mut outgoing, &answers, &mut counters);
        assert_eq!((flushed, sent), (Flushed::Blocked, vec![1, 2]));
        let (flushed, sent, _) = flush(&mut outgoing, &[], &mut counters);
        assert_eq!((flushed, sent), (Flushed::Done, vec![3, 4, 5]));
        assert_eq!((counters.sent, counters.dropped_error), (5, 0));
    }
}

#[test]
fn a_frame_that_is_refused_costs_no_other() {
    let mut counters = LinkCounters::default();
    let mut outgoing = queued(4, &mut counters);
    let answers = [Ok(1), refuse(libc::EMSGSIZE), refuse(libc::EINTR), refuse(libc::EPERM)];
    let (flushed, sent, down) = flush(&mut outgoing, &answers, &mut counters);
    assert_eq!((flushed, sent, down), (Flushed::Done, vec![1, 4], false));
    assert_eq!((counters.dropped_large, counters.dropped_error), (1, 1));
}

#[test]
fn a_device_that_is_down_drops_all_and_says_so() {
    let mut counters = LinkCounters::default();
    let mut outgoing = queued(100, &mut counters);
    let answers = [refuse(libc::ENETDOWN), refuse(libc::ENETDOWN)];
    let (flushed, sent, down) = flush(&mut outgoing, &answers, &mut counters);
    assert_eq!((flushed, sent, down), (Flushed::Done, vec![], true));
    assert_eq!((counters.dropped_error, counters.sent_calls), (100, 2));
    // One such error may be of a moment that is over.
    let mut outgoing = queued(3, &mut counters);
    let (_, sent, down) = flush(&mut outgoing, &answers[..1], &mut counters);
    assert_eq!((sent, down), (vec![1, 2, 3], false));
}

#[test]
fn what_does_not_fit_the_link_is_refused_and_counted() {
    let mut counters = LinkCounters::default();
    let mut outgoing = queued(0, &mut counters);
    let elsewhere = LinkAddr::V4 { ip: [127, 0, 0, 1], port: 1 };
    outgoing.queue(elsewhere, false, Bytes::from_static(b"x"), &mut counters);
    outgoing.queue(LinkAddr::Mac([2; 6]), false, vec![0; 1501].into(), &mut counters);
    for _ in 0..10_000 {
        outgoing.queue(LinkAddr::Mac([2; 6]), true, Bytes::from_static(b"x"), &mut counters);
    }
    assert_eq!((counters.dropped_address, counters.dropped_large), (1, 1));
    let (_, sent, _) = flush(&mut outgoing, &[], &mut counters);
    assert_eq!((sent.len() as u64 + counters.dropped_full, sent.len()), (10_000, 8192));
}
