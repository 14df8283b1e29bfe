//! What `lltconfig` shows of a running LLT: timers, limits, addresses, versions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gab::snapshot::{LimitSnapshot, LltSnapshot, TimerSnapshot};
use serde::Serialize;

use super::running;
use crate::common::output::print;
use crate::common::{Failure, Root};
use crate::lltstat::PROTOCOL;

/// `lltconfig -T query` (facts 1.5). The original lists the first nine; the others follow.
pub fn timers(llt: &LltSnapshot) -> String {
    let mut out = String::from("Current LLT timer values (.01 sec units):\n");
    let first = |name: &str| TIMERS_FIRST.iter().position(|first| *first == name);
    let mut rows: Vec<&TimerSnapshot> = llt.timers.iter().collect();
    rows.sort_by_key(|timer| first(&timer.name).unwrap_or(usize::MAX));
    for TimerSnapshot { name, ms } in rows {
        // What is no whole number of hundredths is written as `set-timer` takes it.
        let value = if ms % 10 == 0 { (ms / 10).to_string() } else { format!("{ms}ms") };
        let _ = writeln!(out, "  {name:<11} = {value}");
    }
    out
}

/// `lltconfig -F query` (facts 1.6).
pub fn flow_limits(llt: &LltSnapshot) -> String {
    let mut out = String::from("Current LLT flow control values (in packets):\n");
    for LimitSnapshot { name, value } in &llt.flow {
        let unit = if name == "largepktlen" { " (bytes)" } else { "" };
        let _ = writeln!(out, "  {name:<14} = {value}{unit}");
    }
    out
}

/// `lltconfig -a list` (facts 1.10): by link the nodes whose address there is known.
pub fn address_table(llt: &LltSnapshot) -> String {
    let mut out = String::new();
    let all = addresses(llt);
    for link in &llt.links {
        let _ = writeln!(out, "Link {} ({}):", link.link, link.tag);
        for row in all.iter().filter(|row| row.link == link.link) {
            let Address { node, name, address, .. } = row;
            let kept = if row.permanent { "  permanent" } else { "" };
            let _ = writeln!(out, "  Node {node:>3} {name:<14} : {address}{kept}");
        }
    }
    out
}

/// One row of the address table; `lltconfig -a list --json` is a list of them.
#[derive(Debug, Serialize)]
pub(super) struct Address {
    link: u8,
    tag: String,
    node: u8,
    name: String,
    address: String,
    permanent: bool,
}

pub(super) fn addresses(llt: &LltSnapshot) -> Vec<Address> {
    let mut all = Vec::new();
    for (at, link) in llt.links.iter().enumerate() {
        for node in &llt.nodes {
            let seen = node.links.get(at);
            let (address, permanent) = match seen {
                _ if node.own => (&link.address, true),
                Some(seen) => (&seen.address, seen.permanent),
                None => continue,
            };
            if !address.is_empty() {
                all.push(Address {
                    link: link.link,
                    tag: link.tag.clone(),
                    node: node.node,
                    name: node.name.clone(),
                    address: address.clone(),
                    permanent,
                });
            }
        }
    }
    all
}

/// A name and a value, for JSON.
pub(super) trait Named {
    fn named(&self) -> (&str, u64);
}

impl Named for LimitSnapshot {
    fn named(&self) -> (&str, u64) {
        (&self.name, self.value)
    }
}

impl Named for TimerSnapshot {
    fn named(&self) -> (&str, u64) {
        (&self.name, self.ms)
    }
}

pub(super) fn by_name<T: Named>(settings: &[T]) -> BTreeMap<String, u64> {
    settings.iter().map(Named::named).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `lltconfig -K` with a level other than 0: it is in force, if LLT runs.
pub(super) fn checksum(root: &Root) -> Result<(), Failure> {
    root.snapshot()?;
    print(CHECKED)
}

const CHECKED: &str = "every frame is checked, header and data; there is no other level\n";

/// `lltconfig -W`.
pub(super) fn protocol(root: &Root) -> Result<(), Failure> {
    print(&protocols(running(root)?.is_some()))
}

fn protocols(runs: bool) -> String {
    let mut text = format!("Supported Protocol Version(s)     : {PROTOCOL}\n");
    if runs {
        let _ = writeln!(text, "Protocol Version in use           : {PROTOCOL}");
    }
    text
}

const TIMERS_FIRST: [&str; 9] = [
    "heartbeat",
    "heartbeatlo",
    "peertrouble",
    "peerinact",
    "oos",
    "retrans",
    "service",
    "arp",
    "arpreq",
];

#[cfg(test)]
mod tests {
    use gab::snapshot::{LinkSnapshot, NodeLinkSnapshot, NodeSnapshot};

    use super::*;
    use crate::golden;

    #[test]
    fn timers_look_as_in_the_original_and_ours_follow() {
        let timer = |(name, ms): &(&str, u64)| TimerSnapshot { name: (*name).into(), ms: *ms };
        let all = [
            ("heartbeat", 500),
            ("heartbeatlo", 1000),
            ("peertrouble", 2000),
            ("peertroublelo", 4000),
            ("peerinact", 16_000),
            ("oos", 100),
            ("retrans", 105),
            ("service", 1000),
            ("arp", 0),
            ("arpreq", 30_000),
            ("timetoreqhb", 14_000),
            ("reqhbtime", 400),
            ("timetosendhb", 2000),
            ("sendhbcap", 180_000),
        ];
        let llt = LltSnapshot { timers: all.iter().map(timer).collect(), ..LltSnapshot::default() };
        golden::check("lltconfig-T", &timers(&llt));
        golden::check_json("lltconfig-T-json", &by_name(&llt.timers));
    }

    #[test]
    fn limits_have_a_line_each() {
        let limit = |(name, value): (&str, u64)| LimitSnapshot { name: name.into(), value };
        let all = [
            ("highwater", 200),
            ("lowwater", 100),
            ("rporthighwater", 200),
            ("rportlowwater", 100),
            ("window", 256),
            ("linkburst", 32),
            ("ackval", 10),
            ("sws", 204),
            ("largepktlen", 1024),
        ];
        let flow = all.map(limit).into();
        let llt = LltSnapshot { flow, ..LltSnapshot::default() };
        golden::check("lltconfig-F", &flow_limits(&llt));
        golden::check_json("lltconfig-F-json", &by_name(&llt.flow));
    }

    #[test]
    fn addresses_look_as_in_the_original() {
        let link = |link, tag: &str, address: &str| LinkSnapshot {
            link,
            tag: tag.into(),
            address: address.into(),
            ..LinkSnapshot::default()
        };
        let node = |node, name: &str, addresses: &[&str]| NodeSnapshot {
            node,
            name: name.into(),
            own: node == 0,
            links: addresses
                .iter()
                .map(|address| NodeLinkSnapshot {
                    address: (*address).into(),
                    permanent: node == 2,
                    ..NodeLinkSnapshot::default()
                })
                .collect(),
            ..NodeSnapshot::default()
        };
        let llt = LltSnapshot {
            links: vec![link(0, "eth1", "00:15:17:48:B5:80"), link(3, "eth2", "")],
            nodes: vec![
                node(0, "north", &["", ""]),
                node(1, "south", &["00:15:17:48:B4:98", ""]),
                node(2, "a-long-name-of-a-node", &["", "00:15:17:48:B4:99"]),
            ],
            ..LltSnapshot::default()
        };
        golden::check("lltconfig-a", &address_table(&llt));
        golden::check_json("lltconfig-a-json", &addresses(&llt));
    }

    #[test]
    fn versions_and_checksums_are_told() {
        golden::check("lltconfig-protocol", &protocols(true));
        golden::check("lltconfig-protocol-stopped", &protocols(false));
        golden::check("lltconfig-K", CHECKED);
    }
}
