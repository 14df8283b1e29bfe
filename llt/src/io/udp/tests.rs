//! Conformance of UDP links on the loopback.

use std::time::Duration;

use super::*;
use crate::io::Clock;
use rustix::event::{PollFd, PollFlags, poll};

fn open(local: &str, broadcast: Option<&str>) -> UdpLink {
    let broadcast = broadcast.map(|ip| ip.parse().unwrap());
    UdpLink::open(UdpConfig { local: local.parse().unwrap(), broadcast, mtu: 8192 }).unwrap()
}

/// Receives until `count` frames are there; the deadline is far beyond what a busy machine needs.
fn receive(link: &mut UdpLink, count: usize) -> Vec<LinkFrame> {
    let clock = Clock::new();
    let deadline = clock.now() + Duration::from_secs(20);
    let mut frames = Vec::new();
    while frames.len() < count {
        assert!(clock.now() < deadline, "{} of {count} frames: {link:?}", frames.len());
        let mut fds = [PollFd::from_borrowed_fd(link.as_fd(), PollFlags::IN)];
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut fds, Some(&second)).unwrap();
        while link.receive(&mut frames) == Received::More {}
    }
    frames
}

#[test]
fn frames_cross_with_their_boundaries_and_sender() {
    let (mut a, mut b) = (open("127.0.0.1:0", None), open("127.0.0.1:0", None));
    let to = link_addr(b.local());
    let sizes = [100, 100, 100, 40, 8192, 8192, 7, 8192];
    for (index, &size) in sizes.iter().enumerate() {
        a.queue(to, false, vec![u8::try_from(index).unwrap(); size].into());
    }
    assert_eq!(a.flush(), Flushed::Done);
    let frames = receive(&mut b, sizes.len());
    for (index, ((from, frame), size)) in frames.iter().zip(sizes).enumerate() {
        assert_eq!(*from, link_addr(a.local()));
        assert_eq!((frame.len(), usize::from(frame[0])), (size, index));
    }
    assert_eq!(a.counters().sent, 8);
}

#[test]
fn equal_frames_to_one_address_take_few_calls() {
    let (mut a, mut b) = (open("127.0.0.1:0", None), open("127.0.0.1:0", None));
    let to = link_addr(b.local());
    for _ in 0..64 {
        a.queue(to, false, vec![7; 1000].into());
    }
    a.flush();
    assert_eq!(receive(&mut b, 64).len(), 64);
    if a.state.max_gso_segments() > 1 {
        assert_eq!(a.counters().sent_calls, 1);
    }
}

#[test]
fn urgent_frames_go_first() {
    let (mut a, mut b) = (open("127.0.0.1:0", None), open("127.0.0.1:0", None));
    let to = link_addr(b.local());
    a.queue(to, false, Bytes::from_static(b"data"));
    a.queue(to, true, Bytes::from_static(b"beat"));
    a.flush();
    let frames = receive(&mut b, 2);
    assert_eq!(&frames[0].1[..], b"beat");
}

#[test]
fn a_dead_peer_is_counted_and_disturbs_nobody() {
    let (mut a, mut b) = (open("127.0.0.1:0", None), open("127.0.0.1:0", None));
    let dead = {
        let gone = open("127.0.0.1:0", None);
        link_addr(gone.local())
    };
    for _ in 0..50 {
        a.queue(dead, false, Bytes::from_static(b"anybody?"));
        a.queue(link_addr(b.local()), false, Bytes::from_static(b"alive"));
        assert_eq!(a.flush(), Flushed::Done);
    }
    assert_eq!(receive(&mut b, 50).len(), 50);
    // No route leads there: refused by the system, counted here.
    let before = a.counters().sent + a.counters().dropped_error;
    a.queue(LinkAddr::V4 { ip: [255, 255, 255, 255], port: 9 }, false, Bytes::from_static(b"x"));
    a.queue(LinkAddr::Mac([0; 6]), false, Bytes::from_static(b"x"));
    a.flush();
    assert_eq!(a.counters().sent + a.counters().dropped_error, before + 1);
    assert_eq!(a.counters().dropped_address, 1);
}

#[test]
fn one_multicast_datagram_reaches_every_node_of_the_machine() {
    // A port that is free right now; the group itself is of the link-local, testing kind.
    let port = open("127.0.0.1:0", None).local().port();
    let group = "239.255.77.1";
    let mut links: Vec<UdpLink> =
        (1..=3).map(|n| open(&format!("127.77.9.{n}:{port}"), Some(group))).collect();
    let to = link_addr(SocketAddr::new(group.parse().unwrap(), port));
    links[0].queue(to, false, Bytes::from_static(b"all"));
    links[0].flush();
    for link in &mut links {
        let frames = receive(link, 1);
        assert_eq!(&frames[0].1[..], b"all");
    }
    let to = link_addr(links[1].local());
    links[2].queue(to, false, Bytes::from_static(b"one"));
    links[2].flush();
    assert_eq!(&receive(&mut links[1], 1)[0].1[..], b"one");
}

#[test]
fn ipv6_works_the_same() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let (mut a, mut b) = (open("[::1]:0", None), open("[::1]:0", None));
    a.queue(link_addr(b.local()), false, vec![1; 8000].into());
    a.flush();
    assert_eq!(receive(&mut b, 1)[0].1.len(), 8000);
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let config =
        UdpConfig { local: "192.0.2.1:50000".parse().unwrap(), broadcast: None, mtu: 8192 };
    let error = UdpLink::open(config).unwrap_err();
    assert!(error.to_string().starts_with("cannot bind 192.0.2.1:50000: "), "{error}");
}
