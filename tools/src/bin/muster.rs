//! The testbed.

fn main() {}
