//! A part of the workload `txn`: what the loss of the master, which writes a volume, costs those who write it
//! too, and how long it takes to copy what it has left dirty.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cvm::model::{Volume, VolumeState};

use super::super::cli::Workload;
use super::super::cluster::Cluster;
use super::super::temporary::Temporary;
use super::super::{programs, volumes, wait};
use super::fio::{self, Access, Fio, Place, Run};
use super::report::{Figures, Key};

/// Regions of 1 MiB that are dirty when the master dies.
const DIRTY: usize = 64;
const MIB: u64 = 1 << 20;
const VOLUME: &str = "mirror";
/// Longer than it takes to miss a node and to go on without it, with any timers that are of use here.
const LOAD: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(120);

/// Kills the master, which writes a mirrored volume with a log as another node does, and times what follows. The group
/// is there and has no such volume. Who was killed, and the other one.
///
/// # Errors
/// If fio is missing or fails at the node that lives, or anything is refused.
pub(super) fn measure(
    cluster: &mut Temporary,
    group: &str,
    nodes: u8,
    figures: &mut Figures,
) -> Result<(u8, u8)> {
    let program = fio::installed()?;
    let master = volumes::snapshot(&cluster.cluster, 0)?.cluster.master.context("no master")?;
    let other = cluster.cluster.ids().find(|id| *id != master).context("no other node")?;
    let run = |node, words: &[&str]| programs::run(cluster, node, words, "").map(drop);
    let make = ["vxassist", "-g", group, "make", VOLUME, "160m", "layout=mirror,log"];
    run(master, &[&make[..], &["nmirror=2", "init=active"]].concat())?;
    for node in [master, other] {
        run(node, &["vxdg", "-g", group, "set", "activation=sw"])?;
    }
    let place = |node| {
        let socket = cluster.cluster.root(node).join("run/nbd.sock");
        Place::nbd(&format!("{group}/{VOLUME}"), &socket)
    };
    let (doomed, living) = (place(master), place(other));
    let load = |place, at, depth, time| {
        let (access, size) = (Access::RandomWrite, 4096);
        Run { place, access, at, len: DIRTY as u64 * MIB, size, depth, time }
    };
    // Blocks of files are there, and no writer waits for them.
    for at in [0, 96 * MIB] {
        let fill =
            Run { access: Access::SequentialWrite, size: 1 << 20, ..load(&living, at, 32, None) };
        Fio::start(cluster, &program, &fill)?.finish()?;
    }
    // What that has marked stays in the map and would pass for the load. Who writes again after a rest
    // begins a map of its own.
    let filled = wait::until("what was filled is at rest", PATIENCE, || {
        let is_at_rest = record(&cluster.cluster, group, other)?.writers.is_empty();
        is_at_rest.then(|| volumes::marked(&cluster.cluster, group, VOLUME, other)).transpose()
    })?;
    let doomed = Fio::start(cluster, &program, &load(&doomed, 0, 32, Some(10 * LOAD)))?;
    wait::until("all regions are dirty", PATIENCE, || {
        let marked = volumes::marked(&cluster.cluster, group, VOLUME, master)?;
        Ok((marked.iter().filter(|region| **region < DIRTY).count() == DIRTY).then_some(()))
    })?;
    let mut living = Fio::start(cluster, &program, &load(&living, 96 * MIB, 1, Some(LOAD)))?;
    wait::until("the other node writes", PATIENCE, || {
        let marked = volumes::marked(&cluster.cluster, group, VOLUME, other)?;
        Ok((!marked.is_empty() && marked != filled).then_some(()))
    })?;
    ensure!(living.is_running()?, "fio has ended before the master was killed");
    let before = volumes::snapshot(&cluster.cluster, other)?.cluster.reconfig_seqnum;
    cluster.kill(master)?;
    let went_on = wait::until("the others go on", PATIENCE, || {
        let view = volumes::snapshot(&cluster.cluster, other)?.cluster;
        Ok((view.reconfig_seqnum != before && !view.is_suspended).then(wait::now))
    })?;
    let equal = wait::until("copies are equal", PATIENCE, || {
        let record = record(&cluster.cluster, group, other)?;
        let is_over = record.state == VolumeState::Active && !record.writers.contains(&master);
        Ok(is_over.then(wait::now))
    })?;
    drop(doomed);
    let outcome = living.finish().context("at the node that lives")?;
    ensure!(outcome.max_us > 0.0, "fio was never answered");
    let key = Key::new(Workload::Txn, nodes, 0);
    let resumed = Duration::from_secs_f64(outcome.max_us / 1e6);
    figures.add_span(key, "failover", "to I/O resumed", resumed);
    figures.add_span(key, "resync", "of 64 dirty regions", equal.since(went_on));
    Ok((master, other))
}

/// What the configuration says of the volume.
fn record(cluster: &Cluster, group: &str, node: u8) -> Result<Volume> {
    let snapshot = volumes::snapshot(cluster, node)?;
    let mut groups = snapshot.groups.iter().map(|shown| &shown.group);
    let group = groups.find(|shown| shown.name.as_str() == group).context("no group")?;
    group.volumes.get(VOLUME).cloned().context("no volume")
}
