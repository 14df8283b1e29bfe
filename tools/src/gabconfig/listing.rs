//! The two listings of `gabconfig`, byte for byte as the original prints them.

use std::fmt::Write as _;

use gab::limits::{RECEIVE_QUEUE_MESSAGES, SEND_QUEUE_MESSAGES};
use gab::snapshot::{ClientPolicy, GabSnapshot};
use serde::Serialize;

use super::node_columns;

/// `gabconfig -a` (facts 2.4).
pub fn memberships(gab: &GabSnapshot) -> String {
    let mut out = format!("GAB Port Memberships\n{}\n", "=".repeat(63));
    for port in &gab.ports {
        let mut line = |kind: &str, nodes: &[u8]| {
            let (letter, generation) = (&port.port, port.generation);
            let nodes = node_columns(nodes);
            let _ = writeln!(out, "Port {letter} gen {generation:>8x} {kind:>10} {nodes}");
        };
        line("membership", &port.members);
        for (kind, nodes) in [("jeopardy", &port.jeopardy), ("visible", &port.visible)] {
            if !nodes.is_empty() {
                line(kind, nodes);
            }
        }
    }
    out
}

/// `gabconfig -l` (facts 2.5, in the form of 6.x). Switches that this version does not have are
/// off, which is their default.
pub fn driver(gab: &GabSnapshot) -> String {
    let able = |on: bool| if on { "Enabled" } else { "Disabled" }.to_owned();
    let state = if gab.configured { "Configured" } else { "Unconfigured" };
    let rows = [
        ("Driver state", state.to_owned()),
        ("Partition arbitration", able(false)),
        ("Control port seed", able(gab.seeded)),
        ("Halt on process death", able(gab.clients.process_death_halt)),
        ("Missed heartbeat halt", able(gab.clients.missed_heartbeat_halt)),
        ("Halt on rejoin", able(gab.rejoin_halt)),
        ("Keep on killing", able(gab.clients.keep_killing)),
        ("Quorum flag", able(gab.quorum)),
        ("Restart", able(false)),
        ("Node count", gab.node_count.to_string()),
        ("Send queue limit", SEND_QUEUE_MESSAGES.to_string()),
        ("Recv queue limit", RECEIVE_QUEUE_MESSAGES.to_string()),
        ("IOFENCE timeout (ms)", gab.clients.iofence_ms.to_string()),
        ("Stable timeout (ms)", gab.stable_ms.to_string()),
    ];
    let mut out = String::from("GAB Driver Configuration\n");
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<21}: {value}");
    }
    out
}

/// `gabconfig -l --json`.
#[derive(Debug, Serialize)]
pub(super) struct Driver<'a> {
    configured: bool,
    seeded: bool,
    node_count: u32,
    stable_ms: u64,
    quorum: bool,
    rejoin_halt: bool,
    single_network: bool,
    conn_wait: u32,
    clients: &'a ClientPolicy,
    send_queue_limit: usize,
    recv_queue_limit: usize,
    view: &'a str,
    sequencer: Option<u8>,
    last_slot: u64,
    stable_slot: u64,
    changing: bool,
    counters: &'a std::collections::BTreeMap<String, u64>,
}

impl<'a> Driver<'a> {
    pub(super) fn of(gab: &'a GabSnapshot) -> Self {
        Self {
            configured: gab.configured,
            seeded: gab.seeded,
            node_count: gab.node_count,
            stable_ms: gab.stable_ms,
            quorum: gab.quorum,
            rejoin_halt: gab.rejoin_halt,
            single_network: gab.single_network,
            conn_wait: gab.conn_wait,
            clients: &gab.clients,
            send_queue_limit: SEND_QUEUE_MESSAGES,
            recv_queue_limit: RECEIVE_QUEUE_MESSAGES,
            view: &gab.view,
            sequencer: gab.sequencer,
            last_slot: gab.last_slot,
            stable_slot: gab.stable_slot,
            changing: gab.changing,
            counters: &gab.counters,
        }
    }
}

#[cfg(test)]
mod tests {
    use gab::snapshot::PortSnapshot;

    use super::*;

    fn port(letter: char, generation: u64, members: &[u8]) -> PortSnapshot {
        let members = members.to_vec();
        PortSnapshot { port: letter.into(), generation, members, ..PortSnapshot::default() }
    }

    fn gab(ports: Vec<PortSnapshot>) -> GabSnapshot {
        GabSnapshot { configured: true, ports, ..GabSnapshot::default() }
    }

    #[test]
    fn memberships_look_as_in_the_original() {
        let gab = gab(vec![
            port('a', 0x0096_7901, &[0, 1]),
            port('b', 0x0096_7902, &[0, 1]),
            port('h', 0x0096_7904, &[0, 1]),
        ]);
        assert_eq!(
            memberships(&gab),
            "\
GAB Port Memberships
===============================================================
Port a gen   967901 membership 01
Port b gen   967902 membership 01
Port h gen   967904 membership 01
"
        );
    }

    #[test]
    fn jeopardy_and_visible_nodes_have_lines_of_their_own() {
        let mut a = port('a', 0xa36e_0003, &[0, 1]);
        a.jeopardy = vec![1];
        let mut h = port('h', 0xfd57_0002, &[0]);
        h.visible = vec![1];
        assert_eq!(
            memberships(&gab(vec![a, h])),
            "\
GAB Port Memberships
===============================================================
Port a gen a36e0003 membership 01
Port a gen a36e0003   jeopardy ;1
Port h gen fd570002 membership 0
Port h gen fd570002    visible ;1
"
        );
    }

    #[test]
    fn without_a_membership_there_is_only_the_header() {
        assert_eq!(
            memberships(&GabSnapshot::default()),
            "\
GAB Port Memberships
===============================================================
"
        );
    }

    #[test]
    fn the_driver_looks_as_in_the_original() {
        let clients = ClientPolicy { iofence_ms: 15_000, ..ClientPolicy::default() };
        let gab = GabSnapshot { seeded: true, stable_ms: 5000, clients, ..gab(Vec::new()) };
        assert_eq!(
            driver(&gab),
            "\
GAB Driver Configuration
Driver state         : Configured
Partition arbitration: Disabled
Control port seed    : Enabled
Halt on process death: Disabled
Missed heartbeat halt: Disabled
Halt on rejoin       : Disabled
Keep on killing      : Disabled
Quorum flag          : Disabled
Restart              : Disabled
Node count           : 0
Send queue limit     : 4096
Recv queue limit     : 4096
IOFENCE timeout (ms) : 15000
Stable timeout (ms)  : 5000
"
        );
        let clients = ClientPolicy {
            iofence_ms: 3000,
            keep_killing: true,
            missed_heartbeat_halt: true,
            process_death_halt: true,
            ..ClientPolicy::default()
        };
        let switched =
            GabSnapshot { quorum: true, rejoin_halt: true, clients, ..GabSnapshot::default() };
        let switched = driver(&switched);
        for row in [
            "Halt on process death: Enabled\n",
            "Missed heartbeat halt: Enabled\n",
            "Halt on rejoin       : Enabled\n",
            "Keep on killing      : Enabled\n",
            "Quorum flag          : Enabled\n",
            "IOFENCE timeout (ms) : 3000\n",
        ] {
            assert!(switched.contains(row), "{switched}");
        }
        let unconfigured = driver(&GabSnapshot::default());
        assert!(unconfigured.contains("Driver state         : Unconfigured\n"), "{unconfigured}");
    }
}
