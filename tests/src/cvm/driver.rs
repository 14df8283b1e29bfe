//! The cluster and its time. The world goes on by a millisecond, then everybody does what there is to
//! do, in an order that is drawn.

use core::time::Duration;

use gab::PortName;
use gab::core::Mutant;
use llt::{Instant, NodeId};

use super::data::Data;
use super::invariants::Watch;
use super::node::{Answered, Node};
use super::port::Said;
use super::storage::Storage;
use super::workload::{Asked, Effect};
use crate::client::Plan;
use crate::digest::Digest;
use crate::input::OpenFlags;
use crate::node::State;
use crate::profile::Profile;
use crate::rng::{Draw, Seed};
use crate::setup::mutant_by_name;
use crate::world::{Trace, World};
use cvm::core::iod::{LogIo, Write};
use cvm::request::{Reply, Request};
use cvm::sim::{Answer, Ended, Ending, Job, access};

/// What a run is made of besides its profile.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The root of all draws.
    pub seed: Seed,
    /// How many disks there are.
    pub disks: u32,
    /// Mean time between two turns of vxiod and vxconfigd.
    pub latency: Duration,
    /// Mean time between two utilities that ask for something.
    pub period: Duration,
    /// How long disks have to answer.
    pub patience: Option<Duration>,
}

impl Shape {
    /// Of a seed.
    pub fn draw(seed: Seed) -> Self {
        let seed = seed.child("cvm");
        let mut draw = seed.child("shape").draw();
        Self {
            seed,
            disks: u32::try_from(draw.range(4, 6)).expect("a small number"),
            latency: Duration::from_micros([0, 500, 3000][draw.pick(3)]),
            period: Duration::from_millis(draw.range(80, 600)),
            patience: [None, Some(200), Some(800)][draw.pick(3)].map(Duration::from_millis),
        }
    }
}

/// A cluster with shared disks.
#[derive(Debug)]
pub struct Driver {
    /// gabd of every node, and the network.
    pub world: World,
    /// The other processes of every node.
    pub nodes: Vec<Node>,
    /// The disks.
    pub storage: Storage,
    /// What lies on them of volumes, and what programs expect.
    pub data: Data,
    /// Programs open volumes and use them.
    pub programs_run: bool,
    /// A rule of volumes that is broken.
    pub(super) broken: Option<Mutant>,
    /// What must hold.
    pub watch: Watch,
    /// What utilities have asked for, in order.
    pub asked: Vec<Asked>,
    pub(super) said: Said,
    pub(super) draw: Draw,
    pub(super) utilities: Draw,
    pub(super) next_work: Instant,
    pub(super) names: u32,
    pub(super) digest: Digest,
    shape: Shape,
    trace: Trace,
}

impl Driver {
    /// The agents that every node has: its ports of CVM. They do nothing by themselves.
    pub fn agents() -> Vec<Plan> {
        let plan = |letter, kernel| {
            let port = PortName::new(letter).expect("a letter");
            let options = OpenFlags { kernel, ..OpenFlags::default() };
            Plan { options, period: Duration::from_secs(1), ..Plan::watcher(port) }
        };
        vec![plan('v', true), plan('w', false), plan('u', false)]
    }

    /// Around a world with those agents, in which nobody runs yet.
    pub fn new(mut world: World, seed: Seed, shape: Shape, trace: Trace) -> Self {
        for agent in world.agents.iter_mut().flatten() {
            agent.retired = true;
        }
        let seed = seed.child("driver");
        let node = |index: usize| {
            let id = u8::try_from(index).ok().and_then(NodeId::new).expect("at most 128 nodes");
            Node::new(index, id, shape.latency)
        };
        let broken = world.profile().setup.mutant.as_deref().and_then(mutant_by_name);
        Self {
            nodes: (0..world.nodes()).map(node).collect(),
            world,
            storage: Storage::new(shape.disks, shape.patience, seed.child("disks").draw()),
            data: Data::default(),
            programs_run: false,
            broken,
            watch: Watch::default(),
            asked: Vec::new(),
            said: Said::new(),
            draw: seed.child("turns").draw(),
            utilities: seed.child("utilities").draw(),
            next_work: Instant::ZERO,
            names: 0,
            digest: Digest::default(),
            shape,
            trace,
        }
    }

    /// So many nodes and disks without any faults, and nobody runs yet. Only a majority goes on.
    pub fn quiet(nodes: u8, disks: u32) -> Self {
        let setup = crate::setup::Setup { quorum: true, ..crate::setup::Setup::fast(nodes) };
        let profile =
            Profile { agents: vec![Self::agents(); usize::from(nodes)], ..Profile::quiet(setup) };
        let seed = Seed(1);
        let latency = Duration::from_micros(500);
        let shape = Shape { disks, latency, patience: None, ..Shape::draw(seed) };
        let trace = match std::env::var("SIM_TRACE").as_deref() {
            Ok("2") => Trace::Messages,
            Ok(_) => Trace::Events,
            Err(_) => Trace::Silent,
        };
        let mut world = World::new(profile, seed, None);
        world.set_trace(trace);
        Self::new(world, seed, shape, trace)
    }

    /// As [`Driver::quiet`], and all nodes have joined.
    #[track_caller]
    pub fn formed(nodes: u8, disks: u32) -> Self {
        let mut driver = Self::quiet(nodes, disks);
        driver.world.boot_all();
        driver.wait("all nodes have joined", |driver| driver.unsettled().is_none());
        driver
    }

    /// What the run is made of.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// World time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// What the clock of a node shows.
    pub(super) fn local(&self, node: usize) -> Instant {
        self.world.process(node).clock.local(self.world.now())
    }

    /// The hash of all that reached a core.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Tells on stderr what happens.
    pub(super) fn say(&self, text: impl FnOnce() -> String) {
        if self.trace >= Trace::Events {
            eprintln!("{} {}", self.world.now(), text());
        }
    }

    /// Something that must not be.
    pub fn fault(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        let (now, text) = (self.world.now(), text());
        self.say(|| format!("FAULT {kind}: {text}"));
        self.world.hosts.history.fault(now, kind, text);
    }

    /// A millisecond, and what is to be done after it.
    pub fn step(&mut self) {
        self.world.run_until(self.world.now() + STEP);
        let now = self.world.now();
        self.see_gabds();
        self.see_members();
        let stopped: Vec<bool> = (0..self.nodes.len()).map(|n| self.is_stopped(n)).collect();
        let leases: Vec<bool> = (0..self.nodes.len()).map(|node| self.has_lease(node)).collect();
        let may = |node: NodeId, is_shared: bool| {
            !stopped[node.index()] && (leases[node.index()] || !is_shared)
        };
        for ended in self.storage.step(now, may) {
            self.answered(ended);
        }
        self.disks_step();
        self.start_processes();
        let first = self.draw.pick(self.nodes.len());
        for offset in 0..self.nodes.len() {
            self.turn((first + offset) % self.nodes.len());
        }
        let leases: Vec<bool> = (0..self.nodes.len()).map(|node| self.has_lease(node)).collect();
        self.watch.look_at_disks(now, &self.nodes, &stopped, &leases, &self.storage);
        for (kind, text) in std::mem::take(&mut self.watch.faults) {
            self.fault(kind, || text);
        }
    }

    /// A disk has answered vxiod, or was to.
    pub(super) fn answered(&mut self, ended: Ended) {
        if let Some(text) = written(&ended) {
            self.say(|| format!("node {}: {text}", ended.node));
        }
        let disk = ended.job.disk().clone();
        if matches!(&ended.answer, Answer::Write(_, Ok(())))
            || matches!(
                (&ended.answer, &ended.job),
                (Answer::Log(_, Ok(_)), Job::Log(_, LogIo::Write { .. }))
            )
        {
            // Written and flushed, which all that the disk holds is then.
            self.data.flush_disk(&disk);
        }
        let node = ended.node.index();
        let state = &mut self.nodes[node];
        let owes = match ended.ending {
            Ending::GivenUp => state.debts.give_up(&disk, ended.is_shared),
            Ending::Late => state.debts.answers(&disk, ended.is_shared),
            Ending::InTime => None,
        };
        if owes.is_some() {
            state.ended.push_back(Answered::Hangs(disk));
        }
        if ended.ending != Ending::Late {
            state.ended.push_back(Answered::Job(ended.answer));
        }
    }

    /// All processes of the node stand still.
    pub(super) fn is_stopped(&self, node: usize) -> bool {
        self.world.state(node) == State::Paused
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            self.step();
        }
    }

    /// Lets time pass until this holds; false if `limit` is over first.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.world.now() + limit;
        while !done(self) {
            if self.world.now() >= end {
                return false;
            }
            self.step();
        }
        true
    }

    /// Lets time pass until this holds; fails with `what` after a minute of virtual time.
    #[track_caller]
    pub fn wait(&mut self, what: &str, done: impl FnMut(&Self) -> bool) {
        if !self.until(Duration::from_secs(60), done) {
            let (why, faults) = (self.unsettled(), &self.world.hosts.history.faults);
            panic!("{what}: not within a minute ({why:?}; {faults:?})");
        }
    }

    /// A utility on a node asks for something; its place in [`Driver::asked`]. Its vxconfigd must run.
    pub fn ask(&mut self, node: usize, request: Request, effect: Effect) -> usize {
        self.say(|| format!("node {node}: asked for {request:?}"));
        let at = self.world.now();
        let is_lost = self.nodes[node].configd.is_none();
        self.asked.push(Asked { node, request, effect, id: None, reply: None, is_lost, at });
        let place = self.asked.len() - 1;
        if !is_lost {
            self.nodes[node].to_ask.push_back(place);
        }
        place
    }

    /// The same, and waits for the answer.
    #[track_caller]
    pub fn answer(&mut self, node: usize, request: Request, effect: Effect) -> Reply {
        let place = self.ask(node, request, effect);
        self.wait("an answer", |driver| driver.asked[place].reply.is_some());
        self.asked[place].reply.clone().expect("it was waited for")
    }

    /// The master, as all members have it.
    pub fn master(&self) -> Option<usize> {
        let masters = self.nodes.iter().filter_map(|node| node.member()?.role().master);
        let mut masters = masters.map(|node| node.index());
        let first = masters.next()?;
        masters.all(|master| master == first).then_some(first)
    }
}

/// A write, for people.
fn written(ended: &Ended) -> Option<String> {
    let Job::Write(_, write) = &ended.job else { return None };
    let disk = access(write.disk());
    let what = match write {
        Write::Claim(claim) => {
            let group = claim.member.as_ref().map(|member| &member.group_name);
            format!("claim {} of {group:?} in {:?}", claim.stamp, claim.slot)
        }
        Write::Image(_, image) => {
            format!("image {} of {} in {:?}", image.stamp, image.group.name, image.slot)
        }
    };
    Some(format!("{disk}, {what}: {:?}, {:?}", ended.ending, ended.answer))
}

/// How closely the cores follow the world.
const STEP: Duration = Duration::from_millis(1);
