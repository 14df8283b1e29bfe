//! Systems that forbid `io_uring`, or a part of it.

use libc::{c_ulong, sock_filter, sock_fprog};

use super::*;

/// Does something in a thread for which the system fails a call.
fn without(call: libc::c_long, errno: i32, what: impl FnOnce() + Send + 'static) {
    let forbidden = move || {
        forbid(call, errno);
        what();
    };
    std::thread::Builder::new().spawn(forbidden).unwrap().join().unwrap();
}

/// From now on, and for this thread and those that it makes.
#[expect(unsafe_code, reason = "filters of calls")]
fn forbid(call: libc::c_long, errno: i32) {
    let code = |code: u32| u16::try_from(code).unwrap();
    let step = |kind: u32, jf: u8, k: u32| sock_filter { code: code(kind), jt: 0, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let mut steps = [
        // The number of the call is what comes first.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::try_from(call).unwrap()),
        step(libc::BPF_RET | libc::BPF_K, 0, refused),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    let (none, filter) = (0 as c_ulong, c_ulong::from(libc::SECCOMP_MODE_FILTER));
    // SAFETY: numbers only.
    let is_done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, none, none, none) };
    assert_eq!(is_done, 0);
    // SAFETY: the program is read by this call, and its steps are as many as it says.
    let is_done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program) };
    assert_eq!(is_done, 0, "{}", io::Error::last_os_error());
}

#[test]
fn threads_do_what_the_ring_may_not() {
    let calls = [
        (libc::SYS_io_uring_setup, libc::EPERM),
        (libc::SYS_io_uring_setup, libc::ENOSYS),
        (libc::SYS_io_uring_setup, libc::ENOMEM),
        (libc::SYS_io_uring_enter, libc::EPERM),
    ];
    for (call, errno) in calls {
        without(call, errno, move || {
            let error = Driver::new(Choice::Ring).unwrap_err();
            let DriverError::Ring(error) = error else { panic!("{error}") };
            assert_eq!(error.raw_os_error(), Some(errno));
            let mut driver = Driver::new(Choice::Auto).unwrap();
            assert_eq!(driver.choice(), Choice::Threads);
            let (scratch, bytes) = Scratch::random(&places()[0], 4096, &mut Random::new(91));
            let buffer = IoBuffer::zeroed(4096);
            assert_eq!(perform(&mut driver, &scratch.open(), read(&buffer, 0)), Ok(()));
            assert!(*buffer.view(0..4096).unwrap() == bytes);
        });
    }
}

#[test]
fn disks_need_not_be_registered() {
    if let Err(error) = Driver::new(Choice::Ring) {
        eprintln!("{error}");
        return;
    }
    without(libc::SYS_io_uring_register, libc::EPERM, || {
        let mut driver = Driver::new(Choice::Ring).unwrap();
        let (scratch, bytes) = Scratch::random(&places()[0], 4096, &mut Random::new(92));
        let buffer = IoBuffer::zeroed(4096);
        assert_eq!(perform(&mut driver, &scratch.open(), read(&buffer, 0)), Ok(()));
        assert!(*buffer.view(0..4096).unwrap() == bytes);
    });
}
