//! The requests that command lines become.

use cvm::model::op::{Init, Storage, VolumeLayout};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
    Cli::try_parse_from(format!("vxassist {line}").split_whitespace()).map_err(|e| e.kind())
}

fn asked(line: &str) -> Result<Request, String> {
    let cli = parse(line).map_err(|kind| kind.to_string())?;
    let group = cli.dg.given().cloned().unwrap_or_else(|| name("mydg").unwrap());
    request(&cli, group, &Attributes::default()).map_err(|failure| failure.to_string())
}

fn op(line: &str) -> Op {
    match asked(line) {
        Ok(Request::Op { group, op }) => {
            assert_eq!(group.as_str(), "mydg");
            op
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn vol1() -> Name {
    name("vol1").unwrap()
}

fn on(disk: &str) -> Storage {
    Storage { disk: name(disk).unwrap(), excluded: false, offset: None }
}

fn not_on(disk: &str) -> Storage {
    Storage { excluded: true, ..on(disk) }
}

#[test]
fn the_definition_is_consistent() {
    command().debug_assert();
}

#[test]
fn make_becomes_a_typed_request() {
    let plain = |layout| Make::new(vol1(), Some(2 << 20), layout);
    let made = |make| Op::Make(Box::new(make));
    assert_eq!(op("-g mydg make vol1 1g"), made(plain(VolumeLayout::Concat)));
    let logged = Make {
        log_type: LogType::Region,
        logs: Some(1),
        storage: vec![on("mydg01"), not_on("mydg02")],
        ..plain(VolumeLayout::Mirror)
    };
    let line = "-b make vol1 1g layout=mirror,log logtype=drl nlog=1 mydg01 !mydg02";
    assert_eq!(op(line), made(logged));
    let longest = Make { len: None, init: Init::Active, ..plain(VolumeLayout::Stripe) };
    assert_eq!(op("make vol1 maxsize layout=stripe init=active"), made(longest));
    let general = Make { usage: "gen".to_owned(), ..plain(VolumeLayout::Concat) };
    assert_eq!(op("-U gen -t tag make vol1 1g"), made(general));
}

#[test]
fn every_other_action_becomes_a_typed_request() {
    let volume = vol1();
    let mirror = |count, layout, storage| Op::Mirror { volume: vol1(), count, layout, storage };
    assert_eq!(op("mirror vol1"), mirror(1, None, vec![]));
    let striped = Some(VolumeLayout::Stripe);
    let line = "mirror vol1 layout=stripe nmirror=2 mydg02";
    assert_eq!(op(line), mirror(2, striped, vec![on("mydg02")]));
    let log =
        |log_type, count, len| Op::AddLog { volume: vol1(), log_type, count, len, storage: vec![] };
    assert_eq!(op("addlog vol1"), log(LogType::Region, 1, None));
    let line = "addlog vol1 logtype=drlseq nlog=2 loglen=1m";
    assert_eq!(op(line), log(LogType::Sequential, 2, Some(2048)));
    let remove = |force| Op::RemoveVolume { volume: vol1(), force };
    assert_eq!(op("remove volume vol1"), remove(false));
    assert_eq!(op("-f remove volume vol1"), remove(true));
    let storage = vec![not_on("mydg01")];
    let gone = Op::RemoveMirror { volume: volume.clone(), count: 1, storage: storage.clone() };
    assert_eq!(op("remove mirror vol1 !mydg01"), gone);
    let gone = Op::RemoveLog { volume: volume.clone(), count: 2, storage: vec![] };
    assert_eq!(op("remove log vol1 nlog=2"), gone);
    let storage = vec![not_on("mydg01"), on("mydg02")];
    assert_eq!(op("move vol1 !mydg01 mydg02"), Op::Move { volume, storage });
}

#[test]
fn snapshots_are_begun_broken_off_and_brought_back() {
    let (count, layout, storage) = (2, None, vec![on("mydg02")]);
    let started = Op::SnapStart { volume: vol1(), count, layout, storage };
    assert_eq!(op("snapstart vol1 nmirror=2 mydg02"), started);
    let taken = |snapshot, count| Op::Snapshot { volume: vol1(), snapshot, count };
    assert_eq!(op("snapshot vol1"), taken(None, 1));
    assert_eq!(op("snapshot vol1 nmirror=2"), taken(None, 2));
    let monday = name("monday").unwrap();
    assert_eq!(op("snapshot vol1 monday nmirror=2"), taken(Some(monday.clone()), 2));
    let back = |from_replica| Op::SnapBack { snapshot: monday.clone(), from_replica };
    assert_eq!(op("snapback monday"), back(false));
    assert_eq!(op("-o resyncfromreplica snapback monday"), back(true));
    assert_eq!(op("snapclear monday"), Op::SnapClear(monday));
    assert_eq!(op("snapabort vol1"), Op::SnapAbort(vol1()));
}

#[test]
fn lengths_are_changed_in_four_ways() {
    let resize = |to, force| Op::Resize { volume: vol1(), to, storage: vec![], force };
    assert_eq!(op("growby vol1 1m"), resize(NewLength::GrowBy(2048), false));
    assert_eq!(op("growto vol1 4096"), resize(NewLength::GrowTo(4096), false));
    assert_eq!(op("-f shrinkby vol1 1m"), resize(NewLength::ShrinkBy(2048), true));
    assert_eq!(op("-o force shrinkto vol1 1m"), resize(NewLength::ShrinkTo(2048), true));
    let grown = Op::Resize {
        volume: vol1(),
        to: NewLength::GrowTo(2 << 20),
        storage: vec![on("mydg03")],
        force: false,
    };
    assert_eq!(op("growto vol1 1g alloc=mydg03"), grown);
}

#[test]
fn questions_have_their_own_requests() {
    let Ok(Request::MaxSize { group, make }) = asked("-g other maxsize layout=mirror !mydg01")
    else {
        panic!("no MaxSize");
    };
    assert_eq!((group.as_str(), make.len, make.layout), ("other", None, VolumeLayout::Mirror));
    assert_eq!(make.storage, [not_on("mydg01")]);
    let storage = vec![on("mydg02")];
    let group = name("mydg").unwrap();
    assert_eq!(
        asked("maxgrow vol1 mydg02"),
        Ok(Request::MaxGrow { group, volume: vol1(), storage })
    );
    assert_eq!(Longest { length: 3_840_000 }.text(), "Maximum volume size: 3840000 (1875Mb)\n");
    let grown = Grown { volume: vol1(), by: 1 << 20, length: 3 << 20 };
    let text = "Volume vol1 can be extended by 1048576 to: 3145728 (1536Mb)\n";
    assert_eq!(grown.text(), text);
    crate::golden::check_json("vxassist-maxgrow-json", &grown);
    crate::golden::check_json("vxassist-maxsize-json", &Longest { length: 3_840_000 });
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_reason() {
    for (line, said) in [
        ("make vol1 1g layout=raid5", "no RAID-5"),
        ("make vol1 1g ctlr:c1", "not known here"),
        ("make vol1 1g loglen=1m", "loglen= is for addlog"),
        ("make vol1 1g raid5_stwid=16k", "no RAID-5"),
        ("mirror vol1 user=root", "user= is no attribute of mirror"),
        ("addlog vol1 logtype=none", "at least one log"),
        ("addlog vol1 nlog=0", "at least one log"),
        ("remove log vol1 nlog=0", "at least one"),
        ("remove volume vol1 mydg01", "takes no storage"),
        ("remove volume vol1 nmirror=1", "no attribute of remove volume"),
        ("move vol1", "needs a disk to leave"),
        ("move vol1 mydg02", "needs a disk to leave"),
        ("growby vol1 1m layout=stripe", "no attribute of growby"),
        ("shrinkby vol1 1m mydg01", "neither attributes nor storage"),
        ("maxgrow vol1 layout=mirror", "no attribute of maxgrow"),
        ("relayout vol1 ncol=4", "relayout is not in this version"),
        ("convert vol1 layout=stripe-mirror", "convert is not in this version"),
        ("snapshot vol1 one two", "\"two\""),
        ("-o resyncfromreplica snapstart vol1", "is for snapback"),
        ("settag vol1 x", "volumes have no tags"),
        ("create vol1 1g", "\"create\" is no action: expected make"),
    ] {
        let error = asked(line).unwrap_err();
        assert!(error.contains(said), "{line}: {error}");
    }
}

#[test]
fn what_is_no_command_line_is_a_usage_error() {
    for line in [
        "",
        "make",
        "make vol1",
        "make vol1 0",
        "make vol1 1q",
        "make a/b 1g",
        "make -x vol1 1g",
        "-g a/b make vol1 1g",
        "-o what make vol1 1g",
        "-U raid5 make vol1 1g",
        "remove",
        "remove vol1",
        "remove plex vol1",
        "growby vol1",
        "growby vol1 -1",
        "maxgrow",
        "help me",
        "-d",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    for line in ["help", "help alloc", "help showattrs", "maxsize --json", "-d f make vol1 1g"] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
