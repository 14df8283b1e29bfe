//! The part of the story about CVM: what an administrator types, on real disks.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::super::temporary::Temporary;
use super::super::testbed::{Testbed, UpOptions};
use super::super::{programs, volumes, wait};
use super::steps::PATIENCE;
use super::{Checked, Story, data};

const DISKS: u8 = 4;

/// All of it, on a cluster of its own: with disks a majority has to decide, and the story before cuts
/// a node off.
pub(super) fn tell(story: &mut Story, options: &UpOptions) -> Result<()> {
    let options =
        UpOptions { disks: DISKS.into(), disk_size: 64 << 20, quorum: true, ..options.clone() };
    let mut made = None;
    story.step("three nodes with four shared disks join CVM", || {
        let cluster = made.insert(Temporary::up(&options)?);
        joined(cluster)
    })?;
    let mut cluster = made.context("the step before made it")?;
    story.step("disks are initialised, vxdg -s init", || init(&cluster))?;
    story.step("volumes are made on master and slave", || make(&cluster))?;
    let mut killed = 0;
    story.step("the master is killed -9 amid changes", || {
        let (master, checked) = kill(&cluster)?;
        killed = master;
        Ok(checked)
    })?;
    story.step("the killed node joins CVM again", || rejoin(&mut cluster, killed))?;
    data::tell(story, &mut cluster)?;
    cluster.down()
}

fn joined(cluster: &Testbed) -> Result<Checked> {
    let shown = programs::run(cluster, 0, &["vxclustadm", "nidmap"], "")?;
    let slaves = shown.matches("Joined: Slave").count();
    ensure!(slaves == 2 && shown.contains("Joined: Master"), "got:\n{shown}");
    Ok(Checked::new("one master, two slaves").show(shown))
}

/// The master as it says itself.
pub(super) fn master(cluster: &Testbed) -> Result<u8> {
    let mut all = cluster.cluster.running().into_iter();
    let master =
        all.find_map(|node| volumes::snapshot(&cluster.cluster, node).ok()?.cluster.master);
    master.context("there is no master")
}

/// The last of the other nodes.
pub(super) fn slave(cluster: &Testbed) -> Result<u8> {
    let master = master(cluster)?;
    let others = cluster.cluster.running().into_iter().filter(|node| *node != master);
    others.max().context("there is no slave")
}

fn init(cluster: &Testbed) -> Result<Checked> {
    let master = master(cluster)?;
    let names: Vec<String> = (0..DISKS).map(|disk| format!("disk_{disk}")).collect();
    for disk in &names {
        programs::run(cluster, master, &["vxdisksetup", "-i", disk, "privlen=4m"], "")?;
    }
    let mut words = vec!["vxdg", "-s", "init", "shdg"];
    words.extend(names.iter().map(String::as_str));
    programs::run(cluster, master, &words, "")?;
    let shown = same_everywhere(cluster, &["vxdg", "list"])?;
    ensure!(shown.contains("shdg         enabled,shared"), "got:\n{shown}");
    Ok(Checked::new("vxdg list shows it on all nodes alike").show(shown))
}

fn make(cluster: &Testbed) -> Result<Checked> {
    let (master, slave) = (master(cluster)?, slave(cluster)?);
    let assist = |node, words: &[&str]| {
        let words: Vec<&str> = ["vxassist", "-g", "shdg"].iter().chain(words).copied().collect();
        programs::run(cluster, node, &words, "")
    };
    assist(master, &["make", "vol1", "4m", "layout=mirror"])?;
    assist(slave, &["make", "vol2", "2m", "layout=stripe", "ncol=2"])?;
    assist(slave, &["make", "gone", "1m"])?;
    programs::run(cluster, slave, &["vxedit", "-g", "shdg", "-rf", "rm", "gone"], "")?;
    let shown = same_everywhere(cluster, &["vxprint", "-g", "shdg", "-ht"])?;
    ensure!(!shown.contains("gone"), "got:\n{shown}");
    let records = records(&shown);
    ensure!(records.lines().count() == 2 + 3 + 4, "got:\n{shown}");
    Ok(Checked::new("vxprint -ht shows the same on all nodes").show(records))
}

/// The lines of volumes, plexes and subdisks in what `vxprint -ht` prints.
pub(super) fn records(shown: &str) -> String {
    let kinds = ["v  ", "pl ", "sd "];
    let lines = shown.lines().filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    lines.collect::<Vec<&str>>().join("\n")
}

/// The master dies while a slave makes volume after volume: what each vxassist was told is what
/// happened.
fn kill(cluster: &Testbed) -> Result<(u8, Checked)> {
    let (master, slave) = (master(cluster)?, slave(cluster)?);
    let mut told_done = BTreeSet::new();
    let mut told_failed = BTreeSet::new();
    let mut killed = false;
    let mut number = 0;
    // Until a change has come through after the death of the master.
    let after = wait::until("a change without the old master", PATIENCE, || {
        number += 1;
        let volume = format!("new{number}");
        let words = ["vxassist", "-g", "shdg", "make", volume.as_str(), "64k"];
        let making = programs::spawn(cluster, slave, &words)?;
        if number == 5 {
            cluster.kill(master)?;
            killed = true;
        }
        let done = making.wait_with_output()?.status.success();
        if done {
            told_done.insert(volume.clone());
        } else {
            told_failed.insert(volume.clone());
        }
        Ok((killed && done && number > 5).then_some(volume))
    })?;
    let new = wait::until("there is another master", PATIENCE, || {
        let snapshot = volumes::snapshot(&cluster.cluster, slave)?;
        Ok(snapshot.cluster.master.filter(|node| *node != master))
    })?;
    let shown = same_everywhere(cluster, &["vxprint", "-g", "shdg", "-vn"])?;
    let there: BTreeSet<String> =
        shown.lines().filter(|name| name.starts_with("new")).map(str::to_owned).collect();
    ensure!(there == told_done, "told of {told_done:?}, there are {there:?}");
    let mode = programs::run(cluster, slave, &["vxdctl", "-c", "mode"], "")?;
    let what = format!(
        "node {new} is master; {} made, {} refused, all as told; {after} after",
        told_done.len(),
        told_failed.len()
    );
    Ok((master, Checked::new(what).show(mode)))
}

fn rejoin(cluster: &mut Testbed, node: u8) -> Result<Checked> {
    ensure!(cluster.start(node)?, "node {node} did not join");
    same_everywhere(cluster, &["vxprint", "-g", "shdg", "-ht"])?;
    let shown = programs::run(cluster, node, &["vxdctl", "-c", "mode"], "")?;
    ensure!(shown.contains("SLAVE"), "got:\n{shown}");
    Ok(Checked::new("as a slave, with the same configuration").show(shown))
}

/// What a listing prints, the same on every node.
fn same_everywhere(cluster: &Testbed, words: &[&str]) -> Result<String> {
    let mut all = Vec::new();
    for node in cluster.cluster.running() {
        all.push(programs::run(cluster, node, words, "")?);
    }
    ensure!(all.iter().all(|shown| *shown == all[0]), "they differ:\n{}", all.join("\n"));
    all.into_iter().next().context("no node runs")
}
