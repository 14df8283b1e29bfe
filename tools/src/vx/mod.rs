//! The commands of CVM (facts part 4). Each is a module as the other commands are; this one has what
//! they share: the conversation with vxconfigd, the group that is meant, lengths and names.

mod copies;
mod daemon;
mod device;
mod group;
mod keyword;
mod moves;
mod opens;
mod operand;
#[cfg(test)]
mod sample_disks;
mod values;
mod view;
pub mod volboot;
pub mod vxassist;
pub mod vxclustadm;
pub mod vxconfigbackup;
pub mod vxconfigrestore;
pub mod vxdctl;
pub mod vxdg;
pub mod vxdisk;
pub mod vxdisksetup;
pub mod vxdiskunsetup;
pub mod vxedit;
pub mod vxevac;
pub mod vxinfo;
pub mod vxmake;
pub mod vxmend;
pub mod vxnotify;
pub mod vxplex;
pub mod vxprint;
pub mod vxreattach;
pub mod vxrecover;
pub mod vxrelocd;
pub mod vxsnap;
pub mod vxsplitlines;
pub mod vxstat;
pub mod vxtask;
pub mod vxtrace;
pub mod vxunreloc;
pub mod vxvol;

pub use daemon::{Daemon, exit, several};
pub use group::GroupOption;

use cvm::model::size::{self, SizeError};
use cvm::model::{Name, Sectors};

/// A length on the command line: `2048`, `100m`, `1g`.
///
/// # Errors
/// If it is none.
pub fn length(text: &str) -> Result<Sectors, SizeError> {
    size::parse(text)
}

/// The name of a record on the command line.
///
/// # Errors
/// If none can be called that.
pub fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}
