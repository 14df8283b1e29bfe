//! The functions of `gab.h`.
//!
//! Each checks what can be checked of its arguments and turns the result into 0 or a positive
//! number, or a negated errno. No panic leaves: it becomes `-ENOTRECOVERABLE`.
//!
//! Pointers are trusted to be what `gab.h` says, or null. A port is a [`Shared`] behind the opaque
//! pointer; only shared references to it are made, so that threads may use it together.

#![expect(unsafe_code, reason = "the border to C: pointers come in, unmangled names go out")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::ptr;
use std::time::Duration;

use client::client::Options;
use client::limits::MESSAGE_MAX;
use client::{Level, PortName};
use llt::NodeId;
use rustix::io::Errno;

use crate::abi::{self, Event};
use crate::port::{Deadline, Send, Shared};
use crate::text;

/// `gab_open`
///
/// # Safety
/// `options` is null or points to `gab_options` of the size it says, with texts that end with
/// a zero byte; `out` is null or points to room for a pointer.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_open(
    port: c_char,
    options: *const abi::Options,
    out: *mut *mut Shared,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return Err(Errno::INVAL);
        }
        // SAFETY: not null, so room for a pointer, as the caller promises.
        unsafe { out.write(ptr::null_mut()) };
        let letter = u8::try_from(port).map(char::from).map_err(|_| Errno::INVAL)?;
        let name = PortName::new(letter).ok_or(Errno::INVAL)?;
        // SAFETY: the caller promises the same to us.
        let options = unsafe { read_options(options) }?;
        let port = Box::new(Shared::open(name, &options)?);
        // SAFETY: as above.
        unsafe { out.write(Box::into_raw(port)) };
        Ok(0)
    })
}

/// `gab_broadcast`
///
/// # Safety
/// `port` is null or an open port; `data` points to `len` bytes, or is null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_broadcast(
    port: *const Shared,
    data: *const c_void,
    len: usize,
    flags: u32,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises the same to us.
        let (port, payload) = unsafe { (borrow(port)?, bytes(data, len)?) };
        let how = send_flags(flags, abi::SAFE | abi::MORE | abi::NONBLOCK)?;
        let level = if flags & abi::SAFE == 0 { Level::Agreed } else { Level::Safe };
        port.send(how, |port| port.try_broadcast(payload, level, how.more))?;
        Ok(0)
    })
}

/// `gab_send`
///
/// # Safety
/// As [`gab_broadcast`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_send(
    port: *const Shared,
    node: u32,
    data: *const c_void,
    len: usize,
    flags: u32,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises the same to us.
        let (port, payload) = unsafe { (borrow(port)?, bytes(data, len)?) };
        let how = send_flags(flags, abi::MORE | abi::NONBLOCK)?;
        let node = u8::try_from(node).ok().and_then(NodeId::new).ok_or(Errno::INVAL)?;
        port.send(how, |port| port.try_send_to(node, payload, how.more))?;
        Ok(0)
    })
}

/// `gab_flush`
///
/// # Safety
/// `port` is null or an open port.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_flush(port: *const Shared) -> c_int {
    guard(|| {
        // SAFETY: the caller promises the same to us.
        unsafe { borrow(port) }?.flush()?;
        Ok(0)
    })
}

/// `gab_recv`
///
/// # Safety
/// `port` is null or an open port; `event` is null or points to room for a `gab_event`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_recv(
    port: *const Shared,
    event: *mut Event,
    timeout_ms: c_int,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises the same to us.
        let port = unsafe { borrow(port) }?;
        if event.is_null() {
            return Err(Errno::INVAL);
        }
        let deadline = Deadline::after_ms(timeout_ms).ok_or(Errno::INVAL)?;
        let Some(received) = port.recv(deadline)? else { return Ok(0) };
        // SAFETY: not null, so room for an event, as the caller promises.
        unsafe { event.write(received) };
        Ok(1)
    })
}

/// `gab_ack`
///
/// # Safety
/// `port` is null or an open port.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_ack(port: *const Shared, generation: u64) -> c_int {
    guard(|| {
        // SAFETY: the caller promises the same to us.
        unsafe { borrow(port) }?.ack(generation)?;
        Ok(0)
    })
}

/// `gab_fd`
///
/// # Safety
/// `port` is null or an open port.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_fd(port: *const Shared) -> c_int {
    // SAFETY: the caller promises the same to us.
    guard(|| Ok(unsafe { borrow(port) }?.fd()))
}

/// `gab_node`
///
/// # Safety
/// `port` is null or an open port.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_node(port: *const Shared) -> c_int {
    // SAFETY: the caller promises the same to us.
    guard(|| Ok(unsafe { borrow(port) }?.node().get().into()))
}

/// `gab_close`
///
/// # Safety
/// `port` is null or an open port that no other thread uses, and nobody uses again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gab_close(port: *mut Shared) -> c_int {
    guard(|| {
        if port.is_null() {
            return Err(Errno::INVAL);
        }
        // SAFETY: an open port comes from `Box::into_raw` in `gab_open`, and this is its end.
        let port = unsafe { Box::from_raw(port) };
        port.close()?;
        Ok(0)
    })
}

/// `gab_strerror`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn gab_strerror(error: c_int) -> *const c_char {
    if let Some(text) = text::of(error) {
        return text.as_ptr();
    }
    match error.checked_abs() {
        // SAFETY: it takes any number. For known ones, such as these, it gives a text that stays;
        // only for unknown ones it writes into a buffer, which threads may share.
        Some(errno @ 1..=ERRNO_MAX) => unsafe { libc::strerror(errno) },
        _ => c"unknown error".as_ptr(),
    }
}

/// What a call returns to C, whatever happens in it.
fn guard(call: impl FnOnce() -> Result<c_int, Errno>) -> c_int {
    // A panic while the port is locked poisons the lock, so nobody sees a port half changed.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(number)) => number,
        Ok(Err(errno)) => -errno.raw_os_error(),
        Err(_) => -Errno::NOTRECOVERABLE.raw_os_error(),
    }
}

/// # Safety
/// `port` is null or an open port, and stays open for `'a`.
unsafe fn borrow<'a>(port: *const Shared) -> Result<&'a Shared, Errno> {
    // SAFETY: an open port is a `Shared` that `gab_open` made, and nobody holds it exclusively.
    unsafe { port.as_ref() }.ok_or(Errno::INVAL)
}

/// # Safety
/// `data` points to `len` bytes that stay as they are for `'a`, or is null.
unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8], Errno> {
    if len > MESSAGE_MAX {
        return Err(Errno::MSGSIZE);
    }
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Errno::INVAL);
    }
    // SAFETY: not null, so `len` bytes, as the caller promises; and not too many for a slice.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// # Safety
/// `text` is null or ends with a zero byte, and stays as it is for `'a`.
unsafe fn words<'a>(text: *const c_char) -> Option<&'a OsStr> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so it ends with a zero byte, as the caller promises.
    Some(OsStr::from_bytes(unsafe { CStr::from_ptr(text) }.to_bytes()))
}

/// # Safety
/// `options` is null or points to as many bytes as its first field says, with texts that end with
/// a zero byte.
unsafe fn read_options(options: *const abi::Options) -> Result<Options, Errno> {
    let mut result = Options::default();
    if options.is_null() {
        return Ok(result);
    }
    // SAFETY: not null, so its first field is there. The rest may be shorter than we know it.
    let size = unsafe { (&raw const (*options).size).read() };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if !(size_of::<abi::Options>()..=OPTIONS_MAX).contains(&size) {
        return Err(Errno::INVAL);
    }
    // SAFETY: as many bytes as it says, and that is not less than these.
    let (known, rest) = unsafe {
        let rest = options.cast::<u8>().add(size_of::<abi::Options>());
        let rest = std::slice::from_raw_parts(rest, size - size_of::<abi::Options>());
        (options.read(), rest)
    };
    // A later gab.h has more fields; zero in them asks for nothing.
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Errno::TOOBIG);
    }
    if known.flags & !(abi::OPT_ACK | abi::OPT_KERNEL | abi::OPT_SHARED | abi::OPT_STATUS) != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: the caller promises the same to us.
    let (root, name) = unsafe { (words(known.root), words(known.name)) };
    if let Some(root) = root.filter(|root| !root.is_empty()) {
        result.root = PathBuf::from(root);
    }
    if let Some(name) = name {
        result.name = name.to_string_lossy().into_owned();
    }
    let flag = |bit: u32| known.flags & bit != 0;
    result.ack = flag(abi::OPT_ACK);
    result.heartbeat =
        (known.heartbeat_ms != 0).then(|| Duration::from_millis(known.heartbeat_ms.into()));
    result.kernel = flag(abi::OPT_KERNEL);
    result.shared = flag(abi::OPT_SHARED);
    result.status = flag(abi::OPT_STATUS);
    Ok(result)
}

fn send_flags(flags: u32, known: u32) -> Result<Send, Errno> {
    if flags & !known != 0 {
        return Err(Errno::INVAL);
    }
    Ok(Send { wait: flags & abi::NONBLOCK == 0, more: flags & abi::MORE != 0 })
}

/// The last errno of Linux, `EHWPOISON`.
const ERRNO_MAX: i32 = 133;
/// No version of `gab_options` will be longer; what says so is not one.
const OPTIONS_MAX: usize = 4096;

#[cfg(test)]
mod tests;
