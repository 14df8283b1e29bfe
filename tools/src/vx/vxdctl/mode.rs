//! `vxdctl mode` and `vxdctl -c mode` (facts 3.12).

use std::fmt::Write as _;

use cvm::snapshot::Snapshot;
use serde::Serialize;

use crate::vx::device::node_name;

/// What vxconfigd does, and its node in the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Mode {
    /// `enabled`, `disabled` or `not-running`.
    mode: &'static str,
    /// `active` or `inactive`.
    cluster: Option<&'static str>,
    /// `MASTER` or `SLAVE`.
    role: Option<&'static str>,
    master: Option<String>,
    state: Option<&'static str>,
    reconfig: Option<&'static str>,
}

impl Mode {
    /// There is no vxconfigd.
    pub(super) fn not_running() -> Self {
        Self { mode: "not-running", ..Self::default() }
    }

    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let cluster = &snapshot.cluster;
        // Without vxiod it can say what there is, and do nothing, as when it is disabled.
        if !cluster.has_iod || snapshot.mode == "disabled" {
            return Self { mode: "disabled", ..Self::default() };
        }
        let mode = Self {
            mode: "enabled",
            cluster: Some("active"),
            master: cluster.master.map(|node| node_name(snapshot, node)),
            ..Self::default()
        };
        let is_slave = cluster.nodes.iter().any(|node| node.node == cluster.node && node.is_joiner);
        match cluster.state.as_str() {
            "cluster member" => {
                let is_master = cluster.master == Some(cluster.node);
                let role = cluster.master.map(|_| if is_master { "MASTER" } else { "SLAVE" });
                Self { role, ..mode }
            }
            // Before the members have agreed on it, it is not said what the node is to be.
            "joining" if cluster.is_suspended || !is_slave || mode.master.is_none() => {
                let reconfig = cluster.is_suspended.then_some("master update");
                Self { state: Some("joining"), reconfig, ..mode }
            }
            "joining" => Self { role: Some("SLAVE"), state: Some("joining"), ..mode },
            _ => Self { mode: "enabled", cluster: Some("inactive"), ..Self::default() },
        }
    }

    /// As it is printed, with or without the cluster.
    pub(super) fn text(&self, with_cluster: bool) -> String {
        let mut text = format!("mode: {}", self.mode);
        let Some(cluster) = self.cluster.filter(|_| with_cluster) else { return text + "\n" };
        let _ = write!(text, ": cluster {cluster}");
        if cluster == "active" {
            let _ = write!(text, " - {}", self.role.unwrap_or("role not set"));
        }
        text.push('\n');
        let lines = [
            ("master", self.master.as_deref()),
            ("state", self.state),
            ("reconfig", self.reconfig),
        ];
        for (label, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{label}: {value}");
            }
        }
        text
    }
}
