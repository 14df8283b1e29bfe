//! `cluster.json`: what a cluster consists of, and what was done to it.

use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use gab::admin::FaultRates;
use serde::{Deserialize, Serialize};

use super::netns::Namespaces;
use super::process::{Process, State};

/// Name of the file in the cluster's folder.
pub const FILE: &str = "cluster.json";

/// A cluster of the testbed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cluster {
    /// Format of the file; [`VERSION`].
    pub version: u32,
    /// The folder; where the file was found, so that a cluster may be looked at from anywhere.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The folder did not exist before: `down` removes it if it is empty then.
    pub made_dir: bool,
    /// LLT cluster id, no other cluster of this user has it.
    pub cluster_id: u16,
    /// What the links are.
    pub transport: Transport,
    /// Each node is a network namespace; else all are on the loopback.
    pub netns: Option<Namespaces>,
    /// UDP port of link 0; the others follow.
    pub port_base: u16,
    /// Node N of link L is 127.77.L.(N + this), or 10.77.L.(N + this) in namespaces: 0 on the
    /// loopback wherever 127.77.L.0 can be bound, else 1.
    pub address_offset: u8,
    /// Number of links, 1 to 8.
    pub links: u8,
    /// Timers of LLT and GAB.
    pub timers: TimerProfile,
    /// Nodes that are configured everywhere, but that nobody starts: the highest ids.
    #[serde(default)]
    pub phantoms: u8,
    /// All nodes have the same `etc/muster.key`.
    #[serde(default)]
    pub keyed: bool,
    /// Only a majority goes on (`gabconfig -q`).
    #[serde(default)]
    pub quorum: bool,
    /// The daemons die with the thread that started them.
    #[serde(default)]
    pub attached: bool,
    /// Shared disks, which all nodes call `disk_0` and so on. With any, CVM runs on every node.
    #[serde(default)]
    pub disks: u32,
    /// A vxfused on every node shows its volumes as files.
    #[serde(default)]
    pub fuse: bool,
    /// Seconds that vxiod waits for a disk; 0: for ever. A cluster of before has what vxiod has.
    #[serde(default = "io_timeout")]
    pub io_timeout: u64,
    /// A vxrelocd on every node relocates what has failed.
    #[serde(default)]
    pub relocd: bool,
    /// By id, without the phantoms.
    pub nodes: Vec<Node>,
}

/// What vxiod has by default.
const fn io_timeout() -> u64 {
    30
}

/// One node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Node {
    /// Node id, also its index.
    pub id: u8,
    /// Name in `llthosts`.
    pub name: String,
    /// gabd, as last started.
    pub gabd: Option<Process>,
    /// vxiod, as last started.
    #[serde(default)]
    pub vxiod: Option<Process>,
    /// vxconfigd, as last started.
    #[serde(default)]
    pub vxconfigd: Option<Process>,
    /// vxfused, as last started.
    #[serde(default)]
    pub vxfused: Option<Process>,
    /// vxrelocd, as last started.
    #[serde(default)]
    pub vxrelocd: Option<Process>,
    /// What is done to its frames, by link. A gabd that starts again gets it again.
    pub faults: Vec<LinkFaults>,
}

/// What is done to a node on one link.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LinkFaults {
    /// Its cable.
    pub cable: Cable,
    /// Nodes on the other side of a partition; the taps lose what comes from and goes to them.
    pub blocked: Vec<u8>,
    /// Probabilities and delay of the taps.
    pub rates: FaultRates,
}

/// State of the cable of a node on one link.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cable {
    /// What comes to the node is lost.
    OneWayIn,
    /// What the node sends is lost.
    OneWayOut,
    /// As it should be.
    #[default]
    Plugged,
    /// It is out: in namespaces, the node's device has no carrier.
    Pulled,
    /// Everything is lost, and the device does not notice.
    Silent,
}

/// What the links are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Raw Ethernet; needs --netns, and is its default
    Ether,
    /// UDP, the default without --netns
    Udp,
}

/// Timers by name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TimerProfile {
    /// The original's: peers are given up after 16 s.
    Default,
    /// Heartbeat 50 ms, trouble 300 ms, inactive 1000 ms, stable 100 ms.
    #[default]
    Fast,
    /// For crowded machines: inactive 3000 ms, stable 200 ms.
    Patient,
    /// The shortest without false alarms under load: inactive 90 ms, stable 15 ms.
    Shortest,
}

/// Format of `cluster.json`.
pub const VERSION: u32 = 2;

impl TimerProfile {
    /// LLT's timers.
    pub fn llt(self) -> llt::config::Timers {
        let fast = llt::config::Timers::fast();
        match self {
            Self::Default => llt::config::Timers::default(),
            Self::Fast => fast,
            Self::Patient => llt::config::Timers {
                peer_trouble: Duration::from_millis(900),
                peer_trouble_lo: Duration::from_millis(1800),
                peer_inact: Duration::from_millis(3000),
                ..fast
            },
            Self::Shortest => llt::config::Timers {
                heartbeat: Duration::from_millis(10),
                heartbeat_lo: Duration::from_millis(20),
                peer_trouble: Duration::from_millis(40),
                peer_trouble_lo: Duration::from_millis(80),
                peer_inact: Duration::from_millis(90),
                oos: Duration::from_millis(5),
                retrans: Duration::from_millis(80),
                ..fast
            },
        }
    }

    /// GAB's stable timeout.
    pub fn stable(self) -> Duration {
        match self {
            Self::Default => Duration::from_millis(5000),
            Self::Fast => Duration::from_millis(100),
            Self::Patient => Duration::from_millis(200),
            Self::Shortest => Duration::from_millis(15),
        }
    }

    /// How long a membership may take to change on a bad day.
    pub fn patience(self) -> Duration {
        (self.llt().peer_inact + self.stable()) * 4 + Duration::from_secs(30)
    }
}

impl LinkFaults {
    /// Is there any?
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl Cable {
    /// In words, for a listing of faults; `None` if it is plugged.
    pub fn describe(self) -> Option<&'static str> {
        match self {
            Self::OneWayIn => Some("hears nothing"),
            Self::OneWayOut => Some("is not heard"),
            Self::Plugged => None,
            Self::Pulled => Some("cut"),
            Self::Silent => Some("cut silently"),
        }
    }
}

impl Cluster {
    /// Reads the cluster in `dir`.
    ///
    /// # Errors
    /// If there is none, or its file is not one of ours.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("there is no cluster in {}: muster up", dir.display())
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let mut cluster: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a file of muster's", path.display()))?;
        if cluster.version != VERSION {
            bail!("{} is of another version of muster ({})", path.display(), cluster.version);
        }
        dir.clone_into(&mut cluster.dir);
        Ok(cluster)
    }

    /// Writes the file anew; a reader sees the old one or the new one.
    ///
    /// # Errors
    /// If it cannot be written; then the old one stands.
    pub fn save(&self) -> Result<()> {
        let path = self.dir.join(FILE);
        let fresh = self.dir.join(".cluster.json.new");
        let write = || -> Result<()> {
            let mut file = File::create(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            fs::rename(&fresh, &path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// The node with this id or name.
    ///
    /// # Errors
    /// If there is none; the message names those that there are.
    pub fn find(&self, name: &str) -> Result<u8> {
        let by_id = name.parse::<u8>().ok();
        self.nodes
            .iter()
            .find(|node| node.name == name || by_id == Some(node.id))
            .map(|node| node.id)
            .with_context(|| {
                format!("there is no node {name}: nodes are 0 to {}", self.nodes.len() - 1)
            })
    }

    /// The link with this number or tag.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_link(&self, name: &str) -> Result<u8> {
        name.strip_prefix("link")
            .unwrap_or(name)
            .parse::<u8>()
            .ok()
            .filter(|link| *link < self.links)
            .with_context(|| format!("there is no link {name}: links are 0 to {}", self.links - 1))
    }

    /// A node by its id, which [`Cluster::find`] gave.
    pub fn node(&self, id: u8) -> &Node {
        &self.nodes[usize::from(id)]
    }

    /// The same, to change it.
    pub fn node_mut(&mut self, id: u8) -> &mut Node {
        &mut self.nodes[usize::from(id)]
    }

    /// The node's root, which its daemons and commands get as `--root`.
    pub fn root(&self, id: u8) -> PathBuf {
        self.dir.join(format!("node{id}"))
    }

    /// The ids of the nodes.
    pub fn ids(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.nodes.len()).expect("up made at most 128")
    }

    /// Ids of the nodes whose gabd runs and is not stopped.
    pub fn running(&self) -> Vec<u8> {
        self.ids().filter(|id| self.node(*id).state() == State::Running).collect()
    }

    /// UDP port of a link.
    pub fn port(&self, link: u8) -> u16 {
        self.port_base + u16::from(link)
    }

    /// IP address of a node on a link.
    pub fn address(&self, node: u8, link: u8) -> Ipv4Addr {
        Ipv4Addr::new(self.network(), 77, link, node + self.address_offset)
    }

    /// IP address of all nodes on a link, where it has one.
    pub fn broadcast(&self, link: u8) -> Ipv4Addr {
        Ipv4Addr::new(self.network(), 77, link, 255)
    }

    fn network(&self) -> u8 {
        if self.netns.is_some() { 10 } else { 127 }
    }
}

impl Node {
    /// One of which nothing was started, with so many links.
    pub fn new(id: u8, links: u8) -> Self {
        Self {
            id,
            name: format!("node{id}"),
            gabd: None,
            vxiod: None,
            vxconfigd: None,
            vxfused: None,
            vxrelocd: None,
            faults: vec![LinkFaults::default(); usize::from(links)],
        }
    }

    /// What its gabd does.
    pub fn state(&self) -> State {
        self.gabd.map_or(State::Gone, Process::state)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two nodes with two links on the loopback, and a phantom.
    pub(in super::super) fn cluster() -> Cluster {
        Cluster {
            version: VERSION,
            dir: "/d".into(),
            made_dir: false,
            cluster_id: 4711,
            transport: Transport::Udp,
            netns: None,
            port_base: 61_000,
            address_offset: 0,
            links: 2,
            timers: TimerProfile::Fast,
            phantoms: 1,
            keyed: false,
            disks: 0,
            fuse: false,
            relocd: false,
            io_timeout: io_timeout(),
            quorum: false,
            attached: false,
            nodes: vec![Node::new(0, 2), Node::new(1, 2)],
        }
    }
}
