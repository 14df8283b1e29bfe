//! What follows from the results of calls, without any being made.

use super::super::work::{Call, Step, Work};
use super::*;

const AGAIN: Step = Step::Again;
const DONE: Step = Step::Over(Ok(()));
const LEN: u32 = 16384;

const fn failed(errno: i32) -> Step {
    Step::Over(Err(errno))
}

fn disk() -> (Scratch, Arc<DiskFile>) {
    let scratch = Scratch::new(&std::env::temp_dir());
    File::create(&scratch.0).unwrap().set_len(8 << 20).unwrap();
    let file = scratch.open();
    (scratch, file)
}

fn work(file: &Arc<DiskFile>, what: What) -> Work {
    Work::new(3, Operation { file: Arc::clone(file), what }).unwrap()
}

/// Where a call reads or writes on the disk, and where in the buffer.
fn place(call: Call, buffer: &IoBuffer) -> (u64, u32, usize) {
    let within = |address: usize| address - buffer.address().addr().get();
    match call {
        Call::Read { into, len, at } => (at, len, within(into.addr())),
        Call::Write { from, len, at, durable: true } => (at, len, within(from.addr())),
        Call::Write { .. } | Call::Allocate { .. } | Call::Flush => panic!("{call:?}"),
    }
}

#[test]
fn what_is_done_in_part_goes_on() {
    let (_scratch, file) = disk();
    let buffer = IoBuffer::zeroed(20480);
    let (from, at) = (4096, 8192);
    let read = What::Read { buffer: buffer.clone(), from, len: LEN, at };
    let write = What::Write { buffer: buffer.clone(), from, len: LEN, at, durable: true };
    for what in [read, write] {
        let mut work = work(&file, what);
        assert_eq!(place(work.call(), &buffer), (8192, 16384, 4096));
        assert_eq!(work.on_result(Ok(4096)), AGAIN);
        assert_eq!(place(work.call(), &buffer), (12288, 12288, 8192));
        // In the middle of a sector direct I/O cannot go on.
        assert_eq!(work.on_result(Ok(8192 + 5)), AGAIN);
        let odd = if file.is_direct() { 0 } else { 5 };
        assert_eq!(
            place(work.call(), &buffer),
            (20480 + u64::from(odd), 4096 - odd, 16389 - 5 + odd as usize)
        );
        assert_eq!(work.on_result(Ok(4096 - odd)), DONE);
    }
}

#[test]
fn what_gets_nowhere_is_an_error() {
    let (_scratch, file) = disk();
    let buffer = IoBuffer::zeroed(4096);
    for what in [read(&buffer, 0), write(&buffer, 0)] {
        assert_eq!(work(&file, what.clone()).on_result(Ok(0)), failed(libc::EIO));
        let mut part = work(&file, what.clone());
        assert_eq!(part.on_result(Ok(512)), AGAIN);
        assert_eq!(part.on_result(Ok(0)), failed(libc::EIO));
        assert_eq!(work(&file, what).on_result(Err(libc::ENXIO)), failed(libc::ENXIO));
    }
    assert_eq!(work(&file, What::Flush).on_result(Err(libc::EIO)), failed(libc::EIO));
    assert_eq!(work(&file, What::Flush).on_result(Ok(0)), DONE);
}

#[test]
fn what_was_interrupted_is_done_again() {
    let (_scratch, file) = disk();
    let buffer = IoBuffer::zeroed(4096);
    let mut work = work(&file, read(&buffer, 0));
    let first = work.call();
    for errno in [libc::EINTR, libc::EAGAIN] {
        assert_eq!(work.on_result(Err(errno)), AGAIN);
        assert_eq!(work.call(), first);
    }
    // Not for ever, if nothing at all happens.
    let steps = (0..1000).map(|_| work.on_result(Err(libc::EAGAIN)));
    assert_eq!(steps.last(), Some(failed(libc::EAGAIN)));
}

#[test]
fn zeros_are_written_where_the_disk_has_none() {
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL] {
        let (_scratch, file) = disk();
        let (at, len) = (4096, (2 << 20) + 8192);
        let what = What::Zero { at, len, may_unmap: true };
        let mut zero = work(&file, what.clone());
        let (punch, range) = (0x1 | 0x2, 0x1 | 0x10);
        assert_eq!(zero.call(), Call::Allocate { mode: punch, at, len });
        assert_eq!(zero.on_result(Err(errno)), AGAIN);
        assert_eq!(zero.call(), Call::Allocate { mode: range, at, len });
        assert_eq!(zero.on_result(Err(errno)), AGAIN);
        let mut written = at;
        for piece in [1 << 20, 1 << 20, 8192] {
            let Call::Write { len, at, .. } = zero.call() else { panic!("{:?}", zero.call()) };
            assert_eq!((at, len), (written, piece));
            written += u64::from(piece);
            let step = zero.on_result(Ok(piece));
            assert_eq!(step, if written == at + 8192 && piece == 8192 { DONE } else { AGAIN });
        }
        // What is unknown to the disk is not tried again; an invalid range says nothing of others.
        let is_known = matches!(work(&file, what).call(), Call::Allocate { .. });
        assert_eq!(is_known, errno == libc::EINVAL);
    }
}

#[test]
fn zeroing_that_fails_is_an_error() {
    let (scratch, file) = disk();
    let what = What::Zero { at: 0, len: 4 << 20, may_unmap: false };
    assert_eq!(work(&file, what.clone()).on_result(Err(libc::EIO)), failed(libc::EIO));
    assert_eq!(work(&file, what.clone()).on_result(Ok(0)), DONE);
    let mut written = work(&file, what.clone());
    assert_eq!(written.on_result(Err(libc::EINVAL)), AGAIN);
    assert_eq!(written.on_result(Err(libc::EINVAL)), failed(libc::EINVAL));
    // Zeros are not written beyond where the disk ends by now.
    let mut cut = work(&file, what);
    File::options().write(true).open(&scratch.0).unwrap().set_len(4096).unwrap();
    assert_eq!(cut.on_result(Err(libc::EOPNOTSUPP)), failed(libc::ENOSPC));
}
