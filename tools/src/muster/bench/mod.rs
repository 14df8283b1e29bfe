//! `muster bench`: real daemons, one client process per node, rounds interleaved.
//!
//! [`client`] is the process on each node, `bus` what it needs of a stack, `job` what it and the
//! bench say to each other, `side` a cluster with its clients, `idle` what a cluster without
//! clients costs, `report` the figures and `table` how people see them. [`corosync`] is the one peer that is
//! measured beside us, [`raw`] what the machine could carry at best. Order and completeness are verified in every round, so a figure can only
//! come from a run in which everybody was told the same. What is compared is measured side by side,
//! round by round.

mod bus;
pub mod client;
mod client_process;
pub mod corosync;
mod idle;
mod job;
pub mod raw;
mod report;
mod side;
mod table;
mod wires;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::cli::{BenchArgs, Workload};
use super::commands::Usage;
use super::temporary::Temporary;
use super::testbed::UpOptions;
use super::{control, wait};
use crate::common::output;
use corosync::{CANDIDATES, Ring};
use job::{Job, Send};
use raw::Raw;
use report::{Figures, Key, Measured};
use side::{Cluster, Side};

/// Runs the workloads and prints their figures.
///
/// # Errors
/// If the cluster cannot be made, a client fails, or order or completeness is violated.
pub fn run(dir: Option<&Path>, args: &BenchArgs) -> Result<ExitCode> {
    if args.plot.is_some() {
        return Err(Usage("--plot is not in this version".into()).into());
    }
    wait::catch_interrupts()?;
    let mut sides = start(dir, args)?;
    let figures = measure(&mut sides, args);
    sides.into_iter().try_for_each(|(_, side)| side.down())?;
    let lines = figures?.json();
    // The file first: whoever asked for it may not read the table.
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&lines)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    output::print(&table::of(&lines))?;
    Ok(ExitCode::SUCCESS)
}

/// All clusters that are measured, ours first.
fn start(dir: Option<&Path>, args: &BenchArgs) -> Result<Vec<(Measured, Side)>> {
    let network = args.network.network()?;
    let timers = args.timers;
    let options = UpOptions { nodes: args.nodes, timers, network, ..UpOptions::default() };
    let mut sides = Vec::new();
    // First what may not be installed.
    if args.peer.is_some() {
        for (index, settings) in CANDIDATES.iter().enumerate() {
            let ring = Ring::up(args.nodes, settings)?;
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

fn measure(sides: &mut Vec<(Measured, Side)>, args: &BenchArgs) -> Result<Figures> {
    let ours = sides.iter().find_map(|(_, side)| match &side.cluster {
        Cluster::Ours(ours) => Some(&ours.cluster),
        Cluster::Corosync(_) => None,
    });
    let mut figures = Figures::new(ours.context("there is one cluster of ours at least")?);
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
    let mut plans = Vec::new();
    for (measured, side) in &*sides {
        let sequencer = match &side.cluster {
            Cluster::Ours(ours) => {
                let snapshot = control::snapshot(&ours.cluster, 0)?;
                snapshot.gab.sequencer.context("there is no sequencer")?
            }
            // All are equal in a ring.
            Cluster::Corosync(_) => 0,
        };
        plans.push((*measured, plan(args, &workloads, sequencer)));
    }
    let steps = plans.first().map_or(0, |(_, plan)| plan.len());
    let raw = workloads.contains(&Workload::Raw);
    let raw = raw.then(|| Raw::new(args.nodes, args.network.network()?)).transpose()?;
    if steps > 0 {
        sides.iter_mut().try_for_each(|(_, side)| side.start_clients())?;
    }
    let rounds = u64::from(args.rounds) * u64::try_from(steps * sides.len())?;
    let bar = ProgressBar::new(rounds).with_message("rounds");
    for round in 0..args.rounds {
        if let Some(raw) = &raw {
            for size in sizes(args) {
                wait::check_interrupt()?;
                raw.measure(*size, args.time, &mut figures)?;
            }
        }
        for step in 0..steps {
            for (measured, plan) in &plans {
                wait::check_interrupt()?;
                let Some(place) = sides.iter().position(|(of, _)| of == measured) else { continue };
                let (key, job) = &plan[step];
                let number = round * u32::try_from(steps)? + u32::try_from(step)?;
                let job = Job { round: number, ..job.clone() };
                let done = sides[place].1.run(&job);
                let done = done.with_context(|| format!("{key:?}, round {}", round + 1));
                match (measured, done) {
                    (_, Ok(done)) => figures.add(*measured, key, &job, &done)?,
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
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}

fn corosyncs(sides: &[(Measured, Side)]) -> usize {
    sides.iter().filter(|(_, side)| matches!(side.cluster, Cluster::Corosync(_))).count()
}

fn sizes(args: &BenchArgs) -> &[u32] {
    if args.sizes.is_empty() { &[64, 1024] } else { &args.sizes }
}

/// All that is measured in one round.
fn plan(args: &BenchArgs, workloads: &[Workload], sequencer: u8) -> Vec<(Key, Job)> {
    let other = (0..args.nodes).rev().find(|id| *id != sequencer).unwrap_or(sequencer);
    let time_ms = u64::try_from(args.time.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    for size in sizes(args) {
        let key = |workload| Key::new(workload, args.nodes, *size);
        let job = |senders: Vec<u8>, send, time_ms| Job {
            round: 0,
            senders,
            members: args.nodes,
            size: *size,
            time_ms,
            send,
        };
        for workload in workloads {
            match workload {
                // From a node that is not the sequencer: the case that most senders are in.
                Workload::Bcast1 => {
                    plan.push((key(*workload), job(vec![other], Send::Flood, time_ms)));
                }
                Workload::BcastAll => {
                    let senders = (0..args.nodes).collect();
                    plan.push((key(*workload), job(senders, Send::Flood, time_ms)));
                }
                Workload::Idle | Workload::Raw => {}
                Workload::Latency => {
                    let mut origins = vec![("sequencer", sequencer), ("other", other)];
                    origins.dedup_by_key(|(_, node)| *node);
                    for (from, node) in origins {
                        for safe in [false, true] {
                            let level = Some(if safe { "safe" } else { "agreed" });
                            let key = Key { level, from: Some(from), ..key(*workload) };
                            // Four of these go into one round.
                            plan.push((key, job(vec![node], Send::One { safe }, time_ms / 2)));
                        }
                    }
                }
            }
        }
    }
    plan
}
