//! The system calls of the threads, with pointers where others have slices.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::{c_int, iovec, nfds_t, off_t, pollfd, timespec};

use super::work::{Call, Work};

/// Makes the next call of an operation, and waits for its result.
#[expect(unsafe_code, reason = "what is read into or written may be in use by other operations")]
pub(super) fn make(work: &Work) -> Result<u32, i32> {
    let fd = work.file().as_raw_fd();
    let offset = |at: u64| off_t::try_from(at).map_err(|_| libc::EINVAL);
    let result = match work.call() {
        Call::Allocate { mode, at, len } => {
            let (at, len) = (offset(at)?, offset(len)?);
            // SAFETY: no pointers; the descriptor is open as long as `work` is borrowed.
            let result = unsafe { libc::fallocate(fd, mode, at, len) };
            isize::try_from(result).unwrap_or(-1)
        }
        Call::Flush => {
            // SAFETY: as above.
            let result = unsafe { libc::fdatasync(fd) };
            isize::try_from(result).unwrap_or(-1)
        }
        Call::Read { into, len, at } => {
            let at = offset(at)?;
            // SAFETY: the work holds a buffer, and with it this range for being filled, as long as
            // it is borrowed, and that is until the call is over.
            unsafe { libc::pread(fd, into.cast(), len as usize, at) }
        }
        Call::Write { from, len, at, durable } => {
            let piece = iovec { iov_base: from.cast_mut().cast(), iov_len: len as usize };
            let (at, flags) = (offset(at)?, write_flags(durable));
            // SAFETY: the work holds a buffer, and with it this range for being read, as long as it
            // is borrowed, or the range is of the zeros, which are there for ever. The call only
            // reads it, and the one piece, which outlives the call.
            unsafe { libc::pwritev2(fd, &raw const piece, 1, at, flags) }
        }
    };
    // The most that is asked for fits.
    u32::try_from(result)
        .map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// The flags of a write.
pub(super) const fn write_flags(durable: bool) -> c_int {
    if durable { libc::RWF_DSYNC } else { 0 }
}

/// Waits until a descriptor is ready, or the time is over. Descriptors that are closed are ready.
#[expect(unsafe_code, reason = "rustix has descriptors that are borrowed; these may be closed")]
pub(super) fn poll(fds: &mut [pollfd], timeout: Option<Duration>) -> io::Result<()> {
    let time = timeout.map(|timeout| timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = fds.len() as nfds_t;
    // SAFETY: the call writes to `count` descriptors, which are borrowed, and only reads the time,
    // which outlives it, or is null. So may be the signals.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), count, time, std::ptr::null()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
