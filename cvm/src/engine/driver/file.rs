//! Files and block devices that are disks.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawMode, SeekFrom, StatxFlags};

/// A disk that is open, past the cache of the system where that is possible.
#[derive(Debug)]
pub struct DiskFile {
    fd: OwnedFd,
    alignment: Alignment,
    is_direct: bool,
    /// A call for it may wait for the disk, also where it is to say that it would.
    holds_up: bool,
    is_writable: bool,
    /// As far as it was known last; see [`Self::len`].
    len: AtomicU64,
    /// No two of this process have the same.
    serial: u64,
    cannot_punch: AtomicBool,
    cannot_zero: AtomicBool,
}

/// What addresses must be multiples of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alignment {
    /// In memory. A buffer begins at a multiple of 4096.
    pub memory: u32,
    /// On the disk: the place, and the length.
    pub offset: u32,
}

/// Why something is no disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a directory, a pipe, or something else that is no disk.
    #[error("it is neither a file nor a block device")]
    Kind,
}

/// Its file system is a program's.
fn is_of_fuse(fd: &OwnedFd) -> bool {
    fs::fstatfs(fd).is_ok_and(|system| system.f_type == FUSE)
}

/// The kernel's number of such file systems.
const FUSE: fs::FsWord = 0x6573_5546;

impl DiskFile {
    /// Opens a disk, for reading and writing or for reading only.
    ///
    /// # Errors
    /// If it cannot be opened so, or is neither a file nor a block device.
    pub fn open(path: &Path, for_write: bool) -> Result<Self, OpenError> {
        // To open something else may do something else: tapes are rewound.
        is_disk(fs::stat(path).map_err(io::Error::from)?.st_mode)?;
        // A pipe that has taken its place meanwhile holds up nobody.
        let access = if for_write { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = access | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let fd = fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
        let kind = is_disk(fs::fstat(&fd).map_err(io::Error::from)?.st_mode)?;
        let alignment = alignment(&fd, kind);
        let is_direct = set_direct(&fd, alignment.is_some())?;
        let holds_up = !is_direct || is_of_fuse(&fd);
        let len = AtomicU64::new(length(&fd)?);
        Ok(Self {
            fd,
            alignment: alignment.filter(|_| is_direct).unwrap_or(Alignment::NONE),
            is_direct,
            holds_up,
            is_writable: for_write,
            len,
            serial: SERIALS.fetch_add(1, Ordering::Relaxed),
            cannot_punch: AtomicBool::new(false),
            cannot_zero: AtomicBool::new(false),
        })
    }

    /// What direct I/O asks for; 1 and 1 if it is not direct.
    pub const fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// It is read and written past the cache of the system.
    pub const fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Whoever tells it something waits until it is done.
    pub(super) const fn holds_up(&self) -> bool {
        self.holds_up
    }

    /// It may be written.
    pub const fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Its length in bytes, as it was when it was opened, or when something beyond that was to be
    /// written.
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// There is nothing of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// It is as long as that. A disk may have grown, but nothing that is written makes it grow.
    pub(super) fn reaches(&self, end: u64) -> bool {
        end <= self.len() || end <= self.refresh()
    }

    /// Its length as it is now.
    pub(super) fn refresh(&self) -> u64 {
        if let Ok(len) = length(&self.fd) {
            self.len.store(len, Ordering::Relaxed);
        }
        self.len()
    }

    pub(super) const fn serial(&self) -> u64 {
        self.serial
    }

    /// How many were closed in this process.
    pub(super) fn closed() -> u64 {
        CLOSED.load(Ordering::Relaxed)
    }

    pub(super) fn can_punch(&self) -> bool {
        !self.cannot_punch.load(Ordering::Relaxed)
    }

    pub(super) fn can_zero(&self) -> bool {
        !self.cannot_zero.load(Ordering::Relaxed)
    }

    /// Holes are refused, and nobody need try again.
    pub(super) fn set_cannot_punch(&self) {
        self.cannot_punch.store(true, Ordering::Relaxed);
    }

    /// The same of ranges that are set to zero.
    pub(super) fn set_cannot_zero(&self) {
        self.cannot_zero.store(true, Ordering::Relaxed);
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        CLOSED.fetch_add(1, Ordering::Relaxed);
    }
}

impl AsFd for DiskFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for DiskFile {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Alignment {
    const NONE: Self = Self { memory: 1, offset: 1 };
}

/// Its kind, if it is one of the two.
fn is_disk(mode: RawMode) -> Result<FileType, OpenError> {
    let kind = FileType::from_raw_mode(mode);
    let is_disk = kind.is_file() || kind.is_block_device();
    if is_disk { Ok(kind) } else { Err(OpenError::Kind) }
}

/// What direct I/O asks for, as far as the system tells; `None` if it says that there is none.
fn alignment(fd: &OwnedFd, kind: FileType) -> Option<Alignment> {
    let told = fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
    if let Ok(told) = told
        && StatxFlags::from_bits_retain(told.stx_mask).contains(StatxFlags::DIOALIGN)
    {
        let (memory, offset) = (told.stx_dio_mem_align, told.stx_dio_offset_align);
        return (memory != 0 && offset != 0).then_some(Alignment { memory, offset });
    }
    let sector = kind.is_block_device().then(|| fs::ioctl_blksszget(fd).ok()).flatten();
    let sector = sector.filter(|sector| sector.is_power_of_two()).unwrap_or(512);
    Some(Alignment { memory: sector, offset: sector })
}

/// Lets it wait again, and past the cache if it can.
fn set_direct(fd: &OwnedFd, is_wanted: bool) -> io::Result<bool> {
    let waiting = fs::fcntl_getfl(fd)? - OFlags::NONBLOCK;
    if is_wanted && fs::fcntl_setfl(fd, waiting | OFlags::DIRECT).is_ok() {
        return Ok(true);
    }
    fs::fcntl_setfl(fd, waiting)?;
    Ok(false)
}

/// Of a block device this is where its end is; nobody else uses the place in the file.
fn length(fd: &OwnedFd) -> io::Result<u64> {
    Ok(fs::seek(fd, SeekFrom::End(0))?)
}

static SERIALS: AtomicU64 = AtomicU64::new(1);
static CLOSED: AtomicU64 = AtomicU64::new(0);
