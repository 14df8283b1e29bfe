//! Copies and logs of volumes that come, go, move and come back, while programs use the volumes.

use cvm::model::op::{Op, Storage};
use cvm::model::{Group, KernelState, LogType, Name, Plex, PlexState, ReadPolicy, Volume};

use crate::rng::Draw;

/// A step in the life of a volume's plexes: rather one that mends something.
pub(super) fn change(group: &Group, draw: &mut Draw) -> Option<Op> {
    let tops: Vec<(&Name, &Volume)> =
        group.volumes.iter().filter(|(_, volume)| !volume.layer).collect();
    if tops.is_empty() {
        return None;
    }
    let (name, record) = tops[draw.pick(tops.len())];
    let (volume, count, storage) = (name.clone(), 1, Vec::new());
    let off: Vec<(&Name, &Plex)> =
        group.plexes.iter().filter(|(_, plex)| plex.kernel != KernelState::Enabled).collect();
    if !off.is_empty() && draw.chance(0.5) {
        let (plex, record) = off[draw.pick(off.len())];
        if record.state == PlexState::IoFail && draw.chance(0.5) {
            return Some(Op::Relocate { plex: plex.clone() });
        }
        let (volume, _) = group.volume_of(plex)?;
        let (volume, plexes) = (volume.clone(), vec![plex.clone()]);
        return Some(Op::AttachPlexes { volume, plexes, force: false });
    }
    let plexes = &record.plexes;
    let plex = (!plexes.is_empty()).then(|| plexes[draw.pick(plexes.len())].clone());
    Some(match draw.pick(9) {
        0 | 1 => Op::Mirror { volume, count, layout: None, storage },
        2 => Op::RemoveMirror { volume, count, storage },
        3 => {
            let types = [LogType::Region, LogType::Sequential];
            let log_type = types[draw.pick(types.len())];
            Op::AddLog { volume, log_type, count, len: None, storage }
        }
        4 => Op::RemoveLog { volume, count, storage },
        5 => {
            let disks: Vec<&Name> = group.disks.keys().collect();
            let disk = (*disks.get(draw.pick(disks.len().max(1)))?).clone();
            Op::Move { volume, storage: vec![Storage { disk, excluded: true, offset: None }] }
        }
        6 => {
            let policies = [ReadPolicy::Round, ReadPolicy::Select, ReadPolicy::Prefer];
            let policy = policies[draw.pick(policies.len())];
            let plex = plex.filter(|_| policy == ReadPolicy::Prefer);
            Op::ReadPolicy { volume, policy, plex }
        }
        7 => Op::DetachPlexes { plexes: plex.into_iter().collect(), force: false },
        _ => {
            let plexes = plex.into_iter().collect();
            Op::DissociatePlexes { plexes, remove: true, force: false }
        }
    })
}
