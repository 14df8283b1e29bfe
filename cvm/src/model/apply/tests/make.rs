//! `vxassist make`, `maxsize`

use super::*;
use crate::model::op::Attribute;
use crate::model::record::Subdisk;
use crate::model::sample::LAYOUTS;
use crate::model::states::{KernelState, VolumeState};

const ROOMY: [Sectors; 5] = [100_000; 5];

#[test]
fn lengths_are_rounded_up_to_whole_pages_and_stripe_units() {
    let group = with(&group_of(&ROOMY), plain("vol1", 1000, VolumeLayout::Concat));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 1008
        pl vol1-01 ENABLED ACTIVE 1008 CONCAT
        sd mydg01-01 mydg01 0 1008 0/0",
    );
    let make = Make { columns: Some(2), ..plain("vol1", 1000, VolumeLayout::Stripe) };
    shows(
        &with(&group_of(&ROOMY), make.clone()),
        "
        v vol1 ENABLED ACTIVE 1024
        pl vol1-01 ENABLED ACTIVE 1024 STRIPE 2/128
        sd mydg01-01 mydg01 0 512 0/0
        sd mydg02-01 mydg02 0 512 1/0",
    );
    // Columns are aligned even if a stripe unit is no whole number of pages.
    let group = with(&group_of(&ROOMY), Make { width: Some(24), ..make });
    assert_eq!(group.volumes["vol1"].len, 1056);
}

#[test]
fn a_volume_is_one_range_if_there_is_one() {
    let group = with(&group_of(&[1024, 4096, 8192]), plain("vol1", 4096, VolumeLayout::Concat));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 4096
        pl vol1-01 ENABLED ACTIVE 4096 CONCAT
        sd mydg02-01 mydg02 0 4096 0/0",
    );
}

#[test]
fn a_volume_spans_the_largest_disks_if_none_is_large_enough() {
    let group = with(&group_of(&[1024, 4096, 512]), plain("vol1", 5000, VolumeLayout::Concat));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 5008
        pl vol1-01 ENABLED ACTIVE 5008 CONCAT
        sd mydg02-01 mydg02 0 4096 0/0
        sd mydg01-01 mydg01 0 912 0/4096",
    );
}

#[test]
fn cvm_46_mirrors_lie_on_different_disks() {
    let group = with(&group_of(&ROOMY), plain("vol1", 2048, VolumeLayout::Mirror));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    let three = Make { mirrors: Some(3), ..plain("vol1", 2048, VolumeLayout::Concat) };
    assert_eq!(with(&group_of(&ROOMY), three.clone()).volumes["vol1"].plexes.len(), 3);
    let error = refused(&group_of(&[100_000; 2]), &make_op(three));
    assert_eq!(error, "Cannot allocate space for 2048 block volume");
}

#[test]
fn a_stripe_has_a_column_on_each_disk_up_to_eight() {
    let group = with(&group_of(&[100_000; 3]), plain("vol1", 384, VolumeLayout::Stripe));
    assert_eq!(group.plexes["vol1-01"].layout, Layout::Stripe { columns: 3, width: 128 });
    let group = with(&group_of(&[100_000; 20]), plain("vol1", 384, VolumeLayout::MirrorStripe));
    assert_eq!(group.plexes["vol1-02"].layout, Layout::Stripe { columns: 8, width: 128 });
    // A disk that is too small for a column is not for one, if their number is open.
    let group = with(&group_of(&[9000, 9000, 16]), plain("vol1", 9000, VolumeLayout::Stripe));
    assert_eq!(group.plexes["vol1-01"].layout, Layout::Stripe { columns: 2, width: 128 });
}

#[test]
fn cvm_46_a_mirrored_stripe_uses_no_disk_twice() {
    for layout in [VolumeLayout::MirrorStripe, VolumeLayout::Mirror] {
        let make = Make { columns: Some(2), ..plain("vol1", 512, layout) };
        shows(
            &with(&group_of(&ROOMY), make),
            "
            v vol1 ENABLED ACTIVE 512
            pl vol1-01 ENABLED ACTIVE 512 STRIPE 2/128
            sd mydg01-01 mydg01 0 256 0/0
            sd mydg02-01 mydg02 0 256 1/0
            pl vol1-02 ENABLED ACTIVE 512 STRIPE 2/128
            sd mydg03-01 mydg03 0 256 0/0
            sd mydg04-01 mydg04 0 256 1/0",
        );
    }
}

#[test]
fn cvm_46_a_stripe_of_mirrors_is_layered() {
    let make = Make { columns: Some(2), ..plain("vol1", 512, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&ROOMY), make);
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 512
        pl vol1-01 ENABLED ACTIVE 512 STRIPE 2/128
        sv vol1-S01 vol1-L01 256 0/0
          v vol1-L01 ENABLED ACTIVE 256
          pl vol1-P01 ENABLED ACTIVE 256 CONCAT
          sd mydg01-01 mydg01 0 256 0/0
          pl vol1-P02 ENABLED ACTIVE 256 CONCAT
          sd mydg03-01 mydg03 0 256 0/0
        sv vol1-S02 vol1-L02 256 1/0
          v vol1-L02 ENABLED ACTIVE 256
          pl vol1-P03 ENABLED ACTIVE 256 CONCAT
          sd mydg02-01 mydg02 0 256 0/0
          pl vol1-P04 ENABLED ACTIVE 256 CONCAT
          sd mydg04-01 mydg04 0 256 0/0",
    );
    assert!(group.volumes["vol1-L01"].layer && !group.volumes["vol1"].layer);
}

#[test]
fn a_concatenation_of_mirrors_has_a_layer_for_each_pair_of_ranges() {
    let group = group_of(&[4096, 8192, 4096, 1024]);
    let group = with(&group, plain("vol1", 8192, VolumeLayout::ConcatMirror));
    shows(
        &group,
        "
        v vol1 ENABLED ACTIVE 8192
        pl vol1-01 ENABLED ACTIVE 8192 CONCAT
        sv vol1-S01 vol1-L01 4096 0/0
          v vol1-L01 ENABLED ACTIVE 4096
          pl vol1-P01 ENABLED ACTIVE 4096 CONCAT
          sd mydg02-01 mydg02 0 4096 0/0
          pl vol1-P02 ENABLED ACTIVE 4096 CONCAT
          sd mydg01-01 mydg01 0 4096 0/0
        sv vol1-S02 vol1-L02 4096 0/4096
          v vol1-L02 ENABLED ACTIVE 4096
          pl vol1-P03 ENABLED ACTIVE 4096 CONCAT
          sd mydg02-02 mydg02 4096 4096 0/0
          pl vol1-P04 ENABLED ACTIVE 4096 CONCAT
          sd mydg03-01 mydg03 0 4096 0/0",
    );
}

#[test]
fn a_volume_without_initialisation_is_not_enabled() {
    let make = Make { init: Init::None, ..plain("vol1", 16, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&ROOMY), Make { columns: Some(2), ..make });
    for volume in group.volumes.values() {
        assert_eq!(format!("{} {}", volume.kernel, volume.state), "DISABLED EMPTY");
    }
    for plex in group.plexes.values() {
        assert_eq!(format!("{} {}", plex.kernel, plex.state), "DISABLED EMPTY");
    }
}

#[test]
fn attributes_are_kept() {
    let make = Make {
        exclusive: true,
        usage: "gen".to_owned(),
        permissions: Permissions { user: "oracle".to_owned(), ..Permissions::default() },
        comment: "redo log".to_owned(),
        ..plain("vol1", 16, VolumeLayout::ConcatMirror)
    };
    let group = with(&group_of(&ROOMY), make);
    let volume = &group.volumes["vol1"];
    assert!(volume.exclusive && volume.usage == "gen" && volume.permissions.user == "oracle");
    assert_eq!(volume.common.comment, "redo log");
    let layer = &group.volumes["vol1-L01"];
    assert!(!layer.exclusive && layer.usage == "gen" && layer.permissions.user == "root");
}

#[test]
fn storage_words_choose_disks() {
    let make =
        |words| Make { storage: storage(words), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let disks = |words| {
        let group = with(&group_of(&ROOMY), make(words));
        let disks: Vec<String> = show(&group)
            .iter()
            .filter_map(|line| line.strip_prefix("sd "))
            .map(|line| line.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "))
            .collect();
        disks.join(", ")
    };
    assert_eq!(disks("mydg04 mydg02"), "mydg04 0, mydg02 0");
    assert_eq!(disks("!mydg01 !mydg03"), "mydg02 0, mydg04 0");
    assert_eq!(disks("mydg01 mydg02 mydg03 !mydg01"), "mydg02 0, mydg03 0");
    assert_eq!(disks("mydg01,1001 mydg02"), "mydg01 1008, mydg02 0");
    let group = group_of(&ROOMY);
    assert_eq!(refused(&group, &make_op(make("mydg09"))), "disk mydg09 does not exist");
    assert_eq!(
        refused(&group, &make_op(make("mydg01,99000 mydg02"))),
        "Cannot allocate space for 2048 block volume"
    );
}

#[test]
fn spares_and_reserved_disks_are_used_only_if_they_are_named() {
    let set = |attribute| {
        let set = vec![attribute];
        done(&group_of(&[4096, 4096]), &Op::Edit { names: vec![name("mydg01")], set })
    };
    let wanted = plain("vol1", 16, VolumeLayout::Concat);
    let named = Make { storage: storage("mydg01"), ..wanted.clone() };
    for group in [set(Attribute::Spare(true)), set(Attribute::Reserve(true))] {
        assert!(with(&group, wanted.clone()).subdisks.contains_key("mydg02-01"));
        assert!(with(&group, named.clone()).subdisks.contains_key("mydg01-01"));
    }
    let failing = set(Attribute::Failing(true));
    assert!(with(&failing, wanted).subdisks.contains_key("mydg02-01"));
    assert_eq!(refused(&failing, &make_op(named)), "Disk mydg01 is failing: nothing is put there");
}

#[test]
fn a_contiguous_volume_is_not_split() {
    let group = with(&group_of(&[4096, 8192]), plain("old", 1024, VolumeLayout::Concat));
    let make = |len| Make { contiguous: true, ..plain("vol1", len, VolumeLayout::Concat) };
    assert_eq!(maxsize(&group, &make(0), &ENV), Ok(8192));
    assert!(with(&group, make(8192)).subdisks.contains_key("mydg02-01"));
    assert_eq!(
        refused(&group, &make_op(make(8193))),
        "Cannot allocate space for 8193 block volume"
    );
}

#[test]
fn the_longest_volume_uses_disks_of_different_sizes_well() {
    // 5 + 4 and 3 + 3 + 3: giving the largest disk to whoever has least makes 8 and 10.
    let group = group_of(&[5120, 4096, 3072, 3072, 3072]);
    let make = Make { len: None, ..plain("vol1", 0, VolumeLayout::Mirror) };
    assert_eq!(maxsize(&group, &make, &ENV), Ok(9216));
    let group = with(&group, make.clone());
    assert_eq!(group.volumes["vol1"].len, 9216);
    assert_eq!(free_space(&group), []);
    let error = apply(&group, &make_op(Make { name: name("vol2"), ..make }), &ENV).unwrap_err();
    assert_eq!(
        error.to_string(),
        "No free space remaining in diskgroup mydg with given constraints"
    );
    assert_eq!((error.id(), error.exit()), (Some("V-5-1-15809"), 1));
}

#[test]
fn numbers_that_other_groups_have_are_not_given() {
    let env = Env { minors_taken: &[0..2, 3..4], ..ENV };
    let mut group = group_of(&ROOMY);
    for volume in ["vol1", "vol2", "vol3"] {
        let op = make_op(plain(volume, 16, VolumeLayout::Concat));
        group = apply(&group, &op, &env).unwrap();
    }
    let minors: Vec<u32> = group.volumes.values().map(|volume| volume.minor).collect();
    assert_eq!(minors, [2, 4, 5]);
}

#[test]
fn names_of_parts_are_made_from_long_names_too() {
    let long = "a".repeat(31);
    let group = with(&group_of(&ROOMY), plain(&long, 16, VolumeLayout::ConcatMirror));
    let plexes: Vec<&str> = group.plexes.keys().map(Name::as_str).collect();
    let stem = "a".repeat(27);
    let expected = [format!("{stem}-P01"), format!("{stem}-P02"), format!("{stem}a-01")];
    assert_eq!(plexes, expected);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let group = with(&group_of(&ROOMY), plain("vol1", 16, VolumeLayout::Concat));
    let vol2 = |layout| plain("vol2", 16, layout);
    let cases = [
        (plain("vol1", 16, VolumeLayout::Concat), "Record vol1 already exists in disk group"),
        (plain("mydg01", 16, VolumeLayout::Concat), "Record mydg01 already exists in disk group"),
        (plain("vol2", 0, VolumeLayout::Concat), "a volume is not 0 sectors long"),
        (
            plain("vol2", u64::MAX, VolumeLayout::Concat),
            "Cannot allocate space for 18446744073709551615 block volume",
        ),
        (
            Make { columns: Some(2), ..vol2(VolumeLayout::Concat) },
            "columns and a stripe unit are for striped layouts, such as layout=stripe",
        ),
        (Make { columns: Some(1), ..vol2(VolumeLayout::Stripe) }, "a stripe has 2 to 256 columns"),
        (
            Make { width: Some(4), ..vol2(VolumeLayout::Stripe) },
            "a stripe unit is a multiple of 8 sectors, up to 1t",
        ),
        (
            Make { mirrors: Some(0), ..vol2(VolumeLayout::Mirror) },
            "a volume has 1 to 32 mirrors, not 0",
        ),
        (
            Make { logs: Some(1), ..vol2(VolumeLayout::Concat) },
            "Volume vol2 is not mirrored: a dirty region log needs at least two mirrors",
        ),
        (
            Make { usage: "raid5".to_owned(), ..vol2(VolumeLayout::Concat) },
            "usage type raid5: fsgen or gen was expected",
        ),
        (
            Make { comment: "x".repeat(41), ..vol2(VolumeLayout::Concat) },
            "volume vol2: a text is longer than 40 bytes",
        ),
    ];
    for (make, expected) in cases {
        assert_eq!(refused(&group, &make_op(make)), expected);
    }
}

/// CVM-35: every node that executes a request comes to the same configuration.
#[test]
fn cvm_35_the_same_request_gives_the_same_configuration() {
    let group = group_of(&[70_000, 50_001, 90_017, 30_000]);
    let make = Make { logs: Some(2), ..plain("vol1", 20_000, VolumeLayout::StripeMirror) };
    let once = with(&group, make.clone());
    assert_eq!(with(&group, make), once);
}

#[test]
fn a_configuration_that_is_full_takes_no_more() {
    let mut group = group_of(&[100_000]);
    for offset in 1..=32_764 {
        let source = Source::Disk { dm: name("mydg01"), offset };
        let subdisk = Subdisk { common: group.common(), source, len: 1, origin: None };
        group.subdisks.insert(name(&format!("s{offset}")), subdisk);
    }
    let group = with(&group, plain("vol1", 16, VolumeLayout::Concat));
    let op = make_op(plain("vol2", 16, VolumeLayout::Concat));
    let error = apply(&group, &op, &ENV).unwrap_err();
    assert_eq!(error.to_string(), "No more space in disk group configuration");
    assert_eq!(error.id(), Some("V-5-1-2935"));
}

/// Facts 4.3: what was on the disks is not the same on all copies.
#[test]
fn mirrors_are_made_equal_unless_they_are_to_count_as_that() {
    let state = |init, layout| {
        let group = with(&group_of(&[10_000; 4]), Make { init, ..plain("vol1", 2048, layout) });
        let plexes = group.plexes.values();
        assert!(plexes.into_iter().all(|plex| plex.is_current() || init == Init::None));
        let layers = group.volumes.values().filter(|volume| volume.layer);
        assert!(layers.into_iter().all(|volume| !volume.needs_sync()), "layers follow");
        (group.volumes["vol1"].kernel, group.volumes["vol1"].state)
    };
    for layout in LAYOUTS {
        let has_copies = !matches!(layout, VolumeLayout::Concat | VolumeLayout::Stripe);
        let expected = if has_copies { VolumeState::Sync } else { VolumeState::Active };
        assert_eq!(state(Init::Default, layout), (KernelState::Enabled, expected));
        let active = (KernelState::Enabled, VolumeState::Active);
        assert_eq!(state(Init::Active, layout), active);
        let empty = (KernelState::Disabled, VolumeState::Empty);
        assert_eq!(state(Init::None, layout), empty);
    }
}
