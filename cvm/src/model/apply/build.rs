//! Records of what was placed.

use super::space::Extent;
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::record::{Layout, Piece, Plex, Source, Subdisk};
use crate::model::refused::Refused;
use crate::model::states::{KernelState, PlexState};

/// The first free name of the kind `<stem><separator>01`; a stem that is too long for that is cut.
pub(super) fn free_name(group: &Group, stem: &str, separator: &str) -> Result<Name, Refused> {
    let mut stems = (1..=stem.len()).rev().filter_map(|len| stem.get(..len));
    let found = stems.find_map(|stem| group.free_name(stem, separator));
    found.ok_or(Refused::Full)
}

/// A subdisk `<disk>-01`.
pub(super) fn subdisk(group: &mut Group, extent: &Extent) -> Result<Name, Refused> {
    let name = free_name(group, extent.disk.as_str(), "-")?;
    let source = Source::Disk { dm: extent.disk.clone(), offset: extent.offset };
    let subdisk = Subdisk { common: group.common(), source, len: extent.len, origin: None };
    group.subdisks.insert(name.clone(), subdisk);
    Ok(name)
}

/// Subdisks for ranges that follow each other in a column from `offset` on.
pub(super) fn pieces<'a>(
    group: &mut Group,
    column: u16,
    mut offset: u64,
    extents: impl IntoIterator<Item = &'a Extent>,
) -> Result<Vec<Piece>, Refused> {
    let mut pieces = Vec::new();
    for extent in extents {
        pieces.push(Piece { subdisk: subdisk(group, extent)?, column, offset });
        offset += extent.len;
    }
    Ok(pieces)
}

/// How new plexes are called, and what they begin as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Naming<'a> {
    /// Name of the volume that an administrator knows.
    pub(super) stem: &'a str,
    /// `-`, or `-P` in layers.
    pub(super) separator: &'static str,
}

impl<'a> Naming<'a> {
    /// Of the plexes of a volume, or of a layer of it.
    pub(super) const fn of(stem: &'a str, layer: bool) -> Self {
        Self { stem, separator: if layer { "-P" } else { "-" } }
    }
}

/// A plex for data, with the ranges of each column.
pub(super) fn plex(
    group: &mut Group,
    naming: Naming<'_>,
    layout: Layout,
    columns: &[Vec<Extent>],
    (kernel, state): (KernelState, PlexState),
) -> Result<Name, Refused> {
    let mut all = Vec::new();
    for (column, extents) in (0..).zip(columns) {
        all.append(&mut pieces(group, column, 0, extents)?);
    }
    let common = group.common();
    let plex = Plex { common, kernel, state, layout, pieces: all, log: None, since: None };
    insert_plex(group, naming, plex)
}

/// A log plex.
pub(super) fn log_plex(
    group: &mut Group,
    naming: Naming<'_>,
    extent: &Extent,
    kernel: KernelState,
) -> Result<Name, Refused> {
    let log = Some(subdisk(group, extent)?);
    let (layout, state) = (Layout::Concat, PlexState::Log);
    let (pieces, since) = (Vec::new(), None);
    let plex = Plex { common: group.common(), kernel, state, layout, pieces, log, since };
    insert_plex(group, naming, plex)
}

/// Gives a plex its name.
pub(super) fn insert_plex(
    group: &mut Group,
    naming: Naming<'_>,
    plex: Plex,
) -> Result<Name, Refused> {
    let name = free_name(group, naming.stem, naming.separator)?;
    group.plexes.insert(name.clone(), plex);
    Ok(name)
}
