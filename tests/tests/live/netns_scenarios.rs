//! Numbered scenarios with real daemons in network namespaces: what their clients are told.
//!
//! The list of them all is in docs/testing.md. Those that share a cluster are steps of one test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use crate::netns::{ethernet, inside_of, log, up, wait_shown};
use crate::process::{LIMIT, beside_another, incarnation, port, roots, sequencer};
use gab::client::{Options, Port};
use gab::snapshot::Snapshot;
use gab::{ClientEvent, CloseReason, Level, PortView};
use llt::NodeSet;
use tools::muster::cluster::Cable;
use tools::muster::formed::wait_formed;
use tools::muster::netns::place::At;
use tools::muster::storm::{Plan, Storm, check};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{control, daemons, programs, wait};

/// Numbers, and what is done to a cluster that is whole and is whole afterwards.
type Step = (&'static str, fn(&mut Temporary));

/// A client on each node, all of them members.
struct Clients {
    ports: Vec<Port>,
}

impl Clients {
    fn open(cluster: &Temporary) -> Self {
        let open = |node| {
            let root = cluster.cluster.root(node);
            Port::register(port('W'), &Options { root, ..Options::default() }).unwrap()
        };
        let mut clients = Self { ports: cluster.cluster.ids().map(open).collect() };
        let all: Vec<u8> = cluster.cluster.ids().collect();
        for node in cluster.cluster.ids() {
            while nodes(clients.view(node).members) != all {}
        }
        clients
    }

    fn next(&mut self, node: u8) -> ClientEvent {
        let event = self.ports[usize::from(node)].recv_timeout(LIMIT);
        event.unwrap_or_else(|| panic!("the client of node {node} is told nothing"))
    }

    /// The next membership, which comes before any message.
    #[track_caller]
    fn view(&mut self, node: u8) -> PortView {
        match self.next(node) {
            ClientEvent::View(view) => view,
            other @ (ClientEvent::Closed(_) | ClientEvent::Deliver(_) | ClientEvent::Status(_)) => {
                panic!("the client of node {node} is told {other:?}, not a membership")
            }
        }
    }

    fn send(&mut self, node: u8, level: Level, text: &str) {
        self.ports[usize::from(node)].broadcast(text.as_bytes(), level, false).unwrap();
        assert!(self.ports[usize::from(node)].flush().is_ok(), "node {node} sends {text}");
    }

    /// The next that these clients are told is this message.
    #[track_caller]
    fn expect(&mut self, nodes: &[u8], text: &str) {
        for node in nodes {
            match self.next(*node) {
                ClientEvent::Deliver(delivery) if delivery.payload == text.as_bytes() => {}
                other @ (ClientEvent::Closed(_)
                | ClientEvent::Deliver(_)
                | ClientEvent::Status(_)
                | ClientEvent::View(_)) => {
                    panic!("the client of node {node} is told {other:?}, not {text}")
                }
            }
        }
    }

    /// Everybody sends one message, and all of them come everywhere, with nothing else.
    #[track_caller]
    fn exchange(&mut self, nodes: &[u8]) {
        for sender in nodes {
            let text = format!("of node {sender}");
            self.send(*sender, Level::Safe, &text);
            self.expect(nodes, &text);
        }
    }

    /// The next that these clients are told is that `lost` are gone; the same to all of them.
    #[track_caller]
    fn lose(&mut self, survivors: &[u8], lost: &[u8]) -> PortView {
        let views: Vec<PortView> = survivors.iter().map(|node| self.view(*node)).collect();
        for view in &views {
            assert_eq!((nodes(view.members), nodes(view.left)), (survivors.into(), lost.into()));
            assert_eq!(view.generation, views[0].generation);
        }
        views[0]
    }

    /// The next that this client is told is that its own node was thrown out: `ESTALE`.
    #[track_caller]
    fn ejected(&mut self, node: u8) {
        let next = self.next(node);
        self.expect_ejected(node, next);
    }

    /// The same of a node that proposed a view, too: of its last READY it learned when the one that
    /// said it had gone on with the others already, so that the view is in force there alone.
    #[track_caller]
    fn ejected_after_last_view(&mut self, node: u8, winners: &[u8]) {
        let mut next = self.next(node);
        if let ClientEvent::View(view) = next {
            let members = nodes(view.members);
            assert!(members.contains(&node) && members != winners, "{view:?}");
            next = self.next(node);
        }
        self.expect_ejected(node, next);
    }

    #[track_caller]
    fn expect_ejected(&self, node: u8, next: ClientEvent) {
        match next {
            ClientEvent::Closed(reason @ CloseReason::Ejected) => assert_eq!(reason.errno(), 116),
            other @ (ClientEvent::Closed(_)
            | ClientEvent::Deliver(_)
            | ClientEvent::Status(_)
            | ClientEvent::View(_)) => {
                panic!("the client of node {node} is told {other:?}, not that it is out")
            }
        }
    }
}

fn nodes(set: NodeSet) -> Vec<u8> {
    set.iter().map(llt::NodeId::get).collect()
}

fn without(cluster: &Temporary, lost: u8) -> Vec<u8> {
    cluster.cluster.ids().filter(|node| *node != lost).collect()
}

fn snapshot(cluster: &Temporary, node: u8) -> Snapshot {
    control::snapshot(&cluster.cluster, node).unwrap()
}

fn generation(cluster: &Temporary, node: u8) -> u64 {
    snapshot(cluster, node).gab.ports[0].generation
}

fn wait_members(cluster: &Temporary, members: &[u8]) {
    wait_formed(&cluster.cluster, members, LIMIT).unwrap_or_else(|error| panic!("{error:#}"));
}

/// Whoever is in a scenario stays so for this time: it is what the scenario is about.
fn hold(time: Duration) {
    let end = wait::now() + time;
    while wait::now() < end {
        wait::pause(end.since(wait::now()));
    }
}

/// The time after which a silent node is given up.
fn inactive(cluster: &Temporary) -> Duration {
    cluster.cluster.timers.llt().peer_inact
}

/// Nodes `a` and `b` do not hear each other on any link, or do again.
fn cut_pair(cluster: &mut Temporary, a: u8, b: u8, cut: bool) {
    for (node, other) in [(a, b), (b, a)] {
        for link in &mut cluster.cluster.node_mut(node).faults {
            link.blocked.retain(|blocked| *blocked != other);
            if cut {
                link.blocked.push(other);
            }
        }
        // Rates as they were: it brings the rest to the taps, too.
        cluster.change_rates(node, None, |_| ()).unwrap();
    }
}

fn cable(cluster: &mut Temporary, node: u8, how: Cable) {
    for link in 0..cluster.cluster.links {
        cluster.set_cable(node, link, how).unwrap();
    }
}

/// A command in a namespace of the cluster.
fn run_inside(cluster: &Temporary, at: At, words: &[&str]) {
    let output = inside_of(cluster, at).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Can the switch be told which frames to lose? If not, the scenario is skipped, in CI a failure.
fn has_rules(cluster: &Temporary) -> bool {
    let there = cluster.cluster.netns.is_some_and(|netns| netns.nft);
    if !there {
        crate::netns::skip("nft is not there, or the kernel has no rules for bridges");
    }
    there
}

/// Rules of nftables for what the switch forwards, all in force at once.
fn lose_frames(cluster: &Temporary, rules: &str) {
    let hook = "type filter hook forward priority 1;";
    let table = format!("table bridge scenario {{ chain scenario {{ {hook} {rules} }}\n}}\n");
    run_inside(cluster, At::Switch, &["nft", &table]);
}

/// Takes them away.
fn pass_frames(cluster: &Temporary) {
    run_inside(cluster, At::Switch, &["nft", "delete table bridge scenario"]);
}

#[test]
fn three_nodes_are_paused_cut_off_and_started_again() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let begin = wait::now();
    let steps: [Step; 9] = [
        ("18", s18_a_member_is_stopped_for_less_than_the_inactive_time),
        ("19, 20", s19_s20_a_member_is_stopped_for_longer_and_its_client_learns_that_it_was_out),
        ("21", s21_the_sequencer_is_stopped_for_a_while),
        ("22", s22_all_nodes_are_stopped_at_once),
        ("28", s28_two_nodes_do_not_hear_each_other_but_both_hear_the_third),
        ("32", s32_all_links_are_lost_for_less_than_the_inactive_time),
        ("33", s33_all_devices_of_a_node_are_taken_down),
        ("34", s34_a_member_with_one_link_left_is_lost_in_jeopardy),
        ("48", s48_a_node_restarts_faster_than_anybody_notices),
    ];
    for (number, step) in steps {
        step(&mut cluster);
        wait_members(&cluster, &[0, 1, 2]);
        println!("{:?} after the start: scenario {number} is over", wait::now().since(begin));
    }
    s50_all_nodes_restart_one_after_the_other(&mut cluster);
    println!("{:?} after the start: scenario 50 is over", wait::now().since(begin));
    cluster.down().unwrap();
}

fn s18_a_member_is_stopped_for_less_than_the_inactive_time(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    let stopped = (sequencer(cluster) + 1) % 3;
    let others = without(cluster, stopped);
    cluster.pause(stopped, true).unwrap();
    clients.send(others[0], Level::Agreed, "agreed");
    clients.expect(&others, "agreed");
    clients.send(others[0], Level::Safe, "safe");
    hold(inactive(cluster) / 3);
    for node in &others {
        let early = clients.ports[usize::from(*node)].try_recv();
        assert!(early.is_none(), "{early:?} came although node {stopped} has nothing of it");
    }
    cluster.pause(stopped, false).unwrap();
    clients.expect(&[stopped], "agreed");
    clients.expect(&[0, 1, 2], "safe");
}

fn s19_s20_a_member_is_stopped_for_longer_and_its_client_learns_that_it_was_out(
    cluster: &mut Temporary,
) {
    let mut clients = Clients::open(cluster);
    let life = incarnation(cluster, 1);
    cluster.pause(1, true).unwrap();
    clients.lose(&[0, 2], &[1]);
    // It is given to the socket, and no more.
    clients.send(1, Level::Agreed, "queued");
    clients.exchange(&[0, 2]);
    cluster.pause(1, false).unwrap();
    // Not that the others left.
    clients.ejected(1);
    wait_members(cluster, &[0, 1, 2]);
    assert!(incarnation(cluster, 1) > life, "node 1 came back in its old life");
    clients.exchange(&[0, 2]);
}

fn s21_the_sequencer_is_stopped_for_a_while(cluster: &mut Temporary) {
    let storm = Storm::start(&roots(cluster), Plan::on(port('S')), LIMIT).unwrap();
    storm.wait_progress(0, 500, LIMIT).unwrap();
    let stopped = sequencer(cluster);
    cluster.pause(stopped, true).unwrap();
    hold(inactive(cluster) / 2);
    cluster.pause(stopped, false).unwrap();
    storm.wait_progress(0, 500, LIMIT).unwrap();
    let summary = check(&storm.finish(LIMIT).unwrap(), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.views, 1, "the membership changed");
}

fn s22_all_nodes_are_stopped_at_once(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    for node in 0..3 {
        cluster.pause(node, true).unwrap();
    }
    hold(inactive(cluster).mul_f64(1.3));
    for node in 0..3 {
        cluster.pause(node, false).unwrap();
    }
    clients.exchange(&[0, 1, 2]);
}

fn s28_two_nodes_do_not_hear_each_other_but_both_hear_the_third(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    cut_pair(cluster, 0, 2, true);
    let out = wait::until("one of the two is out", LIMIT, || {
        let members = |node| control::snapshot(&cluster.cluster, node).map(|s| s.gab.ports);
        let ports = members(1)?;
        let pair = ports.first().map(|port| port.members.clone()).unwrap_or_default();
        Ok((pair.len() == 2).then(|| if pair.contains(&0) { 2 } else { 0 }))
    })
    .unwrap();
    let pair = without(cluster, out);
    clients.lose(&pair, &[out]);
    clients.ejected_after_last_view(out, &pair);
    clients.exchange(&pair);
    cut_pair(cluster, 0, 2, false);
}

fn s32_all_links_are_lost_for_less_than_the_inactive_time(cluster: &mut Temporary) {
    let storm = Storm::start(&roots(cluster), Plan::on(port('S')), LIMIT).unwrap();
    storm.wait_progress(0, 500, LIMIT).unwrap();
    // Nobody hears anybody when two of three are cut off.
    for node in [1, 2] {
        cable(cluster, node, Cable::Pulled);
    }
    wait_shown(cluster, 0, "no link is UP", |snapshot| {
        let links = snapshot.llt.nodes[1..].iter().flat_map(|node| &node.links);
        links.into_iter().all(|link| link.status != "UP")
    });
    cluster.heal().unwrap();
    for node in 0..3 {
        storm.wait_progress(node, 500, LIMIT).unwrap();
    }
    let summary = check(&storm.finish(LIMIT).unwrap(), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.views, 1, "the membership changed");
}

fn s33_all_devices_of_a_node_are_taken_down(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    let (life, gabd) = (incarnation(cluster, 2), cluster.cluster.node(2).gabd);
    let set = |cluster: &Temporary, state: &str| {
        for device in ["eth0", "eth1"] {
            run_inside(cluster, At::Node(2), &["ip", "link", "set", device, state]);
        }
    };
    set(cluster, "down");
    clients.lose(&[0, 1], &[2]);
    // It talks to itself.
    let left = clients.view(2);
    assert_eq!((nodes(left.members), nodes(left.left)), (vec![2], vec![0, 1]));
    clients.exchange(&[2]);
    set(cluster, "up");
    clients.ejected(2);
    wait_members(cluster, &[0, 1, 2]);
    assert_eq!(cluster.cluster.node(2).gabd, gabd, "the same process");
    assert!(incarnation(cluster, 2) > life, "in a new life");
    clients.exchange(&[0, 1]);
}

fn s34_a_member_with_one_link_left_is_lost_in_jeopardy(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    cluster.set_cable(2, 0, Cable::Pulled).unwrap();
    for node in [0, 1] {
        wait_shown(cluster, node, "node 2 is in jeopardy", |snapshot| {
            snapshot.gab.ports[0].jeopardy == [2]
        });
    }
    cluster.set_cable(2, 1, Cable::Pulled).unwrap();
    // Jeopardy itself is a membership of the same members.
    for node in [0, 1] {
        let lost = loop {
            let view = clients.view(node);
            if nodes(view.members) == [0, 1] {
                break view;
            }
            assert!(view.left.is_empty(), "{view:?}");
        };
        assert_eq!((nodes(lost.left), nodes(lost.jeopardy)), (vec![2], vec![2]), "node {node}");
    }
    cluster.heal().unwrap();
}

fn s48_a_node_restarts_faster_than_anybody_notices(cluster: &mut Temporary) {
    let mut clients = Clients::open(cluster);
    let life = incarnation(cluster, 1);
    assert!(cluster.kill(1).unwrap());
    assert_eq!(snapshot(cluster, 0).gab.ports[0].members, [0, 1, 2], "nobody has noticed yet");
    assert!(cluster.start(1).unwrap(), "node 1 joins again");
    clients.lose(&[0, 2], &[1]);
    assert!(incarnation(cluster, 1) > life, "node 1 came back in its old life");
    clients.exchange(&[0, 2]);
}

fn s50_all_nodes_restart_one_after_the_other(cluster: &mut Temporary) {
    let lives: Vec<u64> = (0..3).map(|node| incarnation(cluster, node)).collect();
    for node in 0..3 {
        assert!(cluster.kill(node).unwrap());
        assert!(cluster.start(node).unwrap(), "node {node} joins again");
    }
    wait_members(cluster, &[0, 1, 2]);
    for (node, life) in (0..3).zip(lives) {
        assert!(incarnation(cluster, node) > life, "node {node} came back in its old life");
    }
    Clients::open(cluster).exchange(&[0, 1, 2]);
}

#[test]
fn s25_one_way_loss_on_the_only_link() {
    let _room = beside_another();
    let Some(mut cluster) = up(&UpOptions { links: 1, ..ethernet() }) else { return };
    let mut clients = Clients::open(&cluster);
    cluster.set_cable(1, 0, Cable::OneWayIn).unwrap();
    // It is heard, and is out all the same.
    clients.lose(&[0, 2], &[1]);
    let before = generation(&cluster, 0);
    for (node, peer) in [(0, 1_usize), (2, 1), (1, 0), (1, 2)] {
        wait_shown(&cluster, node, "the link counts as down", |snapshot| {
            snapshot.llt.nodes[peer].state != "OPEN"
        });
    }
    hold(inactive(&cluster) / 2);
    assert_eq!(generation(&cluster, 0), before, "the membership flaps");
    clients.exchange(&[0, 2]);
    cluster.heal().unwrap();
    wait_members(&cluster, &[0, 1, 2]);
    cluster.down().unwrap();
}

/// The simulator's has the timers of the original, and goes on for five minutes.
#[test]
fn s26_a_node_that_is_not_heard_time_and_again_is_removed_once() {
    let _room = beside_another();
    let Some(mut cluster) = up(&UpOptions { links: 1, ..ethernet() }) else { return };
    // Longer than it is ever well.
    let well = inactive(&cluster) + inactive(&cluster) / 3;
    let stable = cluster.cluster.timers.stable();
    let times = (well * 3 / 2).as_millis() / stable.as_millis();
    for node in cluster.cluster.ids() {
        let hold = format!("rejoin_hold:{times}");
        let words = ["exec", &node.to_string(), "gabconfig", "-S", &hold];
        crate::process::text(&crate::process::muster(&cluster, &words).output().unwrap());
    }
    let mut clients = Clients::open(&cluster);
    cluster.set_cable(1, 0, Cable::OneWayOut).unwrap();
    clients.lose(&[0, 2], &[1]);
    let before = generation(&cluster, 0);
    for cable in [Cable::Plugged, Cable::OneWayOut] {
        cluster.set_cable(1, 0, cable).unwrap();
        hold(well);
        assert_eq!(generation(&cluster, 0), before, "it was not well for long enough");
    }
    clients.exchange(&[0, 2]);
    let healed = wait::now();
    cluster.heal().unwrap();
    wait_members(&cluster, &[0, 1, 2]);
    assert!(wait::now().since(healed) >= well, "it had to wait");
    cluster.down().unwrap();
}

#[test]
fn four_nodes_are_deaf_and_meet() {
    let _room = beside_another();
    let Some(mut cluster) = up(&UpOptions { nodes: 4, ..ethernet() }) else { return };
    let begin = wait::now();
    let steps: [Step; 2] = [
        ("27", s27_a_node_that_hears_one_frame_in_five_is_removed),
        ("46", s46_two_seeded_clusters_with_one_id_meet),
    ];
    for (number, step) in steps {
        step(&mut cluster);
        wait_members(&cluster, &[0, 1, 2, 3]);
        println!("{:?} after the start: scenario {number} is over", wait::now().since(begin));
    }
    cluster.down().unwrap();
}

fn s27_a_node_that_hears_one_frame_in_five_is_removed(cluster: &mut Temporary) {
    if !has_rules(cluster) {
        return;
    }
    let mut clients = Clients::open(cluster);
    let deaf: String = (0..cluster.cluster.links)
        .map(|link| format!("oifname \"node2-link{link}\" numgen random mod 100 < 80 drop; "))
        .collect();
    lose_frames(cluster, &deaf);
    clients.lose(&[0, 1, 3], &[2]);
    let named = wait::until("node 2 says that its links are lossy", LIMIT, || {
        let text = programs::run(cluster, 2, &["lltstat", "-nvv"], "")?;
        Ok(text.contains("(lossy").then_some(text))
    });
    named.unwrap_or_else(|error| panic!("{error:#}\n{}", log(cluster, 2)));
    clients.exchange(&[0, 1, 3]);
    pass_frames(cluster);
}

fn s46_two_seeded_clusters_with_one_id_meet(cluster: &mut Temporary) {
    for node in 0..4 {
        assert!(cluster.kill(node).unwrap());
    }
    cluster.partition(&[vec![0, 1], vec![2, 3]]).unwrap();
    for node in 0..4 {
        assert!(!cluster.start(node).unwrap(), "two of four do not seed by themselves");
    }
    for half in [[0, 1], [2, 3]] {
        programs::run(cluster, half[0], &["gabconfig", "-x"], "").unwrap();
        wait_members(cluster, &half);
    }
    let open = |node| {
        let root = cluster.cluster.root(node);
        Port::register(port('W'), &Options { root, ..Options::default() }).unwrap()
    };
    let mut clients = Clients { ports: (0..4).map(open).collect() };
    for node in 0..4 {
        let half = if node < 2 { vec![0, 1] } else { vec![2, 3] };
        while nodes(clients.view(node).members) != half {}
    }
    let lives: Vec<u64> = (0..4).map(|node| incarnation(cluster, node)).collect();
    cluster.heal().unwrap();
    // One half is out by rule; it is told so, and not that the others came.
    clients.ejected(2);
    clients.ejected(3);
    wait_members(cluster, &[0, 1, 2, 3]);
    for (node, life) in (0..4).zip(lives) {
        assert_eq!(incarnation(cluster, node) == life, node < 2, "node {node}");
    }
    clients.exchange(&[0, 1]);
}

#[test]
fn s12_eight_nodes_join_at_once() {
    let _room = beside_another();
    let Some(mut cluster) = up(&UpOptions { nodes: 8, ..ethernet() }) else { return };
    for node in 1..8 {
        daemons::kill(&cluster.cluster, node).unwrap();
    }
    wait_members(&cluster, &[0]);
    let memberships = |cluster: &Temporary| {
        log(cluster, 0).lines().filter(|line| line.contains("Port a gen ")).count()
    };
    let before = memberships(&cluster);
    for node in 1..8 {
        let binaries = cluster.binaries.clone();
        daemons::start(&mut cluster.cluster, node, &binaries).unwrap();
    }
    wait_members(&cluster, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let views = memberships(&cluster) - before;
    println!("{views} memberships until all eight are in");
    assert!((1..7).contains(&views), "{views} memberships for seven who join");
    cluster.down().unwrap();
}
#[test]
fn s29_the_sequencer_is_reached_over_one_node_only() {
    let _room = beside_another();
    // Only a majority goes on: without that rule the two who are left with the sequencer may.
    let options = UpOptions { nodes: 5, quorum: true, ..ethernet() };
    let Some(cluster) = up(&options) else { return };
    if !has_rules(&cluster) {
        return;
    }
    let mut clients = Clients::open(&cluster);
    let old = sequencer(&cluster);
    let others = without(&cluster, old);
    // At one moment: who is lost before the others may be lost in place of the sequencer.
    let cut =
        |one: u8, other: u8| format!("iifname \"node{one}-*\" oifname \"node{other}-*\" drop; ");
    let both = |node: &u8| cut(old, *node) + &cut(*node, old);
    lose_frames(&cluster, &others[1..].iter().map(both).collect::<String>());
    clients.lose(&others, &[old]);
    clients.ejected(old);
    clients.exchange(&others);
    cluster.down().unwrap();
}
