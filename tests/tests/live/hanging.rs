//! A disk that answers when it is told to, or with errors: a FUSE file system that is one file, over another file.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyOpen, ReplyWrite, Request, Session,
    SessionACL, WriteFlags,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

type Job = Box<dyn FnOnce() + Send>;

/// What is asked while it hangs.
#[derive(Default)]
struct Gate {
    hangs: bool,
    hangs_writes: bool,
    fails: bool,
    waiting: VecDeque<Job>,
}

/// The disk.
pub(crate) struct Hanging {
    path: PathBuf,
    gate: Arc<Mutex<Gate>>,
    thread: Option<JoinHandle<()>>,
}

impl Hanging {
    /// Puts it in the place of a file or a link, over what that led to. It answers at first.
    pub(crate) fn instead_of(path: &Path) -> Self {
        let below = OpenOptions::new().read(true).write(true).open(path).unwrap();
        std::fs::remove_file(path).unwrap();
        File::create_new(path).unwrap();
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=100000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("hanging", path, "fuse.hanging", flags, options.as_c_str()).unwrap();
        let gate = Arc::<Mutex<Gate>>::default();
        let served = Served { below: Arc::new(below), gate: Arc::clone(&gate) };
        let (acl, config) = (SessionACL::Owner, Config::default());
        let session = Session::from_fd(served, device.into(), acl, config).unwrap();
        let run = move || drop(session.run());
        let thread = std::thread::Builder::new().name("hanging".to_owned()).spawn(run).unwrap();
        Self { path: path.to_owned(), gate, thread: Some(thread) }
    }

    /// It answers nothing that it is asked from now on.
    pub(crate) fn hang(&self) {
        self.gate.lock().unwrap().hangs = true;
    }

    /// The same for writes alone.
    pub(crate) fn hang_writes(&self) {
        self.gate.lock().unwrap().hangs_writes = true;
    }

    /// It answers everything with an error from now on.
    pub(crate) fn fail(&self) {
        self.gate.lock().unwrap().fails = true;
    }

    /// It does what it was told, and answers.
    pub(crate) fn answer(&self) {
        let mut gate = self.gate.lock().unwrap();
        (gate.hangs, gate.hangs_writes, gate.fails) = (false, false, false);
        gate.waiting.drain(..).for_each(|job| job());
    }

    /// So much has not been answered.
    pub(crate) fn waiting(&self) -> usize {
        self.gate.lock().unwrap().waiting.len()
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.answer();
        let _ = unmount(&self.path, UnmountFlags::DETACH);
        // It ends with the last file that is open.
        drop(self.thread.take());
    }
}

struct Served {
    below: Arc<File>,
    gate: Arc<Mutex<Gate>>,
}

impl Served {
    fn perform(&self, is_write: bool, job: impl FnOnce(std::io::Result<&File>) + Send + 'static) {
        let below = Arc::clone(&self.below);
        let mut gate = self.gate.lock().unwrap();
        if gate.hangs || gate.hangs_writes && is_write {
            gate.waiting.push_back(Box::new(move || job(Ok(&below))));
        } else if gate.fails {
            job(Err(std::io::Error::from_raw_os_error(5)));
        } else {
            job(Ok(&below));
        }
    }
}

fn told(error: &std::io::Error) -> Errno {
    Errno::from_i32(error.raw_os_error().unwrap_or(5))
}

impl Filesystem for Served {
    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let (size, time) = (self.below.metadata().unwrap().len(), UNIX_EPOCH);
        let attributes = FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: FileType::RegularFile,
            perm: 0o600,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        };
        reply.attr(&Duration::from_secs(1), &attributes);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(1), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.perform(false, move |below| {
            let mut bytes = vec![0; size as usize];
            match below.and_then(|below| below.read_at(&mut bytes, offset)) {
                Ok(count) => reply.data(&bytes[..count]),
                Err(error) => reply.error(told(&error)),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.perform(true, move |below| {
            match below.and_then(|below| below.write_all_at(&data, offset)) {
                Ok(()) => reply.written(u32::try_from(data.len()).unwrap()),
                Err(error) => reply.error(told(&error)),
            }
        });
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.perform(true, move |below| match below.and_then(|below| below.sync_all()) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(told(&error)),
        });
    }
}
