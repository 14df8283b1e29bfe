//! Entries of the submission queue, and what their completions are of.

use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};

use super::super::calls::write_flags;
use super::super::work::{Call, Work};

/// What a completion is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    /// Something that nobody waits for.
    Other,
    /// A watch, by its place.
    Watch(u32),
    /// A work, by its place.
    Work(u32),
}

impl Tag {
    const fn encode(self) -> u64 {
        match self {
            Self::Other => 0,
            Self::Watch(place) => ((place as u64) << 2) | 1,
            Self::Work(place) => ((place as u64) << 2) | 2,
        }
    }

    pub(super) fn decode(user_data: u64) -> Self {
        let place = u32::try_from(user_data >> 2).unwrap_or(u32::MAX);
        match user_data & 3 {
            1 => Self::Watch(place),
            2 => Self::Work(place),
            _ => Self::Other,
        }
    }
}

/// Does nothing.
pub(super) fn nothing() -> Entry {
    opcode::Nop::new().build().user_data(Tag::Other.encode())
}

/// Waits once for a descriptor.
pub(super) fn watch(place: u32, fd: RawFd, for_write: bool) -> Entry {
    let events = if for_write { libc::POLLOUT } else { libc::POLLIN };
    let poll = opcode::PollAdd::new(types::Fd(fd), u32::from(events.cast_unsigned()));
    poll.build().user_data(Tag::Watch(place).encode())
}

/// Waits no more. Removing the poll would not do: that fails while a wake-up of it is looked at, and one
/// that finds nothing stays armed, with the socket that we have closed.
pub(super) fn unwatch(place: u32) -> Entry {
    let cancel = opcode::AsyncCancel::new(Tag::Watch(place).encode());
    cancel.build().user_data(Tag::Other.encode())
}

/// The next call of a work, with the numbers of its file and its buffer if the ring knows those. Its memory may be
/// used as long as the work is kept.
pub(super) fn work(place: u32, work: &Work, file: Option<u32>, buffer: Option<u16>) -> Entry {
    macro_rules! build {
        ($fd:expr) => {
            match work.call() {
                Call::Allocate { mode, at, len } => {
                    opcode::Fallocate::new($fd, len).offset(at).mode(mode).build()
                }
                Call::Flush => opcode::Fsync::new($fd).flags(types::FsyncFlags::DATASYNC).build(),
                Call::Read { into, len, at } => match buffer {
                    Some(buffer) => {
                        opcode::ReadFixed::new($fd, into, len, buffer).offset(at).build()
                    }
                    None => opcode::Read::new($fd, into, len).offset(at).build(),
                },
                Call::Write { from, len, at, durable } => {
                    let flags = write_flags(durable);
                    match buffer {
                        Some(buffer) => opcode::WriteFixed::new($fd, from, len, buffer)
                            .offset(at)
                            .rw_flags(flags)
                            .build(),
                        None => {
                            opcode::Write::new($fd, from, len).offset(at).rw_flags(flags).build()
                        }
                    }
                }
            }
        };
    }
    let entry = match file {
        Some(index) => build!(types::Fixed(index)),
        None => build!(types::Fd(work.file().as_raw_fd())),
    };
    // What it would do in the call that hands it over, a disk that hangs would hold up everybody.
    let how = if work.file().holds_up() { Flags::ASYNC } else { Flags::empty() };
    entry.flags(how).user_data(Tag::Work(place).encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_are_told_apart() {
        for tag in [0, 1, u32::MAX].into_iter().flat_map(|at| [Tag::Watch(at), Tag::Work(at)]) {
            assert_eq!(Tag::decode(tag.encode()), tag);
        }
        assert_eq!(Tag::decode(Tag::Other.encode()), Tag::Other);
    }
}
