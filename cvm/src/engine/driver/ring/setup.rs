//! Making a ring, as good as the system has it.

use std::io;

use io_uring::IoUring;

use super::entry;

/// How the ring is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Setup {
    /// The system does its part of the work when this thread waits, and only then (since Linux
    /// 6.1).
    Deferred,
    /// It does so whenever this thread is in a system call (since Linux 5.19).
    Cooperative,
    /// It interrupts this thread.
    Plain,
}

impl Setup {
    /// The best one first.
    pub(in super::super) const ALL: [Self; 3] = [Self::Deferred, Self::Cooperative, Self::Plain];

    fn build(self) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(COMPLETIONS).setup_clamp();
        match self {
            Self::Deferred => {
                builder.setup_single_issuer().setup_defer_taskrun();
                builder.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
            }
            Self::Cooperative => {
                builder.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
            }
            Self::Plain => {}
        }
        builder.build(SUBMISSIONS)
    }
}

/// A ring that is set up in the first of these ways that the system knows.
pub(super) fn build(setups: &[Setup]) -> io::Result<IoUring> {
    let unknown = || io::Error::from(io::ErrorKind::Unsupported);
    let mut built = Err(unknown());
    for setup in setups {
        built = setup.build();
        match &built {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let mut ring = built?;
    // Since Linux 5.11; what else is used is older.
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(unknown());
    }
    test(&mut ring)?;
    Ok(ring)
}

/// Some systems let a ring be made, and nothing be done with it.
#[expect(unsafe_code, reason = "entries may name memory, and this one names none")]
fn test(ring: &mut IoUring) -> io::Result<()> {
    let nothing = entry::nothing();
    // SAFETY: the entry has no pointers.
    let pushed = unsafe { ring.submission().push(&nothing) };
    pushed.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    ring.completion().next().map(drop).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Entries that are submitted at once.
const SUBMISSIONS: u32 = 256;
/// Completions that find room.
const COMPLETIONS: u32 = 8192;
