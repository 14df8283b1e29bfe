//! Packs: many small messages of one client that travel, wait and are delivered as one piece.
//!
//! A pack takes one place in every table on its way, and as many consecutive slots of the order as
//! it has messages, so all that counts messages counts on. It is made where a client hands many
//! messages to gabd at once and comes apart in the library of whoever receives it. In between
//! nobody touches the messages one by one, which is what makes small messages cheap.
//!
//! ```text
//!  +---------+---------- - -+---------+---------- - -+-
//!  | length  | message      | length  | message      | ...     lengths: u32, most significant byte first
//!  +---------+---------- - -+---------+---------- - -+-
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::limits::{MESSAGE_MAX, PACK_MESSAGES_MAX};

/// Bytes before each message.
pub const LENGTH_LEN: usize = 4;

/// At least one message, all lengths checked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pack {
    bytes: Bytes,
    count: u16,
}

impl Pack {
    /// Reads the messages that fill `bytes`; `None` if they do not, if there is none, or more than
    /// [`PACK_MESSAGES_MAX`], or one is longer than [`MESSAGE_MAX`].
    pub fn read(bytes: Bytes) -> Option<Self> {
        let (mut count, mut end) = (0, 0);
        while end < bytes.len() {
            end = next_end(&bytes, end)?;
            count += 1;
            if usize::from(count) > PACK_MESSAGES_MAX {
                return None;
            }
        }
        (count > 0).then_some(Self { bytes, count })
    }

    /// The same messages in memory of their own.
    pub(crate) fn in_own_memory(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), count: self.count }
    }

    /// Is this a pack of so many messages? 0 messages are no pack but one message, of any bytes.
    pub(crate) fn fits(bytes: &Bytes, messages: u16) -> bool {
        messages == 0 || Self::read(bytes.clone()).is_some_and(|pack| pack.count == messages)
    }

    /// What was read before, or checked with the frame that it came in.
    pub(crate) const fn known(bytes: Bytes, count: u16) -> Self {
        Self { bytes, count }
    }

    /// Puts messages into a pack.
    ///
    /// # Panics
    /// If they are none, too many or too long, as for [`Pack::read`].
    pub fn of(messages: &[&[u8]]) -> Self {
        let mut bytes = BytesMut::new();
        messages.iter().for_each(|message| push(&mut bytes, message));
        Self::read(bytes.freeze()).expect("the caller keeps to the bounds")
    }

    /// The messages with their lengths, as they travel.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many messages.
    pub const fn messages(&self) -> u16 {
        self.count
    }

    /// Bytes of the messages without their lengths: what counts as credit.
    pub fn payload_len(&self) -> usize {
        self.bytes.len() - usize::from(self.count) * LENGTH_LEN
    }

    /// Takes off the front what fits `room` bytes, but one message at least. `None` leaves nothing
    /// behind: all was taken.
    pub fn split_off(&mut self, room: usize) -> Option<Self> {
        if self.bytes.len() <= room {
            return None;
        }
        let (mut count, mut end) = (0, 0);
        while let Some(next) = next_end(&self.bytes, end)
            && (count == 0 || next <= room)
        {
            (count, end) = (count + 1, next);
        }
        if count == self.count {
            return None;
        }
        let rest = Self { bytes: self.bytes.split_off(end), count: self.count - count };
        self.count = count;
        Some(rest)
    }

    /// The next message and its length off the front; `None` if it was the last.
    pub fn next_message(&mut self) -> Option<Bytes> {
        self.count = self.count.checked_sub(1)?;
        let len = usize::try_from(self.bytes.get_u32()).unwrap_or(usize::MAX);
        Some(self.bytes.split_to(len))
    }
}

/// The messages in their order, as slices of the pack.
impl Iterator for Pack {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.next_message()
    }
}

/// Appends a message.
pub(crate) fn push(out: &mut BytesMut, message: &[u8]) {
    out.put_u32(u32::try_from(message.len()).expect("messages are short"));
    out.put_slice(message);
}

/// Where the message ends that begins here; `None` if it is cut short or too long.
#[inline]
fn next_end(bytes: &[u8], start: usize) -> Option<usize> {
    let length = bytes.get(start..)?.first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let end = start + LENGTH_LEN + len;
    (len <= MESSAGE_MAX && end <= bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_however_it_is_split(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..50),
            room in 0_usize..300,
        ) {
            let slices: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let mut rest = Some(Pack::of(&slices));
            let mut out: Vec<Bytes> = Vec::new();
            while let Some(mut pack) = rest {
                rest = pack.split_off(room);
                prop_assert!(pack.messages() == 1 || pack.bytes().len() <= room);
                prop_assert_eq!(Pack::read(pack.bytes().clone()), Some(pack.clone()));
                let before = out.len();
                let payload = pack.payload_len();
                out.extend(pack);
                prop_assert_eq!(payload, out[before..].iter().map(Bytes::len).sum::<usize>());
            }
            prop_assert_eq!(out, messages);
        }

        #[test]
        fn any_bytes_are_a_pack_or_refused(bytes in proptest::collection::vec(0_u8..9, 0..64)) {
            if let Some(pack) = Pack::read(bytes.into()) {
                let count = pack.messages();
                prop_assert_eq!(usize::from(count), pack.collect::<Vec<_>>().len());
            }
        }
    }

    #[test]
    fn what_breaks_a_bound_is_refused() {
        assert_eq!(Pack::read(Bytes::new()), None, "none");
        assert_eq!(Pack::read(Bytes::from_static(&[0, 0, 0])), None, "half a length");
        assert_eq!(Pack::read(Bytes::from_static(&[0, 0, 0, 2, 7])), None, "cut short");
        assert_eq!(Pack::read(Bytes::from(vec![0; LENGTH_LEN * (PACK_MESSAGES_MAX + 1)])), None);
        let all = Pack::read(Bytes::from(vec![0; LENGTH_LEN * PACK_MESSAGES_MAX])).unwrap();
        assert_eq!(usize::from(all.messages()), PACK_MESSAGES_MAX);
        let mut long = BytesMut::new();
        push(&mut long, &vec![0; MESSAGE_MAX + 1]);
        assert_eq!(Pack::read(long.freeze()), None, "too long");
    }
}
