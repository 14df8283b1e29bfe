//! What `bench` and its clients say to each other: lines of JSON.
//!
//! A client says how many members it sees when they are all there, and again when it has got a
//! [`Job`]; then it hears `"go"`, works, and says its [`Outcome`].

use serde::{Deserialize, Serialize};

/// One round of one workload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Job {
    /// Its number, so that nothing of another round is counted.
    pub(super) round: u32,
    /// Nodes that send.
    pub(super) senders: Vec<u8>,
    /// How many nodes there are.
    pub(super) members: u8,
    /// Bytes per message.
    pub(super) size: u32,
    /// Milliseconds of sending.
    pub(super) time_ms: u64,
    /// How.
    pub(super) send: Send,
}

/// How senders send.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Send {
    /// As fast as they can, AGREED.
    Flood,
    /// The next message when the one before came back.
    One {
        /// SAFE instead of AGREED.
        safe: bool,
    },
    /// Reliably to one node.
    To {
        /// Which.
        node: u8,
        /// As fast as it goes; else the next one when the one before was answered.
        flood: bool,
    },
}

impl Send {
    /// As fast as they can: the figure is a rate.
    pub(super) fn is_flood(self) -> bool {
        matches!(self, Self::Flood | Self::To { flood: true, .. })
    }
}

/// What a client saw of a round.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Outcome {
    /// Own messages accepted, without the end mark.
    pub(super) sent: u64,
    /// Messages delivered, without end marks.
    pub(super) delivered: u64,
    /// Of senders and numbers in the order of delivery.
    pub(super) digest: u64,
    /// Monotonic time of the first own send in nanoseconds; none if it sent nothing.
    pub(super) first_send_ns: Option<u64>,
    /// Monotonic time of the last delivery in nanoseconds.
    pub(super) last_delivery_ns: u64,
    /// Nanoseconds from send to delivery, as pairs of value and count; only for `Send::One`.
    pub(super) latencies: Vec<(u64, u64)>,
}
