//! The dirty region log, one thing at a time.

use super::groups::{logged, made, make_stale};
use super::steps::{WRITE, ok};
use super::world::{MARKED, World};
use crate::model::op::VolumeLayout;
use crate::model::{KernelState, LogType, ReadPolicy};
use crate::volume::{DiskWork, IoFailed, Rules, What};

/// 512 sectors with two copies and a log of regions of 16 sectors, four of which may be dirty.
fn world(layout: VolumeLayout, logs: u16) -> World {
    let group = logged(&made(layout, ReadPolicy::Round), "new", LogType::Region, logs);
    let mut world = World::new(group, "new", MARKED);
    world.go_on();
    world.answer_all();
    world
}

fn works(world: &World) -> Vec<DiskWork> {
    world.pending.iter().map(|op| op.work).collect()
}

const LOG: DiskWork = DiskWork::Write { durable: true };
const DATA: DiskWork = DiskWork::Write { durable: false };

#[test]
fn data_follow_their_mark_and_the_next_write_needs_none() {
    let mut world = world(VolumeLayout::Mirror, 2);
    let first = world.ask(WRITE, 0, 8);
    assert_eq!(works(&world), [LOG, LOG], "both copies of the log");
    // It comes too late for that pass.
    let other = world.ask(WRITE, 100, 8);
    world.answer(0);
    assert_eq!(works(&world), [LOG], "one copy is not enough");
    world.answer(0);
    assert_eq!(works(&world), [DATA, DATA, LOG, LOG]);
    world.answer_all();
    assert!(ok(&world, first) && ok(&world, other));
    let again = world.ask(WRITE, 8, 8);
    assert_eq!(works(&world), [DATA, DATA]);
    world.answer_all();
    assert!(ok(&world, again));
    world.check_marks();
    assert_eq!(world.volume.marked(), 2);
}

#[test]
fn what_waits_is_marked_in_one_pass() {
    let mut world = world(VolumeLayout::Mirror, 1);
    world.ask(WRITE, 0, 8);
    for number in 1..=3 {
        world.ask(WRITE, number * 32, 8);
    }
    assert_eq!(works(&world), [LOG]);
    world.answer(0);
    assert_eq!(works(&world), [DATA, DATA, LOG]);
    world.answer_all();
    assert_eq!(world.volume.marked(), 4);
}

#[test]
fn regions_ahead_of_a_sequential_writer_are_marked() {
    let group = logged(&made(VolumeLayout::Mirror, ReadPolicy::Round), "new", LogType::Region, 1);
    let mut world = World::new(group, "new", MARKED);
    world.regions = (16, 24);
    world.go_on();
    world.answer_all();
    // How many are marked when so many were written: one more for each that lies behind, three at most.
    let mut marked = Vec::new();
    for region in 4..14 {
        world.ask(WRITE, region * 16, 16);
        world.answer_all();
        marked.push(world.volume.marked());
    }
    assert_eq!(marked, [1, 3, 3, 7, 7, 7, 7, 11, 11, 11]);
    // Elsewhere, and at the end of the volume, nothing lies ahead.
    world.ask(WRITE, 16 * 25, 16);
    world.answer_all();
    assert_eq!(world.volume.marked(), 12);
    for region in 29..32 {
        world.ask(WRITE, region * 16, 16);
        world.answer_all();
    }
    assert_eq!(world.volume.marked(), 15);
    world.check_marks();
}

#[test]
fn the_oldest_marks_go_when_data_are_safe() {
    let mut world = world(VolumeLayout::Mirror, 1);
    for number in 0..4 {
        world.ask(WRITE, number * 16, 8);
        world.answer_all();
    }
    world.ask(WRITE, 0, 8);
    world.answer_all();
    assert_eq!(world.volume.marked(), 4);
    let fifth = world.ask(WRITE, 400, 8);
    assert_eq!(works(&world), [DiskWork::Flush, DiskWork::Flush]);
    world.check_marks();
    // The region that was used last is still marked, the one after it is not.
    world.answer_all();
    assert!(ok(&world, fifth));
    assert_eq!(world.volume.marked(), 4);
    world.check_marks();
    world.ask(WRITE, 0, 8);
    assert_eq!(works(&world), [DATA, DATA]);
    world.answer_all();
}

#[test]
fn regions_that_are_in_use_stay_marked() {
    let mut world = world(VolumeLayout::Mirror, 1);
    let long = world.ask(WRITE, 0, 100);
    world.answer(0);
    assert_eq!(works(&world), [DATA, DATA]);
    assert_eq!(world.volume.marked(), 7, "more than the limit, for one change needs them");
    world.tidy();
    world.tidy();
    assert_eq!(works(&world), [DATA, DATA]);
    let other = world.ask(WRITE, 400, 8);
    world.answer_all();
    assert!(ok(&world, long) && ok(&world, other));
    world.check_marks();
}

#[test]
fn a_volume_that_rests_is_clean() {
    let mut world = world(VolumeLayout::Mirror, 1);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    world.tidy();
    assert!(world.pending.is_empty(), "it was used since");
    world.tidy();
    assert_eq!(works(&world), [DiskWork::Flush, DiskWork::Flush]);
    // Somebody comes while the mark goes.
    let late = world.ask(WRITE, 8, 8);
    assert_eq!(works(&world), [DiskWork::Flush, DiskWork::Flush]);
    world.answer_all();
    assert!(ok(&world, late));
    assert_eq!(world.volume.marked(), 1);
    for _ in 0..2 {
        world.tidy();
        world.answer_all();
    }
    assert_eq!(world.volume.marked(), 0);
    world.check_marks();
}

#[test]
fn a_log_that_cannot_be_written_is_taken_off_first() {
    let mut world = world(VolumeLayout::Mirror, 2);
    let log = world.volume.map().mirrors()[0].log.as_ref().unwrap().copies[0].clone();
    world.dead.insert(world.volume.map().disks()[log.disk.0].to_string());
    let write = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(world.to_detach.contains(&log.plex) && !ok(&world, write));
    world.stand_still();
    world.detach();
    world.answer_all();
    assert!(ok(&world, write) && world.logs());
    assert_eq!(world.group.plexes[&log.plex].kernel, KernelState::Detached);
    // Then the last one: there is no log any more.
    let log = world.volume.map().mirrors()[0].log.as_ref().unwrap().copies[0].clone();
    world.dead.insert(world.volume.map().disks()[log.disk.0].to_string());
    let write = world.ask(WRITE, 100, 8);
    world.answer_all();
    world.stand_still();
    world.detach();
    world.answer_all();
    assert!(ok(&world, write) && !world.logs());
    world.assert_equal();
}

#[test]
fn what_stands_still_marks_nothing() {
    let mut world = world(VolumeLayout::Mirror, 1);
    let first = world.ask(WRITE, 0, 8);
    world.stand_still();
    assert!(!world.is_still, "the log is being written");
    world.answer_all();
    assert!(world.is_still && !ok(&world, first));
    let second = world.ask(WRITE, 100, 8);
    assert!(world.pending.is_empty());
    world.go_on();
    assert_eq!(works(&world), [DATA, DATA, LOG], "the first is marked already");
    world.answer_all();
    assert!(ok(&world, first) && ok(&world, second));
    world.stand_still();
    world.ask(WRITE, 200, 8);
    world.handle_gone();
    assert!(world.ended.values().any(|result| *result == Err(IoFailed::Gone)));
}

#[test]
fn a_map_is_written_before_it_is_used_and_as_soon_as_the_node_may_write() {
    let group =
        logged(&made(VolumeLayout::StripeMirror, ReadPolicy::Round), "new", LogType::Region, 1);
    let mut world = World::new(group, "new", Rules { is_marked: false, ..MARKED });
    world.ask(What::Read, 0, 8);
    world.answer_all();
    assert!(world.pending.is_empty());
    world.stand_still();
    world.rules.is_marked = true;
    world.go_on();
    // Two layers of two copies each.
    assert_eq!(works(&world), [DiskWork::Flush; 4]);
    let write = world.ask(WRITE, 0, 256);
    world.answer_all();
    assert!(ok(&world, write));
    world.check_marks();
    world.assert_equal();
}

#[test]
fn a_node_whose_map_does_not_fit_writes_without() {
    let group = logged(&made(VolumeLayout::Mirror, ReadPolicy::Round), "new", LogType::Region, 1);
    let mut world = World::new(group, "new", Rules { log_map: Some(63), ..MARKED });
    world.ask(WRITE, 0, 8);
    assert_eq!(works(&world), [DATA, DATA]);
    assert!(!world.logs());
    world.answer_all();
}

#[test]
fn what_is_beyond_the_end_is_looked_up_in_no_map() {
    let mut world = world(VolumeLayout::Mirror, 1);
    let beyond = world.ask(WRITE, 510, 8);
    let far = world.ask(WRITE, 1 << 40, 8);
    let most = world.ask(WRITE, u64::MAX - 4, 8);
    for id in [beyond, far, most] {
        assert_eq!(world.ended[&id], Err(IoFailed::Range));
    }
    let write = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(ok(&world, write), "others go on");
}

#[test]
fn a_last_copy_that_cannot_be_flushed_fails_changes_and_is_left_in_peace() {
    let group = logged(&made(VolumeLayout::Mirror, ReadPolicy::Round), "new", LogType::Region, 1);
    let mut group = group;
    make_stale(&mut group, "new-02");
    let mut world = World::new(group, "new", MARKED);
    let good = world.plex("new-01");
    world.kill(good);
    world.go_on();
    for _ in 0..2 {
        assert!(works(&world).contains(&DiskWork::Flush));
        world.answer_all();
        assert!(world.pending.is_empty() && world.to_detach.is_empty(), "once is enough");
        let write = world.ask(WRITE, 0, 8);
        assert_eq!(world.ended[&write], Err(IoFailed::Io));
        world.tidy();
    }
    // The disk is well again.
    world.answer_all();
    world.dead.clear();
    world.tidy();
    world.answer_all();
    let write = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(ok(&world, write));
    world.check_marks();
}
