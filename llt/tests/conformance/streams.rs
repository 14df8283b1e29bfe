//! Two LLT cores over real links: every stream comes out whole.

use llt::core::{Event, Output};
use llt::io::{Clock, Link, LinkFrame, Received};
use llt::llttab::{LltTab, Source, TabLink};
use llt::{Id, Incarnation, LinkId, Llt, LltPort, NodeId};
use rustix::event::{PollFd, PollFlags, poll};

use crate::bed::{Bed, Deadline, tab_link};

/// One node: the core, its link, and what has to be said and was heard.
#[derive(Debug)]
struct Node {
    llt: Llt,
    link: Box<dyn Link>,
    peer: Option<Id>,
    next: u32,
    heard: u32,
}

const MESSAGES: u32 = 300;

pub(crate) fn come_out_whole(bed: &mut Bed) {
    let (a, b) = (bed.address(0), bed.address(1));
    let nodes = bed.stations.drain(..2).zip([(0, 1, b), (1, 0, a)]);
    let mut nodes: Vec<Node> = nodes
        .map(|(station, (own, peer, address))| {
            let tab = station.tab.unwrap_or_else(|| memory_link(bed.broadcast));
            let peers = if bed.broadcast.is_some() { vec![] } else { vec![(node(peer), address)] };
            let tab = TabLink { peers, ..tab };
            Node::new(own, tab, bed.mtu, station.link)
        })
        .collect();
    let end = Deadline::new("the streams");
    while nodes.iter().any(|node| node.heard < MESSAGES) {
        let state = || nodes.iter().map(|node| (node.next, node.heard)).collect::<Vec<_>>();
        end.check(|| format!("sent and heard {:?}", state()));
        for node in &mut nodes {
            node.turn();
        }
        let mut fds: Vec<_> = nodes
            .iter()
            .map(|node| PollFd::from_borrowed_fd(node.link.as_fd(), PollFlags::IN))
            .collect();
        // A full queue of the device, or of the core, empties by itself: look again soon.
        let soon = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        poll(&mut fds, Some(&soon)).unwrap();
    }
    for node in &nodes {
        assert_eq!(node.llt.stats().alarms, 0);
        assert_eq!(node.link.counters().dropped_large, 0);
    }
}

/// A stand-in for what `llttab` would say: memory has no line there.
fn memory_link(broadcast: Option<llt::LinkAddr>) -> TabLink {
    let Some(llt::LinkAddr::V4 { ip, port }) = broadcast else { panic!("memory can broadcast") };
    let local = std::net::SocketAddr::from(([10, 0, 0, 9], port));
    tab_link("udp", llt::llttab::Medium::Udp { local, broadcast: Some(ip.into()) })
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

impl Node {
    fn new(id: u8, link: TabLink, mtu: usize, backend: Box<dyn Link>) -> Self {
        let text = format!(
            "set-node {id}\nset-cluster 7\nlink wire udp - udp 50000 - 127.0.0.1 127.255.255.255\n\
             set-timer heartbeat:50ms heartbeatlo:100ms peertrouble:2s\n"
        );
        let llttab = Source::new("llttab", text.as_bytes());
        let llthosts = Source::new("llthosts", b"0 a\n1 b\n");
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let mut tab = LltTab::parse(&llttab, &llthosts, &nothing).unwrap();
        tab.links = vec![link];
        let incarnation = Incarnation(Clock::new().wall_nanos());
        let config = tab.config(incarnation, &[mtu]);
        let llt = Llt::new(Clock::new().now(), config, u64::from(id));
        Self { llt, link: backend, peer: None, next: 0, heard: 0 }
    }

    fn turn(&mut self) {
        let now = Clock::new().now();
        let mut frames: Vec<LinkFrame> = Vec::new();
        while self.link.receive(&mut frames) == Received::More {}
        for (from, frame) in frames {
            self.llt.handle_frame(now, LinkId::new(0).unwrap(), from, frame);
        }
        if self.llt.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.llt.handle_timer(now);
        }
        self.drain();
        while let Some(peer) = self.peer
            && self.next < MESSAGES
            && self.llt.send(now, LltPort::GAB, peer, message(self.next).into()).is_ok()
        {
            self.next += 1;
        }
        self.drain();
        self.link.flush();
    }

    fn drain(&mut self) {
        while let Some(output) = self.llt.poll_output() {
            match output {
                Output::Transmit(frame) => self.link.queue(frame.to, frame.urgent, frame.frame),
                Output::Event(Event::PeerUp { peer, .. }) => self.peer = Some(peer),
                Output::Event(Event::PeerDown { peer, .. }) => panic!("{peer} is gone: {self:?}"),
                Output::Event(Event::Message { payload, .. }) => {
                    assert_eq!(payload, message(self.heard), "message {}", self.heard);
                    self.heard += 1;
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// From nothing to the largest, every byte by its place.
fn message(number: u32) -> Vec<u8> {
    let len = number * 7919 % 66_561;
    (0..len).map(|at| u8::try_from((at + number) % 251).unwrap()).collect()
}
