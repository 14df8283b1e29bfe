//! Every utility is answered, whoever is not there to do what it asks.

use cvm::model::Activation;
use cvm::request::{ClusterRequest, Reply, Request};

use crate::crashes::{init, make};
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

/// The next command may be given on any node, and has to find what the one before has made.
#[test]
fn what_is_told_as_done_is_seen_on_every_node() {
    for seed in 0..60 {
        let mut world = World::formed(seed, 3, 3);
        assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
        let asks = node(u8::try_from(seed % 3).unwrap());
        let session = world.request(asks, make("vol1"));
        while world.reply(asks, session).is_none() {
            assert!(world.step(), "seed {seed}: no answer: {:?}", world.said);
        }
        for (id, state) in &world.nodes {
            let mut groups = state.configd.tables().values().map(|table| &table.image.group);
            let has_it = groups.any(|group| group.volumes.contains_key("vol1"));
            assert!(has_it, "seed {seed}: node {id} does not know of it");
        }
    }
}

/// Whatever comes first, and however far the other has come.
#[test]
fn who_asks_while_another_is_made_master_is_answered_and_holds_up_nobody() {
    for seed in 0..240 {
        let mut world = World::formed(seed, 3, 3);
        assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
        let asked = world.request(node(1), make("vol1"));
        for _ in 0..seed % 40 {
            world.step();
        }
        let to = Request::Cluster(ClusterRequest::SetMaster(node(1)));
        let switched = world.request(node(2), to);
        world.settle();
        for (asks, session) in [(1, asked), (2, switched)] {
            let is_answered = world.reply(node(asks), session).is_some();
            assert!(is_answered, "seed {seed}, node {asks}: {:?}", world.said);
        }
        assert_eq!(world.ask(node(2), make("vol2")), Reply::Done, "seed {seed}: {:?}", world.said);
    }
}

/// Node 0 has asked for a volume, and COMMIT is out.
fn committing(seed: u64) -> (World, u64) {
    let mut world = World::formed(seed, 3, 3);
    assert_eq!(world.ask(node(0), init()), Reply::Done, "{:?}", world.said);
    world.trace.clear();
    let session = world.request(node(0), make("vol1"));
    while !world.trace.iter().any(|said| said.ends_with("Commit")) {
        assert!(world.step(), "seed {seed}: {:?}", world.said);
    }
    (world, session)
}

#[test]
fn who_has_no_vxconfigd_any_more_holds_up_no_answer() {
    for seed in 0..60 {
        let (mut world, session) = committing(seed);
        let before = world.now;
        world.kill_configd(node(2));
        while world.reply(node(0), session).is_none() && world.step() {}
        assert_eq!(world.reply(node(0), session), Some(&Reply::Done), "seed {seed}");
        assert_eq!(world.now, before, "seed {seed}: it waited for a limit");
    }
}

/// It knows nothing of the change when it comes back, and is not asked.
#[test]
fn who_has_another_vxconfigd_meanwhile_holds_up_no_answer() {
    for seed in 0..60 {
        let (mut world, session) = committing(seed);
        let before = world.now;
        world.kill_configd(node(2));
        // Node 0 sees it go, then come.
        for _ in 0..seed {
            world.step();
        }
        world.start_configd(node(2));
        world.settle();
        assert_eq!(world.reply(node(0), session), Some(&Reply::Done), "seed {seed}");
        let waited = world.now.since(before);
        assert!(waited < llt::Duration::from_secs(60), "seed {seed}: {waited:?}");
    }
}
