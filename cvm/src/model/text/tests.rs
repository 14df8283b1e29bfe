//! Descriptions that are read and written back.

use super::*;
use crate::model::sample::{group, name};
use crate::model::states::{KernelState, VolumeState};
use crate::model::{Kind, check};

#[test]
fn a_group_is_read_back_as_it_was_written() {
    let group = group();
    check(&group).unwrap();
    let text = write_group(&group);
    assert_eq!(read_group(&text).unwrap(), group, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn texts_may_have_quotes_and_spaces() {
    let mut group = group();
    let comment = " a \"b\" \\ # c";
    group.volumes.get_mut("vol1").unwrap().common.comment = comment.to_owned();
    let back = read_group(&write_group(&group)).unwrap();
    assert_eq!(back.volumes["vol1"].common.comment, comment);
}

#[test]
fn errors_say_where() {
    let text = write_group(&group());
    let wrong = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        read_group(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert_eq!(
        wrong("ncolumn=2", "ncolumn=-2"),
        "line 51: ncolumn=\"-2\": invalid digit found in string"
    );
    assert_eq!(wrong("kstate=ENABLED", "kstat=ENABLED"), "line 44: plex vol1-01 has no kstate");
    assert_eq!(
        wrong("\tversion=140\n", "\tversion=140\n\tcolour=red\n"),
        "line 4: colour is no field of dg mydg"
    );
    assert_eq!(wrong("dm mydg01", "cd mydg01"), "line 8: \"cd\" is none of dm, sd, plex, vol");
    assert_eq!(
        wrong("dm mydg01", "dm a/b"),
        "line 8: \"a/b\" is not a name of 1 to 31 letters, digits and _ . - +"
    );
    assert_eq!(
        read_group("").unwrap_err().to_string(),
        "line 1: a disk group was expected: dg NAME"
    );
    assert_eq!(read_group("dg x \"y").unwrap_err().to_string(), "line 1: a quote without its end");
}

#[test]
fn records_are_written_one_by_one() {
    let group = group();
    let whole: String = std::iter::once(write_record(&group, None, ""))
        .chain(group.disks.keys().map(|name| write_record(&group, Some(Kind::Disk), name.as_str())))
        .chain(group.subdisks.keys().map(|n| write_record(&group, Some(Kind::Subdisk), n.as_str())))
        .chain(group.plexes.keys().map(|n| write_record(&group, Some(Kind::Plex), n.as_str())))
        .chain(group.volumes.keys().map(|n| write_record(&group, Some(Kind::Volume), n.as_str())))
        .collect();
    assert_eq!(whole, write_group(&group));
    assert_eq!(write_record(&group, Some(Kind::Plex), "vol9-01"), "");
}

#[test]
fn descriptions_replace_records() {
    let mut group = group();
    let mut volume = group.volumes["vol1"].clone();
    volume.kernel = KernelState::Disabled;
    volume.state = VolumeState::Clean;
    let mut other = group.clone();
    other.volumes.insert(name("vol1"), volume.clone());
    let text = write_record(&other, Some(Kind::Volume), "vol1");
    read_into(&mut group, parse(&text).unwrap()).unwrap();
    assert_eq!(group.volumes["vol1"], volume);
}
