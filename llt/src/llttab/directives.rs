//! One function per directive.

use core::time::Duration;
use std::net::IpAddr;

use crate::ids::NodeSet;
use crate::limits::{LINKS_MAX, SEND_QUEUE_PACKETS_MAX};
use crate::llttab::link;
use crate::llttab::parser::{At, Line, RawAddr, RawTab};
use crate::llttab::report::Problem;
use crate::llttab::values::{duration, node_range, number, setting};

/// Dispatches on the first word.
pub(super) fn line(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let directive = line.words[0];
    match directive.text {
        "exclude" => range(line, tab, NodeSet::union),
        "include" => range(line, tab, NodeSet::difference),
        "link" => tab.links.extend(link::parse(line, false)),
        "link-lowpri" => tab.links.extend(link::parse(line, true)),
        "set-addr" => tab.addrs.extend(addr(line)),
        "set-arp" => {
            // Addresses are learned from frames whatever this says; static ones are kept.
            flag(line);
        }
        "set-bcasthb" => {
            if let Some(on) = flag(line) {
                tab.bcasthb_off = !on;
            }
        }
        "set-checksum" => checksum(line, tab),
        "set-cluster" => cluster(line, tab),
        "set-dbg-minlinks" => links_min(line, tab),
        "set-flow" => settings(line, tab, flow),
        "set-node" => node(line, tab),
        "set-timer" => settings(line, tab, timer),
        "set-verbose" => {
            if let Some(on) = flag(line) {
                tab.verbose = on;
            }
        }
        "start" => {
            line.ends_after(1);
            tab.started = Some(directive.span());
        }
        unknown => {
            let problem = Problem::new(
                line.source,
                directive.span(),
                format!("`{unknown}` is no directive of llttab"),
                "expected a directive",
            );
            line.problems.push(problem.help(format!("known are {}", DIRECTIVES.join(", "))));
        }
    }
}

fn node(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a node id, a name of llthosts, or a file that holds one") else {
        return;
    };
    line.ends_after(2);
    if let Some(first) = &tab.node {
        let problem = Problem::new(line.source, word.span(), "`set-node` is given twice", "again");
        line.problems.push(problem.and(first.span.clone(), "first here"));
        return;
    }
    tab.node = Some(At::new(word.text.to_owned(), word));
}

fn cluster(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a cluster id") else { return };
    line.ends_after(2);
    let Some(id) = number(word.text) else {
        return line.wrong(word, "expected a cluster id from 0 to 65535");
    };
    if let Some(first) = &tab.cluster {
        let text = "`set-cluster` is given twice";
        let problem = Problem::new(line.source, word.span(), text, "again");
        line.problems.push(problem.and(first.span.clone(), "first here"));
        return;
    }
    tab.cluster = Some(At::new(id, word));
}

fn addr(line: &mut Line<'_, '_>) -> Option<RawAddr> {
    let node = line.word(1, "a node id")?;
    let tag = line.word(2, "the tag of a link")?;
    let ip = line.word(3, "the address of the node on that link")?;
    line.ends_after(4);
    let Ok(address) = ip.text.parse::<IpAddr>() else {
        line.wrong(ip, "expected an IP address, without a port");
        return None;
    };
    Some(RawAddr {
        node: At::new(node.text.to_owned(), node),
        tag: At::new(tag.text.to_owned(), tag),
        ip: At::new(address, ip),
    })
}

fn flag(line: &mut Line<'_, '_>) -> Option<bool> {
    let word = line.word(1, "0 or 1")?;
    line.ends_after(2);
    match word.text {
        "0" => Some(false),
        "1" => Some(true),
        _ => {
            line.wrong(word, "expected 0 or 1");
            None
        }
    }
}

fn checksum(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a checksum level") else { return };
    line.ends_after(2);
    match word.text {
        "0" => tab.warnings.push(line.warning(word, "checksums cannot be turned off")),
        "1" | "10" | "2" | "20" => {}
        _ => line.wrong(word, "expected 0, 1, 10, 2 or 20"),
    }
}

fn links_min(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a number of links") else { return };
    line.ends_after(2);
    match number(word.text) {
        Some(count) if (1..=LINKS_MAX).contains(&count) => {
            tab.links_min = Some(At::new(count, word))
        }
        _ => line.wrong(word, format!("expected a number from 1 to {LINKS_MAX}")),
    }
}

fn range(line: &mut Line<'_, '_>, tab: &mut RawTab, change: fn(NodeSet, NodeSet) -> NodeSet) {
    if line.word(1, "a node id or a range of them (2-31)").is_none() {
        return;
    }
    for &word in &line.words[1..] {
        match node_range(word.text) {
            Some(nodes) => tab.excluded = change(tab.excluded, nodes),
            None => line.wrong(word, "expected a node id or a range of them (2-31), up to 127"),
        }
    }
}

/// `name:value` words; `set` applies one, `Err` says what was expected in its place.
fn settings(
    line: &mut Line<'_, '_>,
    tab: &mut RawTab,
    set: fn(&mut RawTab, &str, &str) -> Result<Option<&'static str>, String>,
) {
    if line.word(1, "name:value").is_none() {
        return;
    }
    let is_timer = line.words[0].text == "set-timer";
    for &word in &line.words[1..] {
        let Some((name, value)) = setting(word.text) else {
            line.wrong(word, "expected name:value");
            continue;
        };
        match set(tab, name, value) {
            Ok(Some(known)) => {
                let places = if is_timer { &mut tab.timers_set } else { &mut tab.flow_set };
                places.insert(known, word.span());
            }
            Ok(None) => {
                let text = format!("`{name}` means nothing here and is ignored");
                tab.warnings.push(line.warning(word, text));
            }
            Err(expected) => line.wrong(word, expected),
        }
    }
}

fn timer(tab: &mut RawTab, name: &str, value: &str) -> Result<Option<&'static str>, String> {
    let known: Option<(&'static str, &mut Duration)> = match name {
        "heartbeat" => Some(("heartbeat", &mut tab.timers.heartbeat)),
        "heartbeatlo" => Some(("heartbeatlo", &mut tab.timers.heartbeat_lo)),
        "oos" => Some(("oos", &mut tab.timers.oos)),
        "peerinact" => Some(("peerinact", &mut tab.timers.peer_inact)),
        "peertrouble" => Some(("peertrouble", &mut tab.timers.peer_trouble)),
        "peertroublelo" => Some(("peertroublelo", &mut tab.timers.peer_trouble_lo)),
        "retrans" => Some(("retrans", &mut tab.timers.retrans)),
        _ if TIMERS_IGNORED.contains(&name) => None,
        _ => return Err(format!("expected a timer: {}", TIMERS.join(", "))),
    };
    let Some((name, slot)) = known else {
        return match number::<u64>(value) {
            Some(_) => Ok(None),
            None => duration(value).map(|_| None).ok_or_else(|| DURATION.to_owned()),
        };
    };
    *slot = duration(value).ok_or_else(|| DURATION.to_owned())?;
    Ok(Some(name))
}

fn flow(tab: &mut RawTab, name: &str, value: &str) -> Result<Option<&'static str>, String> {
    let (known, slot, low, high): (_, &mut usize, usize, usize) = match name {
        "ackval" => ("ackval", &mut tab.flow.ackval, 1, 256),
        "highwater" => ("highwater", &mut tab.flow.highwater, 1, SEND_QUEUE_PACKETS_MAX),
        "linkburst" => ("linkburst", &mut tab.flow.linkburst, 1, 4096),
        "lowwater" => ("lowwater", &mut tab.flow.lowwater, 0, SEND_QUEUE_PACKETS_MAX),
        "window" => ("window", &mut tab.flow.window, 1, 4096),
        _ if FLOWS_IGNORED.contains(&name) => {
            return match number::<u64>(value) {
                Some(_) => Ok(None),
                None => Err("expected a number of packets".to_owned()),
            };
        }
        _ => return Err(format!("expected a limit: {}", FLOWS.join(", "))),
    };
    match number(value) {
        Some(packets) if (low..=high).contains(&packets) => {
            *slot = packets;
            Ok(Some(known))
        }
        _ => Err(format!("expected a number of packets from {low} to {high}")),
    }
}

const DIRECTIVES: [&str; 15] = [
    "exclude",
    "include",
    "link",
    "link-lowpri",
    "set-addr",
    "set-arp",
    "set-bcasthb",
    "set-checksum",
    "set-cluster",
    "set-dbg-minlinks",
    "set-flow",
    "set-node",
    "set-timer",
    "set-verbose",
    "start",
];
const TIMERS: [&str; 7] =
    ["heartbeat", "heartbeatlo", "oos", "peerinact", "peertrouble", "peertroublelo", "retrans"];
/// Timers of the original that have no counterpart here (facts 1.5).
const TIMERS_IGNORED: [&str; 8] = [
    "arp",
    "arpreq",
    "reqhbtime",
    "rpeerinact",
    "sendhbcap",
    "service",
    "timetoreqhb",
    "timetosendhb",
];
const FLOWS: [&str; 5] = ["ackval", "highwater", "linkburst", "lowwater", "window"];
/// Limits of the original that have no counterpart here (facts 1.6).
const FLOWS_IGNORED: [&str; 4] = ["largepktlen", "rporthighwater", "rportlowwater", "sws"];
const DURATION: &str =
    "expected hundredths of a second (200), or a unit (2s, 150ms); 1 ms to one day";
