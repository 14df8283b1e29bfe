//! Keys of a cluster.

use core::fmt;

use zeroize::Zeroizing;

use super::{KEYS_MAX, KeyId, cipher};

/// A key of a cluster: 32 bytes that only its nodes know. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

impl Key {
    /// The key of these bytes, which should come from the system's randomness.
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let id = cipher::key_id(&bytes);
        Self { bytes, id }
    }

    /// What it is called in frames and listings.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys that a node accepts: one, or two while the key is being changed. The first seals.
#[derive(Clone, Debug)]
pub struct Keyring {
    first: Key,
    second: Option<Key>,
}

/// Why there is no such keyring.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyringError {
    /// Both keys have one id. Two keys that are not equal do once in four thousand million times.
    #[error("two different keys are expected; both have the id {0}")]
    SameId(KeyId),
}

impl Keyring {
    /// Seals with `first`, opens both.
    ///
    /// # Errors
    /// `SameId` if the keys cannot be told apart by their ids.
    pub fn new(first: Key, second: Option<Key>) -> Result<Self, KeyringError> {
        match &second {
            Some(second) if second.id == first.id => Err(KeyringError::SameId(first.id)),
            _ => Ok(Self { first, second }),
        }
    }

    /// The key that seals.
    pub const fn sealing(&self) -> &Key {
        &self.first
    }

    /// All keys; the first seals.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten()
    }

    /// The ids of all keys; the first seals.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(Key::id)
    }

    /// Is any key in both?
    pub fn has_common(&self, other: &Self) -> bool {
        self.keys().any(|key| other.keys().any(|theirs| theirs.bytes == key.bytes))
    }

    /// The key with this id, and its place, below [`KEYS_MAX`].
    pub(super) fn find(&self, id: KeyId) -> Option<(usize, &Key)> {
        self.keys().take(KEYS_MAX).enumerate().find(|(_, key)| key.id == id)
    }
}
