//! A node: its processes, and what is between them.

use std::collections::{BTreeMap, VecDeque};

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use cvm::core::configd::{Configd, ConfigdOutput};
use cvm::core::iod::{Command, Debts, Iod, IodOutput, Upcall};
use cvm::model::{Sectors, UniqueId};
use cvm::sim::Answer;
use cvm::volume::RequestId;
use llt::{Instant, NodeId};

use super::data::Identity;
use super::plane::{Flight, Plane};
use super::port::Port;

/// What passes on the socket between vxconfigd and vxiod: something, or that the other one is there, or
/// gone.
#[derive(Clone, Debug)]
pub(super) enum Heard<T> {
    Gone,
    Here,
    Said(T),
}

/// What vxiod hears of disks.
#[derive(Clone, Debug)]
pub(super) enum Answered {
    /// What this one owes has changed.
    Hangs(UniqueId),
    Job(Answer),
}

/// vxiod. What follows from it need not be looked at again before somebody may have changed it.
#[derive(Debug)]
pub struct Vxiod {
    core: Iod,
    changes: u64,
    /// When its timer is due, as of so many changes.
    deadline: (u64, Option<Instant>),
}

impl Vxiod {
    pub(super) const fn new(core: Iod) -> Self {
        Self { core, changes: 1, deadline: (0, None) }
    }

    /// When its timer is due.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        if self.deadline.0 != self.changes {
            self.deadline = (self.changes, self.core.next_deadline());
        }
        self.deadline.1
    }

    /// How often it may have changed; never 0.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Deref for Vxiod {
    type Target = Iod;

    fn deref(&self) -> &Iod {
        &self.core
    }
}

impl DerefMut for Vxiod {
    fn deref_mut(&mut self) -> &mut Iod {
        self.changes += 1;
        &mut self.core
    }
}

/// The processes of a node besides gabd.
#[derive(Debug)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// vxiod, if it runs.
    pub iod: Option<Vxiod>,
    /// vxconfigd, if it runs.
    pub configd: Option<Configd>,
    /// Port v, of vxiod.
    pub v: Port,
    /// Port w, of vxconfigd: configuration.
    pub w: Port,
    /// Port u, of vxconfigd: requests.
    pub u: Port,
    /// The generation of port v that vxiod has read of last.
    pub generation: u64,
    /// What the cores want done and is not done yet: while there is something, they wait.
    pub(super) iod_out: VecDeque<IodOutput>,
    /// How often vxiod had changed when it was asked what it wants, and when its tables were looked at.
    pub(super) collected: u64,
    pub(super) watched: u64,
    pub(super) configd_out: VecDeque<ConfigdOutput>,
    pub(super) to_configd: VecDeque<Heard<Upcall>>,
    pub(super) to_iod: VecDeque<Heard<Command>>,
    /// Each has heard that the other one is there, and is not gone.
    pub(super) iod_hears: bool,
    pub(super) configd_hears: bool,
    /// What disks have answered, and vxiod does not know yet.
    pub(super) ended: VecDeque<Answered>,
    /// What disks owe that were not waited for.
    pub(super) debts: Debts,
    /// Volumes that are open or copied.
    pub(super) plane: Plane,
    /// What a vxiod that was killed has told disks, and they have not come to.
    pub(super) left: Vec<Flight>,
    /// Changes that programs were told have failed, or nobody was told of, until no disk does them.
    pub(super) overdue: BTreeMap<RequestId, (Identity, (Sectors, Sectors))>,
    /// Its port is left when that is done.
    pub(super) is_leaving: bool,
    /// vxiod closes port v when no shared disk has anything to change for it any more.
    pub(super) is_closing: bool,
    /// When looks at all disks are done.
    pub(super) scans: VecDeque<Instant>,
    /// Requests of utilities that vxconfigd has not read yet.
    pub(super) to_ask: VecDeque<usize>,
    /// The life of gabd that was seen last.
    pub(super) life: Option<usize>,
    /// Since when its vxiod is a member of the cluster.
    pub(super) member_since: Option<Instant>,
    /// When the processes start again.
    pub(super) iod_at: Option<Instant>,
    pub(super) configd_at: Option<Instant>,
    /// vxconfigd hangs until then.
    pub(super) hangs_until: Instant,
    /// `vxclustadm startnode` is given not before.
    pub(super) start_at: Instant,
    /// One was given and is not answered.
    pub(super) starting: Option<usize>,
    /// vxconfigd wants its ports, and tries to open them not before.
    pub(super) is_joining: bool,
    pub(super) port_retry: Instant,
    /// The next time that the processes run, and how far apart those times are.
    pub(super) turn_at: Instant,
    pub(super) latency: Duration,
}

impl Node {
    pub(super) fn new(index: usize, id: NodeId, latency: Duration) -> Self {
        Self {
            id,
            iod: None,
            configd: None,
            v: Port::new(index, 0),
            w: Port::new(index, 1),
            u: Port::new(index, 2),
            generation: 0,
            iod_out: VecDeque::new(),
            collected: 0,
            watched: 0,
            configd_out: VecDeque::new(),
            to_configd: VecDeque::new(),
            to_iod: VecDeque::new(),
            iod_hears: false,
            configd_hears: false,
            ended: VecDeque::new(),
            debts: Debts::default(),
            plane: Plane::default(),
            left: Vec::new(),
            overdue: BTreeMap::new(),
            is_leaving: false,
            is_closing: false,
            scans: VecDeque::new(),
            to_ask: VecDeque::new(),
            life: None,
            member_since: None,
            iod_at: None,
            configd_at: None,
            hangs_until: Instant::ZERO,
            start_at: Instant::ZERO,
            starting: None,
            is_joining: false,
            port_retry: Instant::ZERO,
            turn_at: Instant::ZERO,
            latency,
        }
    }

    /// Its vxiod, if it is a member of the cluster.
    pub fn member(&self) -> Option<&Iod> {
        self.iod.as_deref().filter(|iod| iod.role().is_member)
    }

    /// Nothing is on its way between its processes.
    pub(super) fn is_quiet(&self) -> bool {
        self.iod_out.is_empty()
            && self.configd_out.is_empty()
            && self.to_configd.is_empty()
            && self.to_iod.is_empty()
            && self.ended.is_empty()
            && self.debts.is_empty()
            && self.scans.is_empty()
            && self.to_ask.is_empty()
    }

    /// Takes what the cores want done.
    pub(super) fn collect(&mut self) {
        if let Some(iod) = self.iod.as_mut().filter(|iod| iod.changes != self.collected) {
            while let Some(output) = iod.core.poll_output() {
                self.iod_out.push_back(output);
            }
            self.collected = iod.changes;
        }
        if let Some(configd) = &mut self.configd {
            while let Some(output) = configd.poll_output() {
                self.configd_out.push_back(output);
            }
        }
    }
}
