//! A link in memory, for tests of whatever runs on top of links.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::event::{EventfdFlags, eventfd};

use crate::ids::LinkAddr;
use crate::io::{Flushed, Link, LinkCounters, LinkFrame, Received};

/// A cable: every link that is plugged into it reaches every other, and one broadcast address
/// reaches all of them, the sender included (as UDP multicast with loopback does).
#[derive(Clone, Debug)]
pub struct Cable {
    broadcast: LinkAddr,
    mtu: usize,
    ends: Arc<Mutex<BTreeMap<LinkAddr, End>>>,
}

/// A link that is plugged into a [`Cable`].
#[derive(Debug)]
pub struct MemoryLink {
    own: LinkAddr,
    cable: Cable,
    queue: Vec<LinkFrame>,
    urgent: Vec<LinkFrame>,
    readable: OwnedFd,
    counters: LinkCounters,
}

impl Cable {
    /// A cable with nothing plugged in, for frames of at most `mtu` bytes.
    pub fn new(broadcast: LinkAddr, mtu: usize) -> Self {
        Self { broadcast, mtu, ends: Arc::default() }
    }

    /// Plugs a link in; one with the same address is unplugged.
    ///
    /// # Errors
    /// If the system gives no event descriptor; nothing was changed.
    pub fn plug(&self, own: LinkAddr) -> io::Result<MemoryLink> {
        let readable = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let end = End { frames: Vec::new(), wake: readable.try_clone()? };
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(own, end);
        Ok(MemoryLink {
            own,
            cable: self.clone(),
            queue: Vec::new(),
            urgent: Vec::new(),
            readable,
            counters: LinkCounters::default(),
        })
    }
}

impl Link for MemoryLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }

    fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received {
        let mut count = [0; 8];
        // Nothing to read only means that nobody has written since.
        let _ = rustix::io::read(&self.readable, &mut count);
        let mut ends = self.cable.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ends.get_mut(&self.own) {
            self.counters.received += end.frames.len() as u64;
            self.counters.received_bytes +=
                end.frames.iter().map(|(_, frame)| frame.len() as u64).sum::<u64>();
            into.append(&mut end.frames);
        }
        self.counters.received_calls += 1;
        Received::Drained
    }

    fn queue(&mut self, to: LinkAddr, urgent: bool, frame: Bytes) {
        if frame.len() > self.cable.mtu {
            self.counters.dropped_large += 1;
            return;
        }
        if urgent { self.urgent.push((to, frame)) } else { self.queue.push((to, frame)) }
    }

    fn flush(&mut self) -> Flushed {
        self.counters.sent_calls += 1;
        let mut ends = self.cable.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (to, frame) in self.urgent.drain(..).chain(self.queue.drain(..)) {
            self.counters.sent += 1;
            self.counters.sent_bytes += frame.len() as u64;
            for (address, end) in ends.iter_mut() {
                if to != *address && to != self.cable.broadcast {
                    continue;
                }
                if end.frames.len() == FRAMES_MAX {
                    self.counters.dropped_full += 1;
                    continue;
                }
                end.frames.push((self.own, frame.clone()));
                // The counter of the event is far from its limit: it counts flushes since a read.
                let _ = rustix::io::write(&end.wake, &1u64.to_le_bytes());
            }
        }
        Flushed::Done
    }

    fn counters(&self) -> &LinkCounters {
        &self.counters
    }
}

#[derive(Debug)]
struct End {
    frames: Vec<LinkFrame>,
    wake: OwnedFd,
}

/// Frames that nobody has received yet, as a socket's buffer is bounded.
const FRAMES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> LinkAddr {
        LinkAddr::V4 { ip: [10, 0, 0, 1], port }
    }

    #[test]
    fn frames_reach_their_address_and_broadcasts_everybody() {
        let cable = Cable::new(address(0), 100);
        let mut a = cable.plug(address(1)).unwrap();
        let mut b = cable.plug(address(2)).unwrap();
        a.queue(address(2), false, Bytes::from_static(b"data"));
        a.queue(address(0), true, Bytes::from_static(b"beat"));
        assert_eq!(a.flush(), Flushed::Done);
        let mut frames = Vec::new();
        b.receive(&mut frames);
        assert_eq!(
            frames,
            [(address(1), Bytes::from_static(b"beat")), (address(1), Bytes::from_static(b"data"))]
        );
        frames.clear();
        a.receive(&mut frames);
        assert_eq!(frames, [(address(1), Bytes::from_static(b"beat"))]);
    }
}
