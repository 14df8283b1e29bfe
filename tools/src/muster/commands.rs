//! The subcommands that do one thing to a cluster.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Program, ExitCode};

use anyhow::{Context, Result, bail};

use super::cli::{Arbiter, Cli, Command, FaultsArgs, UpArgs};
use super::cluster::{Cluster, LinkFaults, Node, Transport};
use super::netns::place::At;
use super::netns::{self, holder};
use super::testbed::{Down, Testbed, UpOptions};
use super::{bench, demo};
use super::{binaries::Binaries, daemons, places, status, wait};
use crate::common::output;

/// The line was understood, but what it asks for makes no sense or does not exist.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Something does not run that would have to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotRunning(pub String);

/// Runs one command line.
///
/// # Errors
/// If it fails; [`exit_code`] gives the exit status.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let dir = || cli.dir.clone().map_or_else(places::default_dir, Ok);
    let open = || Testbed::open(&dir()?);
    match cli.command {
        Command::Up(args) => up(&dir()?, &args)?,
        Command::Down => open()?.down(Down::Clean)?,
        Command::Status { watch, json } => return status::run(&dir()?, watch, json),
        Command::Exec { words } => exec(&dir()?, &words)?,
        Command::Shell { node } => {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            exec(&dir()?, &[node.into(), shell])?;
        }
        // There is one daemon in this version.
        Command::Kill { node, process: _ } => {
            let testbed = open()?;
            let node = testbed.cluster.find(&node)?;
            if !testbed.kill(node)? {
                return Err(not_running(&testbed.cluster, node));
            }
        }
        Command::Pause { node } => pause(&open()?, &node, true)?,
        Command::Resume { node } => pause(&open()?, &node, false)?,
        Command::Start { node } => {
            let mut testbed = open()?;
            wait::catch_interrupts()?;
            let node = testbed.cluster.find(&node)?;
            let name = testbed.cluster.node(node).name.clone();
            if !testbed.start(node)? {
                let text = format!("{name} runs; there is no membership that it could join yet\n");
                output::print(&text)?;
            }
        }
        Command::Stop { node } => {
            let testbed = open()?;
            let node = testbed.cluster.find(&node)?;
            if !testbed.stop(node)? {
                let name = &testbed.cluster.node(node).name;
                bail!("gabd of {name} did not end in time and was killed");
            }
        }
        Command::Link(args) => {
            let cable = args.cable()?;
            let mut testbed = open()?;
            let node = testbed.cluster.find(&args.node)?;
            let link = testbed.cluster.find_link(&args.link)?;
            testbed.set_cable(node, link, cable)?;
        }
        Command::Partition { groups } => {
            let mut testbed = open()?;
            let groups = parse_groups(&testbed.cluster, &groups)?;
            testbed.partition(&groups)?;
        }
        Command::Heal => open()?.heal()?,
        Command::Faults(args) => faults(open()?, &args)?,
        Command::Demo(args) => return demo::run(cli.dir.as_deref(), &args),
        Command::Bench(args) => return bench::run(cli.dir.as_deref(), &args),
        Command::BenchClient(args) => bench::client::run(&args)?,
        Command::BenchRaw(args) => bench::raw::worker::run(&args)?,
        Command::BenchCorosync(args) => bench::corosync::room::run(&args)?,
        Command::Hold { parent, nodes } => holder::run(nodes, parent)?,
        Command::Inside { place, command } => {
            place.enter()?;
            daemons::become_program(&command)?;
        }
        Command::Detach { parent, place, command } => daemons::detach(parent, place, &command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit status that belongs to an error (interfaces.md 1).
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        2
    } else if error.is::<NotRunning>() {
        3
    } else {
        1
    }
}

fn up(dir: &Path, args: &UpArgs) -> Result<()> {
    wait::catch_interrupts()?;
    let options = UpOptions {
        nodes: args.nodes,
        links: args.links,
        timers: args.timers,
        network: args.network.network()?,
        // Two sides that both write would ruin shared disks.
        quorum: args.arbiter.map_or(args.disks > 0, |arbiter| arbiter == Arbiter::Majority),
        keyed: args.keyed,
        disks: args.disks,
        disk_size: args.disk_size,
        fuse: args.with_files()?,
        relocd: args.with_relocation()?,
        io_timeout: args.io_timeout,
        ..UpOptions::default()
    };
    let testbed = Testbed::up(dir, &options)?;
    Ok(output::print(&made(&testbed.cluster))?)
}

/// What `up` says of the cluster that it made.
fn made(cluster: &Cluster) -> String {
    let mut text = format!(
        "{} nodes with {} links are up in {} (cluster {}, {})\n",
        cluster.nodes.len(),
        cluster.links,
        cluster.dir.display(),
        cluster.cluster_id,
        carrier(cluster)
    );
    if cluster.address_offset != 0 && cluster.netns.is_none() {
        text += "127.77.L.0 cannot be bound here: node N of link L is 127.77.L.(N+1)\n";
    }
    if cluster.fuse {
        let dir = cluster.dir.display();
        text += &format!("volumes of node N are files in {dir}/nodeN/dev/vx/dsk and rdsk\n");
    }
    text
}

/// What carries the frames of a cluster, in words.
pub(super) fn carrier(cluster: &Cluster) -> String {
    let what = match cluster.transport {
        Transport::Ether => "raw Ethernet".to_owned(),
        Transport::Udp => format!("UDP ports from {}", cluster.port_base),
    };
    let sealed = if cluster.keyed { ", sealed" } else { "" };
    match cluster.netns {
        None => format!("{what}{sealed}"),
        Some(netns) => {
            let root = if netns.user { " of this user" } else { "" };
            format!("{what} in network namespaces{root}, MTU {}{sealed}", netns.mtu)
        }
    }
}

/// Becomes the command; returns only if that fails.
fn exec(dir: &Path, words: &[OsString]) -> Result<()> {
    let mut cluster = Cluster::load(dir)?;
    cluster.dir = std::fs::canonicalize(dir)?;
    let binaries = Binaries::locate()?;
    let (node, words) = words.split_first().context("no node")?;
    // As others who run a command elsewhere allow it.
    let words = words.strip_prefix(&["--".into()]).unwrap_or(words);
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = if node == "switch" {
        let mut command = netns::inside(&cluster, &binaries, At::Switch)?;
        command.arg(program).env("PATH", binaries.search_path()?);
        command
    } else {
        let node = cluster.find(&node.to_string_lossy())?;
        let root = cluster.root(node);
        if !root.is_dir() {
            bail!("{} is gone", root.display());
        }
        on_node(&cluster, node, &binaries, program)?
    };
    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", Path::new(program).display()))
}

/// A program that will run with a node's root, in its namespace if it has one, and the commands
/// first on its PATH.
///
/// # Errors
/// If PATH cannot hold the commands' folder, or nobody holds the namespace any more.
pub fn on_node(
    cluster: &Cluster,
    node: u8,
    binaries: &Binaries,
    program: impl AsRef<std::ffi::OsStr>,
) -> Result<Program> {
    let path = binaries.search_path()?;
    // The search for the program itself goes by the new PATH, too, as a shell's would.
    let mut command = if cluster.netns.is_some() {
        let mut command = netns::inside(cluster, binaries, At::Node(node))?;
        command.arg(program);
        command
    } else {
        Program::new(program)
    };
    command.env("MUSTER_ROOT", cluster.root(node)).env("PATH", path);
    Ok(command)
}

fn pause(testbed: &Testbed, node: &str, pause: bool) -> Result<()> {
    let node = testbed.cluster.find(node)?;
    if testbed.cluster.node(node).state() == super::process::State::Gone {
        return Err(not_running(&testbed.cluster, node));
    }
    testbed.pause(node, pause)
}

fn not_running(cluster: &Cluster, node: u8) -> anyhow::Error {
    NotRunning(format!("{}: gabd does not run", cluster.node(node).name)).into()
}

/// `0,1 2,3` as lists of ids.
fn parse_groups(cluster: &Cluster, groups: &[String]) -> Result<Vec<Vec<u8>>> {
    let mut parsed: Vec<Vec<u8>> = Vec::new();
    for group in groups {
        let nodes: Result<Vec<u8>> = group.split(',').map(|node| cluster.find(node)).collect();
        let nodes = nodes.with_context(|| format!("in the group {group}"))?;
        for node in &nodes {
            if parsed.iter().any(|group| group.contains(node)) {
                return Err(Usage(format!("node {node} is in two groups")).into());
            }
        }
        parsed.push(nodes);
    }
    Ok(parsed)
}

fn faults(mut testbed: Testbed, args: &FaultsArgs) -> Result<()> {
    let node = testbed.cluster.find(&args.node)?;
    let link = args.link.as_ref().map(|link| testbed.cluster.find_link(link)).transpose()?;
    let changes = [args.loss, args.dup, args.corrupt, args.reorder].iter().any(Option::is_some);
    if !(changes || args.delay.is_some() || args.clear) {
        return Ok(output::print(&listing(testbed.cluster.node(node), link))?);
    }
    let delay_us = args.delay.map(|delay| u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
    testbed.change_rates(node, link, |rates| {
        if args.clear {
            *rates = gab::admin::FaultRates::default();
        }
        rates.loss = args.loss.unwrap_or(rates.loss);
        rates.dup = args.dup.unwrap_or(rates.dup);
        rates.corrupt = args.corrupt.unwrap_or(rates.corrupt);
        rates.reorder = args.reorder.unwrap_or(rates.reorder);
        rates.delay_us = delay_us.unwrap_or(rates.delay_us);
    })
}

/// `faults` without options: how the node is disturbed, on one link or on each.
fn listing(node: &Node, link: Option<u8>) -> String {
    let links = node.faults.iter().enumerate();
    let links = links.filter(|(at, _)| link.is_none_or(|link| usize::from(link) == *at));
    links.map(|(at, faults)| format!("{} link{at}: {}\n", node.name, describe(faults))).collect()
}

/// The faults of a link in words.
pub fn describe(faults: &LinkFaults) -> String {
    let mut words = Vec::new();
    words.extend(faults.cable.describe().map(str::to_owned));
    if !faults.blocked.is_empty() {
        words.push(format!("cut off from {:?}", faults.blocked));
    }
    let rates = &faults.rates;
    let shares = [
        ("loss", rates.loss),
        ("dup", rates.dup),
        ("corrupt", rates.corrupt),
        ("reorder", rates.reorder),
    ];
    for (name, share) in shares.into_iter().filter(|(_, share)| *share > 0.0) {
        words.push(format!("{name} {}%", (share * 1e6).round() / 1e4));
    }
    if rates.delay_us > 0 {
        // With the unit as --delay takes it.
        let delay = format!("{:?}", std::time::Duration::from_micros(rates.delay_us));
        words.push(format!("delay {}", delay.replace('µ', "u")));
    }
    if words.is_empty() { "no faults".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use gab::admin::FaultRates;

    use super::super::cluster::Cable;
    use super::super::cluster::tests::cluster;
    use super::super::netns::Namespaces;
    use super::*;
    use crate::golden;

    #[test]
    fn what_was_made_is_told_and_what_carries_it() {
        let mut all = cluster();
        golden::check("muster-up", &made(&all));
        all.address_offset = 1;
        golden::check("muster-up-offset", &made(&all));
        all.fuse = true;
        golden::check("muster-up-fuse", &made(&all));
        all.fuse = false;
        all.keyed = true;
        all.transport = Transport::Ether;
        all.netns = Some(Namespaces { user: true, ..Namespaces::new(9000) });
        golden::check("muster-up-netns", &made(&all));
    }

    #[test]
    fn faults_are_a_line_for_each_link() {
        let rates =
            FaultRates { loss: 0.05, dup: 0.01, corrupt: 0.001, reorder: 0.125, delay_us: 2000 };
        let cable = |cable| LinkFaults { cable, ..LinkFaults::default() };
        let delay = |delay_us| LinkFaults {
            rates: FaultRates { delay_us, ..FaultRates::default() },
            ..LinkFaults::default()
        };
        let faults = vec![
            LinkFaults::default(),
            LinkFaults { rates, ..LinkFaults::default() },
            cable(Cable::Pulled),
            cable(Cable::Silent),
            cable(Cable::OneWayIn),
            LinkFaults {
                rates: FaultRates { loss: 1.0, ..FaultRates::default() },
                ..cable(Cable::OneWayOut)
            },
            LinkFaults { blocked: vec![1, 2], ..LinkFaults::default() },
            delay(1500),
        ];
        let node = Node { faults, ..cluster().nodes[0].clone() };
        golden::check("muster-faults", &listing(&node, None));
        golden::check("muster-faults-link", &listing(&node, Some(1)));
        // What is shown can be typed in again.
        for us in [1, 500, 1500, 2000, 1_000_000, 1_500_001] {
            let shown = describe(&delay(us));
            let typed = super::super::cli::duration(shown.trim_start_matches("delay "));
            assert_eq!(typed, Ok(std::time::Duration::from_micros(us)), "{shown}");
        }
    }
}
