//! What nodes do with volumes is counted, by each of them and together, and shown as it happens
//! (facts 3.16, 4.5).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Output;

use cvm::stats::ObjectStats;
use serde::Deserialize;
use tools::muster::temporary::Temporary;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, run};
use crate::process_volumes::{CLIENTS, Unwritable, prepared, qemu_io, uri};

#[derive(Debug, Deserialize)]
struct Group {
    nodes: Vec<u8>,
    silent: Vec<u8>,
    objects: Vec<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    name: String,
    #[serde(flatten)]
    stats: ObjectStats,
}

/// What `vxstat` says at a node.
fn shown(cluster: &Temporary, node: u8, words: &str) -> Group {
    let json = run(cluster, node, &format!("vxstat -g shdg --json {words}"));
    let groups: Vec<Group> = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
    groups.into_iter().next().unwrap()
}

/// Reads and writes of an object, and the sectors of each.
fn counted(cluster: &Temporary, node: u8, words: &str) -> [(u64, u64); 2] {
    let group = shown(cluster, node, words);
    let [object] = &group.objects[..] else { panic!("{words}: {group:?}") };
    let counters = object.stats.counters;
    [counters.reads, counters.writes].map(|ops| (ops.ops, ops.sectors))
}

/// Commands of qemu-io, to a volume at a node.
fn perform(cluster: &Temporary, node: u8, commands: &[&str]) {
    qemu_io("raw", &uri(cluster, node, "vol1"), commands);
}

fn output(cluster: &Temporary, node: u8, line: &str) -> Output {
    let words: Vec<&str> = line.split(' ').collect();
    programs::spawn(cluster, node, &words).unwrap().wait_with_output().unwrap()
}

#[test]
fn what_nodes_do_is_counted_by_each_and_together() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror init=active"]);
    perform(&cluster, 0, &["write 0 64k", "write 64k 64k", "write 128k 64k"]);
    perform(&cluster, 1, &["write 4m 128k", "write 5m 128k", "read 0 128k"]);
    let (first, second) = ([(0, 0), (3, 384)], [(1, 256), (2, 512)]);
    let sum = [(1, 256), (5, 896)];
    for asked in 0..3 {
        assert_eq!(counted(&cluster, asked, "vol1"), sum, "at node {asked}");
        assert_eq!(counted(&cluster, asked, "-n 0 vol1"), first);
        assert_eq!(counted(&cluster, asked, "-n node1 vol1"), second);
        assert_eq!(counted(&cluster, asked, "-n 0,1 vol1"), sum);
        assert_eq!(counted(&cluster, asked, "-n 2 vol1"), [(0, 0); 2]);
    }
    // Every copy was written, and one of them read.
    let plexes = shown(&cluster, 2, "-p vol1").objects;
    assert_eq!(plexes.len(), 2);
    assert!(plexes.iter().all(|plex| plex.stats.counters.writes.sectors == 896), "{plexes:?}");
    assert_eq!(plexes.iter().map(|plex| plex.stats.counters.reads.sectors).sum::<u64>(), 256);
    let volume = &shown(&cluster, 1, "-v").objects[0];
    let latency = volume.stats.latency.unwrap();
    assert_eq!((latency.reads.ops(), latency.writes.ops()), (1, 5));
    let text = run(&cluster, 1, "vxstat -g shdg vol1");
    let line = text.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line[..6], ["vol", "vol1", "1", "5", "256", "896"], "{text}");
    let metrics = run(&cluster, 0, "vxstat -g shdg --metrics");
    let line = "muster_volume_write_seconds_count{group=\"shdg\",volume=\"vol1\"} 3\n";
    assert!(metrics.contains(line), "{metrics}");
    // What one node forgets the other one still knows.
    run(&cluster, 2, "vxstat -g shdg -r -n 0 vol1");
    assert_eq!(counted(&cluster, 0, "vol1"), second);
    // Who does not answer is named, and the others are counted.
    let dead = cluster.cluster.node(1).vxconfigd.unwrap();
    dead.signal(rustix::process::Signal::KILL).unwrap();
    let said = output(&cluster, 0, "vxstat -g shdg vol1");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && error.contains("node 1 (node1) does not answer"), "{error}");
    let line = String::from_utf8_lossy(&said.stdout).lines().last().unwrap().to_owned();
    assert!(line.starts_with("vol vol1                 0         0 "), "{line}");
    let group: Vec<Group> =
        serde_json::from_slice(&output(&cluster, 0, "vxstat -g shdg --json").stdout).unwrap();
    assert_eq!((&group[0].nodes[..], &group[0].silent[..]), (&[0, 2][..], &[1][..]));
}

#[test]
fn requests_and_what_disks_do_are_traced_and_a_failing_disk_is_counted() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror init=active"]);
    // The volume is open before somebody looks, and written until enough was seen: a write, a read and
    // a flush are sixteen events, and the first of them may have been seen from their middle on.
    let words = ["vxtrace", "-g", "shdg", "-c", "32", "vol1"];
    let mut trace = programs::spawn(&cluster, 0, &words).unwrap();
    wait::until("enough events were seen", LIMIT, || {
        perform(&cluster, 0, &["write 0 4k", "read 0 4k"]);
        Ok(trace.try_wait()?)
    })
    .unwrap();
    let text = String::from_utf8(trace.wait_with_output().unwrap().stdout).unwrap();
    let is = |line: &str, words: &[&str]| words.iter().all(|word| line.contains(word));
    let find = |words: &[&str]| text.lines().find(|line| is(line, words));
    let start = find(&[" START write vdev vol1 dg shdg dev 199,", " block 0 len 8 concurrency "]);
    let op = start.unwrap_or_else(|| panic!("{text}")).split(' ').next().unwrap();
    assert!(!start.unwrap().ends_with(" pid 0"), "{text}");
    let disks = text
        .lines()
        .filter(|line| is(line, &[" START write disk shdg0", &format!(" op {op} block ")]));
    assert_eq!(disks.count(), 2, "{text}");
    assert!(find(&[" END write disk shdg0", &format!(" op {op} block ")]).is_some(), "{text}");
    let end = format!("{op} END write vdev vol1 dg shdg op {op} block 0 len 8 time ");
    assert!(text.lines().any(|line| line.starts_with(&end)), "{text}");

    let disk = volumes::disk_paths(&cluster.cluster)[0].clone();
    let Some(_dead) = Unwritable::new(disk) else { return };
    perform(&cluster, 0, &["write 0 4k"]);
    let failed: Vec<Object> = shown(&cluster, 1, "-d")
        .objects
        .into_iter()
        .filter(|disk| disk.stats.counters.failed_writes > 0)
        .collect();
    assert_eq!(failed.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["shdg01"]);
    // The program has not seen anything of it.
    assert_eq!(shown(&cluster, 1, "vol1").objects[0].stats.counters.failed_writes, 0);
    let text = run(&cluster, 1, "vxstat -g shdg -f f -d");
    assert!(text.contains("FAILED"), "{text}");
}
