//! The loop of vxiod: port v, vxconfigd, and the ends of writes.

use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use anyhow::{Context, Result};
use gab::admin::AdminRequest;
use gab::client::{Admin, Options, Port, RegisterError};
use gab::event::OpenError;
use gab::snapshot::Snapshot;
use gab::{ClientEvent, Level, PortName};
use llt::time::{Duration, earliest};
use llt::{Id, Incarnation, Instant, NodeId};

use super::disks::{Disks, Done};
use super::door::Door;
use super::names::Names;
use super::plane::{HeldRange, Plane};
use crate::core::iod::{
    Command, DiskError, Iod, IodConfig, IodNotice, IodOutput, ObserveNumber, Upcall, VolumeIo,
};
use crate::core::wire::local::{UpcallWriter, decode_command};
use crate::daemon::{Framed, Lock, incarnation, interest, now, wait, wall_seconds};
use crate::engine::{FromShard, HungDisks, IoLease};
use crate::model::UniqueId;
use crate::stats::Observed;

pub(super) struct Reactor {
    root: PathBuf,
    iod: Iod,
    port: Option<Port>,
    /// Port v was this node's when it was to be opened: it is tried again.
    opens: Option<Opening>,
    /// Port v that is to be closed, as soon as nothing is under way that shared disks were told before.
    leaving: Option<(Port, Weak<IoLease>)>,
    /// What shared disks are told it has to allow: of this registration on port v.
    lease: Option<Arc<IoLease>>,
    listener: UnixListener,
    configd: Option<Framed>,
    /// Of this connection to vxconfigd.
    upcalls: UpcallWriter,
    disks: Disks,
    hung: Arc<HungDisks>,
    /// Clients of volumes, before they have one and after.
    door: Door,
    plane: Plane,
    /// What groups are called that are imported here.
    names: Names,
    ends: Arc<AtomicBool>,
}

/// The next attempt to open port v.
struct Opening {
    at: Instant,
    /// When it is said that it is not open yet.
    tells: Instant,
}

impl Reactor {
    pub(super) fn new(
        root: PathBuf,
        listener: UnixListener,
        nbd: Option<SocketAddr>,
        io_timeout: Option<Duration>,
        lock: Arc<Lock>,
    ) -> Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ends))?;
        }
        let me = Id { node: NodeId::ZERO, incarnation: Incarnation(incarnation()) };
        let iod = Iod::new(me, IodConfig::default());
        let hung = Arc::new(HungDisks::new(io_timeout));
        let (disks, door, plane) =
            (Disks::new(&root, &hung)?, Door::new(&root, nbd)?, Plane::new(&hung, lock)?);
        let upcalls = UpcallWriter::default();
        let (port, opens, leaving, lease, configd) = (None, None, None, None, None);
        let names = Names::default();
        Ok(Self {
            root,
            iod,
            port,
            opens,
            leaving,
            lease,
            listener,
            configd,
            upcalls,
            disks,
            hung,
            door,
            plane,
            names,
            ends,
        })
    }

    /// Until a signal ends it.
    pub(super) fn run(&mut self) -> Result<()> {
        tracing::info!("vxiod started");
        while !self.ends.load(Ordering::Relaxed) {
            self.turn();
            let mut fds = vec![interest(&self.listener, false), interest(&self.disks, false)];
            fds.push(interest(&self.plane, false));
            fds.extend(self.door.interests());
            fds.extend(self.configd.iter().map(|conn| interest(conn, conn.has_unsent())));
            fds.extend(self.port.iter().map(|port| interest(port, false)));
            wait(&mut fds, now(), self.next_deadline());
        }
        tracing::info!("vxiod ends");
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let lease = self.disks.is_leaseless().then(|| now() + LEASE);
        let close = self.leaving.is_some().then(|| now() + CLOSE_AGAIN);
        let own = earliest(self.opens.as_ref().map(|opening| opening.at), earliest(lease, close));
        earliest(earliest(self.iod.next_deadline(), self.disks.deadline()), own)
    }

    /// Everything that can be done now.
    fn turn(&mut self) {
        self.accept();
        self.hear_configd();
        self.hear_port();
        for done in self.disks.done() {
            match done {
                Done::Found(disk, found) => self.plane.found(&disk, found.as_ref()),
                Done::Looked(disk, sees) => self.iod.handle_looked(now(), &disk, sees),
                Done::Hangs(disk) => self.hangs(disk),
                Done::Leaseless(_) => {}
                Done::Log(token, done) => self.iod.handle_log(now(), token, done),
                Done::Written(token, done) => self.iod.handle_write(now(), token, done),
            }
        }
        for news in self.plane.news() {
            self.hear_shard(news);
        }
        self.door.turn(now(), &mut self.iod, &mut self.plane);
        self.iod.handle_timer(now());
        self.close_if_still();
        if let Some(opening) = self.opens.take_if(|opening| opening.at <= now()) {
            self.open_port(Some(opening));
        }
        self.drain();
        if let Some(port) = &mut self.port {
            // What does not go now goes with a later turn.
            let _ = port.try_flush();
        }
        if self.configd.as_mut().is_some_and(|conn| conn.flush().is_err()) {
            self.lose_configd();
        }
    }

    /// The newest vxconfigd counts: an older one that hangs is in nobody's way.
    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let Ok(conn) = Framed::new(socket) else { continue };
            if self.configd.replace(conn).is_some() {
                self.iod.handle_configd(now(), false);
            }
            self.upcalls = UpcallWriter::default();
            self.iod.handle_configd(now(), true);
            self.drain();
        }
    }

    fn hear_configd(&mut self) {
        let Some(conn) = &mut self.configd else { return };
        let Ok(messages) = conn.receive() else {
            self.lose_configd();
            return;
        };
        for message in messages {
            if self.configd.is_none() {
                // It was lost over one of them: what else it wanted nobody waits for.
                return;
            }
            match decode_command(message) {
                Ok(command) => self.command(command),
                Err(error) => {
                    tracing::error!(%error, "vxconfigd sent what is no command");
                    self.lose_configd();
                    return;
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        if matches!(command, Command::StartNode) {
            match self.own_node() {
                Ok(node) => self.iod.set_node(node),
                Err(error) => tracing::warn!("cannot join the cluster: {error:#}"),
            }
        }
        self.iod.handle_command(now(), command);
        self.drain();
    }

    fn own_node(&self) -> Result<NodeId> {
        let snapshot: Snapshot = Admin::connect(&self.root)?.request(&AdminRequest::Snapshot)?;
        NodeId::new(snapshot.llt.node).context("gabd has no node id")
    }

    fn lose_configd(&mut self) {
        self.configd = None;
        tracing::info!("vxconfigd is gone");
        self.iod.handle_configd(now(), false);
        self.drain();
    }

    fn hear_port(&mut self) {
        while let Some(event) = self.port.as_mut().and_then(Port::try_recv) {
            match event {
                ClientEvent::Closed(reason) => {
                    self.port = None;
                    self.set_lease(None);
                    self.iod.handle_closed(now(), &reason.to_string());
                }
                ClientEvent::Deliver(delivery) => {
                    self.iod.handle_message(now(), delivery.sender, delivery.payload);
                }
                ClientEvent::Status(_) => {}
                ClientEvent::View(view) => self.iod.handle_view(now(), &view),
            }
            let proven = self.iod.proven_generation();
            self.lease.iter().for_each(|lease| lease.note_proven(proven));
            self.drain();
        }
    }

    fn hear_shard(&mut self, news: FromShard) {
        match news {
            FromShard::Find(disk) => {
                if !self.disks.find(&disk) {
                    self.plane.found(&disk, None);
                }
            }
            FromShard::Hangs(disk) => self.hangs(disk),
            FromShard::Left(volume) => {
                if let Some((group, volume)) = self.plane.left(volume) {
                    self.iod.close_volume(now(), &group, &volume);
                }
            }
            FromShard::Clear(volume, range) => {
                self.plane.is_clear(volume, range);
            }
            FromShard::Copied(volume, range, is_equal) => {
                if let Some(name) = self.plane.copied(volume) {
                    self.iod.handle_copied(now(), &name, range, is_equal);
                }
            }
            FromShard::FillDone(volume, range, done) => {
                if let Some(name) = self.plane.copied(volume) {
                    self.iod.handle_filled(now(), &name, range, done);
                }
            }
            FromShard::Unfilled(volume, at, len) => {
                if let Some(name) = self.plane.name(volume) {
                    self.iod.handle_unfilled(now(), name, at, len);
                }
            }
            FromShard::FirstChange(volume) => {
                if let Some(name) = self.plane.name(volume) {
                    self.iod.handle_first_change(now(), name, wall_seconds());
                }
            }
            FromShard::PlexFailed(volume, plex, disk) => {
                if let Some((group, _)) = self.plane.name(volume) {
                    self.iod.handle_plex_failed(now(), group, plex, disk, wall_seconds());
                }
            }
            FromShard::Stats(ask, stats) => {
                let answer = self.plane.asks.counted(ask, &stats);
                self.observed(answer);
            }
            FromShard::Still(volume, said) => self.plane.still(volume, said),
            FromShard::Traced(ask, shard, taken) => {
                let answer = self.plane.asks.traced(ask, shard, taken);
                self.observed(answer);
            }
        }
    }

    /// What a disk owes has changed, and may have changed again since that was said.
    fn hangs(&mut self, disk: UniqueId) {
        let owes = self.hung.owes(&disk);
        self.iod.handle_hangs(disk, owes);
    }

    fn observed(&mut self, answer: Option<(ObserveNumber, Observed)>) {
        let Some((ask, mut observed)) = answer else { return };
        if let Observed::Stats(stats) = &mut observed {
            self.plane.add_opens(&self.iod, stats);
        }
        self.iod.handle_observed(ask, observed);
    }

    /// Everything that the core wants done, and what may be told it because of that.
    fn drain(&mut self) {
        loop {
            self.put_out();
            let is_gone = self.tell_volumes();
            let (drained, clear) = (self.plane.drained(), self.plane.clear());
            let went_on = self.door.go_on(now(), &mut self.iod, &mut self.plane);
            if !is_gone && drained.is_empty() && clear.is_empty() && !went_on {
                return;
            }
            for (volume, number) in clear {
                self.iod.handle_range_clear(&volume, number);
            }
            for ticket in drained {
                self.iod.handle_drained(now(), ticket);
            }
        }
    }

    /// What volumes may do; `true`: some are gone.
    fn tell_volumes(&mut self) -> bool {
        let gone = self.plane.look(&self.iod);
        for (group, volume) in &gone {
            self.iod.close_volume(now(), group, volume);
        }
        !gone.is_empty()
    }

    fn put_out(&mut self) {
        while let Some(output) = self.iod.poll_output() {
            match output {
                IodOutput::Broadcast(payload) => {
                    self.send(|port| port.broadcast(&payload, Level::Safe, true));
                }
                IodOutput::ClosePort => {
                    self.opens = None;
                    self.close_port();
                }
                IodOutput::CopyRange { volume, number } => self.plane.copy(&volume, number),
                IodOutput::Drain(ticket, group) => self.plane.drain(ticket, group),
                IodOutput::FillRange { volume, number, id, at, len } => {
                    self.plane.fill(&volume, id, HeldRange { number, at, len });
                }
                IodOutput::Filled { volume, id, at, len } => {
                    self.plane.filled(&volume, id, at, len);
                }
                IodOutput::HoldRange { volume, number, at, len } => {
                    self.plane.hold(&volume, HeldRange { number, at, len });
                }
                IodOutput::Log(token, io) => {
                    if !self.disks.log(token, io) {
                        self.iod.handle_log(now(), token, Err(DiskError::NoPath));
                    }
                }
                IodOutput::ReleaseRange { volume } => {
                    // One that is to stand still begins nothing of what has waited for the range: a copy
                    // of it may be under way still, at the master. One that is to go on makes no copy of
                    // it any more.
                    if !matches!(self.iod.io_of(&volume), VolumeIo::Runs { .. }) {
                        self.tell_volumes();
                    }
                    self.plane.release(&volume);
                }
                IodOutput::Look(disk) => {
                    if !self.disks.look(&disk) {
                        self.iod.handle_looked(now(), &disk, false);
                    }
                }
                IodOutput::Notice(notice) => tell(&notice, &self.names),
                IodOutput::Opened(ticket, result) => {
                    self.door.opened(ticket, result, &mut self.iod);
                }
                IodOutput::Observe(ask, what) => self.plane.observe(ask, what),
                IodOutput::OpenPort => self.open_port(None),
                IodOutput::Prepare(image) => {
                    self.names.add(&image.group);
                    self.disks.prepare(&image);
                }
                IodOutput::SendTo(to, payload) => {
                    self.send(|port| port.send_to(to, &payload, true));
                }
                IodOutput::Tell(upcall) => {
                    if let Upcall::Tables(view) = &upcall {
                        self.names.renew(view);
                    }
                    let bytes = self.upcalls.encode(&upcall);
                    if self.configd.as_mut().is_some_and(|conn| conn.send(&bytes).is_err()) {
                        self.configd = None;
                        self.iod.handle_configd(now(), false);
                    }
                }
                IodOutput::Write(token, write, is_shared) => {
                    if let Some((token, done)) = self.disks.write(token, write, is_shared) {
                        self.iod.handle_write(now(), token, done);
                    }
                }
            }
        }
    }

    /// A port that is closed says so by itself.
    fn send(&mut self, send: impl FnOnce(&mut Port) -> Result<(), gab::event::SendError>) {
        if let Some(Err(error)) = self.port.as_mut().map(send) {
            tracing::debug!(%error, "not sent on port v");
        }
    }

    /// The others go on without this node as soon as port v is closed. What a shared disk has not answered
    /// yet, even if nobody waits for it any more, is in their way still: mostly there is no such thing.
    fn close_port(&mut self) {
        let Some(port) = self.port.take() else { return };
        let lease = self.lease.as_ref().map(Arc::downgrade).unwrap_or_default();
        self.set_lease(None);
        let patience = now() + CLOSE_AGAIN;
        while lease.strong_count() > 0 && now() < patience {
            wait(&mut [], now(), Some(now() + Duration::from_millis(1)));
        }
        if lease.strong_count() > 0 {
            tracing::warn!("port v is closed when disks have answered what they were told");
        }
        self.leaving = Some((port, lease));
        self.close_if_still();
    }

    fn close_if_still(&mut self) {
        let Some((mut port, lease)) = self.leaving.take() else { return };
        if lease.strong_count() == 0 {
            // What was said is said: others are to hear that we leave in order.
            let _ = port.close();
            return;
        }
        // Nothing of it is for this stay any more, and no other member is to wait for that.
        while let Some(event) = port.try_recv() {
            if let ClientEvent::Closed(_) = event {
                // It hangs up with the last flight.
                return;
            }
        }
        let _ = port.try_flush();
        self.leaving = Some((port, lease));
    }

    fn open_port(&mut self, tried: Option<Opening>) {
        let name = PortName::new('v').expect("a letter");
        let options = Options {
            root: self.root.clone(),
            name: "vxiod".to_owned(),
            kernel: true,
            ..Options::default()
        };
        let opened = Port::register(name, &options);
        if let Err(RegisterError::Open(OpenError::Busy)) = opened {
            self.open_again(tried);
            return;
        }
        let opened = opened.context("cannot open port v");
        let leased = opened.and_then(|port| {
            let lease = IoLease::open(&self.root, name, &port);
            Ok((port, lease.with_context(|| format!("no lease in {}", gab::lease::FILE))?))
        });
        match leased {
            Ok((port, lease)) => {
                self.port = Some(port);
                self.set_lease(Some(Arc::new(lease)));
            }
            Err(error) => {
                tracing::error!("{error:#}");
                self.iod.handle_closed(now(), "cluster device open failed");
            }
        }
    }

    /// What our predecessor has told disks is not done yet, or what we have in a stay before: until then
    /// the port is taken.
    fn open_again(&mut self, tried: Option<Opening>) {
        let mut opening = tried.unwrap_or_else(|| {
            tracing::info!("port v is taken, perhaps by a vxiod before this one: waiting for it");
            Opening { at: now(), tells: now() + OPEN_TELL }
        });
        if opening.tells <= now() {
            tracing::warn!(
                "port v is taken still: a disk has not answered all that it was told under it"
            );
            opening.tells = now() + OPEN_TELL;
        }
        opening.at = now() + OPEN_AGAIN;
        self.opens = Some(opening);
    }

    fn set_lease(&mut self, lease: Option<Arc<IoLease>>) {
        self.plane.set_lease(lease.as_ref());
        self.disks.set_lease(lease.clone());
        self.lease = lease;
    }
}

impl Drop for Reactor {
    /// Whatever ends it, others are to wait for what disks have been told: port v is not closed, as one
    /// that leaves in order does it, but hangs up when the rings let go of it.
    fn drop(&mut self) {
        let _ = ManuallyDrop::new((self.port.take(), self.leaving.take()));
    }
}

/// Between two attempts to open port v.
const OPEN_AGAIN: Duration = Duration::from_millis(100);
/// Between two looks whether port v may be closed.
const CLOSE_AGAIN: Duration = Duration::from_millis(100);
/// Between two words about a port that is not open yet.
const OPEN_TELL: Duration = Duration::from_secs(15);
/// Between two looks at a lease that something waits for.
const LEASE: Duration = Duration::from_millis(5);
/// Sectors of a megabyte.
const SECTORS_PER_MB: u64 = 2048;

/// One event, one line.
fn tell(notice: &IodNotice, names: &Names) {
    match notice {
        IodNotice::Apart { group, disk, node } => {
            let group = names.of(group);
            tracing::warn!(
                "node {node} alone cannot write disk {disk} of group {group}: it writes no volume that \
                 needs it (local detach policy)"
            );
        }
        IodNotice::BadMessage { node } => {
            tracing::warn!("node {node} sent a message on port v that is none");
        }
        IodNotice::CopyFailed { group, disk, error } => {
            let group = names.of(group);
            tracing::warn!("disk {disk} of group {group}: a copy is not written: {error}");
        }
        IodNotice::CopiesEqual { group, volume, copied } => {
            let (group, copied) = (names.of(group), copied / SECTORS_PER_MB);
            tracing::info!(
                "volume {volume} of group {group}: copies are equal, {copied} MB copied"
            );
        }
        IodNotice::MapsRead { group, volume, is_known: false, .. } => {
            let group = names.of(group);
            tracing::warn!(
                "V-5-1-3212 volume {volume} of group {group}: its logs do not say what differs"
            );
        }
        IodNotice::MapsRead { group, volume, dirty, len, is_known: true } => {
            let group = names.of(group);
            let (dirty, len) = (dirty / SECTORS_PER_MB, len / SECTORS_PER_MB);
            tracing::info!(
                "volume {volume} of group {group}: {dirty} of {len} MB may differ by its logs"
            );
        }
        IodNotice::CopyingFailed { group, volume } => {
            let group = names.of(group);
            tracing::error!("volume {volume} of group {group}: a range cannot be read of any copy");
        }
        IodNotice::FillFailed { group, volume } => {
            let group = names.of(group);
            tracing::error!("volume {volume} of group {group}: it cannot be filled and is INVALID");
        }
        IodNotice::Disabled { group } => {
            let group = names.of(group);
            tracing::error!("Disk group {group}: Disabled by errors");
        }
        IodNotice::PlexFailed { group, plex, node } => {
            let group = names.of(group);
            tracing::warn!(
                "node {node} cannot write plex {plex} of group {group}: it is taken off"
            );
        }
        IodNotice::RepairFailed { group } => {
            let group = names.of(group);
            tracing::error!("group {group}: the configuration in force cannot be written back");
        }
        IodNotice::Together { group, volume, disk } => {
            let group = names.of(group);
            tracing::info!(
                "disk {disk} of group {group} is seen again: volume {volume} may be written here"
            );
        }
        IodNotice::TxnFailed { id, node, why } => {
            let group = names.of(&id.group);
            tracing::warn!("transaction {id} of group {group} is abandoned: node {node}: {why}");
        }
    }
}
