//! `vxassist mirror` and `vxassist remove mirror`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::build::{self, Naming};
use super::log::{self, Words};
use super::place::{self, Lane};
use super::space::{Extent, Space};
use super::{plan, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::{Storage, VolumeLayout};
use crate::model::record::{Layout, Plex, Volume};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_up};
use crate::model::states::{KernelState, PlexState, VolumeState};

/// Adds plexes to a volume, or to each of its layers, on disks that hold no data of it.
pub(super) fn add(
    group: &mut Group,
    name: &Name,
    count: u16,
    layout: Option<VolumeLayout>,
    storage: &[Storage],
) -> Result<(), Refused> {
    let mirrors = Mirrors::of(group, name, count, storage)?;
    if tree::leaves(group, name) == [name.clone()] {
        let layout = mirrors.layout(group, layout)?;
        let states = begin(tree::volume(group, name)?);
        mirrors.add_plexes(group, layout, states)
    } else {
        mirrors.add_to_layers(group, layout)
    }
}

/// Plexes that a volume is to get, and where there is room for them.
pub(super) struct Mirrors<'a> {
    name: &'a Name,
    count: usize,
    space: Space,
}

impl<'a> Mirrors<'a> {
    /// So many more of a volume.
    pub(super) fn of(
        group: &Group,
        name: &'a Name,
        count: u16,
        storage: &[Storage],
    ) -> Result<Self, Refused> {
        tree::top(group, name)?;
        if count == 0 {
            return Err(Refused::Invalid("at least one mirror is added".to_owned()));
        }
        let space = Space::of(group, storage)?.without(&tree::disks_of_volume(group, name));
        Ok(Self { name, count: count.into(), space })
    }

    fn no_space(&self) -> Refused {
        Refused::NoSpaceFor { part: "a mirror", volume: self.name.clone() }
    }

    /// A disk for each column of each new mirror is the least that it takes.
    fn check_disks(&self, columns: usize) -> Result<(), Refused> {
        let enough = columns.saturating_mul(self.count) <= self.space.rooms.len();
        if enough { Ok(()) } else { Err(self.no_space()) }
    }

    /// How they lie: as the first one, if nothing else is asked for.
    pub(super) fn layout(
        &self,
        group: &Group,
        asked: Option<VolumeLayout>,
    ) -> Result<Layout, Refused> {
        let volume = tree::volume(group, self.name)?;
        let Some((_, Plex { layout: first, .. })) = tree::data_plexes(group, volume).next() else {
            let what = format!("Volume {} has no plex to be mirrored", self.name);
            return Err(Refused::Invalid(what));
        };
        let first = *first;
        match asked {
            None | Some(VolumeLayout::Mirror) => Ok(first),
            Some(VolumeLayout::Concat) => Ok(Layout::Concat),
            Some(VolumeLayout::MirrorStripe | VolumeLayout::Stripe) => match first {
                Layout::Stripe { .. } => Ok(first),
                Layout::Concat => {
                    let columns = plan::columns(self.space.rooms.len() / self.count);
                    let layout = Layout::Stripe { columns, width: plan::WIDTH };
                    if columns < 2 { Err(self.no_space()) } else { Ok(layout) }
                }
            },
            Some(VolumeLayout::ConcatMirror | VolumeLayout::StripeMirror) => {
                let what = format!("Volume {} is not layered: neither are its mirrors", self.name);
                Err(Refused::Invalid(what))
            }
        }
    }

    /// Adds them to the volume itself.
    pub(super) fn add_plexes(
        &self,
        group: &mut Group,
        layout: Layout,
        states: (KernelState, PlexState),
    ) -> Result<(), Refused> {
        let needed = tree::column_len(layout, tree::volume(group, self.name)?.len);
        let columns = usize::from(layout.columns());
        self.check_disks(columns)?;
        let lane = Lane { need: round_up(needed, ALIGNMENT), ..Lane::default() };
        let lanes = vec![lane; self.count * columns];
        let placed = place::place(&self.space, &lanes, false).ok_or_else(|| self.no_space())?;
        for mirror in placed.chunks(columns) {
            let naming = Naming::of(self.name.as_str(), false);
            let plex = build::plex(group, naming, layout, mirror, states)?;
            associate(group, self.name, plex);
        }
        Ok(())
    }

    /// A mirror of a layered volume is one more plex in each layer of each column.
    fn add_to_layers(
        &self,
        group: &mut Group,
        layout: Option<VolumeLayout>,
    ) -> Result<(), Refused> {
        match layout {
            None
            | Some(
                VolumeLayout::ConcatMirror | VolumeLayout::Mirror | VolumeLayout::StripeMirror,
            ) => {}
            Some(VolumeLayout::Concat | VolumeLayout::MirrorStripe | VolumeLayout::Stripe) => {
                let what = format!("Volume {} is layered: so are its mirrors", self.name);
                return Err(Refused::Invalid(what));
            }
        }
        let columns = columns_of_layers(group, self.name);
        self.check_disks(columns.len())?;
        let need = |layers: &Vec<(Name, Sectors)>| layers.iter().map(|(_, len)| len).sum();
        let all = columns.iter().cycle().take(columns.len() * self.count);
        let lanes: Vec<Lane> =
            all.map(|layers| Lane { need: need(layers), ..Lane::default() }).collect();
        let placed = place::place(&self.space, &lanes, false);
        let placed = placed.ok_or_else(|| self.no_space())?;
        for (layers, extents) in columns.iter().cycle().zip(&placed) {
            let mut extents = Take(extents.iter().rev().cloned().collect());
            for (layer, len) in layers {
                let column = extents.take(*len);
                let states = begin(tree::volume(group, layer)?);
                let naming = Naming::of(self.name.as_str(), true);
                let column = std::slice::from_ref(&column);
                let plex = build::plex(group, naming, Layout::Concat, column, states)?;
                associate(group, layer, plex);
            }
        }
        Ok(())
    }
}

/// A new plex of a volume with data is a copy only after somebody copied them, which begins when both
/// are enabled; where there are no data, it is as good as the others.
pub(super) const fn begin(volume: &Volume) -> (KernelState, PlexState) {
    match (volume.kernel, volume.state) {
        (KernelState::Enabled, _) => (KernelState::Enabled, PlexState::Stale),
        (KernelState::Detached | KernelState::Disabled, VolumeState::Empty) => {
            (KernelState::Disabled, PlexState::Empty)
        }
        (KernelState::Disabled, _) => (KernelState::Disabled, PlexState::Stale),
        (KernelState::Detached, _) => (KernelState::Detached, PlexState::Stale),
    }
}

/// Before the logs, which listings have last.
pub(super) fn associate(group: &mut Group, volume: &Name, plex: Name) {
    let Some(record) = group.volumes.get(volume) else { return };
    let data = tree::data_plexes(group, record).map(|(name, _)| name);
    let place = data.filter_map(|name| record.plexes.iter().position(|other| other == name)).max();
    if let Some(volume) = group.volumes.get_mut(volume) {
        volume.plexes.insert(place.map_or(0, |last| last + 1), plex);
    }
}

/// The layers of each column of a layered volume, with their lengths.
fn columns_of_layers(group: &Group, name: &Name) -> Vec<Vec<(Name, Sectors)>> {
    let mut columns = Vec::new();
    let Some(volume) = group.volumes.get(name) else { return columns };
    for (_, plex) in tree::data_plexes(group, volume) {
        for column in 0..plex.layout.columns() {
            let pieces = plex.pieces.iter().filter(|piece| piece.column == column);
            let layers = pieces.filter_map(|piece| {
                let layer = tree::layer(group, &piece.subdisk)?;
                Some((layer.clone(), round_up(group.volumes.get(layer)?.len, ALIGNMENT)))
            });
            columns.push(layers.collect());
        }
    }
    columns
}

/// Ranges, the last first, that are used up from the end of the list.
pub(super) struct Take(pub(super) Vec<Extent>);

impl Take {
    /// The next ranges with this length in all; fewer if there are no more.
    pub(super) fn take(&mut self, mut len: Sectors) -> Vec<Extent> {
        let mut taken = Vec::new();
        while len > 0 {
            let Some(mut extent) = self.0.pop() else { break };
            if extent.len > len {
                let rest = extent.len - len;
                self.0.push(Extent { offset: extent.offset + len, len: rest, ..extent.clone() });
                extent.len = len;
            }
            len -= extent.len;
            taken.push(extent);
        }
        taken
    }
}

/// Removes plexes from a volume, or from each of its layers. Current copies are kept as long as there
/// are others to remove, and one is kept in any case.
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
        // Those that are to be broken off are no mirrors, and go by snapabort.
        let is_mirror =
            |plex: &Plex| !matches!(plex.state, PlexState::SnapAtt | PlexState::SnapDone);
        let mut plexes: Vec<_> = tree::data_plexes(group, volume)
            .filter(|(_, plex)| is_mirror(plex))
            .enumerate()
            .map(|(number, (name, plex))| {
                let disks: BTreeSet<Name> = tree::disks_of_pieces(group, &plex.pieces);
                let current = tree::is_current(group, volume, plex);
                (words.stays(&disks), current, Reverse(number), name.clone())
            })
            .collect();
        if count == 0 || usize::from(count) >= plexes.len() {
            let what = format!(
                "Volume {leaf} has {} mirrors: 1 of them stays, so that {count} cannot be removed",
                plexes.len()
            );
            return Err(Refused::Invalid(what));
        }
        plexes.sort_unstable();
        let stay = plexes.split_off(usize::from(count));
        let lost = plexes.iter().any(|plex| plex.1) && !stay.iter().any(|plex| plex.1);
        if lost {
            return Err(Refused::NoCopy(leaf));
        }
        for (_, _, _, plex) in plexes {
            log::detach(group, &leaf, &plex);
        }
        tree::settle(group, &leaf);
    }
    Ok(())
}
