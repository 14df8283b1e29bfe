//! Blocks that nobody changes, one thing at a time.

use super::groups::made;
use super::steps::{WRITE, ok};
use super::world::{MARKED, World};
use crate::model::op::VolumeLayout;
use crate::model::{ReadPolicy, sample};
use crate::volume::{IoFailed, RequestId, Rules, VolumeNote, What};

fn world() -> World {
    World::new(sample::group(), "vol1", MARKED)
}

/// Nothing can be read of the plex that is read first.
fn spoil(world: &mut World) {
    let plex = world.plex("vol1-02");
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == plex) {
        world.spoil(&leaf);
    }
}

fn are_held(world: &World, ids: &[RequestId]) -> bool {
    world.held.keys().eq(ids)
}

fn is_open(world: &World, id: RequestId) -> bool {
    !world.ended.contains_key(&id)
}

#[test]
fn a_hold_waits_for_changes_and_changes_wait_for_it() {
    let mut world = world();
    let before = world.ask(WRITE, 0, 8);
    let queued = world.ask(WRITE, 4, 20);
    let hold = world.ask(What::Hold, 20, 80);
    // Each of them meets the hold alone.
    let behind = world.ask(WRITE, 50, 8);
    let beside = world.ask(WRITE, 300, 8);
    world.answer_all();
    assert!([before, queued, beside].iter().all(|id| ok(&world, *id)));
    assert!(are_held(&world, &[hold]) && is_open(&world, hold) && is_open(&world, behind));
    let zero = world.ask(What::Zero { durable: false, may_unmap: false }, 0, 21);
    let edges = [world.ask(WRITE, 100, 8), world.ask(What::Read, 0, 200)];
    let flush = world.ask(What::Flush, 0, 0);
    world.answer_all();
    assert!(edges.iter().all(|id| ok(&world, *id)) && ok(&world, flush));
    assert!(is_open(&world, behind) && is_open(&world, zero));
    world.release(hold);
    assert!(ok(&world, hold) && world.pending.len() == 4);
    world.answer_all();
    assert!(ok(&world, behind) && ok(&world, zero));
    world.assert_equal();
}

#[test]
fn a_hold_is_not_there_before_what_has_begun_is_over() {
    let mut world = world();
    world.ask(WRITE, 0, 8);
    let hold = world.ask(What::Hold, 0, 100);
    world.answer(0);
    assert!(are_held(&world, &[]));
    world.answer(0);
    assert!(are_held(&world, &[hold]));
}

#[test]
fn a_hold_needs_no_copies() {
    let group = made(VolumeLayout::Concat, ReadPolicy::Select);
    let mut world = World::new(group, "new", Rules { is_marked: false, ..MARKED });
    // Writes do not wait for one another there.
    world.ask(WRITE, 0, 8);
    world.ask(WRITE, 0, 8);
    assert_eq!(world.pending.len(), 2);
    let hold = world.ask(What::Hold, 4, 8);
    let behind = [world.ask(WRITE, 0, 8), world.ask(WRITE, 8, 8)];
    let read = world.ask(What::Read, 0, 16);
    assert_eq!(world.pending.len(), 3);
    world.answer(0);
    assert!(are_held(&world, &[]));
    world.answer_all();
    assert!(are_held(&world, &[hold]) && ok(&world, read));
    assert!(behind.iter().all(|id| is_open(&world, *id)));
    world.release(hold);
    assert_eq!(world.pending.len(), 2);
    world.answer_all();
    assert!(behind.iter().all(|id| ok(&world, *id)));
}

#[test]
fn holds_that_meet_follow_one_another() {
    let mut world = world();
    let first = world.ask(What::Hold, 0, 100);
    let second = world.ask(What::Hold, 50, 100);
    let beside = world.ask(What::Hold, 200, 100);
    assert!(are_held(&world, &[first, beside]));
    world.release(first);
    assert!(are_held(&world, &[second, beside]));
}

#[test]
fn a_hold_needs_no_mark_and_still_follows_a_change_that_does() {
    let mut world = World::new(sample::group(), "vol1", Rules { is_marked: false, ..MARKED });
    let free = world.ask(What::Hold, 100, 8);
    assert!(are_held(&world, &[free]) && !world.is_to_be_marked);
    let write = world.ask(WRITE, 0, 8);
    let hold = world.ask(What::Hold, 0, 8);
    assert!(are_held(&world, &[free]) && world.is_to_be_marked);
    world.rules.is_marked = true;
    world.go_on();
    world.answer_all();
    assert!(ok(&world, write) && are_held(&world, &[free, hold]));
}

#[test]
fn what_is_held_outlives_tables_and_what_waits_goes_on_waiting() {
    let mut world = world();
    let held = world.ask(What::Hold, 0, 8);
    world.stand_still();
    assert!(world.is_still, "it has nothing on disks");
    world.go_on();
    let write = world.ask(WRITE, 100, 8);
    let waits = world.ask(What::Hold, 100, 8);
    let given_up = world.ask(What::Hold, 104, 8);
    world.stand_still();
    world.answer_all();
    assert!(world.is_still && ok(&world, write));
    let late = world.ask(What::Hold, 300, 8);
    assert!(are_held(&world, &[held]), "none while it stands still");
    world.release(given_up);
    assert!(ok(&world, given_up));
    let kept_off = world.ask(WRITE, 0, 8);
    // The world would not hear twice of the first.
    world.go_on();
    assert!(are_held(&world, &[held, waits, late]) && world.pending.is_empty());
    world.stand_still();
    world.release(held);
    assert!(world.pending.is_empty());
    world.go_on();
    world.answer_all();
    assert!(ok(&world, kept_off));
}

#[test]
fn what_is_held_outlives_a_plex() {
    let mut world = world();
    let hold = world.ask(What::Hold, 0, 8);
    let plex = world.plex("vol1-01");
    world.kill(plex);
    let write = world.ask(WRITE, 100, 8);
    let queued = world.ask(What::Hold, 100, 8);
    world.answer_all();
    assert_eq!(world.to_detach.len(), 1);
    assert!(are_held(&world, &[hold]), "what is parked has begun");
    let kept_off = world.ask(WRITE, 0, 8);
    world.stand_still();
    world.detach();
    assert!(are_held(&world, &[hold]));
    world.answer_all();
    assert!(ok(&world, write) && is_open(&world, kept_off));
    assert!(are_held(&world, &[hold, queued]));
}

#[test]
fn a_volume_that_goes_holds_nothing() {
    let mut world = world();
    let held = world.ask(What::Hold, 0, 8);
    let waits = world.ask(What::Hold, 0, 8);
    world.handle_gone();
    assert_eq!(world.ended[&held], Err(IoFailed::Gone));
    assert_eq!(world.ended[&waits], Err(IoFailed::Gone));
    let late = world.ask(What::Hold, 0, 8);
    assert_eq!(world.ended[&late], Err(IoFailed::Gone));
    world.release(held);
}

#[test]
fn a_hold_that_waits_is_given_up() {
    let mut world = world();
    let first = world.ask(What::Hold, 0, 8);
    let waits = world.ask(What::Hold, 0, 20);
    let write = world.ask(WRITE, 10, 8);
    assert!(world.pending.is_empty());
    world.release(waits);
    assert!(ok(&world, waits) && !world.pending.is_empty());
    world.answer_all();
    assert!(ok(&world, write) && are_held(&world, &[first]));
}

#[test]
fn only_holds_are_released() {
    let mut world = world();
    let hold = world.ask(What::Hold, 0, 8);
    let waits = world.ask(WRITE, 0, 8);
    let read = world.ask(What::Read, 0, 8);
    for id in [waits, read, RequestId(77)] {
        world.release(id);
        world.cancel(hold);
    }
    assert!(world.ended.is_empty() && are_held(&world, &[hold]));
}

#[test]
fn a_hold_beyond_the_end_is_refused() {
    let mut world = world();
    let hold = world.ask(What::Hold, 8000, 193);
    assert_eq!(world.ended[&hold], Err(IoFailed::Range));
    assert!(are_held(&world, &[]));
    let write = world.ask(WRITE, 8000, 192);
    world.answer_all();
    assert!(ok(&world, write));
}

#[test]
fn what_cannot_be_read_is_not_corrected_where_it_is_held() {
    let mut world = world();
    spoil(&mut world);
    let hold = world.ask(What::Hold, 8, 8);
    let read = world.ask(What::Read, 0, 16);
    world.answer_all();
    assert!(ok(&world, read));
    assert!(world.notes.iter().all(|note| matches!(note, VolumeNote::ReadFailed { .. })));
    world.release(hold);
    let read = world.ask(What::Read, 0, 16);
    world.answer_all();
    assert!(ok(&world, read));
    assert!(world.notes.iter().any(|note| matches!(note, VolumeNote::Corrected { .. })));
}

#[test]
fn a_read_waits_for_no_hold_and_for_nothing_behind_one() {
    let mut world = world();
    spoil(&mut world);
    world.ask(What::Hold, 0, 8);
    let write = world.ask(WRITE, 0, 16);
    let read = world.ask(What::Read, 8, 8);
    world.answer_all();
    assert!(ok(&world, read) && is_open(&world, write));
    assert!(world.notes.iter().any(|note| matches!(note, VolumeNote::Corrected { .. })));
}

#[test]
fn a_hold_waits_for_what_is_being_corrected() {
    let mut world = world();
    spoil(&mut world);
    let read = world.ask(What::Read, 0, 8);
    world.answer(0);
    let hold = world.ask(What::Hold, 0, 8);
    assert!(are_held(&world, &[]), "the other copy is being read");
    world.answer(0);
    assert!(are_held(&world, &[]), "the first one is being written");
    world.answer(0);
    assert!(ok(&world, read) && are_held(&world, &[hold]));
}

#[test]
fn a_read_that_fails_when_blocks_are_held_already_corrects_nothing() {
    let mut world = world();
    spoil(&mut world);
    let read = world.ask(What::Read, 0, 8);
    let hold = world.ask(What::Hold, 0, 8);
    assert!(are_held(&world, &[hold]));
    world.answer_all();
    assert!(ok(&world, read));
    assert!(world.notes.iter().all(|note| matches!(note, VolumeNote::ReadFailed { .. })));
}
