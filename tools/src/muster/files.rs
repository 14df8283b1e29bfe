//! The configuration files of a node: `llttab`, `llthosts`, `gabtab`, and the key if there is one.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use llt::io::keyfile;

use super::cluster::{Cluster, Transport};

/// Makes the node's folder with its configuration.
///
/// # Errors
/// If the folder is there already, or cannot be written.
pub fn write(cluster: &Cluster, node: u8) -> Result<()> {
    let root = cluster.root(node);
    fs::create_dir(&root).with_context(|| format!("cannot create {}", root.display()))?;
    for folder in ["etc", "run", "var/log"] {
        fs::create_dir_all(root.join(folder))
            .with_context(|| format!("cannot create {}/{folder}", root.display()))?;
    }
    let texts = [
        ("llttab", llttab(cluster, node)),
        ("llthosts", llthosts(cluster)),
        ("gabtab", gabtab(cluster)),
    ];
    for (name, text) in texts {
        let path = root.join("etc").join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if cluster.keyed { write_key(cluster, node) } else { Ok(()) }
}

/// Makes the key of the cluster, or copies it from a node that has it.
fn write_key(cluster: &Cluster, node: u8) -> Result<()> {
    let path = |node| cluster.root(node).join("etc/muster.key");
    let made = cluster.ids().map(path).find(|path| path.exists());
    match made {
        // With its mode.
        Some(made) => fs::copy(made, path(node)).map(drop).map_err(Into::into),
        None => keyfile::write_new(&path(node)).map(drop).map_err(anyhow::Error::from),
    }
    .with_context(|| format!("cannot make {}", path(node).display()))
}

/// Ids of all nodes that the files name.
fn named(cluster: &Cluster) -> impl Iterator<Item = u8> + use<> {
    let phantoms = cluster.phantoms;
    let first = u8::try_from(cluster.nodes.len()).expect("up made at most 128");
    cluster.ids().chain(first..first + phantoms)
}

fn llttab(cluster: &Cluster, node: u8) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).and_then(|()| text.write_char('\n')).expect("a string takes all");
    };
    line(format_args!("set-node {}", cluster.node(node).name));
    line(format_args!("set-cluster {}", cluster.cluster_id));
    for link in 0..cluster.links {
        let (port, address) = (cluster.port(link), cluster.address(node, link));
        match (cluster.transport, cluster.netns) {
            (Transport::Ether, _) => line(format_args!("link link{link} eth{link} - ether - -")),
            (Transport::Udp, Some(netns)) => {
                // What fits a packet; the system would cut longer ones apart and lose them whole.
                let mtu = (netns.mtu - IP_UDP_LEN).max(MTU_LEAST);
                let broadcast = cluster.broadcast(link);
                line(format_args!("link link{link} udp - udp {port} {mtu} {address} {broadcast}"));
            }
            (Transport::Udp, None) => {
                line(format_args!("link link{link} udp - udp {port} {MTU_LOOPBACK} {address} -"));
            }
        }
    }
    // On Ethernet the nodes find each other; the loopback has no broadcasts.
    if cluster.netns.is_none() {
        for peer in named(cluster).filter(|peer| *peer != node) {
            for link in 0..cluster.links {
                let address = cluster.address(peer, link);
                line(format_args!("set-addr {peer} link{link} {address}"));
            }
        }
        line(format_args!("set-bcasthb 0"));
        line(format_args!("set-arp 0"));
    }
    let timers = cluster.timers.llt();
    if timers != llt::config::Timers::default() {
        let mut timer = |name: &str, value: Duration| {
            line(format_args!("set-timer {name}:{}ms", value.as_millis()));
        };
        timer("heartbeat", timers.heartbeat);
        timer("heartbeatlo", timers.heartbeat_lo);
        timer("peertrouble", timers.peer_trouble);
        timer("peertroublelo", timers.peer_trouble_lo);
        timer("peerinact", timers.peer_inact);
        timer("oos", timers.oos);
        timer("retrans", timers.retrans);
    }
    text
}

/// Headers of IPv4 and UDP.
const IP_UDP_LEN: u32 = 28;
/// The least that a link takes.
const MTU_LEAST: u32 = 576;
/// Frames on the loopback are as long as on Ethernet with jumbo frames: 8 KiB and headers fit one.
const MTU_LOOPBACK: u32 = 9000;

fn llthosts(cluster: &Cluster) -> String {
    named(cluster).map(|id| format!("{id} node{id}\n")).collect()
}

fn gabtab(cluster: &Cluster) -> String {
    let (count, stable) = (cluster.nodes.len(), cluster.timers.stable().as_millis());
    let quorum = if cluster.quorum { " -q" } else { "" };
    format!("/sbin/gabconfig -c -n{count} -t {stable}{quorum}\n")
}

#[cfg(test)]
mod tests {
    use super::super::cluster::tests::cluster;
    use super::super::netns::Namespaces;
    use super::*;

    #[test]
    fn llttab_names_every_peer_on_every_link() {
        assert_eq!(
            llttab(&cluster(), 1),
            "set-node node1\n\
             set-cluster 4711\n\
             link link0 udp - udp 61000 9000 127.77.0.1 -\n\
             link link1 udp - udp 61001 9000 127.77.1.1 -\n\
             set-addr 0 link0 127.77.0.0\n\
             set-addr 0 link1 127.77.1.0\n\
             set-addr 2 link0 127.77.0.2\n\
             set-addr 2 link1 127.77.1.2\n\
             set-bcasthb 0\n\
             set-arp 0\n\
             set-timer heartbeat:50ms\n\
             set-timer heartbeatlo:100ms\n\
             set-timer peertrouble:300ms\n\
             set-timer peertroublelo:600ms\n\
             set-timer peerinact:1000ms\n\
             set-timer oos:10ms\n\
             set-timer retrans:100ms\n"
        );
    }

    #[test]
    fn in_namespaces_the_links_have_broadcasts_and_need_no_addresses() {
        let mut cluster = Cluster { address_offset: 1, ..cluster() };
        cluster.netns = Some(Namespaces::new(1500));
        let lines = |cluster: &Cluster| -> Vec<String> {
            llttab(cluster, 1)
                .lines()
                .filter(|line| !line.starts_with("set-timer"))
                .map(str::to_owned)
                .collect()
        };
        let start = ["set-node node1", "set-cluster 4711"];
        let udp = [
            "link link0 udp - udp 61000 1472 10.77.0.2 10.77.0.255",
            "link link1 udp - udp 61001 1472 10.77.1.2 10.77.1.255",
        ];
        assert_eq!(lines(&cluster), [&start[..], &udp].concat());
        cluster.transport = Transport::Ether;
        let ether = ["link link0 eth0 - ether - -", "link link1 eth1 - ether - -"];
        assert_eq!(lines(&cluster), [&start[..], &ether].concat());
    }

    #[test]
    fn all_nodes_of_a_keyed_cluster_have_the_same_key_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let cluster = Cluster { keyed: true, dir, ..cluster() };
        (0..2).for_each(|node| write(&cluster, node).unwrap());
        let keys = (0..2).map(|node| {
            let path = cluster.root(node).join("etc/muster.key");
            // Refuses a file that others can read.
            let ring = keyfile::load(&path).unwrap().unwrap();
            ring.ids().collect::<Vec<_>>()
        });
        let keys: Vec<_> = keys.collect();
        assert_eq!(keys[0].len(), 1);
        assert_eq!(keys[0], keys[1]);
        let plain = Cluster { keyed: false, dir: folder.path().join("plain"), ..cluster };
        fs::create_dir(&plain.dir).unwrap();
        write(&plain, 0).unwrap();
        assert!(!plain.root(0).join("etc/muster.key").exists());
    }

    #[test]
    fn the_other_files_name_all_nodes_and_the_seed_count() {
        assert_eq!(llthosts(&cluster()), "0 node0\n1 node1\n2 node2\n");
        assert_eq!(gabtab(&cluster()), "/sbin/gabconfig -c -n2 -t 100\n");
        let majority = Cluster { quorum: true, ..cluster() };
        assert_eq!(gabtab(&majority), "/sbin/gabconfig -c -n2 -t 100 -q\n");
    }
}
