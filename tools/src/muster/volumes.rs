//! CVM in the testbed: shared disks as sparse files, and the two daemons of each node, with the one that
//! relocates what has failed. That which shows volumes as files is in `fuse.rs`.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cvm::client::Client;
use cvm::disk::{map_of, read_map};
use cvm::io::Device;
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::snapshot::Snapshot;
use cvm::volume::{MirrorIndex, VolumeMap};
use fixedbitset::FixedBitSet;
use rustix::process::Signal;

use super::binaries::Binaries;
use super::cluster::{Cluster, Node};
use super::daemons;
use super::process::{Process, State};
use super::wait;

/// The daemons of a node, in the order in which they start.
pub const DAEMONS: [&str; 2] = ["vxiod", "vxconfigd"];

/// The shared disks of a cluster, in its folder.
pub fn disk_paths(cluster: &Cluster) -> Vec<PathBuf> {
    (0..cluster.disks).map(|disk| cluster.dir.join(format!("disk_{disk}"))).collect()
}

/// The regions that a node has marked as dirty in the log of a volume, in all copies of it: as they are on
/// the disks, whoever runs. None if its map was not used yet.
///
/// # Errors
/// If the group is not in force at the node, the volume has no log, or a disk cannot be read.
pub fn marked(cluster: &Cluster, group: &str, volume: &str, node: u8) -> Result<Vec<usize>> {
    let snapshot = snapshot(cluster, node)?;
    let mut groups = snapshot.groups.iter().map(|shown| &shown.group);
    let group = groups.find(|shown| shown.name.as_str() == group).context("no group")?;
    let map = VolumeMap::new(group, volume).context("no volume")?;
    let log = map.mirror(MirrorIndex::VOLUME).log.as_ref().context("no log")?;
    let mut devices = Vec::new();
    for path in disk_paths(cluster) {
        let device = Device::open(&path)?;
        if let Ok(label) = device.label() {
            devices.push((device, label));
        }
    }
    let mut all: Option<FixedBitSet> = None;
    for copy in &log.copies {
        let disk = &map.disks()[copy.disk.0];
        let known = devices.iter().find(|(_, label)| label.disk == *disk);
        let (device, label) = known.with_context(|| format!("no disk {disk}"))?;
        let (number, mut dirty) = (map_of(node), FixedBitSet::new());
        let at = copy.at + log.shape.at(number);
        let bytes = device.read_public(label, at, u64::from(log.shape.blocks))?;
        if read_map(copy.name, log.shape, number, &bytes, &mut dirty) > 0 {
            return Ok(Vec::new());
        }
        all.get_or_insert_with(|| dirty.clone()).intersect_with(&dirty);
    }
    Ok(all.iter().flat_map(FixedBitSet::ones).collect())
}

/// Makes the disks, `size` bytes each, and shows them to every node.
///
/// # Errors
/// If a file is in the way or cannot be made.
pub fn make_disks(cluster: &Cluster, size: u64) -> Result<()> {
    for path in disk_paths(cluster) {
        let made = File::create_new(&path).and_then(|file| file.set_len(size));
        made.with_context(|| format!("cannot make {}", path.display()))?;
    }
    for id in cluster.ids() {
        let folder = cluster.root(id).join("dev/vx/dmp");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for path in disk_paths(cluster) {
            let name = path.file_name().context("a disk has a name")?;
            symlink(&path, folder.join(name))?;
        }
    }
    Ok(())
}

/// The processes of CVM on a node, clients of the others first.
pub fn processes(node: &Node) -> impl Iterator<Item = Process> {
    [node.vxfused, node.vxrelocd, node.vxiod, node.vxconfigd].into_iter().flatten()
}

/// Starts those daemons of a node that do not run.
///
/// # Errors
/// If one cannot be started, or does not answer.
pub fn start(cluster: &mut Cluster, node: u8, binaries: &Binaries) -> Result<()> {
    for daemon in DAEMONS {
        let known =
            if daemon == "vxiod" { cluster.node(node).vxiod } else { cluster.node(node).vxconfigd };
        if known.is_some_and(|process| process.state() != State::Gone) {
            continue;
        }
        let patience = cluster.io_timeout.to_string();
        let arguments: &[&str] =
            if daemon == "vxconfigd" { &["-f"] } else { &["--io-timeout", &patience] };
        let process = daemons::spawn(cluster, node, binaries, daemon, arguments)?;
        let place = cluster.node_mut(node);
        if daemon == "vxiod" { place.vxiod = process } else { place.vxconfigd = process }
    }
    let name = cluster.node(node).name.clone();
    let limit = cluster.timers.patience();
    wait::until(&format!("vxconfigd of {name} answers"), limit, || {
        let place = cluster.node(node);
        for process in [place.vxiod, place.vxconfigd].into_iter().flatten() {
            if process.state() == State::Gone {
                bail!("a daemon of CVM of {name} ended");
            }
        }
        Ok(snapshot(cluster, node).ok().filter(|snapshot| snapshot.cluster.has_iod).map(drop))
    })
}

/// Starts the vxrelocd of a node if it does not run.
///
/// # Errors
/// If it cannot be started.
pub fn start_relocd(cluster: &mut Cluster, node: u8, binaries: &Binaries) -> Result<()> {
    let known = cluster.node(node).vxrelocd;
    if known.is_none_or(|process| process.state() == State::Gone) {
        cluster.node_mut(node).vxrelocd = daemons::spawn(cluster, node, binaries, "vxrelocd", &[])?;
    }
    Ok(())
}

/// Asks the vxconfigd of a node, and waits for the answer.
///
/// # Errors
/// If it does not run, or hangs up.
pub fn ask(cluster: &Cluster, node: u8, request: &Request) -> Result<Reply> {
    let mut client = Client::connect(&cluster.root(node))?;
    Ok(client.request(request)?)
}

/// What a node's vxconfigd knows.
///
/// # Errors
/// If it does not run.
pub fn snapshot(cluster: &Cluster, node: u8) -> Result<Snapshot> {
    match ask(cluster, node, &Request::Snapshot)? {
        Reply::Snapshot(snapshot) => Ok(*snapshot),
        reply => bail!("vxconfigd answered {reply:?}"),
    }
}

/// Brings a node into the cluster of CVM.
///
/// # Errors
/// If it is refused.
pub fn join(cluster: &Cluster, node: u8) -> Result<()> {
    let name = &cluster.node(node).name;
    match ask(cluster, node, &Request::Cluster(ClusterRequest::Start))? {
        Reply::Done => Ok(()),
        Reply::Failed(failure) => bail!("{name} does not join CVM: {}", failure.text),
        reply => bail!("{name}: vxconfigd answered {reply:?}"),
    }
}

/// Brings a node out of the cluster of CVM in order, and ends its daemons.
///
/// # Errors
/// If one cannot be signalled, or does not end.
pub fn stop(cluster: &Cluster, node: u8) -> Result<()> {
    // Who cannot be asked is killed.
    if let Ok(mut client) = Client::connect(&cluster.root(node)) {
        client.set_timeout(Some(cluster.timers.patience()))?;
        let _ = client.request(&Request::Cluster(ClusterRequest::Stop));
    }
    kill(cluster.node(node))
}

/// Kills the daemons of CVM of a node and waits until they are gone.
///
/// # Errors
/// If one cannot be signalled, or does not die.
pub fn kill(node: &Node) -> Result<()> {
    for process in processes(node) {
        process.signal(Signal::KILL)?;
        if !process.wait_gone(Duration::from_secs(30))? {
            bail!("{}: process {} does not die", node.name, process.pid);
        }
    }
    Ok(())
}
