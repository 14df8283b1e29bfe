//! Disks that a node does not reach (facts A.4, 2.10).

use cvm::core::iod::IodNotice;
use cvm::disk::CopyState;
use cvm::model::op::{GroupAttribute, Op};
use cvm::model::{FailPolicy, UniqueId};
use cvm::request::{GroupRequest, Import, Reply, Request};
use cvm::sim::Fate;
use llt::NodeId;

use crate::crashes::{deport, disks, import, init, make, op};
use crate::world::{Said, World, failure, name, node};

/// Three nodes, four disks, and a group on the first three.
fn prepared() -> (World, UniqueId) {
    let mut world = World::formed(7, 3, 4);
    assert_eq!(world.ask(node(0), init()), Reply::Done);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    (world, group)
}

fn cut(world: &mut World, node: NodeId, disks: impl IntoIterator<Item = usize>) {
    for disk in disks {
        let disk = world.disks.known()[disk].clone();
        world.disks.set_path(node, &disk, false);
    }
}

#[track_caller]
fn assert_disabled(world: &World) {
    for number in 0..3 {
        let state = &world.nodes[&node(number)];
        assert!(state.iod.tables().is_empty(), "node {number}");
        assert_eq!(state.configd.disabled().count(), 1, "node {number}");
    }
}

/// Facts 3.7: no configuration is changed while a vxconfigd is missing, and the error names the node.
#[test]
fn a_missing_vxconfigd_is_named_and_comes_back_to_the_same_configuration() {
    let (mut world, group) = prepared();
    for gone in [2, 0] {
        world.kill_configd(node(gone));
        world.settle();
        let refused = failure(world.ask(node(1), make("vol1")));
        assert_eq!(refused.id.as_deref(), Some("V-5-1-2197"));
        assert_eq!(refused.text, format!("node {gone}: missing vxconfigd"));
        // What vxiod has in force is untouched.
        assert!(world.image(node(gone), &group).is_some());
        assert_eq!(world.members().len(), 3);
        world.start_configd(node(gone));
        world.settle();
        assert_eq!(world.ask(node(gone), make(&format!("vol{gone}"))), Reply::Done);
    }
    let volumes = &world.image(node(1), &group).unwrap().group.volumes;
    assert_eq!(volumes.len(), 2);
}

/// What an import with -f does not see is given up: it does not wait for copies that were given away.
#[test]
fn a_forced_import_goes_on_with_what_is_left() {
    let (mut world, group) = prepared();
    assert_eq!(world.ask(node(0), make("vol1")), Reply::Done, "{:?}", world.said);
    let names = vec![name("shdg02"), name("shdg03")];
    let removed = world.ask(node(0), op(Op::RemoveDisks { names, keep: false }));
    if removed != Reply::Done {
        // The volume lies on one of them.
        let volume = name("vol1");
        let gone = world.ask(node(0), op(Op::RemoveVolume { volume, force: true }));
        assert_eq!(gone, Reply::Done, "{:?}", world.said);
        let names = vec![name("shdg02"), name("shdg03")];
        let removed = world.ask(node(0), op(Op::RemoveDisks { names, keep: false }));
        assert_eq!(removed, Reply::Done, "{:?}", world.said);
    }
    for number in 0..3 {
        world.crash(node(number), Fate::Landed);
    }
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    if world.image(node(0), &group).is_none() {
        let Request::Group(GroupRequest::Import(import)) = import() else { panic!("an import") };
        let forced = Request::Group(GroupRequest::Import(Import { force: true, ..import }));
        assert_eq!(world.ask(node(0), forced), Reply::Done, "{:?}", world.said);
    }
    let image = world.image(node(1), &group).unwrap();
    assert_eq!(image.group.disks.len(), 1);
    assert!(image.earlier.is_empty());
    assert_eq!(world.ask(node(2), op(Op::AddDisks(disks(4..=4)))), Reply::Done, "{:?}", world.said);
}

fn add_disk() -> Request {
    op(Op::AddDisks(disks(4..=4)))
}

/// CVM-04, CVM-16: every node has to reach a new disk, and the error names the one that does not.
#[test]
fn cvm_04_a_disk_that_a_slave_does_not_reach_is_not_added() {
    let (mut world, group) = prepared();
    cut(&mut world, node(2), [3]);
    let before = world.image(node(0), &group).unwrap().group.clone();
    let refused = failure(world.ask(node(1), add_disk()));
    assert!(refused.text.starts_with("node 2: cannot access disk "), "{}", refused.text);
    for number in 0..3 {
        assert_eq!(world.image(node(number), &group).unwrap().group, before);
    }
    world.disks.mend();
    assert_eq!(world.ask(node(1), add_disk()), Reply::Done);
}

/// CVM-31, CVM-32: a joiner reaches all disks of all shared groups, or stays out.
#[test]
fn cvm_32_a_node_that_does_not_reach_a_disk_does_not_join() {
    let (mut world, group) = prepared();
    world.crash(node(2), Fate::Lost);
    world.settle();
    cut(&mut world, node(2), [1]);
    world.boot(node(2));
    world.settle();
    let out = world.nodes[&node(2)].iod.out_of_cluster();
    assert_eq!(out, Some("cannot find disk on slave node"));
    assert_eq!(world.members().len(), 2);
    world.disks.mend();
    world.boot(node(2));
    world.settle();
    assert_eq!(world.members().len(), 3);
    assert!(world.image(node(2), &group).is_some(), "CVM-33: it has the group");
}

#[test]
fn a_change_goes_through_without_one_copy_and_the_next_says_so() {
    let (mut world, group) = prepared();
    cut(&mut world, node(0), [2]);
    assert_eq!(world.ask(node(0), make("vol1")), Reply::Done);
    assert_eq!(world.ask(node(1), make("vol2")), Reply::Done);
    let image = world.image(node(2), &group).unwrap();
    let lost = &world.disks.known()[2];
    let state = image.copies.state(lost, cvm::disk::CopyKind::Config);
    assert_eq!(state, Some(CopyState::Failed));
    // Nobody imports what that copy still has.
    assert_eq!(world.disks.import(&group).unwrap().image.group, image.group);
}

/// A disk says that it is nobody's only when that is written down: it might be all that is left of its
/// group (seed 9001882).
#[test]
fn disks_of_a_group_that_could_not_be_destroyed_stay_in_it() {
    let (mut world, group) = prepared();
    world.refuses_images = true;
    let destroy = || Request::Group(GroupRequest::Destroy(name("shdg")));
    let reply = world.ask(node(1), destroy());
    assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    world.settle();
    let frees = |world: &World| world.trace.iter().filter(|line| line.ends_with(" Free")).count();
    assert_eq!(frees(&world), 0);
    world.refuses_images = false;
    assert_eq!(world.ask(node(1), deport()), Reply::Done);
    assert_eq!(world.ask(node(1), import()), Reply::Done, "{:?}", world.said);
    assert!(world.image(node(2), &group).is_some());
    assert_eq!(world.ask(node(1), destroy()), Reply::Done);
    assert_eq!(frees(&world), 3);
}

/// Its disks say that they are its until that is written back (seed 9013122).
#[test]
fn a_group_that_could_not_be_made_is_not_imported_meanwhile() {
    for seed in 0..20 {
        let mut world = World::formed(seed, 3, 4);
        world.refuses_images = true;
        let making = world.request(node(0), init());
        for at in 0_u64.. {
            let mut now = world.clone();
            now.request(node(1), import());
            let written = world.trace.iter().filter(|line| *line == "disk 0 Image").count();
            now.refuses_images = written < 3;
            now.settle();
            let what = format!("seed {seed}, step {at}");
            assert!(matches!(now.reply(node(0), making), Some(Reply::Failed(_))), "{what}");
            for number in 0..3 {
                let iod = &now.nodes[&node(number)].iod;
                assert!(iod.tables().is_empty(), "{what}, node {number}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// `dgfailpolicy=dgdisable`, which is the standard.
#[test]
fn a_group_that_cannot_be_written_is_disabled_everywhere_until_it_is_imported_anew() {
    let (mut world, group) = prepared();
    assert_eq!(world.ask(node(0), make("vol1")), Reply::Done);
    cut(&mut world, node(0), 0..3);
    // It could not be written, and not be undone either: an import may find this or that.
    let reply = world.ask(node(1), make("vol2"));
    assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    world.settle();
    assert_disabled(&world);
    let refused = failure(world.ask(node(2), make("vol2")));
    assert_eq!(refused.id.as_deref(), Some("V-5-1-123"));
    assert_eq!(refused.text, "Disk group shdg: Disabled by errors");
    assert_eq!(world.ask(node(1), deport()), Reply::Done);
    world.disks.mend();
    assert_eq!(world.ask(node(1), import()), Reply::Done, "{:?}", world.said);
    let now = &world.image(node(2), &group).unwrap().group;
    assert_eq!(now.volumes.keys().map(ToString::to_string).collect::<Vec<_>>(), ["vol1"]);
    assert_eq!(world.ask(node(2), make("vol2")), Reply::Done);
}

/// One copy of three is as good as none.
#[test]
fn a_group_of_which_too_few_copies_are_written_is_disabled() {
    let (mut world, group) = prepared();
    assert_eq!(world.ask(node(0), make("vol1")), Reply::Done);
    cut(&mut world, node(0), 0..2);
    let reply = world.ask(node(1), make("vol2"));
    let Reply::Unknown(request) = reply else { panic!("{reply:?}") };
    assert_disabled(&world);
    // An import may bring it into force: nobody says what became of it.
    for number in 0..3 {
        let state = world.ask(node(number), Request::TransState(request));
        assert_eq!(state, Reply::TransState(None), "node {number}");
    }
    world.disks.mend();
    assert_eq!(world.ask(node(1), import()), Reply::Done, "{:?}", world.said);
    assert_eq!(world.ask(node(2), make("vol3")), Reply::Done);
    assert!(world.image(node(0), &group).unwrap().group.volumes.contains_key(&name("vol1")));
}

/// More disks that cannot be written than the group has are no reason to give it up, nor do they count
/// when it is imported.
#[test]
fn disks_that_cannot_be_written_are_not_added_and_harm_nobody() {
    let mut world = World::formed(7, 3, 4);
    let Request::Group(GroupRequest::Init { name, shared, minors, nconfig, nlog, cds, .. }) =
        init()
    else {
        panic!("it makes a group")
    };
    let disks_of = |numbers| Op::AddDisks(disks(numbers));
    let init = GroupRequest::Init { name, shared, disks: disks(1..=1), minors, nconfig, nlog, cds };
    assert_eq!(world.ask(node(0), Request::Group(init)), Reply::Done);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    for disk in 1..3 {
        let disk = world.disks.known()[disk].clone();
        world.unwritable.insert((node(0), disk));
    }
    let refused = failure(world.ask(node(1), op(disks_of(2..=3))));
    assert!(refused.text.contains("cannot write disk"), "{}", refused.text);
    for number in 0..3 {
        assert!(world.image(node(number), &group).is_some(), "node {number}");
        world.crash(node(number), Fate::Lost);
    }
    world.unwritable.clear();
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert!(world.image(node(2), &group).is_some(), "{:?}", world.said);
    assert_eq!(world.ask(node(1), op(disks_of(4..=4))), Reply::Done);
}

/// It is written back, and what it was on the way to say of its disks, too: all of them are in the group
/// that goes on, though one of them cannot be written at first.
#[test]
fn a_deport_that_is_abandoned_takes_no_disk_along() {
    let mut abandoned = 0;
    for seed in 0..20 {
        let (mut world, group) = prepared();
        for _ in 0..seed {
            world.step();
        }
        world.request(node(1), deport());
        for at in 0_u64.. {
            let mut now = world.clone();
            now.crash(node(2), Fate::Lost);
            let (said, disk) = (now.said.len(), now.disks.known()[0].clone());
            now.unwritable.insert((node(0), disk));
            let fails = |world: &World| {
                let is_failed =
                    |said: &Said| matches!(said, Said::Iod(_, IodNotice::RepairFailed { .. }));
                world.said[said..].iter().any(is_failed)
            };
            while !fails(&now) && now.step() {}
            abandoned += u32::from(fails(&now));
            now.unwritable.clear();
            now.settle();
            if let Some(image) = now.image(node(0), &group) {
                for disk in &now.disks.known()[..3] {
                    let member = now.disks.claim(disk).and_then(|claim| claim.member);
                    let owner = member.map(|member| member.owner);
                    assert_eq!(owner, Some(image.group.owner.clone()), "seed {seed}, step {at}");
                }
            }
            if !world.step() {
                break;
            }
        }
    }
    assert!(abandoned > 0, "no write back had to be tried again");
}

/// What a vxconfigd that is gone had begun is undone under the eyes of the next one.
#[test]
fn what_a_lost_vxconfigd_had_begun_is_not_imported() {
    for seed in 0..20 {
        let mut world = World::formed(seed, 3, 4);
        world.refuses_images = true;
        world.request(node(0), init());
        for at in 0_u64.. {
            let mut now = world.clone();
            now.kill_configd(node(0));
            // What could not be written until now came to nothing.
            now.refuses_images = false;
            now.start_configd(node(0));
            let is_member = |world: &World| world.nodes[&node(0)].configd.role().is_member;
            while !is_member(&now) && now.step() {}
            // One of them comes when it is just being told.
            for _ in 0..30 {
                now.request(node(0), import());
                (0..3).for_each(|_| _ = now.step());
            }
            now.settle();
            for number in 0..3 {
                let tables = now.nodes[&node(number)].iod.tables();
                assert!(tables.is_empty(), "seed {seed}, step {at}, node {number}");
            }
            if !world.step() {
                break;
            }
        }
    }
}

/// It may be on the disks, and what is on them is imported by the next vxiod.
#[test]
fn what_a_lost_vxiod_was_told_to_carry_out_may_be_in_force() {
    let GroupRequest::Init { name, disks, minors, nconfig, nlog, cds, .. } = (match init() {
        Request::Group(init) => init,
        _ => panic!("it makes a group"),
    }) else {
        panic!("it makes a group")
    };
    let shared = false;
    let init = GroupRequest::Init { name, shared, disks, minors, nconfig, nlog, cds };
    let mut world = World::formed(7, 1, 4);
    let making = world.request(node(0), Request::Group(init));
    let (mut failed, mut unknown) = (0, 0);
    while world.reply(node(0), making).is_none_or(|reply| matches!(reply, Reply::Named(_))) {
        let mut now = world.clone();
        let at = now.now;
        now.nodes.get_mut(&node(0)).unwrap().configd.handle_iod_gone(at);
        while now.step() {}
        let is_written = world.trace.iter().any(|line| line == "disk 0 Image");
        match now.reply(node(0), making) {
            Some(Reply::Unknown(_)) => unknown += 1,
            Some(Reply::Failed(_)) if !is_written => failed += 1,
            // It is in force, or was not begun: here the next vxiod is there at once.
            Some(Reply::Done) => assert_eq!(now.nodes[&node(0)].iod.tables().len(), 1),
            other => panic!("written: {is_written}, {other:?}"),
        }
        assert!(world.step());
    }
    assert!(failed > 0 && unknown > 0, "{failed} failed, {unknown} unknown");
}

/// `dgfailpolicy=leave`: the next master may have paths.
#[test]
fn a_master_that_cannot_write_leaves_and_another_goes_on() {
    let (mut world, group) = prepared();
    let policy = op(Op::Set(vec![GroupAttribute::FailPolicy(FailPolicy::Leave)]));
    assert_eq!(world.ask(node(1), policy), Reply::Done);
    cut(&mut world, node(0), 0..3);
    assert!(failure(world.ask(node(1), make("vol1"))).text.contains("cvm config update failed"));
    world.settle();
    let out = world.nodes[&node(0)].iod.out_of_cluster();
    assert_eq!(out, Some("cvm config update failed"));
    assert_eq!(world.members(), [node(1), node(2)]);
    assert_eq!(world.ask(node(2), make("vol1")), Reply::Done, "{:?}", world.said);
    assert!(world.nodes[&node(1)].iod.tables().contains_key(&group));
}

#[test]
fn a_group_that_cannot_be_made_holds_nobody_up() {
    let mut world = World::formed(9, 3, 4);
    for disk in 0..3 {
        let disk = world.disks.known()[disk].clone();
        world.unwritable.insert((node(0), disk));
    }
    let reply = world.ask(node(1), init());
    assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    world.settle();
    world.unwritable.clear();
    assert_eq!(world.ask(node(1), init()), Reply::Done, "{:?}", world.said);
}
