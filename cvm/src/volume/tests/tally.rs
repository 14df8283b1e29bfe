//! What is counted, and for whom.

use llt::{Duration, Instant};

use super::groups::{logged, made};
use super::steps::{WRITE, ok};
use super::world::{MARKED, World};
use crate::model::sample;
use crate::model::{Group, LogType, ReadPolicy, Rid};
use crate::stats::{Counters, ObjectStats, Ops, Outstanding, Reset};
use crate::volume::{Rules, What};

fn world() -> World {
    World::new(sample::group(), "vol1", MARKED)
}

fn rid(group: &Group, record: &str) -> Rid {
    let volume = group.volumes.get(record).map(|volume| volume.common.rid);
    let plex = group.plexes.get(record).map(|plex| plex.common.rid);
    let subdisk = group.subdisks.get(record).map(|subdisk| subdisk.common.rid);
    let disk = group.disks.get(record).map(|disk| disk.common.rid);
    volume.or(plex).or(subdisk).or(disk).expect("a record")
}

fn of(world: &World, record: &str) -> ObjectStats {
    world.volume.stats().get(&rid(&world.group, record)).copied().unwrap_or_default()
}

/// Reads and writes, and the sectors of each.
fn done(world: &World, record: &str) -> [(u64, u64); 2] {
    let Counters { reads, writes, .. } = of(world, record).counters;
    [reads, writes].map(|ops| (ops.ops, ops.sectors))
}

fn at(world: &mut World, micros: u64) {
    world.volume.set_time(Instant::ZERO + Duration::from_micros(micros));
}

/// What the disks did, all together.
fn disks(world: &World) -> [(u64, u64); 2] {
    let disks = world.group.disks.keys().map(|disk| done(world, disk.as_str()));
    disks.fold([(0, 0); 2], |sum, disk| {
        [0, 1].map(|kind| (sum[kind].0 + disk[kind].0, sum[kind].1 + disk[kind].1))
    })
}

#[test]
fn each_object_counts_what_it_has_done_itself() {
    let mut world = world();
    // One piece on the concatenation, two on the stripe.
    world.ask(WRITE, 100, 100);
    world.answer_all();
    world.ask(What::Read, 0, 8);
    world.answer_all();
    assert_eq!(done(&world, "vol1"), [(1, 8), (1, 100)]);
    assert_eq!(done(&world, "vol1-01")[1], (1, 100));
    assert_eq!(done(&world, "vol1-02")[1], (2, 100));
    let subdisks = world.group.subdisks.keys().map(|subdisk| done(&world, subdisk.as_str()));
    let written: Vec<_> = subdisks.map(|[_, written]| written).filter(|ops| ops.0 > 0).collect();
    assert_eq!(written.iter().map(|(_, sectors)| sectors).sum::<u64>(), 200, "{written:?}");
    assert_eq!(disks(&world), [(1, 8), (3, 200)]);
}

#[test]
fn times_are_from_when_it_was_asked_for_to_the_answer() {
    let mut world = world();
    at(&mut world, 100);
    world.ask(WRITE, 0, 8);
    at(&mut world, 130);
    world.answer(0);
    at(&mut world, 180);
    world.answer_all();
    let volume = of(&world, "vol1");
    let expected = Ops { ops: 1, sectors: 8, micros: 80, max_micros: 80 };
    assert_eq!(volume.counters.writes, expected);
    assert_eq!(volume.latency.unwrap().writes.counts(), [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(of(&world, "vol1-01").counters.writes.micros, 30);
    assert_eq!(of(&world, "vol1-02").counters.writes.micros, 80);
}

#[test]
fn what_disks_have_not_answered_is_outstanding_and_how_long() {
    let mut world = world();
    at(&mut world, 100);
    world.ask(What::Read, 0, 8);
    at(&mut world, 400);
    world.ask(WRITE, 4000, 8);
    at(&mut world, 1100);
    assert_eq!(of(&world, "vol1").outstanding, Outstanding { ops: 2, oldest_micros: 1000 });
    let all = world.group.disks.keys().map(|disk| of(&world, disk.as_str()).outstanding);
    let sum = all.reduce(|mut sum, one| {
        sum.add(&one);
        sum
    });
    assert_eq!(sum, Some(Outstanding { ops: 3, oldest_micros: 1000 }));
    world.answer_all();
    let disk = world.group.disks.keys().next().unwrap().to_string();
    assert_eq!(of(&world, &disk).outstanding, Outstanding::default());
    assert_eq!(of(&world, "vol1").outstanding, Outstanding::default());
}

#[test]
fn a_disk_that_fails_is_counted_and_what_it_did_before_is_kept() {
    let mut world = world();
    world.ask(WRITE, 0, 8);
    world.answer_all();
    let plex = world.plex("vol1-01");
    world.kill(plex);
    let id = world.ask(WRITE, 0, 8);
    world.answer_all();
    world.stand_still();
    world.detach();
    world.answer_all();
    assert!(ok(&world, id));
    let off = of(&world, "vol1-01").counters;
    assert_eq!((off.failed_writes, off.writes.ops), (1, 1));
    assert_eq!(of(&world, "vol1-02").counters.failed_writes, 0);
    // The program has not seen anything of it.
    let volume = of(&world, "vol1").counters;
    assert_eq!((volume.failed_writes, volume.writes.ops), (0, 2));
    let dead = world.group.disks.keys().map(|disk| of(&world, disk.as_str()).counters);
    assert_eq!(dead.map(|disk| disk.failed_writes).sum::<u64>(), 1);
}

#[test]
fn a_read_that_is_corrected_counts_where_it_was_written() {
    let mut world = world();
    let first = world.plex("vol1-02");
    for leaf in world.leaves().into_iter().filter(|leaf| leaf.plex == first) {
        world.spoil(&leaf);
    }
    world.ask(What::Read, 0, 8);
    world.answer_all();
    let corrected = |record: &str| of(&world, record).counters.corrected_reads;
    assert_eq!((corrected("vol1"), corrected("vol1-01"), corrected("vol1-02")), (1, 0, 1));
    let plex = of(&world, "vol1-02").counters;
    assert_eq!((plex.failed_reads, plex.writes.ops), (1, 1));
    let volume = of(&world, "vol1").counters;
    assert_eq!((volume.failed_reads, volume.reads.ops, volume.writes.ops), (0, 1, 0));
}

/// What lies below a plex is one operation of it, however many copies that has.
#[test]
fn a_write_of_a_layer_counts_once_above_it() {
    let group = made(crate::model::op::VolumeLayout::StripeMirror, ReadPolicy::Round);
    let mut world = World::new(group, "new", MARKED);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    for _ in 0..4 {
        world.ask(What::Read, 0, 8);
        world.answer_all();
    }
    let top = world.group.volumes["new"].plexes[0].to_string();
    let [first, second] = &world.group.plexes[top.as_str()].pieces[..] else { panic!("columns") };
    assert_eq!(done(&world, "new"), [(4, 32), (1, 8)]);
    assert_eq!(done(&world, &top), [(4, 32), (1, 8)]);
    assert_eq!(done(&world, first.subdisk.as_str()), [(4, 32), (1, 8)], "the subvolume");
    assert_eq!(done(&world, second.subdisk.as_str()), [(0, 0); 2]);
    assert_eq!(disks(&world), [(4, 32), (2, 16)]);
}

#[test]
fn writes_of_a_log_count_for_its_subdisk_and_its_plex() {
    let group = logged(&sample::group(), "vol1", LogType::Region, 1);
    let mut world = World::new(group, "vol1", MARKED);
    world.ask(WRITE, 0, 8);
    world.answer_all();
    let mut plexes = world
        .group
        .plexes
        .iter()
        .filter_map(|(name, plex)| Some((name.to_string(), plex.log.as_ref()?.to_string())));
    let (plex, subdisk) = plexes.next().unwrap();
    let [_, (ops, sectors)] = done(&world, &subdisk);
    assert!(ops > 0 && sectors > 0);
    assert_eq!(done(&world, &plex), done(&world, &subdisk));
    assert_eq!(done(&world, "vol1"), [(0, 0), (1, 8)]);
}

#[test]
fn copies_are_counted_by_why_they_are_made() {
    for reads_one in [true, false] {
        let mut world = World::new(sample::group(), "vol1", Rules { reads_one, ..MARKED });
        let hold = world.ask(What::Hold, 0, 64);
        world.ask(What::Copy, 0, 64);
        world.answer_all();
        world.release(hold);
        let Counters { atomic_copies, read_writebacks, reads, .. } = of(&world, "vol1").counters;
        let made = (atomic_copies.ops, read_writebacks.sectors);
        assert_eq!(made, if reads_one { (0, 64) } else { (1, 0) });
        assert_eq!(reads.ops, 0);
    }
}

#[test]
fn what_is_reset_begins_anew_and_the_rest_goes_on() {
    let mut world = world();
    world.ask(WRITE, 0, 8);
    world.answer_all();
    let group = world.group.id.clone();
    let only = [rid(&world.group, "vol1-01"), rid(&world.group, "vol1")];
    world.volume.reset_stats(&Reset { group: group.clone(), records: only.into() });
    let volume = of(&world, "vol1");
    assert_eq!(volume.counters, Counters::default());
    assert_eq!(volume.latency.unwrap().writes.ops(), 0);
    assert_eq!(done(&world, "vol1-02")[1], (1, 8));
    world.ask(WRITE, 0, 8);
    world.answer_all();
    assert_eq!((done(&world, "vol1-01")[1], done(&world, "vol1-02")[1]), ((1, 8), (2, 16)));
    world.volume.reset_stats(&Reset { group, records: [].into() });
    assert_eq!(disks(&world), [(0, 0); 2]);
}
