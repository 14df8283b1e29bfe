//! Writes to the disks of groups: a thread for each disk, so that one that hangs holds up no other.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crossbeam::channel::Sender;

use crate::core::iod::{DiskError, Token, Write, WriteDone};
use crate::daemon::Jobs;
use crate::io::{Device, DeviceError, devices};
use crate::model::UniqueId;

type Job = (Token, PathBuf, Write);

/// The disks that are written.
#[derive(Debug)]
pub(super) struct Disks {
    root: PathBuf,
    jobs: Jobs<(Token, WriteDone)>,
    workers: BTreeMap<UniqueId, (PathBuf, Sender<Job>)>,
}

impl Disks {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.to_owned(), jobs: Jobs::new()?, workers: BTreeMap::new() })
    }

    /// Begins a write; `Some` if it has failed already.
    pub(super) fn write(&mut self, token: Token, write: Write) -> Option<(Token, WriteDone)> {
        let disk = write.disk().clone();
        if !self.workers.contains_key(&disk) {
            self.find(&disk);
        }
        let Some((path, worker)) = self.workers.get(&disk) else {
            return Some((token, Err(DiskError::NoPath)));
        };
        let sent = worker.send((token, path.clone(), write));
        sent.is_err().then_some((token, Err(DiskError::NoPath)))
    }

    /// Looks for the disk with this label.
    fn find(&mut self, disk: &UniqueId) {
        let label = |path: &PathBuf| Device::open(path).and_then(|device| device.label());
        let mut paths = devices(&self.root).into_values();
        let path = paths.find(|path| label(path).is_ok_and(|label| label.disk == *disk));
        let Some(path) = path else { return };
        match self.jobs.worker("vxiod-disk", perform) {
            Ok(worker) => {
                self.workers.insert(disk.clone(), (path, worker));
            }
            Err(error) => tracing::error!(%error, %disk, "no thread for a disk"),
        }
    }

    /// Writes that have ended. A disk that failed is looked for anew the next time.
    pub(super) fn done(&mut self) -> Vec<(Token, WriteDone)> {
        let done = self.jobs.results();
        if done.iter().any(|(_, done)| done.is_err()) {
            self.workers.clear();
        }
        done
    }
}

impl AsFd for Disks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.jobs.as_fd()
    }
}

/// The disk is opened each time: its path may lead elsewhere by now.
fn perform((token, path, write): Job) -> (Token, WriteDone) {
    let perform = || {
        let device = Device::open(&path)?;
        let label = device.label()?;
        if label.disk != *write.disk() {
            return Err(DeviceError::Io(io::Error::from(io::ErrorKind::NotFound)));
        }
        match &write {
            Write::Claim(claim) => device.write_claim(&label, claim),
            Write::Image(_, image) => device.write_image(&label, image),
        }
    };
    let done = perform().map_err(|error| match error {
        DeviceError::Image(_) => DiskError::NoSpace,
        DeviceError::Io(error) => DiskError::Failed(error.raw_os_error().unwrap_or(5)),
        DeviceError::Format(_)
        | DeviceError::Geometry(_)
        | DeviceError::Kind
        | DeviceError::Short { .. } => DiskError::NoPath,
    });
    (token, done)
}
