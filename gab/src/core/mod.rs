//! The pure core of GAB.

use llt::{Duration, Id, Instant, NodeId, NodeSet};

use crate::event::CloseReason;
use crate::ids::{PortName, Vid, View};

/// GAB of one node, as a pure state machine. See [`crate::stack::Stack`] for its interface.
#[derive(Debug)]
pub struct Gab {
    id: Id,
}

impl Gab {
    /// A core at `now`.
    pub fn new(_now: Instant, id: Id, _config: GabConfig, _seed: u64) -> Self {
        Self { id }
    }

    /// This node.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The installed view, if any.
    pub fn view(&self) -> Option<&View> {
        None
    }

    /// The sequence (precise rule 4) before the first slot of the installed view; 0 without one.
    pub fn sequence_base(&self) -> u64 {
        0
    }
}

/// A registered client, numbered by the driver.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientId(pub u32);

/// What GAB is configured with.
#[derive(Clone, Debug)]
pub struct GabConfig {
    /// `gabconfig -c` was done: registrations and joining are allowed.
    pub configured: bool,
    /// `-n N`: seed when N nodes are visible; `None`: join a seeded cluster only, or `-x`.
    pub seed: Option<u32>,
    /// Wait after the first suspicion, restarted while suspicions change (`-t`, default 5 s).
    pub stable: Duration,
    /// The inactive time of LLT: an acknowledgement that stands still for longer is a failure.
    pub stuck: Duration,
    /// Broadcasts up to this length travel inline through the sequencer.
    pub inline_max: usize,
    /// Who authorises views with departures.
    pub arbiter: ArbiterKind,
    /// A client that leaves its receive queue full for longer is closed.
    pub client_stall: Duration,
    /// A rule to break, for proving that checkers see it.
    #[cfg(any(test, feature = "sim"))]
    pub mutant: Option<Mutant>,
}

impl Default for GabConfig {
    fn default() -> Self {
        Self {
            configured: false,
            seed: None,
            stable: Duration::from_millis(5000),
            stuck: Duration::from_millis(16_000),
            inline_max: 1024,
            arbiter: ArbiterKind::None,
            client_stall: Duration::from_millis(15_000),
            #[cfg(any(test, feature = "sim"))]
            mutant: None,
        }
    }
}

/// Who authorises views with departures (protocols.md, precise rules 9, 10).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ArbiterKind {
    /// Every view is authorised.
    #[default]
    None,
    /// A record outside, reached through [`ArbiterRequest`]. The simulator holds one; coordination
    /// points come later.
    Record,
}

/// The authorisation record R of facts algorithms 3.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Views below may not be authorised any more.
    pub promise: Vid,
    /// The authorised view.
    pub vid: Vid,
    /// Its members.
    pub members: Vec<Id>,
}

/// A question to the arbiter. Each is answered by one [`ArbiterReply`] with the same `ticket`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArbiterRequest {
    /// Echoed in the answer.
    pub ticket: u64,
    /// What to change; the answer is the record after it.
    pub change: RecordChange,
}

/// An atomic compare-and-swap on the record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordChange {
    /// If the record's vid is still `expect`: `promise = max(promise, vid)`.
    Fence {
        /// The vid that the asker read.
        expect: Vid,
        /// The asker's own.
        vid: Vid,
    },
    /// Nothing: read it.
    Read,
    /// If the record's vid is still `expect` (or there is no record and `expect` is none), it is
    /// less than `vid` and the promise is not greater: the record becomes this view.
    Swap {
        /// The vid that the asker read.
        expect: Vid,
        /// The view to authorise.
        vid: Vid,
        /// Its members.
        members: Vec<Id>,
    },
}

/// The arbiter's answer: the record as it stands after the change was tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArbiterReply {
    /// Of the request.
    pub ticket: u64,
    /// The record; `None` if there is none.
    pub record: Option<Record>,
}

/// Things an administrator may want to read; the daemon words them as facts 2.15 does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// GAB closed a client's registration.
    ClientClosed {
        /// Its port.
        port: PortName,
        /// Why.
        reason: CloseReason,
    },
    /// This node was thrown out by a view that others formed.
    Ejected {
        /// The view that excludes us.
        by: Vid,
    },
    /// From LLT.
    Llt(llt::core::Event),
    /// A port has a new membership.
    Membership {
        /// The port.
        port: PortName,
        /// Its generation.
        generation: u64,
        /// Its members.
        members: NodeSet,
    },
    /// A member acknowledges far behind the others and paces them.
    SlowMember {
        /// Which.
        node: NodeId,
        /// How many slots behind.
        behind: u64,
    },
    /// A member hears us but its acknowledgement stands still: it is thrown out.
    StuckMember {
        /// Which.
        node: NodeId,
    },
    /// A registration waits for the first membership of port a.
    WaitingForSeed {
        /// The port.
        port: PortName,
    },
}

/// One broken rule each (facts algorithms 1.14); the simulator must catch every one.
#[cfg(any(test, feature = "sim"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutant {
    /// Placeholder until the core stands.
    None,
}
