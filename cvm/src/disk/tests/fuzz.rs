//! Bytes of anybody: `FUZZ_COUNT` says how many.

use std::collections::BTreeSet;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::medium::{host, request};
use super::samples::*;
use crate::disk::*;

/// Makes all checksums of an image right, that over everything, too, if its head has a length that
/// can be.
pub(super) fn forge_image(bytes: &mut [u8]) {
    const SUM: std::ops::Range<usize> = 52..56;
    let mut stream = Vec::new();
    for (number, block) in bytes.chunks_exact(BLOCK).enumerate() {
        let len = usize::from(u16::from_le_bytes([block[14], block[15]]));
        let begin = if number == 0 { 16 + 104 } else { 16 + 16 };
        stream.extend_from_slice(block.get(begin..16 + len).unwrap_or_default());
    }
    let sum = crc32c::crc32c(&stream).to_le_bytes();
    if let Some(place) = bytes.get_mut(SUM) {
        place.copy_from_slice(&sum);
    }
    bytes.chunks_exact_mut(BLOCK).for_each(forge_checksum);
}

struct Hostile {
    rng: Xoshiro256PlusPlus,
    samples: Vec<Vec<u8>>,
}

impl Hostile {
    fn new() -> Self {
        let mut samples = Vec::new();
        samples.extend(label(1).encode().unwrap());
        samples.extend(claim(1).encode().unwrap());
        let mut free = Claim { member: None, ..claim(2) };
        samples.extend(free.encode().unwrap());
        free.slot = slot(0);
        samples.extend(free.encode().unwrap());
        samples.push(image().encode(9).unwrap());
        samples.push(image_of(group_with(70)).encode(9).unwrap());
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(7), samples }
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.next_u32() as usize % end.max(1)
    }

    fn next(&mut self) -> Vec<u8> {
        if self.below(8) == 0 {
            let mut bytes = vec![0; self.below(2 * BLOCK + 2)];
            self.rng.fill_bytes(&mut bytes);
            return bytes;
        }
        let which = self.below(self.samples.len());
        let mut bytes = self.samples[which].clone();
        for _ in 0..=self.below(4) {
            self.spoil(&mut bytes);
        }
        match self.below(4) {
            0 => {}
            1 => bytes.chunks_exact_mut(BLOCK).for_each(forge_checksum),
            _ => forge_image(&mut bytes),
        }
        bytes
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        // Most of a block is zeros, and what has a meaning is in front.
        let end = if self.below(2) == 0 { bytes.len() } else { bytes.len().min(480) };
        let at = self.below(end);
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_slice(&[0x7f; 9]),
            2 => {
                let from = self.below(bytes.len());
                let len = self.below(64).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + len, at);
            }
            3 => {
                let values = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff, b' ', b'\n', b'"', b'='];
                let value = values[self.below(values.len())];
                bytes[at..].iter_mut().take(2).for_each(|byte| *byte = value);
            }
            _ => {
                let value = self.rng.next_u32().to_le_bytes()[0];
                bytes[at..].iter_mut().take(1).for_each(|byte| *byte = value);
            }
        }
    }
}

/// Everything that reads bytes reads these; true if anything came of it.
fn read(bytes: &[u8]) -> bool {
    let block = &bytes[..bytes.len().min(BLOCK)];
    let mut accepted = false;
    for copy in [0_u32, 1] {
        accepted |= Label::decode(copy, block).is_ok();
        for slot in Slot::ALL {
            accepted |= Claim::decode(slot, copy, block).is_ok();
        }
    }
    let _ = Label::find([Some(block), Some(block)]);
    let slots = Slot::ALL.map(|slot| FoundSlot::decode(slot, bytes));
    for (slot, found) in Slot::ALL.into_iter().zip(&slots) {
        let _ = Head::decode(slot, block);
        if let FoundSlot::Image(image) = found {
            image.encode(u32::MAX).expect("what is read can be written");
            accepted = true;
        }
    }
    let disk = |number| FoundDisk {
        access: format!("disk_{number}"),
        label: label(number),
        claims: Claims::read(&disk_id(number), &[[Some(block), Some(block)]; SLOTS]),
        slots: slots.clone(),
    };
    let disks = [1, 2, 3].map(disk);
    let claims: Vec<_> = disks.iter().map(|disk| &disk.claims).collect();
    let _ = claims.iter().map(|claims| claims.next_tenure() + claims.next_seqno()).max();
    let any = ImportRequest { clear: true, force: true, owners: vec![host("h")], ..request() };
    if let Ok(choice) = choose(&any, &disks) {
        let _ = next_slot(&choice.held, Some(choice.image.slot), &BTreeSet::new());
    }
    accepted
}

#[test]
fn no_input_makes_the_decoders_panic() {
    let count = option_env!("FUZZ_COUNT").and_then(|text| text.parse().ok());
    let count: u64 = count.unwrap_or(20_000);
    let mut hostile = Hostile::new();
    let mut accepted = 0;
    for _ in 0..count {
        accepted += u64::from(read(&hostile.next()));
    }
    // Neither everything nor nothing: the generator reaches what is behind the checks.
    assert!(accepted > count / 100 && accepted < count, "{accepted} of {count}");
}
