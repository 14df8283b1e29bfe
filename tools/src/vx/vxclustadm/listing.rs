//! What `vxclustadm` prints (facts 3.11).

use std::fmt::Write as _;

use cvm::snapshot::{ClusterSnapshot, NodeSnapshot, Snapshot};
use serde::Serialize;

use crate::vx::device::node_name;

/// A node in `nidmap`. Nodes have one number here, which stands in both columns.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Node {
    name: String,
    cvm_nid: u8,
    cm_nid: u8,
    state: String,
}

/// The nodes; none out of the cluster, where nobody knows what the others are.
pub(super) fn nodes(snapshot: &Snapshot) -> Vec<Node> {
    let cluster = &snapshot.cluster;
    if cluster.state == OUT {
        return Vec::new();
    }
    let node = |node: &NodeSnapshot| Node {
        name: node_name(snapshot, node.node),
        cvm_nid: node.node,
        cm_nid: node.node,
        state: state(cluster, node).to_owned(),
    };
    cluster.nodes.iter().map(node).collect()
}

fn state(cluster: &ClusterSnapshot, node: &NodeSnapshot) -> &'static str {
    if node.is_joiner {
        "Joining"
    } else if !node.is_member {
        "Out of Cluster"
    } else if cluster.master == Some(node.node) {
        "Joined: Master"
    } else {
        "Joined: Slave"
    }
}

/// `nidmap`
pub(super) fn nidmap(nodes: &[Node]) -> String {
    if nodes.is_empty() {
        return "Out of cluster: No mapping information available\n".to_owned();
    }
    let mut text = "Name                             CVM Nid    CM Nid     State\n".to_owned();
    for Node { name, cvm_nid, cm_nid, state } in nodes {
        let _ = writeln!(text, "{name:<31} {cvm_nid:<10} {cm_nid:<10} {state}");
    }
    text
}

/// `nodestate`
pub(super) fn nodestate(cluster: &ClusterSnapshot, verbose: bool) -> String {
    let mut text = format!("state: {}\n", cluster.state);
    if cluster.state == OUT {
        if !cluster.reason.is_empty() {
            let _ = writeln!(text, "reason: {}", cluster.reason);
        }
        return text;
    }
    if verbose {
        let members = mask(cluster, |node| node.is_member);
        let joiners = mask(cluster, |node| node.is_joiner);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "        {name}={value}");
        };
        line("nodeId", cluster.node.to_string());
        // The original's word for nobody.
        line("masterId", cluster.master.map_or_else(|| "-1".to_owned(), |node| node.to_string()));
        line("neighborId", neighbour(cluster).to_string());
        line("members", format!("{members:#x}"));
        line("joiners", format!("{joiners:#x}"));
        // A view holds whoever is left: leavers are out of it as soon as they are known.
        line("leavers", format!("{:#x}", 0));
        line("reconfig_seqnum", format!("{:#x}", cluster.reconfig_seqnum));
        line("vxfen", "off".to_owned());
    }
    if cluster.is_suspended {
        let joins = cluster.nodes.iter().any(|node| node.is_joiner);
        let what = if joins { "vxconfigd in join" } else { "master update" };
        let _ = writeln!(text, "reconfig: {what}");
    }
    text
}

fn mask(cluster: &ClusterSnapshot, is_in: impl Fn(&NodeSnapshot) -> bool) -> u128 {
    let nodes = cluster.nodes.iter().filter(|node| is_in(node));
    nodes.fold(0, |mask, node| mask | 1_u128.checked_shl(u32::from(node.node)).unwrap_or(0))
}

/// The member with the next higher id, the lowest after the highest; alone, the node itself.
fn neighbour(cluster: &ClusterSnapshot) -> u8 {
    let members = || cluster.nodes.iter().filter(|node| node.is_member).map(|node| node.node);
    let next = members().filter(|node| *node > cluster.node).min();
    next.or_else(|| members().min()).unwrap_or(cluster.node)
}

/// `getpreference`
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Preference {
    preference: i32,
    /// What CVM adds by itself: nothing.
    preference_delta: i32,
}

impl Preference {
    pub(super) const fn of(cluster: &ClusterSnapshot) -> Self {
        Self { preference: cluster.preference, preference_delta: 0 }
    }

    pub(super) fn text(self) -> String {
        let Self { preference, preference_delta } = self;
        format!("preference: {preference}\npreference delta: {preference_delta}\n")
    }
}

const OUT: &str = "out of cluster";
