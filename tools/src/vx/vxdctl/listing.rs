//! `vxdctl list`, `support`, `protocolversion` and `protocolrange` (facts 3.12).

use cvm::core::iod::VERSIONS;
use cvm::model::{Group, Name};
use cvm::snapshot::ClusterSnapshot;
use serde::Serialize;

use crate::common::Failure;
use crate::vx::volboot::Volboot;

/// `vxdctl list`
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Listed {
    version: &'static str,
    seqno: String,
    protocol: u16,
    hostid: String,
    defaultdg: Option<String>,
}

impl Listed {
    /// `host` is what counts as the host's name.
    pub(super) fn of(volboot: &Volboot, host: &Name) -> Self {
        Self {
            version: "3/1",
            seqno: format!("0.{}", volboot.seqno),
            protocol: VERSIONS.1,
            hostid: host.to_string(),
            defaultdg: volboot.default_group.as_ref().map(ToString::to_string),
        }
    }

    pub(super) fn text(&self) -> String {
        // The original does not print the default group here: vxdctl defaultdg does.
        let Self { version, seqno, protocol, hostid, defaultdg: _ } = self;
        let head = format!("Volboot file\nversion: {version}\nseqno:   {seqno}\n");
        let protocol = format!("cluster protocol version: {protocol}\n");
        format!("{head}{protocol}hostid:  {hostid}\nentries:\n")
    }
}

/// `vxdctl support`
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Support {
    vxconfigd_vrsn: u16,
    dg_minimum: u32,
    dg_maximum: u32,
    kernel: u16,
    protocol_minimum: u16,
    protocol_maximum: u16,
    protocol_current: u16,
}

impl Support {
    pub(super) const fn of(cluster: &ClusterSnapshot) -> Self {
        Self {
            vxconfigd_vrsn: INTERFACE,
            dg_minimum: Group::VERSION,
            dg_maximum: Group::VERSION,
            kernel: INTERFACE,
            protocol_minimum: cluster.protocol_minimum,
            protocol_maximum: cluster.protocol_maximum,
            protocol_current: cluster.protocol_maximum,
        }
    }

    pub(super) fn text(&self) -> String {
        let lines: String = [
            ("vxconfigd_vrsn", self.vxconfigd_vrsn.to_string()),
            ("dg_minimum", self.dg_minimum.to_string()),
            ("dg_maximum", self.dg_maximum.to_string()),
            ("kernel", self.kernel.to_string()),
            ("protocol_minimum", self.protocol_minimum.to_string()),
            ("protocol_maximum", self.protocol_maximum.to_string()),
            ("protocol_current", self.protocol_current.to_string()),
        ]
        .iter()
        .map(|(label, value)| format!("  {:<18} {value}\n", format!("{label}:")))
        .collect();
        format!("Support information:\n{lines}")
    }
}

/// The version of what utilities, vxconfigd and vxiod say to each other on a node.
const INTERFACE: u16 = 1;

/// `vxdctl protocolrange`
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Range {
    minprotoversion: u16,
    maxprotoversion: u16,
}

impl Range {
    pub(super) const fn of(cluster: &ClusterSnapshot) -> Self {
        Self {
            minprotoversion: cluster.protocol_minimum,
            maxprotoversion: cluster.protocol_maximum,
        }
    }

    pub(super) fn text(self) -> String {
        let Self { minprotoversion, maxprotoversion } = self;
        format!("minprotoversion: {minprotoversion}, maxprotoversion: {maxprotoversion}\n")
    }
}

/// `vxdctl protocolversion`
///
/// # Errors
/// Out of the cluster, which has no version then.
pub(super) fn protocol(cluster: &ClusterSnapshot) -> Result<String, Failure> {
    if cluster.state != "cluster member" {
        let id = Some("V-5-1-3486".to_owned());
        return Err(Failure::Operation { id, text: "Not in cluster".to_owned() });
    }
    // Every version that this program speaks is the highest: it has no other (see VERSIONS).
    Ok(format!("Cluster running at protocol {}\n", cluster.protocol_maximum))
}
