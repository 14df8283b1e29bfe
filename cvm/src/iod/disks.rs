//! Writes to the disks of groups: a thread for each disk, so that one that hangs holds up no other.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crossbeam::channel::Sender;

use crate::core::iod::{DiskError, Token, Write, WriteDone};
use crate::daemon::Jobs;
use crate::disk::Label;
use crate::io::{Device, DeviceError, devices};
use crate::model::UniqueId;

type Job = (Token, Write);

/// The disks that are written.
#[derive(Debug)]
pub(super) struct Disks {
    root: PathBuf,
    jobs: Jobs<(Token, WriteDone)>,
    workers: BTreeMap<UniqueId, Sender<Job>>,
}

impl Disks {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.to_owned(), jobs: Jobs::new()?, workers: BTreeMap::new() })
    }

    /// Begins a write; `Some` if it has failed already.
    pub(super) fn write(&mut self, token: Token, write: Write) -> Option<(Token, WriteDone)> {
        let disk = write.disk().clone();
        if !self.workers.contains_key(&disk) {
            let mut place = Place { root: self.root.clone(), path: None };
            match self.jobs.worker("vxiod-disk", move |job| perform(&mut place, job)) {
                Ok(worker) => {
                    self.workers.insert(disk.clone(), worker);
                }
                Err(error) => {
                    tracing::error!(%error, %disk, "no thread for a disk");
                    return Some((token, Err(DiskError::NoPath)));
                }
            }
        }
        let sent =
            self.workers.get(&disk).is_some_and(|worker| worker.send((token, write)).is_ok());
        (!sent).then_some((token, Err(DiskError::NoPath)))
    }

    /// Writes that have ended.
    pub(super) fn done(&self) -> Vec<(Token, WriteDone)> {
        self.jobs.results()
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
fn perform(place: &mut Place, (token, write): Job) -> (Token, WriteDone) {
    let Some((device, label)) = place.find(write.disk()) else {
        return (token, Err(DiskError::NoPath));
    };
    let done = match &write {
        Write::Claim(claim) => device.write_claim(&label, claim),
        Write::Image(_, image) => device.write_image(&label, image),
    };
    let done = done.map_err(|error| match error {
        DeviceError::Image(_) => DiskError::NoSpace,
        DeviceError::Io(error) => DiskError::Failed(error.raw_os_error().unwrap_or(5)),
        DeviceError::Format(_)
        | DeviceError::Geometry(_)
        | DeviceError::Kind
        | DeviceError::Short { .. } => DiskError::NoPath,
    });
    (token, done)
}
