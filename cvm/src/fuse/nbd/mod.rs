//! Volumes as the NBD server of vxiod has them: the client's side of that protocol.
//!
//! | file | what |
//! |---|---|
//! | `wire.rs` | bytes and numbers of the protocol |
//! | `handshake.rs` | the first phase: exports are listed, told of, opened |
//! | `pipeline.rs` | the second: requests under way, and what replies mean |
//! | `connection.rs` | its socket and its thread |
//!
//! Each question is a connection of its own, as is each open file: nothing has to be kept in order
//! when vxiod comes and goes, and the server counts opens by connections.

mod connection;
mod handshake;
mod pipeline;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use self::connection::Connection;
use self::handshake::Handshake;
use super::volume::{Info, Refused, Volume, VolumeName, Volumes};

/// The volumes behind a socket of an NBD server.
#[derive(Debug)]
pub struct Nbd {
    socket: PathBuf,
    /// The longest request that will be made, in bytes.
    request_max: u32,
}

impl Nbd {
    /// Nothing is asked yet. Volumes whose server does not take requests of `request_max` bytes are
    /// not opened.
    pub const fn new(socket: PathBuf, request_max: u32) -> Self {
        Self { socket, request_max }
    }

    fn connect(&self) -> Result<Handshake<UnixStream>, Refused> {
        let connected = || {
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            // Connecting waits, too, where too many do.
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            connect(&socket, &SocketAddrUnix::new(&self.socket)?)?;
            rustix::io::Result::Ok(UnixStream::from(socket))
        };
        let socket = connected().map_err(|error| Refused::Unreachable(error.into()))?;
        Handshake::begin(socket)
    }
}

impl Volumes for Nbd {
    fn list(&self) -> Result<Vec<VolumeName>, Refused> {
        let mut handshake = self.connect()?;
        let names = handshake.list()?;
        handshake.abort();
        Ok(names.iter().filter_map(|name| VolumeName::of_export(name)).collect())
    }

    fn info(&self, name: &VolumeName) -> Result<Info, Refused> {
        let mut handshake = self.connect()?;
        let export = handshake.info(&name.export())?;
        handshake.abort();
        Ok(export.as_info())
    }

    fn open(&self, name: &VolumeName, writable: bool) -> Result<Arc<dyn Volume>, Refused> {
        let name = name.export();
        let mut handshake = self.connect()?;
        let is_structured = handshake.ask_structured()?;
        let (export, socket) = handshake.go(&name)?;
        if writable && export.is_read_only() {
            return Err(Refused::ReadOnly);
        }
        if export.request_max < self.request_max {
            let text = format!("it takes {} bytes at once, which is too few", export.request_max);
            return Err(Refused::BadServer(text.into()));
        }
        let opened = Connection::start(name, export, is_structured, socket);
        opened.map(|volume| -> Arc<dyn Volume> { Arc::new(volume) }).map_err(no_room)
    }
}

fn no_room(error: io::Error) -> Refused {
    Refused::Room(error)
}

/// For each step of a handshake. An exclusive volume waits for the other nodes, and the server gives
/// up a client that has not opened one after 30 s.
const PATIENCE: Duration = Duration::from_secs(40);
