//! Writes to the disks of groups, and where disks are: a thread for each disk, so that one that hangs
//! holds up no other.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use crossbeam::channel::{Sender, unbounded};
use llt::Instant;

use crate::core::iod::{DiskError, LogIo, LogToken, Token, Write, WriteDone};
use crate::daemon::{Jobs, now};
use crate::disk::{Claim, Image, ImageError, Label};
use crate::engine::{DiskFile, Found, HungDisks, IoLease};
use crate::io::{Device, DeviceError, devices};
use crate::model::UniqueId;
use crate::model::size::SECTOR;

#[derive(Debug)]
pub(super) struct Job {
    disk: UniqueId,
    what: What,
    /// What has to hold when it is done: the disk belongs to several nodes.
    lease: Option<Leased>,
}

/// An operation on a disk that belongs to several nodes. Before it begins it holds up no end of the
/// registration that it was asked for under.
#[derive(Clone, Debug)]
struct Leased(Weak<IoLease>);

impl Leased {
    /// The lease, to be kept until the operation is over.
    fn held(&self) -> Option<Arc<IoLease>> {
        self.0.upgrade().filter(|lease| lease.holds())
    }

    /// It was begun under this registration.
    fn is_of(&self, lease: Option<&Arc<IoLease>>) -> bool {
        lease.is_some_and(|lease| std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(lease)))
    }
}

impl Job {
    /// How it ends if nobody does it.
    fn refused(self) -> Option<Done> {
        Some(match self.what {
            What::Claim(token, _) | What::Image(token, _) => {
                Done::Written(token, Err(DiskError::NoLease))
            }
            What::Find | What::Look => return None,
            What::Log(token, _) => Done::Log(token, Err(DiskError::NoLease)),
        })
    }
}

#[derive(Debug)]
enum What {
    Claim(Token, Box<Claim>),
    Find,
    Image(Token, Arc<Encoded>),
    Log(LogToken, LogIo),
    Look,
}

impl What {
    const fn changes(&self) -> bool {
        match self {
            Self::Claim(..) | Self::Image(..) | Self::Log(_, LogIo::Write { .. }) => true,
            Self::Find | Self::Log(_, LogIo::Read { .. }) | Self::Look => false,
        }
    }
}

/// What has come of something.
#[derive(Debug)]
pub(super) enum Done {
    /// A disk was looked for.
    Found(UniqueId, Option<Arc<Found>>),
    /// A disk does not answer, or has answered all that it was told.
    Hangs(UniqueId),
    /// The others may have gone on without this node: it has to wait.
    Leaseless(Box<Job>),
    /// A log was read, or written, or was not.
    Log(LogToken, Result<Bytes, DiskError>),
    /// A disk that could be written was there, or was not.
    Looked(UniqueId, bool),
    /// Something was written, or was not.
    Written(Token, WriteDone),
}

/// The bytes of a configuration are the same on every disk: the first thread that needs them makes
/// them.
#[derive(Debug)]
struct Encoded {
    image: Arc<Image>,
    bytes: OnceLock<Result<Vec<u8>, ImageError>>,
}

impl Encoded {
    fn bytes(&self) -> Result<&[u8], ImageError> {
        let made = self.bytes.get_or_init(|| self.image.encode(u32::MAX));
        made.as_deref().map_err(Clone::clone)
    }
}

/// What a disk owes an answer to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Owed {
    Log(LogToken),
    Write(Token),
}

impl Owed {
    const fn of(what: &What) -> Option<Self> {
        match what {
            What::Claim(token, _) | What::Image(token, _) => Some(Self::Write(*token)),
            What::Find | What::Look => None,
            What::Log(token, _) => Some(Self::Log(*token)),
        }
    }

    /// Nobody waits for it any more.
    const fn failed(self) -> Done {
        match self {
            Self::Log(token) => Done::Log(token, Err(DiskError::NoPath)),
            Self::Write(token) => Done::Written(token, Err(DiskError::NoPath)),
        }
    }
}

/// Something that is with a disk.
#[derive(Debug)]
struct Told {
    disk: UniqueId,
    since: Instant,
    /// The disk belongs to several nodes, and is not only read.
    is_change: bool,
    /// Nobody waits for the answer any more.
    is_given_up: bool,
}

/// The disks that are written.
#[derive(Debug)]
pub(super) struct Disks {
    root: PathBuf,
    jobs: Jobs<Done>,
    workers: BTreeMap<UniqueId, Sender<Job>>,
    /// What disks were told and have not answered.
    told: BTreeMap<Owed, Told>,
    hung: Arc<HungDisks>,
    /// Of the registration on port v, if there is one.
    lease: Option<Arc<IoLease>>,
    /// What waits for it.
    leaseless: Vec<Job>,
    /// The newest configuration that was to be written.
    newest: Option<Arc<Encoded>>,
    /// Makes bytes before they are written.
    encoder: Sender<Arc<Encoded>>,
}

impl Disks {
    pub(super) fn new(root: &Path, hung: &Arc<HungDisks>) -> io::Result<Self> {
        let (root, jobs) = (root.to_owned(), Jobs::new()?);
        let (encoder, waiting) = unbounded::<Arc<Encoded>>();
        std::thread::Builder::new().name("vxiod-encode".to_owned()).spawn(move || {
            // What cannot be encoded is told when it is written.
            waiting.iter().for_each(|encoded| drop(encoded.bytes()));
        })?;
        let (workers, told, hung) = (BTreeMap::new(), BTreeMap::new(), Arc::clone(hung));
        let (lease, leaseless, newest) = (None, Vec::new(), None);
        Ok(Self { root, jobs, workers, told, hung, lease, leaseless, newest, encoder })
    }

    /// Begins a write; `Some` if it has failed already.
    pub(super) fn write(
        &mut self,
        token: Token,
        write: Write,
        is_shared: bool,
    ) -> Option<(Token, WriteDone)> {
        let disk = write.disk().clone();
        let what = match write {
            Write::Claim(claim) => What::Claim(token, claim),
            Write::Image(_, image) => What::Image(token, self.encoded(&image)),
        };
        let is_begun = !self.hung.has(&disk) && self.begin(&disk, what, is_shared);
        (!is_begun).then_some((token, Err(DiskError::NoPath)))
    }

    /// Begins to read or write a log; `false` if nobody will.
    pub(super) fn log(&mut self, token: LogToken, io: LogIo) -> bool {
        let (LogIo::Read { disk, .. } | LogIo::Write { disk, .. }) = &io;
        let (disk, is_shared) = (disk.clone(), matches!(io, LogIo::Write { is_shared: true, .. }));
        !self.hung.has(&disk) && self.begin(&disk, What::Log(token, io), is_shared)
    }

    /// Looks for a disk; `false` if nobody will.
    pub(super) fn find(&mut self, disk: &UniqueId) -> bool {
        self.begin(disk, What::Find, false)
    }

    /// Looks whether a disk could be written; `false` if nobody will.
    pub(super) fn look(&mut self, disk: &UniqueId) -> bool {
        self.begin(disk, What::Look, false)
    }

    fn begin(&mut self, disk: &UniqueId, what: What, is_shared: bool) -> bool {
        if !self.workers.contains_key(disk) {
            let mut place = Place { root: self.root.clone(), path: None };
            match self.jobs.worker("vxiod-disk", move |job| perform(&mut place, job)) {
                Ok(worker) => {
                    self.workers.insert(disk.clone(), worker);
                }
                Err(error) => {
                    tracing::error!(%error, %disk, "no thread for a disk");
                    return false;
                }
            }
        }
        let of =
            |lease: &Option<Arc<IoLease>>| lease.as_ref().map(Arc::downgrade).unwrap_or_default();
        let lease = is_shared.then(|| Leased(of(&self.lease)));
        let job = Job { disk: disk.clone(), what, lease };
        // What was asked of a disk is done in that order.
        if job.lease.is_some() && self.leaseless.iter().any(|other| other.disk == job.disk) {
            self.leaseless.push(job);
            return true;
        }
        self.pass_on(job)
    }

    fn pass_on(&mut self, job: Job) -> bool {
        let (owed, disk) = (Owed::of(&job.what), job.disk.clone());
        let is_change = job.lease.is_some() && job.what.changes();
        let is_told = self.workers.get(&disk).is_some_and(|worker| worker.send(job).is_ok());
        if let Some(owed) = owed.filter(|_| is_told) {
            self.told.insert(owed, Told { disk, since: now(), is_change, is_given_up: false });
        }
        is_told
    }

    /// When a disk that has not answered yet is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let limit = self.hung.limit()?;
        let waits = self.told.values().filter(|told| !told.is_given_up);
        waits.map(|told| told.since + limit).min()
    }

    /// What a disk has not done for too long counts as failed; it may still do it, so this node tells it
    /// nothing before it has.
    fn give_up_hung(&mut self, ended: &mut Vec<Done>) {
        let Some(limit) = self.hung.limit() else { return };
        let at = now();
        let waits = self.told.iter_mut().filter(|(_, told)| !told.is_given_up);
        for (owed, told) in waits.filter(|(_, told)| at.since(told.since) >= limit) {
            told.is_given_up = true;
            if let Some(owes) = self.hung.give_up(&told.disk, told.is_change) {
                tracing::error!("disk {} has not answered for {limit:?}: {owes}", told.disk);
                ended.push(Done::Hangs(told.disk.clone()));
            }
            ended.push(owed.failed());
        }
    }

    /// A disk has answered; `false`: too late.
    fn answers(&mut self, owed: Owed, ended: &mut Vec<Done>) -> bool {
        let Some(told) = self.told.remove(&owed).filter(|told| told.is_given_up) else {
            return true;
        };
        if let Some(owes) = self.hung.answers(&told.disk, told.is_change) {
            tracing::info!("disk {} has answered: {owes}", told.disk);
            ended.push(Done::Hangs(told.disk));
        }
        false
    }

    /// Port v is open, or closed: what waits under a lease of before is not done any more.
    pub(super) fn set_lease(&mut self, lease: Option<Arc<IoLease>>) {
        self.lease = lease;
    }

    /// Something waits for the lease.
    pub(super) fn is_leaseless(&self) -> bool {
        !self.leaseless.is_empty()
    }

    /// A configuration is going to be written.
    pub(super) fn prepare(&mut self, image: &Arc<Image>) {
        let encoded = self.encoded(image);
        // Without that thread, whoever writes it makes them.
        let _ = self.encoder.send(encoded);
    }

    fn encoded(&mut self, image: &Arc<Image>) -> Arc<Encoded> {
        let known = self.newest.take_if(|newest| Arc::ptr_eq(&newest.image, image));
        let encoded = known.unwrap_or_else(|| {
            Arc::new(Encoded { image: Arc::clone(image), bytes: OnceLock::new() })
        });
        Arc::clone(self.newest.insert(encoded))
    }

    /// What has ended. What came back for want of a lease goes out again when there is one.
    pub(super) fn done(&mut self) -> Vec<Done> {
        let mut ended = Vec::new();
        let mut leaseless = std::mem::take(&mut self.leaseless);
        for done in self.jobs.results() {
            match done {
                Done::Leaseless(job) => {
                    let owed = Owed::of(&job.what);
                    if owed.is_none_or(|owed| self.answers(owed, &mut ended)) {
                        leaseless.push(*job);
                    }
                }
                Done::Log(token, done) => {
                    if self.answers(Owed::Log(token), &mut ended) {
                        ended.push(Done::Log(token, done));
                    }
                }
                Done::Written(token, done) => {
                    if self.answers(Owed::Write(token), &mut ended) {
                        ended.push(Done::Written(token, done));
                    }
                }
                Done::Found(..) | Done::Hangs(..) | Done::Looked(..) => ended.push(done),
            }
        }
        self.give_up_hung(&mut ended);
        for job in leaseless {
            let Some(leased) = &job.lease else { continue };
            if !leased.is_of(self.lease.as_ref()) {
                ended.extend(job.refused());
            } else if leased.held().is_some() {
                self.pass_on(job);
            } else {
                self.leaseless.push(job);
            }
        }
        ended
    }
}

/// Where a disk was the last time. Its thread looks for it, for a disk in its way may hang.
struct Place {
    root: PathBuf,
    path: Option<PathBuf>,
}

impl Place {
    /// The disk with this identity, where it was, else wherever it is now.
    fn find(&mut self, disk: &UniqueId) -> Option<(Device, Label)> {
        let open = |path: &PathBuf| {
            let device = Device::open(path).ok()?;
            let label = device.label().ok().filter(|label| label.disk == *disk)?;
            Some((device, label))
        };
        if let Some(found) = self.path.as_ref().and_then(open) {
            return Some(found);
        }
        let (path, found) = devices(&self.root)
            .into_values()
            .find_map(|path| Some((path.clone(), open(&path)?)))?;
        self.path = Some(path);
        Some(found)
    }
}

impl AsFd for Disks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.jobs.as_fd()
    }
}

/// The disk is opened each time: its path may lead elsewhere by now.
fn perform(place: &mut Place, job: Job) -> Done {
    let found = place.find(&job.disk);
    let lease = job.lease.as_ref().map(Leased::held);
    if lease.as_ref().is_some_and(Option::is_none) {
        return Done::Leaseless(Box::new(job));
    }
    match job.what {
        What::Claim(token, claim) => {
            let write = |(device, label): (Device, Label)| device.write_claim(&label, &claim);
            Done::Written(token, written(found.map(write)))
        }
        What::Find => {
            let found = found.and_then(|(device, label)| open(&device, &label));
            Done::Found(job.disk, found.map(Arc::new))
        }
        What::Image(token, encoded) => {
            let write = |(device, label): (Device, Label)| {
                let bytes = encoded.bytes().map_err(DeviceError::Image)?;
                device.write_image(&label, encoded.image.slot, bytes)
            };
            Done::Written(token, written(found.map(write)))
        }
        What::Look => {
            let sees = found.is_some_and(|(device, _)| device.is_writable());
            Done::Looked(job.disk, sees)
        }
        What::Log(token, io) => {
            let perform = |(device, label): (Device, Label)| match io {
                LogIo::Read { at, len, .. } => device.read_public(&label, at, len),
                LogIo::Write { at, data, .. } => {
                    device.write_public(&label, at, &data).map(|()| Bytes::new())
                }
            };
            Done::Log(token, written(found.map(perform)))
        }
    }
}

fn written<T>(done: Option<Result<T, DeviceError>>) -> Result<T, DiskError> {
    done.unwrap_or(Err(DeviceError::Kind)).map_err(|error| match error {
        DeviceError::Image(_) => DiskError::NoSpace,
        DeviceError::Io(error) => DiskError::Failed(error.raw_os_error().unwrap_or(5)),
        DeviceError::Format(_)
        | DeviceError::Geometry(_)
        | DeviceError::Kind
        | DeviceError::Short { .. } => DiskError::NoPath,
    })
}

/// Its file, for the data of volumes.
fn open(device: &Device, label: &Label) -> Option<Found> {
    match DiskFile::open(device.path(), device.is_writable()) {
        Ok(file) if u64::from(file.alignment().offset) > SECTOR => {
            let (disk, sector) = (&label.disk, file.alignment().offset);
            tracing::error!("disk {disk} has sectors of {sector} bytes: expected {SECTOR}");
            None
        }
        Ok(file) => {
            let public = label.geometry.public();
            let (public_at, public_len) = (public.offset, public.len);
            Some(Found { file: Arc::new(file), public_at, public_len })
        }
        Err(error) => {
            tracing::warn!("disk {} at {}: {error}", label.disk, device.path().display());
            None
        }
    }
}
