//! `muster status`: one screen.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use gab::snapshot::Snapshot;
use serde::Serialize;

use super::cluster::{Cluster, LinkFaults, Transport};
use super::netns::Namespaces;
use super::netns::place::At;
use super::process::State;
use super::{commands, control, wait};

/// What `status --json` shows.
#[derive(Debug, Serialize)]
struct Status {
    dir: String,
    cluster_id: u16,
    links: u8,
    transport: Transport,
    /// UDP port per link.
    ports: Vec<u16>,
    netns: Option<Namespaces>,
    keyed: bool,
    /// For people; what it says stands in the others.
    #[serde(skip)]
    carrier: String,
    nodes: Vec<NodeStatus>,
}

#[derive(Debug, Serialize)]
struct NodeStatus {
    id: u8,
    name: String,
    pid: Option<i32>,
    state: State,
    /// Why its gabd halted the node, if it did and was not started since.
    halted: Option<String>,
    faults: Vec<LinkFaults>,
    snapshot: Option<Snapshot>,
}

/// Shows the cluster in `dir`, once or until interrupted.
///
/// # Errors
/// If there is none. A closed pipe is success.
pub fn run(dir: &Path, watch: bool, json: bool) -> Result<ExitCode> {
    if watch {
        wait::catch_interrupts()?;
    }
    loop {
        let status = collect(&Cluster::load(dir)?);
        let text = if json {
            serde_json::to_string_pretty(&status)? + "\n"
        } else {
            let clear = watch && std::io::stdout().is_terminal();
            format!("{}{}", if clear { "\x1b[H\x1b[2J" } else { "" }, render(&status))
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            result => result?,
        }
        if !watch {
            break;
        }
        wait::pause(Duration::from_secs(1));
        if wait::check_interrupt().is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn collect(cluster: &Cluster) -> Status {
    let node = |id: u8| {
        let node = cluster.node(id);
        let state = node.state();
        NodeStatus {
            id,
            name: node.name.clone(),
            pid: node.gabd.filter(|_| state != State::Gone).map(|process| process.pid),
            state,
            halted: (state == State::Gone).then(|| halted(cluster, id)).flatten(),
            faults: node.faults.clone(),
            snapshot: control::snapshot(cluster, id).ok(),
        }
    };
    Status {
        dir: cluster.dir.display().to_string(),
        cluster_id: cluster.cluster_id,
        links: cluster.links,
        transport: cluster.transport,
        ports: match cluster.transport {
            Transport::Ether => Vec::new(),
            Transport::Udp => (0..cluster.links).map(|link| cluster.port(link)).collect(),
        },
        netns: cluster.netns,
        keyed: cluster.keyed,
        carrier: match cluster.netns.map(|netns| netns.place(At::Switch)) {
            Some(Err(error)) => format!("{}\n{error}", commands::carrier(cluster)),
            _ => commands::carrier(cluster),
        },
        nodes: cluster.ids().map(node).collect(),
    }
}

/// What the gabd of a node wrote when it halted.
fn halted(cluster: &Cluster, node: u8) -> Option<String> {
    let text = std::fs::read_to_string(cluster.root(node).join("run/gabd.halted")).ok()?;
    Some(text.trim().to_owned())
}

fn render(status: &Status) -> String {
    let Status { cluster_id, dir, carrier, .. } = status;
    let mut text = format!("cluster {cluster_id} in {dir}: {carrier}\n\n");
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    let mut header = vec!["node".to_owned(), "name".into(), "pid".into(), "gabd".into()];
    header.push("incarnation".into());
    header.extend((0..status.links).map(|link| format!("link{link}")));
    header.push("ports".into());
    table.set_header(header);
    for node in &status.nodes {
        table.add_row(row(node, usize::from(status.links)));
    }
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let mut faults = String::new();
    for node in &status.nodes {
        for (link, fault) in node.faults.iter().enumerate().filter(|(_, fault)| fault.any()) {
            let _ = writeln!(faults, "{} link{link}: {}", node.name, commands::describe(fault));
        }
    }
    if !faults.is_empty() {
        let _ = write!(text, "\nfaults\n{faults}");
    }
    text
}

fn row(node: &NodeStatus, links: usize) -> Vec<String> {
    let state = match node.state {
        State::Gone if node.halted.is_some() => "halted",
        State::Gone => "gone",
        State::Paused => "paused",
        State::Running => "running",
    };
    let mut row = vec![node.id.to_string(), node.name.clone()];
    row.push(node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()));
    let Some(snapshot) = &node.snapshot else {
        row.push(state.to_owned());
        row.extend(std::iter::repeat_n("-".to_owned(), links + 2));
        return row;
    };
    let sequencer = snapshot.gab.sequencer == Some(node.id);
    row.push(format!("{state}{}", if sequencer { ", sequencer" } else { "" }));
    row.push(format!("{:x}", snapshot.llt.incarnation));
    row.extend((0..links).map(|link| link_summary(snapshot, link)));
    let ports = snapshot.gab.ports.iter().map(|port| {
        let members: Vec<String> = port.members.iter().map(u8::to_string).collect();
        let jeopardy = if port.jeopardy.is_empty() { "" } else { "!" };
        format!("{}:{}{jeopardy}", port.port, members.join(","))
    });
    row.push(ports.collect::<Vec<_>>().join(" "));
    row
}

/// `UP` if the link is up to every other node, else which nodes it is not up to.
fn link_summary(snapshot: &Snapshot, link: usize) -> String {
    let peers = snapshot.llt.nodes.iter().filter(|peer| !peer.own && peer.configured);
    let not_up: Vec<String> = peers
        .filter_map(|peer| {
            let status = peer.links.get(link).map_or("?", |link| link.status.as_str());
            (status != "UP").then(|| format!("{} {status}", peer.node))
        })
        .collect();
    if not_up.is_empty() { "UP".to_owned() } else { not_up.join(", ") }
}

#[cfg(test)]
mod tests {
    use gab::snapshot::{NodeLinkSnapshot, NodeSnapshot, PortSnapshot};

    use super::super::cluster::Cable;
    use super::super::cluster::tests::cluster;
    use super::*;
    use crate::golden;

    /// What gabd of node 0 says: link 1 to node 1 is in trouble.
    fn snapshot() -> Snapshot {
        let link = |status: &str| NodeLinkSnapshot {
            status: status.into(),
            ..NodeLinkSnapshot::default()
        };
        let peer = NodeSnapshot {
            node: 1,
            configured: true,
            links: vec![link("UP"), link("TROUBLE")],
            ..NodeSnapshot::default()
        };
        let port = |port: &str, jeopardy: &[u8]| PortSnapshot {
            port: port.into(),
            members: vec![0, 1],
            jeopardy: jeopardy.to_vec(),
            ..PortSnapshot::default()
        };
        let mut all = Snapshot::default();
        all.llt.incarnation = 0x1a2b;
        all.llt.nodes = vec![NodeSnapshot { own: true, ..NodeSnapshot::default() }, peer];
        all.gab.sequencer = Some(0);
        all.gab.ports = vec![port("a", &[1]), port("h", &[])];
        all
    }

    #[test]
    fn a_cluster_is_a_table() {
        let mut status = collect(&cluster());
        status.nodes[0].state = State::Running;
        status.nodes[0].pid = Some(4711);
        status.nodes[0].snapshot = Some(snapshot());
        status.nodes[1].halted = Some("loss of quorum".into());
        status.nodes[1].faults[1].cable = Cable::Pulled;
        golden::check("muster-status", &render(&status));
        status.nodes[0].snapshot = None;
        golden::check_json("muster-status-json", &status);
    }
}
