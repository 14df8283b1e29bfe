//! The administrators' side of `gab.sock`: one request, one answer.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::socket::{ConnectError, Connection, Deadline, Received, Sent};
use crate::admin::{AdminError, AdminRequest};
use crate::ipc::{Malformed, Packer, Reader, Record};

/// A connection for administrative requests. Needs no registration.
#[derive(Debug)]
pub struct Admin {
    socket: Connection,
    timeout: Duration,
}

/// Why a request failed. Only `Refused` says for sure that nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminFailure {
    /// The answer is not what the request asks for: gabd is of another version.
    #[error("gabd's answer is not understood")]
    Answer(#[from] serde_json::Error),
    /// There is no connection to gabd; nothing was changed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// gabd hung up before it had answered.
    #[error("gabd hung up before it answered")]
    HungUp,
    /// gabd sent what the format does not know.
    #[error("gabd's answer is not understood: {0}")]
    Malformed(#[from] Malformed),
    /// gabd refused the request.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// gabd did not answer in time.
    #[error("gabd did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// gabd sent a record that does not belong here.
    #[error("gabd sent a record that is no answer")]
    Unexpected,
}

impl AdminFailure {
    /// Is the daemon not running?
    pub fn is_no_daemon(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::NoDaemon { .. }))
    }
}

impl Admin {
    /// Connects to gabd of the node with this root.
    pub fn connect(root: &Path) -> Result<Self, AdminFailure> {
        Ok(Self { socket: Connection::connect(root)?, timeout: TIMEOUT })
    }

    /// Sets how long [`request`](Self::request) waits for an answer; 30 s otherwise.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Asks, and waits for the answer, whose type [`AdminRequest`] names. After a failure other
    /// than `Refused` and `Answer` the connection is of no more use.
    pub fn request<T: DeserializeOwned>(
        &mut self,
        request: &AdminRequest,
    ) -> Result<T, AdminFailure> {
        let deadline = Deadline::after(self.timeout);
        let mut out = Packer::default();
        out.push(&Record::Admin { json: Bytes::from(serde_json::to_vec(request)?) });
        while let Some(datagram) = out.pop() {
            loop {
                match self.socket.send(&datagram) {
                    Sent::Whole => break,
                    Sent::HungUp => return Err(AdminFailure::HungUp),
                    Sent::WouldBlock => self.wait(true, deadline)?,
                }
            }
        }
        let (error, text) = self.answer(deadline)?;
        if error {
            return Err(serde_json::from_slice::<AdminError>(&text)?.into());
        }
        Ok(serde_json::from_slice(&text)?)
    }

    fn answer(&mut self, deadline: Deadline) -> Result<(bool, Vec<u8>), AdminFailure> {
        let mut all = Vec::new();
        loop {
            let datagram = match self.socket.receive() {
                Received::Datagram(datagram) => datagram,
                Received::HungUp => return Err(AdminFailure::HungUp),
                Received::Nothing => {
                    self.wait(false, deadline)?;
                    continue;
                }
            };
            for record in Reader::new(datagram) {
                let Record::Answer { more, error, text } = record? else {
                    return Err(AdminFailure::Unexpected);
                };
                all.extend_from_slice(&text);
                if !more {
                    return Ok((error, all));
                }
            }
        }
    }

    fn wait(&self, writable: bool, deadline: Deadline) -> Result<(), AdminFailure> {
        if self.socket.wait(writable, deadline) {
            Ok(())
        } else {
            Err(AdminFailure::TimedOut(self.timeout))
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
