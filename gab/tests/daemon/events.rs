//! The event stream of a running gabd.

use std::time::Duration;

use gab::client::{Port, Watch};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::node::{Node, cluster, wait_for};
use crate::support::{members, options, port, view};

/// The next event that has these keys; what comes before it is dropped.
#[track_caller]
pub(crate) fn event(watch: &mut Watch, wanted: &Value) -> Value {
    loop {
        let event = watch.recv(Some(Duration::from_secs(60))).unwrap();
        let event = event.unwrap_or_else(|| panic!("no {wanted} in time"));
        assert!(event["time"].as_u64().unwrap() > 1_577_836_800_000, "{event}");
        let mut keys = wanted.as_object().unwrap().iter();
        if keys.all(|(key, value)| event.get(key) == Some(value)) {
            return event;
        }
    }
}

#[test]
fn the_stream_tells_the_state_and_then_every_change_in_order() {
    let mut nodes = cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    wait_for("port a with both", || members(&nodes[0]) == [0, 1]);

    let mut watch = Watch::start(nodes[0].root()).unwrap();
    let first = watch.recv(Some(Duration::from_secs(60))).unwrap().unwrap();
    assert_eq!((&first["event"], &first["name"]), (&json!("node"), &json!("node0")));
    let second = watch.recv(Some(Duration::from_secs(60))).unwrap().unwrap();
    assert_eq!((&second["event"], &second["port"]), (&json!("port"), &json!("a")));
    assert_eq!(second["members"], json!([0, 1]));

    let mut client = Port::register(port('A'), &options(&nodes[1])).unwrap();
    view(&mut client, |view| view.members.len() == 1);
    let wanted = json!({"event": "membership", "port": "A", "members": [1], "joined": [1]});
    let opened = event(&mut watch, &wanted);
    let visible = event(&mut watch, &json!({"event": "visible", "port": "A"}));
    assert_eq!(visible["visible"], json!([0]));
    // Without a goodbye, as if its process had died.
    drop(client);
    let wanted = json!({"event": "membership", "port": "A", "left": [1], "ddna": [1]});
    let gone = event(&mut watch, &wanted);
    assert_eq!(gone["members"], json!([]));
    assert!(gone["generation"].as_u64() > opened["generation"].as_u64(), "{gone}");

    nodes[1].signal(Signal::KILL);
    nodes[1].wait();
    event(&mut watch, &json!({"event": "link", "node": 1, "status": "trouble"}));
    event(&mut watch, &json!({"event": "peer", "node": 1, "name": "node1", "connected": false}));
    let wanted = json!({"event": "membership", "port": "a", "members": [0], "left": [1]});
    assert_eq!(event(&mut watch, &wanted)["ddna"], json!([]));

    // A second reader is told what is, not what was.
    let mut late = Watch::start(nodes[0].root()).unwrap();
    assert_eq!(event(&mut late, &json!({"event": "port", "port": "a"}))["members"], json!([0]));
    nodes[0].stop();
    assert!(late.recv(Some(Duration::from_secs(60))).is_err(), "gabd is gone");
}

#[test]
fn readers_are_so_many_and_the_next_is_told_so() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    wait_for("port a", || members(&node) == [0]);
    let mut readers: Vec<Watch> = (0..64).map(|_| Watch::start(node.root()).unwrap()).collect();
    for reader in &mut readers {
        event(reader, &json!({"event": "port", "port": "a"}));
    }
    let mut next = Watch::start(node.root()).unwrap();
    let error = next.recv(Some(Duration::from_secs(60))).unwrap_err().to_string();
    assert!(error.contains("64 read the events of this node already"), "{error}");
    drop(readers.pop());
    let mut next = None;
    wait_for("a place among the readers", || {
        let mut watch = Watch::start(node.root()).unwrap();
        let is_told = watch.recv(Some(Duration::from_secs(60))).is_ok_and(|event| event.is_some());
        next = is_told.then_some(watch);
        is_told
    });
    event(next.as_mut().unwrap(), &json!({"event": "port", "port": "a"}));
}
