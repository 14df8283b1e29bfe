//! The workload `idle`: what each daemon of a cluster costs that has nothing to do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gab::snapshot::LinkSnapshot;
use llt::Instant;

use super::super::process::Process;
use super::super::{cluster, control, wait};
use super::report::Cost;
use super::side::Cluster;

/// What one daemon has sent and received so far.
struct Traffic {
    at: Instant,
    frames: u64,
    bytes: u64,
    /// Generation of port a, where there is one.
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
    let daemons = cluster.daemons()?;
    // Between the looks at the CPU clocks no daemon is asked anything.
    let sent = traffic(cluster)?;
    let spent = usage(&daemons)?;
    let end = wait::now() + time.max(TIME_MIN);
    while wait::now() < end {
        wait::check_interrupt()?;
        wait::pause(end.since(wait::now()).min(Duration::from_millis(200)));
    }
    let used = usage(&daemons)?;
    let passed = traffic(cluster)?;
    for ((daemon, before), after) in daemons.iter().zip(&spent).zip(&used) {
        let seconds = after.at.since(before.at).as_secs_f64();
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        add(Cost::Cpu, cpu / seconds * 100.0);
        let resident = daemon.resident_bytes();
        let resident = resident.with_context(|| format!("daemon {} ended", daemon.pid))?;
        add(Cost::Memory, figure(resident) / figure(1 << 20));
    }
    for ((id, before), after) in (0..).zip(&sent).zip(&passed) {
        let id: u8 = id;
        ensure!(
            before.generation == after.generation,
            "node {id}: the membership changed meanwhile"
        );
        let seconds = after.at.since(before.at).as_secs_f64();
        add(Cost::Frames, per_second(before.frames, after.frames, seconds));
        add(Cost::Bytes, per_second(before.bytes, after.bytes, seconds));
    }
    Ok(())
}

fn traffic(cluster: &Cluster) -> Result<Vec<Traffic>> {
    match cluster {
        Cluster::Corosync(ring) => ring.daemons().iter().map(|daemon| on_device(*daemon)).collect(),
        Cluster::Ours(ours) => ours.cluster.ids().map(|id| counted(&ours.cluster, id)).collect(),
    }
}

/// As gabd counts.
fn counted(cluster: &cluster::Cluster, id: u8) -> Result<Traffic> {
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

/// As the device counts that a daemon has for itself.
fn on_device(daemon: Process) -> Result<Traffic> {
    let path = format!("/proc/{}/net/dev", daemon.pid);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let (frames, bytes) =
        device(&text, "eth0").with_context(|| format!("{path} has no line of eth0"))?;
    Ok(Traffic { at: wait::now(), frames, bytes, generation: 0 })
}

/// Frames and bytes, received and sent, in `/proc/net/dev`.
fn device(text: &str, name: &str) -> Option<(u64, u64)> {
    let line =
        text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    let values: Vec<u64> =
        line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((values.get(1)? + values.get(9)?, values.first()? + values.get(8)?))
}

fn usage(daemons: &[Process]) -> Result<Vec<Usage>> {
    let read = |daemon: &Process| {
        let what = || format!("the CPU time of daemon {} cannot be read", daemon.pid);
        Ok(Usage { at: wait::now(), cpu: daemon.cpu_time().with_context(what)? })
    };
    daemons.iter().map(read).collect()
}

fn per_second(before: u64, after: u64, seconds: f64) -> f64 {
    figure(after.saturating_sub(before)) / seconds
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn figure(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_what_it_received_and_sent() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:       0       0    0    0    0     0          0         0        0       0    0
  eth0:    1286      12    0    0    0     0          0         0      714       8    0
";
        assert_eq!(device(text, "eth0"), Some((20, 2000)));
        assert_eq!(device(text, "eth1"), None);
    }
}
