//! Volumes of which something is put elsewhere, one after the other: no more than one of them has a copy
//! less at a time, and whoever interrupts that leaves whole volumes behind and may begin again.

use std::collections::BTreeSet;

use cvm::model::op::Op;
use cvm::model::{Group, Name, Subdisk};
use cvm::request::Request;

use super::copies::Pending;
use super::view::{still, with_layers};
use super::{Daemon, view};
use crate::common::{Failure, Root};

/// Volumes, not layers, of which a subdisk is meant, of data or with a log.
pub(super) fn volumes_with(group: &Group, is_meant: impl Fn(&Name, &Subdisk) -> bool) -> Vec<Name> {
    let names = group.volumes.iter().filter(|(_, volume)| !volume.layer).map(|(name, _)| name);
    let has = |volume: &&Name| {
        let volumes = with_layers(group, volume).into_iter();
        let plexes = volumes.flat_map(|(_, volume)| &volume.plexes);
        let subdisks =
            plexes.filter_map(|plex| group.plexes.get(plex)).flat_map(|plex| plex.subdisks());
        let mut known = subdisks.filter_map(|name| group.subdisks.get_key_value(name));
        known.any(|(name, subdisk)| is_meant(name, subdisk))
    };
    names.filter(has).cloned().collect()
}

/// Carries a change of each volume out, and waits until what is copied because of it is copied. What is
/// being copied before that is waited for, too; who has begun it may have been interrupted, and there is
/// nothing `left` to do then. What fails for one volume does not keep the others.
///
/// # Errors
/// If nobody can be asked any more.
pub(super) fn one_by_one(
    daemon: &mut Daemon,
    root: &Root,
    group: &Name,
    changes: Vec<(Name, Op)>,
    left: impl Fn(&Group) -> Vec<Name>,
) -> Result<(BTreeSet<Name>, Vec<Failure>), Failure> {
    let (mut failed, mut failures) = (BTreeSet::new(), Vec::new());
    for (volume, op) in changes {
        let mut all = copied(daemon, root, group, &volume)?;
        if all.is_empty() && left(still(&daemon.snapshot()?, group)?).contains(&volume) {
            let request = Request::Op { group: group.clone(), op };
            all = daemon.change_each([&request]);
        }
        if all.is_empty() {
            all = copied(daemon, root, group, &volume)?;
        }
        if !all.is_empty() {
            failed.insert(volume);
            failures.append(&mut all);
        }
    }
    Ok((failed, failures))
}

/// Waits until nothing of a volume is copied.
fn copied(
    daemon: &mut Daemon,
    root: &Root,
    group: &Name,
    volume: &Name,
) -> Result<Vec<Failure>, Failure> {
    let mut pending = Pending::default();
    pending.add(still(&daemon.snapshot()?, group)?, volume);
    pending.wait(root)
}

/// A disk of a group that is imported.
///
/// # Errors
/// If there is none.
pub(super) fn check_disk(group: &Group, disk: &Name) -> Result<(), Failure> {
    if group.disks.contains_key(disk) {
        return Ok(());
    }
    Err(Failure::operation(format!("disk {disk} does not exist")))
}

/// The group that is called so.
///
/// # Errors
/// If it is not imported here.
pub(super) fn group(daemon: &mut Daemon, name: &Name) -> Result<Group, Failure> {
    let snapshot = daemon.snapshot()?;
    let found = view::chosen(&snapshot, Some(name))?;
    let none = || Failure::operation(format!("Disk group {name}: No such disk group"));
    found.first().map(|shown| shown.group.clone()).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vx::name;
    use crate::vx::vxprint::sample;

    #[test]
    fn volumes_are_found_by_what_lies_on_a_disk() {
        let on = |group: &Group, disk: &str| {
            let all = volumes_with(group, |_, subdisk| {
                subdisk.source.disk().is_some_and(|dm| dm.as_str() == disk)
            });
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let facts = &sample::facts().groups[0].group;
        // Data, and a log.
        assert_eq!(on(facts, "mydg02"), ["vol1"]);
        assert_eq!(on(facts, "mydg01"), ["vol1"]);
        assert!(on(facts, "mydg09").is_empty());
        // Below a layer.
        assert_eq!(on(&sample::layered().groups[0].group, "laydg04"), ["vol1"]);
        assert!(check_disk(facts, &name("mydg03").unwrap()).is_ok());
        let said = check_disk(facts, &name("vol1").unwrap()).unwrap_err().to_string();
        assert_eq!(said, "disk vol1 does not exist");
    }
}
