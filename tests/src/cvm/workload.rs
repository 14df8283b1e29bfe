//! Utilities that ask for something, and what they were told.

use std::sync::Arc;

use cvm::disk::RequestId;
use cvm::model::op::{DiskName, FillReason, GroupAttribute, Make, Op, VolumeLayout};
use cvm::model::{Activation, Copies, DetachPolicy, Group, LogType, Name, PlexState, Volume};
use cvm::request::{ClusterRequest, GroupRequest, Import, Reply, Request};
use llt::{Instant, NodeId};

use core::time::Duration;

use super::driver::Driver;
use super::plexes;
use crate::node::State;
use crate::rng::Draw;

/// What a request was to bring about, or to do away with. Every name is given once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// A disk of a group.
    Disk {
        /// Which group.
        group: Name,
        /// The member.
        dm: Name,
        /// It was to be added.
        made: bool,
    },
    /// A group.
    Group {
        /// Its name.
        group: Name,
        /// It was to be made.
        made: bool,
    },
    /// Nothing that stays.
    None,
    /// A volume.
    Volume {
        /// Of which group.
        group: Name,
        /// Its name.
        volume: Name,
        /// It was to be made.
        made: bool,
    },
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where.
    pub node: usize,
    /// What.
    pub request: Request,
    /// What for.
    pub effect: Effect,
    /// What it is called, if it came so far.
    pub id: Option<RequestId>,
    /// The answer.
    pub reply: Option<Reply>,
    /// vxconfigd died, and there is no answer any more.
    pub is_lost: bool,
    /// When.
    pub at: Instant,
}

impl Asked {
    /// Nobody knows what became of it.
    pub const fn is_unknown(&self) -> bool {
        matches!(self.reply, None | Some(Reply::Unknown(_)))
    }
}

/// A name.
///
/// # Panics
/// If it is none.
pub fn name(text: &str) -> Name {
    Name::new(text).expect("letters and digits")
}

fn disk(name: Option<Name>, access: &str) -> DiskName {
    DiskName { name, access: access.to_owned() }
}

/// `vxdg -s init`, on disks with these numbers.
pub fn init(group: &str, disks: &[u32]) -> Request {
    Request::Group(GroupRequest::Init {
        name: name(group),
        shared: true,
        disks: disks.iter().map(|number| disk(None, &format!("disk_{number}"))).collect(),
        minors: None,
        nconfig: Copies::Default,
        nlog: Copies::Default,
        cds: true,
    })
}

/// `vxassist make` of a volume of a megabyte on one disk, or on two.
pub fn make(group: &str, volume: &str, mirrored: bool) -> Request {
    let layout = if mirrored { VolumeLayout::Mirror } else { VolumeLayout::Concat };
    let make = Make::new(name(volume), Some(2048), layout);
    Request::Op { group: name(group), op: Op::Make(Box::new(make)) }
}

/// A volume of some regions, mostly with copies and a log.
fn logged(volume: Name, draw: &mut Draw) -> Make {
    let layouts = [VolumeLayout::Mirror, VolumeLayout::Mirror, VolumeLayout::StripeMirror];
    let types = [LogType::None, LogType::Region, LogType::Region, LogType::Sequential];
    let log_type = types[draw.pick(types.len())];
    Make { log_type, ..Make::new(volume, Some(8192), layouts[draw.pick(layouts.len())]) }
}

/// `vxdg -s -o reminor= import`: another group may have its numbers by now.
pub(super) fn import(group: &str) -> Request {
    Request::Group(GroupRequest::Import(Import {
        group: group.to_owned(),
        shared: true,
        force: false,
        clear: false,
        temporary: false,
        rename: None,
        select: None,
        reminor: Some(None),
    }))
}

impl Driver {
    /// A utility asks for something now and then.
    pub fn work(&mut self) {
        let now = self.world.now();
        if now < self.next_work {
            return;
        }
        let mut draw = self.utilities.clone();
        self.next_work = now + draw.exponential(self.shape().period);
        let node = draw.pick(self.nodes.len());
        if self.nodes[node].configd.is_some() && self.world.state(node) == State::Running {
            let (request, effect) = self.request(node, &mut draw);
            if request == Request::Cluster(ClusterRequest::Stop) {
                let out = draw.between(Duration::from_millis(100), Duration::from_secs(3));
                self.nodes[node].start_at = now + out;
            }
            self.ask(node, request, effect);
        }
        self.utilities = draw;
    }

    pub(super) fn new_name(&mut self, letter: char) -> Name {
        self.names += 1;
        name(&format!("{letter}{}", self.names))
    }

    fn request(&mut self, node: usize, draw: &mut Draw) -> (Request, Effect) {
        let tables = self.nodes[node].configd.as_ref().map(cvm::core::configd::Configd::tables);
        let groups = tables.into_iter().flat_map(|tables| tables.values());
        let groups: Vec<Arc<Group>> = groups.map(|table| Arc::clone(&table.image.group)).collect();
        let access = format!("disk_{}", draw.range(1, self.shape().disks.into()));
        let group = (!groups.is_empty()).then(|| Arc::clone(&groups[draw.pick(groups.len())]));
        let weights = [12, 30, 8, 12, 6, 2, 5, 3, 6, 6, 2, 40, 5, 25];
        let (kind, Some(group)) = (draw.weighted(&weights), group) else {
            return self.any_group(&access, draw);
        };
        let named = group.name.clone();
        let op = |op| Request::Op { group: named.clone(), op };
        match kind {
            1 => {
                let volume = self.new_name('v');
                let request = if draw.chance(0.5) {
                    make(named.as_str(), volume.as_str(), draw.chance(0.3))
                } else {
                    op(Op::Make(Box::new(logged(volume.clone(), draw))))
                };
                (request, Effect::Volume { group: named, volume, made: true })
            }
            2 if !group.volumes.is_empty() => {
                let volume = pick(group.volumes.keys(), draw);
                let request = op(Op::RemoveVolume { volume: volume.clone(), force: true });
                (request, Effect::Volume { group: named, volume, made: false })
            }
            3 => {
                let dm = self.new_name('d');
                let request = op(Op::AddDisks(vec![disk(Some(dm.clone()), &access)]));
                (request, Effect::Disk { group: named, dm, made: true })
            }
            4 => {
                let dm = pick(group.disks.keys(), draw);
                let request = op(Op::RemoveDisks { names: vec![dm.clone()], keep: false });
                (request, Effect::Disk { group: named, dm, made: false })
            }
            5 => {
                let request = Request::Group(GroupRequest::Destroy(named.clone()));
                (request, Effect::Group { group: named, made: false })
            }
            6 => {
                let deport = GroupRequest::Deport { group: named, rename: None, host: None };
                (Request::Group(deport), Effect::None)
            }
            8 => {
                let nodes = u64::try_from(self.nodes.len()).unwrap_or(1);
                let to = u8::try_from(draw.below(nodes)).ok().and_then(NodeId::new);
                let to = to.unwrap_or(NodeId::ZERO);
                (Request::Cluster(ClusterRequest::SetMaster(to)), Effect::None)
            }
            9 => {
                let mode = Activation::ALL[draw.pick(Activation::ALL.len())];
                (Request::Activate { group: named, mode }, Effect::None)
            }
            10 => (Request::Cluster(ClusterRequest::Stop), Effect::None),
            11 if draw.chance(0.5) => match instant(&group, draw) {
                Some((of, effect)) => (op(of), effect),
                None => self.any_group(&access, draw),
            },
            11 => match self.snapshot(&group, draw) {
                Some((of, effect)) => (op(of), effect),
                None => self.any_group(&access, draw),
            },
            12 => (op(detach_policy(draw)), Effect::None),
            13 => match plexes::change(&group, draw) {
                Some(of) => (op(of), Effect::None),
                None => self.any_group(&access, draw),
            },
            _ => self.any_group(&access, draw),
        }
    }

    /// A step in the life of a snapshot: rather one of the later ones.
    fn snapshot(&mut self, group: &Group, draw: &mut Draw) -> Option<(Op, Effect)> {
        let named = group.name.clone();
        let is_full = |plex: &Name| {
            group.plexes.get(plex).is_some_and(|plex| plex.state == PlexState::SnapDone)
        };
        let (mut plain, mut full, mut off) = (Vec::new(), Vec::new(), Vec::new());
        for (name, volume) in group.volumes.iter().filter(|(_, volume)| !volume.layer) {
            let which = match group.original_of(volume) {
                Some(_) => &mut off,
                None if volume.plexes.iter().any(is_full) => &mut full,
                None => &mut plain,
            };
            which.push(name.clone());
        }
        if !off.is_empty() && draw.chance(0.6) {
            let snapshot = off[draw.pick(off.len())].clone();
            let effect = Effect::Volume { group: named, volume: snapshot.clone(), made: false };
            return Some(match draw.pick(8) {
                0 => (Op::SnapClear(snapshot), Effect::None),
                _ => (Op::SnapBack { snapshot, from_replica: false }, effect),
            });
        }
        if !full.is_empty() && draw.chance(0.8) {
            let volume = full[draw.pick(full.len())].clone();
            if draw.pick(8) == 0 {
                return Some((Op::SnapAbort(volume), Effect::None));
            }
            let snapshot = self.new_name('s');
            let effect = Effect::Volume { group: named, volume: snapshot.clone(), made: true };
            return Some((Op::Snapshot { volume, snapshot: Some(snapshot), count: 1 }, effect));
        }
        let volume = plain.get(draw.pick(plain.len().max(1)))?.clone();
        let start = Op::SnapStart { volume, count: 1, layout: None, storage: Vec::new() };
        Some((start, Effect::None))
    }

    /// A group is made, or one that was made at some time is imported.
    fn any_group(&mut self, access: &str, draw: &mut Draw) -> (Request, Effect) {
        let made = self.asked.iter().filter_map(|asked| match &asked.effect {
            Effect::Group { group, made: true } => Some(group.clone()),
            Effect::Disk { .. } | Effect::Group { .. } | Effect::None | Effect::Volume { .. } => {
                None
            }
        });
        let made: Vec<Name> = made.collect();
        if !made.is_empty() && draw.chance(0.6) {
            let group = made[draw.pick(made.len())].clone();
            return (import(group.as_str()), Effect::None);
        }
        let group = self.new_name('g');
        let first: u32 = access.trim_start_matches("disk_").parse().unwrap_or(1);
        let count = u32::try_from(draw.range(1, 3)).unwrap_or(1);
        let disks: Vec<u32> =
            (0..count).map(|next| (first + next - 1) % self.shape().disks + 1).collect();
        (init(group.as_str(), &disks), Effect::Group { group, made: true })
    }
}

/// Rather the policy under which nodes may stand apart.
fn detach_policy(draw: &mut Draw) -> Op {
    let policies = [DetachPolicy::Global, DetachPolicy::Local, DetachPolicy::Local];
    Op::Set(vec![GroupAttribute::DetachPolicy(policies[draw.pick(policies.len())])])
}

/// A step in the life of an instant snapshot, and what comes of it.
fn instant(group: &Group, draw: &mut Draw) -> Option<(Op, Effect)> {
    let tops = || group.volumes.iter().filter(|(_, volume)| !volume.layer);
    let is_used =
        |volume: &Volume| volume.fill.is_some() || group.filled_from(volume.common.rid).is_some();
    let is_prepared = |name: &Name| !group.map_places(name).is_empty();
    let mut steps = Vec::new();
    for (name, volume) in tops() {
        let (volume_name, count) = (name.clone(), 1);
        if is_used(volume) {
            // It is removed in the middle, now and then.
            if volume.fill.is_some() && draw.chance(0.1) {
                let (group, volume) = (group.name.clone(), name.clone());
                let gone = Effect::Volume { group, volume, made: false };
                return Some((Op::RemoveVolume { volume: volume_name, force: true }, gone));
            }
            continue;
        }
        let fill = |volume: &Name, from: &Name, why| Op::Fill {
            volume: volume.clone(),
            from: from.clone(),
            why,
        };
        if let Some((original, _)) = group.original_of(volume).filter(|_| is_prepared(name)) {
            steps.push(fill(name, original, FillReason::Refresh));
            if is_prepared(original) {
                steps.push(fill(original, name, FillReason::Restore));
            }
        } else if is_prepared(name) {
            let others = tops().filter(|(other, from)| *other != name && from.len == volume.len);
            steps.extend(others.map(|(other, _)| fill(name, other, FillReason::Make)));
        } else if volume.log_type == LogType::None {
            steps.push(Op::Prepare { volume: volume_name, count, storage: Vec::new() });
        }
    }
    (!steps.is_empty()).then(|| (steps.swap_remove(draw.pick(steps.len())), Effect::None))
}

fn pick<'a>(names: impl ExactSizeIterator<Item = &'a Name>, draw: &mut Draw) -> Name {
    let mut names = names;
    let at = draw.pick(names.len().max(1));
    names.nth(at).cloned().unwrap_or_else(|| name("none"))
}
