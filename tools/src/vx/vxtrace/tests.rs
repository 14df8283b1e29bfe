//! Lines and command lines.

use super::*;
use crate::golden;
use cvm::model::{Sectors, UniqueId};
use cvm::stats::{Stage, TraceObject, TracedWork};

fn object(name: &str, block: Sectors) -> TraceObject {
    TraceObject { name: name.to_owned(), block }
}

fn request(stage: Stage) -> TraceEvent {
    TraceEvent {
        op: 1181,
        parent: None,
        stage,
        work: TracedWork::Read,
        group: UniqueId::new(1_283_432_345, 33, "host1"),
        group_name: "mydg".to_owned(),
        volume: object("vol01", 0),
        minor: 37_001,
        plex: None,
        subdisk: None,
        disk: None,
        len: 1,
        pid: Some(4128),
        time: 1_283_432_345_000_070,
    }
}

fn of_disk(stage: Stage) -> TraceEvent {
    TraceEvent {
        op: 1185,
        parent: Some(1181),
        plex: Some(object("vol01-02", 0)),
        subdisk: Some(object("mydg02-01", 16)),
        disk: Some(object("mydg02", 2064)),
        pid: None,
        ..request(stage)
    }
}

/// A request, its disk which stalls, and a flush of a log that fails.
fn events() -> Vec<TraceEvent> {
    let end = |micros, is_done| Stage::End { micros, is_done };
    let flush = TraceEvent {
        op: 1189,
        parent: None,
        work: TracedWork::Flush,
        subdisk: None,
        len: 0,
        ..of_disk(end(70, false))
    };
    vec![
        request(Stage::Start { concurrency: 1 }),
        of_disk(Stage::Start { concurrency: 1 }),
        of_disk(Stage::Stall { micros: 1_050_000 }),
        of_disk(end(1_200_000, true)),
        request(end(25_000, true)),
        flush,
    ]
}

fn cli(line: &str) -> Result<Cli, String> {
    let words = ["vxtrace"].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|error| error.to_string())
}

fn shown(line: &str) -> String {
    let cli = cli(line).unwrap();
    let events = events();
    let meant = events.iter().filter(|event| is_meant(&cli, event));
    meant.map(|event| line::lines(event, &cli.kinds, cli.long)).collect()
}

#[test]
fn events_are_told_as_the_original_tells_them() {
    golden::check("vxtrace", &shown(""));
    golden::check("vxtrace-all-long", &shown("-l -o all"));
    golden::check_json("vxtrace-json", &events());
    assert_eq!(shown("-o dev"), shown("-o logical"));
    assert_eq!(shown("-o plex,sd -g other"), "");
    assert_eq!(shown("-o dev mydg02"), "");
    assert_eq!(shown("-o disk mydg02").lines().count(), 4);
    assert_eq!(shown("-g 1283432345.33.host1 vol01"), shown(""));
}

#[test]
fn a_file_has_what_json_has_printed() {
    for event in events() {
        let line = serde_json::to_string(&event).unwrap();
        let Ok(Line::Event(read)) = serde_json::from_str(&line) else { panic!("{line}") };
        assert_eq!(*read, event);
    }
    assert!(matches!(serde_json::from_str("{\"lost\":7}"), Ok(Line::Lost { lost: 7 })));
    assert!(serde_json::from_str::<Line>("{}").is_err());
}

#[test]
fn what_is_no_command_line_is_a_usage_error() {
    command().debug_assert();
    assert_eq!(cli("-b 8k").unwrap().room, 64);
    assert_eq!(cli("").unwrap().room, 8192);
    for line in ["-b 2m", "-b 1k", "-b x", "-c 0", "-t 0", "-o tape", "-o", "a/b", "-f x -t 1"] {
        assert!(cli(line).is_err(), "{line}");
    }
}
