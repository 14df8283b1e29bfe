//! Is a configuration whole? Every image that is made, received or read is checked before use.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, Kind};
use super::ids::Name;
use super::limits::{
    COLUMNS_MAX, DISKS_MAX, MINOR_MAX, PLEXES_MAX, RECORDS_MAX, STRIPE_WIDTH_MIN, TEXT_MAX,
};
use super::record::{Common, Disk, Layout, Piece, Plex, Source, Subdisk, Volume};
use super::size::{LENGTH_MAX, Sectors};
use super::states::{PlexState, ReadPolicy};

/// What is wrong with a configuration. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} {name}: {what}", kind = kind_word(*kind))]
pub struct Broken {
    /// Which kind of record; `None` is the group itself.
    pub kind: Option<Kind>,
    /// Its name.
    pub name: Name,
    /// What is wrong with it.
    pub what: Flaw,
}

const fn kind_word(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "disk group",
        Some(Kind::Disk) => "disk",
        Some(Kind::Plex) => "plex",
        Some(Kind::Subdisk) => "subdisk",
        Some(Kind::Volume) => "volume",
    }
}

/// What can be wrong with a record.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// Its name, or its rid, is that of another record.
    #[error("Name is already used")]
    Duplicate,
    /// It names a record that is not there.
    #[error("{0} does not exist")]
    Missing(Name),
    /// It names a record that another one uses, too.
    #[error("{0} is already associated")]
    Shared(Name),
    /// It overlaps another subdisk on the disk, or in the plex.
    #[error("overlaps {0}")]
    Overlap(Name),
    /// It reaches beyond what it lies in.
    #[error("ends at {end}, and {within} at {len}")]
    TooLong {
        /// Where it ends, in sectors.
        end: Sectors,
        /// In what it lies.
        within: Name,
        /// Where that ends.
        len: Sectors,
    },
    /// Something is out of range, empty, or does not go together.
    #[error("{0}")]
    Invalid(&'static str),
    /// Layers in layers.
    #[error("Object association depth overflow")]
    TooDeep,
    /// More than fits.
    #[error("more than {0} of them")]
    TooMany(usize),
}

/// Checks a whole group; the first flaw found is the answer.
pub fn check(group: &Group) -> Result<(), Broken> {
    check_group(group).map_err(|what| Broken { kind: None, name: group.name.clone(), what })?;
    for (kind, name, common) in records(group) {
        check_common(group, common).map_err(|what| broken(kind, name, what))?;
    }
    only_once(group)?;
    for (name, disk) in &group.disks {
        check_disk(disk).map_err(|what| broken(Kind::Disk, name, what))?;
    }
    for (name, subdisk) in &group.subdisks {
        check_subdisk(group, subdisk).map_err(|what| broken(Kind::Subdisk, name, what))?;
    }
    overlaps_on_disks(group)?;
    for (name, plex) in &group.plexes {
        check_plex(group, plex).map_err(|what| broken(Kind::Plex, name, what))?;
    }
    for (name, volume) in &group.volumes {
        check_volume(group, volume).map_err(|what| broken(Kind::Volume, name, what))?;
    }
    check_layers(group)
}

fn broken(kind: Kind, name: &Name, what: Flaw) -> Broken {
    Broken { kind: Some(kind), name: name.clone(), what }
}

/// All records.
fn records(group: &Group) -> impl Iterator<Item = (Kind, &Name, &Common)> {
    let disks = group.disks.iter().map(|(name, disk)| (Kind::Disk, name, &disk.common));
    let subdisks = group.subdisks.iter().map(|(name, sd)| (Kind::Subdisk, name, &sd.common));
    let plexes = group.plexes.iter().map(|(name, plex)| (Kind::Plex, name, &plex.common));
    let volumes = group.volumes.iter().map(|(name, vol)| (Kind::Volume, name, &vol.common));
    disks.chain(subdisks).chain(plexes).chain(volumes)
}

fn check_common(group: &Group, common: &Common) -> Result<(), Flaw> {
    if common.rid >= group.next_rid {
        return Err(Flaw::Invalid("its rid is yet to be given"));
    }
    let texts = common.tutil.iter().chain(&common.putil).chain([&common.comment]);
    texts.into_iter().try_for_each(|text| check_text(text))
}

/// What only one record may have, or be part of.
fn only_once(group: &Group) -> Result<(), Broken> {
    let names = records(group).map(|(kind, name, _)| (name, kind, name));
    twice(names, |_| Flaw::Duplicate)?;
    let rids = records(group).map(|(kind, name, common)| (common.rid, kind, name));
    twice(rids, |_| Flaw::Duplicate)?;
    let minors = group.volumes.iter().map(|(name, volume)| (volume.minor, Kind::Volume, name));
    twice(minors, |_| Flaw::Invalid("another volume has its minor number"))?;
    let subdisks = group
        .plexes
        .iter()
        .flat_map(|(name, plex)| plex.subdisks().map(move |subdisk| (subdisk, Kind::Plex, name)));
    let plexes = group.volumes.iter().flat_map(|(name, volume)| {
        volume.plexes.iter().map(move |plex| (plex, Kind::Volume, name))
    });
    let layers = group.subdisks.iter().filter_map(|(name, subdisk)| match &subdisk.source {
        Source::Volume(layer) => Some((layer, Kind::Subdisk, name)),
        Source::Disk { .. } => None,
    });
    twice(layers, |layer| Flaw::Shared(layer.clone()))?;
    twice(subdisks.chain(plexes), |part| Flaw::Shared(part.clone()))
}

/// Something that two records have; the second is at fault.
fn twice<'a, T: Ord>(
    all: impl Iterator<Item = (T, Kind, &'a Name)>,
    flaw: impl FnOnce(T) -> Flaw,
) -> Result<(), Broken> {
    // Sorted rather than put into a set: most of it is in order already.
    let mut all: Vec<_> = all.collect();
    all.sort();
    let second = all.windows(2).position(|pair| pair[0].0 == pair[1].0).map(|first| first + 1);
    second.map_or(Ok(()), |second| {
        let (what, kind, name) = all.swap_remove(second);
        Err(broken(kind, name, flaw(what)))
    })
}

fn check_text(text: &str) -> Result<(), Flaw> {
    if text.len() > TEXT_MAX {
        return Err(Flaw::Invalid("a text is longer than 40 bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(Flaw::Invalid("a text has a control character"));
    }
    Ok(())
}

fn check_group(group: &Group) -> Result<(), Flaw> {
    if group.disks.len() > DISKS_MAX {
        return Err(Flaw::TooMany(DISKS_MAX));
    }
    if group.record_count() > RECORDS_MAX {
        return Err(Flaw::TooMany(RECORDS_MAX));
    }
    if group.minors > MINOR_MAX {
        return Err(Flaw::Invalid("its base minor number is out of range"));
    }
    if group.version == 0 || group.version > Group::VERSION {
        return Err(Flaw::Invalid("its version is not known here"));
    }
    let ids: Vec<_> = group.disks.values().filter_map(|disk| disk.disk.as_ref()).collect();
    let different: BTreeSet<_> = ids.iter().collect();
    if different.len() == ids.len() { Ok(()) } else { Err(Flaw::Invalid("a disk is in it twice")) }
}

fn check_disk(disk: &Disk) -> Result<(), Flaw> {
    if disk.public_len > LENGTH_MAX || disk.private_len > LENGTH_MAX {
        return Err(Flaw::Invalid("its length is out of range"));
    }
    if disk.access.len() > 255 || disk.access.chars().any(char::is_control) {
        return Err(Flaw::Invalid("its access name is no name"));
    }
    Ok(())
}

fn check_subdisk(group: &Group, subdisk: &Subdisk) -> Result<(), Flaw> {
    if subdisk.len == 0 {
        return Err(Flaw::Invalid("its length is 0"));
    }
    let (within, begin, len) = match &subdisk.source {
        Source::Disk { dm, offset } => {
            let disk = group.disks.get(dm).ok_or_else(|| Flaw::Missing(dm.clone()))?;
            (dm, *offset, disk.public_len)
        }
        Source::Volume(name) => {
            let volume = group.volumes.get(name).ok_or_else(|| Flaw::Missing(name.clone()))?;
            if !volume.layer {
                return Err(Flaw::Invalid("a subvolume consists of a layer's volume"));
            }
            (name, 0, volume.len)
        }
    };
    match begin.checked_add(subdisk.len) {
        Some(end) if end <= len => Ok(()),
        end => Err(Flaw::TooLong { end: end.unwrap_or(u64::MAX), within: within.clone(), len }),
    }
}

fn overlaps_on_disks(group: &Group) -> Result<(), Broken> {
    let mut on_disk: BTreeMap<&Name, Vec<(Sectors, Sectors, &Name)>> = BTreeMap::new();
    for (name, subdisk) in &group.subdisks {
        if let Source::Disk { dm, offset } = &subdisk.source {
            on_disk.entry(dm).or_default().push((*offset, offset + subdisk.len, name));
        }
    }
    for ranges in on_disk.values_mut() {
        if let Some((name, other)) = overlap(ranges) {
            return Err(broken(Kind::Subdisk, name, Flaw::Overlap(other.clone())));
        }
    }
    Ok(())
}

/// Two of the ranges that overlap, if any do.
fn overlap<'a>(ranges: &mut [(Sectors, Sectors, &'a Name)]) -> Option<(&'a Name, &'a Name)> {
    ranges.sort_unstable();
    let pair = ranges.windows(2).find(|pair| pair[1].0 < pair[0].1)?;
    Some((pair[1].2, pair[0].2))
}

fn check_plex(group: &Group, plex: &Plex) -> Result<(), Flaw> {
    if let Layout::Stripe { columns, width } = plex.layout {
        if !(2..=COLUMNS_MAX).contains(&columns) {
            return Err(Flaw::Invalid("a stripe has 2 to 256 columns"));
        }
        if width < STRIPE_WIDTH_MIN || width % STRIPE_WIDTH_MIN != 0 || width > 1 << 31 {
            return Err(Flaw::Invalid("a stripe unit is a multiple of 8 sectors, up to 1t"));
        }
    }
    let mut last: Option<(&Piece, Sectors)> = None;
    for piece in &plex.pieces {
        let subdisk = group.subdisks.get(&piece.subdisk);
        let subdisk = subdisk.ok_or_else(|| Flaw::Missing(piece.subdisk.clone()))?;
        if piece.column >= plex.layout.columns() {
            return Err(Flaw::Invalid("a subdisk is in a column that it does not have"));
        }
        let end = piece.offset.checked_add(subdisk.len).filter(|end| *end <= LENGTH_MAX);
        let end = end.ok_or(Flaw::Invalid("it is longer than anything can be"))?;
        if let Some((last, last_end)) = last {
            if (last.column, last.offset) > (piece.column, piece.offset) {
                return Err(Flaw::Invalid("its subdisks are not in order"));
            }
            if last.column == piece.column && piece.offset < last_end {
                return Err(Flaw::Overlap(last.subdisk.clone()));
            }
        }
        last = Some((piece, end));
    }
    if let Some(log) = &plex.log {
        let subdisk = group.subdisks.get(log).ok_or_else(|| Flaw::Missing(log.clone()))?;
        if !matches!(subdisk.source, Source::Disk { .. }) {
            return Err(Flaw::Invalid("its log is no range of a disk"));
        }
    }
    if plex.is_log_only() != (plex.state == PlexState::Log) {
        return Err(Flaw::Invalid("the state LOG is that of a plex with only a log"));
    }
    Ok(())
}

fn check_volume(group: &Group, volume: &Volume) -> Result<(), Flaw> {
    if volume.plexes.len() > PLEXES_MAX {
        return Err(Flaw::TooMany(PLEXES_MAX));
    }
    if volume.len > LENGTH_MAX || volume.minor > MINOR_MAX || volume.permissions.mode > 0o777 {
        return Err(Flaw::Invalid("its length, minor number or mode is out of range"));
    }
    for text in [&volume.permissions.user, &volume.permissions.group, &volume.usage] {
        check_text(text)?;
    }
    if let Some(missing) = volume.plexes.iter().find(|plex| !group.plexes.contains_key(*plex)) {
        return Err(Flaw::Missing(missing.clone()));
    }
    let prefers = volume.read_policy == ReadPolicy::Prefer;
    match &volume.preferred {
        Some(plex) if prefers && volume.plexes.contains(plex) => Ok(()),
        Some(plex) if prefers => Err(Flaw::Missing(plex.clone())),
        Some(_) => Err(Flaw::Invalid("it prefers a plex, and its read policy does not")),
        None if prefers => Err(Flaw::Invalid("its read policy prefers no plex")),
        None => Ok(()),
    }
}

/// What a subvolume consists of has no subvolumes.
fn check_layers(group: &Group) -> Result<(), Broken> {
    for (name, subdisk) in &group.subdisks {
        let Source::Volume(layer) = &subdisk.source else { continue };
        let plexes = group.volumes.get(layer).into_iter().flat_map(|volume| &volume.plexes);
        let mut inner = plexes
            .filter_map(|plex| group.plexes.get(plex))
            .flat_map(Plex::subdisks)
            .filter_map(|subdisk| group.subdisks.get(subdisk));
        if inner.any(|subdisk| matches!(subdisk.source, Source::Volume(_))) {
            return Err(broken(Kind::Subdisk, name, Flaw::TooDeep));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{group, name};
    use super::*;

    fn flaw(spoil: impl FnOnce(&mut Group)) -> String {
        let mut group = group();
        spoil(&mut group);
        check(&group).expect_err("it is broken").to_string()
    }

    #[test]
    fn what_does_not_go_together_is_found() {
        let cases: [(&str, String); 7] = [
            ("subdisk mydg01-01: mydg01 does not exist", flaw(|g| drop(g.disks.remove("mydg01")))),
            (
                "plex vol1-01: mydg01-01 does not exist",
                flaw(|g| drop(g.subdisks.remove("mydg01-01"))),
            ),
            ("volume vol1: vol1-01 does not exist", flaw(|g| drop(g.plexes.remove("vol1-01")))),
            (
                "subdisk mydg01-01: ends at 131073, and mydg01 at 131072",
                flaw(|g| g.subdisks.get_mut("mydg01-01").unwrap().len = 131_073),
            ),
            (
                "subdisk two: overlaps mydg01-01",
                flaw(|g| {
                    let common = g.common();
                    let source = Source::Disk { dm: name("mydg01"), offset: 8191 };
                    g.subdisks
                        .insert(name("two"), Subdisk { common, source, len: 1, origin: None });
                }),
            ),
            (
                "plex vol1-02: mydg02-01 is already associated",
                flaw(|g| {
                    let plex = g.plexes.get_mut("vol1-01").unwrap();
                    plex.pieces[0].subdisk = name("mydg02-01");
                }),
            ),
            (
                "plex vol1-02: overlaps mydg02-01",
                flaw(|g| g.plexes.get_mut("vol1-02").unwrap().pieces[1].column = 0),
            ),
        ];
        for (expected, found) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_only_one_may_have_is_found() {
        let cases: [(&str, String); 5] = [
            (
                "volume vol1: vol1-01 is already associated",
                flaw(|g| g.volumes.get_mut("vol1").unwrap().plexes.push(name("vol1-01"))),
            ),
            (
                "volume mydg01: Name is already used",
                flaw(|g| {
                    let volume = Volume {
                        plexes: Vec::new(),
                        minor: 7,
                        common: g.common(),
                        ..g.volumes["vol1"].clone()
                    };
                    g.volumes.insert(name("mydg01"), volume);
                }),
            ),
            (
                "plex vol1-02: its rid is yet to be given",
                flaw(|g| {
                    let next = g.next_rid;
                    g.plexes.get_mut("vol1-02").unwrap().common.rid = next;
                }),
            ),
            (
                "disk group mydg: a disk is in it twice",
                flaw(|g| {
                    let id = g.disks["mydg01"].disk.clone();
                    g.disks.get_mut("mydg02").unwrap().disk = id;
                }),
            ),
            (
                "volume vol1: its read policy prefers no plex",
                flaw(|g| g.volumes.get_mut("vol1").unwrap().read_policy = ReadPolicy::Prefer),
            ),
        ];
        for (expected, found) in cases {
            assert_eq!(found, expected);
        }
    }
}
