//! GAB's messages, inside LLT's. Drawn in `docs/wire.md`.
//!
//! Every message starts with a [`Head`]: which view it belongs to and, on the way, how far its
//! sender holds that view's stream. Decoding checks every length before it reads and every value
//! before it is used; what comes out of [`Message::decode`] is consistent in itself.

mod change;
mod codec;
mod entry;

use bytes::{BufMut, Bytes, BytesMut};

pub use change::{Connection, Hello, PortTableEntry, Prepared, Proposal, State};
pub use codec::Malformed;
pub(crate) use codec::Put;
pub(crate) use codec::Reader;
pub use entry::{ENTRY_HEADER_LEN, Entry, EntryKind};

use crate::event::Level;
use crate::ids::{PortName, Vid};
use crate::limits::MESSAGE_MAX;

/// Bytes of a [`Head`].
pub const HEAD_LEN: usize = 36;
/// Bytes of an ORD message before its entries.
pub const ORD_LEN: usize = HEAD_LEN + 26;
/// Bytes of a DATA message before its piece of the payload.
pub const DATA_LEN: usize = HEAD_LEN + 24;
/// Bytes of a NAK message before its ranges.
pub const NAK_LEN: usize = HEAD_LEN + 2;
/// Bytes of one range in it.
pub const NAK_RANGE_LEN: usize = 16;
/// Ranges that one NAK names at the most; what is missing beyond follows in the next.
pub const NAK_RANGES_MAX: usize = 64;

/// What every message carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// The view that the message speaks of, or the view that is being made.
    pub vid: Vid,
    /// All slots up to here are held by the sender, payloads included; 0 while it is frozen in a
    /// view change, because an acknowledgement then would break uniformity (MS12).
    pub ack: u64,
    /// Bit per port (`PortName::index`) whose client at the sender does not keep up.
    pub busy: u64,
}

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// Only what the head says.
    Ack,
    /// View change, step 1: freeze and report.
    Collect {
        /// Who is asked.
        target: Vec<llt::Id>,
    },
    /// A piece of a payload, broadcast by its sender before the sequencer refers to it.
    Data(Data),
    /// Who I am and which view I am in; for nodes that are in none or another.
    Hello(Hello),
    /// View change, step 4: the view of the head is in force.
    Install,
    /// A point-to-point message.
    P2p(P2p),
    /// All point-to-point messages up to a number have been taken.
    P2pAck(P2pAck),
    /// View change: this round is too low, the head names the higher one.
    Refuse,
    /// Send me these slots of the view in the head; none: tell me where the stream ends.
    Nak(Vec<(u64, u64)>),
    /// The stream: entries in slots, from the sequencer.
    Ord(Ordered),
    /// View change, step 2: this will be the view.
    Propose(Proposal),
    /// View change, step 3: I hold everything up to the cut.
    Ready,
    /// Slots that were asked for, payloads inline.
    Retr(Repair),
    /// View change: answer to `Collect`.
    State(State),
    /// Messages for the sequencer to order, inline.
    Submit(Vec<Entry>),
}

/// Answer to a NAK.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repair {
    /// Nothing more follows for the same question: ask again for what is still missing.
    pub last: bool,
    /// Slots with their entries.
    pub slots: Vec<(u64, Entry)>,
}

/// Entries in consecutive slots, of which a pack has several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ordered {
    /// Every member holds all slots up to here.
    pub stable: u64,
    /// The last slot that exists.
    pub high: u64,
    /// Acknowledge at once.
    pub need_ack: bool,
    /// Slot of the first entry.
    pub first: u64,
    /// The entries; none only repeats `stable` and `high`.
    pub entries: Vec<Entry>,
}

/// A piece of a payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Data {
    /// The port of the message.
    pub port: PortName,
    /// When it may be delivered.
    pub level: Level,
    /// Its number among the sender's entries on the port.
    pub mseq: u64,
    /// How many messages it is a pack of; 0 if it is one message.
    pub pack: u16,
    /// Its length in bytes.
    pub total: u32,
    /// Where this piece starts.
    pub offset: u32,
    /// The bytes.
    pub piece: Bytes,
}

/// A point-to-point message (precise rule 6).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct P2p {
    /// The port.
    pub port: PortName,
    /// The generation of the port's membership at the sender.
    pub generation: u64,
    /// The sending client's incarnation.
    pub from_client: u64,
    /// The receiving client's incarnation.
    pub to_client: u64,
    /// Number from 1 per (sending client incarnation, destination).
    pub number: u64,
    /// The bytes.
    pub payload: Bytes,
}

/// The receiver's answer to [`P2p`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct P2pAck {
    /// The port.
    pub port: PortName,
    /// As in the message.
    pub from_client: u64,
    /// As in the message: numbers start anew with each receiving client.
    pub to_client: u64,
    /// All up to this number have been taken.
    pub number: u64,
}

const ORD: u8 = 1;
const DATA: u8 = 2;
const ACK: u8 = 3;
const NAK: u8 = 4;
const RETR: u8 = 5;
const SUBMIT: u8 = 6;
const P2P: u8 = 7;
const P2P_ACK: u8 = 8;
const HELLO: u8 = 16;
const COLLECT: u8 = 17;
const STATE: u8 = 18;
const REFUSE: u8 = 19;
const PROPOSE: u8 = 20;
const READY: u8 = 21;
const INSTALL: u8 = 22;

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::Ord(_) => ORD,
            Self::Data(_) => DATA,
            Self::Ack => ACK,
            Self::Nak(_) => NAK,
            Self::Retr(_) => RETR,
            Self::Submit(_) => SUBMIT,
            Self::P2p(_) => P2P,
            Self::P2pAck(_) => P2P_ACK,
            Self::Hello(_) => HELLO,
            Self::Collect { .. } => COLLECT,
            Self::State(_) => STATE,
            Self::Refuse => REFUSE,
            Self::Propose(_) => PROPOSE,
            Self::Ready => READY,
            Self::Install => INSTALL,
        }
    }

    /// Bytes of payloads and entries, about: so much room is worth having from the start.
    fn payload_len(&self) -> usize {
        let inline = |entry: &Entry| match entry.payload {
            Some(_) => entry.inline_len(),
            None => ENTRY_HEADER_LEN,
        };
        match self {
            Self::Data(data) => data.piece.len(),
            Self::Ord(ord) => ord.entries.iter().map(inline).sum(),
            Self::P2p(message) => message.payload.len(),
            Self::Retr(repair) => repair.slots.iter().map(|(_, entry)| 8 + inline(entry)).sum(),
            Self::Submit(entries) => entries.iter().map(inline).sum(),
            _ => 0,
        }
    }

    /// The message with its head, as LLT carries it.
    pub fn encode(&self, head: Head) -> Bytes {
        let mut out = BytesMut::with_capacity(128 + self.payload_len());
        head.put(self.kind(), &mut out);
        match self {
            Self::Ack | Self::Refuse | Self::Ready | Self::Install => {}
            Self::Ord(ord) => {
                ord.put_head(&mut out);
                ord.entries.iter().for_each(|entry| match entry.payload {
                    Some(_) => entry.put_inline(&mut out),
                    None => entry.put_reference(&mut out),
                });
            }
            Self::Data(data) => data.put(&mut out),
            Self::Nak(ranges) => {
                out.put_u16(u16::try_from(ranges.len()).expect("at most NAK_RANGES_MAX"));
                for &(first, last) in ranges {
                    out.put_u64(first);
                    out.put_u64(last);
                }
            }
            Self::Retr(repair) => {
                out.put_u8(u8::from(repair.last));
                out.put_u16(
                    u16::try_from(repair.slots.len()).expect("bounded by the message size"),
                );
                for (slot, entry) in &repair.slots {
                    out.put_u64(*slot);
                    entry.put_inline(&mut out);
                }
            }
            Self::Submit(entries) => {
                out.put_u16(u16::try_from(entries.len()).expect("bounded by the message size"));
                entries.iter().for_each(|entry| entry.put_inline(&mut out));
            }
            Self::P2p(p2p) => {
                out.put_u8(p2p.port.byte());
                out.put_u64(p2p.generation);
                out.put_u64(p2p.from_client);
                out.put_u64(p2p.to_client);
                out.put_u64(p2p.number);
                out.put_slice(&p2p.payload);
            }
            Self::P2pAck(ack) => {
                out.put_u8(ack.port.byte());
                out.put_u64(ack.from_client);
                out.put_u64(ack.to_client);
                out.put_u64(ack.number);
            }
            Self::Hello(hello) => hello.put(&mut out),
            Self::Collect { target } => out.put_ids(target),
            Self::State(state) => state.put(&mut out),
            Self::Propose(proposal) => proposal.put(&mut out),
        }
        out.freeze()
    }
}

/// A message with its head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// What every message carries.
    pub head: Head,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// Names what was expected where the bytes are not a message.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let (kind, head) = Head::read(&mut reader)?;
        let body = match kind {
            ORD => Body::Ord(Ordered::read(&mut reader)?),
            DATA => Body::Data(Data::read(&mut reader)?),
            ACK => Body::Ack,
            NAK => Body::Nak(read_ranges(&mut reader)?),
            RETR => {
                let last = reader.u8("a flag")? != 0;
                let slots = read_list(&mut reader, |r| {
                    let slot = r.u64("a slot")?;
                    Ok((slot, held(Entry::read(r)?)?))
                })?;
                Body::Retr(Repair { last, slots })
            }
            SUBMIT => Body::Submit(read_list(&mut reader, |r| held(Entry::read(r)?))?),
            P2P => Body::P2p(P2p::read(&mut reader)?),
            P2P_ACK => Body::P2pAck(P2pAck {
                port: reader.port()?,
                from_client: reader.u64("a client")?,
                to_client: reader.u64("a client")?,
                number: reader.u64("a number")?,
            }),
            HELLO => Body::Hello(Hello::read(&mut reader)?),
            COLLECT => Body::Collect { target: reader.ids()? },
            STATE => Body::State(State::read(&mut reader)?),
            REFUSE => Body::Refuse,
            PROPOSE => Body::Propose(Proposal::read(&mut reader)?),
            READY => Body::Ready,
            INSTALL => Body::Install,
            _ => return Err(Malformed::new("a known kind of message")),
        };
        reader.end()?;
        Ok(Self { head, body })
    }

    /// The name of the message's kind, for traces and filters.
    pub fn name(&self) -> &'static str {
        match self.body {
            Body::Ord(_) => "ORD",
            Body::Data(_) => "DATA",
            Body::Ack => "ACK",
            Body::Nak(_) => "NAK",
            Body::Retr(_) => "RETR",
            Body::Submit(_) => "SUBMIT",
            Body::P2p(_) => "P2P",
            Body::P2pAck(_) => "P2PACK",
            Body::Hello(_) => "HELLO",
            Body::Collect { .. } => "COLLECT",
            Body::State(_) => "STATE",
            Body::Refuse => "REFUSE",
            Body::Propose(_) => "PROPOSE",
            Body::Ready => "READY",
            Body::Install => "INSTALL",
        }
    }
}

impl Head {
    fn put(self, kind: u8, out: &mut BytesMut) {
        out.put_u8(kind);
        out.put_u16(0);
        out.put_vid(self.vid);
        out.put_u64(self.ack);
        out.put_u64(self.busy);
    }

    fn read(reader: &mut Reader) -> Result<(u8, Self), Malformed> {
        let kind = reader.u8("a kind")?;
        if reader.u16("a head")? != 0 {
            return Err(Malformed::new("zero in the reserved bytes"));
        }
        let vid = reader.vid()?;
        Ok((kind, Self { vid, ack: reader.u64("an ack")?, busy: reader.u64("a port set")? }))
    }
}

impl Ordered {
    const NEED_ACK: u8 = 1;

    fn put_head(&self, out: &mut BytesMut) {
        out.put_u64(self.stable);
        out.put_u64(self.high);
        out.put_u64(self.first);
        out.put_u8(if self.need_ack { Self::NEED_ACK } else { 0 });
        out.put_u8(0);
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let stable = reader.u64("a stable slot")?;
        let high = reader.u64("a last slot")?;
        let first = reader.u64("a first slot")?;
        let need_ack = reader.u8("flags")? & Self::NEED_ACK != 0;
        reader.u8("flags")?;
        let mut entries = Vec::new();
        let mut slots = 0;
        while reader.end().is_err() {
            let entry = Entry::read(reader)?;
            slots += entry.slots();
            entries.push(entry);
        }
        let last = first.checked_add(slots);
        if stable > high
            || !entries.is_empty() && (first == 0 || last.is_none_or(|last| last > high + 1))
        {
            return Err(Malformed::new("slots from 1 to the last"));
        }
        Ok(Self { stable, high, need_ack, first, entries })
    }
}

impl Data {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(self.port.byte());
        out.put_u8(u8::from(self.level == Level::Safe));
        out.put_u16(self.pack);
        out.put_u32(0);
        out.put_u64(self.mseq);
        out.put_u32(self.total);
        out.put_u32(self.offset);
        out.put_slice(&self.piece);
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let port = reader.port()?;
        let level = if reader.u8("a level")? & 1 == 0 { Level::Agreed } else { Level::Safe };
        let pack = reader.u16("a number of messages")?;
        reader.u32("a DATA head")?;
        let mseq = reader.u64("an entry number")?;
        let total = reader.u32("a length")?;
        let offset = reader.u32("an offset")?;
        let piece = reader.rest();
        let end = (offset as usize).checked_add(piece.len());
        if mseq == 0
            || total as usize > MESSAGE_MAX
            || piece.is_empty()
            || !entry::fits_pack(pack, total as usize)
            || end.is_none_or(|end| end > total as usize)
        {
            return Err(Malformed::new("a piece inside its payload"));
        }
        Ok(Self { port, level, mseq, pack, total, offset, piece })
    }
}

impl P2p {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let port = reader.port()?;
        let generation = reader.u64("a generation")?;
        let from_client = reader.u64("a client")?;
        let to_client = reader.u64("a client")?;
        let number = reader.u64("a number")?;
        let payload = reader.rest();
        if number == 0 || payload.len() > MESSAGE_MAX {
            return Err(Malformed::new("a numbered payload of at most 65536 bytes"));
        }
        Ok(Self { port, generation, from_client, to_client, number, payload })
    }
}

fn held(entry: Entry) -> Result<Entry, Malformed> {
    if entry.payload.is_none() {
        Err(Malformed::new("an entry with its payload"))
    } else {
        Ok(entry)
    }
}

fn read_list<T>(
    reader: &mut Reader,
    mut item: impl FnMut(&mut Reader) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.u16("a count")?;
    // The count is not trusted for an allocation: the bytes decide.
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(item(reader)?);
    }
    Ok(list)
}

fn read_ranges(reader: &mut Reader) -> Result<Vec<(u64, u64)>, Malformed> {
    let ranges = read_list(reader, |r| Ok((r.u64("a slot")?, r.u64("a slot")?)))?;
    let mut before = 0;
    for &(first, last) in &ranges {
        if first <= before || last < first || last == u64::MAX {
            return Err(Malformed::new("rising ranges of slots"));
        }
        before = last;
    }
    if ranges.len() > NAK_RANGES_MAX {
        return Err(Malformed::new("at most 64 ranges"));
    }
    Ok(ranges)
}
