//! A tree of files: folders of groups with volumes in them, and which of them are open.
//!
//! Nothing is kept of what is there: each question goes to [`Volumes`], in a worker, and the kernel
//! keeps the answer for [`TTL`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use rustix::io::Errno;

use super::file::{Access, OpenFile};
use super::inodes::{Inodes, Node, ROOT};
use super::ranges::Ranges;
use super::volume::{Info, Refused, VolumeName, Volumes};
use super::workers::Workers;

/// What both trees share.
pub(super) struct Source {
    pub(super) volumes: Arc<dyn Volumes>,
    /// Of volumes that are open, in either tree.
    ranges: Mutex<BTreeMap<VolumeName, Weak<Ranges>>>,
    /// Questions about what is there. Those who open may wait for other nodes; they have threads of
    /// their own, so that what is there can still be looked at.
    pub(super) asking: Workers,
    pub(super) opening: Workers,
    /// All files are as old as this.
    time: SystemTime,
    /// See [`OpenFile::new`].
    cut: u32,
}

/// `dsk` or `rdsk`.
pub(super) struct Tree {
    pub(super) access: Access,
    pub(super) source: Arc<Source>,
    inodes: Mutex<Inodes>,
    handle: AtomicU64,
    files: Mutex<BTreeMap<u64, Arc<OpenFile>>>,
    folders: Mutex<BTreeMap<u64, Arc<Vec<Entry>>>>,
}

/// What stands in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) kind: FileType,
    pub(super) name: String,
}

impl Source {
    pub(super) fn new(volumes: Arc<dyn Volumes>, time: SystemTime, cut: u32) -> Self {
        let asking = Workers::new("asking", ASKING_MAX);
        let opening = Workers::new("opening", OPENING_MAX);
        Self { volumes, ranges: Mutex::default(), asking, opening, time, cut }
    }

    fn ranges(&self, name: &VolumeName) -> Arc<Ranges> {
        let mut all = lock(&self.ranges);
        if let Some(ranges) = all.get(name).and_then(Weak::upgrade) {
            return ranges;
        }
        all.retain(|_, ranges| ranges.strong_count() > 0);
        let ranges = Arc::default();
        all.insert(name.clone(), Arc::downgrade(&ranges));
        ranges
    }
}

impl Tree {
    pub(super) fn new(access: Access, source: Arc<Source>) -> Self {
        Self {
            access,
            source,
            inodes: Mutex::default(),
            handle: AtomicU64::new(1),
            files: Mutex::default(),
            folders: Mutex::default(),
        }
    }

    pub(super) fn node(&self, number: u64) -> Result<Node, Errno> {
        lock(&self.inodes).node(number).ok_or(Errno::STALE)
    }

    /// Something by its name in a folder. Blocks.
    pub(super) fn find(&self, folder: &Node, name: &OsStr) -> Result<FileAttr, Errno> {
        let name = name.to_str().ok_or(Errno::NOENT)?;
        match folder {
            Node::Root => {
                let volumes = self.source.volumes.list().map_err(|refused| refused.errno())?;
                let is_there = volumes.iter().any(|volume| volume.group() == name);
                let group = || self.folder(&Node::Group(name.to_owned()));
                is_there.then(group).ok_or(Errno::NOENT)
            }
            Node::Group(group) => self.volume(&VolumeName::new(group, name).ok_or(Errno::NOENT)?),
            Node::Volume(_) => Err(Errno::NOTDIR),
        }
    }

    /// What a volume is like. Blocks.
    pub(super) fn volume(&self, name: &VolumeName) -> Result<FileAttr, Errno> {
        match self.source.volumes.info(name) {
            Ok(info) => Ok(self.file(name, info)),
            Err(refused) => {
                tracing::debug!("{}: {refused}", name.export());
                Err(refused.errno())
            }
        }
    }

    /// What stands in a folder. Blocks.
    pub(super) fn entries(&self, folder: &Node) -> Result<Vec<Entry>, Errno> {
        let volumes = match folder {
            Node::Volume(_) => return Err(Errno::NOTDIR),
            Node::Group(_) | Node::Root => self.source.volumes.list(),
        };
        let volumes = volumes.map_err(|refused| refused.errno())?;
        let mut inodes = lock(&self.inodes);
        let number = inodes.number(folder);
        let dots = [(".", number), ("..", ROOT)];
        let dots = dots.map(|(name, number)| Entry::new(number, FileType::Directory, name));
        let mut entries = Vec::from(dots);
        if let Node::Group(group) = folder {
            let here: BTreeSet<_> = volumes.iter().filter(|name| name.group() == group).collect();
            for name in here {
                let number = inodes.number(&Node::Volume(name.clone()));
                entries.push(Entry::new(number, FileType::RegularFile, name.volume()));
            }
        } else {
            let groups: BTreeSet<_> = volumes.iter().map(VolumeName::group).collect();
            for group in groups {
                let number = inodes.number(&Node::Group(group.to_owned()));
                entries.push(Entry::new(number, FileType::Directory, group));
            }
        }
        Ok(entries)
    }

    /// Opens a volume; the handle of the file. Blocks.
    pub(super) fn open(&self, name: &VolumeName, writable: bool) -> Result<u64, Errno> {
        match self.source.volumes.open(name, writable) {
            Ok(volume) => {
                let (access, ranges) = (self.access, self.source.ranges(name));
                let file = OpenFile::new(access, volume, ranges, self.source.cut);
                let handle = self.next_handle();
                lock(&self.files).insert(handle, Arc::new(file));
                Ok(handle)
            }
            Err(refused) => {
                let how = if writable { "write" } else { "read" };
                // That somebody tries a name that is not there is no event.
                match &refused {
                    Refused::NoVolume(_) => tracing::debug!("{}: {refused}", name.export()),
                    Refused::BadServer(_)
                    | Refused::Busy(_)
                    | Refused::NotActivated(_)
                    | Refused::NotStarted(_)
                    | Refused::ReadOnly
                    | Refused::Room(_)
                    | Refused::Unreachable(_) => {
                        tracing::info!("{} is not opened to {how}: {refused}", name.export());
                    }
                }
                Err(refused.errno())
            }
        }
    }

    pub(super) fn opened(&self, handle: u64) -> Result<Arc<OpenFile>, Errno> {
        lock(&self.files).get(&handle).cloned().ok_or(Errno::BADF)
    }

    pub(super) fn close(&self, handle: u64) {
        let closed = lock(&self.files).remove(&handle);
        // It is dropped here, and not while others wait for the lock.
        drop(closed);
    }

    pub(super) fn next_handle(&self) -> u64 {
        self.handle.fetch_add(1, Ordering::Relaxed)
    }

    /// What an open folder shows: what was there when its reading began. Blocks.
    pub(super) fn read_folder(
        &self,
        folder: &Node,
        handle: u64,
        begins: bool,
    ) -> Result<Arc<Vec<Entry>>, Errno> {
        if !begins {
            return Ok(lock(&self.folders).get(&handle).cloned().unwrap_or_default());
        }
        let entries = Arc::new(self.entries(folder)?);
        lock(&self.folders).insert(handle, Arc::clone(&entries));
        Ok(entries)
    }

    pub(super) fn close_folder(&self, handle: u64) {
        lock(&self.folders).remove(&handle);
    }

    /// A folder, whether it is there or not.
    pub(super) fn folder(&self, node: &Node) -> FileAttr {
        let number = lock(&self.inodes).number(node);
        self.attributes(number, FileType::Directory, 0o755, 0)
    }

    fn file(&self, name: &VolumeName, info: Info) -> FileAttr {
        let number = lock(&self.inodes).number(&Node::Volume(name.clone()));
        let perm = if info.read_only { 0o400 } else { 0o600 };
        self.attributes(number, FileType::RegularFile, perm, info.size)
    }

    fn attributes(&self, number: u64, kind: FileType, perm: u16, size: u64) -> FileAttr {
        let time = self.source.time;
        FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size / 512,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Entry {
    fn new(number: u64, kind: FileType, name: &str) -> Self {
        Self { number, kind, name: name.to_owned() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So long the kernel believes what it was told.
pub(super) const TTL: Duration = Duration::from_secs(1);
/// Threads of either kind.
const ASKING_MAX: usize = 16;
const OPENING_MAX: usize = 64;
