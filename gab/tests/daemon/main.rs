//! gabd as a process.

mod faults;
mod node;
mod process;
mod support;
