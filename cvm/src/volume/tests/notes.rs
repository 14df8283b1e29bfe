//! Changes are noted for snapshots that are to come back.

use super::groups::{logged, made};
use super::steps::{WRITE, ok};
use super::world::{MARKED, World};
use crate::disk::changes_of;
use crate::model::op::VolumeLayout;
use crate::model::{LogType, ReadPolicy};
use crate::volume::{DiskWork, Notes, Rules};

const LOG: DiskWork = DiskWork::Write { durable: true };
const DATA: DiskWork = DiskWork::Write { durable: false };

/// 512 sectors with two copies and a log of regions of 16 sectors, four of which may be dirty.
fn world(logs: u16) -> World {
    let group =
        logged(&made(VolumeLayout::Mirror, ReadPolicy::Round), "new", LogType::Region, logs);
    let mut world = World::new(group, "new", MARKED);
    world.go_on();
    world.answer_all();
    world
}

/// A snapshot is made: from here on changes are noted under this number.
fn snapshot(world: &mut World, number: u32) {
    world.stand_still();
    world.rules.notes = Some(Notes { number, has_begun: true });
    world.go_on();
}

fn works(world: &World) -> Vec<DiskWork> {
    world.pending.iter().map(|op| op.work).collect()
}

/// The regions that all copies of the log note.
fn noted(world: &World) -> Vec<u64> {
    (0..32).filter(|region| world.is_noted_on_disks(region * 16)).collect()
}

#[test]
fn data_follow_their_note_and_the_next_write_needs_none() {
    let mut world = world(2);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    snapshot(&mut world, 1);
    assert!(works(&world).is_empty() && noted(&world).is_empty(), "nobody has changed anything");
    // It is marked already, and not noted; what was noted before is looked at once.
    let first = world.ask(WRITE, 0, 8);
    assert_eq!(works(&world), [DiskWork::Read; 2], "both copies");
    world.answer(0);
    world.answer(0);
    assert_eq!(works(&world), [LOG; 2], "the mark is there");
    world.answer(0);
    assert_eq!(works(&world), [LOG], "one copy is not enough");
    world.answer(0);
    assert_eq!(works(&world), [DATA; 2]);
    world.answer_all();
    let again = world.ask(WRITE, 8, 8);
    assert_eq!(works(&world), [DATA; 2]);
    world.answer_all();
    let other = world.ask(WRITE, 160, 8);
    assert_eq!(works(&world), [LOG; 4], "a mark and a note, at once");
    world.answer_all();
    assert!(ok(&world, first) && ok(&world, again) && ok(&world, other));
    assert_eq!(noted(&world), [0, 10]);
    // Marks go, notes stay.
    for _ in 0..2 {
        world.tidy();
        world.answer_all();
    }
    assert_eq!((world.volume.marked(), noted(&world)), (0, vec![0, 10]));
}

#[test]
fn what_was_noted_stays_until_the_next_snapshot() {
    let mut world = world(2);
    snapshot(&mut world, 1);
    for region in [3, 5] {
        world.ask(WRITE, region * 16, 8);
        world.answer_all();
        world.reopen();
        world.answer_all();
    }
    assert_eq!(noted(&world), [3, 5]);
    world.reopen();
    let write = world.ask(WRITE, 16 * 9, 8);
    world.answer_all();
    assert!(ok(&world, write));
    assert_eq!(noted(&world), [3, 5, 9]);
    snapshot(&mut world, 2);
    assert!(noted(&world).is_empty());
    world.ask(WRITE, 16 * 5, 8);
    world.answer_all();
    assert_eq!(noted(&world), [5]);
    // A damaged note means everything.
    let mut world = world_after_damage(world);
    world.ask(WRITE, 16, 8);
    world.answer_all();
    assert_eq!(noted(&world).len(), 32);
}

fn world_after_damage(mut world: World) -> World {
    world.damage_logs();
    world.reopen();
    world
}

#[test]
fn whoever_has_noted_nothing_reads_nothing() {
    let mut world = world(1);
    world.stand_still();
    world.rules.is_marked = false;
    world.rules.notes = Some(Notes { number: 7, has_begun: false });
    world.go_on();
    world.damage_logs();
    world.reopen();
    let write = world.ask(WRITE, 0, 8);
    assert!(world.is_to_be_marked && world.pending.is_empty());
    world.rules.is_marked = true;
    world.rules.notes = Some(Notes { number: 7, has_begun: true });
    world.go_on();
    assert!(!works(&world).contains(&DiskWork::Read));
    world.answer_all();
    assert!(ok(&world, write));
    assert_eq!(noted(&world), [0]);
}

/// A sector that cannot be read costs no plex; of all copies, a copy of everything.
#[test]
fn notes_that_cannot_be_read_are_written_anew() {
    for (bad, expected) in [(1, 1), (2, 32)] {
        let mut world = world(2);
        snapshot(&mut world, 1);
        let log = world.volume.map().mirrors()[0].log.as_ref().unwrap().clone();
        let number = changes_of(world.rules.log_map.unwrap());
        for copy in &log.copies[..bad] {
            let disk = world.volume.map().disks()[copy.disk.0].to_string();
            world.bad.insert((disk, copy.at + log.shape.at(number)));
        }
        let write = world.ask(WRITE, 0, 8);
        world.answer_all();
        assert!(ok(&world, write) && world.to_detach.is_empty());
        assert_eq!(noted(&world).len(), expected);
    }
}

#[test]
fn a_log_whose_notes_cannot_be_read_is_taken_off() {
    let mut world = world(2);
    snapshot(&mut world, 1);
    let log = world.volume.map().mirrors()[0].log.as_ref().unwrap().copies[1].clone();
    world.dead.insert(world.volume.map().disks()[log.disk.0].to_string());
    let write = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(world.to_detach.contains(&log.plex) && !ok(&world, write));
    world.stand_still();
    world.detach();
    world.answer_all();
    assert!(ok(&world, write) && world.logs());
    assert_eq!(noted(&world), [0]);
}

#[test]
fn a_snapshot_is_not_written_before_that_is_known() {
    let group = made(VolumeLayout::Concat, ReadPolicy::Round);
    let rules = Rules { is_marked: false, is_untouched: true, ..MARKED };
    let mut world = World::new(group, "new", rules);
    let write = world.ask(WRITE, 0, 8);
    assert!(world.is_to_be_marked && world.pending.is_empty());
    (world.rules.is_marked, world.rules.is_untouched) = (true, false);
    world.go_on();
    world.answer_all();
    assert!(ok(&world, write));
    // Another node, which is told.
    world.rules.is_marked = false;
    world.go_on();
    let other = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(ok(&world, other));
}
