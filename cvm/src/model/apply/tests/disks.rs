//! `vxdg adddisk`, `rmdisk`, `repldisk`

use super::*;
use crate::model::op::DiskName;

fn new_disk(number: u32) -> NewDisk {
    NewDisk {
        access: format!("disk_{number}"),
        id: UniqueId::new(1_283_432_300, number, "host1"),
        public_len: 10_000,
        private_len: 65_536,
    }
}

fn add(names: &[(Option<&str>, &str)]) -> Op {
    let disk = |(name, access): &(Option<&str>, &str)| DiskName {
        name: name.map(sample::name),
        access: (*access).to_owned(),
    };
    Op::AddDisks(names.iter().map(disk).collect())
}

fn remove(names: &[&str], keep: bool) -> Op {
    Op::RemoveDisks { names: names.iter().map(|disk| name(disk)).collect(), keep }
}

#[test]
fn disks_are_called_after_the_group() {
    let disks = [new_disk(7), new_disk(8), new_disk(9)];
    let env = Env { disks: &disks, ..ENV };
    let empty = group_of(&[]);
    let op = add(&[(None, "disk_7"), (Some("mydg03"), "disk_9"), (None, "disk_8")]);
    let group = apply(&empty, &op, &env).unwrap();
    let disks: Vec<String> =
        group.disks.iter().map(|(name, disk)| format!("{name} {}", disk.access)).collect();
    assert_eq!(disks, ["mydg01 disk_7", "mydg02 disk_8", "mydg03 disk_9"]);
    assert_eq!(group.disks["mydg01"].serial, group.serial);
    assert_eq!(group.disks["mydg01"].public_len, 10_000);
}

/// CVM-29: a disk is told by its identity, whatever it is called.
#[test]
fn cvm_29_a_disk_is_a_member_once() {
    let disks = [new_disk(1), NewDisk { access: "other_path".to_owned(), ..new_disk(1) }];
    let env = Env { disks: &disks, ..ENV };
    let group = group_of(&[10_000]);
    for access in ["disk_1", "other_path"] {
        let error = apply(&group, &add(&[(None, access)]), &env).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Device {access} appears to be owned by disk group mydg.")
        );
        assert_eq!(error.id(), Some("V-5-1-2349"));
    }
    let twice = add(&[(None, "disk_1"), (None, "other_path")]);
    assert!(matches!(apply(&group_of(&[]), &twice, &env), Err(Refused::Owned { .. })));
    assert!(matches!(apply(&group, &add(&[(None, "disk_1")]), &ENV), Err(Refused::Owned { .. })));
}

#[test]
fn a_disk_that_cannot_be_added_is_refused() {
    let disks = [new_disk(7)];
    let env = Env { disks: &disks, ..ENV };
    let group = group_of(&[10_000]);
    let error = apply(&group, &add(&[(None, "disk_9")]), &env).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Device disk_9 is not an initialised disk of no disk group on this node"
    );
    let error = apply(&group, &add(&[(Some("mydg01"), "disk_7")]), &env).unwrap_err();
    assert_eq!(error.to_string(), "Disk mydg01: Name is already used");
    assert_eq!(error.id(), Some("V-5-1-3009"));
}

#[test]
fn a_disk_in_use_is_not_removed() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 16, VolumeLayout::Concat));
    assert_eq!(
        refused(&group, &remove(&["mydg01"], false)),
        "Disk mydg01 is used by one or more subdisks; use -k to keep its records"
    );
    let left = done(&group, &remove(&["mydg02"], false));
    assert!(!left.disks.contains_key("mydg02"));
    assert_eq!(refused(&group, &remove(&["mydg09"], false)), "disk mydg09 does not exist");
    assert_eq!(refused(&group, &remove(&["vol1"], false)), "vol1 is a volume, not a disk");
}

#[test]
fn the_last_disk_stays() {
    for keep in [false, true] {
        let error = apply(&group_of(&[10_000]), &remove(&["mydg01"], keep), &ENV).unwrap_err();
        assert_eq!(error.to_string(), "Cannot remove last disk group configuration copy");
        assert_eq!(error.id(), Some("V-5-1-2933"));
    }
    let both = remove(&["mydg01", "mydg02"], false);
    assert!(matches!(apply(&group_of(&[10_000; 2]), &both, &ENV), Err(Refused::LastCopy)));
}

#[test]
fn a_disk_is_taken_out_and_replaced() {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let group = with(&group_of(&[10_000; 2]), make);
    let out = done(&group, &remove(&["mydg01"], true));
    shows(
        &out,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 DISABLED REMOVED 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0
        pl vol1-03 DISABLED LOG LOGONLY
        sd mydg01-02 mydg01 2048 16 LOG",
    );
    let disk = &out.disks["mydg01"];
    assert!(disk.removed && disk.disk.is_none() && disk.access == "disk_1");
    // The other mirror is all that is left of a running volume.
    assert!(matches!(
        apply(&out, &remove(&["mydg02"], true), &ENV),
        Err(Refused::LastCopy | Refused::NoCopy(_))
    ));

    let disks = [new_disk(7), NewDisk { public_len: 2048, ..new_disk(8) }];
    let env = Env { disks: &disks, ..ENV };
    let replace = |access: &str| Op::ReplaceDisks(vec![(name("mydg01"), access.to_owned())]);
    let error = apply(&out, &replace("disk_8"), &env).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Device disk_8 is too small for disk mydg01: 2048 sectors, and 2064 are needed"
    );
    let back = apply(&out, &replace("disk_7"), &env).unwrap();
    assert_eq!(show(&back)[1], "pl vol1-01 DISABLED RECOVER 2048 CONCAT");
    assert!(!back.disks["mydg01"].removed && back.disks["mydg01"].access == "disk_7");
    let error = apply(&back, &replace("disk_8"), &env).unwrap_err();
    assert_eq!(error.to_string(), "Disk mydg01 is there: only one that was taken out is replaced");
}

#[test]
fn the_last_copy_of_a_running_volume_is_not_taken_out() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Concat));
    assert_eq!(
        refused(&group, &remove(&["mydg01"], true)),
        "Volume vol1 would be left without a complete copy of its data"
    );
    let empty = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Concat) };
    let group = with(&group_of(&[10_000; 2]), empty);
    assert!(done(&group, &remove(&["mydg01"], true)).disks["mydg01"].removed);
}

#[test]
fn free_space_is_what_no_subdisk_lies_on() {
    let group = with(&group_of(&[10_001, 16]), plain("vol1", 2048, VolumeLayout::Concat));
    let free: Vec<String> =
        free_space(&group).iter().map(|e| format!("{} {} {}", e.disk, e.offset, e.len)).collect();
    assert_eq!(free, ["mydg01 2048 7953", "mydg02 0 16"]);
}
