//! Making and preparing the socket of an Ethernet link.

use std::io;

use socket2::{Domain, Socket, Type};

use crate::io::devices::Present;
use crate::io::ether::{EtherConfig, packet};
use crate::io::{LinkError, buffers};
use crate::llttab::Device;

pub(super) fn open(config: &EtherConfig) -> Result<Socket, LinkError> {
    let socket = new(config, Type::DGRAM)?;
    packet::bind(&socket, config.device.index, config.sap)
        .map_err(|source| failed(config, source))?;
    Ok(socket)
}

/// A socket that hears nothing yet: it is for no ethertype until it is bound, since before it would
/// hear every device.
pub(in crate::io) fn new(config: &EtherConfig, kind: Type) -> Result<Socket, LinkError> {
    let fails = |source| failed(config, source);
    let socket = Socket::new(Domain::PACKET, kind, None).map_err(fails)?;
    socket.set_nonblocking(true).map_err(fails)?;
    buffers::enlarge(&socket);
    // Systems before 4.20 have no such option: then own frames are dropped one by one.
    let _ = packet::ignore_outgoing(&socket);
    Ok(socket)
}

/// What an error of the system means for the link.
pub(in crate::io) fn failed(config: &EtherConfig, source: io::Error) -> LinkError {
    let device = config.device.name.clone();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => LinkError::Permission { device },
        // It went between the listing and the call.
        Some(libc::ENODEV | libc::ENXIO) => {
            LinkError::NoDevice { device: Device::Name(device), present: Present::now() }
        }
        _ => LinkError::Device { device, source },
    }
}
