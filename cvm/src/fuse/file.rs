//! An open file: what programs ask of any byte, in blocks of the volume.
//!
//! `dsk` takes any offset and length, as a block device does behind its cache: the kernel asks in
//! pages, and a volume need not end with one. Blocks that are written in part are read first, with
//! nobody else writing them ([`Ranges`]). `rdsk` takes whole blocks only, as a raw device does.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::ranges::{Hold, Ranges, Ticket};
use super::volume::{Done, IoFailed, REQUEST_MAX, ReadDone, Volume};

/// Which of the two trees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// `dsk`
    Block,
    /// `rdsk`
    Raw,
}

/// What becomes of a write: so many bytes are written, fewer than asked for at the end of the volume.
pub(super) type Written = Box<dyn FnOnce(Result<u32, IoFailed>) + Send>;

/// How a range is made zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Clear {
    /// And gives back its place.
    Trim,
    /// And keeps it.
    Zero,
}

/// An open file.
pub(super) struct OpenFile {
    access: Access,
    volume: Arc<dyn Volume>,
    /// Shared with all files of this volume.
    ranges: Arc<Ranges>,
    /// A longer request may be a part of one that the kernel has cut, in bytes.
    cut: u32,
    /// Since it was flushed last.
    has_written: AtomicBool,
}

impl OpenFile {
    pub(super) fn new(
        access: Access,
        volume: Arc<dyn Volume>,
        ranges: Arc<Ranges>,
        cut: u32,
    ) -> Self {
        Self { access, volume, ranges, cut, has_written: AtomicBool::new(false) }
    }

    /// Length of the volume when it was opened, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.volume.size()
    }

    /// As many bytes as are there.
    pub(super) fn read(&self, offset: u64, len: u32, done: ReadDone) {
        let Some(len) = self.admit(offset, len) else { return done(Err(INVALID)) };
        let len = self.clamp(offset, len);
        if len == 0 {
            return done(Ok(&[]));
        }
        let blocks = self.blocks(offset, len);
        let (skip, count) = (to_len(offset - blocks.start), to_len(len));
        let whole = u32_of(blocks.end - blocks.start);
        if whole == u32_of(len) {
            return self.volume.read(offset, whole, done);
        }
        let cut = move |read: Result<&[u8], IoFailed>| {
            done(read.and_then(|bytes| bytes.get(skip..skip + count).ok_or(IoFailed::Gone)));
        };
        self.volume.read(blocks.start, whole, Box::new(cut));
    }

    /// Writes what there is room for.
    pub(super) fn write(self: &Arc<Self>, offset: u64, data: &[u8], durable: bool, done: Written) {
        let Some(len) = self.admit(offset, u32_of(to_u64(data.len()))) else {
            return done(Err(INVALID));
        };
        let len = self.clamp(offset, len);
        match data.get(..to_len(len)) {
            _ if data.is_empty() => done(Ok(0)),
            Some(data) if !data.is_empty() => self.put(offset, data, durable, done),
            Some(_) | None => done(Err(IoFailed::Told(Errno::NOSPC))),
        }
    }

    /// All that was answered, on whichever file of the volume, is on the disks.
    pub(super) fn sync(&self, done: Done) {
        self.volume.flush(done);
    }

    /// A program closes a descriptor of the file.
    pub(super) fn flush(self: &Arc<Self>, done: Done) {
        if !self.has_written.swap(false, Ordering::Relaxed) {
            return done(Ok(()));
        }
        let file = Arc::clone(self);
        let flushed = move |result: Result<(), IoFailed>| {
            if result.is_err() {
                file.has_written.store(true, Ordering::Relaxed);
            }
            done(result);
        };
        self.volume.flush(Box::new(flushed));
    }

    /// What `fallocate` is asked for, as a block device takes it: what goes beyond the end is left out
    /// if the size may stay.
    pub(super) fn range_to_clear(
        &self,
        offset: u64,
        len: u64,
        mode: i32,
    ) -> Result<(Range<u64>, Clear), Errno> {
        let keeps_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        let how = match mode & !libc::FALLOC_FL_KEEP_SIZE {
            libc::FALLOC_FL_PUNCH_HOLE => Clear::Trim,
            libc::FALLOC_FL_ZERO_RANGE => Clear::Zero,
            // There is nothing to be made room for.
            _ => return Err(Errno::OPNOTSUPP),
        };
        let (size, end) = (self.size(), offset.saturating_add(len));
        if offset >= size || end > size && !keeps_size {
            return Err(Errno::INVAL);
        }
        Ok((offset..end.min(size), how))
    }

    /// The next data or hole; all of it is data.
    pub(super) fn seek(&self, offset: i64, whence: i32) -> Result<i64, Errno> {
        let size = i64::try_from(self.size()).unwrap_or(i64::MAX);
        match whence {
            _ if offset < 0 || offset >= size => Err(Errno::NXIO),
            libc::SEEK_DATA => Ok(offset),
            libc::SEEK_HOLE => Ok(size),
            _ => Err(Errno::INVAL),
        }
    }

    /// Makes a range zeros. A failure leaves a part of it done.
    pub(super) fn clear(self: &Arc<Self>, range: Range<u64>, how: Clear, done: Done) {
        let block = u64::from(self.volume.block());
        let is_whole = range.start.is_multiple_of(block) && range.end.is_multiple_of(block);
        if range.end > self.size() || self.access == Access::Raw && !is_whole {
            return done(Err(INVALID));
        }
        let Range { start, end } = range;
        Clearing { file: Arc::clone(self), how, at: start, end, done }.next();
    }

    /// How much of a request is done; `None`: it is not one for this file.
    fn admit(&self, offset: u64, len: u32) -> Option<u32> {
        let block = self.volume.block();
        let odd = len % block;
        match self.access {
            Access::Block => Some(len),
            Access::Raw if !offset.is_multiple_of(u64::from(block)) => None,
            Access::Raw if odd == 0 => Some(len),
            // Memory that does not begin with a block makes the kernel cut long requests within one.
            // Of such a part the whole blocks are done, and the program goes on behind them.
            Access::Raw => (len > self.cut).then_some(len - odd),
        }
    }

    /// What of it is within the volume, in bytes.
    fn clamp(&self, offset: u64, len: u32) -> u64 {
        self.size().saturating_sub(offset).min(u64::from(len))
    }

    /// The blocks that a range touches, in bytes. They are within the volume if the range is.
    fn blocks(&self, offset: u64, len: u64) -> Range<u64> {
        let block = u64::from(self.volume.block());
        offset - offset % block..(offset + len).next_multiple_of(block)
    }

    /// Not empty, and within the volume.
    fn put(self: &Arc<Self>, offset: u64, data: &[u8], durable: bool, done: Written) {
        self.has_written.store(true, Ordering::Relaxed);
        let (len, count) = (u32_of(to_u64(data.len())), to_u64(data.len()));
        let (file, blocks) = (Arc::clone(self), self.blocks(offset, count));
        if blocks.end - blocks.start == count {
            let data = data.to_vec();
            let begin = move |ticket| {
                let volume = Arc::clone(&file.volume);
                let written = move |result: Result<(), IoFailed>| {
                    file.ranges.leave(ticket);
                    done(result.map(|()| len));
                };
                volume.write(offset, data, durable, Box::new(written));
            };
            return self.ranges.enter(blocks, Hold::Shared, Box::new(begin));
        }
        let block = u64::from(self.volume.block());
        let mut edges = vec![blocks.start];
        if blocks.end - blocks.start > block {
            edges.push(blocks.end - block);
        }
        let is_odd = |edge: &u64| *edge < offset || edge + block > offset + count;
        edges.retain(is_odd);
        let skip = to_len(offset - blocks.start);
        let new = skip..skip + data.len();
        let mut bytes = vec![0; to_len(blocks.end - blocks.start)];
        bytes[new.clone()].copy_from_slice(data);
        let begin = blocks.start;
        let go = move |ticket| {
            EdgeWrite { file, ticket, begin, bytes, new, edges, durable, done }.next();
        };
        self.ranges.enter(blocks, Hold::Alone, Box::new(go));
    }
}

/// A write of which one block or two are read first.
struct EdgeWrite {
    file: Arc<OpenFile>,
    ticket: Ticket,
    /// Where the blocks begin.
    begin: u64,
    /// All blocks of it, and where in them the new bytes are.
    bytes: Vec<u8>,
    new: Range<usize>,
    /// Blocks that are still to be read.
    edges: Vec<u64>,
    durable: bool,
    done: Written,
}

impl EdgeWrite {
    fn next(mut self) {
        let volume = Arc::clone(&self.file.volume);
        let Some(edge) = self.edges.pop() else { return self.write() };
        let merge = move |read: Result<&[u8], IoFailed>| match read {
            Ok(old) => {
                self.merge(edge, old);
                self.next();
            }
            Err(failed) => self.end(Err(failed)),
        };
        volume.read(edge, volume.block(), Box::new(merge));
    }

    /// Old bytes stay where there are no new ones.
    fn merge(&mut self, edge: u64, old: &[u8]) {
        let at = to_len(edge - self.begin);
        for (place, byte) in (at..).zip(old) {
            if !self.new.contains(&place) {
                self.bytes[place] = *byte;
            }
        }
    }

    fn write(mut self) {
        let (volume, bytes) = (Arc::clone(&self.file.volume), std::mem::take(&mut self.bytes));
        let (begin, durable) = (self.begin, self.durable);
        let written = move |result: Result<(), IoFailed>| self.end(result);
        volume.write(begin, bytes, durable, Box::new(written));
    }

    fn end(self, result: Result<(), IoFailed>) {
        self.file.ranges.leave(self.ticket);
        let len = u32_of(to_u64(self.new.len()));
        (self.done)(result.map(|()| len));
    }
}

/// A range that becomes zeros, one piece after the other: parts of blocks are written, whole blocks
/// are trimmed or zeroed.
struct Clearing {
    file: Arc<OpenFile>,
    how: Clear,
    at: u64,
    end: u64,
    done: Done,
}

impl Clearing {
    fn next(self) {
        let (at, block) = (self.at, u64::from(self.file.volume.block()));
        if at >= self.end {
            return (self.done)(Ok(()));
        }
        let file = Arc::clone(&self.file);
        if !at.is_multiple_of(block) || self.end - at < block {
            let until = self.end.min(at - at % block + block);
            let zeros = vec![0; to_len(until - at)];
            let written = move |result: Result<u32, IoFailed>| self.went(until, result.map(|_| ()));
            return file.put(at, &zeros, false, Box::new(written));
        }
        let until = (self.end - self.end % block).min(at + u64::from(REQUEST_MAX));
        file.has_written.store(true, Ordering::Relaxed);
        let ranges = Arc::clone(&file.ranges);
        let clear = move |ticket| {
            let (how, len) = (self.how, u32_of(until - at));
            let ranges = Arc::clone(&file.ranges);
            let cleared = move |result: Result<(), IoFailed>| {
                ranges.leave(ticket);
                self.went(until, result);
            };
            match how {
                Clear::Trim => file.volume.trim(at, len, Box::new(cleared)),
                Clear::Zero => file.volume.zero(at, len, Box::new(cleared)),
            }
        };
        ranges.enter(at..until, Hold::Shared, Box::new(clear));
    }

    fn went(mut self, until: u64, result: Result<(), IoFailed>) {
        match result {
            Ok(()) => {
                self.at = until;
                self.next();
            }
            Err(failed) => (self.done)(Err(failed)),
        }
    }
}

const INVALID: IoFailed = IoFailed::Told(Errno::INVAL);

/// Requests are no longer than 32 bits tell.
fn u32_of(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn to_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
