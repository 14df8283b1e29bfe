//! Clients of the NBD protocol that have not chosen a volume yet, on `run/nbd.sock` and, if it is asked
//! for, on TCP. Whoever has chosen goes to the shard of the volume.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::{Buf, Bytes};
use llt::{Duration, Instant};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_keepalive;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::plane::Plane;
use crate::core::iod::{Iod, OpenRefused, OpenTicket, VolumeName};
use crate::daemon::listen;
use crate::export::nbd::{Ask, Export, Handshake, Refused, Step};
use crate::model::size::SECTOR;
use crate::model::{Group, Name};

/// Where clients come in.
#[derive(Debug)]
pub(super) struct Door {
    local: UnixListener,
    remote: Option<TcpListener>,
    guests: BTreeMap<OpenTicket, Guest>,
    /// What those wanted who went before the core had answered.
    deserted: BTreeMap<OpenTicket, VolumeName>,
    /// Those who have been answered and do not know it yet.
    answered: Vec<OpenTicket>,
    next: u64,
}

/// A client in its handshake. It has one volume at most, which it wants to open or has.
#[derive(Debug)]
struct Guest {
    socket: OwnedFd,
    handshake: Handshake,
    unsent: Bytes,
    deadline: Instant,
    opens: Opens,
}

#[derive(Debug)]
enum Opens {
    No,
    /// The core was asked.
    Asked(VolumeName, Box<Export>),
    Has(VolumeName),
}

/// Whether a guest stays.
enum Course {
    Leaves,
    Stays,
    /// With this volume, and this much of a session.
    Serve(VolumeName, Box<crate::export::nbd::Session>),
}

impl Door {
    /// # Errors
    /// If one of the two cannot be listened on.
    pub(super) fn new(root: &Path, remote: Option<SocketAddr>) -> Result<Self> {
        let local = listen(&root.join("run/nbd.sock"))?;
        let bind = |address: SocketAddr| {
            let listener = TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address} for NBD"))?;
            listener.set_nonblocking(true)?;
            tracing::warn!(
                "volumes are served on {address} without TLS: who can reach it can read and write them"
            );
            anyhow::Ok(listener)
        };
        let remote = remote.map(bind).transpose()?;
        let (guests, deserted) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { local, remote, guests, deserted, answered: Vec::new(), next: 0 })
    }

    /// What to wait for.
    pub(super) fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        let local = std::iter::once(PollFd::new(&self.local, PollFlags::IN));
        let remote = self.remote.iter().map(|listener| PollFd::new(listener, PollFlags::IN));
        let guests = self.guests.values().filter_map(|guest| {
            let flags = match &guest.opens {
                _ if !guest.unsent.is_empty() => PollFlags::OUT,
                // It is answered before it is heard again.
                Opens::Asked(..) => return None,
                Opens::Has(_) | Opens::No => PollFlags::IN,
            };
            Some(PollFd::new(&guest.socket, flags))
        });
        local.chain(remote).chain(guests)
    }

    /// Hears everybody who is here.
    pub(super) fn turn(&mut self, now: Instant, iod: &mut Iod, plane: &mut Plane) {
        self.accept(now, plane.clients());
        let tickets: Vec<OpenTicket> = self.guests.keys().copied().collect();
        for ticket in tickets {
            self.attend(now, ticket, iod, plane);
        }
    }

    /// Goes on with those who have been answered; `false`: nobody has.
    pub(super) fn go_on(&mut self, now: Instant, iod: &mut Iod, plane: &mut Plane) -> bool {
        let answered = std::mem::take(&mut self.answered);
        for ticket in &answered {
            self.attend(now, *ticket, iod, plane);
        }
        !answered.is_empty()
    }

    fn accept(&mut self, now: Instant, served: usize) {
        loop {
            let local = self.local.accept().map(|(socket, _)| OwnedFd::from(socket));
            let remote = || self.remote.as_ref()?.accept().ok();
            let socket = local.ok().or_else(|| {
                let (socket, _) = remote()?;
                // Replies are sent as they come; a peer that is gone does not keep a volume open.
                let _ = socket.set_nodelay(true);
                let _ = set_socket_keepalive(&socket, true);
                Some(OwnedFd::from(socket))
            });
            let Some(socket) = socket else { return };
            if self.guests.len() + served >= CLIENTS_MAX {
                tracing::warn!("{CLIENTS_MAX} clients are here already: one is sent away");
                continue;
            }
            self.next += 1;
            let (handshake, unsent) = (Handshake::new(), Bytes::new());
            let deadline = now + PATIENCE;
            let guest = Guest { socket, handshake, unsent, deadline, opens: Opens::No };
            self.guests.insert(OpenTicket(self.next), guest);
        }
    }

    fn attend(&mut self, now: Instant, ticket: OpenTicket, iod: &mut Iod, plane: &mut Plane) {
        let Some(guest) = self.guests.get_mut(&ticket) else { return };
        let course = if guest.deadline <= now { Course::Leaves } else { guest.attend(ticket, iod) };
        match course {
            Course::Leaves => match self.guests.remove(&ticket).map(|guest| guest.opens) {
                Some(Opens::Asked(name, _)) => {
                    self.deserted.insert(ticket, name);
                }
                Some(Opens::Has((group, volume))) => {
                    iod.close_volume(crate::daemon::now(), &group, &volume)
                }
                Some(Opens::No) | None => {}
            },
            Course::Serve(name, session) => {
                if let Some(guest) = self.guests.remove(&ticket) {
                    plane.serve(&name, guest.socket, *session);
                }
            }
            Course::Stays => {}
        }
    }

    /// The core has opened a volume, or has not.
    pub(super) fn opened(
        &mut self,
        ticket: OpenTicket,
        result: Result<(), OpenRefused>,
        iod: &mut Iod,
    ) {
        if let Some((group, volume)) = self.deserted.remove(&ticket).filter(|_| result.is_ok()) {
            iod.close_volume(crate::daemon::now(), &group, &volume);
        }
        let Some(guest) = self.guests.get_mut(&ticket) else { return };
        let Opens::Asked(name, export) = std::mem::replace(&mut guest.opens, Opens::No) else {
            return;
        };
        self.answered.push(ticket);
        let refused = match result {
            Ok(()) => {
                guest.handshake.answer_export(Ok(*export));
                guest.opens = Opens::Has(name);
                return;
            }
            Err(refused) => refused,
        };
        let text = format!("{}: {refused}", name.1);
        guest.handshake.answer_export(Err(match refused {
            OpenRefused::NoVolume => Refused::Unknown(text),
            OpenRefused::Exclusive(_)
            | OpenRefused::GoingAway
            | OpenRefused::NotActivated
            | OpenRefused::NotStarted => Refused::Policy(text),
        }));
    }
}

impl Guest {
    fn attend(&mut self, ticket: OpenTicket, iod: &mut Iod) -> Course {
        loop {
            if !self.unsent.is_empty() {
                match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                    Ok(count) => self.unsent.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Course::Stays,
                    Err(_) => return Course::Leaves,
                }
                continue;
            }
            if matches!(self.opens, Opens::Asked(..)) {
                return Course::Stays;
            }
            match self.handshake.poll() {
                Step::Ask(Ask::List) => self.handshake.answer_list(&exports(iod)),
                Step::Ask(Ask::Export { name, opens }) => self.ask(ticket, iod, &name, opens),
                Step::Begin(session) => {
                    return match std::mem::replace(&mut self.opens, Opens::No) {
                        Opens::Has(name) => Course::Serve(name, Box::new(session)),
                        Opens::Asked(..) | Opens::No => Course::Leaves,
                    };
                }
                Step::Close(end) => {
                    tracing::debug!("a client of NBD goes: {end}");
                    return Course::Leaves;
                }
                Step::NeedInput => {
                    let mut room = vec![0; self.handshake.room().min(READ)];
                    match recv(&self.socket, &mut room, RecvFlags::DONTWAIT) {
                        Ok((count, _)) if count > 0 => self.handshake.handle_input(&room[..count]),
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => return Course::Stays,
                        Ok(_) | Err(_) => return Course::Leaves,
                    }
                }
                Step::Send(bytes) => self.unsent = bytes,
            }
        }
    }

    fn ask(&mut self, ticket: OpenTicket, iod: &mut Iod, name: &str, opens: bool) {
        let Some((volume, export)) = find(iod, name) else {
            let text = format!("no volume {name:?}: expected GROUP/VOLUME");
            self.handshake.answer_export(Err(Refused::Unknown(text)));
            return;
        };
        if opens {
            let writable = !export.read_only;
            self.opens = Opens::Asked(volume.clone(), Box::new(export));
            iod.open_volume(ticket, &volume.0, &volume.1, writable);
        } else {
            self.handshake.answer_export(Ok(export));
        }
    }
}

/// Volumes that programs may open, as they are called.
fn exports(iod: &Iod) -> Vec<String> {
    let of_group = |group: &Group| {
        let volumes = group.volumes.iter().filter(|(_, volume)| !volume.layer);
        volumes.map(|(name, _)| format!("{}/{name}", group.name)).collect::<Vec<_>>()
    };
    iod.tables().values().flat_map(|table| of_group(&table.image.group)).collect()
}

/// A volume by the name of its export.
fn find(iod: &Iod, name: &str) -> Option<(VolumeName, Export)> {
    let (group, volume) = name.split_once('/')?;
    let mut tables = iod.tables().iter();
    let (id, table) = tables.find(|(_, table)| table.image.group.name.as_str() == group)?;
    let volume: Name = volume.parse().ok()?;
    let record = table.image.group.volumes.get(&volume).filter(|volume| !volume.layer)?;
    let mode = iod.mode_of(id, iod.id().node);
    let export = Export {
        name: name.to_owned(),
        description: format!("volume {volume} of disk group {group}"),
        size: record.len * SECTOR,
        read_only: table.is_shared() && !mode.writes(),
        min_block: 512,
        preferred_block: 4096,
        max_block: 32 << 20,
    };
    Some(((id.clone(), volume), export))
}

/// Clients, those that have not chosen included: each costs a descriptor and some memory.
const CLIENTS_MAX: usize = 400;
/// So long a client may take to choose.
const PATIENCE: Duration = Duration::from_secs(30);
/// Read at once.
const READ: usize = 4096;
