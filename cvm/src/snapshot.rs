//! What listings show: plain values, filled by vxconfigd, printed by the utilities. The names of the
//! fields are the stable keys of `--json`.

use serde::{Deserialize, Serialize};

use crate::core::iod::Pace;
use crate::model::{Activation, Group, Sectors};

/// What one vxconfigd knows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Snapshot {
    /// Of vxconfigd: `enabled` or `disabled` (facts 3.12).
    pub mode: String,
    /// This host.
    pub host: String,
    /// The node in its cluster.
    pub cluster: ClusterSnapshot,
    /// Disks that this node has a path to, by access name.
    pub disks: Vec<DiskSnapshot>,
    /// Groups that are imported here, by name.
    pub groups: Vec<GroupSnapshot>,
    /// Volumes whose copies are being made equal.
    pub tasks: Vec<TaskSnapshot>,
}

/// A volume whose copies are being made equal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TaskSnapshot {
    /// The minor number of the volume: the same on all nodes, and of no other task.
    pub id: u32,
    /// The group.
    pub group: String,
    /// The volume.
    pub volume: String,
    /// All copies are made equal; else only these plexes are filled.
    pub is_whole: bool,
    /// Plexes that are current when it is over.
    pub plexes: Vec<String>,
    /// It is filled with what this other volume held.
    #[serde(default)]
    pub source: Option<String>,
    /// Everything before this sector is equal; so many sectors are filled.
    pub at: Sectors,
    /// How long the volume is.
    pub len: Sectors,
    /// How fast it goes.
    pub pace: Pace,
}

/// The node in its cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ClusterSnapshot {
    /// The cluster's name.
    pub name: String,
    /// This node.
    pub node: u8,
    /// `cluster aborting`, `cluster member`, `joining` or `out of cluster` (facts 3.11).
    pub state: String,
    /// Why it is out of the cluster; empty if it is not.
    pub reason: String,
    /// The master.
    pub master: Option<u8>,
    /// Nodes that are configured, by id.
    pub nodes: Vec<NodeSnapshot>,
    /// The generation of the last view in which somebody left.
    pub reconfig_seqnum: u64,
    /// How much this node wants to be master.
    pub preference: i32,
    /// A reconfiguration is under way.
    pub is_suspended: bool,
    /// Versions of the protocol that this node speaks.
    pub protocol_minimum: u16,
    /// The same.
    pub protocol_maximum: u16,
    /// vxiod is connected.
    pub has_iod: bool,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NodeSnapshot {
    /// Its id.
    pub node: u8,
    /// Its name in `llthosts`.
    pub name: String,
    /// It has joined.
    pub is_member: bool,
    /// It waits to join.
    pub is_joiner: bool,
}

/// A disk as this node sees it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DiskSnapshot {
    /// Its access name.
    pub access: String,
    /// The path that it is reached by.
    pub path: String,
    /// What is wrong with it; empty for one that can be used.
    pub error: String,
    /// It can be read, and was never initialised.
    pub is_invalid: bool,
    /// Its identity; empty if it has none.
    pub id: String,
    /// When it was initialised, in seconds since 1970.
    pub created: u64,
    /// The member that it is of the group that it belongs to; empty if it is free.
    pub dm: String,
    /// That group's name.
    pub group: String,
    /// That group's identity.
    pub group_id: String,
    /// The cluster whose it is.
    pub cluster: String,
    /// The host whose it is.
    pub host: String,
    /// The group is imported by itself.
    pub autoimport: bool,
    /// The group is imported here.
    pub imported: bool,
    /// Hot relocation takes it.
    pub spare: bool,
    /// Hot relocation leaves it alone.
    pub nohotuse: bool,
    /// It has shown errors.
    pub failing: bool,
    /// Counts the imports it took part in, `0.3`.
    pub serial: String,
    /// When it last said something else of itself, in seconds since 1970.
    pub updated: u64,
    /// How often it did.
    pub seqno: u64,
    /// Private region.
    pub private_offset: Sectors,
    /// Private region.
    pub private_len: Sectors,
    /// Public region.
    pub public_offset: Sectors,
    /// Public region.
    pub public_len: Sectors,
    /// Where the two headers are, in sectors of the private region.
    pub headers: [Sectors; 2],
    /// Length of the configuration copy.
    pub config_len: Sectors,
    /// Length of the log copy.
    pub log_len: Sectors,
    /// The regions of the private region, in their order.
    pub regions: Vec<RegionSnapshot>,
}

/// A region of a private region.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RegionSnapshot {
    /// `config`, `log` or `lockrgn`.
    pub kind: String,
    /// First sector.
    pub first: Sectors,
    /// How many.
    pub len: Sectors,
    /// A copy that counts.
    pub enabled: bool,
}

/// A group that is imported here.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GroupSnapshot {
    /// The configuration.
    pub group: Group,
    /// The transaction that made it, `0.1976`.
    pub tid: String,
    /// Its epoch.
    pub epoch: u64,
    /// Activation of this node; private groups have none.
    pub local_activation: Option<Activation>,
    /// Activation of all members.
    pub activations: Vec<(u8, Activation)>,
    /// Nothing of it could be written: it cannot be used until it is imported anew.
    pub disabled: bool,
    /// Where its copies are.
    pub copies: Vec<CopySnapshot>,
    /// Length of a configuration copy, in blocks of 128 bytes, as the original counts.
    pub config_blocks: u64,
    /// How many of them are free.
    pub config_free: u64,
}

/// A disk with copies of a group's configuration or log.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CopySnapshot {
    /// The member.
    pub dm: String,
    /// Its access name here; empty if it has no path.
    pub access: String,
    /// `Some(true)`: an active copy of the configuration; `Some(false)`: one that failed.
    pub config: Option<bool>,
    /// The same of the log.
    pub log: Option<bool>,
}
