//! Who writes a volume is known, and its copies are made equal when that one is lost (CVM-23, CVM-24,
//! CVM-27, facts 2.4, 2.5, 3.15).

use std::collections::BTreeSet;

use cvm::core::iod::Pace;
use cvm::model::op::{Init, Make, NewLength, Op, VolumeLayout};
use cvm::model::{Activation, KernelState, PlexState, UniqueId, VolumeState};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;

use crate::crashes::{deport, import, init, op};
use crate::detach::is_chosen;
use crate::world::{World, name, node};

/// Three nodes that may write, and a mirrored volume of several ranges.
pub(crate) fn prepared(seed: u64) -> (World, UniqueId) {
    let mut world = World::new(seed, 3);
    world.activation = Activation::SharedWrite;
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    let make =
        Make { init: Init::Active, ..Make::new(name("vol1"), Some(8192), VolumeLayout::Mirror) };
    assert_eq!(world.ask(node(0), op(Op::Make(Box::new(make)))), Reply::Done);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    world.trace.clear();
    (world, group)
}

/// A program has the volume open and changes it.
pub(crate) fn write(world: &mut World, number: u8, group: &UniqueId) {
    world.open(node(number), group, "vol1").unwrap();
    world.first_change(node(number), group, "vol1");
    world.settle();
}

/// Who writes the volume, and how it stands: the same on all members and on the disks.
pub(crate) fn record(world: &World, group: &UniqueId) -> (BTreeSet<u8>, VolumeState) {
    let images: Vec<_> = world.members().iter().map(|node| world.image(*node, group)).collect();
    assert!(images.iter().all(|image| *image == images[0]), "all have the same");
    let image = images[0].as_ref().expect("it is imported");
    let found = world.disks.import(group).expect("it can be imported").image;
    assert_eq!((found.stamp, &found.group), (image.stamp, &image.group), "on disk");
    for (number, node) in &world.nodes {
        assert_eq!(node.iod.alarms(), 0, "{number}");
    }
    let volume = &image.group.volumes["vol1"];
    (volume.writers.clone(), volume.state)
}

/// How many ranges were copied.
pub(crate) fn copied(world: &World) -> usize {
    world.trace.iter().filter(|what| what.starts_with("copy ")).count()
}

pub(crate) fn writers(nodes: impl IntoIterator<Item = u8>) -> BTreeSet<u8> {
    nodes.into_iter().collect()
}

/// What a volume of 8192 sectors has.
const RANGES: usize = 4;

#[test]
fn cvm_23_who_writes_is_known_everywhere_and_on_the_disks_until_the_volume_is_closed() {
    let (mut world, group) = prepared(1);
    assert_eq!(record(&world, &group), (writers([]), VolumeState::Active));
    write(&mut world, 1, &group);
    write(&mut world, 2, &group);
    assert_eq!(record(&world, &group), (writers([1, 2]), VolumeState::Active));
    world.close(node(1), &group, "vol1");
    assert_eq!(record(&world, &group), (writers([2]), VolumeState::Active));
    assert_eq!(copied(&world), 0);
}

/// Whoever closes it and opens it again goes on.
#[test]
fn a_volume_that_is_open_again_is_written_by_a_node_that_says_so() {
    for seed in 0..20 {
        let (mut world, group) = prepared(seed);
        write(&mut world, 1, &group);
        let leaving = world.nodes[&node(1)].iod.clone();
        world.close(node(1), &group, "vol1");
        drop(leaving);
        world.open(node(1), &group, "vol1").unwrap();
        world.first_change(node(1), &group, "vol1");
        world.settle();
        assert_eq!(record(&world, &group).0, writers([1]), "seed {seed}");
    }
}

/// A node that has the volume open again refuses to be said not to write it, and all that is known when another
/// one is lost at the same time is that QUIESCE was out: all write the same back, or wait for it.
#[test]
fn all_say_the_same_of_what_was_refused_when_a_node_is_lost() {
    let (mut closed, group) = prepared(1);
    // The next transaction counts one copy less: what is written back has to be found by both lists.
    let disk = closed.disks.known()[2].clone();
    closed.unwritable.insert((node(0), disk));
    write(&mut closed, 1, &group);
    closed.unwritable.clear();
    closed.begin_close(node(1), &group, "vol1");
    let mut refused = 0;
    for at in 0_u64..80 {
        let mut opened = closed.clone();
        opened.ask_open(node(1), 1000, &group, "vol1");
        for then in 0_u64..60 {
            for lost in [0, 2].into_iter().filter(|_| is_chosen(at + then)) {
                let mut world = opened.clone();
                world.crash(node(lost), Fate::Lost);
                world.settle();
                let other = 2 - lost;
                let (one, other) = (world.image(node(1), &group), world.image(node(other), &group));
                assert_eq!(one.unwrap(), other.unwrap(), "steps {at}, {then}: {:?}", world.said);
                refused += usize::from(world.trace.iter().any(|line| line == "v 1 Refuse"));
            }
            if !opened.step() && !opened.wake() {
                break;
            }
        }
        if !closed.step() && !closed.wake() {
            break;
        }
    }
    assert!(refused > 0);
}

#[test]
fn cvm_24_the_copies_of_what_a_lost_node_was_writing_are_made_equal_by_the_master() {
    let (mut world, group) = prepared(2);
    write(&mut world, 1, &group);
    write(&mut world, 2, &group);
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(record(&world, &group), (writers([1]), VolumeState::Active));
    assert_eq!(copied(&world), RANGES);
    assert!(world.trace.iter().all(|what| !what.starts_with("copy 1 ")), "{:?}", world.trace);
}

/// CVM-27, and what nobody writes.
#[test]
fn cvm_27_nothing_is_copied_after_a_node_that_left_in_order_or_wrote_nothing() {
    let (mut world, group) = prepared(3);
    write(&mut world, 1, &group);
    let leaving = world.request(node(1), Request::Cluster(ClusterRequest::Stop));
    world.settle();
    assert_eq!(world.reply(node(1), leaving), None, "the volume is open");
    world.close(node(1), &group, "vol1");
    assert_eq!(world.reply(node(1), leaving), Some(&Reply::Done));
    world.open(node(2), &group, "vol1").unwrap();
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(record(&world, &group), (writers([]), VolumeState::Active));
    assert_eq!(copied(&world), 0);
}

#[test]
fn after_a_total_outage_copies_are_made_equal_when_the_group_is_imported() {
    let (mut world, group) = prepared(4);
    write(&mut world, 1, &group);
    for number in 0..3 {
        world.crash(node(number), Fate::Lost);
    }
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(record(&world, &group), (writers([]), VolumeState::Active));
    assert_eq!(copied(&world), RANGES);
    // Once is enough.
    assert_eq!(world.ask(node(0), deport()), Reply::Done, "{:?}", world.said);
    assert_eq!(world.ask(node(0), import()), Reply::Done, "{:?}", world.said);
    world.settle();
    assert_eq!(copied(&world), RANGES);
}

/// Whatever breaks while copies are made equal: they are, in the end.
#[test]
fn nodes_are_lost_at_every_step_of_a_resync() {
    for seed in 0..3 {
        let (mut world, group) = prepared(seed);
        write(&mut world, 1, &group);
        write(&mut world, 2, &group);
        world.crash(node(2), Fate::Lost);
        for at in 0_u64.. {
            for number in (0..2).filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                world.crash(node(number), Fate::Torn);
                world.settle();
                let what = format!("seed {seed}, step {at}, node {number}: {:?}", world.said);
                let other = if number == 0 { writers([1]) } else { writers([]) };
                assert_eq!(record(&world, &group), (other, VolumeState::Active), "{what}");
                assert!(copied(&world) >= RANGES, "{what}");
                // Whoever was lost comes back, and goes on.
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

/// The same with what administrators do meanwhile: a join, a change, another master, a node that leaves.
#[test]
fn a_resync_goes_on_through_everything_else() {
    for seed in 0..3 {
        let (mut world, group) = prepared(seed);
        write(&mut world, 1, &group);
        write(&mut world, 2, &group);
        world.crash(node(2), Fate::Lost);
        for at in 0_u64.. {
            let make = || Make {
                init: Init::Active,
                ..Make::new(name("vol2"), Some(2048), VolumeLayout::Mirror)
            };
            let requests = [
                op(Op::Make(Box::new(make()))),
                Request::Cluster(ClusterRequest::SetMaster(node(1))),
                Request::Cluster(ClusterRequest::Stop),
            ];
            for request in requests.into_iter().filter(|_| is_chosen(at)) {
                let mut world = world.clone();
                world.request(node(0), request.clone());
                world.boot(node(2));
                world.settle();
                let what = format!("seed {seed}, step {at}, {request:?}: {:?}", world.said);
                let state = (writers([1]), VolumeState::Active);
                assert_eq!(record(&world, &group), state, "{what}");
                assert!(copied(&world) >= RANGES, "{what}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// What a plex has missed while it was off is copied, however far the others are.
#[test]
fn a_plex_that_comes_back_while_others_are_copied_is_copied_from_the_beginning() {
    const ALL: usize = 16;
    let (mut world, group) = prepared(7);
    let to = NewLength::GrowTo(2048 * ALL as u64);
    let resize = Op::Resize { volume: name("vol1"), to, storage: Vec::new(), force: false };
    assert_eq!(world.ask(node(0), op(resize)), Reply::Done, "{:?}", world.said);
    let off = Op::DetachPlexes { plexes: vec![name("vol1-02")], force: false };
    assert_eq!(world.ask(node(0), op(off)), Reply::Done, "{:?}", world.said);
    let volume = name("vol1");
    let mirror = Op::Mirror { volume, count: 1, layout: None, storage: Vec::new() };
    world.request(node(0), op(mirror));
    let mut at = 0_u64;
    while world.step() {
        at += 1;
        if !at.is_multiple_of(20) || copied(&world) == 0 {
            continue;
        }
        let mut world = world.clone();
        let (volume, plexes) = (name("vol1"), vec![name("vol1-02")]);
        let session = world.request(node(1), op(Op::AttachPlexes { volume, plexes, force: false }));
        while world.reply(node(1), session).is_none_or(|reply| matches!(reply, Reply::Named(_))) {
            assert!(world.step(), "it is answered: {:?}", world.said);
        }
        world.trace.clear();
        world.settle();
        // A few were copied before that was told.
        assert!(copied(&world) >= ALL - 4, "step {at}: {} ranges", copied(&world));
        let image = world.image(node(0), &group).unwrap();
        let states = image.group.plexes.values().map(|plex| (plex.kernel, plex.state));
        let on = (KernelState::Enabled, PlexState::Active);
        assert!(
            states.clone().all(|state| state == on),
            "step {at}: {:?}",
            states.collect::<Vec<_>>()
        );
    }
    assert_eq!(copied(&world), ALL, "it was copied while that was tried");
}

/// Facts 4.5: what one node says of the pace all keep to, whoever is master.
#[test]
fn a_resync_that_is_paused_stays_so_until_it_is_resumed() {
    let (mut world, group) = prepared(8);
    write(&mut world, 1, &group);
    write(&mut world, 2, &group);
    world.crash(node(2), Fate::Lost);
    while world.nodes[&node(1)].configd.tasks().is_empty() {
        assert!(world.step(), "it begins: {:?}", world.said);
    }
    let named = world.image(node(1), &group).unwrap().group.name.clone();
    let pace = |is_paused, delay| Request::Pace {
        group: named.clone(),
        volume: name("vol1"),
        pace: Pace { is_paused, delay },
    };
    assert_eq!(world.ask(node(1), pace(true, 0)), Reply::Done);
    world.settle();
    let before = copied(&world);
    assert!(before < RANGES && record(&world, &group).1 == VolumeState::Sync);
    assert!(world.nodes[&node(1)].configd.tasks()[0].pace.is_paused);
    // The master is lost, and another one goes on with that.
    world.crash(node(0), Fate::Lost);
    world.settle();
    assert_eq!((copied(&world), record(&world, &group).1), (before, VolumeState::Sync));
    let begun = world.now;
    assert_eq!(world.ask(node(1), pace(false, 200)), Reply::Done);
    world.settle();
    assert_eq!(record(&world, &group), (writers([1]), VolumeState::Active));
    let took = world.now.since(begun);
    assert!(took >= std::time::Duration::from_millis(200), "it was slow: {took:?}");
    assert!(world.nodes[&node(1)].configd.tasks().is_empty());
    let reply = world.ask(node(1), pace(true, 0));
    assert!(matches!(reply, Reply::Failed(_)), "nothing is copied any more: {reply:?}");
}
