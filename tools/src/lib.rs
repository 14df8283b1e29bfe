//! The commands and the testbed.
