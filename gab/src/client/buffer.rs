//! Where a datagram is received.

use std::collections::VecDeque;

use bytes::Bytes;
use rustix::buffer::SpareCapacity;

/// Room for one datagram. A short one is copied out, so that whoever keeps a part of it keeps little
/// alive; a long one is handed out as it is, for copying is what long ones cost most. Its room is
/// used again once nobody has a part of it any more.
#[derive(Debug)]
pub(crate) struct Buffer {
    room: Vec<u8>,
    len: usize,
    /// Handed out, the oldest first.
    given: VecDeque<Bytes>,
}

/// Rooms that are waited for. More than that are under way only while the receiver is behind.
const GIVEN_MAX: usize = 4;

impl Buffer {
    /// For datagrams of at most `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        Self { room: Vec::with_capacity(len), len, given: VecDeque::new() }
    }

    /// Where to receive into.
    pub(crate) fn space(&mut self) -> SpareCapacity<'_, u8> {
        self.room.clear();
        rustix::buffer::spare_capacity(&mut self.room)
    }

    /// What was received there.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.room.len() < self.len / 2 {
            return Bytes::copy_from_slice(&self.room);
        }
        let room = self.free().unwrap_or_else(|| Vec::with_capacity(self.len));
        let taken = Bytes::from(std::mem::replace(&mut self.room, room));
        if self.given.len() == GIVEN_MAX {
            self.given.pop_front();
        }
        self.given.push_back(taken.clone());
        taken
    }

    /// The room that was handed out longest ago, if it has come back.
    fn free(&mut self) -> Option<Vec<u8>> {
        let mut room = self.given.pop_front_if(|given| given.is_unique())?.try_into_mut().ok()?;
        room.clear();
        Some(room.into()).filter(|room: &Vec<u8>| room.capacity() >= self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(buffer: &mut Buffer, datagram: &[u8]) -> Bytes {
        let _ = buffer.space();
        buffer.room.extend_from_slice(datagram);
        buffer.take()
    }

    #[test]
    fn what_was_handed_out_stays_and_room_that_came_back_is_used_again() {
        let mut buffer = Buffer::new(100);
        let short = receive(&mut buffer, b"short");
        let long = receive(&mut buffer, &[1; 60]);
        let place = long.as_ptr();
        let longer = receive(&mut buffer, &[2; 100]);
        assert_eq!(
            (&short[..], &long[..], &longer[..]),
            (&b"short"[..], &[1; 60][..], &[2; 100][..])
        );
        drop(long);
        // The next room was chosen before: it comes after that.
        receive(&mut buffer, &[3; 70]);
        let again = receive(&mut buffer, &[4; 80]);
        assert_eq!((again.as_ptr(), &again[..]), (place, &[4; 80][..]));
        assert_eq!(longer, vec![2; 100]);
        for number in 0..20 {
            assert_eq!(receive(&mut buffer, &[number; 90]), vec![number; 90]);
            assert!(buffer.given.len() <= GIVEN_MAX);
        }
    }
}
