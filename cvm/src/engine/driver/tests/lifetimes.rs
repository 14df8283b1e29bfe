//! Memory and files are kept as long as the system uses them, and no longer.

use rustix::fs::{FlockOperation, flock};

use super::*;

#[test]
fn a_driver_that_is_dropped_leaves_nothing_in_flight() {
    let mut random = Random::new(71);
    for round in 0..20 {
        for mut driver in drivers() {
            let (scratch, _) = Scratch::random(&std::env::temp_dir(), 8 << 20, &mut random);
            let (file, mut buffers) = (scratch.open(), Vec::new());
            for key in 0..600 {
                let buffer = buffer_of(&random.bytes(4096));
                let at = 4096 * random.below(2048) as u64;
                let what = match key % 5 {
                    0..2 => read(&buffer, at),
                    2..4 => write(&buffer, at),
                    _ => What::Zero { at: 0, len: 8 << 20, may_unmap: false },
                };
                driver.submit(key, Operation { file: Arc::clone(&file), what });
                buffers.push(buffer);
            }
            // Before the system has any, some, or all that it takes.
            match round % 3 {
                0 => {}
                1 => driver.flush(),
                _ => driver.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap(),
            }
            drop(driver);
            assert!(buffers.iter_mut().all(IoBuffer::is_free));
            assert_eq!(Arc::strong_count(&file), 1);
        }
    }
}

#[test]
fn operations_outlive_who_submitted_them() {
    let mut random = Random::new(72);
    for mut driver in drivers() {
        let (scratch, _) = Scratch::random(&std::env::temp_dir(), 1 << 20, &mut random);
        let new = random.bytes(1 << 20);
        for (key, bytes) in (0..).zip(new.chunks(4096)) {
            let what = write(&buffer_of(bytes), 4096 * key);
            driver.submit(key, Operation { file: scratch.open(), what });
        }
        assert!(finish(&mut driver).values().all(Result::is_ok));
        assert!(scratch.bytes() == new);
    }
}

#[test]
fn a_buffer_is_free_when_the_end_is_told() {
    let mut random = Random::new(73);
    let (scratch, _) = Scratch::random(&std::env::temp_dir(), 4096, &mut random);
    for mut driver in drivers() {
        let mut buffer = IoBuffer::zeroed(4096);
        for _ in 0..100 {
            assert_eq!(perform(&mut driver, &scratch.open(), read(&buffer, 0)), Ok(()));
            assert!(buffer.is_free());
        }
    }
}

#[test]
fn a_disk_that_is_dropped_is_closed() {
    let mut random = Random::new(74);
    let (scratch, _) = Scratch::random(&std::env::temp_dir(), 4096, &mut random);
    let other = File::open(&scratch.0).unwrap();
    for mut driver in drivers() {
        let (file, buffer) = (scratch.open(), IoBuffer::zeroed(4096));
        // As long as it is open somewhere it has the lock.
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(perform(&mut driver, &file, read(&buffer, 0)), Ok(()));
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap_err();
        drop(file);
        wait_until(&mut driver, |_| {
            flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok()
        });
        flock(&other, FlockOperation::Unlock).unwrap();
    }
}

#[test]
fn there_may_be_more_disks_than_the_ring_registers() {
    let mut random = Random::new(75);
    for mut driver in drivers() {
        for _ in 0..2 {
            let disks = Vec::from_iter((0..300).map(|_| {
                let (scratch, bytes) = Scratch::random(&places()[1], 4096, &mut random);
                (scratch.open(), bytes, IoBuffer::zeroed(4096))
            }));
            for (key, (file, _, buffer)) in (0..).zip(&disks) {
                let file = Arc::clone(file);
                driver.submit(key, Operation { file, what: read(buffer, 0) });
            }
            assert_eq!(finish(&mut driver).len(), 300);
            for (_, bytes, buffer) in &disks {
                assert!(*buffer.view(0..4096).unwrap() == *bytes);
            }
        }
    }
}

/// The ring knows buffers by number: memory that comes back under another number, and more of them than it has
/// numbers for.
#[test]
fn buffers_come_and_go_and_each_has_its_own_contents() {
    let mut random = Random::new(74);
    for mut driver in drivers() {
        let (scratch, bytes) = Scratch::random(&std::env::temp_dir(), 8 << 20, &mut random);
        let (file, mut kept) = (scratch.open(), Vec::new());
        for round in 0..3000 {
            let at = 4096 * random.below(2040);
            let len = [4096, 8192, 32768][round % 3];
            let buffer = IoBuffer::zeroed(len);
            assert_eq!(perform(&mut driver, &file, read(&buffer, at as u64)), Ok(()));
            assert!(buffer.view(0..len).unwrap()[..] == bytes[at..at + len], "{round}");
            // Every second one is kept, so that others have its place.
            if round % 2 == 0 {
                kept.push((buffer, at));
            }
        }
        for (buffer, at) in kept {
            assert!(buffer.view(0..buffer.len()).unwrap()[..] == bytes[at..at + buffer.len()]);
        }
    }
}
