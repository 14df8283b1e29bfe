//! `vxplex mv` and `cp`

use std::collections::BTreeSet;

use super::*;
use crate::model::finding::Finding;
use crate::model::op::{Make, Mend};
use crate::model::record::Plex;
use crate::model::states::ReadPolicy;

fn mv(from: &str, to: &str, remove: bool) -> Op {
    Op::MovePlex { from: name(from), to: name(to), remove }
}

fn cp(volume: &str, plexes: &str) -> Op {
    Op::CopyPlexes { volume: name(volume), plexes: plexes.split_whitespace().map(name).collect() }
}

fn dis(plex: &str) -> Op {
    Op::DissociatePlexes { plexes: vec![name(plex)], remove: false, force: false }
}

/// A volume of one plex on `mydg01`, and two plexes of none on `mydg02` and `mydg03`.
fn group() -> Group {
    let make = plain("vol1", 2048, VolumeLayout::Concat);
    let mut group = with(&group_of(&[10_000; 4]), make);
    for (plex, words) in [("vol1-02", "mydg02"), ("vol1-03", "mydg03")] {
        let (volume, storage) = (name("vol1"), storage(words));
        let mirror = Op::Mirror { volume, count: 1, layout: None, storage };
        group = done(&done(&group, &mirror), &dis(plex));
    }
    group
}

/// These plexes of the volume are full.
fn full(group: &Group, plexes: &str) -> Group {
    let plexes: BTreeSet<Name> = plexes.split_whitespace().map(name).collect();
    let after = Finding::apply(group, [&Finding::Equal(name("vol1"), plexes)]).group;
    assert_eq!(check(&after), Ok(()));
    after
}

fn marks(group: &Group) -> Vec<&str> {
    let marks = group.plexes.values().map(|plex| plex.common.putil[0].as_str());
    marks.filter(|mark| !mark.is_empty()).collect()
}

/// Kernel and state of a plex, and its volume.
fn state(group: &Group, plex: &str) -> String {
    let record = &group.plexes[plex];
    let volume = group.volume_of(&name(plex)).map_or("-", |(name, _)| name.as_str());
    format!("{} {} {volume}", record.kernel, record.state)
}

#[test]
fn a_plex_takes_the_place_of_another_when_it_is_full() {
    let moved = done(&group(), &mv("vol1-01", "vol1-02", false));
    assert_eq!(state(&moved, "vol1-01"), "ENABLED ACTIVE vol1");
    assert_eq!(state(&moved, "vol1-02"), "ENABLED STALE vol1");
    assert_eq!(marks(&moved), [Plex::LEAVES, Plex::ARRIVES]);
    let after = full(&moved, "vol1-02");
    assert_eq!(state(&after, "vol1-01"), "DISABLED STALE -");
    assert_eq!(state(&after, "vol1-02"), "ENABLED ACTIVE vol1");
    assert!(marks(&after).is_empty());
    assert!(after.subdisks.contains_key("mydg01-01"));
    // With -o rm it gives its space back.
    let after = full(&done(&group(), &mv("vol1-01", "vol1-02", true)), "vol1-02");
    assert!(!after.plexes.contains_key("vol1-01") && !after.subdisks.contains_key("mydg01-01"));
    assert!(marks(&after).is_empty());
}

#[test]
fn the_preferred_plex_is_the_one_that_comes() {
    let (volume, policy) = (name("vol1"), ReadPolicy::Prefer);
    let prefer = Op::ReadPolicy { volume, policy, plex: Some(name("vol1-01")) };
    let moved = done(&done(&group(), &prefer), &mv("vol1-01", "vol1-02", false));
    let after = full(&moved, "vol1-02");
    assert_eq!(after.volumes["vol1"].preferred, Some(name("vol1-02")));
}

/// Only the plex that comes makes the other one go, and only when it is full.
#[test]
fn a_plex_that_fails_on_the_way_goes_on_when_it_is_attached_again() {
    let moved = done(&group(), &mv("vol1-01", "vol1-02", false));
    let attach = |plex: &str| Op::AttachPlexes {
        volume: name("vol1"),
        plexes: vec![name(plex)],
        force: false,
    };
    let failed = Finding::apply(&moved, [&Finding::PlexFailed(name("vol1-02"), None)]).group;
    assert_eq!(state(&failed, "vol1-02"), "DETACHED IOFAIL vol1");
    let other = full(&done(&failed, &attach("vol1-03")), "vol1-03 vol1-02");
    assert_eq!(state(&other, "vol1-01"), "ENABLED ACTIVE vol1");
    assert!(refused(&other, &mv("vol1-03", "vol1-02", false)).contains("moved to, vol1-02"));
    let again = full(&done(&other, &attach("vol1-02")), "vol1-02");
    assert_eq!(state(&again, "vol1-01"), "DISABLED STALE -");
    // Or it is given up, and another one comes.
    let given_up = done(&other, &dis("vol1-02"));
    assert_eq!(marks(&given_up), [Plex::LEAVES]);
    let moved = done(&given_up, &mv("vol1-03", "vol1-02", false));
    let after = full(&moved, "vol1-02");
    assert_eq!(state(&after, "vol1-01"), "ENABLED ACTIVE vol1");
    assert_eq!(state(&after, "vol1-03"), "DISABLED STALE -");
}

#[test]
fn a_plex_that_is_only_copied_leaves_the_volume_when_it_is_full() {
    let copied = done(&group(), &cp("vol1", "vol1-02 vol1-03"));
    assert_eq!(state(&copied, "vol1-02"), "ENABLED STALE vol1");
    assert!(copied.plexes["vol1-03"].is_only_copied());
    let after = full(&copied, "vol1-02");
    assert_eq!(state(&after, "vol1-02"), "DISABLED ACTIVE -");
    assert_eq!(state(&after, "vol1-03"), "ENABLED STALE vol1");
    let after = full(&after, "vol1-03");
    assert_eq!(after.volumes["vol1"].plexes, [name("vol1-01")]);
    assert!(marks(&after).is_empty());
    // Whoever clears the mark has one mirror more.
    let clear = Mend::Clear { tutil: false, putil: true, number: None };
    let kept = done(&copied, &Op::Mend { name: name("vol1-02"), how: clear, force: false });
    assert_eq!(state(&full(&kept, "vol1-02"), "vol1-02"), "ENABLED ACTIVE vol1");
    // A copy that is given up holds nothing.
    assert_eq!(state(&done(&copied, &dis("vol1-02")), "vol1-02"), "DISABLED STALE -");
}

#[test]
fn a_start_goes_on_where_a_stop_was() {
    let stop = |group: &Group| done(group, &Op::StopVolume(name("vol1")));
    let start =
        |group: &Group| done(group, &Op::StartVolume { volume: name("vol1"), force: false });
    let moved = done(&group(), &mv("vol1-01", "vol1-02", false));
    let after = full(&start(&stop(&moved)), "vol1-02");
    assert_eq!(state(&after, "vol1-01"), "DISABLED STALE -");
}

#[test]
fn what_cannot_be_moved_or_copied_is_refused() {
    let group = group();
    for (op, expected) in [
        (mv("vol1-02", "vol1-03", false), "Plex vol1-02 belongs to no volume"),
        (mv("vol1-09", "vol1-03", false), "plex vol1-09 does not exist"),
        (mv("vol1-01", "vol1-09", false), "plex vol1-09 does not exist"),
        (mv("vol1-01", "vol1-01", false), "Plex vol1-01 is in use by vol1"),
        (cp("vol1", "vol1-01"), "Plex vol1-01 is in use by vol1"),
        (cp("vol1", ""), "at least one plex is named"),
        (cp("mydg01", "vol1-02"), "mydg01 is a disk"),
    ] {
        let said = refused(&group, &op);
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{op:?}: {said}");
    }
    let stopped = done(&group, &Op::StopVolume(name("vol1")));
    for op in [mv("vol1-01", "vol1-02", false), cp("vol1", "vol1-02")] {
        assert_eq!(
            refused(&stopped, &op),
            "Volume vol1 is DISABLED CLEAN: nothing is copied of it"
        );
    }
    let moved = done(&group, &mv("vol1-01", "vol1-02", false));
    let said = refused(&moved, &mv("vol1-02", "vol1-03", false));
    assert!(said.starts_with("Plex vol1-02 is ENABLED STALE"), "{said}");
    // A log is no copy, and what has one in it stays.
    let make = Make { logs: Some(1), ..plain("vol2", 2048, VolumeLayout::Mirror) };
    let logged = with(&group, make);
    let said = refused(&logged, &mv("vol2-03", "vol1-02", false));
    assert_eq!(said, "Plex vol2-03 has a log: it stays where it is");
    let longer = with(&group, plain("vol2", 4096, VolumeLayout::Concat));
    assert!(refused(&longer, &mv("vol2-01", "vol1-02", false)).contains("is sparse"));
}
