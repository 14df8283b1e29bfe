//! One of each, for tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use llt::{Id, Incarnation, NodeId};

use crate::disk::*;
use crate::model::sample::{self, name};
use crate::model::{Epoch, Group, Name, Owner, Serial, Stamp, Tid, UniqueId, Volume};

pub(super) fn writer() -> Id {
    Id { node: NodeId::new(3).unwrap(), incarnation: Incarnation(0x0102_0304_0506_0708) }
}

pub(super) fn stamp(epoch: u64, tid: u64) -> Stamp {
    Stamp { epoch: Epoch(epoch), tid: Tid(tid) }
}

pub(super) fn slot(number: u8) -> Slot {
    Slot::new(number).unwrap()
}

/// The identity of a disk of the sample group, from 1.
pub(super) fn disk_id(number: u32) -> UniqueId {
    UniqueId::new(1_283_432_300, number, "host1")
}

pub(super) fn group_id() -> UniqueId {
    sample::group().id
}

pub(super) fn cluster() -> Owner {
    Owner::Cluster(name("clus1"))
}

/// The smallest disk.
pub(super) fn geometry() -> Geometry {
    Geometry::new(16_384, PRIVATE_LEN_MIN).unwrap()
}

pub(super) fn label(number: u32) -> Label {
    Label { disk: disk_id(number), created: 1_283_432_300, sector_size: 512, geometry: geometry() }
}

pub(super) fn claim(number: u32) -> Claim {
    let member = Member {
        group: group_id(),
        group_name: name("mydg"),
        dm: dm(number),
        owner: cluster(),
        autoimport: true,
        serial: Serial(1),
    };
    Claim {
        slot: slot(1),
        disk: disk_id(number),
        member: Some(member),
        tenure: 4,
        stamp: stamp(2, 7),
        floor: stamp(2, 6),
        writer: writer(),
        updated: 1_283_432_345,
        seqno: 33,
    }
}

pub(super) fn dm(number: u32) -> Name {
    name(&format!("mydg0{number}"))
}

pub(super) fn image() -> Image {
    image_of(sample::group())
}

pub(super) fn image_of(group: Group) -> Image {
    let request = RequestId { origin: writer(), number: 17 };
    let outcome = Outcome { request, decision: Decision::Committed, tid: Tid(6) };
    Image {
        slot: slot(2),
        stamp: stamp(2, 7),
        writer: writer(),
        claiming: false,
        outcomes: [outcome].into_iter().collect(),
        copies: CopyList::default().assign(&group, &BTreeSet::new()),
        earlier: Vec::new(),
        group: Arc::new(group),
    }
}

/// The sample group with more volumes: each takes some 90 bytes of text.
pub(super) fn group_with(volumes: usize) -> Group {
    let mut group = sample::group();
    for number in 0..volumes {
        let volume = Volume {
            common: group.common(),
            minor: group.free_minor(),
            plexes: Vec::new(),
            ..group.volumes["vol1"].clone()
        };
        group.volumes.insert(name(&format!("more{number}")), volume);
    }
    group
}

/// The configuration of an image, to be changed.
pub(super) fn group_of(image: &mut Image) -> &mut Group {
    Arc::make_mut(&mut image.group)
}
