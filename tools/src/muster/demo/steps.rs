//! The steps of the demo after the first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gab::client::{Options, Port};
use gab::{ClientEvent, CloseReason, PortName};

use super::super::cluster::Cable;
use super::super::programs::{self, Listener};
use super::super::storm::{Plan, Storm, check};
use super::super::temporary::Temporary;
use super::super::testbed::Testbed;
use super::super::{control, wait};
use super::{Checked, Story};

/// A step that takes longer than this has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// All steps on a cluster that has formed.
pub(super) fn tell(story: &mut Story, cluster: &mut Temporary) -> Result<()> {
    story.step("three clients broadcast at the same time", || order(cluster))?;
    let mut storm = None;
    story.step("a cable is pulled during a storm", || {
        let storm = storm.insert(start(cluster)?);
        pull(cluster, storm)
    })?;
    let storm = storm.context("the step before made it")?;
    story.step("the cable is plugged in again", || plug(cluster, storm))?;
    let mut killed = None;
    story.step("the sequencer is killed -9 in another storm", || {
        let (node, incarnation, checked) = kill(cluster)?;
        killed = Some((node, incarnation));
        Ok(checked)
    })?;
    let (node, incarnation) = killed.context("the step before set it")?;
    story.step("the killed node starts again", || rejoin(cluster, node, incarnation))?;
    let mut parted = None;
    story.step("one node is cut off from the others", || {
        let (split, checked) = Split::make(cluster)?;
        parted = Some(split);
        Ok(checked)
    })?;
    let parted = parted.context("the step before set it")?;
    story.step("the partition heals", || parted.heal(cluster))
}

/// Port a as `gabconfig -a` prints it.
pub(super) fn formed(cluster: &Testbed) -> Result<Checked> {
    let shown = memberships(cluster, 0)?;
    ensure!(shown.contains("Port a gen ") && shown.contains("membership 012"), "got:\n{shown}");
    Ok(Checked::new("membership 012 at all, every link UP both ways").show(shown))
}

/// What `gabconfig -a` prints on a node.
fn memberships(cluster: &Testbed, node: u8) -> Result<String> {
    programs::run(cluster, node, &["gabconfig", "-a"], "")
}

fn order(cluster: &Temporary) -> Result<Checked> {
    const EACH: usize = 50;
    let mut listeners = Vec::new();
    for node in cluster.cluster.ids() {
        listeners.push(Listener::start(cluster, node, 'A', cluster.folder())?);
    }
    programs::wait_lines(&mut listeners, 0, PATIENCE)?;
    let mut senders = Vec::new();
    for node in cluster.cluster.ids() {
        let mut sender = programs::spawn(cluster, node, &["gabport", "-p", "A", "broadcast", "-"])?;
        let stdin = sender.stdin.take().context("it was piped")?;
        senders.push((node, sender, stdin));
    }
    // Line by line in turn, so that the three are really under way together.
    for number in 0..EACH {
        for (node, _, stdin) in &mut senders {
            use std::io::Write;
            writeln!(stdin, "node {node} says {number}")?;
        }
    }
    for (node, sender, stdin) in senders {
        drop(stdin);
        let output = sender.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "gabport broadcast on node {node} failed: {said}");
    }
    let all = EACH * listeners.len();
    let lines = programs::wait_lines(&mut listeners, all, PATIENCE)?;
    for (node, other) in lines.iter().enumerate().skip(1) {
        if let Some(at) = (0..lines[0].len()).find(|at| lines[0].get(*at) != other.get(*at)) {
            bail!(
                "line {at} differs: {:?} on node 0, {:?} on node {node}",
                lines[0][at],
                other.get(at)
            );
        }
    }
    let bytes: usize = lines[0].iter().map(|line| line.len() + 1).sum();
    let what = format!("{all} messages, the same {bytes} bytes from 3 listeners");
    Ok(Checked::new(what).show(lines[0][..4.min(lines[0].len())].join("\n")))
}

/// The roots of all nodes, for a storm.
fn roots(cluster: &Testbed) -> BTreeMap<u8, PathBuf> {
    cluster.cluster.ids().map(|id| (id, cluster.cluster.root(id))).collect()
}

fn start(cluster: &Testbed) -> Result<Storm> {
    let port = PortName::new('S').context("S is a letter")?;
    let storm = Storm::start(&roots(cluster), Plan::on(port), PATIENCE)?;
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, 200, PATIENCE)?;
    }
    Ok(storm)
}

fn pull(cluster: &mut Testbed, storm: &Storm) -> Result<Checked> {
    cluster.set_cable(2, 0, Cable::Pulled)?;
    wait_jeopardy(cluster, [&[2], &[2], &[0, 1]])?;
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, 200, PATIENCE)?;
    }
    let shown = memberships(cluster, 0)?;
    ensure!(shown.contains("jeopardy"), "gabconfig -a does not show jeopardy:\n{shown}");
    Ok(Checked::new("traffic goes on over the other link, jeopardy shows").show(shown))
}

fn plug(cluster: &mut Testbed, storm: Storm) -> Result<Checked> {
    cluster.set_cable(2, 0, Cable::Plugged)?;
    wait_jeopardy(cluster, [&[], &[], &[]])?;
    let summary = check(&storm.finish(PATIENCE)?, &[])?;
    // The views of a storm begin with that of all its clients.
    ensure!(summary.views == 1, "the membership changed {} times", summary.views - 1);
    let delivered = summary.delivered;
    Ok(Checked::new(format!("no jeopardy, no view change; {delivered} messages, 3 equal logs")))
}

/// Waits until each node sees these nodes in jeopardy on port a.
fn wait_jeopardy(cluster: &Testbed, expected: [&[u8]; 3]) -> Result<()> {
    let what = format!("jeopardy as nodes 0 to 2 see it is {expected:?}");
    wait::until(&what, PATIENCE, || {
        for (node, expected) in (0..).zip(expected) {
            let snapshot = control::snapshot(&cluster.cluster, node)?;
            let port = snapshot.gab.ports.iter().find(|port| port.port == "a");
            if port.is_none_or(|port| port.jeopardy != expected) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
}

fn kill(cluster: &Testbed) -> Result<(u8, u64, Checked)> {
    let snapshot = control::snapshot(&cluster.cluster, 0)?;
    let node = snapshot.gab.sequencer.context("there is no sequencer")?;
    let incarnation = control::snapshot(&cluster.cluster, node)?.llt.incarnation;
    let storm = start(cluster)?;
    storm.wait_progress(node, 1000, PATIENCE)?;
    cluster.kill(node)?;
    let survivors: Vec<u8> = cluster.cluster.ids().filter(|id| *id != node).collect();
    super::super::formed::wait_formed(&cluster.cluster, &survivors, PATIENCE)?;
    for survivor in &survivors {
        storm.wait_progress(*survivor, 1000, PATIENCE)?;
    }
    let logs = storm.finish(PATIENCE)?;
    ensure!(logs[&node].closed == Some(CloseReason::Died), "its client was not told that it died");
    let summary = check(&logs, &[node])?;
    let alone = match summary.alone {
        0 => "its log a prefix".to_owned(),
        alone => format!("its log a prefix but for {alone} AGREED"),
    };
    let what = format!("{} messages, survivors' logs equal, {alone}", summary.delivered);
    Ok((node, incarnation, Checked::new(what).show(memberships(cluster, survivors[0])?)))
}

fn rejoin(cluster: &mut Testbed, node: u8, before: u64) -> Result<Checked> {
    ensure!(cluster.start(node)?, "node {node} did not join");
    cluster.wait_formed()?;
    let incarnation = control::snapshot(&cluster.cluster, node)?.llt.incarnation;
    ensure!(incarnation > before, "the incarnation is still {incarnation:x}");
    let tables: Result<Vec<String>> =
        cluster.cluster.ids().map(|id| memberships(cluster, id)).collect();
    let tables = tables?;
    ensure!(tables.iter().all(|table| *table == tables[0]), "they differ:\n{}", tables.join("\n"));
    Ok(Checked::new("a new incarnation, the same membership at all").show(&tables[0]))
}

/// A cluster in two parts.
struct Split {
    /// The node that is alone.
    alone: u8,
    incarnations: BTreeMap<u8, u64>,
    clients: BTreeMap<u8, Port>,
}

impl Split {
    fn make(cluster: &mut Testbed) -> Result<(Self, Checked)> {
        let sequencer = control::snapshot(&cluster.cluster, 0)?.gab.sequencer;
        let others = cluster.cluster.ids().filter(|id| Some(*id) != sequencer);
        let alone = others.max().context("there is more than one node")?;
        let port = PortName::new('P').context("P is a letter")?;
        let mut clients = BTreeMap::new();
        for (id, root) in roots(cluster) {
            clients.insert(id, Port::register(port, &Options { root, ..Options::default() })?);
        }
        let incarnations = incarnations(cluster)?;
        cluster.partition(&[vec![alone]])?;
        let together: Vec<u8> = cluster.cluster.ids().filter(|id| *id != alone).collect();
        super::super::formed::wait_formed(&cluster.cluster, &together, PATIENCE)?;
        super::super::formed::wait_formed(&cluster.cluster, &[alone], PATIENCE)?;
        let shown = memberships(cluster, together[0])? + &memberships(cluster, alone)?;
        let what = format!("nodes {together:?} and [{alone}] form memberships of their own");
        Ok((Self { alone, incarnations, clients }, Checked::new(what).show(shown)))
    }

    fn heal(self, cluster: &mut Testbed) -> Result<Checked> {
        cluster.heal()?;
        let all: Vec<u8> = cluster.cluster.ids().collect();
        super::super::formed::wait_formed(&cluster.cluster, &all, PATIENCE)?;
        let now = incarnations(cluster)?;
        let fresh: Vec<u8> =
            all.iter().copied().filter(|id| now[id] != self.incarnations[id]).collect();
        ensure!(!fresh.is_empty(), "both parts merged silently");
        let together: Vec<u8> = all.iter().copied().filter(|id| *id != self.alone).collect();
        ensure!(fresh == [self.alone] || fresh == together, "of one part only some: {fresh:?}");
        for (id, mut client) in self.clients {
            let ejected = loop {
                match client.recv_timeout(Duration::from_millis(200)) {
                    Some(ClientEvent::Closed(reason)) => break Some(reason),
                    Some(_) => {}
                    None => break None,
                }
            };
            let expected = fresh.contains(&id).then_some(CloseReason::Ejected);
            ensure!(ejected == expected, "client of node {id}: {ejected:?}, not {expected:?}");
        }
        let shown = memberships(cluster, 0)?;
        let what = format!("{fresh:?} came back with a new incarnation, its clients told");
        Ok(Checked::new(what).show(shown))
    }
}

fn incarnations(cluster: &Testbed) -> Result<BTreeMap<u8, u64>> {
    let of = |id| Ok((id, control::snapshot(&cluster.cluster, id)?.llt.incarnation));
    cluster.cluster.ids().map(of).collect()
}
