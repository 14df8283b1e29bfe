//! Profiles: what a run is made of, drawn from its seed.

use core::time::Duration;

use gab::PortName;
use llt::config::Timers;

use crate::chaos::{ChaosPlan, Weights};
use crate::client::Plan;
use crate::cvm::Driver;
use crate::input::OpenFlags;
use crate::net::Faults;
use crate::node::{Clock, Pace};
use crate::rng::{Draw, Seed};
use crate::setup::{LinkSetup, Setup};

/// The named kinds of runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Kind {
    /// The control plane of CVM with shared disks; only a majority goes on.
    Cvm,
    /// One link left, and then perhaps none.
    Jeopardy,
    /// Frozen processes.
    Pause,
    /// Half an hour of a cluster with the timers that it has by default: cables, slow nodes, and now
    /// and then a crash. For memory that grows.
    Long,
    /// Only a majority goes on: splits, crashes, leaves.
    Quorum,
    /// With the arbitration record, held ports and splits.
    Record,
    /// Many nodes.
    Scale,
    /// A gentle run.
    Smoke,
    /// Splits and their healing.
    Split,
    /// Every probability drawn.
    Swarm,
}

/// Everything a world is built from.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Which kind it was drawn for.
    pub kind: Kind,
    /// The cluster.
    pub setup: Setup,
    /// The network while things go wrong.
    pub faults: Faults,
    /// The network after the last fault.
    pub calm: Faults,
    /// Paths that never take long frames.
    pub narrow: Vec<Narrow>,
    /// What breaks when.
    pub chaos: ChaosPlan,
    /// Mean time between two programs that are killed or hang, while things go wrong.
    pub client_faults: Option<Duration>,
    /// Agents of each node.
    pub agents: Vec<Vec<Plan>>,
    /// Clock of each node.
    pub clocks: Vec<Clock>,
    /// Pace of each node.
    pub paces: Vec<Pace>,
    /// Bytes that a socket buffers.
    pub inbox_bytes_max: usize,
    /// Mean time of an answer of the arbiter.
    pub arbiter_mean: Duration,
    /// How long after the last fault everything must be well again.
    pub liveness: Duration,
}

impl Profile {
    /// Draws a profile of this kind.
    pub fn draw(kind: Kind, seed: Seed, nodes: Option<u8>, mutant: Option<&str>) -> Self {
        if kind == Kind::Long {
            return Self::long(&mut seed.child("long").draw(), nodes.unwrap_or(4), mutant);
        }
        let mut draw = seed.child("profile").draw();
        let drawn = match kind {
            Kind::Scale => u8::try_from(draw.range(32, 40)).expect("at most 40"),
            Kind::Smoke => 3,
            Kind::Cvm => [3, 3, 3, 4, 4, 5][draw.pick(6)],
            Kind::Quorum => [2, 3, 3, 4, 4, 5, 5, 5, 6][draw.pick(9)],
            Kind::Jeopardy
            | Kind::Long
            | Kind::Pause
            | Kind::Record
            | Kind::Split
            | Kind::Swarm => [2, 3, 3, 4, 4, 4, 5, 5, 6][draw.pick(9)],
        };
        let nodes = nodes.unwrap_or(drawn);
        let mut setup = draw_setup(kind, &mut draw, nodes, mutant);
        if kind == Kind::Cvm {
            setup.conn_wait = setup.conn_wait.max(lasting(&setup));
        }
        // Branches of their own: what was drawn before these existed stays what it was.
        let mut queues = seed.child("queues").draw();
        if kind != Kind::Smoke && queues.chance(0.2) {
            setup.clients.receive_queue = [1, 2, 16, 256][queues.pick(4)];
        }
        setup.sealed = kind == Kind::Swarm && seed.child("sealed").draw().chance(0.2);
        let unicast = seed.child("unicast").draw().chance(0.5);
        setup.links.iter_mut().for_each(|link| link.unicast = link.broadcast && unicast);
        let narrow = draw_narrow(kind, &mut seed.child("narrow").draw(), &setup);
        let mut agents = match kind {
            Kind::Cvm => vec![Driver::agents(); usize::from(nodes)],
            _ => draw_agents(kind, &mut draw, &setup),
        };
        let mut supervised = seed.child("supervised").draw();
        let client_faults = (!matches!(kind, Kind::Cvm | Kind::Smoke) && supervised.chance(0.25))
            .then(|| draw_client_faults(&mut supervised, &mut setup, &mut agents));
        let rough =
            matches!(kind, Kind::Cvm | Kind::Quorum | Kind::Swarm | Kind::Record | Kind::Split);
        Self {
            kind,
            faults: draw_faults(kind, &mut draw),
            calm: calm(),
            narrow,
            chaos: draw_chaos(kind, &mut draw),
            client_faults,
            agents,
            clocks: (0..nodes).map(|_| draw_clock(rough, &mut draw)).collect(),
            paces: (0..nodes).map(|_| draw_pace(rough, &mut draw)).collect(),
            inbox_bytes_max: [212_992, 1 << 20, 4 << 20][draw.pick(3)],
            arbiter_mean: Duration::from_millis(draw.range(1, 40)),
            liveness: Duration::from_secs(if kind == Kind::Cvm { 120 } else { 60 }),
            setup,
        }
    }

    /// Everybody says something each second. A node seldom starts anew, so that what it forgets to
    /// forget has time to grow.
    fn long(draw: &mut Draw, nodes: u8, mutant: Option<&str>) -> Self {
        let timers = Timers::default();
        let stable = Duration::from_secs(5);
        let mutant = mutant.map(str::to_owned);
        let stuck = timers.peer_inact;
        let setup = Setup { timers, stable, stuck, mutant, ..Setup::fast(nodes) };
        let talk = |letter, directed, churn| Plan {
            burst_max: 1,
            period: Duration::from_secs(1),
            safe: 0.5,
            directed,
            large: 0.01,
            churn,
            stall: 0.001,
            stall_mean: Duration::from_secs(5),
            ..Plan::watcher(PortName::new(letter).expect("a letter"))
        };
        let agents = vec![vec![talk('G', 0.2, 0.0), talk('h', 0.0, 0.01)]; usize::from(nodes)];
        let faults = Faults { loss: 0.001, dup: 0.001, reorder: 0.001, corrupt: 0.0001, ..calm() };
        Self {
            kind: Kind::Long,
            faults,
            agents,
            chaos: ChaosPlan {
                period: Duration::from_secs(30),
                start: Duration::from_secs(30),
                ..draw_chaos(Kind::Long, draw)
            },
            // A node that came back may have to wait for eight times half a minute.
            liveness: Duration::from_secs(600),
            ..Self::quiet(setup)
        }
        .lasting(Duration::from_secs(1800))
    }

    /// The same with so much time for things to go wrong.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.chaos.length = time;
        self
    }

    /// A quiet cluster for a script: no chaos, no agents, no faults.
    pub fn quiet(setup: Setup) -> Self {
        let nodes = usize::from(setup.nodes);
        Self {
            kind: Kind::Smoke,
            setup,
            faults: calm(),
            calm: calm(),
            narrow: Vec::new(),
            chaos: ChaosPlan { weights: Weights::NONE, ..ChaosPlan::default() },
            client_faults: None,
            agents: vec![Vec::new(); nodes],
            clocks: vec![Clock::default(); nodes],
            paces: vec![Pace::default(); nodes],
            inbox_bytes_max: 1 << 20,
            arbiter_mean: Duration::from_millis(2),
            liveness: Duration::from_secs(30),
        }
    }
}

/// A direction of a link that takes no frames longer than this.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// The link.
    pub link: usize,
    /// Whose frames.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// The longest frame, in bytes.
    pub longest: usize,
}

/// A network without faults.
pub fn calm() -> Faults {
    Faults {
        delay_min: Duration::from_micros(20),
        delay_mean: Duration::from_micros(10),
        ..Faults::default()
    }
}

/// A `conn_wait` as it is to be set (`docs/volumes.md`), or leases are seldom long enough to be renewed.
fn lasting(setup: &Setup) -> u32 {
    let (silent, stable) = (setup.timers.peer_inact.as_millis(), setup.stable.as_millis());
    u32::try_from(silent.div_ceil(stable.max(1))).map_or(12, |least| least.max(12))
}

fn draw_setup(kind: Kind, draw: &mut Draw, nodes: u8, mutant: Option<&str>) -> Setup {
    let mut setup = Setup::fast(nodes);
    setup.mutant = mutant.map(str::to_owned);
    let swarm = kind != Kind::Smoke;
    if swarm {
        let links = [1, 2, 2, 2, 2, 3][draw.pick(6)];
        let broadcast = draw.chance(0.3);
        let link = |draw: &mut Draw| LinkSetup {
            broadcast,
            unicast: false,
            lowpri: false,
            mtu: [576, 1452, 8192, 8192, 65_507][draw.pick(5)],
        };
        setup.links = (0..links).map(|_| link(draw)).collect();
        if links > 1 && draw.chance(0.2) {
            setup.links[links - 1].lowpri = true;
        }
        setup.inline_max = [0, 256, 1024, 1024, 4096][draw.pick(5)];
        setup.flow.window = [16, 64, 256, 256][draw.pick(4)];
        if draw.chance(0.2) {
            // Short of the end of 32 bits, so that the run sees it.
            setup.first_sequence = u32::MAX - u32::try_from(draw.below(3000)).expect("small");
        }
        setup.stable = Duration::from_millis([20, 100, 100, 300][draw.pick(4)]);
        if kind == Kind::Swarm && draw.chance(0.2) {
            setup.seed_count = Some(1 + u32::from(nodes) / 2);
        }
    }
    setup.arbiter = kind == Kind::Record;
    setup.quorum = matches!(kind, Kind::Cvm | Kind::Quorum);
    // A stalled reader must be given up within the run, or nothing after it is tested.
    setup.client_stall = Duration::from_secs(draw.range(1, 6));
    debug_assert_eq!(setup.timers, Timers::fast());
    setup
}

/// Now and then somebody's switch is set up wrongly. Heartbeats get through it.
fn draw_narrow(kind: Kind, draw: &mut Draw, setup: &Setup) -> Vec<Narrow> {
    let mut narrow = Vec::new();
    if kind != Kind::Swarm || !draw.chance(0.15) {
        return narrow;
    }
    let nodes = usize::from(setup.nodes);
    for link in 0..setup.links.len() {
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                if draw.chance(0.3) {
                    narrow.push(Narrow { link, from, to, longest: [1300, 1450][draw.pick(2)] });
                }
            }
        }
    }
    narrow
}

/// Most programs are supervised; all are killed now and then, and those that are supervised hang.
fn draw_client_faults(draw: &mut Draw, setup: &mut Setup, agents: &mut [Vec<Plan>]) -> Duration {
    setup.clients.iofence_ms = [300, 1000][draw.pick(2)];
    let heartbeat_ms = [200, 600, 2000][draw.pick(3)];
    for plan in agents.iter_mut().flatten() {
        plan.options.heartbeat_ms = if draw.chance(0.7) { heartbeat_ms } else { 0 };
    }
    Duration::from_millis(draw.range(100, 3000))
}

fn draw_faults(kind: Kind, draw: &mut Draw) -> Faults {
    let mut faults = calm();
    if kind == Kind::Smoke {
        faults.loss = 0.002;
        return faults;
    }
    faults.delay_mean = Duration::from_micros([10, 50, 200, 1000, 5000][draw.pick(5)]);
    let rate = |draw: &mut Draw, max: f64| if draw.chance(0.5) { draw.unit() * max } else { 0.0 };
    faults.loss = rate(draw, 0.08);
    faults.dup = rate(draw, 0.05);
    faults.reorder = rate(draw, 0.10);
    faults.corrupt = rate(draw, 0.01);
    faults.truncate = rate(draw, 0.005);
    faults.oversize = rate(draw, 0.005);
    faults
}

fn draw_chaos(kind: Kind, draw: &mut Draw) -> ChaosPlan {
    let mut weights = weights_of(kind);
    if matches!(kind, Kind::Cvm | Kind::Swarm) {
        weights.scramble(draw);
    }
    // Nothing is ever committed where something breaks all the time.
    let period = if kind == Kind::Cvm { (400, 6000) } else { (80, 1500) };
    ChaosPlan {
        weights,
        period: Duration::from_millis(draw.range(period.0, period.1)),
        start: Duration::from_millis(draw.range(0, 2500)),
        length: Duration::from_millis(match kind {
            Kind::Smoke => 1500,
            Kind::Scale => 4000,
            Kind::Cvm => draw.range(8000, 20_000),
            Kind::Jeopardy
            | Kind::Long
            | Kind::Pause
            | Kind::Quorum
            | Kind::Record
            | Kind::Split
            | Kind::Swarm => draw.range(3000, 9000),
        }),
    }
}

/// What happens how often.
fn weights_of(kind: Kind) -> Weights {
    match kind {
        Kind::Cvm => Weights {
            crash: 20,
            link_cut: 5,
            one_way: 3,
            pair_cut: 5,
            partition: 15,
            pause: 30,
            quick: 10,
            slow: 3,
            heal: 40,
            ..Weights::NONE
        },
        Kind::Jeopardy => {
            Weights { last_link: 40, link_cut: 40, mute: 10, crash: 5, heal: 30, ..Weights::NONE }
        }
        Kind::Pause => Weights { pause: 60, slow: 10, crash: 5, heal: 10, ..Weights::NONE },
        Kind::Quorum => Weights {
            crash: 15,
            leave: 10,
            one_way: 5,
            pair_cut: 15,
            partition: 40,
            pause: 5,
            quick: 5,
            heal: 30,
            ..Weights::NONE
        },
        Kind::Record => Weights {
            crash: 15,
            quick: 5,
            partition: 30,
            pause: 10,
            one_way: 5,
            heal: 30,
            ..Weights::NONE
        },
        Kind::Long => Weights {
            link_cut: 40,
            lossy: 5,
            slow: 10,
            clog: 10,
            mute: 5,
            pause: 5,
            crash: 1,
            leave: 1,
            partition: 1,
            heal: 60,
            ..Weights::NONE
        },
        Kind::Scale => Weights { crash: 10, quick: 5, partition: 3, heal: 10, ..Weights::NONE },
        Kind::Smoke => Weights { crash: 10, ..Weights::NONE },
        Kind::Split => {
            Weights { partition: 40, one_way: 15, pair_cut: 15, heal: 30, ..Weights::NONE }
        }
        Kind::Swarm => Weights::all(10),
    }
}

fn draw_clock(rough: bool, draw: &mut Draw) -> Clock {
    let mut clock = Clock::default();
    if rough && draw.chance(0.3) {
        clock.rate_ppm = u32::try_from(draw.range(900_000, 1_100_000)).expect("seven digits");
    }
    // Uptimes: just booted, days, and just before milliseconds leave 32 bits.
    clock.offset_ns = [1_000_000_000, 86_400_000_000_000, 4_294_964_296_000_000][draw.pick(3)];
    clock
}

fn draw_pace(rough: bool, draw: &mut Draw) -> Pace {
    let mut pace = Pace::default();
    if rough && draw.chance(0.2) {
        pace.latency = Duration::from_micros(draw.range(100, 8000));
        pace.per_frame = Duration::from_micros(draw.range(5, 40));
    }
    pace
}

fn draw_agents(kind: Kind, draw: &mut Draw, setup: &Setup) -> Vec<Vec<Plan>> {
    let letters: &[char] =
        if setup.arbiter { &['d', 'f', 'h', 'w', 'G'] } else { &['G', 'h', 'K'] };
    let ports = 1 + draw.pick(letters.len().min(3));
    let mut per_port = Vec::new();
    for index in 0..ports {
        let letter = letters[(index + draw.pick(letters.len())) % letters.len()];
        if per_port.iter().all(|plan: &Plan| plan.port.letter() != letter) {
            per_port.push(draw_plan(kind, draw, letter, setup.nodes));
        }
    }
    (0..setup.nodes)
        .map(|_| {
            let mut plans = Vec::new();
            for plan in &per_port {
                if !draw.chance(if kind == Kind::Smoke { 1.0 } else { 0.85 }) {
                    continue;
                }
                plans.push(*plan);
                if plan.options.shared && draw.chance(0.4) {
                    plans.push(Plan { burst_max: plan.burst_max / 2, ..*plan });
                }
            }
            plans
        })
        .collect()
}

fn draw_plan(kind: Kind, draw: &mut Draw, letter: char, nodes: u8) -> Plan {
    let port = PortName::new(letter).expect("a letter");
    let mut plan = Plan::watcher(port);
    plan.burst_max = draw.range(1, 4);
    plan.safe = [0.0, 0.5, 0.5, 1.0][draw.pick(4)];
    plan.period = Duration::from_millis(draw.range(10, 80) * (1 + u64::from(nodes) / 16));
    if kind == Kind::Smoke {
        plan.safe = 0.5;
        plan.directed = 0.1;
        return plan;
    }
    plan.options = OpenFlags {
        ack: draw.chance(0.3),
        heartbeat_ms: 0,
        kernel: draw.chance(0.1),
        shared: draw.chance(0.3),
        status: draw.chance(0.3),
    };
    plan.directed = if draw.chance(0.5) { draw.unit() * 0.4 } else { 0.0 };
    plan.large = if draw.chance(0.3) { draw.unit() * 0.1 } else { 0.0 };
    plan.churn = if draw.chance(0.5) { draw.unit() * 0.05 } else { 0.0 };
    plan.stall = if draw.chance(0.3) { draw.unit() * 0.03 } else { 0.0 };
    plan.stall_mean = Duration::from_millis(draw.range(10, 2000));
    plan
}
