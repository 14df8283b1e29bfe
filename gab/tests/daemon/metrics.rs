//! The metrics of a running gabd, over its Unix socket and over TCP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gab::Level;
use gab::client::Port;
use rustix::process::Signal;

use crate::node::{Node, cluster, wait_for};
use crate::support::{deliveries, members, options, port, view};

/// Sends a request, and reads the status and the body of the answer.
fn ask(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().strip_prefix("HTTP/1.0 ").unwrap();
    (status.to_owned(), body.to_owned())
}

fn connect(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.root().join("run/metrics.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// The samples of a scrape, by name and labels; every line must be understood.
fn scrape(node: &Node) -> BTreeMap<String, f64> {
    let (status, body) = ask(connect(node), "GET /metrics HTTP/1.0\r\n\r\n");
    assert_eq!(status, "200 OK", "{body}");
    let mut samples = BTreeMap::new();
    for line in body.lines().filter(|line| !line.starts_with("# HELP ")) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let kind = family.split(' ').nth(1).unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert!(name.starts_with("muster_"), "{line}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert_eq!(sample.contains('{'), sample.ends_with("\"}"), "{line}");
        let is_new = samples.insert(sample.to_owned(), value.parse().unwrap()).is_none();
        assert!(is_new, "{sample} comes twice");
    }
    samples
}

#[test]
fn a_scrape_follows_the_membership_and_the_messages() {
    let mut nodes = cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    wait_for("port a with both", || members(&nodes[0]) == [0, 1]);
    let mode = fs::metadata(nodes[0].root().join("run/metrics.sock")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o660);

    let mut client = Port::register(port('A'), &options(&nodes[0])).unwrap();
    view(&mut client, |view| view.members.len() == 1);
    for (level, text) in [(Level::Agreed, "one"), (Level::Safe, "two"), (Level::Safe, "three")] {
        client.broadcast(text.as_bytes(), level, false).unwrap();
    }
    deliveries(&mut client, 3);
    let before = scrape(&nodes[0]);
    let value = |sample: &str| *before.get(sample).unwrap_or_else(|| panic!("no {sample}"));
    assert_eq!(value("muster_gab_members{port=\"a\"}"), 2.0);
    assert_eq!(value("muster_gab_members{port=\"A\"}"), 1.0);
    assert_eq!(value("muster_gab_visible_nodes{port=\"A\"}"), 1.0);
    assert_eq!(value("muster_peer_connected{peer=\"1\",name=\"node1\"}"), 1.0);
    assert_eq!(value("muster_link_up{link=\"0\",peer=\"1\"}"), 1.0);
    assert_eq!(value("muster_gab_delivery_seconds_count{level=\"agreed\"}"), 1.0);
    assert_eq!(value("muster_gab_delivery_seconds_count{level=\"safe\"}"), 2.0);
    assert_eq!(value("muster_gab_delivery_seconds_bucket{level=\"safe\",le=\"+Inf\"}"), 2.0);
    assert!(value("muster_gab_delivery_seconds_sum{level=\"safe\"}") > 0.0);
    assert!(value("muster_reactor_turns_total") > 0.0);
    assert!(before.contains_key("muster_queue_depth{queue=\"own messages\"}"));

    nodes[1].signal(Signal::KILL);
    nodes[1].wait();
    wait_for("a scrape without node 1", || {
        let now = scrape(&nodes[0]);
        assert!(now["muster_gab_view_round"] >= value("muster_gab_view_round"));
        now["muster_gab_members{port=\"a\"}"] == 1.0
            && now["muster_peer_connected{peer=\"1\",name=\"node1\"}"] == 0.0
    });
    nodes[0].stop();
    assert!(!nodes[0].root().join("run/metrics.sock").exists());
}

#[test]
fn whoever_is_silent_or_wrong_is_in_nobodys_way() {
    let mut node = Node::alone();
    node.start(&["--testbed", "--metrics", "127.0.0.1:0"]);
    // As many as are served at once say nothing, or not all.
    let mut silent: Vec<UnixStream> = (0..8).map(|_| connect(&node)).collect();
    silent[0].write_all(b"GET /metr").unwrap();
    wait_for("a membership", || members(&node) == [0]);
    assert_eq!(scrape(&node)["muster_gab_members{port=\"a\"}"], 1.0);
    for mut stream in silent {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "cut off without a word");
    }
    for (request, expected) in [
        ("GET / HTTP/1.0\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("good morning\r\n\r\n", "400 Bad Request"),
    ] {
        let (status, text) = ask(connect(&node), request);
        assert_eq!(status, expected);
        assert!(!text.is_empty());
    }
    let log = node.log();
    let address = log.split("metrics are served on ").nth(1).unwrap().split_whitespace().next();
    let stream = TcpStream::connect(address.unwrap()).unwrap();
    let (status, body) = ask(stream, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_eq!(status, "200 OK");
    assert!(body.contains("muster_node_info{cluster="), "{body}");
    assert!(!log.contains("nothing but a firewall"), "{log}");
}
