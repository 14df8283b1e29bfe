//! gabd as a process.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod devices;
mod faults;
mod keys;
mod llt;
mod llt_ports;
mod metrics;
mod messages;
mod namespace;
mod node;
mod process;
mod supervision;
mod support;
