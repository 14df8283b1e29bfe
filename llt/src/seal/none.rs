//! Without the feature `auth` there are no keys, and nothing that would need one can happen.

use bytes::Bytes;

use super::Unopened;
use crate::ids::{Id, Incarnation, LinkId, NodeId};

/// There is none.
#[derive(Clone, Debug)]
pub enum Keyring {}

impl Keyring {
    /// Is any key in both?
    pub fn has_common(&self, _: &Self) -> bool {
        match *self {}
    }
}

/// Nothing to remember.
#[derive(Debug)]
pub(crate) struct Seals;

impl Seals {
    pub(crate) const fn new(_: Id) -> Self {
        Self
    }

    pub(crate) fn seal(&mut self, keys: &Keyring, _: LinkId, _: &Bytes) -> Bytes {
        match *keys {}
    }

    pub(crate) fn open(
        &mut self,
        keys: &Keyring,
        _: LinkId,
        _: impl FnOnce(NodeId) -> Incarnation,
        _: &Bytes,
    ) -> Result<Bytes, Unopened> {
        match *keys {}
    }

    pub(crate) fn rekey(&mut self) {}
}
