//! Somebody who has the key of the cluster and seals whatever he likes.

use std::collections::BTreeMap;

use bytes::Bytes;
use llt::limits::LINKS_MAX;
use llt::seal::{Key, Sealer};
use llt::wire::Parties;
use llt::{Id, Incarnation, LinkId, NodeId};

/// He speaks for any node in any life, on any link.
#[derive(Debug)]
pub struct Insider {
    key: Key,
    sealers: BTreeMap<(Id, LinkId), Sealer>,
}

impl Insider {
    /// With this key.
    pub const fn new(key: Key) -> Self {
        Self { key, sealers: BTreeMap::new() }
    }

    /// Seals a frame as the one whom it names as its sender; one that names nobody, as node 0.
    pub fn seal(&mut self, link: u8, frame: &[u8]) -> Bytes {
        const SEALERS_MAX: usize = 1024;
        let nobody = Parties { src: 0, dst: 0, src_incarnation: Incarnation(1) };
        let parties = Parties::of(frame).unwrap_or(nobody);
        let sender = Id {
            node: NodeId::new(parties.src).unwrap_or(NodeId::ZERO),
            incarnation: parties.src_incarnation,
        };
        let link = LinkId::new(link % LINKS_MAX).expect("below eight");
        if self.sealers.len() == SEALERS_MAX {
            self.sealers.pop_first();
        }
        let sealer =
            self.sealers.entry((sender, link)).or_insert_with(|| Sealer::new(sender, link));
        sealer.seal(&self.key, parties.dst, frame)
    }
}
