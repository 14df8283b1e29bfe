//! The life of vxfused: two mounts, until a signal or somebody else unmounts them.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{fs, io};

use anyhow::{Context, Result, anyhow};
use fuser::{Config, Session, SessionACL};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::file::Access;
use super::filesystem::{Served, WRITE_MAX};
use super::mount::MountPoint;
use super::nbd::Nbd;
use super::tree::{Source, Tree};

/// Both trees, mounted.
#[derive(Debug)]
pub(super) struct Serve {
    /// A byte for each signal.
    signals: UnixStream,
    mounts: Vec<Mounted>,
}

/// A tree that is mounted, and served by threads of its own.
#[derive(Debug)]
struct Mounted {
    point: MountPoint,
    /// Its other end is closed when the threads are done.
    ended: UnixStream,
    thread: JoinHandle<io::Result<()>>,
}

impl Serve {
    /// Mounts both; neither is if this fails.
    ///
    /// # Errors
    /// If one of the two cannot be mounted.
    pub(super) fn start(socket: &Path, folder: &Path, allow_other: bool) -> Result<Self> {
        let (signals, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, write.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, write)?;
        let block = MountPoint::prepare(&folder.join("dsk"))?;
        let raw = MountPoint::prepare(&folder.join("rdsk"))?;
        let time = fs::metadata(folder)?.modified()?;
        let request_max = request_max();
        let volumes = Arc::new(Nbd::new(socket.to_owned(), request_max));
        let source = Arc::new(Source::new(volumes, time, request_max - PAGE));
        let mut serve = Self { signals, mounts: Vec::new() };
        for (access, point) in [(Access::Block, block), (Access::Raw, raw)] {
            let tree = Tree::new(access, Arc::clone(&source));
            match Mounted::new(point, tree, allow_other) {
                Ok(mounted) => serve.mounts.push(mounted),
                Err(error) => {
                    serve.unmount();
                    return Err(error);
                }
            }
        }
        tracing::info!("volumes are files in {0}/dsk and {0}/rdsk", folder.display());
        Ok(serve)
    }

    /// Waits until both trees are unmounted.
    ///
    /// # Errors
    /// If requests of the kernel could not be read any more.
    pub(super) fn run(mut self) -> Result<()> {
        let (mut is_told, mut result) = (false, Ok(()));
        while !self.mounts.is_empty() {
            if self.wait()? {
                if is_told {
                    tracing::warn!("told to end a second time: open files are cut off");
                    break;
                }
                is_told = true;
                self.unmount();
            }
            let ended = self.mounts.extract_if(.., |mounted| mounted.has_ended());
            for mounted in ended {
                if let Err(error) = mounted.join() {
                    result = Err(error);
                }
            }
        }
        result
    }

    /// Until something has happened; `true`: a signal.
    fn wait(&self) -> Result<bool> {
        let ends = self.mounts.iter().map(|mounted| &mounted.ended);
        let fds = std::iter::once(&self.signals).chain(ends);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for signals"),
        }
        Ok(recv(&self.signals, &mut [0; 1], RecvFlags::DONTWAIT).is_ok())
    }

    fn unmount(&self) {
        for Mounted { point, .. } in &self.mounts {
            let what = point.path().display();
            match point.unmount() {
                Ok(true) => tracing::info!("{what} is unmounted"),
                Ok(false) => {
                    tracing::warn!("{what}: files are open; it ends when the last is closed");
                }
                // Somebody else was faster, or it is a matter for people.
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
    }
}

impl Mounted {
    fn new(point: MountPoint, tree: Tree, allow_other: bool) -> Result<Self> {
        let device = point.mount(allow_other)?;
        let serve = || {
            let mut config = Config::default();
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            config.n_threads = Some(threads.min(THREADS_MAX));
            config.acl = if allow_other { SessionACL::All } else { SessionACL::Owner };
            let acl = config.acl;
            let session = Session::from_fd(Served(Arc::new(tree)), device, acl, config)?;
            let (ended, end) = UnixStream::pair()?;
            let run = move || {
                let _end = end;
                session.run()
            };
            let thread = std::thread::Builder::new().name("fuse".to_owned()).spawn(run)?;
            io::Result::Ok((ended, thread))
        };
        match serve() {
            Ok((ended, thread)) => {
                point.read_ahead();
                Ok(Self { point, ended, thread })
            }
            Err(error) => {
                let failed = Err(error).context("the kernel does not accept the file system");
                point.unmount().and(failed)
            }
        }
    }

    fn has_ended(&self) -> bool {
        recv(&self.ended, &mut [0; 1], RecvFlags::DONTWAIT) != Err(Errno::AGAIN)
    }

    fn join(self) -> Result<()> {
        let what = self.point.path().display();
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error).with_context(|| format!("{what} is not served any more")),
            Err(_) => Err(anyhow!("a thread that serves {what} has died")),
        }
    }
}

/// The longest request that the kernel makes, in bytes.
fn request_max() -> u32 {
    let told = fs::read_to_string("/proc/sys/fs/fuse/max_pages_limit").ok();
    let pages = told.and_then(|text| text.trim().parse().ok()).unwrap_or(PAGES_MAX);
    pages.max(2).saturating_mul(PAGE).min(WRITE_MAX)
}

/// What the kernel had before it could be set.
const PAGES_MAX: u32 = 256;
/// In bytes.
const PAGE: u32 = 4096;
/// None of them waits for anything: more would find nothing to do.
const THREADS_MAX: usize = 4;
