//! What can be asked without a gabd. `tests/` has the rest, from C.

use std::ffi::CString;
use std::mem::MaybeUninit;

use super::*;

/// Opens with these options and expects an error.
fn refused(port: char, options: *const abi::Options) -> i32 {
    let mut out = ptr::dangling_mut();
    let letter = c_char::try_from(u32::from(port)).unwrap();
    // SAFETY: the tests pass null or whole options.
    let result = unsafe { gab_open(letter, options, &raw mut out) };
    assert!(out.is_null(), "a port came out of a failed open");
    result
}

fn options() -> abi::Options {
    let size = u32::try_from(size_of::<abi::Options>()).unwrap();
    abi::Options { size, heartbeat_ms: 0, root: ptr::null(), name: ptr::null(), flags: 0 }
}

fn minus(errno: Errno) -> i32 {
    -errno.raw_os_error()
}

#[test]
fn null_is_an_error_and_no_crash() {
    let invalid = minus(Errno::INVAL);
    let mut event = MaybeUninit::<Event>::uninit();
    // SAFETY: null is allowed everywhere.
    unsafe {
        let null = ptr::null_mut();
        assert_eq!(gab_open(b'A' as c_char, ptr::null(), ptr::null_mut()), invalid);
        assert_eq!(gab_broadcast(null, ptr::null(), 0, 0), invalid);
        assert_eq!(gab_send(null, 0, ptr::null(), 0, 0), invalid);
        assert_eq!(gab_flush(null), invalid);
        assert_eq!(gab_recv(null, event.as_mut_ptr(), 0), invalid);
        assert_eq!(gab_ack(null, 1), invalid);
        assert_eq!(gab_fd(null), invalid);
        assert_eq!(gab_node(null), invalid);
        assert_eq!(gab_close(null), invalid);
    }
}

#[test]
fn what_is_no_letter_is_no_port() {
    for port in ['\0', '1', '@', '[', '`', '{', '\x7f'] {
        assert_eq!(refused(port, ptr::null()), minus(Errno::INVAL), "{port:?}");
    }
    // As C passes `é` of Latin-1 where char is signed.
    let mut out = ptr::null_mut();
    // SAFETY: a place for the port.
    let result = unsafe { gab_open(-23i8 as c_char, ptr::null(), &raw mut out) };
    assert_eq!(result, minus(Errno::INVAL));
}

#[test]
fn options_of_another_size_are_refused_and_longer_ones_with_zeros_are_not() {
    let size = options().size;
    for wrong in [0, 1, size - 1, 4097, u32::MAX] {
        let options = abi::Options { size: wrong, ..options() };
        assert_eq!(refused('A', &raw const options), minus(Errno::INVAL), "{wrong}");
    }
    #[repr(C)]
    struct Later {
        known: abi::Options,
        new: u64,
    }
    let root = CString::new("/nonexistent").unwrap();
    let known = abi::Options { size: size + 8, root: root.as_ptr(), ..options() };
    let later = Later { known, new: 1 };
    assert_eq!(refused('A', (&raw const later).cast()), minus(Errno::TOOBIG));
    let later = Later { new: 0, ..later };
    assert_eq!(refused('A', (&raw const later).cast()), minus(Errno::CONNREFUSED));
}

#[test]
fn what_is_not_known_is_refused_before_gabd_is_asked() {
    let flags = abi::Options { flags: 16, ..options() };
    assert_eq!(refused('A', &raw const flags), minus(Errno::INVAL));
}

#[test]
fn without_gabd_the_connection_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
    let options = abi::Options { root: root.as_ptr(), ..options() };
    assert_eq!(refused('A', &raw const options), minus(Errno::CONNREFUSED));
}

#[test]
fn a_panic_stops_at_the_border() {
    assert_eq!(guard(|| panic!("on purpose")), minus(Errno::NOTRECOVERABLE));
}

#[test]
fn every_number_has_a_text() {
    for error in (-200..200).chain([i32::MIN, i32::MAX, -4096]) {
        // SAFETY: never null, and ends with a zero byte.
        let text = unsafe { CStr::from_ptr(gab_strerror(error)) };
        assert!(!text.is_empty(), "{error}");
    }
    // SAFETY: as above.
    let text = |error| unsafe { CStr::from_ptr(gab_strerror(error)) }.to_str().unwrap();
    assert_eq!(text(-16), "the port is taken");
    assert_eq!(text(-2), "No such file or directory");
    assert_eq!(text(i32::MIN), "unknown error");
}
