//! Copies that are made equal, one thing at a time.

use super::groups::{deep, made, make_stale};
use super::steps::{WRITE, ok};
use super::world::{JUNK, MARKED, World};
use crate::model::op::VolumeLayout;
use crate::model::sample::{self, name};
use crate::model::{ReadPolicy, Sectors};
use crate::volume::{DiskWork, IoFailed, MirrorIndex, PlexIndex, PlexMode, RequestId, Rules, What};

/// Copies may differ.
const DIFFER: Rules = Rules { is_alone: false, reads_one: true, ..MARKED };

fn world(rules: Rules) -> World {
    World::new(sample::group(), "vol1", rules)
}

/// Two plexes of two columns of two plexes each.
fn deep_world(rules: Rules) -> World {
    World::new(deep(ReadPolicy::Select), "new", rules)
}

/// A plex at the bottom of that.
fn bottom(world: &World, top: usize, column: usize, copy: usize) -> PlexIndex {
    let map = world.volume.map();
    let top = map.plex(map.mirror(MirrorIndex::VOLUME).plexes[top]);
    map.mirror(top.layers()[column]).plexes[copy]
}

/// Every plex has something else.
fn mix_up(world: &mut World) {
    for (number, leaf) in (1..).zip(world.leaves()) {
        world.may_have(leaf.begin..leaf.begin + leaf.len, JUNK - number);
        world.put(&leaf, 0..Sectors::MAX, JUNK - number);
    }
}

fn spoil(world: &mut World, plex: PlexIndex) {
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == plex) {
        world.spoil(&leaf);
    }
}

/// A copy of what is held for it.
fn copy(world: &mut World, at: Sectors, len: Sectors) -> (RequestId, RequestId) {
    let hold = world.ask(What::Hold, at, len);
    assert!(world.held.contains_key(&hold));
    (hold, world.ask(What::Copy, at, len))
}

/// What disks are to read, or to write: of which plex, from where on and how much of the request.
fn places(world: &World, work: DiskWork) -> Vec<(PlexIndex, Sectors, Sectors)> {
    assert!(world.pending.iter().all(|op| op.work == work), "{:?}", world.pending);
    world.pending.iter().map(|op| (world.plex_of(op), op.offset, op.len)).collect()
}

fn reads(world: &World) -> Vec<(PlexIndex, Sectors, Sectors)> {
    places(world, DiskWork::Read)
}

fn writes(world: &World) -> Vec<(PlexIndex, Sectors, Sectors)> {
    places(world, DiskWork::Write { durable: false })
}

/// Answers what there is, and nothing that comes of it.
fn answer_step(world: &mut World) {
    for _ in 0..world.pending.len() {
        world.answer(0);
    }
}

/// Pieces of a volume of four stripe units over two columns.
fn units(columns: [PlexIndex; 2]) -> [(PlexIndex, Sectors, Sectors); 4] {
    let [even, odd] = columns;
    [(even, 0, 128), (odd, 128, 128), (even, 256, 128), (odd, 384, 128)]
}

fn sorted(mut places: Vec<(PlexIndex, Sectors, Sectors)>) -> Vec<(PlexIndex, Sectors, Sectors)> {
    places.sort_unstable();
    places
}

#[test]
fn one_copy_is_read_and_the_others_are_written() {
    for is_marked in [false, true] {
        let mut world = world(Rules { is_marked, ..DIFFER });
        mix_up(&mut world);
        let (first, second) = (world.plex("vol1-01"), world.plex("vol1-02"));
        let (hold, id) = copy(&mut world, 100, 200);
        // Not the one that the policy prefers.
        assert_eq!(reads(&world), [(first, 0, 200)]);
        world.answer(0);
        assert_eq!(writes(&world), [(second, 0, 28), (second, 28, 128), (second, 156, 44)]);
        world.answer(0);
        world.answer(0);
        assert!(world.ended.is_empty() && !world.is_to_be_marked);
        world.answer(0);
        assert!(ok(&world, id) && world.held.contains_key(&hold));
    }
}

#[test]
fn all_copies_are_equal_after_all_of_it_was_copied() {
    let mut world = world(DIFFER);
    mix_up(&mut world);
    let first = world.ask(What::Read, 0, 8192);
    world.answer_all();
    for at in [0, 4096] {
        let (hold, id) = copy(&mut world, at, 4096);
        let write = world.ask(WRITE, 4096 - at, 64);
        let kept_off = world.ask(WRITE, at, 64);
        world.answer_all();
        assert!(ok(&world, id) && ok(&world, write) && !world.ended.contains_key(&kept_off));
        world.release(hold);
        world.answer_all();
    }
    assert!(ok(&world, first));
    world.assert_all_equal();
}

#[test]
fn what_is_known_to_be_equal_is_not_written() {
    let single = World::new(made(VolumeLayout::Stripe, ReadPolicy::Select), "new", DIFFER);
    for mut world in [world(MARKED), deep_world(MARKED), single] {
        let (_, id) = copy(&mut world, 0, 256);
        assert!(!reads(&world).is_empty());
        answer_step(&mut world);
        assert!(ok(&world, id) && world.pending.is_empty());
    }
}

#[test]
fn nothing_is_copied_at_once() {
    let mut world = world(DIFFER);
    let id = world.ask(What::Copy, 0, 0);
    assert!(ok(&world, id));
}

#[test]
fn what_is_not_current_is_written_only() {
    for reads_one in [false, true] {
        let mut group = sample::group();
        make_stale(&mut group, "vol1-01");
        let mut world = World::new(group, "vol1", Rules { reads_one, ..MARKED });
        let (stale, other) = (world.plex("vol1-01"), world.plex("vol1-02"));
        let (_, id) = copy(&mut world, 0, 100);
        assert_eq!(reads(&world), [(other, 0, 100)]);
        world.answer(0);
        assert_eq!(writes(&world), [(stale, 0, 100)]);
        world.answer_all();
        assert!(ok(&world, id));
    }
}

#[test]
fn everything_below_what_is_not_current_is_written() {
    let mut group = deep(ReadPolicy::Select);
    let stale = group.volumes["new"].plexes[0].clone();
    make_stale(&mut group, stale.as_str());
    let mut world = World::new(group, "new", MARKED);
    mix_up(&mut world);
    let below = |copy| [bottom(&world, 0, 0, copy), bottom(&world, 0, 1, copy)];
    let mut expected = [units(below(0)), units(below(1))].concat();
    expected.sort_unstable();
    let source = [bottom(&world, 1, 0, 0), bottom(&world, 1, 1, 0)];
    let (_, id) = copy(&mut world, 0, 512);
    assert_eq!(reads(&world), units(source));
    answer_step(&mut world);
    assert_eq!(sorted(writes(&world)), expected);
    world.answer_all();
    assert!(ok(&world, id));
}

#[test]
fn of_a_layer_that_is_not_current_nothing_else_is_written() {
    let mut group = deep(ReadPolicy::Select);
    let stale = {
        let world = World::new(group.clone(), "new", MARKED);
        world.volume.map().plex(bottom(&world, 1, 0, 1)).name.clone()
    };
    make_stale(&mut group, stale.as_str());
    let mut world = World::new(group, "new", MARKED);
    let stale = bottom(&world, 1, 0, 1);
    let (_, id) = copy(&mut world, 0, 512);
    answer_step(&mut world);
    assert_eq!(sorted(writes(&world)), [(stale, 0, 128), (stale, 256, 128)]);
    world.answer_all();
    assert!(ok(&world, id));
}

#[test]
fn each_column_is_copied_from_where_it_was_read() {
    let mut world = deep_world(DIFFER);
    mix_up(&mut world);
    let plex = |top, column, copy| bottom(&world, top, column, copy);
    let first = [plex(0, 0, 0), plex(0, 1, 0)];
    let source = [plex(0, 0, 0), plex(0, 1, 1)];
    let others = [
        units([plex(0, 0, 1), plex(0, 1, 0)]),
        units([plex(1, 0, 0), plex(1, 1, 0)]),
        units([plex(1, 0, 1), plex(1, 1, 1)]),
    ];
    let mut expected = others.concat();
    expected.sort_unstable();
    spoil(&mut world, first[1]);
    let (_, id) = copy(&mut world, 0, 512);
    assert_eq!(reads(&world), units(first));
    answer_step(&mut world);
    assert_eq!(reads(&world), units(source));
    answer_step(&mut world);
    // What could not be read is written, too.
    assert_eq!(sorted(writes(&world)), expected);
    world.answer_all();
    assert!(ok(&world, id));
    world.assert_all_equal();
}

#[test]
fn a_layer_with_a_hole_is_read_where_it_has_none() {
    let mut group = deep(ReadPolicy::Select);
    let sparse = {
        let world = World::new(group.clone(), "new", DIFFER);
        world.volume.map().plex(bottom(&world, 0, 0, 0)).name.clone()
    };
    // Its column has two stripe units.
    let subdisk = group.plexes[&sparse].pieces[0].subdisk.clone();
    group.subdisks.get_mut(&subdisk).unwrap().len = 128;
    let mut world = World::new(group, "new", DIFFER);
    let (sparse, other) = (bottom(&world, 0, 0, 0), bottom(&world, 0, 0, 1));
    let odd = bottom(&world, 0, 1, 0);
    let (_, id) = copy(&mut world, 0, 512);
    let source = [(sparse, 0, 128), (odd, 128, 128), (other, 256, 128), (odd, 384, 128)];
    assert_eq!(reads(&world), source);
    answer_step(&mut world);
    let written = writes(&world);
    // What is left of sixteen pieces, without the hole.
    assert_eq!(written.len(), 11);
    assert!(written.contains(&(other, 0, 128)));
    assert!(written.iter().all(|place| !source.contains(place)));
    world.answer_all();
    assert!(ok(&world, id));
}

#[test]
fn if_a_whole_plex_cannot_be_read_another_is() {
    let mut world = deep_world(DIFFER);
    mix_up(&mut world);
    for copy in 0..2 {
        let plex = bottom(&world, 0, 1, copy);
        spoil(&mut world, plex);
    }
    let source = [bottom(&world, 1, 0, 0), bottom(&world, 1, 1, 0)];
    let (_, id) = copy(&mut world, 0, 512);
    answer_step(&mut world);
    answer_step(&mut world);
    assert_eq!(reads(&world), units(source));
    answer_step(&mut world);
    assert_eq!(writes(&world).len(), 12);
    world.answer_all();
    assert!(ok(&world, id));
    world.assert_all_equal();
}

#[test]
fn what_no_plex_can_read_is_not_copied() {
    let mut group = sample::group();
    make_stale(&mut group, "vol1-02");
    for group in [group, sample::group()] {
        let mut world = World::new(group, "vol1", DIFFER);
        for plex in [world.plex("vol1-01"), world.plex("vol1-02")] {
            spoil(&mut world, plex);
        }
        let (hold, id) = copy(&mut world, 0, 8);
        world.answer_all();
        assert_eq!(world.ended[&id], Err(IoFailed::Io));
        assert!(world.to_detach.is_empty() && world.held.contains_key(&hold));
    }
}

#[test]
fn a_copy_waits_until_its_failed_plex_is_taken_off() {
    for is_stale in [false, true] {
        let mut group = sample::group();
        if is_stale {
            make_stale(&mut group, "vol1-02");
        }
        let mut world = World::new(group, "vol1", DIFFER);
        let (first, second) = (world.plex("vol1-01"), world.plex("vol1-02"));
        world.kill(second);
        let (hold, id) = copy(&mut world, 0, 8);
        world.answer_all();
        assert!(world.ended.is_empty());
        assert!(world.to_detach.iter().eq([&name("vol1-02")]));
        world.stand_still();
        world.detach();
        assert_eq!(reads(&world), [(first, 0, 8)]);
        world.answer_all();
        assert!(ok(&world, id) && world.held.contains_key(&hold));
    }
}

/// The one that is to be copied to it may hold something else in blocks that were copied before.
#[test]
fn a_plex_that_is_still_to_be_current_goes_when_the_last_one_cannot_be_written() {
    let mut group = sample::group();
    make_stale(&mut group, "vol1-02");
    let mut world = World::new(group, "vol1", MARKED);
    let (first, second) = (world.plex("vol1-01"), world.plex("vol1-02"));
    assert_eq!(world.volume.map().plex(second).mode, PlexMode::WriteOnly);
    world.kill(first);
    let id = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(world.ended.is_empty(), "nobody may take the other one for a copy before");
    assert!(world.to_detach.iter().eq([&name("vol1-02")]));
    world.stand_still();
    world.detach();
    world.answer_all();
    assert_eq!(world.ended[&id], Err(IoFailed::Io));
    assert!(world.to_detach.is_empty());
}

#[test]
fn what_stands_still_between_the_steps_begins_anew() {
    let mut world = world(DIFFER);
    mix_up(&mut world);
    let first = world.plex("vol1-01");
    let (_, id) = copy(&mut world, 0, 8192);
    world.stand_still();
    world.answer_all();
    assert!(world.is_still && world.ended.is_empty());
    // Whoever had the volume meanwhile may have changed it.
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == first) {
        world.put(&leaf, 0..Sectors::MAX, 5);
    }
    world.go_on();
    assert_eq!(reads(&world), [(first, 0, 8192)]);
    world.answer_all();
    assert!(ok(&world, id));
    world.assert_all_equal();
}

#[test]
fn what_stands_still_while_it_is_written_is_done() {
    let mut world = world(DIFFER);
    let (_, id) = copy(&mut world, 0, 8);
    world.answer(0);
    world.stand_still();
    assert!(!world.is_still);
    world.answer(0);
    assert!(world.is_still && ok(&world, id));
}

#[test]
fn rules_decide_when_it_is_written() {
    let mut world = world(DIFFER);
    let (_, id) = copy(&mut world, 0, 8);
    world.rules.reads_one = false;
    world.go_on();
    world.answer(0);
    assert!(world.pending.is_empty() && ok(&world, id));
}

#[test]
fn a_cancelled_copy_begins_no_other_step() {
    let mut world = world(DIFFER);
    let gone = Err(IoFailed::Gone);
    // It is read.
    let (hold, id) = copy(&mut world, 0, 300);
    world.cancel(id);
    assert!(world.ended.is_empty());
    answer_step(&mut world);
    assert_eq!(world.ended[&id], gone);
    assert!(world.pending.is_empty());
    // It is written.
    let id = world.ask(What::Copy, 0, 300);
    world.answer(0);
    world.cancel(id);
    world.answer(0);
    assert!(!world.ended.contains_key(&id));
    answer_step(&mut world);
    assert_eq!(world.ended[&id], gone);
    // It is read, and cannot be.
    let first = world.plex("vol1-01");
    spoil(&mut world, first);
    let id = world.ask(What::Copy, 0, 300);
    world.cancel(id);
    world.answer(0);
    assert_eq!(world.ended[&id], gone);
    // It waits.
    world.stand_still();
    let id = world.ask(What::Copy, 0, 300);
    let other = world.ask(What::Copy, 0, 8);
    world.cancel(id);
    assert_eq!(world.ended[&id], gone);
    world.go_on();
    world.answer_all();
    assert!(ok(&world, other) && world.held.contains_key(&hold));
    world.release(hold);
    assert_eq!(world.volume.requests(), 0);
}

#[test]
fn a_hold_that_is_given_back_early_lets_nobody_meet_a_copy() {
    for steps in 0..2 {
        let mut world = world(DIFFER);
        mix_up(&mut world);
        let (hold, id) = copy(&mut world, 0, 8);
        let waits = world.ask(WRITE, 4, 8);
        for _ in 0..steps {
            world.answer(0);
        }
        let other = world.ask(What::Hold, 0, 8);
        world.cancel(id);
        world.release(hold);
        assert!(ok(&world, hold) && !world.ended.contains_key(&id));
        assert_eq!(world.pending.len(), 1, "a disk still works on the copy");
        assert!(!world.held.contains_key(&other));
        world.answer(0);
        assert_eq!(world.ended[&id], Err(IoFailed::Gone));
        assert_eq!(writes(&world).len(), 2);
        world.answer_all();
        assert!(ok(&world, waits) && world.held.contains_key(&other));
    }
}

#[test]
fn a_read_that_meets_a_copy_waits_for_nothing_and_corrects_nothing() {
    let mut world = world(Rules { is_alone: true, ..DIFFER });
    let first = world.plex("vol1-01");
    let (hold, id) = copy(&mut world, 0, 8);
    world.answer(0);
    spoil(&mut world, first);
    world.cancel(id);
    world.release(hold);
    let read = world.ask(What::Read, 0, 8);
    // The last one that was asked for is answered first.
    world.answer(1);
    world.answer(1);
    assert!(ok(&world, read) && world.pending.len() == 1);
    world.answer(0);
    assert_eq!(world.ended[&id], Err(IoFailed::Gone));
}

#[test]
fn a_copy_is_cancelled_that_could_not_be_written() {
    for is_parked in [false, true] {
        let mut world = world(DIFFER);
        let second = world.plex("vol1-02");
        world.kill(second);
        let (hold, id) = copy(&mut world, 0, 8);
        world.answer(0);
        if is_parked {
            world.answer(0);
        }
        world.cancel(id);
        assert_eq!(world.ended.contains_key(&id), is_parked);
        world.answer_all();
        assert_eq!(world.ended[&id], Err(IoFailed::Gone));
        assert_eq!(world.to_detach.len(), 1, "the plex has failed all the same");
        world.stand_still();
        world.detach();
        world.release(hold);
        assert!(world.pending.is_empty() && world.volume.requests() == 0);
    }
}

#[test]
fn only_copies_are_cancelled() {
    let mut world = world(MARKED);
    let hold = world.ask(What::Hold, 0, 8);
    let ids = [
        world.ask(WRITE, 0, 8),
        world.ask(WRITE, 50, 8),
        world.ask(What::Read, 0, 8),
        world.ask(What::Flush, 0, 0),
    ];
    for id in ids.into_iter().chain([hold, RequestId(77)]) {
        // Not by way of the world, which would hear no more of it.
        world.volume.cancel(id);
    }
    world.answer_all();
    assert!(world.held.contains_key(&hold));
    world.release(hold);
    world.answer_all();
    assert!(ids.iter().all(|id| ok(&world, *id)));
}

#[test]
fn a_copy_goes_with_its_volume() {
    for steps in 0..3 {
        let mut world = world(DIFFER);
        if steps == 0 {
            world.stand_still();
        }
        let hold = world.ask(What::Hold, 0, 8);
        let id = world.ask(What::Copy, 0, 8);
        if steps == 2 {
            world.answer(0);
        }
        world.handle_gone();
        world.answer_all();
        assert_eq!(world.ended[&hold], Err(IoFailed::Gone));
        // What had its last step on disks is done, like a write.
        let expected = if steps == 2 { Ok(()) } else { Err(IoFailed::Gone) };
        assert_eq!(world.ended[&id], expected);
    }
}

#[test]
fn a_copy_beyond_the_end_is_refused() {
    let mut world = world(DIFFER);
    let id = world.ask(What::Copy, 8000, 193);
    assert_eq!(world.ended[&id], Err(IoFailed::Range));
}

#[test]
fn holes_are_left_out() {
    let mut group = sample::group();
    group.subdisks.get_mut("mydg01-01").unwrap().len = 8000;
    let mut world = World::new(group, "vol1", DIFFER);
    let (sparse, other) = (world.plex("vol1-01"), world.plex("vol1-02"));
    let (_, id) = copy(&mut world, 7900, 200);
    assert!(reads(&world).iter().all(|(plex, ..)| *plex == other));
    answer_step(&mut world);
    assert_eq!(writes(&world), [(sparse, 0, 100)]);
    world.answer_all();
    assert!(ok(&world, id));
    // Where it has no hole it is the first that is read.
    let (_, id) = copy(&mut world, 0, 100);
    assert_eq!(reads(&world), [(sparse, 0, 100)]);
    world.answer_all();
    assert!(ok(&world, id));
    // Nothing of it is there.
    let (_, id) = copy(&mut world, 8100, 8);
    answer_step(&mut world);
    assert!(ok(&world, id) && world.pending.is_empty());
}
