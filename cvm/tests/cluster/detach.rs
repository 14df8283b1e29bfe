//! Plexes that a node cannot write are taken off for all (CVM-48, facts 2.10).

use cvm::model::op::{Init, Make, Op, VolumeLayout};
use cvm::model::{KernelState, PlexState, UniqueId};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;
use llt::{Duration, NodeId};

use crate::crashes::{disks, init, make, op};
use crate::world::{World, name, node};

/// Three nodes, and a mirrored volume.
fn prepared(seed: u64) -> (World, UniqueId) {
    let mut world = World::formed(seed, 3, 4);
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    assert_eq!(world.ask(node(0), make("vol1")), Reply::Done, "{:?}", world.said);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    (world, group)
}

/// How a plex stands, which is the same on all members and on the disks.
fn state(world: &World, group: &UniqueId, plex: &str) -> (KernelState, PlexState) {
    let images: Vec<_> = world.members().iter().map(|node| world.image(*node, group)).collect();
    assert!(images.iter().all(|image| *image == images[0]), "all have the same");
    let image = images[0].as_ref().expect("it is imported");
    let found = world.disks.import(group).expect("it can be imported").image;
    assert_eq!((found.stamp, &found.group), (image.stamp, &image.group), "on disk");
    for (number, node) in &world.nodes {
        assert_eq!(node.iod.alarms(), 0, "{number}");
    }
    let plex = &image.group.plexes[plex];
    (plex.kernel, plex.state)
}

const ON: (KernelState, PlexState) = (KernelState::Enabled, PlexState::Active);
const OFF: (KernelState, PlexState) = (KernelState::Detached, PlexState::IoFail);

#[test]
fn cvm_48_a_plex_that_a_slave_cannot_write_is_taken_off_for_all() {
    let (mut world, group) = prepared(1);
    world.fail_plex(node(2), &group, "vol1-01");
    world.settle();
    assert_eq!(state(&world, &group, "vol1-01"), OFF);
    assert_eq!(state(&world, &group, "vol1-02"), ON);
    // vxconfigd knows of it: the next change begins with it.
    assert_eq!(world.ask(node(1), make("vol2")), Reply::Done, "{:?}", world.said);
    assert_eq!(state(&world, &group, "vol1-01"), OFF);
}

/// I/O does not wait for a vxconfigd.
#[test]
fn no_vxconfigd_is_needed_for_that() {
    let (mut world, group) = prepared(2);
    for number in 0..3 {
        world.kill_configd(node(number));
    }
    world.settle();
    world.fail_plex(node(1), &group, "vol1-02");
    world.settle();
    assert_eq!(state(&world, &group, "vol1-02"), OFF);
}

#[test]
fn the_last_plex_stays() {
    let (mut world, group) = prepared(3);
    // Both at once, seen by different nodes.
    world.fail_plex(node(1), &group, "vol1-01");
    world.fail_plex(node(2), &group, "vol1-02");
    world.settle();
    let states = ["vol1-01", "vol1-02"].map(|plex| state(&world, &group, plex));
    assert!(states == [ON, OFF] || states == [OFF, ON], "{states:?}");
    for plex in ["vol1-01", "vol1-02"] {
        world.fail_plex(node(0), &group, plex);
        world.settle();
    }
    assert_eq!(states, ["vol1-01", "vol1-02"].map(|plex| state(&world, &group, plex)));
    // Nobody waits for it: any other may become master.
    let switch = Request::Cluster(ClusterRequest::SetMaster(node(2)));
    assert_eq!(world.ask(node(1), switch), Reply::Done, "{:?}", world.said);
    assert_eq!(states, ["vol1-01", "vol1-02"].map(|plex| state(&world, &group, plex)));
}

#[test]
fn a_plex_of_a_layer_is_taken_off_in_its_layer() {
    let (mut world, group) = prepared(4);
    let layout = VolumeLayout::StripeMirror;
    let make =
        Make { init: Init::Active, columns: Some(2), ..Make::new(name("big"), Some(4096), layout) };
    let reply = world.ask(node(0), op(Op::Make(Box::new(make))));
    if reply != Reply::Done {
        // It takes four disks.
        let added = world.ask(node(0), op(Op::AddDisks(disks(4..=4))));
        assert_eq!(added, Reply::Done, "{reply:?}");
        let make = Make {
            init: Init::Active,
            columns: Some(2),
            ..Make::new(name("big"), Some(4096), layout)
        };
        assert_eq!(world.ask(node(0), op(Op::Make(Box::new(make)))), Reply::Done);
    }
    let image = world.image(node(0), &group).unwrap();
    let (layer, record) = image.group.volumes.iter().find(|(_, volume)| volume.layer).unwrap();
    let plex = record.plexes[1].clone();
    world.fail_plex(node(2), &group, plex.as_str());
    world.settle();
    assert_eq!(state(&world, &group, plex.as_str()), OFF, "of {layer}");
}

/// One step of `CVM_STRIDE`, from `CVM_FROM` on.
pub(crate) fn is_chosen(at: u64) -> bool {
    let size = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let stride = size("CVM_STRIDE").unwrap_or(1).max(1);
    at % stride == size("CVM_FROM").unwrap_or(0) % stride
}

/// At every step of a change that a utility asks for: the change is made, and the plex goes.
#[test]
fn a_plex_fails_at_every_step_of_a_change() {
    for seed in 0..4 {
        let (mut world, group) = prepared(seed);
        let asked = node(u8::try_from(seed % 2).unwrap());
        let session = world.request(asked, make("vol2"));
        for at in 0_u64.. {
            for number in 0..3 {
                let mut world = world.clone();
                world.fail_plex(node(number), &group, "vol1-01");
                world.settle();
                let what = format!("seed {seed}, step {at}, node {number}: {:?}", world.said);
                assert_eq!(world.reply(asked, session), Some(&Reply::Done), "{what}");
                assert_eq!(state(&world, &group, "vol1-01"), OFF, "{what}");
                assert_eq!(state(&world, &group, "vol2-01"), ON, "{what}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// The same while a node joins: it gets what is in force.
#[test]
fn a_plex_fails_at_every_step_of_a_join() {
    for seed in 0..2 {
        let (mut world, group) = prepared(seed);
        world.crash(node(2), Fate::Lost);
        world.settle();
        world.boot(node(2));
        for at in 0_u64.. {
            for number in 0..2 {
                let mut world = world.clone();
                world.fail_plex(node(number), &group, "vol1-01");
                world.settle();
                let what = format!("seed {seed}, step {at}, node {number}: {:?}", world.said);
                assert_eq!(world.members().len(), 3, "{what}");
                // A view in which somebody leaves forgets it; nobody does here.
                assert_eq!(state(&world, &group, "vol1-01"), OFF, "{what}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// Somebody is lost at every step: the plex is off for all survivors, or on for all, and then it goes
/// when the write that failed is made anew.
#[test]
fn everybody_is_lost_at_every_step_of_taking_a_plex_off() {
    let blow = |world: &mut World, victim: NodeId, fate: Option<Fate>| match fate {
        Some(fate) => world.crash(victim, fate),
        None => world.kill_configd(victim),
    };
    let (mut off, mut on) = (0, 0);
    for seed in 0..2 {
        let (mut world, group) = prepared(seed);
        world.fail_plex(node(2), &group, "vol1-01");
        for at in 0_u64.. {
            let fates = [None, Some(Fate::Landed), Some(Fate::Lost), Some(Fate::Torn)];
            for fate in fates.into_iter().filter(|_| is_chosen(at)) {
                for victim in 0..3 {
                    let mut world = world.clone();
                    world.horizon = Some(world.now + Duration::from_secs(45));
                    blow(&mut world, node(victim), fate);
                    world.settle();
                    let what = format!("seed {seed}, step {at}, {fate:?} of {victim}");
                    if fate.is_none() {
                        assert_eq!(state(&world, &group, "vol1-01"), OFF, "{what}");
                        continue;
                    }
                    let is_off = state(&world, &group, "vol1-01") == OFF;
                    if is_off {
                        off += 1
                    } else {
                        on += 1
                    }
                    let survivor = world.members()[0];
                    world.fail_plex(survivor, &group, "vol1-01");
                    world.settle();
                    assert_eq!(state(&world, &group, "vol1-01"), OFF, "{what}");
                    world.boot(node(victim));
                    world.settle();
                    assert_eq!(world.members().len(), 3, "{what}: {:?}", world.said);
                    assert_eq!(state(&world, &group, "vol1-01"), OFF, "{what}");
                }
            }
            if !world.step() {
                break;
            }
        }
    }
    assert!(off > 3 && on > 3, "both happen: {off}, {on}");
}
