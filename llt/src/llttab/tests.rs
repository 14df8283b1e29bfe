//! Good files, bad files with their reports, and any file at all.

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

use super::*;

const HOSTS: &str = "0 north\n1 south\n2 east\n";
const GOOD: &str = "\
# three nodes, two links
set-node north
set-cluster 7
link link1 udp - udp 50000 - 127.77.0.0 -
link-lowpri link2 udp - udp 50001 1400 127.77.1.0 -
set-addr 1 link1 127.77.0.1
set-addr 2 link1 127.77.0.2
set-addr south link2 127.77.1.1
set-addr 0 link1 127.77.0.0
set-timer peerinact:1000ms peertrouble:30
set-timer heartbeat:50ms
set-timer peertroublelo:600ms heartbeatlo:10
set-timer arpreq:3000
set-flow window:64
exclude 4-31
include 31
set-checksum 10
";

fn parse_with(tab: &str, hosts: &str) -> Result<LltTab, ConfigErrors> {
    let read = |path: &str| match path {
        "/etc/nodename" => Ok(b"south.example.org\n".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    LltTab::parse(
        &Source::new("etc/llttab", tab.as_bytes()),
        &Source::new("etc/llthosts", hosts.as_bytes()),
        &read,
    )
}

fn parse(tab: &str) -> Result<LltTab, ConfigErrors> {
    parse_with(tab, HOSTS)
}

fn report(tab: &str, hosts: &str) -> String {
    let errors = parse_with(tab, hosts).expect_err("the file is wrong");
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = String::new();
    handler.with_width(100).render_report(&mut text, &errors).unwrap();
    text
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

#[test]
fn a_good_file_says_what_it_says() {
    let tab = parse(GOOD).unwrap();
    assert_eq!((tab.node, tab.name(), tab.cluster), (node(0), "north", ClusterId(7)));
    let [one, two] = &tab.links[..] else { panic!("{:?}", tab.links) };
    assert_eq!((one.tag.as_str(), one.mtu, one.lowpri), ("link1", Some(8192), false));
    assert_eq!((two.tag.as_str(), two.mtu, two.lowpri), ("link2", Some(1400), true));
    assert_eq!(one.peers.len(), 2);
    assert_eq!(two.peers, [(node(1), LinkAddr::V4 { ip: [127, 77, 1, 1], port: 50001 })]);
    assert_eq!(tab.timers.peer_trouble, core::time::Duration::from_millis(300));
    assert_eq!(tab.timers.heartbeat_lo, core::time::Duration::from_millis(100));
    assert_eq!(tab.flow.window, 64);
    assert_eq!(tab.excluded.len(), 27);
    let config = tab.config(Incarnation(9), &[]);
    assert_eq!((config.incarnation, config.configured.len()), (Incarnation(9), 3));
    let warnings: Vec<String> = tab.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["etc/llttab:13: `arpreq` means nothing here and is ignored"]);
}

#[test]
fn the_own_node_may_stand_in_a_file() {
    let tab = parse(
        &GOOD
            .replace("set-node north", "set-node /etc/nodename")
            .replace("127.77.0.0 -", "127.77.0.9 -")
            .replace("127.77.1.0 -", "127.77.1.9 -"),
    );
    assert_eq!(tab.unwrap().node, node(1));
}

#[test]
fn a_multicast_address_needs_no_static_ones() {
    let tab = parse("set-node 0\nlink a udp - udp 50000 - 127.0.0.1 239.1.1.1\n").unwrap();
    let group = LinkAddr::V4 { ip: [239, 1, 1, 1], port: 50000 };
    assert_eq!(tab.links[0].config(None).broadcast, Some(group));
    let errors = parse("set-node 0\nset-bcasthb 0\nlink a udp - udp 50000 - 127.0.0.1 239.1.1.1\n");
    assert_eq!(errors.unwrap_err().problems().len(), 1);
}

#[test]
fn ipv6_links_take_ipv6_addresses() {
    let tab = parse("set-node 0\nlink a udp6 - udp6 50000 - fd00::1%3 ff02::77\n").unwrap();
    let Medium::Udp { local: SocketAddr::V6(local), .. } = tab.links[0].medium else {
        panic!("{:?}", tab.links)
    };
    assert_eq!((local.scope_id(), local.port()), (3, 50000));
}

#[test]
fn a_cluster_of_one_reaches_everybody() {
    parse_with("set-node 0\nlink a udp - udp 50000 - 127.0.0.1 -\n", "0 alone\n").unwrap();
}

#[test]
fn syntax_errors_show_their_place() {
    insta::assert_snapshot!(report(
        "set-node\nset-cluster 70000\nlnk a udp\nlink a eth1 - ether - -\n\
         link b udp - udp 0 100 127.0.0.300 -\nset-timer heartbeat=5 peerinact:soon nosuch:5\n\
         set-flow window:0\nexclude 9-2\nset-bcasthb yes\nset-addr 1 b 127.0.0.1:5\n\
         set-verbose 1 2\n",
        HOSTS,
    ));
}

#[test]
fn contradictions_name_both_places() {
    insta::assert_snapshot!(report(
        "set-node 0\nset-node 1\nlink a udp - udp 50000 - 127.0.0.1 -\n\
         link a udp - udp 50000 - 127.0.0.1 -\nset-addr 1 a 127.0.0.2\nset-addr 2 a 127.0.0.2\n\
         set-addr 1 a 127.0.0.3\nset-addr 2 a 127.0.0.1\nset-timer peertrouble:2s peerinact:1s\n\
         set-flow highwater:50\nexclude 0\n",
        HOSTS,
    ));
}

#[test]
fn hosts_are_unique() {
    insta::assert_snapshot!(report(
        "set-node west\nlink a udp - udp 50000 - 127.0.0.1 239.1.1.1\n",
        "0 north\n1\n0 again\n2 north\n200 far\nthree x\n4 four too\n",
    ));
}

#[test]
fn nobody_to_reach_is_an_error() {
    insta::assert_snapshot!(report("set-node 0\nlink a udp - udp 50000 - 127.0.0.1 -\n", HOSTS));
}

#[test]
fn what_is_missing_is_named() {
    insta::assert_snapshot!(report("# nothing\n", "\n"));
    insta::assert_snapshot!(report("set-node 0\nset-node", HOSTS));
    insta::assert_snapshot!(report("set-node 9\nstart\nset-cluster 1\n", HOSTS));
}

#[test]
fn nine_links_are_too_many() {
    use std::fmt::Write;
    let mut tab = String::from("set-node 0\n");
    for link in 0..9 {
        writeln!(tab, "link l{link} udp - udp {} - 127.0.0.1 239.1.1.1", 50000 + link).unwrap();
    }
    insta::assert_snapshot!(report(&tab, HOSTS));
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_a_place() {
    let tab = Source::new("etc/llttab", b"set-node 0\n\xff\xfe\n");
    let hosts = Source::new("etc/llthosts", HOSTS.as_bytes());
    let errors = LltTab::parse(&tab, &hosts, &|_| Ok(Vec::new())).unwrap_err();
    assert_eq!(errors.problems()[0].position(), (2, 1));
    assert_eq!(errors.problems()[0].to_string(), "the file is not text");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(tab: Vec<u8>, hosts: Vec<u8>) {
        let (tab, hosts) = (Source::new("a", &tab), Source::new("b", &hosts));
        let _ = LltTab::parse(&tab, &hosts, &|_| Ok(vec![0xff]));
    }

    #[test]
    fn no_words_make_it_panic(lines in proptest::collection::vec(line(), 0..20)) {
        let text = lines.join("\n");
        if let Err(errors) = parse(&text) {
            // Every complaint can be shown.
            let mut out = String::new();
            GraphicalReportHandler::new_themed(GraphicalTheme::none())
                .render_report(&mut out, &errors)
                .unwrap();
            prop_assert!(!errors.problems().is_empty());
        }
    }
}

/// A line of likely words, so that more than the first check is reached.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("set-node"),
        Just("link"),
        Just("link-lowpri"),
        Just("set-addr"),
        Just("udp"),
        Just("udp6"),
        Just("-"),
        Just("0"),
        Just("1"),
        Just("50000"),
        Just("127.0.0.1"),
        Just("::1"),
        Just("set-timer"),
        Just("peerinact:1"),
        Just("set-flow"),
        Just("lowwater:999"),
        Just("exclude"),
        Just("0-127"),
        Just("a"),
        Just("é#"),
        Just("start"),
        Just("239.1.1.1"),
    ];
    proptest::collection::vec(word, 0..10).prop_map(|words| words.join(" "))
}
