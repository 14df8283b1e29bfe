//! What GAB is configured with.

use llt::Duration;

use crate::ids::Versions;
use crate::limits::{RECEIVE_QUEUE_MESSAGES, SEND_QUEUE_MESSAGES};

/// What GAB is configured with.
#[derive(Clone, Debug)]
pub struct GabConfig {
    /// `gabconfig -c` was done: registrations and joining are allowed.
    pub configured: bool,
    /// `-n N`: seed when N nodes are visible; `None`: join a seeded cluster only, or `-x`.
    pub seed: Option<u32>,
    /// Wait after the first suspicion, restarted while suspicions change (`-t`, default 5 s).
    pub stable: Duration,
    /// The inactive time of LLT: an acknowledgement that stands still for longer is a failure, and
    /// a node that was frozen for longer knows that the others may have gone on without it.
    pub stuck: Duration,
    /// Broadcasts up to this length travel inline through the sequencer; longer ones are broadcast
    /// by their sender and only referred to. Correctness does not depend on it.
    pub inline_max: usize,
    /// Bytes that the socket of each link may hold until they are read, 0 if that is not known: how
    /// much may be broadcast ahead of its order. Members are taken to be alike.
    pub receive_room: usize,
    /// Who authorises views with departures.
    pub arbiter: ArbiterKind,
    /// What this node speaks of GAB's protocol.
    pub versions: Versions,
    /// Nodes that are named in the configuration: under [`ArbiterKind::Majority`] no fewer seed by
    /// themselves. 0 if it is not known.
    pub configured_nodes: u32,
    /// This life follows on one that was thrown out, in the same process: nodes that have removed
    /// that one are told, for its network comes and goes. One that is started anew is not told from
    /// a machine that came up again.
    pub returned: bool,
    /// What the options of `gabconfig` may change at any time.
    pub policy: Policy,
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
            receive_room: 0,
            arbiter: ArbiterKind::None,
            versions: Versions::OURS,
            configured_nodes: 0,
            returned: false,
            policy: Policy::default(),
            #[cfg(any(test, feature = "sim"))]
            mutant: None,
        }
    }
}

/// Settings that take effect at once, with the defaults of facts 2.3 and 2.6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// A client that leaves its receive queue half full for longer is closed (ours).
    pub client_stall: Duration,
    /// A member that stalls view changes for so many stable times is dropped, 1 to 256.
    pub conn_wait: u32,
    /// How long a kernel-type client stays registered after its process is gone (precise rule 13).
    pub drain: Duration,
    /// `-f`: for so long the attempts to kill a process are spread, and so long may a supervised
    /// client stay after its node was thrown out.
    pub iofence: Duration,
    /// A process that was killed may live so long before the node halts, 16 to 240 s.
    pub isolate: Duration,
    /// `-k`: never halt for a process that cannot be killed, and go on killing it.
    pub keep_killing: bool,
    /// Attempts to kill a process, the last one with SIGKILL; 3 to 10.
    pub kill_tries: u32,
    /// `-b`: halt instead of killing when a client's heartbeat is missed.
    pub missed_heartbeat_halt: bool,
    /// `-p`: halt when the process of a supervised or kernel-type client dies.
    pub process_death_halt: bool,
    /// When a supervised client that died has not registered again after `register_timeout`: halt,
    /// else only say so.
    pub register_halt: bool,
    /// How long a supervised client that died may take to register again (facts 2.12).
    pub register_timeout: Duration,
    /// `-Q recvq:N`: messages that may wait for a client to read them, 1 to 4096; for registrations
    /// from now on.
    pub receive_queue: usize,
    /// A node that comes back after it was removed, and was alive all the time, has to be connected
    /// for so many stable times before it is let in again, 0 to 256; twice as many the next time.
    pub rejoin_hold: u32,
    /// `-j`: halt when the others throw this node out, kernel-type clients or not.
    pub rejoin_halt: bool,
    /// `-Q sendq:N`: messages of a client that are accepted and not yet ordered, 1 to 4096; for
    /// registrations from now on.
    pub send_queue: usize,
    /// `-s`: nobody is asked whether a view is authorised by its count. For tests only.
    pub single_network: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            client_stall: Duration::from_millis(15_000),
            conn_wait: 12,
            drain: Duration::ZERO,
            iofence: Duration::from_millis(15_000),
            isolate: Duration::from_millis(120_000),
            keep_killing: false,
            kill_tries: 5,
            missed_heartbeat_halt: false,
            process_death_halt: false,
            receive_queue: RECEIVE_QUEUE_MESSAGES,
            register_halt: false,
            register_timeout: Duration::from_millis(200_000),
            rejoin_halt: false,
            rejoin_hold: 6,
            send_queue: SEND_QUEUE_MESSAGES,
            single_network: false,
        }
    }
}

/// What [`Gab::configure`](super::Gab::configure) changes; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    /// `-n N`.
    pub seed: Option<u32>,
    /// `-t`.
    pub stable: Option<Duration>,
    /// `-q`, `-d`: ask a majority or nobody; a configuration with a record keeps it.
    pub quorum: Option<bool>,
    /// The rest.
    pub policy: Option<Policy>,
}

/// Who authorises views with departures (protocols.md, precise rules 9, 10).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ArbiterKind {
    /// More than half of the view before, or half of it with its lowest node (`-q`); a side that
    /// has less halts.
    Majority,
    /// Every view is authorised.
    #[default]
    None,
    /// A record outside, reached through [`ArbiterRequest`](super::ArbiterRequest). The simulator
    /// holds one; coordination points come later.
    Record,
}

/// One broken rule each: the fourteen of facts algorithms 1.14 in their order, then ours. The
/// simulator must catch every one, or the list there says why it cannot.
#[cfg(any(test, feature = "sim"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutant {
    /// A node frozen in a view change still takes ORD and acknowledges.
    WedgedAcks,
    /// Leftover messages are delivered before arbitration.
    LeftoversBeforeArbitration,
    /// Frames are not checked against the view.
    NoViewCheck,
    /// The cut comes from the proposer's own holdings only.
    CutFromProposer,
    /// INSTALL after a majority of READYs.
    InstallOnMajority,
    /// SAFE is delivered without stability.
    SafeWithoutStability,
    /// READY is sent although a higher round was promised.
    ReadyAfterPromise,
    /// Members of another lineage are taken into the new view.
    ForeignLineage,
    /// "The departed are absent from the record" is taken as authorisation.
    AbsenceAuthorises,
    /// A race for the record without the check that its view is in the own chain.
    RaceOutsideChain,
    /// Slots beyond the cut are dropped at READY instead of at INSTALL.
    DropAtReady,
    /// Stragglers are not completed.
    NoStragglers,
    /// A removed incarnation is admitted again.
    Readmit,
    /// The record is not consulted when a prepared view is dropped.
    NoConsult,
    /// Own messages found below the cut are submitted again.
    ResubmitAll,
    /// The sequencer takes a message twice.
    NoDuplicateCheck,
    /// A point-to-point message is delivered in a generation that is not its own.
    P2pAcrossGenerations,
    /// The losing side of a partition does not give up.
    NoEjection,
    /// A payload that came apart is taken without its checksum.
    StalePayload,
    /// Under a majority, a side with less than it goes on.
    MinorityGoesOn,
    /// Under a majority, views that were only prepared are not counted against.
    ReadyViewsNotCounted,
    /// Each member tells by itself who was lost in jeopardy.
    JeopardyNotAgreed,
    /// Who is in a view takes it that the others still count on it.
    LeaseUnproven,
    /// Of volumes, not of GAB: what is changed after a snapshot is not noted.
    ChangesUnnoted,
    /// What a disk owes that was not waited for is minded by nobody (CVM).
    DebtsUnminded,
    /// A volume is changed although another one is still to be filled from it (CVM).
    FillUnawaited,
    /// Of volumes, not of GAB: what is to be durable is not flushed.
    FlushForgotten,
    /// A client's port is left when its process is gone, whatever that has left under way (gabd).
    OrphansUnawaited,
    /// Of volumes, not of GAB: a disk says that something is written that it forgets at once, now and then.
    WritesLost,
    /// Of volumes, not of GAB: some logs forget what is written to them.
    WritesUnmarked,
}

#[cfg(any(test, feature = "sim"))]
impl Mutant {
    /// Every rule that can be broken.
    pub const ALL: [Self; 30] = [
        Self::WedgedAcks,
        Self::LeftoversBeforeArbitration,
        Self::NoViewCheck,
        Self::CutFromProposer,
        Self::InstallOnMajority,
        Self::SafeWithoutStability,
        Self::ReadyAfterPromise,
        Self::ForeignLineage,
        Self::AbsenceAuthorises,
        Self::RaceOutsideChain,
        Self::DropAtReady,
        Self::NoStragglers,
        Self::Readmit,
        Self::NoConsult,
        Self::ResubmitAll,
        Self::NoDuplicateCheck,
        Self::P2pAcrossGenerations,
        Self::NoEjection,
        Self::StalePayload,
        Self::MinorityGoesOn,
        Self::ReadyViewsNotCounted,
        Self::JeopardyNotAgreed,
        Self::LeaseUnproven,
        Self::ChangesUnnoted,
        Self::DebtsUnminded,
        Self::FillUnawaited,
        Self::FlushForgotten,
        Self::OrphansUnawaited,
        Self::WritesLost,
        Self::WritesUnmarked,
    ];
}
