//! `vxplex mv` and `cp` (facts 4.4): plexes of no volume are copied to like any that is attached, and when
//! they are full something follows in the same transaction, for which all nodes have drained the volume.
//!
//! ```text
//! mv   the new plex stays, the old one leaves the volume
//! cp   the plex leaves the volume again, and keeps what the volume held at that moment
//! ```
//! What is to follow is in `putil0` of the plexes, so that it does not matter who copies, and who waits for
//! it: a plex that fails meanwhile is attached again (`vxplex att`), and then it follows.

use super::{attach, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::record::{Plex, Volume};
use crate::model::refused::Refused;
use crate::model::states::{PlexState, VolumeState};

/// `vxplex mv`; `remove`: the old plex does not only leave the volume.
pub(super) fn move_to(
    group: &mut Group,
    from: &Name,
    to: &Name,
    remove: bool,
) -> Result<(), Refused> {
    let old = attach::plex(group, from)?;
    let none = || Refused::Invalid(format!("Plex {from} belongs to no volume"));
    let (name, volume) = group.volume_of(from).ok_or_else(none)?;
    check_has_data(name, volume)?;
    check_has_no_log(from, old)?;
    if !old.is_current() {
        let (kernel, state) = (old.kernel, old.state);
        let what =
            format!("Plex {from} is {kernel} {state}: vxplex att copies {to} from the others");
        return Err(Refused::Invalid(what));
    }
    let plexes = volume.plexes.clone();
    let arrives = |plex: &&Name| mark(group, plex) == Some(Plex::ARRIVES);
    if let Some(plex) = plexes.iter().find(arrives) {
        let what = format!(
            "Volume {name} has a plex that something is moved to, {plex}: vxplex att goes on with it if it \
             was taken off, vxplex dis gives it up"
        );
        return Err(Refused::Invalid(what));
    }
    let name = name.clone();
    // They were to leave for a plex that was given up.
    let left =
        |plex: &&Name| matches!(mark(group, plex), Some(Plex::LEAVES | Plex::LEAVES_AND_GOES));
    for plex in plexes.iter().filter(left).cloned().collect::<Vec<_>>() {
        set_mark(group, &plex, "");
    }
    arrive(group, &name, to, Plex::ARRIVES)?;
    set_mark(group, from, if remove { Plex::LEAVES_AND_GOES } else { Plex::LEAVES });
    Ok(())
}

/// `vxplex cp`
pub(super) fn copy_to(group: &mut Group, name: &Name, plexes: &[Name]) -> Result<(), Refused> {
    check_has_data(name, tree::volume(group, name)?)?;
    if plexes.is_empty() {
        return Err(Refused::Invalid("at least one plex is named".to_owned()));
    }
    plexes.iter().try_for_each(|plex| arrive(group, name, plex, Plex::COPIED))
}

fn check_has_data(name: &Name, volume: &Volume) -> Result<(), Refused> {
    let (kernel, state) = (volume.kernel, volume.state);
    let is_on = kernel == crate::model::states::KernelState::Enabled && state != VolumeState::Empty;
    let what =
        || Refused::Invalid(format!("Volume {name} is {kernel} {state}: nothing is copied of it"));
    is_on.then_some(()).ok_or_else(what)
}

/// A log would come and go with it, on which other things depend meanwhile.
fn check_has_no_log(name: &Name, plex: &Plex) -> Result<(), Refused> {
    let what = || Refused::Invalid(format!("Plex {name} has a log: it stays where it is"));
    plex.log.is_none().then_some(()).ok_or_else(what)
}

fn arrive(group: &mut Group, volume: &Name, name: &Name, why: &str) -> Result<(), Refused> {
    check_has_no_log(name, attach::plex(group, name)?)?;
    if let Some((user, _)) = group.volume_of(name) {
        let (name, user) = (name.clone(), user.clone());
        return Err(Refused::InUse { what: "Plex", name, user });
    }
    attach::attach(group, volume, std::slice::from_ref(name), false)?;
    set_mark(group, name, why);
    Ok(())
}

fn mark<'a>(group: &'a Group, plex: &Name) -> Option<&'a str> {
    group.plexes.get(plex).map(|plex| plex.common.putil[0].as_str())
}

fn set_mark(group: &mut Group, plex: &Name, mark: &str) {
    if let Some(plex) = group.plexes.get_mut(plex) {
        mark.clone_into(&mut plex.common.putil[0]);
    }
}

/// A plex has become current: what was to follow does. The volume keeps a copy.
pub(super) fn end(group: &mut Group, name: &Name) {
    let Some((volume, record)) = group.volume_of(name) else { return };
    if !group.plexes.get(name).is_some_and(Plex::is_current) {
        return;
    }
    let (volume, plexes) = (volume.clone(), record.plexes.clone());
    match mark(group, name) {
        Some(Plex::COPIED) if tree::has_copy(group, record, |plex| plex != name) => {
            attach::release(group, &volume, name);
            if let Some(plex) = group.plexes.get_mut(name) {
                // It holds what the volume held now.
                plex.state = PlexState::Active;
            }
        }
        Some(Plex::ARRIVES) => {
            set_mark(group, name, "");
            plexes.iter().for_each(|old| leave(group, &volume, old, name));
        }
        _ => return,
    }
    tree::settle(group, &volume);
}

fn leave(group: &mut Group, volume: &Name, old: &Name, new: &Name) {
    let goes = match mark(group, old) {
        Some(Plex::LEAVES) => false,
        Some(Plex::LEAVES_AND_GOES) => true,
        _ => return,
    };
    let Some(record) = group.volumes.get(volume) else { return };
    if !tree::has_copy(group, record, |plex| plex != old) {
        return;
    }
    if let Some(record) = group.volumes.get_mut(volume)
        && record.preferred.as_ref() == Some(old)
    {
        record.preferred = Some(new.clone());
    }
    attach::release(group, volume, old);
    if goes {
        tree::remove_plex(group, old);
    }
}
