//! gabd as a process.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod clocks;
mod devices;
mod events;
mod fake;
mod faults;
mod keys;
mod lease;
mod link_messages;
mod llt;
mod llt_ports;
mod member_messages;
mod messages;
mod metrics;
mod namespace;
mod node;
mod own_messages;
mod process;
mod strangers;
mod supervision;
mod support;
