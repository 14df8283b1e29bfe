//! Dirty region logs: how long they are, where they lie, adding and removing them (facts 2.3, 2.5).

use std::collections::BTreeSet;

use super::build::{self, Naming};
use super::space::{Extent, Space};
use super::{Env, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::Storage;
use crate::model::record::{Plex, Volume};
use crate::model::refused::Refused;
use crate::model::size::{LENGTH_MAX, Sectors, round_up};
use crate::model::states::{KernelState, LogType};

/// So much of a volume has its bits in one block of a map: 2 GB.
const BLOCK_COVERS: Sectors = 2 << 21;

/// How long the log of a volume is: a map for recovery, one of what is filled, and for each node one of
/// what may differ and one of what has changed since a snapshot, each with a block per 2 GB of the volume,
/// all of it rounded up so that what follows is aligned. (Facts 2.5 have the first and the third; the
/// original keeps the others in a log of its own.)
pub const fn drl_len(volume: Sectors, nodes: u16) -> Sectors {
    let blocks = volume.div_ceil(BLOCK_COVERS);
    let blocks = if blocks == 0 { 1 } else { blocks };
    round_up((2 * nodes as u64 + 2) * blocks, ALIGNMENT)
}

/// How many nodes the logs of a group are for: a private group is used by one at a time.
pub(super) fn nodes(group: &Group, env: &Env<'_>) -> u16 {
    if group.is_shared() { env.nodes.max(1) } else { 1 }
}

/// The logs of a volume, or of its layers, that are too short for it: it was grown, or more nodes
/// are to use it. After a crash such a log does not help; utilities warn of it (V-5-1-3212).
pub fn short_logs(group: &Group, volume: &Name, env: &Env<'_>) -> Vec<Name> {
    let mut short = Vec::new();
    for leaf in tree::leaves(group, volume) {
        let Some(volume) = group.volumes.get(&leaf) else { continue };
        let needed = drl_len(volume.len, nodes(group, env));
        let plexes = volume.plexes.iter().filter_map(|name| group.plexes.get_key_value(name));
        let len = |plex: &Plex| Some(group.subdisks.get(plex.log.as_ref()?)?.len);
        let is_short = |plex: &Plex| len(plex).is_some_and(|len| len < needed);
        short.extend(plexes.filter(|(_, plex)| is_short(plex)).map(|(name, _)| name.clone()));
    }
    short
}

/// Places for logs of one volume, each on another disk: first on disks that hold no data of it.
pub(super) fn place(
    space: &Space,
    data: &BTreeSet<Name>,
    shared: bool,
    count: usize,
    len: Sectors,
) -> Option<Vec<Extent>> {
    let (with, apart): (Vec<_>, Vec<_>) =
        space.rooms.iter().partition(|room| data.contains(&room.disk));
    let with = with.into_iter().filter(|_| shared);
    let rooms = apart.into_iter().chain(with);
    // The tightest hole: the wide ones are for data.
    let fits = |hole: &&Extent| hole.len >= len;
    let holes = rooms.filter_map(|room| room.holes.iter().filter(fits).min_by_key(|hole| hole.len));
    let places: Vec<Extent> =
        holes.take(count).map(|hole| Extent { len, ..hole.clone() }).collect();
    (places.len() == count).then_some(places)
}

/// `vxassist addlog`: each layer of a layered volume gets its own logs.
pub(super) fn add(
    group: &mut Group,
    name: &Name,
    (log_type, count, len): (LogType, u16, Option<Sectors>),
    storage: &[Storage],
    env: &Env<'_>,
) -> Result<(), Refused> {
    for leaf in tree::leaves(group, name) {
        if tree::data_plexes(group, tree::volume(group, &leaf)?).count() < 2 {
            return Err(Refused::Unmirrored(leaf));
        }
    }
    add_any(group, name, (log_type, count, len), storage, env)
}

/// The same for a volume with one copy, too: its logs say what of it is filled.
pub(super) fn add_any(
    group: &mut Group,
    name: &Name,
    (log_type, count, len): (LogType, u16, Option<Sectors>),
    storage: &[Storage],
    env: &Env<'_>,
) -> Result<(), Refused> {
    tree::top(group, name)?;
    if log_type == LogType::None || count == 0 || len.is_some_and(|len| len > LENGTH_MAX) {
        let what = "a log has the type drl or drlseq, a length, and there is at least one";
        return Err(Refused::Invalid(what.to_owned()));
    }
    let mut space = Space::of(group, storage)?;
    let data = tree::disks_of_volume(group, name);
    for leaf in tree::leaves(group, name) {
        let volume = tree::volume(group, &leaf)?;
        let len = checked_len(group, &leaf, volume, (log_type, len), env)?;
        let logs = tree::log_plexes(group, volume);
        let taken = logs.filter_map(|(_, plex)| tree::disk_of_log(group, plex)).cloned().collect();
        let places = place(&space.without(&taken), &data, true, usize::from(count), len);
        let missing = || Refused::NoSpaceFor { part: "a log", volume: name.clone() };
        let places = places.ok_or_else(missing)?;
        places.iter().for_each(|place| space.carve(place));
        attach(group, name.as_str(), &leaf, log_type, &places)?;
    }
    Ok(())
}

/// Can this volume have such a log, and how long is it?
fn checked_len(
    group: &Group,
    name: &Name,
    volume: &Volume,
    (log_type, len): (LogType, Option<Sectors>),
    env: &Env<'_>,
) -> Result<Sectors, Refused> {
    if volume.log_type != LogType::None && volume.log_type != log_type {
        let what = format!("Volume {name} has logs of the type {}", volume.log_type);
        return Err(Refused::Invalid(what));
    }
    let needed = drl_len(volume.len, nodes(group, env));
    match len.map(|len| round_up(len, ALIGNMENT)) {
        Some(len) if len < needed => Err(Refused::ShortLog { volume: name.clone(), needed }),
        Some(len) => Ok(len),
        None => Ok(needed),
    }
}

/// Makes log plexes of places. The log is written anew before it is used, so a volume that is
/// enabled needs it enabled.
pub(super) fn attach(
    group: &mut Group,
    stem: &str,
    leaf: &Name,
    log_type: LogType,
    places: &[Extent],
) -> Result<(), Refused> {
    let volume = tree::volume(group, leaf)?;
    let (naming, enabled) = (Naming::of(stem, volume.layer), volume.kernel == KernelState::Enabled);
    let kernel = if enabled { KernelState::Enabled } else { KernelState::Disabled };
    for place in places {
        let plex = build::log_plex(group, naming, place, kernel)?;
        if let Some(volume) = group.volumes.get_mut(leaf) {
            volume.log_type = log_type;
            volume.plexes.push(plex);
        }
    }
    Ok(())
}

/// `vxassist remove log`
pub(super) fn remove(
    group: &mut Group,
    name: &Name,
    count: u16,
    storage: &[Storage],
) -> Result<(), Refused> {
    tree::top(group, name)?;
    let words = Words::of(group, storage)?;
    for leaf in tree::leaves(group, name) {
        let volume = tree::volume(group, &leaf)?;
        let mut logs: Vec<_> = tree::log_plexes(group, volume)
            .enumerate()
            .map(|(number, (name, plex))| {
                let disks = tree::disk_of_log(group, plex).cloned().into_iter().collect();
                (words.stays(&disks), std::cmp::Reverse(number), name.clone())
            })
            .collect();
        if usize::from(count) > logs.len() || count == 0 {
            let what = format!("Volume {leaf} has {} logs, not {count} to remove", logs.len());
            return Err(Refused::Invalid(what));
        }
        logs.sort_unstable();
        for (_, _, log) in logs.into_iter().take(usize::from(count)) {
            detach(group, &leaf, &log);
        }
        tree::settle(group, &leaf);
    }
    Ok(())
}

/// Takes a plex from its volume and removes it.
pub(super) fn detach(group: &mut Group, volume: &Name, plex: &Name) {
    if let Some(volume) = group.volumes.get_mut(volume) {
        volume.plexes.retain(|name| name != plex);
    }
    tree::remove_plex(group, plex);
}

/// Storage words that choose what goes, not where something is put.
pub(super) struct Words {
    named: BTreeSet<Name>,
    excluded: BTreeSet<Name>,
}

impl Words {
    pub(super) fn of(group: &Group, storage: &[Storage]) -> Result<Self, Refused> {
        let mut words = Self { named: BTreeSet::new(), excluded: BTreeSet::new() };
        for word in storage {
            if !group.disks.contains_key(&word.disk) {
                return Err(Refused::Missing { what: "disk", name: word.disk.clone() });
            }
            let set = if word.excluded { &mut words.excluded } else { &mut words.named };
            set.insert(word.disk.clone());
        }
        Ok(words)
    }

    /// How long a plex on these disks stays: what is on excluded disks goes first, what is on named
    /// ones alone goes last.
    pub(super) fn stays(&self, disks: &BTreeSet<Name>) -> u8 {
        if !disks.is_disjoint(&self.excluded) {
            0
        } else if disks.is_subset(&self.named) {
            2
        } else {
            1
        }
    }

    pub(super) const fn excluded(&self) -> &BTreeSet<Name> {
        &self.excluded
    }
}
