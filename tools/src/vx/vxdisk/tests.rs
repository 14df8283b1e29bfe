//! Command lines, and listings of a sample.

use clap::FromArgMatches;
use cvm::model::Name;
use cvm::request::{DiskRequest, Request};

use super::cli::{Action, Cli, Form, action};
use super::list::Style;
use super::{command, detail, list};
use crate::common::NotYet;
use crate::golden;
use crate::vx::sample_disks::snapshot;

fn read(line: &str) -> Result<Action, String> {
    let words = std::iter::once("vxdisk").chain(line.split(' ').filter(|word| !word.is_empty()));
    let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    action(&cli).map_err(|failure| failure.to_string())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn the_definition_is_consistent() {
    NotYet::recognise(&super::REFUSED, command()).debug_assert();
}

#[test]
fn lines_are_understood() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for line in ["list", "-o alldgs list", "-oalldgs -q list", "-e list", "-g mydg list", "-b list"]
    {
        assert_eq!(read(line), Ok(Action::List), "{line}");
    }
    assert_eq!(
        read("list c1t1d0 shdg02"),
        Ok(Action::Show(Form::Detail, words(&["c1t1d0", "shdg02"])))
    );
    assert_eq!(read("-v list"), Ok(Action::Show(Form::Detail, Vec::new())));
    assert_eq!(read("-s list d"), Ok(Action::Show(Form::Summary, words(&["d"]))));
    for line in ["scandisks", "scandisks new", "-f scandisks fabric"] {
        assert_eq!(read(line), Ok(Action::Ask(Request::Scan)), "{line}");
    }
    let access = "c1t1d0".to_owned();
    let setup = DiskRequest::Setup { access, force: true, private_len: Some(8192) };
    assert_eq!(
        read("-f init c1t1d0 type=auto format=cdsdisk privlen=4m"),
        Ok(Action::Ask(Request::Disk(setup)))
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("", "required"),
        ("frobnicate", "possible values"),
        ("online c1t1d0", "scandisks"),
        ("offline c1t1d0", "cannot be put offline"),
        ("clearimport c1t1d0", "vxdg -C import"),
        ("rm c1t1d0", "dev/vx/dmp"),
        ("define c1t1d0", "scandisks"),
        ("destroy c1t1d0", "vxdiskunsetup"),
        ("set c1t1d0 spare=on", "vxedit"),
        ("-o listreserve list", "no reservations"),
        ("-o everything list", "expected alldgs"),
        ("-s -v list", "do not go together"),
        ("-q list c1t1d0", "list of a line each"),
        ("list a/b", "access name"),
        ("-e scandisks", "-e does not go with scandisks"),
        ("scandisks device=c1t1d0", "all disks are looked at"),
        ("init", "expected a disk"),
        ("init c1t1d0 type=sliced", "only type is auto"),
        ("-q init c1t1d0", "-q does not go with init, which takes -f"),
        ("-Z list", "unexpected argument"),
    ] {
        let error = read(line).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn disks_are_listed() {
    let shown = snapshot();
    let all = list::lines(&shown, None);
    golden::check("vxdisk-list", &list::table(&all, Style::default()));
    let style = Style { all_groups: true, ..Style::default() };
    golden::check("vxdisk-alldgs-list", &list::table(&all, style));
    let style = Style { native: true, ..Style::default() };
    golden::check("vxdisk-e-list", &list::table(&all, style));
    let style = Style { quiet: true, ..Style::default() };
    let one = list::lines(&shown, Some(&name("mydg")));
    golden::check("vxdisk-g-q-list", &list::table(&one, style));
    golden::check_json("vxdisk-list-json", &one);
}

#[test]
fn disks_are_shown_in_detail() {
    let shown = snapshot();
    let find = |word: &str| detail::find(&shown, None, word).unwrap();
    for (word, file) in [
        ("shdg01", "vxdisk-list-shared"),
        ("mydg01", "vxdisk-list-private"),
        ("c1t4d0", "vxdisk-list-free"),
        ("c1t6d0", "vxdisk-list-invalid"),
        ("c1t9d0", "vxdisk-list-error"),
    ] {
        golden::check(file, &detail::detail(find(word)));
    }
    let texts = ["c1t1d0", "c1t5d0", "c1t6d0"].map(|word| detail::summary(find(word)));
    golden::check("vxdisk-s-list", &texts.join("\n"));
    golden::check_json("vxdisk-list-shared-json", &[find("c1t1d0")]);
}

#[test]
fn a_disk_is_found_by_its_name_in_a_group() {
    let mut shown = snapshot();
    let found = |group: Option<&str>, word: &str| {
        let group = group.map(name);
        let disk = detail::find(&shown, group.as_ref(), word);
        disk.map(|disk| disk.access.clone()).map_err(|error| error.to_string())
    };
    assert_eq!(found(None, "shdg02"), Ok("c1t2d0".to_owned()));
    assert_eq!(found(Some("shdg"), "shdg02"), Ok("c1t2d0".to_owned()));
    assert_eq!(found(Some("shdg"), "c1t2d0"), Ok("c1t2d0".to_owned()));
    assert!(found(Some("mydg"), "shdg02").is_err());
    assert_eq!(
        found(None, "mydg02"),
        Err("Disk mydg02 has no device: removed was:c1t6d0".to_owned())
    );
    assert_eq!(found(None, "x"), Err("Disk x: no such device, and no member".to_owned()));
    let twin = shown.groups[0].group.disks["mydg01"].clone();
    shown.groups[1].group.disks.insert(name("mydg01"), twin);
    let error = detail::find(&shown, None, "mydg01").unwrap_err().to_string();
    assert!(error.contains("several groups"), "{error}");
}
