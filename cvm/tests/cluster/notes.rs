//! A snapshot that comes back is copied to where its volume has changed since.

use bytes::Bytes;
use cvm::core::iod::LogIo;
use cvm::disk::{DrlMap, changes_of, encode_block, map_of};
use cvm::model::op::Op;
use cvm::model::{LogType, PlexState, UniqueId};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;

use crate::crashes::op;
use crate::detach::is_chosen;
use crate::logs::{copied, map, mark, prepared};
use crate::resync::write;
use crate::world::{World, name, node};

fn start() -> Request {
    op(Op::SnapStart { volume: name("vol1"), count: 1, layout: None, storage: Vec::new() })
}

fn snapshot() -> Request {
    op(Op::Snapshot { volume: name("vol1"), snapshot: Some(name("snap")), count: 1 })
}

fn back() -> Request {
    op(Op::SnapBack { snapshot: name("snap"), from_replica: false })
}

/// Three nodes, and a snapshot of a volume of four regions with so many logs.
fn broken_off(seed: u64, logs: u16) -> (World, UniqueId) {
    let (mut world, group) = prepared(seed, logs);
    assert_eq!(world.ask(node(0), start()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert_eq!(world.ask(node(0), snapshot()), Reply::Done, "{:?}", world.said);
    world.settle();
    for number in 0..3 {
        note(&mut world, number, &group, 0, &[]);
    }
    world.trace.clear();
    (world, group)
}

/// A node has noted these regions as changed in all copies of the log, as its volume does.
fn note(world: &mut World, number: u8, group: &UniqueId, changes: u32, dirty: &[u32]) {
    let map = map(world, group);
    let log = map.mirrors()[0].log.as_ref().unwrap();
    for copy in &log.copies {
        let of = DrlMap { number: changes_of(map_of(number)), changes };
        let data = encode_block(copy.name, log.shape, of, 0, dirty.iter().copied());
        let disk = map.disks()[copy.disk.0].clone();
        let at = copy.at + log.shape.at(of.number);
        let io = LogIo::Write { disk, is_shared: true, at, data: Bytes::copy_from_slice(&data) };
        world.disks.log(node(number), &io).unwrap();
    }
}

/// A node writes the volume, has noted these regions, and has marked those.
fn change(world: &mut World, number: u8, group: &UniqueId, noted: &[u32], marked: &[u32]) {
    write(world, number, group);
    note(world, number, group, 1, noted);
    mark(world, number, group, marked);
}

/// The plex of the snapshot is full, and the snapshot gone.
fn is_back(world: &World, group: &UniqueId) -> bool {
    let image = world.image(world.members()[0], group).unwrap();
    let plexes = image.group.volumes["vol1"].plexes.iter().map(|plex| &image.group.plexes[plex]);
    let is_full = plexes.into_iter().any(|plex| plex.state == PlexState::SnapDone);
    is_full && !image.group.volumes.contains_key("snap")
}

fn sorted(mut ranges: Vec<u32>) -> Vec<u32> {
    ranges.sort_unstable();
    ranges
}

#[test]
fn only_regions_that_were_changed_are_copied() {
    for logs in [1, 2] {
        let (mut world, group) = broken_off(1, logs);
        change(&mut world, 1, &group, &[1], &[1]);
        change(&mut world, 2, &group, &[1, 3], &[]);
        assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
        world.settle();
        assert!(is_back(&world, &group));
        assert_eq!(copied(&world.trace), [1, 3]);
        // And once more, with what another number means.
        assert_eq!(world.ask(node(0), snapshot()), Reply::Done, "{:?}", world.said);
        world.settle();
        assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
        world.settle();
        assert!(is_back(&world, &group));
        assert_eq!(copied(&world.trace), [1, 3]);
    }
}

#[test]
fn nothing_is_copied_where_nobody_has_written() {
    let (mut world, group) = broken_off(2, 1);
    assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert!(is_back(&world, &group) && copied(&world.trace).is_empty());
}

#[test]
fn everything_is_copied_where_notes_say_nothing() {
    // A snapshot that somebody has written.
    let (mut world, group) = broken_off(3, 1);
    change(&mut world, 1, &group, &[1], &[]);
    let before = world.clone();
    world.first_change(node(2), &group, "snap");
    world.settle();
    assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert_eq!(copied(&world.trace), [0, 1, 2, 3]);
    // The log does not answer.
    let mut world = before;
    let map = map(&world, &group);
    let log = map.mirrors()[0].log.as_ref().unwrap();
    let disk = map.disks()[log.copies[0].disk.0].clone();
    let at = log.copies[0].at + log.shape.at(changes_of(map_of(1)));
    let data = vec![7; 512].into();
    world.disks.log(node(1), &LogIo::Write { disk, is_shared: true, at, data }).unwrap();
    assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert!(is_back(&world, &group));
    assert_eq!(copied(&world.trace), [0, 1, 2, 3]);
}

/// What a lost node had begun may be older than the snapshot, and is made equal after it.
#[test]
fn what_lost_nodes_had_marked_is_changed_too() {
    let (mut world, group) = broken_off(4, 2);
    change(&mut world, 1, &group, &[1], &[]);
    change(&mut world, 2, &group, &[0], &[0, 3]);
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(copied(&world.trace), [0, 3]);
    world.trace.clear();
    assert_eq!(world.ask(node(0), back()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert!(is_back(&world, &group));
    assert_eq!(copied(&world.trace), [0, 1, 3]);
}

/// Whatever breaks at whatever step: all that was changed is copied, and no more.
#[test]
fn nodes_are_lost_at_every_step() {
    for seed in 0..3 {
        let (mut world, group) = broken_off(seed, 2);
        change(&mut world, 1, &group, &[1], &[1]);
        change(&mut world, 2, &group, &[3], &[0]);
        world.request(node(0), back());
        let mut ends = [0, 0];
        for at in 0_u64.. {
            for number in (0..3).filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                world.crash(node(number), Fate::Torn);
                world.settle();
                let what = format!("seed {seed}, step {at}, node {number}: {:?}", world.said);
                if !is_back(&world, &group) {
                    // It was not asked for in time.
                    let image = world.image(world.members()[0], &group).unwrap();
                    assert!(image.group.volumes.contains_key("snap"), "{what}");
                    world.boot(node(number));
                    world.settle();
                    assert_eq!(world.ask(node(1), back()), Reply::Done, "{what}");
                    world.settle();
                    ends[0] += 1;
                }
                ends[1] += 1;
                assert!(is_back(&world, &group), "{what}");
                let all = sorted(copied(&world.trace));
                assert!([1, 3].iter().all(|range| all.contains(range)), "{what}: {all:?}");
                assert!(number != 2 || all.contains(&0), "{what}: {all:?}");
                assert!(!all.contains(&2), "{what}: {all:?}");
            }
            if !world.step() {
                break;
            }
        }
        assert!(ends[0] > 0 && ends[1] > ends[0], "{ends:?}");
    }
}

/// The same with what administrators do meanwhile.
#[test]
fn a_snapshot_comes_back_through_everything_else() {
    let storage = Vec::new;
    let (volume, log_type, count, len) = (name("vol1"), LogType::Region, 1, None);
    let add = Op::AddLog { volume: volume.clone(), log_type, count, len, storage: storage() };
    let remove = |count| Op::RemoveLog { volume: volume.clone(), count, storage: storage() };
    let requests = [
        op(add),
        op(remove(1)),
        op(remove(2)),
        Request::Cluster(ClusterRequest::SetMaster(node(1))),
    ];
    let (mut world, group) = broken_off(5, 2);
    change(&mut world, 1, &group, &[1], &[1]);
    change(&mut world, 2, &group, &[3], &[]);
    world.request(node(0), back());
    for at in 0_u64.. {
        for request in requests.iter().filter(|_| is_chosen(at)) {
            let mut world = world.clone();
            world.request(node(2), request.clone());
            world.settle();
            let what = format!("step {at}, {request:?}: {:?}", world.said);
            if !is_back(&world, &group) {
                assert_eq!(world.ask(node(1), back()), Reply::Done, "{what}");
                world.settle();
            }
            assert!(is_back(&world, &group), "{what}");
            let all = copied(&world.trace);
            assert!([1, 3].iter().all(|range| all.contains(range)), "{what}: {all:?}");
        }
        if !world.step() {
            break;
        }
    }
}
