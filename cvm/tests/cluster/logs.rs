//! After a loss only what dirty region logs name is copied (facts 2.3, 2.5, 3.15).

use std::collections::BTreeSet;

use bytes::Bytes;
use cvm::core::iod::LogIo;
use cvm::disk::{RECOVERY_MAP, encode_block, map_of};
use cvm::model::op::{Init, Make, Op, VolumeLayout};
use cvm::model::{Activation, KernelState, LogType, Sectors, UniqueId, VolumeState};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;
use cvm::volume::VolumeMap;

use crate::crashes::{deport, import, init, op};
use crate::detach::is_chosen;
use crate::resync::{record, write, writers};
use crate::world::{World, name, node};

/// Ranges of a volume of 8192 sectors, which are regions of its log, too.
const RANGES: u32 = 4;

/// Three nodes that may write, and a volume with two copies and so many logs.
pub(crate) fn prepared(seed: u64, logs: u16) -> (World, UniqueId) {
    let mut world = World::new(seed, 4);
    world.activation = Activation::SharedWrite;
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    let make = Make {
        log_type: LogType::Region,
        logs: Some(logs),
        init: Init::Active,
        ..Make::new(name("vol1"), Some(8192), VolumeLayout::Mirror)
    };
    assert_eq!(world.ask(node(0), op(Op::Make(Box::new(make)))), Reply::Done, "{:?}", world.said);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    for number in 0..3 {
        mark(&mut world, number, &group, &[]);
    }
    world.trace.clear();
    (world, group)
}

pub(crate) fn map(world: &World, group: &UniqueId) -> VolumeMap {
    let image = world.members().iter().find_map(|node| world.image(*node, group)).unwrap();
    VolumeMap::new(&image.group, "vol1").unwrap()
}

/// A node has marked these regions in all copies of the log, as its volume does.
pub(crate) fn mark(world: &mut World, number: u8, group: &UniqueId, dirty: &[u32]) {
    let map = map(world, group);
    let log = map.mirrors()[0].log.as_ref().unwrap();
    for copy in &log.copies {
        let of = map_of(number);
        let data = encode_block(copy.name, log.shape, of, 0, dirty.iter().copied());
        let disk = map.disks()[copy.disk.0].clone();
        let at = copy.at + log.shape.at(of);
        let io = LogIo::Write { disk, is_shared: true, at, data: Bytes::copy_from_slice(&data) };
        world.disks.log(node(number), &io).unwrap();
    }
}

/// A node has the volume open, writes it, and has marked these regions.
fn write_in(world: &mut World, number: u8, group: &UniqueId, dirty: &[u32]) {
    write(world, number, group);
    mark(world, number, group, dirty);
}

/// The ranges that were copied, each as often as it was.
pub(crate) fn copied(trace: &[String]) -> Vec<u32> {
    let at = |what: &String| what.strip_prefix("copy ")?.split(' ').nth(1)?.parse().ok();
    trace.iter().filter_map(at).map(|at: Sectors| u32::try_from(at / 2048).unwrap()).collect()
}

/// All is equal, and no record says otherwise.
fn assert_equal(world: &World, group: &UniqueId, left: &[u8], what: &str) {
    let state = record(world, group);
    assert_eq!(state, (writers(left.iter().copied()), VolumeState::Active), "{what}");
    let image = world.image(world.members()[0], group).unwrap();
    let volume = &image.group.volumes["vol1"];
    assert!(!volume.by_map && volume.lost.is_empty(), "{what}");
}

#[test]
fn only_regions_that_a_lost_node_has_marked_are_copied() {
    for logs in [1, 2] {
        let (mut world, group) = prepared(1, logs);
        write_in(&mut world, 1, &group, &[0]);
        write_in(&mut world, 2, &group, &[1, 3]);
        world.crash(node(2), Fate::Lost);
        world.settle();
        assert_equal(&world, &group, &[1], "");
        assert_eq!(copied(&world.trace), [1, 3]);
        // Nothing is left of that when the next one is lost.
        world.crash(node(1), Fate::Lost);
        world.settle();
        assert_equal(&world, &group, &[], "");
        assert_eq!(copied(&world.trace), [1, 3, 0]);
    }
}

#[test]
fn maps_of_several_nodes_are_put_together() {
    let (mut world, group) = prepared(2, 2);
    write_in(&mut world, 0, &group, &[1, 2]);
    write_in(&mut world, 1, &group, &[2, 3]);
    write_in(&mut world, 2, &group, &[]);
    world.crash(node(0), Fate::Lost);
    world.crash(node(1), Fate::Lost);
    world.settle();
    assert_equal(&world, &group, &[2], "");
    assert_eq!(copied(&world.trace).into_iter().collect::<BTreeSet<u32>>(), [1, 2, 3].into());
}

/// It costs time, and loses nothing.
#[test]
fn everything_is_copied_where_a_log_says_nothing() {
    let all: Vec<u32> = (0..RANGES).collect();
    // A map that nobody has written.
    let (mut world, group) = prepared(3, 1);
    write_in(&mut world, 2, &group, &[1]);
    let map = map(&world, &group);
    let log = map.mirrors()[0].log.as_ref().unwrap();
    let disk = map.disks()[log.copies[0].disk.0].clone();
    let at = log.copies[0].at + log.shape.at(map_of(2));
    let garbage =
        LogIo::Write { disk: disk.clone(), is_shared: true, at, data: vec![7; 512].into() };
    world.disks.log(node(2), &garbage).unwrap();
    let before = world.clone();
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_equal(&world, &group, &[], "");
    assert_eq!(copied(&world.trace), all);
    // The only log does not answer.
    let mut world = before;
    mark(&mut world, 2, &group, &[1]);
    world.disks.set_path(node(0), &disk, false);
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(copied(&world.trace), all);
}

/// What could not be written may be written yet: nobody is to read it.
#[test]
fn a_log_that_the_master_cannot_write_is_taken_off() {
    for logs in [1, 2] {
        let (mut world, group) = prepared(6, logs);
        write_in(&mut world, 2, &group, &[1]);
        let map = map(&world, &group);
        let copy = &map.mirrors()[0].log.as_ref().unwrap().copies[0];
        let disk = map.disks()[copy.disk.0].clone();
        world.unwritable.insert((node(0), disk));
        world.crash(node(2), Fate::Lost);
        world.settle();
        assert_equal(&world, &group, &[], "");
        assert_eq!(copied(&world.trace), (0..RANGES).collect::<Vec<u32>>());
        let image = world.image(node(0), &group).unwrap();
        let plex = &image.group.plexes[&copy.plex];
        assert!(plex.is_log_only() && plex.kernel == KernelState::Detached, "{plex:?}");
    }
}

#[test]
fn after_a_total_outage_the_maps_of_all_count() {
    let (mut world, group) = prepared(4, 2);
    write_in(&mut world, 1, &group, &[2]);
    write_in(&mut world, 2, &group, &[0]);
    for number in 0..3 {
        world.crash(node(number), Fate::Lost);
    }
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_equal(&world, &group, &[], "");
    assert_eq!(copied(&world.trace), [0, 2]);
    assert_eq!(world.ask(node(0), deport()), Reply::Done, "{:?}", world.said);
    assert_eq!(world.ask(node(0), import()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert_eq!(copied(&world.trace), [0, 2]);
}

/// A node that was lost is back, and writes: not before its old map was looked at.
#[test]
fn nobody_writes_a_map_anew_before_it_was_looked_at() {
    let (mut world, group) = prepared(5, 1);
    write_in(&mut world, 1, &group, &[2]);
    for number in 0..3 {
        world.crash(node(number), Fate::Lost);
    }
    for number in 0..3 {
        world.boot(node(number));
    }
    let mut opened = 0;
    while world.step() {
        for number in 0..3 {
            let Some(image) = world.image(node(number), &group) else { continue };
            let volume = &image.group.volumes["vol1"];
            assert!(volume.lost.is_empty() || volume.writers.is_empty(), "{volume:?}");
            if !volume.lost.is_empty() && opened < 3 {
                opened += 1;
                world.first_change(node(number), &group, "vol1");
            }
        }
    }
    assert!(opened > 0, "it was to be tried");
    assert_eq!(copied(&world.trace), [2]);
}

/// Whatever breaks at whatever step: all that was marked is copied, by somebody, after the loss.
#[test]
fn nodes_are_lost_at_every_step() {
    for seed in 0..3 {
        let (mut world, group) = prepared(seed, 2);
        write_in(&mut world, 1, &group, &[0]);
        write_in(&mut world, 2, &group, &[1, 3]);
        world.crash(node(2), Fate::Lost);
        for at in 0_u64.. {
            for number in (0..2).filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                let before = world.trace.len();
                world.crash(node(number), Fate::Torn);
                world.settle();
                let what = format!("seed {seed}, step {at}, node {number}: {:?}", world.said);
                let other: &[u8] = if number == 0 { &[1] } else { &[] };
                assert_equal(&world, &group, other, &what);
                let all = copied(&world.trace);
                assert!([1, 3].iter().all(|range| all.contains(range)), "{what}: {all:?}");
                let late = copied(&world.trace[before..]);
                assert!(number == 0 || late.contains(&0), "{what}: {late:?}");
                assert!(!all.contains(&2), "{what}: {all:?}");
                world.boot(node(2));
                world.boot(node(number));
                world.settle();
                assert_eq!(world.members().len(), 3, "{what}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// The same with what administrators do meanwhile: the log goes, or comes; another master; a stop.
#[test]
fn a_recovery_by_maps_goes_on_through_everything_else() {
    let add = || Op::AddLog {
        volume: name("vol1"),
        log_type: LogType::Region,
        count: 1,
        len: None,
        storage: Vec::new(),
    };
    let remove = |count| Op::RemoveLog { volume: name("vol1"), count, storage: Vec::new() };
    let requests = [
        op(add()),
        op(remove(1)),
        op(remove(2)),
        Request::Cluster(ClusterRequest::SetMaster(node(1))),
        Request::Cluster(ClusterRequest::Stop),
    ];
    for seed in 0..3 {
        let (mut world, group) = prepared(seed, 2);
        write_in(&mut world, 1, &group, &[]);
        write_in(&mut world, 2, &group, &[1, 3]);
        world.crash(node(2), Fate::Lost);
        for at in 0_u64.. {
            for request in requests.iter().filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                world.request(node(0), request.clone());
                world.boot(node(2));
                world.settle();
                let what = format!("seed {seed}, step {at}, {request:?}: {:?}", world.said);
                assert_equal(&world, &group, &[1], &what);
                let all = copied(&world.trace);
                assert!([1, 3].iter().all(|range| all.contains(range)), "{what}: {all:?}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// The map that recovery begins with is on every copy of the log before it counts.
#[test]
fn the_recovery_map_is_on_disks_before_the_record_says_so() {
    let (mut world, group) = prepared(6, 2);
    write_in(&mut world, 2, &group, &[1]);
    let map = map(&world, &group);
    let log = map.mirrors()[0].log.as_ref().unwrap();
    world.crash(node(2), Fate::Lost);
    let mut seen = false;
    while world.step() {
        let image = world.image(node(0), &group).unwrap();
        if !image.group.volumes["vol1"].by_map {
            continue;
        }
        seen = true;
        for copy in &log.copies {
            let disk = map.disks()[copy.disk.0].clone();
            let at = copy.at + log.shape.at(RECOVERY_MAP);
            let read = LogIo::Read { disk, at, len: 1 };
            let expected = encode_block(copy.name, log.shape, RECOVERY_MAP, 0, [1].into_iter());
            assert_eq!(world.disks.log(node(0), &read).unwrap(), expected[..]);
        }
    }
    assert!(seen);
}
