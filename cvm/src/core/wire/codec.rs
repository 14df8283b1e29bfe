//! Reading and writing integers, texts and identities, most significant byte first as in GAB.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use llt::{Id, Incarnation, NodeId};

use crate::core::txn::TxnId;
use crate::disk::{RequestId, Slot};
use crate::model::{Epoch, Name, Stamp, Tid, UniqueId};

/// Input that is no message: cut short, too long, or with a value out of range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed message: {what} was expected")]
pub struct Malformed {
    /// What was expected.
    pub what: &'static str,
}

/// Reads from the front; nothing is read past the end.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

type Read<T> = Result<T, Malformed>;

/// Counters above are refused: members count on from them.
const COUNTER_MAX: u64 = 1 << 62;

impl Reader {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn wrong<T>(what: &'static str) -> Read<T> {
        Err(Malformed { what })
    }

    fn need(&self, len: usize, what: &'static str) -> Read<()> {
        if self.0.len() < len { Self::wrong(what) } else { Ok(()) }
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Read<u8> {
        self.need(1, what)?;
        Ok(self.0.get_u8())
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Read<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Self::wrong(what),
        }
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Read<u16> {
        self.need(2, what)?;
        Ok(self.0.get_u16())
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Read<u32> {
        self.need(4, what)?;
        Ok(self.0.get_u32())
    }

    /// A number that others count on from.
    pub(crate) fn counter(&mut self, what: &'static str) -> Read<u64> {
        self.need(8, what)?;
        let value = self.0.get_u64();
        if value > COUNTER_MAX { Self::wrong(what) } else { Ok(value) }
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Read<u64> {
        self.need(8, what)?;
        Ok(self.0.get_u64())
    }

    pub(crate) fn u128(&mut self, what: &'static str) -> Read<u128> {
        self.need(16, what)?;
        Ok(self.0.get_u128())
    }

    /// A counted list.
    pub(crate) fn list<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let count = self.u16(what)?;
        (0..count).map(|_| item(self)).collect()
    }

    /// Text of at most 65535 bytes.
    pub(crate) fn text(&mut self, what: &'static str) -> Read<String> {
        let len = usize::from(self.u16(what)?);
        self.need(len, what)?;
        let bytes = self.0.split_to(len);
        String::from_utf8(bytes.to_vec()).or_else(|_| Self::wrong(what))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Read<Bytes> {
        let len = usize::try_from(self.u32(what)?).or_else(|_| Self::wrong(what))?;
        self.need(len, what)?;
        Ok(self.0.split_to(len))
    }

    pub(crate) fn name(&mut self) -> Read<Name> {
        Name::new(&self.text("a name")?).or_else(|_| Self::wrong("a name"))
    }

    pub(crate) fn unique_id(&mut self) -> Read<UniqueId> {
        self.text("an id of a disk or group")?
            .parse()
            .or_else(|_| Self::wrong("an id of a disk or group"))
    }

    pub(crate) fn node(&mut self) -> Read<NodeId> {
        NodeId::new(self.u8("a node")?).ok_or(Malformed { what: "a node below 128" })
    }

    pub(crate) fn id(&mut self) -> Read<Id> {
        Ok(Id { node: self.node()?, incarnation: Incarnation(self.u64("an incarnation")?) })
    }

    pub(crate) fn stamp(&mut self) -> Read<Stamp> {
        let epoch = Epoch(self.counter("an epoch")?);
        Ok(Stamp { epoch, tid: Tid(self.counter("a transaction id")?) })
    }

    pub(crate) fn slot(&mut self) -> Read<Slot> {
        Slot::new(self.u8("a slot")?).ok_or(Malformed { what: "a slot from 0 to 2" })
    }

    pub(crate) fn txn_id(&mut self) -> Read<TxnId> {
        let (group, stamp) = (self.unique_id()?, self.stamp()?);
        Ok(TxnId { group, stamp, reconfig: self.counter("a reconfiguration")? })
    }

    pub(crate) fn request_id(&mut self) -> Read<RequestId> {
        Ok(RequestId { origin: self.id()?, number: self.counter("the number of a request")? })
    }

    pub(crate) fn end<T>(self, value: T) -> Read<T> {
        if self.0.is_empty() { Ok(value) } else { Self::wrong("the end of the message") }
    }
}

/// The counterpart of [`Reader`]. What is too long for its count is cut: no caller makes it.
pub(crate) trait Put {
    fn put_text(&mut self, text: &str);
    fn put_blob(&mut self, bytes: &[u8]);
    fn put_unique_id(&mut self, id: &UniqueId);
    fn put_id(&mut self, id: Id);
    fn put_stamp(&mut self, stamp: Stamp);
    fn put_txn_id(&mut self, id: &TxnId);
    fn put_request_id(&mut self, id: RequestId);
    fn put_slot(&mut self, slot: Slot);
    fn put_list<T>(&mut self, items: &[T], item: impl FnMut(&mut Self, &T));
}

impl Put for BytesMut {
    fn put_text(&mut self, text: &str) {
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.put_u16(u16::try_from(end).unwrap_or(u16::MAX));
        self.put_slice(&text.as_bytes()[..end]);
    }

    fn put_blob(&mut self, bytes: &[u8]) {
        self.put_u32(u32::try_from(bytes.len()).expect("no message is so long"));
        self.put_slice(bytes);
    }

    fn put_unique_id(&mut self, id: &UniqueId) {
        self.put_text(&id.to_string());
    }

    fn put_id(&mut self, id: Id) {
        self.put_u8(id.node.get());
        self.put_u64(id.incarnation.0);
    }

    fn put_stamp(&mut self, stamp: Stamp) {
        self.put_u64(stamp.epoch.0);
        self.put_u64(stamp.tid.0);
    }

    fn put_txn_id(&mut self, id: &TxnId) {
        self.put_unique_id(&id.group);
        self.put_stamp(id.stamp);
        self.put_u64(id.reconfig);
    }

    fn put_request_id(&mut self, id: RequestId) {
        self.put_id(id.origin);
        self.put_u64(id.number);
    }

    fn put_slot(&mut self, slot: Slot) {
        self.put_u8(u8::try_from(slot.index()).expect("one of three"));
    }

    fn put_list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        let count = items.len().min(usize::from(u16::MAX));
        self.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
        items[..count].iter().for_each(|value| item(self, value));
    }
}
