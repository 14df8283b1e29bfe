//! gabd as a process.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod devices;
mod events;
mod faults;
mod keys;
mod llt;
mod llt_ports;
mod messages;
mod metrics;
mod namespace;
mod node;
mod process;
mod supervision;
mod support;
