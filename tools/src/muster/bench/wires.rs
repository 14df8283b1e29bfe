//! Namespaces and cables without daemons of ours, for what is measured beside us.

use std::path::Path;

use anyhow::Result;

use super::super::binaries::Binaries;
use super::super::cluster::{Cluster, Node, TimerProfile, Transport, VERSION};
use super::super::netns::place::{At, Place};
use super::super::netns::{self, Namespaces};

/// One link between nodes in namespaces of the kind that `up --netns` makes. It goes when it is
/// dropped, and with the thread that made it.
#[derive(Debug)]
pub(super) struct Wires {
    cluster: Cluster,
    binaries: Binaries,
    folder: tempfile::TempDir,
}

impl Wires {
    /// Makes them, with devices of this MTU.
    pub(super) fn up(nodes: u8, mtu: u32) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        let cluster = Cluster {
            version: VERSION,
            dir: folder.path().to_owned(),
            made_dir: true,
            cluster_id: 0,
            transport: Transport::Ether,
            netns: Some(Namespaces::new(mtu)),
            port_base: 0,
            address_offset: 1,
            links: 1,
            timers: TimerProfile::Fast,
            phantoms: 0,
            keyed: false,
            quorum: false,
            attached: true,
            disks: 0,
            fuse: false,
            io_timeout: 30,
            relocd: false,
            nodes: (0..nodes).map(|id| Node::new(id, 1)).collect(),
        };
        let mut wires = Self { cluster, binaries: Binaries::locate()?, folder };
        netns::make(&mut wires.cluster, &wires.binaries)?;
        Ok(wires)
    }

    /// Names and addresses.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// gabd and muster.
    pub(super) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// For files beside them, gone with them.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The namespace of a node.
    pub(super) fn place(&self, node: u8) -> Result<Place> {
        self.cluster.netns.expect("they are what it was made with").place(At::Node(node))
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        if let Err(error) = netns::release(&self.cluster) {
            eprintln!("muster: cannot clean up: {error:#}");
        }
    }
}
