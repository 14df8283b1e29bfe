//! Settings of Corosync that are worth comparing with, as text of `corosync.conf`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// One way to run it.
#[derive(Debug)]
pub(in super::super) struct Settings {
    /// What distinguishes it, for people.
    pub(in super::super) name: &'static str,
    transport: &'static str,
    /// Lines of `totem`.
    totem: &'static [&'static str],
}

/// Those that were best at some size and number of senders (n = 2 to 8, device MTU 9000). Which one
/// it is depends on both and on the machine, so all are measured and the best stands for Corosync.
/// The defaults are three to ten times slower, and so is anything with real-time scheduling where
/// daemons and clients share few processors.
pub(in super::super) const CANDIDATES: [Settings; 3] = [
    Settings {
        name: "udpu, netmtu 8900, window_size 300, max_messages 100",
        transport: "udpu",
        totem: &["netmtu: 8900", "window_size: 300", "max_messages: 100"],
    },
    Settings {
        name: "udp (multicast), netmtu 8900, window_size 300, max_messages 100",
        transport: "udp",
        totem: &["netmtu: 8900", "window_size: 300", "max_messages: 100"],
    },
    Settings {
        name: "knet, window_size 300, max_messages 100",
        transport: "knet",
        totem: &["window_size: 300", "max_messages: 100"],
    },
];

/// Those that decide how soon a node is missed: what Corosync does by itself, and the shortest token
/// timeout that is stable on a machine with other load, for any number of nodes.
pub(in super::super) const DETECTORS: [Settings; 2] = [
    Settings { name: "corosync (defaults)", transport: "knet", totem: &[] },
    Settings {
        name: "corosync (token 150 ms)",
        transport: "udpu",
        totem: &["token: 150", "token_coefficient: 0"],
    },
];

/// MTU of the devices: what each of them is fastest with.
pub(in super::super) const MTU: u32 = 9000;

/// Ids of its nodes begin at 1.
pub(super) const NODE_ID_FIRST: u32 = 1;

impl Settings {
    /// `corosync.conf` of all nodes, which have these addresses, with its state in `state_dir`.
    pub(super) fn text(&self, addresses: &[Ipv4Addr], state_dir: &str) -> String {
        let mut text = String::from("totem {\n  version: 2\n  cluster_name: muster-bench\n");
        let _ = writeln!(text, "  transport: {}", self.transport);
        text.push_str("  crypto_cipher: none\n  crypto_hash: none\n");
        for line in self.totem {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str("}\nnodelist {\n");
        for (id, address) in (NODE_ID_FIRST..).zip(addresses) {
            let _ = writeln!(
                text,
                "  node {{\n    nodeid: {id}\n    name: node{id}\n    ring0_addr: {address}\n  }}"
            );
        }
        text.push_str("}\nsystem {\n  sched_rr: no\n");
        let _ = writeln!(text, "  state_dir: {state_dir}");
        text.push_str(
            "}\nlogging {\n  to_stderr: yes\n  to_logfile: no\n  to_syslog: no\n  \
             timestamp: off\n}\n",
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn every_candidate_is_a_file() {
        let addresses = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
        let texts: Vec<_> = CANDIDATES
            .iter()
            .chain(&DETECTORS)
            .map(|settings| format!("# {}\n{}", settings.name, settings.text(&addresses, "/run")))
            .collect();
        golden::check("muster-bench-corosync", &texts.join("\n"));
    }
}
