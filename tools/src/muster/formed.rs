//! Has the cluster formed, and if not, what is missing?

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use gab::snapshot::Snapshot;

use super::cluster::{Cable, Cluster};
use super::control;
use super::process::State;
use super::wait;

/// Waits until port a has formed with exactly `members`, seen so by each of them, and every link
/// between them whose cables are plugged is UP both ways.
///
/// # Errors
/// If a gabd of theirs ends, or the time is over: then with all that is missing.
pub fn wait_formed(cluster: &Cluster, members: &[u8], limit: Duration) -> Result<()> {
    let mut missing = Vec::new();
    let result = wait::until_or(
        limit,
        || {
            let mut snapshots = BTreeMap::new();
            missing.clear();
            for id in members {
                let node = cluster.node(*id);
                if node.state() == State::Gone {
                    bail!("gabd of {} ended", node.name);
                }
                match control::snapshot(cluster, *id) {
                    Ok(snapshot) => drop(snapshots.insert(*id, snapshot)),
                    Err(error) => missing.push(format!("{error:#}")),
                }
            }
            if missing.is_empty() {
                missing = find_missing(cluster, members, &snapshots);
            }
            Ok(missing.is_empty().then_some(()))
        },
        || anyhow!("timed out"),
    );
    match result {
        Err(error) if !missing.is_empty() && !error.is::<wait::Interrupted>() => {
            Err(error.context(format!("the cluster has not formed:\n  {}", missing.join("\n  "))))
        }
        result => result,
    }
}

/// All that keeps `snapshots` from being a cluster of `members`, in words.
fn find_missing(
    cluster: &Cluster,
    members: &[u8],
    snapshots: &BTreeMap<u8, Snapshot>,
) -> Vec<String> {
    let mut missing = Vec::new();
    let mut generation = None;
    for (id, snapshot) in snapshots {
        let name = &cluster.node(*id).name;
        match snapshot.gab.ports.iter().find(|port| port.port == "a") {
            None => missing.push(format!("{name}: port a has no membership")),
            Some(port) if port.members != members => missing.push(format!(
                "{name}: port a has members {:?}, expected {members:?}",
                port.members
            )),
            Some(port) if *generation.get_or_insert(port.generation) != port.generation => {
                missing.push(format!("{name}: port a is still at gen {:x}", port.generation));
            }
            Some(_) => {}
        }
        for peer in members.iter().filter(|peer| *peer != id) {
            missing.extend(missing_links(cluster, *id, *peer, snapshot));
        }
    }
    missing
}

/// Links from `id` to `peer` that ought to be UP and are not.
fn missing_links(cluster: &Cluster, id: u8, peer: u8, snapshot: &Snapshot) -> Vec<String> {
    let seen = snapshot.llt.nodes.iter().find(|node| node.node == peer);
    let mut missing = Vec::new();
    for link in 0..usize::from(cluster.links) {
        let cut = |node: u8, other: u8| {
            let faults = &cluster.node(node).faults[link];
            faults.cable != Cable::Plugged || faults.blocked.contains(&other)
        };
        if cut(id, peer) || cut(peer, id) {
            continue;
        }
        let status = seen.and_then(|node| node.links.get(link)).map_or("unknown", |l| &l.status);
        if status != "UP" {
            missing.push(format!(
                "{}: link{link} to {} is {status}",
                cluster.node(id).name,
                cluster.node(peer).name
            ));
        }
    }
    missing
}
