//! Network devices: which there are, and what happens to them.
//!
//! The system tells changes on a routing socket (`RTMGRP_LINK`): carrier, up and down, MTU,
//! devices that come and go. [`Monitor`] turns them into events; it never blocks.

mod message;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::ids::LinkAddr;
use crate::io::devices::message::{Message, Seen};
use crate::llttab::Device;

/// A network device, as it is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceState {
    /// The number that the system gave it; one that is made anew gets another.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; `None` if it has none of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The largest payload of a frame in bytes.
    pub mtu: usize,
    /// Frames can pass: there is a signal, and the system sends.
    pub carrier: bool,
    /// Switched on (`ip link set up`).
    pub up: bool,
    /// It is an Ethernet device, by type; bridges, bonds, VLANs and virtual pairs are, too.
    pub ethernet: bool,
}

/// What happened to a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceEvent {
    /// It is new, or something of it changed.
    Changed(DeviceState),
    /// It is gone.
    Gone {
        /// The number that it had.
        index: u32,
        /// Its last name.
        name: String,
    },
}

/// Tells what happens to the devices of this network namespace.
///
/// The first thing it tells are the devices that there are.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
    known: BTreeMap<u32, DeviceState>,
    /// A listing is under way.
    listing: Option<Listing>,
    /// A listing is wanted once the one under way is over.
    stale: bool,
}

impl Monitor {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the system gives no routing socket; nothing stays behind.
    pub fn open() -> io::Result<Self> {
        Self::new(GROUP_LINK)
    }

    fn new(groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is NETLINK_ROUTE, which is zero.
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        let mut monitor = Self {
            socket,
            buffer: vec![0; BUFFER_LEN],
            known: BTreeMap::new(),
            listing: None,
            stale: false,
        };
        monitor.refresh()?;
        Ok(monitor)
    }

    /// What to wait on: readable when [`Monitor::read`] has work.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Asks the system for the state of every device; the answers are read like other events, and
    /// told even where they are nothing new.
    ///
    /// # Errors
    /// If the system does not take the request; events go on.
    pub fn refresh(&mut self) -> io::Result<()> {
        if self.listing.is_some() {
            self.stale = true;
            return Ok(());
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, &message::list_request(), SendFlags::empty(), &kernel)?;
        self.listing = Some(Listing::default());
        self.stale = false;
        Ok(())
    }

    /// What happened since the last call, within a bound: level-triggered waiting reports the rest.
    pub fn read(&mut self) -> Vec<DeviceEvent> {
        let mut events = Vec::new();
        for _ in 0..READS_MAX {
            match rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC) {
                Ok((kept, whole)) if whole > kept => self.stale = true,
                Ok((len, _)) => {
                    for message in message::parse(&self.buffer[..len]) {
                        self.apply(message, &mut events);
                    }
                }
                // More happened than the socket holds: what is lost, a listing tells.
                Err(rustix::io::Errno::NOBUFS) => self.stale = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if self.stale && self.listing.is_none() {
            // If it is not taken, the next read asks again.
            let _ = self.refresh();
        }
        events
    }

    fn apply(&mut self, message: Message, events: &mut Vec<DeviceEvent>) {
        match message {
            Message::Gone(index) => {
                if let Some(state) = self.known.remove(&index) {
                    events.push(DeviceEvent::Gone { index, name: state.name });
                }
            }
            Message::Listed { complete } => {
                let Some(Listing { named, .. }) = self.listing.take() else { return };
                self.stale |= !complete;
                if complete {
                    let gone: Vec<u32> =
                        self.known.keys().copied().filter(|index| !named.contains(index)).collect();
                    for index in gone {
                        self.apply(Message::Gone(index), events);
                    }
                }
            }
            Message::Seen(seen) => self.see(seen, events),
        }
    }

    fn see(&mut self, seen: Seen, events: &mut Vec<DeviceEvent>) {
        let listed = seen.listed;
        if let Some(listing) = &mut self.listing {
            // What is told before the first answer is older than the listing; what is told after
            // it may be of a device that came too late to be in it.
            listing.begun |= listed;
            if listing.begun {
                listing.named.insert(seen.index);
            }
        }
        let before = self.known.get(&seen.index);
        let Some(state) = seen.over(before) else { return };
        if listed || before != Some(&state) {
            events.push(DeviceEvent::Changed(state.clone()));
        }
        self.known.insert(state.index, state);
    }
}

/// A listing under way.
#[derive(Debug, Default)]
struct Listing {
    /// Answers have arrived.
    begun: bool,
    /// The devices that are there, as far as it goes.
    named: BTreeSet<u32>,
}

/// The devices of this network namespace, by number.
///
/// # Errors
/// If the system does not answer.
pub fn list() -> io::Result<Vec<DeviceState>> {
    let mut monitor = Monitor::new(0)?;
    loop {
        monitor.read();
        if monitor.listing.is_none() && !monitor.stale {
            return Ok(monitor.known.into_values().collect());
        }
        let mut fds = [PollFd::from_borrowed_fd(monitor.socket.as_fd(), PollFlags::IN)];
        let patience = rustix::time::Timespec { tv_sec: PATIENCE_SECS, tv_nsec: 0 };
        if poll(&mut fds, Some(&patience))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// The device that `llttab` names, if it is there; see [`select`].
pub fn find(device: &Device) -> Option<DeviceState> {
    select(&list().ok()?, device).cloned()
}

/// The device that `llttab` names. By address it is the one of the lowest number: a VLAN or a
/// bridge has the address of the device below it, which was there first.
pub fn select<'a>(
    devices: impl IntoIterator<Item = &'a DeviceState>,
    wanted: &Device,
) -> Option<&'a DeviceState> {
    let fits = |state: &&DeviceState| match wanted {
        Device::Mac(mac) => state.ethernet && state.mac == Some(*mac),
        Device::Name(name) => state.name == *name,
    };
    devices.into_iter().filter(fits).min_by_key(|state| state.index)
}

/// The devices that there are, for people who named one that is not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Present(Vec<String>);

impl Present {
    /// Those that there are now, with their types.
    pub fn now() -> Self {
        #[cfg(feature = "pnet")]
        let devices = crate::io::pnet::interfaces()
            .into_iter()
            .map(|interface| describe(&interface.name, &interface.kind.to_string(), interface.mac));
        #[cfg(not(feature = "pnet"))]
        let devices = list().unwrap_or_default().into_iter().map(|state| {
            let kind = if state.ethernet { "Ethernet" } else { "no Ethernet" };
            describe(&state.name, kind, state.mac)
        });
        Self(devices.collect())
    }
}

fn describe(name: &str, kind: &str, mac: Option<[u8; 6]>) -> String {
    match mac {
        Some(mac) if mac != [0; 6] => format!("{name} ({kind}, {})", LinkAddr::Mac(mac)),
        _ => format!("{name} ({kind})"),
    }
}

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none at all");
        }
        f.write_str(&self.0.join(", "))
    }
}

/// `RTMGRP_LINK`: changes of devices.
const GROUP_LINK: u32 = 1;
/// One datagram of the routing socket: the system fills 32 KiB at most.
const BUFFER_LEN: usize = 64 << 10;
/// Datagrams in one call, so that a storm of devices does not hold up who reads.
const READS_MAX: usize = 32;
/// How long the system may take to answer a listing.
const PATIENCE_SECS: i64 = 10;

#[cfg(test)]
mod tests;
