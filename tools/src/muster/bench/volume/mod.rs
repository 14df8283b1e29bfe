//! The workload `volume`: fio reads and writes volumes of several layouts on one node, and beside
//! them, in the same round, files of the same size in the same folder: through the same engine, and
//! through servers that others wrote.
//!
//! `fio` (`super::fio`) is the client of all but of `engine`, which is what a volume does by itself, `peers` what is measured beside volumes, `messages` counts what the
//! cluster says to itself meanwhile, `table` shows the figures.

mod engine;
mod messages;
mod peers;
pub(super) mod table;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::super::cli::{BenchArgs, Workload};
use super::super::temporary::Temporary;
use super::super::testbed::UpOptions;
use super::super::{programs, wait};
use super::fio::{self, Access, Fio, Outcome, Place, Run};
use super::report::{Cost, Figures, Key, Measured};
use engine::{Engine, Through};
use peers::Peer;
pub(super) use peers::{Aio, NBDKIT};

/// What is measured of a volume, besides the size of its requests.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Test {
    /// What fio does.
    pub(super) access: Access,
    /// How many requests are under way.
    pub(super) depth: u32,
    /// What the volume is made of.
    pub(super) layout: Layout,
}

/// What a volume is made of, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Layout {
    /// One column, one copy.
    Simple,
    /// Two columns, one copy.
    Stripe,
    /// Two copies.
    Mirror,
    /// Two copies and a dirty region log.
    MirrorLog,
    /// One column, one copy, in this process.
    InProcess,
}

/// One thing that fio does in a round.
#[derive(Clone, Copy, Debug)]
struct Case {
    access: Access,
    size: u32,
    depth: u32,
}

/// Whom fio asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    /// A volume of ours.
    Volume(Layout),
    /// One of the peers, by its place.
    Peer(usize),
    /// Nobody: it is done here.
    Engine(Through),
}

/// Bytes of each volume and each file.
const SIZE: u64 = 256 << 20;
const GROUP: &str = "benchdg";
const DISKS: u8 = 4;
/// All volumes fit on them, wherever they are put; they are sparse.
const DISK_SIZE: u64 = 1 << 30;
const SMALL: u32 = 4 << 10;
const LARGE: u32 = 1 << 20;
/// Many requests under way.
const DEEP: u32 = 32;
/// Where volumes are read and written.
const NODE: u8 = 0;

impl Layout {
    const ALL: [Self; 4] = [Self::Simple, Self::Stripe, Self::Mirror, Self::MirrorLog];

    /// In tables and JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Stripe => "stripe",
            Self::Mirror => "mirror",
            Self::MirrorLog => "mirror, log",
            Self::InProcess => "in process",
        }
    }

    /// The name of its volume.
    fn volume(self) -> &'static str {
        match self {
            Self::Simple | Self::InProcess => "simple",
            Self::Stripe => "stripe",
            Self::Mirror => "mirror",
            Self::MirrorLog => "mirrorlog",
        }
    }

    /// The last arguments of `vxassist make`.
    fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Simple | Self::InProcess => &["layout=concat"],
            Self::Stripe => &["layout=stripe", "ncol=2"],
            Self::Mirror => &["layout=mirror", "nmirror=2", "init=active"],
            Self::MirrorLog => &["layout=mirror,log", "nmirror=2", "init=active"],
        }
    }

    fn has_copies(self) -> bool {
        match self {
            Self::Simple | Self::InProcess | Self::Stripe => false,
            Self::Mirror | Self::MirrorLog => true,
        }
    }
}

/// Measures it on a cluster of its own.
///
/// # Errors
/// If fio is not installed or fails, the cluster cannot be made, or a command is refused.
pub(super) fn measure(dir: Option<&Path>, args: &BenchArgs, nodes: u8) -> Result<Figures> {
    let program = fio::installed()?;
    let options = UpOptions {
        nodes,
        timers: args.timers,
        network: args.network.network()?,
        disks: DISKS.into(),
        disk_size: DISK_SIZE,
        ..UpOptions::default()
    };
    let cluster = match dir {
        Some(dir) => Temporary::up_in(dir, &options)?,
        None => Temporary::up(&options)?,
    };
    let mut figures = Figures::new(&cluster.cluster);
    make_volumes(&cluster)?;
    // Gone before the cluster is: they lie in its folder.
    let peers = peers::start(&cluster, args)?;
    let engine = Engine::open(&cluster)?;
    let (program, peers_of) = (&program, &peers);
    let bench = Bench { cluster: &cluster, program, peers: peers_of, engine: &engine, args, nodes };
    bench.fill()?;
    let steps = cases().len() * bench.subjects().len() + copied().count();
    let all = u64::from(args.rounds) * u64::try_from(steps)?;
    let bar = ProgressBar::new(all).with_message("volume");
    for round in 0..args.rounds {
        bench.round(round, &mut figures, &bar).with_context(|| format!("round {}", round + 1))?;
    }
    bar.finish_and_clear();
    drop(peers);
    cluster.down()?;
    Ok(figures)
}

/// What fio does in a round.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (access, size) in [
        (Access::RandomRead, SMALL),
        (Access::RandomWrite, SMALL),
        (Access::SequentialRead, LARGE),
        (Access::SequentialWrite, LARGE),
    ] {
        cases.extend([1, DEEP].map(|depth| Case { access, size, depth }));
    }
    cases
}

/// Layouts whose writers the cluster has to know.
fn copied() -> impl Iterator<Item = Layout> {
    Layout::ALL.into_iter().filter(|layout| layout.has_copies())
}

/// In all of a volume, or of a file.
fn everywhere(place: &Place, case: Case, time: Option<Duration>) -> Run<'_> {
    let Case { access, size, depth } = case;
    Run { place, access, at: 0, len: SIZE, size, depth, time }
}

/// A shared group with a volume of each layout, which the first node may write.
fn make_volumes(cluster: &Temporary) -> Result<()> {
    let run = |words: &[&str]| programs::run(cluster, NODE, words, "").map(drop);
    let disks: Vec<String> = (0..DISKS).map(|disk| format!("disk_{disk}")).collect();
    for disk in &disks {
        run(&["vxdisksetup", "-i", disk])?;
    }
    let mut init = vec!["vxdg", "-s", "init", GROUP];
    init.extend(disks.iter().map(String::as_str));
    run(&init)?;
    let size = format!("{}m", SIZE >> 20);
    for layout in Layout::ALL {
        let mut make = vec!["vxassist", "-g", GROUP, "make", layout.volume(), &size];
        make.extend(layout.attributes());
        run(&make)?;
    }
    run(&["vxdg", "-g", GROUP, "set", "activation=sw"])
}

/// All that a round needs.
struct Bench<'a> {
    cluster: &'a Temporary,
    program: &'a Path,
    peers: &'a [Peer],
    engine: &'a Engine,
    args: &'a BenchArgs,
    nodes: u8,
}

impl Bench<'_> {
    fn subjects(&self) -> Vec<Subject> {
        let volumes = Layout::ALL.map(Subject::Volume);
        let engine = [Through::File, Through::Volume].map(Subject::Engine);
        let peers = (0..self.peers.len()).map(Subject::Peer);
        volumes.into_iter().chain(peers).chain(engine).collect()
    }

    fn volume(&self, layout: Layout) -> Place {
        let socket = self.cluster.cluster.root(NODE).join("run/nbd.sock");
        Place::nbd(&format!("{GROUP}/{}", layout.volume()), &socket)
    }

    /// Writes everything once, so that nobody reads a hole or is the first to write a block.
    fn fill(&self) -> Result<()> {
        let subjects = self.subjects();
        let bar = ProgressBar::new(u64::try_from(subjects.len())?).with_message("volume: fill");
        for subject in subjects {
            let place = match subject {
                Subject::Volume(layout) => self.volume(layout),
                // Past whoever serves it: it is their file that is to be there.
                Subject::Peer(index) => Place::File(self.peers[index].path().to_owned()),
                // The simple volume is there.
                Subject::Engine(_) => continue,
            };
            let access = Access::SequentialWrite;
            let run = everywhere(&place, Case { access, size: LARGE, depth: DEEP }, None);
            Fio::start(self.cluster, self.program, &run)?.finish()?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn round(&self, round: u32, figures: &mut Figures, bar: &ProgressBar) -> Result<()> {
        let subjects = self.subjects();
        for case in cases() {
            let mut outcomes = Vec::new();
            // Whoever comes first in one round does not in the next.
            let first = usize::try_from(round)? % subjects.len();
            for subject in subjects.iter().cycle().skip(first).take(subjects.len()) {
                wait::check_interrupt()?;
                outcomes.push((*subject, self.one(*subject, case)?));
                bar.inc(1);
            }
            self.add(case, &outcomes, figures);
        }
        for layout in copied() {
            wait::check_interrupt()?;
            let (access, size, depth) = (Access::RandomWrite, SMALL, DEEP);
            let place = self.volume(layout);
            let time = Some(self.args.time + messages::SPARE);
            let fio = Fio::start(
                self.cluster,
                self.program,
                &everywhere(&place, Case { access, size, depth }, time),
            )?;
            let messages = messages::count(self.cluster, layout.volume(), fio, self.args.time)?;
            let key = self.key(Case { access, size, depth }, layout);
            figures.add_cost_of(Measured::Ours, &key, Cost::Messages, messages);
            bar.inc(1);
        }
        Ok(())
    }

    fn one(&self, subject: Subject, case: Case) -> Result<Outcome> {
        let Case { access, size, .. } = case;
        let place = match subject {
            Subject::Volume(layout) => self.volume(layout),
            Subject::Peer(index) => self.peers[index].place(access).clone(),
            Subject::Engine(through) => {
                return self.engine.run(through, case, self.args.time).context("in this process");
            }
        };
        let settle = || match subject {
            Subject::Engine(_) | Subject::Volume(_) => Ok(()),
            Subject::Peer(index) => self.peers[index].settle(),
        };
        settle()?;
        let run = everywhere(&place, case, Some(self.args.time));
        let outcome = Fio::start(self.cluster, self.program, &run)?.finish();
        let outcome = outcome.with_context(|| format!("{} of {size} bytes", access.name()))?;
        // What it has left in memory is not for the next one to wait for.
        settle()?;
        Ok(outcome)
    }

    fn key(&self, case: Case, layout: Layout) -> Key {
        let test = Some(Test { access: case.access, depth: case.depth, layout });
        Key { test, ..Key::new(Workload::Volume, self.nodes, case.size) }
    }

    /// Every layout is compared with every peer, and what has copies with what has none.
    fn add(&self, case: Case, outcomes: &[(Subject, Outcome)], figures: &mut Figures) {
        for layout in Layout::ALL {
            let key = self.key(case, layout);
            for (subject, outcome) in outcomes {
                let of = match subject {
                    Subject::Volume(this) if *this == layout => Measured::Ours,
                    Subject::Volume(Layout::Simple)
                        if layout.has_copies() && case.access.is_write() =>
                    {
                        Measured::Simple
                    }
                    Subject::Engine(_) | Subject::Volume(_) => continue,
                    Subject::Peer(index) => self.peers[*index].of(),
                };
                figures.add_run(of, key, outcome);
            }
        }
        let key = self.key(case, Layout::InProcess);
        for (subject, outcome) in outcomes {
            match subject {
                Subject::Engine(Through::File) => {
                    figures.add_run(Measured::SameEngine, key, outcome);
                }
                Subject::Engine(Through::Volume) => figures.add_run(Measured::Ours, key, outcome),
                Subject::Peer(_) | Subject::Volume(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
