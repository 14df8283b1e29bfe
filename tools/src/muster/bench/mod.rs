//! `muster bench`: real daemons, one client process per node, rounds interleaved.
//!
//! [`client`] is the process on each node, `job` what the two say to each other, `idle` what a
//! cluster without clients costs, `report` the figures. Order and completeness are verified in every round, so a figure can only come from a
//! run in which everybody was told the same.

pub mod client;
mod idle;
mod job;
mod report;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::cli::{BenchArgs, Workload};
use super::commands::Usage;
use super::temporary::Temporary;
use super::testbed::UpOptions;
use super::{control, wait};
use job::{Job, Outcome, Send};
use report::{Figures, Key};

/// Runs the workloads and prints their figures.
///
/// # Errors
/// If the cluster cannot be made, a client fails, or order or completeness is violated.
pub fn run(dir: Option<&Path>, args: &BenchArgs) -> Result<ExitCode> {
    let refused = [(args.peer.is_some(), "--peer"), (args.plot.is_some(), "--plot")];
    if let Some((_, refused)) = refused.iter().find(|(given, _)| *given) {
        return Err(Usage(format!("{refused} is not in this version")).into());
    }
    wait::catch_interrupts()?;
    let network = args.network.network()?;
    let timers = args.timers;
    let options = UpOptions { nodes: args.nodes, timers, network, ..UpOptions::default() };
    let cluster = match dir {
        Some(dir) => Temporary::up_in(dir, &options)?,
        None => Temporary::up(&options)?,
    };
    let figures = measure(&cluster, args);
    cluster.down()?;
    let figures = figures?;
    print!("{}", figures.table());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures.json())? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(cluster: &Temporary, args: &BenchArgs) -> Result<Figures> {
    let mut figures = Figures::new(&cluster.cluster);
    let workloads = args.chosen();
    // Before there are clients.
    if workloads.contains(&Workload::Idle) {
        for _ in 0..args.rounds {
            idle::measure(&cluster.cluster, args.time, &mut figures)?;
        }
    }
    let sequencer = control::snapshot(&cluster.cluster, 0)?.gab.sequencer;
    let sequencer = sequencer.context("there is no sequencer")?;
    let plan = plan(args, &workloads, sequencer);
    if plan.is_empty() {
        return Ok(figures);
    }
    let mut clients = Vec::new();
    for id in cluster.cluster.ids() {
        let program = cluster.binaries.path("muster");
        clients.push(Client::start(&program, &cluster.cluster.root(id), id)?);
    }
    for client in &mut clients {
        client.expect_ready(args.nodes)?;
    }
    let rounds = u64::from(args.rounds) * u64::try_from(plan.len())?;
    let bar = ProgressBar::new(rounds).with_message("rounds");
    for round in 0..args.rounds {
        for (step, (key, job)) in plan.iter().enumerate() {
            wait::check_interrupt()?;
            let number = round * u32::try_from(plan.len())? + u32::try_from(step)?;
            let job = Job { round: number, ..job.clone() };
            let outcomes = run_job(&mut clients, &job)
                .with_context(|| format!("{key:?}, round {}", round + 1))?;
            figures.add(key, &job, &outcomes)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// All that is measured in one round.
fn plan(args: &BenchArgs, workloads: &[Workload], sequencer: u8) -> Vec<(Key, Job)> {
    let sizes = if args.sizes.is_empty() { &[64, 1024][..] } else { &args.sizes };
    let other = (0..args.nodes).rev().find(|id| *id != sequencer).unwrap_or(sequencer);
    let time_ms = u64::try_from(args.time.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    for size in sizes {
        let key = |workload| Key { workload, n: args.nodes, size: *size, level: None, from: None };
        let job = |senders: Vec<u8>, send, time_ms| Job {
            round: 0,
            senders,
            members: args.nodes,
            size: *size,
            time_ms,
            send,
        };
        for workload in workloads {
            match workload {
                // From a node that is not the sequencer: the case that most senders are in.
                Workload::Bcast1 => {
                    plan.push((key(*workload), job(vec![other], Send::Flood, time_ms)));
                }
                Workload::BcastAll => {
                    let senders = (0..args.nodes).collect();
                    plan.push((key(*workload), job(senders, Send::Flood, time_ms)));
                }
                Workload::Idle => {}
                Workload::Latency => {
                    let mut origins = vec![("sequencer", sequencer), ("other", other)];
                    origins.dedup_by_key(|(_, node)| *node);
                    for (from, node) in origins {
                        for safe in [false, true] {
                            let level = Some(if safe { "safe" } else { "agreed" });
                            let key = Key { level, from: Some(from), ..key(*workload) };
                            // Four of these go into one round.
                            plan.push((key, job(vec![node], Send::One { safe }, time_ms / 2)));
                        }
                    }
                }
            }
        }
    }
    plan
}

/// One round on all clients; checks that all were told the same.
fn run_job(clients: &mut [Client], job: &Job) -> Result<BTreeMap<u8, Outcome>> {
    for client in &mut *clients {
        client.say(job)?;
    }
    // Nobody sends before everybody counts.
    for client in &mut *clients {
        client.expect_ready(job.members)?;
    }
    for client in &mut *clients {
        client.say(&"go")?;
    }
    let limit = Duration::from_millis(job.time_ms) + Duration::from_secs(60);
    let mut outcomes = BTreeMap::new();
    for client in &mut *clients {
        outcomes.insert(client.node, client.hear::<Outcome>(limit)?);
    }
    let first = outcomes.values().next().context("there is at least one node")?;
    for (node, outcome) in &outcomes {
        ensure!(
            (outcome.delivered, outcome.digest) == (first.delivered, first.digest),
            "node {node} was told {} messages in another order than node 0 its {}",
            outcome.delivered,
            first.delivered
        );
    }
    let sent: u64 = outcomes.values().map(|outcome| outcome.sent).sum();
    ensure!(sent == first.delivered, "{sent} messages were sent and {} delivered", first.delivered);
    Ok(outcomes)
}

/// A client process.
struct Client {
    node: u8,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn start(program: &Path, root: &Path, node: u8) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("bench-client").arg("--root").arg(root);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a client")?;
        let stdin = child.stdin.take().context("it was piped")?;
        let stdout = BufReader::new(child.stdout.take().context("it was piped")?);
        Ok(Self { node, child, stdin, stdout })
    }

    fn say(&mut self, what: &impl serde::Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.stdin.write_all(&line).with_context(|| format!("client {} is gone", self.node))
    }

    /// One line of JSON, which comes within `limit`.
    fn hear<T: serde::de::DeserializeOwned>(&mut self, limit: Duration) -> Result<T> {
        use rustix::event::{PollFd, PollFlags};
        let end = wait::now() + limit;
        // One line is asked for at a time and read whole: the buffer is empty here.
        while !wait::poll_fds(
            &mut [PollFd::new(self.stdout.get_ref(), PollFlags::IN)],
            Duration::from_millis(200),
        ) {
            wait::check_interrupt()?;
            if wait::now() >= end {
                bail!("client {} says nothing for {} s", self.node, limit.as_secs());
            }
        }
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("client {} ended", self.node))
    }

    fn expect_ready(&mut self, members: u8) -> Result<()> {
        let seen: u8 = self.hear(Duration::from_secs(60))?;
        ensure!(seen == members, "client {} sees {seen} members", self.node);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
