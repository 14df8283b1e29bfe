//! `muster bench`: real daemons, one client process per node, rounds interleaved.
//!
//! [`client`] is the process on each node, `job` what the two say to each other, `side` a cluster
//! with its clients, `idle` what a cluster without clients costs, `report` the figures. Order and
//! completeness are verified in every round, so a figure can only come from a run in which
//! everybody was told the same. What is compared is measured side by side, round by round.

pub mod client;
mod idle;
mod job;
mod report;
mod side;

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

/// Runs the workloads and prints their figures.
///
/// # Errors
/// If the cluster cannot be made, a client fails, or order or completeness is violated.
pub fn run(dir: Option<&Path>, args: &BenchArgs) -> Result<ExitCode> {
    let refused = [(args.peer.is_some(), "--peer"), (args.plot.is_some(), "--plot")];
    if let Some((_, refused)) = refused.iter().find(|(given, _)| *given) {
        return Err(Usage(format!("{refused} is not in this version")).into());
    }
    wait::catch_interrupts()?;
    let network = args.network.network()?;
    let timers = args.timers;
    let options = UpOptions { nodes: args.nodes, timers, network, ..UpOptions::default() };
    let mut sides = vec![(Measured::Ours, up(dir, &options)?)];
    if args.keyed {
        // The folder that was asked for holds the first; this one goes to a temporary one.
        sides.push((Measured::Sealed, up(None, &UpOptions { keyed: true, ..options })?));
    }
    let figures = measure(&mut sides, args);
    sides.into_iter().try_for_each(|(_, side)| side.down())?;
    let figures = figures?;
    // The file first: whoever asked for it may not read the table.
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures.json())? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    output::print(&figures.table())?;
    Ok(ExitCode::SUCCESS)
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
    let mut plans = Vec::new();
    for (_, side) in &*sides {
        let sequencer = control::snapshot(&side.cluster.cluster, 0)?.gab.sequencer;
        plans.push(plan(args, &workloads, sequencer.context("there is no sequencer")?));
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
                let outcomes =
                    side.run(&job).with_context(|| format!("{key:?}, round {}", round + 1))?;
                figures.add(*measured, key, &job, &outcomes)?;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// All that is measured in one round.
fn plan(args: &BenchArgs, workloads: &[Workload], sequencer: u8) -> Vec<(Key, Job)> {
    let sizes = if args.sizes.is_empty() { &[64, 1024][..] } else { &args.sizes };
    let other = (0..args.nodes).rev().find(|id| *id != sequencer).unwrap_or(sequencer);
    let time_ms = u64::try_from(args.time.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    for size in sizes {
        let key = |workload| Key { workload, n: args.nodes, size: *size, level: None, from: None };
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
                Workload::Idle => {}
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
