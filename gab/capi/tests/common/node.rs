//! Nodes for the tests: a root folder each, and gabd in it.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::build::gabd;
use super::wait_for;

/// One node; gabd is killed with it.
#[derive(Debug)]
pub(crate) struct Node {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// So many running nodes, of one cluster on two links over the loopback.
pub(crate) fn cluster(size: u8) -> Vec<Node> {
    // Ports that are free now; each node has addresses of its own, so a port is enough for all.
    let probes: Vec<UdpSocket> =
        (0..2).map(|link| UdpSocket::bind((format!("127.68.{link}.1"), 0)).unwrap()).collect();
    let ports: Vec<u16> = probes.iter().map(|probe| probe.local_addr().unwrap().port()).collect();
    drop(probes);
    let mut nodes: Vec<Node> = (0..size).map(|id| configured(id, size, &ports)).collect();
    nodes.iter_mut().for_each(Node::start);
    nodes
}

fn configured(id: u8, size: u8, ports: &[u16]) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    fs::create_dir_all(&etc).unwrap();
    let hosts: String = (0..size).fold(String::new(), |mut hosts, node| {
        writeln!(hosts, "{node} node{node}").unwrap();
        hosts
    });
    fs::write(etc.join("llthosts"), hosts).unwrap();
    fs::write(etc.join("llttab"), llttab(id, size, ports)).unwrap();
    fs::write(etc.join("gabtab"), format!("/sbin/gabconfig -c -n{size} -t 100\n")).unwrap();
    Node { folder, child: None }
}

/// The timers bear that the machine does something else for a while.
fn llttab(id: u8, size: u8, ports: &[u16]) -> String {
    let mut text = format!("set-node {id}\nset-cluster {}\n", ports[0]);
    for (link, port) in ports.iter().enumerate() {
        writeln!(text, "link l{link} udp - udp {port} - 127.68.{link}.{} -", id + 1).unwrap();
        for node in 0..size {
            writeln!(text, "set-addr {node} l{link} 127.68.{link}.{}", node + 1).unwrap();
        }
    }
    text.push_str("set-timer heartbeat:50ms heartbeatlo:100ms\n");
    text.push_str("set-timer peertrouble:4s peertroublelo:5s peerinact:10s\n");
    text
}

impl Node {
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    fn start(&mut self) {
        let stderr = fs::File::create(self.root().join("stderr")).unwrap();
        let mut command = Command::new(gabd());
        command.arg("--root").arg(self.root()).stdin(Stdio::null()).stderr(stderr);
        command.env_remove("MUSTER_LOG").env("MUSTER_NO_RT", "1");
        self.child = Some(command.spawn().unwrap());
        wait_for("gab.sock", || client::client::Admin::connect(self.root()).is_ok());
    }

    /// Stops gabd in order, or kills it.
    pub(crate) fn end(&mut self, signal: Signal) {
        let mut child = self.child.take().expect("gabd runs");
        kill_process(Pid::from_child(&child), signal).unwrap();
        wait_for("the end of gabd", || child.try_wait().unwrap().is_some());
    }

    /// What gabd has used of a processor so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let pid = self.child.as_ref().expect("gabd runs").id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // Its name may contain anything, in brackets; user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        // Linux shows hundredths of a second, whatever it counts in.
        Duration::from_millis(10 * ticks)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
