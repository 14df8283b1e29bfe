//! An operation on its way: which call of the system comes next, and what its result means. The
//! ring and the threads make the same calls.

use std::sync::{Arc, OnceLock};

use super::buffer::Hold;
use super::{DiskFile, IoBuffer, Operation, What};

/// An operation under way.
#[derive(Debug)]
pub(super) struct Work {
    key: u64,
    file: Arc<DiskFile>,
    task: Task,
    /// How often the last call was interrupted, or was to be made again.
    retries: u8,
}

#[derive(Debug)]
enum Task {
    Flush,
    Read { hold: Hold, at: u64, done: u32 },
    Write { hold: Hold, at: u64, done: u32, durable: bool },
    Zero { at: u64, len: u64, done: u64, how: How },
}

/// How a range is set to zero: what the disk does not know is tried no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    Punch,
    Range,
    Write,
}

/// A call of the system. The memory of a call may be used as long as the [`Work`] that it is of is
/// kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    /// `fallocate`.
    Allocate {
        mode: i32,
        at: u64,
        len: u64,
    },
    /// `fdatasync`.
    Flush,
    Read {
        into: *mut u8,
        len: u32,
        at: u64,
    },
    Write {
        from: *const u8,
        len: u32,
        at: u64,
        durable: bool,
    },
}

/// What a result means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// There is another call to be made.
    Again,
    Over(Result<(), i32>),
}

impl Work {
    /// Begins an operation, or tells how it is over already.
    pub(super) fn new(key: u64, operation: Operation) -> Result<Self, Result<(), i32>> {
        let Operation { file, what } = operation;
        let task = match what {
            What::Flush => Task::Flush,
            What::Read { buffer, from, len, at } => {
                end(at, u64::from(len)).map_err(Err)?;
                let hold = buffer.hold(from, len, true).map_err(Err)?;
                Task::Read { hold, at, done: 0 }
            }
            What::Write { buffer, from, len, at, durable } => {
                let end = end(at, u64::from(len)).map_err(Err)?;
                let hold = buffer.hold(from, len, false).map_err(Err)?;
                if !file.reaches(end) {
                    return Err(Err(libc::ENOSPC));
                }
                Task::Write { hold, at, done: 0, durable }
            }
            What::Zero { at, len, may_unmap } => {
                // Written zeros would make a file longer that was cut meanwhile.
                if end(at, len).map_err(Err)? > file.refresh() {
                    return Err(Err(libc::ENOSPC));
                }
                let how = if may_unmap && file.can_punch() { How::Punch } else { How::Range };
                let how = if how == How::Range && !file.can_zero() { How::Write } else { how };
                Task::Zero { at, len, done: 0, how }
            }
        };
        let work = Self { key, file, task, retries: 0 };
        if work.left() == Some(0) { Err(Ok(())) } else { Ok(work) }
    }

    pub(super) const fn key(&self) -> u64 {
        self.key
    }

    pub(super) const fn file(&self) -> &Arc<DiskFile> {
        &self.file
    }

    /// Its memory, if it has any.
    pub(super) const fn hold(&self) -> Option<&Hold> {
        match &self.task {
            Task::Read { hold, .. } | Task::Write { hold, .. } => Some(hold),
            Task::Flush | Task::Zero { .. } => None,
        }
    }

    /// How many bytes are still to be read, written or zeroed.
    fn left(&self) -> Option<u64> {
        match &self.task {
            Task::Flush => None,
            Task::Read { hold, done, .. } | Task::Write { hold, done, .. } => {
                Some(u64::from(hold.len() - done))
            }
            Task::Zero { len, done, .. } => Some(len - done),
        }
    }

    /// The call to be made next.
    pub(super) fn call(&self) -> Call {
        match &self.task {
            Task::Flush => Call::Flush,
            Task::Read { hold, at, done } => {
                let (into, len) = hold.rest(*done);
                Call::Read { into, len, at: at + u64::from(*done) }
            }
            Task::Write { hold, at, done, durable } => {
                let (from, len) = hold.rest(*done);
                Call::Write { from, len, at: at + u64::from(*done), durable: *durable }
            }
            Task::Zero { at, len, done, how } => match how {
                How::Punch => Call::Allocate { mode: PUNCH, at: *at, len: *len },
                How::Range => Call::Allocate { mode: ZERO, at: *at, len: *len },
                How::Write => {
                    let piece = u32::try_from(len - done).unwrap_or(PIECE).min(PIECE);
                    let from = zeros().address().as_ptr().cast_const();
                    Call::Write { from, len: piece, at: at + done, durable: false }
                }
            },
        }
    }

    /// What the result of the last [`Self::call`] means: a number of bytes, or an error of the
    /// system.
    pub(super) fn on_result(&mut self, result: Result<u32, i32>) -> Step {
        match result {
            Ok(bytes) => {
                self.retries = 0;
                self.on_success(bytes)
            }
            Err(libc::EINTR | libc::EAGAIN) if self.retries < RETRIES_MAX => {
                self.retries += 1;
                Step::Again
            }
            Err(errno) => self.on_failure(errno),
        }
    }

    fn on_success(&mut self, bytes: u32) -> Step {
        // Direct I/O goes on at a multiple only: what is behind the last one is done again. At the
        // end of the file nothing is left to go on with.
        let multiple = self.file.alignment().offset.max(1);
        let usable = |left: u64| {
            let bytes = u64::from(bytes).min(left);
            if bytes == left { bytes } else { bytes - bytes % u64::from(multiple) }
        };
        let moved = self.left().map_or(0, usable);
        let narrow = u32::try_from(moved).unwrap_or(u32::MAX);
        match &mut self.task {
            Task::Flush => return Step::Over(Ok(())),
            Task::Read { done, .. } | Task::Write { done, .. } => *done += narrow,
            Task::Zero { how: How::Punch | How::Range, .. } => return Step::Over(Ok(())),
            Task::Zero { done, how: How::Write, .. } => *done += moved,
        }
        match (self.left(), moved) {
            (Some(0) | None, _) => Step::Over(Ok(())),
            (Some(_), 0) => Step::Over(Err(libc::EIO)),
            (Some(_), _) => Step::Again,
        }
    }

    fn on_failure(&mut self, errno: i32) -> Step {
        let Task::Zero { at, len, how, .. } = &mut self.task else {
            return Step::Over(Err(errno));
        };
        let is_unknown = matches!(errno, libc::EOPNOTSUPP | libc::ENOSYS);
        if !is_unknown && errno != libc::EINVAL {
            return Step::Over(Err(errno));
        }
        // An invalid range is perhaps only invalid for this one.
        *how = match how {
            How::Punch => {
                if is_unknown {
                    self.file.set_cannot_punch();
                }
                if self.file.can_zero() { How::Range } else { How::Write }
            }
            How::Range => {
                if is_unknown {
                    self.file.set_cannot_zero();
                }
                How::Write
            }
            How::Write => return Step::Over(Err(errno)),
        };
        // As in `new`.
        let is_short = *how == How::Write && *at + *len > self.file.refresh();
        if is_short { Step::Over(Err(libc::ENOSPC)) } else { Step::Again }
    }
}

/// Where a range ends. The system counts with signs.
fn end(at: u64, len: u64) -> Result<u64, i32> {
    let end = at.checked_add(len).filter(|&end| i64::try_from(end).is_ok());
    end.ok_or(libc::EINVAL)
}

/// What is written where the disk cannot set a range to zero itself. It lives as long as the
/// process.
fn zeros() -> &'static IoBuffer {
    static ZEROS: OnceLock<IoBuffer> = OnceLock::new();
    ZEROS.get_or_init(|| IoBuffer::zeroed(PIECE as usize))
}

/// Zeros that are written at once.
const PIECE: u32 = 1 << 20;
const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
/// A call that never gets anywhere is an error in the end.
const RETRIES_MAX: u8 = 100;
