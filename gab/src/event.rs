//! What a client is told, and what it can be refused.

use bytes::Bytes;
use llt::{Duration, NodeId, NodeSet};

use crate::pack::Pack;

/// How far a broadcast must have come before anybody delivers it (facts algorithms 1.13).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Level {
    /// Held in order. All nodes that go on together deliver the same.
    #[default]
    Agreed,
    /// Held by every member of the view: whatever dies, no survivor can miss it.
    Safe,
}

/// One event of a client's queue, in order.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ClientEvent {
    /// The last event: GAB closed the registration.
    Closed(CloseReason),
    /// A message.
    Deliver(Delivery),
    /// Only the jeopardy or visible set changed; clients that asked for it.
    Status(PortView),
    /// The membership of the port changed. Messages before it belong to the generation before.
    View(PortView),
}

/// A delivered message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Delivery {
    /// The node that sent it.
    pub sender: NodeId,
    /// By broadcast, or point-to-point.
    pub broadcast: bool,
    /// Delivered as SAFE.
    pub level: Level,
    /// The generation of the port's membership in which it is delivered.
    pub generation: u64,
    /// Position in the order of the cluster, strictly rising over the life of a registration, the
    /// same at every member; 0 for point-to-point (precise rule 4).
    pub sequence: u64,
    /// The bytes.
    pub payload: Bytes,
}

/// What a client is given in one piece: an event, or a pack of messages.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PortEvent {
    /// One event.
    One(ClientEvent),
    /// Messages of one sender that follow each other.
    Pack(PackDelivery),
}

/// A delivered pack. All of it is in one place of the order and of one generation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PackDelivery {
    /// The node that sent it.
    pub sender: NodeId,
    /// Delivered as SAFE.
    pub level: Level,
    /// The generation of the port's membership in which it is delivered.
    pub generation: u64,
    /// Position of its first message in the order; each further one has the next.
    pub sequence: u64,
    /// The messages.
    pub messages: Pack,
}

/// Its deliveries, one by one: of each message as if it had come alone.
impl Iterator for PackDelivery {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        let payload = self.messages.next_message()?;
        let Self { sender, level, generation, sequence, .. } = *self;
        self.sequence += 1;
        Some(Delivery { sender, broadcast: true, level, generation, sequence, payload })
    }
}

impl PortEvent {
    /// What it takes of a queue: messages, and bytes of payload. Memberships count as messages.
    pub(crate) fn cost(&self) -> (usize, usize) {
        match self {
            Self::One(ClientEvent::Deliver(delivery)) => (1, delivery.payload.len()),
            Self::One(ClientEvent::Closed(_) | ClientEvent::Status(_) | ClientEvent::View(_)) => {
                (1, 0)
            }
            Self::Pack(pack) => (pack.messages.messages().into(), pack.messages.payload_len()),
        }
    }
}

impl From<ClientEvent> for PortEvent {
    fn from(event: ClientEvent) -> Self {
        Self::One(event)
    }
}

/// The events that a program gets of it.
impl IntoIterator for PortEvent {
    type Item = ClientEvent;
    type IntoIter = PortEvents;

    fn into_iter(self) -> PortEvents {
        PortEvents(Some(self))
    }
}

/// The events of a [`PortEvent`].
#[derive(Clone, Debug)]
pub struct PortEvents(Option<PortEvent>);

impl ExactSizeIterator for PortEvents {}

impl Iterator for PortEvents {
    type Item = ClientEvent;

    fn next(&mut self) -> Option<ClientEvent> {
        // A pack stays where it is until it is empty: it is not to be moved for each message.
        match &mut self.0 {
            Some(PortEvent::Pack(pack)) => pack.next().map(ClientEvent::Deliver),
            Some(PortEvent::One(_)) | None => match self.0.take() {
                Some(PortEvent::One(event)) => Some(event),
                Some(PortEvent::Pack(_)) | None => None,
            },
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            None => 0,
            Some(PortEvent::One(_)) => 1,
            Some(PortEvent::Pack(pack)) => pack.messages.messages().into(),
        };
        (left, Some(left))
    }
}

/// A membership of a port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PortView {
    /// Strictly rising per port; the same at every member.
    pub generation: u64,
    /// Nodes with a client on the port.
    pub members: NodeSet,
    /// Members that were not in the view before.
    pub joined: NodeSet,
    /// Those of the view before that are gone.
    pub left: NodeSet,
    /// Members with one link left, as this node sees it; and those of `left` that were so before
    /// they were lost, which is the same at every member: their services are not to be taken over
    /// (facts 2.9).
    pub jeopardy: NodeSet,
    /// Nodes of the cluster without a client on this port.
    pub visible: NodeSet,
}

/// Why GAB closed a registration. The numbers are those of interfaces.md 3.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum CloseReason {
    /// The daemon died (`ECONNRESET`).
    #[error("gabd is gone")]
    Died,
    /// This node was thrown out of the cluster (`ESTALE`).
    #[error("this node was ejected from the cluster")]
    Ejected,
    /// The client gave no sign of life for its heartbeat time (`ETIME`).
    #[error("the client had no heartbeat")]
    NoHeartbeat,
    /// The client did not read for longer than its limit (`ENOBUFS`).
    #[error("the client did not read its messages")]
    NotReading,
    /// The client sent what no client may send (`EPROTO`).
    #[error("the client broke the protocol of gab.sock")]
    Protocol,
    /// gabd was stopped or unconfigured (`ESHUTDOWN`).
    #[error("gabd was stopped")]
    Stopped,
}

impl CloseReason {
    /// The positive errno that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Died => 104,
            Self::Ejected => 116,
            Self::NoHeartbeat => 62,
            Self::NotReading => 105,
            Self::Protocol => 71,
            Self::Stopped => 108,
        }
    }

    /// The reason with this errno.
    pub const fn from_errno(errno: i32) -> Option<Self> {
        Some(match errno {
            104 => Self::Died,
            116 => Self::Ejected,
            62 => Self::NoHeartbeat,
            105 => Self::NotReading,
            71 => Self::Protocol,
            108 => Self::Stopped,
            _ => return None,
        })
    }
}

/// Options of a registration (interfaces.md 3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct OpenOptions {
    /// The client acknowledges each view; the port's next view waits for it (precise rule 7).
    pub ack: bool,
    /// Supervised: gabd asks for signs of life, and kills the process if none comes for so long;
    /// 100 ms to an hour (facts 2.12). `None`: only by whether it reads.
    pub heartbeat: Option<Duration>,
    /// A kernel-type client: it dies only with its process and whatever holds its socket after that, and
    /// its ejection halts the node.
    pub kernel: bool,
    /// Several clients of this node share the port as one member.
    pub shared: bool,
    /// Deliver `Status` events too.
    pub status: bool,
}

/// Why a registration was refused; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Held exclusively, or one side is not shared (`EBUSY`).
    #[error("the port is taken")]
    Busy,
    /// The heartbeat time is out of its range (`EINVAL`).
    #[error("the heartbeat time is not between 100 and 3600000 ms")]
    Heartbeat,
    /// Port a is GAB's own (`EACCES`).
    #[error("port a belongs to GAB")]
    Reserved,
    /// GAB is stopping (`ESHUTDOWN`).
    #[error("gabd is stopping")]
    Stopping,
    /// `gabconfig -c` was not done (`ENODEV`).
    #[error("GAB is not configured")]
    Unconfigured,
}

impl OpenError {
    /// The positive errno that travels in `Refused` and that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Busy => 16,
            Self::Heartbeat => 22,
            Self::Reserved => 13,
            Self::Stopping => 108,
            Self::Unconfigured => 19,
        }
    }

    /// The error with this errno.
    pub const fn from_errno(errno: i32) -> Option<Self> {
        Some(match errno {
            16 => Self::Busy,
            22 => Self::Heartbeat,
            13 => Self::Reserved,
            108 => Self::Stopping,
            19 => Self::Unconfigured,
            _ => return None,
        })
    }
}

/// Why a send was refused; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The registration is closed or never was (`EPIPE`).
    #[error("the port is closed")]
    Closed,
    /// Longer than 64 KiB (`EMSGSIZE`).
    #[error("the message is longer than 65536 bytes")]
    TooLarge,
    /// No membership yet, or the addressed node is not a member (`ENOTCONN`).
    #[error("not a member of the port")]
    NotMember,
    /// The send queue is full (`EAGAIN`).
    #[error("the send queue is full")]
    WouldBlock,
}

impl SendError {
    /// The positive errno that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Closed => 32,
            Self::TooLarge => 90,
            Self::NotMember => 107,
            Self::WouldBlock => 11,
        }
    }
}
