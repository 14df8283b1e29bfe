//! Reading and writing integers and identities, most significant byte first, every read checked.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use llt::{Id, Incarnation, NodeId, NodeSet};

use crate::ids::{PortName, Versions, Vid};

/// Input that is not a message of GAB: cut short, too long, or with a value out of range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed message: {what}")]
pub struct Malformed {
    /// What was expected.
    pub what: &'static str,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

/// Rounds above are refused: the next proposer adds one to whatever it has heard.
const ROUND_MAX: u64 = u64::MAX - (1 << 32);
/// Slots, sequences and generations above are refused: members count on from them.
pub(crate) const COUNTER_MAX: u64 = 1 << 62;

/// Reads from the front of a buffer; nothing is read past its end.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) const fn new(rest: Bytes) -> Self {
        Self { rest }
    }

    fn need(&self, len: usize, what: &'static str) -> Result<(), Malformed> {
        if self.rest.len() < len { Err(Malformed::new(what)) } else { Ok(()) }
    }

    /// The versions that a node speaks.
    pub(crate) fn versions(&mut self) -> Result<Versions, Malformed> {
        let versions = Versions { min: self.u8("a version")?, max: self.u8("a version")? };
        if versions.min == 0 || versions.min > versions.max {
            return Err(Malformed::new("versions from the lowest to the highest"));
        }
        Ok(versions)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.need(1, what)?;
        Ok(self.rest.get_u8())
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.need(2, what)?;
        Ok(self.rest.get_u16())
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.need(4, what)?;
        Ok(self.rest.get_u32())
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.need(8, what)?;
        Ok(self.rest.get_u64())
    }

    pub(crate) fn bytes(&mut self, len: usize, what: &'static str) -> Result<Bytes, Malformed> {
        self.need(len, what)?;
        Ok(self.rest.split_to(len))
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        self.rest.split_off(0)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::new("the end of the message")) }
    }

    pub(crate) fn node(&mut self) -> Result<NodeId, Malformed> {
        NodeId::new(self.u8("a node id")?).ok_or(Malformed::new("a node id below 128"))
    }

    pub(crate) fn port(&mut self) -> Result<PortName, Malformed> {
        PortName::new(char::from(self.u8("a port")?)).ok_or(Malformed::new("a port letter"))
    }

    pub(crate) fn id(&mut self) -> Result<Id, Malformed> {
        Ok(Id { node: self.node()?, incarnation: Incarnation(self.u64("an incarnation")?) })
    }

    pub(crate) fn vid(&mut self) -> Result<Vid, Malformed> {
        let round = self.u64("a round")?;
        if round > ROUND_MAX {
            return Err(Malformed::new("a round that leaves room for the next ones"));
        }
        Ok(Vid { round, proposer: self.id()? })
    }

    /// A counted list of identities, each node at most once.
    pub(crate) fn ids(&mut self) -> Result<Vec<Id>, Malformed> {
        let count = self.u8("a count of identities")?;
        let mut seen = NodeSet::EMPTY;
        let mut ids = Vec::with_capacity(usize::from(count).min(128));
        for _ in 0..count {
            let id = self.id()?;
            if !seen.insert(id.node) {
                return Err(Malformed::new("each node once"));
            }
            ids.push(id);
        }
        Ok(ids)
    }
}

/// The counterpart of [`Reader`] for what has no method in `BufMut`.
pub(crate) trait Put {
    fn put_id(&mut self, id: Id);
    fn put_vid(&mut self, vid: Vid);
    fn put_ids(&mut self, ids: &[Id]);
    fn put_versions(&mut self, versions: Versions);
}

impl Put for BytesMut {
    fn put_id(&mut self, id: Id) {
        self.put_u8(id.node.get());
        self.put_u64(id.incarnation.0);
    }

    fn put_vid(&mut self, vid: Vid) {
        self.put_u64(vid.round);
        self.put_id(vid.proposer);
    }

    fn put_versions(&mut self, versions: Versions) {
        self.put_u8(versions.min);
        self.put_u8(versions.max);
    }

    fn put_ids(&mut self, ids: &[Id]) {
        self.put_u8(u8::try_from(ids.len()).expect("at most 128 nodes"));
        debug_assert!(
            ids.iter().map(|id| id.node).collect::<std::collections::BTreeSet<_>>().len()
                == ids.len(),
            "nobody takes a list that has a node twice: {ids:?}"
        );
        for &id in ids {
            self.put_id(id);
        }
    }
}
