//! `muster bench` on real daemons: what it measures can be read, and drawn again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use crate::process::alone;
use tools::muster::binaries::Binaries;

fn bench(folder: &Path, words: &[&str]) -> Output {
    let muster = Binaries::locate().unwrap().path("muster");
    let mut command = Command::new(muster);
    // Cargo is in the environment of a test: it would build everything again, as it is shipped.
    command.env("MUSTER_NO_BUILD", "1").arg("bench").args(words);
    command.current_dir(folder).output().unwrap()
}

#[test]
fn messages_and_changes_are_measured_for_two_clusters_and_drawn() {
    let _room = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut words =
        vec!["p2p", "join", "leave", "raw", "-n", "2,3", "--rounds", "1", "--time", "100ms"];
    words.extend(["--size", "64", "--size", "1024", "--json", "figures.json", "--plot", "first"]);
    words.extend(["--timers", "patient"]);
    let output = bench(folder.path(), &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read(folder.path().join("figures.json")).unwrap();
    let lines: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
    for n in [2, 3] {
        for (workload, unit) in
            [("p2p", "messages/s"), ("join", "ms"), ("leave", "ms"), ("raw", "messages/s")]
        {
            let of = |line: &&serde_json::Value| {
                line["workload"] == workload && line["n"] == n && line["ours"]["unit"] == unit
            };
            let line = lines.iter().find(of).unwrap();
            assert!(line["ours"]["median"].as_f64().unwrap() > 0.0, "{line}");
        }
    }

    let words = ["--from", "figures.json", "--plot", "again"];
    let output = bench(folder.path(), &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in
        ["p2p-by-size-n2.svg", "p2p-by-n-size64.svg", "leave-term-by-n.svg", "raw-by-n-size64.svg"]
    {
        let of = |plots: &str| std::fs::read(folder.path().join(plots).join(name)).unwrap();
        assert_eq!(of("first"), of("again"), "{name}");
    }
}

#[test]
fn what_takes_two_nodes_is_refused_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &["detect", "-n", "1"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("take two nodes at least"), "{said}");
}
