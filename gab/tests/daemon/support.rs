//! What the tests ask of a node.

use std::time::Duration;

use gab::admin::{AdminRequest, FaultRequest};
use gab::client::{Admin, AdminFailure, Options, Port};
use gab::snapshot::Snapshot;
use gab::{ClientEvent, PortName, PortView};

use crate::node::Node;

pub(crate) fn port(letter: char) -> PortName {
    PortName::new(letter).unwrap()
}

pub(crate) fn options(node: &Node) -> Options {
    Options { root: node.root().to_owned(), ..Options::default() }
}

pub(crate) fn ask<T: serde::de::DeserializeOwned>(
    node: &Node,
    request: AdminRequest,
) -> Result<T, AdminFailure> {
    Admin::connect(node.root()).unwrap().request(&request)
}

pub(crate) fn snapshot(node: &Node) -> Snapshot {
    ask(node, AdminRequest::Snapshot).unwrap()
}

pub(crate) fn faults(node: &Node, request: FaultRequest) {
    ask::<()>(node, AdminRequest::Faults(request)).unwrap();
}

pub(crate) fn next(port: &mut Port) -> ClientEvent {
    port.recv_timeout(Duration::from_secs(60)).expect("an event in time")
}

/// The next view that fits; what comes before it is dropped.
pub(crate) fn view(port: &mut Port, fits: impl Fn(&PortView) -> bool) -> PortView {
    loop {
        match next(port) {
            ClientEvent::View(view) if fits(&view) => return view,
            ClientEvent::Closed(reason) => panic!("closed: {reason}"),
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
}

/// The payloads of the next `count` deliveries, with their positions.
pub(crate) fn deliveries(port: &mut Port, count: usize) -> Vec<(u64, Vec<u8>)> {
    let mut order = Vec::new();
    while order.len() < count {
        match next(port) {
            ClientEvent::Deliver(delivery) => {
                order.push((delivery.sequence, delivery.payload.to_vec()));
            }
            ClientEvent::Closed(reason) => panic!("closed: {reason}"),
            ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
    order
}

/// Members of port a as this node sees them.
pub(crate) fn members(node: &Node) -> Vec<u8> {
    let ports = snapshot(node).gab.ports;
    ports.into_iter().find(|port| port.port == "a").map(|port| port.members).unwrap_or_default()
}
