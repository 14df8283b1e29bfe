//! A block of UDP ports and a cluster id that nobody else has.
//!
//! Under the lock of the user's list: what the list says is taken by a cluster that still exists is
//! left out, even while its daemons are down, and what remains is tried by binding it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, FILE};
use super::places;

/// What a cluster was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allocation {
    /// LLT cluster id.
    pub cluster_id: u16,
    /// UDP port of link 0, a multiple of eight.
    pub port_base: u16,
    /// Added to the node id in the last byte of the address.
    pub address_offset: u8,
}

/// The user's list of clusters, locked.
#[derive(Debug)]
pub struct UserList {
    file: File,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Entry {
    dir: PathBuf,
    cluster_id: u16,
    port_base: u16,
}

impl UserList {
    /// Locks and reads the list, without the clusters that are no more.
    ///
    /// # Errors
    /// If it cannot be locked or read. A list that is damaged counts as empty: the probing finds
    /// what runs.
    pub fn lock() -> Result<Self> {
        let mut file = places::lock_user_list()?;
        let mut text = String::new();
        file.read_to_string(&mut text).context("cannot read the list of clusters")?;
        let mut entries: Vec<Entry> = serde_json::from_str(&text).unwrap_or_default();
        entries.retain(Entry::exists);
        Ok(Self { file, entries })
    }

    /// Finds ports on the loopback for `links` links of `nodes` nodes and an id, and enters them
    /// for `dir`.
    ///
    /// # Errors
    /// If nothing is free; nothing was entered.
    pub fn allocate(&mut self, dir: &Path, nodes: u8, links: u8) -> Result<Allocation> {
        let random = random_u64();
        let address_offset = address_offset(nodes)?;
        let port_base = blocks(random)
            .filter(|base| self.entries.iter().all(|entry| entry.port_base != *base))
            .find(|base| is_free(*base, nodes, links, address_offset))
            .context("no block of UDP ports is free on 127.77.x.x in 49152..65535")?;
        let cluster_id = self.enter(dir, port_base, random)?;
        Ok(Allocation { cluster_id, port_base, address_offset })
    }

    /// Finds an id and enters it for `dir`. In namespaces all ports are free, and addresses begin
    /// with 1, for 10.77.L.0 is the network's.
    ///
    /// # Errors
    /// If none is free; nothing was entered.
    pub fn allocate_id(&mut self, dir: &Path) -> Result<Allocation> {
        let cluster_id = self.enter(dir, NO_PORTS, random_u64())?;
        Ok(Allocation { cluster_id, port_base: 50_000, address_offset: 1 })
    }

    fn enter(&mut self, dir: &Path, port_base: u16, random: u64) -> Result<u16> {
        let start = u16::try_from(random >> 48).expect("sixteen bits are left");
        let cluster_id = (0..=u16::MAX)
            .map(|step| start.wrapping_add(step))
            .filter(|id| *id != 0)
            .find(|id| self.entries.iter().all(|entry| entry.cluster_id != *id))
            .context("no cluster id is free")?;
        self.entries.push(Entry { dir: dir.to_owned(), cluster_id, port_base });
        self.write()?;
        Ok(cluster_id)
    }

    /// Gives back what the cluster in `dir` has.
    ///
    /// # Errors
    /// If the list cannot be written; the entry goes with the next change, as `dir` is empty.
    pub fn release(&mut self, dir: &Path) -> Result<()> {
        self.entries.retain(|entry| entry.dir != dir);
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.entries)?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text).context("cannot write the list of clusters")
    }
}

impl Entry {
    /// Is the cluster still the one of its folder?
    fn exists(&self) -> bool {
        self.dir.join(FILE).exists()
            && Cluster::load(&self.dir).is_ok_and(|cluster| cluster.cluster_id == self.cluster_id)
    }
}

/// In the list for a cluster that takes no ports of this network.
const NO_PORTS: u16 = 0;
/// Ports of one block, one per link that a node can have.
const BLOCK: u16 = 8;
const PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Bases of all blocks, from a random one on: those first from which the system does not take
/// ports of its own accord, so that no socket of somebody else sits there at the next start.
fn blocks(random: u64) -> impl Iterator<Item = u16> {
    let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let mut bounds = text.split_ascii_whitespace().map(str::parse::<u16>);
            Some(bounds.next()?.ok()?..=bounds.next()?.ok()?)
        })
        .unwrap_or(32_768..=60_999);
    let all: Vec<u16> = PORTS.step_by(usize::from(BLOCK)).collect();
    let (late, early): (Vec<u16>, Vec<u16>) = all
        .into_iter()
        .partition(|base| ephemeral.contains(base) || ephemeral.contains(&(base + (BLOCK - 1))));
    let turn = |list: Vec<u16>| {
        let from = usize::try_from(random % 2048).expect("below 2048") % list.len().max(1);
        let length = list.len();
        list.into_iter().cycle().skip(from).take(length)
    };
    turn(early).chain(turn(late))
}

/// 0 if 127.77.L.N can be the address of node N, which is so on every Linux that was tried; 1 if
/// the system takes 127.77.0.0 for a network's own address.
fn address_offset(nodes: u8) -> Result<u8> {
    if UdpSocket::bind((Ipv4Addr::new(127, 77, 0, 0), 0)).is_ok() {
        return Ok(0);
    }
    if UdpSocket::bind((Ipv4Addr::new(127, 77, 0, nodes), 0)).is_ok() {
        return Ok(1);
    }
    bail!("cannot bind 127.77.0.{nodes}: the testbed needs all of 127.0.0.0/8 on the loopback")
}

/// Can every socket of the cluster be bound?
fn is_free(base: u16, nodes: u8, links: u8, offset: u8) -> bool {
    (0..links).all(|link| {
        (0..nodes).all(|node| {
            let address = Ipv4Addr::new(127, 77, link, node + offset);
            UdpSocket::bind((address, base + u16::from(link))).is_ok()
        })
    })
}

fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    // Short only if a signal comes before the first byte; zeros are then as good a start.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_tried_once_and_none_leaves_the_range() {
        let mut seen: Vec<u16> = blocks(12_345).collect();
        assert_eq!(seen.len(), 2048);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2048);
        assert_eq!(seen[0], 49_152);
        assert_eq!(seen[2047], 65_528);
    }

    #[test]
    fn a_block_in_use_is_not_free() {
        let (base, socket) = blocks(random_u64())
            .find_map(|base| {
                Some((base, UdpSocket::bind((Ipv4Addr::new(127, 77, 1, 2), base + 1)).ok()?))
            })
            .unwrap();
        assert!(!is_free(base, 3, 2, 0));
        drop(socket);
    }
}
