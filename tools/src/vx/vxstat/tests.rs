//! What is shown, of whom.

use super::*;
use crate::golden;
use crate::vx::vxprint::sample;
use cvm::model::Rid;
use cvm::stats::{Counters, Latency, Objects, Ops, Outstanding};

fn cli(line: &str) -> Result<Cli, String> {
    let words = ["vxstat"].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|error| error.to_string())
}

/// Of the facts: 2421 reads of 600000 blocks that took 99 ms.
fn stats(group: &Group) -> Stats {
    let ops = |ops, sectors, micros, max_micros| Ops { ops, sectors, micros, max_micros };
    let mut latency = Latency::default();
    (0..2421).for_each(|_| latency.reads.count(99_000));
    let volume = ObjectStats {
        counters: Counters {
            reads: ops(2421, 600_000, 2421 * 99_000, 250_000),
            atomic_copies: ops(3, 6144, 6100, 4000),
            corrected_reads: 2,
            ..Counters::default()
        },
        latency: Some(latency),
        ..ObjectStats::default()
    };
    let disk = ObjectStats {
        counters: Counters {
            reads: ops(12, 96, 1200, 300),
            writes: ops(1_234_567_890, 9_876_543_210, 55, 50),
            failed_reads: 1,
            failed_writes: 4,
            ..Counters::default()
        },
        outstanding: Outstanding { ops: 7, oldest_micros: 61_234_567 },
        ..ObjectStats::default()
    };
    let mut stats = Stats::default();
    stats.add_objects(&group.id, &Objects::from([(Rid(1050), volume), (Rid(1025), disk)]));
    stats
}

fn shown(line: &str) -> Result<String, String> {
    let cli = cli(line)?;
    let snapshot = sample::facts();
    let groups = chosen(&snapshot, None).map_err(|failure| failure.to_string())?;
    let shown = select(&cli, &groups).map_err(|failure| failure.to_string())?;
    Ok(listing(&cli, &shown, &stats(&groups[0].group)))
}

/// The names of what is shown.
fn names(snapshot: &Snapshot, line: &str) -> Vec<String> {
    let cli = cli(line).unwrap();
    let groups = chosen(snapshot, None).unwrap();
    let shown = select(&cli, &groups).unwrap();
    let objects = shown.iter().flat_map(|(_, objects)| objects);
    objects.map(|object| format!("{} {}", object.kind, object.name)).collect()
}

#[test]
fn volumes_are_shown_as_the_original_shows_them() {
    let facts = [
        "                      OPERATIONS           BLOCKS           AVG TIME(ms)\n",
        "TYP NAME              READ     WRITE      READ     WRITE   READ  WRITE\n",
        "vol vol1              2421         0    600000         0   99.0    0.0\n",
    ];
    assert_eq!(shown(""), Ok(facts.concat()));
    golden::check("vxstat-all", &shown("-vpsd -f sabcfmov").unwrap());
    golden::check("vxstat-disks", &shown("-d -f fo").unwrap());
}

#[test]
fn metrics_are_those_of_volumes() {
    let snapshot = sample::facts();
    let groups = chosen(&snapshot, None).unwrap();
    let shown = select(&cli("--metrics").unwrap(), &groups).unwrap();
    let text = metrics::text(&shown, &stats(&groups[0].group));
    golden::check("vxstat-metrics", &text);
    let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<&str> = told.filter_map(|line| line.split(' ').next()).collect();
    let manual = include_str!("../../../../docs/volumes.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `muster_"));
    let listed = rows.filter_map(|row| row.split('`').next());
    let listed: BTreeSet<String> = listed.map(|name| format!("muster_{name}")).collect();
    assert_eq!(told, listed.iter().map(String::as_str).collect());
}

#[test]
fn json_has_sums_and_who_is_missing() {
    let snapshot = sample::facts();
    let groups = chosen(&snapshot, None).unwrap();
    let shown = select(&cli("-vd").unwrap(), &groups).unwrap();
    let one = stats(&groups[0].group);
    let nodes = NodesStats { nodes: [(0, one.clone()), (2, one)].into(), silent: [1].into() };
    golden::check_json("vxstat-json", &json(&shown, &nodes));
    let said = complain_of(&snapshot, &nodes).unwrap_err().to_string();
    assert_eq!(said, "node 1 does not answer: it is not counted");
}

#[test]
fn what_is_named_is_shown_or_what_belongs_to_it() {
    let facts = sample::facts();
    let all = |line| names(&facts, line);
    assert_eq!(all(""), ["vol vol1"]);
    assert_eq!(all("-d"), ["dm mydg01", "dm mydg02", "dm mydg03"]);
    assert_eq!(all("mydg02"), ["dm mydg02"]);
    assert_eq!(all("vol1-02 vol1"), ["vol vol1", "pl vol1-02"]);
    assert_eq!(all("-d vol1-02"), ["dm mydg02", "dm mydg03"]);
    assert_eq!(all("-sp vol1-02"), ["pl vol1-02", "sd mydg02-01", "sd mydg03-01"]);
    assert_eq!(all("-vp mydg02"), ["vol vol1", "pl vol1-02"]);
    assert_eq!(all("-d mydg01-02"), ["dm mydg01"]);
    let layered = sample::layered();
    let top = layered.groups[0].group.volumes.iter().find(|(_, volume)| !volume.layer).unwrap().0;
    let disks = layered.groups[0].group.disks.len();
    assert_eq!(names(&layered, &format!("-d {top}")).len(), disks, "those of its layers");
    let missing = shown("vol1 nothing").unwrap_err();
    assert_eq!(missing, "Record nothing not found");
}

#[test]
fn nodes_are_ids_or_names() {
    let cluster = crate::vx::sample_disks::snapshot().cluster;
    let ids = |line: &str| {
        let nodes = node_ids(&cluster, &cli(line).unwrap().nodes);
        nodes.map_err(|failure| failure.to_string())
    };
    assert_eq!(ids("-n 1,serverA"), Ok([0, 1].into()));
    assert_eq!(ids(""), Ok(BTreeSet::new()));
    assert!(ids("-n serverZ").unwrap_err().contains("no node of the cluster"));
}

#[test]
fn an_interval_is_what_has_come_since_the_last() {
    let group = &sample::facts().groups[0].group;
    let before = stats(group);
    let mut after = before.clone();
    after.add(&before);
    let reads = |stats: &Stats| stats.of(&group.id, Rid(1050)).counters.reads.ops;
    assert_eq!(reads(&since(&after, Some(&before))), 2421);
    assert_eq!(reads(&since(&after, None)), 4842, "all that it has ever done");
    assert_eq!(reads(&since(&before, Some(&after))), 2421, "it began anew in between");
}

#[test]
fn what_is_no_command_line_is_a_usage_error() {
    command().debug_assert();
    for line in [
        "-f x",
        "-f w",
        "-f 0",
        "-f",
        "-c 3",
        "-i 0",
        "-i x",
        "-i 1 -c 0",
        "-r --json",
        "-r -i 1",
        "a/b",
        "-z",
        "--metrics vol1",
    ] {
        assert!(cli(line).is_err(), "{line}");
    }
    assert!(cli("-f 0").unwrap_err().contains("there is no RAID-5"));
}
