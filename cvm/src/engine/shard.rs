//! A shard: one thread with some volumes, their clients, and its way to the disks.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use llt::Instant;
use slab::Slab;

use super::client::{Asked, Client, range};
use super::disks::{Disks, Found, Way};
use super::driver::{self, Choice, Driver, DriverError, Event, IoBuffer, Knot, Operation, Pool};
use super::notes::Faults;
use super::ranges::Held;
use super::trace::{Key, Trace};
use super::{FromShard, HungDisks, IoLease, ToShard, VolumeNumber};
use crate::core::iod::{RangeNumber, VolumeIo};
use crate::daemon::{Inbox, Lock, Mail, now, wall_micros};
use crate::export::nbd::Session;
use crate::model::UniqueId;
use crate::model::size::SECTOR;
use crate::stats::{Reset, Stats};
use crate::volume::{DiskOp, DiskWork, Request, RequestId, Rules, Volume, VolumeOutput, What};

/// A shard.
#[derive(Debug)]
pub(super) struct Shard {
    number: usize,
    inbox: Inbox<ToShard>,
    pub(super) out: Mail<FromShard>,
    driver: Driver,
    pub(super) pool: Pool,
    pub(super) volumes: BTreeMap<VolumeNumber, Volume>,
    /// What nobody changes of each.
    pub(super) ranges: BTreeMap<VolumeNumber, Held>,
    /// What was said last of the I/O of each.
    said: BTreeMap<VolumeNumber, u64>,
    clients: Slab<Client>,
    /// Requests that volumes have, by their number.
    pub(super) requests: Slab<Asking>,
    pub(super) disks: Disks<Flight>,
    /// Operations that the driver has.
    pub(super) flights: Slab<Flight>,
    /// Disks that do not answer.
    pub(super) hung: Arc<HungDisks>,
    /// What shared disks are told it has to allow.
    lease: Option<Arc<IoLease>>,
    /// The ring holds it, or the one before.
    is_tied: bool,
    /// Operations that wait for a lease.
    leaseless: Vec<Flight>,
    /// The time of what is done now: it is looked up once for what has come together.
    pub(super) now: Instant,
    /// What volumes have done that nobody has open any more.
    past: Stats,
    pub(super) trace: Trace,
    faults: Faults,
    /// Volumes and clients with which something may have to be done.
    pub(super) busy: Vec<VolumeNumber>,
    stirred: Vec<usize>,
}

/// Whose a request is.
#[derive(Debug)]
pub(super) enum Asking {
    /// A client's.
    Client(usize, Asked),
    /// The cluster's, which makes copies equal.
    Copy(VolumeNumber, RangeNumber, IoBuffer),
    /// The same, which copies to it from another volume.
    Fill(VolumeNumber, RangeNumber, IoBuffer),
    /// The same: nobody changes a range.
    Hold(VolumeNumber, RangeNumber),
}

impl Asking {
    const fn buffer(&self) -> Option<&IoBuffer> {
        match self {
            Self::Client(_, asked) => asked.buffer.as_ref(),
            Self::Copy(.., buffer) | Self::Fill(.., buffer) => Some(buffer),
            Self::Hold(..) => None,
        }
    }

    pub(super) const fn buffer_mut(&mut self) -> Option<&mut IoBuffer> {
        match self {
            Self::Client(_, asked) => asked.buffer.as_mut(),
            Self::Copy(.., buffer) | Self::Fill(.., buffer) => Some(buffer),
            Self::Hold(..) => None,
        }
    }
}

/// An operation on its way to a disk and back.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    volume: VolumeNumber,
    pub(super) op: DiskOp,
    pub(super) disk: UniqueId,
    /// Since when it is on its way.
    pub(super) begun: Instant,
    /// Nobody waits for its end any more.
    pub(super) is_given_up: bool,
    /// What is written to a log; other data are the request's.
    log: Option<IoBuffer>,
    /// That a shared disk is told a change under: the registration on port v lasts as long as its flights.
    pub(super) lease: Option<Arc<IoLease>>,
}

/// Starts the thread of a shard.
///
/// # Errors
/// If there is no thread to be had, or it cannot get at disks.
pub(crate) fn start(
    number: usize,
    inbox: Inbox<ToShard>,
    out: Mail<FromShard>,
    hung: Arc<HungDisks>,
    lock: Arc<Lock>,
) -> Result<(), DriverError> {
    let (begun, wait) = crossbeam::channel::bounded(1);
    let run = move || {
        // It belongs to the thread that makes it.
        match Driver::new(Choice::Auto) {
            Ok(mut driver) => {
                let _ = begun.send(Ok(()));
                tied(driver.tie(Knot::Lock, Some(lock.as_fd())));
                Shard::new(number, inbox, out, driver, hung).run();
            }
            Err(error) => drop(begun.send(Err(error))),
        }
    };
    let thread = std::thread::Builder::new().name(format!("vxiod-io-{number}")).spawn(run);
    thread.map_err(DriverError::Threads)?;
    wait.recv().unwrap_or_else(|_| Err(DriverError::Threads(io::ErrorKind::Other.into())))
}

fn tied(done: io::Result<()>) -> bool {
    if let Err(error) = &done {
        tracing::warn!(
            %error,
            "if this process is killed, what its disks have been told may be done later than others think"
        );
    }
    done.is_ok()
}

impl Shard {
    fn new(
        number: usize,
        inbox: Inbox<ToShard>,
        out: Mail<FromShard>,
        driver: Driver,
        hung: Arc<HungDisks>,
    ) -> Self {
        Self {
            number,
            inbox,
            out,
            driver,
            pool: Pool::new(POOL),
            volumes: BTreeMap::new(),
            ranges: BTreeMap::new(),
            said: BTreeMap::new(),
            clients: Slab::new(),
            requests: Slab::new(),
            disks: Disks::default(),
            flights: Slab::new(),
            hung,
            lease: None,
            is_tied: false,
            leaseless: Vec::new(),
            now: now(),
            past: Stats::default(),
            trace: Trace::of_shard(number),
            faults: Faults::default(),
            busy: Vec::new(),
            stirred: Vec::new(),
        }
    }

    /// For as long as the process lives.
    fn run(&mut self) {
        let mut events = Vec::new();
        let (mut tidied, mut looked) = (now(), now());
        self.driver.watch(&self.inbox, INBOX, false);
        loop {
            let longest = if !self.stirred.is_empty() {
                Duration::ZERO
            } else if self.leaseless.is_empty() {
                LONGEST
            } else {
                LEASE
            };
            if let Err(error) = self.driver.wait(Some(longest), &mut events) {
                tracing::error!(%error, "disks cannot be waited for");
            }
            self.now = now();
            for event in events.drain(..) {
                self.handle_event(event);
            }
            self.try_leaseless();
            if self.now.since(looked) >= LOOK {
                looked = self.now;
                self.look_for_stalls();
                self.give_up_hung();
            }
            if self.now.since(tidied) >= TIDY {
                tidied = self.now;
                for volume in self.volumes.values_mut() {
                    volume.set_time(self.now);
                    volume.tidy();
                }
                self.busy.extend(self.volumes.keys());
            }
            self.settle();
            self.untie();
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Done { key, result } => self.done(key, result),
            Event::Ready { key: INBOX } => {
                for message in self.inbox.take() {
                    self.handle_message(message);
                }
                self.driver.watch(&self.inbox, INBOX, false);
            }
            Event::Ready { key } => {
                let place = usize::try_from(key & !(HEARS | SPEAKS)).unwrap_or(usize::MAX);
                let Some(client) = self.clients.get_mut(place) else { return };
                if key & HEARS != 0 {
                    client.may_be_heard();
                } else {
                    client.is_awaited = false;
                }
                self.stirred.push(place);
            }
        }
    }

    fn handle_message(&mut self, message: ToShard) {
        match message {
            ToShard::Close(volume) => {
                if let Some(volume) = self.volumes.remove(&volume) {
                    remember(&mut self.past, &volume);
                }
                self.forget_range(volume);
                self.said.remove(&volume);
            }
            ToShard::Copy(volume, number) => self.copy(volume, number),
            ToShard::Disk(disk, found) => {
                for flight in self.disks.found(disk, found.as_ref()) {
                    match &found {
                        Some(found) => self.launch(flight, found),
                        None => self.landed(flight, false),
                    }
                }
            }
            ToShard::Fill { volume, number, id, at, len } => {
                self.fill(volume, number, What::Fill { id }, (at, len));
            }
            ToShard::Filled(number, id, at, len) => {
                if let Some(volume) = self.volume(number) {
                    volume.filled(id, at, len);
                    self.busy.push(number);
                }
            }
            ToShard::Hold { volume, number, at, len } => self.hold(volume, number, at, len),
            ToShard::Io(number, io, said) => {
                self.said.insert(number, said);
                self.set_io(number, io);
            }
            ToShard::Lease(lease) => {
                if let Some(lease) = &lease {
                    self.is_tied |= tied(self.driver.tie(Knot::Lease, Some(lease.as_fd())));
                }
                self.lease = lease;
            }
            ToShard::Release(volume) => self.release(volume),
            ToShard::Serve(volume, socket, session) => self.serve(volume, socket, *session),
            ToShard::Stats(ask, reset) => {
                let stats = self.stats();
                self.out.send(FromShard::Stats(ask, stats));
                reset.iter().for_each(|meant| self.reset(meant));
            }
            ToShard::Trace { ask, next, room } => {
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let taken = self.trace.take(self.now, wall_micros(), next, room);
                self.out.send(FromShard::Traced(ask, self.number, taken));
            }
        }
    }

    fn stats(&mut self) -> Stats {
        let mut stats = self.past.clone();
        for volume in self.volumes.values_mut() {
            volume.set_time(self.now);
            remember(&mut stats, volume);
        }
        stats
    }

    fn reset(&mut self, meant: &Reset) {
        self.past.reset(meant);
        for volume in self.volumes.values_mut() {
            if volume.map().home().is_some_and(|home| home.id == meant.group) {
                volume.reset_stats(meant);
            }
        }
    }

    fn look_for_stalls(&mut self) {
        self.trace.look(self.now);
        if !self.trace.is_on() {
            return;
        }
        for (number, volume) in &self.volumes {
            self.trace.look_for_stalls(self.now, *number, volume);
        }
    }

    /// A volume, which is going to be given something to do.
    pub(super) fn volume(&mut self, number: VolumeNumber) -> Option<&mut Volume> {
        let volume = self.volumes.get_mut(&number)?;
        volume.set_time(self.now);
        Some(volume)
    }

    /// A volume gets something to do.
    pub(super) fn submit(
        &mut self,
        number: VolumeNumber,
        request: Request,
        pid: Option<u32>,
    ) -> bool {
        let Some(volume) = self.volume(number) else { return false };
        volume.submit(request);
        if self.trace.is_on()
            && let Some(volume) = self.volumes.get(&number)
        {
            self.trace.request_begins(self.now, request, volume, pid);
        }
        self.busy.push(number);
        true
    }

    /// Requests that came before there was word of their volume can be told of now.
    fn trace_awaited(&mut self, number: VolumeNumber) {
        let Some(volume) = self.volumes.get(&number).filter(|_| self.trace.is_on()) else { return };
        for (request, since) in volume.under_way() {
            let place = usize::try_from(request.id.0).unwrap_or(usize::MAX);
            let client = match self.requests.get(place) {
                Some(Asking::Client(place, _)) => self.clients.get(*place),
                _ => None,
            };
            self.trace.request_begins(since, request, volume, client.and_then(|client| client.pid));
        }
    }

    fn set_io(&mut self, number: VolumeNumber, io: VolumeIo) {
        let volume = self.volumes.entry(number).or_insert_with(waiting);
        volume.set_time(self.now);
        let was_known = volume.map().home().is_some();
        match io {
            VolumeIo::Gone => volume.handle_gone(),
            VolumeIo::Runs { map, rules } => volume.go_on(map, rules),
            VolumeIo::Still => volume.stand_still(),
        }
        if !was_known {
            self.trace_awaited(number);
        }
        self.busy.push(number);
    }

    fn serve(&mut self, volume: VolumeNumber, socket: OwnedFd, session: Session) {
        // It may be heard before there is word of the volume.
        self.volumes.entry(volume).or_insert_with(waiting);
        let place = self.clients.insert(Client::new(volume, socket, session));
        self.stirred.push(place);
    }

    /// What has become possible. Clients have a few turns; whoever has more to say has it after the
    /// disks and the reactor were heard.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.busy.is_empty() && self.stirred.is_empty() {
                return;
            }
            let mut stirred = std::mem::take(&mut self.stirred);
            stirred.sort_unstable();
            stirred.dedup();
            for place in stirred {
                self.attend(place);
            }
            while let Some(number) = self.busy.pop() {
                while let Some(output) = self.volumes.get_mut(&number).and_then(Volume::poll_output)
                {
                    self.handle_output(number, output);
                }
            }
        }
    }

    /// Hears a client and speaks to it, as far as its socket goes.
    fn attend(&mut self, place: usize) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.speak(&mut self.pool);
        self.now = now();
        let mut budget = BUDGET;
        while let Some(client) = self.clients.get_mut(place)
            && let Some(asked) = client.hear(&mut self.pool, &mut budget)
        {
            let number = client.volume;
            self.ask(number, place, asked);
        }
        let Some(client) = self.clients.get_mut(place) else { return };
        client.speak(&mut self.pool);
        if client.is_over() {
            let volume = client.volume;
            for key in [HEARS, SPEAKS] {
                self.driver.unwatch(key | place as u64);
            }
            self.clients.remove(place);
            self.out.send(FromShard::Left(volume));
            return;
        }
        if client.is_cut_short() || client.listens() && budget == 0 {
            self.stirred.push(place);
        } else if client.wants_watch() {
            self.driver.watch(&client.socket(), HEARS | place as u64, false);
        }
        if client.has_unsent() && !client.is_awaited {
            client.is_awaited = true;
            self.driver.watch(&client.socket(), SPEAKS | place as u64, true);
        }
    }

    fn ask(&mut self, number: VolumeNumber, client: usize, asked: Asked) {
        let (at, len) = range(&asked.head);
        let what = asked.what;
        let place = self.requests.insert(Asking::Client(client, asked));
        let request = Request { id: RequestId(place as u64), what, at, len };
        let pid = self.clients.get(client).and_then(|client| client.pid);
        if !self.submit(number, request, pid) {
            self.answer(request.id, Err(crate::volume::IoFailed::Gone));
        }
    }

    fn handle_output(&mut self, number: VolumeNumber, output: VolumeOutput) {
        match output {
            VolumeOutput::Disk(op) => self.send(number, op, None),
            VolumeOutput::Done(request, result) => self.answer(request, result),
            VolumeOutput::FirstChange => {
                self.out.send(FromShard::FirstChange(number));
            }
            VolumeOutput::Held(request) => self.held(request),
            VolumeOutput::Log(op, data) => {
                let buffer = self.pool.take(data.len());
                if let Ok(mut room) = buffer.fill(0..data.len()) {
                    room.copy_from_slice(&data);
                }
                self.send(number, op, Some(buffer));
            }
            VolumeOutput::ReadLog(op) => {
                let len = usize::try_from(op.len * SECTOR).unwrap_or(0);
                let buffer = self.pool.take(len);
                self.send(number, op, Some(buffer));
            }
            VolumeOutput::Note(note) => {
                if let Some(volume) = self.volumes.get(&number) {
                    self.faults.tell(number, volume.map(), &note);
                }
            }
            VolumeOutput::PlexFailed { plex, disk } => {
                self.out.send(FromShard::PlexFailed(number, plex, disk));
            }
            VolumeOutput::Unfilled { at, len } => {
                self.out.send(FromShard::Unfilled(number, at, len));
            }
            VolumeOutput::Still => {
                let said = self.said.get(&number).copied().unwrap_or(0);
                self.out.send(FromShard::Still(number, said));
            }
        }
    }

    fn answer(&mut self, request: RequestId, result: Result<(), crate::volume::IoFailed>) {
        let place = usize::try_from(request.0).unwrap_or(usize::MAX);
        if self.trace.is_on() {
            self.trace.ends(self.now, Key::Request(request), result.is_ok());
        }
        match self.requests.try_remove(place) {
            Some(Asking::Client(place, asked)) => {
                if let Some(client) = self.clients.get_mut(place) {
                    client.answer(asked, result, &mut self.pool);
                    self.stirred.push(place);
                }
            }
            Some(Asking::Copy(volume, number, buffer)) => {
                self.pool.give_back(buffer);
                self.copied(volume, number, result.is_ok());
            }
            Some(Asking::Fill(volume, number, buffer)) => {
                self.pool.give_back(buffer);
                self.out.send(FromShard::FillDone(volume, number, result));
            }
            Some(Asking::Hold(volume, number)) => {
                self.held_no_more(volume, number, result.is_err());
            }
            None => {}
        }
    }

    /// An operation of a volume goes to its disk, wherever that is.
    fn send(&mut self, number: VolumeNumber, op: DiskOp, log: Option<IoBuffer>) {
        let Some(volume) = self.volumes.get(&number) else { return };
        let Some(disk) = volume.map().disks().get(op.disk.0).cloned() else { return };
        if self.trace.is_on() {
            self.trace.op_begins(self.now, number, volume, op.id);
        }
        let (begun, is_given_up) = (self.now, false);
        let lease = None;
        self.find_way(Flight { volume: number, op, disk, begun, is_given_up, log, lease });
    }

    fn find_way(&mut self, flight: Flight) {
        if self.hung.has(&flight.disk) {
            self.landed(flight, false);
            return;
        }
        if flight.op.work.changes() {
            self.disks.forget_unwritable(&flight.disk);
        }
        match self.disks.way(&flight.disk, || flight.clone()) {
            Way::Go(found) => self.launch(flight, &found),
            Way::Seek => {
                self.out.send(FromShard::Find(flight.disk));
            }
            Way::Wait => {}
        }
    }

    fn launch(&mut self, mut flight: Flight, found: &Found) {
        // It may have waited for the disk meanwhile.
        if self.volumes.get(&flight.volume).is_none_or(Volume::is_gone) {
            self.landed(flight, false);
            return;
        }
        let op = flight.op;
        let end = op.at.checked_add(op.len);
        let what = end.filter(|end| *end <= found.public_len);
        let what = what.and_then(|_| self.what(found, &flight));
        let Some(what) = what else {
            // The disk is not the one that the configuration means.
            self.landed(flight, false);
            return;
        };
        if self.is_shared(flight.volume) {
            let Some(lease) = self.lease.as_ref().filter(|lease| lease.holds()) else {
                self.leaseless.push(flight);
                return;
            };
            // Nobody is in the way of what is only read.
            flight.lease = flight.op.work.changes().then(|| Arc::clone(lease));
        }
        flight.begun = self.now;
        let key = self.flights.insert(flight) as u64;
        self.driver.submit(key, Operation { file: Arc::clone(&found.file), what });
    }

    /// The disks of the volume belong to several nodes: others may have gone on without this one.
    fn is_shared(&self, number: VolumeNumber) -> bool {
        self.volumes.get(&number).is_some_and(|volume| volume.rules().is_shared)
    }

    /// A lease that is over is let go of by the ring as well, when the last flight under it has landed.
    fn untie(&mut self) {
        let is_still =
            |flights: &Slab<Flight>| flights.iter().all(|(_, flight)| flight.lease.is_none());
        if self.is_tied && self.lease.is_none() && is_still(&self.flights) {
            self.is_tied = self.driver.tie(Knot::Lease, None).is_err();
        }
    }

    /// What waits for the lease: it may go; or this node is told that it is out, and what it is told
    /// in its next stay has nothing to do with it.
    fn try_leaseless(&mut self) {
        for flight in std::mem::take(&mut self.leaseless) {
            if self.lease.is_none() {
                self.landed(flight, false);
            } else {
                self.find_way(flight);
            }
        }
    }

    fn what(&self, found: &Found, Flight { op, log, .. }: &Flight) -> Option<driver::What> {
        let at = found.public_at.checked_add(op.at)?.checked_mul(SECTOR)?;
        let bytes = op.len.checked_mul(SECTOR)?;
        let from = usize::try_from(op.offset.checked_mul(SECTOR)?).ok()?;
        let buffer = || {
            let asking = || self.requests.get(usize::try_from(op.request.0).ok()?);
            let buffer = log.clone().or_else(|| asking()?.buffer().cloned());
            Some((buffer?, u32::try_from(bytes).ok()?))
        };
        Some(match op.work {
            DiskWork::Flush => driver::What::Flush,
            DiskWork::Read => {
                let (buffer, len) = buffer()?;
                driver::What::Read { buffer, from, len, at }
            }
            DiskWork::Write { durable } => {
                let (buffer, len) = buffer()?;
                driver::What::Write { buffer, from, len, at, durable }
            }
            DiskWork::Zero { may_unmap } => driver::What::Zero { at, len: bytes, may_unmap },
        })
    }

    fn done(&mut self, key: u64, result: Result<(), i32>) {
        let place = usize::try_from(key).unwrap_or(usize::MAX);
        let Some(flight) = self.flights.try_remove(place) else { return };
        if flight.is_given_up {
            self.answered_late(&flight);
            return;
        }
        if let Err(errno) = result {
            let (disk, at, len) = (&flight.disk, flight.op.at, flight.op.len);
            let error = io::Error::from_raw_os_error(errno);
            tracing::warn!("disk {disk}: {} of {len} sectors at {at}: {error}", word(&flight.op));
            self.disks.forget(&flight.disk);
        }
        self.landed(flight, result.is_ok());
    }

    /// What was read of a log is for its volume.
    fn log_was_read(&mut self, flight: &Flight) -> bool {
        let Some(log) = flight.log.as_ref().filter(|_| flight.op.work == DiskWork::Read) else {
            return true;
        };
        let len = usize::try_from(flight.op.len * SECTOR).unwrap_or(0);
        let Ok(bytes) = log.view(0..len) else { return false };
        if let Some(volume) = self.volume(flight.volume) {
            volume.handle_log_read(flight.op.id, &bytes);
        }
        true
    }

    pub(super) fn landed(&mut self, flight: Flight, is_done: bool) {
        let is_done = is_done && self.log_was_read(&flight);
        flight.log.into_iter().for_each(|buffer| self.pool.give_back(buffer));
        if self.trace.is_on() {
            self.trace.ends(self.now, Key::Op(flight.volume, flight.op.id), is_done);
        }
        if !is_done && let Some(volume) = self.volumes.get(&flight.volume) {
            self.faults.remember(flight.volume, volume, flight.op.id);
        }
        if let Some(volume) = self.volume(flight.volume) {
            volume.handle_done(flight.op.id, is_done);
            self.busy.push(flight.volume);
        }
    }
}

/// What a volume has done is added to what others have.
fn remember(stats: &mut Stats, volume: &Volume) {
    if let Some(home) = volume.map().home() {
        stats.add_objects(&home.id, &volume.stats());
    }
}

/// A volume that nothing is known of yet.
pub(super) fn waiting() -> Volume {
    let mut volume = Volume::new(Arc::default(), Rules::default());
    volume.stand_still();
    volume
}

const fn word(op: &DiskOp) -> &'static str {
    match op.work {
        DiskWork::Flush => "flush",
        DiskWork::Read => "read",
        DiskWork::Write { .. } | DiskWork::Zero { .. } => "write",
    }
}

/// Keys of the driver beside those of operations, which are below them.
const HEARS: u64 = 1 << 62;
const SPEAKS: u64 = 1 << 61;
const INBOX: u64 = u64::MAX;
/// Buffers that are kept, in bytes.
const POOL: usize = 32 << 20;
/// What a client may have done for it in a turn, see [`Client::hear`].
const BUDGET: usize = 256 << 10;
/// Turns between two looks at disks.
const ROUNDS: usize = 4;
/// Between two looks at logs: regions that were not changed since are not dirty any more.
const TIDY: Duration = Duration::from_secs(5);
/// Between two looks for what disks do not answer.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at a lease that operations wait for.
const LEASE: Duration = Duration::from_millis(5);
/// So that a wake-up that was missed costs no more than this.
const LONGEST: Duration = Duration::from_secs(1);
