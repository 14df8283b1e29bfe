//! lltping, llttest and lltdump on real daemons, through the testbed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gab::client::{LltEvent, LltPort};
use llt::NodeId;
use serde_json::Value;
use tools::muster::cluster::TimerProfile;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;

const COMMANDS: [(&str, &str); 4] = [
    ("lltdump", env!("CARGO_BIN_EXE_lltdump")),
    ("lltping", env!("CARGO_BIN_EXE_lltping")),
    ("lltstat", env!("CARGO_BIN_EXE_lltstat")),
    ("llttest", env!("CARGO_BIN_EXE_llttest")),
];

/// No state may take longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(120);

/// One cluster at a time: two on two cores would disturb each other's timers.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nodes(count: u8) -> Temporary {
    let options = UpOptions { nodes: count, timers: TimerProfile::Patient, ..UpOptions::default() };
    Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// `line` on a node, not started.
fn on(cluster: &Temporary, node: u8, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let name = words.next().expect("a command");
    let (_, path) = COMMANDS.iter().find(|(known, _)| *known == name).expect("a known command");
    let mut command = Command::new(path);
    command.args(words).env("MUSTER_ROOT", cluster.cluster.root(node));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(cluster: &Temporary, node: u8, line: &str) -> (Option<i32>, String, String) {
    told(&on(cluster, node, line).output().expect("it starts"))
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A llttest that was given its commands.
fn script(cluster: &Temporary, node: u8, line: &str, commands: &str) -> Child {
    let mut child = on(cluster, node, line).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(commands.as_bytes()).expect("it reads");
    child
}

fn end(child: Child) -> (Option<i32>, String, String) {
    told(&child.wait_with_output().expect("it ends"))
}

/// Waits until a heartbeat told `node` that LLT port `port` is open on `other`: what is sent to a
/// port before it is open is lost.
fn wait_open(cluster: &Temporary, node: u8, other: u8, port: u8) {
    let deadline = tools::muster::wait::now() + LIMIT;
    let port = port.to_string();
    loop {
        let line = format!("lltdump --json --kind HEARTBEAT --node {other} --count 4");
        let (code, out, err) = run(cluster, node, &line);
        assert_eq!(code, Some(0), "{err}");
        let heartbeats = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut of_other = heartbeats.filter(|heartbeat| heartbeat["source"] == other);
        let ports = |heartbeat: &Value| heartbeat["fields"]["open_ports"].to_string();
        if of_other
            .any(|heartbeat| ports(&heartbeat).trim_matches('"').split(' ').any(|n| n == port))
        {
            return;
        }
        assert!(tools::muster::wait::now() < deadline, "port {port} of {other}: {out}");
    }
}

#[test]
fn a_node_that_answers_is_alive() {
    let _alone = alone();
    let cluster = nodes(2);
    let (code, out, err) = run(&cluster, 0, "lltping -c 1");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["Node 1 is alive", "     1 node1             OPEN"]);
    assert!(lines[2].contains("link0  UP    127.77.0.1"), "{out}");
    assert!(lines[3].contains("link1  UP    127.77.1.1"), "{out}");
    // By name, oneself, with a checksum, as long as it may be, in silence.
    for line in [
        "lltping -c node1 -K -m 16384",
        "lltping -c 0",
        "lltping -c node0 -F -v",
        "lltping -c 1 -F -m 4096",
    ] {
        let (code, out, err) = run(&cluster, 0, line);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}: {out}");
        assert!(out.contains(" is alive\n"), "{line}: {out}");
    }
    assert_eq!(run(&cluster, 1, "lltping -c 0 -q"), (Some(0), String::new(), String::new()));
    let (code, out, _) = run(&cluster, 1, "lltping -s");
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "node 1 answers on LLT port 30: gabd does so itself\n")
    );
    cluster.down().expect("it ends");
}

#[test]
fn a_node_that_does_not_answer_is_not_alive() {
    let _alone = alone();
    let cluster = nodes(2);
    let (code, out, _) = run(&cluster, 0, "lltping -c 7 --timeout 0.2");
    assert_eq!(code, Some(1));
    assert!(out.starts_with("Node 7 is not alive: node 7 is not connected\n"), "{out}");
    let (code, out, err) = run(&cluster, 0, "lltping -c south");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("south is no node: expected an id from 0 to 127 or a name"), "{err}");
    // A node that stands still is connected for a while, and says nothing.
    cluster.pause(1, true).expect("it runs");
    let (code, out, _) = run(&cluster, 0, "lltping -c 1 --timeout 0.2");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.starts_with("Node 1 is not alive: "), "{out}");
    let (code, out, err) = run(&cluster, 0, "lltping -c 1 -q --timeout 0.2");
    assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", ""));
    cluster.pause(1, false).expect("it is paused");
    cluster.down().expect("it ends");
}

#[test]
fn round_trips_are_measured() {
    let _alone = alone();
    let cluster = nodes(2);
    let (code, out, err) = run(&cluster, 0, "lltping -c 1 -T");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(out.lines().count(), 21, "{out}");
    assert!(out.starts_with("128 bytes from node 1: 1 time "), "{out}");
    let last = out.lines().last().expect("a summary");
    assert!(last.starts_with("20 sent, 20 answered, 0% lost; round trip min/avg/max "), "{last}");
    let (_, out, _) = run(&cluster, 0, "lltping -c 1 -T -n 200 -a -K -m 1000");
    assert!(out.starts_with("200 sent, 200 answered, 0% lost; ") && out.lines().count() == 1);
    let (code, out, _) = run(&cluster, 0, "lltping -c 1 -T -n 50 -F --json");
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, Some(0));
    assert_eq!(
        (&json["sent"], &json["alive"], &json["name"]),
        (&50.into(), &true.into(), &"node1".into())
    );
    assert_eq!(json["times_us"].as_array().map(Vec::len), Some(50));
    assert_eq!(json["links"][1]["tag"], "link1");
    assert_eq!(json["links"][1]["address"], "127.77.1.1");
    cluster.down().expect("it ends");
}

#[test]
fn another_port_needs_somebody_who_answers() {
    let _alone = alone();
    let cluster = nodes(2);
    let (code, out, _) = run(&cluster, 0, "lltping -c 1 -p 20 --timeout 0.2");
    assert_eq!(code, Some(1), "{out}");
    let mut server = on(&cluster, 1, "lltping -s -p 20 -v").spawn().expect("it starts");
    wait_open(&cluster, 0, 1, 20);
    let (code, out, err) = run(&cluster, 0, "lltping -c 1 -p 20 -K");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let busy = run(&cluster, 1, "lltping -s -p 20");
    assert_eq!(busy.0, Some(1));
    assert!(busy.2.contains("LLT port 20 has a client on this node already"), "{}", busy.2);
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id()).expect("a pid"));
    let interrupt = rustix::process::Signal::INT;
    rustix::process::kill_process(pid.expect("not 0"), interrupt).expect("it runs");
    let _ = server.stdin.take();
    let (code, out, err) = end(server);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("answering on LLT port 20\n128 bytes from node 0: "), "{out}");
    assert!(out.ends_with(" answered\n"), "{out}");
    cluster.down().expect("it ends");
}

#[test]
fn ten_thousand_messages_are_verified() {
    let _alone = alone();
    let cluster = nodes(2);
    let receiver = script(&cluster, 1, "llttest -p 20 -v --timeout 60", "receive -c 10000\n");
    wait_open(&cluster, 0, 1, 20);
    let sender =
        script(&cluster, 0, "llttest -p 20 -v -s 777 --timeout 60", "transmit -c 10000 -n 1\n");
    let (code, out, err) = end(sender);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("sent 10000 messages, 7770000 bytes to node 1 in "), "{out}");
    let (code, out, err) = end(receiver);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("received 10000 messages, 7770000 bytes, all verified in "), "{out}");
    assert!(out.contains(" messages/s, "), "{out}");
    cluster.down().expect("it ends");
}

#[test]
fn messages_go_around_through_echo_and_forward() {
    let _alone = alone();
    let cluster = nodes(3);
    let echo = script(&cluster, 2, "llttest -p 21 --timeout 60", "echo -c 100\n");
    let forward = script(
        &cluster,
        1,
        "llttest -p 21 --timeout 60",
        "node node2\ncount 100\nforward\nreceive\n",
    );
    wait_open(&cluster, 0, 1, 21);
    wait_open(&cluster, 1, 2, 21);
    let script_0 = "# to node 1, from there to node 2, which sends it back to node 1\n\
                    node 1\ncount 100\ntransmit\n";
    let sender = script(&cluster, 0, "llttest -p 21 -v --timeout 60", script_0);
    for (child, said) in [
        (sender, "sent 100 messages, 102400 bytes to node 1 "),
        (forward, "forwarded 100 messages, 102400 bytes to node 2 "),
        (echo, "echoed 100 messages, 102400 bytes "),
    ] {
        let (code, out, err) = end(child);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(out.starts_with(said), "{out}");
    }
    cluster.down().expect("it ends");
}

#[test]
fn a_script_ends_at_the_command_that_fails() {
    let _alone = alone();
    let cluster = nodes(2);
    for (commands, said) in [
        (
            "count 5\n\nsing\nreceive\n",
            "line 3: unrecognized subcommand 'sing'; expected receive, ",
        ),
        ("transmit -c 1\n", "line 1: no node: expected -n NODE, or the command node before"),
        ("transmit -n 7\n", "line 1: node 7 is not connected: its state is "),
        ("node 200\n", "line 1: 200 is no node: expected an id from 0 to 127 or a name"),
        ("receive -c 3\n", "line 1: nothing came for 0.2 s, 0 of 3 messages are here"),
    ] {
        let child = script(&cluster, 0, "llttest -p 20 -v --timeout 0.2", commands);
        let (code, out, err) = end(child);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{commands}");
        assert!(err.contains(said), "{commands}: {err}");
    }
    // Without -v at one side there is nothing to verify.
    let receiver = script(&cluster, 1, "llttest -p 20 -v --timeout 60", "receive\n");
    wait_open(&cluster, 0, 1, 20);
    let (code, _, err) = end(script(&cluster, 0, "llttest -p 20", "transmit -n 1\n"));
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = end(receiver);
    assert_eq!(code, Some(1));
    assert!(err.contains("message 1, from node 0: nothing in it can be verified"), "{err}");
    cluster.down().expect("it ends");
}

#[test]
fn a_receiver_that_does_not_read_stops_only_its_port() {
    let _alone = alone();
    let cluster = nodes(2);
    let port = |number| llt::LltPort::new(number).expect("below 32");
    let open = |node, number| {
        LltPort::open(&cluster.cluster.root(node), port(number)).expect("a free port")
    };
    let (mut lazy, mut keen) = (open(1, 20), open(1, 21));
    wait_open(&cluster, 0, 1, 20);
    wait_open(&cluster, 0, 1, 21);
    let one = NodeId::new(1).expect("below 128");
    let mut to_lazy = open(0, 20);
    let message = [7; 2000];
    let mut sent = 0;
    // Until nothing moves any more: what waits at both ends, and what LLT has under way, is bounded.
    while to_lazy.try_send(one, &message, true).is_ok()
        || to_lazy.wait(Some(Duration::from_secs(2)))
    {
        sent += 1;
        assert!(sent < 200_000, "nobody stops the sender");
    }
    let mut to_keen = open(0, 21);
    for number in 0..2000u32 {
        to_keen.send(one, &number.to_be_bytes(), true).expect("the port is open");
        let event = keen.recv(Some(LIMIT)).expect("the other port goes on");
        let LltEvent::Message { payload, .. } = event else { panic!("{event:?}") };
        assert_eq!(payload[..], number.to_be_bytes());
    }
    // And lltping's, which is another port.
    let (code, out, _) = run(&cluster, 0, "lltping -c 1 -T -n 100 -a");
    assert_eq!(code, Some(0), "{out}");
    // Once it reads, all of it comes.
    let mut came = 0;
    while let Some(event) = lazy.recv(Some(Duration::from_secs(2))) {
        let LltEvent::Message { payload, .. } = event else { panic!("{event:?}") };
        assert_eq!(payload[..], message);
        came += 1;
    }
    assert!(came >= 400, "{came} messages came of those that were sent");
    to_lazy.try_send(one, b"again", true).expect("there is room again");
    assert!(matches!(lazy.recv(Some(LIMIT)), Some(LltEvent::Message { .. })));
    cluster.down().expect("it ends");
}

#[test]
fn frames_are_shown_as_they_pass() {
    let _alone = alone();
    let cluster = nodes(2);
    let (code, out, err) = run(&cluster, 0, "lltdump --kind HEARTBEAT --count 4");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(out.lines().count(), 4, "{out}");
    assert!(out.contains(" HEARTBEAT ") && out.contains(" on link "), "{out}");
    assert!(out.contains(" link0 ") || out.contains(" link1 "), "{out}");

    let dump = on(&cluster, 0, "lltdump --kind DATA --json --count 20").spawn().expect("it starts");
    let deadline = tools::muster::wait::now() + LIMIT;
    let mut dump = dump;
    // It does not say when it has begun, so there are questions until it has seen enough.
    while dump.try_wait().expect("a child").is_none() {
        assert!(tools::muster::wait::now() < deadline, "no data was seen");
        let (code, out, _) = run(&cluster, 0, "lltping -c 1 -T -n 30 -a");
        assert_eq!(code, Some(0), "{out}");
    }
    let (code, out, err) = end(dump);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for line in out.lines() {
        let frame: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(frame["kind"], "DATA");
        assert_eq!(frame["lost"], 0);
        let outgoing = frame["direction"] == "out";
        assert_eq!(frame["source"], if outgoing { 0 } else { 1 }, "{frame}");
    }
    let (code, out, _) = run(&cluster, 0, "lltdump -D --count 2");
    let mut talkers: Vec<&str> = out.lines().collect();
    talkers.sort_unstable();
    let id = cluster.cluster.cluster_id;
    assert_eq!((code, talkers), (Some(0), vec![&*format!("{id}-0-1"), &*format!("{id}-1-1")]));
    cluster.down().expect("it ends");
}

#[test]
fn what_is_written_as_pcap_reads_the_same() {
    let _alone = alone();
    let cluster = nodes(2);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("llt.pcap");
    let (code, out, err) = run(&cluster, 0, &format!("lltdump --count 50 -w {}", file.display()));
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.starts_with("lltdump: 50 frames written to "), "{err}");
    // Without any gabd.
    let nowhere = folder.path().join("nowhere");
    let read = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lltdump"));
        command.args(["-r"]).arg(&file).args(words).env("MUSTER_ROOT", &nowhere);
        told(&command.output().expect("it starts"))
    };
    let (code, out, err) = read(&["--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let frames: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(frames.len(), 50);
    for frame in &frames {
        assert_ne!(frame["kind"], "CORRUPT", "{frame}");
        let node = frame["source"].as_u64().expect("a node");
        let address = frame["source_address"].as_str().expect("an address");
        assert!(address.ends_with(&format!(".{node}")), "{frame}");
    }
    let (code, out, _) = read(&["-V", "--count", "1"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("    cluster: ") && out.contains("    0000  4c 4c 01 01 "), "{out}");
    // Through a second file it is still the same.
    let again = folder.path().join("again.pcap");
    let (code, _, _) = read(&["-w", again.to_str().expect("a name")]);
    assert_eq!(code, Some(0));
    let bytes = |path: &Path| std::fs::read(path).expect("a file");
    assert_eq!(bytes(&file), bytes(&again));
    cluster.down().expect("it ends");
}

#[test]
fn a_damaged_frame_is_shown_with_what_is_wrong() {
    let _alone = alone();
    let cluster = nodes(2);
    let rates = gab::admin::FaultRates { corrupt: 0.5, ..Default::default() };
    let request = gab::admin::FaultRequest { rates: Some(rates), ..Default::default() };
    let mut admin = gab::client::Admin::connect(&cluster.cluster.root(1)).expect("gabd runs");
    let () = admin.request(&gab::admin::AdminRequest::Faults(request)).expect("it is a testbed");
    let (code, out, err) = run(&cluster, 0, "lltdump --kind CORRUPT --count 3");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(" CORRUPT the checksum does not match, "), "{out}");
    cluster.down().expect("it ends");
}

#[test]
fn frames_are_shown_on_a_device() {
    let _alone = alone();
    let cluster = nodes(2);
    // The testbed is on the loopback.
    let id = cluster.cluster.cluster_id;
    let (code, out, err) =
        run(&cluster, 0, &format!("lltdump -f lo -t udp -c {id} --count 20 --timeout 60 --json"));
    if err.contains("needs the capability CAP_NET_RAW") {
        // Nobody but root can be expected to have it.
        assert!(!rustix::process::geteuid().is_root(), "{err}");
        println!("skipped: {err}");
        return;
    }
    assert_eq!(code, Some(0), "{err}");
    let frames: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(frames.len(), 20, "{err}");
    for frame in frames {
        assert_eq!((&frame["cluster"], &frame["link"]), (&id.into(), &Value::Null), "{frame}");
        let node = frame["source"].as_u64().expect("a node");
        let address = frame["source_address"].as_str().expect("an address");
        assert!(address.starts_with("127.77.") && address.ends_with(&format!(".{node}")));
    }
    let (code, _, err) = run(&cluster, 0, "lltdump -f no-such-device");
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no device no-such-device; there are lo"), "{err}");
    cluster.down().expect("it ends");
}

#[test]
fn a_wrong_line_or_a_missing_daemon_is_said_as_everywhere() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let run = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a command");
        let (_, path) = COMMANDS.iter().find(|(known, _)| *known == name).expect("a known command");
        let mut command = Command::new(path);
        command.args(words).env("MUSTER_ROOT", nowhere.path()).stdin(Stdio::null());
        told(&command.output().expect("it starts"))
    };
    for line in ["lltping -c 0", "lltping -s -p 20", "llttest -p 20", "lltdump", "lltdump -D"] {
        let (code, out, err) = run(line);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{line}: {err}");
        assert!(err.contains(" ERROR gabd is not running: nobody listens on "), "{line}: {err}");
        assert_eq!(err.lines().count(), 1, "{line}: {err}");
    }
    for line in ["lltping", "lltping -c 0 -m 5", "llttest", "llttest -p 20 -v -s 5", "lltdump x"] {
        let (code, out, err) = run(line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}: {err}");
    }
    let (code, _, err) = run("lltdump -f eth1 -A");
    assert_eq!(code, Some(2));
    assert!(err.contains("LLT lltdump ERROR option -A (undocumented) is not in this"), "{err}");
    for name in ["lltdump", "lltping", "llttest"] {
        let (code, out, _) = run(&format!("{name} --help"));
        assert_eq!(code, Some(0));
        assert!(out.contains("Examples:") && out.contains("Exit codes:"), "{name}: {out}");
    }
}

#[test]
fn a_file_that_is_no_pcap_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x");
    std::fs::write(&file, "this is no pcap file at all, however long it may be").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lltdump"));
    let (code, out, err) = told(&command.arg("-r").arg(&file).output().expect("it starts"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("expected a pcap file, which `editcap -F pcap` makes of pcapng"), "{err}");
}

#[test]
fn a_pipe_that_says_nothing_is_waited_for_until_the_timeout() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lltdump"));
    command.args(["-r", "-", "--timeout", "0.1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // Open, and with nothing in it, until lltdump has ended.
    let stdin = child.stdin.take();
    let (code, _, err) = told(&child.wait_with_output().expect("it ends"));
    drop(stdin);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read -: nothing came before the end"), "{err}");
}
