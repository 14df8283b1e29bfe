//! Command lines, and listings of a sample.

use clap::FromArgMatches;
use cvm::model::op::{DiskName, GroupAttribute, Op};
use cvm::model::{Activation, Copies, DetachPolicy, FailPolicy, Name};
use cvm::request::{GroupRequest, Import, Request};

use super::action::{Action, Which, action};
use super::cli::Cli;
use super::replace::{self, Steps};
use super::{command, detail, free, list};
use crate::common::{Failure, NotYet};
use crate::golden;
use crate::vx::device::group as find;
use crate::vx::sample_disks::snapshot;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn read(line: &str) -> Result<Action, String> {
    let words = std::iter::once("vxdg").chain(line.split(' ').filter(|word| !word.is_empty()));
    let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    action(&cli).map_err(|failure| failure.to_string())
}

fn asks(line: &str) -> Vec<Request> {
    match read(line) {
        Ok(Action::Ask(requests)) => requests,
        other => panic!("{line}: {other:?}"),
    }
}

fn op(group: &str, op: Op) -> Vec<Request> {
    vec![Request::Op { group: name(group), op }]
}

fn disk(dm: Option<&str>, access: &str) -> DiskName {
    DiskName { name: dm.map(name), access: access.to_owned() }
}

#[test]
fn the_definition_is_consistent() {
    NotYet::recognise(&super::REFUSED, command()).debug_assert();
}

#[test]
fn groups_are_made() {
    let init = |group: &str, shared, disks, minors, nconfig, cds| {
        vec![Request::Group(GroupRequest::Init {
            name: name(group),
            shared,
            disks,
            minors,
            nconfig,
            nlog: Copies::Default,
            cds,
        })]
    };
    let one = || vec![disk(None, "disk_0")];
    assert_eq!(asks("init mydg disk_0"), init("mydg", false, one(), None, Copies::Default, true));
    assert_eq!(
        asks("-s init shdg cds=off minor=15000 shdg01=disk_0 nconfig=3 disk_1"),
        init(
            "shdg",
            true,
            vec![disk(Some("shdg01"), "disk_0"), disk(None, "disk_1")],
            Some(15_000),
            Copies::Count(3),
            false
        )
    );
    assert_eq!(
        asks("-T 140 init mydg disk_0 nconfig=all"),
        init("mydg", false, one(), None, Copies::All, true)
    );
}

#[test]
fn groups_are_imported() {
    let plain = || Import {
        group: "mydg".to_owned(),
        shared: false,
        force: false,
        clear: false,
        temporary: false,
        rename: None,
        select: None,
        reminor: None,
    };
    let import = |import| vec![Request::Group(GroupRequest::Import(import))];
    assert_eq!(asks("import mydg"), import(plain()));
    assert_eq!(asks("-s import mydg"), import(Import { shared: true, ..plain() }));
    assert_eq!(
        asks("-tfC import mydg"),
        import(Import { temporary: true, force: true, clear: true, ..plain() })
    );
    assert_eq!(
        asks("-c -n newdg import mydg"),
        import(Import { rename: Some(name("newdg")), ..plain() })
    );
    let select = "1283432300.1.serverA".parse().ok();
    assert_eq!(
        asks("-o selectcp=1283432300.1.serverA -o reminor import mydg"),
        import(Import { select, reminor: Some(None), ..plain() })
    );
    assert_eq!(
        asks("-o reminor=200 import mydg"),
        import(Import { reminor: Some(Some(200)), ..plain() })
    );
    let id = "1283432300123.1.a-host-with-a-very-long-name";
    assert_eq!(asks(&format!("import {id}")), import(Import { group: id.to_owned(), ..plain() }));
}

#[test]
fn groups_are_deported_and_destroyed() {
    let deport = |group: &str, rename: Option<&str>, host: Option<&str>| {
        let (rename, host) = (rename.map(name), host.map(name));
        Request::Group(GroupRequest::Deport { group: name(group), rename, host })
    };
    assert_eq!(asks("deport a b"), [deport("a", None, None), deport("b", None, None)]);
    assert_eq!(asks("-n c -h host2 deport a"), [deport("a", Some("c"), Some("host2"))]);
    let destroy = |group: &str| Request::Group(GroupRequest::Destroy(name(group)));
    assert_eq!(asks("destroy a b"), [destroy("a"), destroy("b")]);
}

#[test]
fn disks_come_and_go() {
    assert_eq!(
        asks("-g mydg adddisk mydg03=disk_3 disk_4"),
        op("mydg", Op::AddDisks(vec![disk(Some("mydg03"), "disk_3"), disk(None, "disk_4")]))
    );
    assert_eq!(
        asks("-f -g mydg adddisk disk_4"),
        op("mydg", Op::AddDisks(vec![disk(None, "disk_4")]))
    );
    assert_eq!(
        asks("-g mydg -k adddisk mydg02=disk_5"),
        op("mydg", Op::ReplaceDisks(vec![(name("mydg02"), "disk_5".to_owned())]))
    );
    assert_eq!(
        asks("-g mydg rmdisk mydg01 mydg02"),
        op("mydg", Op::RemoveDisks { names: vec![name("mydg01"), name("mydg02")], keep: false })
    );
    assert_eq!(
        asks("-k -g mydg rmdisk mydg01"),
        op("mydg", Op::RemoveDisks { names: vec![name("mydg01")], keep: true })
    );
}

#[test]
fn attributes_are_set() {
    let mode = |mode| vec![Request::Activate { group: name("shdg"), mode }];
    for word in ["sharedwrite", "shared-write", "sw"] {
        let line = format!("-g shdg set activation={word}");
        assert_eq!(asks(&line), mode(Activation::SharedWrite));
    }
    assert_eq!(asks("-g shdg set activation=off"), mode(Activation::Off));
    let set = |attributes| op("shdg", Op::Set(attributes));
    assert_eq!(
        asks(
            "-g shdg set diskdetpolicy=local dgfailpolicy=leave cds=off ssb=on nconfig=all nlog=2"
        ),
        set(vec![
            GroupAttribute::DetachPolicy(DetachPolicy::Local),
            GroupAttribute::FailPolicy(FailPolicy::Leave),
            GroupAttribute::Cds(false),
            GroupAttribute::Ssb(true),
            GroupAttribute::Nconfig(Copies::All),
            GroupAttribute::Nlog(Copies::Count(2)),
        ])
    );
    let both = [set(vec![GroupAttribute::Ssb(false)]), mode(Activation::ReadOnly)].concat();
    assert_eq!(asks("-g shdg set activation=ro ssb=off"), both);
    for line in ["-g shdg reminor 300", "reminor shdg 300", "-g shdg -f reminor shdg 300"] {
        assert_eq!(asks(line), op("shdg", Op::Reminor { base: 300 }), "{line}");
    }
}

#[test]
fn listings_are_asked_for() {
    assert_eq!(read("list"), Ok(Action::List));
    assert_eq!(read("-sq list --json"), Ok(Action::List));
    assert_eq!(read("list a b"), Ok(Action::ListLong(vec![name("a"), name("b")])));
    assert_eq!(read("-g a list"), Ok(Action::ListLong(vec![name("a")])));
    assert_eq!(read("-g a free"), Ok(Action::Free(Which::Usual, Vec::new())));
    assert_eq!(read("-qa free d1"), Ok(Action::Free(Which::All, vec![name("d1")])));
    assert_eq!(read("-q spare"), Ok(Action::Free(Which::Spare, Vec::new())));
    assert_eq!(read("nohotuse"), Ok(Action::Free(Which::NoHotUse, Vec::new())));
    assert_eq!(read("flush"), Ok(Action::Flush(Vec::new())));
    assert_eq!(read("flush a b"), Ok(Action::Flush(vec![name("a"), name("b")])));
    assert_eq!(read("bootdg"), Ok(Action::BootGroup));
    assert_eq!(read("defaultdg"), Ok(Action::DefaultGroup));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("", "required"),
        ("frobnicate", "possible values"),
        ("move a b c", "not moved between groups"),
        ("split a b c", "not split"),
        ("join a b", "not joined"),
        ("upgrade mydg", "version 140"),
        ("listssbinfo", "the serial of each disk"),
        ("recover a", "transaction"),
        ("init", "expected a name"),
        ("init mydg", "expected disks"),
        ("init mydg cds=on", "expected disks"),
        ("init mydg cds=maybe disk_0", "expected on or off"),
        ("init mydg minor=-1 disk_0", "minor number"),
        ("init mydg minor=1048576 disk_0", "0 to 1048575"),
        ("init mydg nconfig=0 disk_0", "expected all, default"),
        ("init my/dg disk_0", "is not a name"),
        ("init nodg disk_0", "reserved"),
        ("init mydg x/y=disk_0", "is not a name"),
        ("init mydg /dev/sda", "access name"),
        ("-T 90 init mydg disk_0", "the only version is 140"),
        ("-k init mydg disk_0", "-k does not go with init, which takes -s, -T"),
        ("import", "expected one group"),
        ("import a b", "expected one group"),
        ("-n bootdg import a", "reserved"),
        ("-o selectcp import a", "selectcp=DISKID"),
        ("-o selectcp=x import a", "an id like"),
        ("-o reminor=x import a", "minor number"),
        ("-o reminor -o reminor=5 import a", "twice"),
        ("-o useclonedev=on import a", "no clones"),
        ("-o colour import a", "expected selectcp"),
        ("-h host import a", "-h does not go with import"),
        ("deport", "expected the groups"),
        ("-n c deport a b", "several are named"),
        ("-n a/b deport a", "is not a name"),
        ("destroy", "expected the groups"),
        ("-f destroy a", "-f does not go with destroy, which takes none"),
        ("-g a adddisk", "expected disks"),
        ("-g a -k adddisk disk_0", "with -k DM=DA"),
        ("-g a rmdisk", "expected the members"),
        ("-g a repldisk", "expected DM=SPARE"),
        ("-g a repldisk d1", "expected DM=SPARE"),
        ("-g a reminor", "expected reminor"),
        ("-g a reminor b 100", "is it b, or a"),
        ("-g a reminor many", "minor number"),
        ("-g a set", "expected attributes"),
        ("-g a set activation", "expected activation="),
        ("-g a set activation=write", "expected exclusivewrite"),
        ("-g a set activation=sw activation=off", "twice"),
        ("-g a set diskdetpolicy=none", "global or local"),
        ("-g a set dgfailpolicy=panic", "dgdisable or leave"),
        ("-g a set ioship=on", "not shipped"),
        ("-g a set colour=red", "no attribute"),
        ("-g a list b", "with -g"),
        ("-q list a", "without a group"),
        ("spare d1", "nothing was expected"),
        ("bootdg x", "nothing was expected"),
        ("-n", "value"),
        ("-h", "value"),
        ("-Z list", "unexpected argument"),
    ] {
        let error = read(line).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn a_spare_gives_its_disk_to_a_member_without_one() {
    let shown = snapshot();
    let pair = |other: &str| vec![(name("mydg02"), other.to_owned())];
    let request = |op| Request::Op { group: name("mydg"), op };
    let replace =
        |access: &str| request(Op::ReplaceDisks(vec![(name("mydg02"), access.to_owned())]));
    let steps = |other: &str, keep| replace::steps(&shown, &name("mydg"), &pair(other), keep);
    let plain = Steps { free: None, replace: replace("c1t4d0"), undo: None };
    assert_eq!(steps("c1t4d0", false).unwrap(), plain);
    let remove = |keep| Some(request(Op::RemoveDisks { names: vec![name("mydg01")], keep }));
    assert_eq!(
        steps("mydg01", false).unwrap(),
        Steps {
            free: remove(false),
            replace: replace("c1t5d0"),
            undo: Some(request(Op::AddDisks(vec![disk(Some("mydg01"), "c1t5d0")]))),
        }
    );
    let back = Op::ReplaceDisks(vec![(name("mydg01"), "c1t5d0".to_owned())]);
    assert_eq!(
        steps("mydg01", true).unwrap(),
        Steps { free: remove(true), replace: replace("c1t5d0"), undo: Some(request(back)) }
    );
    assert!(steps("mydg05", false).unwrap_err().to_string().contains("no disk on this node"));
    let error = |group: &str, dm: &str| {
        let pairs = [(name(dm), "c1t4d0".to_owned())];
        replace::steps(&shown, &name(group), &pairs, false).unwrap_err().to_string()
    };
    assert!(error("mydg", "mydg01").contains("-k rmdisk mydg01"));
    assert_eq!(error("mydg", "mydg09"), "disk mydg09 does not exist");
    assert_eq!(error("nodg1", "mydg09"), "Disk group nodg1: No such disk group");
}

#[test]
fn groups_are_listed() {
    let mut shown = snapshot();
    golden::check("vxdg-list", &list::table(&list::lines(&shown, false), false));
    golden::check_json("vxdg-list-json", &list::lines(&shown, false));
    shown.cluster.master = None;
    golden::check("vxdg-list-sq-disabled", &list::table(&list::lines(&shown, true), true));
    golden::check("vxdg-list-shared", &detail::detail(&shown, &shown.groups[1]));
    golden::check("vxdg-list-private", &detail::detail(&shown, &shown.groups[0]));
    golden::check_json("vxdg-list-shared-json", &[&shown.groups[1]]);
}

#[test]
fn a_group_is_found_by_name_and_id() {
    let shown = snapshot();
    for word in ["shdg", "1283432345.33.serverA"] {
        assert_eq!(find(&shown, &name(word)).unwrap().group.name, name("shdg"));
    }
    let failure = find(&shown, &name("nodg1")).unwrap_err();
    let Failure::Operation { id, text } = failure else { panic!("{failure:?}") };
    assert_eq!(id.as_deref(), Some("V-5-1-2275"));
    assert_eq!(text, "Disk group nodg1: No such disk group");
}

#[test]
fn free_space_is_listed() {
    let shown = snapshot();
    let one = [find(&shown, &name("shdg")).unwrap()];
    let all: Vec<_> = shown.groups.iter().collect();
    let lines = |groups: &[_], which| free::lines(&shown, groups, which, &[]).unwrap();
    golden::check("vxdg-free", &free::table(&lines(&one, Which::Usual), false, false));
    golden::check("vxdg-free-all", &free::table(&lines(&all, Which::All), true, false));
    golden::check("vxdg-spare", &free::table(&lines(&all, Which::Spare), true, false));
    golden::check("vxdg-nohotuse-q", &free::table(&lines(&all, Which::NoHotUse), true, true));
    golden::check_json("vxdg-free-json", &lines(&one, Which::Usual));
    let named = free::lines(&shown, &one, Which::Usual, &[name("shdg03")]).unwrap();
    assert_eq!(named.len(), 1, "a spare, if it is named");
    let error = free::lines(&shown, &one, Which::Usual, &[name("mydg01")]).unwrap_err();
    assert_eq!(error.to_string(), "disk mydg01 does not exist");
}
