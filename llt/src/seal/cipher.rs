//! The primitives: the key of one (sender, incarnation, link), and what is done with it.

use core::fmt;

use bytes::{Bytes, BytesMut};
use chacha20::cipher::array::Array;
use chacha20::{R20, hchacha};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use zeroize::Zeroize;

use super::{CLEAR_LEN, ClearHeader, Key, KeyId, OVERHEAD, TAG_LEN};
use crate::ids::{Id, LinkId};

/// Seals and opens the frames of one incarnation on one of its links. Wiped when dropped.
pub(super) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    /// The input of HChaCha20 names the sender, so no two senders have a key in common.
    pub(super) fn derive(key: &Key, sender: Id, link: LinkId) -> Self {
        let mut input = [0; 16];
        input[..8].copy_from_slice(&sender.incarnation.0.to_be_bytes());
        input[8] = sender.node.get();
        input[9] = link.get();
        input[10..].copy_from_slice(LABEL_FRAMES);
        let mut subkey = hchacha::<R20>(&Array(*key.bytes()), &Array(input));
        let cipher = Self(ChaCha20Poly1305::new(&subkey));
        subkey.as_mut_slice().zeroize();
        cipher
    }

    /// The sealed frame.
    pub(super) fn seal(&self, clear: &ClearHeader, plain: &[u8]) -> Bytes {
        let head = clear.emit();
        let mut frame = BytesMut::with_capacity(plain.len() + OVERHEAD);
        frame.extend_from_slice(&head);
        frame.extend_from_slice(plain);
        let body = (&mut frame[CLEAR_LEN..]).into();
        let tag = self
            .0
            .encrypt_inout_detached(&nonce(clear.count), &head, body)
            .expect("a frame is shorter than the 256 GiB of the cipher");
        frame.extend_from_slice(&tag);
        frame.freeze()
    }

    /// The plain frame in `frame`, whose clear part is `clear`; `None` if the tag does not match.
    pub(super) fn open(&self, clear: &ClearHeader, frame: &[u8]) -> Option<Bytes> {
        let (head, rest) = frame.split_at_checked(CLEAR_LEN)?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        let mut plain = BytesMut::from(body);
        let tag: &Tag = tag.into();
        let text = (&mut plain[..]).into();
        self.0.decrypt_inout_detached(&nonce(clear.count), head, text, tag).ok()?;
        Some(plain.freeze())
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

/// The id of a key: half a word of what HChaCha20 makes of it under a label that no sender has. It
/// tells as much of the key as a block of its key stream would.
pub(super) fn key_id(key: &[u8; 32]) -> KeyId {
    let mut input = [0; 16];
    input[10..].copy_from_slice(LABEL_ID);
    let output = hchacha::<R20>(&Array(*key), &Array(input));
    KeyId([output[0], output[1], output[2], output[3]])
}

/// As in XChaCha20: four bytes of zero, then the last eight of the 24.
fn nonce(count: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    Array(nonce)
}

/// The ends of the inputs of HChaCha20: what it makes under one says nothing about the other.
const LABEL_FRAMES: &[u8; 6] = b"frames";
const LABEL_ID: &[u8; 6] = b"key id";
