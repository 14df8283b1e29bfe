//! Watching the frames that pass the links of a node.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd};

use super::socket::{ConnectError, Connection, Deadline, Received, Sent};
use crate::ipc::{Malformed, Packer, Reader, Record, TracedFrame};

/// Frames as they pass the links of a gabd, both ways. It needs no rights but those to the socket,
/// and slows nobody down: what is not read in time is dropped, and counted in the next frame.
#[derive(Debug)]
pub struct Trace {
    socket: Connection,
    frames: VecDeque<TracedFrame>,
}

/// Why there are no more frames.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no connection to gabd.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// gabd hung up.
    #[error("gabd is gone")]
    HungUp,
    /// gabd sent what the format does not know.
    #[error("what gabd says is not understood: {0}")]
    Malformed(#[from] Malformed),
    /// gabd sent a record that does not belong here.
    #[error("gabd sent a record that is no frame")]
    Unexpected,
}

impl Trace {
    /// Starts to watch the node with this root.
    ///
    /// # Errors
    /// If gabd cannot be reached.
    pub fn start(root: &Path) -> Result<Self, TraceError> {
        let socket = Connection::connect(root)?;
        let mut out = Packer::default();
        out.push(&Record::Trace { on: true });
        while let Some(datagram) = out.pop() {
            // A fresh socket has room for eight bytes.
            if socket.send(&datagram) != Sent::Whole {
                return Err(TraceError::HungUp);
            }
        }
        Ok(Self { socket, frames: VecDeque::new() })
    }

    /// The next frame; waits for it, for ever or for `timeout`. `None` if there was none in time.
    ///
    /// # Errors
    /// After an error there are no more.
    pub fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<TracedFrame>, TraceError> {
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        loop {
            if let Some(frame) = self.try_recv()? {
                return Ok(Some(frame));
            }
            if !self.socket.wait(false, deadline) {
                return Ok(None);
            }
        }
    }

    /// The next frame, if there is one already.
    ///
    /// # Errors
    /// After an error there are no more.
    pub fn try_recv(&mut self) -> Result<Option<TracedFrame>, TraceError> {
        while self.frames.is_empty() {
            let datagram = match self.socket.receive() {
                Received::Datagram(datagram) => datagram,
                Received::HungUp => return Err(TraceError::HungUp),
                Received::Nothing => return Ok(None),
            };
            for record in Reader::new(datagram) {
                match record? {
                    Record::Frame(frame) => self.frames.push_back(frame),
                    Record::Closed(_) => return Err(TraceError::HungUp),
                    _ => return Err(TraceError::Unexpected),
                }
            }
        }
        Ok(self.frames.pop_front())
    }
}

/// Readable when gabd has said something that was not received yet. Frames that came together are
/// in a queue of their own: call [`Trace::try_recv`] until it gives `None` before waiting.
impl AsFd for Trace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
