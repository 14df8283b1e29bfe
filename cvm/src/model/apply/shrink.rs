//! Cutting off the ends of a volume's plexes.

use super::tree;
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::record::{Plex, Source};
use crate::model::size::{Sectors, round_up};

/// Makes a volume `to` long, which is not longer than it is, and gives back what lies behind that.
pub(super) fn volume(group: &mut Group, name: &Name, to: Sectors) {
    let Some(volume) = group.volumes.get_mut(name) else { return };
    volume.len = to;
    for plex in volume.plexes.clone() {
        shorten(group, &plex, to);
    }
}

fn shorten(group: &mut Group, name: &Name, to: Sectors) {
    let Some(plex) = group.plexes.get(name).filter(|plex| !plex.is_log_only()) else { return };
    let needed = tree::column_len(plex.layout, to);
    let (kept, gone): (Vec<_>, Vec<_>) =
        plex.pieces.iter().cloned().partition(|piece| piece.offset < needed);
    for piece in gone {
        tree::remove_subdisk(group, &piece.subdisk);
    }
    for piece in &kept {
        cut(group, &piece.subdisk, needed - piece.offset);
    }
    if let Some(Plex { pieces, .. }) = group.plexes.get_mut(name) {
        *pieces = kept;
    }
}

/// Lets a subdisk end there, if it is longer; on a disk, at an aligned place behind that.
fn cut(group: &mut Group, name: &Name, to: Sectors) {
    let Some(subdisk) = group.subdisks.get_mut(name) else { return };
    let to = round_up(to, ALIGNMENT);
    if to >= subdisk.len {
        return;
    }
    subdisk.len = to;
    match &subdisk.source {
        Source::Disk { .. } => {}
        Source::Volume(layer) => {
            let layer = layer.clone();
            volume(group, &layer, to);
        }
    }
}
