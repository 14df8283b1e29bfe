//! The socket to gabd: connect, one datagram out, one in, wait. Everything above is nonblocking;
//! only [`Connection::wait`] sleeps.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::buffer::Buffer;
use crate::limits::IPC_DATAGRAM_MAX;

/// Where gabd of the node with this root listens.
pub fn socket_path(root: &Path) -> PathBuf {
    root.join("run").join(SOCKET_NAME)
}

/// `MUSTER_ROOT`, or `/` without it (interfaces.md 1).
pub fn default_root() -> PathBuf {
    std::env::var_os("MUSTER_ROOT")
        .filter(|root| !root.is_empty())
        .map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// Why there is no connection; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket is there or not, but it cannot be reached.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nobody listens.
    #[error("gabd is not running: nobody listens on {}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
    },
}

impl ConnectError {
    /// The positive errno that C clients see negated.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Io { source, .. } => source.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
            Self::NoDaemon { .. } => Errno::CONNREFUSED.raw_os_error(),
        }
    }
}

/// A connected, nonblocking `SOCK_SEQPACKET` socket.
#[derive(Debug)]
pub(super) struct Connection {
    fd: OwnedFd,
    /// One datagram and one byte: a longer one shows as what it is.
    buffer: Buffer,
}

/// What [`Connection::receive`] found.
pub(super) enum Received {
    Datagram(Bytes),
    HungUp,
    Nothing,
}

/// What [`Connection::send`] achieved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    HungUp,
    Whole,
    WouldBlock,
}

impl Connection {
    /// To gabd of the node with this root.
    pub(super) fn connect(root: &Path) -> Result<Self, ConnectError> {
        let path = socket_path(root);
        let fd = connect(&path).map_err(|errno| match errno {
            Errno::CONNREFUSED | Errno::NOENT | Errno::NOTDIR => {
                ConnectError::NoDaemon { path: path.clone() }
            }
            errno => ConnectError::Io { path: path.clone(), source: errno.into() },
        })?;
        Ok(Self::new(fd))
    }

    /// Over a connected, nonblocking socket.
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, buffer: Buffer::new(IPC_DATAGRAM_MAX + 1) }
    }

    /// Sends one datagram, whole or not at all.
    pub(super) fn send(&self, datagram: &[u8]) -> Sent {
        loop {
            match rustix::net::send(&self.fd, datagram, SendFlags::NOSIGNAL) {
                Ok(_) => return Sent::Whole,
                Err(Errno::INTR) => {}
                // Both pass: the queue of the socket, or the kernel's memory, is full.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Sent::WouldBlock,
                Err(errno) => {
                    tracing::debug!(%errno, "cannot send to gabd");
                    return Sent::HungUp;
                }
            }
        }
    }

    /// Takes one datagram, if there is one. A longer one than the format allows is cut after the
    /// first byte too much.
    pub(super) fn receive(&mut self) -> Received {
        loop {
            match rustix::net::recv(&self.fd, self.buffer.space(), RecvFlags::empty()) {
                Ok((_, 0)) => return Received::HungUp,
                Ok(_) => return Received::Datagram(self.buffer.take()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Received::Nothing,
                Err(errno) => {
                    tracing::debug!(%errno, "cannot receive from gabd");
                    return Received::HungUp;
                }
            }
        }
    }

    /// Looks for something to receive, or room to send if `writable`, without sleeping for so long.
    /// Others run between the looks.
    pub(super) fn spin(&self, writable: bool, time: Duration) -> bool {
        if time.is_zero() {
            return false;
        }
        let end = now() + time.min(BUSY_POLL_MAX);
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, writable);
        while now() < end {
            let mut fds = [PollFd::new(&self.fd, interest)];
            if rustix::event::poll(&mut fds, Some(&Timespec::default())) != Ok(0) {
                return true;
            }
            rustix::thread::sched_yield();
        }
        false
    }

    /// Sleeps until there may be something to receive, or room to send if `writable`, or the
    /// deadline. `false` once the deadline has passed. Wakes early now and then.
    pub(super) fn wait(&self, writable: bool, deadline: Deadline) -> bool {
        let Some(left) = deadline.left() else {
            return false;
        };
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, writable);
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        // An interrupted wait is an early wake; what else may fail shows at the next call.
        let mut fds = [PollFd::new(&self.fd, interest)];
        if let Err(errno) = rustix::event::poll(&mut fds, timeout.as_ref()) {
            tracing::trace!(%errno, "wait for gabd");
        }
        true
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Until when to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        now().checked_add(timeout).map_or(Self::Never, Self::At)
    }

    /// So long, or what is left if that is less.
    pub(super) fn at_most(self, time: Duration) -> Duration {
        match self.left() {
            Some(Some(left)) => time.min(left),
            Some(None) => time,
            None => Duration::ZERO,
        }
    }

    /// `None` if it has passed, `Some(None)` if it never does.
    fn left(self) -> Option<Option<Duration>> {
        match self {
            Self::At(at) => {
                at.checked_duration_since(now()).filter(|left| !left.is_zero()).map(Some)
            }
            Self::Never => Some(None),
        }
    }
}

/// The C library's clock: rustix looks for the kernel's own, which valgrind hides, and crashes there.
#[expect(clippy::disallowed_methods, reason = "deadlines of a blocking call are no input")]
fn now() -> Instant {
    Instant::now()
}

fn connect(path: &Path) -> Result<OwnedFd, Errno> {
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Room for a few of the largest datagrams; the system may grant less.
    rustix::net::sockopt::set_socket_send_buffer_size(&fd, 4 * IPC_DATAGRAM_MAX)?;
    // Connecting waits while the backlog of a stopped daemon is full, but not for ever.
    let timeout = rustix::net::sockopt::Timeout::Send;
    rustix::net::sockopt::set_socket_timeout(&fd, timeout, Some(CONNECT_TIMEOUT))?;
    match SocketAddrUnix::new(path) {
        Ok(address) => connect_in_time(&fd, &address)?,
        Err(Errno::NAMETOOLONG) => {
            // The path is longer than a socket address (108 bytes): go through its folder.
            let folder = path.parent().unwrap_or_else(|| Path::new("/"));
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = rustix::fs::open(folder, flags, Mode::empty())?;
            let number = rustix::fd::AsRawFd::as_raw_fd(&folder);
            let name = path.file_name().unwrap_or_else(|| OsStr::new(SOCKET_NAME));
            let path = Path::new("/proc/self/fd").join(number.to_string()).join(name);
            connect_in_time(&fd, &SocketAddrUnix::new(&path)?)?;
        }
        Err(errno) => return Err(errno),
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

/// The system has no number of its own for a connection that was not accepted in time.
fn connect_in_time(fd: &OwnedFd, address: &SocketAddrUnix) -> Result<(), Errno> {
    rustix::net::connect(fd, address).map_err(|errno| match errno {
        Errno::AGAIN => Errno::TIMEDOUT,
        other => other,
    })
}

/// Longer than that costs more than it brings.
const BUSY_POLL_MAX: Duration = Duration::from_millis(1);
const SOCKET_NAME: &str = "gab.sock";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
