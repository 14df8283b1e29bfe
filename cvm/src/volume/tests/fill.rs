//! A volume that is filled from another one, as both see it.

use std::sync::Arc;

use crate::model::apply::{Env, apply};
use crate::model::op::{FillReason, Init, Make, Op, VolumeLayout};
use crate::model::sample::{self, name};
use crate::model::{Group, KernelState, PlexState, Sectors};
use crate::volume::{
    DiskOp, DiskWork, FillRule, IoFailed, Request, RequestId, Rules, Volume, VolumeMap,
    VolumeOutput, What,
};

/// Two regions, and a short one.
const LEN: Sectors = 5008;
const WRITE: What = What::Write { durable: false };

/// Two volumes of three regions, the last of which is short: `old` has two copies, and `new`, which has one, is filled
/// from it.
fn group() -> Group {
    let done =
        |group: &Group, op: Op| apply(group, &op, &Env { nodes: 2, ..Env::default() }).unwrap();
    let made = |group: &Group, volume: &str, layout| {
        let make = Make { init: Init::Active, ..Make::new(name(volume), Some(LEN), layout) };
        done(group, Op::Make(Box::new(make)))
    };
    let mut group = sample::group();
    for number in 4..=8 {
        let disk = sample::disk(&mut group, number);
        group.disks.insert(name(&format!("mydg0{number}")), disk);
    }
    let group = made(&made(&group, "old", VolumeLayout::Mirror), "new", VolumeLayout::Concat);
    let group = done(&group, Op::Prepare { volume: name("new"), count: 1, storage: Vec::new() });
    let (volume, from) = (name("new"), name("old"));
    done(&group, Op::Fill { volume, from, why: FillReason::Make })
}

fn rules(group: &Group, is_target: bool) -> Rules {
    let id = group.volumes["new"].fill.unwrap().id;
    Rules { is_marked: true, fill: Some(FillRule { id, is_target }), ..Rules::default() }
}

fn copy(group: &Group) -> What {
    What::Fill { id: group.volumes["new"].fill.unwrap().id }
}

fn open(group: &Group, volume: &str) -> Volume {
    let map = VolumeMap::new(group, volume).unwrap();
    Volume::new(Arc::new(map), rules(group, volume == "new"))
}

fn ask(volume: &mut Volume, id: u64, what: What, at: Sectors, len: Sectors) {
    volume.submit(Request { id: RequestId(id), what, at, len });
}

fn said(volume: &mut Volume) -> Vec<VolumeOutput> {
    std::iter::from_fn(|| volume.poll_output()).collect()
}

/// What disks are told.
fn ops(said: &[VolumeOutput]) -> Vec<DiskOp> {
    let op = |output: &VolumeOutput| match output {
        VolumeOutput::Disk(op) => Some(*op),
        _ => None,
    };
    said.iter().filter_map(op).collect()
}

fn done(id: u64) -> VolumeOutput {
    VolumeOutput::Done(RequestId(id), Ok(()))
}

#[test]
fn the_one_that_is_filled_is_neither_read_nor_written_before() {
    let group = group();
    let id = group.volumes["new"].fill.unwrap().id;
    let mut volume = open(&group, "new");
    ask(&mut volume, 1, What::Read, 2000, 100);
    ask(&mut volume, 2, WRITE, LEN - 10, 10);
    let unfilled = |at, len| VolumeOutput::Unfilled { at, len };
    let expected = [unfilled(0, 2048), unfilled(2048, 2048), unfilled(4096, LEN - 4096)];
    assert_eq!(said(&mut volume), expected);
    ask(&mut volume, 3, What::Read, 10, 10);
    assert_eq!(said(&mut volume), [], "it was asked for");
    volume.filled(id, 4096, LEN - 4096);
    assert_eq!(ops(&said(&mut volume)).len(), 1, "the write goes on");
    volume.filled(id, 0, 2048);
    let read = ops(&said(&mut volume));
    assert_eq!(read.len(), 1);
    assert_eq!(
        (read[0].work, read[0].len),
        (DiskWork::Read, 10),
        "a region is missing of the other"
    );
    volume.filled(crate::model::Rid(1), 0, LEN);
    assert_eq!(said(&mut volume), [], "with something else");
    volume.filled(id, 2048, 2048);
    assert_eq!(ops(&said(&mut volume)).len(), 1);
    // What is beyond the end fails at once.
    ask(&mut volume, 4, What::Read, LEN, 10);
    assert_eq!(said(&mut volume), [VolumeOutput::Done(RequestId(4), Err(IoFailed::Range))]);
}

#[test]
fn of_the_other_one_changes_wait_and_nothing_else() {
    let group = group();
    let id = group.volumes["new"].fill.unwrap().id;
    let mut volume = open(&group, "old");
    ask(&mut volume, 1, What::Read, 0, 10);
    ask(&mut volume, 2, What::Flush, 0, 0);
    assert_eq!(ops(&said(&mut volume)).len(), 1 + 2);
    ask(&mut volume, 3, WRITE, 0, 10);
    assert_eq!(said(&mut volume), [VolumeOutput::Unfilled { at: 0, len: 2048 }]);
    volume.filled(id, 0, 2048);
    assert_eq!(ops(&said(&mut volume)).len(), 2, "both copies");
    ask(&mut volume, 4, What::Zero { durable: false, may_unmap: true }, 2048, 2048);
    assert_eq!(said(&mut volume), [VolumeOutput::Unfilled { at: 2048, len: 2048 }]);
}

#[test]
fn a_range_is_copied_from_the_other_one_and_durable() {
    let group = group();
    let mut volume = open(&group, "new");
    let names = |volume: &Volume, ops: &[DiskOp]| -> Vec<String> {
        let member = |op: &DiskOp| volume.map().members()[op.disk.0].name.to_string();
        ops.iter().map(member).collect()
    };
    ask(&mut volume, 1, copy(&group), 4096, LEN - 4096);
    let read = ops(&said(&mut volume));
    assert_eq!((read.len(), read[0].work, read[0].len), (1, DiskWork::Read, LEN - 4096));
    // It cannot be read there: the other copy is.
    volume.handle_done(read[0].id, false);
    let again = ops(&said(&mut volume));
    assert_eq!((again.len(), again[0].work), (1, DiskWork::Read));
    assert_ne!(names(&volume, &read), names(&volume, &again));
    volume.handle_done(again[0].id, true);
    let written = ops(&said(&mut volume));
    assert_eq!((written.len(), written[0].work), (1, DiskWork::Write { durable: true }));
    let places = [read[0], again[0], written[0]].map(|op| (op.disk.0, op.at));
    assert!(places[0] != places[2] && places[1] != places[2], "{places:?}");
    volume.handle_done(written[0].id, true);
    assert_eq!(said(&mut volume), [done(1)]);

    ask(&mut volume, 2, copy(&group), 0, 2048);
    for _ in 0..2 {
        let op = ops(&said(&mut volume))[0];
        volume.handle_done(op.id, false);
    }
    let failed = VolumeOutput::Done(RequestId(2), Err(IoFailed::Io));
    assert!(said(&mut volume).contains(&failed), "no copy can be read");
}

#[test]
fn under_another_table_it_is_copied_anew_or_not_at_all() {
    let group = group();
    let map = || Arc::new(VolumeMap::new(&group, "new").unwrap());
    let mut volume = open(&group, "new");
    ask(&mut volume, 1, copy(&group), 0, 2048);
    ask(&mut volume, 2, What::Read, 0, 8);
    let read = ops(&said(&mut volume));
    volume.stand_still();
    volume.handle_done(read[0].id, true);
    assert!(said(&mut volume).contains(&VolumeOutput::Still));
    volume.go_on(map(), rules(&group, true));
    let told = said(&mut volume);
    assert!(told.contains(&VolumeOutput::Unfilled { at: 0, len: 2048 }), "asked anew: {told:?}");
    let read = ops(&told);
    assert_eq!((read.len(), read[0].work), (1, DiskWork::Read));
    volume.stand_still();
    volume.handle_done(read[0].id, true);
    // It was filled by another node meanwhile, or begins anew.
    let over = Rules { fill: None, ..rules(&group, true) };
    volume.go_on(map(), over);
    let told = said(&mut volume);
    assert!(told.contains(&VolumeOutput::Done(RequestId(1), Err(IoFailed::Gone))), "{told:?}");
    assert_eq!(ops(&told).len(), 1, "the program's read");
}

#[test]
fn it_waits_for_the_table_that_it_belongs_to() {
    let group = group();
    let map = || Arc::new(VolumeMap::new(&group, "new").unwrap());
    let mut volume = Volume::new(Arc::default(), Rules::default());
    volume.stand_still();
    ask(&mut volume, 1, copy(&group), 0, 2048);
    ask(&mut volume, 2, What::Fill { id: crate::model::Rid(7) }, 0, 2048);
    assert_eq!(said(&mut volume), [VolumeOutput::Still]);
    volume.go_on(map(), rules(&group, true));
    let told = said(&mut volume);
    assert_eq!(told[0], VolumeOutput::Done(RequestId(2), Err(IoFailed::Gone)));
    assert_eq!(ops(&told).len(), 1);
}

#[test]
fn what_is_only_read_takes_no_part_in_what_is_written() {
    let mut group = group();
    let map = VolumeMap::new(&group, "new").unwrap();
    let source = map.mirror(map.source().unwrap());
    assert_eq!((source.name.as_str(), source.plexes.len(), source.is_source), ("old", 2, true));
    assert!(!map.is_mirrored() && map.written_mirrors().next().is_none());
    assert!(map.mirrors()[0].log.is_some(), "its fill map");
    let plex = group.volumes["old"].plexes[0].clone();
    let plex = group.plexes.get_mut(&plex).unwrap();
    (plex.kernel, plex.state) = (KernelState::Enabled, PlexState::Stale);
    let mut volume = open(&group, "new");
    volume.filled(group.volumes["new"].fill.unwrap().id, 0, LEN);
    ask(&mut volume, 1, WRITE, 0, 8);
    assert_eq!(ops(&said(&mut volume)).len(), 1);
}
