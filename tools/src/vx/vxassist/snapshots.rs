//! `vxassist snapprint`: which snapshots there are of which volumes, and what it would take to bring
//! them back.

use std::fmt::Write;

use cvm::model::{Group, KernelState, Name, Plex, PlexState, Sectors, Volume};
use serde::Serialize;

/// A volume with snapshots or snapshot mirrors, or a snapshot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Shown {
    volume: Name,
    usage: String,
    length: Sectors,
    /// The volume that it was broken off from, if that is still there.
    snapshot_of: Option<Name>,
    plexes: Vec<ShownPlex>,
}

/// A plex of one of them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct ShownPlex {
    plex: Name,
    state: PlexState,
    /// How much of it is copied if it is brought back, in hundredths of a per cent.
    dirty: u32,
}

/// What there is to tell of these volumes, or of all.
pub(super) fn shown(group: &Group, volumes: &[Name]) -> Vec<Shown> {
    let mut shown = Vec::new();
    for (name, volume) in &group.volumes {
        let plexes = data_plexes(group, volume);
        let is_begun = plexes.iter().any(|(_, plex)| is_mirror(plex));
        let has_some =
            group.volumes.values().any(|other| other.snapshot_of == Some(volume.common.rid));
        let is_asked = volumes.is_empty() || volumes.contains(name);
        if !is_asked || !(is_begun || has_some || volume.snapshot_of.is_some()) {
            continue;
        }
        let plexes = plexes.into_iter().map(|(plex, record)| ShownPlex {
            plex: plex.clone(),
            state: record.state,
            // At most: what is noted of changes is in the logs, which are not read for this.
            dirty: if volume.snapshot_of.is_some() || !is_full(record) { 10_000 } else { 0 },
        });
        shown.push(Shown {
            volume: name.clone(),
            usage: volume.usage.clone(),
            length: volume.len,
            snapshot_of: group.original_of(volume).map(|(name, _)| name.clone()),
            plexes: plexes.collect(),
        });
    }
    shown
}

fn data_plexes<'a>(group: &'a Group, volume: &'a Volume) -> Vec<(&'a Name, &'a Plex)> {
    let plexes = volume.plexes.iter().filter_map(|plex| group.plexes.get_key_value(plex));
    plexes.filter(|(_, plex)| !plex.is_log_only()).collect()
}

/// It has plexes that are to be broken off, and take part in its I/O.
pub(super) fn has_mirrors(group: &Group, volume: &Volume) -> bool {
    let is_on = |plex: &Plex| plex.kernel == KernelState::Enabled && is_mirror(plex);
    data_plexes(group, volume).iter().any(|(_, plex)| is_on(plex))
}

fn is_mirror(plex: &Plex) -> bool {
    matches!(plex.state, PlexState::SnapAtt | PlexState::SnapDone)
}

fn is_full(plex: &Plex) -> bool {
    plex.kernel == KernelState::Enabled && !plex.needs_copy()
}

/// As the original prints it, with the volume that a snapshot is of in the place of the plex that it
/// replaces.
pub(super) fn text(shown: &[Shown]) -> String {
    let mut text = "V  NAME         USETYPE  LENGTH\n\
                    SS NAME         VOLUME\n\
                    DP NAME         VOLUME       LENGTH   %DIRTY\n"
        .to_owned();
    for Shown { volume, usage, length, snapshot_of, plexes } in shown {
        let _ = writeln!(text, "\nv  {volume:<12} {usage:<8} {length}");
        if let Some(original) = snapshot_of {
            let _ = writeln!(text, "ss {volume:<12} {original}");
        }
        for ShownPlex { plex, dirty, .. } in plexes {
            let (whole, part) = (dirty / 100, dirty % 100);
            let _ = writeln!(text, "dp {plex:<12} {volume:<12} {length:<8} {whole}.{part:02}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use cvm::model::op::Op;
    use cvm::model::text::read_group;
    use cvm::model::{Env, Finding, apply};

    use super::super::super::name;
    use super::*;

    const GROUP: &str = "\
dg mydg dgid=1283432345.33.host1 version=140 cluster=clus1 cds=on serial=0.1 next_rid=0.1033
dm mydg01 diskid=1283432300.1.host1 device=disk_1 publen=131072 privlen=65536 serial=0.1 rid=0.1024
dm mydg02 diskid=1283432300.2.host1 device=disk_2 publen=131072 privlen=65536 serial=0.1 rid=0.1028
sd mydg01-01 dm=mydg01 dmoffset=0 len=8192 rid=0.1025
plex vol1-01 sd=mydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1026
vol vol1 use_type=fsgen len=8192 plex=vol1-01 state=ACTIVE kstate=ENABLED minor=0 rid=0.1027
";

    #[test]
    fn snapshots_are_shown_with_their_volumes() {
        let (group, vol1) = (read_group(GROUP).unwrap(), name("vol1").unwrap());
        assert_eq!(shown(&group, &[]), []);
        let carry_out = |group: &Group, op: Op| apply(group, &op, &Env::default()).unwrap();
        let (count, layout, storage) = (1, None, Vec::new());
        let volume = vol1.clone();
        let begun = carry_out(&group, Op::SnapStart { volume, count, layout, storage });
        let plexes = begun.volumes["vol1"].plexes.iter().cloned().collect();
        let full = Finding::apply(&begun, [&Finding::Equal(vol1.clone(), plexes)]).group;
        let broken_off = Op::Snapshot { volume: vol1.clone(), snapshot: None, count: 1 };
        let broken_off = carry_out(&full, broken_off);
        let cleared = carry_out(&broken_off, Op::SnapClear(name("SNAP-vol1").unwrap()));
        assert_eq!(shown(&cleared, &[]), []);

        let texts = [&begun, &full, &broken_off].map(|group| text(&shown(group, &[])));
        crate::golden::check("vxassist-snapprint", &texts.join("\n"));
        crate::golden::check_json("vxassist-snapprint-json", &shown(&broken_off, &[]));
        assert_eq!(shown(&broken_off, &[name("other").unwrap()]), []);
        assert_eq!(shown(&broken_off, &[vol1]).len(), 1);
    }
}
