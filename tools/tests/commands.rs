//! The commands as processes: usage, exit codes, no daemon, and a daemon of the test's own.

mod gabd;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use gab::admin::{
    AddressChange, AdminError, AdminRequest, Changed, Configured, Exclude, GabConfigure, GabQueue,
    GabTunable, PortInfo, RunningConfig, Setting,
};
use gab::ipc::Record;
use gab::snapshot::{
    GabSnapshot, LimitSnapshot, LinkSnapshot, LltPortSnapshot, LltSnapshot, PortSnapshot, Snapshot,
    TimerSnapshot,
};
use gab::{Level, PortView};
use gabd::{Connection, Gabd, deliver, view};
use llt::{NodeId, NodeSet};

const COMMANDS: [(&str, &str); 4] = [
    ("gabconfig", env!("CARGO_BIN_EXE_gabconfig")),
    ("gabport", env!("CARGO_BIN_EXE_gabport")),
    ("lltconfig", env!("CARGO_BIN_EXE_lltconfig")),
    ("lltstat", env!("CARGO_BIN_EXE_lltstat")),
];

/// `line` as a command in `root`, not started.
fn command(root: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let name = words.next().expect("a command");
    let (_, path) = COMMANDS.iter().find(|(known, _)| *known == name).expect("a known command");
    let mut command = Command::new(path);
    command.args(words).env("MUSTER_ROOT", root).stdin(Stdio::null());
    command
}

fn run(root: &Path, line: &str) -> (Option<i32>, String, String) {
    told(&command(root, line).output().expect("it starts"))
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Runs `line` against a gabd that answers its one request with `answer`.
fn ask<T: serde::Serialize + Send + 'static>(
    line: &str,
    answer: impl Fn(AdminRequest) -> Result<T, AdminError> + Send + 'static,
) -> (Option<i32>, String, String) {
    let root = root();
    let gabd = Gabd::start(root.path(), move |mut client| client.answer(&answer));
    let told = run(root.path(), line);
    gabd.end();
    told
}

#[test]
fn help_has_examples_and_exit_codes() {
    for (name, _) in COMMANDS {
        let (code, out, err) = run(root().path(), &format!("{name} --help"));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
        assert!(out.contains("Examples:") && out.contains("Exit codes:"), "{name}: {out}");
        assert!(out.contains("--root"), "{name}");
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    for line in [
        "gabconfig",
        "gabconfig --what",
        "gabconfig -n3",
        "gabport listen",
        "gabport -p 7 listen",
        "gabport -p A send 900 x",
        "lltconfig -f x",
        "lltstat -nc",
        "lltstat active",
        "lltstat -n 0",
        "lltstat -z 5",
        "lltconfig -T query -F query",
        "lltconfig -c -u eth1",
        "lltconfig -l",
    ] {
        let (code, out, err) = run(root().path(), line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}");
        assert!(err.contains("Usage:") || err.contains("error:"), "{line}: {err}");
        // That MUSTER_ROOT is set must not look as if --root were required.
        let usage = err.split_once("Usage:").map_or("", |(_, usage)| usage);
        assert!(!usage.contains("--root"), "{line}: {err}");
    }
}

#[test]
fn options_of_the_originals_that_are_missing_are_refused_by_name() {
    for (line, said) in [
        (
            "gabconfig -c -K",
            "GAB gabconfig ERROR option -K has no meaning here: there is no logging daemon",
        ),
        ("gabconfig -h 1000", "option -h has no meaning here: the interval of disk heartbeats"),
        ("gabconfig -c -m 4 -x", "option -m has no meaning here: how many disk heartbeats"),
        ("gabconfig -R", "option -R has no meaning here: nobody outside knows"),
        ("lltconfig -C 7", "option -C (set the cluster id; set-cluster in llttab does it)"),
        ("lltconfig -n 1", "option -n (set the node id; set-node in llttab does it)"),
        ("lltconfig -E 1", "LLT lltconfig ERROR option -E (a switch of the original's driver"),
        ("lltconfig -A 0", "option -A ("),
        ("lltconfig -k status", "option -k ("),
        ("lltconfig -j 2", "option -j ("),
        ("lltconfig -M", "option -M ("),
        ("lltconfig -N", "option -N ("),
        ("lltconfig -t a -d b -b ether -Q", "option -Q ("),
        ("lltconfig -t a -d b -b rdma", "RDMA links are not in this version"),
    ] {
        let (code, out, err) = run(root().path(), line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}: {err}");
        assert!(err.contains(said), "{line}: {err}");
    }
}

#[test]
fn without_a_daemon_the_exit_code_is_3() {
    for line in [
        "gabconfig -a",
        "gabconfig -l --json",
        "gabconfig -c -n2",
        "gabconfig -x",
        "gabconfig -U",
        "gabconfig -a -C",
        "gabconfig -C",
        "gabconfig -e",
        "gabconfig -W",
        "gabport -p h",
        "gabport -p h -h 16000",
        "gabport -p h -d",
        "gabport -p A listen",
        "gabport -p A broadcast hello",
        "gabport -p A send 1 hello",
        "gabport -p A watch",
        "lltstat",
        "lltstat -nvv active",
        "lltstat -c",
        "lltstat -z",
        "lltstat -C",
        "lltstat -d",
        "lltstat -l",
        "lltstat -n 1 3",
        "lltstat -N",
        "lltstat -p",
        "lltstat -t",
        "lltconfig -T query",
        "lltconfig -T heartbeat:50",
        "lltconfig -F query",
        "lltconfig -a list",
        "lltconfig -a flush",
        "lltconfig -x 3",
        "lltconfig -K 10",
        "lltconfig -u eth1",
        "lltconfig -t eth1 -L disable",
        "lltconfig -t eth1 -d eth1 -b ether",
        "lltconfig --reload-keys",
    ] {
        let (code, out, err) = run(root().path(), line);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{line}: {err}");
        assert!(err.contains(" ERROR gabd is not running: nobody listens on "), "{line}: {err}");
        assert_eq!(err.lines().count(), 1, "{line}: {err}");
    }
}

#[test]
fn lltconfig_says_whether_llt_runs() {
    let nothing = root();
    for line in ["lltconfig", "lltconfig -U", "lltconfig -U -o"] {
        let (code, out, err) = run(nothing.path(), line);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(3), "LLT is not running\n", ""));
    }
    let (code, out, _) = run(nothing.path(), "lltconfig --json");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, json), (Some(3), serde_json::json!({"running": false, "config": null})));

    let (code, out, err) = ask("lltconfig", |request| {
        assert_eq!(request, AdminRequest::Config);
        Ok(RunningConfig::default())
    });
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "LLT is running\n", ""));

    let listening = RunningConfig { listening: true, ..RunningConfig::default() };
    let (code, out, _) = ask("lltconfig", move |_| Ok(listening.clone()));
    assert_eq!(code, Some(3));
    assert!(out.starts_with("LLT is not running: it still listens"), "{out}");
}

fn write_etc(root: &Path, llttab: &str) {
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    std::fs::write(root.join("etc/llttab"), llttab).expect("a file");
    std::fs::write(root.join("etc/llthosts"), LLTHOSTS).expect("a file");
}

const LLTHOSTS: &str = "0 north\n1 south\n";
const LLTTAB: &str = "\
set-node 0
set-cluster 7
link l0 udp - udp 50000 - 127.0.0.1 -
set-addr 1 l0 127.0.0.2
";

#[test]
fn lltconfig_checks_the_configuration_before_anything_else() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    std::fs::write(root.path().join("bad"), LLTTAB.replace("set-cluster 7", "set-cluster x"))
        .expect("a file");
    // Nobody asks this gabd anything.
    let gabd = Gabd::start(root.path(), |_| panic!("it was asked"));
    let bad = root.path().join("bad");
    let (code, out, err) = run(root.path(), &format!("lltconfig -c -f {}", bad.display()));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("bad:2:13") && err.contains("set-cluster x"), "{err}");
    gabd.end();
    let (code, _, err) = run(root.path(), "lltconfig -c -f /no/such/file");
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read /no/such/file"), "{err}");
    assert!(err.ends_with("; expected the configuration of LLT\n"), "{err}");
    let (_, _, err) = run(self::root().path(), "lltconfig -c");
    assert!(err.ends_with("; expected the configuration of LLT\n"), "{err}");
    write_etc(root.path(), &LLTTAB.replace("set-node 0", "set-node /etc/nodename"));
    let (_, _, err) = run(root.path(), "lltconfig -c");
    let searched = root.path().join("etc/nodename").display().to_string();
    // A report breaks long lines.
    let joined: String = err.split_whitespace().filter(|word| *word != "│").collect();
    assert!(joined.contains(&format!("lookedfor{searched}")), "{err}");
    write_etc(root.path(), &LLTTAB.replace("set-cluster 7", &"x".repeat(70_000)));
    let (code, _, err) = run(root.path(), "lltconfig -c");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the line is longer than 4096 bytes") && err.len() < 1000, "{err}");
}

#[test]
fn lltconfig_never_overwrites_a_key() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    let (code, out, err) = run(root.path(), "lltconfig --keygen");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let (code, out, err) = run(root.path(), "lltconfig --keygen");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let file = root.path().join("etc/muster.key");
    let said = "is there already, and a key is never overwritten: expected another file";
    assert_eq!(err, format!("LLT lltconfig ERROR {} {said}\n", file.display()));
}

#[test]
fn lltconfig_c_on_a_running_gabd_compares_the_configurations() {
    for (running, code, said) in [
        (LLTTAB.to_owned(), 0, "LLT is already running with that configuration"),
        (LLTTAB.replace('7', "8"), 1, "LLT is already running with another configuration"),
    ] {
        let root = root();
        write_etc(root.path(), LLTTAB);
        let gabd = Gabd::start(root.path(), move |mut client| {
            let running = running.clone();
            client.answer(&|_| {
                let llthosts = LLTHOSTS.to_owned();
                Ok(RunningConfig {
                    llttab: running.clone(),
                    llthosts,
                    pid: 1,
                    ..RunningConfig::default()
                })
            });
        });
        let (exit, out, err) = run(root.path(), "lltconfig -c");
        assert_eq!(exit, Some(code), "{out}{err}");
        assert!((out + &err).contains(said));
        gabd.end();
    }
}

#[test]
fn lltconfig_asks_before_it_stops() {
    for (answer, stops) in [("y\n", true), ("n\n", false), ("", false)] {
        let root = root();
        let gabd = Gabd::start(root.path(), move |mut client| {
            if stops {
                // Its process is none of this machine, so that nobody waits for its end.
                client.answer(&|_| Ok(RunningConfig::default()));
                client.answer(&|request| {
                    assert_eq!(request, AdminRequest::LltUnconfigure);
                    Ok(())
                });
            }
            client.wait_for_end();
        });
        let mut child = command(root.path(), "lltconfig -U")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(answer.as_bytes()).expect("it reads");
        drop(stdin);
        let (code, _, err) = told(&child.wait_with_output().expect("it ends"));
        assert!(err.contains("this will attempt to stop and reset LLT. Confirm (y/n)?"), "{err}");
        assert_eq!(code, Some(i32::from(!stops)), "{err}");
        gabd.end();
    }
}

#[test]
fn gabconfig_passes_on_what_it_was_given_and_says_if_it_was_so_already() {
    let (code, out, err) = ask("gabconfig -c -n3 -t 100", |request| {
        let count = Some(3);
        let stable_ms = Some(100);
        let expected =
            GabConfigure { configure: true, count, stable_ms, ..GabConfigure::default() };
        assert_eq!(request, AdminRequest::GabConfigure(expected));
        Ok(Configured { already: false })
    });
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let (code, out, err) = ask("gabconfig -Q sendq:7 -Q recvq:9 -V 1", |request| {
        let expected = GabConfigure {
            queues: vec![GabQueue::Send(7), GabQueue::Receive(9)],
            version: Some(1),
            ..GabConfigure::default()
        };
        assert_eq!(request, AdminRequest::GabConfigure(expected));
        Ok(Configured { already: false })
    });
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let (code, out, err) = ask("gabconfig -bkP -f 3000 -S rm_action:panic", |request| {
        let expected = GabConfigure {
            iofence_ms: Some(3000),
            keep_killing: Some(true),
            missed_heartbeat_halt: Some(true),
            process_death_halt: Some(false),
            set: vec![GabTunable::RmAction { halt: true }],
            ..GabConfigure::default()
        };
        assert_eq!(request, AdminRequest::GabConfigure(expected));
        Ok(Configured { already: false })
    });
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let (code, out, err) = ask("gabconfig -q -J -s -S conn_wait:7", |request| {
        let expected = GabConfigure {
            quorum: Some(true),
            rejoin_halt: Some(false),
            single_network: Some(true),
            set: vec![GabTunable::ConnWait(7)],
            ..GabConfigure::default()
        };
        assert_eq!(request, AdminRequest::GabConfigure(expected));
        Ok(Configured { already: false })
    });
    let warning = "GAB gabconfig WARNING -s is for tests only: no side of a split gives up\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", warning));
    let (code, _, err) = ask("gabconfig -x", |_| Ok(Configured { already: false }));
    assert_eq!(code, Some(0));
    assert!(err.starts_with("GAB gabconfig WARNING -x seeds this node now: "), "{err}");
    let (code, out, _) = ask("gabconfig -c", |_| Ok(Configured { already: true }));
    assert_eq!((code, out.as_str()), (Some(0), "GAB is already configured like that\n"));
}

#[test]
fn a_refusal_is_worded_as_in_the_original() {
    let (code, out, err) = ask("gabconfig -U", |request| -> Result<(), _> {
        assert_eq!(request, AdminRequest::GabUnconfigure);
        let text = "unconfigure failed: clients still registered".to_owned();
        Err(AdminError { id: Some("V-15-1-20015".to_owned()), text })
    });
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "GAB gabconfig ERROR V-15-1-20015 unconfigure failed: clients still registered\n"
    );
}

fn snapshot() -> Snapshot {
    let port = PortSnapshot {
        port: "a".into(),
        generation: 0x0096_7901,
        members: vec![0, 1],
        name: "GAB_Control".into(),
        refcount: 1,
        ..PortSnapshot::default()
    };
    let link = LinkSnapshot { tag: "l0".into(), mtu: 8192, ..LinkSnapshot::default() };
    let timer = TimerSnapshot { name: "heartbeat".into(), ms: 500 };
    let limit = LimitSnapshot { name: "window".into(), value: 256 };
    let opens = vec![0, 1];
    let gab = LltPortSnapshot { usage: "gab".into(), opens, ..LltPortSnapshot::default() };
    Snapshot {
        llt: LltSnapshot {
            name: "north".into(),
            cluster: 33,
            links: vec![link],
            timers: vec![timer],
            flow: vec![limit],
            ports: vec![gab],
            ..LltSnapshot::default()
        },
        gab: GabSnapshot {
            ports: vec![port],
            send_queue: 4096,
            protocol: 1,
            ..GabSnapshot::default()
        },
    }
}

#[test]
fn listings_come_from_the_snapshot() {
    for (line, start) in [
        ("gabconfig -a", "GAB Port Memberships\n===="),
        ("gabconfig -a -C", "GAB Port Memberships\n===="),
        ("gabconfig -C", "GAB Client Names\n===="),
        ("gabconfig -e", "GAB kernel tunables:\n    numnids: 128\n"),
        ("gabconfig -W", "Supported Protocol Version(s) : 1\n"),
        ("gabconfig -l", "GAB Driver Configuration\nDriver state         : Unconfigured\n"),
        ("lltstat", "LLT statistics:\n    0          Snd data packets         0          Rcv"),
        ("lltstat -n", "LLT node information:\n    Node                 State    Links\n"),
        ("lltstat -nvv", "LLT node information:\n    Node                 State    Link  Status"),
        ("lltstat -c", "LLT configuration information:\n    node: 0\n    name: north\n"),
        ("lltstat -C", "33\n"),
        ("lltstat -d", "LLT node detail:\n"),
        ("lltstat -l", "LLT link information:\nlink  0  l0 on  hipri"),
        ("lltstat -N", "LLT nodes on the network:\n"),
        (
            "lltstat -p",
            "LLT port information:\n    Port  Usage   Cookie\n      0    gab       0x0\n",
        ),
        (
            "lltstat -P",
            "LLT port information:\n    Port  Usage   Cookie\n      0    gab       0x0\n",
        ),
        ("lltstat -t", "LLT kernel tunables:\n    maxnids: 64\n"),
        ("lltconfig -T query", "Current LLT timer values (.01 sec units):\n  heartbeat   = 50\n"),
        ("lltconfig -F query", "Current LLT flow control values (in packets):\n  window  "),
        ("lltconfig -a list", "Link 0 (l0):\n"),
    ] {
        let (code, out, err) = ask(line, |_| Ok(snapshot()));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
        assert!(out.starts_with(start), "{line}: {out}");
    }
}

#[test]
fn gabport_shows_a_port_and_changes_the_heartbeat_of_its_client() {
    let info = |request| {
        assert_eq!(request, AdminRequest::GabPort { port: "h".into() });
        Ok(PortInfo { flags: 1, members: vec!["north".into()], ..PortInfo::unsupervised("h") })
    };
    let (code, out, err) = ask("gabport -p h", info);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("Port h Information:\n===="), "{out}");
    assert!(out.contains("Flags:          0x1\nMembership:     north\n"), "{out}");
    let (_, out, _) = ask("gabport -p h --json", info);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["heartbeat_ms"], 15_000);
    for (line, ms) in [("gabport -p h -h 16000", Some(16_000)), ("gabport -p h -d", None)] {
        let (code, out, err) = ask(line, move |request| {
            assert_eq!(request, AdminRequest::GabPortHeartbeat { port: "h".into(), ms });
            Ok(16_000)
        });
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert_eq!(out, "Port h new heartbeat timeout:      16000 msecs\n");
    }
}

#[test]
fn short_help_and_the_version_need_no_daemon() {
    for line in ["gabconfig -h", "gabport -h"] {
        let (code, out, err) = run(root().path(), line);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
        assert!(out.contains("Usage:") && out.contains("Exit codes:"), "{line}: {out}");
    }
    let (code, out, _) = run(root().path(), "gabconfig -v");
    let expected = format!("GAB {} Protocol 1\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((code, out), (Some(0), expected));
}

#[test]
fn every_listing_has_json_with_stable_keys() {
    for (line, pointer, value) in [
        ("gabconfig -a --json", "/0/generation", 0x0096_7901),
        ("gabconfig -l --json", "/send_queue_limit", 4096),
        ("gabconfig -C --json", "/0/refcount", 1),
        ("gabconfig -e --json", "/numports", 52),
        ("gabconfig -W --json", "/in_force", 1),
        ("lltstat --json", "/rcv_bad_checksum", 0),
        ("lltstat -c --json", "/links/0/mtu", 8192),
        ("lltstat -l --json", "/0/mtu", 8192),
        ("lltstat -p --json", "/0/opens/1", 1),
        ("lltstat -P --json", "/0/port", 0),
        ("lltstat -t --json", "/maxports", 32),
        ("lltstat -C --json", "", 33),
        ("lltconfig -T query --json", "/heartbeat", 500),
        ("lltconfig -F query --json", "/window", 256),
    ] {
        let (code, out, err) = ask(line, |_| Ok(snapshot()));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(json.pointer(pointer), Some(&value.into()), "{line}: {out}");
    }
    for line in ["lltstat -n --json", "lltstat -N --json", "lltconfig -a list --json"] {
        let (_, out, _) = ask(line, |_| Ok(snapshot()));
        assert_eq!(out, "[]\n", "{line}");
    }
}

#[test]
fn a_listing_repeats_as_often_as_it_is_told() {
    for (line, text) in
        [("lltstat -C 0.01 3", "33\n\n33\n\n33\n"), ("lltstat -C 0.01 2 --json", "33\n33\n")]
    {
        let root = root();
        let gabd =
            Gabd::start(root.path(), |mut client| while client.try_answer(&|_| Ok(snapshot())) {});
        let (code, out, err) = run(root.path(), line);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), text, ""), "{line}");
        gabd.end();
    }
}

#[test]
fn a_repeated_listing_ends_when_nobody_reads_it() {
    let root = root();
    let gabd =
        Gabd::start(root.path(), |mut client| while client.try_answer(&|_| Ok(snapshot())) {});
    let mut child = command(root.path(), "lltstat -n 86400")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("the listing");
    drop(stdout);
    let (code, _, err) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    gabd.end();
}

#[test]
fn lltstat_r_says_that_there_is_no_rdma() {
    for line in ["lltstat -r", "lltstat -nvv -r"] {
        let (code, out, err) = run(root().path(), line);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
        assert!(out.contains("RDMA links are not in this version"), "{line}: {out}");
    }
}

#[test]
fn a_change_is_passed_on_and_what_it_did_is_told() {
    let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
    let timers = vec![setting("peertrouble", "350"), setting("peerinact", "8s")];
    let link = |tag: &str| tag.to_owned();
    for (line, expected) in [
        ("lltconfig -T peertrouble:350 peerinact:8s", AdminRequest::LltTimers(timers)),
        ("lltconfig -F window:50", AdminRequest::LltFlow(vec![setting("window", "50")])),
        ("lltconfig -u eth3", AdminRequest::LltLinkRemove { tag: link("eth3") }),
        (
            "lltconfig -t eth3 -L enable",
            AdminRequest::LltLinkEnable { tag: link("eth3"), enabled: true },
        ),
        (
            "lltconfig -x 2_31",
            AdminRequest::LltExclude(Exclude { low: 2, high: 31, exclude: true }),
        ),
        ("lltconfig -a flush", AdminRequest::LltAddress(AddressChange::Flush)),
    ] {
        let (code, out, err) = ask(line, move |request| {
            assert_eq!(request, expected);
            let changed = vec!["what: this -> that".to_owned()];
            let keep = vec!["set-what that".to_owned()];
            Ok(Changed { changed, keep, warnings: vec!["a warning".to_owned()] })
        });
        assert_eq!(code, Some(0), "{line}: {err}");
        assert_eq!(err, "LLT lltconfig WARNING a warning\n", "{line}");
        assert_eq!(
            out,
            "what: this -> that\nuntil gabd ends; to keep it, put into etc/llttab:\n    \
             set-what that\n",
            "{line}"
        );
    }
    let (code, out, _) = ask("lltconfig -T oos:10 --json", |_| Ok(Changed::default()));
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let expected = serde_json::json!({"changed": [], "keep": [], "warnings": []});
    assert_eq!((code, json), (Some(0), expected));
}

#[test]
fn versions_need_no_daemon() {
    let (code, out, err) = run(root().path(), "lltconfig -V");
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "LLT 1.0 Protocol available\n", ""));
    let (code, out, _) = run(root().path(), "lltconfig -W");
    assert_eq!((code, out.as_str()), (Some(0), "Supported Protocol Version(s)     : 1.0\n"));
}

#[test]
fn checksums_stay_on() {
    let (code, out, err) = run(root().path(), "lltconfig -K 0");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("LLT lltconfig ERROR checksums cannot be turned off"), "{err}");
    for level in [1, 2, 10, 20] {
        let (code, out, _) = ask(&format!("lltconfig -K {level}"), |_| Ok(snapshot()));
        assert_eq!(code, Some(0));
        assert!(out.contains("every frame is checked"), "{out}");
    }
}

#[test]
fn a_closed_pipe_is_success() {
    let root = root();
    let gabd = Gabd::start(root.path(), |mut client| client.answer(&|_| Ok(snapshot())));
    let mut child = command(root.path(), "lltstat -nvv")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let (code, _, err) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    gabd.end();
}

/// A gabd that registers each client on a port with the view {0, 1}, then runs `script`.
fn port(root: &Path, script: impl Fn(&mut Connection) + Send + 'static) -> Gabd {
    Gabd::start(root, move |mut client| {
        let Some(Record::Open { options, .. }) = client.next() else {
            panic!("an Open");
        };
        assert!(options.shared);
        assert!(matches!(client.next(), Some(Record::Credit { .. })));
        client.say(&[
            Record::Opened { version: 1, node: NodeId::ZERO },
            Record::Credit { messages: 3, bytes: 100_000 },
            Record::View(view(0x2f, &[0, 1])),
        ]);
        script(&mut client);
    })
}

#[test]
fn listen_prints_a_line_per_event_as_it_comes() {
    let root = root();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let gabd = port(root.path(), move |client| {
        wait.lock().expect("one client").recv().expect("a signal");
        client.say(&[Record::Status(view(0x2f, &[0, 1])), deliver(7, 1, b"two words\n")]);
        wait.lock().expect("one client").recv().expect("a signal");
        client.say(&[Record::Closed(116)]);
    });
    let mut child = command(root.path(), "gabport -p A listen")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "view 2f members 0 1");
    go.send(()).expect("it waits");
    assert_eq!(next(), "deliver 7 1 two words\\n");
    go.send(()).expect("it waits");
    assert_eq!(next(), "closed 116 this node was ejected from the cluster");
    let (code, _, err) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, Some(1));
    assert_eq!(err, "GAB gabport ERROR this node was ejected from the cluster\n");
    gabd.end();
}

#[test]
fn listen_ends_after_its_count_or_its_time() {
    let deliveries = |client: &mut Connection| {
        client.say(&[deliver(1, 0, b"a"), deliver(2, 0, b"b"), deliver(3, 0, b"c")]);
        client.wait_for_end();
    };
    for (line, code, lines) in [
        ("gabport -p A listen --count 2", 0, 3),
        ("gabport -p A listen --timeout 0.2", 0, 4),
        ("gabport -p A listen --timeout 0.2 --count 9", 1, 4),
        ("gabport -p A watch --count 1", 0, 1),
    ] {
        let root = root();
        let gabd = port(root.path(), deliveries);
        let (exit, out, err) = run(root.path(), line);
        assert_eq!((exit, out.lines().count()), (Some(code), lines), "{line}: {out}{err}");
        gabd.end();
    }
}

#[test]
fn listen_ends_when_nobody_reads_it() {
    let root = root();
    let gabd = port(root.path(), Connection::wait_for_end);
    let mut child = command(root.path(), "gabport -p A listen")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut first = [0; 1];
    stdout.read_exact(&mut first).expect("the view");
    drop(stdout);
    assert!(child.wait().expect("it ends").success());
    gabd.end();
}

#[test]
fn watch_prints_what_changed_and_nothing_else() {
    let root = root();
    let gabd = port(root.path(), |client| {
        let joined = NodeSet::from_bits(0b100);
        let jeopardy = NodeSet::from_bits(0b10);
        client.say(&[
            deliver(1, 0, b"a"),
            Record::View(PortView { joined, ..view(0x30, &[0, 1, 2]) }),
            Record::Status(PortView { jeopardy, ..view(0x30, &[0, 1, 2]) }),
        ]);
        client.wait_for_end();
    });
    let (code, out, err) = run(root.path(), "gabport -p A watch --count 3");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "view 2f members 0 1\nview 30 members 0 1 2 joined 2\nstatus 30 members 0 1 2 jeopardy 1\n"
    );
    gabd.end();
}

/// What gabd got from `gabport` with this stdin, until it closed.
fn sent(line: &str, stdin: &[u8]) -> (Option<i32>, Vec<Record>) {
    let root = root();
    let (got, records) = std::sync::mpsc::channel();
    let gabd = port(root.path(), move |client| {
        while let Some(record) = client.next() {
            let end = record == Record::Close;
            for record in apart(record) {
                if matches!(record, Record::Broadcast { .. } | Record::Send { .. }) {
                    // Delivered to itself, and the credit comes apart from it.
                    client.say(&[deliver(1, 0, b"")]);
                    client.say(&[Record::Credit { messages: 1, bytes: 0 }]);
                }
                got.send(record).expect("the test listens");
            }
            if end {
                client.say(&[Record::Closed(0)]);
            }
        }
    });
    let mut child = command(root.path(), line).stdin(Stdio::piped()).spawn().expect("it starts");
    feed(&mut child, stdin);
    let code = child.wait().expect("it ends").code();
    gabd.end();
    (code, records.into_iter().collect())
}

/// The messages of a pack, each as if it had been sent alone.
fn apart(record: Record) -> Vec<Record> {
    match record {
        Record::Pack { level, messages } => {
            messages.map(|payload| Record::Broadcast { level, payload }).collect()
        }
        other => vec![other],
    }
}

fn feed(child: &mut Child, bytes: &[u8]) {
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(bytes).expect("it reads");
}

fn broadcast(level: Level, payload: &'static [u8]) -> Record {
    Record::Broadcast { level, payload: payload.into() }
}

#[test]
fn broadcast_sends_its_argument_and_waits_until_it_is_ordered() {
    let (code, records) = sent("gabport -p A broadcast --safe hello", b"");
    assert_eq!(code, Some(0));
    assert_eq!(records, [broadcast(Level::Safe, b"hello"), Record::Close]);
}

#[test]
fn broadcast_sends_each_line_of_stdin() {
    for line in ["gabport -p A broadcast", "gabport -p A broadcast -"] {
        // More than the credit, which comes back one by one.
        let (code, records) = sent(line, b"1\n2\n\n4\n5\n6\n7\n8\n9\nlast");
        assert_eq!(code, Some(0));
        let lines: [&[u8]; 10] = [b"1", b"2", b"", b"4", b"5", b"6", b"7", b"8", b"9", b"last"];
        let mut expected: Vec<_> =
            lines.into_iter().map(|line| broadcast(Level::Agreed, line)).collect();
        expected.push(Record::Close);
        assert_eq!(records, expected);
    }
}

#[test]
fn send_goes_to_one_member() {
    let (code, records) = sent("gabport -p A send 1 hello", b"");
    assert_eq!(code, Some(0));
    let node = NodeId::new(1).expect("a small id");
    assert_eq!(
        records,
        [Record::Send { node, payload: b"hello".as_slice().into() }, Record::Close]
    );
    let (code, records) = sent("gabport -p A send 5 hello --timeout 0.1", b"");
    assert_eq!(code, Some(1));
    assert_eq!(records, [Record::Close]);
}

#[test]
fn gabd_dying_under_a_sender_is_a_failure() {
    let root = root();
    let gabd = port(root.path(), |client| drop(client.next()));
    let (code, _, err) = run(root.path(), "gabport -p A broadcast hello");
    assert_eq!((code, err.as_str()), (Some(1), "GAB gabport ERROR gabd is gone\n"));
    gabd.end();
}

#[test]
fn the_manual_and_the_completions_are_written() {
    let dir = root();
    for (what, file, word) in [
        ("man", "gabport.1", "listen"),
        ("man", "lltconfig.1", "MUSTER_ROOT"),
        ("completions", "bash/lltstat.bash", "configured"),
    ] {
        let target = dir.path().join(what);
        let output = Command::new(env!("CARGO_BIN_EXE_muster-docs"))
            .arg(what)
            .arg(&target)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let text = std::fs::read_to_string(target.join(file)).expect("a file");
        assert!(text.contains(word), "{file}: {text}");
        assert!(!text.contains("keep killing"));
    }
}

/// A folder with lltconfig and, beside it, a gabd that is this script.
fn installed(dir: &Path, script: &str) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let gabd = dir.join("gabd");
    std::fs::write(&gabd, format!("#!/bin/sh\n{script}\n")).expect("a file");
    std::fs::set_permissions(&gabd, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let lltconfig = dir.join("lltconfig");
    std::fs::copy(env!("CARGO_BIN_EXE_lltconfig"), &lltconfig).expect("a copy");
    // Whoever starts a program at this moment, another test, has the copy open to write for as long
    // as we had: nobody can run it until then.
    let busy = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ExecutableFileBusy;
    while Command::new(&lltconfig).arg("--version").output().is_err_and(|error| busy(&error)) {
        std::thread::yield_now();
    }
    let mut command = Command::new(lltconfig);
    command.arg("-c").arg("--root").arg(dir).stdin(Stdio::null());
    command
}

#[test]
fn lltconfig_c_starts_gabd_and_waits_until_it_answers() {
    let root = root();
    let dir = root.path();
    write_etc(dir, LLTTAB);
    // It ends with its folder, also if the test fails.
    let script = format!(
        "echo \"$@\" > {0}/args.new; mv {0}/args.new {0}/args\n\
         while [ -e {0}/args ]; do sleep 0.01; done",
        dir.display()
    );
    let mut command = installed(dir, &script);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let args = wait_for(|| std::fs::read_to_string(dir.join("args")).ok());
    assert_eq!(args, format!("--root {} --llt-only\n", dir.display()));
    assert!(child.try_wait().expect("it is ours").is_none(), "it must wait for the socket");
    // It answers, but listens for another node with its id; only then is it started.
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = std::sync::Arc::clone(&asked);
    let gabd = Gabd::start(dir, move |mut client| {
        let before = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let warnings = vec![OWN_WORDS.to_owned(), "frames are not authenticated".to_owned()];
        let listening = before < 3;
        client.answer(&|_| {
            let warnings = warnings.clone();
            Ok(RunningConfig { listening, warnings, ..RunningConfig::default() })
        });
    });
    let (code, out, err) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert_eq!(err, format!("{OWN_WORDS}\nLLT lltconfig WARNING frames are not authenticated\n"));
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 4);
    gabd.end();
}

/// What gabd says of a link that it could not open.
const OWN_WORDS: &str = "LLT lltconfig ERROR V-14-2-15074 cannot DL_ATTACH 1 on udp";

#[test]
fn lltconfig_c_tells_why_what_was_wrong_was_too_much() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    let script = format!("echo 'ERROR {OWN_WORDS}' >&2; echo gabd: 1 of 2 links >&2; exit 1");
    let mut command = installed(root.path(), &script);
    let (code, out, err) = told(&command.output().expect("it starts"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, format!("{OWN_WORDS}\nLLT lltconfig ERROR 1 of 2 links\n"));
}

#[test]
fn lltconfig_c_tells_who_has_the_node_id_already() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    let words = "\
LLT lltconfig ERROR V-14-2-15238 node 0 already exists in cluster 7 and has the address - 127.0.0.9
LLT lltconfig ERROR V-14-2-15241 LLT not started, use -o to override this error
";
    std::fs::write(root.path().join("words"), words).expect("a file");
    let script = format!(
        "echo ' WARN something else' >&2; cat {}/words >&2; exit 76",
        root.path().display()
    );
    let mut command = installed(root.path(), &script);
    let (code, out, err) = told(&command.output().expect("it starts"));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", words));
}

#[test]
fn lltconfig_c_o_tells_gabd_not_to_listen() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    let mut command = installed(root.path(), "echo \"$@\" >&2; exit 1");
    let (_, _, err) = told(&command.arg("-o").output().expect("it starts"));
    assert!(err.ends_with(" --llt-only --override-duplicates\n"), "{err}");
}

#[test]
fn lltconfig_c_tells_why_gabd_did_not_start() {
    let root = root();
    write_etc(root.path(), LLTTAB);
    let mut command = installed(root.path(), "echo no link can be opened >&2; exit 1");
    let (code, out, err) = told(&command.output().expect("it starts"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "LLT lltconfig ERROR gabd did not start (exit status: 1):\nno link can be opened\n"
    );
}

/// Polls for a state that another process reaches.
fn wait_for<T>(mut state: impl FnMut() -> Option<T>) -> T {
    let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    for _ in 0..6000 {
        if let Some(reached) = state() {
            return reached;
        }
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    panic!("the state was not reached within a minute");
}
