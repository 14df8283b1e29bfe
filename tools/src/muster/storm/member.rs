//! One client of a storm.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use gab::client::{Options, Port};
use gab::event::SendError;
use gab::{ClientEvent, Delivery, Level, PortView};
use llt::{Instant, NodeId, NodeSet};

use super::super::wait;
use super::message::Message;
use super::{Item, Log, Plan};

/// What the clients are to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Nobody is interested any more.
    Abort,
    /// Send the end mark, and end once all members have.
    Finish,
    /// Wait for the others.
    Gather,
    /// Send.
    Send,
}

/// What the clients and whoever started them know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// By node.
    pub(super) counters: BTreeMap<u8, Counters>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) delivered: AtomicU64,
    pub(super) closed: AtomicBool,
    /// Nanoseconds without a delivery at most, since somebody looked.
    pub(super) gap_ns: AtomicU64,
    accepted: AtomicU64,
    /// Saw a membership of all.
    complete: AtomicBool,
}

impl Shared {
    pub(super) fn new(nodes: impl Iterator<Item = u8>) -> Self {
        let counters = nodes.map(|node| (node, Counters::default())).collect();
        Self { phase: AtomicU8::new(GATHER), counters }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let number = match phase {
            Phase::Gather => GATHER,
            Phase::Send => SEND,
            Phase::Finish => FINISH,
            Phase::Abort => ABORT,
        };
        self.phase.fetch_max(number, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            GATHER => Phase::Gather,
            SEND => Phase::Send,
            FINISH => Phase::Finish,
            _ => Phase::Abort,
        }
    }

    /// How many have seen a membership of all.
    pub(super) fn complete(&self) -> usize {
        self.counters.values().filter(|c| c.complete.load(Ordering::Relaxed)).count()
    }

    /// How far everybody is, for error messages.
    pub(super) fn progress(&self) -> String {
        let one = |(node, counters): (&u8, &Counters)| {
            format!(
                "node {node} sent {} got {}{}",
                counters.accepted.load(Ordering::Relaxed),
                counters.delivered.load(Ordering::Relaxed),
                if counters.closed.load(Ordering::Relaxed) { " closed" } else { "" }
            )
        };
        self.counters.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

// Phases only ever go up.
const GATHER: u8 = 0;
const SEND: u8 = 1;
const FINISH: u8 = 2;
const ABORT: u8 = 3;

/// One client: a port and what it has been told.
pub(super) struct Member {
    port: Port,
    plan: Plan,
    log: Log,
    everybody: NodeSet,
    members: NodeSet,
    /// Who has sent the end mark.
    ended: NodeSet,
    own_delivered: u64,
    own_ended: bool,
    last_delivery: Option<Instant>,
    /// The longest time between two deliveries since `counters` were told.
    gap: Duration,
    payload: Vec<u8>,
}

impl Member {
    pub(super) fn register(node: u8, root: &Path, plan: Plan, shared: &Shared) -> Result<Self> {
        let options = Options { root: root.to_owned(), name: "storm".into(), ..Options::default() };
        let port = Port::register(plan.port, &options)
            .with_context(|| format!("cannot register on port {} of node {node}", plan.port))?;
        Ok(Self {
            port,
            plan,
            log: Log { node, ..Log::default() },
            everybody: shared.counters.keys().filter_map(|node| NodeId::new(*node)).collect(),
            members: NodeSet::EMPTY,
            ended: NodeSet::EMPTY,
            own_delivered: 0,
            own_ended: false,
            last_delivery: None,
            gap: Duration::ZERO,
            payload: Vec::new(),
        })
    }

    /// Sends and receives until the storm is over for this client.
    pub(super) fn run(mut self, shared: &Shared) -> Result<Log> {
        let counters = &shared.counters[&self.log.node];
        while self.log.closed.is_none() && !self.is_done() {
            let may_send = match shared.phase() {
                Phase::Abort => break,
                Phase::Gather => false,
                Phase::Send => self.send(false)?,
                Phase::Finish => self.own_ended || self.send(true)?,
            };
            counters.accepted.store(self.log.accepted, Ordering::Relaxed);
            // With room left it comes back for the next message at once.
            let wait = if may_send { Duration::ZERO } else { Duration::from_millis(20) };
            let mut next = self.port.recv_timeout(wait);
            while let Some(event) = next {
                self.on_event(event);
                if self.log.closed.is_some() || self.is_done() {
                    break;
                }
                next = self.port.try_recv();
            }
            let gap = std::mem::take(&mut self.gap);
            let gap = u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX);
            counters.gap_ns.fetch_max(gap, Ordering::Relaxed);
            counters.complete.fetch_or(self.members == self.everybody, Ordering::Relaxed);
            counters.delivered.store(self.deliveries(), Ordering::Relaxed);
        }
        counters.closed.store(self.log.closed.is_some(), Ordering::Relaxed);
        Ok(self.log)
    }

    /// Sends one message, if there is room in the window and at gabd; true if there was.
    fn send(&mut self, end: bool) -> Result<bool> {
        if !end && self.log.accepted - self.own_delivered >= self.plan.window {
            return Ok(false);
        }
        let number = self.log.accepted;
        let safe = self.plan.safe_every != 0 && number.is_multiple_of(self.plan.safe_every);
        let level = if safe || end { Level::Safe } else { Level::Agreed };
        let message = Message { sender: self.log.node, number, end };
        message.emit(self.plan.size, &mut self.payload);
        match self.port.try_broadcast(&self.payload, level, false) {
            Ok(()) => {
                self.log.accepted += 1;
                self.own_ended = end;
                Ok(true)
            }
            // The event that says so is on its way.
            Err(SendError::Closed | SendError::NotMember | SendError::WouldBlock) => Ok(false),
            Err(error @ SendError::TooLarge) => Err(error.into()),
        }
    }

    fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Closed(reason) => self.log.closed = Some(reason),
            ClientEvent::Deliver(delivery) => self.on_delivery(&delivery),
            ClientEvent::Status(_) => {}
            ClientEvent::View(PortView { generation, members, .. }) => {
                self.members = members;
                self.log.items.push(Item::View { generation, members });
            }
        }
    }

    fn on_delivery(&mut self, delivery: &Delivery) {
        let now = wait::now();
        if let Some(last) = self.last_delivery.replace(now) {
            self.gap = self.gap.max(now.since(last));
        }
        let Delivery { sender, sequence, level, .. } = *delivery;
        let message = match Message::parse(&delivery.payload) {
            Ok(message) if message.sender == sender.get() => message,
            Ok(message) => {
                let claimed = message.sender;
                let text = format!("a message of node {claimed} came as one of node {sender}");
                return self.log.damaged.push(text);
            }
            Err(error) => return self.log.damaged.push(error.to_string()),
        };
        if sender.get() == self.log.node {
            self.own_delivered += 1;
        }
        if message.end {
            self.ended.insert(sender);
        }
        let number = message.number;
        self.log.items.push(Item::Deliver { sequence, sender: sender.get(), number, level });
    }

    /// Everybody who is still a member has ended. All clients find this at the same place of the
    /// order, so their logs end with the same entry.
    fn is_done(&self) -> bool {
        self.own_ended && self.members.difference(self.ended).is_empty()
    }

    fn deliveries(&self) -> u64 {
        // Views are few: the difference does not matter to anybody who waits for progress.
        u64::try_from(self.log.items.len()).expect("memory is smaller")
    }
}
