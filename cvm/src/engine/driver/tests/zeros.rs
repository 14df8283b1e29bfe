//! Setting ranges to zero.

use std::os::unix::fs::MetadataExt;

use super::*;

const LEN: usize = 3 << 20;

#[test]
fn a_range_is_zero_and_nothing_else_is() {
    let mut random = Random::new(51);
    for (place, mut driver) in everywhere() {
        // To the end, over more than one piece that is written at once, and a little.
        for (at, len) in [(LEN - 8192, 8192), (4096, LEN - 12288), (8192, 4096)] {
            for may_unmap in [false, true] {
                let (scratch, mut bytes) = Scratch::random(&place, LEN, &mut random);
                let file = scratch.open();
                let what = What::Zero { at: at as u64, len: len as u64, may_unmap };
                // The second time what the disk cannot do is known.
                for _ in 0..2 {
                    assert_eq!(perform(&mut driver, &file, what.clone()), Ok(()));
                }
                bytes[at..at + len].fill(0);
                assert!(scratch.bytes() == bytes, "{may_unmap} {at} {len} in {place:?}");
            }
        }
    }
}

#[test]
fn room_is_given_up_only_if_it_may_be() {
    let mut random = Random::new(52);
    for (place, mut driver) in everywhere() {
        let (scratch, _) = Scratch::random(&place, LEN, &mut random);
        let file = scratch.open();
        let blocks = || std::fs::metadata(&scratch.0).unwrap().blocks();
        // What is not written yet has no room yet.
        assert_eq!(perform(&mut driver, &file, What::Flush), Ok(()));
        let zero = |may_unmap| What::Zero { at: 0, len: LEN as u64, may_unmap };
        assert_eq!(perform(&mut driver, &file, zero(false)), Ok(()));
        assert!(blocks() >= LEN as u64 / 512, "in {place:?}");
        assert_eq!(perform(&mut driver, &file, zero(true)), Ok(()));
        assert!(blocks() < LEN as u64 / 512, "in {place:?}");
        assert!(scratch.bytes() == vec![0; LEN], "in {place:?}");
    }
}

#[test]
fn a_range_beyond_the_end_changes_nothing() {
    let mut random = Random::new(53);
    for (place, mut driver) in everywhere() {
        let (scratch, bytes) = Scratch::random(&place, LEN, &mut random);
        let file = scratch.open();
        for (at, may_unmap) in [(LEN, false), (LEN - 4096, false), (LEN - 4096, true)] {
            let what = What::Zero { at: at as u64, len: 8192, may_unmap };
            assert_eq!(perform(&mut driver, &file, what), Err(libc::ENOSPC));
        }
        assert!(scratch.bytes() == bytes);
        // It is seen that a disk was cut.
        File::options().write(true).open(&scratch.0).unwrap().set_len(8192).unwrap();
        let what = What::Zero { at: 8192, len: 4096, may_unmap: false };
        assert_eq!(perform(&mut driver, &file, what), Err(libc::ENOSPC));
        assert!(scratch.bytes() == bytes[..8192]);
    }
}
