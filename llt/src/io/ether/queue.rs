//! What waits to be sent on an Ethernet device, and what a call says that does not take it.

use std::io;

use crate::io::ether::is_down;
use crate::io::{Flushed, LinkCounters};

/// Frames for the next flush, and those that the socket did not take at the last; each in the form
/// that the backend sends.
#[derive(Debug)]
pub(in crate::io) struct Queue<T> {
    urgent: Vec<T>,
    data: Vec<T>,
}

/// Frames that a queue holds; more are dropped and counted.
const QUEUE_MAX: usize = 8192;

impl<T> Queue<T> {
    /// An empty one.
    pub(in crate::io) const fn new() -> Self {
        Self { urgent: Vec::new(), data: Vec::new() }
    }

    /// Adds a frame, if there is room.
    pub(in crate::io) fn push(&mut self, urgent: bool, frame: T, counters: &mut LinkCounters) {
        let queue = if urgent { &mut self.urgent } else { &mut self.data };
        if queue.len() == QUEUE_MAX {
            counters.dropped_full += 1;
            return;
        }
        queue.push(frame);
    }

    /// Sends what is queued by calls of `send`, each with at most `batch` frames, of which it takes
    /// the first few and says how many. `len` is the length of a frame of LLT in bytes.
    pub(in crate::io) fn flush(
        &mut self,
        batch: usize,
        len: impl Fn(&T) -> usize,
        mut send: impl FnMut(&[T]) -> io::Result<usize>,
        counters: &mut LinkCounters,
        down: &mut bool,
    ) -> Flushed {
        for queue in [&mut self.urgent, &mut self.data] {
            let (mut done, mut downs) = (0, 0);
            while done < queue.len() {
                let frames = &queue[done..queue.len().min(done + batch)];
                counters.sent_calls += 1;
                let error = match send(frames) {
                    Ok(count) => {
                        counters.sent += count as u64;
                        let bytes = frames.iter().take(count).map(|frame| len(frame) as u64);
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
