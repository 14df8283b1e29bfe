//! The testbed itself in network namespaces: as root and as an ordinary user, and what remains of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::netns::{ethernet, skip, up};
use crate::process::{LIMIT, beside_another, incarnation, muster, port, roots, sequencer, text};
use rustix::process::Signal;
use tools::muster::binaries::Binaries;
use tools::muster::cluster::{Cable, Cluster};
use tools::muster::formed::wait_formed;
use tools::muster::process::State;
use tools::muster::storm::{Plan, Storm, check};

#[test]
fn s01_the_sequencer_killed_in_a_storm_rejoins() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let victim = sequencer(&cluster);
    let before = incarnation(&cluster, victim);
    let storm = Storm::start(&roots(&cluster), Plan::on(port('S')), LIMIT).unwrap();
    storm.wait_progress(victim, 1000, LIMIT).unwrap();
    assert!(cluster.kill(victim).unwrap());
    let survivors: Vec<u8> = cluster.cluster.ids().filter(|id| *id != victim).collect();
    wait_formed(&cluster.cluster, &survivors, LIMIT).unwrap();
    for survivor in &survivors {
        storm.wait_progress(*survivor, 500, LIMIT).unwrap();
    }
    let logs = storm.finish(LIMIT).unwrap();
    check(&logs, &[victim]).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(cluster.start(victim).unwrap(), "node {victim} did not join again");
    cluster.wait_formed().unwrap();
    assert!(incarnation(&cluster, victim) > before, "node {victim} came back in its old life");
    cluster.down().unwrap();
}

#[test]
fn commands_run_in_the_namespace_of_their_node_and_the_host_sees_nothing() {
    let _room = beside_another();
    let Some(cluster) = up(&ethernet()) else { return };
    let devices = |words: &[&str]| text(&muster(&cluster, words).output().unwrap());
    let list = "cut -d: -f1 -s /proc/net/dev | tr -d ' ' | sort | tr '\\n' ' '";
    assert_eq!(devices(&["exec", "1", "sh", "-c", list]), "eth0 eth1 lo ");
    let switch = devices(&["exec", "switch", "sh", "-c", list]);
    assert_eq!(
        switch,
        "link0 link1 lo node0-link0 node0-link1 node1-link0 node1-link1 node2-link0 node2-link1 "
    );
    let host = fs::read_to_string("/proc/net/dev").unwrap();
    assert!(!host.contains("node0-link0"), "{host}");
    let status = devices(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let transport = serde_json::to_value(cluster.cluster.transport).unwrap();
    assert_eq!(status["transport"], transport);
    assert_eq!(status["netns"]["mtu"], 1500);
    cluster.down().unwrap();
}

#[test]
fn a_cluster_whose_holder_was_killed_says_so_and_goes_down() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let netns = cluster.cluster.netns.unwrap();
    let holder = netns.holder.unwrap();
    let gabds: Vec<_> = cluster.cluster.nodes.iter().filter_map(|node| node.gabd).collect();
    assert!(holder.signal(Signal::KILL).unwrap());
    assert!(holder.wait_gone(LIMIT).unwrap());
    let gone = "the process that holds the cluster's namespaces is gone";
    let error = cluster.set_cable(0, 0, Cable::Pulled).unwrap_err();
    assert!(error.to_string().contains(gone), "{error:#}");
    let status = text(&muster(&cluster, &["status"]).output().unwrap());
    assert!(status.contains(gone), "{status}");
    cluster.down().unwrap();
    for gabd in gabds {
        assert_eq!(gabd.state(), State::Gone);
    }
}

/// A folder with the programs that everybody may run, wherever this workspace lies.
fn public_programs() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("muster-programs-").tempdir().unwrap();
    let binaries = Binaries::locate().unwrap();
    for name in ["gabconfig", "gabd", "gabport", "muster"] {
        // By another process: one that is forked here meanwhile would keep the copy open for writing.
        let copied = Command::new("cp").arg(binaries.path(name)).arg(folder.path()).status();
        assert!(copied.unwrap().success(), "{name}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The id of nobody, whom every system has and who owns nothing.
const NOBODY: u32 = 65_534;

/// A muster of an ordinary user: ours if we are one, else nobody's.
struct Ordinary {
    programs: PathBuf,
    home: tempfile::TempDir,
}

impl Ordinary {
    fn new(programs: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("muster-user-").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { programs: programs.to_owned(), home }
    }

    fn muster(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join("muster"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.env_clear().env("PATH", "/usr/bin:/bin").env("XDG_RUNTIME_DIR", self.home.path());
        command.current_dir("/").args(words).output().unwrap()
    }
}

#[test]
fn an_ordinary_user_has_the_same_testbed_in_a_user_namespace() {
    let _room = beside_another();
    let programs = public_programs();
    let user = Ordinary::new(programs.path());
    let up = ["up", "-n", "4", "--links", "2", "--netns", "--timers", "patient"];
    let output = user.muster(&up);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if error.contains("network namespaces cannot be made here") {
        return skip(&error);
    }
    assert!(text(&output).contains("raw Ethernet in network namespaces of this user"));
    let table = text(&user.muster(&["exec", "3", "gabconfig", "-a"]));
    assert!(table.contains(" membership 0123\n"), "{table}");
    text(&user.muster(&["link", "3", "0", "down"]));
    let carrier = ["exec", "3", "sh", "-c", "ip -o link show eth0 || /sbin/ip -o link show eth0"];
    assert!(text(&user.muster(&carrier)).contains("NO-CARRIER"));
    text(&user.muster(&["heal"]));
    text(&user.muster(&["kill", "1"]));
    text(&user.muster(&["start", "1"]));
    let dir = user.home.path().join("muster");
    let cluster = Cluster::load(&dir).unwrap();
    text(&user.muster(&["down"]));
    assert!(!dir.exists(), "down leaves {}", dir.display());
    assert_eq!(cluster.netns.unwrap().holder.unwrap().state(), State::Gone);
}

#[test]
fn the_demo_passes_on_ethernet() {
    let _room = beside_another();
    let Some(cluster) = up(&ethernet()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let demo = ["demo", "--netns", "--transport", "ether", "--timers", "patient"];
    let mut command = Command::new(cluster.binaries.path("muster"));
    command.env("MUSTER_NO_BUILD", "1").arg("--dir").arg(&dir).args(demo);
    cluster.down().unwrap();
    let shown = text(&command.output().unwrap());
    assert!(shown.contains("all 17 steps passed"), "{shown}");
}
