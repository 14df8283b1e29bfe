//! Every utility is answered, whoever is not there to do what it asks.

use cvm::model::Activation;
use cvm::request::{ClusterRequest, Reply, Request};

use crate::crashes::init;
use crate::world::{World, name, node};

#[test]
fn a_request_for_a_master_whose_vxconfigd_is_gone_fails_at_once() {
    let mut world = World::formed(5, 3, 3);
    world.kill_configd(node(0));
    world.settle();
    let reply = world.ask(node(1), init());
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
    world.start_configd(node(0));
    world.settle();
    assert_eq!(world.ask(node(1), init()), Reply::Done, "{:?}", world.said);
}

#[test]
fn who_asked_for_a_mode_or_a_master_is_answered_when_the_node_leaves() {
    let mut world = World::formed(5, 3, 3);
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    let mode = Activation::SharedWrite;
    let asked = [
        Request::Activate { group: name("shdg"), mode },
        Request::Cluster(ClusterRequest::SetMaster(node(0))),
    ];
    let sessions = asked.map(|request| world.request(node(1), request));
    assert_eq!(world.ask(node(1), Request::Cluster(ClusterRequest::Abort)), Reply::Done);
    for session in sessions {
        assert!(world.reply(node(1), session).is_some(), "{session}: {:?}", world.said);
    }
}
