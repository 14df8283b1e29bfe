//! A stage for named scenarios: a quiet cluster, hands to break it, and words to say what must be.
//!
//! A scenario builds its situation step by step, asserts that it was reached, lets things take
//! their course and asserts the outcome. [`Stage::conclude`] heals the cluster, waits for rest and
//! judges the whole history by every invariant.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use gab::core::Notice;
use gab::event::CloseReason;
use gab::ids::Vid;
use gab::snapshot::NodeLinkSnapshot;
use gab::wire::{Body, Entry, Message};
use gab::{PortName, View};
use llt::Instant;
use llt::wire::Frame;

use crate::client::{Act, Agent, Plan};
use crate::history::{ClientLog, End, Life, What};
use crate::input::OpenFlags;
use crate::invariants::{self, Arbitration, Violations};
use crate::liveness;
use crate::net::Faults;
use crate::payload::{self, Uid};
use crate::profile::Profile;
use crate::rng::Seed;
use crate::setup::Setup;
use crate::world::{Packet, Trace, Verdict, World};

/// A cluster under a script.
#[derive(Debug)]
pub struct Stage {
    /// The world, for what the stage has no word for.
    pub world: World,
}

/// A client of a scripted cluster: node and position among its agents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Client {
    /// Its node.
    pub node: usize,
    /// Which of the node's agents.
    pub agent: usize,
}

/// A frame that is about to leave a node, with what it says.
#[derive(Debug)]
pub struct Gram<'a> {
    /// Where it comes from and goes to.
    pub packet: Packet<'a>,
    /// GAB's message in it, if it carries a whole one.
    pub message: Option<Message>,
}

impl Stage {
    /// `nodes` nodes on two plain links, formed into one view.
    pub fn formed(nodes: u8) -> Self {
        Self::formed_with(Setup::fast(nodes))
    }

    /// A cluster of this kind, formed into one view.
    pub fn formed_with(setup: Setup) -> Self {
        let mut stage = Self::new(Profile::quiet(setup));
        stage.world.boot_all();
        stage.wait("all nodes form one view", |world| liveness::unsettled(world).is_none());
        stage
    }

    /// A cluster in which nobody runs yet.
    pub fn new(profile: Profile) -> Self {
        let mut world = World::new(profile, Seed(1), None);
        world.busy = false;
        world.set_trace(match std::env::var("SIM_TRACE").as_deref() {
            Ok("2") => Trace::Messages,
            Ok(_) => Trace::Events,
            Err(_) => Trace::Silent,
        });
        Self { world }
    }

    /// World time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, time: Duration) {
        self.world.run_until(self.world.now() + time);
    }

    /// Lets time pass until this holds; fails with `what` after a minute of virtual time.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&World) -> bool) {
        let end = self.world.now() + Duration::from_secs(60);
        if !self.world.run_while(end, STEP, |world| done(world)) {
            let why = liveness::unsettled(&self.world).unwrap_or_default();
            let faults = &self.world.hosts.history.faults;
            panic!("{what}: not within a minute ({why}; {faults:?})");
        }
    }

    /// Registers a client on a node and waits until it is a member.
    #[track_caller]
    pub fn open(&mut self, node: usize, letter: char) -> Client {
        self.open_with(node, letter, OpenFlags::default())
    }

    /// Registers a client with these options and waits until it is a member.
    #[track_caller]
    pub fn open_with(&mut self, node: usize, letter: char, options: OpenFlags) -> Client {
        let client = self.add(node, letter, options);
        self.wait("a client becomes a member", |world| {
            log_of(world, client).is_some_and(|log| log.view.is_some())
        });
        client
    }

    /// Registers a client on every node and waits until each sees all of them.
    #[track_caller]
    pub fn open_all(&mut self, letter: char) -> Vec<Client> {
        let nodes = self.world.nodes();
        let clients: Vec<Client> =
            (0..nodes).map(|node| self.add(node, letter, OpenFlags::default())).collect();
        self.wait("every client sees all of them", |world| {
            clients.iter().all(|client| {
                log_of(world, *client)
                    .and_then(|log| log.view)
                    .is_some_and(|view| view.members.len() == nodes)
            })
        });
        clients
    }

    /// A program that registers by itself, as soon and as often as it can.
    pub fn add(&mut self, node: usize, letter: char, options: OpenFlags) -> Client {
        let port = PortName::new(letter).expect("a letter");
        let plan = Plan { options, period: Duration::from_millis(5), ..Plan::watcher(port) };
        self.add_agent(node, plan)
    }

    /// A program with this plan.
    pub fn add_agent(&mut self, node: usize, plan: Plan) -> Client {
        let agent = self.world.agents[node].len();
        let seed = Seed(2).index(node as u64).index(agent as u64);
        self.world.agents[node].push(Agent::new(plan, seed.draw()));
        self.world.start_agent(node, agent);
        Client { node, agent }
    }

    /// Broadcasts 64 bytes; the message must be accepted.
    #[track_caller]
    pub fn broadcast(&mut self, client: Client, safe: bool) -> Uid {
        self.broadcast_len(client, safe, 64)
    }

    /// Broadcasts so many bytes; the message must be accepted.
    #[track_caller]
    pub fn broadcast_len(&mut self, client: Client, safe: bool, len: usize) -> Uid {
        let uid = self.world.hosts.history.sent.len() as u64;
        let accepted = self.world.act(client.node, client.agent, Act::Broadcast { safe, len });
        assert!(accepted, "{client:?}: a broadcast was refused");
        self.world.kick(client.node);
        uid
    }

    /// Sends 64 bytes to the member with this rank; the message must be accepted.
    #[track_caller]
    pub fn send_to(&mut self, client: Client, rank: usize) -> Uid {
        let uid = self.world.hosts.history.sent.len() as u64;
        let accepted = self.world.act(client.node, client.agent, Act::SendTo { rank, len: 64 });
        assert!(accepted, "{client:?}: a message was refused");
        self.world.kick(client.node);
        uid
    }

    /// The log of a client's latest registration, in whichever life of its node.
    pub fn log(&self, client: Client) -> Option<&ClientLog> {
        log_of(&self.world, client)
    }

    /// What a client has read in its latest registration.
    pub fn reads(&self, client: Client) -> Vec<Uid> {
        reads_of(&self.world, client)
    }

    /// Has it read this message?
    pub fn has_read(&self, client: Client, uid: Uid) -> bool {
        self.reads(client).contains(&uid)
    }

    /// Waits until all of these clients have read all of these messages.
    #[track_caller]
    pub fn wait_read(&mut self, clients: &[Client], uids: &[Uid]) {
        self.wait("clients read the messages", |world| {
            clients.iter().all(|client| {
                let read = reads_of(world, *client);
                uids.iter().all(|uid| read.contains(uid))
            })
        });
    }

    /// The view of a node that runs.
    pub fn view(&self, node: usize) -> Option<&View> {
        self.world.hosts.stack(node).and_then(|stack| stack.gab().view())
    }

    /// The view id of a node, none if it has none.
    pub fn vid(&self, node: usize) -> Vid {
        self.view(node).map_or(Vid::NONE, |view| view.vid)
    }

    /// The latest life of a node.
    pub fn life(&self, node: usize) -> &Life {
        life_of(&self.world, node).expect("the node was started")
    }

    /// Waits until each of these nodes is in a view of exactly all of them.
    #[track_caller]
    pub fn wait_view(&mut self, nodes: &[usize]) {
        let mut want = nodes.to_vec();
        want.sort_unstable();
        self.wait(&format!("nodes {want:?} form a view"), |world| {
            nodes.iter().all(|node| members_at(world, *node) == want)
        });
    }

    /// The views that the latest life of a node has installed, with the node ids of each, sorted.
    pub fn views_at(&self, node: usize) -> Vec<(Vid, Vec<usize>)> {
        let nodes = |view: &View| {
            let mut nodes: Vec<usize> = view.members.iter().map(|id| id.node.index()).collect();
            nodes.sort_unstable();
            nodes
        };
        let views = self.life(node).views.iter();
        views.map(|installed| (installed.view.vid, nodes(&installed.view))).collect()
    }

    /// How many different views were installed by anybody.
    pub fn views(&self) -> usize {
        invariants::Context::new(&self.world.hosts.history, Arbitration::None, false).views.len()
    }

    /// Node ids of the groups of a partition; nodes that are not named are alone.
    pub fn split(&mut self, groups: &[&[usize]]) {
        let side = |node: usize| {
            let group = groups.iter().position(|group| group.contains(&node));
            group.unwrap_or(1000 + node) as u64
        };
        let sides: Vec<u64> = (0..self.world.nodes()).map(side).collect();
        self.world.partition(&sides);
    }

    /// The operator seeds by hand on a node (`gabconfig -x`).
    pub fn seed(&mut self, node: usize) {
        self.world.seed(node);
    }

    /// A node leaves in order, and from the moment it has left nobody hears it any more: its
    /// process starts again by itself, but stays outside until somebody mends its cables.
    #[track_caller]
    pub fn leave(&mut self, node: usize) {
        let leaver = self.life(node).id;
        self.world.leave(node, Duration::from_millis(500));
        self.wait(&format!("node {node} has left"), |world| {
            let life = world.hosts.history.lives.iter().find(|life| life.id == leaver);
            life.is_some_and(|life| life.ended.is_some_and(|(_, end)| end == End::Left))
        });
        self.world.cut_node(node, None, true);
    }

    /// A caught frame reaches the socket that it was meant for once more.
    pub fn replay(&mut self, caught: &Caught) {
        self.world.inject(caught.link, caught.from, caught.to, caught.frame.clone());
    }

    /// From now on this decides about every frame; it sees what GAB says in it.
    pub fn filter(&mut self, mut decide: impl FnMut(&Gram<'_>) -> Verdict + 'static) {
        self.world.set_filter(Some(Box::new(move |packet| {
            let message = message_of(packet.frame);
            decide(&Gram { packet: *packet, message })
        })));
    }

    /// No filter any more; what it held is lost.
    pub fn unfilter(&mut self) {
        self.world.set_filter(None);
    }

    /// The network has these faults from now on.
    pub fn faults(&mut self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.world.net.faults();
        change(&mut faults);
        self.world.net.set_faults(faults);
    }

    /// Did a life of this node say this?
    pub fn noticed(&self, node: usize, mut is: impl FnMut(&Notice) -> bool) -> bool {
        let lives = self.world.hosts.history.lives.iter();
        lives
            .filter(|life| life.id.node.index() == node)
            .flat_map(|life| &life.notices)
            .any(|(_, notice)| is(notice))
    }

    /// Why the registrations of a client ended, in order.
    pub fn closings(&self, client: Client) -> Vec<CloseReason> {
        let port = self.world.agents[client.node][client.agent].plan.port;
        let lives = self.world.hosts.history.lives.iter();
        lives
            .filter(|life| life.id.node.index() == client.node)
            .flat_map(|life| life.clients.iter().filter(|log| log.port == port))
            .filter_map(|log| match log.entries.last().map(|entry| entry.what) {
                Some(What::Closed(reason)) => Some(reason),
                _ => None,
            })
            .collect()
    }

    /// How the lives of a node ended, in order.
    pub fn ends(&self, node: usize) -> Vec<End> {
        let lives = self.world.hosts.history.lives.iter();
        let lives = lives.filter(|life| life.id.node.index() == node);
        lives.filter_map(|life| life.ended).map(|(_, how)| how).collect()
    }

    /// Judges what has happened so far.
    pub fn judge(&self) -> Violations {
        let by = self.world.hosts.setup().arbitration();
        invariants::check(&self.world.hosts.history, by, false)
    }

    /// Heals everything, waits for rest, sends a message from every client, and judges it all.
    #[track_caller]
    pub fn conclude(self) {
        let violations = self.finish();
        assert!(violations.is_empty(), "{:#?}", violations.list());
    }

    /// As [`Stage::conclude`], for scripts that expect something to be wrong. Not to come to rest
    /// is a violation, too.
    pub fn finish(mut self) -> Violations {
        self.unfilter();
        self.world.heal();
        let mut settled = self.rests();
        for agent in self.world.agents.iter_mut().flatten() {
            agent.probes = (1, 1);
        }
        settled = settled && self.rests();
        let by = self.world.hosts.setup().arbitration();
        invariants::check(&self.world.hosts.history, by, settled)
    }

    fn rests(&mut self) -> bool {
        let end = self.world.now() + Duration::from_secs(60);
        let rested = self.world.run_while(end, STEP, |world| liveness::unsettled(world).is_none());
        if !rested {
            let why = liveness::unsettled(&self.world).unwrap_or_default();
            self.world.hosts.history.fault(end, "liveness", why);
        }
        rested
    }
}

impl Gram<'_> {
    /// Who sends it, and to whom.
    pub fn is_from_to(&self, from: usize, to: usize) -> bool {
        self.packet.from == from && self.packet.to == to
    }

    /// The name of GAB's message, or nothing.
    pub fn kind(&self) -> &'static str {
        self.message.as_ref().map_or("", Message::name)
    }

    /// The view that GAB's message speaks of.
    pub fn vid(&self) -> Vid {
        self.message.as_ref().map_or(Vid::NONE, |message| message.head.vid)
    }

    /// The simulated messages in it: number, and whether the payload is there.
    pub fn uids(&self) -> Vec<(Uid, bool)> {
        let entry = |entry: &Entry| entry.payload.as_deref().and_then(|p| payload::decode(p).ok());
        let list: Vec<&Entry> = match self.message.as_ref().map(|message| &message.body) {
            Some(Body::Ord(ord)) => ord.entries.iter().collect(),
            Some(Body::Retr(list)) => list.slots.iter().map(|(_, entry)| entry).collect(),
            Some(Body::Submit(list)) => list.iter().collect(),
            _ => Vec::new(),
        };
        list.into_iter().filter_map(entry).map(|uid| (uid, true)).collect()
    }

    /// Does it carry this message, payload included?
    pub fn carries(&self, uid: Uid) -> bool {
        self.uids().iter().any(|(other, _)| *other == uid)
    }

    /// Slots that it fills, if it is ORD or RETR.
    pub fn slots(&self) -> Vec<u64> {
        match self.message.as_ref().map(|message| &message.body) {
            Some(Body::Ord(ord)) => (ord.first..).take(ord.entries.len()).collect(),
            Some(Body::Retr(list)) => list.slots.iter().map(|(slot, _)| *slot).collect(),
            _ => Vec::new(),
        }
    }
}

/// GAB's message in a frame, if the frame carries a whole one.
pub fn message_of(frame: &Bytes) -> Option<Message> {
    let frame = crate::setup::plain(frame)?;
    let payload = match Frame::check(&frame).ok()?.body {
        llt::wire::Body::Data(data) if data.first && data.last => data.payload,
        llt::wire::Body::Datagram(datagram) => datagram.payload,
        llt::wire::Body::Ack(_)
        | llt::wire::Body::Bye
        | llt::wire::Body::Data(_)
        | llt::wire::Body::Duplicate(_)
        | llt::wire::Body::Heartbeat(_)
        | llt::wire::Body::Probe(_)
        | llt::wire::Body::Request => return None,
    };
    Message::decode(payload).ok()
}

/// A note that a filter writes and the script reads.
#[derive(Clone, Debug, Default)]
pub struct Note(Rc<RefCell<Vec<String>>>);

impl Note {
    /// Writes a line.
    pub fn write(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    /// How many lines say this.
    pub fn count(&self, line: &str) -> usize {
        self.0.borrow().iter().filter(|other| *other == line).count()
    }

    /// Does any line begin like this?
    pub fn says_like(&self, start: &str) -> bool {
        self.0.borrow().iter().any(|line| line.starts_with(start))
    }

    /// Does any line say this?
    pub fn says(&self, line: &str) -> bool {
        self.count(line) > 0
    }
}

/// Frames that a filter caught and the script reads.
#[derive(Clone, Debug, Default)]
pub struct Catch(Rc<RefCell<Vec<Caught>>>);

/// A frame that left a node.
#[derive(Clone, Debug)]
pub struct Caught {
    /// On which link.
    pub link: usize,
    /// Who sent it.
    pub from: usize,
    /// Who would receive it.
    pub to: usize,
    /// The name of GAB's message in it, or nothing.
    pub kind: &'static str,
    /// The frame.
    pub frame: Bytes,
}

impl Catch {
    /// Keeps a copy of the frame.
    pub fn keep(&self, gram: &Gram<'_>) {
        let Packet { link, from, to, frame, .. } = gram.packet;
        let caught = Caught { link, from, to, kind: gram.kind(), frame: frame.clone() };
        self.0.borrow_mut().push(caught);
    }

    /// How many frames of this kind there are.
    pub fn count(&self, kind: &str) -> usize {
        self.0.borrow().iter().filter(|caught| caught.kind == kind).count()
    }

    /// All of them, in their order; the catch is empty then.
    pub fn take(&self) -> Vec<Caught> {
        self.0.take()
    }
}

/// A plain frame with these changes to its bytes, and a checksum that fits them.
pub fn forge(frame: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    /// Where the checksum stands: over everything, itself taken as zero (docs/wire.md).
    const CRC: core::ops::Range<usize> = 44..48;
    let mut bytes = frame.to_vec();
    change(&mut bytes);
    bytes[CRC].fill(0);
    let crc = crc32c::crc32c(&bytes);
    bytes[CRC].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// The node ids of a node's view, sorted; empty if it has none.
pub fn members_at(world: &World, node: usize) -> Vec<usize> {
    let view = world.hosts.stack(node).and_then(|stack| stack.gab().view());
    let mut nodes: Vec<usize> =
        view.into_iter().flat_map(|view| &view.members).map(|id| id.node.index()).collect();
    nodes.sort_unstable();
    nodes
}

/// A link of a node to another one, as the listing of the first shows it.
pub fn link_of(world: &World, node: usize, peer: usize, link: usize) -> NodeLinkSnapshot {
    let nodes = world.hosts.stack(node).map(|stack| stack.snapshot().llt.nodes);
    let mut known = nodes.into_iter().flatten().filter(|other| usize::from(other.node) == peer);
    let links = known.next().map(|other| other.links).unwrap_or_default();
    links.into_iter().nth(link).unwrap_or_default()
}

/// The latest life of a node.
pub fn life_of(world: &World, node: usize) -> Option<&Life> {
    world.hosts.history.lives.iter().rfind(|life| life.id.node.index() == node)
}

/// The log of a client's latest registration.
pub fn log_of(world: &World, client: Client) -> Option<&ClientLog> {
    let agent = &world.agents[client.node][client.agent];
    match agent.client {
        Some(number) => world.hosts.client(client.node, number),
        None => {
            let life = life_of(world, client.node)?;
            life.clients.iter().rfind(|log| log.port == agent.plan.port)
        }
    }
}

fn reads_of(world: &World, client: Client) -> Vec<Uid> {
    log_of(world, client)
        .map(|log| log.reads().map(|(_, read)| read.uid).collect())
        .unwrap_or_default()
}

/// How closely a script watches.
const STEP: Duration = Duration::from_micros(500);
