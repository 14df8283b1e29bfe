//! Writes that are cut short, at every sector and in every order of blocks: what counted before
//! still does, or what was written.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::medium::{Medium, SECTOR, bytes_of, import};
use super::samples::*;
use crate::disk::*;
use crate::model::{Owner, Serial};

/// Three images: two that are there, in slots 0 and 1, and one of before in slot 2, which the new
/// one, of the last, is written over.
fn images(old_len: usize, new_len: usize) -> [Image; 4] {
    let image = |number: u8, tid, volumes| Image {
        slot: slot(number),
        stamp: stamp(2, tid),
        ..image_of(group_with(volumes))
    };
    [image(0, 11, 5), image(1, 12, 10), image(2, 10, old_len), image(2, 13, new_len)]
}

fn media(images: &[Image; 4], count: u32) -> Vec<Medium> {
    let medium = |number| {
        let mut medium = Medium::member(number);
        images[..3].iter().for_each(|image| medium.image(image));
        medium
    };
    (1..=count).map(medium).collect()
}

/// The choice is the newest before the write or, if it may be, the new one; nothing else about it
/// is wrong.
fn check(media: &[Medium], images: &[Image; 4], what: &str) -> bool {
    let choice = import(media).unwrap_or_else(|error| panic!("{what}: {error}"));
    let new = choice.image == images[3];
    assert!(new || choice.image == images[1], "{what}: {:?}", choice.image.stamp);
    assert!(choice.damaged.iter().all(|damaged| damaged.slot == slot(2)), "{what}");
    assert!(!choice.forced && choice.missing.is_empty(), "{what}");
    new
}

/// Of all copies, the write ends after so many sectors.
#[test]
fn an_image_whose_write_ends_early_changes_nothing() {
    for (old_len, new_len) in [(0, 150), (150, 0), (150, 150), (80, 150), (150, 80)] {
        let images = images(old_len, new_len);
        let fresh = media(&images, 3);
        let bytes = bytes_of(&images[3]);
        let sectors = bytes.len() / SECTOR;
        let at = geometry().image_at(slot(2));
        for arrived in 0..=sectors {
            let mut media = fresh.clone();
            for medium in &mut media {
                medium.write_torn(at, &bytes, |sector| sector < arrived);
            }
            let new = check(&media, &images, &format!("{arrived} of {sectors} sectors"));
            // Zeros at its end may be there already.
            assert!(new || arrived < sectors, "all of it arrived");
            assert!(!new || arrived + 8 > sectors, "{arrived} of {sectors} are not all");
        }
    }
}

/// A disk writes blocks in whatever order it likes.
#[test]
fn an_image_of_which_some_blocks_arrived_changes_nothing() {
    let images = images(150, 160);
    let fresh = media(&images, 1);
    let bytes = bytes_of(&images[3]);
    let (blocks, at) = (bytes.len() / BLOCK, geometry().image_at(slot(2)));
    assert!((4..=8).contains(&blocks), "{blocks}");
    for subset in 0_u32..1 << blocks {
        let mut media = fresh.clone();
        media[0].write_torn(at, &bytes, |sector| subset >> (sector / 8) & 1 == 1);
        // The image names three copies, and another one is needed to be sure.
        assert!(matches!(
            import(&media),
            Err(ImportError::TooFewCopies { found: 1, active: 3, .. })
        ));
        for number in 2..=3 {
            let mut other = Medium::member(number);
            images[..2].iter().for_each(|image| other.image(image));
            media.push(other);
        }
        let new = check(&media, &images, &format!("blocks {subset:b}"));
        assert_eq!(new, subset + 1 == 1 << blocks);
    }
}

/// Every copy is torn in its own way, sector by sector.
#[test]
fn an_image_that_is_torn_everywhere_in_another_way_changes_nothing() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let images = images(150, 100);
    let fresh = media(&images, 3);
    let bytes = bytes_of(&images[3]);
    let at = geometry().image_at(slot(2));
    let mut news = 0;
    for round in 0..2000 {
        let mut media = fresh.clone();
        for medium in &mut media {
            // Most sectors, some, or all.
            let (lost, of) = (rng.next_u32() % 3, 1 + rng.next_u32() % 40);
            let arrives: Vec<_> =
                (0..bytes.len() / SECTOR).map(|_| rng.next_u32() % of >= lost).collect();
            medium.write_torn(at, &bytes, |sector| arrives[sector]);
        }
        news += u32::from(check(&media, &images, &format!("round {round}")));
    }
    assert!((100..1900).contains(&news), "{news}: both must happen");
}

/// A writer that was away comes back and writes on into the slot that it was given. Nobody else
/// uses that before it is known to be gone.
#[test]
fn a_frozen_writer_damages_only_its_own_slot() {
    let images = images(100, 150);
    let mut media = media(&images, 3);
    let busy = super::medium::slots(&[2]);
    let choice = import(&media).unwrap();
    let (mut held, mut in_force) = (choice.held, Some(choice.image.slot));
    let mut newest = choice.image;
    for round in 0..4 {
        let free = next_slot(&held, in_force, &busy).expect("two are left");
        newest.slot = free;
        newest.stamp = stamp(3, 20 + round);
        media.iter_mut().for_each(|medium| medium.image(&newest));
        // And now the first sectors of what it had under way.
        let bytes = bytes_of(&images[3]);
        let at = geometry().image_at(slot(2));
        media.iter_mut().for_each(|medium| {
            medium.write_torn(at, &bytes, |sector| sector < 3 * usize::try_from(round).unwrap());
        });
        let choice = import(&media).unwrap();
        assert_eq!(choice.image, newest);
        (held, in_force) = (choice.held, Some(free));
    }
    // All of it: its stamp is of the old epoch.
    media.iter_mut().for_each(|medium| medium.image(&images[3]));
    let choice = import(&media).unwrap();
    assert_eq!((choice.image.stamp, choice.epoch), (newest.stamp, newest.stamp.epoch));
}

/// Both copies of a claim, one after the other, over the one that counts.
#[test]
fn a_torn_claim_leaves_the_old_one_or_the_new_one() {
    let old = claim(1);
    let mut member = old.member.clone().unwrap();
    member.owner = Owner::Nobody;
    member.serial = Serial(2);
    for free in [false, true] {
        for over in Slot::ALL {
            let member = (!free).then(|| member.clone());
            let new = Claim { slot: over, member, stamp: stamp(2, 8), seqno: 34, ..old.clone() };
            let mut fresh = Medium::member(1);
            let elder = Claim { slot: slot(0), stamp: stamp(2, 1), ..old.clone() };
            fresh.claim(&elder);
            let (places, blocks) = (geometry().claim_at(over), new.encode().unwrap());
            let per_copy = BLOCK / SECTOR;
            for arrived in 0..=2 * per_copy {
                let mut medium = fresh.clone();
                medium.write_torn(places[0], &blocks[0], |sector| sector < arrived);
                medium.write_torn(places[1], &blocks[1], |sector| sector + per_copy < arrived);
                let newest = medium.claims().newest;
                // The contents of a claim end in the first sector.
                let expected = if arrived == 0 { &old } else { &new };
                assert_eq!(newest.as_ref(), Some(expected), "{arrived} sectors");
            }
        }
    }
}

/// The sectors of a block arrive in any order. Whichever are missing, one copy is whole.
#[test]
fn a_claim_that_is_torn_in_any_way_leaves_the_old_one_or_the_new_one() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let old = claim(1);
    for _ in 0..500 {
        let mut new = Claim { stamp: stamp(2, 8), seqno: 34, ..old.clone() };
        new.slot = Slot::ALL[rng.next_u32() as usize % SLOTS];
        let mut medium = Medium::member(1);
        let (places, blocks) = (geometry().claim_at(new.slot), new.encode().unwrap());
        let arrives = rng.next_u32();
        let copy = (rng.next_u32() % 2) as usize;
        if copy == 1 {
            medium.write(places[0], &blocks[0]);
        }
        // Rot, as far as the reader can tell.
        let garbage: Vec<u8> = blocks[copy].iter().map(|byte| byte ^ 0x55).collect();
        medium.write_torn(places[copy], &garbage, |sector| arrives >> sector & 1 == 1);
        medium.write_torn(places[copy], &blocks[copy], |sector| arrives >> (sector + 8) & 1 == 1);
        let newest = medium.claims().newest.unwrap();
        assert!(newest == old || newest == new, "{newest:?}");
        assert!(copy == 0 || newest == new);
    }
}

/// A disk is initialised again.
#[test]
fn a_torn_label_leaves_the_old_one_or_the_new_one() {
    let (old, mut new) = (label(1), label(1));
    new.disk = disk_id(9);
    new.geometry = Geometry::new(16_384, 5000).unwrap();
    let blocks = new.encode().unwrap();
    let fresh = Medium::member(1);
    for arrived in 0..=16 {
        let mut medium = fresh.clone();
        medium.write_torn(LABELS_AT[0], &blocks[0], |sector| sector < arrived);
        medium.write_torn(LABELS_AT[1], &blocks[1], |sector| sector + 8 < arrived);
        let found = medium.label().unwrap();
        assert_eq!(found.label, if arrived == 0 { old.clone() } else { new.clone() });
        assert_eq!(found.wrong, [false, (1..9).contains(&arrived)], "{arrived}");
    }
    // One of them is lost later, or both.
    let mut medium = fresh.clone();
    medium.write(LABELS_AT[0], &[0x55; BLOCK]);
    assert_eq!(medium.label().unwrap(), FoundLabel { label: old, wrong: [true, false] });
    medium.write(LABELS_AT[1], &[0x55; BLOCK]);
    assert_eq!(medium.label().unwrap_err().to_string(), "Invalid magic number");
    assert_eq!(Label::find([None, Some(&blocks[1])]).unwrap().label, new);
    Label::find([None, None]).unwrap_err();
}
