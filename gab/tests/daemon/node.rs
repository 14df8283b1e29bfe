//! Nodes for the tests: a root folder each, and gabd in it.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use llt::io::Clock;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, kill_process};

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// Nodes that know each other over two links on the loopback.
pub(crate) fn cluster(size: u8) -> Vec<Node> {
    // Ports that are free now; each node has addresses of its own, so a port is enough for all.
    let probes: Vec<UdpSocket> =
        (0..2).map(|link| UdpSocket::bind((format!("127.66.{link}.1"), 0)).unwrap()).collect();
    let ports: Vec<u16> = probes.iter().map(|probe| probe.local_addr().unwrap().port()).collect();
    drop(probes);
    (0..size)
        .map(|id| {
            let folder = tempfile::tempdir().unwrap();
            let etc = folder.path().join("etc");
            fs::create_dir_all(&etc).unwrap();
            let hosts: String = (0..size).map(|node| format!("{node} node{node}\n")).collect();
            fs::write(etc.join("llthosts"), hosts).unwrap();
            fs::write(etc.join("llttab"), llttab(id, size, &ports)).unwrap();
            let gabtab = format!("/sbin/gabconfig -c -n{size} -t 100\n");
            fs::write(etc.join("gabtab"), gabtab).unwrap();
            Node { folder, child: None }
        })
        .collect()
}

/// A node with the configuration of node 0 of a cluster, id and all, at addresses of its own.
pub(crate) fn twin(node: &Node) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    fs::create_dir_all(&etc).unwrap();
    for file in ["llthosts", "gabtab", "llttab"] {
        let text = fs::read_to_string(node.root().join("etc").join(file)).unwrap();
        let own = |line: &str| line.starts_with("link") || line.starts_with("set-addr 0 ");
        let move_away = |line: &str| {
            let words = line.split(' ').map(|word| match word.strip_prefix("127.66.") {
                Some(rest) if own(line) => format!("127.66.{}.101", &rest[..1]),
                _ => word.to_owned(),
            });
            words.collect::<Vec<_>>().join(" ") + "\n"
        };
        fs::write(etc.join(file), text.lines().map(move_away).collect::<String>()).unwrap();
    }
    Node { folder, child: None }
}

/// Nodes on two Ethernet links, whose devices are `n0l0`, `n0l1` and so on. Silence counts late.
pub(crate) fn ether_cluster(size: u8) -> Vec<Node> {
    let nodes = cluster(size);
    for (id, node) in nodes.iter().enumerate() {
        let text = format!(
            "set-node {id}\nset-cluster 7\n\
             link l0 n{id}l0 - ether - -\nlink l1 n{id}l1 - ether - -\n\
             set-timer heartbeat:50ms heartbeatlo:100ms\n\
             set-timer peertrouble:30s peertroublelo:40s peerinact:60s\n"
        );
        fs::write(node.root().join("etc/llttab"), text).unwrap();
    }
    nodes
}

fn llttab(id: u8, size: u8, ports: &[u16]) -> String {
    use std::fmt::Write;
    let mut text = format!("set-node {id}\nset-cluster {}\n", ports[0]);
    for (link, port) in ports.iter().enumerate() {
        writeln!(text, "link l{link} udp - udp {port} - 127.66.{link}.{} -", id + 1).unwrap();
        for node in 0..size {
            writeln!(text, "set-addr {node} l{link} 127.66.{link}.{}", node + 1).unwrap();
        }
    }
    text.push_str("set-timer heartbeat:50ms heartbeatlo:100ms\n");
    text.push_str("set-timer peertrouble:500ms peertroublelo:1s peerinact:2s\n");
    text
}

impl Node {
    /// A cluster of one.
    pub(crate) fn alone() -> Self {
        cluster(1).pop().unwrap()
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gabd"));
        command.arg("--root").arg(self.root()).args(args).stdin(Stdio::null());
        command.env_remove("MUSTER_LOG").env("MUSTER_NO_RT", "1");
        command
    }

    /// Runs gabd to its end; exit code and standard error.
    pub(crate) fn run(&mut self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts gabd and waits until it answers.
    pub(crate) fn start(&mut self, args: &[&str]) {
        let command = self.command(args);
        self.spawn(command).unwrap();
    }

    /// The same as another user, who gets the folder of the node and may have no right to run gabd.
    pub(crate) fn start_as(&mut self, user: u32, args: &[&str]) -> io::Result<()> {
        for path in [self.root().to_owned(), self.root().join("etc")] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
        let mut command = self.command(args);
        command.uid(user).gid(user);
        self.spawn(command)
    }

    fn spawn(&mut self, mut command: Command) -> io::Result<()> {
        let stderr = fs::File::create(self.stderr_path()).unwrap();
        self.child = Some(command.stderr(stderr).spawn()?);
        wait_for("gab.sock", || gab::client::Admin::connect(self.root()).is_ok());
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("gabd runs").id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of gabd; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("gabd runs");
        let mut status = None;
        wait_for("the end of gabd", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Lets gabd leave the cluster.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait(), Some(0));
    }

    fn stderr_path(&self) -> PathBuf {
        self.root().join("stderr")
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.stderr_path()).unwrap()
    }

    /// Its log, which begins a moment after it answers.
    pub(crate) fn log(&self) -> String {
        match fs::read_to_string(self.root().join("var/log/gabd.log")) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            log => log.unwrap(),
        }
    }

    /// A connection without a client.
    pub(crate) fn connect(&self) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .unwrap();
        let address = SocketAddrUnix::new(self.root().join("run/gab.sock")).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        socket
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

/// Waits until the log, which another thread writes, has a line with this in it.
pub(crate) fn logged(node: &Node, text: &str) {
    wait_for(text, || node.log().contains(text));
}

/// The same for what it says on stderr: the thread that answers is not the one that writes.
pub(crate) fn told(node: &Node, text: &str) {
    wait_for(text, || node.stderr().contains(text));
}

/// Waits until `done`, for as long as a machine that is busy with other tests may need.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let clock = Clock::new();
    let deadline = clock.now() + Duration::from_secs(60);
    while !done() {
        assert!(clock.now() < deadline, "{what} did not come");
        let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        rustix::event::poll(&mut [], Some(&moment)).unwrap();
    }
}
