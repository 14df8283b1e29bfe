//! One seed from the first boot to the verdict.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use llt::Instant;

use crate::digest::Recorder;
use crate::invariants::limits::{self, Watch};
use crate::invariants::{self, Violations};
use crate::liveness;
use crate::profile::{Kind, Profile};
use crate::rng::Seed;
use crate::world::{Trace, World, WorldStats};

/// What to run.
#[derive(Clone, Debug)]
pub struct Order {
    /// The root of all draws.
    pub seed: u64,
    /// Which profile.
    pub kind: Kind,
    /// Number of nodes, else drawn.
    pub nodes: Option<u8>,
    /// A rule to break.
    pub mutant: Option<String>,
    /// Whether frames are sealed, else drawn.
    pub sealed: Option<bool>,
    /// How long things go wrong, else as the profile has it.
    pub length: Option<Duration>,
    /// Tell on stderr what happens.
    pub trace: Trace,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What must not happen and did.
    pub violations: Violations,
    /// Hash of everything that reached a stack.
    pub digest: u64,
    /// Messages accepted.
    pub sent: usize,
    /// Messages read.
    pub read: usize,
    /// Different views installed.
    pub views: usize,
    /// What was done to the cluster.
    pub stats: WorldStats,
    /// Frames that arrived.
    pub frames: u64,
    /// Virtual time.
    pub time: Duration,
    /// Virtual time from the last fault to rest; `None` if it never came to rest.
    pub recovery: Option<Duration>,
}

/// Runs one seed. A panic anywhere below is a violation too.
pub fn run(order: &Order, recorder: Option<Recorder>) -> Outcome {
    let seed = Seed(order.seed);
    let mut profile = Profile::draw(order.kind, seed, order.nodes, order.mutant.as_deref());
    profile.setup.sealed = order.sealed.unwrap_or(profile.setup.sealed);
    let length = order.length.unwrap_or(profile.chaos.length);
    let profile = profile.lasting(length);
    if order.kind == Kind::Cvm {
        return crate::cvm::run(order, profile, recorder);
    }
    let mut world = World::new(profile, seed, recorder);
    world.set_trace(order.trace);
    let ran = catch_unwind(AssertUnwindSafe(|| drive(&mut world)));
    let recovery = match &ran {
        Ok(recovery) => *recovery,
        Err(panic) => {
            let now = world.now();
            world.hosts.history.fault(now, "panic", panic_text(panic.as_ref()));
            None
        }
    };
    let mut outcome = verdict(&world, recovery);
    if let Err(error) = world.hosts.finish() {
        outcome.violations.add("record", || format!("the record could not be written: {error}"));
    }
    outcome
}

/// Chaos, healing, rest, probes, rest. The time to rest, if it was reached.
pub fn drive(world: &mut World) -> Option<Duration> {
    let plan = world.profile().chaos;
    let mut watch = Watch::default();
    world.boot_all();
    let end = Instant::ZERO + plan.start + plan.length;
    world.run_while(end, WATCH, |world| {
        watch.look(world);
        false
    });
    world.heal();
    let healed = world.now();
    let deadline = healed + world.profile().liveness;
    if !rest(world, &mut watch, deadline) {
        return None;
    }
    let recovery = world.now().since(healed);
    for agent in world.agents.iter_mut().flatten() {
        agent.probes = (1, 1);
    }
    let deadline = world.now() + world.profile().liveness;
    let rested = rest(world, &mut watch, deadline);
    if rested {
        limits::invariant_ms14_nothing_is_kept_at_rest(world);
    }
    rested.then_some(recovery)
}

fn rest(world: &mut World, watch: &mut Watch, deadline: Instant) -> bool {
    let rested = world.run_while(deadline, LOOK, |world| {
        world.clear_dead_record();
        liveness::unsettled(world).is_none()
    });
    watch.look(world);
    if !rested {
        let why = liveness::unsettled(world).unwrap_or_default();
        let now = world.now();
        world.hosts.history.fault(now, "liveness", why);
    }
    rested
}

/// Judges what has happened in a world so far.
pub fn verdict(world: &World, recovery: Option<Duration>) -> Outcome {
    let history = &world.hosts.history;
    let by = world.hosts.setup().arbitration();
    let views = invariants::Context::new(history, by, false).views.len();
    Outcome {
        violations: invariants::check(history, by, recovery.is_some()),
        digest: world.hosts.digest().value(),
        sent: history.sent.len(),
        read: history.deliveries(),
        views,
        stats: world.stats,
        frames: world.net.stats.carried,
        time: world.now().since(Instant::ZERO),
        recovery,
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of an unknown kind")
        .to_owned()
}

/// How often limits are looked at.
const WATCH: Duration = Duration::from_millis(250);
/// How often the end of the run is looked for.
const LOOK: Duration = Duration::from_millis(50);
