//! Volumes of all kinds.

use crate::model::apply::{Env, apply};
use crate::model::op::{Init, Make, Op, VolumeLayout};
use crate::model::sample::{self, name};
use crate::model::{Group, KernelState, Layout, LogType, PlexState, ReadPolicy};

/// The group of the sample, with eight disks.
fn eight_disks() -> Group {
    let mut group = sample::group();
    for number in 4..=8 {
        let disk = sample::disk(&mut group, number);
        group.disks.insert(name(&format!("mydg0{number}")), disk);
    }
    group
}

fn make(group: &Group, volume: &str, layout: VolumeLayout) -> Group {
    let striped = matches!(
        layout,
        VolumeLayout::MirrorStripe | VolumeLayout::Stripe | VolumeLayout::StripeMirror
    );
    let columns = striped.then_some(2);
    let make = Make { columns, init: Init::Active, ..Make::new(name(volume), Some(512), layout) };
    let env = Env { nodes: 3, ..Env::default() };
    apply(group, &Op::Make(Box::new(make)), &env).unwrap()
}

/// A volume `new` of four stripe units.
pub(super) fn made(layout: VolumeLayout, policy: ReadPolicy) -> Group {
    let mut group = make(&eight_disks(), "new", layout);
    group.volumes.get_mut("new").unwrap().read_policy = policy;
    group
}

/// The same with two plexes, each of two columns that are mirrors of two plexes.
pub(super) fn deep(policy: ReadPolicy) -> Group {
    let mut group = make(&eight_disks(), "new", VolumeLayout::StripeMirror);
    group = make(&group, "other", VolumeLayout::StripeMirror);
    let other = group.volumes.remove("other").unwrap();
    let volume = group.volumes.get_mut("new").unwrap();
    volume.plexes.extend(other.plexes);
    volume.read_policy = policy;
    for name in &volume.plexes {
        assert!(matches!(group.plexes[name].layout, Layout::Stripe { columns: 2, width: 128 }));
    }
    group
}

/// It is written and not read.
pub(super) fn make_stale(group: &mut Group, plex: &str) {
    let plex = group.plexes.get_mut(plex).unwrap();
    (plex.kernel, plex.state) = (KernelState::Enabled, PlexState::Stale);
}

/// It is read and written.
pub(super) fn make_current(group: &mut Group, plex: &str) {
    let plex = group.plexes.get_mut(plex).unwrap();
    (plex.kernel, plex.state) = (KernelState::Enabled, PlexState::Active);
}

/// The same with logs of this volume.
pub(super) fn logged(group: &Group, volume: &str, log_type: LogType, count: u16) -> Group {
    let env = Env { nodes: 3, ..Env::default() };
    let volume = name(volume);
    let op = Op::AddLog { volume, log_type, count, len: None, storage: Vec::new() };
    apply(group, &op, &env).unwrap()
}
