//! The workload `idle`: what each daemon of a cluster costs that has nothing to do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gab::snapshot::LinkSnapshot;
use llt::Instant;

use super::super::cluster::Cluster;
use super::super::{control, wait};
use super::report::Cost;

/// What one daemon has sent and received so far.
struct Traffic {
    at: Instant,
    frames: u64,
    bytes: u64,
    /// Generation of port a.
    generation: u64,
}

/// What one daemon has used of the processors so far.
struct Usage {
    at: Instant,
    cpu: Duration,
}

/// The CPU clock of some systems has steps of a hundredth of a second: less time than this shows
/// nothing.
const TIME_MIN: Duration = Duration::from_secs(2);

/// One round: `time` without a client, and without a question to a daemon between the looks at its CPU
/// clock. The figures are given to `add` daemon by daemon.
///
/// # Errors
/// If a daemon ends, or the membership changes: then they were not idle.
pub(super) fn measure(
    cluster: &Cluster,
    time: Duration,
    add: &mut dyn FnMut(Cost, f64),
) -> Result<()> {
    // Between the looks at the CPU clocks no daemon is asked anything.
    let sent = read_all(cluster, traffic)?;
    let spent = read_all(cluster, usage)?;
    let end = wait::now() + time.max(TIME_MIN);
    while wait::now() < end {
        wait::check_interrupt()?;
        wait::pause(end.since(wait::now()).min(Duration::from_millis(200)));
    }
    let used = read_all(cluster, usage)?;
    let passed = read_all(cluster, traffic)?;
    for ((id, before), after) in cluster.ids().zip(&spent).zip(&used) {
        let seconds = after.at.since(before.at).as_secs_f64();
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        add(Cost::Cpu, cpu / seconds * 100.0);
        let resident = cluster.node(id).gabd.and_then(|gabd| gabd.resident_bytes());
        let name = &cluster.node(id).name;
        let resident = resident.with_context(|| format!("gabd of {name} ended"))?;
        add(Cost::Memory, figure(resident) / figure(1 << 20));
    }
    for ((id, before), after) in cluster.ids().zip(&sent).zip(&passed) {
        let name = &cluster.node(id).name;
        ensure!(before.generation == after.generation, "{name}: the membership changed meanwhile");
        let seconds = after.at.since(before.at).as_secs_f64();
        add(Cost::Frames, per_second(before.frames, after.frames, seconds));
        add(Cost::Bytes, per_second(before.bytes, after.bytes, seconds));
    }
    Ok(())
}

fn read_all<T>(cluster: &Cluster, read: fn(&Cluster, u8) -> Result<T>) -> Result<Vec<T>> {
    cluster.ids().map(|id| read(cluster, id)).collect()
}

fn traffic(cluster: &Cluster, id: u8) -> Result<Traffic> {
    let name = &cluster.node(id).name;
    let snapshot = control::snapshot(cluster, id)?;
    let port = snapshot.gab.ports.iter().find(|port| port.port == "a");
    let generation = port.with_context(|| format!("{name}: port a has no membership"))?.generation;
    let sum = |count: fn(&LinkSnapshot) -> u64| snapshot.llt.links.iter().map(count).sum();
    Ok(Traffic {
        at: wait::now(),
        frames: sum(|link| link.tx_packets + link.rx_packets),
        bytes: sum(|link| link.tx_bytes + link.rx_bytes),
        generation,
    })
}

fn usage(cluster: &Cluster, id: u8) -> Result<Usage> {
    let cpu = cluster.node(id).gabd.and_then(|gabd| gabd.cpu_time());
    let what = || format!("the CPU time of {} cannot be read", cluster.node(id).name);
    Ok(Usage { at: wait::now(), cpu: cpu.with_context(what)? })
}

fn per_second(before: u64, after: u64, seconds: f64) -> f64 {
    figure(after.saturating_sub(before)) / seconds
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn figure(value: u64) -> f64 {
    value as f64
}
