//! Lines of LLT in the log (docs/operations.md): the life of a link, what is wrong with one, and how
//! connections end.

use std::fs;
use std::net::UdpSocket;

use gab::admin::{AddressChange, AdminRequest, Changed, Exclude, FaultRates, FaultRequest};
use llt::limits::HEADER_LEN;
use llt::wire::VERSION_MAX;
use rustix::process::Signal;

use crate::node::{Node, cluster, logged, wait_for};
use crate::supervision::{Life, Victim};
use crate::support::{ask, faults, members, snapshot};

/// Two nodes with this besides in the `llttab` of each.
fn pair(llttab: &str) -> Vec<Node> {
    let mut nodes = cluster(2);
    for node in &mut nodes {
        rewrite(node, |text| format!("{text}{llttab}"));
        node.start(&["--testbed"]);
    }
    formed(&nodes);
    nodes
}

fn rewrite(node: &Node, change: impl FnOnce(&str) -> String) {
    let llttab = node.root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    fs::write(&llttab, change(&text)).unwrap();
}

fn formed(nodes: &[Node]) {
    for node in nodes {
        wait_for("port a with both", || members(node) == [0, 1]);
        wait_for("both links", || {
            let nodes = snapshot(node).llt.nodes;
            let peer = nodes.into_iter().find(|node| !node.own).unwrap();
            peer.links.iter().all(|link| link.status == "UP")
        });
    }
}

/// On link 0 of a node.
fn on_link(node: &Node, request: FaultRequest) {
    faults(node, FaultRequest { link: Some(0), ..request });
}

/// What is told every second, or after many: of a link that is silent and of a client that died.
#[test]
fn silence_is_told_while_it_lasts() {
    let times = "peertrouble:2s peertroublelo:3s timetoreqhb:3s reqhbtime:100ms peerinact:10s";
    let nodes = pair(&format!("set-timer {times}\n"));
    let on = "link 0 (l0) node 1";
    logged(&nodes[0], &format!("LLT INFO V-14-1-10024 {on} active"));
    let victim = Victim::start(&nodes[1], 'h', 60_000, false, Life::Serve);
    victim.signal(Signal::KILL);
    on_link(&nodes[0], FaultRequest { cut: Some(true), ..FaultRequest::default() });
    let mut lines = vec![format!("LLT INFO V-14-1-10205 {on} in trouble")];
    let asked = "LLT INFO V-14-1-10510 sent hbreq (NULL) on";
    lines.extend((0..5).rev().map(|left| format!("{asked} {on}. {left} more to go.")));
    lines.push(format!("LLT INFO V-14-1-10032 {on} inactive "));
    lines.push(format!("LLT INFO V-14-1-10509 {on} expired"));
    logged(&nodes[0], &lines[lines.len() - 1]);
    let log = nodes[0].log();
    let mut rest = &log[..];
    for line in &lines {
        let Some(at) = rest.find(line) else { panic!("no `{line}` where it belongs in:\n{log}") };
        rest = &rest[at + line.len()..];
    }
    on_link(&nodes[0], FaultRequest { clear: true, ..FaultRequest::default() });
    let again = format!("LLT INFO V-14-1-10024 {on} active");
    wait_for(&again, || nodes[0].log()[log.len()..].contains(&again));
    let told = |start: &str, end: &str| {
        let is_it = |line: &str| line.contains(start) && line.ends_with(end);
        wait_for(start, || nodes[0].log().lines().any(is_it));
    };
    told("LLT INFO V-14-1-10019 delayed hb ", " ticks from 1 link 0 (l0)");
    told("LLT INFO V-14-1-10023 lost ", " from 1 link 0 (l0)");
    let text = "GAB WARNING Port h: process died and is expected to register within ";
    logged(&nodes[1], text);
}

#[test]
fn a_pause_is_told_by_whoever_paused_and_by_the_other() {
    let nodes = pair("set-timer peerinact:60s\n");
    // Only who had a rhythm can be late.
    wait_for("heartbeats", || snapshot(&nodes[1]).llt.stats.rcv_heartbeat >= 20);
    nodes[0].signal(Signal::STOP);
    logged(&nodes[1], "LLT INFO V-14-1-10205 link 0 (l0) node 0 in trouble");
    nodes[0].signal(Signal::CONT);
    logged(&nodes[0], "LLT INFO V-14-1-10035 timer not called for ");
    let delayed = |line: &str| {
        line.contains("V-14-1-10019 delayed hb ") && line.ends_with(" ticks from 0 link 0 (l0)")
    };
    wait_for("a late heartbeat", || nodes[1].log().lines().any(delayed));
}

#[test]
fn a_link_of_one_way_and_one_that_loses_most_are_named() {
    let nodes = pair("");
    on_link(&nodes[1], FaultRequest { deaf: Some(true), ..FaultRequest::default() });
    let on = "link 0 (l0) node 1";
    logged(&nodes[0], &format!("LLT INFO {on} down: one way only or never heard"));
    let what = "one-way: it is heard, and does not hear us";
    logged(&nodes[0], &format!("LLT WARNING {on} {what}"));
    on_link(&nodes[1], FaultRequest { clear: true, ..FaultRequest::default() });
    logged(&nodes[0], &format!("LLT INFO {on} is not one-way any more"));
    let rates = FaultRates { loss: 0.8, ..FaultRates::default() };
    on_link(&nodes[1], FaultRequest { rates: Some(rates), ..FaultRequest::default() });
    let what = "lossy: most of its heartbeats are lost, the link is not used";
    logged(&nodes[0], &format!("LLT WARNING {on} {what}"));
    on_link(&nodes[1], FaultRequest { clear: true, ..FaultRequest::default() });
    logged(&nodes[0], &format!("LLT INFO {on} is not lossy any more"));
}

#[test]
fn a_frame_of_a_later_protocol_is_refused() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    let llttab = fs::read_to_string(node.root().join("etc/llttab")).unwrap();
    let line = llttab.lines().find(|line| line.starts_with("link l0 ")).unwrap();
    let port: u16 = line.split(' ').nth(5).unwrap().parse().unwrap();
    let stranger = UdpSocket::bind("127.66.0.77:0").unwrap();
    let newest = VERSION_MAX + 1;
    // Nothing is read of it but its first four bytes.
    let frame = [&b"LL"[..], &[newest, newest], &[0; HEADER_LEN]].concat();
    stranger.send_to(&frame, ("127.66.0.1", port)).unwrap();
    let from = "LLT WARNING link 0 (l0) frame from 127.66.0.77";
    let why = " refused: of a protocol version that is not spoken here";
    let refused = |line: &str| line.contains(from) && line.ends_with(why);
    wait_for(why, || node.log().lines().any(refused));
}

/// Link 0 of node 0 is plugged in where link 1 of node 1 is.
#[test]
fn crossed_links_are_named() {
    let mut nodes = cluster(2);
    for (id, node) in nodes.iter_mut().enumerate() {
        rewrite(node, |text| {
            let port = |tag: &str| {
                let line = text.lines().find(|line| line.starts_with(&format!("link {tag} ")));
                line.unwrap().split(' ').nth(5).unwrap().to_owned()
            };
            let same = text.replace(&format!(" {} ", port("l1")), &format!(" {} ", port("l0")));
            let same =
                if id == 0 { same.replace("1 l0 127.66.0.2", "1 l0 127.66.1.2") } else { same };
            same + "set-timer arpreq:500ms\n"
        });
        node.start(&["--testbed"]);
    }
    let crossed = "V-14-1-10498 recvarpack cross links? link 1 (l1) node 0 hears link 0 (l0)";
    logged(&nodes[1], &format!("LLT WARNING {crossed}"));
    let (node, tag, address) = ("1".to_owned(), "l0".to_owned(), "127.66.0.2".to_owned());
    let plug = AdminRequest::LltAddress(AddressChange::Set { node, tag, address });
    let _: Changed = ask(&nodes[0], plug).unwrap();
    logged(&nodes[1], "LLT INFO link 1 (l1) node 0 is not crossed any more");
}

#[test]
fn a_link_of_two_sizes_and_every_end_of_a_connection_are_told() {
    let mut nodes = cluster(2);
    let patient = "set-timer peertrouble:50s peertroublelo:55s peerinact:60s\n";
    for node in &nodes {
        rewrite(node, |text| format!("{text}{patient}"));
    }
    let whole = fs::read_to_string(nodes[1].root().join("etc/llttab")).unwrap();
    rewrite(&nodes[1], |text| text.replacen(" - 127.66.0.", " 1500 127.66.0.", 1));
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    formed(&nodes);
    logged(&nodes[0], "LLT INFO node 1 connected, incarnation ");
    let on = "link 0 (l0) node 1";
    logged(&nodes[0], &format!("LLT WARNING {on} mtu: frames of 8192 bytes do not pass"));

    nodes[1].signal(Signal::KILL);
    nodes[1].wait();
    rewrite(&nodes[1], |_| whole);
    nodes[1].start(&["--testbed"]);
    logged(&nodes[0], "LLT INFO node 1 disconnected: it has started anew");
    logged(&nodes[0], &format!("LLT INFO {on} mtu: frames of 8192 bytes pass again"));
    formed(&nodes);

    for exclude in [true, false] {
        let request = AdminRequest::LltExclude(Exclude { low: 1, high: 1, exclude });
        let _: Changed = ask(&nodes[0], request).unwrap();
    }
    logged(&nodes[0], "LLT INFO changed: ignored nodes: none -> 1");
    logged(&nodes[0], "LLT INFO node 1 disconnected: it is excluded");
    logged(&nodes[1], "LLT INFO node 0 disconnected: it lost or gave up the connection");
    nodes[1].stop();
    logged(&nodes[0], "LLT INFO node 1 disconnected: it left");
}
