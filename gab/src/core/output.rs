//! What the core gives out.

use bytes::Bytes;
use llt::{Duration, Id, NodeId, NodeSet};

use super::ArbiterRequest;
use super::supervise::BEAT_BUCKETS;
use crate::event::CloseReason;
use crate::ids::{PortName, Vid};

/// A registered client, numbered by the driver.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(pub u32);

/// What is sent to the process of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientSignal {
    /// SIGABRT: it may say why it hangs, in a core dump say.
    Abort,
    /// SIGKILL.
    Kill,
}

/// One thing for the layer below or above to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GabOutput {
    /// Ask the arbiter.
    Arbiter(ArbiterRequest),
    /// Ask this supervised client for a sign of life; it comes with [`Gab::heard`](super::Gab::heard).
    AskBeat(ClientId),
    /// Send once, unreliably, to every connected peer.
    Broadcast(Bytes),
    /// This client has events, or room to send again.
    Client(ClientId),
    /// Send once, unreliably.
    Datagram(Id, Bytes),
    /// This node was thrown out.
    Ejected {
        /// A kernel-type client was registered.
        halt: bool,
    },
    /// This node must not go on: stop it. Every client has a `Closed` event waiting.
    Halt {
        /// Why.
        cause: HaltCause,
        /// The port that it is about.
        port: PortName,
    },
    /// The clean leave is done.
    Left,
    /// For the log.
    Notice(Notice),
    /// Send reliably and in order.
    Send(Id, Bytes),
    /// Send a signal to the process of this supervised client. After `Kill` its registration is
    /// closed; [`Gab::gone`](super::Gab::gone) tells when its process is gone.
    Signal(ClientId, ClientSignal),
}

/// Why a node halts itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HaltCause {
    /// A client without a heartbeat could not be killed, or was not to be (`-b`).
    ClientFailure,
    /// The process of a client died (`-p`).
    ProcessDeath,
    /// It is on the side of a split that has no majority (`-q`).
    Quorum,
    /// A supervised client that died did not register again in time.
    Registration,
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
    /// A supervised client gave no sign of life for its time: it is killed, or the node halts.
    ClientFailed {
        /// Which.
        client: ClientId,
        /// Its port.
        port: PortName,
        /// Its time.
        timeout: Duration,
        /// How many signs of life came within each fifth of that time after the one before.
        beats: [u64; BEAT_BUCKETS],
    },
    /// A kernel-type client cannot be served any longer: its process is killed, and its registration
    /// ends with that.
    ClientKilled {
        /// Which.
        client: ClientId,
        /// Its port.
        port: PortName,
        /// Why.
        reason: CloseReason,
    },
    /// A supervised client has given no sign of life for so many seconds.
    ClientInactive {
        /// Which.
        client: ClientId,
        /// Its port.
        port: PortName,
        /// How many.
        seconds: u64,
    },
    /// Where a port stands, in a moment of trouble: one for each that has a membership.
    Dump(PortDump),
    /// This node was thrown out by a view that others formed.
    Ejected {
        /// The view that excludes us.
        by: Vid,
    },
    /// Members of a port have one link left: others than before, and at least one.
    Jeopardy {
        /// The port.
        port: PortName,
        /// Its generation.
        generation: u64,
        /// Which.
        nodes: NodeSet,
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
    /// The registration of this node on a port has ended; others are still members.
    PortClosed {
        /// The port.
        port: PortName,
    },
    /// The sequencer gave a place in the order to a second message. It is not taken.
    ProtocolError {
        /// The place, over the whole life of the cluster (precise rule 4).
        sequence: u64,
    },
    /// Another node counts majorities and this one does not, or the other way round.
    QuorumDiffers {
        /// Which.
        node: NodeId,
        /// Has it, and not this one?
        theirs: bool,
    },
    /// Too few of a view are left to go on from it.
    QuorumLost {
        /// Its members, without those that left in order.
        of: NodeSet,
        /// Those of them that are here.
        present: NodeSet,
    },
    /// A supervised client died, and nobody has registered on its port since.
    RegistrationExpected {
        /// The port.
        port: PortName,
        /// How long it may still take.
        left: Duration,
        /// Then the node halts.
        halt: bool,
    },
    /// Nobody has registered on the port of a supervised client in time after it died.
    RegistrationMissed {
        /// The port.
        port: PortName,
    },
    /// A node that was removed was alive all the time: its network comes and goes.
    Returned {
        /// Which.
        node: NodeId,
        /// It is let in once it has been connected for so long.
        hold: Duration,
    },
    /// A view was formed because an operator said so (`-x`).
    SeededByHand {
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
    /// A member did not answer view changes for longer than it may: it is dropped.
    Stalled {
        /// Which.
        node: NodeId,
        /// The limit, in stable times.
        conn_wait: u32,
    },
    /// A member hears us but its acknowledgement stands still: it is thrown out.
    StuckMember {
        /// Which.
        node: NodeId,
    },
    /// So many view changes with different members have failed since the view in force that no more
    /// of them can be remembered, as a majority needs it: this node takes part in no other.
    TooManyChanges {
        /// How many.
        failed: usize,
    },
    /// A node speaks no version of GAB's protocol that this one speaks, or the view: it cannot be
    /// in one with it.
    VersionRefused {
        /// Which.
        node: NodeId,
        /// What it speaks.
        versions: crate::ids::Versions,
        /// What this node, or the view, speaks.
        ours: crate::ids::Versions,
    },
    /// Nodes of the cluster have no client on a port: others than before, and at least one.
    Visible {
        /// The port.
        port: PortName,
        /// Its generation.
        generation: u64,
        /// Which.
        nodes: NodeSet,
    },
    /// A registration waits for the first membership of port a, which itself waits for enough nodes.
    WaitingForSeed {
        /// The port.
        port: PortName,
    },
}

/// Where a port stands as one node sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortDump {
    /// The port.
    pub port: PortName,
    /// This node.
    pub node: NodeId,
    /// Nodes that LLT has a connection to, and this one.
    pub connected: NodeSet,
    /// Members of the cluster.
    pub view: NodeSet,
    /// Members of the port.
    pub members: NodeSet,
    /// In a view change those that answered; else those that hold all that this node holds.
    pub answered: NodeSet,
    /// Members with one link left.
    pub jeopardy: NodeSet,
    /// 1: in order; 2: frozen in a view change; 3: ready for a new view.
    pub state: u8,
    /// The port's generation.
    pub generation: u64,
    /// Slots of the view that are held without a gap.
    pub held: u64,
    /// Those of them that every member holds.
    pub stable: u64,
}

/// Counters of GAB. Every message that is dropped has one by its cause.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// "Impossible" states of our own making; each is a bug and fails every test.
    pub alarms: u64,
    /// Acknowledgements sent in messages of their own.
    pub acks_sent: u64,
    /// Client messages delivered.
    pub delivered: u64,
    /// Messages that were not messages of GAB.
    pub malformed: u64,
    /// Requests for missing slots sent.
    pub naks_sent: u64,
    /// Messages of a view that is not ours, or from somebody who may not send them.
    pub other_view: u64,
    /// Entries numbered as sequencer.
    pub ordered: u64,
    /// Point-to-point messages dropped because their generation has passed or their peer has gone.
    pub p2p_dropped: u64,
    /// Point-to-point messages sent again.
    pub p2p_resent: u64,
    /// Payload pieces dropped because they fit nothing that is awaited.
    pub pieces_dropped: u64,
    /// Slots sent to those who asked for them.
    pub slots_resent: u64,
    /// Slots outside the window.
    pub slots_outside: u64,
    /// Views installed.
    pub views: u64,
    /// View changes started.
    pub view_changes: u64,
    /// Messages that arrived while frozen in a view change.
    pub while_frozen: u64,
}

impl Counters {
    /// The counters by name.
    pub fn by_name(&self) -> [(&'static str, u64); 15] {
        [
            ("alarms", self.alarms),
            ("acks_sent", self.acks_sent),
            ("delivered", self.delivered),
            ("malformed", self.malformed),
            ("naks_sent", self.naks_sent),
            ("other_view", self.other_view),
            ("ordered", self.ordered),
            ("p2p_dropped", self.p2p_dropped),
            ("p2p_resent", self.p2p_resent),
            ("pieces_dropped", self.pieces_dropped),
            ("slots_resent", self.slots_resent),
            ("slots_outside", self.slots_outside),
            ("views", self.views),
            ("view_changes", self.view_changes),
            ("while_frozen", self.while_frozen),
        ]
    }
}
