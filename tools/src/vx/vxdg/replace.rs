//! `vxdg repldisk`: a member without a disk gets that of a spare.

use cvm::model::Name;
use cvm::model::op::{DiskName, Op};
use cvm::request::Request;
use cvm::snapshot::Snapshot;

use crate::common::Failure;
use crate::vx::Daemon;
use crate::vx::device::{device_of, group as find};

/// What it takes. A member has its disk until it has left, so this is no single change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    /// The spares give up their disks; absent if the disks belong to no group.
    pub(super) free: Option<Request>,
    /// The members get them.
    pub(super) replace: Request,
    /// If they do not, the spares have them again.
    pub(super) undo: Option<Request>,
}

/// Looks up which disks are meant. What is no member is the access name of a disk of no group.
///
/// # Errors
/// If a member has its disk still, or a spare has none.
pub(super) fn steps(
    snapshot: &Snapshot,
    group: &Name,
    pairs: &[(Name, String)],
    keep: bool,
) -> Result<Steps, Failure> {
    let known = &find(snapshot, group)?.group;
    let (mut spares, mut wanted) = (Vec::new(), Vec::new());
    for (name, other) in pairs {
        let Some(dm) = known.disks.get(name) else {
            return Err(Failure::operation(format!("disk {name} does not exist")));
        };
        if dm.disk.is_some() {
            let how = format!("vxdg -g {group} -k rmdisk {name} takes it out");
            return Err(Failure::operation(format!("Disk {name} has its disk: {how}")));
        }
        let access = match known.disks.get_key_value(other.as_str()) {
            Some((spare, dm)) => {
                let device = device_of(snapshot, dm).ok_or_else(|| {
                    Failure::operation(format!("Disk {spare} has no disk on this node"))
                })?;
                spares.push((spare.clone(), device.access.clone()));
                device.access.clone()
            }
            None => other.clone(),
        };
        wanted.push((name.clone(), access));
    }
    let request = |op| Request::Op { group: group.clone(), op };
    let names: Vec<Name> = spares.iter().map(|(spare, _)| spare.clone()).collect();
    let back = if keep {
        Op::ReplaceDisks(spares)
    } else {
        let disk = |(name, access)| DiskName { name: Some(name), access };
        Op::AddDisks(spares.into_iter().map(disk).collect())
    };
    let has_spares = !names.is_empty();
    Ok(Steps {
        free: has_spares.then(|| request(Op::RemoveDisks { names, keep })),
        replace: request(Op::ReplaceDisks(wanted)),
        undo: has_spares.then(|| request(back)),
    })
}

/// Has it done.
///
/// # Errors
/// If it was not; then all is as it was, or the text says that it is not.
pub(super) fn carry_out(daemon: &mut Daemon, steps: &Steps) -> Result<(), Failure> {
    if let Some(free) = &steps.free {
        daemon.change(free)?;
    }
    let Err(failure) = daemon.change(&steps.replace) else { return Ok(()) };
    let undone = steps.undo.as_ref().map_or(Ok(()), |undo| daemon.change(undo));
    Err(match undone {
        Ok(()) => failure,
        Err(other) => {
            let text = format!("{failure}; the spares are out of the group now, because {other}");
            Failure::operation(text)
        }
    })
}
