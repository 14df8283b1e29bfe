//! The commands and the testbed.

pub mod muster;
