//! The format of `run/gab.sock`, a `SOCK_SEQPACKET` socket. Drawn in `docs/wire.md`. Ours.
//!
//! A datagram of at most [`IPC_DATAGRAM_MAX`] bytes carries one or more records, one after the
//! other without padding, all integers most significant byte first:
//!
//! ```text
//!  0        4      5       6      7      8
//!  +--------+------+-------+------+------+---------- - -
//!  | length | kind | flags | node | zero | body
//!  +--------+------+-------+------+------+---------- - -
//! ```
//!
//! `length` counts the whole record. Flags, and a `node`, that a kind does not name are zero.
//! Client to gabd:
//!
//! | kind | body | meaning |
//! |---|---|---|
//! | 1 Open | version u16, port u8 (letter), heartbeat ms u32 if flag 16, name | register; flags: 1 ack, 2 kernel, 4 shared, 8 status, 16 supervised |
//! | 2 Broadcast | bytes | flags: 1 SAFE. Costs one message and its bytes of credit |
//! | 3 Send | bytes | to `node`. Costs credit too |
//! | 4 Ack | generation u64 | recovery from this view is done |
//! | 6 Close | | unregister; all sent before is ordered first |
//! | 7 Admin | JSON of `admin::AdminRequest` | needs no registration |
//! | 8 LltOpen | version u16, LLT port u8 | a client of an LLT port; excludes Open on the same connection |
//! | 9 LltSend | bytes | to `node`; flags: 1 unreliable datagram. Costs credit as Send |
//! | 10 Trace | | frames that pass the links, from now on; flags: 1 no more. Needs no registration |
//! | 11 Beat | number u32 | answers `AskBeat` |
//! | 13 Pack | messages, each with its length u32 before it | as many Broadcasts, which travel as one; flags and credit as for each |
//! | 12 Watch | | whatever happens, from now on; flags: 1 no more. Needs no registration |
//!
//! Both ways:
//!
//! | kind | body | meaning |
//! |---|---|---|
//! | 5 Credit | messages u32, bytes u32 | whoever receives this may send so much more |
//!
//! gabd to client:
//!
//! | kind | body | meaning |
//! |---|---|---|
//! | 65 Opened | version u16 | registered; `node` is the own node id |
//! | 66 Refused | errno u32, text | the Open or the last record was refused |
//! | 67 Deliver | generation u64, sequence u64, bytes | from `node`; flags: 1 SAFE, 2 broadcast. Costs credit |
//! | 68 View | generation u64, five node sets of 16 bytes: members, joined, left, jeopardy, visible | costs one message of credit |
//! | 69 Status | as View | only jeopardy or visible changed; costs as View |
//! | 70 Closed | errno u32 | the registration ended; nothing follows |
//! | 71 Answer | JSON text, possibly a part | of Admin; flags: 1 more follows, 2 an `admin::AdminError` |
//! | 72 LltMessage | bytes | from `node`; flags: 1 unreliable datagram. Costs credit as Deliver |
//! | 73 Frame | see [`TracedFrame`] | a frame that passed a link, for who asked with Trace |
//! | 74 AskBeat | number u32 | a supervised client answers with Beat as soon as it reads this |
//! | 76 DeliverPack | generation u64, sequence u64, messages as in Pack | as many Delivers, the first with this sequence and each further one with the next; `node`, flags and credit as for each |
//! | 75 Event | JSON, one object | something happened, for who asked with Watch |
//!
//! Credit works both ways and starts at zero: neither side buffers more than it granted. gabd
//! grants what its send queue has room for right after Opened; a client grants what its receive
//! buffer has room for right after Open. A record that breaks the format, or a send without
//! credit, closes the connection with `EPROTO`. Answers cost no credit: an administrator's
//! connection has one request under way. Frames and events cost none either: what a slow reader does
//! not take is dropped and counted.

mod packer;
mod trace;

pub use packer::{Datagram, Packer};
pub use trace::TracedFrame;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use llt::{Duration, LltPort, NodeId, NodeSet};

use crate::event::{Delivery, Level, OpenOptions, PackDelivery, PortView};
use crate::ids::PortName;
use crate::limits::{IPC_DATAGRAM_MAX, MESSAGE_MAX, PACK_MESSAGES_MAX};
use crate::pack::Pack;

/// The version of this format.
pub const VERSION: u16 = 1;
/// Bytes before the body of each record.
pub const HEADER_LEN: usize = 8;
/// The longest name of a client, in bytes: it is for listings.
pub const NAME_MAX: usize = 64;

/// One record, in either direction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// Client: recovery from the view of this generation is done.
    Ack {
        /// The generation of the view.
        generation: u64,
    },
    /// Client: a request of an administrator.
    Admin {
        /// JSON of `admin::AdminRequest`.
        json: Bytes,
    },
    /// gabd: are you there? Of a supervised client; costs no credit.
    AskBeat {
        /// For the answer.
        number: u32,
    },
    /// gabd: the answer to `Admin`, or a part of it.
    Answer {
        /// Another part follows.
        more: bool,
        /// The text is an `admin::AdminError`.
        error: bool,
        /// JSON; a part may end inside a character.
        text: Bytes,
    },
    /// Client: the answer to `AskBeat`.
    Beat {
        /// Of the question.
        number: u32,
    },
    /// Client: to every member of the port.
    Broadcast {
        /// How safe.
        level: Level,
        /// At most [`MESSAGE_MAX`] bytes.
        payload: Bytes,
    },
    /// Client: unregister, once all that was sent before is ordered.
    Close,
    /// gabd: the registration ended, for the reason with this errno (see
    /// [`CloseReason`](crate::CloseReason)); 0 answers `Close`.
    Closed(u32),
    /// Both: the receiver of this record may send so much more.
    Credit {
        /// Messages.
        messages: u32,
        /// Bytes of payload.
        bytes: u32,
    },
    /// gabd: a message.
    Deliver(Delivery),
    /// gabd: messages of one sender.
    DeliverPack(PackDelivery),
    /// gabd: something happened.
    Event {
        /// One object; see docs/metrics.md.
        json: Bytes,
    },
    /// gabd: a frame that passed a link.
    Frame(TracedFrame),
    /// gabd: a message on the LLT port.
    LltMessage {
        /// The node that sent it.
        node: NodeId,
        /// Sent reliably; else as a datagram.
        reliable: bool,
        /// At most [`llt::limits::MESSAGE_MAX`] bytes.
        payload: Bytes,
    },
    /// Client: be the client of an LLT port.
    LltOpen {
        /// [`VERSION`] of the client.
        version: u16,
        /// Which port.
        port: LltPort,
    },
    /// Client: to the LLT port on one node.
    LltSend {
        /// Which node.
        node: NodeId,
        /// Reliably and in order; else once, as a datagram.
        reliable: bool,
        /// At most [`llt::limits::MESSAGE_MAX`] bytes.
        payload: Bytes,
    },
    /// Client: register.
    Open {
        /// [`VERSION`] of the client.
        version: u16,
        /// Which port.
        port: PortName,
        /// How.
        options: OpenOptions,
        /// For listings; at most [`NAME_MAX`] bytes.
        name: String,
    },
    /// gabd: registered.
    Opened {
        /// [`VERSION`] of gabd.
        version: u16,
        /// The own node id.
        node: NodeId,
    },
    /// Client: to every member of the port, one after the other.
    Pack {
        /// How safe.
        level: Level,
        /// The messages.
        messages: Pack,
    },
    /// gabd: the `Open`, or the last record, was refused.
    Refused {
        /// A positive errno.
        errno: u32,
        /// For people.
        text: String,
    },
    /// Client: to the port's client on one node.
    Send {
        /// Which node.
        node: NodeId,
        /// At most [`MESSAGE_MAX`] bytes.
        payload: Bytes,
    },
    /// gabd: only the jeopardy or visible set changed.
    Status(PortView),
    /// Client: tell of the frames that pass the links.
    Trace {
        /// From now on, or no more.
        on: bool,
    },
    /// gabd: a new membership.
    View(PortView),
    /// Client: tell of what happens.
    Watch {
        /// From now on, or no more.
        on: bool,
    },
}

impl Record {
    /// Length of the record on the socket, header included.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN
            + match self {
                Self::Ack { .. } | Self::Credit { .. } => 8,
                Self::Admin { json: bytes }
                | Self::Answer { text: bytes, .. }
                | Self::Broadcast { payload: bytes, .. }
                | Self::Event { json: bytes }
                | Self::LltMessage { payload: bytes, .. }
                | Self::LltSend { payload: bytes, .. }
                | Self::Send { payload: bytes, .. } => bytes.len(),
                Self::Close | Self::Trace { .. } | Self::Watch { .. } => 0,
                Self::AskBeat { .. } | Self::Beat { .. } | Self::Closed(_) => 4,
                Self::Deliver(delivery) => DELIVER_LEN + delivery.payload.len(),
                Self::DeliverPack(pack) => DELIVER_LEN + pack.messages.bytes().len(),
                Self::Frame(frame) => frame.encoded_len(),
                Self::LltOpen { .. } => LLT_OPEN_LEN,
                Self::Open { options, name, .. } => {
                    OPEN_LEN + options.heartbeat.map_or(0, |_| HEARTBEAT_LEN) + name.len()
                }
                Self::Opened { .. } => 2,
                Self::Pack { messages, .. } => messages.bytes().len(),
                Self::Refused { text, .. } => 4 + text.len(),
                Self::Status(_) | Self::View(_) => VIEW_LEN,
            }
    }

    /// Appends the record to `out`.
    ///
    /// # Panics
    /// If the record is longer than a datagram may be. Payloads, names and requests are checked
    /// where they come from; answers are cut into parts there.
    pub fn encode(&self, out: &mut BytesMut) {
        if let Some(bytes) = self.encode_head(out) {
            out.put_slice(bytes);
        }
    }

    /// Appends what comes before the bytes at the end of the record, and answers those, if it has any.
    fn encode_head(&self, out: &mut BytesMut) -> Option<&Bytes> {
        let len = self.encoded_len();
        assert!(len <= IPC_DATAGRAM_MAX, "a record of {len} bytes fits no datagram");
        put_header(out, len, self.kind(), self.flags(), self.node());
        match self {
            Self::Ack { generation } => out.put_u64(*generation),
            Self::Admin { json: bytes }
            | Self::Answer { text: bytes, .. }
            | Self::Broadcast { payload: bytes, .. }
            | Self::Event { json: bytes }
            | Self::LltMessage { payload: bytes, .. }
            | Self::LltSend { payload: bytes, .. }
            | Self::Send { payload: bytes, .. } => return Some(bytes),
            Self::Close | Self::Trace { .. } | Self::Watch { .. } => {}
            Self::AskBeat { number } | Self::Beat { number } | Self::Closed(number) => {
                out.put_u32(*number);
            }
            Self::Credit { messages, bytes } => {
                out.put_u32(*messages);
                out.put_u32(*bytes);
            }
            Self::Deliver(delivery) => {
                out.put_u64(delivery.generation);
                out.put_u64(delivery.sequence);
                return Some(&delivery.payload);
            }
            Self::DeliverPack(pack) => {
                out.put_u64(pack.generation);
                out.put_u64(pack.sequence);
                return Some(pack.messages.bytes());
            }
            Self::Frame(frame) => frame.encode(out),
            Self::LltOpen { version, port } => {
                out.put_u16(*version);
                out.put_u8(port.get());
            }
            Self::Open { version, port, options, name } => {
                out.put_u16(*version);
                out.put_u8(port.byte());
                if let Some(time) = options.heartbeat {
                    out.put_u32(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
                }
                out.put_slice(name.as_bytes());
            }
            Self::Opened { version, .. } => out.put_u16(*version),
            Self::Pack { messages, .. } => return Some(messages.bytes()),
            Self::Refused { errno, text } => {
                out.put_u32(*errno);
                out.put_slice(text.as_bytes());
            }
            Self::Status(view) | Self::View(view) => put_view(view, out),
        }
        None
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => 1,
            Self::Broadcast { .. } => 2,
            Self::Send { .. } => 3,
            Self::Ack { .. } => 4,
            Self::Credit { .. } => 5,
            Self::Close => 6,
            Self::Admin { .. } => 7,
            Self::LltOpen { .. } => 8,
            Self::LltSend { .. } => 9,
            Self::Trace { .. } => 10,
            Self::Beat { .. } => 11,
            Self::Watch { .. } => 12,
            Self::Pack { .. } => 13,
            Self::Opened { .. } => 65,
            Self::Refused { .. } => 66,
            Self::Deliver(_) => 67,
            Self::View(_) => 68,
            Self::Status(_) => 69,
            Self::Closed(_) => 70,
            Self::Answer { .. } => 71,
            Self::LltMessage { .. } => 72,
            Self::Frame(_) => 73,
            Self::AskBeat { .. } => 74,
            Self::Event { .. } => 75,
            Self::DeliverPack(_) => 76,
        }
    }

    fn flags(&self) -> u8 {
        match self {
            Self::Open { options, .. } => {
                let OpenOptions { ack, heartbeat, kernel, shared, status } = *options;
                u8::from(ack)
                    | u8::from(kernel) << 1
                    | u8::from(shared) << 2
                    | u8::from(status) << 3
                    | u8::from(heartbeat.is_some()) << 4
            }
            Self::Broadcast { level, .. } | Self::Pack { level, .. } => {
                u8::from(*level == Level::Safe)
            }
            Self::DeliverPack(pack) => u8::from(pack.level == Level::Safe),
            Self::Deliver(delivery) => {
                u8::from(delivery.level == Level::Safe) | u8::from(delivery.broadcast) << 1
            }
            Self::Answer { more, error, .. } => u8::from(*more) | u8::from(*error) << 1,
            Self::LltMessage { reliable, .. } | Self::LltSend { reliable, .. } => {
                u8::from(!reliable)
            }
            Self::Trace { on } | Self::Watch { on } => u8::from(!on),
            Self::Ack { .. }
            | Self::Admin { .. }
            | Self::AskBeat { .. }
            | Self::Beat { .. }
            | Self::Close
            | Self::Closed(_)
            | Self::Credit { .. }
            | Self::Event { .. }
            | Self::Frame(_)
            | Self::LltOpen { .. }
            | Self::Opened { .. }
            | Self::Refused { .. }
            | Self::Send { .. }
            | Self::Status(_)
            | Self::View(_) => 0,
        }
    }

    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Deliver(delivery) => Some(delivery.sender),
            Self::DeliverPack(pack) => Some(pack.sender),
            Self::LltMessage { node, .. }
            | Self::LltSend { node, .. }
            | Self::Opened { node, .. }
            | Self::Send { node, .. } => Some(*node),
            Self::Ack { .. }
            | Self::Admin { .. }
            | Self::Answer { .. }
            | Self::AskBeat { .. }
            | Self::Beat { .. }
            | Self::Broadcast { .. }
            | Self::Close
            | Self::Closed(_)
            | Self::Credit { .. }
            | Self::Event { .. }
            | Self::Frame(_)
            | Self::LltOpen { .. }
            | Self::Open { .. }
            | Self::Pack { .. }
            | Self::Refused { .. }
            | Self::Status(_)
            | Self::Trace { .. }
            | Self::View(_)
            | Self::Watch { .. } => None,
        }
    }
}

/// The records of one datagram, in order. After the first malformed one it ends: where the next
/// would start is not known. Payloads are slices of the datagram, not copies.
#[derive(Clone, Debug)]
pub struct Reader {
    rest: Bytes,
    at: usize,
}

impl Reader {
    /// Over a whole datagram.
    pub const fn new(datagram: Bytes) -> Self {
        Self { rest: datagram, at: 0 }
    }

    fn read(&mut self) -> Result<Record, Problem> {
        if self.rest.len() < HEADER_LEN {
            return Err(Problem::Header { left: self.rest.len() });
        }
        let length = u32::from_be_bytes([self.rest[0], self.rest[1], self.rest[2], self.rest[3]]);
        let len = usize::try_from(length).unwrap_or(usize::MAX);
        if len < HEADER_LEN || len > self.rest.len() {
            return Err(Problem::Length { length, left: self.rest.len() });
        }
        let [kind, flags, node, zero] = [self.rest[4], self.rest[5], self.rest[6], self.rest[7]];
        let mut body = self.rest.split_to(len);
        body.advance(HEADER_LEN);
        self.at += len;
        let (flags_known, uses_node) = match kind {
            1 => (0b1_1111, false),
            2 | 13 => (0b1, false),
            4..=8 | 11 | 66 | 68..=70 | 73..=75 => (0, false),
            3 | 65 => (0, true),
            9 | 72 => (0b1, true),
            10 | 12 => (0b1, false),
            67 => (0b11, true),
            76 => (0b1, true),
            71 => (0b11, false),
            kind => return Err(Problem::Kind(kind)),
        };
        if flags & !flags_known != 0 {
            return Err(Problem::Flags { kind, flags });
        }
        if zero != 0 || (node != 0 && !uses_node) {
            return Err(Problem::NotZero { kind });
        }
        let node = NodeId::new(node).ok_or(Problem::Node(node))?;
        read_body(kind, flags, node, body)
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.at;
        Some(self.read().map_err(|problem| {
            self.rest = Bytes::new();
            Malformed { at, problem }
        }))
    }
}

impl core::iter::FusedIterator for Reader {}

/// A datagram that breaks the format. The records before it were whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("record at byte {at} of the datagram: {problem}")]
pub struct Malformed {
    /// Where the record starts in its datagram.
    pub at: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The body's length does not fit the kind.
    #[error("a body of {len} bytes does not fit kind {kind}")]
    Body {
        /// The kind.
        kind: u8,
        /// Bytes in its body.
        len: usize,
    },
    /// The head of a traced frame that no gabd writes.
    #[error("a traced frame with {what}")]
    Frame {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Flags that the kind does not have.
    #[error("flags {flags:#04x} are not all known for kind {kind}")]
    Flags {
        /// The kind.
        kind: u8,
        /// Its flags.
        flags: u8,
    },
    /// The datagram ends inside a header.
    #[error("a header of {HEADER_LEN} bytes was expected, {left} are left")]
    Header {
        /// What is left of the datagram.
        left: usize,
    },
    /// A kind that is not in the table.
    #[error("kind {0} is not known")]
    Kind(u8),
    /// The length is less than a header or more than the datagram has.
    #[error("its length {length} is not between {HEADER_LEN} and the {left} bytes left")]
    Length {
        /// As written.
        length: u32,
        /// What is left of the datagram.
        left: usize,
    },
    /// An LLT port of 32 or more.
    #[error("LLT port {0} is not below 32")]
    LltPort(u8),
    /// A node id of 128 or more.
    #[error("node id {0} is not below 128")]
    Node(u8),
    /// A field that is zero for this kind is not.
    #[error("a field of kind {kind} that must be zero is not")]
    NotZero {
        /// The kind.
        kind: u8,
    },
    /// The body is not messages with their lengths, at least one and not too many.
    #[error(
        "kind {kind} carries no whole messages with their lengths, or more than {PACK_MESSAGES_MAX}"
    )]
    Pack {
        /// The kind.
        kind: u8,
    },
    /// The port is not an ASCII letter.
    #[error("byte {0:#04x} is not a port letter")]
    Port(u8),
    /// A text is not UTF-8.
    #[error("the text of kind {kind} is not UTF-8")]
    Text {
        /// The kind.
        kind: u8,
    },
}

/// `len` is at most [`IPC_DATAGRAM_MAX`].
fn put_header(out: &mut BytesMut, len: usize, kind: u8, flags: u8, node: Option<NodeId>) {
    out.put_u32(u32::try_from(len).expect("a datagram is shorter than 4 GiB"));
    out.put_slice(&[kind, flags, node.map_or(0, NodeId::get), 0]);
}

fn read_body(kind: u8, flags: u8, node: NodeId, mut body: Bytes) -> Result<Record, Problem> {
    let len = body.len();
    let fits = match kind {
        1 => {
            let least = OPEN_LEN + if flags & 16 == 0 { 0 } else { HEARTBEAT_LEN };
            (least..=least + NAME_MAX).contains(&len)
        }
        2 | 3 => len <= MESSAGE_MAX,
        4 | 5 => len == 8,
        6 | 10 | 12 => len == 0,
        8 => len == LLT_OPEN_LEN,
        9 | 72 => len <= llt::limits::MESSAGE_MAX,
        65 => len == 2,
        66 => len >= 4,
        67 => (DELIVER_LEN..=DELIVER_LEN + MESSAGE_MAX).contains(&len),
        76 => len >= DELIVER_LEN,
        68 | 69 => len == VIEW_LEN,
        11 | 70 | 74 => len == 4,
        _ => true,
    };
    if !fits {
        return Err(Problem::Body { kind, len });
    }
    let flag = |bit: u8| flags & bit != 0;
    let level = if flag(1) { Level::Safe } else { Level::Agreed };
    Ok(match kind {
        1 => {
            let (version, letter) = (body.get_u16(), body.get_u8());
            let port = PortName::new(char::from(letter)).ok_or(Problem::Port(letter))?;
            let heartbeat = flag(16).then(|| Duration::from_millis(body.get_u32().into()));
            let (ack, kernel, shared, status) = (flag(1), flag(2), flag(4), flag(8));
            let options = OpenOptions { ack, heartbeat, kernel, shared, status };
            Record::Open { version, port, options, name: text(kind, &body)? }
        }
        2 => Record::Broadcast { level, payload: body },
        13 => {
            let messages = Pack::read(body).ok_or(Problem::Pack { kind })?;
            Record::Pack { level, messages }
        }
        3 => Record::Send { node, payload: body },
        4 => Record::Ack { generation: body.get_u64() },
        5 => Record::Credit { messages: body.get_u32(), bytes: body.get_u32() },
        6 => Record::Close,
        7 => Record::Admin { json: body },
        8 => {
            let (version, number) = (body.get_u16(), body.get_u8());
            let port = LltPort::new(number).ok_or(Problem::LltPort(number))?;
            Record::LltOpen { version, port }
        }
        9 => Record::LltSend { node, reliable: !flag(1), payload: body },
        10 => Record::Trace { on: !flag(1) },
        11 => Record::Beat { number: body.get_u32() },
        12 => Record::Watch { on: !flag(1) },
        65 => Record::Opened { version: body.get_u16(), node },
        66 => Record::Refused { errno: body.get_u32(), text: text(kind, &body)? },
        67 | 76 => return read_delivery(kind, flag(2), level, node, body),
        68 => Record::View(take_view(&mut body)),
        69 => Record::Status(take_view(&mut body)),
        70 => Record::Closed(body.get_u32()),
        71 => Record::Answer { more: flag(1), error: flag(2), text: body },
        72 => Record::LltMessage { node, reliable: !flag(1), payload: body },
        73 => Record::Frame(TracedFrame::decode(body)?),
        74 => Record::AskBeat { number: body.get_u32() },
        75 => Record::Event { json: body },
        kind => return Err(Problem::Kind(kind)),
    })
}

/// `Deliver` and `DeliverPack`; the body has [`DELIVER_LEN`] bytes at least.
fn read_delivery(
    kind: u8,
    broadcast: bool,
    level: Level,
    sender: NodeId,
    mut body: Bytes,
) -> Result<Record, Problem> {
    let (generation, sequence) = (body.get_u64(), body.get_u64());
    Ok(if kind == 67 {
        let payload = body;
        Record::Deliver(Delivery { sender, broadcast, level, generation, sequence, payload })
    } else {
        let messages = Pack::read(body).ok_or(Problem::Pack { kind })?;
        Record::DeliverPack(PackDelivery { sender, level, generation, sequence, messages })
    })
}

fn text(kind: u8, bytes: &[u8]) -> Result<String, Problem> {
    core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Problem::Text { kind })
}

fn put_view(view: &PortView, out: &mut BytesMut) {
    out.put_u64(view.generation);
    for set in [view.members, view.joined, view.left, view.jeopardy, view.visible] {
        out.put_u128(set.bits());
    }
}

/// `body` has [`VIEW_LEN`] bytes.
fn take_view(body: &mut Bytes) -> PortView {
    let generation = body.get_u64();
    let [members, joined, left, jeopardy, visible] =
        core::array::from_fn(|_| NodeSet::from_bits(body.get_u128()));
    PortView { generation, members, joined, left, jeopardy, visible }
}

const OPEN_LEN: usize = 3;
const HEARTBEAT_LEN: usize = 4;
const LLT_OPEN_LEN: usize = 3;
const DELIVER_LEN: usize = 16;
const VIEW_LEN: usize = 8 + 5 * 16;

#[cfg(test)]
mod tests;
