//! `muster bench`: real daemons, one client process per node, rounds interleaved.
//!
//! [`client`] is the process on each node, `bus` what it needs of a stack, `p2p` its part between two
//! nodes of ours, `job` what it and the bench say to each other. `side` is a cluster with its clients,
//! `plan` what they do, `idle` what a cluster without clients costs, `memory` what a flood takes,
//! `changes` what happens when nodes go and come, seen by `watch`. `report` has the figures, `table`
//! shows them, `plot` draws them. `txn` and `volume` measure CVM, each on a cluster of its own.
//! [`corosync`] is the one peer of messages that is measured beside us, [`raw`] what the machine could
//! carry at best; peers of volumes are in `volume`. Order and completeness are verified in every
//! round, so a figure can only come from a run in which everybody was told the same. What is
//! compared is measured side by side, round by round.

mod bus;
mod changes;
pub mod client;
mod client_process;
pub mod corosync;
mod failover;
mod fio;
mod idle;
mod job;
mod memory;
mod p2p;
mod plan;
mod plot;
pub mod raw;
mod report;
mod side;
mod table;
mod txn;
mod volume;
mod watch;
mod wires;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::cli::{BenchArgs, Peer, Workload};
use super::commands::Usage;
use super::temporary::Temporary;
use super::testbed::UpOptions;
use super::{control, wait};
use crate::common::output;
use changes::Cause;
use corosync::{CANDIDATES, DETECTORS, Ring};
use job::Job;
use plan::Plan;
use raw::Raw;
use report::{Figures, Key, Measured};
use side::{Cluster, Side};
use watch::Watchers;

/// Runs the workloads and prints their figures.
///
/// # Errors
/// If the cluster cannot be made, a client fails, or order or completeness is violated.
pub fn run(dir: Option<&Path>, args: &BenchArgs) -> Result<ExitCode> {
    if let (Some(from), Some(folder)) = (&args.from, &args.plot) {
        plot::draw(&plot::read(from)?, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.nodes.contains(&1) && args.named().iter().any(|named| named.needs_others()) {
        let text = "p2p, detect, join, leave, raw and scale take two nodes at least: -n 2";
        return Err(Usage(text.into()).into());
    }
    if let (Some(Peer::Nbdkit | Peer::QemuNbd), false) =
        (args.peer, args.chosen().contains(&Workload::Volume))
    {
        let text = "nbdkit and qemu-nbd are measured beside volumes: bench volume --peer all";
        return Err(Usage(text.into()).into());
    }
    wait::catch_interrupts()?;
    let mut figures: Option<Figures> = None;
    for n in &args.nodes {
        let new = run_clusters(dir, args, *n).with_context(|| format!("of {n} nodes"))?;
        match &mut figures {
            Some(figures) => figures.absorb(new),
            None => figures = Some(new),
        }
    }
    let lines = figures.context("there is one number of nodes at least")?.json();
    // The files first: whoever asked for them may not read the table.
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&lines)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(folder) = &args.plot {
        plot::draw(&plot::understand(serde_json::to_value(&lines)?)?, folder)?;
    }
    output::print(&table::of(&lines))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the clusters of so many nodes, measures them, and takes them down.
fn run_clusters(dir: Option<&Path>, args: &BenchArgs, nodes: u8) -> Result<Figures> {
    let chosen = args.chosen();
    let is_own = |workload: &Workload| matches!(workload, Workload::Txn | Workload::Volume);
    let mut all: Option<Figures> = None;
    let mut add = |new: Figures| match &mut all {
        Some(all) => all.absorb(new),
        None => all = Some(new),
    };
    if chosen.contains(&Workload::Txn) {
        add(txn::measure(args, nodes)?);
    }
    if chosen.contains(&Workload::Volume) {
        add(volume::measure(dir, args, nodes)?);
    }
    if !chosen.iter().all(is_own) {
        let mut sides = start(dir, args, nodes)?;
        let figures = measure(&mut sides, args, nodes);
        sides.into_iter().try_for_each(|(_, side)| side.down())?;
        add(figures?);
    }
    all.context("there is one workload at least")
}

/// All clusters that are measured, ours first.
fn start(dir: Option<&Path>, args: &BenchArgs, nodes: u8) -> Result<Vec<(Measured, Side)>> {
    let network = args.network.network()?;
    let timers = args.timers;
    let options = UpOptions { nodes, timers, network, ..UpOptions::default() };
    let mut sides = Vec::new();
    // First what may not be installed.
    if args.with_corosync() && args.chosen().iter().any(|chosen| chosen.is_of_peers()) {
        for (index, settings) in CANDIDATES.iter().enumerate() {
            let ring = Ring::up(nodes, settings)?;
            sides.push((Measured::Corosync(index), Side::new(Cluster::Corosync(ring))));
        }
    }
    if args.keyed {
        // The folder that was asked for holds the first; this one goes to a temporary one.
        sides.insert(0, (Measured::Sealed, up(None, &UpOptions { keyed: true, ..options })?));
    }
    sides.insert(0, (Measured::Ours, up(dir, &options)?));
    Ok(sides)
}

fn up(dir: Option<&Path>, options: &UpOptions) -> Result<Side> {
    let cluster = match dir {
        Some(dir) => Temporary::up_in(dir, options)?,
        None => Temporary::up(options)?,
    };
    Ok(Side::new(Cluster::Ours(Box::new(cluster))))
}

fn measure(sides: &mut Vec<(Measured, Side)>, args: &BenchArgs, nodes: u8) -> Result<Figures> {
    let ours = sides.iter().find_map(|(_, side)| side.cluster.ours());
    let mut figures = Figures::new(&ours.context("there is one cluster of ours at least")?.cluster);
    let workloads = args.chosen();
    // Before there are clients.
    if workloads.contains(&Workload::Idle) {
        for _ in 0..args.rounds {
            for (measured, side) in &*sides {
                idle::measure(&side.cluster, args.time, &mut |cost, value| {
                    figures.add_cost(*measured, cost, value);
                })?;
            }
        }
    }
    measure_changes(sides, args, nodes, &workloads, &mut figures)?;
    measure_messages(sides, args, nodes, &workloads, &mut figures)?;
    Ok(figures)
}

/// Nodes of our clusters go and come, before there are clients.
fn measure_changes(
    sides: &mut [(Measured, Side)],
    args: &BenchArgs,
    nodes: u8,
    workloads: &[Workload],
    figures: &mut Figures,
) -> Result<()> {
    let steps = changes::plan(workloads, args.network.netns);
    if steps.is_empty() {
        return Ok(());
    }
    let mut watched = Vec::new();
    for (measured, side) in sides {
        if let Cluster::Ours(ours) = &mut side.cluster {
            let watchers = Watchers::start(&ours.cluster)?;
            watched.push((*measured, ours, watchers));
        }
    }
    let rounds = u64::from(args.rounds) * u64::try_from(steps.len() * watched.len())?;
    let bar = ProgressBar::new(rounds).with_message("changes");
    for round in 0..args.rounds {
        for (workload, cause) in &steps {
            for (measured, ours, watchers) in &mut watched {
                wait::check_interrupt()?;
                let times = changes::measure(ours, watchers, *cause)
                    .with_context(|| format!("round {}", round + 1))?;
                if let Some(workload) = workload {
                    figures.add_times(*measured, *workload, *cause, &times);
                }
                bar.inc(1);
            }
        }
        if args.with_corosync() && workloads.contains(&Workload::Detect) {
            for (index, settings) in DETECTORS.iter().enumerate() {
                wait::check_interrupt()?;
                let times = corosync::detect::measure(nodes, settings)
                    .with_context(|| format!("{}, round {}", settings.name, round + 1))?;
                let of = Measured::Detector(index);
                figures.add_times(of, Workload::Detect, Cause::Kill, &times);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What each cluster's clients do in one round.
fn plans(
    sides: &[(Measured, Side)],
    args: &BenchArgs,
    nodes: u8,
    workloads: &[Workload],
) -> Result<Vec<(Measured, Plan)>> {
    let mut plans = Vec::new();
    for (measured, side) in sides {
        let sequencer = match &side.cluster {
            Cluster::Ours(ours) => {
                let snapshot = control::snapshot(&ours.cluster, 0)?;
                snapshot.gab.sequencer.context("there is no sequencer")?
            }
            // All are equal in a ring.
            Cluster::Corosync(_) => 0,
        };
        plans.push((*measured, plan::of(args, nodes, workloads, sequencer)));
    }
    Ok(plans)
}

/// Clients send and receive, and between that it is measured what the machine could carry.
fn measure_messages(
    sides: &mut Vec<(Measured, Side)>,
    args: &BenchArgs,
    nodes: u8,
    workloads: &[Workload],
    figures: &mut Figures,
) -> Result<()> {
    let plans = plans(sides, args, nodes, workloads)?;
    let steps = plans.first().map_or(0, |(_, plan)| plan.len());
    let raw = workloads.contains(&Workload::Raw);
    let raw = raw.then(|| Raw::new(nodes, args.network.network()?)).transpose()?;
    if steps > 0 {
        sides.iter_mut().try_for_each(|(_, side)| side.start_clients())?;
    }
    let rounds = u64::from(args.rounds) * u64::try_from(steps * sides.len())?;
    let bar = ProgressBar::new(rounds).with_message("rounds");
    for round in 0..args.rounds {
        if let Some(raw) = &raw {
            for size in plan::sizes(args) {
                wait::check_interrupt()?;
                raw.measure(*size, args.time, figures)?;
            }
        }
        for step in 0..steps {
            for (measured, plan) in &plans {
                wait::check_interrupt()?;
                bar.inc(1);
                let Some(place) = sides.iter().position(|(of, _)| of == measured) else { continue };
                let (key, job) = &plan[step];
                let side = &mut sides[place].1;
                if !side.can(job.send) {
                    continue;
                }
                let number = round * u32::try_from(steps)? + u32::try_from(step)?;
                let job = Job { round: number, ..job.clone() };
                let done = one(*measured, side, key, &job, figures);
                let done = done.with_context(|| format!("{key:?}, round {}", round + 1));
                match (measured, done) {
                    (_, Ok(())) => {}
                    // A ring that breaks under load is no reason to do without the others.
                    (Measured::Corosync(index), Err(error)) if corosyncs(sides) > 1 => {
                        wait::check_interrupt()?;
                        let name = CANDIDATES[*index].name;
                        eprintln!("muster: goes on without corosync ({name}): {error:#}");
                        figures.forget(*measured);
                        sides.remove(place).1.down()?;
                    }
                    (_, Err(error)) => return Err(error),
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// One round of one workload on one cluster.
fn one(of: Measured, side: &mut Side, key: &Key, job: &Job, figures: &mut Figures) -> Result<()> {
    memory::begin(side)?;
    let round = side.run(job)?;
    figures.add(of, key, job, &round)?;
    if job.send.is_flood() {
        memory::end(side, &mut |cost, value| figures.add_cost_of(of, key, cost, value))?;
    }
    Ok(())
}

fn corosyncs(sides: &[(Measured, Side)]) -> usize {
    sides.iter().filter(|(_, side)| side.cluster.ours().is_none()).count()
}
