//! Disks of a snapshot, as members of groups and as devices.

use cvm::model::{Disk, Name};
use cvm::snapshot::{DiskSnapshot, GroupSnapshot, Snapshot};

use crate::common::Failure;

/// The device of a member on this node, if it has one.
pub(super) fn device_of<'a>(snapshot: &'a Snapshot, dm: &Disk) -> Option<&'a DiskSnapshot> {
    let id = dm.disk.as_ref()?.to_string();
    snapshot.disks.iter().find(|disk| disk.id == id)
}

/// What listings call the device of a member: its access name here; without one, that under which it
/// was last seen.
pub(super) fn access_of(snapshot: &Snapshot, dm: &Disk) -> String {
    device_of(snapshot, dm).map_or_else(|| dm.access.clone(), |disk| disk.access.clone())
}

/// A group that is imported, by name or id.
///
/// # Errors
/// If there is none.
pub(super) fn group<'a>(snapshot: &'a Snapshot, name: &Name) -> Result<&'a GroupSnapshot, Failure> {
    let is_it = |known: &&GroupSnapshot| {
        known.group.name == *name || known.group.id.to_string() == name.as_str()
    };
    snapshot.groups.iter().find(is_it).ok_or_else(|| Failure::Operation {
        id: Some("V-5-1-2275".to_owned()),
        text: format!("Disk group {name}: No such disk group"),
    })
}

/// What a node is called; one that has no name in llthosts, by its number.
pub(super) fn node_name(snapshot: &Snapshot, node: u8) -> String {
    let named = snapshot.cluster.nodes.iter().find(|known| known.node == node);
    let name = named.map(|known| known.name.clone()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| format!("node{node}"))
}
