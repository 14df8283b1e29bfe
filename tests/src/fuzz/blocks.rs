//! One of each block that the private region of a disk has.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cvm::disk::{
    Claim, CopyList, Decision, Geometry, Image, Label, Member, Outcome, PRIVATE_LEN_DEFAULT,
    RequestId, Slot,
};
use cvm::model::{Epoch, Name, Owner, Serial, Stamp, Tid, UniqueId, text};
use llt::{Id, Incarnation, NodeId};

/// By the names that their files in the corpus have.
pub(super) fn samples() -> Vec<(String, Bytes)> {
    let image = image();
    let member = Claim { member: Some(member()), ..claim() };
    let mut long = image.clone();
    let group = Arc::make_mut(&mut long.group);
    let disk = group.disks.values().next().cloned();
    let disk = disk.expect("the sample has a disk");
    for number in 0..40 {
        let mut other = disk.clone();
        other.common = group.common();
        other.disk = Some(UniqueId::new(1, number, "host1"));
        group.disks.insert(name(&format!("more{number}")), other);
    }
    let [label, second] = label().encode().expect("a label");
    let [free, _] = claim().encode().expect("a claim");
    let [_, member] = member.encode().expect("a claim");
    let samples = [
        ("label", label),
        ("label-second", second),
        ("claim-free", free),
        ("claim-member", member),
        ("image", image.encode(1).expect("it fits a block")),
        ("image-long", long.encode(9).expect("it fits")),
    ];
    samples.map(|(name, bytes)| (name.to_owned(), Bytes::from(bytes))).into()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn disk_id() -> UniqueId {
    UniqueId::new(1_283_432_300, 1, "host1")
}

fn writer() -> Id {
    Id { node: NodeId::new(3).expect("below 128"), incarnation: Incarnation(0x5f2a) }
}

fn stamp() -> Stamp {
    Stamp { epoch: Epoch(2), tid: Tid(7) }
}

fn label() -> Label {
    let geometry = Geometry::new(1 << 21, PRIVATE_LEN_DEFAULT).expect("a disk of 1 GiB");
    Label { disk: disk_id(), created: 1_283_432_300, sector_size: 512, geometry }
}

fn claim() -> Claim {
    Claim {
        slot: Slot::ALL[1],
        disk: disk_id(),
        member: None,
        tenure: 4,
        stamp: stamp(),
        floor: Stamp { tid: Tid(6), ..stamp() },
        writer: writer(),
        updated: 1_283_432_345,
        seqno: 33,
    }
}

fn member() -> Member {
    Member {
        group: UniqueId::new(1_283_432_345, 33, "host1"),
        group_name: name("mydg"),
        dm: name("mydg01"),
        owner: Owner::Cluster(name("clus1")),
        autoimport: true,
        serial: Serial(1),
    }
}

fn image() -> Image {
    let group = text::read_group(GROUP).expect("the group is described rightly");
    let request = RequestId { origin: writer(), number: 17 };
    let outcome = Outcome { request, decision: Decision::Committed, tid: Tid(6) };
    Image {
        slot: Slot::ALL[2],
        stamp: stamp(),
        writer: writer(),
        claiming: false,
        outcomes: [outcome].into_iter().collect(),
        copies: CopyList::default().assign(&group, &BTreeSet::new()),
        earlier: Vec::new(),
        group: group.into(),
    }
}

const GROUP: &str = "\
dg mydg dgid=1283432345.33.host1 version=140 cluster=clus1 cds=on serial=0.1 next_rid=0.1033
dm mydg01 diskid=1283432300.1.host1 device=disk_1 publen=131072 privlen=65536 serial=0.1 rid=0.1024
sd mydg01-01 dm=mydg01 dmoffset=0 len=8192 rid=0.1025
plex vol1-01 sd=mydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1026
vol vol1 use_type=fsgen len=8192 plex=vol1-01 state=ACTIVE kstate=ENABLED minor=0 rid=0.1027
";
