//! gabd as a process.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod faults;
mod llt;
mod node;
mod process;
mod support;
