//! Types and numbers of `gab.h`; the tests compare them with what a C compiler makes of the header.

use std::ffi::{c_char, c_void};
use std::ptr;

use client::{ClientEvent, Delivery, Level, PortView};
use llt::NodeSet;

/// Flags of a send.
pub(crate) const SAFE: u32 = 1;
pub(crate) const MORE: u32 = 2;
pub(crate) const NONBLOCK: u32 = 4;

/// Flags of [`Options`].
pub(crate) const OPT_ACK: u32 = 1;
pub(crate) const OPT_KERNEL: u32 = 2;
pub(crate) const OPT_SHARED: u32 = 4;
pub(crate) const OPT_STATUS: u32 = 8;

/// `gab_options`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Options {
    pub(crate) size: u32,
    pub(crate) heartbeat_ms: u32,
    pub(crate) root: *const c_char,
    pub(crate) name: *const c_char,
    pub(crate) flags: u32,
}

/// `gab_nodeset`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub(crate) struct Nodes {
    bits: [u64; 2],
}

/// `gab_event`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Event {
    pub(crate) kind: u32,
    sender: u32,
    broadcast: u32,
    safe: u32,
    generation: u64,
    sequence: u64,
    data: *const c_void,
    len: usize,
    members: Nodes,
    joined: Nodes,
    left: Nodes,
    jeopardy: Nodes,
    visible: Nodes,
    reason: i32,
}

impl Event {
    /// The same for C. `data` points into the payload of `event`, so it lives as long as that.
    pub(crate) fn new(event: &ClientEvent) -> Self {
        match event {
            ClientEvent::Closed(reason) => Self { reason: -reason.errno(), ..Self::empty(CLOSED) },
            ClientEvent::Deliver(delivery) => Self::of_delivery(delivery),
            ClientEvent::Status(view) => Self::of_view(STATUS, view),
            ClientEvent::View(view) => Self::of_view(VIEW, view),
        }
    }

    fn of_delivery(delivery: &Delivery) -> Self {
        Self {
            sender: u32::from(delivery.sender.get()),
            broadcast: u32::from(delivery.broadcast),
            safe: u32::from(delivery.level == Level::Safe),
            generation: delivery.generation,
            sequence: delivery.sequence,
            data: delivery.payload.as_ptr().cast(),
            len: delivery.payload.len(),
            ..Self::empty(DELIVER)
        }
    }

    fn of_view(kind: u32, view: &PortView) -> Self {
        Self {
            generation: view.generation,
            members: view.members.into(),
            joined: view.joined.into(),
            left: view.left.into(),
            jeopardy: view.jeopardy.into(),
            visible: view.visible.into(),
            ..Self::empty(kind)
        }
    }

    fn empty(kind: u32) -> Self {
        let none = Nodes::default();
        Self {
            kind,
            sender: 0,
            broadcast: 0,
            safe: 0,
            generation: 0,
            sequence: 0,
            data: ptr::null(),
            len: 0,
            members: none,
            joined: none,
            left: none,
            jeopardy: none,
            visible: none,
            reason: 0,
        }
    }
}

impl From<NodeSet> for Nodes {
    fn from(nodes: NodeSet) -> Self {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Self { bits: [half(nodes.bits()), half(nodes.bits() >> 64)] }
    }
}

const DELIVER: u32 = 1;
const VIEW: u32 = 2;
const CLOSED: u32 = 3;
const STATUS: u32 = 4;

#[cfg(test)]
mod tests;
