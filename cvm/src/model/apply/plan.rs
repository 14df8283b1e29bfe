//! `vxassist make`: how the volume is put together, where it fits, and how long it can be.
//!
//! What fits is decided by one rule, so that `maxsize` and `make` agree: a length is accepted if and
//! only if it is not above [`Plan::most`]. The ranges themselves are then chosen to be few.

use std::collections::BTreeSet;

use super::Env;
use super::log;
use super::place::{self, Deal, Lane, Lanes};
use super::space::{Extent, Room, Space};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::{ALIGNMENT, COLUMNS_MAX, PLEXES_MAX, STRIPE_WIDTH_MIN};
use crate::model::op::{Make, VolumeLayout};
use crate::model::record::Layout;
use crate::model::refused::Refused;
use crate::model::size::{LENGTH_MAX, Sectors, round_up};
use crate::model::states::LogType;

/// The stripe unit if none is given: 64 KiB (facts 2.1).
pub(super) const WIDTH: Sectors = 128;

/// `max_nstripe`: not more columns unless they are asked for (facts 2.1).
pub(super) const COLUMNS: u16 = 8;

/// How a volume is put together.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Of each plex, or of the top plex of a layered volume.
    pub(super) layout: Layout,
    pub(super) mirrors: usize,
    pub(super) layered: bool,
    pub(super) log_type: LogType,
    /// Log plexes of the volume, or of each layer.
    pub(super) logs: usize,
    /// How many nodes a log is for.
    nodes: u16,
    contiguous: bool,
}

/// Where it all lies.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Of each column of each mirror: mirror by mirror.
    pub(super) lanes: Lanes,
    /// Of the volume, or of each column's layer.
    pub(super) logs: Vec<Vec<Extent>>,
}

/// The longest that fits, and how.
#[derive(Clone, Debug)]
pub(super) struct Most {
    pub(super) len: Sectors,
    /// What is left for data.
    space: Space,
    logs: Vec<Vec<Extent>>,
    deal: Deal,
}

impl Plan {
    /// The ways to do what is asked for, the best first: more columns are better than fewer, if their
    /// number was left open.
    pub(super) fn all(
        group: &Group,
        make: &Make,
        space: &Space,
        env: &Env<'_>,
    ) -> Result<Vec<Self>, Refused> {
        let striped = is_striped(make)?;
        let mirrors = mirrors(make)?;
        let (log_type, logs) = logs(make, mirrors)?;
        let width = make.width.unwrap_or(WIDTH);
        if width < STRIPE_WIDTH_MIN || !width.is_multiple_of(STRIPE_WIDTH_MIN) || width > 1 << 31 {
            let what = "a stripe unit is a multiple of 8 sectors, up to 1t";
            return Err(Refused::Invalid(what.to_owned()));
        }
        let layouts = match (striped, make.columns) {
            (false, _) => vec![Layout::Concat],
            (true, Some(columns)) if (2..=COLUMNS_MAX).contains(&columns) => {
                vec![Layout::Stripe { columns, width }]
            }
            (true, Some(_)) => {
                return Err(Refused::Invalid("a stripe has 2 to 256 columns".to_owned()));
            }
            (true, None) => {
                let most = columns(space.rooms.len() / mirrors);
                (2..=most).rev().map(|columns| Layout::Stripe { columns, width }).collect()
            }
        };
        let layered =
            matches!(make.layout, VolumeLayout::ConcatMirror | VolumeLayout::StripeMirror);
        let (nodes, contiguous) = (log::nodes(group, env), make.contiguous);
        let plan = |layout| Self { layout, mirrors, layered, log_type, logs, nodes, contiguous };
        Ok(layouts.into_iter().map(plan).collect())
    }

    /// Lengths of the volume are multiples of it: all columns end together, aligned, at a whole
    /// stripe unit.
    pub(super) fn unit(&self) -> Sectors {
        unit(self.layout)
    }

    fn columns(&self) -> usize {
        usize::from(self.layout.columns())
    }

    fn lane_len(&self, len: Sectors) -> Sectors {
        len / u64::from(self.layout.columns())
    }

    fn lanes(&self, len: Sectors) -> Vec<Lane> {
        let lane = Lane { need: self.lane_len(len), ..Lane::default() };
        vec![lane; self.mirrors * self.columns()]
    }

    /// How many volumes have logs: the volume, or the layer of each column.
    fn logged(&self) -> usize {
        match (self.logs, self.layered) {
            (0, _) => 0,
            (_, false) => 1,
            (_, true) => self.columns(),
        }
    }

    fn log_len(&self, len: Sectors) -> Sectors {
        log::drl_len(if self.layered { self.lane_len(len) } else { len }, self.nodes)
    }

    /// Places for a volume of this length, if it is not longer than the most.
    pub(super) fn place(&self, space: &Space, most: &Most, len: Sectors) -> Option<Placed> {
        if len == 0 || len > most.len {
            return None;
        }
        self.apart(space, len)
            .or_else(|| self.withheld(space, len))
            .or_else(|| self.sharing(space, len))
            .or_else(|| self.as_most(most, len))
    }

    /// Few ranges, logs where no data are.
    fn apart(&self, space: &Space, len: Sectors) -> Option<Placed> {
        let lanes = place::fewest(space, &self.lanes(len), self.contiguous)?;
        let logs = self.place_logs(space, &lanes, false, len)?;
        Some(Placed { lanes, logs })
    }

    /// Disks for logs are chosen first, so that there are some.
    fn withheld(&self, space: &Space, len: Sectors) -> Option<Placed> {
        if self.logs == 0 {
            return None;
        }
        let needed = self.log_len(len) * u64::try_from(self.logged()).ok()?;
        let mut rooms: Vec<&Room> =
            space.rooms.iter().filter(|room| room.longest() >= needed).collect();
        rooms.sort_by_key(|room| room.total());
        let rooms: Vec<&Room> = rooms.into_iter().take(self.logs).collect();
        let withheld: BTreeSet<Name> = rooms.iter().map(|room| room.disk.clone()).collect();
        let data = space.without(&withheld);
        let lanes = place::place(&data, &self.lanes(len), self.contiguous)?;
        let only = Space { rooms: rooms.into_iter().cloned().collect() };
        let logs = self.place_logs(&only, &lanes, false, len)?;
        Some(Placed { lanes, logs })
    }

    /// Few ranges, logs anywhere.
    fn sharing(&self, space: &Space, len: Sectors) -> Option<Placed> {
        let lanes = place::place(space, &self.lanes(len), self.contiguous)?;
        let logs = self.place_logs(space, &lanes, true, len)?;
        Some(Placed { lanes, logs })
    }

    /// As the longest volume would lie. Every shorter one fits there, too: whatever the search for
    /// the longest one overlooked, it overlooked for both.
    fn as_most(&self, most: &Most, len: Sectors) -> Option<Placed> {
        let lanes = self.lanes(len);
        let lanes = place::fill_all(&most.space, &lanes, &most.deal, self.contiguous)?;
        let cut = |log: &Extent| Extent { len: self.log_len(len), ..log.clone() };
        let logs = most.logs.iter().map(|logs| logs.iter().map(cut).collect()).collect();
        Some(Placed { lanes, logs })
    }

    fn place_logs(
        &self,
        space: &Space,
        lanes: &Lanes,
        shared: bool,
        len: Sectors,
    ) -> Option<Vec<Vec<Extent>>> {
        let mut space = space.clone();
        lanes.iter().flatten().for_each(|extent| space.carve(extent));
        let data = lanes.iter().flatten().map(|extent| extent.disk.clone()).collect();
        let mut all = Vec::new();
        for _ in 0..self.logged() {
            let logs = log::place(&space, &data, shared, self.logs, self.log_len(len))?;
            logs.iter().for_each(|extent| space.carve(extent));
            all.push(logs);
        }
        Some(all)
    }

    /// The longest volume that fits. Logs take their place first, on each disk in turn; the best of
    /// these ways is it.
    pub(super) fn most(&self, space: &Space) -> Option<Most> {
        if space.rooms.len() < self.mirrors * self.columns() {
            return None;
        }
        let mut order: Vec<&Room> = space.rooms.iter().collect();
        order.sort_by_key(|room| room.total());
        let to = space.total().min(LENGTH_MAX);
        let ways = if self.logs == 0 { 1 } else { order.len().min(WAYS_MAX) };
        let mut best: Option<Most> = None;
        for _ in 0..ways {
            let from = best.as_ref().map_or(0, |most| most.len);
            let fits = |len| {
                let (space, logs) = self.reserve(space, &order, len)?;
                let deal = place::deal(&space, &self.lanes(len), self.contiguous)?;
                Some(Most { len, space, logs, deal })
            };
            // Most ways are no better: one look tells.
            if best.is_none() || fits(from + self.unit()).is_some() {
                best = place::largest(self.unit(), from, to, fits).map(|most| most.1).or(best);
            }
            order.rotate_right(1);
        }
        best
    }

    /// Takes the logs of a volume of this length out of the space, on the first disks in the order.
    fn reserve(
        &self,
        space: &Space,
        order: &[&Room],
        len: Sectors,
    ) -> Option<(Space, Vec<Vec<Extent>>)> {
        let (mut space, mut all) = (space.clone(), Vec::new());
        for _ in 0..self.logged() {
            let disks = order
                .iter()
                .filter_map(|room| space.rooms.iter().find(|same| same.disk == room.disk).cloned());
            let ordered = Space { rooms: disks.collect() };
            let logs = log::place(&ordered, &BTreeSet::new(), true, self.logs, self.log_len(len))?;
            logs.iter().for_each(|extent| space.carve(extent));
            all.push(logs);
        }
        Some((space, all))
    }
}

/// How many disks are tried as the first for logs: all of a small group.
const WAYS_MAX: usize = 12;

/// What lengths of plexes of this layout are multiples of.
pub(super) fn unit(layout: Layout) -> Sectors {
    match layout {
        Layout::Concat => ALIGNMENT,
        Layout::Stripe { columns, width } => column_unit(width) * u64::from(columns),
    }
}

/// What lengths of columns are multiples of: whole stripe units, and aligned.
pub(super) const fn column_unit(width: Sectors) -> Sectors {
    let unit = round_up(width, STRIPE_WIDTH_MIN);
    // A width is a multiple of half the alignment.
    if unit.is_multiple_of(ALIGNMENT) { unit } else { 2 * unit }
}

/// How many columns a stripe has if there are so many disks for it.
pub(super) fn columns(disks: usize) -> u16 {
    u16::try_from(disks).map_or(COLUMNS, |disks| disks.min(COLUMNS))
}

fn is_striped(make: &Make) -> Result<bool, Refused> {
    let asked = make.columns.is_some() || make.width.is_some();
    match make.layout {
        VolumeLayout::Concat | VolumeLayout::ConcatMirror if asked => {
            let what = "columns and a stripe unit are for striped layouts, such as layout=stripe";
            Err(Refused::Invalid(what.to_owned()))
        }
        VolumeLayout::Concat | VolumeLayout::ConcatMirror => Ok(false),
        VolumeLayout::Mirror => Ok(asked),
        VolumeLayout::MirrorStripe | VolumeLayout::Stripe | VolumeLayout::StripeMirror => Ok(true),
    }
}

fn mirrors(make: &Make) -> Result<usize, Refused> {
    let standard = match make.layout {
        VolumeLayout::Concat | VolumeLayout::Stripe => 1,
        VolumeLayout::ConcatMirror
        | VolumeLayout::Mirror
        | VolumeLayout::MirrorStripe
        | VolumeLayout::StripeMirror => 2,
    };
    let mirrors = make.mirrors.map_or(standard, usize::from);
    if (1..=PLEXES_MAX).contains(&mirrors) {
        Ok(mirrors)
    } else {
        Err(Refused::Invalid(format!("a volume has 1 to {PLEXES_MAX} mirrors, not {mirrors}")))
    }
}

/// A type implies one log, and logs without a type are of regions.
fn logs(make: &Make, mirrors: usize) -> Result<(LogType, usize), Refused> {
    let (log_type, logs) = match (make.log_type, make.logs) {
        (_, Some(0)) | (LogType::None, None) => return Ok((LogType::None, 0)),
        (LogType::None, Some(logs)) => (LogType::Region, logs),
        (log_type @ (LogType::Region | LogType::Sequential), logs) => (log_type, logs.unwrap_or(1)),
    };
    if mirrors < 2 {
        return Err(Refused::Unmirrored(make.name.clone()));
    }
    Ok((log_type, usize::from(logs)))
}
