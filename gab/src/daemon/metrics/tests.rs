use std::collections::{BTreeMap, BTreeSet};

use llt::Duration;

use super::*;
use crate::core::Counters;
use crate::snapshot::{LinkSnapshot, NodeLinkSnapshot, NodeSnapshot, PortSnapshot};

fn published() -> Published {
    let node_link =
        |link, status: &str| NodeLinkSnapshot { link, status: status.into(), ..Default::default() };
    let links = (0..2).map(|link| LinkSnapshot {
        link,
        tag: format!("eth{link}"),
        carrier: link == 0,
        enabled: true,
        tx_packets: 10,
        tx_bytes: 1000,
        latency_ns: 250_000,
        ..Default::default()
    });
    let peer = NodeSnapshot {
        node: 1,
        name: "a \"b\\\nc".into(),
        state: "OPEN".into(),
        links: vec![
            NodeLinkSnapshot { silent_ms: Some(40), ..node_link(0, "UP") },
            node_link(1, "DOWN"),
        ],
        queued: 3,
        srtt_ns: 1_500_000,
        ..Default::default()
    };
    let own = NodeSnapshot { own: true, ..Default::default() };
    let llt = LltSnapshot {
        name: "saturn".into(),
        cluster: 7,
        links: links.collect(),
        nodes: vec![own, peer],
        ..Default::default()
    };
    let counters = Counters { delivered: 12, ..Counters::default() };
    let gab = GabSnapshot {
        configured: true,
        seeded: true,
        view: "17.0/5".into(),
        sequencer: Some(0),
        last_slot: 9,
        stable_slot: 7,
        ports: vec![PortSnapshot {
            port: "a".into(),
            generation: 3,
            members: vec![0, 1],
            jeopardy: vec![1],
            ..Default::default()
        }],
        counters: counters.by_name().iter().map(|&(name, n)| (name.to_owned(), n)).collect(),
        ..Default::default()
    };
    let mut delivered = Delivered::default();
    delivered.safe.add(Duration::from_micros(300), 1);
    Published {
        at: Instant::from_millis(1000),
        snapshot: Snapshot { llt, gab },
        bounded: vec![Bounded::new("own messages", 2, 4096)],
        delivered,
        kills: Kills { abort: 2, kill: 1 },
        watching: Watching { readers: 1, lost: 4 },
    }
}

fn example() -> String {
    let progress = Progress {
        turns: 50,
        busy_since: Some(Instant::from_millis(1200)),
        longest: Duration::from_millis(120),
        stalls: 1,
        ..Progress::default()
    };
    text(Instant::from_millis(1250), &published(), &progress)
}

/// Every family, with its kind.
fn families(text: &str) -> BTreeMap<&str, &str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn the_text_is_that_of_prometheus() {
    insta::assert_snapshot!(example());
}

#[test]
fn labels_are_escaped_and_families_stay_together() {
    let text = example();
    let peer = r#"muster_peer_connected{peer="1",name="a \"b\\\nc"} 1"#;
    assert!(text.lines().any(|line| line == peer), "{text}");
    let mut seen = BTreeSet::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap();
            assert!(seen.insert(family), "{family} comes twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} is none of {family}");
        }
    }
}

#[test]
fn every_counter_of_gab_has_a_metric() {
    let told: Vec<&str> = counters::GAB.iter().map(|(name, _)| *name).collect();
    let all = Counters::default().by_name().map(|(name, _)| name);
    assert_eq!(told, all);
}

#[test]
fn every_counter_of_llt_has_a_metric() {
    let stats = serde_json::to_value(llt::stats::Stats::default()).unwrap();
    let text = example();
    let families = families(&text);
    for name in stats.as_object().unwrap().keys() {
        let metric = format!("muster_llt_{name}_total");
        assert!(families.contains_key(&*metric), "{metric}");
    }
}

#[test]
fn the_manual_lists_every_metric() {
    let manual = include_str!("../../../../docs/metrics.md");
    let rows = manual.lines().filter(|line| line.starts_with("| `muster_"));
    let listed: BTreeMap<&str, &str> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`'), cells[2])
        })
        .collect();
    assert_eq!(listed, families(&example()));
}
