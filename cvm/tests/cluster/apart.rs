//! The local detach policy (facts 2.10): a node that alone cannot write a disk does not write the volume
//! any more, and nobody else notices but for the regions that are made equal.

use std::collections::BTreeSet;

use cvm::core::iod::{Owes, VolumeIo};
use cvm::model::op::{GroupAttribute, Op};
use cvm::model::{DetachPolicy, KernelState, UniqueId, VolumeState};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;
use llt::Duration;

use crate::crashes::op;
use crate::detach::is_chosen;
use crate::logs::{copied, map, mark};
use crate::resync::{record, write, writers};
use crate::world::{World, name, node};

const PLEX: &str = "vol1-01";

/// Three nodes of which the last two write a volume with a log, under that policy.
fn prepared(seed: u64, policy: DetachPolicy) -> (World, UniqueId) {
    let (mut world, group) = crate::logs::prepared(seed, 2);
    let set = Op::Set(vec![GroupAttribute::DetachPolicy(policy)]);
    assert_eq!(world.ask(node(0), op(set)), Reply::Done, "{:?}", world.said);
    for (number, dirty) in [(1, [0].as_slice()), (2, &[1, 3])] {
        write(&mut world, number, &group);
        mark(&mut world, number, &group, dirty);
    }
    world.trace.clear();
    (world, group)
}

/// The disk of the plex that cannot be written.
fn disk(world: &World, group: &UniqueId) -> UniqueId {
    let map = map(world, group);
    let (_, plex) = map.plexes().find(|(_, plex)| plex.name.as_str() == PLEX).unwrap();
    map.disks()[plex.disks()[0].0].clone()
}

/// A node has no path to it any more, and meets that when it writes.
fn cut(world: &mut World, number: u8, group: &UniqueId) {
    let disk = disk(world, group);
    world.disks.set_path(node(number), &disk, false);
    world.fail_plex_on(node(number), group, PLEX, Some(disk));
}

/// For a while: who stands apart looks again, for ever.
fn pass(world: &mut World, seconds: u64) {
    world.horizon = Some(world.now + Duration::from_secs(seconds));
    world.settle();
}

fn is_on(world: &World, group: &UniqueId) -> bool {
    let images: Vec<_> = world.members().iter().map(|node| world.image(*node, group)).collect();
    assert!(images.iter().all(|image| *image == images[0]), "all have the same");
    images[0].as_ref().unwrap().group.plexes[PLEX].kernel == KernelState::Enabled
}

/// The node's I/O runs, and it stands apart or not; `None`: it stands still.
fn is_apart(world: &World, number: u8, group: &UniqueId) -> Option<bool> {
    match world.nodes[&node(number)].iod.io_of(&(group.clone(), name("vol1"))) {
        VolumeIo::Runs { rules, .. } => Some(rules.is_apart),
        VolumeIo::Still => None,
        VolumeIo::Gone => panic!("the volume is open"),
    }
}

fn looks(world: &World) -> usize {
    world.trace.iter().filter(|what| what.starts_with("look ")).count()
}

#[test]
fn a_node_that_alone_cannot_write_a_disk_stands_apart_until_it_sees_it() {
    let (mut world, group) = prepared(1, DetachPolicy::Local);
    cut(&mut world, 2, &group);
    pass(&mut world, 5);
    assert!(is_on(&world, &group), "{:?}", world.said);
    // What it may have left different is equal, and nothing else was copied.
    assert_eq!(record(&world, &group), (writers([1]), VolumeState::Active));
    assert_eq!(copied(&world.trace), [1, 3]);
    assert_eq!(
        [0, 1, 2].map(|node| is_apart(&world, node, &group)),
        [false, false, true].map(Some)
    );
    // Both others have looked.
    assert_eq!(looks(&world), 2);
    pass(&mut world, 25);
    assert_eq!(is_apart(&world, 2, &group), Some(true));
    assert_eq!(looks(&world), 4, "{:?}", world.trace);
    let disk = disk(&world, &group);
    world.disks.set_path(node(2), &disk, true);
    pass(&mut world, 12);
    assert_eq!(is_apart(&world, 2, &group), Some(false));
    world.first_change(node(2), &group, "vol1");
    pass(&mut world, 60);
    assert_eq!(record(&world, &group), (writers([1, 2]), VolumeState::Active));
    assert_eq!((copied(&world.trace).len(), looks(&world)), (2, 5));
}

/// Of those who do not see it, and of those who cannot write it, two are enough; and the master.
#[test]
fn what_more_than_one_node_cannot_write_is_taken_off_for_all() {
    for seed in 0..10 {
        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        let lost = disk(&world, &group);
        world.disks.set_path(node(1), &lost, false);
        cut(&mut world, 2, &group);
        world.settle();
        assert!(!is_on(&world, &group), "seed {seed}: one does not see it");

        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        cut(&mut world, 1, &group);
        cut(&mut world, 2, &group);
        world.settle();
        assert!(!is_on(&world, &group), "seed {seed}: two cannot write it");

        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        cut(&mut world, 0, &group);
        world.settle();
        assert!(!is_on(&world, &group) && looks(&world) == 0, "seed {seed}: the master");

        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        cut(&mut world, 2, &group);
        pass(&mut world, 5);
        cut(&mut world, 1, &group);
        world.settle();
        assert!(!is_on(&world, &group), "seed {seed}: another one later");
        assert_eq!(is_apart(&world, 2, &group), Some(false), "there is no reason any more");

        let (mut world, group) = prepared(seed, DetachPolicy::Global);
        cut(&mut world, 2, &group);
        world.settle();
        assert!(!is_on(&world, &group) && looks(&world) == 0, "seed {seed}: the global policy");
        assert_eq!(record(&world, &group).0, writers([1, 2]));
    }
}

#[test]
fn who_does_not_say_in_time_what_it_sees_does_not_see_it() {
    let (mut world, group) = prepared(2, DetachPolicy::Local);
    world.nodes.get_mut(&node(1)).unwrap().never_looks = true;
    cut(&mut world, 2, &group);
    pass(&mut world, 4);
    assert!(is_on(&world, &group));
    pass(&mut world, 10);
    assert!(!is_on(&world, &group));
}

/// What it was told may still be done, and would come over what is made equal.
#[test]
fn what_a_node_still_may_write_is_taken_off_for_all() {
    let (mut world, group) = prepared(5, DetachPolicy::Local);
    let hangs = disk(&world, &group);
    world.hangs(node(2), &hangs, Owes::Changes);
    world.fail_plex_on(node(2), &group, PLEX, Some(hangs.clone()));
    world.settle();
    assert!(!is_on(&world, &group));
    // It is given up while the rest comes to its end.
    for seed in 0..10 {
        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        cut(&mut world, 2, &group);
        while is_apart(&world, 2, &group).is_some() {
            assert!(world.step());
        }
        let said = world.trace.iter().any(|what| what.starts_with("v 2 Apart"));
        world.hangs(node(2), &hangs, Owes::Changes);
        pass(&mut world, 5);
        assert_eq!(is_on(&world, &group), said, "seed {seed}: {:?}", world.said);
    }
}

/// What was equal already is not any more.
#[test]
fn a_copy_begins_anew_when_a_node_stands_apart() {
    let mut later = 0;
    for seed in 0..4 {
        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        world.crash(node(1), Fate::Lost);
        for at in 0_u64.. {
            if is_chosen(at) {
                let mut world = world.clone();
                let before = copied(&world.trace).len();
                cut(&mut world, 2, &group);
                pass(&mut world, 30);
                let what = format!("seed {seed}, step {at}: {:?}", world.said);
                let said = world.trace.iter().rposition(|what| what.starts_with("v 2 Apart"));
                let equal: BTreeSet<u32> =
                    copied(&world.trace[said.expect(&what)..]).into_iter().collect();
                assert!(equal.is_superset(&BTreeSet::from([1, 3])), "{what}: {equal:?}");
                assert_eq!(record(&world, &group), (writers([]), VolumeState::Active), "{what}");
                later += usize::from(before > 0);
            }
            if !world.step() {
                break;
            }
        }
    }
    assert!(later > 3, "{later}");
}

/// What it cannot write it could not make equal.
#[test]
fn a_node_that_stands_apart_and_becomes_master_has_the_plex_taken_off() {
    let (mut world, group) = prepared(3, DetachPolicy::Local);
    cut(&mut world, 2, &group);
    pass(&mut world, 5);
    let switch = Request::Cluster(ClusterRequest::SetMaster(node(2)));
    let session = world.request(node(0), switch);
    pass(&mut world, 5);
    assert_eq!(world.reply(node(0), session), Some(&Reply::Done), "{:?}", world.said);
    assert_eq!(is_apart(&world, 2, &group), Some(false), "it may try");
    cut(&mut world, 2, &group);
    world.settle();
    assert!(!is_on(&world, &group));
}

#[test]
fn another_policy_ends_it() {
    let (mut world, group) = prepared(4, DetachPolicy::Local);
    cut(&mut world, 2, &group);
    pass(&mut world, 5);
    let set = Op::Set(vec![GroupAttribute::DetachPolicy(DetachPolicy::Global)]);
    assert_eq!(world.ask(node(0), op(set)), Reply::Done, "{:?}", world.said);
    assert_eq!(is_apart(&world, 2, &group), Some(false));
    cut(&mut world, 2, &group);
    world.settle();
    assert!(!is_on(&world, &group));
}

/// Nothing goes to disks from the moment in which it says that it stands apart on, until the others know
/// what it has left.
fn assert_stopped(world: &World, group: &UniqueId, what: &str) {
    let has_said = world.trace.iter().any(|what| what.starts_with("v 2 Apart"));
    let image = world.image(node(2), group).unwrap();
    let writes = image.group.volumes["vol1"].writers.contains(&2);
    assert!(!has_said || !writes || is_apart(world, 2, group).is_none(), "{what}");
}

#[test]
fn everybody_is_lost_at_every_step_of_it() {
    let mut apart = 0;
    for seed in 0..2 {
        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        cut(&mut world, 2, &group);
        world.horizon = Some(world.now + Duration::from_secs(5));
        for at in 0_u64.. {
            assert_stopped(&world, &group, &format!("seed {seed}, step {at}"));
            let fates = [None, Some(Fate::Landed), Some(Fate::Lost), Some(Fate::Torn)];
            for fate in fates.into_iter().filter(|_| is_chosen(at)) {
                for victim in 0..3 {
                    let mut world = world.clone();
                    match fate {
                        Some(fate) => world.crash(node(victim), fate),
                        None => world.kill_configd(node(victim)),
                    }
                    pass(&mut world, 45);
                    let what = format!("seed {seed}, step {at}, {fate:?} of {victim}");
                    let is_there = fate.is_none() || victim != 2;
                    if is_there && is_apart(&world, 2, &group) == Some(false) {
                        // The write that waited is made anew, and fails as it did.
                        cut(&mut world, 2, &group);
                        pass(&mut world, 5);
                    }
                    assert!(is_on(&world, &group), "{what}: {:?}", world.said);
                    let (writes, state) = record(&world, &group);
                    assert!(!writes.contains(&2) && state == VolumeState::Active, "{what}");
                    let equal: BTreeSet<u32> = copied(&world.trace).into_iter().collect();
                    assert!(equal.is_superset(&BTreeSet::from([1, 3])), "{what}: {equal:?}");
                    if is_there {
                        apart += 1;
                        assert_eq!(is_apart(&world, 2, &group), Some(true), "{what}");
                    }
                    if fate.is_some() {
                        let lost = disk(&world, &group);
                        world.disks.set_path(node(2), &lost, true);
                        world.boot(node(victim));
                        pass(&mut world, 60);
                        assert_eq!(world.members().len(), 3, "{what}: {:?}", world.said);
                    }
                }
            }
            if !world.step() {
                break;
            }
        }
    }
    assert!(apart > 3, "{apart}");
}

/// A node that joins meanwhile gets to know what is in force.
#[test]
fn a_node_joins_at_every_step_of_it() {
    for seed in 0..2 {
        let (mut world, group) = prepared(seed, DetachPolicy::Local);
        world.crash(node(1), Fate::Lost);
        world.settle();
        world.trace.clear();
        cut(&mut world, 2, &group);
        world.horizon = Some(world.now + Duration::from_secs(5));
        for at in 0_u64.. {
            if is_chosen(at) {
                let mut world = world.clone();
                world.boot(node(1));
                pass(&mut world, 30);
                let what = format!("seed {seed}, step {at}: {:?}", world.said);
                assert_eq!(world.members().len(), 3, "{what}");
                assert!(is_on(&world, &group), "{what}");
                assert_eq!(record(&world, &group), (writers([]), VolumeState::Active), "{what}");
                assert_eq!(is_apart(&world, 2, &group), Some(true), "{what}");
            }
            if !world.step() {
                break;
            }
        }
    }
}
