//! What listings show, of what vxconfigd knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::core::configd::{Configd, Device, DeviceState};
use crate::core::iod::{TableView, Task, VERSIONS};
use crate::disk::{CopyState, FoundDisk, RegionKind};
use crate::model::text::write_group;
use crate::model::{Activation, Group, Owner};
use crate::snapshot::{
    ClusterSnapshot, CopySnapshot, DiskSnapshot, GroupSnapshot, NodeSnapshot, RegionSnapshot,
    Snapshot, TaskSnapshot,
};

/// What the core does not know.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Names of nodes by id, from `llthosts`.
    pub(super) names: BTreeMap<u8, String>,
    /// Paths of disks by access name.
    pub(super) paths: BTreeMap<String, PathBuf>,
    /// vxiod is connected.
    pub(super) has_iod: bool,
    /// This node.
    pub(super) node: u8,
    /// It has asked to join.
    pub(super) is_joining: bool,
}

pub(super) fn snapshot(configd: &Configd, around: &Surroundings) -> Snapshot {
    let mut groups: Vec<GroupSnapshot> =
        configd.tables().values().map(|table| group(configd, table, around)).collect();
    groups.extend(configd.disabled().map(|group| GroupSnapshot {
        group: group.clone(),
        tid: String::new(),
        epoch: 0,
        local_activation: None,
        activations: Vec::new(),
        disabled: true,
        copies: Vec::new(),
        config_blocks: 0,
        config_free: 0,
    }));
    groups.sort_by(|a, b| a.group.name.cmp(&b.group.name));
    Snapshot {
        mode: "enabled".to_owned(),
        host: configd.config().host.to_string(),
        cluster: cluster(configd, around),
        disks: configd.disks().values().map(|device| disk(configd, device, around)).collect(),
        groups,
        tasks: configd.tasks().iter().filter_map(|shown| task(configd, shown)).collect(),
    }
}

fn task(configd: &Configd, task: &Task) -> Option<TaskSnapshot> {
    let group = &configd.tables().get(&task.group)?.image.group;
    Some(TaskSnapshot {
        id: group.volumes.get(&task.volume)?.minor,
        group: group.name.to_string(),
        volume: task.volume.to_string(),
        is_whole: task.is_whole,
        source: task.source.as_ref().map(ToString::to_string),
        plexes: task.plexes.iter().map(ToString::to_string).collect(),
        at: task.at,
        len: task.len,
        pace: task.pace,
    })
}

fn cluster(configd: &Configd, around: &Surroundings) -> ClusterSnapshot {
    let role = configd.role();
    let state = match (role.is_member, around.is_joining) {
        (true, _) => "cluster member",
        (false, true) => "joining",
        (false, false) => "out of cluster",
    };
    let node = |(&node, name): (&u8, &String)| {
        let id = llt::NodeId::new(node);
        NodeSnapshot {
            node,
            name: name.clone(),
            is_member: id.is_some_and(|id| role.members.contains(id)),
            is_joiner: id.is_some_and(|id| role.joiners.contains(id)),
        }
    };
    ClusterSnapshot {
        name: configd.config().cluster.to_string(),
        node: around.node,
        state: state.to_owned(),
        reason: if state == "out of cluster" {
            configd.out_reason().to_owned()
        } else {
            String::new()
        },
        master: role.master.map(llt::NodeId::get),
        nodes: around.names.iter().map(node).collect(),
        reconfig_seqnum: role.reconfig,
        preference: configd.config().preference,
        is_suspended: role.is_suspended,
        protocol_minimum: VERSIONS.0,
        protocol_maximum: VERSIONS.1,
        has_iod: around.has_iod,
    }
}

fn disk(configd: &Configd, device: &Device, around: &Surroundings) -> DiskSnapshot {
    let path = around.paths.get(&device.access).map(|path| path.display().to_string());
    let mut shown = DiskSnapshot {
        access: device.access.clone(),
        path: path.unwrap_or_default(),
        ..DiskSnapshot::default()
    };
    match &device.state {
        DeviceState::Error(error) => shown.error.clone_from(error),
        DeviceState::Invalid(_) => shown.is_invalid = true,
        DeviceState::Ready(found) => fill(configd, found, &mut shown),
    }
    shown
}

fn fill(configd: &Configd, found: &FoundDisk, shown: &mut DiskSnapshot) {
    let (label, geometry) = (&found.label, &found.label.geometry);
    shown.id = label.disk.to_string();
    shown.created = label.created;
    (shown.private_offset, shown.private_len) = (geometry.private().offset, geometry.private().len);
    (shown.public_offset, shown.public_len) = (geometry.public().offset, geometry.public().len);
    shown.headers = geometry.headers();
    (shown.config_len, shown.log_len) = (geometry.config_len(), geometry.log_len());
    if let Some(claim) = &found.claims.newest {
        (shown.updated, shown.seqno) = (claim.updated, claim.seqno);
    }
    let tables = configd.tables().values();
    let mut members = tables.filter_map(|table| {
        let mut disks = table.image.group.disks.iter();
        let member = disks.find(|(_, dm)| dm.disk.as_ref() == Some(&label.disk))?;
        Some((table, member))
    });
    let imported = members.next();
    if let Some((table, (name, dm))) = imported {
        let group = &table.image.group;
        shown.imported = true;
        (shown.spare, shown.nohotuse, shown.failing) = (dm.spare, dm.nohotuse, dm.failing);
        (shown.dm, shown.group) = (name.to_string(), group.name.to_string());
        (shown.group_id, shown.autoimport) = (group.id.to_string(), group.autoimport);
        shown.serial = dm.serial.to_string();
        own(&group.owner, shown);
    } else if let Some(member) = found.claims.member() {
        (shown.dm, shown.group) = (member.dm.to_string(), member.group_name.to_string());
        (shown.group_id, shown.autoimport) = (member.group.to_string(), member.autoimport);
        shown.serial = member.serial.to_string();
        own(&member.owner, shown);
    }
    let copies = imported.map(|(table, _)| &table.image.copies);
    let is_active = |kind| {
        copies.is_some_and(|copies| copies.state(&label.disk, kind) == Some(CopyState::Active))
    };
    let region = |region: crate::disk::DefinedRegion| RegionSnapshot {
        kind: region.kind.word().to_owned(),
        first: region.offset,
        len: region.len,
        enabled: match region.kind {
            RegionKind::Config => is_active(crate::disk::CopyKind::Config),
            RegionKind::Log => is_active(crate::disk::CopyKind::Log),
            RegionKind::Claim | RegionKind::Label | RegionKind::Lock => false,
        },
    };
    shown.regions = geometry.defined_regions().map(region).to_vec();
}

fn own(owner: &Owner, shown: &mut DiskSnapshot) {
    match owner {
        Owner::Cluster(name) => shown.cluster = name.to_string(),
        Owner::Host(name) => shown.host = name.to_string(),
        Owner::Nobody => {}
    }
}

/// The original counts a configuration in blocks of 128 bytes.
const CONFIG_BLOCK: u64 = 128;

fn group(configd: &Configd, table: &TableView, around: &Surroundings) -> GroupSnapshot {
    let group = &table.image.group;
    let modes = configd.modes().iter().filter(|(id, ..)| *id == group.id);
    let mut activations: BTreeMap<u8, Activation> =
        configd.role().members.iter().map(|node| (node.get(), Activation::Off)).collect();
    activations.extend(modes.map(|(_, node, mode)| (node.get(), *mode)));
    let found: Vec<&FoundDisk> = configd
        .disks()
        .values()
        .filter_map(|device| match &device.state {
            DeviceState::Ready(found) => Some(&**found),
            DeviceState::Error(_) | DeviceState::Invalid(_) => None,
        })
        .collect();
    let copies = table.image.copies.iter().map(|(disk, copies)| {
        let dm = group.disks.iter().find(|(_, dm)| dm.disk.as_ref() == Some(disk));
        let here = found.iter().find(|found| found.label.disk == *disk);
        let state = |copy: Option<CopyState>| {
            copy.map(|copy| copy == CopyState::Active && !table.failed.contains(disk))
        };
        CopySnapshot {
            dm: dm.map(|(name, _)| name.to_string()).unwrap_or_default(),
            access: here.map(|found| found.access.clone()).unwrap_or_default(),
            config: state(copies.config),
            log: state(copies.log),
        }
    });
    let lens = found
        .iter()
        .filter(|found| group.disks.values().any(|dm| dm.disk.as_ref() == Some(&found.label.disk)));
    let bytes = |found: &&FoundDisk| {
        u64::from(found.label.geometry.slot_blocks()) * crate::disk::BLOCK as u64
    };
    let blocks = lens.map(bytes).min().unwrap_or(0) / CONFIG_BLOCK;
    let used = (write_group(group).len() as u64).div_ceil(CONFIG_BLOCK);
    let local = activations.get(&around.node).copied().filter(|_| group.is_shared());
    GroupSnapshot {
        tid: table.image.stamp.tid.to_string(),
        epoch: table.image.stamp.epoch.0,
        local_activation: local,
        activations: if group.is_shared() { activations.into_iter().collect() } else { Vec::new() },
        disabled: false,
        copies: copies.collect(),
        config_blocks: blocks,
        config_free: blocks.saturating_sub(used),
        group: Group::clone(group),
    }
}
