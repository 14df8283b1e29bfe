//! Talking to the gabd of a node.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use gab::admin::{AdminRequest, FaultRequest};
use gab::client::Admin;
use gab::snapshot::Snapshot;
use serde::de::DeserializeOwned;

use super::cluster::{Cable, Cluster};
use super::process::State;
use super::wait;

/// Sends one request to a node's gabd and gives its answer.
///
/// # Errors
/// If gabd does not run, is paused (it could not answer), or refuses.
pub fn request<T: DeserializeOwned>(
    cluster: &Cluster,
    node: u8,
    request: &AdminRequest,
) -> Result<T> {
    let name = &cluster.node(node).name;
    match cluster.node(node).state() {
        State::Gone => bail!("{name}: gabd does not run"),
        State::Paused => bail!("{name}: gabd is paused"),
        State::Running => {}
    }
    let root = cluster.root(node);
    let answer = Admin::connect(&root).and_then(|mut admin| {
        admin.set_timeout(PATIENCE);
        admin.request::<T>(request)
    });
    answer.with_context(|| format!("{name}: gabd does not answer"))
}

/// A reactor that does not answer for so long is stuck, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the listings of a node show.
///
/// # Errors
/// Those of [`request`].
pub fn snapshot(cluster: &Cluster, node: u8) -> Result<Snapshot> {
    request(cluster, node, &AdminRequest::Snapshot)
}

/// Waits until a node's gabd answers.
///
/// # Errors
/// If it ends or the time is over.
pub fn wait_answer(cluster: &Cluster, node: u8, limit: Duration) -> Result<()> {
    let name = &cluster.node(node).name;
    wait::until(&format!("gabd of {name} answers"), limit, || {
        if cluster.node(node).state() == State::Gone {
            bail!("gabd of {name} ended");
        }
        Ok(snapshot(cluster, node).ok().map(|_| ()))
    })
}

/// Sets the taps of a node to what `cluster` says of it. A gabd that does not run gets it when it
/// starts.
///
/// # Errors
/// If a gabd that runs refuses.
pub fn apply_faults(cluster: &Cluster, node: u8) -> Result<()> {
    if cluster.node(node).state() == State::Gone {
        return Ok(());
    }
    for (link, faults) in cluster.node(node).faults.iter().enumerate() {
        // What the switch does to a cable is not for the tap to do again.
        let cable = match cluster.netns {
            Some(netns) if netns.nft => Cable::Plugged,
            Some(_) if matches!(faults.cable, Cable::Pulled | Cable::Silent) => Cable::Plugged,
            _ => faults.cable,
        };
        let change = FaultRequest {
            link: Some(u8::try_from(link).expect("at most eight links")),
            cut: Some(matches!(cable, Cable::Pulled | Cable::Silent)),
            deaf: Some(cable == Cable::OneWayIn),
            mute: Some(cable == Cable::OneWayOut),
            blocked: Some(faults.blocked.clone()),
            rates: Some(faults.rates),
            clear: false,
        };
        request::<()>(cluster, node, &AdminRequest::Faults(change))?;
    }
    Ok(())
}
