//! The sending side of one link.

use bytes::Bytes;

use super::cipher::Cipher;
use super::{ClearHeader, Key};
use crate::ids::{Id, LinkId};

/// Seals the frames that one incarnation of a node sends on one of its links.
///
/// There must be one for each, and for the whole life of the incarnation: two would use the same
/// counts, and a count that is used twice under one key gives both frames away.
#[derive(Debug)]
pub struct Sealer {
    sender: Id,
    link: LinkId,
    /// Of the last frame.
    count: u64,
    cipher: Option<Cipher>,
}

impl Sealer {
    /// The first frame will have the count 1. The sender's incarnation must never have been used
    /// before with the same key.
    pub const fn new(sender: Id, link: LinkId) -> Self {
        Self { sender, link, count: 0, cipher: None }
    }

    /// Seals a plain frame for node `dst`, or for everybody. `key` is the same in every call, but
    /// after [`Sealer::rekey`].
    pub fn seal(&mut self, key: &Key, dst: u8, plain: &[u8]) -> Bytes {
        let Self { sender, link, .. } = *self;
        // At a thousand million frames a second the counts last for 500 years.
        self.count += 1;
        let clear = ClearHeader {
            key: key.id(),
            src: sender.node.get(),
            dst,
            link,
            incarnation: sender.incarnation,
            count: self.count,
        };
        self.cipher.get_or_insert_with(|| Cipher::derive(key, sender, link)).seal(&clear, plain)
    }

    /// From now on another key seals. The counts go on, so that the receivers' windows go on, and
    /// no count comes twice should the key come back.
    pub fn rekey(&mut self) {
        self.cipher = None;
    }
}
