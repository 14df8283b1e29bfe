//! What vxconfigd does with disks itself: it looks at them, and initialises those of no group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crossbeam::channel::Sender;

use crate::core::configd;
use crate::daemon::Jobs;
use crate::disk::{PRIVATE_LEN_DEFAULT, RequestId};
use crate::io::{Device, devices, scan};
use crate::model::UniqueId;
use crate::request::DiskRequest;

/// Something to do.
#[derive(Debug)]
enum Job {
    Disk(RequestId, DiskRequest, UniqueId, u64),
    Scan,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Disk(RequestId, Result<(), String>),
    Scan(Vec<configd::Device>),
}

/// The thread that does it.
#[derive(Debug)]
pub(super) struct Disks {
    jobs: Jobs<Done>,
    worker: Sender<Job>,
}

impl Disks {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let jobs = Jobs::new()?;
        let root = root.to_owned();
        let worker = jobs.worker("vxconfigd-disks", move |job| match job {
            Job::Disk(id, request, disk, time) => {
                Done::Disk(id, change(&root, &request, disk, time))
            }
            Job::Scan => Done::Scan(scan(&root)),
        })?;
        Ok(Self { jobs, worker })
    }

    pub(super) fn scan(&self) {
        // The thread lives as long as this.
        let _ = self.worker.send(Job::Scan);
    }

    /// `disk` is the identity of one that is initialised.
    pub(super) fn change(&self, id: RequestId, request: DiskRequest, disk: UniqueId, time: u64) {
        let _ = self.worker.send(Job::Disk(id, request, disk, time));
    }

    pub(super) fn done(&self) -> Vec<Done> {
        self.jobs.results()
    }
}

impl AsFd for Disks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.jobs.as_fd()
    }
}

fn change(root: &Path, request: &DiskRequest, disk: UniqueId, time: u64) -> Result<(), String> {
    let access = match request {
        DiskRequest::Setup { access, .. } | DiskRequest::Unsetup { access, .. } => access,
    };
    let path: PathBuf = devices(root).remove(access).ok_or("no such device")?;
    let said = |error: crate::io::DeviceError| format!("Device {access}: {error}");
    let device = Device::open(&path).map_err(said)?;
    match request {
        DiskRequest::Setup { private_len, .. } => {
            let private_len = private_len.unwrap_or(PRIVATE_LEN_DEFAULT);
            device.initialise(disk, time, private_len).map(|_| ()).map_err(said)
        }
        DiskRequest::Unsetup { .. } => device.wipe().map_err(said),
    }
}
