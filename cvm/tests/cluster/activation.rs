//! Groups that are activated by themselves (facts 3.8).

use cvm::model::Activation;
use cvm::request::Reply;

use crate::crashes::init;
use crate::world::{World, node};

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
