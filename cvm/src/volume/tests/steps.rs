//! One thing at a time.

use std::sync::Arc;

use super::world::{MARKED, World};
use crate::model::sample;
use crate::volume::{
    DiskWork, IoFailed, Request, RequestId, Rules, VolumeNote, VolumeOutput, What,
};

pub(super) const WRITE: What = What::Write { durable: false };

/// `vol1` of the sample: 8192 sectors, a concatenation and a stripe of two columns of 128 sectors.
fn world(is_alone: bool) -> World {
    World::new(sample::group(), "vol1", Rules { is_alone, ..MARKED })
}

fn works(world: &World) -> Vec<DiskWork> {
    world.pending.iter().map(|op| op.work).collect()
}

pub(super) fn ok(world: &World, id: RequestId) -> bool {
    world.ended.get(&id) == Some(&Ok(()))
}

#[test]
fn a_write_goes_to_all_copies_and_is_done_when_all_are() {
    let mut world = world(true);
    let id = world.ask(WRITE, 100, 100);
    // One piece on the concatenation, two on the stripe.
    assert_eq!(world.pending.len(), 3);
    let places: Vec<(u64, u64)> = world.pending.iter().map(|op| (op.offset, op.len)).collect();
    assert_eq!(places, [(0, 100), (0, 28), (28, 72)]);
    world.answer(0);
    world.answer(0);
    assert!(!ok(&world, id));
    world.answer(0);
    assert!(ok(&world, id));
    world.assert_equal();
}

#[test]
fn a_read_that_fails_is_made_elsewhere_and_corrected() {
    let mut world = world(true);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    for disk in world.volume.map().disks().to_vec() {
        // The sector of every copy, one copy at a time.
        let places: Vec<u64> = (0..8000).collect();
        world.bad.extend(places.into_iter().map(|at| (disk.to_string(), at)));
        for _ in 0..3 {
            let id = world.ask(What::Read, 0, 8);
            world.answer_all();
            assert!(ok(&world, id));
        }
        world.bad.clear();
    }
    assert!(world.notes.iter().any(|note| matches!(note, VolumeNote::Corrected { len: 8, .. })));
    assert!(world.to_detach.is_empty());
    world.assert_equal();
}

#[test]
fn nobody_writes_what_is_being_corrected() {
    let mut world = world(true);
    let first = world.plex("vol1-02");
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == first) {
        world.spoil(&leaf);
    }
    let read = world.ask(What::Read, 0, 8);
    world.answer(0);
    let write = world.ask(WRITE, 4, 8);
    assert_eq!(works(&world), [DiskWork::Read], "the other copy");
    let other = world.ask(What::Read, 0, 8);
    world.answer(1);
    assert_eq!(works(&world), [DiskWork::Read], "another read would correct it as well");
    world.answer(0);
    assert_eq!(works(&world), [DiskWork::Write { durable: false }], "the correction");
    world.answer(0);
    assert!(ok(&world, read));
    assert_eq!(works(&world), [DiskWork::Write { durable: false }; 2], "what came first");
    world.answer_all();
    assert!(ok(&world, write) && ok(&world, other));
    world.assert_equal();
}

#[test]
fn where_others_write_too_nothing_is_corrected() {
    let mut world = world(false);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    let disk = world.volume.map().disks()[0].to_string();
    world.bad.extend((0..8000).map(|at| (disk.clone(), at)));
    for _ in 0..3 {
        let id = world.ask(What::Read, 0, 8);
        world.answer_all();
        assert!(ok(&world, id));
    }
    assert!(world.notes.iter().all(|note| matches!(note, VolumeNote::ReadFailed { .. })));
}

#[test]
fn a_write_waits_until_its_failed_plex_is_taken_off() {
    let mut world = world(true);
    let disk = world.volume.map().disks()[0].to_string();
    world.dead.insert(disk);
    let id = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert!(!world.ended.contains_key(&id));
    assert_eq!(world.to_detach.iter().map(|plex| plex.as_str()).collect::<Vec<_>>(), ["vol1-01"]);
    // What does not meet it goes on, to the same end.
    world.ask(WRITE, 100, 8);
    world.answer_all();
    assert!(world.ended.is_empty());
    world.stand_still();
    assert!(world.is_still);
    world.detach();
    world.answer_all();
    assert!(world.ended.values().all(Result::is_ok) && world.ended.len() == 2);
    let id = world.ask(What::Read, 0, 8);
    world.answer_all();
    assert!(ok(&world, id));
}

#[test]
fn the_last_plex_is_never_taken_off() {
    let mut world = world(true);
    let disks = world.volume.map().disks().to_vec();
    world.dead.extend(disks.iter().map(ToString::to_string));
    let id = world.ask(WRITE, 0, 8);
    world.answer_all();
    assert_eq!(world.to_detach.len(), 1);
    world.stand_still();
    world.detach();
    world.answer_all();
    assert_eq!(world.ended.get(&id), Some(&Err(IoFailed::Io)));
    assert!(world.to_detach.is_empty());
    let id = world.ask(What::Read, 0, 8);
    world.answer_all();
    assert_eq!(world.ended.get(&id), Some(&Err(IoFailed::Io)));
}

#[test]
fn writes_that_meet_follow_one_another() {
    let mut world = world(true);
    world.ask(WRITE, 0, 100);
    let first = world.pending.len();
    world.ask(WRITE, 50, 100);
    world.ask(WRITE, 120, 8);
    assert_eq!(world.pending.len(), first, "the last one meets one that waits");
    world.ask(WRITE, 300, 8);
    assert_eq!(world.pending.len(), first + 2);
    world.answer_all();
    assert_eq!(world.ended.len(), 4);
    world.assert_equal();
}

#[test]
fn a_durable_zero_is_flushed() {
    let mut world = world(true);
    let id = world.ask(What::Zero { durable: true, may_unmap: true }, 0, 8);
    assert_eq!(works(&world), [DiskWork::Zero { may_unmap: true }; 2]);
    world.answer(0);
    world.answer(0);
    assert_eq!(works(&world), [DiskWork::Flush; 3]);
    world.answer_all();
    assert!(ok(&world, id));
}

#[test]
fn what_stands_still_says_so_when_disks_have_answered() {
    let mut world = world(true);
    world.ask(WRITE, 0, 8);
    world.volume.stand_still();
    let late = world.ask(WRITE, 0, 8);
    assert!(!world.is_still);
    world.answer_all();
    assert!(world.is_still && world.pending.is_empty());
    world.go_on();
    world.answer_all();
    assert!(ok(&world, late));
}

#[test]
fn what_stands_still_corrects_nothing() {
    let mut world = world(true);
    let first = world.plex("vol1-02");
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == first) {
        world.spoil(&leaf);
    }
    let read = world.ask(What::Read, 0, 8);
    world.answer(0);
    world.stand_still();
    world.answer(0);
    assert!(ok(&world, read) && world.is_still);
}

#[test]
fn it_stands_still_when_that_is_heard() {
    let mut volume = world(true).volume;
    let map = Arc::clone(volume.map());
    // Nobody listens until the last of these.
    volume.stand_still();
    volume.go_on(map, volume.rules());
    volume.submit(Request { id: RequestId(9), what: WRITE, at: 0, len: 8 });
    volume.stand_still();
    let said: Vec<VolumeOutput> = std::iter::from_fn(|| volume.poll_output()).collect();
    let ops = said.iter().filter_map(|output| match output {
        VolumeOutput::Disk(op) => Some(op.id),
        _ => None,
    });
    let ops: Vec<_> = ops.collect();
    assert_eq!((ops.len(), said.len()), (2, 2), "disks work: {said:?}");
    for op in ops {
        volume.handle_done(op, true);
    }
    let said: Vec<VolumeOutput> = std::iter::from_fn(|| volume.poll_output()).collect();
    assert_eq!(said, [VolumeOutput::Done(RequestId(9), Ok(())), VolumeOutput::Still]);
}

#[test]
fn what_is_beyond_the_end_is_refused() {
    let mut world = world(true);
    for (at, len) in [(8192, 1), (8000, 193), (u64::MAX, 2), (u64::MAX, u64::MAX)] {
        world.volume.submit(Request { id: RequestId(9), what: WRITE, at, len });
        let done = VolumeOutput::Done(RequestId(9), Err(IoFailed::Range));
        assert_eq!(world.volume.poll_output(), Some(done));
    }
    let id = world.ask(WRITE, 8192, 0);
    assert!(ok(&world, id));
}

#[test]
fn a_volume_that_goes_takes_its_requests_along() {
    let mut world = world(true);
    let running = world.ask(WRITE, 0, 8);
    let waiting = world.ask(WRITE, 0, 8);
    world.handle_gone();
    world.answer_all();
    assert!(ok(&world, running));
    assert_eq!(world.ended.get(&waiting), Some(&Err(IoFailed::Gone)));
    let late = world.ask(What::Read, 0, 8);
    assert_eq!(world.ended.get(&late), Some(&Err(IoFailed::Gone)));
}

#[test]
fn many_requests_that_need_no_disk_end_one_after_the_other() {
    let mut world = world(true);
    world.stand_still();
    let ids: Vec<RequestId> = (0..50_000).map(|_| world.ask(WRITE, 0, 0)).collect();
    world.go_on();
    assert!(ids.iter().all(|id| ok(&world, *id)));
}
