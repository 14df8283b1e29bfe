//! What a table allows: rules, one at a time.

use super::groups::{deep, made};
use super::steps::{WRITE, ok};
use super::world::{MARKED, World};
use crate::model::op::VolumeLayout;
use crate::model::{ReadPolicy, sample};
use crate::volume::{DiskWork, IoFailed, PlexIndex, Rules, VolumeNote, What};

const UNMARKED: Rules = Rules { is_marked: false, ..MARKED };

fn world(rules: Rules) -> World {
    World::new(sample::group(), "vol1", rules)
}

/// The plexes that are worked on at present.
fn plexes(world: &World) -> Vec<PlexIndex> {
    world.pending.iter().map(|op| world.plex_of(op)).collect()
}

/// Nothing that a plex has in its first sectors can be read.
fn spoil(world: &mut World, plex: PlexIndex) {
    for leaf in world.leaves() {
        if leaf.plex == plex {
            world.spoil(&leaf);
        }
    }
}

#[test]
fn a_change_waits_for_a_mark_and_says_so_once() {
    let mut world = world(UNMARKED);
    let write = world.ask(WRITE, 0, 8);
    assert!(world.is_to_be_marked && world.pending.is_empty());
    // The world would not hear it twice.
    let zero = world.ask(What::Zero { durable: false, may_unmap: false }, 100, 8);
    let behind = world.ask(WRITE, 4, 8);
    assert!(world.pending.is_empty());
    let read = world.ask(What::Read, 0, 8);
    let flush = world.ask(What::Flush, 0, 0);
    world.answer_all();
    assert!(ok(&world, read) && ok(&world, flush) && world.ended.len() == 2);
    world.rules.is_marked = true;
    world.go_on();
    assert_eq!(world.pending.len(), 4, "what meets waits as ever");
    world.answer_all();
    assert!([write, zero, behind].iter().all(|id| ok(&world, *id)));
    assert!(!world.is_to_be_marked);
    world.assert_equal();
}

#[test]
fn it_is_said_again_under_another_table() {
    let mut world = world(UNMARKED);
    let write = world.ask(WRITE, 0, 8);
    for _ in 0..2 {
        assert!(world.is_to_be_marked);
        world.stand_still();
        assert!(world.is_still);
        world.go_on();
    }
    assert!(world.is_to_be_marked && world.pending.is_empty());
    world.handle_gone();
    assert_eq!(world.ended[&write], Err(IoFailed::Gone));
    world.is_to_be_marked = false;
    let late = world.ask(WRITE, 0, 8);
    assert_eq!(world.ended[&late], Err(IoFailed::Gone));
    assert!(!world.is_to_be_marked);
}

#[test]
fn what_has_something_else_in_its_way_asks_for_no_mark() {
    let mut world = world(UNMARKED);
    world.stand_still();
    let first = world.ask(WRITE, 0, 8);
    assert!(!world.is_to_be_marked);
    let hold = world.ask(What::Hold, 100, 8);
    world.rules.is_marked = true;
    world.go_on();
    world.answer_all();
    assert!(ok(&world, first));
    world.stand_still();
    world.rules.is_marked = false;
    world.go_on();
    let write = world.ask(WRITE, 104, 8);
    assert!(!world.is_to_be_marked);
    world.release(hold);
    assert!(world.is_to_be_marked && !world.ended.contains_key(&write));
}

#[test]
fn without_copies_there_is_nothing_to_mark() {
    for layout in [VolumeLayout::Concat, VolumeLayout::Stripe] {
        let mut world = World::new(made(layout, ReadPolicy::Select), "new", UNMARKED);
        let id = world.ask(WRITE, 0, 8);
        assert!(!world.is_to_be_marked && world.pending.len() == 1);
        world.answer_all();
        assert!(ok(&world, id));
    }
}

#[test]
fn rules_are_taken_while_disks_work() {
    let mut world = world(UNMARKED);
    let read = world.ask(What::Read, 0, 8);
    let write = world.ask(WRITE, 4, 8);
    world.stand_still();
    world.rules = Rules { reads_one: true, ..MARKED };
    world.go_on();
    assert!(!world.is_still, "a disk still works");
    let works: Vec<DiskWork> = world.pending.iter().map(|op| op.work).collect();
    let change = DiskWork::Write { durable: false };
    assert_eq!(works, [DiskWork::Read, change, change]);
    world.ask(What::Read, 0, 8);
    assert_eq!(plexes(&world).last(), Some(&world.plex("vol1-01")));
    world.answer_all();
    assert!(ok(&world, read) && ok(&world, write));
}

#[test]
fn all_reads_go_to_the_first_plex_that_can_be_read() {
    for is_alone in [false, true] {
        // The policy prefers the striped one.
        let mut world = world(Rules { is_alone, ..MARKED });
        let (first, second) = (world.plex("vol1-01"), world.plex("vol1-02"));
        world.ask(What::Read, 0, 8);
        assert_eq!(plexes(&world), [second]);
        world.answer_all();
        world.rules.reads_one = true;
        world.go_on();
        for _ in 0..3 {
            world.ask(What::Read, 0, 8);
            assert_eq!(plexes(&world), [first]);
            world.answer_all();
        }
        spoil(&mut world, first);
        let id = world.ask(What::Read, 0, 8);
        world.answer(0);
        assert_eq!(plexes(&world), [second]);
        world.answer_all();
        assert!(ok(&world, id));
        let is_corrected = |note: &VolumeNote| matches!(note, VolumeNote::Corrected { .. });
        assert_eq!(world.notes.iter().any(is_corrected), is_alone);
    }
}

#[test]
fn the_first_plex_is_read_at_every_level() {
    for policy in [ReadPolicy::Round, ReadPolicy::Select] {
        let reads_one = Rules { reads_one: true, ..MARKED };
        let mut world = World::new(deep(policy), "new", reads_one);
        for _ in 0..4 {
            world.ask(What::Read, 0, 512);
            let map = world.volume.map();
            let is_first = |plex: &PlexIndex| map.mirror(map.plex(*plex).mirror).plexes[0] == *plex;
            let leaves = plexes(&world);
            assert_eq!(leaves.len(), 4);
            for leaf in leaves {
                assert!(is_first(&leaf));
                assert!(is_first(&map.mirror(map.plex(leaf).mirror).parent.unwrap()));
            }
            world.answer_all();
        }
        // The other rule goes round: everything is read at some time.
        world.rules.reads_one = false;
        world.go_on();
        let mut read = Vec::new();
        for _ in 0..8 {
            world.ask(What::Read, 0, 512);
            read.extend(plexes(&world));
            world.answer_all();
        }
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len(), 8);
    }
}

#[test]
fn a_read_waits_for_no_mark() {
    let mut world = world(Rules { reads_one: true, ..UNMARKED });
    let first = world.plex("vol1-01");
    spoil(&mut world, first);
    let write = world.ask(WRITE, 0, 8);
    let read = world.ask(What::Read, 4, 8);
    world.answer_all();
    assert!(ok(&world, read) && !world.ended.contains_key(&write));
    assert!(world.notes.iter().any(|note| matches!(note, VolumeNote::Corrected { .. })));
}

#[test]
fn what_others_may_write_by_now_is_not_corrected() {
    let mut world = world(Rules { reads_one: true, ..MARKED });
    let first = world.plex("vol1-01");
    spoil(&mut world, first);
    let read = world.ask(What::Read, 0, 8);
    world.answer(0);
    world.rules.is_alone = false;
    world.go_on();
    world.answer(0);
    assert!(ok(&world, read) && world.pending.is_empty());
}

#[test]
fn what_was_read_when_others_wrote_is_written_nowhere() {
    let mut world = world(Rules { is_alone: false, reads_one: true, ..MARKED });
    let first = world.plex("vol1-01");
    spoil(&mut world, first);
    let read = world.ask(What::Read, 0, 8);
    world.answer(0);
    // The second copy is being read, and a write that meets it is under way.
    let write = world.ask(WRITE, 0, 8);
    world.rules.is_alone = true;
    world.go_on();
    world.answer_all();
    assert!(ok(&world, read) && ok(&world, write));
    assert!(world.notes.iter().all(|note| matches!(note, VolumeNote::ReadFailed { .. })));
    world.assert_equal();
}

/// A node that alone cannot write a disk leaves nothing behind.
#[test]
fn who_stands_apart_reads_and_changes_nothing() {
    let mut world = world(MARKED);
    world.stand_still();
    let waits = world.ask(WRITE, 0, 8);
    world.rules = Rules { is_apart: true, is_marked: false, ..MARKED };
    world.go_on();
    assert_eq!(world.ended[&waits], Err(IoFailed::Io));
    let zero = world.ask(What::Zero { durable: true, may_unmap: true }, 0, 8);
    let flush = world.ask(What::Flush, 0, 0);
    assert!([zero, flush].iter().all(|id| world.ended[id] == Err(IoFailed::Io)));
    assert!(!world.is_to_be_marked && world.pending.is_empty());
    // What cannot be read of one plex is read of another, and not written there.
    spoil(&mut world, PlexIndex(0));
    for at in 0..4 {
        let read = world.ask(What::Read, at * 8, 8);
        world.answer_all();
        assert!(ok(&world, read));
    }
    assert!(!world.notes.iter().any(|note| matches!(note, VolumeNote::Corrected { .. })));
    world.stand_still();
    world.rules = MARKED;
    world.go_on();
    let write = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(ok(&world, write));
}
