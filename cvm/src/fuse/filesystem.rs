//! The requests of the kernel, and how they are answered.
//!
//! None is waited for here: what asks vxiod goes to a worker, and I/O to the connection of its file,
//! which answers the kernel by itself. So no volume that is slow stops another one. What is under
//! way is bounded by the kernel: one request per thread of a program, and [`BACKGROUND_MAX`].

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek,
    ReplyOpen, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::file::{Access, OpenFile};
use super::inodes::Node;
use super::tree::{TTL, Tree};
use super::volume::IoFailed;

/// A tree as the kernel sees it.
pub(super) struct Served(pub(super) Arc<Tree>);

impl Served {
    fn node(&self, number: INodeNo) -> Result<Node, Errno> {
        self.0.node(number.0).map_err(told)
    }

    fn file(&self, handle: FileHandle) -> Result<Arc<OpenFile>, Errno> {
        self.0.opened(handle.0).map_err(told)
    }

    /// In a worker.
    fn ask(&self, job: impl FnOnce(&Tree) + Send + 'static) {
        let tree = Arc::clone(&self.0);
        self.0.source.asking.run(move || job(&tree));
    }
}

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What is too much comes back as what is possible.
        if let Err(most) = config.set_max_write(WRITE_MAX) {
            let _ = config.set_max_write(most);
        }
        let _ = config.set_max_background(BACKGROUND_MAX);
        // Programs that have several requests under way get them there.
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let folder = match self.node(parent) {
            Ok(folder) => folder,
            Err(error) => return reply.error(error),
        };
        let name = name.to_owned();
        self.ask(move |tree| match tree.find(&folder, &name) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(error) => reply.error(told(error)),
        });
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(number) {
            Ok(Node::Volume(name)) => self.ask(move |tree| attributes(tree.volume(&name), reply)),
            Ok(folder @ (Node::Group(_) | Node::Root)) => {
                reply.attr(&TTL, &self.0.folder(&folder));
            }
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.is_some() || uid.is_some() || gid.is_some() {
            return reply.error(Errno::EPERM);
        }
        let name = match self.node(number) {
            Ok(Node::Volume(name)) => name,
            Ok(folder @ (Node::Group(_) | Node::Root)) => {
                return reply.attr(&TTL, &self.0.folder(&folder));
            }
            Err(error) => return reply.error(error),
        };
        // O_TRUNC comes as a size of 0 without a handle, and does nothing to a device.
        let is_opening = size == Some(0) && handle.is_none();
        self.ask(move |tree| match tree.volume(&name) {
            Ok(now) if size.is_some_and(|size| size != now.size) && !is_opening => {
                reply.error(Errno::EPERM);
            }
            result => attributes(result, reply),
        });
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let name = match self.node(number) {
            Ok(Node::Volume(name)) => name,
            Ok(Node::Group(_) | Node::Root) => return reply.error(Errno::EISDIR),
            Err(error) => return reply.error(error),
        };
        let writable = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let tree = Arc::clone(&self.0);
        self.0.source.opening.run(move || {
            let mut flags = match tree.access {
                // What another node has written since is not in the cache: it begins anew.
                Access::Block => FopenFlags::empty(),
                Access::Raw => {
                    FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
                }
            };
            if !writable {
                flags |= FopenFlags::FOPEN_NOFLUSH;
            }
            match tree.open(&name, writable) {
                Ok(handle) => reply.opened(FileHandle(handle), flags),
                Err(error) => reply.error(told(error)),
            }
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.file(handle) {
            Ok(file) => file.read(
                offset,
                size,
                Box::new(move |result| match result {
                    Ok(bytes) => reply.data(bytes),
                    Err(failed) => reply.error(failure(failed)),
                }),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // O_SYNC has the bit, too.
        let durable = flags.0 & libc::O_DSYNC != 0;
        match self.file(handle) {
            Ok(file) => file.write(
                offset,
                data,
                durable,
                Box::new(move |result| match result {
                    Ok(count) => reply.written(count),
                    Err(failed) => reply.error(failure(failed)),
                }),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        match self.file(handle) {
            Ok(file) => file.flush(Box::new(move |result| done(result, reply))),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.file(handle) {
            Ok(file) => file.sync(Box::new(move |result| done(result, reply))),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.close(handle.0);
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let file = match self.file(handle) {
            Ok(file) => file,
            Err(error) => return reply.error(error),
        };
        match file.range_to_clear(offset, length, mode) {
            Ok((range, how)) => {
                file.clear(range, how, Box::new(move |result| done(result, reply)));
            }
            Err(error) => reply.error(told(error)),
        }
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        match self.file(handle).and_then(|file| file.seek(offset, whence).map_err(told)) {
            Ok(offset) => reply.offset(offset),
            Err(error) => reply.error(error),
        }
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(self.0.next_handle()), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let folder = match self.node(number) {
            Ok(folder) => folder,
            Err(error) => return reply.error(error),
        };
        self.ask(move |tree| {
            let entries = match tree.read_folder(&folder, handle.0, offset == 0) {
                Ok(entries) => entries,
                Err(error) => return reply.error(told(error)),
            };
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            for (next, entry) in (1..).zip(entries.iter()).skip(skip) {
                if reply.add(INodeNo(entry.number), next, entry.kind, &entry.name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.0.close_folder(handle.0);
        reply.ok();
    }

    // What follows is not done, and said so without a line in the log for each.

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EPERM);
    }

    fn mknod(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EPERM);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EPERM);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EPERM);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        // After this the kernel does not ask before each write.
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }
}

fn attributes(result: rustix::io::Result<FileAttr>, reply: ReplyAttr) {
    match result {
        Ok(attributes) => reply.attr(&TTL, &attributes),
        Err(error) => reply.error(told(error)),
    }
}

fn done(result: Result<(), IoFailed>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(failed) => reply.error(failure(failed)),
    }
}

fn failure(failed: IoFailed) -> Errno {
    told(failed.errno())
}

fn told(error: rustix::io::Errno) -> Errno {
    Errno::from_i32(error.raw_os_error())
}

/// As long as `fuser` takes them, in bytes; the kernel has a limit of its own.
pub(super) const WRITE_MAX: u32 = 16 << 20;
/// Requests that no program waits for, of one tree: what reads ahead, and what programs have several
/// of. All of a slow volume's count, so that it is far more than one program has.
const BACKGROUND_MAX: u16 = 1024;
