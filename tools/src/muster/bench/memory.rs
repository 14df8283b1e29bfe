//! What daemons and clients hold resident at most while there is a flood.

use anyhow::{Context, Result};

use super::super::process::Process;
use super::report::Cost;
use super::side::Side;

/// All processes of a side, each with the cost that its memory is.
fn processes(side: &Side) -> Result<Vec<(Cost, Process)>> {
    let daemons = side.cluster.daemons()?.into_iter();
    let mut all: Vec<_> = daemons.map(|daemon| (Cost::Memory, daemon)).collect();
    for pid in side.client_pids() {
        let client = Process::of(pid).with_context(|| format!("client {pid} is gone"))?;
        all.push((Cost::ClientMemory, client));
    }
    Ok(all)
}

/// From now on the largest counts. Where the system does not allow that, it is the largest since
/// the start of each process.
///
/// # Errors
/// If a process is gone.
pub(super) fn begin(side: &Side) -> Result<()> {
    for (_, process) in processes(side)? {
        process.reset_peak();
    }
    Ok(())
}

/// Gives the largest resident memory of every daemon and every client to `add`, in MiB.
///
/// # Errors
/// If a process is gone.
pub(super) fn end(side: &Side, add: &mut dyn FnMut(Cost, f64)) -> Result<()> {
    for (cost, process) in processes(side)? {
        let peak = process.peak_resident_bytes();
        let peak = peak.with_context(|| format!("process {} is gone", process.pid))?;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        add(cost, peak as f64 / f64::from(1 << 20));
    }
    Ok(())
}
