//! `lltstat -c`, `-t`: the configuration, and what is fixed.

use std::fmt::Write as _;

use gab::snapshot::{LinkSnapshot, LltSnapshot};
use llt::limits::{HEADER_LEN, LLT_PORTS, MESSAGE_MAX, NODES_MAX};
use serde::Serialize;

/// `lltstat -c` (facts 1.11).
pub fn configuration(llt: &LltSnapshot) -> String {
    let all = Configuration::of(llt);
    let rows = [
        ("node", all.node.to_string()),
        ("name", all.name.to_owned()),
        ("cluster", all.cluster.to_string()),
        ("Supported Protocol Version(s)     ", all.protocol.to_owned()),
        ("nodes", format!("0 - {}", all.nodes_max - 1)),
        ("max nodes", all.nodes_max.to_string()),
        ("max ports", all.ports_max.to_string()),
        ("links", all.links.len().to_string()),
        ("mtu", all.mtu.to_string()),
        ("max sdu", all.sdu_max.to_string()),
        ("checksum level", llt.checksum.to_string()),
    ];
    let mut out = String::from("LLT configuration information:\n");
    for (name, value) in rows {
        let _ = writeln!(out, "{}", format!("    {name}: {value}").trim_end());
    }
    out
}

/// `lltstat -c --json`.
#[derive(Debug, Serialize)]
pub(super) struct Configuration<'a> {
    node: u8,
    name: &'a str,
    cluster: u16,
    protocol: &'static str,
    nodes_max: u8,
    ports_max: u8,
    links: &'a [LinkSnapshot],
    mtu: usize,
    sdu_max: usize,
    incarnation: u64,
    listening: bool,
    sealed: bool,
    checksum: u8,
}

impl<'a> Configuration<'a> {
    pub(super) fn of(llt: &'a LltSnapshot) -> Self {
        let frame = llt.links.iter().map(|link| link.mtu).min().unwrap_or(0);
        Self {
            node: llt.node,
            name: &llt.name,
            cluster: llt.cluster,
            protocol: PROTOCOL,
            nodes_max: nodes_max(llt),
            ports_max: LLT_PORTS,
            links: &llt.links,
            mtu: frame.saturating_sub(HEADER_LEN),
            sdu_max: MESSAGE_MAX,
            incarnation: llt.incarnation,
            listening: llt.listening,
            sealed: llt.sealed,
            checksum: llt.checksum,
        }
    }
}

/// `lltstat -t` (facts 1.11).
pub fn tunables(llt: &LltSnapshot) -> String {
    let all = Tunables::of(llt);
    let rows = [
        ("maxnids", u32::from(all.maxnids)),
        ("maxports", u32::from(all.maxports)),
        ("nominpad", u32::from(all.nominpad)),
        ("rthreadpri", u32::from(all.rthreadpri)),
        ("basetimer", all.basetimer),
    ];
    let rows = rows.iter().map(|(name, value)| format!("    {name}: {value}\n"));
    format!("LLT kernel tunables:\n{}", rows.collect::<String>())
}

/// `lltstat -t --json`, by the names of the original.
#[derive(Debug, Serialize)]
pub(super) struct Tunables {
    maxnids: u8,
    maxports: u8,
    /// Frames are padded by the device, not by LLT.
    nominpad: u8,
    /// Real-time priority of the thread that serves links; 0 without.
    rthreadpri: u8,
    /// Microseconds. LLT has no tick: this is the smallest step of a timer's value.
    basetimer: u32,
}

impl Tunables {
    pub(super) fn of(llt: &LltSnapshot) -> Self {
        Self {
            maxnids: nodes_max(llt),
            maxports: LLT_PORTS,
            nominpad: 0,
            rthreadpri: llt.tunables.thread_priority,
            basetimer: BASETIMER_US,
        }
    }
}

/// Node ids that listings show: the original's 64, or all of ours if one of the others is there.
pub(super) fn nodes_max(llt: &LltSnapshot) -> u8 {
    let beyond = llt.nodes.iter().any(|node| node.node >= NODES_SHOWN);
    if beyond { NODES_MAX } else { NODES_SHOWN }
}

const NODES_SHOWN: u8 = 64;
const BASETIMER_US: u32 = 1000;
/// The version of the frames on the wire.
pub(crate) const PROTOCOL: &str = "1.0";

#[cfg(test)]
mod tests {
    use gab::snapshot::NodeSnapshot;

    use super::*;
    use crate::golden;

    #[test]
    fn the_configuration_looks_as_in_the_original() {
        let link = LinkSnapshot { mtu: 1500, ..LinkSnapshot::default() };
        let llt = LltSnapshot {
            name: "sun06".into(),
            cluster: 33,
            checksum: 10,
            links: vec![link, LinkSnapshot { mtu: 8192, ..LinkSnapshot::default() }],
            ..LltSnapshot::default()
        };
        golden::check("lltstat-c", &configuration(&llt));
        golden::check_json("lltstat-c-json", &Configuration::of(&llt));
    }

    #[test]
    fn tunables_have_the_names_of_the_original() {
        let tunables_ = gab::snapshot::TunableSnapshot { thread_priority: 2 };
        let llt = LltSnapshot { tunables: tunables_, ..LltSnapshot::default() };
        golden::check("lltstat-t", &tunables(&llt));
        golden::check_json("lltstat-t-json", &Tunables::of(&llt));
    }

    #[test]
    fn an_id_beyond_the_originals_widens_the_range() {
        let node = NodeSnapshot { node: 64, ..NodeSnapshot::default() };
        let llt = LltSnapshot { nodes: vec![node], ..LltSnapshot::default() };
        assert!(configuration(&llt).contains("\n    nodes: 0 - 127\n    max nodes: 128\n"));
    }
}
