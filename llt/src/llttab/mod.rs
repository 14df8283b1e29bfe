//! `/etc/llttab` and `/etc/llthosts` (facts 1.3, 1.4), with every complaint at its place.
//!
//! [`LltTab::parse`] reads both and checks what they say together; all errors that can be told
//! apart are reported at once. Raw Ethernet and RDMA links are recognised and refused: this
//! version has UDP only.

mod check;
mod directives;
mod hosts;
mod lexer;
mod link;
mod parser;
mod report;
mod values;

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, Flow, LinkConfig, Timers};
use crate::ids::{ClusterId, Incarnation, LinkAddr, NodeId, NodeSet};
use crate::io::udp::{UdpConfig, link_addr};

pub use hosts::Hosts;
pub use lexer::{Word, words};
pub use report::{ConfigErrors, Problem, Source, Warning};

/// What `llttab` and `llthosts` say, checked.
#[derive(Clone, Debug)]
pub struct LltTab {
    /// This node.
    pub node: NodeId,
    /// Which cluster; 0 if the file does not say.
    pub cluster: ClusterId,
    /// Names of nodes.
    pub hosts: Hosts,
    /// The links of this node, in the order of the file; at least one, at most eight.
    pub links: Vec<TabLink>,
    /// Nodes to be ignored.
    pub excluded: NodeSet,
    /// Timers.
    pub timers: Timers,
    /// Flow control.
    pub flow: Flow,
    /// `set-dbg-minlinks`: with fewer links that can be opened LLT does not start. 1 by default.
    pub links_min: u8,
    /// `set-verbose`.
    pub verbose: bool,
    /// Lines that were accepted but mean nothing here.
    pub warnings: Vec<Warning>,
}

/// One `link` or `link-lowpri` line, with the `set-addr` lines for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TabLink {
    /// Its name.
    pub tag: String,
    /// The device as written; `udp` and `udp6` links have only a placeholder there.
    pub device: String,
    /// `link-lowpri`.
    pub lowpri: bool,
    /// Own address and the port of the link.
    pub local: SocketAddr,
    /// The largest frame in bytes.
    pub mtu: usize,
    /// Where one datagram reaches everybody.
    pub broadcast: Option<IpAddr>,
    /// Static addresses of other nodes.
    pub peers: Vec<(NodeId, IpAddr)>,
}

impl LltTab {
    /// Reads both files. `read` reads the file that `set-node /path` names.
    ///
    /// # Errors
    /// Everything that is wrong with either, each with its place.
    pub fn parse(
        llttab: &Source,
        llthosts: &Source,
        read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let hosts = Hosts::parse(llthosts, &mut problems);
        let raw = parser::parse(llttab, &mut problems);
        let checked = check::check(llttab, raw, hosts, read, &mut problems);
        match checked {
            Some(tab) if problems.is_empty() => Ok(tab),
            _ => Err(ConfigErrors::new(problems)),
        }
    }

    /// Own name in `llthosts`.
    pub fn name(&self) -> &str {
        self.hosts.name(self.node).unwrap_or_default()
    }

    /// The core's configuration for one life of the node.
    pub fn config(&self, incarnation: Incarnation) -> Config {
        Config {
            node: self.node,
            incarnation,
            cluster: self.cluster,
            links: self.links.iter().map(TabLink::config).collect(),
            excluded: self.excluded,
            configured: self.hosts.nodes(),
            timers: self.timers,
            flow: self.flow,
        }
    }
}

impl TabLink {
    /// The core's configuration of the link.
    pub fn config(&self) -> LinkConfig {
        LinkConfig {
            lowpri: self.lowpri,
            mtu: self.mtu,
            broadcast: self.broadcast.map(|ip| self.peer_addr(ip)),
            peers: self.peers.iter().map(|&(node, ip)| (node, self.peer_addr(ip))).collect(),
        }
    }

    /// What the UDP backend opens.
    pub fn udp(&self) -> UdpConfig {
        UdpConfig { local: self.local, broadcast: self.broadcast, mtu: self.mtu }
    }

    /// An address on this link: the same port everywhere, and the same interface.
    fn peer_addr(&self, ip: IpAddr) -> LinkAddr {
        let mut address = self.local;
        address.set_ip(ip);
        link_addr(address)
    }
}

#[cfg(test)]
mod tests;
