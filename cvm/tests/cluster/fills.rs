//! A volume is filled with what another one held: whatever breaks, no region is copied again once
//! somebody was told that it is filled.

use std::collections::BTreeSet;

use cvm::core::iod::{LogIo, Pace};
use cvm::disk::{FILL_MAP, encode_block};
use cvm::model::op::{FillReason, Init, Make, Op, VolumeLayout};
use cvm::model::{Activation, KernelState, Sectors, UniqueId, VolumeState};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;
use cvm::volume::VolumeMap;
use llt::NodeId;

use crate::crashes::{init, op};
use crate::detach::is_chosen;
use crate::world::{World, name, node};

/// Regions of the volumes.
const REGIONS: u64 = 9;
const REGION: Sectors = 2048;

fn make(volume: &str) -> Request {
    let (len, layout) = (Some(REGIONS * REGION - 100), VolumeLayout::Concat);
    op(Op::Make(Box::new(Make { init: Init::Active, ..Make::new(name(volume), len, layout) })))
}

fn fill(why: FillReason) -> Request {
    op(Op::Fill { volume: name("snap"), from: name("vol1"), why })
}

/// Three nodes that may write, and two volumes of which one has so many logs.
fn prepared(seed: u64, logs: u16) -> (World, UniqueId) {
    let mut world = World::new(seed, 4);
    world.activation = Activation::SharedWrite;
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    let prepare = Op::Prepare { volume: name("snap"), count: logs, storage: Vec::new() };
    for request in [init(), make("vol1"), make("snap"), op(prepare)] {
        assert_eq!(world.ask(node(0), request), Reply::Done, "{:?}", world.said);
    }
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    world.trace.clear();
    (world, group)
}

fn volume(world: &World, group: &UniqueId, volume: &str) -> cvm::model::Volume {
    let image = world.members().iter().find_map(|node| world.image(*node, group)).unwrap();
    image.group.volumes[volume].clone()
}

fn is_full(world: &World, group: &UniqueId) -> bool {
    let snap = volume(world, group, "snap");
    snap.snapshot_of.is_some() && snap.fill.is_none() && snap.state == VolumeState::Active
}

/// The regions that were copied, in their order; none of them after anybody had heard that it is filled.
#[track_caller]
fn copied(world: &World) -> Vec<u64> {
    let (mut copied, mut filled) = (Vec::new(), BTreeSet::new());
    for line in &world.trace {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["fill", _, at] => {
                let region = at.parse::<u64>().unwrap() / REGION;
                assert!(!filled.contains(&region), "{region} is copied again: {:?}", world.trace);
                copied.push(region);
            }
            ["filled", _, _, at] => drop(filled.insert(at.parse::<u64>().unwrap() / REGION)),
            _ => {}
        }
    }
    copied
}

fn all() -> Vec<u64> {
    (0..REGIONS).collect()
}

fn sorted(mut regions: Vec<u64>) -> Vec<u64> {
    regions.sort_unstable();
    regions.dedup();
    regions
}

/// A node has heard that a region of a volume is filled.
fn has_heard(world: &World, number: u8, volume: &str, region: u64) -> bool {
    let line = format!("filled {} {volume} {}", node(number), region * REGION);
    world.trace.contains(&line)
}

#[test]
fn all_regions_are_copied_once_and_everybody_hears_of_them() {
    for logs in [1, 2] {
        let (mut world, group) = prepared(1, logs);
        assert_eq!(world.ask(node(1), fill(FillReason::Make)), Reply::Done, "{:?}", world.said);
        world.settle();
        assert!(is_full(&world, &group), "{:?}", world.said);
        assert_eq!(copied(&world), all());
        for number in 0..3 {
            for volume in ["vol1", "snap"] {
                assert!(has_heard(&world, number, volume, REGIONS - 2));
            }
        }
        world.trace.clear();
        assert_eq!(world.ask(node(2), fill(FillReason::Refresh)), Reply::Done);
        world.settle();
        assert!(is_full(&world, &group));
        assert_eq!(copied(&world), all());
    }
}

/// It is made, and nothing is filled but what programs wait for.
fn paused(seed: u64, logs: u16) -> (World, UniqueId) {
    let (mut world, group) = prepared(seed, logs);
    let session = world.request(node(0), fill(FillReason::Make));
    while world.reply(node(0), session).is_none() {
        assert!(world.step(), "{:?}", world.said);
    }
    let pace = Pace { is_paused: true, delay: 0 };
    let pause = Request::Pace { group: name("shdg"), volume: name("snap"), pace };
    assert_eq!(world.ask(node(0), pause), Reply::Done, "{:?}", world.said);
    (world, group)
}

#[test]
fn what_programs_wait_for_is_filled_in_a_pause_too() {
    let (mut world, group) = paused(2, 1);
    let before = sorted(copied(&world));
    let missing: Vec<u64> = all().into_iter().filter(|region| !before.contains(region)).collect();
    assert!(missing.len() >= 2, "{before:?}");
    // Of either volume, at a slave; and once more, what is filled already.
    for (volume, region) in [("vol1", missing[1]), ("snap", missing[0]), ("vol1", missing[1])] {
        world.trace.clear();
        world.unfilled(node(1), &group, volume, region * REGION + 8);
        world.settle();
        assert!(has_heard(&world, 1, "vol1", region) && has_heard(&world, 1, "snap", region));
        assert!(copied(&world).iter().all(|copied| *copied == region));
    }
    assert!(!is_full(&world, &group));
    let pace = Pace::default();
    let resume = Request::Pace { group: name("shdg"), volume: name("snap"), pace };
    assert_eq!(world.ask(node(2), resume), Reply::Done);
    world.settle();
    assert!(is_full(&world, &group));
}

/// Another node becomes master in order, and learns what programs wait for.
#[test]
fn another_master_goes_on() {
    let (mut world, group) = paused(3, 2);
    let before = sorted(copied(&world));
    let region = all().into_iter().find(|region| !before.contains(region)).unwrap();
    let session = world.request(node(2), Request::Cluster(ClusterRequest::SetMaster(node(1))));
    world.unfilled(node(2), &group, "snap", region * REGION);
    world.settle();
    assert!(has_heard(&world, 2, "snap", region), "{:?}", world.trace);
    assert_eq!(world.reply(node(2), session), Some(&Reply::Done));
    assert_eq!(world.nodes[&node(2)].iod.role().master, Some(node(1)));
    copied(&world);
}

/// A node is lost, or all are, at every step.
#[test]
fn nodes_are_lost_at_every_step_of_a_fill() {
    for seed in 0..3 {
        let (mut world, group) = prepared(seed, 2);
        let session = world.request(node(1), fill(FillReason::Make));
        let mut ends = [0, 0];
        for at in 0_u64.. {
            for victim in (0..4).filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                // Something that was filled is asked for again by somebody.
                world.unfilled(node(2), &group, "vol1", 3 * REGION);
                let lost: Vec<NodeId> = match victim {
                    3 => (0..3).map(node).collect(),
                    number => vec![node(number)],
                };
                lost.iter().for_each(|node| world.crash(*node, Fate::Torn));
                if lost.len() == 3 {
                    lost.iter().for_each(|node| world.boot(*node));
                }
                world.settle();
                let what = format!("seed {seed}, step {at}, victim {victim}: {:?}", world.said);
                let is_made = volume(&world, &group, "snap").snapshot_of.is_some();
                if !is_made {
                    let asker = world.members()[0];
                    assert_eq!(world.ask(asker, fill(FillReason::Make)), Reply::Done, "{what}");
                    world.settle();
                    ends[0] += 1;
                }
                ends[1] += 1;
                assert!(is_full(&world, &group), "{what}");
                assert_eq!(sorted(copied(&world)), all(), "{what}");
            }
            if !world.step() {
                break;
            }
        }
        assert_eq!(world.reply(node(1), session), Some(&Reply::Done));
        assert!(ends[0] > 0 && ends[1] > ends[0], "{ends:?}");
    }
}

/// What cannot be copied, or noted, is no snapshot any more, and nobody waits for it.
#[test]
fn what_cannot_be_filled_is_spoilt() {
    let (mut world, group) = prepared(4, 1);
    for number in 0..3 {
        world.nodes.get_mut(&node(number)).unwrap().cannot_fill = true;
    }
    assert_eq!(world.ask(node(0), fill(FillReason::Make)), Reply::Done);
    world.settle();
    let snap = volume(&world, &group, "snap");
    let state = (snap.kernel, snap.state, snap.fill);
    assert_eq!(state, (KernelState::Detached, VolumeState::Invalid, None));
    assert_eq!(volume(&world, &group, "vol1").kernel, KernelState::Enabled);
    for number in 0..3 {
        world.nodes.get_mut(&node(number)).unwrap().cannot_fill = false;
    }
    world.trace.clear();
    assert_eq!(world.ask(node(0), fill(FillReason::Refresh)), Reply::Done, "{:?}", world.said);
    world.settle();
    assert!(is_full(&world, &group));
}

/// The map of a new master: one copy that is whole is enough, and one that is damaged says nothing.
#[test]
fn a_new_master_reads_the_map() {
    for damaged in [1, 2] {
        let (mut world, group) = paused(5, 2);
        let before = sorted(copied(&world));
        let image = world.image(node(0), &group).unwrap();
        let map = VolumeMap::new(&image.group, "snap").unwrap();
        let log = map.mirror(cvm::volume::MirrorIndex::VOLUME).log.as_ref().unwrap();
        for copy in log.copies.iter().take(damaged) {
            let of = encode_block(copy.name, log.shape, FILL_MAP, 7, std::iter::empty());
            let disk = map.disks()[copy.disk.0].clone();
            let (at, data) = (copy.at + log.shape.at(FILL_MAP), of.to_vec().into());
            let io = LogIo::Write { disk, is_shared: true, at, data };
            world.disks.log(node(0), &io).unwrap();
        }
        let master = world.nodes[&node(0)].iod.role().master.unwrap();
        world.crash(master, Fate::Lost);
        world.settle();
        let asker = world.members()[0];
        let resume =
            Request::Pace { group: name("shdg"), volume: name("snap"), pace: Pace::default() };
        world.ask(asker, resume);
        world.settle();
        assert_eq!(is_full(&world, &group), damaged == 1, "{:?}", world.said);
        let snap = volume(&world, &group, "snap");
        assert_eq!(snap.state == VolumeState::Invalid, damaged == 2);
        assert!(damaged == 2 || copied(&world).len() == all().len(), "{before:?}");
    }
}
