//! The workload `raw`: what the machine can carry if nobody orders or repeats anything.
//!
//! One process sends as fast as it can, one on every other node counts; what is lost is lost.
//! Messages are not packed: each is one packet, or several if it is longer than the MTU. The
//! figure is that of the node that got the least.

mod socket;
pub mod worker;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::super::binaries::Binaries;
use super::super::cli::{RawPath as Path, Workload};
use super::super::netns;
use super::super::netns::place::At;
use super::super::testbed::Network;
use super::client_process::Client;
use super::report::{Figures, Key};
use super::wires::Wires;

/// What the sender says in the end.
#[derive(Debug, Deserialize, Serialize)]
struct Sent {
    /// Time of sending in nanoseconds.
    ns: u64,
}

/// Bytes that a stack puts in front of a message.
const HEADER: usize = 32;
/// What a datagram can hold over IPv4.
const DATAGRAM_MAX: usize = 65_507;
/// Headers of IPv4 and UDP.
const IP_UDP: usize = 28;

/// Where it is measured.
#[derive(Debug)]
pub(super) struct Raw {
    nodes: u8,
    binaries: Binaries,
    /// None on the loopback.
    wires: Option<(Wires, usize)>,
}

impl Raw {
    /// In namespaces of its own, if the cluster is in such.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn new(nodes: u8, network: Network) -> Result<Self> {
        let wires = match network {
            Network::Loopback => None,
            Network::Namespaces { mtu, .. } => {
                Some((Wires::up(nodes, mtu)?, usize::try_from(mtu)?))
            }
        };
        Ok(Self { nodes, binaries: Binaries::locate()?, wires })
    }

    /// One round with messages of `size`.
    ///
    /// # Errors
    /// If a process fails.
    pub(super) fn measure(&self, size: u32, time: Duration, figures: &mut Figures) -> Result<()> {
        for path in Path::value_variants() {
            if self.wires.is_none() && *path == Path::Packet {
                continue;
            }
            let name = match path {
                Path::Packet => "packet broadcast",
                Path::Udp => "udp",
                Path::UdpGso => "udp gso",
            };
            let key = Key { path: Some(name), ..Key::new(Workload::Raw, self.nodes, size) };
            let rate = self.one(*path, usize::try_from(size)? + HEADER, time);
            figures.add_rate(key, rate.with_context(|| format!("raw, {name}, {size} bytes"))?);
        }
        Ok(())
    }

    /// Messages per second at the slowest receiver.
    fn one(&self, path: Path, message: usize, time: Duration) -> Result<f64> {
        let packet = packet_len(message, self.packet_max(path));
        let mut receivers = Vec::new();
        for node in 1..self.nodes {
            receivers.push(Client::start(self.command(node, path, packet, time)?, node)?);
        }
        let limit = Duration::from_secs(60);
        let mut command = self.command(0, path, packet, time)?;
        command.arg("--sends");
        for (node, receiver) in (1..).zip(&mut receivers) {
            let port: u16 = receiver.hear(limit)?;
            if path != Path::Packet {
                command.arg("--to").arg(SocketAddrV4::new(self.address(node), port).to_string());
            }
        }
        let mut sender = Client::start(command, 0)?;
        let _: u16 = sender.hear(limit)?;
        sender.say(&"go")?;
        let sent: Sent = sender.hear(limit + time)?;
        let mut least = u64::MAX;
        for receiver in &mut receivers {
            receiver.say(&"stop")?;
            least = least.min(receiver.hear(limit)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        Ok(least as f64 / message as f64 * 1e9 / sent.ns.max(1) as f64)
    }

    fn command(&self, node: u8, path: Path, packet: usize, time: Duration) -> Result<Command> {
        let program = self.binaries.path("muster");
        let mut command = match &self.wires {
            None => Command::new(program),
            Some((wires, _)) => {
                let mut command = netns::inside(wires.cluster(), wires.binaries(), At::Node(node))?;
                command.arg(program);
                command
            }
        };
        command.arg("bench-raw").arg("--parent").arg(std::process::id().to_string());
        let name = path.to_possible_value().context("every path has a name")?;
        command.arg("--path").arg(name.get_name());
        command.arg("--packet").arg(packet.to_string());
        command.arg("--time-ms").arg(time.as_millis().to_string());
        Ok(command)
    }

    fn address(&self, node: u8) -> Ipv4Addr {
        self.wires
            .as_ref()
            .map_or(Ipv4Addr::LOCALHOST, |(wires, _)| wires.cluster().address(node, 0))
    }

    fn packet_max(&self, path: Path) -> usize {
        match (&self.wires, path) {
            (None, _) => DATAGRAM_MAX,
            (Some((_, mtu)), Path::Packet) => *mtu,
            (Some((_, mtu)), Path::Udp | Path::UdpGso) => mtu - IP_UDP,
        }
    }
}

/// Bytes of each of the packets that a message is cut into; together they are the message, or a
/// few bytes more.
fn packet_len(message: usize, packet_max: usize) -> usize {
    message.div_ceil(message.div_ceil(packet_max))
}

/// Packets of this length that one datagram may be cut into.
fn segments(packet: usize) -> usize {
    // UDP_MAX_SEGMENTS of older kernels.
    (DATAGRAM_MAX / packet).clamp(1, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_packet_or_as_few_equal_ones_as_fit() {
        assert_eq!(packet_len(96, 1500), 96);
        assert_eq!(packet_len(1500, 1500), 1500);
        assert_eq!(packet_len(1501, 1500), 751);
        assert_eq!(packet_len(65_568, 8972), 8196);
        assert_eq!((segments(96), segments(8196), segments(60_000)), (64, 7, 1));
    }
}
