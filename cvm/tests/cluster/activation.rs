//! Groups that are activated by themselves (facts 3.8).

use cvm::model::Activation;
use cvm::request::{Reply, Request};

use crate::crashes::init;
use crate::world::{World, name, node};

/// The modes of three nodes when one has made a group, and another has joined after that.
fn modes(activation: Activation) -> Vec<Activation> {
    let mut world = World::new(0, 3);
    world.activation = activation;
    for number in 0..2 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    world.boot(node(2));
    world.settle();
    assert_eq!(world.members().len(), 3, "whatever the modes, it joins");
    let group = world.nodes[&node(2)].iod.tables().keys().next().unwrap().clone();
    (0..3).map(|number| world.nodes[&node(0)].iod.mode_of(&group, node(number))).collect()
}

/// CVM-36, CVM-39.
#[test]
fn cvm_39_groups_are_activated_when_they_are_made_and_when_a_node_joins() {
    assert_eq!(modes(Activation::Off), [Activation::Off; 3]);
    assert_eq!(modes(Activation::SharedWrite), [Activation::SharedWrite; 3]);
}

#[test]
fn cvm_39_a_mode_that_cannot_be_had_keeps_nobody_out() {
    let modes = modes(Activation::ExclusiveWrite);
    let holders = modes.iter().filter(|mode| **mode == Activation::ExclusiveWrite).count();
    assert_eq!((holders, modes[2]), (1, Activation::Off), "{modes:?}");
}

/// What was refused is not decided anew by a node that joins meanwhile, as things stand later.
#[test]
fn who_joins_knows_what_the_others_know() {
    let mode = |mode| Request::Activate { group: name("shdg"), mode };
    let mut refused = 0;
    for seed in 0..6 {
        let mut world = World::formed(seed, 2, 3);
        assert_eq!(world.ask(node(0), init()), Reply::Done);
        assert_eq!(world.ask(node(0), mode(Activation::ExclusiveWrite)), Reply::Done);
        let group = world.nodes[&node(0)].iod.tables().keys().next().unwrap().clone();
        world.boot(node(2));
        loop {
            let mut other = world.clone();
            let session = other.request(node(1), mode(Activation::SharedWrite));
            other.request(node(0), mode(Activation::Off));
            other.settle();
            assert_eq!(other.members().len(), 3, "seed {seed}: {:?}", other.said);
            let modes = |on: u8| -> Vec<Activation> {
                let iod = &other.nodes[&node(on)].iod;
                (0..3).map(|number| iod.mode_of(&group, node(number))).collect()
            };
            assert_eq!((modes(0), modes(0)), (modes(1), modes(2)), "seed {seed}: {:?}", other.said);
            refused += usize::from(other.reply(node(1), session) != Some(&Reply::Done));
            if !world.step() {
                break;
            }
        }
    }
    assert!(refused > 0);
}
