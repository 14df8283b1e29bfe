//! Keys: frames are opened before anybody looks at them, and the key changes while LLT runs.

use bytes::Bytes;

use super::Llt;
use super::receive::Refusal;
use crate::ids::{Incarnation, NodeId};
use crate::seal::{Keyring, Unopened, is_sealed};
use crate::time::Instant;

/// Why keys were not changed; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SetKeysError {
    /// Peers that still have the old keys would neither hear us nor be heard.
    #[error("no key in force is among the new ones: every peer would be lost")]
    NoCommonKey,
    /// LLT runs without keys. Peers that have none yet would be lost, and packets under way leave
    /// no room for the seal.
    #[error("LLT runs without keys; it takes them only when it starts, on all nodes together")]
    NotSealing,
    /// LLT runs with keys. Peers that still have them would be lost.
    #[error("LLT runs with keys; it does without only when it starts, on all nodes together")]
    Sealing,
}

impl Llt {
    /// Changes the keys while LLT runs: the first of the new ones seals from now on. No connection
    /// notices, as long as every node has both keys while some seal with one and some with the
    /// other (docs/llt.md, "Keys").
    ///
    /// # Errors
    /// See [`SetKeysError`]; nothing was changed.
    pub fn set_keys(&mut self, now: Instant, keys: Option<Keyring>) -> Result<(), SetKeysError> {
        self.begin(now);
        match (&self.context.config.keys, &keys) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(SetKeysError::NotSealing),
            (Some(_), None) => return Err(SetKeysError::Sealing),
            (Some(old), Some(new)) if !old.has_common(new) => {
                return Err(SetKeysError::NoCommonKey);
            }
            (Some(_), Some(_)) => {}
        }
        self.context.config.keys = keys;
        self.context.seals.rekey();
        Ok(())
    }

    /// The plain frame in one that arrived on a link; `None` if it is one itself.
    pub(super) fn open(&mut self, link: usize, frame: &Bytes) -> Result<Option<Bytes>, Refusal> {
        let Self { context, peers, .. } = self;
        let Some(keys) = &context.config.keys else {
            return if is_sealed(frame) { Err(Refusal::Sealed) } else { Ok(None) };
        };
        let heeded = |node: NodeId| {
            let peer = peers.get(node.index()).and_then(Option::as_ref);
            peer.map_or(Incarnation(0), |peer| {
                peer.incarnation.unwrap_or_default().max(peer.gone_up_to)
            })
        };
        Ok(Some(context.seals.open(keys, context.links[link].id, heeded, frame)?))
    }
}

impl From<Unopened> for Refusal {
    fn from(reason: Unopened) -> Self {
        match reason {
            Unopened::BadDest => Self::BadDest,
            Unopened::BadGeneration => Self::BadGeneration,
            Unopened::BadSource => Self::BadSource,
            Unopened::BadTag => Self::BadTag,
            Unopened::Loopback => Self::Loopback,
            Unopened::Malformed => Self::Malformed,
            Unopened::NotSealed => Self::NotSealed,
            Unopened::Replayed => Self::Replayed,
            Unopened::UnknownKey => Self::UnknownKey,
            Unopened::Version => Self::BadVersion,
        }
    }
}
