//! Dirty region logs

use super::*;
use crate::model::op::NewLength;

const GB: Sectors = 2 << 20;

fn logged(len: Sectors) -> Make {
    Make { log_type: LogType::Region, ..plain("vol1", len, VolumeLayout::Mirror) }
}

fn add_log(words: &str) -> Op {
    Op::AddLog {
        volume: name("vol1"),
        log_type: LogType::Region,
        count: 1,
        len: None,
        storage: storage(words),
    }
}

fn remove_log(count: u16, words: &str) -> Op {
    Op::RemoveLog { volume: name("vol1"), count, storage: storage(words) }
}

/// Facts 2.5: a block per 2 GB for each node and for recovery, so 10 for 4 GB and 4 nodes; and here one
/// more for what each node has changed, and one for what is filled: 20, which are 32.
#[test]
fn a_log_has_two_maps_for_each_node_and_two_for_all() {
    let cases = [
        (4 * GB, 4, 20),
        (2 * GB, 2, 6),
        (2 * GB + 1, 2, 12),
        (1024 * GB, 64, 130 * 512),
        (1, 1, 4),
    ];
    for (volume, nodes, blocks) in cases {
        assert_eq!(drl_len(volume, nodes), Sectors::next_multiple_of(blocks, 16));
    }
    for nodes in 1..64 {
        assert!(drl_len(5 * GB, nodes) <= drl_len(5 * GB, nodes + 1));
    }
}

#[test]
fn a_log_type_implies_one_log_on_a_disk_without_data() {
    let group = with(&group_of(&[10_000; 3]), logged(2048));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0
        pl vol1-03 ENABLED LOG LOGONLY
        sd mydg03-01 mydg03 0 16 LOG",
    );
    assert_eq!(group.volumes["vol1"].log_type, LogType::Region);
}

#[test]
fn with_two_disks_the_log_shares_one_with_data() {
    let group = with(&group_of(&[10_000; 2]), logged(2048));
    assert_eq!(show(&group)[6], "sd mydg01-02 mydg01 2048 16 LOG");
    // To the last page of it.
    let longest = Make { len: None, ..logged(0) };
    assert_eq!(maxsize(&group_of(&[10_000, 10_000]), &longest, &ENV), Ok(9984));
    assert_eq!(maxsize(&group_of(&[10_000, 10_016]), &longest, &ENV), Ok(10_000));
}

#[test]
fn a_disk_is_kept_free_for_the_log_if_data_fit_elsewhere() {
    // The first mirror on the two largest disks would leave the second one all the others.
    let group = with(&group_of(&[3072, 3072, 2048, 1024, 1024]), logged(4096));
    let log: Vec<String> = show(&group).into_iter().filter(|l| l.contains("mydg04")).collect();
    assert_eq!(log, ["sd mydg04-01 mydg04 0 16 LOG"]);
}

#[test]
fn a_private_group_is_used_by_one_node() {
    let mut group = group_of(&[10 * GB; 3]);
    group.owner = Owner::Host(name("host1"));
    let group = apply(&group, &make_op(logged(10 * GB - 64)), &Env { nodes: 60, ..ENV }).unwrap();
    assert_eq!(group.subdisks["mydg03-01"].len, 32);
    let shared = group_of(&[10 * GB; 3]);
    let shared =
        apply(&shared, &make_op(logged(10 * GB - 512)), &Env { nodes: 60, ..ENV }).unwrap();
    assert_eq!(shared.subdisks["mydg03-01"].len, Sectors::next_multiple_of(122 * 5, 16));
}

#[test]
fn each_layer_of_a_layered_volume_has_its_log() {
    let make =
        Make { columns: Some(2), logs: Some(1), ..plain("vol1", 512, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&[10_000; 5]), make);
    let logs: Vec<String> = show(&group).into_iter().filter(|l| l.ends_with("LOG")).collect();
    assert_eq!(logs, ["  sd mydg05-01 mydg05 0 16 LOG", "  sd mydg05-02 mydg05 16 16 LOG"]);
    let types = |volume: &str| group.volumes[volume].log_type;
    assert_eq!((types("vol1-L01"), types("vol1")), (LogType::Region, LogType::None));

    let group = done(&group, &remove_log(1, ""));
    assert_eq!(group.volumes["vol1-L02"].log_type, LogType::None);
    let again = done(&group, &add_log(""));
    let plexes: Vec<&str> = again.volumes["vol1-L02"].plexes.iter().map(Name::as_str).collect();
    assert_eq!(plexes, ["vol1-P04", "vol1-P05", "vol1-P06"]);
}

#[test]
fn logs_are_added_and_removed() {
    let group = with(&group_of(&[10_000; 4]), plain("vol1", 2048, VolumeLayout::Mirror));
    let one = done(&group, &add_log(""));
    assert_eq!(show(&one)[5..], ["pl vol1-03 ENABLED LOG LOGONLY", "sd mydg03-01 mydg03 0 16 LOG"]);
    let two = done(&one, &add_log(""));
    assert_eq!(two.volumes["vol1"].plexes.len(), 4);
    assert!(two.subdisks.contains_key("mydg04-01"));
    // What lies on the excluded disk goes first.
    let left = done(&two, &remove_log(1, "!mydg03"));
    assert!(!left.plexes.contains_key("vol1-03") && left.plexes.contains_key("vol1-04"));
    assert_eq!(show(&done(&two, &remove_log(1, ""))), show(&one));
    let none = done(&two, &remove_log(2, ""));
    assert_eq!(none.volumes["vol1"].log_type, LogType::None);
    assert_eq!(show(&none), show(&group));
    assert_eq!(refused(&one, &remove_log(2, "")), "Volume vol1 has 1 logs, not 2 to remove");
}

#[test]
fn logs_of_a_volume_do_not_share_a_disk() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Mirror));
    let two = done(&done(&group, &add_log("")), &add_log(""));
    assert!(two.subdisks.contains_key("mydg01-02") && two.subdisks.contains_key("mydg02-02"));
    assert_eq!(refused(&two, &add_log("")), "Cannot allocate space for a log of volume vol1");
}

#[test]
fn a_log_that_cannot_be_is_refused() {
    let group = with(&group_of(&[10_000; 3]), plain("vol1", 2048, VolumeLayout::Concat));
    assert_eq!(
        refused(&group, &add_log("")),
        "Volume vol1 is not mirrored: a dirty region log needs at least two mirrors"
    );
    let group = with(&group_of(&[10 * GB; 3]), logged(9 * GB));
    let short = Op::AddLog {
        volume: name("vol1"),
        log_type: LogType::Region,
        count: 1,
        len: Some(10),
        storage: Vec::new(),
    };
    let error = apply(&group, &short, &ENV).unwrap_err();
    assert_eq!(error.id(), Some("V-5-1-3212"));
    assert_eq!(error.to_string(), "Insufficient DRL log size: volume vol1 needs 64 blocks");
    let other = Op::AddLog {
        volume: name("vol1"),
        log_type: LogType::Sequential,
        count: 1,
        len: None,
        storage: Vec::new(),
    };
    assert_eq!(refused(&group, &other), "Volume vol1 has logs of the type REGION");
}

/// Facts 2.5: more nodes, or a longer volume, make a log too small.
#[test]
fn a_log_that_became_too_short_is_noted() {
    let group = with(&group_of(&[10 * GB; 3]), logged(2 * GB));
    let short = |group: &Group, nodes| short_logs(group, &name("vol1"), &Env { nodes, ..ENV });
    assert_eq!(short(&group, 4), []);
    assert_eq!(short(&group, 16), [name("vol1-03")]);
    let (volume, to) = (name("vol1"), NewLength::GrowTo(9 * GB));
    let grown = done(&group, &Op::Resize { volume, to, storage: Vec::new(), force: false });
    assert_eq!(short(&grown, 4), [name("vol1-03")]);
    assert_eq!(grown.subdisks["mydg03-01"].len, 16);
}
