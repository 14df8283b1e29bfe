//! Every bound of GAB, with the reason for its value.

pub use llt::limits::Bounded;

/// The largest message of a client (interfaces.md 3).
pub const MESSAGE_MAX: usize = 65_536;
/// Ports: two alphabets.
pub const PORTS_MAX: usize = 52;
/// Slots that may be ordered but not yet stable (facts algorithms 1.10).
pub const WINDOW_SLOTS: u64 = 2048;
/// Bytes of the same.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Messages in one pack: an eighth of the window, so that a pack never waits for most of it, and more
/// than a jumbo frame has of 64 bytes.
pub const PACK_MESSAGES_MAX: usize = 256;
/// The longest message that joins a pack: few longer ones would share a frame, and each gains little.
pub const PACKED_MAX: usize = 2048;
/// Messages of one client that are accepted but not yet delivered (precise rule 8). The default and
/// the largest value of `gabconfig -Q sendq`.
pub const SEND_QUEUE_MESSAGES: usize = 4096;
/// Bytes of the same.
pub const SEND_QUEUE_BYTES: usize = 4 << 20;
/// Messages that wait for a client to read them (precise rule 8). From half of it on the sequencer
/// orders nothing more for the port; what is then under way fits the other half, because
/// [`WINDOW_SLOTS`] is not larger than it. The default and the largest value of `gabconfig -Q recvq`:
/// a smaller queue may be exceeded by what is under way, up to [`WINDOW_SLOTS`] messages.
pub const RECEIVE_QUEUE_MESSAGES: usize = 4096;
/// Bytes of the same; what is under way may exceed it by [`WINDOW_BYTES`].
pub const RECEIVE_QUEUE_BYTES: usize = 4 << 20;
/// Messages that the library holds for a program on an LLT port: about as many as gabd keeps before
/// it tells the peers to stop.
pub const LLT_RECEIVE_MESSAGES: usize = 256;
/// Bytes of the same: sixty of the largest.
pub const LLT_RECEIVE_BYTES: usize = 4 << 20;
/// Openings and closings of one port by clients of one node that are not ordered yet. Whoever opens
/// and closes faster than the cluster can be told is refused.
pub const REGISTRATIONS_UNDER_WAY: usize = 64;
/// Readers of the event stream of one node, each of which may have a mebibyte waiting.
pub const EVENT_READERS_MAX: usize = 64;
/// Clients of one node: 52 ports, and room for shared ones and administrators.
pub const CLIENTS_MAX: usize = 1024;
/// Heartbeat times that a client may register with (ours): below the least the questions alone would
/// keep gabd busy, and after the most nobody waits.
pub const HEARTBEAT: core::ops::RangeInclusive<llt::Duration> =
    llt::Duration::from_millis(100)..=llt::Duration::from_millis(3_600_000);
/// One datagram of `gab.sock`: a largest message with its header, and as much again.
pub const IPC_DATAGRAM_MAX: usize = 128 << 10;
/// Payload bytes of one node that came ahead of their order: four times the most that a sender has
/// under way at once ([`DATA_AHEAD_BYTES`]), because slots may be reordered.
pub const STASH_BYTES_PER_NODE: usize = 4 << 20;
/// Payload bytes that a node broadcasts before their references have come back: enough to keep a
/// batch of links busy, little enough for the receive buffer of an ordinary user's socket. Where the
/// sockets have more room a node sends as much ahead as fits a quarter of it together with what all
/// others send, up to four times this (see [`GabConfig::receive_room`](crate::core::GabConfig)).
pub const DATA_AHEAD_BYTES: usize = 256 << 10;
/// Point-to-point messages under way from one port to one node.
pub const P2P_WINDOW_MESSAGES: usize = 64;
/// Bytes of the same.
pub const P2P_WINDOW_BYTES: usize = 512 << 10;
/// Point-to-point messages to one port of a later generation that are kept until it comes, and as
/// many for which its client has no room.
pub const P2P_HELD_MESSAGES: usize = 256;
/// Bytes of those without room, beyond which a sender may have only one.
pub const P2P_HELD_BYTES: usize = 1 << 20;
/// Bytes of slots that one request for missing slots is answered with; the rest is asked again.
pub const REPAIR_BYTES: usize = 256 << 10;
/// Bytes of one batch of submitted messages or repaired slots: one LLT message.
pub const BATCH_BYTES: usize = 60 << 10;
/// Bytes to one peer, and as many more for each message, that wait until LLT has room for them: the
/// point-to-point messages of all ports, and some batches. Whoever takes nothing of so much gets no
/// more of it: its connection is ended.
pub const BLOCKED_BYTES: usize = 32 << 20;
/// What a message that waits costs besides its bytes.
pub const BLOCKED_MESSAGE_COST: usize = 64;
/// Different lists of members that a node remembers to have been READY for in one view: each takes
/// a view change that failed after everybody in it had agreed.
pub const READY_VIEWS_MAX: usize = 16;
/// View ids of the own history that are remembered. The record never lags behind by more view
/// changes than happen while one arbitration runs.
pub const CHAIN_MAX: usize = 4096;
/// Lines of the log that wait for the disk, some seconds of a storm of notices; more are counted and
/// dropped.
pub const LOG_LINES_MAX: usize = 4096;
