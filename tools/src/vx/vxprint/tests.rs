//! Listings byte for byte, and command lines.

use clap::FromArgMatches;
use cvm::model::text::read_group;

use super::fields::FIELDS;
use super::*;
use crate::golden;

fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
    let matches = NotYet::recognise(&REFUSED, command()).try_get_matches_from(line.split(' '));
    matches.and_then(|all| Cli::from_arg_matches(&all)).map_err(|error| error.kind())
}

/// What `vxprint OPTIONS` prints of a snapshot.
fn try_show(snapshot: &Snapshot, options: &str) -> Result<String, Failure> {
    let line = format!("vxprint {options}");
    let cli = parse(line.trim()).unwrap_or_else(|error| panic!("{options}: {error}"));
    let groups = chosen(snapshot, cli.group.given())?;
    listing(&cli, &groups, snapshot, None)
}

fn show(snapshot: &Snapshot, options: &str) -> String {
    try_show(snapshot, options).unwrap_or_else(|error| panic!("{options}: {error}"))
}

#[test]
fn the_definition_is_consistent() {
    NotYet::recognise(&REFUSED, command()).debug_assert();
}

#[test]
fn the_group_of_the_facts_in_every_form() {
    let snapshot = sample::facts();
    golden::check("vxprint", &show(&snapshot, ""));
    golden::check("vxprint-f", &show(&snapshot, "-f"));
    golden::check("vxprint-ht", &show(&snapshot, "-ht"));
    golden::check("vxprint-t", &show(&snapshot, "-t"));
    golden::check("vxprint-h", &show(&snapshot, "-h"));
    golden::check("vxprint-l", &show(&snapshot, "-l"));
    golden::check("vxprint-lv", &show(&snapshot, "-lv"));
    golden::check("vxprint-m", &show(&snapshot, "-m"));
    golden::check("vxprint-a", &show(&snapshot, "-a"));
    golden::check("vxprint-n", &show(&snapshot, "-n"));
    golden::check("vxprint-summary", &show(&snapshot, "-S"));
    golden::check("vxprint-q", &show(&snapshot, "-qt -d"));
    golden::check("vxprint-quiet", &show(&snapshot, "-Qqf -vp"));
    golden::check("vxprint-ht-vol1", &show(&snapshot, "-ht vol1"));
    golden::check("vxprint-st", &show(&snapshot, "-st"));
    golden::check_json("vxprint-json", &snapshot.groups);
}

/// Facts 1.5; beyond them it is said who has it open.
#[test]
fn a_volume_is_open_or_closed_if_that_is_known() {
    let snapshot = sample::facts();
    let shown = |opens: &[(u8, u64)], silent: &[u8]| {
        let opens = crate::vx::opens::sample(opens, silent);
        let groups = chosen(&snapshot, None).unwrap();
        let text = listing(&parse("vxprint -lv").unwrap(), &groups, &snapshot, Some(&opens));
        let text = text.unwrap();
        let lines =
            text.lines().filter(|line| line.starts_with("flags:") || line.starts_with("opens:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[(0, 0)], &[]), ["flags: closed writecopy writeback"]);
    assert_eq!(shown(&[(0, 0)], &[1]), ["flags: writecopy writeback"]);
    let open = ["flags: open writecopy writeback", "opens: node0=2 node3=1"];
    assert_eq!(shown(&[(0, 2), (3, 1)], &[1]), open);
}

/// The lines that the facts show, among those that `-ht` prints.
#[test]
fn lines_are_those_of_the_facts() {
    let shown = show(&sample::facts(), "-ht");
    let facts = "\
Disk group: mydg

DG NAME         NCONFIG      NLOG     MINORS   GROUP-ID
DM NAME         DEVICE       TYPE     PRIVLEN  PUBLEN   STATE
V  NAME         RVG/VSET/CO  KSTATE   STATE    LENGTH   READPOL   PREFPLEX UTYPE
PL NAME         VOLUME       KSTATE   STATE    LENGTH   LAYOUT    NCOL/WID MODE
SD NAME         PLEX         DISK     DISKOFFS LENGTH   [COL/]OFF DEVICE   MODE
SV NAME         PLEX         VOLNAME  NVOLLAYR LENGTH   [COL/]OFF AM/NM    MODE
DC NAME         PARENTVOL    LOGVOL
SP NAME         SNAPVOL      DCO

dg mydg         default      default  15000    1283432345.33.host1

dm mydg01       c1t1d0       auto     65536    71060352 -
v  vol1         -            ENABLED  ACTIVE   2097152  SELECT    -        fsgen
pl vol1-01      vol1         ENABLED  ACTIVE   2097152  CONCAT    -        RW
sd mydg01-01    vol1-01      mydg01   0        2097152  0         c1t1d0   ENA
pl vol1-02      vol1         ENABLED  ACTIVE   2097152  STRIPE    2/128    RW
sd mydg02-01    vol1-02      mydg02   0        1048576  0/0       c1t2d0   ENA
sd mydg03-01    vol1-02      mydg03   0        1048576  1/0       c1t3d0   ENA
pl vol1-03      vol1         ENABLED  ACTIVE   LOGONLY  CONCAT    -        RW
sd mydg01-02    vol1-03      mydg01   2097152  528      LOG       c1t1d0   ENA
";
    let others = ["dm mydg02 ", "dm mydg03 "];
    let is_other = |line: &str| others.iter().any(|other| line.starts_with(other));
    let lines: String = shown.split_inclusive('\n').filter(|line| !is_other(line)).collect();
    assert_eq!(lines, facts);
}

#[test]
fn layered_volumes_show_their_layers_if_asked() {
    let snapshot = sample::layered();
    golden::check("vxprint-layered", &show(&snapshot, ""));
    golden::check("vxprint-layered-ht", &show(&snapshot, "-ht"));
    golden::check("vxprint-layered-htr", &show(&snapshot, "-htr"));
    golden::check("vxprint-layered-htL", &show(&snapshot, "-tL"));
    golden::check("vxprint-layered-l", &show(&snapshot, "-hlr vol1"));
}

#[test]
fn disks_that_are_missing_are_told() {
    let snapshot = sample::missing();
    golden::check("vxprint-missing", &show(&snapshot, ""));
    golden::check("vxprint-missing-ht", &show(&snapshot, "-ht"));
    golden::check("vxprint-missing-l", &show(&snapshot, "-lds"));
}

#[test]
fn a_group_may_be_empty_and_there_may_be_none() {
    let snapshot = sample::empty();
    golden::check("vxprint-empty", &show(&snapshot, ""));
    golden::check("vxprint-empty-ht", &show(&snapshot, "-ht"));
    golden::check("vxprint-empty-l", &show(&snapshot, "-l"));
    for options in ["", "-ht", "-l", "-m", "-n", "-S", "-F %name"] {
        assert_eq!(show(&Snapshot::default(), options), "", "{options}");
    }
}

#[test]
fn several_groups_are_told_apart() {
    let mut snapshot = sample::facts();
    snapshot.groups.extend(sample::empty().groups);
    golden::check("vxprint-groups", &show(&snapshot, "-A"));
    golden::check("vxprint-groups-Q", &show(&snapshot, "-AQt"));
    golden::check("vxprint-groups-summary", &show(&snapshot, "-AqS"));
    assert_eq!(show(&snapshot, "-nG"), "mydg\nempty\n");
    assert_eq!(show(&snapshot, "-n -g empty"), "empty\n");
    assert_eq!(show(&snapshot, "-n vol1"), "vol1\n");
}

#[test]
fn descriptions_are_read_back() {
    for snapshot in [sample::facts(), sample::layered(), sample::missing(), sample::empty()] {
        let group = &snapshot.groups[0].group;
        for options in ["-m", "-a"] {
            let text = show(&snapshot, options);
            assert_eq!(&read_group(&text).unwrap(), group, "{text}");
        }
        let back = source::parse(&show(&snapshot, "-m")).unwrap();
        assert_eq!(&back.groups[0].group, group);
    }
}

#[test]
fn descriptions_of_several_groups_are_read_with_the_line_of_mistakes() {
    let mut snapshot = sample::facts();
    snapshot.groups.extend(sample::missing().groups);
    let text = show(&snapshot, "-m");
    assert_eq!(source::parse(&text).unwrap().groups, {
        let mut groups = snapshot.groups;
        groups.iter_mut().for_each(|shown| shown.tid = "0.0".to_owned());
        groups
    });
    let wrong = format!("{text}dg other\n\tdgid=1.2.h version=140 serial=0.1 colour=red\n");
    let at = wrong.lines().count();
    let error = source::parse(&wrong).unwrap_err();
    assert!(error.starts_with(&format!("line {}: ", at - 1)), "{error}");
    assert!(source::parse("").is_err() && source::parse("vol x len=5").is_err());
}

#[test]
fn records_are_selected() {
    let snapshot = sample::missing();
    for (options, names) in [
        ("-nv", "vol1 vol2 vol3"),
        ("-np vol1-02", "vol1-02"),
        ("-n vol2 hurt01 hurt", "vol2 hurt01 hurt"),
        ("-hn vol2", "vol2 vol2-01 hurt02-02"),
        (
            "-hnp",
            "loose vol1-01 hurt01-01 vol1-02 hurt02-01 vol1-03 hurt03-01 vol2-01 hurt02-02 \
                  vol3-01 hurt01-02",
        ),
        ("-nvp", "loose vol1-01 vol1-02 vol1-03 vol2-01 vol3-01 vol1 vol2 vol3"),
        ("-hdd -n", "hurt01 hurt02 hurt03"),
        ("-n -e v_kstate=DISABLED", "vol2 vol3"),
        ("-n -e kstate!=ENABLED -v", "vol2 vol3"),
        ("-n -e sd_dm=\"hurt02\"", "hurt02-01 hurt02-02"),
        ("-n -e len>=16m -d", "hurt01 hurt02 hurt03"),
        ("-hn -e v_use_type=gen", "vol2 vol2-01 hurt02-02 vol3 vol3-01 hurt01-02"),
        ("-n -e dm_state=NODEVICE", "hurt02"),
        ("-nG", "hurt"),
    ] {
        let lines = show(&snapshot, options);
        assert_eq!(lines.lines().collect::<Vec<_>>().join(" "), names, "{options}");
    }
    for options in ["vol9", "-ht vol1 vol9", "-v hurt01", "-g hurt -n nobody"] {
        let error = try_show(&snapshot, options).unwrap_err();
        let Failure::Operation { id, text } = error else { panic!("{options}: {error}") };
        assert_eq!(id.as_deref(), Some("V-5-1-924"));
        assert!(text.starts_with("Record ") && text.ends_with(" not found"), "{text}");
    }
    let error = try_show(&snapshot, "-g mydg").unwrap_err();
    assert_eq!(error.to_string(), "Disk group mydg: No such disk group");
}

#[test]
fn formats_are_filled_in() {
    let snapshot = sample::facts();
    for (options, lines) in [
        ("-F %name:%kstate:%state:%len:%assoc:%type vol1", "vol1:ENABLED:ACTIVE:2097152:fsgen:v\n"),
        ("-F %name:%state:%len:%layout vol1-03", "vol1-03:ACTIVE:LOGONLY:CONCAT\n"),
        ("-F %sd|%{dm:8}|%{vol:-6}|%column/%ploffset mydg03-01", "mydg03-01|  mydg03|vol1  |1/0\n"),
        ("-F v:%name -F d%%:%name -v", "vol1\n"),
        ("-F %device,%path,%ncolumn mydg01", "c1t1d0,/dev/c1t1d0,-\n"),
        ("-F dg,v:%type -h", "dg\nv\n"),
        ("-F %dgid -G", "1283432345.33.host1\n"),
    ] {
        assert_eq!(show(&snapshot, options), lines, "{options}");
    }
}

#[test]
fn every_field_is_one_of_some_record() {
    let snapshots = [sample::facts(), sample::layered(), sample::missing()];
    let has = |field: &str| {
        snapshots.iter().any(|snapshot| {
            let view = View::new(&snapshot.groups[0], &snapshot.disks);
            let all = list(&view, &Selection::default());
            all.iter().any(|row| fields::field(&view, row.record, field).is_some())
        })
    };
    let rare = ["tutil1", "tutil2", "putil0", "putil1", "putil2"];
    for field in FIELDS {
        assert!(has(field) || rare.contains(&field), "{field}");
        assert!(EXAMPLES.split_whitespace().any(|word| word == field), "{field} is not in --help");
    }
}

#[test]
fn lines_that_people_type_are_understood() {
    for line in [
        "vxprint",
        "vxprint -ht",
        "vxprint -htrq -g mydg",
        "vxprint -thfg mydg -v vol1",
        "vxprint -nvg mydg",
        "vxprint -g mydg -lv vol1",
        "vxprint -hdd",
        "vxprint -A -S -q",
        "vxprint -AqS",
        "vxprint -QqvF %name",
        "vxprint -hmQq -g mydg vol1",
        "vxprint -g mydg -F %name -e v_kstate=ENABLED",
        "vxprint -D - -ht",
        "vxprint -l mydg",
        "vxprint --json -A",
        "vxprint --json -g mydg",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    for line in [
        "vxprint -x",
        "vxprint -lt",
        "vxprint -mn",
        "vxprint -A -g mydg",
        "vxprint -D - -g mydg",
        "vxprint -rL",
        "vxprint -S vol1",
        "vxprint -F",
        "vxprint -F %colour",
        "vxprint -e kstate",
        "vxprint -g a/b",
        "vxprint a/b",
        "vxprint --json -l",
        "vxprint --json vol1",
        "vxprint --json -v",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
