//! What the tests in network namespaces share.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Command;
use std::time::Duration;

use gab::snapshot::Snapshot;
use tools::muster::cluster::{TimerProfile, Transport};
use tools::muster::netns::place::At;
use tools::muster::netns::{Unavailable, inside};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::{Network, UpOptions};
use tools::muster::{control, wait};

use crate::process::LIMIT;

/// Three nodes with two Ethernet links, or UDP links with `MUSTER_TRANSPORT=udp`. The timers bear
/// that the machine does something else for a second.
pub(crate) fn ethernet() -> UpOptions {
    let udp = std::env::var("MUSTER_TRANSPORT").is_ok_and(|transport| transport == "udp");
    with(if udp { Transport::Udp } else { Transport::Ether }, 1500)
}

pub(crate) fn with(transport: Transport, mtu: u32) -> UpOptions {
    UpOptions {
        timers: TimerProfile::Patient,
        network: Network::Namespaces { transport, mtu },
        ..UpOptions::default()
    }
}

/// The cluster; `None` where namespaces are not to be had, with the reason on standard error. In
/// CI that is a failure.
pub(crate) fn up(options: &UpOptions) -> Option<Temporary> {
    match Temporary::up(options) {
        Ok(cluster) => Some(cluster),
        Err(error) if error.is::<Unavailable>() => {
            skip(&format!("{error:#}"));
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// Says why a test is not run; in CI it then fails.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "this test may not be skipped in CI: {why}");
    eprintln!("SKIPPED: {why}");
}

/// `ip` in the namespace of the switch.
pub(crate) fn switch_ip(cluster: &Temporary, words: &str) {
    let output = inside_of(cluster, At::Switch).arg("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The beginning of a command line in one of the namespaces, which finds the tools of root.
pub(crate) fn inside_of(cluster: &Temporary, at: At) -> Command {
    let mut command: Command = inside(&cluster.cluster, &cluster.binaries, at).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Waits until what `node` shows is as it should be.
pub(crate) fn wait_shown(
    cluster: &Temporary,
    node: u8,
    what: &str,
    is: impl Fn(&Snapshot) -> bool,
) {
    let mut last = None;
    let probe = || {
        let snapshot = control::snapshot(&cluster.cluster, node)?;
        let found = is(&snapshot).then_some(());
        last = Some(snapshot);
        Ok(found)
    };
    if let Err(error) = wait::until(&format!("node {node}: {what}"), LIMIT, probe) {
        panic!("{error:#}; it shows {:#?}", last.map(|last| last.llt.nodes));
    }
}

/// The time after which a silent link carries no data any more.
pub(crate) fn trouble(cluster: &Temporary) -> Duration {
    cluster.cluster.timers.llt().peer_trouble
}

/// The log of a node's gabd.
pub(crate) fn log(cluster: &Temporary, node: u8) -> String {
    std::fs::read_to_string(cluster.cluster.root(node).join("var/log/gabd.log")).unwrap()
}
