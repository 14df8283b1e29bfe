//! The workload `txn`: a group of a thousand records on a cluster with disks. How long a transaction
//! takes, a listing, an import, and how soon another master carries out the next transaction; then what a
//! lost master costs those who write ([`failover`]).

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cvm::model::op::{DiskName, Make, Op, VolumeLayout};
use cvm::model::{Copies, Name};
use cvm::request::{DiskRequest, GroupRequest, Import, Reply, Request};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use llt::Instant;

use super::super::cli::{BenchArgs, Workload};
use super::super::temporary::Temporary;
use super::super::testbed::UpOptions;
use super::super::{programs, volumes, wait};
use super::report::{Figures, Key, Measured};
use super::{failover, fio};

const DISKS: u8 = 3;
const DISK_SIZE: u64 = 512 << 20;
/// A volume is three records: itself, a plex, a subdisk.
const VOLUMES: u32 = 1000_u32.div_ceil(3);
const GROUP: &str = "benchdg";
/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures it on a cluster of its own.
///
/// # Errors
/// If the cluster cannot be made, or anything is refused.
pub(super) fn measure(args: &BenchArgs, nodes: u8) -> Result<Figures> {
    if nodes > 1 {
        fio::installed()?;
    }
    let network = args.network.network()?;
    let (disks, disk_size) = (DISKS, DISK_SIZE);
    let options = UpOptions {
        nodes,
        timers: args.timers,
        network,
        disks: disks.into(),
        disk_size,
        ..UpOptions::default()
    };
    let mut cluster = Temporary::up(&options)?;
    let mut figures = Figures::new(&cluster.cluster);
    let bar = ProgressBar::new(args.rounds.into()).with_message("txn");
    for disk in 0..DISKS {
        let access = format!("disk_{disk}");
        let setup = DiskRequest::Setup { access, force: false, private_len: None };
        change(&cluster, 0, &Request::Disk(setup))?;
    }
    for number in 0..args.rounds {
        wait::check_interrupt()?;
        round(&mut cluster, nodes, &mut figures)
            .with_context(|| format!("round {}", number + 1))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    cluster.down()?;
    Ok(figures)
}

fn round(cluster: &mut Temporary, nodes: u8, figures: &mut Figures) -> Result<()> {
    let key = Key::new(Workload::Txn, nodes, 0);
    let mut times = |what, start: Instant| {
        figures.add_span(key, what, "of 1000 records", wait::now().since(start))
    };
    change(cluster, 0, &init()?)?;
    let mut each = Histogram::<u64>::new(3)?;
    let start = wait::now();
    for number in 0..VOLUMES {
        let begin = wait::now();
        change(cluster, 0, &make(&format!("vol{number}"))?)?;
        each.record(u64::try_from(wait::now().since(begin).as_nanos())?)?;
    }
    times("create", start);
    let last = nodes - 1;
    let start = wait::now();
    let shown = programs::run(cluster, last, &["vxprint", "-g", GROUP, "-ht"], "")?;
    times("list", start);
    let listed = shown.lines().filter(|line| line.starts_with("v  ")).count();
    ensure!(listed == VOLUMES as usize, "vxprint shows {listed} of {VOLUMES} volumes");
    let start = wait::now();
    change(cluster, 0, &Request::Group(deport()?))?;
    times("deport", start);
    let start = wait::now();
    change(cluster, 0, &Request::Group(import()))?;
    times("import", start);
    if nodes > 1 {
        let start = wait::now();
        let (master, other) = fail_over(cluster)?;
        times("failover", start);
        cluster.start(master)?;
        destroy(cluster, other)?;
        change(cluster, other, &init()?)?;
        let (master, other) = failover::measure(cluster, GROUP, nodes, figures)?;
        cluster.start(master)?;
        destroy(cluster, other)?;
    } else {
        destroy(cluster, 0)?;
    }
    let mut flushes = Histogram::<u64>::new(3)?;
    for _ in 0..100 {
        flushes.record(flush(cluster)?)?;
    }
    figures.add_latencies(Measured::Ours, key, "transaction", &each);
    figures.add_latencies(Measured::Ours, key, "flush", &flushes);
    Ok(())
}

/// Kills the master, and has another node make a volume: once it is done there is a new master.
fn fail_over(cluster: &mut Temporary) -> Result<(u8, u8)> {
    let master = volumes::snapshot(&cluster.cluster, 0)?.cluster.master.context("no master")?;
    let other = cluster.cluster.ids().find(|id| *id != master).context("no other node")?;
    cluster.kill(master)?;
    // Asked while the master is missed it is refused, or waits: either way somebody has to ask again.
    wait::until("another master", PATIENCE, || {
        Ok(match volumes::ask(&cluster.cluster, other, &make("after")?)? {
            Reply::Done => Some(()),
            Reply::Failed(_) | Reply::Unknown(_) => None,
            reply => bail!("vxconfigd answered {reply:?}"),
        })
    })?;
    Ok((master, other))
}

/// What a transaction cannot be faster than: a write to each disk, and waiting until it is durable,
/// twice, at all disks at the same time. In nanoseconds.
fn flush(cluster: &Temporary) -> Result<u64> {
    let begin = wait::now();
    std::thread::scope(|scope| {
        let one = |path: std::path::PathBuf| {
            move || -> Result<()> {
                let mut options = OpenOptions::new();
                let flags = rustix::fs::OFlags::DIRECT.bits();
                let options = options.read(true).write(true).custom_flags(flags.cast_signed());
                let file = options.open(&path)?;
                let mut page = vec![0_u8; 8192];
                let offset = page.as_ptr().align_offset(4096);
                let block = &mut page[offset..offset + 4096];
                // What is there is written again: the last block of the disk is nobody's.
                file.read_exact_at(block, DISK_SIZE - 4096)?;
                file.write_all_at(block, DISK_SIZE - 4096)?;
                Ok(file.sync_data()?)
            }
        };
        let paths = volumes::disk_paths(&cluster.cluster);
        let threads: Vec<_> = paths.into_iter().map(|path| scope.spawn(one(path))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    Ok(u64::try_from(wait::now().since(begin).as_nanos())?)
}

/// Has something done by a node.
fn change(cluster: &Temporary, node: u8, request: &Request) -> Result<()> {
    match volumes::ask(&cluster.cluster, node, request)? {
        Reply::Done => Ok(()),
        Reply::Failed(failure) => bail!("node {node}: {}", failure.text),
        reply => bail!("node {node}: vxconfigd answered {reply:?}"),
    }
}

fn name(text: &str) -> Result<Name> {
    Ok(Name::new(text)?)
}

fn init() -> Result<Request> {
    let disk = |number| DiskName { name: None, access: format!("disk_{number}") };
    Ok(Request::Group(GroupRequest::Init {
        name: name(GROUP)?,
        shared: true,
        disks: (0..DISKS).map(disk).collect(),
        minors: None,
        nconfig: Copies::Default,
        nlog: Copies::Default,
        cds: true,
    }))
}

fn make(volume: &str) -> Result<Request> {
    let make = Make::new(name(volume)?, Some(2048), VolumeLayout::Concat);
    Ok(Request::Op { group: name(GROUP)?, op: Op::Make(Box::new(make)) })
}

fn destroy(cluster: &Temporary, node: u8) -> Result<()> {
    change(cluster, node, &Request::Group(GroupRequest::Destroy(name(GROUP)?)))
}

fn deport() -> Result<GroupRequest> {
    Ok(GroupRequest::Deport { group: name(GROUP)?, rename: None, host: None })
}

fn import() -> GroupRequest {
    GroupRequest::Import(Import {
        group: GROUP.to_owned(),
        shared: true,
        force: false,
        clear: false,
        temporary: false,
        rename: None,
        select: None,
        reminor: None,
    })
}
