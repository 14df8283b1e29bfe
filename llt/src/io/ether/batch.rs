//! Frames on their way to and from an Ethernet device.

use std::io;

use bytes::Bytes;
use socket2::Socket;

use crate::ids::LinkAddr;
use crate::io::ether::is_down;
use crate::io::ether::packet::{self, Address, Arrival, SLOTS};
use crate::io::{Flushed, LinkCounters, LinkFrame, Received};

/// What is queued for the next flush, and what the socket did not take at the last.
#[derive(Debug)]
pub(super) struct Outgoing {
    index: u32,
    sap: u16,
    mtu: usize,
    urgent: Vec<(Address, Bytes)>,
    data: Vec<(Address, Bytes)>,
}

impl Outgoing {
    pub(super) fn new(index: u32, sap: u16, mtu: usize) -> Self {
        Self { index, sap, mtu, urgent: Vec::new(), data: Vec::new() }
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
        let queue = if urgent { &mut self.urgent } else { &mut self.data };
        if queue.len() == QUEUE_MAX {
            counters.dropped_full += 1;
            return;
        }
        queue.push((Address::new(self.index, self.sap, to), frame));
    }

    /// Sends what is queued by calls of `send`, which takes the first frames of a batch.
    pub(super) fn flush(
        &mut self,
        mut send: impl FnMut(&[(Address, Bytes)]) -> io::Result<usize>,
        counters: &mut LinkCounters,
        down: &mut bool,
    ) -> Flushed {
        for queue in [&mut self.urgent, &mut self.data] {
            let mut done = 0;
            let mut downs = 0;
            while done < queue.len() {
                let batch = &queue[done..queue.len().min(done + SLOTS)];
                counters.sent_calls += 1;
                let error = match send(batch) {
                    Ok(count) => {
                        counters.sent += count as u64;
                        let bytes = batch.iter().take(count).map(|(_, frame)| frame.len() as u64);
                        counters.sent_bytes += bytes.sum::<u64>();
                        done += count;
                        downs = 0;
                        continue;
                    }
                    Err(error) => error,
                };
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The queue of the device is full; the frame that met it is still ours.
                    Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => {
                        queue.drain(..done);
                        return Flushed::Blocked;
                    }
                    Some(libc::EMSGSIZE) => {
                        counters.dropped_large += 1;
                        done += 1;
                    }
                    // One may be left over from a moment when the device was down. Two in a row
                    // are about these frames, and all of them would meet the same.
                    Some(_) if is_down(&error) && downs < 1 => downs += 1,
                    Some(_) if is_down(&error) => {
                        *down = true;
                        counters.dropped_error += (queue.len() - done) as u64;
                        done = queue.len();
                    }
                    _ => {
                        counters.dropped_error += 1;
                        done += 1;
                    }
                }
            }
            queue.clear();
        }
        Flushed::Done
    }
}

/// Buffers for one `recvmmsg`.
pub(super) struct Incoming {
    buffers: Vec<u8>,
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
            buffers: vec![0; device_mtu * SLOTS],
            buffer_len: device_mtu,
            arrivals: [nothing; SLOTS],
        }
    }

    /// One system call; how many frames it received.
    pub(super) fn call(&mut self, socket: &Socket) -> io::Result<usize> {
        packet::receive(socket, &mut self.buffers, self.buffer_len, &mut self.arrivals)
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
        let buffers = self.buffers.chunks_exact(self.buffer_len);
        for (buffer, arrival) in buffers.zip(&self.arrivals).take(count) {
            if !arrival.for_us || arrival.from == own {
                counters.received_foreign += 1;
            } else if arrival.is_cut {
                counters.received_large += 1;
            } else {
                let frame = Bytes::copy_from_slice(&buffer[..arrival.len]);
                counters.received += 1;
                counters.received_bytes += frame.len() as u64;
                into.push((LinkAddr::Mac(arrival.from), frame));
            }
        }
        if count == SLOTS { Received::More } else { Received::Drained }
    }
}

/// Frames that wait for the socket, urgent and others each, as on UDP links.
const QUEUE_MAX: usize = 8192;
