//! Scenarios 10 to 17, 46, 49, 50, 58: nodes that join, leave, restart and meet.

use std::collections::BTreeSet;
use std::time::Duration;

use gab::core::Notice;
use gab::event::CloseReason;
use gab::wire::{Body, Head};
use gab::{PortName, Versions};
use llt::wire::Frame;
use sim::client::Plan;
use sim::history::What;
use sim::input::OpenFlags;
use sim::invariants::limits::Watch;
use sim::liveness;
use sim::profile::Profile;
use sim::rng::Seed;
use sim::scenario::{Catch, Client, Note, Stage, members_at};
use sim::setup::Setup;
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The first nodes of a cluster in one view; the others are down.
fn begun(nodes: u8, first: usize) -> Stage {
    let seed_count = u32::try_from(first).ok();
    let mut stage = Stage::new(Profile::quiet(Setup { seed_count, ..Setup::fast(nodes) }));
    for node in 0..first {
        stage.world.boot(node);
    }
    stage.wait_view(&(0..first).collect::<Vec<_>>());
    stage
}

/// Members of a port as the listing of a node shows them; none if it does not know the port.
fn listed(stage: &Stage, node: usize, letter: &str) -> Vec<u8> {
    let ports = stage.world.hosts.stack(node).expect("it runs").snapshot().gab.ports;
    let port = ports.into_iter().find(|port| port.port == letter);
    port.map(|port| port.members).unwrap_or_default()
}

#[test]
fn s10_a_joiner_dies_when_it_is_ready() {
    let mut stage = begun(4, 3);
    let clients: Vec<Client> = (0..3).map(|node| stage.open(node, 'G')).collect();
    let note = Note::default();
    let inner = note.clone();
    // A change is held up until the joiner is asked, too; then its READY is the one that is missing.
    stage.filter(move |gram| match gram.kind() {
        "COLLECT" => {
            inner.write(format!("asked {}", gram.packet.to));
            Verdict::Pass
        }
        "READY" if gram.packet.from == 3 => {
            inner.write("joiner ready");
            Verdict::Drop
        }
        "READY" if !inner.says("asked 3") => Verdict::Drop,
        "INSTALL" => {
            inner.write("installed");
            Verdict::Pass
        }
        _ => Verdict::Pass,
    });
    let before = stage.views();
    stage.world.crash(2);
    stage.wait("a view change is under way", |_| note.says("asked 1"));
    stage.world.boot(3);
    stage.wait("the joiner is ready", |_| note.says("joiner ready"));
    let joiner = stage.life(3).id;
    stage.world.crash(3);
    assert!(!note.says("installed") && stage.views() == before, "nobody went on without it");
    stage.unfilter();
    stage.wait_view(&[0, 1]);
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[..2], &[uid]);
    stage.world.boot(3);
    stage.wait_view(&[0, 1, 3]);
    let lives = &stage.world.hosts.history.lives;
    let views = lives.iter().flat_map(|life| &life.views);
    assert_eq!(views.filter(|installed| installed.view.contains(joiner)).count(), 0);
    stage.conclude();
}

/// Node 3 joins with a client and dies when a message of this kind is about to reach it or leave
/// it; nothing of its client may stay behind.
fn joiner_dies_at(kind: &'static str) {
    let mut stage = begun(4, 3);
    let clients: Vec<Client> = (0..3).map(|node| stage.open(node, 'G')).collect();
    let late = stage.add(3, 'G', OpenFlags::default());
    let note = Note::default();
    let inner = note.clone();
    // What the sequencer makes of the registration stays with it until the joiner is dead.
    stage.filter(move |gram| match gram.kind() {
        "INSTALL" if gram.packet.to == 3 && kind == "INSTALL" => {
            inner.write("now");
            Verdict::Drop
        }
        "SUBMIT" if gram.packet.from == 3 => {
            inner.write(if kind == "SUBMIT" { "now" } else { "submitted" });
            Verdict::Pass
        }
        "ORD" | "RETR" if inner.says("now") => Verdict::Drop,
        _ => Verdict::Pass,
    });
    stage.world.boot(3);
    stage.wait("the joiner is half in", |_| note.says("now"));
    if kind == "SUBMIT" {
        stage.wait("the sequencer orders its registration", |world| {
            world.hosts.stack(0).is_some_and(|stack| stack.gab().progress().1 > 0)
        });
    }
    assert!(stage.log(late).is_none_or(|log| log.view.is_none()), "it never was a member");
    stage.world.crash(3);
    stage.unfilter();
    assert_eq!(members_at(&stage.world, 0), [0, 1, 2, 3], "its view has come, and goes again");
    stage.wait_view(&[0, 1, 2]);
    for client in clients {
        let node = client.node;
        assert_eq!(listed(&stage, node, "G"), [0, 1, 2], "at node {node}");
        let log = stage.log(client).expect("it is registered");
        let seen = log.view.expect("a membership").members;
        assert_eq!(seen.iter().map(|node| node.get()).collect::<Vec<_>>(), [0, 1, 2]);
    }
    stage.conclude();
}

#[test]
fn s11_a_joiner_dies_before_it_has_installed_its_first_view() {
    joiner_dies_at("INSTALL");
}

#[test]
fn s11_a_joiner_dies_while_its_client_registers() {
    joiner_dies_at("SUBMIT");
}

#[test]
fn s12_eight_nodes_join_at_once() {
    let mut stage = Stage::new(Profile::quiet(Setup::fast(9)));
    stage.world.boot(0);
    stage.seed(0);
    stage.wait_view(&[0]);
    let (views, start) = (stage.views(), stage.now());
    for node in 1..9 {
        stage.world.boot(node);
    }
    stage.wait_view(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let after = stage.views() - views;
    assert!(after <= 3, "{after} views");
    let took = stage.now().since(start);
    assert!(took < ms(5000), "nobody is left waiting: {took:?}");
    stage.conclude();
}

#[test]
fn s13_storms_of_leaving_and_joining_for_a_minute() {
    let mut stage = Stage::formed(6);
    let plan = Plan { burst_max: 3, safe: 0.5, ..Plan::watcher(PortName::new('G').unwrap()) };
    for node in 0..6 {
        stage.add_agent(node, plan);
    }
    stage.world.busy = true;
    let mut draw = Seed(13).draw();
    let mut watch = Watch::default();
    let end = stage.now() + Duration::from_secs(60);
    let mut storms = 0;
    while stage.now() < end {
        storms += 1;
        // Everybody but one goes at once, in whichever way, and comes back when it likes.
        let stays = draw.pick(6);
        for node in (0..6).filter(|node| *node != stays) {
            let down = draw.between(ms(0), ms(2000));
            if draw.chance(0.5) {
                stage.world.leave(node, down);
            } else {
                stage.world.crash(node);
                stage.world.restart_after(node, down);
            }
        }
        stage.wait("all are back in one view", |world| {
            let ids: Vec<_> = (0..6).filter_map(|node| world.hosts.stack(node)).collect();
            ids.len() == 6 && (0..6).all(|node| members_at(world, node).len() == 6)
        });
        watch.look(&mut stage.world);
        for node in 0..6 {
            let sizes = stage.world.hosts.stack(node).expect("it runs").gab().sizes();
            // A few messages every 50 ms: whatever grows was left behind by a storm.
            let small = [sizes.pending, sizes.to_order, sizes.p2p, sizes.held_items]
                .into_iter()
                .all(|size| size <= 100);
            assert!(small && sizes.held_slots <= 500, "storm {storms}, node {node}: {sizes:?}");
        }
    }
    assert!(storms >= 10, "{storms} storms");
    stage.world.busy = false;
    stage.conclude();
}

#[test]
fn s14_the_coordinator_leaves_while_another_node_joins() {
    let mut stage = begun(4, 3);
    stage.open(1, 'G');
    let old = stage.vid(1);
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.kind() == "HELLO" && gram.is_from_to(3, 0) {
            inner.write("joiner");
        }
        Verdict::Pass
    });
    stage.world.boot(3);
    stage.wait("the coordinator knows of the joiner", |_| note.says("joiner"));
    assert_eq!(stage.vid(0), old, "it has not begun to take it in");
    stage.leave(0);
    stage.wait_view(&[1, 2, 3]);
    let next = |node: usize| {
        let views = stage.views_at(node).into_iter();
        views.filter(|(vid, _)| *vid > old).collect::<Vec<_>>()
    };
    assert_eq!(next(1), next(2));
    let joined: Vec<_> = next(1).into_iter().filter(|(_, members)| members.contains(&3)).collect();
    assert_eq!(next(3), joined, "the joiner sees the views that the members see");
    assert!(next(1).len() <= 2, "{:?}", next(1));
    stage.conclude();
}

#[test]
fn s15_the_coordinator_leaves_before_everybody_has_its_view() {
    let mut stage = Stage::formed(4);
    stage.open_all('G');
    let old = stage.vid(0);
    let note = Note::default();
    let inner = note.clone();
    // INSTALL gets lost between the layers, and so does every other proof of the view from node 0.
    stage.filter(move |gram| {
        if !gram.is_from_to(0, 1) || gram.vid() <= old {
            return Verdict::Pass;
        }
        match gram.kind() {
            "INSTALL" => {}
            "ORD" | "ACK" => return Verdict::Drop,
            _ => return Verdict::Pass,
        }
        inner.write("lost");
        let Ok(checked) = Frame::check(gram.packet.frame) else { return Verdict::Pass };
        let llt::wire::Body::Data(mut data) = checked.body else { return Verdict::Pass };
        data.payload = Body::Ack.encode(Head { vid: old, ack: 0, busy: 0 });
        data.message_len = u32::try_from(data.payload.len()).unwrap();
        Verdict::Replace(llt::wire::emit_data(&checked.header, &data))
    });
    stage.world.crash(3);
    stage.wait("node 2 installs the next view", |world| members_at(world, 2) == [0, 1, 2]);
    let vid = stage.vid(2);
    assert_eq!(stage.vid(1), old, "node 1 has missed it");
    stage.leave(0);
    assert!(note.says("lost"));
    stage.wait_view(&[1, 2]);
    let passed = stage.views_at(1).into_iter().any(|(other, _)| other == vid);
    assert!(passed, "node 1 has learned of {vid} and goes on from there");
    assert_eq!(stage.vid(1), stage.vid(2), "nobody keeps the old view");
    stage.conclude();
}

#[test]
fn s16_memberships_do_not_overtake_each_other_on_their_way_to_a_slow_client() {
    let mut stage = begun(3, 2);
    let port = PortName::new('G').unwrap();
    let options = OpenFlags { ack: true, ..OpenFlags::default() };
    let slow = stage.add_agent(0, Plan { options, ack_mean: ms(1500), ..Plan::watcher(port) });
    let quick = stage.open(1, 'G');
    stage.add(2, 'G', OpenFlags::default());
    let known = |stage: &Stage| {
        let life = stage.life(0).memberships.iter();
        life.filter(|(_, other, ..)| *other == port)
            .map(|(_, _, generation, members)| (*generation, *members))
            .collect::<Vec<_>>()
    };
    let read = |stage: &Stage, client: Client| {
        let log = stage.log(client).expect("it is registered");
        log.port_views().map(|(_, view)| (view.generation, view.members)).collect::<Vec<_>>()
    };
    let (mut sent, mut behind) = (Vec::new(), 0);
    for _ in 0..3 {
        stage.world.boot(2);
        stage.wait_view(&[0, 1, 2]);
        stage.wait("node 2 has registered again", |world| {
            let quick = sim::scenario::log_of(world, quick).and_then(|log| log.view);
            quick.is_some_and(|view| view.members.len() == 3)
        });
        sent.push(stage.broadcast(quick, false));
        stage.world.crash(2);
        stage.wait_view(&[0, 1]);
        sent.push(stage.broadcast(quick, true));
        behind = behind.max(known(&stage).len() - read(&stage, slow).len());
    }
    assert!(behind >= 2, "memberships pile up behind one that waits: {behind}");
    stage.wait_read(&[slow], &sent);
    stage.wait("the slow client has caught up", |world| {
        sim::scenario::log_of(world, slow).is_some_and(|log| log.unacked.is_none())
    });
    let views = read(&stage, slow);
    assert!(views.is_sorted_by_key(|(generation, _)| *generation), "{views:?}");
    assert_eq!(views, known(&stage), "each membership once, in the order of the generations");
    let order: Vec<_> = stage.reads(slow).into_iter().filter(|uid| sent.contains(uid)).collect();
    assert_eq!(order, sent);
    stage.conclude();
}

#[test]
fn s17_the_result_of_a_leader_that_was_removed_comes_late() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let old = stage.vid(0);
    let note = Note::default();
    let inner = note.clone();
    // Node 0 gets every READY and installs its view, but from then on what it says is under way.
    stage.filter(move |gram| {
        let said = gram.packet.from == 0 && !gram.kind().is_empty() && gram.kind() != "HELLO";
        if said && gram.kind() == "INSTALL" && !inner.says("late") {
            inner.write("decided");
        }
        if said && inner.says("decided") && !inner.says("late") {
            return Verdict::Hold;
        }
        Verdict::Pass
    });
    stage.world.crash(3);
    stage.wait("node 0 has decided", |world| members_at(world, 0) == [0, 1, 2]);
    let decided = stage.vid(0);
    assert!(note.says("decided") && decided > old);
    stage.wait_view(&[1, 2]);
    let connected = |stage: &Stage| {
        let stack = stage.world.hosts.stack(1).expect("it runs");
        stack.llt().peers().iter().any(|peer| peer.node.get() == 0 && peer.connected)
    };
    assert!(connected(&stage), "LLT would still hand it up");
    let vid = stage.vid(1);
    note.write("late");
    stage.world.release_held();
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[1..3], &[uid]);
    stage.wait("node 0 learns that it is out", |world| members_at(world, 0).is_empty());
    for node in 1..3 {
        let views = stage.views_at(node);
        assert!(views.iter().all(|(other, _)| *other != decided), "ignored at {node}: {views:?}");
        assert!(views.iter().any(|(other, _)| *other == vid));
    }
    assert_eq!(stage.closings(clients[0]), [CloseReason::Ejected]);
    stage.conclude();
}

/// Two clusters with one id meet: the side with the lowest node id stays, and nobody merges.
fn two_clusters_meet(begin: impl FnOnce(&mut Stage)) {
    let setup = Setup { seed_count: Some(2), ..Setup::fast(4) };
    let mut stage = Stage::new(Profile::quiet(setup));
    stage.split(&[&[0, 1], &[2, 3]]);
    begin(&mut stage);
    stage.wait_view(&[0, 1]);
    stage.wait_view(&[2, 3]);
    let clients: Vec<Client> = (0..4).map(|node| stage.open(node, 'G')).collect();
    let first: Vec<_> = (0..4).map(|node| stage.life(node).id).collect();
    stage.world.mend();
    stage.wait_view(&[0, 1, 2, 3]);
    for (node, client) in clients.iter().enumerate() {
        let told: &[CloseReason] = if node < 2 { &[] } else { &[CloseReason::Ejected] };
        assert_eq!(stage.closings(*client), told, "node {node}");
        assert_eq!(stage.life(node).id == first[node], node < 2, "node {node}");
    }
    for life in &stage.world.hosts.history.lives {
        for view in life.views.iter().map(|installed| &installed.view) {
            let mixed = view.contains(first[0]) && view.contains(first[2]);
            assert!(!mixed, "a merge: {view:?}");
        }
    }
    // The losers were told that they are out, not that the winners came.
    let lost = stage.world.hosts.history.lives.iter().find(|life| life.id == first[2]);
    let joins = lost.expect("its life").clients[0].entries.iter();
    let seen = joins.filter_map(|entry| match &entry.what {
        What::View(view) => Some(view.members.len()),
        What::Closed(_) | What::Deliver(_) | What::Status(_) => None,
    });
    assert_eq!(seen.max(), Some(2));
    stage.conclude();
}

#[test]
fn s46_two_seeded_clusters_with_one_id_meet() {
    two_clusters_meet(|stage| stage.world.boot_all());
}

#[test]
fn s46_both_sides_are_seeded_by_hand() {
    two_clusters_meet(|stage| {
        stage.world.boot(0);
        stage.world.boot(3);
        stage.seed(0);
        stage.seed(3);
        stage.wait_view(&[0]);
        stage.wait_view(&[3]);
        stage.world.boot(1);
        stage.world.boot(2);
    });
}

#[test]
fn s49_frames_of_a_former_life_come_late() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let catch = Catch::default();
    let inner = catch.clone();
    let mut orders = 0;
    stage.filter(move |gram| {
        let here = gram.packet.from == 2 || gram.packet.to == 2;
        let stream = matches!(gram.kind(), "ACK" | "NAK" | "SUBMIT" | "ORD" | "RETR");
        if here && stream {
            inner.keep(gram);
        }
        // So that something is asked for again.
        orders += u32::from(gram.kind() == "ORD" && gram.packet.to == 2);
        let lost = gram.kind() == "ORD" && gram.packet.to == 2 && orders % 3 == 0;
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    while ["ACK", "NAK", "SUBMIT", "ORD", "RETR"].iter().any(|kind| catch.count(kind) < 10) {
        let sent: Vec<_> = clients.iter().map(|client| stage.broadcast(*client, true)).collect();
        stage.wait_read(&clients, &sent);
        stage.send_to(clients[2], 0);
    }
    let caught = catch.take();
    stage.unfilter();
    stage.world.crash(2);
    stage.world.boot(2);
    stage.wait_view(&[0, 1, 2]);
    stage.wait("node 2 has registered again", |world| liveness::unsettled(world).is_none());
    let (views, reads) = (stage.views(), clients.iter().map(|client| stage.reads(*client)));
    let reads: Vec<_> = reads.collect();
    let refused = |stage: &Stage| -> u64 {
        let stacks = (0..3).filter_map(|node| stage.world.hosts.stack(node));
        stacks.map(|stack| stack.llt().stats().rcv_bad_generation).sum()
    };
    let before = refused(&stage);
    for frame in &caught {
        stage.replay(frame);
    }
    let count = caught.len() as u64;
    stage.wait("all of them are refused by their incarnation", |world| {
        let stacks = (0..3).filter_map(|node| world.hosts.stack(node));
        stacks.map(|stack| stack.llt().stats().rcv_bad_generation).sum::<u64>() >= before + count
    });
    assert_eq!(refused(&stage), before + count);
    let after: Vec<_> = clients.iter().map(|client| stage.reads(*client)).collect();
    assert_eq!(after, reads, "nobody reads any of it");
    assert_eq!(stage.views(), views);
    stage.conclude();
}

#[test]
fn s50_all_nodes_restart_one_after_the_other() {
    let mut stage = Stage::formed(6);
    stage.open_all('G');
    let first: Vec<_> = (0..6).map(|node| stage.life(node).id).collect();
    // Each is back before anybody has missed it, and the next is gone before it is in.
    for node in 0..6 {
        stage.world.crash(node);
        stage.world.restart_after(node, ms(100));
        stage.pass(ms(150));
    }
    stage.wait_view(&[0, 1, 2, 3, 4, 5]);
    for (node, old) in first.iter().enumerate() {
        let id = stage.life(node).id;
        assert!(id > *old, "{id} after {old}");
        for other in 0..6 {
            let view = stage.view(other).expect("a view");
            assert!(view.contains(id) && !view.contains(*old), "node {node} at {other}");
        }
    }
    stage.conclude();
}

#[test]
fn s58_versions_are_mixed_upgraded_and_taken_back() {
    let versions = |min, max| Versions { min, max };
    let setup = Setup {
        seed_count: Some(3),
        versions: vec![
            vec![versions(1, 2)],
            vec![versions(1, 2), versions(1, 1)],
            vec![versions(1, 1), versions(1, 2)],
            vec![versions(2, 2)],
        ],
        ..Setup::fast(4)
    };
    let mut stage = Stage::new(Profile::quiet(setup));
    (0..3).for_each(|node| stage.world.boot(node));
    stage.wait_view(&[0, 1, 2]);
    let runs_at = |stage: &Stage, nodes: &[usize]| {
        let version = |node| stage.world.hosts.stack(node).map(|stack| stack.gab().version());
        let versions: BTreeSet<_> = nodes.iter().map(|&node| version(node)).collect();
        versions.into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(runs_at(&stage, &[0, 1, 2]), [1], "node 2 speaks no other");

    // Node 3 speaks what 0 and 1 speak, and not what 2 does.
    stage.world.boot(3);
    let refused = |stage: &Stage, node, who: usize| {
        stage.noticed(
            node,
            |notice| matches!(notice, Notice::VersionRefused { node, .. } if node.index() == who),
        )
    };
    stage.pass(ms(3000));
    assert_eq!(members_at(&stage.world, 0), [0, 1, 2]);
    for node in 0..3 {
        assert!(refused(&stage, node, 3) && refused(&stage, 3, node), "everybody says why");
    }
    assert_eq!(stage.views_at(0).len(), 1, "and nobody tries");

    // Upgraded one by one.
    stage.leave(2);
    stage.wait_view(&[0, 1, 3]);
    assert_eq!(runs_at(&stage, &[0, 1, 3]), [2]);
    stage.world.mend();
    stage.wait_view(&[0, 1, 2, 3]);
    assert_eq!(runs_at(&stage, &[0, 1, 2, 3]), [2]);

    // And back.
    stage.world.crash(3);
    stage.wait_view(&[0, 1, 2]);
    assert_eq!(runs_at(&stage, &[0, 1, 2]), [2]);
    stage.leave(1);
    stage.wait_view(&[0, 2]);
    stage.world.mend();
    stage.wait_view(&[0, 1, 2]);
    assert_eq!(runs_at(&stage, &[0, 1, 2]), [1]);
    let clients: Vec<_> = (0..3).map(|node| stage.open(node, 'G')).collect();
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients, &[uid]);
    stage.finish();
}
