//! `run/gab.sock`, where clients connect.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::daemon::files::Files;
use crate::limits::CLIENTS_MAX;

/// The listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Clients must not find a socket that nobody answers.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a connection attempt came to.
#[derive(Debug)]
pub(super) enum Accepted {
    /// Nobody waits.
    Nobody,
    /// A client.
    Socket(OwnedFd),
    /// The system has no descriptor left: try again later.
    Starved(io::Error),
}

impl Listener {
    /// Call only with the lock of the root: a socket that is there is then nobody's.
    pub(super) fn open(files: &Files) -> anyhow::Result<Self> {
        let path = files.socket();
        let socket = listen(&path, SocketType::SEQPACKET, CLIENTS_MAX)?;
        Ok(Self { socket, path })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next client that waits.
    pub(super) fn accept(&self) -> Accepted {
        match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => Accepted::Socket(socket),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Accepted::Starved(error.into())
            }
            // It is gone again, or nobody was there.
            Err(_) => Accepted::Nobody,
        }
    }
}

/// Listens at a path that nobody else may listen at: a socket that is there is a dead one's.
pub(super) fn listen(path: &Path, kind: SocketType, backlog: usize) -> anyhow::Result<OwnedFd> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => {
            tracing::info!("replacing a socket that nobody listens on");
            fs::remove_file(path)
                .with_context(|| format!("cannot remove the stale {}", path.display()))?;
        }
        Ok(_) => bail!("{} is there and is no socket", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", path.display()));
        }
    }
    bind(path, kind, backlog).with_context(|| format!("cannot listen on {}", path.display()))
}

fn bind(path: &Path, kind: SocketType, backlog: usize) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    // Linux gives the file the mode of the socket: there is no moment at which it is open to all.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE))?;
    let folder;
    let address = match SocketAddrUnix::new(path) {
        Ok(address) => address,
        // A path longer than the 107 bytes of an address: through the open folder.
        Err(Errno::NAMETOOLONG) => {
            let parent = path.parent().unwrap_or_else(|| Path::new("/"));
            folder = rustix::fs::open(parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            SocketAddrUnix::new(format!("/proc/self/fd/{number}/{name}"))?
        }
        Err(error) => return Err(error.into()),
    };
    rustix::net::bind(&socket, &address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Owner and group may talk to gabd.
const MODE: u32 = 0o660;
