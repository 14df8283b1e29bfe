//! Disks that may still do what nobody waits for any more, and disks that two want at the same time.

use std::collections::BTreeSet;

use cvm::core::iod::Owes;
use cvm::model::op::{Op, Storage};
use cvm::model::{Activation, Copies, Disk, Name, PlexState, UniqueId, VolumeState};
use cvm::request::{GroupRequest, Reply, Request};
use cvm::sim::Fate;
use cvm::volume::VolumeMap;

use crate::crashes::{deport, disks, init, op};
use crate::resync::{copied, prepared, record, write, writers};
use crate::world::{World, failure, name, node};

/// A disk that both nodes use for the volume.
fn disk(world: &World, group: &UniqueId) -> UniqueId {
    let image = world.image(node(0), group).unwrap();
    VolumeMap::new(&image.group, "vol1").unwrap().disks()[0].clone()
}

#[test]
fn nothing_is_copied_where_a_disk_may_still_change_something() {
    let (mut world, group) = prepared(3);
    write(&mut world, 1, &group);
    let hangs = disk(&world, &group);
    let tell = |world: &mut World, owes| {
        world.hangs(node(2), &hangs, owes);
    };
    tell(&mut world, Owes::Changes);
    world.crash(node(1), Fate::Lost);
    world.settle();
    assert_eq!((copied(&world), record(&world, &group).1), (0, VolumeState::Sync));
    // What concerns that node alone holds up nobody.
    tell(&mut world, Owes::Answers);
    world.settle();
    assert_eq!(record(&world, &group), (writers([]), VolumeState::Active));
    assert!(copied(&world) > 0);
}

#[test]
fn nobody_else_can_import_what_a_disk_may_still_change() {
    let (mut world, group) = prepared(4);
    let hangs = disk(&world, &group);
    world.hangs(node(2), &hangs, Owes::Changes);
    let refused = failure(world.ask(node(0), deport()));
    assert!(refused.text.contains("does not answer"), "{refused:?}");
    world.hangs(node(2), &hangs, Owes::Nothing);
    assert_eq!(world.ask(node(0), deport()), Reply::Done);
}

/// A node makes a private group on a disk while all make a shared one, at every step of that.
#[test]
fn a_disk_is_in_one_group() {
    let mut both = BTreeSet::new();
    for seed in 0..4 {
        let mut world = World::formed(seed, 3, 3);
        world.activation = Activation::SharedWrite;
        world.request(node(0), init());
        loop {
            let mut other = world.clone();
            let private = Request::Group(GroupRequest::Init {
                name: name("rootdg2"),
                shared: false,
                disks: disks(3..=3),
                minors: None,
                nconfig: Copies::Default,
                nlog: Copies::Default,
                cds: true,
            });
            other.request(node(2), private);
            other.settle();
            let tables = other.nodes[&node(2)].iod.tables();
            let mut owned: Vec<&UniqueId> =
                tables.values().flat_map(|table| table.tenures.keys()).collect();
            let all = owned.len();
            owned.sort_unstable();
            owned.dedup();
            assert_eq!(owned.len(), all, "seed {seed}: {:?}", other.said);
            both.insert(tables.values().next().map(|table| table.image.group.name.clone()));
            if !world.step() {
                break;
            }
        }
    }
    assert!(both.len() > 1, "each of them is made where it comes first: {both:?}");
}

/// That it failed at its old place is told when it has left that.
#[test]
fn a_plex_that_has_left_a_disk_does_not_fail_with_it() {
    let (mut world, group) = prepared(5);
    let fails = disk(&world, &group);
    let image = world.image(node(0), &group).unwrap();
    let is_it = |record: &Disk| record.disk.as_ref() == Some(&fails);
    let (dm, _) = image.group.disks.iter().find(|(_, record)| is_it(record)).unwrap();
    let on = |plex: &&Name| image.group.lies_on(plex, &fails);
    let plex = image.group.plexes.keys().find(on).unwrap().clone();
    let away = vec![Storage { disk: dm.clone(), excluded: true, offset: None }];
    let moved = op(Op::Move { volume: name("vol1"), storage: away });
    assert_eq!(world.ask(node(0), moved), Reply::Done);
    world.settle();
    for (disk, state) in [(Some(fails.clone()), PlexState::Active), (None, PlexState::IoFail)] {
        world.fail_plex_on(node(1), &group, plex.as_str(), disk);
        world.settle();
        let image = world.image(node(0), &group).unwrap();
        assert!(!image.group.lies_on(&plex, &fails));
        assert_eq!(image.group.plexes[&plex].state, state);
    }
}
