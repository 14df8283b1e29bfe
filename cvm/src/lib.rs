//! CVM: shared disk groups, cluster-wide atomic configuration and mirrored volumes on top of GAB.
//!
//! [`model`] is what a disk group consists of and which changes it allows, [`disk`] how that lies on
//! disks. `docs/cvm.md` walks one change of the configuration through all of it.

pub mod client;
#[cfg(feature = "daemon")]
pub mod configd;
pub mod core;
#[cfg(feature = "daemon")]
mod daemon;
pub mod disk;
#[cfg(feature = "daemon")]
pub mod engine;
pub mod export;
#[cfg(feature = "daemon")]
pub mod fuse;
#[cfg(feature = "daemon")]
pub mod io;
#[cfg(feature = "daemon")]
pub mod iod;
pub mod model;
pub mod request;
#[cfg(feature = "sim")]
pub mod sim;
pub mod snapshot;
pub mod stats;
pub mod volboot;
pub mod volume;
