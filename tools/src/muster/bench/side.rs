//! One of the clusters that are measured beside each other, with its clients.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::process::Process;
use super::super::temporary::Temporary;
use super::client_process::Client;
use super::corosync::Ring;
use super::job::{Job, Outcome, Send};
use super::p2p;

/// A cluster under measurement.
#[derive(Debug)]
pub(super) struct Side {
    clients: Vec<Client>,
    /// What it is of; dropped after the clients.
    pub(super) cluster: Cluster,
}

/// What can be measured.
#[derive(Debug)]
pub(super) enum Cluster {
    /// Corosync.
    Corosync(Ring),
    /// gabd.
    Ours(Box<Temporary>),
}

impl Cluster {
    /// One of ours, if it is.
    pub(super) fn ours(&self) -> Option<&Temporary> {
        match self {
            Self::Corosync(_) => None,
            Self::Ours(ours) => Some(ours),
        }
    }

    fn clients(&self) -> Vec<Command> {
        match self {
            Self::Corosync(ring) => {
                (0..).zip(ring.daemons()).map(|(id, _)| ring.client(id)).collect()
            }
            Self::Ours(ours) => {
                let client = |id| {
                    let mut command = Command::new(ours.binaries.path("muster"));
                    command.arg("bench-client").arg("--root").arg(ours.cluster.root(id));
                    command
                };
                ours.cluster.ids().map(client).collect()
            }
        }
    }

    /// The daemons, by node.
    pub(super) fn daemons(&self) -> Result<Vec<Process>> {
        match self {
            Self::Corosync(ring) => Ok(ring.daemons().to_vec()),
            Self::Ours(ours) => {
                let nodes = ours.cluster.nodes.iter();
                nodes
                    .map(|node| node.gabd.with_context(|| format!("{} has no gabd", node.name)))
                    .collect()
            }
        }
    }
}

impl Side {
    /// Of this cluster, without clients so far.
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { clients: Vec::new(), cluster }
    }

    /// Starts a client on every node and waits until they see each other.
    ///
    /// # Errors
    /// If one does not start, or does not see all.
    pub(super) fn start_clients(&mut self) -> Result<()> {
        for (id, command) in (0..).zip(self.cluster.clients()) {
            self.clients.push(Client::start(command, id)?);
        }
        let members = u8::try_from(self.clients.len())?;
        self.clients.iter_mut().try_for_each(|client| client.expect_ready(members))
    }

    /// Process ids of the clients.
    pub(super) fn client_pids(&self) -> impl Iterator<Item = u32> {
        self.clients.iter().map(Client::id)
    }

    /// Messages to one node are between ports of ours.
    pub(super) fn can(&self, send: Send) -> bool {
        self.cluster.ours().is_some() || !matches!(send, Send::To { .. })
    }

    /// Ends the clients and takes the cluster down.
    ///
    /// # Errors
    /// Those of [`Temporary::down`].
    pub(super) fn down(self) -> Result<()> {
        drop(self.clients);
        match self.cluster {
            Cluster::Corosync(ring) => drop(ring),
            Cluster::Ours(ours) => ours.down()?,
        }
        Ok(())
    }

    /// One round on all clients; checks that all were told the same.
    ///
    /// # Errors
    /// If they were not, or a client ends.
    pub(super) fn run(&mut self, job: &Job) -> Result<Round> {
        for client in &mut self.clients {
            client.say(job)?;
        }
        // Nobody sends before everybody counts.
        for client in &mut self.clients {
            client.expect_ready(job.members)?;
        }
        let before = self.cpu_time()?;
        for client in &mut self.clients {
            client.say(&"go")?;
        }
        let limit = Duration::from_millis(job.time_ms) + Duration::from_secs(60);
        let mut outcomes = BTreeMap::new();
        for client in &mut self.clients {
            outcomes.insert(client.node, client.hear::<Outcome>(limit)?);
        }
        let cpu = self.cpu_time()?.saturating_sub(before);
        if let Send::To { .. } = job.send {
            p2p::verify(job, &outcomes)?;
            return Ok(Round { outcomes, cpu });
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
        Ok(Round { outcomes, cpu })
    }

    /// That of all daemons and all clients.
    fn cpu_time(&self) -> Result<Duration> {
        let mut total = Duration::ZERO;
        let clients = self.client_pids().filter_map(Process::of);
        for process in self.cluster.daemons()?.into_iter().chain(clients) {
            let time = process.cpu_time();
            total +=
                time.with_context(|| format!("the CPU time of {} cannot be read", process.pid))?;
        }
        Ok(total)
    }
}

/// What came of a round.
#[derive(Debug)]
pub(super) struct Round {
    /// What each client saw.
    pub(super) outcomes: BTreeMap<u8, Outcome>,
    /// CPU time of all daemons and clients.
    pub(super) cpu: Duration,
}
