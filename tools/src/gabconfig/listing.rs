//! The two listings of `gabconfig`, byte for byte as the original prints them.

use std::fmt::Write as _;

use gab::limits::{LOG_LINES_MAX, PORTS_MAX, SEND_QUEUE_MESSAGES};
use gab::snapshot::{ClientPolicy, GabSnapshot, PortSnapshot, Snapshot};
use llt::limits::NODES_MAX;
use serde::Serialize;

use super::node_columns;

/// `gabconfig -a` (facts 2.4).
pub fn memberships(gab: &GabSnapshot) -> String {
    lines(gab, |_| String::new())
}

/// `gabconfig -a -C` (facts 2.4).
pub fn named_memberships(gab: &GabSnapshot) -> String {
    lines(gab, bracket)
}

fn lines(gab: &GabSnapshot, client: impl Fn(&PortSnapshot) -> String) -> String {
    let mut out = format!("GAB Port Memberships\n{RULE}\n");
    for port in &gab.ports {
        let client = client(port);
        let mut line = |kind: &str, nodes: &[u8]| {
            let (letter, generation) = (&port.port, port.generation);
            let nodes = node_columns(nodes);
            let _ = writeln!(out, "Port {letter}{client} gen {generation:>8x} {kind:>10} {nodes}");
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

/// `gabconfig -C` alone. The facts have no sample: the names stand as they do with `-a`.
pub fn clients(gab: &GabSnapshot) -> String {
    let mut out = format!("GAB Client Names\n{RULE}\n");
    for port in &gab.ports {
        let _ = writeln!(out, "Port {}{}", port.port, bracket(port));
    }
    out
}

fn bracket(port: &PortSnapshot) -> String {
    format!("[{} (refcount {})]", port.name, port.refcount)
}

/// `gabconfig -l` (facts 2.5, in the form of 6.x). Switches that this version does not have are
/// off, which is their default.
pub fn driver(gab: &GabSnapshot) -> String {
    let able = |on: bool| if on { "Enabled" } else { "Disabled" }.to_owned();
    let state = if gab.configured { "Configured" } else { "Unconfigured" };
    let rows = [
        ("Driver state", state.to_owned()),
        ("Partition arbitration", able(gab.quorum && !gab.single_network)),
        ("Control port seed", able(gab.seeded)),
        ("Halt on process death", able(gab.clients.process_death_halt)),
        ("Missed heartbeat halt", able(gab.clients.missed_heartbeat_halt)),
        ("Halt on rejoin", able(gab.rejoin_halt)),
        ("Keep on killing", able(gab.clients.keep_killing)),
        ("Quorum flag", able(gab.quorum)),
        ("Restart", able(false)),
        ("Node count", gab.node_count.to_string()),
        ("Send queue limit", gab.send_queue.to_string()),
        ("Recv queue limit", gab.receive_queue.to_string()),
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
    rejoin_hold: u32,
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
            rejoin_hold: gab.rejoin_hold,
            clients: &gab.clients,
            send_queue_limit: gab.send_queue,
            recv_queue_limit: gab.receive_queue,
            view: &gab.view,
            sequencer: gab.sequencer,
            last_slot: gab.last_slot,
            stable_slot: gab.stable_slot,
            changing: gab.changing,
            counters: &gab.counters,
        }
    }
}

/// `gabconfig -e`: what is fixed while gabd runs, by the names of the original (facts 2.6), in the form
/// of `lltstat -t`.
pub fn tunables(all: &Snapshot) -> String {
    let Tunables {
        numnids,
        numports,
        flowctrl,
        logbufsize,
        msglogsize,
        isolate_time,
        kill_ntries,
        conn_wait,
        ibuf_count,
        timer_pri,
    } = Tunables::of(all);
    let rows = [
        ("numnids", u64::from(numnids)),
        ("numports", u64::try_from(numports).unwrap_or(u64::MAX)),
        ("flowctrl", u64::try_from(flowctrl).unwrap_or(u64::MAX)),
        ("logbufsize", logbufsize),
        ("msglogsize", u64::try_from(msglogsize).unwrap_or(u64::MAX)),
        ("isolate_time", isolate_time),
        ("kill_ntries", u64::from(kill_ntries)),
        ("conn_wait", u64::from(conn_wait)),
        ("ibuf_count", ibuf_count),
        ("timer_pri", u64::from(timer_pri)),
    ];
    let rows = rows.iter().map(|(name, value)| format!("    {name}: {value}\n"));
    format!("GAB kernel tunables:\n{}", rows.collect::<String>())
}

/// `gabconfig -e --json`.
#[derive(Debug, Serialize)]
pub(super) struct Tunables {
    numnids: u8,
    numports: usize,
    /// The most that `-Q` takes.
    flowctrl: usize,
    /// There is no buffer of bytes.
    logbufsize: u64,
    /// Lines of the log that may wait to be written.
    msglogsize: usize,
    /// Milliseconds.
    isolate_time: u64,
    kill_ntries: u32,
    conn_wait: u32,
    /// There is no logging daemon.
    ibuf_count: u64,
    /// Real-time priority of the thread that serves timers; 0 without.
    timer_pri: u8,
}

impl Tunables {
    pub(super) fn of(all: &Snapshot) -> Self {
        Self {
            numnids: NODES_MAX,
            numports: PORTS_MAX,
            flowctrl: SEND_QUEUE_MESSAGES,
            logbufsize: 0,
            msglogsize: LOG_LINES_MAX,
            isolate_time: all.gab.clients.isolate_ms,
            kill_ntries: all.gab.clients.kill_tries,
            conn_wait: all.gab.conn_wait,
            ibuf_count: 0,
            timer_pri: all.llt.tunables.thread_priority,
        }
    }
}

/// `gabconfig -v` (from memory in the facts; these bytes are ours).
pub fn version() -> String {
    let Version { version, supported, .. } = Version::own();
    format!("GAB {version} Protocol {supported}\n")
}

/// `gabconfig -W`, in the form of `lltstat -c` (ours).
pub fn versions(gab: &GabSnapshot) -> String {
    let Version { supported, in_force, .. } = Version::of(gab);
    let in_force = in_force.map(|version| version.to_string()).unwrap_or_default();
    let rows =
        [("Supported Protocol Version(s)", supported.to_string()), ("Protocol in force", in_force)];
    rows.iter().map(|(name, value)| format!("{name:<30}: {value}\n")).collect()
}

/// `gabconfig -v --json` and `-W --json`.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    version: &'static str,
    supported: u8,
    in_force: Option<u8>,
}

impl Version {
    /// Of the command.
    pub(super) fn own() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            supported: gab::Versions::OURS.max,
            in_force: None,
        }
    }

    /// And what gabd speaks.
    pub(super) fn of(gab: &GabSnapshot) -> Self {
        Self { in_force: Some(gab.protocol), ..Self::own() }
    }
}

const RULE: &str = "===============================================================";

#[cfg(test)]
mod tests {
    use gab::snapshot::PortSnapshot;

    use super::*;
    use crate::golden;

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
        golden::check("gabconfig-a", &memberships(&gab));
        golden::check_json("gabconfig-a-json", &gab.ports);
    }

    #[test]
    fn ids_beyond_nine_go_on_in_the_same_columns() {
        let far = port('a', 0x1f, &[2, 9, 10, 11, 31, 127]);
        let mut alone = port('h', 0x20, &[10]);
        alone.jeopardy = vec![10];
        alone.visible = vec![2, 9, 11, 31, 127];
        golden::check("gabconfig-a-many", &memberships(&gab(vec![far, alone])));
    }

    #[test]
    fn clients_are_named_where_that_is_asked_for() {
        let named = |mut port: PortSnapshot, name: &str, refcount| {
            port.name = name.into();
            port.refcount = refcount;
            port
        };
        let mut h = named(port('h', 0x0171_d504, &[0]), "GAB_USER_CLIENT", 0);
        h.visible = vec![1];
        let gab = gab(vec![
            named(port('a', 0x0171_d502, &[0, 1]), "GAB_Control", 1),
            named(port('b', 0x0171_d503, &[0, 1]), "VxFen", 1),
            h,
        ]);
        golden::check("gabconfig-a-names", &named_memberships(&gab));
        golden::check("gabconfig-names", &clients(&gab));
        // Node 1 has one link left: names, jeopardy and visible nodes together.
        let mut trouble = gab;
        trouble.ports[0].jeopardy = vec![1];
        trouble.ports[1].jeopardy = vec![1];
        trouble.ports[1].clients = 1;
        trouble.ports[2].clients = 1;
        golden::check("gabconfig-a-names-jeopardy", &named_memberships(&trouble));
        golden::check_json("gabconfig-a-names-jeopardy-json", &trouble.ports);
    }

    #[test]
    fn what_is_fixed_has_the_names_of_the_original() {
        let mut all = Snapshot::default();
        all.gab.conn_wait = 12;
        all.gab.clients.isolate_ms = 120_000;
        all.gab.clients.kill_tries = 5;
        all.gab.protocol = 1;
        all.llt.tunables.thread_priority = 2;
        golden::check("gabconfig-e", &tunables(&all));
        golden::check_json("gabconfig-e-json", &Tunables::of(&all));
        golden::check("gabconfig-versions", &versions(&all.gab));
        let own = version();
        let ours = format!("GAB {} Protocol 1\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(own, ours, "the only listing that every release changes");
    }

    #[test]
    fn jeopardy_and_visible_nodes_have_lines_of_their_own() {
        let mut a = port('a', 0xa36e_0003, &[0, 1]);
        a.jeopardy = vec![1];
        let mut h = port('h', 0xfd57_0002, &[0]);
        h.visible = vec![1];
        let gab = gab(vec![a, h]);
        golden::check("gabconfig-a-jeopardy", &memberships(&gab));
        golden::check_json("gabconfig-a-jeopardy-json", &gab.ports);
    }

    #[test]
    fn without_a_membership_there_is_only_the_header() {
        golden::check("gabconfig-a-nothing", &memberships(&GabSnapshot::default()));
    }

    #[test]
    fn versions_are_those_of_the_command_and_of_gabd() {
        let fixed = |text: String| text.replace(env!("CARGO_PKG_VERSION"), "X.Y.Z");
        let json = |version: &Version| serde_json::to_string_pretty(version).unwrap() + "\n";
        golden::check("gabconfig-v", &fixed(version()));
        golden::check("gabconfig-v-json", &fixed(json(&Version::own())));
        let gab = GabSnapshot { protocol: 1, ..GabSnapshot::default() };
        golden::check("gabconfig-versions-json", &fixed(json(&Version::of(&gab))));
    }

    #[test]
    fn the_driver_looks_as_in_the_original() {
        let clients = ClientPolicy { iofence_ms: 15_000, ..ClientPolicy::default() };
        let gab = GabSnapshot {
            seeded: true,
            stable_ms: 5000,
            conn_wait: 12,
            rejoin_hold: 6,
            send_queue: 4096,
            receive_queue: 128,
            protocol: 1,
            clients,
            ..gab(Vec::new())
        };
        golden::check("gabconfig-l", &driver(&gab));
        golden::check_json("gabconfig-l-json", &Driver::of(&gab));
    }

    /// What gabd says before `gabconfig -c`: the defaults, which come into force with it.
    fn unconfigured() -> GabSnapshot {
        GabSnapshot {
            stable_ms: 5000,
            conn_wait: 12,
            rejoin_hold: 6,
            send_queue: 4096,
            receive_queue: 4096,
            protocol: 1,
            clients: ClientPolicy {
                client_stall_ms: 15_000,
                iofence_ms: 15_000,
                isolate_ms: 120_000,
                kill_tries: 5,
                register_timeout_ms: 200_000,
                ..ClientPolicy::default()
            },
            ..GabSnapshot::default()
        }
    }

    #[test]
    fn the_driver_has_a_configuration_before_it_is_configured() {
        golden::check("gabconfig-l-unconfigured", &driver(&unconfigured()));
        golden::check_json("gabconfig-l-unconfigured-json", &Driver::of(&unconfigured()));
    }

    #[test]
    fn every_switch_shows_where_it_stands() {
        let before = unconfigured();
        let on = GabSnapshot {
            configured: true,
            seeded: true,
            node_count: 4,
            stable_ms: 2000,
            quorum: true,
            rejoin_halt: true,
            send_queue: 128,
            receive_queue: 64,
            clients: ClientPolicy {
                iofence_ms: 3000,
                keep_killing: true,
                missed_heartbeat_halt: true,
                process_death_halt: true,
                register_halt: true,
                ..before.clients
            },
            view: "1.0/2a".into(),
            sequencer: Some(0),
            last_slot: 4711,
            stable_slot: 4709,
            changing: true,
            counters: [("delivered".to_owned(), 4700), ("views".to_owned(), 1)].into(),
            ..before
        };
        golden::check("gabconfig-l-enabled", &driver(&on));
        golden::check_json("gabconfig-l-enabled-json", &Driver::of(&on));
        // With -s nobody asks whether a side has a majority, and what was set with -q stays set.
        let single = GabSnapshot { single_network: true, ..on };
        golden::check("gabconfig-l-single", &driver(&single));
    }
}
