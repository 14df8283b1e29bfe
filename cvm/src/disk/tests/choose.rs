//! Imports: what counts, and what is refused.

use std::collections::BTreeSet;

use super::medium::{Medium, host, import, request};
use super::samples::*;
use crate::disk::*;
use crate::model::sample::name;
use crate::model::{Copies, Epoch, Owner, Serial, UniqueId};

/// Three disks with one image in slot 2, as the last change has left them.
fn healthy() -> Vec<FoundDisk> {
    found(&image())
}

fn found(image: &Image) -> Vec<FoundDisk> {
    let medium = |number| {
        let mut medium = Medium::member(number);
        medium.image(image);
        medium.found()
    };
    (1..=3).map(medium).collect()
}

fn put(disk: &mut FoundDisk, image: Image) {
    let slot = image.slot.index();
    disk.slots[slot] = FoundSlot::Image(Box::new(image));
}

fn member(disk: &mut FoundDisk) -> &mut Member {
    disk.claims.newest.as_mut().unwrap().member.as_mut().unwrap()
}

fn error(request: &ImportRequest, disks: &[FoundDisk]) -> String {
    choose(request, disks).unwrap_err().to_string()
}

#[test]
fn a_healthy_group_is_imported() {
    let choice = choose(&request(), &healthy()).unwrap();
    assert_eq!(choice.image, image());
    assert_eq!(choice.epoch, Epoch(2));
    assert_eq!(choice.held, [None, None, Some(stamp(2, 7))]);
    assert!(choice.missing.is_empty() && choice.stray.is_empty() && choice.damaged.is_empty());
    assert!(!choice.forced);
    assert_eq!(next_slot(&choice.held, Some(choice.image.slot), &BTreeSet::new()), Some(slot(0)));
    assert_eq!(groups(&healthy())[&group_id()], BTreeSet::from([name("mydg")]));
}

#[test]
fn the_newest_image_counts_wherever_it_is() {
    let mut disks = healthy();
    put(&mut disks[0], Image { slot: slot(0), stamp: stamp(2, 6), ..image() });
    let newer = Image { slot: slot(1), stamp: stamp(2, 8), ..image() };
    put(&mut disks[1], newer.clone());
    let choice = choose(&request(), &disks).unwrap();
    assert_eq!(choice.image, newer);
    assert_eq!(pools(&disks)[&group_id()].len(), 1);
    assert_eq!(choice.held, [Some(stamp(2, 6)), Some(stamp(2, 8)), Some(stamp(2, 7))]);
    // An older epoch loses, however far it went.
    let older = Image { slot: slot(0), stamp: stamp(1, 99), ..image() };
    put(&mut disks[2], older);
    assert_eq!(choose(&request(), &disks).unwrap().image, newer);
}

#[test]
fn more_than_half_of_the_copies_must_be_there() {
    let disks = healthy();
    let choice = choose(&request(), &disks[..2]).unwrap();
    assert_eq!(choice.missing.into_iter().collect::<Vec<_>>(), [(dm(3), disk_id(3))]);
    let error = ImportError::TooFewCopies { found: 1, active: 3 };
    assert_eq!(choose(&request(), &disks[..1]), Err(error.clone()));
    assert_eq!(error.to_string(), "Disk for disk group not found");
    let force = ImportRequest { force: true, ..request() };
    assert!(choose(&force, &disks[..1]).unwrap().forced);

    // Exactly half is not more than half.
    let mut image = image();
    group_of(&mut image).nconfig = Copies::Count(2);
    group_of(&mut image).nlog = Copies::Count(2);
    image.copies = CopyList::default().assign(&image.group, &BTreeSet::new());
    let disks = found(&image);
    let half = choose(&request(), &disks[1..]);
    let error = ImportError::TooFewCopies { found: 1, active: 2 };
    assert_eq!(half, Err(error));
    choose(&request(), &disks[..2]).unwrap();
}

/// Nothing is noted there.
#[test]
fn kernel_logs_need_not_be_there() {
    let mut image = image();
    group_of(&mut image).nlog = Copies::Count(1);
    image.copies = CopyList::default().assign(&image.group, &BTreeSet::new());
    let disks = found(&image);
    assert_eq!(image.copies.active(CopyKind::Log).collect::<Vec<_>>(), [&disk_id(1)]);
    assert!(!choose(&request(), &disks[1..]).unwrap().forced);
}

/// What cannot be read may be anything, newer than what can be, too. What is in pieces is known to be
/// no newer configuration, unless it was damaged later.
#[test]
fn a_copy_that_cannot_be_read_is_not_there() {
    let mut disks = healthy();
    for disk in &mut disks[..2] {
        disk.slots[2] = FoundSlot::decode(slot(2), &[7; BLOCK]);
    }
    assert_eq!(choose(&request(), &disks).unwrap().damaged.len(), 2);
    for disk in &mut disks[..2] {
        disk.slots[0] = FoundSlot::Unreadable;
    }
    let error = ImportError::TooFewCopies { found: 1, active: 3 };
    assert_eq!(choose(&request(), &disks), Err(error));
}

/// A disk that missed changes was about to get a newer one, and that was torn: what it has left is
/// older than what it knows of.
#[test]
fn what_is_older_than_a_claim_says_does_not_count() {
    let mut disks = healthy();
    disks[0].claims.newest.as_mut().unwrap().floor = stamp(2, 8);
    let error = ImportError::Older { newest: stamp(2, 7), floor: stamp(2, 8) };
    assert_eq!(choose(&request(), &disks), Err(error.clone()));
    assert_eq!(error.to_string(), "Disk for disk group not found");
    let force = ImportRequest { force: true, ..request() };
    assert!(choose(&force, &disks).unwrap().forced);
    choose(&request(), &disks[1..]).unwrap();
    put(&mut disks[2], Image { slot: slot(1), stamp: stamp(2, 8), ..image() });
    assert_eq!(choose(&request(), &disks).unwrap().image.stamp, stamp(2, 8));
}

#[test]
fn no_image_at_all() {
    let mut disks = healthy();
    for disk in &mut disks {
        disk.slots[2] = FoundSlot::decode(slot(2), &[7; BLOCK]);
    }
    assert_eq!(error(&request(), &disks), "Disk group has no valid configuration copies");
    let Err(ImportError::NoValidCopies { damaged }) = choose(&request(), &disks) else {
        panic!("there is one")
    };
    let said = damaged[0].error.as_ref().unwrap().to_string();
    assert_eq!((damaged.len(), said.as_str()), (3, "Invalid magic number (block 0)"));
    let force = ImportRequest { force: true, ..request() };
    assert_eq!(error(&force, &disks), "Disk group has no valid configuration copies");
    assert_eq!(error(&request(), &[]), "No such disk group");
}

/// The newest image was damaged after it was written: the one before is used, and it is said.
#[test]
fn a_damaged_image_is_reported_with_its_stamp() {
    let newer = Image { slot: slot(0), stamp: stamp(5, 8), ..image_of(group_with(110)) };
    let mut bytes = newer.encode(40).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let mut disks = healthy();
    disks[1].slots[0] = FoundSlot::decode(slot(0), &bytes);
    let choice = choose(&request(), &disks).unwrap();
    assert_eq!(choice.image, image());
    let error = ImageError::Block { number: 2, error: BlockError::Checksum };
    let damaged =
        Damaged { disk: disk_id(2), slot: slot(0), error: Some(error), stamp: Some(stamp(5, 8)) };
    assert_eq!(choice.damaged, [damaged]);
    assert_eq!(choice.epoch, Epoch(5), "nobody takes that epoch again");
}

#[test]
fn somebody_elses_disk_is_not_touched() {
    let mut disks = healthy();
    member(&mut disks[1]).owner = host("host9");
    assert_eq!(error(&request(), &disks), "Disk is in use by another host");
    let force = ImportRequest { force: true, ..request() };
    assert_eq!(error(&force, &disks), "Disk is in use by another host");
    let clear = ImportRequest { clear: true, ..request() };
    assert_eq!(choose(&clear, &disks).unwrap().image, image());
    member(&mut disks[1]).owner = Owner::Cluster(name("clus9"));
    assert_eq!(error(&request(), &disks), "Disk in use by another cluster");
    // What nobody claims may be taken, in the middle of a deport, too.
    member(&mut disks[1]).owner = Owner::Nobody;
    choose(&request(), &disks).unwrap();
    let ours = ImportRequest { owners: vec![host("host1")], ..request() };
    assert_eq!(error(&ours, &disks), "Disk in use by another cluster");
}

#[test]
fn one_identity_is_one_disk() {
    let mut disks = healthy();
    let copy = FoundDisk { access: "disk_9".to_owned(), ..disks[0].clone() };
    disks.push(copy);
    assert_eq!(error(&request(), &disks), "Duplicate disk id 1283432300.1.host1: disk_1, disk_9");
}

#[test]
fn disks_that_the_group_does_not_know_are_strays() {
    let mut image = image();
    group_of(&mut image).plexes.clear();
    group_of(&mut image).volumes.clear();
    group_of(&mut image).subdisks.clear();
    group_of(&mut image).disks.remove("mydg03");
    image.copies = image.copies.assign(&image.group, &BTreeSet::new());
    let choice = choose(&request(), &found(&image)).unwrap();
    assert_eq!(choice.stray, BTreeSet::from([disk_id(3)]));
    // That is no split, also if the disk still has a configuration that knows it.
    let mut disks = found(&image);
    put(&mut disks[2], Image { slot: slot(0), stamp: stamp(1, 3), ..super::samples::image() });
    assert_eq!(pools(&disks)[&group_id()].len(), 1);
    // A disk that went to another group counts here no more, with whatever it has left.
    let mut disks = healthy();
    member(&mut disks[2]).group = UniqueId::new(1, 2, "other");
    let newer = Image { stamp: stamp(9, 9), ..super::samples::image() };
    put(&mut disks[2], newer);
    let choice = choose(&request(), &disks).unwrap();
    assert_eq!((choice.image.stamp, choice.missing.len()), (stamp(2, 7), 1));
}

/// And the other way round: its own claim, images of the group that it was in before.
#[test]
fn images_of_another_group_are_not_looked_at() {
    let mut other = image_of(group_with(70));
    group_of(&mut other).id = UniqueId::new(1, 2, "other");
    other.stamp = stamp(9, 9);
    other.slot = slot(0);
    let mut bytes = other.encode(40).unwrap();
    let mut disks = healthy();
    put(&mut disks[0], Image { stamp: image().stamp, ..other.clone() });
    assert_eq!(pools(&disks)[&group_id()].len(), 1);
    put(&mut disks[0], other);
    bytes.truncate(BLOCK);
    disks[1].slots[0] = FoundSlot::decode(slot(0), &bytes);
    let choice = choose(&request(), &disks).unwrap();
    assert_eq!((choice.image, choice.epoch), (image(), Epoch(2)));
    assert!(choice.damaged.is_empty());
}

/// Two masters that did not see each other, and wrote the same disks.
#[test]
fn two_configurations_with_one_stamp_are_refused() {
    let mut disks = healthy();
    let mut twin = Image { slot: slot(1), ..image() };
    group_of(&mut twin).volumes.get_mut("vol1").unwrap().len = 4096;
    twin.writer.node = llt::NodeId::ZERO;
    put(&mut disks[1], twin.clone());
    assert_eq!(error(&request(), &disks), "Configuration records are inconsistent");
    assert_eq!(pools(&disks)[&group_id()].len(), 2);
    let select = ImportRequest { select: Some(disk_id(1)), ..request() };
    assert_eq!(choose(&select, &disks).unwrap().image, image());
    disks[1].slots[2] = FoundSlot::Unreadable;
    let select = ImportRequest { select: Some(disk_id(2)), ..request() };
    assert_eq!(choose(&select, &disks).unwrap().image, twin);
}

/// Half of a group was imported by force: it has the higher serials, and goes on.
fn imported_by_force(disks: &mut [FoundDisk], there: &[usize], image: Image) -> Image {
    let mut image = image;
    for number in there {
        let dm = group_of(&mut image).disks.get_mut(&dm(u32::try_from(*number).unwrap())).unwrap();
        dm.serial.0 += 1;
        member(&mut disks[number - 1]).serial.0 += 1;
    }
    group_of(&mut image).serial.0 += 1;
    let unusable = (1..=3).filter(|n| !there.contains(&(*n as usize))).map(disk_id).collect();
    image.copies = image.copies.assign(&image.group, &unusable);
    for number in there {
        put(&mut disks[number - 1], image.clone());
    }
    image
}

/// Facts 3.17: if only one side was imported, it wins without a question.
#[test]
fn one_half_alone_was_imported() {
    let mut disks = healthy();
    let newer = Image { slot: slot(0), stamp: stamp(3, 9), ..image() };
    let newer = imported_by_force(&mut disks, &[1], newer);
    let choice = choose(&request(), &disks).unwrap();
    assert_eq!(choice.image, newer);
    // Those that were away alone are not more than half.
    assert_eq!(error(&request(), &disks[1..2]), "Disk for disk group not found");
}

/// Facts 3.17: both sides were imported. Force does not help, only a decision.
#[test]
fn both_halves_were_imported() {
    let mut disks = healthy();
    let left = Image { slot: slot(0), stamp: stamp(3, 9), ..image() };
    let left = imported_by_force(&mut disks, &[1], left);
    let right = Image { slot: slot(0), stamp: stamp(3, 12), ..image() };
    let right = imported_by_force(&mut disks, &[2, 3], right);
    let force = ImportRequest { force: true, ..request() };
    for request in [request(), force] {
        let Err(ImportError::SplitBrain { splits }) = choose(&request, &disks) else {
            panic!("it is imported")
        };
        let said: Vec<_> = splits.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["Split Brain. da id is 0.2, while dm id is 0.1 for DM mydg01"]);
        assert_eq!(error(&request, &disks), "Serial Split Brain detected. Run vxsplitlines");
    }
    let shown = pools(&disks);
    let shown: Vec<_> =
        shown[&group_id()].iter().map(|pool| (pool.image, pool.disks.len())).collect();
    assert_eq!(shown, [(Some(&right), 2), (Some(&left), 1)]);
    for (disk, image) in [(1, &left), (2, &right), (3, &right)] {
        let select = ImportRequest { select: Some(disk_id(disk)), ..request() };
        assert_eq!(&choose(&select, &disks).unwrap().image, image);
    }
    // What is written next is found by those who would import the other half, too.
    let select = ImportRequest { select: Some(disk_id(1)), ..request() };
    let choice = choose(&select, &disks).unwrap();
    let all = CopyList::default().assign(&choice.image.group, &BTreeSet::new());
    let earlier = choice.earlier_for(&all);
    assert_eq!(earlier, [left.copies.only_active(), right.copies.only_active()]);
    let too_few = ImportError::TooFewCopies { found: 0, active: 2 };
    assert_eq!(choose(&select, &disks[..1]).map(|choice| choice.forced), Ok(false));
    disks[0].slots[1] = disks[1].slots[0].clone();
    assert_eq!(choose(&select, &disks[..1]), Err(too_few));
    disks[0].slots[1] = FoundSlot::decode(slot(1), &[0; BLOCK]);
    // A group that does not look for it takes the newest.
    let mut careless = right.clone();
    group_of(&mut careless).ssb = false;
    disks[1..].iter_mut().for_each(|disk| put(disk, careless.clone()));
    assert_eq!(choose(&request(), &disks).unwrap().image, careless);
    // With one stamp it is the same.
    let same = Image { stamp: left.stamp, ..right };
    disks[1..].iter_mut().for_each(|disk| put(disk, same.clone()));
    assert_eq!(error(&request(), &disks), "Serial Split Brain detected. Run vxsplitlines");
}

/// The records were raised, and the import ended before the claims were. Nobody else was there.
#[test]
fn an_import_that_was_cut_short_is_no_split_brain() {
    let mut image = Image { claiming: true, ..image() };
    group_of(&mut image).disks.values_mut().for_each(|dm| dm.serial = Serial(2));
    let mut disks = found(&image);
    choose(&request(), &disks).unwrap();
    member(&mut disks[0]).serial = Serial(2);
    choose(&request(), &disks).unwrap();
    // A disk that went back in time, or was used elsewhere, is another matter.
    for serial in [0, 3] {
        member(&mut disks[1]).serial = Serial(serial);
        let error = choose(&request(), &disks);
        assert!(matches!(error, Err(ImportError::SplitBrain { .. })), "{serial}");
    }
    let over = Image { claiming: false, ..image };
    let error = choose(&request(), &found(&over));
    assert!(matches!(error, Err(ImportError::SplitBrain { splits }) if splits.len() == 3));
}

#[test]
fn a_removed_disk_is_not_missed() {
    let mut image = image();
    group_of(&mut image).disks.get_mut("mydg03").unwrap().removed = true;
    image.copies = image.copies.assign(&image.group, &BTreeSet::new());
    assert_eq!(image.copies.state(&disk_id(3), CopyKind::Config), Some(CopyState::Failed));
    let disks = found(&image);
    assert!(choose(&request(), &disks[..2]).unwrap().missing.is_empty());
}

#[test]
fn disks_in_memory_are_read_like_this() {
    let mut media: Vec<_> = (1..=3).map(Medium::member).collect();
    assert_eq!(
        import(&media).unwrap_err().to_string(),
        "Disk group has no valid configuration copies"
    );
    media[0].image(&image());
    media[1].image(&image());
    assert_eq!(import(&media).unwrap().image, image());
}
