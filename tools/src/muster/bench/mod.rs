//! `muster bench`: real daemons, one client process per node, rounds interleaved.
//!
//! [`client`] is the process on each node, `job` what the two say to each other, `side` a cluster
//! with its clients, `idle` what a cluster without clients costs, `changes` what happens when nodes
//! go and come, seen by `watch`; `p2p` is the client's part between two nodes, `memory` what a flood
//! takes, `report` the figures, `plot` draws them. Order and completeness are verified in every
//! round, so a figure can only come from a run in which everybody was told the same. What is compared
//! is measured side by side, round by round.

mod changes;
pub mod client;
mod idle;
mod job;
mod memory;
mod p2p;
mod plot;
mod report;
mod side;
mod watch;

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
use job::{Job, Send};
use report::{Figures, Key, Measured};
use side::Side;
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
    let refused = [(args.peer.is_some(), "--peer")];
    if let Some((_, refused)) = refused.iter().find(|(given, _)| *given) {
        return Err(Usage(format!("{refused} is not in this version")).into());
    }
    if args.nodes.contains(&1) && args.named().iter().any(|named| named.needs_others()) {
        let text = "p2p, detect, join, leave and scale take two nodes at least: -n 2";
        return Err(Usage(text.into()).into());
    }
    wait::catch_interrupts()?;
    let mut figures: Option<Figures> = None;
    for n in &args.nodes {
        let new = run_cluster(dir, args, *n).with_context(|| format!("of {n} nodes"))?;
        match &mut figures {
            Some(figures) => figures.absorb(new),
            None => figures = Some(new),
        }
    }
    let figures = figures.context("there is one number of nodes at least")?;
    // The files first: whoever asked for them may not read the table.
    let lines = serde_json::to_value(figures.json())?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures.json())? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(folder) = &args.plot {
        plot::draw(&plot::understand(lines)?, folder)?;
    }
    output::print(&figures.table())?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a cluster, measures it, and takes it down.
fn run_cluster(dir: Option<&Path>, args: &BenchArgs, nodes: u8) -> Result<Figures> {
    let network = args.network.network()?;
    let timers = args.timers;
    let options = UpOptions { nodes, timers, network, ..UpOptions::default() };
    let mut sides = vec![(Measured::Ours, up(dir, &options)?)];
    if args.keyed {
        // The folder that was asked for holds the first; this one goes to a temporary one.
        sides.push((Measured::Sealed, up(None, &UpOptions { keyed: true, ..options })?));
    }
    let figures = measure(&mut sides, args);
    sides.into_iter().try_for_each(|(_, side)| side.down())?;
    figures
}

fn up(dir: Option<&Path>, options: &UpOptions) -> Result<Side> {
    let cluster = match dir {
        Some(dir) => Temporary::up_in(dir, options)?,
        None => Temporary::up(options)?,
    };
    Ok(Side::new(cluster))
}

fn measure(sides: &mut [(Measured, Side)], args: &BenchArgs) -> Result<Figures> {
    let (_, first) = sides.first().context("there is one cluster at least")?;
    let mut figures = Figures::new(&first.cluster.cluster);
    let workloads = args.chosen();
    // Before there are clients.
    if workloads.contains(&Workload::Idle) {
        for _ in 0..args.rounds {
            for (measured, side) in &*sides {
                idle::measure(&side.cluster.cluster, args.time, &mut |cost, value| {
                    figures.add_cost(*measured, cost, value);
                })?;
            }
        }
    }
    measure_changes(sides, args, &workloads, &mut figures)?;
    let mut plans = Vec::new();
    for (_, side) in &*sides {
        let n = u8::try_from(side.cluster.cluster.nodes.len())?;
        let sequencer = control::snapshot(&side.cluster.cluster, 0)?.gab.sequencer;
        plans.push(plan(args, n, &workloads, sequencer.context("there is no sequencer")?));
    }
    let steps = plans.first().map_or(0, Vec::len);
    if steps == 0 {
        return Ok(figures);
    }
    sides.iter_mut().try_for_each(|(_, side)| side.start_clients())?;
    let rounds = u64::from(args.rounds) * u64::try_from(steps * sides.len())?;
    let bar = ProgressBar::new(rounds).with_message("rounds");
    for round in 0..args.rounds {
        for step in 0..steps {
            for ((measured, side), plan) in sides.iter_mut().zip(&plans) {
                wait::check_interrupt()?;
                let (key, job) = &plan[step];
                let number = round * u32::try_from(steps)? + u32::try_from(step)?;
                let job = Job { round: number, ..job.clone() };
                memory::begin(side)?;
                let outcomes =
                    side.run(&job).with_context(|| format!("{key:?}, round {}", round + 1))?;
                figures.add(*measured, key, &job, &outcomes)?;
                if job.send.is_flood() {
                    memory::end(side, &mut |cost, value| {
                        figures.add_cost_of(*measured, key, cost, value);
                    })?;
                }
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// Nodes go and come, before there are clients.
fn measure_changes(
    sides: &mut [(Measured, Side)],
    args: &BenchArgs,
    workloads: &[Workload],
    figures: &mut Figures,
) -> Result<()> {
    let steps = changes::plan(workloads, args.network.netns);
    if steps.is_empty() {
        return Ok(());
    }
    let mut watchers = Vec::new();
    for (_, side) in &*sides {
        watchers.push(Watchers::start(&side.cluster.cluster)?);
    }
    let rounds = u64::from(args.rounds) * u64::try_from(steps.len() * sides.len())?;
    let bar = ProgressBar::new(rounds).with_message("changes");
    for round in 0..args.rounds {
        for (workload, cause) in &steps {
            for ((measured, side), watchers) in sides.iter_mut().zip(&watchers) {
                wait::check_interrupt()?;
                let times = changes::measure(&mut side.cluster, watchers, *cause)
                    .with_context(|| format!("round {}", round + 1))?;
                if let Some(workload) = workload {
                    figures.add_times(*measured, *workload, *cause, &times);
                }
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// All that is measured in one round.
fn plan(args: &BenchArgs, n: u8, workloads: &[Workload], sequencer: u8) -> Vec<(Key, Job)> {
    let sizes = if args.sizes.is_empty() { &[64, 1024][..] } else { &args.sizes };
    let other = (0..n).rev().find(|id| *id != sequencer).unwrap_or(sequencer);
    let time_ms = u64::try_from(args.time.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let key = |workload| Key { workload, n, size: *size, level: None, from: None };
        let job = |senders: Vec<u8>, send, time_ms| Job {
            round: 0,
            senders,
            members: n,
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
                    let senders = (0..n).collect();
                    plan.push((key(*workload), job(senders, Send::Flood, time_ms)));
                }
                Workload::Detect | Workload::Idle | Workload::Join | Workload::Leave => {}
                Workload::P2p => {
                    // One node has no other.
                    let Some(to) = (0..n).find(|id| *id != other) else { continue };
                    let send = |flood| Send::To { node: to, flood };
                    plan.push((key(*workload), job(vec![other], send(true), time_ms)));
                    plan.push((key(*workload), job(vec![other], send(false), time_ms / 2)));
                }
                // Whatever sizes are asked for.
                Workload::Scale if index == 0 => {
                    let mut job = job((0..n).collect(), Send::Flood, time_ms);
                    job.size = 64;
                    plan.push((Key { size: 64, ..key(*workload) }, job));
                }
                Workload::Scale => {}
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
