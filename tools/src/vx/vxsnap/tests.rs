use cvm::model::Env;
use cvm::model::apply;
use cvm::model::op::Storage;
use cvm::model::text::read_group;

use super::*;
use crate::golden;

const GROUP: &str = "\
dg mydg dgid=1283432345.33.host1 version=140 cluster=clus1 cds=on serial=0.1 next_rid=0.1034
dm mydg01 diskid=1283432300.1.host1 device=disk_1 publen=131072 privlen=65536 serial=0.1 rid=0.1024
dm mydg02 diskid=1283432300.2.host1 device=disk_2 publen=131072 privlen=65536 serial=0.1 rid=0.1028
sd mydg01-01 dm=mydg01 dmoffset=0 len=8192 rid=0.1025
plex vol1-01 sd=mydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1026
vol vol1 use_type=fsgen len=8192 plex=vol1-01 state=ACTIVE kstate=ENABLED minor=0 rid=0.1027
sd mydg02-01 dm=mydg02 dmoffset=0 len=8192 rid=0.1029
plex snap1-01 sd=mydg02-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1030
vol snap1 use_type=fsgen len=8192 plex=snap1-01 state=ACTIVE kstate=ENABLED minor=1 rid=0.1031
";

fn group() -> Group {
    read_group(GROUP).unwrap()
}

fn parsed(line: &str) -> Result<Cli, clap::error::ErrorKind> {
    Cli::try_parse_from(format!("vxsnap {line}").split_whitespace()).map_err(|error| error.kind())
}

/// The change that a line asks of that group.
fn asked(line: &str) -> Result<(Op, bool), String> {
    let cli = parsed(line).map_err(|kind| kind.to_string())?;
    let step = step(&cli.action, &group()).map_err(|failure| failure.to_string())?;
    Ok((step.op, step.pauses))
}

fn named(text: &str) -> Name {
    name(text).unwrap()
}

#[test]
fn lines_become_changes() {
    command().debug_assert();
    let fill = |volume, from, why| Op::Fill { volume: named(volume), from: named(from), why };
    let made = fill("snap1", "vol1", FillReason::Make);
    assert_eq!(asked("make source=vol1/snapvol=snap1"), Ok((made.clone(), false)));
    assert_eq!(asked("make source=vol1/snapvol=snap1/syncing=no"), Ok((made, true)));
    let restored = fill("vol1", "snap1", FillReason::Restore);
    assert_eq!(asked("restore vol1 source=snap1 destroy=no"), Ok((restored, false)));
    let (volume, snapshot) = (named("vol1"), Some(named("s")));
    let broken_off = Op::Snapshot { volume, snapshot, count: 2 };
    assert_eq!(asked("make source=vol1/newvol=s/nmirror=2"), Ok((broken_off, false)));
    let on = Storage { disk: named("mydg02"), excluded: false, offset: None };
    let prepared = |volume: &str, count, storage| {
        (Op::Prepare { volume: named(volume), count, storage }, false)
    };
    assert_eq!(asked("prepare snap1"), Ok(prepared("snap1", 1, vec![])));
    let line = "prepare vol1 ndcomirs=2 drl=on regionsize=1m mydg02";
    assert_eq!(asked(line), Ok(prepared("vol1", 2, vec![on.clone()])));
    let storage = vec![on];
    let more = Op::SnapStart { volume: named("vol1"), count: 1, layout: None, storage };
    assert_eq!(asked("addmir vol1 alloc=mydg02"), Ok((more, false)));
    assert_eq!(asked("rmmir vol1"), Ok((Op::SnapAbort(named("vol1")), false)));
    assert_eq!(asked("dis snap1"), Ok((Op::SnapClear(named("snap1")), false)));
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    let why = |line: &str| asked(line).unwrap_err();
    for (line, expected) in [
        ("make source=vol1", "expected source=VOLUME/snapvol=SNAPSHOT"),
        ("make source=vol1/snapvol", "\"snapvol\": expected attribute=value"),
        ("make source=vol1/source=vol1", "source= is there twice"),
        ("make source=vol1/snapvol=a source=vol1/snapvol=b", "expected one snapshot"),
        ("make source=vol1/snapvol=s/cache=c", "there are no caches"),
        ("make source=vol1/newvol=s/nmirror=0", "expected a number from 1 on"),
        ("make source=vol1/newvol=s/syncing=no", "full already"),
        ("make source=vol1/snapvol=s/syncing=so", "expected yes or no"),
        ("prepare vol1 drl=off", "drl=on"),
        ("prepare vol1 regionsize=64k", "regions have 1m each"),
        ("prepare vol1 size=1", "size=: expected one of ndcomirs="),
        ("prepare other", "Volume other does not exist"),
        ("refresh snap1", "Volume snap1 is no snapshot"),
        ("restore vol1", "expected source=SNAPSHOT"),
        ("restore vol1 source=snap1 destroy=yes", "vxassist remove volume"),
    ] {
        let said = why(line);
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert!(other("addcache").contains("as large as their volumes"));
    assert!(other("mak").contains("expected prepare"));
}

/// The group, and how far a volume of it is filled.
fn snapshot(group: &Group, filled: Option<u64>) -> cvm::snapshot::Snapshot {
    let mut snapshot = crate::vx::vxprint::sample::facts();
    snapshot.groups.truncate(1);
    snapshot.groups[0].group = group.clone();
    snapshot.tasks.extend(filled.map(|at| cvm::snapshot::TaskSnapshot {
        id: 1,
        group: "mydg".to_owned(),
        volume: "snap1".to_owned(),
        is_whole: false,
        plexes: Vec::new(),
        source: Some("vol1".to_owned()),
        at,
        len: 8192,
        pace: Pace::default(),
    }));
    snapshot
}

/// Mirrors that are to be broken off, and one that was, as both listings have them.
fn broken_off() -> String {
    let done = |group: &Group, op: &Op| apply(group, op, &Env::default()).unwrap();
    let add = |group: &Group| done(group, &asked("addmir vol1").unwrap().0);
    let begun = add(&done(&group(), &asked("prepare vol1").unwrap().0));
    let mut full = begun.clone();
    let is_new = |plex: &&mut cvm::model::Plex| plex.state == cvm::model::PlexState::SnapAtt;
    full.plexes.values_mut().find(is_new).unwrap().state = cvm::model::PlexState::SnapDone;
    let made = done(&full, &asked("make source=vol1/newvol=snap2").unwrap().0);
    let mut written = add(&made);
    written.volumes.get_mut("snap2").unwrap().since = None;
    // Its volume has two mirrors and notes what is changed, which nobody has done yet.
    let mut noted = made.clone();
    noted.volumes.get_mut("vol1").unwrap().changes = 1;
    noted.volumes.get_mut("snap2").unwrap().since = Some(1);
    let texts = [begun, full, made, noted, written].map(|group| {
        let shown = listing::shown(&snapshot(&group, None), &named("mydg"), &[]).unwrap();
        [listing::print(&shown), listing::list(&shown)].join("\n")
    });
    texts.join("\n")
}

#[test]
fn snapshots_are_listed_with_their_volumes() {
    let done = |group: &Group, op: &Op| apply(group, op, &Env::default()).unwrap();
    let prepare = Op::Prepare { volume: named("snap1"), count: 1, storage: Vec::new() };
    let prepared = done(&group(), &prepare);
    assert_eq!(listing::shown(&snapshot(&prepared, None), &named("mydg"), &[]).unwrap(), []);
    let made = done(&prepared, &asked("make source=vol1/snapvol=snap1").unwrap().0);
    let mut full = made.clone();
    full.volumes.get_mut("snap1").unwrap().fill = None;
    let mut spoilt = made.clone();
    spoilt.volumes.get_mut("snap1").unwrap().spoil();
    let texts: Vec<String> = [(&made, Some(2048)), (&full, None), (&spoilt, None)]
        .into_iter()
        .flat_map(|(group, filled)| {
            let shown = listing::shown(&snapshot(group, filled), &named("mydg"), &[]).unwrap();
            [listing::print(&shown), listing::list(&shown)]
        })
        .collect();
    golden::check("vxsnap-print", &texts.join("\n"));
    let shown = listing::shown(&snapshot(&made, Some(2048)), &named("mydg"), &[]).unwrap();
    golden::check_json("vxsnap-print-json", &shown);
    golden::check("vxsnap-list", &broken_off());
    let one = listing::shown(&snapshot(&made, None), &named("mydg"), &[named("snap1")]).unwrap();
    assert_eq!(one.len(), 1);
    assert!(listing::shown(&snapshot(&made, None), &named("mydg"), &[named("other")]).is_err());
}
