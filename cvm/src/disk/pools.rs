//! Which disks of a group were used together (facts 3.17): what there is to choose from when parts of it
//! were imported apart from each other.

use std::collections::BTreeMap;

use super::choose::{FoundDisk, FoundSlot, is_serial};
use super::image::Image;
use crate::model::{Disk, UniqueId};

/// Disks that go together, and the newest configuration that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool<'a> {
    /// `None`: no configuration that was found knows these disks as they are.
    pub image: Option<&'a Image>,
    /// The disks, by access name.
    pub disks: Vec<&'a FoundDisk>,
}

impl Pool<'_> {
    /// A disk with the configuration: what `vxdg -o selectcp=` takes.
    pub fn copy(&self) -> Option<&UniqueId> {
        let mut disks =
            self.disks.iter().filter(|disk| images(disk).any(|i| Some(i) == self.image));
        disks.next().map(|disk| &disk.label.disk)
    }
}

/// The pools of all groups that the disks belong to, by group. One pool is a group that is whole.
pub fn pools(disks: &[FoundDisk]) -> BTreeMap<&UniqueId, Vec<Pool<'_>>> {
    let mut groups: BTreeMap<_, Vec<&FoundDisk>> = BTreeMap::new();
    for disk in disks {
        if let Some(member) = disk.claims.member() {
            groups.entry(&member.group).or_default().push(disk);
        }
    }
    groups.into_iter().map(|(group, members)| (group, of_group(group, members))).collect()
}

/// The newest configuration takes all disks that are as it says, the next one of those that are left,
/// and so on.
fn of_group<'a>(group: &UniqueId, mut left: Vec<&'a FoundDisk>) -> Vec<Pool<'a>> {
    let mut found: Vec<&Image> = left.iter().flat_map(|disk| images(disk)).collect();
    found.retain(|image| image.group.id == *group);
    found.sort_by_key(|image| std::cmp::Reverse((image.stamp, image.writer)));
    if let Some(newest) = found.first() {
        // What it does not name has left the group, or never came in.
        left.retain(|disk| record(newest, disk).is_some());
    }
    let mut pools = Vec::new();
    for image in found {
        let (disks, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|disk| is_as_it_says(disk, image));
        left = others;
        if !disks.is_empty() {
            pools.push(Pool { image: Some(image), disks });
        }
    }
    if !left.is_empty() {
        pools.push(Pool { image: None, disks: left });
    }
    pools
}

fn images(disk: &FoundDisk) -> impl Iterator<Item = &Image> {
    disk.slots.iter().filter_map(|slot| match slot {
        FoundSlot::Image(image) => Some(&**image),
        FoundSlot::Invalid { .. } | FoundSlot::Unreadable => None,
    })
}

fn record<'a>(image: &'a Image, disk: &FoundDisk) -> Option<&'a Disk> {
    image.group.disks.values().find(|dm| dm.disk.as_ref() == Some(&disk.label.disk))
}

fn is_as_it_says(disk: &FoundDisk, image: &Image) -> bool {
    let same = record(image, disk)
        .zip(disk.claims.member())
        .is_some_and(|(dm, member)| is_serial(image, member, dm.serial));
    // Two that have one stamp are of two masters.
    let is_twin = |other: &Image| {
        other.group.id == image.group.id && other.stamp == image.stamp && other != image
    };
    same && !images(disk).any(is_twin)
}
