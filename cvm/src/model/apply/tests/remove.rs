//! `vxassist remove volume`, `vxedit rm`

use super::*;

fn remove(names: &[&str], recursive: bool, force: bool) -> Op {
    let names = names.iter().map(|n| name(n)).collect();
    Op::RemoveRecords { names, recursive, force }
}

#[test]
fn a_volume_is_removed_with_all_that_it_consists_of() {
    let empty = group_of(&[10_000; 5]);
    for layout in [
        VolumeLayout::Concat,
        VolumeLayout::Mirror,
        VolumeLayout::Stripe,
        VolumeLayout::ConcatMirror,
        VolumeLayout::StripeMirror,
    ] {
        let group = with(&empty, plain("vol1", 2048, layout));
        let removal = |force| Op::RemoveVolume { volume: name("vol1"), force };
        assert_eq!(
            refused(&group, &removal(false)),
            "Volume vol1 is enabled: it must be stopped first"
        );
        assert_eq!(without_rids(&done(&group, &removal(true))), without_rids(&empty));
        let by_edit = done(&group, &remove(&["vol1"], true, true));
        assert_eq!(without_rids(&by_edit), without_rids(&empty));
    }
    let error = refused(&empty, &Op::RemoveVolume { volume: name("vol1"), force: false });
    assert_eq!(error, "volume vol1 does not exist");
}

#[test]
fn records_are_removed_with_their_parts_or_not_at_all() {
    let make = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let group = with(&group_of(&[10_000; 2]), make);
    let cases = [
        (
            remove(&["vol1"], false, false),
            "Volume vol1 has associated plexes; use -r to remove them with it",
        ),
        (
            remove(&["vol1-01"], false, true),
            "Plex vol1-01 has associated subdisks; use -r to remove them with it",
        ),
        (remove(&["vol1-01"], true, false), "Plex vol1-01 is in use by vol1"),
        (remove(&["mydg01-01"], false, false), "Subdisk mydg01-01 is in use by vol1-01"),
        (
            remove(&["mydg01"], false, true),
            "Disk mydg01 is used by one or more subdisks; use -k to keep its records",
        ),
        (
            remove(&["mydg01", "mydg02"], true, true),
            "Cannot remove last disk group configuration copy",
        ),
        (remove(&["vol9"], true, true), "record vol9 does not exist"),
    ];
    for (op, expected) in cases {
        assert_eq!(refused(&group, &op), expected);
    }
    // What is named beside it may go with it.
    let left = done(
        &group,
        &remove(&["vol1", "vol1-01", "vol1-02", "mydg01-01", "mydg02-01"], false, false),
    );
    assert_eq!(left.record_count(), 2);
    assert_eq!(done(&group, &remove(&["vol1"], true, false)).record_count(), 2);
}

#[test]
fn force_takes_records_out_of_what_uses_them() {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let group = with(&group_of(&[10_000; 3]), make);
    let left = done(&group, &remove(&["vol1-01"], true, true));
    assert_eq!(left.volumes["vol1"].plexes, [name("vol1-02"), name("vol1-03")]);
    let left = done(&group, &remove(&["vol1-03"], true, true));
    assert_eq!(left.volumes["vol1"].log_type, LogType::None);
    let left = done(&group, &remove(&["mydg03-01"], false, true));
    assert_eq!(show(&left)[5], "pl vol1-03 DISABLED EMPTY 0 CONCAT");
    let left = done(&group, &remove(&["vol1-01", "vol1-02"], true, true));
    assert_eq!(show(&left)[0], "v vol1 DISABLED ACTIVE 2048");
    let left = done(&group, &remove(&["mydg01"], true, true));
    assert!(!left.disks.contains_key("mydg01") && !left.subdisks.contains_key("mydg01-01"));

    let layered = with(&group_of(&[10_000; 2]), plain("vol1", 16, VolumeLayout::ConcatMirror));
    let left = done(&layered, &remove(&["vol1-L01"], true, true));
    assert!(!left.subdisks.contains_key("vol1-S01"));
    assert_eq!(
        refused(&layered, &remove(&["vol1-L01"], true, false)),
        "Volume vol1-L01 is enabled: it must be stopped first"
    );
}
