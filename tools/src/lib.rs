//! The commands and the testbed.
//!
//! Each command is a module with its definition (`command`), what it does (`main`) and the tables
//! that it prints; the binaries only call `main`. [`docs`] writes the man pages and shell
//! completions from the same definitions.

pub mod common;
pub mod docs;
pub mod gabconfig;
pub mod gabport;
#[cfg(test)]
mod golden;
pub mod lltconfig;
pub mod lltdump;
pub mod lltping;
pub mod lltstat;
pub mod llttest;
pub mod muster;
pub mod vx;
