//! Watching what happens at a node: memberships, links, clients.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd};

use super::socket::{ConnectError, Connection, Deadline, Received, Sent};
use crate::ipc::{Malformed, Packer, Reader, Record};

/// The events of a gabd, each a JSON object (docs/metrics.md): first its node and every port of it
/// as they are, then whatever changes. It needs no rights but those to the socket, and slows nobody
/// down: what is not read in time is dropped, and an event `lost` says how much.
#[derive(Debug)]
pub struct Watch {
    socket: Connection,
    events: VecDeque<serde_json::Value>,
}

/// Why there are no more events.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no connection to gabd.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// gabd hung up.
    #[error("gabd is gone")]
    HungUp,
    /// gabd sent an event that is no JSON.
    #[error("an event of gabd is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// gabd has too many readers.
    #[error("gabd refuses: {0}")]
    Refused(String),
    /// gabd sent what the format does not know.
    #[error("what gabd says is not understood: {0}")]
    Malformed(#[from] Malformed),
    /// gabd sent a record that does not belong here.
    #[error("gabd sent a record that is no event")]
    Unexpected,
}

impl Watch {
    /// Starts to watch the node with this root.
    ///
    /// # Errors
    /// If gabd cannot be reached.
    pub fn start(root: &Path) -> Result<Self, WatchError> {
        let socket = Connection::connect(root)?;
        let mut out = Packer::default();
        out.push(&Record::Watch { on: true });
        while let Some(datagram) = out.pop() {
            // A fresh socket has room for eight bytes.
            if socket.send(&datagram) != Sent::Whole {
                return Err(WatchError::HungUp);
            }
        }
        Ok(Self { socket, events: VecDeque::new() })
    }

    /// The next event; waits for it, for ever or for `timeout`. `None` if there was none in time.
    ///
    /// # Errors
    /// After an error there are no more.
    pub fn recv(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Option<serde_json::Value>, WatchError> {
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(Some(event));
            }
            if !self.socket.wait(false, deadline) {
                return Ok(None);
            }
        }
    }

    /// The next event, if there is one already.
    ///
    /// # Errors
    /// After an error there are no more.
    pub fn try_recv(&mut self) -> Result<Option<serde_json::Value>, WatchError> {
        while self.events.is_empty() {
            let datagram = match self.socket.receive() {
                Received::Datagram(datagram) => datagram,
                Received::HungUp => return Err(WatchError::HungUp),
                Received::Nothing => return Ok(None),
            };
            for record in Reader::new(datagram) {
                match record? {
                    Record::Event { json } => {
                        self.events.push_back(serde_json::from_slice(&json)?);
                    }
                    Record::Refused { text, .. } => return Err(WatchError::Refused(text)),
                    Record::Closed(_) => return Err(WatchError::HungUp),
                    _ => return Err(WatchError::Unexpected),
                }
            }
        }
        Ok(self.events.pop_front())
    }
}

/// Readable when gabd has said something that was not received yet. Events that came together are
/// in a queue of their own: call [`Watch::try_recv`] until it gives `None` before waiting.
impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
