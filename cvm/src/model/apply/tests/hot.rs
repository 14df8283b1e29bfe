//! Hot relocation, and the way back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::random::{check_disks, check_served, groups, makes};
use super::*;
use crate::model::finding::Finding;
use crate::model::op::Attribute;
use crate::model::states::PlexState;

/// A node cannot write a plex because of this disk.
fn fail(group: &Group, plex: &str, disk: &str) -> Group {
    let disk = group.disks[disk].disk.clone();
    Finding::apply(group, [&Finding::PlexFailed(name(plex), disk)]).group
}

fn set(group: &Group, disk: &str, attribute: Attribute) -> Group {
    done(group, &Op::Edit { names: vec![name(disk)], set: vec![attribute] })
}

fn relocate(plex: &str) -> Op {
    Op::Relocate { plex: name(plex) }
}

fn back(from: &str, to: Option<&str>, force: bool) -> Op {
    Op::Unrelocate { volume: name("vol1"), from: name(from), to: to.map(name), force }
}

/// All that is being copied is current.
fn copied(group: &Group) -> Group {
    let stale = group.plexes.iter().filter(|(_, plex)| plex.is_being_copied());
    let stale: BTreeSet<Name> = stale.map(|(name, _)| name.clone()).collect();
    let volumes = group.volumes.iter().filter(|(_, volume)| !volume.layer);
    let equal: Vec<Finding> =
        volumes.map(|(name, _)| Finding::Equal(name.clone(), stale.clone())).collect();
    Finding::apply(group, &equal).group
}

fn why(group: &Group) -> Vec<String> {
    let plans = failed(group).into_iter().map(|failed| failed.plan(group));
    plans.map(|plan| plan.map_or_else(|why| why.to_string(), |_| "planned".to_owned())).collect()
}

fn mirrored(disks: &[Sectors]) -> Group {
    with(&group_of(disks), plain("vol1", 2048, VolumeLayout::Mirror))
}

#[test]
fn what_has_failed_goes_to_a_spare_and_back() {
    let group = set(&mirrored(&[10_000; 4]), "mydg04", Attribute::Spare(true));
    assert_eq!(failed(&group), []);
    let group = fail(&group, "vol1-02", "mydg02");
    let all = failed(&group);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].subdisks, [(name("mydg02-01"), name("mydg02"))]);
    assert_eq!(all[0].plan(&group).unwrap().from, Some(name("vol1-01")));
    let group = done(&group, &relocate("vol1-02"));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED STALE 2048 CONCAT
        sd mydg04-01 mydg04 0 2048 0/0",
    );
    let origin = group.subdisks["mydg04-01"].origin.clone().unwrap();
    assert_eq!((origin.dm, origin.offset), (name("mydg02"), 0));
    assert_eq!(failed(&group), []);
    assert_eq!(
        refused(&group, &relocate("vol1-02")),
        "Plex vol1-02 has nothing that has failed with its disk"
    );
    // Not before it is copied, nor to a disk that is not in order.
    assert_eq!(
        refused(&group, &back("mydg02", None, false)),
        "Disk mydg02 is failing: nothing is put there"
    );
    let group = set(&group, "mydg02", Attribute::Failing(false));
    assert!(refused(&group, &back("mydg02", None, false)).contains("is being copied"));
    let group = copied(&group);
    assert!(refused(&group, &back("mydg01", None, false)).contains("nothing that was relocated"));
    assert!(refused(&group, &back("mydg02", Some("mydg01"), false)).contains("another mirror"));
    let there = done(&group, &back("mydg02", Some("mydg03"), false));
    assert_eq!(show(&there)[4], "sd mydg03-01 mydg03 0 2048 0/0");
    let group = copied(&done(&group, &back("mydg02", None, false)));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    assert_eq!(group.subdisks["mydg02-01"].origin, None);
}

#[test]
fn a_place_that_is_taken_is_gone_back_to_with_force_only() {
    let group = fail(&mirrored(&[10_000; 3]), "vol1-02", "mydg02");
    let group = copied(&done(&group, &relocate("vol1-02")));
    let group = set(&group, "mydg02", Attribute::Failing(false));
    let there = Make { storage: storage("mydg02"), ..plain("vol2", 1024, VolumeLayout::Concat) };
    let group = with(&group, there);
    assert!(refused(&group, &back("mydg02", None, false)).contains("-f puts it elsewhere"));
    let group = done(&group, &back("mydg02", None, true));
    assert_eq!(show(&group)[4], "sd mydg02-02 mydg02 1024 2048 0/0");
}

#[test]
fn disks_are_left_alone_that_are_to_be() {
    let group = fail(&mirrored(&[10_000; 4]), "vol1-02", "mydg02");
    let group = set(&group, "mydg03", Attribute::NoHotUse(true));
    let group = set(&group, "mydg04", Attribute::Reserve(true));
    assert_eq!(why(&group), ["Cannot allocate space for what has failed of volume vol1"]);
    assert_eq!(
        refused(&group, &relocate("vol1-02")),
        "Cannot allocate space for what has failed of volume vol1"
    );
    let group = set(&group, "mydg03", Attribute::NoHotUse(false));
    assert_eq!(why(&group), ["planned"]);
}

#[test]
fn one_destination_is_kept_for_what_was_on_one_disk() {
    let mut group = mirrored(&[10_000; 5]);
    let make =
        Make { storage: storage("mydg01 mydg02"), ..plain("vol2", 2048, VolumeLayout::Mirror) };
    group = with(&group, make);
    // The first failure finds mydg03 without room.
    let full = Make { storage: storage("mydg03"), ..plain("full", 9000, VolumeLayout::Concat) };
    group = with(&group, full);
    group = copied(&done(&fail(&group, "vol1-02", "mydg02"), &relocate("vol1-02")));
    group = done(&group, &Op::RemoveVolume { volume: name("full"), force: true });
    group = done(&fail(&group, "vol2-02", "mydg02"), &relocate("vol2-02"));
    let disks: Vec<Option<&Name>> = ["vol1-02", "vol2-02"]
        .map(|plex| &group.plexes[plex].pieces[0].subdisk)
        .map(|subdisk| group.subdisks[subdisk].source.disk())
        .to_vec();
    assert_eq!(disks, [Some(&name("mydg04")); 2]);
}

#[test]
fn only_the_column_that_has_failed_is_relocated() {
    let make = Make { columns: Some(2), ..plain("vol1", 4096, VolumeLayout::MirrorStripe) };
    let group = with(&group_of(&[10_000; 5]), make);
    let group = done(&fail(&group, "vol1-01", "mydg02"), &relocate("vol1-01"));
    assert_eq!(
        show(&group)[2..4],
        ["sd mydg01-01 mydg01 0 2048 0/0", "sd mydg05-01 mydg05 0 2048 1/0",]
    );
}

#[test]
fn layers_and_logs_are_relocated() {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::ConcatMirror) };
    let group = with(&group_of(&[10_000; 4]), make);
    assert_eq!(show(&group)[9], "  sd mydg03-01 mydg03 0 16 LOG");
    let group = fail(&fail(&group, "vol1-P02", "mydg02"), "vol1-P03", "mydg03");
    let group = done(&done(&group, &relocate("vol1-P02")), &relocate("vol1-P03"));
    assert_eq!(failed(&group), []);
    assert_eq!(
        show(&group)[6..],
        [
            "  pl vol1-P02 ENABLED STALE 2048 CONCAT",
            "  sd mydg04-01 mydg04 0 2048 0/0",
            "  pl vol1-P03 ENABLED LOG LOGONLY",
            "  sd mydg01-02 mydg01 2048 16 LOG",
        ]
    );
    let group = copied(&group);
    let group = set(&group, "mydg03", Attribute::Failing(false));
    let group = done(&group, &back("mydg03", None, false));
    assert_eq!(show(&group)[9], "  sd mydg03-01 mydg03 0 16 LOG");
}

#[test]
fn the_only_copy_stays_where_it_is() {
    let group = mirrored(&[10_000; 3]);
    let only = Make { storage: storage("mydg02"), ..plain("vol2", 1024, VolumeLayout::Concat) };
    let group = fail(&with(&group, only), "vol1-02", "mydg02");
    assert_eq!(why(&group), ["planned", "Volume vol2 has no other complete copy of its data"]);
    let after = done(&group, &relocate("vol1-02"));
    assert_eq!(after.plexes["vol2-01"], group.plexes["vol2-01"]);
}

#[test]
fn an_unmirrored_volume_is_moved_by_a_new_plex() {
    let group = with(&group_of(&[10_000; 3]), plain("vol1", 2048, VolumeLayout::Concat));
    let leave = |from: &str| Op::Move { volume: name("vol1"), storage: storage(from) };
    let moved = done(&group, &leave("!mydg01"));
    shows(
        &moved,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED STALE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    assert!(refused(&moved, &leave("!mydg01")).contains("is moved already"));
    let after = copied(&moved);
    assert_eq!(check(&after), Ok(()));
    shows(
        &after,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    // The new one fails: the old one stays.
    let failed = fail(&moved, "vol1-02", "mydg02");
    let after = copied(&failed);
    assert_eq!(after.plexes["vol1-01"].state, PlexState::Active);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn relocation_never_costs_a_copy(
        group in groups(), made in prop::collection::vec(makes(), 1..4),
        flags in prop::collection::vec((any::<bool>(), any::<bool>()), 8),
        failures in prop::collection::vec((any::<usize>(), any::<usize>(), any::<bool>()), 1..12),
    ) {
        let mut group = group;
        for (turn, make) in made.into_iter().enumerate() {
            let make = Make { name: name(&format!("vol{turn}")), len: Some(make.len.unwrap() / 3 + 1), ..make };
            group = apply(&group, &make_op(make), &ENV).unwrap_or(group);
        }
        for (disk, (spare, nohotuse)) in group.disks.values_mut().zip(flags) {
            (disk.spare, disk.nohotuse) = (spare, nohotuse);
        }
        for (plex, disk, is_copied) in failures {
            let plexes: Vec<&Name> = group.plexes.keys().collect();
            if plexes.is_empty() { return Ok(()) }
            let plex = plexes[plex % plexes.len()].clone();
            let record = &group.plexes[&plex];
            let mut disks = tree::disks_of_pieces(&group, &record.pieces);
            disks.extend(tree::disk_of_log(&group, record).cloned());
            let disks: Vec<Name> = disks.into_iter().collect();
            group = fail(&group, plex.as_str(), disks[disk % disks.len()].as_str());
            for failed in failed(&group) {
                let Ok(plan) = failed.plan(&group) else { continue };
                for place in plan.places.iter().flatten() {
                    let disk = &group.disks[&place.disk];
                    prop_assert!(!disk.failing && (disk.spare || !disk.nohotuse));
                }
                let current = |group: &Group| {
                    let current = group.plexes.iter().filter(|(_, plex)| plex.is_current());
                    current.map(|(name, _)| name.clone()).collect::<BTreeSet<Name>>()
                };
                // Places were planned before the others were taken.
                let Ok(after) = apply(&group, &Op::Relocate { plex: failed.plex.clone() }, &ENV) else {
                    continue;
                };
                prop_assert_eq!(current(&after), current(&group));
                check_disks(&after);
                check_served(&after);
                group = after;
            }
            if is_copied {
                group = copied(&group);
                check_served(&group);
            }
        }
        // All disks are in order again, and all goes back that can.
        group = copied(&group);
        group.disks.values_mut().for_each(|disk| disk.failing = false);
        let tops: Vec<Name> =
            group.volumes.iter().filter(|(_, v)| !v.layer).map(|(name, _)| name.clone()).collect();
        for from in group.disks.keys().cloned().collect::<Vec<_>>() {
            for volume in &tops {
                let (volume, from) = (volume.clone(), from.clone());
                let op = Op::Unrelocate { volume, from, to: None, force: true };
                if let Ok(after) = apply(&group, &op, &ENV) {
                    check_disks(&after);
                    check_served(&after);
                    group = copied(&after);
                }
            }
        }
    }
}
