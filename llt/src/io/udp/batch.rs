//! Frames on their way to a UDP socket.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::Socket;

use crate::ids::LinkAddr;
use crate::io::udp::socket_addr;
use crate::io::{Flushed, LinkCounters};

/// What is queued for the next flush, and what the socket did not take at the last.
#[derive(Debug)]
pub(super) struct Outgoing {
    mtu: usize,
    urgent: Vec<(SocketAddr, Bytes)>,
    data: Vec<(SocketAddr, Bytes)>,
    /// Frames of one address in one piece, as segmentation offload wants them.
    joined: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(mtu: usize) -> Self {
        Self { mtu, urgent: Vec::new(), data: Vec::new(), joined: Vec::new() }
    }

    pub(super) fn queue(
        &mut self,
        to: LinkAddr,
        urgent: bool,
        frame: Bytes,
        counters: &mut LinkCounters,
    ) {
        let Some(to) = socket_addr(to) else {
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
        queue.push((to, frame));
    }

    pub(super) fn flush(
        &mut self,
        state: &UdpSocketState,
        socket: &Socket,
        counters: &mut LinkCounters,
    ) -> Flushed {
        let Self { urgent, data, joined, .. } = self;
        for queue in [urgent, data] {
            // Stable: frames of one address stay in order, and stand together for the offload.
            queue.sort_by_key(|&(to, _)| to);
            let mut done = 0;
            while let Some(run) = next_run(&queue[done..], state.max_gso_segments()) {
                match send_run(state, socket, run, joined) {
                    Ok(()) => {
                        counters.sent += run.len() as u64;
                        counters.sent_bytes += run.iter().map(|(_, f)| f.len() as u64).sum::<u64>();
                        counters.sent_calls += 1;
                        done += run.len();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        queue.drain(..done);
                        return Flushed::Blocked;
                    }
                    Err(_) => done += send_each(state, socket, run, counters),
                }
            }
            queue.clear();
        }
        Flushed::Done
    }
}

/// The longest run at the front that one system call can take: one address, one length, but for
/// the last, which may be shorter.
fn next_run(queue: &[(SocketAddr, Bytes)], segments_max: usize) -> Option<&[(SocketAddr, Bytes)]> {
    let (to, first) = queue.first()?;
    if first.is_empty() {
        return Some(&queue[..1]);
    }
    let segments_max = segments_max.min(JOINED_MAX / first.len()).max(1);
    let mut len = 1;
    for (other, frame) in queue.iter().take(segments_max).skip(1) {
        if other != to || frame.len() > first.len() || frame.is_empty() {
            break;
        }
        len += 1;
        if frame.len() < first.len() {
            break;
        }
    }
    Some(&queue[..len])
}

fn send_run(
    state: &UdpSocketState,
    socket: &Socket,
    run: &[(SocketAddr, Bytes)],
    joined: &mut Vec<u8>,
) -> io::Result<()> {
    let (destination, first) = &run[0];
    let (contents, segment_size) = if run.len() == 1 {
        (&first[..], None)
    } else {
        joined.clear();
        for (_, frame) in run {
            joined.extend_from_slice(frame);
        }
        (&joined[..], Some(first.len()))
    };
    let transmit =
        Transmit { destination: *destination, ecn: None, contents, segment_size, src_ip: None };
    state.try_send(UdpSockRef::from(socket), &transmit)
}

/// After an error: each frame by itself, since a pending error of an earlier send, or a device
/// without the offload, says nothing about this one. Returns how many are done with.
fn send_each(
    state: &UdpSocketState,
    socket: &Socket,
    run: &[(SocketAddr, Bytes)],
    counters: &mut LinkCounters,
) -> usize {
    for (done, one) in run.chunks(1).enumerate() {
        counters.sent_calls += 1;
        match send_run(state, socket, one, &mut Vec::new()) {
            Ok(()) => {
                counters.sent += 1;
                counters.sent_bytes += one[0].1.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return done,
            Err(_) => counters.dropped_error += 1,
        }
    }
    run.len()
}

/// Frames that wait for the socket, urgent and others each: more than a window to every peer of a
/// large cluster; LLT repairs what is lost beyond.
const QUEUE_MAX: usize = 8192;
/// Bytes in one offloaded send: the largest IP packet less the headers.
const JOINED_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(list: &[(u16, usize)]) -> Vec<(SocketAddr, Bytes)> {
        list.iter()
            .map(|&(port, len)| (SocketAddr::from(([127, 0, 0, 1], port)), vec![0; len].into()))
            .collect()
    }

    fn runs(list: &[(u16, usize)], segments_max: usize) -> Vec<usize> {
        let queue = frames(list);
        let mut rest = &queue[..];
        let mut out = Vec::new();
        while let Some(run) = next_run(rest, segments_max) {
            out.push(run.len());
            rest = &rest[run.len()..];
        }
        out
    }

    #[test]
    fn a_run_is_one_address_and_one_length_with_a_shorter_last() {
        assert_eq!(runs(&[(1, 100), (1, 100), (1, 40), (1, 100), (2, 100)], 64), [3, 1, 1]);
        assert_eq!(runs(&[(1, 100), (1, 101)], 64), [1, 1]);
        assert_eq!(runs(&[(1, 100); 5], 2), [2, 2, 1]);
        assert_eq!(runs(&[(1, 100); 3], 1), [1, 1, 1]);
    }

    #[test]
    fn a_run_fits_the_largest_packet() {
        assert_eq!(runs(&[(1, 8192); 16], 64), [7, 7, 2]);
        assert_eq!(runs(&[(1, 65_507); 2], 64), [1, 1]);
    }
}
