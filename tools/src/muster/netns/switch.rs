//! The bridges and the cables: made, pulled, plugged.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::super::binaries::Binaries;
use super::super::cluster::{Cable, Cluster};
use super::place::At;
use super::{inside, system};

/// Name of the port of a node's cable on the bridge of a link.
pub fn port(node: u8, link: u8) -> String {
    format!("node{node}-link{link}")
}

/// Name of the bridge of a link.
pub fn bridge(link: u8) -> String {
    format!("link{link}")
}

/// Makes bridges, cables and devices, and gives the nodes their addresses.
pub(super) fn build(cluster: &Cluster, binaries: &Binaries) -> Result<()> {
    let netns = cluster.netns.context("it has namespaces")?;
    let mtu = netns.mtu;
    let mut batch = Batch::default();
    for link in 0..cluster.links {
        let bridge = bridge(link);
        // A bridge that is to be a cable: it learns addresses and does nothing else.
        batch.line(format_args!(
            "link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        ));
        batch.line(format_args!("link set {bridge} mtu {mtu} up"));
    }
    for node in cluster.ids() {
        let place = netns.place(At::Node(node))?.path();
        for link in 0..cluster.links {
            let (port, bridge) = (port(node, link), bridge(link));
            batch.line(format_args!(
                "link add {port} mtu {mtu} type veth peer name eth{link} mtu {mtu} netns {place}"
            ));
            batch.line(format_args!("link set {port} master {bridge} up"));
        }
    }
    batch.run(cluster, binaries, At::Switch)?;
    for node in cluster.ids() {
        let mut batch = Batch::default();
        batch.line(format_args!("link set lo up"));
        for link in 0..cluster.links {
            let (address, broadcast) = (cluster.address(node, link), cluster.broadcast(link));
            batch.line(format_args!("addr add {address}/24 broadcast {broadcast} dev eth{link}"));
            batch.line(format_args!("link set eth{link} up"));
        }
        batch.run(cluster, binaries, At::Node(node))?;
    }
    Ok(())
}

/// Brings these cables, of a node and a link each, into the state that `cluster` has for them.
///
/// # Errors
/// If `ip` or `nft` fails: then some may be in it and some not.
pub fn set_cables(cluster: &Cluster, binaries: &Binaries, cables: &[(u8, u8)]) -> Result<()> {
    let Some(netns) = cluster.netns else { return Ok(()) };
    let mut batch = Batch::default();
    for (node, link) in cables {
        let (port, bridge) = (port(*node, *link), bridge(*link));
        match cluster.node(*node).faults[usize::from(*link)].cable {
            // The other end loses its carrier, as the node's own card would.
            Cable::Pulled => batch.line(format_args!("link set {port} down")),
            // A port of no bridge swallows what it gets, and its other end notices nothing.
            Cable::Silent => batch.line(format_args!("link set {port} nomaster up")),
            Cable::OneWayIn | Cable::OneWayOut | Cable::Plugged => {
                batch.line(format_args!("link set {port} master {bridge} up"));
            }
        }
    }
    batch.run(cluster, binaries, At::Switch)?;
    if netns.nft {
        let nft = system::nft().context("nft is gone since the cluster was made")?;
        run(cluster, binaries, At::Switch, &nft, &["-f", "-"], &rules(cluster))?;
    }
    Ok(())
}

/// Can the switch lose frames by nftables?
pub(super) fn has_nft(cluster: &Cluster, binaries: &Binaries) -> bool {
    let tried = system::nft()
        .map(|nft| run(cluster, binaries, At::Switch, &nft, &["-f", "-"], &rules(cluster)));
    matches!(tried, Some(Ok(())))
}

/// All rules of the switch, which replace those before them in one step.
fn rules(cluster: &Cluster) -> String {
    let mut drops = String::new();
    for node in cluster.ids() {
        for (link, faults) in (0..).zip(&cluster.node(node).faults) {
            let device = match faults.cable {
                Cable::OneWayIn => "oifname",
                Cable::OneWayOut => "iifname",
                Cable::Plugged | Cable::Pulled | Cable::Silent => continue,
            };
            let _ = writeln!(drops, "    {device} \"{}\" counter drop", port(node, link));
        }
    }
    // Only a table that is there can be deleted, so it is added first.
    format!(
        "table bridge muster\ndelete table bridge muster\ntable bridge muster {{\n  \
         chain cables {{\n    type filter hook forward priority 0; policy accept;\n{drops}  }}\n}}\n"
    )
}

/// Lines for `ip -batch`.
#[derive(Debug, Default)]
struct Batch {
    text: String,
}

impl Batch {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    fn run(self, cluster: &Cluster, binaries: &Binaries, at: At) -> Result<()> {
        run(cluster, binaries, at, &system::ip()?, &["-batch", "-"], &self.text)
    }
}

/// Runs a program in a namespace with `input`.
fn run(
    cluster: &Cluster,
    binaries: &Binaries,
    at: At,
    program: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<()> {
    let mut command = inside(cluster, binaries, at)?;
    command.arg(program).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let mut stdin = child.stdin.take().context("it was piped")?;
    // Who failed early has closed it; what it said tells why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said.trim_end();
    // `ip -batch` names the line that failed by its number.
    let line = said
        .rsplit_once("Command failed -:")
        .and_then(|(_, number)| number.trim().parse::<usize>().ok())
        .and_then(|number| input.lines().nth(number.checked_sub(1)?));
    let line = line.map(|line| format!(" (ip {line})")).unwrap_or_default();
    bail!("{} failed{line}: {said}", program.display())
}

#[cfg(test)]
mod tests {
    use super::super::super::cluster::tests::cluster;
    use super::*;

    #[test]
    fn one_way_loss_is_a_rule_and_plugging_takes_it_away() {
        let mut cluster = cluster();
        cluster.node_mut(1).faults[0].cable = Cable::OneWayIn;
        cluster.node_mut(0).faults[1].cable = Cable::OneWayOut;
        let text = rules(&cluster);
        assert!(text.contains("    oifname \"node1-link0\" counter drop\n"), "{text}");
        assert!(text.contains("    iifname \"node0-link1\" counter drop\n"), "{text}");
        for node in [0, 1] {
            cluster.node_mut(node).faults.fill_with(Default::default);
        }
        assert!(!rules(&cluster).contains("drop"));
    }

    #[test]
    fn names_of_devices_fit_into_what_linux_allows() {
        assert!(port(127, 7).len() < 16);
    }
}
