//! Frames on their way to and from an Ethernet device.

use std::io;

use bytes::{Bytes, BytesMut};
use socket2::Socket;

use crate::ids::LinkAddr;
use crate::io::ether::is_down;
use crate::io::ether::packet::{self, Address, Arrival, SLOTS};
use crate::io::ether::queue::Queue;
use crate::io::{Flushed, LinkCounters, LinkFrame, Received};

/// What is queued for the next flush, and what the socket did not take at the last.
#[derive(Debug)]
pub(super) struct Outgoing {
    index: u32,
    sap: u16,
    mtu: usize,
    queue: Queue<(Address, Bytes)>,
}

impl Outgoing {
    pub(super) fn new(index: u32, sap: u16, mtu: usize) -> Self {
        Self { index, sap, mtu, queue: Queue::new() }
    }

    pub(super) fn queue(
        &mut self,
        to: LinkAddr,
        urgent: bool,
        frame: Bytes,
        counters: &mut LinkCounters,
    ) {
        let LinkAddr::Mac(to) = to else {
            counters.dropped_address += 1;
            return;
        };
        if frame.len() > self.mtu {
            counters.dropped_large += 1;
            return;
        }
        let frame = (Address::new(self.index, self.sap, to), frame);
        self.queue.push(urgent, frame, counters);
    }

    /// Sends what is queued by calls of `send`, which takes the first frames of a batch.
    pub(super) fn flush(
        &mut self,
        send: impl FnMut(&[(Address, Bytes)]) -> io::Result<usize>,
        counters: &mut LinkCounters,
        down: &mut bool,
    ) -> Flushed {
        self.queue.flush(SLOTS, |(_, frame)| frame.len(), send, counters, down)
    }
}

/// Buffers for one `recvmmsg`.
pub(super) struct Incoming {
    /// Each with room for one frame.
    buffers: Vec<BytesMut>,
    buffer_len: usize,
    arrivals: [Arrival; SLOTS],
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("buffer_len", &self.buffer_len).finish_non_exhaustive()
    }
}

impl Incoming {
    /// Buffers for whatever the device can receive, since the MTU of a peer's link may be larger
    /// than that of ours.
    pub(super) fn new(device_mtu: usize) -> Self {
        let nothing = Arrival { from: [0; 6], for_us: false, len: 0, is_cut: false };
        Self {
            buffers: (0..SLOTS).map(|_| BytesMut::with_capacity(device_mtu)).collect(),
            buffer_len: device_mtu,
            arrivals: [nothing; SLOTS],
        }
    }

    /// One system call; how many frames it received.
    pub(super) fn call(&mut self, socket: &Socket) -> io::Result<usize> {
        packet::receive(socket, &mut self.buffers, &mut self.arrivals)
    }

    pub(super) fn receive(
        &mut self,
        socket: &Socket,
        own: [u8; 6],
        into: &mut Vec<LinkFrame>,
        counters: &mut LinkCounters,
        down: &mut bool,
    ) -> Received {
        counters.received_calls += 1;
        let count = match self.call(socket) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Drained,
            Err(error) => {
                counters.receive_errors += 1;
                *down |= is_down(&error);
                return Received::Drained;
            }
        };
        for (buffer, arrival) in self.buffers.iter_mut().zip(&self.arrivals).take(count) {
            if !arrival.for_us || arrival.from == own {
                counters.received_foreign += 1;
            } else if arrival.is_cut {
                counters.received_large += 1;
            } else {
                // A long frame is handed on as it is. Whoever keeps a short one keeps no room for a
                // long one alive.
                let frame = if arrival.len < self.buffer_len / 2 {
                    Bytes::copy_from_slice(buffer)
                } else {
                    let next = BytesMut::with_capacity(self.buffer_len);
                    std::mem::replace(buffer, next).freeze()
                };
                counters.received += 1;
                counters.received_bytes += frame.len() as u64;
                into.push((LinkAddr::Mac(arrival.from), frame));
            }
        }
        if count == SLOTS { Received::More } else { Received::Drained }
    }
}
