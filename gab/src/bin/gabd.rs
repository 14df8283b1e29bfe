//! gabd: LLT and GAB of one node.

fn main() {}
