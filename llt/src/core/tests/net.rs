//! The network in memory: loss, duplicates, reordering, cuts, all from one seed.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::config::{Config, Flow, LinkConfig, Timers};
use crate::core::{DownReason, Event, Llt, Output};
use crate::ids::{ClusterId, Id, Incarnation, LinkAddr, LinkId, LltPort, NodeId, NodeSet};
use crate::time::{Duration, Instant};

/// A frame under way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) link: LinkId,
    pub(crate) from: LinkAddr,
    pub(crate) to: usize,
    pub(crate) frame: Bytes,
}

/// Nodes and the wires between them.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Option<Llt>>,
    /// Everything that the nodes told their upper layers, in order, not yet looked at.
    pub(crate) events: Vec<Vec<(Instant, Event)>>,
    flights: BTreeMap<(Instant, u64), Flight>,
    next_flight: u64,
    random: Xoshiro256PlusPlus,
    /// Per mille.
    pub(crate) loss: u32,
    pub(crate) duplication: u32,
    pub(crate) corruption: u32,
    /// Delay is drawn from this range, so that frames overtake each other.
    pub(crate) delay: (Duration, Duration),
    /// Directions that carry nothing: link, from, to.
    pub(crate) cuts: Vec<(u8, usize, usize)>,
    /// Directions that carry no longer frames than this: link, from, to, bytes.
    pub(crate) narrow: Vec<(u8, usize, usize, usize)>,
    /// These links share a broadcast domain.
    pub(crate) crossed: Vec<u8>,
    /// Nodes that do not run; what arrives for them waits.
    pub(crate) paused: Vec<bool>,
    /// Nodes that do not run; what arrives for them is lost.
    pub(crate) stopped: Vec<bool>,
    /// Two of each node's links that are plugged in the other way round.
    pub(crate) swapped: Vec<Option<(u8, u8)>>,
    /// The host part of each node's addresses.
    hosts: Vec<u8>,
    /// Broadcasts come back to their sender.
    pub(crate) loops_back: bool,
    /// When a node last got a frame from an address, by its host part.
    pub(crate) heard: Vec<Vec<Instant>>,
    /// Every frame sent, by link.
    pub(crate) sent: Vec<(u8, usize, Bytes)>,
    pub(crate) keep_sent: bool,
}

pub(crate) fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn link(id: u8) -> LinkId {
    LinkId::new(id).unwrap()
}

pub(crate) fn port(id: u8) -> LltPort {
    LltPort::new(id).unwrap()
}

pub(crate) fn address(link: u8, node: u8) -> LinkAddr {
    LinkAddr::V4 { ip: [127, 77, link, node], port: 50_000 }
}

pub(crate) fn broadcast_address(link: u8) -> LinkAddr {
    address(link, 255)
}

/// Node `me` of `nodes` on `links` plain links, everybody's address known.
pub(crate) fn config(me: u8, nodes: u8, links: u8) -> Config {
    Config {
        node: node(me),
        incarnation: Incarnation(100),
        cluster: ClusterId(7),
        links: (0..links)
            .map(|link| LinkConfig {
                lowpri: false,
                mtu: 1500,
                broadcast: None,
                broadcast_heartbeats: true,
                discover: true,
                peers: (0..nodes)
                    .filter(|peer| *peer != me)
                    .map(|peer| (node(peer), address(link, peer)))
                    .collect(),
            })
            .collect(),
        excluded: NodeSet::EMPTY,
        configured: (0..nodes).map(node).collect(),
        timers: Timers::fast(),
        flow: Flow::default(),
        listen: Duration::ZERO,
        keys: None,
    }
}

impl Net {
    /// `count` nodes with `links` links, started at the same instant.
    pub(crate) fn new(count: u8, links: u8, seed: u64) -> Self {
        Self::with((0..count).map(|me| config(me, count, links)).collect(), seed)
    }

    pub(crate) fn with(configs: Vec<Config>, seed: u64) -> Self {
        let mut net = Self {
            now: Instant::from_millis(1000),
            nodes: Vec::new(),
            events: vec![Vec::new(); configs.len()],
            flights: BTreeMap::new(),
            next_flight: 0,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            loss: 0,
            duplication: 0,
            corruption: 0,
            delay: (Duration::from_micros(50), Duration::from_micros(60)),
            cuts: Vec::new(),
            narrow: Vec::new(),
            crossed: Vec::new(),
            paused: vec![false; configs.len()],
            stopped: vec![false; configs.len()],
            swapped: vec![None; configs.len()],
            hosts: configs.iter().map(|config| config.node.get()).collect(),
            loops_back: false,
            heard: vec![vec![Instant::ZERO; 256]; configs.len()],
            sent: Vec::new(),
            keep_sent: false,
        };
        for (index, config) in configs.into_iter().enumerate() {
            net.nodes.push(Some(Llt::new(net.now, config, seed ^ index as u64)));
        }
        net
    }

    pub(crate) fn llt(&mut self, index: usize) -> &mut Llt {
        self.nodes[index].as_mut().unwrap()
    }

    pub(crate) fn id(&self, index: usize) -> Id {
        self.nodes[index].as_ref().unwrap().config().id()
    }

    /// Gives a node addresses that do not follow from its node id.
    pub(crate) fn separate_address(&mut self, index: usize, host: u8) {
        self.hosts[index] = host;
    }

    /// Draws below `bound`.
    pub(crate) fn draw(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound
    }

    /// Takes a node's outputs: events are kept, frames go on the wire.
    pub(crate) fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].as_mut().and_then(Llt::poll_output) {
            match output {
                Output::Event(event) => {
                    self.check_proof(index, &event);
                    self.events[index].push((self.now, event));
                }
                Output::Transmit(transmit) => {
                    if self.keep_sent {
                        self.sent.push((transmit.link.get(), index, transmit.frame.clone()));
                    }
                    self.carry(index, transmit.link, transmit.to, &transmit.frame);
                }
            }
        }
    }

    /// Nobody is given up for silence before it can know that from what it has been shown.
    fn check_proof(&self, index: usize, event: &Event) {
        let Event::PeerDown { peer, reason: DownReason::Silent } = *event else { return };
        let Some(config) = self.nodes[index].as_ref().map(Llt::config) else { return };
        let (id, inact) = (config.id(), config.timers.peer_inact);
        let given_up = self.nodes.iter().flatten().find(|llt| llt.config().id() == peer);
        if let Some(proven) = given_up.and_then(|llt| llt.proven(id)) {
            assert!(self.now.since(proven) >= inact, "{peer} was to count on {id}");
        }
    }

    /// The wire that a node's link is plugged in, or the link that is in a wire.
    fn plug(&self, index: usize, number: LinkId) -> LinkId {
        match self.swapped[index] {
            Some((a, b)) if number.get() == a => link(b),
            Some((a, b)) if number.get() == b => link(a),
            _ => number,
        }
    }

    fn carry(&mut self, from: usize, link: LinkId, to: LinkAddr, frame: &Bytes) {
        let link = self.plug(from, link);
        let source = address(link.get(), self.hosts[from]);
        let wires = if self.crossed.contains(&link.get()) {
            self.crossed.clone()
        } else {
            vec![link.get()]
        };
        for target in 0..self.nodes.len() {
            if self.nodes[target].is_none() || self.stopped[target] {
                continue;
            }
            for &wire in &wires {
                let here = address(wire, self.hosts[target]);
                let is_heard = target != from || self.loops_back || wire != link.get();
                let is_for_it = to == here || (to == broadcast_address(link.get()) && is_heard);
                if is_for_it && self.passes(wire, from, target, frame.len()) {
                    let wire = LinkId::new(wire).unwrap();
                    self.deliver(self.plug(target, wire), source, target, frame);
                }
            }
        }
    }

    fn passes(&self, link: u8, from: usize, to: usize, len: usize) -> bool {
        let is_narrow = self.narrow.iter().any(|&(narrow, source, target, longest)| {
            (narrow, source, target) == (link, from, to) && len > longest
        });
        !is_narrow && !self.cuts.contains(&(link, from, to))
    }

    fn deliver(&mut self, link: LinkId, from: LinkAddr, to: usize, frame: &Bytes) {
        let copies = 1 + u32::from(self.draw(1000) < self.duplication);
        for _ in 0..copies {
            if self.draw(1000) < self.loss {
                continue;
            }
            let mut frame = frame.clone();
            if self.corruption > 0 && self.draw(1000) < self.corruption {
                let mut bytes = frame.to_vec();
                let at = self.draw(u32::try_from(bytes.len()).unwrap()) as usize;
                bytes[at] ^= 1 << self.draw(8);
                frame = bytes.into();
            }
            let (min, max) = self.delay;
            let spread = u32::try_from((max - min).as_micros()).unwrap().max(1);
            let delay = min + Duration::from_micros(u64::from(self.draw(spread)));
            self.inject(delay, Flight { link, from, to, frame });
        }
    }

    /// Puts a frame on the wire that nobody sent.
    pub(crate) fn inject(&mut self, delay: Duration, flight: Flight) {
        self.next_flight += 1;
        self.flights.insert((self.now + delay, self.next_flight), flight);
    }

    /// Delivers a frame to a node now and takes what the node does.
    pub(crate) fn frame(&mut self, to: usize, on: u8, from: u8, frame: Bytes) {
        let now = self.now;
        self.llt(to).handle_frame(now, link(on), address(on, from), frame);
        self.drain(to);
    }

    /// Lets the time run.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
    }

    /// Lets the time run until `done`, at most until `end`; true if it was done.
    pub(crate) fn run_until(
        &mut self,
        end: Instant,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        for index in 0..self.nodes.len() {
            self.drain(index);
        }
        loop {
            if done(self) {
                return true;
            }
            let frame_at = self
                .flights
                .iter()
                .find(|(_, flight)| !self.paused[flight.to])
                .map(|((at, _), _)| (*at).max(self.now));
            let timers = self.nodes.iter().enumerate();
            let timers = timers.filter(|(index, _)| !self.paused[*index] && !self.stopped[*index]);
            let timer_at = timers.filter_map(|(_, llt)| llt.as_ref()?.next_deadline()).min();
            let next = crate::time::earliest(frame_at, timer_at).map(|at| at.max(self.now));
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = next;
            self.step();
        }
    }

    /// Everything that is due now.
    fn step(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .flights
            .range(..=(now, u64::MAX))
            .filter(|(_, flight)| !self.paused[flight.to])
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let flight = self.flights.remove(&key).unwrap();
            if let Some(llt) = self.nodes[flight.to].as_mut() {
                if let LinkAddr::V4 { ip, .. } = flight.from {
                    self.heard[flight.to][usize::from(ip[3])] = now;
                }
                llt.handle_frame(now, flight.link, flight.from, flight.frame);
                self.drain(flight.to);
            }
        }
        for index in 0..self.nodes.len() {
            if self.paused[index] || self.stopped[index] {
                continue;
            }
            if let Some(llt) = self.nodes[index].as_mut()
                && llt.next_deadline().is_some_and(|at| at <= now)
            {
                llt.handle_timer(now);
                self.drain(index);
                let deadline = self.llt(index).next_deadline();
                assert!(deadline.is_none_or(|at| at > now), "a deadline that does not go away");
            }
        }
    }

    /// Runs until every running node is connected with every other.
    pub(crate) fn connect(&mut self) {
        let end = self.now + Duration::from_secs(10);
        assert!(self.run_until(end, |net| net.is_connected()), "not connected in time");
    }

    /// Runs until these are connected with each other.
    pub(crate) fn connect_only(&mut self, indices: &[usize]) {
        let end = self.now + Duration::from_secs(10);
        let done = self.run_until(end, |net| {
            indices.iter().all(|index| {
                let peers = net.llt(*index).peers();
                peers.iter().filter(|peer| peer.connected).count() == indices.len() - 1
            })
        });
        assert!(done, "not connected in time");
    }

    pub(crate) fn is_connected(&self) -> bool {
        let running = self.nodes.iter().flatten().count();
        self.nodes
            .iter()
            .flatten()
            .all(|llt| llt.peers().iter().filter(|peer| peer.connected).count() == running - 1)
    }

    /// The events since the last look, without their times.
    pub(crate) fn take_events(&mut self, index: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[index]).into_iter().map(|(_, event)| event).collect()
    }

    /// The reliable messages among the events since the last look, from `from`.
    pub(crate) fn take_messages(&mut self, index: usize) -> Vec<Bytes> {
        let events = self.take_events(index).into_iter();
        events
            .filter_map(|event| match event {
                Event::Message { payload, .. } => Some(payload),
                _ => None,
            })
            .collect()
    }

    /// No core may ever have met a state of its own making that cannot be.
    pub(crate) fn check_alarms(&self) {
        for llt in self.nodes.iter().flatten() {
            assert_eq!(llt.stats().alarms, 0);
        }
    }
}
