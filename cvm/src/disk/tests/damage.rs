//! One changed byte, and one missing byte, everywhere.

use super::samples::*;
use crate::disk::*;

/// Every byte of `good` is changed, and every beginning of it tried.
fn everything_is_noticed<T: std::fmt::Debug, E>(good: &[u8], read: impl Fn(&[u8]) -> Result<T, E>) {
    assert!(read(good).is_ok());
    let mut wrong = good.to_vec();
    for at in 0..good.len() {
        for flip in [1 << (at % 8), 0xff] {
            wrong[at] ^= flip;
            assert!(read(&wrong).is_err(), "byte {at}, {flip:#x}: {:?}", read(&wrong).ok());
            wrong[at] = good[at];
        }
    }
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_err(), "the first {len} bytes");
    }
}

/// The same with a right checksum: what is accepted is what would be written.
fn nothing_is_read_that_nobody_writes<T: std::fmt::Debug, E>(
    good: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
) {
    let mut wrong = good.to_vec();
    let mut accepted = 0;
    for at in 0..good.len() {
        for flip in [1 << (at % 8), 0x80, 0xff] {
            wrong[at] ^= flip;
            forge_checksum(&mut wrong);
            if let Ok(value) = read(&wrong) {
                assert_eq!(write(&value), wrong, "byte {at}, {flip:#x}: {value:?}");
                accepted += 1;
            }
            wrong.copy_from_slice(good);
        }
    }
    assert!(accepted > 16, "{accepted}: counters may be anything");
}

#[test]
fn a_damaged_label_is_refused() {
    for copy in 0..2 {
        let good = label(1).encode().unwrap()[copy as usize].clone();
        everything_is_noticed(&good, |bytes| Label::decode(copy, bytes));
        assert!(Label::decode(1 - copy, &good).is_err(), "it is the other copy");
        let write = |label: &Label| label.encode().unwrap()[copy as usize].clone();
        nothing_is_read_that_nobody_writes(&good, |bytes| Label::decode(copy, bytes), write);
    }
}

#[test]
fn a_damaged_claim_is_refused() {
    let free = Claim { member: None, ..claim(1) };
    for claim in [claim(1), free] {
        let good = claim.encode().unwrap()[1].clone();
        let read = |bytes: &[u8]| Claim::decode(slot(1), 1, bytes);
        everything_is_noticed(&good, read);
        assert!(Claim::decode(slot(1), 0, &good).is_err(), "it is the other copy");
        assert!(Claim::decode(slot(2), 1, &good).is_err(), "it is another slot");
        let write = |claim: &Claim| claim.encode().unwrap()[1].clone();
        nothing_is_read_that_nobody_writes(&good, read, write);
    }
}

#[test]
fn a_damaged_image_is_refused() {
    let image = image_of(group_with(110));
    let good = image.encode(40).unwrap();
    assert_eq!(good.len(), 3 * BLOCK);
    everything_is_noticed(&good, |bytes| Image::decode(slot(2), bytes));
    assert!(Image::decode(slot(1), &good).is_err(), "it is another slot");
    // What a longer one has left behind it is not looked at.
    let more = [good.clone(), vec![7; 5000]].concat();
    assert_eq!(Image::decode(slot(2), &more), Ok(image));
}

#[test]
fn a_damaged_head_is_refused() {
    let good = image_of(group_with(110)).encode(40).unwrap();
    everything_is_noticed(&good[..BLOCK], |bytes| Head::decode(slot(2), bytes));
    let head = Head::decode(slot(2), &good[..BLOCK]).unwrap();
    assert_eq!((head.stamp, head.writer, &head.group), (stamp(2, 7), writer(), &group_id()));
    assert_eq!(head.byte_len(), good.len());
}

/// A text in which anything was changed, with all checksums right, is refused or reads as it is
/// written.
#[test]
fn a_forged_image_must_look_as_we_write_it() {
    let good = image().encode(1).unwrap();
    let mut accepted = 0;
    for at in 16..good.len() {
        for flip in [1, 0x10] {
            let mut wrong = good.clone();
            wrong[at] ^= flip;
            super::fuzz::forge_image(&mut wrong);
            if let Ok(image) = Image::decode(slot(2), &wrong) {
                assert_eq!(image.encode(1), Ok(wrong), "byte {at}, {flip:#x}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 50, "{accepted}: letters of names may be others");
}

#[test]
fn blocks_of_two_images_are_no_image() {
    let first = image_of(group_with(110));
    let second = Image { stamp: stamp(2, 8), ..first.clone() };
    let (mut mixed, other) = (first.encode(40).unwrap(), second.encode(40).unwrap());
    mixed[BLOCK..2 * BLOCK].copy_from_slice(&other[BLOCK..2 * BLOCK]);
    assert_eq!(Image::decode(slot(2), &mixed), Err(ImageError::Mixed { number: 1 }));
    // Two writers with one stamp: only the checksum over everything tells.
    let mut group = group_with(110);
    group.volumes.values_mut().last().unwrap().len += 8;
    let twin = Image { group: group.into(), ..first.clone() };
    let (mut mixed, other) = (first.encode(40).unwrap(), twin.encode(40).unwrap());
    mixed[2 * BLOCK..].copy_from_slice(&other[2 * BLOCK..]);
    assert_eq!(
        Image::decode(slot(2), &mixed),
        Err(ImageError::Field("the checksum of all blocks"))
    );
}
