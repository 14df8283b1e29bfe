//! What a disk group consists of: disks, subdisks, plexes, volumes (facts part 1), and what holds of
//! it at every moment.
//!
//! Plain values without I/O. [`text`] writes and reads them as descriptions, which are what images on
//! disk, changes between nodes, `vxprint -m` and `vxmake` consist of.

pub mod apply;
pub mod change;
pub mod check;
pub mod fill;
pub mod finding;
pub mod group;
pub mod ids;
pub mod limits;
pub mod maps;
pub mod op;
pub mod record;
pub mod records;
pub mod refused;
#[cfg(test)]
pub(crate) mod sample;
pub mod size;
pub mod states;
pub mod text;

pub use apply::{Env, NewDisk, apply};
pub use check::{Broken, Flaw, check};
pub use finding::Finding;
pub use group::{Copies, Group, Kind, Owner};
pub use ids::{Epoch, Name, ParseIdError, Rid, Serial, Stamp, Tid, UniqueId};
pub use maps::MapPlace;
pub use record::{
    Common, Disk, Fill, Layout, Origin, Permissions, Piece, Plex, Source, Subdisk, Volume,
};
pub use records::Records;
pub use refused::Refused;
pub use size::Sectors;
pub use states::{
    Activation, DetachPolicy, FailPolicy, KernelState, LogType, PlexState, ReadPolicy, VolumeState,
};
