//! CVM: shared disk groups, cluster-wide atomic configuration and mirrored volumes on top of GAB.
//!
//! [`model`] is what a disk group consists of and which changes it allows, [`disk`] how that lies on
//! disks. `docs/cvm.md` walks one change of the configuration through all of it.

pub mod client;
pub mod core;
pub mod disk;
#[cfg(feature = "daemon")]
pub mod io;
pub mod model;
pub mod request;
pub mod snapshot;
