//! The part of the story about data: what programs write on two nodes at the same time, and what is
//! there when one of the nodes is lost.
//!
//! The programs are clients of NBD like any other, see [`super::writer`].

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use anyhow::{Context, Result, ensure};
use cvm::fuse::nbd::Nbd;
use cvm::fuse::volume::{IoFailed, Volume, VolumeName, Volumes};
use cvm::model::Group;

use super::super::temporary::Temporary;
use super::super::testbed::Testbed;
use super::super::{programs, volumes, wait};
use super::copies::Copies;
use super::groups::{master, records, slave};
use super::steps::PATIENCE;
use super::writer::{BLOCK, Writer, Written};
use super::{Checked, Story};

/// All of it, on three nodes that have the group.
pub(super) fn tell(story: &mut Story, cluster: &mut Temporary) -> Result<()> {
    let mut started = None;
    story.step("two nodes write one mirrored volume", || {
        let (both, checked) = Both::start(cluster)?;
        started = Some(both);
        Ok(checked)
    })?;
    let both = started.context("the step before set it")?;
    let mut survived = None;
    story.step("the master is killed -9 as both write", || {
        let (one, checked) = both.lose(cluster)?;
        survived = Some(one);
        Ok(checked)
    })?;
    let one = survived.context("the step before set it")?;
    let lost = one.lost;
    let mut written = Vec::new();
    story.step("copies are made equal where it was writing", || {
        let (both, checked) = one.recover(cluster)?;
        written.extend(both);
        Ok(checked)
    })?;
    story.step("the killed node comes back and reads", || rejoin(cluster, lost, &written))
}

/// Two programs that write, each in its half of the volume.
struct Both {
    /// The master, which is to be lost.
    doomed: (u8, Writer),
    other: (u8, Writer),
}

/// The one that is left, and what the other one has written.
struct One {
    lost: u8,
    written: Written,
    other: (u8, Writer),
}

impl Both {
    fn start(cluster: &Testbed) -> Result<(Self, Checked)> {
        let (doomed, other) = (master(cluster)?, slave(cluster)?);
        let size = format!("{SIZE_MB}m");
        let made = ["vxassist", "-g", GROUP, "make", VOLUME, &size, "layout=mirror,log"];
        programs::run(cluster, other, &made, "")?;
        let start = |node, half| -> Result<(u8, Writer)> {
            activate(cluster, node, "sharedwrite")?;
            Ok((node, Writer::start(open(cluster, node, true)?, blocks(half))?))
        };
        let mut both = Self { doomed: start(doomed, 0)?, other: start(other, SIZE_MB / 2)? };
        both.doomed.1.wait_progress(WRITES)?;
        both.other.1.wait_progress(WRITES)?;
        // Should one be lost, that is how the others know that the copies may differ.
        let nodes = BTreeSet::from([doomed, other]);
        wait::until("the record of the volume names both", PATIENCE, || {
            let group = group(cluster, other)?;
            Ok(group.volumes.get(VOLUME).filter(|volume| volume.writers == nodes).map(drop))
        })?;
        let shown = programs::run(cluster, other, &["vxprint", "-g", GROUP, "-ht", VOLUME], "")?;
        let what =
            format!("half on node {doomed}, half on node {other}; {WRITES} writes each and more");
        Ok((both, Checked::new(what).show(records(&shown))))
    }

    fn lose(self, cluster: &Testbed) -> Result<(One, Checked)> {
        let (lost, doomed) = self.doomed;
        let (node, mut writer) = self.other;
        // As though a write of it had reached one copy only: where it is writing, between the blocks
        // that it writes.
        let copies = Copies::open(cluster, &group(cluster, node)?, VOLUME)?;
        let (from, len) = SPOILT;
        let plex = copies.spoil(from, len)?;
        cluster.kill(lost)?;
        let written = doomed.cut_off()?;
        ensure!(written.is_cut_off, "its program was not told");
        // Until it is missed the others go on as before.
        wait::until("there is another master", PATIENCE, || {
            let snapshot = volumes::snapshot(&cluster.cluster, node)?;
            Ok(snapshot.cluster.master.filter(|master| *master != lost))
        })?;
        writer.wait_progress(WRITES)?;
        written.check(&read(cluster, node)?)?;
        let writes = written.acknowledged;
        let what =
            format!("node {node} goes on, and reads what {writes} writes on node {lost} left");
        let last = from + len - 1;
        let shown = format!("before: sectors {from} to {last} of {plex} overwritten on its disk");
        let one = One { lost, written, other: (node, writer) };
        Ok((one, Checked::new(what).show(shown)))
    }
}

impl One {
    /// While the other one goes on.
    fn recover(self, cluster: &Testbed) -> Result<([Written; 2], Checked)> {
        let (node, mut writer) = self.other;
        wait::until("the copies are equal", PATIENCE, || {
            let group = group(cluster, node)?;
            let volume = group.volumes.get(VOLUME).context("the volume is gone")?;
            let may_differ = volume.may_differ() || volume.writers.contains(&self.lost);
            Ok((!may_differ).then_some(()))
        })?;
        let said = wait::until("a vxiod logs what it has copied", PATIENCE, || copied(cluster))?;
        writer.wait_progress(WRITES)?;
        let both = [self.written, writer.stop()?];
        ensure!(!both[1].is_cut_off, "the program on node {node} was cut off");
        let volume = read(cluster, node)?;
        for written in &both {
            written.check(&volume)?;
        }
        let copies = Copies::open(cluster, &group(cluster, node)?, VOLUME)?;
        let count = copies.compare(&volume)?;
        ensure!((1..=REGIONS).contains(&said.megabytes), "got:\n{}", said.lines);
        let (bytes, copied) = (volume.len(), said.megabytes);
        let what =
            format!("{count} disks, the same {bytes} bytes; {copied} of {SIZE_MB} MB copied");
        Ok((both, Checked::new(what).show(said.lines)))
    }
}

fn rejoin(cluster: &mut Testbed, node: u8, written: &[Written]) -> Result<Checked> {
    ensure!(cluster.start(node)?, "node {node} did not join");
    activate(cluster, node, "sharedread")?;
    let volume = read(cluster, node)?;
    let mut blocks = 0;
    for written in written {
        blocks += written.check(&volume)?;
    }
    Copies::open(cluster, &group(cluster, node)?, VOLUME)?.compare(&volume)?;
    Ok(Checked::new(format!("{blocks} blocks on node {node}, none older than acknowledged")))
}

/// What a node may do with the volumes of the group.
fn activate(cluster: &Testbed, node: u8, mode: &str) -> Result<()> {
    let mode = format!("activation={mode}");
    programs::run(cluster, node, &["vxdg", "-g", GROUP, "set", &mode], "").map(drop)
}

fn open(cluster: &Testbed, node: u8, writable: bool) -> Result<Arc<dyn Volume>> {
    let name = VolumeName::new(GROUP, VOLUME).context("they can be names of files")?;
    let nbd = Nbd::new(cluster.cluster.root(node).join("run/nbd.sock"), AT_ONCE);
    nbd.open(&name, writable).with_context(|| format!("{} on node {node}", name.export()))
}

/// All of the volume, as a node reads it.
fn read(cluster: &Testbed, node: u8) -> Result<Vec<u8>> {
    let volume = open(cluster, node, false)?;
    let mut bytes = Vec::new();
    for at in (0..volume.size()).step_by(usize::try_from(AT_ONCE)?) {
        let (tell, told) = mpsc::channel();
        let done = move |result: Result<&[u8], IoFailed>| {
            let _ = tell.send(result.map(<[u8]>::to_vec));
        };
        let len = u32::try_from(volume.size() - at).unwrap_or(AT_ONCE).min(AT_ONCE);
        volume.read(at, len, Box::new(done));
        let answer = told.recv_timeout(PATIENCE).context("a read was not answered")?;
        bytes.extend(answer.with_context(|| format!("node {node} does not read byte {at}"))?);
    }
    Ok(bytes)
}

fn group(cluster: &Testbed, node: u8) -> Result<Group> {
    let mut groups = volumes::snapshot(&cluster.cluster, node)?.groups.into_iter();
    let shown = groups.find(|shown| shown.group.name.as_str() == GROUP);
    Ok(shown.with_context(|| format!("node {node} has no group {GROUP}"))?.group)
}

/// What the vxiod of the master has said of the volume.
struct Said {
    lines: String,
    megabytes: u64,
}

/// `None`: it has not yet. With a MUSTER_LOG above `info` it never does.
fn copied(cluster: &Testbed) -> Result<Option<Said>> {
    let about = format!("volume {VOLUME} of group ");
    for node in cluster.cluster.running() {
        let path = cluster.cluster.root(node).join("var/log/vxiod.log");
        let log = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = log.lines().filter_map(|line| Some(&line[line.find(&about)?..]));
        let lines: Vec<&str> = lines.collect();
        let amount = lines.iter().find_map(|line| {
            let (_, amount) = line.strip_suffix(" MB copied")?.rsplit_once(' ')?;
            amount.parse().ok()
        });
        if let Some(megabytes) = amount {
            return Ok(Some(Said { lines: lines.join("\n"), megabytes }));
        }
    }
    Ok(None)
}

/// The blocks that a program writes, from this megabyte on: in the first half of every fourth region of
/// a dirty region log.
fn blocks(from_mb: u64) -> impl Iterator<Item = u64> {
    let regions = (0..REGIONS).map(move |region| (from_mb + 4 * region) * (REGION / BLOCK));
    regions.flat_map(|first| first..first + REGION / BLOCK / 2)
}

const GROUP: &str = "shdg";
const VOLUME: &str = "data";
const SIZE_MB: u64 = 32;
/// What a dirty region log has a bit for, in bytes.
const REGION: u64 = 1 << 20;
/// Each program writes so many of them.
const REGIONS: u64 = 4;
/// So many writes show that a program gets on.
const WRITES: u64 = 500;
/// Sectors that differ between the copies when the master is lost: in a region that it is writing,
/// and not in one of its blocks. The first, and how many.
const SPOILT: (u64, u64) = (1536, 8);
/// The longest read, in bytes.
const AT_ONCE: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_write_disjoint_halves_and_not_what_is_spoilt() {
        let [first, second] = [0, SIZE_MB / 2].map(|half| blocks(half).collect::<BTreeSet<u64>>());
        assert_eq!([first.len(), second.len()], [512, 512]);
        let middle = SIZE_MB / 2 * REGION / BLOCK;
        assert!(first.iter().all(|block| *block < middle));
        assert!(second.iter().all(|block| (middle..2 * middle).contains(block)));
        let spoilt = SPOILT.0 * 512;
        assert!(!first.contains(&(spoilt / BLOCK)));
        assert!(first.iter().any(|block| block * BLOCK / REGION == spoilt / REGION));
    }
}
