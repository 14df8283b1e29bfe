//! Which node may use a volume, and when it may leave (facts A.3, 3.6, 3.8, 3.9).

use cvm::core::iod::OpenRefused;
use cvm::model::op::{Attribute, Init, Make, Op, VolumeLayout};
use cvm::model::{Activation, UniqueId};
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::sim::Fate;

use crate::crashes::{deport, init, op};
use crate::world::{World, failure, name, node};

/// Three nodes with a group in this mode, and one volume.
fn prepared(mode: Activation, exclusive: bool) -> (World, UniqueId) {
    let mut world = World::new(3, 3);
    world.activation = mode;
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    let make = Make {
        exclusive,
        init: Init::Active,
        ..Make::new(name("vol1"), Some(2048), VolumeLayout::Mirror)
    };
    assert_eq!(world.ask(node(1), op(Op::Make(Box::new(make)))), Reply::Done);
    let group = world.nodes[&node(2)].iod.tables().keys().next().unwrap().clone();
    (world, group)
}

/// CVM-22, CVM-25, CVM-26, CVM-27, CVM-28.
#[test]
fn cvm_22_a_node_leaves_when_the_last_shared_volume_is_closed_there() {
    let (mut world, group) = prepared(Activation::SharedWrite, false);
    world.open(node(2), &group, "vol1").unwrap();
    world.open(node(2), &group, "vol1").unwrap();
    let leaving = world.request(node(2), Request::Cluster(ClusterRequest::Stop));
    world.settle();
    assert_eq!(world.reply(node(2), leaving), None, "it waits, for as long as it takes");
    assert_eq!(world.members().len(), 3);
    // Nothing new is opened meanwhile, and what goes on elsewhere goes on.
    assert_eq!(world.open(node(2), &group, "vol1"), Err(OpenRefused::GoingAway));
    let make = Make::new(name("vol2"), Some(2048), VolumeLayout::Concat);
    assert_eq!(world.ask(node(0), op(Op::Make(Box::new(make)))), Reply::Done);
    world.close(node(2), &group, "vol1");
    assert_eq!(world.reply(node(2), leaving), None);
    world.close(node(2), &group, "vol1");
    assert_eq!(world.reply(node(2), leaving), Some(&Reply::Done));
    let left = &world.nodes[&node(2)].iod;
    assert_eq!(left.out_of_cluster(), Some("user initiated stop"));
    // CVM-34: deported there, imported elsewhere.
    assert!(left.tables().is_empty());
    assert_eq!(world.nodes[&node(0)].iod.tables().len(), 1);
}

/// Facts 3.9.
#[test]
fn an_exclusive_volume_is_open_on_one_node_at_a_time() {
    let (mut world, group) = prepared(Activation::SharedWrite, true);
    assert_eq!(world.open(node(1), &group, "vol1"), Ok(()));
    assert_eq!(world.open(node(1), &group, "vol1"), Ok(()), "as often as it likes");
    let refused = Err(OpenRefused::Exclusive(node(1)));
    assert_eq!(world.open(node(0), &group, "vol1"), refused);
    world.close(node(1), &group, "vol1");
    assert_eq!(world.open(node(2), &group, "vol1"), refused, "until the last is closed");
    world.close(node(1), &group, "vol1");
    assert_eq!(world.open(node(2), &group, "vol1"), Ok(()));
    // Who comes later knows, too.
    world.crash(node(0), Fate::Lost);
    world.settle();
    world.boot(node(0));
    world.settle();
    let mode = Request::Activate { group: name("shdg"), mode: Activation::SharedWrite };
    assert_eq!(world.ask(node(0), mode), Reply::Done);
    assert_eq!(world.open(node(0), &group, "vol1"), Err(OpenRefused::Exclusive(node(2))));
    // Who is gone has nothing open.
    world.crash(node(2), Fate::Lost);
    world.settle();
    assert_eq!(world.open(node(0), &group, "vol1"), Ok(()));
}

#[test]
fn two_nodes_that_open_an_exclusive_volume_at_the_same_time_do_not_both_get_it() {
    for seed in 0..20 {
        let (mut world, group) = prepared(Activation::SharedWrite, true);
        let tickets = [(node(0), 1_000_000 + seed), (node(1), 2_000_000), (node(2), 3_000_000)];
        for (node, ticket) in tickets {
            world.ask_open(node, ticket, &group, "vol1");
        }
        world.settle();
        let got = tickets.map(|(node, ticket)| world.nodes[&node].opened[&ticket].is_ok());
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "{got:?}");
    }
}

#[test]
fn a_volume_that_is_open_does_not_become_exclusive() {
    let (mut world, group) = prepared(Activation::SharedWrite, false);
    let set = || {
        let (names, set) = (vec![name("vol1")], vec![Attribute::Exclusive(true)]);
        op(Op::Edit { names, set })
    };
    world.open(node(2), &group, "vol1").unwrap();
    let refused = failure(world.ask(node(0), set()));
    assert_eq!(refused.text, "node 2: Volume vol1 is in use");
    world.close(node(2), &group, "vol1");
    assert_eq!(world.ask(node(0), set()), Reply::Done);
    assert_eq!(world.open(node(2), &group, "vol1"), Ok(()));
    assert_eq!(world.open(node(1), &group, "vol1"), Err(OpenRefused::Exclusive(node(2))));
}

/// Facts 3.10.
#[test]
fn a_group_with_an_open_volume_is_not_deported_whoever_has_it_open() {
    let (mut world, group) = prepared(Activation::SharedWrite, false);
    world.open(node(2), &group, "vol1").unwrap();
    let refused = failure(world.ask(node(0), deport()));
    assert_eq!(refused.id.as_deref(), Some("V-5-1-584"));
    assert_eq!(refused.text, "node 2: Some volumes in the disk group are in use");
    world.close(node(2), &group, "vol1");
    assert_eq!(world.ask(node(0), deport()), Reply::Done);
}

/// CVM-39: a group is activated before its volumes are opened, and the mode says how.
#[test]
fn cvm_39_volumes_are_opened_as_the_mode_allows() {
    let (mut world, group) = prepared(Activation::Off, false);
    let closed = Err(OpenRefused::NotActivated);
    assert_eq!(world.open(node(0), &group, "vol1"), closed);
    for (mode, writes) in [
        (Activation::ReadOnly, false),
        (Activation::SharedRead, false),
        (Activation::SharedWrite, true),
        (Activation::ExclusiveWrite, true),
    ] {
        let set = |mode| Request::Activate { group: name("shdg"), mode };
        assert_eq!(world.ask(node(0), set(mode)), Reply::Done);
        assert_eq!(world.open(node(0), &group, "vol1").is_ok(), writes, "{mode}");
        if writes {
            let refused = failure(world.ask(node(0), set(Activation::Off)));
            assert_eq!(refused.text, "Some volumes in the disk group are in use");
            world.close(node(0), &group, "vol1");
        }
        assert_eq!(world.ask(node(0), set(Activation::Off)), Reply::Done);
    }
}

/// CVM-36, CVM-39: the matrix of facts 3.8, whatever the order.
#[test]
fn cvm_36_modes_of_two_nodes_go_together_as_the_matrix_says() {
    use Activation::{ExclusiveWrite, Off, ReadOnly, SharedRead, SharedWrite};
    // Row: held; column: attempted; in the order ew, ro, sr, sw.
    let modes = [ExclusiveWrite, ReadOnly, SharedRead, SharedWrite];
    let matrix = [
        [false, false, true, false],
        [false, true, true, false],
        [true, true, true, true],
        [false, false, true, true],
    ];
    let set = |mode| Request::Activate { group: name("shdg"), mode };
    let (mut world, _) = prepared(Off, false);
    for (held, row) in modes.into_iter().zip(matrix) {
        for (attempted, agrees) in modes.into_iter().zip(row) {
            assert_eq!(world.ask(node(1), set(held)), Reply::Done);
            let reply = world.ask(node(2), set(attempted));
            if agrees {
                assert_eq!(reply, Reply::Done, "{held} and {attempted}");
            } else {
                let refused = failure(reply);
                assert_eq!(refused.id.as_deref(), Some("V-5-1-3046"), "{held} and {attempted}");
                assert!(refused.text.contains("node 1"), "it names the node: {}", refused.text);
            }
            // Off goes with everything, and what is set already is set (facts 3.8).
            assert_eq!(world.ask(node(0), set(Off)), Reply::Done);
            assert_eq!(world.ask(node(1), set(held)), Reply::Done);
            // From one mode to another the way is over off.
            let other = modes.into_iter().find(|mode| *mode != held).unwrap();
            assert!(failure(world.ask(node(1), set(other))).text.contains("off first"));
            for number in [1, 2] {
                assert_eq!(world.ask(node(number), set(Off)), Reply::Done);
            }
        }
    }
}

/// Facts 3.11: any node may say so.
#[test]
fn another_node_is_made_master_from_wherever() {
    for (asked, wanted) in [(0, 1), (1, 1), (2, 1)] {
        let mut world = World::formed(u64::from(asked), 3, 3);
        let switch = Request::Cluster(ClusterRequest::SetMaster(node(wanted)));
        assert_eq!(world.ask(node(asked), switch), Reply::Done, "asked on node {asked}");
        for number in 0..3 {
            assert_eq!(world.nodes[&node(number)].iod.role().master, Some(node(wanted)));
        }
        assert_eq!(world.ask(node(2), init()), Reply::Done);
    }
    let mut world = World::formed(1, 3, 3);
    let nobody = Request::Cluster(ClusterRequest::SetMaster(node(7)));
    assert_eq!(failure(world.ask(node(2), nobody)).id.as_deref(), Some("V-5-1-0"));
}

/// CVM-47, facts 3.1: the member that wants it most.
#[test]
fn cvm_47_the_node_with_the_highest_preference_takes_over() {
    let mut world = World::formed(5, 3, 3);
    let prefer = |preference| Request::Cluster(ClusterRequest::SetPreference(preference));
    assert_eq!(world.ask(node(2), prefer(7)), Reply::Done);
    assert_eq!(world.ask(node(1), prefer(-3)), Reply::Done);
    assert_eq!(world.nodes[&node(1)].iod.role().master, Some(node(0)), "not while there is one");
    world.crash(node(0), Fate::Lost);
    world.settle();
    assert_eq!(world.nodes[&node(1)].iod.role().master, Some(node(2)));
}
