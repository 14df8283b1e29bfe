//! Requirements of the source documents (facts part A), one test or more each; those that need more
//! than this have files of their own. `docs/testing.md` lists all of them.

use cvm::model::op::{Init, Make, Op, VolumeLayout};
use cvm::model::{Copies, UniqueId};
use cvm::request::{GroupRequest, Import, Reply, Request};
use cvm::sim::Fate;

use crate::crashes::{deport, disks, import, init, make, op};
use crate::world::{Said, World, failure, name, node};

fn formed() -> World {
    World::formed(11, 3, 5)
}

fn prepared() -> (World, UniqueId) {
    let mut world = formed();
    assert_eq!(world.ask(node(0), init()), Reply::Done);
    let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
    (world, group)
}

fn private(group: &str) -> Request {
    Request::Group(GroupRequest::Init {
        name: name(group),
        shared: false,
        disks: disks(4..=4),
        minors: None,
        nconfig: Copies::Default,
        nlog: Copies::Default,
        cds: true,
    })
}

/// Where in the trace something was first said, and last.
fn first(world: &World, what: &str) -> usize {
    let place = world.trace.iter().position(|said| said == what);
    place.unwrap_or_else(|| panic!("{what} is not in {:#?}", world.trace))
}

fn last(world: &World, what: &str) -> usize {
    let place = world.trace.iter().rposition(|said| said == what);
    place.unwrap_or_else(|| panic!("{what} is not in {:#?}", world.trace))
}

fn runs(world: &mut World, until: impl Fn(&World) -> bool) {
    while !until(world) {
        assert!(world.step(), "it never comes to that: {:#?}", world.trace);
    }
}

/// CVM-01: the master looks first, and nobody else hears of what it refuses.
#[test]
fn cvm_01_a_group_that_is_there_is_not_made_again() {
    let (mut world, _) = prepared();
    world.trace.clear();
    let refused = failure(world.ask(node(0), init()));
    assert_eq!(refused.id.as_deref(), Some("V-5-1-585"));
    assert_eq!(world.trace, [""; 0], "nothing was sent or written");
}

/// CVM-02, CVM-05 to CVM-09, CVM-17, CVM-18, CVM-35, CVM-44: who says what, in which order.
#[test]
fn cvm_02_05_06_07_08_09_all_agree_then_all_stand_still_then_all_change() {
    for seed in 0..10 {
        let mut world = World::formed(seed, 3, 5);
        assert_eq!(world.ask(node(0), init()), Reply::Done);
        world.trace.clear();
        assert_eq!(world.ask(node(0), make("vol1")), Reply::Done);
        // CVM-02: the master tells all of the change; CVM-05: all agree before anybody loads it.
        let precheck = first(&world, "w 0 Precheck");
        let load = first(&world, "w 0 Load");
        for number in 0..3 {
            let vote = first(&world, &format!("w {number} Vote"));
            assert!(precheck < vote && vote < load, "{:#?}", world.trace);
        }
        // CVM-06, CVM-08: the master begins when all have loaded it.
        let quiesce = first(&world, "v 0 Quiesce");
        let commit = first(&world, "v 0 Commit");
        let image = first(&world, "disk 0 Image");
        for number in 1..3 {
            assert!(last(&world, &format!("w {number} Loaded")) < quiesce);
            // CVM-07: nothing is written, much less in force, while I/O may be under way anywhere.
            let quiesced = first(&world, &format!("v {number} Quiesced"));
            assert!(quiesce < quiesced && quiesced < image, "{:#?}", world.trace);
        }
        assert!(image < commit);
        // CVM-09: one message decides, at its place of the order, for all.
        let decisions = world.trace.iter().filter(|said| said.ends_with("Commit"));
        assert_eq!(decisions.count(), 1);
        // The master alone writes.
        assert!(!world.trace.iter().any(|said| said.starts_with("disk 1")));
    }
}

/// CVM-03: a node's own group of that name is in the way, and the node is named.
#[test]
fn cvm_03_a_slave_with_a_private_group_of_the_name_refuses() {
    let mut world = formed();
    assert_eq!(world.ask(node(2), private("shdg")), Reply::Done);
    let refused = failure(world.ask(node(0), init()));
    assert_eq!(refused.text, "node 2: Disk group exists and is imported");
    assert_eq!(refused.id.as_deref(), Some("V-5-1-2922"));
    for number in 0..3 {
        let tables = world.nodes[&node(number)].iod.tables();
        assert!(tables.values().all(|table| !table.is_shared()), "node {number}");
    }
}

/// CVM-10: whoever's vxconfigd goes, before it is decided: all are told, and it fails.
#[test]
fn cvm_10_a_vxconfigd_that_goes_away_makes_the_operation_fail() {
    for gone in 0..3 {
        let (mut world, group) = prepared();
        world.trace.clear();
        let session = world.request(node(1), make("vol1"));
        runs(&mut world, |world| world.trace.iter().any(|said| said == "w 0 Load"));
        world.kill_configd(node(gone));
        world.settle();
        for number in 0..3 {
            let volumes = &world.image(node(number), &group).unwrap().group.volumes;
            assert!(volumes.is_empty(), "node {number} after {gone}");
        }
        if gone != 1 {
            assert!(matches!(world.reply(node(1), session), Some(Reply::Failed(_))));
        }
    }
}

/// CVM-11: a node that leaves makes it fail, unless it is committed.
#[test]
fn cvm_11_a_node_that_leaves_makes_it_fail_unless_it_is_committed() {
    for moment in ["v 0 Quiesce", "disk 0 Image"] {
        let (mut world, group) = prepared();
        world.trace.clear();
        let session = world.request(node(1), make("vol1"));
        runs(&mut world, |world| world.trace.iter().any(|said| said == moment));
        world.crash(node(2), Fate::Lost);
        world.settle();
        assert!(world.image(node(1), &group).unwrap().group.volumes.is_empty(), "after {moment}");
        let reply = world.reply(node(1), session);
        assert!(matches!(reply, Some(Reply::Failed(_))), "after {moment}: {reply:?}");
    }
    let (mut world, group) = prepared();
    assert_eq!(world.ask(node(1), make("vol1")), Reply::Done);
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(world.image(node(1), &group).unwrap().group.volumes.len(), 1);
}

/// CVM-14: no vxiod has it yet: it is put aside for the join, and begins anew.
#[test]
fn cvm_14_a_join_goes_before_what_nobody_has_loaded() {
    let mut world = World::new(2, 5);
    for number in 0..2 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done);
    world.trace.clear();
    let session = world.request(node(0), make("vol1"));
    runs(&mut world, |world| world.trace.iter().any(|said| said == "w 0 Precheck"));
    world.boot(node(2));
    world.settle();
    assert_eq!(world.reply(node(0), session), Some(&Reply::Done));
    let loads = world.trace.iter().filter(|said| *said == "w 0 Load").count();
    assert_eq!(loads, 1, "it is loaded once: {:#?}", world.trace);
    let join = last(&world, "v 0 Admit");
    // Either the join was first, and the change was checked again after it, or it came too late.
    let prechecks = world.trace.iter().filter(|said| *said == "w 0 Precheck").count();
    if first(&world, "w 0 Load") > join {
        assert_eq!(prechecks, 2, "{:#?}", world.trace);
    }
    let tables = world.nodes[&node(2)].iod.tables();
    assert_eq!(tables.values().next().unwrap().image.group.volumes.len(), 1);
}

/// CVM-15: the vxiods have it: the join waits until it is decided.
#[test]
fn cvm_15_a_join_waits_for_what_is_loaded() {
    let mut world = World::new(4, 5);
    for number in 0..2 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done);
    world.trace.clear();
    let session = world.request(node(0), make("vol1"));
    runs(&mut world, |world| world.trace.iter().any(|said| said == "w 0 Load"));
    world.boot(node(2));
    world.settle();
    assert_eq!(world.reply(node(0), session), Some(&Reply::Done));
    assert!(first(&world, "v 0 Commit") < first(&world, "w 0 JoinOffer"), "{:#?}", world.trace);
    assert_eq!(world.members().len(), 3);
}

/// CVM-16: the utility is told, and the master's console names the node.
#[test]
fn cvm_16_what_failed_is_said_where_the_master_is() {
    let mut world = formed();
    assert_eq!(world.ask(node(2), private("shdg")), Reply::Done);
    failure(world.ask(node(1), init()));
    let names = |said: &Said| match said {
        Said::Configd(at, notice) => {
            *at == node(0)
                && matches!(notice, cvm::core::configd::ConfigdNotice::Failed { node: of, text }
                    if *of == node(2) && text.contains("exists"))
        }
        Said::Iod(..) => false,
    };
    assert!(world.said.iter().any(names), "{:?}", world.said);
}

/// CVM-17, CVM-20: the vxiod says whether the node is master or slave, and vxconfigd acts on that.
#[test]
fn cvm_20_vxconfigd_is_told_its_role_by_vxiod() {
    let mut world = formed();
    for number in 0..3 {
        let state = &world.nodes[&node(number)];
        assert_eq!(*state.configd.role(), state.iod.role());
        assert_eq!(state.iod.role().master, Some(node(0)), "the first to join");
    }
    world.crash(node(0), Fate::Lost);
    world.settle();
    for number in 1..3 {
        let state = &world.nodes[&node(number)];
        assert_eq!(*state.configd.role(), state.iod.role());
        assert_eq!(state.iod.role().master, Some(node(1)), "CVM-47: another takes over");
    }
}

/// CVM-19, CVM-49: a utility asks the vxconfigd of its node, which has the master do it.
#[test]
fn cvm_19_49_a_change_that_is_asked_on_a_slave_is_made_by_the_master() {
    let (mut world, group) = prepared();
    world.trace.clear();
    assert_eq!(world.ask(node(2), make("vol1")), Reply::Done);
    assert!(first(&world, "u 2 0") < first(&world, "w 0 Precheck"));
    assert!(!world.trace.iter().any(|said| said == "w 2 Precheck"));
    // CVM-37, CVM-45: it looks the same from every node.
    let images: Vec<_> = (0..3).map(|number| world.image(node(number), &group).unwrap()).collect();
    assert!(images.iter().all(|image| *image == images[0]));
}

/// CVM-30: a cluster that begins imports its groups, but not those that say otherwise.
#[test]
fn cvm_30_the_master_imports_what_is_to_be_imported_by_itself() {
    for temporary in [false, true] {
        let (mut world, _) = prepared();
        if temporary {
            assert_eq!(world.ask(node(0), deport()), Reply::Done);
            let Request::Group(GroupRequest::Import(import)) = import() else { unreachable!() };
            let import = Import { temporary: true, ..import };
            let request = Request::Group(GroupRequest::Import(import));
            assert_eq!(world.ask(node(0), request), Reply::Done);
        }
        for number in 0..3 {
            world.crash(node(number), Fate::Lost);
        }
        world.settle();
        for number in [1, 0, 2] {
            world.boot(node(number));
            world.settle();
        }
        for number in 0..3 {
            let imported = world.nodes[&node(number)].iod.tables().len();
            assert_eq!(imported, usize::from(!temporary), "node {number}");
        }
    }
}

/// Facts 3.19: a host imports its own groups when its vxiod has started, cluster or not.
#[test]
fn private_groups_are_imported_when_a_node_starts() {
    let mut world = formed();
    assert_eq!(world.ask(node(2), private("mydg")), Reply::Done);
    world.crash(node(2), Fate::Lost);
    world.settle();
    world.boot(node(2));
    world.settle();
    let mine = world.nodes[&node(2)].iod.tables().values().find(|table| !table.is_shared());
    assert_eq!(mine.unwrap().image.group.name, name("mydg"));
    assert!(world.nodes[&node(1)].iod.tables().is_empty(), "nobody else does");
    // Only vxconfigd starts anew: they are there already.
    world.said.clear();
    world.kill_configd(node(2));
    world.start_configd(node(2));
    world.settle();
    assert!(world.said.is_empty(), "{:?}", world.said);
}

/// CVM-37: while a node is there the groups are, too.
#[test]
fn cvm_37_a_group_is_there_as_long_as_a_node_is() {
    let (mut world, group) = prepared();
    for gone in 0..2 {
        world.crash(node(gone), Fate::Lost);
        world.settle();
        let volume = format!("vol{gone}");
        assert_eq!(world.ask(node(2), make(&volume)), Reply::Done, "{:?}", world.said);
    }
    assert_eq!(world.image(node(2), &group).unwrap().group.volumes.len(), 2);
}

/// CVM-46: stripes and mirrors are made in the cluster as on one node.
#[test]
fn cvm_46_striped_and_mirrored_volumes_are_made_on_all_nodes() {
    let (mut world, group) = prepared();
    let layouts =
        [("striped", VolumeLayout::Stripe, Some(3)), ("mirrored", VolumeLayout::Mirror, None)];
    for (number, (volume, layout, columns)) in (0..).zip(layouts) {
        let make =
            Make { columns, init: Init::Active, ..Make::new(name(volume), Some(2048), layout) };
        assert_eq!(world.ask(node(number), op(Op::Make(Box::new(make)))), Reply::Done);
    }
    let images: Vec<_> = (0..3).map(|number| world.image(node(number), &group).unwrap()).collect();
    assert!(images.iter().all(|image| *image == images[0]));
}
