//! One of the clusters that are measured beside each other, with its clients.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::temporary::Temporary;
use super::super::wait;
use super::job::{Job, Outcome, Send};
use super::p2p;

/// A cluster under measurement.
pub(super) struct Side {
    /// What it is of.
    pub(super) cluster: Temporary,
    clients: Vec<Client>,
}

impl Side {
    /// Of this cluster, without clients so far.
    pub(super) fn new(cluster: Temporary) -> Self {
        Self { cluster, clients: Vec::new() }
    }

    /// Starts a client on every node and waits until they see each other.
    ///
    /// # Errors
    /// If one does not start, or does not see all.
    pub(super) fn start_clients(&mut self) -> Result<()> {
        let program = self.cluster.binaries.path("muster");
        for id in self.cluster.cluster.ids() {
            self.clients.push(Client::start(&program, &self.cluster.cluster.root(id), id)?);
        }
        let members = u8::try_from(self.clients.len())?;
        self.clients.iter_mut().try_for_each(|client| client.expect_ready(members))
    }

    /// Process ids of the clients.
    pub(super) fn client_pids(&self) -> impl Iterator<Item = u32> {
        self.clients.iter().map(|client| client.child.id())
    }

    /// Ends the clients and takes the cluster down.
    ///
    /// # Errors
    /// Those of [`Temporary::down`].
    pub(super) fn down(self) -> Result<()> {
        drop(self.clients);
        self.cluster.down()
    }

    /// One round on all clients; checks that all were told the same.
    ///
    /// # Errors
    /// If they were not, or a client ends.
    pub(super) fn run(&mut self, job: &Job) -> Result<BTreeMap<u8, Outcome>> {
        for client in &mut self.clients {
            client.say(job)?;
        }
        // Nobody sends before everybody counts.
        for client in &mut self.clients {
            client.expect_ready(job.members)?;
        }
        for client in &mut self.clients {
            client.say(&"go")?;
        }
        let limit = Duration::from_millis(job.time_ms) + Duration::from_secs(60);
        let mut outcomes = BTreeMap::new();
        for client in &mut self.clients {
            outcomes.insert(client.node, client.hear::<Outcome>(limit)?);
        }
        if let Send::To { .. } = job.send {
            p2p::verify(job, &outcomes)?;
            return Ok(outcomes);
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
        ensure!(
            sent == first.delivered,
            "{sent} messages were sent and {} delivered",
            first.delivered
        );
        Ok(outcomes)
    }
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
