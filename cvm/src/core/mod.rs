//! The control plane: who is master, who has joined, and how a change of the configuration happens
//! everywhere or nowhere. Pure: time, messages and the ends of disk writes are inputs.
//!
//! Two machines on each node, as in the original: [`iod::Iod`] is what the kernel was, lives in
//! `vxiod` and speaks on port v; `configd` is the user level, lives in `vxconfigd` and speaks on port
//! w. `docs/cvm.md` draws how one change walks through both.

pub mod configd;
pub mod iod;
pub mod txn;
pub mod wire;
