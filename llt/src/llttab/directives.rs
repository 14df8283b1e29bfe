//! One function per directive.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ids::NodeSet;
use crate::limits::LINKS_MAX;
use crate::llttab::parser::{At, Line, RawAddr, RawAddress, RawTab};
use crate::llttab::report::Problem;
use crate::llttab::settings::{Applied, SettingError};
use crate::llttab::values::{node_range, number};
use crate::llttab::{flow, link, texts, timers};

/// Dispatches on the first word.
pub(super) fn line(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let directive = line.words[0];
    match directive.text {
        "exclude" => exclude(line, tab),
        "include" => include(line, tab),
        "link" => link::parse(line, false, tab),
        "link-lowpri" => link::parse(line, true, tab),
        "set-addr" => tab.addrs.extend(addr(line)),
        "set-arp" => flag(line, &mut tab.discover),
        "set-bcasthb" => flag(line, &mut tab.broadcast_heartbeats),
        "set-checksum" => checksum(line, tab),
        "set-cluster" => cluster(line, tab),
        "set-dbg-minlinks" => links_min(line, tab),
        "set-flow" => {
            settings(line, &mut tab.flow_set, |word| flow::set_limit(&mut tab.flow, word));
        }
        "set-node" => node(line, tab),
        "set-timer" => {
            settings(line, &mut tab.timers_set, |word| timers::set_timer(&mut tab.timers, word));
        }
        "set-verbose" => flag(line, &mut tab.verbose),
        "start" => {
            line.ends_after(1);
            tab.started = Some(directive.span());
        }
        unknown => {
            let message = texts::directive_unknown(unknown);
            let label = texts::directive_expected();
            let problem = Problem::new(line.source, directive.span(), message, label);
            line.problems.push(problem.help(texts::directive_known(DIRECTIVES.join(", "))));
        }
    }
}

fn node(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let expected = "a node id, a name of llthosts, or a file that holds one";
    let Some(word) = line.word(1, expected) else { return };
    line.ends_after(2);
    if let Some(first) = &tab.node {
        return twice(line, &first.span);
    }
    tab.node = Some(At::new(word.text.to_owned(), word));
}

fn cluster(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a cluster id") else { return };
    line.ends_after(2);
    let Some(id) = number(word.text) else {
        return line.wrong(word, texts::cluster_expected());
    };
    if let Some(first) = &tab.cluster {
        return twice(line, &first.span);
    }
    tab.cluster = Some(At::new(id, word));
}

/// What makes a node another one must not depend on which line counts.
fn twice(line: &mut Line<'_, '_>, first: &Range<usize>) {
    let message = texts::given_twice(line.words[0].text);
    let problem = Problem::new(line.source, line.words[1].span(), message, texts::again());
    line.problems.push(problem.and(first.clone(), texts::first_here()));
}

fn addr(line: &mut Line<'_, '_>) -> Option<RawAddr> {
    let node = line.word(1, "a node id")?;
    let tag = line.word(2, "the tag of a link")?;
    let word = line.word(3, "the address of the node on that link")?;
    line.ends_after(4);
    let Some(address) = RawAddress::parse(word.text) else {
        line.wrong(word, texts::address_expected());
        return None;
    };
    Some(RawAddr {
        node: At::new(node.text.to_owned(), node),
        tag: At::new(tag.text.to_owned(), tag),
        address: At::new(address, word),
    })
}

fn flag(line: &mut Line<'_, '_>, into: &mut Option<bool>) {
    let Some(word) = line.word(1, "0 or 1") else { return };
    line.ends_after(2);
    match word.text {
        "0" => set(line, into, false),
        "1" => set(line, into, true),
        _ => line.wrong(word, texts::flag_expected()),
    }
}

fn checksum(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a checksum level") else { return };
    line.ends_after(2);
    let Some(level) = number(word.text).filter(|level| CHECKSUMS.contains(level)) else {
        return line.wrong(word, texts::checksum_expected());
    };
    if level == 0 {
        line.warn(word, texts::checksum_off());
    }
    set(line, &mut tab.checksum, level);
}

fn links_min(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    let Some(word) = line.word(1, "a number of links") else { return };
    line.ends_after(2);
    match number(word.text).filter(|count| (1..=LINKS_MAX).contains(count)) {
        Some(count) => set(line, &mut tab.links_min, At::new(count, word)),
        None => line.wrong(word, texts::links_min_expected(LINKS_MAX)),
    }
}

/// The last line counts, as with the original; that there are two is worth a word.
fn set<T>(line: &mut Line<'_, '_>, into: &mut Option<T>, value: T) {
    if into.replace(value).is_some() {
        let directive = line.words[0];
        line.warn(directive, texts::given_again(directive.text));
    }
}

fn exclude(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    for range in ranges(line) {
        tab.excluded = tab.excluded.union(range.value);
        tab.excludes.push(range);
    }
}

fn include(line: &mut Line<'_, '_>, tab: &mut RawTab) {
    for range in ranges(line) {
        tab.excluded = tab.excluded.difference(range.value);
    }
}

fn ranges(line: &mut Line<'_, '_>) -> Vec<At<NodeSet>> {
    if line.word(1, "a node id or a range of them (2-31)").is_none() {
        return Vec::new();
    }
    let mut ranges = Vec::new();
    for &word in &line.words[1..] {
        match node_range(word.text) {
            Some(nodes) => ranges.push(At::new(nodes, word)),
            None => line.wrong(word, texts::range_expected()),
        }
    }
    ranges
}

/// `name:value` words; `set` applies one.
fn settings(
    line: &mut Line<'_, '_>,
    places: &mut BTreeMap<&'static str, Range<usize>>,
    mut set: impl FnMut(&str) -> Result<Applied, SettingError>,
) {
    if line.word(1, "name:value").is_none() {
        return;
    }
    for &word in &line.words[1..] {
        match set(word.text) {
            Ok(applied) => {
                if let Some(text) = applied.warning() {
                    line.warn(word, text);
                }
                if let Applied::Idle(name) | Applied::Set(name) = applied
                    && places.insert(name, word.span()).is_some()
                {
                    line.warn(word, texts::given_again(name));
                }
            }
            Err(error) => line.wrong(word, error.to_string()),
        }
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
/// Levels of `set-checksum`: off, and what the original covers with each (facts 1.10).
const CHECKSUMS: [u8; 5] = [0, 1, 10, 2, 20];
