//! What goes in and out of the core besides frames.

use bytes::Bytes;

use crate::ids::{Id, LinkAddr, LinkId, LltPort, NodeId};
use crate::time::Duration;

/// One thing for the driver to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Tell the layer above.
    Event(Event),
    /// Put a frame on a wire.
    Transmit(Transmit),
}

/// A frame to put on a wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// On which link.
    pub link: LinkId,
    /// To whom on it; the link's broadcast address for everybody.
    pub to: LinkAddr,
    /// Heartbeats and acknowledgements: to be flushed before data.
    pub urgent: bool,
    /// The frame, header included.
    pub frame: Bytes,
}

/// What the layer above is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A peer's address on a link was learned, or is another one than before.
    AddressChanged {
        /// Which node.
        node: NodeId,
        /// On which link.
        link: LinkId,
        /// The address before; `None` if none was known.
        from: Option<LinkAddr>,
        /// The address from now on.
        to: LinkAddr,
    },
    /// An unreliable datagram.
    Datagram {
        /// Its sender, connected.
        from: Id,
        /// The LLT port.
        port: LltPort,
        /// The bytes.
        payload: Bytes,
    },
    /// A heartbeat of a peer came much later than its heartbeats before it.
    Delayed {
        /// Which peer.
        peer: Id,
        /// On which link.
        link: LinkId,
        /// Milliseconds since the one before.
        ms: u64,
    },
    /// Two nodes with one node id, or two clusters with one cluster id.
    Duplicate {
        /// The node id that is used twice.
        node: NodeId,
        /// Who has to react.
        scope: DuplicateScope,
        /// Where the other one was heard; `None` if somebody else told of it.
        from: Option<(LinkId, LinkAddr)>,
    },
    /// Frames are missing in the sequence of a link: datagrams may be lost.
    Hole {
        /// Whose frames.
        from: Id,
        /// On which link.
        link: LinkId,
        /// How many.
        frames: u32,
    },
    /// The state of one link to one peer changed.
    Link {
        /// Which peer.
        peer: Id,
        /// Which link.
        link: LinkId,
        /// The new state.
        status: LinkStatus,
        /// Milliseconds for which the link may have been bad before it: of silence, or of losing most.
        silent_ms: u64,
        /// Links to this peer that are neither in trouble nor expired, after the change.
        links_up: u8,
    },
    /// Our own timer was late by this many milliseconds; nobody is judged for a trouble interval.
    Late {
        /// Milliseconds.
        late_ms: u64,
    },
    /// Heartbeats of a peer did not arrive.
    Lost {
        /// Which peer.
        peer: Id,
        /// On which link.
        link: LinkId,
        /// How many.
        heartbeats: u16,
        /// The sequence of the one that arrived after them.
        sequence: u64,
    },
    /// A reliable message, in order per peer, once.
    Message {
        /// Its sender, connected.
        from: Id,
        /// The LLT port.
        port: LltPort,
        /// The bytes.
        payload: Bytes,
    },
    /// Something is wrong with a link, or no more; each once when it begins and once when it is
    /// over.
    Note {
        /// Whose side of the link; `None` if our own frames show it.
        peer: Option<Id>,
        /// On which link.
        link: LinkId,
        /// What.
        note: Note,
        /// It was found; else it is over.
        found: bool,
    },
    /// A peer is gone: nothing of its session is delivered any more. The same incarnation may
    /// come back with a new session; what was under way in the old one is lost.
    PeerDown {
        /// Which.
        peer: Id,
        /// Why.
        reason: DownReason,
    },
    /// A peer is connected: both sides hear each other on one link at least.
    PeerUp {
        /// Which.
        peer: Id,
        /// Links to this peer that are neither in trouble nor expired.
        links_up: u8,
    },
    /// A frame that the key keeps out, once per cause and link in each `peer_inact`; or a frame of
    /// strangers, once per cause and link in a minute.
    Refused {
        /// Why.
        cause: RefusedCause,
        /// On which link.
        link: LinkId,
        /// Its sender's address.
        from: LinkAddr,
    },
    /// A peer that has long been silent on a link was asked for a heartbeat (facts 1.5).
    Requested {
        /// Which peer.
        peer: Id,
        /// On which link.
        link: LinkId,
        /// Requests that follow this one.
        left: u8,
    },
    /// A link to a peer is in trouble, for one more second; from the fifth on (facts 1.8).
    Silent {
        /// Which peer.
        peer: Id,
        /// On which link.
        link: LinkId,
        /// Seconds since its last frame there.
        seconds: u32,
        /// The sequence of the last heartbeat heard from it there.
        sequence: u64,
    },
    /// A send to this peer that was refused with `WouldBlock` may be repeated.
    Writable {
        /// Which peer.
        peer: Id,
    },
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum DownReason {
    /// It is excluded from now on.
    Excluded,
    /// It said goodbye.
    Left,
    /// It gave us up, or its end of the connection was lost.
    Reset,
    /// A newer incarnation of the node appeared.
    Restarted,
    /// No link was up for the inactive time.
    Silent,
}

/// Who has to react to a duplicate node id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DuplicateScope {
    /// Somebody else's id is used twice: log it.
    Peer,
    /// Ours, and we are the younger: halt.
    OwnYounger,
    /// Ours, and we are the older: stay, the other one halts.
    OwnOlder,
}

/// State of one link to one peer (facts 1.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum LinkStatus {
    /// Never heard, or one way only.
    Down,
    /// Silent for the inactive time.
    Expired,
    /// Silent for the trouble time: no data on it.
    Trouble,
    /// Heard, and the peer hears us.
    Up,
}

/// A change of a link itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkChange {
    /// The link carries again.
    Carrier,
    /// The link carries nothing: every peer on it is in trouble at once.
    NoCarrier,
}

/// Something that is wrong with a link (docs/llt.md, "Diagnosis").
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum Note {
    /// Two links share a broadcast domain: frames come in here that were sent on another link.
    Crossed {
        /// The other link: of the peer, as the peer numbers them; of ours, if our own frames show it.
        with: LinkId,
    },
    /// Of the peer's heartbeats most are lost: the link counts as in trouble.
    Lossy,
    /// Frames of the full size do not get to the peer.
    Mtu {
        /// The size of the frames that are lost, header included, in bytes.
        sent: usize,
    },
    /// We hear the peer, and it does not hear us.
    OneWay,
}

/// Why a frame is none of ours.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum RefusedCause {
    /// We have a key, and the frame is not sealed.
    NotSealed,
    /// It is sealed with a key that we do not have.
    UnknownKey,
    /// It is forged, damaged, or sealed with another key.
    BadTag,
    /// It was heard before, or is too old to tell.
    Replayed,
    /// It is sealed, and we have no key.
    Sealed,
    /// It is of another cluster on the same wire.
    OtherCluster,
    /// Its sender speaks no version of the protocol that we speak.
    OtherVersion,
}

impl RefusedCause {
    /// How long nobody is told of it again. What has nothing to do with us is no news.
    pub(super) fn interval(self, peer_inact: Duration) -> Duration {
        match self {
            Self::BadTag | Self::NotSealed | Self::Replayed | Self::Sealed | Self::UnknownKey => {
                peer_inact
            }
            Self::OtherCluster | Self::OtherVersion => Duration::from_secs(60),
        }
    }
}

/// Why a link was not added; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddLinkError {
    /// Eight links are there.
    #[error("there are {} links already", crate::limits::LINKS_MAX)]
    TooMany,
    /// The datagrams of the layers above would not fit its frames.
    #[error("its MTU is {mtu} bytes; LLT was started with frames of {min} bytes at least")]
    MtuTooSmall {
        /// Its MTU, in bytes.
        mtu: usize,
        /// What is needed, in bytes.
        min: usize,
    },
}

/// Why a link was not removed; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RemoveLinkError {
    /// It is not disabled yet: what goes over it would be cut off.
    #[error("link {0} is enabled; disable it first")]
    Enabled(LinkId),
    /// It is the only one.
    #[error("link {0} is the last one")]
    Last(LinkId),
    /// There is none with this number.
    #[error("there is no link {0}")]
    NoSuchLink(LinkId),
}

/// Why a command was refused; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The peer, in this incarnation, is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// Longer than the limit.
    #[error("the message is longer than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// The queue to this peer is full; `Writable` follows.
    #[error("the queue to the peer is full")]
    WouldBlock,
}
