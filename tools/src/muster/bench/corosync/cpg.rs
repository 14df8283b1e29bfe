//! The calls of `libcpg.so.4`, which is loaded when it is needed: muster is built and runs without.

#![expect(unsafe_code, reason = "the border to a C library that is loaded at run time")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr;

use libloading::{Library, Symbol};

/// What a group tells its members.
pub(super) enum Event<'a> {
    /// A message.
    Message {
        /// Id of the sender's node.
        node: u32,
        /// As it lies in Corosync's ring.
        payload: &'a [u8],
    },
    /// The group has so many members now.
    Members(usize),
}

/// A call that did not succeed, with its `cs_error_t`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{call} failed with {code} (cs_error_t of corosync/corotypes.h)")]
pub(super) struct Failed {
    call: &'static str,
    code: c_int,
}

impl Failed {
    /// There is no room now, or Corosync is not ready.
    pub(super) fn is_for_now(self) -> bool {
        self.code == TRY_AGAIN
    }

    /// Nobody listens.
    pub(super) fn is_unconnected(self) -> bool {
        self.code == LIBRARY
    }
}

/// The library is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "--peer corosync needs libcpg.so.4 (Debian: apt-get install libcpg4), which cannot be loaded: {0}"
)]
pub(super) struct Missing(libloading::Error);

/// The functions.
#[derive(Debug)]
pub(super) struct Calls {
    initialize: unsafe extern "C" fn(*mut u64, *const Callbacks) -> c_int,
    finalize: unsafe extern "C" fn(u64) -> c_int,
    fd_get: unsafe extern "C" fn(u64, *mut c_int) -> c_int,
    local_get: unsafe extern "C" fn(u64, *mut u32) -> c_int,
    join: unsafe extern "C" fn(u64, *const Name) -> c_int,
    dispatch: unsafe extern "C" fn(u64, c_int) -> c_int,
    mcast_joined: unsafe extern "C" fn(u64, c_int, *const Piece, u32) -> c_int,
    _library: Library,
}

impl Calls {
    /// Loads them.
    pub(super) fn load() -> Result<Self, Missing> {
        // SAFETY: the constructors of libcpg and of libqb below it register log call sites and fork
        // handlers of their own; they need nothing of the program.
        let library = unsafe { Library::new("libcpg.so.4") }.map_err(Missing)?;
        // SAFETY: the types are those of corosync/cpg.h, which the major version of the library
        // fixes; an enum of C is an int, and cpg_handle_t a 64-bit number. The functions are called
        // only while `_library` is in the same value.
        unsafe {
            Ok(Self {
                initialize: *find(&library, b"cpg_initialize\0")?,
                finalize: *find(&library, b"cpg_finalize\0")?,
                fd_get: *find(&library, b"cpg_fd_get\0")?,
                local_get: *find(&library, b"cpg_local_get\0")?,
                join: *find(&library, b"cpg_join\0")?,
                dispatch: *find(&library, b"cpg_dispatch\0")?,
                mcast_joined: *find(&library, b"cpg_mcast_joined\0")?,
                _library: library,
            })
        }
    }
}

/// # Safety
/// `T` has to be the function's type.
unsafe fn find<'a, T>(library: &'a Library, name: &[u8]) -> Result<Symbol<'a, T>, Missing> {
    // SAFETY: the caller knows the type.
    unsafe { library.get(name) }.map_err(Missing)
}

/// A connection to the daemon of this network namespace.
#[derive(Debug)]
pub(super) struct Cpg {
    calls: Calls,
    handle: u64,
    fd: c_int,
    /// The library is told of one thread only.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Cpg {
    /// Connects; gives `calls` back if that fails, so that it can be tried again.
    pub(super) fn connect(calls: Calls) -> Result<Self, (Calls, Failed)> {
        static CALLBACKS: Callbacks = Callbacks { deliver: on_deliver, confchg: on_confchg };
        let (mut handle, mut fd) = (0, -1);
        // SAFETY: the pointers are to values that live longer than the call; the callbacks live as
        // long as the program.
        let code = unsafe { (calls.initialize)(&raw mut handle, &raw const CALLBACKS) };
        if let Err(failed) = check("cpg_initialize", code) {
            return Err((calls, failed));
        }
        // SAFETY: the handle is open, and the pointer is to an int.
        let code = unsafe { (calls.fd_get)(handle, &raw mut fd) };
        let opened = Self { calls, handle, fd, _not_send: std::marker::PhantomData };
        check("cpg_fd_get", code).expect("it knows the handle that it gave");
        Ok(opened)
    }

    /// Id of the own node.
    pub(super) fn local(&self) -> Result<u32, Failed> {
        let mut node = 0;
        // SAFETY: the handle is open until `self` is dropped; the pointer is to an unsigned int.
        let code = unsafe { (self.calls.local_get)(self.handle, &raw mut node) };
        check("cpg_local_get", code).map(|()| node)
    }

    /// Joins a group.
    pub(super) fn join(&mut self, group: &str) -> Result<(), Failed> {
        let mut name = Name { length: 0, value: [0; 128] };
        name.value[..group.len()].copy_from_slice(group.as_bytes());
        name.length = u32::try_from(group.len()).expect("it fitted into 128 bytes");
        // SAFETY: as in `local`; the call copies the name.
        check("cpg_join", unsafe { (self.calls.join)(self.handle, &raw const name) })
    }

    /// Readable as soon as there is something to dispatch.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is a socket of the library's, which stays open until cpg_finalize, which only
        // `drop` calls.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// Sends to the group that was joined, AGREED: libcpg has no other order (its SAFE is "not
    /// implemented").
    pub(super) fn broadcast(&mut self, payload: &[u8]) -> Result<(), Failed> {
        let piece = Piece { base: payload.as_ptr().cast(), len: payload.len() };
        // SAFETY: as in `local`; one piece is given, of memory that is borrowed during the call,
        // which copies it.
        let code = unsafe { (self.calls.mcast_joined)(self.handle, AGREED, &raw const piece, 1) };
        check("cpg_mcast_joined", code)
    }

    /// Gives `sink` all that is there.
    pub(super) fn dispatch(&mut self, mut sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Failed> {
        let outer = SINK.replace((&raw mut sink).cast());
        // SAFETY: as in `local`. The callbacks are called in this thread and before this call
        // returns; until then `sink` is where SINK says, and nobody else uses it.
        let code = unsafe { (self.calls.dispatch)(self.handle, DISPATCH_ALL) };
        SINK.set(outer);
        check("cpg_dispatch", code)
    }
}

impl Drop for Cpg {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and not used any more.
        unsafe {
            (self.calls.finalize)(self.handle);
        }
    }
}

fn check(call: &'static str, code: c_int) -> Result<(), Failed> {
    if code == OK { Ok(()) } else { Err(Failed { call, code }) }
}

thread_local! {
    /// A `&mut dyn FnMut(Event)` during a dispatch. (The context that the library would keep takes
    /// two atomic operations for each message to get at.)
    static SINK: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

fn tell(event: Event<'_>) {
    let sink = SINK.get();
    if !sink.is_null() {
        // SAFETY: `dispatch` has put it there, which has not returned yet, and which has the only
        // reference to it.
        let sink = unsafe { &mut *sink.cast::<&mut dyn FnMut(Event<'_>)>() };
        sink(event);
    }
}

extern "C" fn on_deliver(
    _: u64,
    _: *const Name,
    node: u32,
    _: u32,
    message: *mut c_void,
    length: usize,
) {
    // SAFETY: the library lends the message for the time of this call.
    let payload = unsafe { std::slice::from_raw_parts(message.cast::<u8>().cast_const(), length) };
    tell(Event::Message { node, payload });
}

extern "C" fn on_confchg(
    _: u64,
    _: *const Name,
    _: *const c_void,
    members: usize,
    _: *const c_void,
    _: usize,
    _: *const c_void,
    _: usize,
) {
    tell(Event::Members(members));
}

type Deliver = extern "C" fn(u64, *const Name, u32, u32, *mut c_void, usize);
type Confchg = extern "C" fn(
    u64,
    *const Name,
    *const c_void,
    usize,
    *const c_void,
    usize,
    *const c_void,
    usize,
);

/// `cpg_callbacks_t`.
#[repr(C)]
#[derive(Debug)]
struct Callbacks {
    deliver: Deliver,
    confchg: Confchg,
}

/// `struct cpg_name`.
#[repr(C)]
struct Name {
    length: u32,
    value: [u8; 128],
}

/// `struct iovec`.
#[repr(C)]
struct Piece {
    base: *const c_void,
    len: usize,
}

const OK: c_int = 1;
const LIBRARY: c_int = 2;
const TRY_AGAIN: c_int = 6;
const DISPATCH_ALL: c_int = 2;
const AGREED: c_int = 2;
