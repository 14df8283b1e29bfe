//! `vxedit set`, `vxedit rename`, `vxdg reminor` and `vxdg set`: changes of attributes.

use super::{Env, is_minor_taken};
use crate::model::group::{Copies, Group, Kind};
use crate::model::ids::Name;
use crate::model::limits::MINOR_MAX;
use crate::model::op::{Attribute, GroupAttribute};
use crate::model::record::{Source, Volume};
use crate::model::refused::Refused;

/// `vxedit set`
pub(super) fn set(group: &mut Group, names: &[Name], set: &[Attribute]) -> Result<(), Refused> {
    for name in names {
        let kind = group.kind_of(name.as_str());
        if kind.is_none() && *name != group.name {
            return Err(Refused::Missing { what: "record", name: name.clone() });
        }
        for attribute in set {
            set_one(group, kind, name, attribute)?;
        }
    }
    Ok(())
}

fn set_one(
    group: &mut Group,
    kind: Option<Kind>,
    name: &Name,
    attribute: &Attribute,
) -> Result<(), Refused> {
    // The record is there: its kind is known.
    let disk = group.disks.get_mut(name).filter(|_| kind == Some(Kind::Disk));
    let disk = disk.ok_or_else(|| not_of(kind, name, "disk"));
    let volume = group.volumes.get_mut(name).filter(|_| kind == Some(Kind::Volume));
    let volume = volume.ok_or_else(|| not_of(kind, name, "volume"));
    match attribute {
        Attribute::Exclusive(on) => volume?.exclusive = *on,
        Attribute::Group(to) => owner(&mut volume?.permissions.group, to)?,
        Attribute::Mode(mode) => set_mode(volume?, *mode)?,
        Attribute::User(to) => owner(&mut volume?.permissions.user, to)?,
        Attribute::Failing(on) => disk?.failing = *on,
        Attribute::NoHotUse(on) => disk?.nohotuse = *on,
        Attribute::Reserve(on) => disk?.reserve = *on,
        Attribute::Spare(on) => disk?.spare = *on,
        Attribute::Nconfig(copies) => group_copies(group, kind, name, *copies, true)?,
        Attribute::Nlog(copies) => group_copies(group, kind, name, *copies, false)?,
        Attribute::Comment(text) => {
            let common = group.common_mut(name.as_str());
            common.ok_or_else(|| not_of(kind, name, "record"))?.comment.clone_from(text);
        }
        Attribute::Putil(number, text) => lock(group, kind, name, *number, text, true)?,
        Attribute::Tutil(number, text) => lock(group, kind, name, *number, text, false)?,
    }
    Ok(())
}

fn not_of(kind: Option<Kind>, name: &Name, expected: &'static str) -> Refused {
    match kind {
        Some(kind) => Refused::WrongKind { expected, name: name.clone(), kind },
        None => Refused::Invalid(format!("{name} is a disk group, not a {expected}")),
    }
}

fn owner(field: &mut String, to: &str) -> Result<(), Refused> {
    if to.is_empty() {
        return Err(Refused::Invalid("the owner of a volume has a name".to_owned()));
    }
    to.clone_into(field);
    Ok(())
}

fn set_mode(volume: &mut Volume, mode: u32) -> Result<(), Refused> {
    if mode > 0o777 {
        return Err(Refused::Invalid(format!("mode {mode:o} is not one of 0 to 777")));
    }
    volume.permissions.mode = mode;
    Ok(())
}

fn group_copies(
    group: &mut Group,
    kind: Option<Kind>,
    name: &Name,
    copies: Copies,
    of_configuration: bool,
) -> Result<(), Refused> {
    if let Some(kind) = kind {
        return Err(Refused::WrongKind { expected: "disk group", name: name.clone(), kind });
    }
    if of_configuration {
        group.nconfig = checked(copies)?;
    } else {
        group.nlog = checked(copies)?;
    }
    Ok(())
}

fn checked(copies: Copies) -> Result<Copies, Refused> {
    match copies {
        Copies::Count(0) => {
            Err(Refused::Invalid("a group has at least one copy: all, default or 1..".to_owned()))
        }
        Copies::All | Copies::Count(_) | Copies::Default => Ok(copies),
    }
}

fn lock(
    group: &mut Group,
    kind: Option<Kind>,
    name: &Name,
    number: u8,
    text: &str,
    permanent: bool,
) -> Result<(), Refused> {
    let common = group.common_mut(name.as_str()).ok_or_else(|| not_of(kind, name, "record"))?;
    let locks = if permanent { &mut common.putil } else { &mut common.tutil };
    let lock = locks.get_mut(usize::from(number));
    let lock = lock.ok_or_else(|| {
        Refused::Invalid(format!("there are utility fields 0, 1 and 2, not {number}"))
    })?;
    text.clone_into(lock);
    Ok(())
}

/// `vxedit rename`: only the record itself; what it consists of keeps its names.
pub(super) fn rename(group: &mut Group, from: &Name, to: &Name) -> Result<(), Refused> {
    let kind = group.kind_of(from.as_str());
    let kind = kind.ok_or_else(|| Refused::Missing { what: "record", name: from.clone() })?;
    if group.kind_of(to.as_str()).is_some() {
        return Err(Refused::Exists(to.clone()));
    }
    let renamed = |name: &mut Name| {
        if name == from {
            name.clone_from(to);
        }
    };
    match kind {
        Kind::Disk => {
            if let Some(disk) = group.disks.remove(from) {
                group.disks.insert(to.clone(), disk);
            }
            group.subdisks.values_mut().for_each(|subdisk| {
                match &mut subdisk.source {
                    Source::Disk { dm, .. } => renamed(dm),
                    Source::Volume(_) => {}
                }
                subdisk.origin.iter_mut().for_each(|origin| renamed(&mut origin.dm));
            });
        }
        Kind::Subdisk => {
            if let Some(subdisk) = group.subdisks.remove(from) {
                group.subdisks.insert(to.clone(), subdisk);
            }
            for plex in group.plexes.values_mut() {
                plex.pieces.iter_mut().for_each(|piece| renamed(&mut piece.subdisk));
                plex.log.iter_mut().for_each(renamed);
            }
        }
        Kind::Plex => {
            if let Some(plex) = group.plexes.remove(from) {
                group.plexes.insert(to.clone(), plex);
            }
            for volume in group.volumes.values_mut() {
                volume.plexes.iter_mut().chain(&mut volume.preferred).for_each(renamed);
            }
        }
        Kind::Volume => {
            if let Some(volume) = group.volumes.remove(from) {
                group.volumes.insert(to.clone(), volume);
            }
            group.subdisks.values_mut().for_each(|subdisk| match &mut subdisk.source {
                Source::Disk { .. } => {}
                Source::Volume(layer) => renamed(layer),
            });
        }
    }
    Ok(())
}

/// `vxdg reminor`: the volumes get numbers from the base on, in the order of their old ones.
pub(super) fn reminor(group: &mut Group, base: u32, env: &Env<'_>) -> Result<(), Refused> {
    if base > MINOR_MAX || is_minor_taken(base, env) {
        return Err(Refused::Minor(base));
    }
    let mut volumes: Vec<(u32, Name)> =
        group.volumes.iter().map(|(name, volume)| (volume.minor, name.clone())).collect();
    volumes.sort_unstable();
    for ((_, name), minor) in volumes.iter().zip(base..) {
        if minor > MINOR_MAX || is_minor_taken(minor, env) {
            return Err(Refused::Minor(minor));
        }
        if let Some(volume) = group.volumes.get_mut(name) {
            volume.minor = minor;
        }
    }
    group.minors = base;
    Ok(())
}

/// `vxdg set`
pub(super) fn set_group(group: &mut Group, set: &[GroupAttribute]) -> Result<(), Refused> {
    for attribute in set {
        match *attribute {
            GroupAttribute::Cds(on) => group.cds = on,
            GroupAttribute::DetachPolicy(policy) => group.detach_policy = policy,
            GroupAttribute::FailPolicy(policy) => group.fail_policy = policy,
            GroupAttribute::Nconfig(copies) => group.nconfig = checked(copies)?,
            GroupAttribute::Nlog(copies) => group.nlog = checked(copies)?,
            GroupAttribute::Ssb(on) => group.ssb = on,
        }
    }
    Ok(())
}
