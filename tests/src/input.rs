//! Everything that can happen to a stack, as plain values: what a replay consists of.

use bytes::Bytes;
use gab::PortName;
use gab::core::ClientId;
use gab::event::{Level, OpenOptions};
use gab::ids::Vid;
use llt::{Duration, Id, NodeId};
use serde::{Deserialize, Serialize};

use crate::payload::Uid;
use crate::setup::Setup;

/// One thing that happens to the stack of one node.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The client has recovered from the view of this generation.
    Ack {
        /// Who.
        client: u32,
        /// Which.
        generation: u64,
    },
    /// The arbiter answers.
    Arbiter {
        /// Of the request.
        ticket: u64,
        /// The record, if there is one.
        record: Option<RecordValue>,
    },
    /// A new life begins.
    Boot {
        /// Greater than all before on this node.
        incarnation: u64,
        /// For the stack's generators.
        seed: u64,
    },
    /// A client broadcasts.
    Broadcast {
        /// Who.
        client: u32,
        /// SAFE, else AGREED.
        safe: bool,
        /// The message, if it is accepted.
        uid: Uid,
        /// Bytes.
        len: usize,
    },
    /// A client broadcasts many messages at once.
    Pack {
        /// Who.
        client: u32,
        /// SAFE, else AGREED.
        safe: bool,
        /// The first message, if they are accepted; the others count on.
        uid: Uid,
        /// Bytes of each.
        lens: Vec<u16>,
    },
    /// A supervised client answers that it is there.
    Beat {
        /// Who.
        client: u32,
    },
    /// LLT says goodbye to its peers.
    Bye,
    /// A link loses its carrier, or has it again.
    Carrier {
        /// Which link.
        link: u8,
        /// It carries.
        carrier: bool,
    },
    /// A client closes its registration.
    Close {
        /// Who.
        client: u32,
    },
    /// The process dies: the life ends here.
    Crash,
    /// A client is gone without having closed its registration.
    Died {
        /// Who.
        client: u32,
    },
    /// Fetch what the stack wants done.
    Flush,
    /// A frame arrives.
    Frame {
        /// On which link.
        link: u8,
        /// From whose address.
        from: u8,
        /// The bytes.
        #[serde(with = "hex")]
        frame: Bytes,
    },
    /// The process of a client that was killed is gone.
    Gone {
        /// Who.
        client: u32,
    },
    /// `lltconfig --reload-keys`: the test keys of these numbers are in force.
    Keys {
        /// The one that seals.
        first: u8,
        /// Another that opens.
        second: Option<u8>,
    },
    /// The node leaves the membership in order.
    Leave,
    /// A client registers.
    Open {
        /// Its number.
        client: u32,
        /// The port.
        port: PortName,
        /// The options.
        options: OpenFlags,
    },
    /// A client reads at most so many events.
    Poll {
        /// Who.
        client: u32,
        /// The limit.
        max: u32,
    },
    /// `gabconfig -x`.
    Seed,
    /// A client sends point to point.
    SendTo {
        /// Who.
        client: u32,
        /// To which node.
        to: NodeId,
        /// The message, if it is accepted.
        uid: Uid,
        /// Bytes.
        len: usize,
    },
    /// Time has passed.
    Timer,
}

/// One line of a recorded run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// Something reached a stack.
    Apply {
        /// World time in nanoseconds.
        t: u64,
        /// Node id.
        node: u8,
        /// The node's own clock in nanoseconds.
        local: u64,
        /// What.
        input: Input,
    },
    /// The run is over.
    End {
        /// Hash of everything before, as hexadecimal text: JSON numbers lose 64-bit values elsewhere.
        digest: String,
    },
    /// The arbitration record changed.
    Record {
        /// World time in nanoseconds.
        t: u64,
        /// The record from now on.
        record: RecordValue,
    },
    /// The first line: how the cluster is configured.
    Setup(Box<Setup>),
}

/// The arbitration record, serialisable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordValue {
    /// Views below may not be authorised any more.
    pub promise: Vid,
    /// The authorised view.
    pub vid: Vid,
    /// Its members.
    pub members: Vec<Id>,
}

impl RecordValue {
    /// The value that stands for "cleared by the operator".
    pub fn cleared() -> Self {
        Self { promise: Vid::NONE, vid: Vid::NONE, members: Vec::new() }
    }
}

/// [`OpenOptions`], serialisable.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct OpenFlags {
    /// The client acknowledges each view.
    pub ack: bool,
    /// Supervised, with this heartbeat time in milliseconds; 0 is not.
    pub heartbeat_ms: u32,
    /// A kernel-type client.
    pub kernel: bool,
    /// Shares the port.
    pub shared: bool,
    /// Wants `Status` events.
    pub status: bool,
}

impl From<OpenFlags> for OpenOptions {
    fn from(flags: OpenFlags) -> Self {
        let OpenFlags { ack, heartbeat_ms, kernel, shared, status } = flags;
        let heartbeat = (heartbeat_ms > 0).then(|| Duration::from_millis(heartbeat_ms.into()));
        Self { ack, heartbeat, kernel, shared, status }
    }
}

impl From<gab::core::Record> for RecordValue {
    fn from(record: gab::core::Record) -> Self {
        Self { promise: record.promise, vid: record.vid, members: record.members }
    }
}

impl From<RecordValue> for gab::core::Record {
    fn from(record: RecordValue) -> Self {
        Self { promise: record.promise, vid: record.vid, members: record.members }
    }
}

impl Input {
    /// A number for the digest: the kind and the small fields.
    pub fn code(&self) -> u64 {
        let (kind, a, b) = match self {
            Self::Ack { client, generation } => (1, u64::from(*client), *generation),
            Self::Arbiter { ticket, record } => {
                (2, *ticket, record.as_ref().map_or(0, |record| record.vid.round))
            }
            Self::Boot { incarnation, seed } => (3, *incarnation, *seed),
            Self::Broadcast { client, safe, uid, .. } => {
                (4, u64::from(*client) << 1 | u64::from(*safe), *uid)
            }
            Self::Bye => (5, 0, 0),
            Self::Close { client } => (6, u64::from(*client), 0),
            Self::Crash => (7, 0, 0),
            Self::Flush => (8, 0, 0),
            Self::Frame { link, from, .. } => (9, u64::from(*link), u64::from(*from)),
            Self::Leave => (10, 0, 0),
            Self::Open { client, port, .. } => (11, u64::from(*client), u64::from(port.byte())),
            Self::Poll { client, max } => (12, u64::from(*client), u64::from(*max)),
            Self::Seed => (13, 0, 0),
            Self::SendTo { client, uid, .. } => (14, u64::from(*client), *uid),
            Self::Timer => (15, 0, 0),
            Self::Keys { first, second } => {
                (16, u64::from(*first), u64::from(second.unwrap_or_default()))
            }
            Self::Carrier { link, carrier } => (17, u64::from(*link), u64::from(*carrier)),
            Self::Beat { client } => (18, u64::from(*client), 0),
            Self::Died { client } => (19, u64::from(*client), 0),
            Self::Gone { client } => (20, u64::from(*client), 0),
            Self::Pack { client, safe, uid, lens } => {
                let count = lens.len() as u64;
                (21, u64::from(*client) << 1 | u64::from(*safe), *uid << 8 | count)
            }
        };
        (kind << 56) ^ (a << 24) ^ b
    }
}

/// The level of a broadcast.
pub fn level(safe: bool) -> Level {
    if safe { Level::Safe } else { Level::Agreed }
}

/// The client's number as the stack wants it.
pub fn client_id(client: u32) -> ClientId {
    ClientId(client)
}

mod hex {
    //! Frames as hexadecimal text.

    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, out: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).expect("below 16"));
            }
        }
        out.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(input)?;
        if text.len() % 2 != 0 || !text.is_ascii() {
            return Err(D::Error::custom("expected pairs of hexadecimal digits"));
        }
        (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(D::Error::custom))
            .collect::<Result<Vec<_>, _>>()
            .map(Bytes::from)
    }
}
