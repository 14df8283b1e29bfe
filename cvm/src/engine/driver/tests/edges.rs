//! What is not possible is an error, and nothing else.

use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

const BLOCK: u64 = 4096;

#[test]
fn nothing_is_read_beyond_the_end() {
    let mut random = Random::new(61);
    for (place, mut driver) in everywhere() {
        // It ends at a block, or somewhere.
        for len in [4 * 4096, 3 * 4096 + 1000] {
            let (scratch, bytes) = Scratch::random(&place, len, &mut random);
            let file = scratch.open();
            assert_eq!(file.len(), len as u64);
            let buffer = IoBuffer::zeroed(4096);
            assert_eq!(perform(&mut driver, &file, read(&buffer, 2 * BLOCK)), Ok(()));
            assert!(*buffer.view(0..4096).unwrap() == bytes[8192..12288]);
            assert_eq!(perform(&mut driver, &file, read(&buffer, 4 * BLOCK)), Err(libc::EIO));
            let over = IoBuffer::zeroed(2 * 4096);
            assert_eq!(perform(&mut driver, &file, read(&over, 3 * BLOCK)), Err(libc::EIO));
        }
    }
}

#[test]
fn nothing_grows_by_being_written() {
    let mut random = Random::new(62);
    for (place, mut driver) in everywhere() {
        let (scratch, mut bytes) = Scratch::random(&place, 4 * 4096, &mut random);
        let (file, new) = (scratch.open(), random.bytes(2 * 4096));
        let buffer = buffer_of(&new);
        for at in [3 * BLOCK, 4 * BLOCK, 100 * BLOCK] {
            assert_eq!(perform(&mut driver, &file, write(&buffer, at)), Err(libc::ENOSPC));
        }
        assert!(scratch.bytes() == bytes);
        // It is seen that it grew by other means.
        File::options().write(true).open(&scratch.0).unwrap().set_len(5 * BLOCK).unwrap();
        assert_eq!(perform(&mut driver, &file, write(&buffer, 3 * BLOCK)), Ok(()));
        bytes.truncate(3 * 4096);
        bytes.extend(new);
        assert!(scratch.bytes() == bytes);
        assert_eq!(file.len(), 5 * BLOCK);
    }
}

#[test]
fn what_is_opened_for_reading_is_not_written() {
    let mut random = Random::new(63);
    for (place, mut driver) in everywhere() {
        let (scratch, bytes) = Scratch::random(&place, 4 * 4096, &mut random);
        let file = Arc::new(DiskFile::open(&scratch.0, false).unwrap());
        assert!(!file.is_writable());
        let buffer = IoBuffer::zeroed(4096);
        assert_eq!(perform(&mut driver, &file, write(&buffer, 0)), Err(libc::EBADF));
        for may_unmap in [false, true] {
            let what = What::Zero { at: 0, len: BLOCK, may_unmap };
            assert_eq!(perform(&mut driver, &file, what), Err(libc::EBADF));
        }
        assert_eq!(perform(&mut driver, &file, read(&buffer, 0)), Ok(()));
        assert!(*buffer.view(0..4096).unwrap() == bytes[..4096]);
        assert!(scratch.bytes() == bytes);
    }
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    let mut random = Random::new(64);
    let (scratch, _) = Scratch::random(&std::env::temp_dir(), 4 * 4096, &mut random);
    for mut driver in drivers() {
        let (file, buffer) = (scratch.open(), IoBuffer::zeroed(8192));
        let part = |from, len, at| What::Read { buffer: buffer.clone(), from, len, at };
        let refused = Err(libc::EINVAL);
        assert_eq!(perform(&mut driver, &file, part(4096, 8192, 0)), refused);
        assert_eq!(perform(&mut driver, &file, part(usize::MAX, 8192, 0)), refused);
        assert_eq!(perform(&mut driver, &file, part(0, 4096, u64::MAX - 100)), refused);
        assert_eq!(perform(&mut driver, &file, part(0, 4096, i64::MAX.cast_unsigned())), refused);
        let what = What::Zero { at: u64::MAX, len: u64::MAX, may_unmap: true };
        assert_eq!(perform(&mut driver, &file, what), refused);
        // What is empty is done.
        assert_eq!(perform(&mut driver, &file, part(8192, 0, 0)), Ok(()));
        assert_eq!(
            perform(&mut driver, &file, What::Zero { at: 0, len: 0, may_unmap: true }),
            Ok(())
        );
        // Where direct I/O asks for more, the system says so.
        let odd = perform(&mut driver, &file, part(0, 100, 0));
        assert_eq!(odd, if file.is_direct() { refused } else { Ok(()) });
        assert!(buffer.is_last());
    }
}

#[test]
fn a_buffer_that_is_looked_at_is_not_read_into() {
    let mut random = Random::new(65);
    let (scratch, _) = Scratch::random(&std::env::temp_dir(), 4096, &mut random);
    for mut driver in drivers() {
        let (file, buffer) = (scratch.open(), IoBuffer::zeroed(4096));
        let view = buffer.view(0..1).unwrap();
        assert_eq!(perform(&mut driver, &file, read(&buffer, 0)), Err(libc::EBUSY));
        assert_eq!(perform(&mut driver, &file, write(&buffer, 0)), Ok(()));
        drop(view);
        let filling = buffer.fill(0..1).unwrap();
        assert_eq!(perform(&mut driver, &file, write(&buffer, 0)), Err(libc::EBUSY));
        drop(filling);
        assert_eq!(perform(&mut driver, &file, read(&buffer, 0)), Ok(()));
    }
}

#[test]
fn only_files_and_block_devices_are_disks() {
    let place = Scratch::new(&std::env::temp_dir());
    let refused = |path: &Path| {
        for for_write in [false, true] {
            let error = DiskFile::open(path, for_write).unwrap_err();
            assert!(matches!(error, OpenError::Kind), "{path:?}: {error}");
            assert_eq!(error.to_string(), "it is neither a file nor a block device");
        }
    };
    refused(&std::env::temp_dir());
    refused(Path::new("/dev/null"));
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, &place.0, FileType::Fifo, mode, 0).unwrap();
    refused(&place.0);
    std::fs::remove_file(&place.0).unwrap();
    let missing = DiskFile::open(&place.0, false).unwrap_err();
    assert!(matches!(&missing, OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound));
    let _listener = UnixListener::bind(&place.0).unwrap();
    refused(&place.0);
}

#[test]
fn a_disk_knows_what_direct_io_asks_for() {
    let mut random = Random::new(66);
    for place in places() {
        let (scratch, _) = Scratch::random(&place, 4096, &mut random);
        let (file, none) = (scratch.open(), Alignment { memory: 1, offset: 1 });
        let Alignment { memory, offset } = file.alignment();
        assert!(memory.is_power_of_two() && memory <= 4096);
        assert!(offset.is_power_of_two());
        assert!(file.is_direct() || file.alignment() == none);
    }
}
