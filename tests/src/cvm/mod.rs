//! The control plane of CVM on top of the stacks, with shared disks: both cores of every node.
//!
//! | file | what |
//! |---|---|
//! | `driver.rs` | the cluster, and its time: one step after the other |
//! | `turn.rs` | what goes into the cores of a node, and what comes out |
//! | `processes.rs` | vxiod, vxconfigd and gabd of a node start and end, each for itself |
//! | `port.rs` | an agent of [`crate::client`] as a port of CVM |
//! | `plane.rs` | volumes in use: programs, volumes, disks |
//! | `data.rs` | what disks hold, and what programs may read |
//! | `storage.rs` | disks, paths, and writes that take their time |
//! | `workload.rs` | utilities that ask for something, and what they were told |
//! | `plexes.rs` | of these, what becomes of copies and logs |
//! | `chaos.rs` | what breaks besides what [`crate::chaos`] breaks |
//! | `invariants.rs` | what must hold at every moment |
//! | `rest.rs` | what must come true after the last fault |
//!
//! Messages of simulated clients are a number and filling. Those of CVM are that, too, as far as GAB
//! is concerned: the driver keeps a table of what each number stands for. So the history of GAB is
//! judged as in every other run.

mod chaos;
mod data;
mod driver;
mod invariants;
mod node;
mod plane;
mod plexes;
mod port;
mod processes;
mod promises;
mod rest;
mod storage;
mod turn;
mod workload;

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use llt::Instant;

pub use chaos::Chaos;
pub use data::Data;
pub use driver::{Driver, Shape};
pub use invariants::Watch;
pub use node::{Node, Vxiod};
pub use plane::Plane;
pub use port::{Event, Port};
pub use storage::Storage;
pub use workload::{Asked, Effect, init, make, name};

use crate::digest::Recorder;
use crate::profile::Profile;
use crate::rng::Seed;
use crate::run::{Order, Outcome, panic_text, verdict};
use crate::world::World;

/// Runs one seed of the profile `cvm`.
pub fn run(order: &Order, profile: Profile, recorder: Option<Recorder>) -> Outcome {
    let seed = Seed(order.seed);
    let mut world = World::new(profile, seed, recorder);
    world.set_trace(order.trace);
    let mut driver = Driver::new(world, seed, Shape::draw(seed), order.trace);
    let ran = catch_unwind(AssertUnwindSafe(|| drive(&mut driver)));
    let recovery = match &ran {
        Ok(recovery) => *recovery,
        Err(panic) => {
            driver.fault("panic", || panic_text(panic.as_ref()));
            None
        }
    };
    driver.finish(recovery)
}

/// Chaos, healing, rest, and what an administrator does then. The time to rest, if it was reached.
fn drive(driver: &mut Driver) -> Option<Duration> {
    let plan = driver.world.profile().chaos;
    driver.world.boot_all();
    let end = Instant::ZERO + plan.start + plan.length;
    let mut chaos = Chaos::new(driver.shape().seed);
    driver.programs_run = true;
    while driver.world.now() < end {
        driver.step();
        chaos.strike(driver);
        driver.work();
    }
    driver.heal();
    driver.come_to_rest()
}

impl Driver {
    /// Judges the run: the history of GAB, and what was noted about CVM.
    pub fn finish(mut self, recovery: Option<Duration>) -> Outcome {
        self.check_end();
        let mut outcome = verdict(&self.world, recovery);
        outcome.digest ^= self.digest().value().rotate_left(1);
        if let Err(error) = self.world.hosts.finish() {
            let text = || format!("the record could not be written: {error}");
            outcome.violations.add("record", text);
        }
        outcome
    }
}
