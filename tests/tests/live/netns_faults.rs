//! What LLT says of cables that are wrong, and that frames which are lost, doubled or out of order
//! cost nothing but time, in network namespaces.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use crate::netns::{ethernet, log, switch_ip, up, with};
use crate::process::{LIMIT, beside_another, port, roots};
use gab::admin::{AdminRequest, Setting};
use gab::client::Admin;
use tools::muster::cluster::{Cable, Transport};
use tools::muster::storm::{Plan, Storm, Summary, check};
use tools::muster::temporary::Temporary;
use tools::muster::{control, programs, wait};

/// One storm until each node was told `count` messages; all logs are equal and complete.
fn storm(cluster: &Temporary, plan: Plan, count: u64) -> Summary {
    let storm = Storm::start(&roots(cluster), plan, LIMIT).unwrap();
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, count, LIMIT).unwrap();
    }
    let logs = storm.finish(LIMIT).unwrap();
    check(&logs, &[]).unwrap_or_else(|broken| panic!("{broken}"))
}

/// Do the notes of `lltstat -nvv --json` on `node` about the link to `peer` contain `note`?
fn has_note(cluster: &Temporary, node: u8, peer: u8, link: usize, note: &str) -> bool {
    let words = ["lltstat", "-nvv", "--json"];
    let text = programs::run(cluster, node, &words, "").unwrap();
    let listing: serde_json::Value = serde_json::from_str(&text).unwrap();
    let nodes = listing.as_array().unwrap_or_else(|| panic!("no list of nodes: {text}"));
    let entry = nodes.iter().find(|entry| entry["node"] == peer);
    let entry = entry.unwrap_or_else(|| panic!("node {peer} is not in {text}"));
    let notes = entry["links"][link]["notes"].as_array();
    let notes = notes.unwrap_or_else(|| panic!("no notes on link {link} in {text}"));
    notes.iter().any(|entry| entry["note"] == note)
}

/// How often the log of `node` says that it found this on the link to `peer`, and that it is over.
fn count_lines(
    cluster: &Temporary,
    (node, peer): (u8, u8),
    link: usize,
    note: &str,
) -> (usize, usize) {
    let (found, over) = match note {
        "crossed" => ("cross links?", "is not crossed any more"),
        "mtu" => ("do not pass", "pass again"),
        "one-way" => ("one-way: it is heard", "is not one-way any more"),
        other => panic!("{other} is no note"),
    };
    let place = format!("link {link} (link{link}) node {peer} ");
    let text = log(cluster, node);
    let count = |words: &str| {
        text.lines().filter(|line| line.contains(&place) && line.contains(words)).count()
    };
    (count(found), count(over))
}

/// Waits until the note is there, or is gone: in the JSON, in the table and in the log.
fn wait_note(cluster: &Temporary, pair: (u8, u8), link: usize, note: &str, there: bool) {
    let (node, peer) = pair;
    let what = format!("node {node} says of link {link} to node {peer}: {note} is {there}");
    let said = || {
        let table = programs::run(cluster, node, &["lltstat", "-nvv"], "")?;
        let (found, over) = count_lines(cluster, pair, link, note);
        let told = found > 0 && (found > over) == there;
        let shown = has_note(cluster, node, peer, link, note) == there
            && table.contains(&format!("({note}")) == there;
        Ok((told && shown).then_some(()))
    };
    if let Err(error) = wait::until(&what, LIMIT, said) {
        panic!("{error:#}\n{}", log(cluster, node));
    }
}

/// Node 2 and link 1 lose one direction; `hearing` nodes then hear somebody who does not hear them.
fn one_way(cable: Cable, hearing: &[(u8, u8)]) {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let storm = Storm::start(&roots(&cluster), Plan::on(port('S')), LIMIT).unwrap();
    cluster.set_cable(2, 1, cable).unwrap();
    for pair in hearing {
        wait_note(&cluster, *pair, 1, "one-way", true);
    }
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, 500, LIMIT).unwrap();
    }
    cluster.set_cable(2, 1, Cable::Plugged).unwrap();
    for pair in hearing {
        wait_note(&cluster, *pair, 1, "one-way", false);
    }
    cluster.wait_formed().unwrap();
    let summary = check(&storm.finish(LIMIT).unwrap(), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.views, 1, "the membership changed");
    cluster.down().unwrap();
}

#[test]
fn a_node_that_hears_nothing_on_a_link_is_named_by_the_others() {
    one_way(Cable::OneWayIn, &[(0, 2), (1, 2)]);
}

#[test]
fn a_node_that_is_not_heard_on_a_link_is_told_and_says_so() {
    one_way(Cable::OneWayOut, &[(2, 0), (2, 1)]);
}

#[test]
fn s52_s53_s54_frames_lost_doubled_damaged_and_out_of_order_leave_equal_logs() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    for node in 0..3 {
        cluster
            .change_rates(node, None, |rates| {
                rates.loss = 0.07;
                rates.dup = 0.05;
                rates.corrupt = 0.02;
                rates.reorder = 0.1;
            })
            .unwrap();
    }
    let summary = storm(&cluster, Plan::on(port('S')), 2000);
    println!("{summary:?}");
    assert_eq!(summary.views, 1, "the membership changed");
    for node in cluster.cluster.ids() {
        let stats = control::snapshot(&cluster.cluster, node).unwrap().llt.stats;
        assert!(stats.rcv_bad_checksum > 0, "node {node} counts no damaged frame: {stats:?}");
    }
    cluster.down().unwrap();
}

/// Messages of 60,000 bytes, in frames of the full size.
fn large_messages(mtu: u32) {
    let _room = beside_another();
    let Some(cluster) = up(&with(Transport::Ether, mtu)) else { return };
    for node in cluster.cluster.ids() {
        let snapshot = control::snapshot(&cluster.cluster, node).unwrap();
        for link in &snapshot.llt.links {
            assert_eq!(link.mtu, usize::try_from(mtu).unwrap(), "frame size of {}", link.tag);
        }
    }
    let plan = Plan { size: 60_000, window: 4, ..Plan::on(port('S')) };
    println!("MTU {mtu}: {:?}", storm(&cluster, plan, 300));
    let notes: Vec<String> = cluster.cluster.ids().map(|node| log(&cluster, node)).collect();
    assert!(notes.iter().all(|log| !log.contains("do not pass")), "{notes:#?}");
    cluster.down().unwrap();
}

#[test]
fn large_messages_pass_an_mtu_of_1500() {
    large_messages(1500);
}

#[test]
fn large_messages_pass_an_mtu_of_9000() {
    large_messages(9000);
}

#[test]
fn s31_a_smaller_mtu_on_the_way_is_named_and_avoided() {
    let _room = beside_another();
    let Some(cluster) = up(&ethernet()) else { return };
    // The port of the switch: the node's own device still has 1500.
    switch_ip(&cluster, "link set node2-link1 mtu 1000");
    wait_note(&cluster, (0, 2), 1, "mtu", true);
    let plan = Plan { size: 60_000, window: 4, ..Plan::on(port('S')) };
    assert_eq!(storm(&cluster, plan, 200).views, 1, "the membership changed");
    switch_ip(&cluster, "link set node2-link1 mtu 1500");
    wait_note(&cluster, (0, 2), 1, "mtu", false);
    cluster.down().unwrap();
}

#[test]
fn crossed_cables_are_named() {
    let _room = beside_another();
    let Some(cluster) = up(&ethernet()) else { return };
    // What is crossed counts as untangled after two of these.
    let arp = Setting { name: "arpreq".to_owned(), value: "1s".to_owned() };
    let mut admin = Admin::connect(&cluster.cluster.root(0)).unwrap();
    let _: serde_json::Value = admin.request(&AdminRequest::LltTimers(vec![arp])).unwrap();
    // Both links of node 1 go into one switch.
    switch_ip(&cluster, "link set node1-link1 master link0");
    wait_note(&cluster, (0, 1), 0, "crossed", true);
    switch_ip(&cluster, "link set node1-link1 master link1");
    wait_note(&cluster, (0, 1), 0, "crossed", false);
    cluster.down().unwrap();
}
