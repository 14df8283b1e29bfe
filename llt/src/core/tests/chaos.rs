//! Cuts, pauses, restarts, loss, duplicates and reordering, drawn from seeds: whatever happens,
//! a connection delivers what was sent in it, in order, once, and nothing of another; and when
//! the faults end, everybody is connected.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::net::{Net, broadcast_address, config, node};
use crate::config::{Config, Timers};
use crate::core::{Event, Llt, SendError};
use crate::ids::{Id, Incarnation, LltPort, NodeId};
use crate::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const NODES: u8 = 3;
const BROADCASTS: LltPort = LltPort::GAB;

/// What one node's upper layer does and remembers.
#[derive(Clone, Debug, Default)]
struct Upper {
    node: usize,
    /// Connections with a peer so far, and messages sent in the present one.
    sent: BTreeMap<NodeId, (u32, u32)>,
    /// The present connection as the receiver sees it.
    receiving: BTreeMap<NodeId, Receiving>,
    /// The newest connection of a peer's incarnation that anything was received in.
    newest: BTreeMap<Id, u32>,
    delivered: usize,
}

#[derive(Clone, Copy, Debug)]
struct Receiving {
    id: Id,
    /// The sender's number of the connection, once something was received.
    connection: Option<u32>,
    next: u32,
}

fn words(payload: &Bytes) -> (u32, u32) {
    let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    (word(0), word(4))
}

impl Upper {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::PeerUp { peer, .. } => {
                self.sent.entry(peer.node).or_default().0 += 1;
                self.sent.entry(peer.node).or_default().1 = 0;
                let receiving = Receiving { id: peer, connection: None, next: 0 };
                assert!(self.receiving.insert(peer.node, receiving).is_none(), "up twice");
            }
            Event::PeerDown { peer, .. } => {
                let receiving = self.receiving.remove(&peer.node);
                assert_eq!(receiving.map(|receiving| receiving.id), Some(peer), "down, not up");
            }
            Event::Message { from, payload, .. } => {
                let (connection, number) = words(&payload);
                let receiving = self.check(from, connection);
                assert_eq!(number, receiving.next, "a gap or a duplicate");
                receiving.next += 1;
                self.delivered += 1;
            }
            Event::Datagram { from, port, payload } => {
                // A broadcast names its sender's connection with each node.
                let own = if port == BROADCASTS { payload.slice(4 * self.node..) } else { payload };
                self.check(from, words(&own).0);
                self.delivered += 1;
            }
            Event::Duplicate { .. } => panic!("no node id is used twice here"),
            Event::AddressChanged { .. }
            | Event::Delayed { .. }
            | Event::Hole { .. }
            | Event::Late { .. }
            | Event::Link { .. }
            | Event::Lost { .. }
            | Event::Note { .. }
            | Event::Refused { .. }
            | Event::Requested { .. }
            | Event::Silent { .. }
            | Event::Writable { .. } => {}
        }
    }

    /// Everything in a connection must come from one connection of the sender, and a newer one
    /// than the last.
    fn check(&mut self, from: Id, connection: u32) -> &mut Receiving {
        let receiving = self.receiving.get_mut(&from.node).expect("connected");
        assert_eq!(receiving.id, from);
        if receiving.connection.is_none() {
            let last = self.newest.insert(from, connection);
            assert!(last.is_none_or(|last| last < connection), "an old connection comes back");
        }
        assert_eq!(*receiving.connection.get_or_insert(connection), connection);
        receiving
    }
}

/// Every other seed has links that can broadcast.
fn chaos_config(node: u8, seed: u64) -> Config {
    let mut config = config(node, NODES, 2);
    for (index, link) in (0..).zip(&mut config.links) {
        if seed % 2 == 1 {
            link.broadcast = Some(broadcast_address(index));
        }
    }
    config
}

struct Chaos {
    net: Net,
    uppers: Vec<Upper>,
    incarnation: u64,
    seed: u64,
    awake_since: Vec<Instant>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut net = Net::with((0..NODES).map(|node| chaos_config(node, seed)).collect(), seed);
        net.loss = net.draw(200);
        net.duplication = net.draw(200);
        net.delay = (Duration::from_micros(50), MS * (1 + net.draw(40)));
        let upper = |node| Upper { node, ..Upper::default() };
        let uppers = (0..usize::from(NODES)).map(upper).collect();
        let awake_since = vec![net.now; usize::from(NODES)];
        Self { net, uppers, incarnation: 100, seed, awake_since }
    }

    fn look(&mut self) {
        for index in 0..usize::from(NODES) {
            for event in self.net.take_events(index) {
                self.uppers[index].on_event(event);
            }
        }
    }

    fn talk(&mut self) {
        for index in 0..usize::from(NODES) {
            if self.net.paused[index] {
                continue;
            }
            let now = self.net.now;
            let peers: Vec<Id> =
                self.uppers[index].receiving.values().map(|receiving| receiving.id).collect();
            for to in peers {
                let (connection, number) = self.uppers[index].sent[&to.node];
                let len = 8 + if self.net.draw(20) == 0 { 20_000 } else { self.net.draw(100) };
                let mut payload = vec![0; len as usize];
                payload[..4].copy_from_slice(&connection.to_be_bytes());
                payload[4..8].copy_from_slice(&number.to_be_bytes());
                let payload = Bytes::from(payload);
                if self.net.draw(3) == 0 {
                    self.broadcast(index);
                }
                let llt = self.net.llt(index);
                llt.datagram(now, LltPort::PING, to, payload.slice(..8)).unwrap();
                match llt.send(now, LltPort::PING, to, payload) {
                    Ok(()) => self.uppers[index].sent.get_mut(&to.node).unwrap().1 += 1,
                    Err(error) => assert_eq!(error, SendError::WouldBlock),
                }
            }
            self.net.drain(index);
            self.look();
        }
    }

    fn broadcast(&mut self, index: usize) {
        let upper = &self.uppers[index];
        let mut payload = Vec::new();
        for node in (0..NODES).map(node) {
            let is_up = upper.receiving.contains_key(&node);
            let connection = if is_up { upper.sent[&node].0 } else { u32::MAX };
            payload.extend(connection.to_be_bytes());
        }
        payload.extend([0; 4]);
        let now = self.net.now;
        self.net.llt(index).broadcast(now, BROADCASTS, payload.into()).unwrap();
    }

    /// No peer is up without a frame of it within the inactive time, but for the time that a
    /// pause of our own is forgiven.
    fn invariant_up_means_heard(&mut self) {
        let timers = Timers::fast();
        for index in 0..usize::from(NODES) {
            if self.net.paused[index] {
                self.awake_since[index] = self.net.now;
            }
            let awake = self.net.now.since(self.awake_since[index]);
            if awake <= timers.peer_trouble + MS * 60 {
                continue;
            }
            for peer in self.net.llt(index).peers() {
                let heard = self.net.heard[index][peer.node.index()];
                let silence = self.net.now.since(heard);
                assert!(!peer.connected || silence <= timers.peer_inact, "{silence:?}");
            }
        }
    }

    fn fault(&mut self) {
        let index = self.net.draw(u32::from(NODES)) as usize;
        match self.net.draw(8) {
            0 | 1 => {
                let other = (index + 1 + self.net.draw(2) as usize) % usize::from(NODES);
                let link = u8::try_from(self.net.draw(2)).unwrap();
                self.net.cuts.push((link, index, other));
            }
            2 => {
                for other in 0..usize::from(NODES) {
                    for link in 0..2 {
                        self.net.cuts.push((link, index, other));
                    }
                }
            }
            3 | 4 => self.net.cuts.clear(),
            5 => self.net.paused[index] = !self.net.paused[index],
            6 => {
                self.incarnation += 1;
                let mut config = chaos_config(u8::try_from(index).unwrap(), self.seed);
                config.incarnation = Incarnation(self.incarnation);
                let llt = Llt::new(self.net.now, config, self.incarnation);
                self.net.nodes[index] = Some(llt);
                self.net.paused[index] = false;
                self.uppers[index] = Upper { node: index, ..Upper::default() };
                // The others number their connections on, so what was received is still known.
            }
            _ => {}
        }
    }

    fn run(&mut self, time: Duration, faults: bool) {
        let end: Instant = self.net.now + time;
        while self.net.now < end {
            self.talk();
            let step = Duration::from_micros(500 + u64::from(self.net.draw(20_000)));
            self.net.run(step);
            self.look();
            self.invariant_up_means_heard();
            if faults && self.net.draw(10) == 0 {
                self.fault();
            }
        }
    }
}

#[test]
fn connections_deliver_their_own_and_come_back_whatever_happens() {
    for seed in 0..40 {
        let mut chaos = Chaos::new(seed);
        chaos.run(Duration::from_secs(20), true);
        chaos.net.cuts.clear();
        chaos.net.paused = vec![false; usize::from(NODES)];
        chaos.net.loss = 0;
        chaos.run(Duration::from_secs(3), false);
        assert!(chaos.net.is_connected(), "seed {seed}: not connected after the faults");
        let before: Vec<usize> = chaos.uppers.iter().map(|upper| upper.delivered).collect();
        chaos.run(Duration::from_secs(1), false);
        for (upper, before) in chaos.uppers.iter().zip(before) {
            assert!(upper.delivered > before, "seed {seed}: nothing is delivered");
        }
        chaos.net.check_alarms();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| {
        let mut chaos = Chaos::new(seed);
        chaos.net.keep_sent = true;
        chaos.run(Duration::from_secs(5), true);
        chaos.net.sent
    };
    assert!(trace(7) == trace(7));
}
