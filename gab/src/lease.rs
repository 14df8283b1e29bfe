//! The lease: a page of memory from which a client reads, at the cost of two loads, whether the others
//! of its port still count on this node. No message can tell that: what it protects against is that
//! messages, or gabd itself, have stopped.
//!
//! gabd makes `run/lease` anew each time it starts, writes it in every turn, and is the only one that does.
//! A gabd that hangs or is gone lets it run out.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | magic, `MUSTLEAS` |
//! | 64 + 16 * port | 8 | generation of the membership (ports count A..Z, a..z from 0) |
//! | 72 + 16 * port | 8 | when it expires, nanoseconds of `CLOCK_BOOTTIME`; 0: there is none |
//!
//! Numbers are as the processor has them: both ends run on one machine. Source: ours; the design of
//! CVM asks for it (I/O lease).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};

use crate::ids::PortName;

/// Bytes of the file.
const LEN: usize = 4096;
const MAGIC: u64 = u64::from_be_bytes(*b"MUSTLEAS");
/// The word of the first port.
const FIRST: usize = 8;

/// The page, mapped.
#[derive(Debug)]
struct Page {
    start: NonNull<AtomicU64>,
}

#[expect(unsafe_code, reason = "memory that another process shares")]
// SAFETY: the memory is atomic words, and stays mapped as long as this lives.
unsafe impl Send for Page {}
#[expect(unsafe_code, reason = "memory that another process shares")]
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// The file must be [`LEN`] long, and stay so: nobody else writes it.
    #[expect(unsafe_code, reason = "memory that another process shares")]
    fn map(file: &File, is_writer: bool) -> io::Result<Self> {
        let may = if is_writer { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping at a place of the system's choice touches no other memory.
        let start = unsafe { mmap(std::ptr::null_mut(), LEN, may, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start })
    }

    #[expect(unsafe_code, reason = "memory that another process shares")]
    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < LEN / size_of::<AtomicU64>(), "the page has {LEN} bytes");
        // SAFETY: it lies in the page, which is aligned and mapped as long as the reference lives,
        // and is used by atomic operations alone, at both ends.
        unsafe { self.start.add(index).as_ref() }
    }

    /// Whoever still looks sees nothing.
    fn end(&self) {
        for index in FIRST..LEN / size_of::<AtomicU64>() {
            self.word(index).store(0, Ordering::SeqCst);
        }
    }

    fn words_of(&self, port: PortName) -> [&AtomicU64; 2] {
        let first = FIRST + 2 * port.index();
        [self.word(first), self.word(first + 1)]
    }
}

impl Drop for Page {
    #[expect(unsafe_code, reason = "memory that another process shares")]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no reference into it is left.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), LEN) };
    }
}

/// gabd's end.
#[derive(Debug)]
pub struct LeaseWriter {
    page: Page,
    path: PathBuf,
}

impl LeaseWriter {
    /// Makes the file anew: who has mapped the one before keeps it, and finds nothing in it any more.
    ///
    /// # Errors
    /// Of the file system; what was there before may be gone.
    pub fn create(path: &Path) -> io::Result<Self> {
        end_of_before(path);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        // With its block: a store into a hole of a full file system would end the process.
        fallocate(&file, FallocateFlags::empty(), 0, LEN as u64)
            .or_else(|_| file.set_len(LEN as u64).and_then(|()| (&file).write_all(&[0; LEN])))?;
        let page = Page::map(&file, true)?;
        page.word(0).store(MAGIC, Ordering::Release);
        Ok(Self { page, path: path.to_owned() })
    }

    /// Until `expiry`, in nanoseconds of `CLOCK_BOOTTIME`, the others count on this node as a member of
    /// this membership.
    pub fn grant(&self, port: PortName, generation: u64, expiry: u64) {
        let [of, until] = self.page.words_of(port);
        // Whoever looks meanwhile sees none, or one that goes with its generation.
        if of.load(Ordering::Relaxed) != generation {
            until.store(0, Ordering::SeqCst);
            of.store(generation, Ordering::SeqCst);
        }
        until.store(expiry, Ordering::SeqCst);
    }

    /// There is none.
    pub fn clear(&self, port: PortName) {
        self.page.words_of(port)[1].store(0, Ordering::SeqCst);
    }
}

impl Drop for LeaseWriter {
    fn drop(&mut self) {
        self.page.end();
        // Whoever opens it later is to find that there is no gabd.
        let _ = fs::remove_file(&self.path);
    }
}

/// A writer that was killed may have left leases that have still to run out: others go on without it at
/// once when they hear of the next one.
fn end_of_before(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.ok().filter(|file| file.metadata().is_ok_and(|meta| meta.len() == LEN as u64));
    if let Some(page) = file.and_then(|file| Page::map(&file, true).ok()) {
        page.end();
    }
}

/// A client's end: the lease of one port.
#[derive(Debug)]
pub struct Lease {
    page: Page,
    port: PortName,
}

impl Lease {
    /// The lease of a port, after the client has registered: a gabd that starts anew makes a new file, and
    /// this one runs out.
    ///
    /// # Errors
    /// Of the file system; `InvalidData` if the file is none of gabd's.
    pub fn open(root: &Path, port: PortName) -> io::Result<Self> {
        let file = File::open(root.join(FILE))?;
        let refused = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        // Memory behind the end of a file must not be touched.
        let len = file.metadata()?.len();
        if len != LEN as u64 {
            return Err(refused(format!("expected {LEN} bytes, found {len}")));
        }
        let page = Page::map(&file, false)?;
        if page.word(0).load(Ordering::Acquire) != MAGIC {
            return Err(refused("expected gabd's mark at its beginning".to_owned()));
        }
        Ok(Self { page, port })
    }

    /// Do all others of this membership, which the client was told last, count on this node at present?
    /// After a freeze of this process it has to be asked anew.
    pub fn holds(&self, generation: u64) -> bool {
        let [of, until] = self.page.words_of(self.port);
        let expiry = until.load(Ordering::SeqCst);
        expiry > boot_nanos() && of.load(Ordering::SeqCst) == generation
    }
}

/// Where it is, below the root of a node.
pub const FILE: &str = "run/lease";

/// Nanoseconds since the machine was started, suspended or not.
pub(crate) fn boot_nanos() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn port(letter: char) -> PortName {
        PortName::new(letter).expect("a letter")
    }

    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let path = dir.path().join(FILE);
        (dir, path)
    }

    #[test]
    fn a_lease_holds_for_its_port_its_generation_and_its_time() {
        let (dir, path) = root();
        let writer = LeaseWriter::create(&path).unwrap();
        let [v, z] = ['v', 'z'].map(|letter| Lease::open(dir.path(), port(letter)).unwrap());
        assert!(!v.holds(0) && !v.holds(7), "nothing is granted");
        writer.grant(port('v'), 7, boot_nanos() + HOUR);
        assert!(v.holds(7) && !v.holds(6) && !v.holds(8) && !z.holds(7));
        writer.grant(port('v'), 8, boot_nanos() + HOUR);
        assert!(v.holds(8) && !v.holds(7));
        writer.grant(port('v'), 8, boot_nanos() - 1);
        assert!(!v.holds(8));
        writer.grant(port('v'), 8, boot_nanos() + HOUR);
        writer.clear(port('v'));
        assert!(!v.holds(8));
        for letter in ['A', 'Z', 'a', 'z'] {
            writer.grant(port(letter), 1, boot_nanos() + HOUR);
            assert!(Lease::open(dir.path(), port(letter)).unwrap().holds(1), "{letter}");
        }
    }

    #[test]
    fn the_end_of_a_writer_ends_it_and_the_next_one_is_another() {
        let (dir, path) = root();
        let writer = LeaseWriter::create(&path).unwrap();
        let lease = Lease::open(dir.path(), port('v')).unwrap();
        writer.grant(port('v'), 7, boot_nanos() + HOUR);
        drop(writer);
        assert!(!lease.holds(7));
        let writer = LeaseWriter::create(&path).unwrap();
        writer.grant(port('v'), 7, boot_nanos() + HOUR);
        assert!(!lease.holds(7), "of the one before");
        let lease = Lease::open(dir.path(), port('v')).unwrap();
        assert!(lease.holds(7));
        // One that is killed ends nothing, but the next one does.
        std::mem::forget(writer);
        let _next = LeaseWriter::create(&path).unwrap();
        assert!(!lease.holds(7));
    }

    #[test]
    fn what_is_none_is_refused() {
        let (dir, path) = root();
        let open = || Lease::open(dir.path(), port('v')).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(open(), Err(io::ErrorKind::NotFound));
        fs::write(&path, [0; LEN]).unwrap();
        assert_eq!(open(), Err(io::ErrorKind::InvalidData));
        let _writer = LeaseWriter::create(&path).unwrap();
        assert_eq!(open(), Ok(()));
        File::options().write(true).open(&path).unwrap().set_len(8).unwrap();
        assert_eq!(open(), Err(io::ErrorKind::InvalidData), "too short");
    }
}
