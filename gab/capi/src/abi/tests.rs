//! The same layout and numbers in C.

use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use client::CloseReason;
use llt::NodeId;

use super::*;

macro_rules! fields {
    ($c:literal, $rust:ty, $($field:ident as $name:literal),* $(,)?) => {
        [$((concat!($c, ".", $name), offset_of!($rust, $field))),*]
    };
}

fn layout() -> Vec<(&'static str, usize)> {
    let mut all = vec![
        ("gab_options", size_of::<Options>()),
        ("gab_nodeset", size_of::<Nodes>()),
        ("gab_event", size_of::<Event>()),
    ];
    all.extend(fields!(
        "gab_options", Options,
        size as "size", heartbeat_ms as "heartbeat_ms", root as "root", name as "name",
        flags as "flags",
    ));
    all.extend(fields!(
        "gab_event", Event,
        kind as "type", sender as "sender", broadcast as "broadcast", safe as "safe",
        generation as "generation", sequence as "sequence", data as "data", len as "len",
        members as "members", joined as "joined", left as "left", jeopardy as "jeopardy",
        visible as "visible", reason as "reason",
    ));
    let numbers = [
        ("GAB_MAX_MESSAGE", 65536),
        ("GAB_SAFE", SAFE),
        ("GAB_MORE", MORE),
        ("GAB_NONBLOCK", NONBLOCK),
        ("GAB_EV_DELIVER", DELIVER),
        ("GAB_EV_VIEW", VIEW),
        ("GAB_EV_CLOSED", CLOSED),
        ("GAB_EV_STATUS", STATUS),
        ("GAB_OPT_ACK", OPT_ACK),
        ("GAB_OPT_KERNEL", OPT_KERNEL),
        ("GAB_OPT_SHARED", OPT_SHARED),
        ("GAB_OPT_STATUS", OPT_STATUS),
    ];
    all.extend(numbers.map(|(name, number)| (name, usize::try_from(number).unwrap())));
    all.sort_unstable();
    all
}

#[test]
fn a_c_compiler_sees_the_same_sizes_offsets_and_numbers() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("layout");
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c89", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"]);
    cc.arg(here.join("include")).arg(here.join("tests/c/layout.c")).arg("-o").arg(&program);
    assert!(cc.status().expect("a C compiler").success());
    let printed = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
    let words = |line: &str| line.split_once(' ').map(|(name, n)| (name.to_owned(), n.to_owned()));
    let mut c: Vec<(String, String)> = printed.lines().filter_map(words).collect();
    c.sort_unstable();
    let rust: Vec<_> =
        layout().into_iter().map(|(name, n)| (name.to_owned(), n.to_string())).collect();
    assert_eq!(c, rust);
}

#[test]
fn node_n_is_bit_n_of_its_word() {
    let nodes: NodeSet = [0, 63, 64, 127].iter().filter_map(|&id| NodeId::new(id)).collect();
    assert_eq!(Nodes::from(nodes).bits, [1 | 1 << 63, 1 | 1 << 63]);
    let nodes: NodeSet = [1, 66].iter().filter_map(|&id| NodeId::new(id)).collect();
    assert_eq!(Nodes::from(nodes).bits, [2, 4]);
}

#[test]
fn each_event_fills_its_own_fields() {
    let delivery = Delivery {
        sender: NodeId::new(3).unwrap(),
        broadcast: true,
        level: Level::Safe,
        generation: 7,
        sequence: 9,
        payload: Bytes::from_static(b"hello"),
    };
    let data = delivery.payload.as_ptr().cast();
    let event = Event::new(&ClientEvent::Deliver(delivery));
    assert_eq!((event.kind, event.sender, event.broadcast, event.safe), (1, 3, 1, 1));
    assert_eq!((event.generation, event.sequence), (7, 9));
    assert_eq!((event.data, event.len, event.members), (data, 5, Nodes::default()));

    let view = PortView {
        generation: 8,
        members: NodeSet::from_bits(1),
        joined: NodeSet::from_bits(2),
        left: NodeSet::from_bits(4),
        jeopardy: NodeSet::from_bits(8),
        visible: NodeSet::from_bits(16),
    };
    let event = Event::new(&ClientEvent::View(view));
    assert_eq!((event.kind, event.generation, event.sender, event.len), (2, 8, 0, 0));
    let sets = [event.members, event.joined, event.left, event.jeopardy, event.visible];
    assert_eq!(sets.map(|set| set.bits), [1, 2, 4, 8, 16].map(|bits| [bits, 0]));
    assert_eq!(Event::new(&ClientEvent::Status(view)).kind, 4);

    let event = Event::new(&ClientEvent::Closed(CloseReason::NotReading));
    assert_eq!((event.kind, event.reason, event.generation), (3, -105, 0));
}
