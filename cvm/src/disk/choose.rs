//! Which configuration of a group counts, of all that its disks have.
//!
//! The newest that is whole, if enough of the copies that it names were seen, and if no part of the
//! group was used apart from the others. Everything else is refused, and most of it can be forced.

mod error;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{ImportError, Split};

use super::claim::{Claims, Member};
use super::copies::{CopyKind, CopyList};
use super::image::{Head, Image, ImageError};
use super::label::Label;
use super::slot::{Held, SLOTS, Slot};
use crate::model::{Epoch, Name, Owner, Serial, Stamp, UniqueId};

/// What was read from one disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundDisk {
    /// How this node calls it.
    pub access: String,
    /// What it is.
    pub label: Label,
    /// To whom it belongs.
    pub claims: Claims,
    /// What its configuration copy has.
    pub slots: [FoundSlot; SLOTS],
}

/// What was read from a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FoundSlot {
    /// A whole image.
    Image(Box<Image>),
    /// No image that is whole.
    Invalid {
        /// What is wrong with it.
        error: ImageError,
        /// Its head, if that is whole.
        head: Option<Box<Head>>,
    },
    /// Its first block could not be read: anything may be there.
    Unreadable,
}

impl FoundSlot {
    /// What the bytes of a slot are. They may end behind its image, or where the disk can be read no
    /// further, if that is behind the first block.
    pub fn decode(slot: Slot, bytes: &[u8]) -> Self {
        match Image::decode(slot, bytes) {
            Ok(image) => Self::Image(Box::new(image)),
            Err(error) => {
                Self::Invalid { error, head: Head::decode(slot, bytes).ok().map(Box::new) }
            }
        }
    }
}

/// What somebody wants to import.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportRequest {
    /// Which group.
    pub group: UniqueId,
    /// Whose disks may be taken, besides those of nobody: this host, or this cluster.
    pub owners: Vec<Owner>,
    /// Take those of others, too: `vxdg -C import`.
    pub clear: bool,
    /// Although disks are missing: `vxdg -f import`.
    pub force: bool,
    /// The configuration of this disk: `vxdg -o selectcp=diskid import`.
    pub select: Option<UniqueId>,
}

/// What counts, and what was seen beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// The configuration.
    pub image: Image,
    /// The highest epoch seen anywhere on the group's disks; the importer takes a higher one.
    pub epoch: Epoch,
    /// What the slots hold, for [`next_slot`](super::next_slot). In force is that of the image.
    pub held: Held,
    /// Disks of the configuration that were not found, and their records.
    pub missing: BTreeMap<Name, UniqueId>,
    /// Disks that say that they belong to the group, and it does not know them: they were about to be
    /// added, or to be removed, and are free.
    pub stray: BTreeSet<UniqueId>,
    /// Slots with something that is no whole image: a write that was cut short, or damage. "Errors in
    /// some configuration copies".
    pub damaged: Vec<Damaged>,
    /// Fewer copies were seen than are needed, and it was forced.
    pub forced: bool,
    /// Where the newer configurations are that were passed over, because this one was selected.
    passed_over: Vec<CopyList>,
}

impl Choice {
    /// The earlier lists of the first image that the importer writes, if it is to name the copies
    /// `new`. An import that was forced has given up what it did not see.
    pub fn earlier_for(&self, new: &CopyList) -> Vec<CopyList> {
        if self.forced {
            return Vec::new();
        }
        let mut earlier = self.image.earlier_in_doubt(new);
        let other = |list: &&CopyList| !earlier.contains(list) && **list != new.only_active();
        let passed_over: Vec<_> = self.passed_over.iter().filter(other).cloned().collect();
        earlier.extend(passed_over);
        earlier
    }
}

/// A slot with something that is no whole image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damaged {
    /// Which disk.
    pub disk: UniqueId,
    /// Which slot of it.
    pub slot: Slot,
    /// What is wrong; `None` if it cannot be read.
    pub error: Option<ImageError>,
    /// The stamp that it had, if that much can be read. One above the chosen one may have been in
    /// force, if it was damaged after it was written.
    pub stamp: Option<Stamp>,
}

/// The groups that disks say they belong to, for an import by name: several have one name at times.
pub fn groups(disks: &[FoundDisk]) -> BTreeMap<UniqueId, BTreeSet<Name>> {
    let mut groups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for member in disks.iter().filter_map(|disk| disk.claims.member()) {
        groups.entry(member.group.clone()).or_default().insert(member.group_name.clone());
    }
    groups
}

/// Finds the configuration that counts. Nothing is written by that.
pub fn choose(request: &ImportRequest, disks: &[FoundDisk]) -> Result<Choice, ImportError> {
    let members = members(request, disks)?;
    check_owners(request, &members)?;
    let seen = Seen::of(request, &members);
    let image = newest(request, &seen)?;
    check_serials(request, &members, image)?;
    check_alone(request, &seen, image)?;
    let passed_over = passed_over(&seen, image);
    let forced = check_copies(request, &seen, image, &passed_over)?;
    let records = || image.group.disks.iter().filter(|(_, dm)| !dm.removed);
    let known: BTreeSet<_> = records().filter_map(|(_, dm)| dm.disk.as_ref()).collect();
    let missing = records().filter_map(|(name, dm)| {
        let id = dm.disk.as_ref().filter(|id| !members.contains_key(*id))?;
        Some((name.clone(), id.clone()))
    });
    Ok(Choice {
        missing: missing.collect(),
        stray: members.keys().filter(|id| !known.contains(*id)).map(|id| (*id).clone()).collect(),
        image: image.clone(),
        epoch: seen.epoch,
        held: seen.held,
        damaged: seen.damaged,
        forced,
        passed_over,
    })
}

/// The disks that say that they belong to the group.
fn members<'a>(
    request: &ImportRequest,
    disks: &'a [FoundDisk],
) -> Result<BTreeMap<&'a UniqueId, &'a FoundDisk>, ImportError> {
    let mut members = BTreeMap::new();
    for disk in disks {
        if disk.claims.member().is_none_or(|member| member.group != request.group) {
            continue;
        }
        let id = &disk.label.disk;
        if let Some(other) = members.insert(id, disk) {
            let access = [other.access.clone(), disk.access.clone()];
            return Err(ImportError::DuplicateDisk { disk: id.clone(), access });
        }
    }
    if members.is_empty() { Err(ImportError::NoSuchGroup) } else { Ok(members) }
}

fn check_owners(
    request: &ImportRequest,
    members: &BTreeMap<&UniqueId, &FoundDisk>,
) -> Result<(), ImportError> {
    for disk in members.values() {
        let owner = disk.claims.member().map_or(&Owner::Nobody, |member| &member.owner);
        let ours = *owner == Owner::Nobody || request.owners.contains(owner);
        if !ours && !request.clear {
            let (access, owner) = (disk.access.clone(), owner.clone());
            return Err(ImportError::InUse { access, owner });
        }
    }
    Ok(())
}

/// What the disks of the group have.
struct Seen<'a> {
    images: Vec<(&'a UniqueId, &'a Image)>,
    /// The highest floor of all claims: the newest configuration is this one or a newer one.
    floor: Stamp,
    /// Disks whose slots can be read: whatever was written to them is seen. That an image is in
    /// pieces does not matter, for no image was committed while it was; that of a disk that was
    /// about to become a copy is its only one.
    copies: BTreeSet<UniqueId>,
    held: Held,
    epoch: Epoch,
    damaged: Vec<Damaged>,
}

impl<'a> Seen<'a> {
    fn of(request: &ImportRequest, members: &BTreeMap<&'a UniqueId, &'a FoundDisk>) -> Self {
        let mut seen = Self {
            images: Vec::new(),
            floor: Stamp::default(),
            copies: BTreeSet::new(),
            held: [None; SLOTS],
            epoch: Epoch(0),
            damaged: Vec::new(),
        };
        for (id, disk) in members {
            if !disk.slots.contains(&FoundSlot::Unreadable) {
                seen.copies.insert((*id).clone());
            }
            if let Some(claim) = &disk.claims.newest {
                seen.epoch = seen.epoch.max(claim.stamp.epoch).max(claim.floor.epoch);
                seen.floor = seen.floor.max(claim.floor);
            }
            for (slot, found) in Slot::ALL.into_iter().zip(&disk.slots) {
                seen.look(request, id, slot, found);
            }
        }
        seen
    }

    fn look(
        &mut self,
        request: &ImportRequest,
        disk: &'a UniqueId,
        slot: Slot,
        found: &'a FoundSlot,
    ) {
        let (error, head) = match found {
            FoundSlot::Image(image) if image.group.id == request.group => {
                self.images.push((disk, image));
                let held = &mut self.held[slot.index()];
                *held = (*held).max(Some(image.stamp));
                self.epoch = self.epoch.max(image.stamp.epoch);
                return;
            }
            // Left from a group that the disk was in before.
            FoundSlot::Image(_) => return,
            FoundSlot::Invalid { error, .. } if error.is_blank() => return,
            FoundSlot::Invalid { head: Some(head), .. } if head.group != request.group => return,
            FoundSlot::Invalid { error, head } => (Some(error.clone()), head.as_ref()),
            FoundSlot::Unreadable => (None, None),
        };
        let stamp = head.map(|head| head.stamp);
        self.epoch = self.epoch.max(stamp.map_or(Epoch(0), |stamp| stamp.epoch));
        self.damaged.push(Damaged { disk: disk.clone(), slot, error, stamp });
    }
}

/// The newest image, of the selected disk or of all.
fn newest<'a>(request: &ImportRequest, seen: &Seen<'a>) -> Result<&'a Image, ImportError> {
    let selected = |disk: &UniqueId| request.select.as_ref().is_none_or(|select| select == disk);
    let candidates = seen.images.iter().filter(|(disk, _)| selected(disk)).map(|(_, image)| *image);
    // Of two with one stamp any is as good as the other, if it is the same one on every node.
    let newest = candidates.max_by_key(|image| (image.stamp, image.writer));
    newest.ok_or_else(|| ImportError::NoValidCopies { damaged: seen.damaged.clone() })
}

/// No disk was used apart from the others (facts 3.17). Whoever selects a configuration has seen that
/// and decided.
fn check_serials(
    request: &ImportRequest,
    members: &BTreeMap<&UniqueId, &FoundDisk>,
    image: &Image,
) -> Result<(), ImportError> {
    if !image.group.ssb || request.select.is_some() {
        return Ok(());
    }
    let splits = image.group.disks.iter().filter_map(|(dm, record)| {
        let disk = members.get(record.disk.as_ref()?)?;
        let (member, expected) = (disk.claims.member()?, record.serial);
        let (id, actual) = (disk.label.disk.clone(), member.serial);
        let same = is_serial(image, member, expected);
        (!same).then(|| Split { dm: dm.clone(), disk: id, actual, expected })
    });
    let splits: Vec<_> = splits.collect();
    if splits.is_empty() { Ok(()) } else { Err(ImportError::SplitBrain { splits }) }
}

/// A disk has the serial that a configuration expects: it was not used apart from it.
pub(super) fn is_serial(image: &Image, member: &Member, expected: Serial) -> bool {
    // An import that was cut short has raised the record, and not the claim yet.
    let interrupted = image.claiming && member.serial.0.checked_add(1) == Some(expected.0);
    member.serial == expected || interrupted
}

/// No other configuration has its stamp.
fn check_alone(request: &ImportRequest, seen: &Seen<'_>, image: &Image) -> Result<(), ImportError> {
    let mut others = seen.images.iter().filter(|(_, other)| other.stamp == image.stamp);
    if request.select.is_some() || others.all(|(_, other)| *other == image) {
        Ok(())
    } else {
        Err(ImportError::Inconsistent { stamp: image.stamp })
    }
}

/// Enough copies were seen that there can be no newer configuration, and that those of configurations
/// that are passed over can be overruled. True if they were not, and that is forced. Kernel logs do
/// not matter: nothing is noted there.
fn check_copies(
    request: &ImportRequest,
    seen: &Seen<'_>,
    image: &Image,
    passed_over: &[CopyList],
) -> Result<bool, ImportError> {
    if image.stamp < seen.floor && !request.force && request.select.is_none() {
        return Err(ImportError::Older { newest: image.stamp, floor: seen.floor });
    }
    let mut enough = image.stamp >= seen.floor;
    let (kind, disks) = (CopyKind::Config, &seen.copies);
    let unseen = image.lists().filter(|list| !list.is_seen(kind, disks));
    for list in unseen.chain(passed_over.iter().filter(|list| !list.is_written(kind, disks))) {
        let (found, active) = list.count(kind, disks);
        if !request.force {
            return Err(ImportError::TooFewCopies { found, active });
        }
        enough = false;
    }
    Ok(!enough)
}

/// The lists of images that are newer than the one that was selected. What is written next has to be
/// found by whoever would import one of those.
fn passed_over(seen: &Seen<'_>, image: &Image) -> Vec<CopyList> {
    let mut lists: Vec<CopyList> = Vec::new();
    let newer = seen.images.iter().filter(|(_, other)| other.stamp >= image.stamp);
    for list in newer.filter(|(_, other)| *other != image).flat_map(|(_, other)| other.lists()) {
        let list = list.only_active();
        if !lists.contains(&list) {
            lists.push(list);
        }
    }
    lists
}
