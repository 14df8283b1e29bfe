//! From a request to the configuration that it asks for: names, places and states are decided here.
//!
//! Pure: the same group, request and surroundings give the same result on every node and in every
//! run. [`apply`] changes nothing that it is given; what it returns is sent to all nodes, written and
//! committed by others. No data are copied here: a plex that would have to be copied is STALE, and
//! whoever does volume I/O copies to it once it is ENABLED.
//!
//! | file | requests |
//! |---|---|
//! | `make`, `plan` | `vxassist make`, `maxsize` |
//! | `resize`, `shrink` | `vxassist growby` ... `shrinkto`, `maxgrow` |
//! | `mirror`, `log`, `relocate` | `vxassist mirror`, `addlog`, `remove mirror`, `remove log`, `move` |
//! | `snapshot` | `vxassist snapstart` ... `snapclear` |
//! | `fill` | `vxsnap prepare` ... `restore` |
//! | `hot`, `back` | hot relocation, and `vxunreloc` |
//! | `records` | `vxmake` |
//! | `attach`, `copy` | `vxplex` |
//! | `run` | `vxvol` |
//! | `remove`, `edit`, `mend` | `vxedit`, `vxmend`, `vxassist remove volume`, `vxdg set`, `reminor` |
//! | `disks` | `vxdg adddisk`, `rmdisk`, `repldisk` |
//! | `space`, `place`, `build`, `tree` | what the others share |

use std::ops::Range;

mod attach;
mod back;
mod build;
mod copy;
mod disks;
mod edit;
mod fill;
mod hot;
mod log;
mod make;
mod mend;
mod mirror;
mod place;
mod plan;
mod records;
mod relocate;
mod remove;
mod resize;
mod run;
mod shrink;
mod snapshot;
mod space;
mod tree;

#[cfg(test)]
mod tests;

pub use disks::lose_disk;
pub use hot::{Failed, Relocation, failed};
pub use log::{drl_len, short_logs};
pub use make::maxsize;
pub(super) use relocate::end_moves;
pub use resize::maxgrow;
pub use space::{Extent, free_space};

use super::check::{Flaw, check};
use super::group::Group;
use super::ids::UniqueId;
use super::limits::{MINOR_MAX, RECORDS_MAX};
use super::op::Op;
use super::refused::Refused;
use super::size::Sectors;

/// A disk of no group that [`Op::AddDisks`] and [`Op::ReplaceDisks`] take (and making a group, which
/// is adding disks to an empty one): what the node that executes the request knows about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDisk {
    /// Its access name there.
    pub access: String,
    /// Its identity.
    pub id: UniqueId,
    /// Length of its public region.
    pub public_len: Sectors,
    /// Length of its private region.
    pub private_len: Sectors,
}

/// What a request depends on besides the group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Env<'a> {
    /// Initialised disks that belong to no group.
    pub disks: &'a [NewDisk],
    /// Minor numbers that volumes of other groups have, on any node.
    pub minors_taken: &'a [Range<u32>],
    /// How many nodes may use a shared group: logs have a map for each. 0 counts as 1.
    pub nodes: u16,
}

/// The configuration after `op`, which passes [`check`]. Refused: nothing is to be changed.
pub fn apply(group: &Group, op: &Op, env: &Env<'_>) -> Result<Group, Refused> {
    debug_assert_eq!(check(group), Ok(()), "the configuration before is whole");
    let mut new = group.clone();
    carry_out(&mut new, op, env)?;
    new.keep_maps(group);
    new.keep_notes(group);
    new.check_fills(group)?;
    if new.record_count() > RECORDS_MAX {
        return Err(Refused::Full);
    }
    check(&new).map_err(|broken| {
        // Numbers have bounds, and these requests carry texts that the check judges.
        let bound = matches!(broken.what, Flaw::TooMany(_));
        debug_assert!(bound || carries_texts(op), "{op:?} would break the group: {broken}");
        Refused::Broken(broken)
    })?;
    Ok(new)
}

fn carry_out(group: &mut Group, op: &Op, env: &Env<'_>) -> Result<(), Refused> {
    match op {
        Op::AddDisks(disks) => disks::add(group, disks, env),
        Op::AddLog { volume, log_type, count, len, storage } => {
            log::add(group, volume, (*log_type, *count, *len), storage, env)
        }
        Op::AttachPlexes { volume, plexes, force } => attach::attach(group, volume, plexes, *force),
        Op::CopyPlexes { volume, plexes } => copy::copy_to(group, volume, plexes),
        Op::DetachPlexes { plexes, force } => attach::detach(group, plexes, *force),
        Op::DissociatePlexes { plexes, remove, force } => {
            attach::dissociate(group, plexes, *remove, *force)
        }
        Op::Edit { names, set } => edit::set(group, names, set),
        Op::Fill { volume, from, why } => fill::fill(group, volume, from, *why),
        Op::Prepare { volume, count, storage } => {
            fill::prepare(group, volume, *count, storage, env)
        }
        Op::Unprepare(volume) => fill::unprepare(group, volume),
        Op::InitVolume { volume, how, plex, force } => {
            run::init(group, volume, *how, plex.as_ref(), *force)
        }
        Op::ReadPolicy { volume, policy, plex } => {
            run::read_policy(group, volume, *policy, plex.as_ref())
        }
        Op::Resize { volume, to, storage, force } => {
            resize::resize(group, volume, *to, storage, *force)
        }
        Op::Make(wanted) => make::make(group, wanted, env),
        Op::MakeRecords { descriptions } => records::make_all(group, descriptions, env),
        Op::Mend { name, how, force } => mend::mend(group, name, *how, *force),
        Op::Mirror { volume, count, layout, storage } => {
            mirror::add(group, volume, *count, *layout, storage)
        }
        Op::SnapAbort(volume) => snapshot::abort(group, volume),
        Op::SnapBack { snapshot, from_replica } => snapshot::back(group, snapshot, *from_replica),
        Op::SnapClear(snapshot) => snapshot::clear(group, snapshot),
        Op::SnapStart { volume, count, layout, storage } => {
            snapshot::start(group, volume, *count, *layout, storage)
        }
        Op::Snapshot { volume, snapshot, count } => {
            snapshot::break_off(group, volume, snapshot.as_ref(), *count, env)
        }
        Op::Move { volume, storage } => relocate::volume(group, volume, storage),
        Op::MovePlex { from, to, remove } => copy::move_to(group, from, to, *remove),
        Op::Relocate { plex } => hot::relocate(group, plex),
        Op::RemoveLog { volume, count, storage } => log::remove(group, volume, *count, storage),
        Op::RemoveMirror { volume, count, storage } => {
            mirror::remove(group, volume, *count, storage)
        }
        Op::RemoveRecords { names, recursive, force } => {
            remove::records(group, names, *recursive, *force)
        }
        Op::RemoveVolume { volume, force } => remove::volume(group, volume, *force),
        Op::RemoveDisks { names, keep } => disks::remove(group, names, *keep),
        Op::Rename { from, to } => edit::rename(group, from, to),
        Op::Reminor { base } => edit::reminor(group, *base, env),
        Op::ReplaceDisks(pairs) => disks::replace(group, pairs, env),
        Op::Set(set) => edit::set_group(group, set),
        Op::Unrelocate { volume, from, to, force } => {
            back::volume(group, volume, from, to.as_ref(), *force)
        }
        Op::StartVolume { volume, force } => run::start(group, volume, *force),
        Op::StopVolume(volume) => run::stop(group, volume),
    }
}

/// It brings along what nobody has checked yet: records, texts, or disks as they describe themselves.
const fn carries_texts(op: &Op) -> bool {
    match op {
        Op::AddDisks(_)
        | Op::Edit { .. }
        | Op::Make(_)
        | Op::MakeRecords { .. }
        | Op::ReplaceDisks(_) => true,
        Op::AddLog { .. }
        | Op::AttachPlexes { .. }
        | Op::CopyPlexes { .. }
        | Op::DetachPlexes { .. }
        | Op::DissociatePlexes { .. }
        | Op::Fill { .. }
        | Op::InitVolume { .. }
        | Op::Mend { .. }
        | Op::Mirror { .. }
        | Op::Move { .. }
        | Op::MovePlex { .. }
        | Op::SnapAbort(_)
        | Op::SnapBack { .. }
        | Op::SnapClear(_)
        | Op::SnapStart { .. }
        | Op::Snapshot { .. }
        | Op::Prepare { .. }
        | Op::ReadPolicy { .. }
        | Op::Relocate { .. }
        | Op::Reminor { .. }
        | Op::RemoveDisks { .. }
        | Op::RemoveLog { .. }
        | Op::RemoveMirror { .. }
        | Op::RemoveRecords { .. }
        | Op::RemoveVolume { .. }
        | Op::Rename { .. }
        | Op::Resize { .. }
        | Op::Set(_)
        | Op::StartVolume { .. }
        | Op::StopVolume(_)
        | Op::Unprepare(_)
        | Op::Unrelocate { .. } => false,
    }
}

fn is_minor_taken(minor: u32, env: &Env<'_>) -> bool {
    env.minors_taken.iter().any(|range| range.contains(&minor))
}

/// The lowest number from the base on that no volume of any group has.
fn free_minor(group: &Group, env: &Env<'_>) -> Result<u32, Refused> {
    let mut taken: Vec<u32> = group.volumes.values().map(|volume| volume.minor).collect();
    taken.sort_unstable();
    let mut free = group.minors..=MINOR_MAX;
    let free = free.find(|n| taken.binary_search(n).is_err() && !is_minor_taken(*n, env));
    free.ok_or(Refused::Minor(MINOR_MAX))
}
