//! A storm: a client on every node broadcasts as fast as a small window lets it and writes down
//! everything that it is told, while somebody breaks the cluster. [`check`] then judges the logs.

mod check;
mod member;
mod message;

pub use check::{Summary, Violation, check};
pub use member::Phase;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gab::{CloseReason, Level, PortName};
use llt::NodeSet;

use super::wait;
use member::{Member, Shared};

/// What every client of a storm does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The port.
    pub port: PortName,
    /// Bytes per message, at least 16.
    pub size: usize,
    /// Own messages under way at most.
    pub window: u64,
    /// Each message whose number is a multiple of this is SAFE; 1: all, 0: none.
    pub safe_every: u64,
}

impl Plan {
    /// Small messages on `port`, every eighth of them SAFE.
    pub fn on(port: PortName) -> Self {
        Self { port, size: 64, window: 32, safe_every: 8 }
    }
}

/// What one client was told, in its order.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Node id of the client.
    pub node: u8,
    /// Deliveries and memberships.
    pub items: Vec<Item>,
    /// Own messages that were accepted, numbered from 0; the last one is the end mark, if it was
    /// sent.
    pub accepted: u64,
    /// GAB closed the registration.
    pub closed: Option<CloseReason>,
    /// Payloads that nobody can have sent.
    pub damaged: Vec<String>,
}

/// One entry of a log. Two clients that were told the same have equal entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Item {
    /// A message.
    Deliver {
        /// Place in the order of the cluster.
        sequence: u64,
        /// Who sent it.
        sender: u8,
        /// The sender's count, from 0.
        number: u64,
        /// SAFE or AGREED.
        level: Level,
    },
    /// A membership.
    View {
        /// Its generation.
        generation: u64,
        /// Its members.
        members: NodeSet,
    },
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver { sequence, sender, number, level } => {
                write!(f, "message {number} of node {sender} ({level:?}) at {sequence}")
            }
            Self::View { generation, members } => write!(f, "view {generation:x} of {members}"),
        }
    }
}

/// A storm under way.
#[derive(Debug)]
pub struct Storm {
    shared: Arc<Shared>,
    threads: BTreeMap<u8, JoinHandle<Result<Log>>>,
}

impl Storm {
    /// Registers a client on each node of `roots` and lets them send once all are members.
    ///
    /// # Errors
    /// If one cannot register, or they do not become members in time.
    pub fn start(roots: &BTreeMap<u8, PathBuf>, plan: Plan, limit: Duration) -> Result<Self> {
        let shared = Arc::new(Shared::new(roots.keys().copied()));
        let mut storm = Self { shared: Arc::clone(&shared), threads: BTreeMap::new() };
        for (node, root) in roots {
            let (root, shared, node) = (root.clone(), Arc::clone(&shared), *node);
            let thread = std::thread::Builder::new()
                .name(format!("storm-{node}"))
                .spawn(move || Member::register(node, &root, plan, &shared)?.run(&shared))
                .context("cannot start a thread")?;
            storm.threads.insert(node, thread);
        }
        let all = roots.len();
        wait::until("every client of the storm is a member", limit, || {
            if let Some(node) = storm.threads.iter().find(|(_, t)| t.is_finished()).map(|(n, _)| *n)
            {
                let thread = storm.threads.remove(&node).expect("it was found there");
                bail!("the client on node {node} ended: {:?}", join(thread)?.closed);
            }
            Ok((shared.complete() == all).then_some(()))
        })?;
        shared.set_phase(Phase::Send);
        Ok(storm)
    }

    /// Messages delivered so far to the client of `node`.
    pub fn delivered(&self, node: u8) -> u64 {
        self.shared.counters[&node].delivered.load(Ordering::Relaxed)
    }

    /// The longest time between two deliveries to the client of `node` since this was last called,
    /// or since the start.
    pub fn take_longest_gap(&self, node: u8) -> Duration {
        Duration::from_nanos(self.shared.counters[&node].gap_ns.swap(0, Ordering::Relaxed))
    }

    /// Has GAB closed the registration of the client of `node`?
    pub fn is_closed(&self, node: u8) -> bool {
        self.shared.counters[&node].closed.load(Ordering::Relaxed)
    }

    /// Waits until the client of `node` was told `count` more messages than now.
    ///
    /// # Errors
    /// If it was not, in time.
    pub fn wait_progress(&self, node: u8, count: u64, limit: Duration) -> Result<()> {
        let goal = self.delivered(node) + count;
        let what = format!("the client of node {node} gets {count} more messages");
        wait::until(&what, limit, || Ok((self.delivered(node) >= goal).then_some(())))
    }

    /// Ends the storm: each client sends an end mark and goes on until it has those of all who are
    /// still members. Gives the logs by node.
    ///
    /// # Errors
    /// If that takes longer than `limit`: with how far each client came.
    pub fn finish(mut self, limit: Duration) -> Result<BTreeMap<u8, Log>> {
        self.shared.set_phase(Phase::Finish);
        let (shared, threads) = (&self.shared, &self.threads);
        wait::until_or(
            limit,
            || Ok(threads.values().all(JoinHandle::is_finished).then_some(())),
            || anyhow!("the storm does not end: {}", shared.progress()),
        )?;
        let threads = std::mem::take(&mut self.threads);
        threads.into_iter().map(|(node, thread)| Ok((node, join(thread)?))).collect()
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.shared.set_phase(Phase::Abort);
        for (_, thread) in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

fn join(thread: JoinHandle<Result<Log>>) -> Result<Log> {
    thread.join().map_err(|_| anyhow!("a client of the storm panicked"))?
}
