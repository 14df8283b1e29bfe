//! Real-time priority and locked memory: heartbeats must go out whatever else the machine does.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asks for both, for the calling thread and the process. One warning tells what was refused; the
/// environment variable `MUSTER_NO_RT=1` asks for neither. Returns the real-time priority that the
/// thread has now, 0 for none.
pub(super) fn acquire() -> u8 {
    if std::env::var_os("MUSTER_NO_RT").is_some_and(|value| value == "1") {
        return 0;
    }
    let mut refused = Vec::new();
    let priority = fifo().unwrap_or_else(|error| {
        refused.push(format!("real-time priority ({error})"));
        0
    });
    if let Err(error) = lock_memory() {
        refused.push(format!("locked memory ({error})"));
    }
    if !refused.is_empty() {
        let refused = refused.join(" and ");
        tracing::warn!(
            "running without {refused}: under load heartbeats may be late (MUSTER_NO_RT=1 if meant)"
        );
    }
    priority
}

/// The lowest priority but one of `SCHED_FIFO`, for the calling thread only: above everything
/// ordinary, below whatever an administrator prefers.
#[expect(unsafe_code, reason = "rustix has no call for scheduling policies")]
fn fifo() -> io::Result<u8> {
    let policy = libc::SCHED_FIFO;
    // SAFETY: the call takes and returns numbers.
    let least = unsafe { libc::sched_get_priority_min(policy) };
    let param = libc::sched_param { sched_priority: least + 1 };
    // SAFETY: 0 names the calling thread, and the pointer is to a live value that is only read.
    let result = unsafe {
        libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, &raw const param)
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(u8::try_from(param.sched_priority).unwrap_or(u8::MAX))
}

/// Only without a limit: with one, a later allocation would fail, and with it the process.
fn lock_memory() -> io::Result<()> {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    if getrlimit(Resource::Memlock).current.is_some() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?;
    Ok(())
}
