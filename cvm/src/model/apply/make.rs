//! `vxassist make`: the records of a volume.

use std::collections::BTreeSet;

use super::build::{self, Naming};
use super::plan::{Most, Placed, Plan};
use super::space::{Extent, Space};
use super::{Env, free_minor, log};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::op::{Init, Make};
use crate::model::record::{Common, Permissions, Piece, Plex, Source, Subdisk, Volume};
use crate::model::refused::Refused;
use crate::model::size::{LENGTH_MAX, Sectors, round_up};
use crate::model::states::{KernelState, LogType, PlexState, ReadPolicy, VolumeState};

/// The length of the longest volume of this kind that can be made; `make.len` does not count. The
/// group is as it was.
pub fn maxsize(group: &Group, make: &Make, env: &Env<'_>) -> Result<Sectors, Refused> {
    let space = Space::of(group, &make.storage)?;
    let (_, most) = longest(group, make, &space, env)?;
    Ok(most.len)
}

fn longest(
    group: &Group,
    make: &Make,
    space: &Space,
    env: &Env<'_>,
) -> Result<(Plan, Most), Refused> {
    let mut best: Option<(Plan, Most)> = None;
    for plan in Plan::all(group, make, space, env)? {
        let most = plan.most(space);
        let longer = |most: &Most| best.as_ref().is_none_or(|(_, best)| best.len < most.len);
        if let Some(most) = most.filter(longer) {
            best = Some((plan, most));
        }
    }
    best.ok_or_else(|| Refused::NoSpaceLeft(group.name.clone()))
}

pub(super) fn make(group: &mut Group, make: &Make, env: &Env<'_>) -> Result<(), Refused> {
    if group.kind_of(make.name.as_str()).is_some() {
        return Err(Refused::Exists(make.name.clone()));
    }
    check_usage(&make.usage)?;
    let space = Space::of(group, &make.storage)?;
    let (plan, len, placed) = match make.len {
        Some(len) => with_len(group, make, &space, len, env)?,
        None => {
            let (plan, most) = longest(group, make, &space, env)?;
            let placed = plan.place(&space, &most, most.len);
            let missing = || Refused::NoSpaceLeft(group.name.clone());
            (plan, most.len, placed.ok_or_else(missing)?)
        }
    };
    Maker { group, make, plan, env }.records(len, placed)
}

/// The first way in which a volume of this length fits.
fn with_len(
    group: &Group,
    make: &Make,
    space: &Space,
    len: Sectors,
    env: &Env<'_>,
) -> Result<(Plan, Sectors, Placed), Refused> {
    if len == 0 {
        return Err(Refused::Invalid("a volume is not 0 sectors long".to_owned()));
    }
    if len <= LENGTH_MAX {
        for plan in Plan::all(group, make, space, env)? {
            let whole = round_up(len, plan.unit());
            let most = plan.most(space);
            if let Some(placed) = most.and_then(|most| plan.place(space, &most, whole)) {
                return Ok((plan, whole, placed));
            }
        }
    }
    Err(Refused::NoSpace(len))
}

pub(super) fn check_usage(usage: &str) -> Result<(), Refused> {
    if matches!(usage, "fsgen" | "gen") {
        Ok(())
    } else {
        // RAID-5 is not for shared groups, and there are no other types.
        Err(Refused::Invalid(format!("usage type {usage}: fsgen or gen was expected")))
    }
}

/// States of what is new. The contents of mirrors are whatever was on the disks: nobody knows where they
/// differ, and they are made equal as after the loss of a node that was writing, unless that is not
/// wanted ([`Maker::top`]).
const fn begin(init: Init) -> (KernelState, VolumeState, PlexState) {
    match init {
        Init::Active | Init::Default => {
            (KernelState::Enabled, VolumeState::Active, PlexState::Active)
        }
        Init::None => (KernelState::Disabled, VolumeState::Empty, PlexState::Empty),
    }
}

struct Maker<'a> {
    group: &'a mut Group,
    make: &'a Make,
    plan: Plan,
    env: &'a Env<'a>,
}

impl Maker<'_> {
    fn records(mut self, len: Sectors, placed: Placed) -> Result<(), Refused> {
        let columns = usize::from(self.plan.layout.columns());
        if self.plan.layered {
            return self.layered(len, columns, placed);
        }
        let (kernel, _, state) = begin(self.make.init);
        let naming = Naming::of(self.make.name.as_str(), false);
        let mut plexes = Vec::new();
        for mirror in placed.lanes.chunks(columns) {
            let (layout, states) = (self.plan.layout, (kernel, state));
            plexes.push(build::plex(self.group, naming, layout, mirror, states)?);
        }
        self.top(len, plexes)?;
        let logs = placed.logs.first().map_or(&[][..], Vec::as_slice);
        log::attach(self.group, naming.stem, &self.make.name, self.plan.log_type, logs)
    }

    /// One plex whose subdisks are mirrored volumes. A mirrored volume for each range that lies on
    /// one disk in every mirror makes a failed disk cost little; one for each column if it has logs,
    /// because every layer has its own.
    fn layered(&mut self, len: Sectors, columns: usize, placed: Placed) -> Result<(), Refused> {
        let mut pieces = Vec::new();
        for (column, number) in (0..columns).zip(0..) {
            let mirrors: Vec<&[Extent]> =
                placed.lanes.iter().skip(column).step_by(columns).map(Vec::as_slice).collect();
            let segments =
                if self.plan.logs == 0 { segments(&mirrors) } else { vec![whole(&mirrors)] };
            let logs = placed.logs.get(column).map_or(&[][..], Vec::as_slice);
            let mut offset = 0;
            for mirrors in segments {
                let (subdisk, len) = self.layer(&mirrors, logs)?;
                pieces.push(Piece { subdisk, column: number, offset });
                offset += len;
            }
        }
        let (kernel, _, state) = begin(self.make.init);
        let (layout, common) = (self.plan.layout, self.group.common());
        let plex = Plex { common, kernel, state, layout, pieces, log: None, since: None };
        let naming = Naming::of(self.make.name.as_str(), false);
        let plex = build::insert_plex(self.group, naming, plex)?;
        self.top(len, vec![plex])
    }

    /// A mirrored volume, and the subvolume that stands for it.
    fn layer(
        &mut self,
        mirrors: &[Vec<Extent>],
        logs: &[Extent],
    ) -> Result<(Name, Sectors), Refused> {
        let stem = self.make.name.as_str();
        let (kernel, _, state) = begin(self.make.init);
        let mut plexes = Vec::new();
        for mirror in mirrors {
            let (naming, layout) = (Naming::of(stem, true), crate::model::Layout::Concat);
            let column = std::slice::from_ref(mirror);
            plexes.push(build::plex(self.group, naming, layout, column, (kernel, state))?);
        }
        let len = mirrors.first().map_or(0, |extents| extents.iter().map(|e| e.len).sum());
        let name = build::free_name(self.group, stem, "-L")?;
        let volume = self.volume(len, plexes, true)?;
        self.group.volumes.insert(name.clone(), volume);
        log::attach(self.group, stem, &name, self.plan.log_type, logs)?;
        let subvolume = build::free_name(self.group, stem, "-S")?;
        let source = Source::Volume(name);
        let subdisk = Subdisk { common: self.group.common(), source, len, origin: None };
        self.group.subdisks.insert(subvolume.clone(), subdisk);
        Ok((subvolume, len))
    }

    /// The volume that was asked for.
    fn top(&mut self, len: Sectors, plexes: Vec<Name>) -> Result<(), Refused> {
        let mut volume = self.volume(len, plexes, false)?;
        // Layers follow the volume that they are parts of.
        if self.make.init == Init::Default && self.plan.mirrors > 1 {
            volume.needs_full_sync();
        }
        self.group.volumes.insert(self.make.name.clone(), volume);
        Ok(())
    }

    fn volume(&mut self, len: Sectors, plexes: Vec<Name>, layer: bool) -> Result<Volume, Refused> {
        let (kernel, state, _) = begin(self.make.init);
        let minor = free_minor(self.group, self.env)?;
        let comment = if layer { String::new() } else { self.make.comment.clone() };
        let common = Common { comment, ..self.group.common() };
        let permissions =
            if layer { Permissions::default() } else { self.make.permissions.clone() };
        Ok(Volume {
            common,
            kernel,
            state,
            len,
            usage: self.make.usage.clone(),
            read_policy: ReadPolicy::Select,
            preferred: None,
            minor,
            log_type: LogType::None,
            exclusive: self.make.exclusive && !layer,
            layer,
            permissions,
            plexes,
            writers: BTreeSet::new(),
            lost: BTreeSet::new(),
            by_map: false,
            snapshot_of: None,
            changes: 0,
            changers: BTreeSet::new(),
            since: None,
            fill: None,
        })
    }
}

fn whole(mirrors: &[&[Extent]]) -> Vec<Vec<Extent>> {
    mirrors.iter().map(|mirror| mirror.to_vec()).collect()
}

/// Cuts mirrors, which are equally long, wherever a range of one of them ends.
fn segments(mirrors: &[&[Extent]]) -> Vec<Vec<Vec<Extent>>> {
    let mut rest: Vec<Vec<Extent>> =
        mirrors.iter().map(|mirror| mirror.iter().rev().cloned().collect()).collect();
    let mut segments = Vec::new();
    while let Some(len) = rest.iter().filter_map(|mirror| Some(mirror.last()?.len)).min() {
        let first = rest.iter_mut().filter_map(|mirror| {
            let last = mirror.last_mut()?;
            let first = Extent { len, ..last.clone() };
            if last.len == len {
                mirror.pop();
            } else {
                last.offset += len;
                last.len -= len;
            }
            Some(vec![first])
        });
        segments.push(first.collect());
    }
    segments
}
