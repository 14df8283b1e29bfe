//! A small cluster between two steps of a schedule: nodes, what is between them, what was seen.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use gab::PortName;
use gab::core::{
    ArbiterReply, ArbiterRequest, ClientId, Counters, Gab, GabConfig, GabOutput, Notice, Transport,
};
use gab::event::{ClientEvent, OpenOptions};
use llt::core::DownReason;
use llt::{Duration, Id, Incarnation, Instant, NodeId};

use super::Instance;
use super::net::{NODES_MAX, Net, Way};
use super::properties::{Seen, Watcher};
use crate::arbiter::RecordKeeper;
use crate::history::{ClientLog, End, Entry, History, Installed, Life, Read, Sent, What};
use crate::input::RecordValue;
use crate::invariants::{Arbitration, check};
use crate::payload;

/// The client of every node, and its port: one that waits for the arbiter, if there is one.
const CLIENT: ClientId = ClientId(1);
const PORT: PortName = PortName::new('h').expect("a letter");
/// The cluster starts long after the zero point of its clocks, which is no time to compare with.
const START: Instant = Instant::from_millis(10_000_000);
const DATAGRAM_MAX: usize = 1400;
/// No turn of so small a cluster has more outputs.
const OUTPUTS_MAX: usize = 1000;
/// Nor has it so many reasons for another view.
const VIEWS_MAX: usize = 12;

/// Faults and waits that a schedule may still have.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Budget {
    /// Datagrams that are lost.
    pub losses: u8,
    /// Datagrams that arrive twice.
    pub duplicates: u8,
    /// Times that a node's timer comes before anything else reaches it.
    pub timers: u8,
    /// Nodes that die.
    pub crashes: u8,
    /// Connections that are cut: each side takes the other for dead, and is wrong.
    pub cuts: u8,
    /// Nodes that are cut off from all others.
    pub partitions: u8,
    /// Connections that come back.
    pub reconnects: u8,
    /// Nodes that start late.
    pub joins: u8,
}

/// One life of a node.
#[derive(Clone, Debug)]
pub struct Node {
    gab: Gab,
    /// Its own clock: only its timer moves it.
    now: Instant,
    /// What it did, as the checkers want it.
    life: Life,
    /// A hash of that.
    trace: u64,
    /// A hash of everything that counts from here on.
    digest: u64,
}

/// The arbiter and what is under way to and from it, in order per node.
#[derive(Clone, Debug, Default)]
struct Arbiter {
    keeper: RecordKeeper,
    requests: Vec<(usize, ArbiterRequest)>,
    replies: Vec<(usize, ArbiterReply)>,
    records: Vec<(Instant, RecordValue)>,
}

/// The cluster. Equal states have equal hashes, and go on alike.
#[derive(Clone)]
pub struct State {
    nodes: Vec<Option<Arc<Node>>>,
    /// What is between them.
    pub net: Net,
    arbiter: Arc<Arbiter>,
    /// What may still go wrong.
    pub budget: Budget,
    sent: Vec<Option<Sent>>,
    /// Steps so far: the world time of the history.
    steps: u64,
    /// What the last step did.
    pub seen: Seen,
    /// What the checkers found.
    pub wrong: Option<Arc<str>>,
}

impl State {
    /// The nodes that start are in one view with a client each, and have come to rest.
    ///
    /// # Panics
    /// If they do not: then nothing that is found from there on means anything.
    pub fn new(instance: &Instance) -> Self {
        let mut state = Self {
            nodes: vec![None; instance.nodes],
            net: Net::default(),
            arbiter: Arc::default(),
            budget: instance.budget,
            sent: vec![None; instance.messages.len()],
            steps: 0,
            seen: Seen::default(),
            wrong: None,
        };
        for node in 0..instance.start {
            state.boot(instance, node);
            for other in 0..node {
                state.connect(other, node);
            }
        }
        state.settle();
        for node in 0..instance.start {
            state.open(node);
        }
        state.settle();
        let formed = |node: &Node| node.gab.view().map(|view| view.members.len());
        let all = state.nodes.iter().flatten().all(|node| formed(node) == Some(instance.start));
        assert!(all && state.wrong.is_none(), "no cluster to start from: {state:?}");
        state.budget = instance.budget;
        state
    }

    /// Delivers everything at once, in order, until nothing is left to do.
    fn settle(&mut self) {
        const STEPS_MAX: usize = 10_000;
        for _ in 0..STEPS_MAX {
            let head = self.net.heads().next().map(|packet| (packet.from, packet.to));
            let datagram = self.net.datagrams().next().map(|(at, _)| at);
            let asks = self.arbiter.requests.first().map(|(node, _)| *node);
            let answered = self.arbiter.replies.first().map(|(node, _)| *node);
            let waiting = (0..self.nodes.len()).filter(|node| self.deadline(*node).is_some());
            let next = waiting.min_by_key(|node| self.deadline(*node));
            if let Some((from, to)) = head {
                self.deliver(from, to);
            } else if let Some(at) = datagram {
                self.datagram(at, false);
            } else if let Some(node) = asks {
                self.arbitrate(node);
            } else if let Some(node) = answered {
                self.answer(node);
            } else if let Some(node) = next {
                self.timer(node);
            } else {
                return;
            }
        }
    }

    /// Is the node alive?
    pub fn is_alive(&self, node: usize) -> bool {
        self.nodes.get(node).and_then(Option::as_ref).is_some_and(|node| node.life.is_alive())
    }

    /// Is the node one that never started?
    pub fn is_absent(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(Option::is_none)
    }

    /// When a live node wants its timer.
    pub fn deadline(&self, node: usize) -> Option<Instant> {
        self.nodes[node].as_ref().filter(|node| node.life.is_alive())?.gab.next_deadline()
    }

    /// May this message still be sent?
    pub fn is_unsent(&self, message: usize) -> bool {
        self.sent[message].is_none()
    }

    /// A node whose next request the arbiter may decide.
    pub fn asks(&self, node: usize) -> bool {
        self.arbiter.requests.iter().any(|(from, _)| *from == node)
    }

    /// A node that an answer of the arbiter is under way to.
    pub fn is_answered(&self, node: usize) -> bool {
        self.arbiter.replies.iter().any(|(to, _)| *to == node)
    }

    fn boot(&mut self, instance: &Instance, node: usize) {
        let config = GabConfig {
            configured: true,
            seed: u32::try_from(instance.start).ok(),
            stable: Duration::ZERO,
            arbiter: instance.arbiter,
            mutant: instance.mutant,
            ..GabConfig::default()
        };
        let transport =
            Transport { datagram_max: DATAGRAM_MAX, has_broadcast: instance.has_broadcast };
        let gab = Gab::new(START, id(node), config, transport, node as u64);
        let life = Life {
            id: id(node),
            started: self.world(),
            ended: None,
            goes_on: false,
            leaves: None,
            views: Vec::new(),
            memberships: Vec::new(),
            notices: Vec::new(),
            clients: Vec::new(),
        };
        let booted = Node { gab, now: START, life, trace: 0, digest: 0 };
        self.nodes[node] = Some(Arc::new(booted));
        self.turn(node, |_, _| {});
    }

    fn open(&mut self, node: usize) {
        let opened = self.world();
        self.turn(node, |node, _| {
            let result = node.gab.open(node.now, CLIENT, PORT, OpenOptions::default());
            result.expect("configured, and the port is free");
            node.life.clients.push(ClientLog::new(CLIENT, PORT, OpenOptions::default(), opened));
        });
    }

    /// A node starts late, and connects with all that live.
    pub fn join(&mut self, instance: &Instance, node: usize) {
        self.boot(instance, node);
        self.open(node);
        for other in 0..self.nodes.len() {
            if other != node && self.is_alive(other) {
                self.connect(other, node);
            }
        }
    }

    /// Two nodes are connected, over two links.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.net.connect(a, b);
        for (node, peer) in [(a, b), (b, a)] {
            self.turn(node, |node, _| {
                node.gab.handle_peer_up(node.now, id(peer), 1);
                node.gab.handle_links(node.now, id(peer), 2, Duration::ZERO);
            });
        }
    }

    /// A node dies.
    pub fn crash(&mut self, node: usize) {
        self.end(node, End::Crashed);
    }

    fn end(&mut self, node: usize, how: End) {
        let at = self.world();
        if let Some(node) = &mut self.nodes[node] {
            let node = Arc::make_mut(node);
            node.life.ended = Some((at, how));
            node.note(&(0_u8, how == End::Ejected));
            node.digest = node.trace;
        }
        self.net.remove(node);
        let arbiter = Arc::make_mut(&mut self.arbiter);
        arbiter.replies.retain(|(to, _)| *to != node);
    }

    /// A node notices that it lost a peer.
    pub fn lose(&mut self, from: usize, to: usize) {
        self.net.lose(from, to);
        self.turn(to, |node, _| {
            node.gab.handle_peer_down(node.now, id(from), DownReason::Silent);
        });
    }

    /// The next message of a connection arrives.
    pub fn deliver(&mut self, from: usize, to: usize) {
        if let Some(packet) = self.net.take(from, to) {
            self.receive(from, to, packet.payload);
        }
    }

    /// A datagram arrives; with `keep` it will arrive again.
    pub fn datagram(&mut self, at: usize, keep: bool) {
        if let Some(packet) = self.net.take_datagram(at, keep) {
            self.receive(packet.from, packet.to, packet.payload);
        }
    }

    fn receive(&mut self, from: usize, to: usize, payload: Bytes) {
        self.turn(to, |node, watcher| {
            watcher.arrives(&payload);
            node.gab.handle_message(node.now, id(from), payload);
        });
    }

    /// Time passes at a node, up to its next deadline.
    pub fn timer(&mut self, node: usize) {
        self.turn(node, |node, _| {
            node.now = node.gab.next_deadline().map_or(node.now, |at| at.max(node.now));
            node.gab.handle_timer(node.now);
        });
    }

    /// The arbiter decides the node's next request. It counts whether or not the node still lives.
    pub fn arbitrate(&mut self, node: usize) {
        let (at, alive) = (self.world(), self.is_alive(node));
        let arbiter = Arc::make_mut(&mut self.arbiter);
        let Some(place) = arbiter.requests.iter().position(|(from, _)| *from == node) else {
            return;
        };
        let (_, request) = arbiter.requests.remove(place);
        let changed = arbiter.keeper.apply(&request.change);
        let record = arbiter.keeper.record().cloned();
        if let Some(record) = record.clone().filter(|_| changed) {
            arbiter.records.push((at, record.into()));
        }
        if alive {
            arbiter.replies.push((node, ArbiterReply { ticket: request.ticket, record }));
        }
        self.look(changed);
    }

    /// The arbiter's answer reaches the node.
    pub fn answer(&mut self, node: usize) {
        let arbiter = Arc::make_mut(&mut self.arbiter);
        let Some(place) = arbiter.replies.iter().position(|(to, _)| *to == node) else { return };
        let (_, reply) = arbiter.replies.remove(place);
        self.turn(node, |node, _| node.gab.handle_arbiter(node.now, reply));
    }

    /// A client sends; `false` if it may not.
    pub fn send(&mut self, instance: &Instance, message: usize) -> bool {
        let (sender, level) = instance.messages[message];
        let (at, uid) = (self.world(), message as u64);
        let log = self.nodes[sender].as_ref().and_then(|node| node.life.clients.first());
        let Some(log) = log else { return false };
        let generation = log.view.map_or(0, |view| view.generation);
        let index = log.broadcasts.len();
        // Before its turn: a node that is alone reads its own message in it.
        let sent = Sent { life: 0, client: 0, port: PORT, level, to: None, at, generation, index };
        self.sent[message] = Some(sent);
        let mut accepted = false;
        self.turn(sender, |node, _| {
            let payload = payload::encode(uid, payload::LEN_MIN);
            accepted = node.gab.broadcast(node.now, CLIENT, level, payload).is_ok();
            if let Some(log) = node.life.clients.first_mut().filter(|_| accepted) {
                log.broadcasts.push(uid);
                node.note(&(1_u8, uid));
            }
        });
        accepted
    }

    /// Lets a node do something, and everything that follows from it in the same turn.
    fn turn(&mut self, at: usize, act: impl FnOnce(&mut Node, &mut Watcher)) {
        let world = self.world();
        self.steps += 1;
        let Some(mut shared) = self.nodes[at].clone().filter(|node| node.life.is_alive()) else {
            return;
        };
        // The state's own handle goes, so that nothing is copied twice.
        self.nodes[at] = None;
        let node = Arc::make_mut(&mut shared);
        let (before, held) = (node.trace, node.gab.sizes().held_items);
        let mut watcher = Watcher::default();
        act(node, &mut watcher);
        let mut ejected = false;
        let mut outputs = 0;
        loop {
            let mut woken = false;
            while let Some(output) = node.gab.poll_output() {
                outputs += 1;
                if outputs > OUTPUTS_MAX {
                    self.wrong = Some(format!("a turn of node {at} does not end").into());
                    break;
                }
                // What the core says is in the order in which it happened.
                if node.observe_views(world) {
                    watcher.installs();
                }
                watcher.goes_out(&output);
                ejected |= matches!(output, GabOutput::Ejected { .. });
                woken |= matches!(output, GabOutput::Client(_));
                self.pass_on(at, node, world, output);
            }
            if !woken {
                break;
            }
            while let Some(piece) = node.gab.poll_client(node.now, CLIENT)
                && let Some(event) = piece.into_iter().next()
            {
                // Clients of the model send one by one.
                watcher.reads(&event);
                if let Err(wrong) = node.read(world, event) {
                    self.wrong = Some(wrong.into());
                }
            }
        }
        let views = node.life.views.len();
        node.life.clients.iter_mut().for_each(|log| log.drained = views);
        let Counters { alarms, .. } = *node.gab.counters();
        if alarms > 0 {
            self.wrong = Some(format!("alarm: {alarms} at node {at}").into());
        }
        if views > VIEWS_MAX {
            self.wrong = Some(format!("unrest: node {at} comes to {views} views").into());
        }
        self.seen = self.seen.and(watcher.finish(held, node.gab.sizes().held_items));
        node.digest();
        let changed = node.trace != before;
        self.nodes[at] = Some(shared);
        if ejected {
            self.end(at, End::Ejected);
        }
        self.look(changed || ejected);
    }

    fn pass_on(&mut self, at: usize, node: &mut Node, world: Instant, output: GabOutput) {
        // What the layer below does not know it does not send.
        let known = |net: &Net, to: usize| net.way(to, at) != Way::Down;
        match output {
            GabOutput::Arbiter(request) => {
                Arc::make_mut(&mut self.arbiter).requests.push((at, request));
            }
            GabOutput::Broadcast(payload) => {
                for to in (0..NODES_MAX).filter(|to| *to != at) {
                    if known(&self.net, to) {
                        self.net.datagram(at, to, payload.clone());
                    }
                }
            }
            GabOutput::Datagram(to, payload) => {
                if known(&self.net, to.node.index()) {
                    self.net.datagram(at, to.node.index(), payload);
                }
            }
            GabOutput::Send(to, payload) => {
                if known(&self.net, to.node.index()) {
                    self.net.send(at, to.node.index(), payload);
                }
            }
            GabOutput::Notice(Notice::Membership { port, generation, members }) => {
                node.life.memberships.push((world, port, generation, members));
                node.note(&(2_u8, port, generation, members));
            }
            GabOutput::AskBeat(_)
            | GabOutput::Client(_)
            | GabOutput::Ejected { .. }
            | GabOutput::Halt { .. }
            | GabOutput::Left
            | GabOutput::Notice(_)
            | GabOutput::Signal(..) => {}
        }
    }

    fn world(&self) -> Instant {
        START + Duration::from_millis(self.steps)
    }

    /// If anything happened that anybody can see, the checkers of the simulator judge it.
    fn look(&mut self, changed: bool) {
        if !changed || self.wrong.is_some() {
            return;
        }
        let mut history = History { records: self.arbiter.records.clone(), ..History::default() };
        let mut lives = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node {
                lives[at] = history.lives.len();
                history.lives.push(node.life.clone());
            }
        }
        // Numbers of messages are their places, so one that is not sent yet needs one, too: in a
        // time that never comes.
        let never = Instant::from_nanos(u64::MAX);
        let unsent = Sent {
            life: 0,
            client: 0,
            port: PORT,
            level: gab::Level::Agreed,
            to: None,
            at: never,
            generation: 0,
            index: 0,
        };
        history.sent = self.sent.iter().map(|sent| sent.unwrap_or(unsent)).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            let logs = node.iter().flat_map(|node| &node.life.clients);
            for uid in logs.flat_map(|log| &log.broadcasts) {
                let uid = usize::try_from(*uid).expect("few messages");
                history.sent[uid].life = lives[at];
            }
        }
        let record = self.nodes.iter().flatten().next().map(|node| node.gab.config().arbiter);
        let by = match record {
            Some(gab::core::ArbiterKind::Record) => Arbitration::Record,
            Some(gab::core::ArbiterKind::Majority) => Arbitration::Majority,
            Some(gab::core::ArbiterKind::None) | None => Arbitration::None,
        };
        let found = check(&history, by, false);
        self.wrong = found.list().first().map(|v| format!("{}: {}", v.kind, v.text).into());
    }
}

impl Node {
    /// Adds to the hash of what can be seen of this node.
    fn note(&mut self, item: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.trace, item).hash(&mut hasher);
        self.trace = hasher.finish();
    }

    fn digest(&mut self) {
        let mut hasher = DefaultHasher::new();
        self.trace.hash(&mut hasher);
        self.gab.digest(&mut hasher);
        self.digest = hasher.finish();
    }

    /// Takes newly installed views into the history; true if there are any.
    fn observe_views(&mut self, at: Instant) -> bool {
        let known = self.life.views.len();
        let news: Vec<Installed> = self.gab.installed()[known..]
            .iter()
            .map(|(view, base)| Installed { at, view: view.clone(), base: *base })
            .collect();
        for installed in news.iter() {
            self.note(&(3_u8, &installed.view, installed.base));
        }
        let any = !news.is_empty();
        self.life.views.extend(news);
        any
    }

    fn read(&mut self, at: Instant, event: ClientEvent) -> Result<(), String> {
        self.note(&(4_u8, &event));
        let views = self.life.views.len();
        let what = match event {
            ClientEvent::Closed(reason) => What::Closed(reason),
            ClientEvent::Deliver(delivery) => What::Deliver(Read {
                uid: payload::decode(&delivery.payload)?,
                sender: delivery.sender,
                broadcast: delivery.broadcast,
                level: delivery.level,
                generation: delivery.generation,
                sequence: delivery.sequence,
            }),
            ClientEvent::Status(view) => What::Status(view),
            ClientEvent::View(view) => What::View(view),
        };
        let Some(log) = self.life.clients.first_mut() else { return Err("nobody reads".into()) };
        if let What::View(view) = what {
            log.view = Some(view);
        }
        log.entries.push(Entry { at, views, what });
        Ok(())
    }
}

/// The identity of a node: each has one life.
fn id(node: usize) -> Id {
    let node = u8::try_from(node).ok().and_then(NodeId::new).expect("few nodes");
    Id { node, incarnation: Incarnation(1) }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for node in &self.nodes {
            node.as_ref().map(|node| (node.digest, node.life.is_alive())).hash(hasher);
        }
        (&self.net, self.budget, self.wrong.is_some()).hash(hasher);
        let Arbiter { keeper, requests, replies, records } = &*self.arbiter;
        keeper.record().hash(hasher);
        for (node, request) in requests {
            (node, request.ticket, &request.change).hash(hasher);
        }
        for (node, reply) in replies {
            (node, reply.ticket, &reply.record).hash(hasher);
        }
        for (_, record) in records {
            (record.promise, record.vid).hash(hasher);
        }
        for sent in &self.sent {
            sent.is_some().hash(hasher);
        }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let hash = |state: &Self| {
            let mut hasher = DefaultHasher::new();
            state.hash(&mut hasher);
            hasher.finish()
        };
        hash(self) == hash(other)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            let view = node.gab.view().map(|view| view.vid.to_string());
            let (view, alive) = (view.unwrap_or_default(), node.life.is_alive());
            let reads = node.life.clients.iter().flat_map(ClientLog::reads);
            let reads: Vec<_> = reads.map(|(_, read)| (read.sequence, read.uid)).collect();
            writeln!(f, "node {at} alive {alive} view {view} read {reads:?}")?;
        }
        match &self.wrong {
            Some(wrong) => writeln!(f, "wrong: {wrong}"),
            None => Ok(()),
        }
    }
}
