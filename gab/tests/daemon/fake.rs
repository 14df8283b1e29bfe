//! A peer of a gabd that the test plays itself: LLT and GAB as they are, over sockets of its own,
//! and on top of them what no sound gabd does.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use bytes::Bytes;
use gab::core::GabConfig;
use gab::ids::Vid;
use gab::stack::{Output, StackConfig};
use gab::wire::{Body, Head};
use gab::{Stack, Versions};
use llt::io::Clock;
use llt::llttab::{LltTab, Medium, Source};
use llt::wire::{Frame, Kind};
use llt::{Duration, Id, Incarnation, LinkAddr, LinkId, LltPort};

use crate::node::Node;

/// A peer.
pub(crate) struct Fake {
    pub(crate) stack: Stack,
    /// Only its heartbeats go out: it is heard, and says nothing.
    pub(crate) mute: bool,
    clock: Clock,
    sockets: Vec<UdpSocket>,
}

impl Fake {
    /// Takes the place of a node of two that is not started.
    pub(crate) fn start(node: &Node, change: impl FnOnce(&mut GabConfig)) -> Self {
        let read = |file| fs::read(node.root().join("etc").join(file)).unwrap();
        let tab = LltTab::parse(
            &Source::new("llttab", &read("llttab")),
            &Source::new("llthosts", &read("llthosts")),
            &|_| Err(ErrorKind::NotFound.into()),
        );
        let tab = tab.unwrap();
        let open = |medium: &Medium| {
            let Medium::Udp { local, .. } = medium else { panic!("{medium:?}") };
            let socket = UdpSocket::bind(local).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets = tab.links.iter().map(|link| open(&link.medium)).collect();
        let mut gab = GabConfig {
            configured: true,
            seed: Some(2),
            stable: Duration::from_millis(100),
            configured_nodes: 2,
            ..GabConfig::default()
        };
        change(&mut gab);
        let clock = Clock::new();
        let config = StackConfig { llt: tab.config(Incarnation(clock.wall_nanos()), &[]), gab };
        Self { stack: Stack::new(clock.now(), config, 1), mute: false, clock, sockets }
    }

    /// Plays on until `done`.
    pub(crate) fn play(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = self.clock.now() + Duration::from_secs(60);
        while !done(self) {
            assert!(self.clock.now() < deadline, "{what} did not come");
            self.turn();
            let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
            rustix::event::poll(&mut [], Some(&moment)).unwrap();
        }
    }

    /// Says this in the name of a view, reliably.
    pub(crate) fn say(&mut self, to: Id, vid: Vid, body: &Body) {
        let now = self.clock.now();
        let text = body.encode(Head { vid, ack: 0, busy: 0 });
        self.stack.with_llt(now, |llt| llt.send(now, LltPort::GAB, to, text)).unwrap();
    }

    /// Takes what there is, and sends what comes of it.
    pub(crate) fn turn(&mut self) {
        let now = self.clock.now();
        let mut buffer = vec![0; 65_536];
        for (link, socket) in LinkId::all().zip(&self.sockets) {
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let frame = Bytes::copy_from_slice(&buffer[..len]);
                self.stack.handle_frame(now, link, address(from), frame);
            }
        }
        if self.stack.next_deadline().is_some_and(|at| at <= now) {
            self.stack.handle_timer(now);
        }
        while let Some(output) = self.stack.poll_output() {
            let Output::Transmit(sent) = output else { continue };
            let kind = Frame::check(&sent.frame).unwrap().header.kind;
            if !self.mute || kind == Kind::Heartbeat {
                let LinkAddr::V4 { ip, port } = sent.to else { panic!("{:?}", sent.to) };
                let to = SocketAddrV4::new(ip.into(), port);
                // Whoever is not there yet refuses, and is asked again.
                let _ = self.sockets[sent.link.index()].send_to(&sent.frame, to);
            }
        }
    }
}

fn address(from: SocketAddr) -> LinkAddr {
    let SocketAddr::V4(from) = from else { panic!("{from}") };
    LinkAddr::V4 { ip: from.ip().octets(), port: from.port() }
}

/// What no gabd speaks yet.
pub(crate) const FUTURE: Versions =
    Versions { min: Versions::OURS.max + 1, max: Versions::OURS.max + 2 };
