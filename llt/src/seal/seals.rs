//! Both sides of one node, as its core holds them.

use bytes::Bytes;

use super::{Keyring, Opener, Sealer, Unopened};
use crate::ids::{Id, Incarnation, LinkId, NodeId};
use crate::limits::LINKS_MAX;
use crate::wire::Parties;

/// What one incarnation of a node remembers for sealing and opening.
#[derive(Debug)]
pub(crate) struct Seals {
    /// By link number. They stay when a link is removed: one that gets its number goes on counting.
    sealers: Vec<Sealer>,
    opener: Opener,
}

impl Seals {
    pub(crate) fn new(own: Id) -> Self {
        let links = (0..LINKS_MAX).filter_map(LinkId::new);
        Self {
            sealers: links.map(|link| Sealer::new(own, link)).collect(),
            opener: Opener::new(own),
        }
    }

    /// Seals one of our frames.
    pub(crate) fn seal(&mut self, keys: &Keyring, link: LinkId, plain: &Bytes) -> Bytes {
        let parties = Parties::of(plain).expect("our own frames have a header");
        self.sealers[link.index()].seal(keys.sealing(), parties.dst, plain)
    }

    /// See [`Opener::open`].
    pub(crate) fn open(
        &mut self,
        keys: &Keyring,
        link: LinkId,
        heeded: impl FnOnce(NodeId) -> Incarnation,
        frame: &Bytes,
    ) -> Result<Bytes, Unopened> {
        self.opener.open(keys, link, heeded, frame)
    }

    /// The keyring is another one.
    pub(crate) fn rekey(&mut self) {
        self.sealers.iter_mut().for_each(Sealer::rekey);
        self.opener.rekey();
    }
}
