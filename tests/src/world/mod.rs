//! The world: virtual time, the queue of events, and everybody in it.

mod faults;
mod supervised;
mod turn;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use bytes::Bytes;
use gab::core::{ArbiterReply, ArbiterRequest, ClientSignal};
use llt::Instant;

use crate::arbiter::RecordKeeper;
use crate::chaos;
use crate::client::Agent;
use crate::digest::Recorder;
use crate::host::{Applied, Hosts};
use crate::input::Input;
use crate::invariants::wire::Freeze;
use crate::net::Net;
use crate::node::{Process, State};
use crate::profile::Profile;
use crate::rng::{Draw, Seed};

/// A cluster in virtual time.
pub struct World {
    now: Instant,
    order: u64,
    queue: BinaryHeap<Reverse<Event>>,
    /// The stacks and what happened to them.
    pub hosts: Hosts,
    /// The network.
    pub net: Net,
    processes: Vec<Process>,
    /// Agents of each node.
    pub agents: Vec<Vec<Agent>>,
    /// The arbitration record.
    pub keeper: RecordKeeper,
    profile: Profile,
    seed: Seed,
    arbiter: Draw,
    chaos: Draw,
    client_faults: Draw,
    /// Whether a card knows that its cable was pulled.
    cables: Draw,
    /// Agents send, close and stall; else they only keep themselves alive.
    pub busy: bool,
    /// What a node's questions to the arbiter take on top.
    arbiter_delay: Vec<Duration>,
    /// Numbers clients over the whole run.
    next_client: u32,
    filter: Option<Filter>,
    held: Vec<Held>,
    /// What was done to the cluster.
    pub stats: WorldStats,
    /// Signals to processes of clients: when, at which node, which.
    pub signals: Vec<(Instant, usize, ClientSignal)>,
    trace: Trace,
    /// What frozen nodes reported (MS12).
    freeze: Freeze,
}

/// How much is told on stderr.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Trace {
    /// Nothing.
    #[default]
    Silent,
    /// Faults, views, memberships, what GAB says.
    Events,
    /// Every message of GAB that leaves a node, too.
    Messages,
}

/// Decides about a frame that is about to leave a node.
pub type Filter = Box<dyn FnMut(&Packet<'_>) -> Verdict>;

/// A frame that is about to leave a node, one copy per receiver.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// World time.
    pub at: Instant,
    /// On which link.
    pub link: usize,
    /// Who sends it.
    pub from: usize,
    /// Who would receive it.
    pub to: usize,
    /// The frame.
    pub frame: &'a Bytes,
}

/// What becomes of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It enters the network so many times.
    Copies(u8),
    /// It is lost.
    Drop,
    /// It waits until [`World::release_held`].
    Hold,
    /// It enters the network.
    Pass,
    /// This enters the network instead.
    Replace(Bytes),
}

/// Counts of what was done to the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorldStats {
    /// Processes killed.
    pub crashes: u64,
    /// Stacks thrown out by the others.
    pub ejections: u64,
    /// Stacks that halted themselves for want of a majority.
    pub halts: u64,
    /// Clean leaves begun.
    pub leaves: u64,
    /// Splits of all nodes into groups.
    pub partitions: u64,
    /// Processes stopped.
    pub pauses: u64,
    /// Faults of all kinds.
    pub strikes: u64,
    /// Turns of all nodes.
    pub turns: u64,
}

/// Something that will happen.
#[derive(Debug)]
struct Event {
    at: Instant,
    order: u64,
    what: Happening,
}

/// What will happen.
#[derive(Debug)]
enum Happening {
    /// An agent may want to act.
    Agent { node: usize, agent: usize },
    /// The arbiter answers a life of a node.
    Answer { node: usize, life: usize, reply: ArbiterReply },
    /// The arbiter gets a question.
    Ask { node: usize, life: usize, request: ArbiterRequest },
    /// A frame reaches a socket.
    Arrive { node: usize, link: usize, from: u8, frame: Bytes },
    /// The next fault.
    Chaos,
    /// The next program that is killed or hangs.
    ClientFault,
    /// The process of a client is gone.
    ClientGone { node: usize, life: usize, client: u32, killed: bool },
    /// A process that is down, or cannot leave, starts again; not if it did in between.
    Restart { node: usize, incarnation: u64 },
    /// A stopped process goes on.
    Resume { node: usize },
    /// The reactor of a node has something to do.
    Turn { node: usize },
}

/// A frame that the filter holds.
#[derive(Debug)]
struct Held {
    link: usize,
    from: usize,
    to: usize,
    frame: Bytes,
}

/// The network of a profile.
fn network(profile: &Profile, seed: Seed) -> Net {
    let nodes = usize::from(profile.setup.nodes);
    let links = profile.setup.links.len();
    let mut net = Net::new(seed.child("net"), links, nodes, profile.faults);
    for narrow in &profile.narrow {
        net.set_longest(narrow.link, narrow.from, narrow.to, narrow.longest);
    }
    net
}

impl World {
    /// A world in which nobody runs yet; [`World::boot_all`] starts them.
    pub fn new(profile: Profile, seed: Seed, recorder: Option<Recorder>) -> Self {
        let nodes = usize::from(profile.setup.nodes);
        let links = profile.setup.links.len();
        let process = |node: usize| {
            Process::new(
                links,
                profile.inbox_bytes_max,
                profile.clocks[node],
                profile.paces[node],
                seed.child("node").index(node as u64).draw(),
            )
        };
        let agents = profile.agents.iter().zip(0u64..).map(|(plans, node)| {
            let seed = seed.child("agent").index(node);
            let agent = |(plan, index)| Agent::new(plan, seed.index(index).draw());
            plans.iter().copied().zip(0u64..).map(agent).collect()
        });
        Self {
            now: Instant::ZERO,
            order: 0,
            queue: BinaryHeap::new(),
            net: network(&profile, seed),
            processes: (0..nodes).map(process).collect(),
            agents: agents.collect(),
            keeper: RecordKeeper::default(),
            hosts: Hosts::new(profile.setup.clone(), recorder),
            arbiter: seed.child("arbiter").draw(),
            chaos: seed.child("chaos").draw(),
            client_faults: seed.child("client faults").draw(),
            cables: seed.child("cables").draw(),
            profile,
            seed,
            busy: true,
            arbiter_delay: vec![Duration::ZERO; nodes],
            next_client: 1,
            filter: None,
            held: Vec::new(),
            stats: WorldStats::default(),
            signals: Vec::new(),
            trace: Trace::Silent,
            freeze: Freeze::default(),
        }
    }

    /// World time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.processes.len()
    }

    /// What the run is made of.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the operating system thinks of a node's process.
    pub fn state(&self, node: usize) -> State {
        self.processes[node].state
    }

    /// The process of a node.
    pub fn process(&self, node: usize) -> &Process {
        &self.processes[node]
    }

    /// Tells on stderr what happens.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// From now on this decides about every frame before it enters the network.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }

    /// Frames that the filter held enter the network now, in their order.
    pub fn release_held(&mut self) {
        for held in core::mem::take(&mut self.held) {
            self.enter(held.link, held.from, held.to, &held.frame);
        }
    }

    /// A frame that nobody sent reaches the socket of `to`, as if from `from`.
    pub fn inject(&mut self, link: usize, from: usize, to: usize, frame: Bytes) {
        let from = u8::try_from(from).expect("at most 128 nodes");
        self.schedule(self.now, Happening::Arrive { node: to, link, from, frame });
    }

    /// The arbiter takes so long to hear each question of this node.
    pub fn set_arbiter_delay(&mut self, node: usize, delay: Duration) {
        self.arbiter_delay[node] = delay;
    }

    /// These test keys are in force at a node that runs.
    pub fn set_keys(&mut self, node: usize, first: u8, second: Option<u8>) {
        self.apply(node, Input::Keys { first, second });
        self.kick(node);
    }

    /// How many frames the filter holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Starts every node, and the chaos if the profile has any.
    pub fn boot_all(&mut self) {
        for node in 0..self.nodes() {
            let after =
                self.processes[node].draw.between(Duration::ZERO, Duration::from_millis(50));
            self.restart_after(node, after);
        }
        let plan = self.profile.chaos;
        if plan.length > Duration::ZERO {
            self.schedule(self.now + plan.start, Happening::Chaos);
            self.schedule(self.now + plan.start, Happening::ClientFault);
        }
    }

    /// Lets time pass until `end`.
    pub fn run_until(&mut self, end: Instant) {
        while self.queue.peek().is_some_and(|Reverse(event)| event.at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until `done` says so, looked at every `every`; false if `end` came first.
    pub fn run_while(
        &mut self,
        end: Instant,
        every: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        while !done(self) {
            if self.now >= end {
                return false;
            }
            self.run_until(end.min(self.now + every));
        }
        true
    }

    /// The next event.
    fn step(&mut self) {
        let Some(Reverse(event)) = self.queue.pop() else { return };
        self.now = self.now.max(event.at);
        match event.what {
            Happening::Agent { node, agent } => self.wake_agent(node, agent),
            Happening::Answer { node, life, reply } => {
                if self.hosts.life(node) == Some(life) && self.state(node) == State::Running {
                    let record = reply.record.map(Into::into);
                    self.apply(node, Input::Arbiter { ticket: reply.ticket, record });
                    self.wake(node);
                } else if self.state(node) == State::Paused {
                    // The answer waits in a socket until the process goes on.
                    let at = self.now + Duration::from_millis(10);
                    self.schedule(at, Happening::Answer { node, life, reply });
                }
            }
            Happening::Ask { node, life, request } => self.ask(node, life, &request),
            Happening::Arrive { node, link, from, frame } => {
                self.processes[node].receive(link, from, frame);
                self.wake(node);
            }
            Happening::Chaos => self.strike(),
            Happening::ClientFault => self.strike_client(),
            Happening::ClientGone { node, life, client, killed } => {
                self.client_gone(node, life, client, killed);
            }
            Happening::Restart { node, incarnation } => self.restart(node, incarnation),
            Happening::Resume { node } => self.resume(node),
            Happening::Turn { node } => {
                let process = &mut self.processes[node];
                // An earlier turn may have been scheduled since: only the latest plan counts.
                if process.turn_at == Some(event.at) {
                    process.turn_at = None;
                    if process.state == State::Running {
                        self.turn(node);
                    }
                }
            }
        }
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse(Event { at, order: self.order, what }));
    }

    /// Something reaches the stack of `node`.
    fn apply(&mut self, node: usize, input: Input) -> Applied {
        let local = self.processes[node].clock.local(self.now);
        self.hosts.apply(self.now, node, local, input)
    }

    /// May things go wrong still?
    fn is_chaotic(&self) -> bool {
        let plan = self.profile.chaos;
        self.busy && self.now <= Instant::ZERO + plan.start + plan.length
    }

    fn strike(&mut self) {
        if !self.is_chaotic() {
            return;
        }
        let plan = self.profile.chaos;
        self.stats.strikes += 1;
        let mut draw = self.chaos.clone();
        chaos::strike(self, plan.weights, &mut draw);
        let at = self.now + draw.exponential(plan.period) + Duration::from_millis(1);
        self.chaos = draw;
        self.schedule(at, Happening::Chaos);
    }

    fn ask(&mut self, node: usize, life: usize, request: &ArbiterRequest) {
        if self.keeper.apply(&request.change) {
            let record = self.keeper.record().cloned().expect("a change leaves a record");
            self.say(|| {
                let (vid, promise) = (record.vid, record.promise);
                format!("record: {vid} of {:?}, promises {promise}", members(&record.members))
            });
            self.hosts.record_changed(self.now, record.into());
        }
        let reply = ArbiterReply { ticket: request.ticket, record: self.keeper.record().cloned() };
        let at = self.now + self.arbiter.exponential(self.profile.arbiter_mean);
        self.schedule(at, Happening::Answer { node, life, reply });
    }

    /// A frame enters the network, one copy for each path.
    fn enter(&mut self, link: usize, from: usize, to: usize, frame: &Bytes) {
        let source = u8::try_from(from).expect("at most 128 nodes");
        for arrival in self.net.carry(self.now, link, from, to, frame) {
            let what = Happening::Arrive { node: to, link, from: source, frame: arrival.frame };
            self.schedule(arrival.at, what);
        }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.trace >= Trace::Events {
            eprintln!("{} {}", self.now, text());
        }
    }
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Event {}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

/// The node ids of identities, for people.
fn members(ids: &[llt::Id]) -> Vec<u8> {
    ids.iter().map(|id| id.node.get()).collect()
}
