//! `vxmake`

use super::*;
use crate::model::text;

fn vxmake(text: &str) -> Op {
    Op::MakeRecords { descriptions: text.to_owned() }
}

#[test]
fn what_is_left_out_is_filled_in() {
    let group = done(
        &group_of(&[10_000; 2]),
        &vxmake(
            "vol vol1 plex=p1,p2
             sd a dm=mydg01 dmoffset=0 len=1000
             sd b dm=mydg01 dmoffset=5000 len=500
             sd c dm=mydg02 dmoffset=0 len=1600
             plex p1 sd=a,b
             plex p2 sd=c"
                .replace("             ", "")
                .as_str(),
        ),
    );
    shows(
        &group,
        "
        v vol1 DISABLED EMPTY 1500
        pl p1 DISABLED EMPTY 1500 CONCAT
        sd a mydg01 0 1000 0/0
        sd b mydg01 5000 500 0/1000
        pl p2 DISABLED EMPTY 1600 CONCAT
        sd c mydg02 0 1600 0/0",
    );
    let volume = &group.volumes["vol1"];
    assert_eq!((volume.usage.as_str(), volume.minor, volume.layer), ("fsgen", 0, false));
}

#[test]
fn subdisks_are_dealt_to_the_columns_of_a_stripe() {
    let subdisks = "sd a dm=mydg01 dmoffset=0 len=1024\nsd b dm=mydg02 dmoffset=0 len=1024\n\
        sd c dm=mydg01 dmoffset=2048 len=512\nsd d dm=mydg02 dmoffset=2048 len=512\n";
    let made = |plex: &str| {
        let text = format!("{subdisks}plex p {plex}\nvol v plex=p");
        show(&done(&group_of(&[10_000; 2]), &vxmake(&text)))
    };
    let expected = [
        "pl p DISABLED EMPTY 3072 STRIPE 2/128",
        "sd a mydg01 0 1024 0/0",
        "sd c mydg01 2048 512 0/1024",
        "sd b mydg02 0 1024 1/0",
        "sd d mydg02 2048 512 1/1024",
    ];
    assert_eq!(made("layout=stripe ncolumn=2 sd=a,b,c,d")[1..], expected);
    assert_eq!(made("layout=stripe ncolumn=2 sd=a:0/0,c:0/1024,b:1/0,d:1/1024")[1..], expected);
    assert_eq!(made("layout=stripe sd=a,b")[1], "pl p DISABLED EMPTY 2048 STRIPE 2/128");
    assert_eq!(made("layout=stripe stwidth=64 sd=a,b")[1], "pl p DISABLED EMPTY 2048 STRIPE 2/64");
}

#[test]
fn a_log_subdisk_alone_makes_a_log_plex() {
    let text = "sd a dm=mydg01 dmoffset=0 len=1024\nsd l dm=mydg01 dmoffset=1024 len=16\n\
        plex p sd=a\nplex q log=l\nvol v plex=p,q";
    let group = done(&group_of(&[10_000]), &vxmake(text));
    assert_eq!(show(&group)[3..], ["pl q DISABLED LOG LOGONLY", "sd l mydg01 1024 16 LOG"]);
    assert_eq!(group.volumes["v"].log_type, LogType::Region);
    assert_eq!(group.volumes["v"].len, 1024);
}

#[test]
fn a_layered_volume_is_made_by_hand() {
    let text = "sd s volume=inner\nplex top sd=s\nvol outer plex=top\n\
        sd a dm=mydg01 dmoffset=0 len=1024\nplex p sd=a\nvol inner layer=on plex=p";
    shows(
        &done(&group_of(&[10_000]), &vxmake(text)),
        "
        v outer DISABLED EMPTY 1024
        pl top DISABLED EMPTY 1024 CONCAT
        sv s inner 1024 0/0
          v inner DISABLED EMPTY 1024
          pl p DISABLED EMPTY 1024 CONCAT
          sd a mydg01 0 1024 0/0",
    );
}

/// `vxprint -m` printed it, everything was removed, `vxmake` makes it again.
#[test]
fn what_vxprint_printed_is_made_again() {
    let mut group = group_of(&[100_000; 6]);
    for make in [
        Make { logs: Some(2), ..plain("vol1", 2048, VolumeLayout::Mirror) },
        Make { exclusive: true, ..plain("vol2", 2048, VolumeLayout::StripeMirror) },
        Make { comment: "two words".to_owned(), ..plain("vol3", 9000, VolumeLayout::Stripe) },
        Make { log_type: LogType::Sequential, ..plain("vol4", 9000, VolumeLayout::ConcatMirror) },
        Make { init: Init::None, ..plain("vol5", 16, VolumeLayout::MirrorStripe) },
    ] {
        group = with(&group, make);
    }
    let saved = text::write_group(&group);
    let records = saved.split("\nsd ").skip(1).map(|part| format!("sd {part}\n"));
    let records: String = records.collect();
    let names = group.volumes.iter().filter(|(_, v)| !v.layer).map(|(n, _)| n.clone()).collect();
    let emptied = done(&group, &Op::RemoveRecords { names, recursive: true, force: true });
    assert_eq!(emptied.record_count(), 6);
    let again = done(&emptied, &vxmake(&records));
    assert_eq!(without_rids(&again), without_rids(&group));
}

#[test]
fn what_cannot_be_made_is_refused() {
    let group = with(&group_of(&[10_000]), plain("vol1", 1024, VolumeLayout::Concat));
    let cases = [
        (
            "dm mydg99",
            "line 1: disk mydg99 is not in the disk group; vxdg adddisk makes disks members",
        ),
        ("da c1t1d0", "line 1: vxmake makes records of the kinds sd, plex and vol, not da c1t1d0"),
        (
            "sd mydg01-01 dm=mydg01 dmoffset=2000 len=1",
            "Record mydg01-01 already exists in disk group",
        ),
        ("sd a dm=mydg01 dmoffset=1000 len=100", "subdisk a: overlaps mydg01-01"),
        ("sd a dm=mydg01 dmoffset=9999 len=2", "subdisk a: ends at 10001, and mydg01 at 10000"),
        ("sd a dm=mydg09 dmoffset=0 len=2", "disk mydg09 does not exist"),
        ("sd a dm=vol1 dmoffset=0 len=2", "vol1 is a volume, not a disk"),
        ("sd a dm=mydg01 len=2", "line 1: sd a has no dmoffset"),
        ("plex p sd=a", "subdisk a does not exist"),
        ("plex p sd=mydg01-01", "plex vol1-01: mydg01-01 is already associated"),
        (
            "plex p sd=mydg01-01:0",
            "line 1: sd=\"mydg01-01:0\" is no list of subdisks, or of subdisk:column/offset",
        ),
        ("vol v plex=vol1-01", "volume vol1: vol1-01 is already associated"),
        ("vol v", "line 1: vol v has no len"),
        ("vol v len=16 use_type=raid5", "usage type raid5: fsgen or gen was expected"),
        ("vol v len=16 minor=0", "volume vol1: another volume has its minor number"),
        (
            "vol v len=16 kstate=ENABLED",
            "Volume v: an EMPTY volume is DISABLED, and none has the length 0",
        ),
        ("vol v len=16\nvol v len=16", "Record v already exists in disk group"),
        (
            "sd a dm=mydg01 dmoffset=x len=2",
            "line 1: dmoffset=\"x\": invalid digit found in string",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(&group, &vxmake(text)), expected, "{text}");
    }
}
