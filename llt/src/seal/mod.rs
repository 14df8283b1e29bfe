//! Sealed frames: who has no key is not heard, and what was heard once is not heard again.
//!
//! With keys every frame travels inside another: 28 bytes in the clear, by which the receiver
//! finds the right key, then the whole plain frame, encrypted, then a tag over both
//! (ChaCha20-Poly1305, RFC 8439). `docs/wire.md` draws it.
//!
//! Each (sender, incarnation, link) has a key of its own, derived from the cluster's with HChaCha20,
//! and counts its frames; the count is the nonce. Together that is XChaCha20-Poly1305 with a nonce
//! of 24 bytes that names sender, incarnation, link and count. It must never be used twice: an
//! incarnation is never used again, and the counts of a link go on for as long as its incarnation
//! lives, whatever becomes of links and keys.
//!
//! Why these crates: chacha20poly1305 is the most used implementation of the RFC in Rust, was
//! audited, is pure Rust with vector code chosen at run time, and wipes its keys; chacha20, which
//! it is built on, gives HChaCha20. Nothing else is needed, a hash for the ids of keys included: a
//! pseudo-random function under another label is one.
//!
//! The [`Sealer`] is the sending side of one link, the [`Opener`] the receiving side of all. Both
//! are pure. What is not hidden: who talks to whom, how much, and when.

#[cfg(feature = "auth")]
mod cipher;
mod header;
#[cfg(feature = "auth")]
mod key;
#[cfg(not(feature = "auth"))]
mod none;
#[cfg(feature = "auth")]
mod opener;
#[cfg(feature = "auth")]
mod sealer;
#[cfg(feature = "auth")]
mod seals;
#[cfg(all(test, feature = "auth"))]
mod tests;
#[cfg(feature = "auth")]
mod window;

pub use header::{ClearHeader, KeyId, is_sealed};
#[cfg(feature = "auth")]
pub use key::{Key, Keyring, KeyringError};
#[cfg(not(feature = "auth"))]
pub use none::Keyring;
#[cfg(feature = "auth")]
pub use opener::{Opener, peek};
#[cfg(feature = "auth")]
pub use sealer::Sealer;

#[cfg(not(feature = "auth"))]
pub(crate) use none::Seals;
#[cfg(feature = "auth")]
pub(crate) use seals::Seals;

use crate::wire::WireError;

/// Bytes in the clear before the sealed ones.
pub const CLEAR_LEN: usize = 28;
/// Bytes of the tag at the end.
pub const TAG_LEN: usize = 16;
/// Bytes that a sealed frame is longer than the plain one in it.
pub const OVERHEAD: usize = CLEAR_LEN + TAG_LEN;
/// Keys that are accepted at a time: the one in use, and the next or the last.
pub const KEYS_MAX: usize = 2;
/// Counts that a receiver remembers behind the newest. Acknowledgements and heartbeats overtake
/// data in the queues of sockets, and all peers on a link share its count: at the 250,000 frames a
/// second of a full link of 1 Gbit/s with small frames this is 32 ms.
pub const WINDOW: u64 = 8192;

/// Why a frame was not opened; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unopened {
    /// It is for another node.
    #[error("it is for another node")]
    BadDest,
    /// It is of an earlier life of its sender.
    #[error("it is of an earlier life of its sender")]
    BadGeneration,
    /// Its sender is impossible.
    #[error("its sender is impossible")]
    BadSource,
    /// Forged, damaged, or sealed with another key of the same id.
    #[error("its tag does not match")]
    BadTag,
    /// Our own, come back on the link that it left on.
    #[error("it is our own")]
    Loopback,
    /// Cut short, of an impossible form, or the plain frame in it contradicts the clear header.
    #[error("it is malformed")]
    Malformed,
    /// A plain frame.
    #[error("it is not sealed")]
    NotSealed,
    /// Opened before, or further behind than [`WINDOW`] counts.
    #[error("it was heard before")]
    Replayed,
    /// Sealed with a key that we do not have.
    #[error("it is sealed with an unknown key")]
    UnknownKey,
    /// No version in common.
    #[error("its sender speaks other versions")]
    Version,
}

impl From<WireError> for Unopened {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Checksum | WireError::Malformed { .. } => Self::Malformed,
            WireError::Version { .. } => Self::Version,
        }
    }
}
