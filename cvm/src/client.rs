//! How utilities talk to the vxconfigd of their own node (CVM-19).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::disk::RequestId;
use crate::request::{Reply, Request};

/// Where vxconfigd listens, below the root.
pub fn socket_path(root: &Path) -> PathBuf {
    root.join("run/vxconfigd.sock")
}

/// A connection to vxconfigd.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection broke. What was asked for may be done, or may yet be.
    #[error("the connection to vxconfigd broke: {source}{}", hint(*request))]
    Broken {
        /// What the system says.
        source: io::Error,
        /// What to ask `vxdctl transstate` about.
        request: Option<RequestId>,
    },
    /// What came is no answer.
    #[error("vxconfigd answered with something else: {0}")]
    Malformed(#[from] serde_json::Error),
    /// vxconfigd is not running.
    #[error("Configuration daemon is not accessible: no vxconfigd at {path}")]
    NoDaemon {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Longest request or answer; a snapshot of the largest group is some 20 MiB.
pub const MESSAGE_MAX: usize = 64 << 20;

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If vxconfigd is not there.
    pub fn connect(root: &Path) -> Result<Self, ClientError> {
        let path = socket_path(root);
        let socket = UnixStream::connect(&path);
        socket
            .map(|socket| Self { socket })
            .map_err(|source| ClientError::NoDaemon { path, source })
    }

    /// Asks, and waits for the answer as long as it takes.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn request(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.send(request)?;
        self.answer()
    }

    /// Asks; [`answer`](Self::answer) waits for what comes of it.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        let broken = |source| ClientError::Broken { source, request: None };
        write_message(&mut self.socket, &serde_json::to_vec(request)?).map_err(broken)
    }

    /// The next answer, of a request that has several.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn answer(&mut self) -> Result<Reply, ClientError> {
        let mut request = None;
        loop {
            let answer = read_message(&mut self.socket)
                .map_err(|source| ClientError::Broken { source: closed(source), request })?;
            match serde_json::from_slice(&answer)? {
                Reply::Named(id) => request = Some(id),
                reply => return Ok(reply),
            }
        }
    }

    /// For an answer that may not come for long: how long to wait for one; `None` waits for ever.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_timeout(&self, timeout: Option<std::time::Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }
}

impl AsFd for Client {
    /// To wait for an answer and for other things at once.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// In words that say who did it.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => io::Error::new(kind, "it was closed"),
        _ => error,
    }
}

fn hint(request: Option<RequestId>) -> String {
    request.map_or_else(String::new, |id| format!("; vxdctl transstate {id} tells what came of it"))
}

/// Length, most significant byte first, then that many bytes.
///
/// # Errors
/// If it cannot be written.
pub fn write_message(out: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let len = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    out.write_all(&len.to_be_bytes())?;
    out.write_all(message)
}

/// The counterpart of [`write_message`].
///
/// # Errors
/// If the other side is gone, or the message is too long.
pub fn read_message(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    input.read_exact(&mut len)?;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    if len > MESSAGE_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; len];
    input.read_exact(&mut message)?;
    Ok(message)
}
