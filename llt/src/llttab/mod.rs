//! `/etc/llttab` and `/etc/llthosts` (facts 1.3, 1.4), with every complaint at its place.
//!
//! [`LltTab::parse`] reads both and checks what they say together; all errors that can be told
//! apart are reported at once. Single values that an administrator changes while LLT runs go
//! through the same code: [`parse_timer`] and [`parse_flow`], judged by [`check_timers`] and
//! [`check_flow`], and [`TabLink::parse_line`].

mod added;
mod addresses;
mod check;
mod device;
mod directives;
mod flow;
mod hosts;
mod lexer;
mod link;
mod pairs;
mod parser;
mod report;
mod settings;
mod texts;
mod timers;
mod values;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::config::{Config, Flow, LinkConfig, Timers};
use crate::ids::{ClusterId, Incarnation, LinkAddr, NodeId, NodeSet};
use crate::io::udp::link_addr;
use crate::limits::{MTU_ETHER, MTU_UDP};

pub use addresses::AddressError;
pub use device::{Device, DeviceError};
pub use flow::{FlowError, check_flow, flow_rows, parse_flow};
pub use hosts::Hosts;
pub use lexer::{Word, words};
pub use report::{ConfigErrors, Problem, Source, Warning};
pub use settings::{Applied, SettingError};
pub use timers::{TimerError, check_timers, parse_timer, timer_rows};

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
    /// `set-checksum`: the level that the file asks for, for `lltstat -c`. Header and data of every
    /// frame have a checksum at each of them.
    pub checksum: Option<u8>,
    /// `set-dbg-minlinks`: with fewer links that can be opened LLT does not start. 1 by default.
    pub links_min: u8,
    /// `set-verbose`: debug lines in the log.
    pub verbose: bool,
    /// What was accepted, but is worth a word; in the order of lines.
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
    /// What it runs over.
    pub medium: Medium,
    /// The largest frame in bytes; `None` is the medium's own: that of the device, or 8192.
    pub mtu: Option<usize>,
    /// `set-bcasthb`: heartbeats go to the broadcast address.
    pub broadcast_heartbeats: bool,
    /// `set-arp`: peers without an address are looked for at the broadcast address.
    pub discover: bool,
    /// Static addresses of other nodes.
    pub peers: Vec<(NodeId, LinkAddr)>,
}

/// What a link runs over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Medium {
    /// Raw Ethernet.
    Ether {
        /// The device.
        device: Device,
        /// The ethertype.
        sap: u16,
    },
    /// UDP over IPv4 or IPv6.
    Udp {
        /// Own address and the port of the link.
        local: SocketAddr,
        /// Where one datagram reaches everybody.
        broadcast: Option<IpAddr>,
    },
}

impl LltTab {
    /// Reads both files. `read` reads the file that `set-node /path` names, as [`read_below`] does.
    ///
    /// # Errors
    /// Everything that is wrong with either, each with its place.
    pub fn parse(
        llttab: &Source,
        llthosts: &Source,
        read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, ConfigErrors> {
        let oversize: Vec<Problem> =
            [llttab, llthosts].into_iter().filter_map(Source::size_problem).collect();
        if !oversize.is_empty() {
            return Err(ConfigErrors::new(oversize));
        }
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

    /// The core's configuration for one life of the node. `mtus` are those of the links as they
    /// were opened, in order; where one is missing the link's own stands for it.
    pub fn config(&self, incarnation: Incarnation, mtus: &[usize]) -> Config {
        let links = self.links.iter().enumerate();
        let links = links.map(|(index, link)| link.config(mtus.get(index).copied()));
        Config {
            node: self.node,
            incarnation,
            cluster: self.cluster,
            links: links.collect(),
            excluded: self.excluded,
            configured: self.hosts.nodes(),
            timers: self.timers,
            flow: self.flow,
            listen: core::time::Duration::ZERO,
            keys: None,
        }
    }
}

impl TabLink {
    /// The core's configuration of the link, with the MTU that it was opened with.
    pub fn config(&self, mtu: Option<usize>) -> LinkConfig {
        LinkConfig {
            lowpri: self.lowpri,
            mtu: mtu.or(self.mtu).unwrap_or_else(|| self.medium.mtu()),
            broadcast: self.medium.broadcast(),
            broadcast_heartbeats: self.broadcast_heartbeats,
            discover: self.discover,
            peers: self.peers.clone(),
        }
    }
}

impl Medium {
    /// The MTU where neither `llttab` nor the device says another.
    pub const fn mtu(&self) -> usize {
        match self {
            Self::Ether { .. } => MTU_ETHER,
            Self::Udp { .. } => MTU_UDP,
        }
    }

    /// Where one frame reaches everybody.
    pub fn broadcast(&self) -> Option<LinkAddr> {
        match self {
            Self::Ether { .. } => Some(LinkAddr::Mac([0xFF; 6])),
            Self::Udp { local, broadcast } => broadcast.map(|ip| at(*local, ip)),
        }
    }
}

/// Reads a file that a configuration names by an absolute path, which lies below the root of the node.
///
/// # Errors
/// If it cannot be read; the error names where it was looked for, if that is elsewhere.
pub fn read_below(root: &Path, path: &str) -> io::Result<Vec<u8>> {
    let found = root.join(path.trim_start_matches('/'));
    std::fs::read(&found).map_err(|error| {
        if found == Path::new(path) {
            return error;
        }
        io::Error::new(error.kind(), format!("{error}; looked for {}", found.display()))
    })
}

/// An address on a UDP link: the same port everywhere, and the same interface.
fn at(mut local: SocketAddr, ip: IpAddr) -> LinkAddr {
    local.set_ip(ip);
    link_addr(local)
}

#[cfg(test)]
mod tests;
