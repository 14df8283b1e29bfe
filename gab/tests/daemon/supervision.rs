//! Supervised and kernel-type clients in processes of their own: hung, killed, thrown out.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gab::admin::{AdminRequest, Configured, FaultRequest, GabConfigure, GabTunable};
use gab::client::{Options, Port, Watch};
use gab::event::OpenOptions;
use gab::ipc::{Reader, Record, VERSION};
use gab::{ClientEvent, CloseReason, PortName};
use llt::io::Clock;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::events::event;
use crate::node::{Node, cluster, wait_for};
use crate::support::{ask, faults, members, options, port, snapshot, view};

/// What a victim does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// Receives, and hangs up when its port is closed.
    Serve,
    /// Receives, and stays when its port is closed.
    Linger,
    /// Says what nobody understands, and stays.
    Babble,
    /// Receives, and another process holds its socket, too, as long as the test does.
    Bequeath,
}

/// A client in a process of its own, which is this test program again.
pub(crate) struct Victim {
    child: Child,
}

impl Victim {
    /// Registers at a node, and waits until it is a member.
    pub(crate) fn start(
        node: &Node,
        letter: char,
        heartbeat_ms: u64,
        kernel: bool,
        life: Life,
    ) -> Self {
        let ready = ready_file(node.root(), letter);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "supervision::victim", "--nocapture", "--ignored"])
            .env("VICTIM_ROOT", node.root())
            .env("VICTIM_PORT", letter.to_string())
            .env("VICTIM_HEARTBEAT", heartbeat_ms.to_string())
            .env("VICTIM_KERNEL", u8::from(kernel).to_string())
            .env("VICTIM_LINGERS", u8::from(life != Life::Serve).to_string())
            .env("VICTIM_BABBLES", u8::from(life == Life::Babble).to_string())
            .env("VICTIM_BEQUEATHS", u8::from(life == Life::Bequeath).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the victim's membership", || ready.exists());
        std::fs::remove_file(ready).unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The signal that ended it.
    fn killed_by(&mut self) -> Option<i32> {
        let mut status = None;
        wait_for("the end of the victim", || {
            status = self.ended();
            status.is_some()
        });
        status.unwrap().signal()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready_file(root: &Path, letter: char) -> PathBuf {
    root.join(format!("victim-{letter}"))
}

/// Not a test: the program that [`Victim::start`] runs.
#[test]
#[ignore = "the program that others start; run by cargo test -p gab --test daemon supervision"]
fn victim() {
    let Some(root) = std::env::var_os("VICTIM_ROOT").map(PathBuf::from) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let letter = std::env::var("VICTIM_PORT").unwrap().chars().next().unwrap();
    let heartbeat = Some(number("VICTIM_HEARTBEAT")).filter(|&ms| ms > 0);
    let options = Options {
        root: root.clone(),
        name: "victim".into(),
        heartbeat: heartbeat.map(Duration::from_millis),
        kernel: number("VICTIM_KERNEL") == 1,
        ..Options::default()
    };
    if number("VICTIM_BABBLES") == 1 {
        let _socket = babble(&options, port(letter), &ready_file(&root, letter));
        loop {
            std::thread::park();
        }
    }
    let mut client = Port::register(port(letter), &options).unwrap();
    view(&mut client, |_| true);
    let heir = (number("VICTIM_BEQUEATHS") == 1).then(|| {
        // It ends with its input, which the test holds.
        let socket = client.socket().try_clone_to_owned().unwrap();
        Command::new("cat").stdout(socket).spawn().unwrap()
    });
    std::fs::write(ready_file(&root, letter), "").unwrap();
    while !matches!(client.recv(), ClientEvent::Closed(_)) {}
    if number("VICTIM_LINGERS") == 0 {
        drop(client);
    }
    if let Some(mut heir) = heir {
        heir.wait().unwrap();
    }
    loop {
        std::thread::park();
    }
}

/// Registers without the library, and says what gabd does not understand.
fn babble(options: &Options, port: PortName, ready: &Path) -> OwnedFd {
    let Options { root, name, heartbeat, kernel, .. } = options;
    let socket = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    net::connect(&socket, &SocketAddrUnix::new(root.join("run/gab.sock")).unwrap()).unwrap();
    let options = OpenOptions { heartbeat: *heartbeat, kernel: *kernel, ..OpenOptions::default() };
    let open = Record::Open { version: VERSION, port, options, name: name.clone() };
    let mut datagram = BytesMut::new();
    open.encode(&mut datagram);
    net::send(&socket, &datagram, SendFlags::empty()).unwrap();
    let mut answer = [0; 1024];
    let (_, len) = net::recv(&socket, &mut answer[..], RecvFlags::empty()).unwrap();
    let opened = Reader::new(Bytes::copy_from_slice(&answer[..len])).next();
    assert!(matches!(opened, Some(Ok(Record::Opened { .. }))), "{opened:?}");
    // First, for what follows may be the end of this process.
    std::fs::write(ready, "").unwrap();
    net::send(&socket, b"what?", SendFlags::empty()).unwrap();
    socket
}

/// Nodes that give a client three attempts in 300 ms.
fn formed(size: u8, args: &[&str], request: GabConfigure) -> Vec<Node> {
    let mut nodes = cluster(size);
    for node in &mut nodes {
        node.start(&[&["--testbed"], args].concat());
    }
    let all: Vec<u8> = (0..size).collect();
    let set = [&[GabTunable::KillNtries(3)], &request.set[..]].concat();
    let request = GabConfigure { iofence_ms: Some(300), set, ..request };
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == all);
        let request = AdminRequest::GabConfigure(request.clone());
        let done: Configured = ask(node, request).unwrap();
        assert!(!done.already);
    }
    nodes
}

fn registered(node: &Node, letter: &str) -> bool {
    snapshot(node).gab.ports.iter().any(|port| port.port == letter && port.clients > 0)
}

/// These lines are in the log, in this order.
#[track_caller]
fn assert_logged(node: &Node, lines: &[&str]) {
    wait_for("the last line of the log", || node.log().contains(lines[lines.len() - 1]));
    let log = node.log();
    let mut rest = &log[..];
    for line in lines {
        let Some(at) = rest.find(line) else { panic!("no `{line}` where it belongs in:\n{log}") };
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_stopped_client_is_warned_of_aborted_and_killed() {
    let nodes = formed(2, &[], GabConfigure::default());
    let clients = snapshot(&nodes[1]).gab.clients;
    assert_eq!((clients.iofence_ms, clients.kill_tries, clients.isolate_ms), (300, 3, 120_000));
    let mut watcher = Port::register(port('h'), &options(&nodes[0])).unwrap();
    let mut stopped = Victim::start(&nodes[1], 'h', 2500, false, Life::Serve);
    let mut healthy = Victim::start(&nodes[1], 'B', 2000, false, Life::Serve);
    view(&mut watcher, |view| view.members.len() == 2);
    stopped.signal(Signal::STOP);
    view(&mut watcher, |view| view.left.len() == 1);
    assert_eq!(stopped.killed_by(), Some(Signal::KILL.as_raw()));
    let pid = stopped.child.id();
    let kill =
        "GAB WARNING V-15-1-20035 Port h attempting to kill process due to client process failure";
    assert_logged(
        &nodes[1],
        &[
            &format!("GAB WARNING V-15-1-20057 Port h process {pid} inactive 1 sec"),
            &format!("GAB WARNING V-15-1-20057 Port h process {pid} inactive 2 sec"),
            &format!(
                "GAB WARNING V-15-1-20058 Port h process {pid}: heartbeat failed, killing process"
            ),
            "GAB INFO V-15-1-20059 Port h heartbeat interval 2500 msec. Statistics:",
            "GAB INFO V-15-1-20129 Port h: heartbeats in 0 ~ 500 msec: ",
            "GAB INFO V-15-1-20129 Port h: heartbeats in 2000 ~ 2500 msec: 0",
            kill,
            kill,
            kill,
            "GAB WARNING V-15-1-20138 Port h isolated due to client process failure",
            "GAB INFO Port h: the client had no heartbeat",
        ],
    );
    assert_logged(
        &nodes[1],
        &[
            "V-15-1-20088 System information:",
            "V-15-1-20089 Number of cpu: ",
            "V-15-1-20090 ",
            "V-15-1-20091 ",
            "V-15-1-20092 ",
            "V-15-1-20093 ",
            "V-15-1-20094 ",
            "V-15-1-20095 ",
            "V-15-1-20096 ",
            "V-15-1-20097 ",
            "V-15-1-20098 Pagein",
        ],
    );
    // The port is free at once, and nobody else was touched.
    let mut again = Port::register(port('h'), &options(&nodes[1])).unwrap();
    view(&mut again, |view| view.members.len() == 2);
    assert!(healthy.ended().is_none() && registered(&nodes[1], "B"));
    assert!(!nodes[1].log().contains("Port B process"), "{}", nodes[1].log());
    assert_eq!(members(&nodes[0]), [0, 1]);
}

#[test]
fn a_missed_heartbeat_halts_the_node_and_only_a_clean_end_stops_its_watchdog() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("watchdog");
    std::fs::write(&device, "").unwrap();
    let fed = || std::fs::read(&device).unwrap();
    let watchdog = ["--watchdog", device.to_str().unwrap()];
    let request = GabConfigure { missed_heartbeat_halt: Some(true), ..GabConfigure::default() };
    let mut nodes = formed(1, &watchdog, request);
    wait_for("the watchdog is fed", || fed().len() > 1);
    let victim = Victim::start(&nodes[0], 'h', 500, false, Life::Serve);
    let mut watch = Watch::start(nodes[0].root()).unwrap();
    event(&mut watch, &json!({"event": "port", "port": "h"}));
    victim.signal(Signal::STOP);
    let failed = json!({"event": "client", "what": "failed", "port": "h", "heartbeat_ms": 500});
    assert_eq!(event(&mut watch, &failed)["pid"], victim.child.id());
    event(&mut watch, &json!({"event": "halt", "port": "h", "reason": "client process failure"}));
    assert_eq!(nodes[0].wait(), Some(75));
    let halted = "GAB: Port h halting system due to client process failure";
    assert!(nodes[0].stderr().contains(halted), "{}", nodes[0].stderr());
    let why = std::fs::read_to_string(nodes[0].root().join("run/gabd.halted")).unwrap();
    assert_eq!(why, "client process failure\n");
    assert!(fed().iter().all(|&byte| byte == 0), "{:?}", fed());
    nodes[0].start(&[&["--testbed"], &watchdog[..]].concat());
    nodes[0].stop();
    assert_eq!(fed().last(), Some(&b'V'));
    let (code, text) = nodes[0].run(&["--testbed", "--watchdog", "/nonexistent/watchdog"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot use the watchdog /nonexistent/watchdog"), "{text}");
}

#[test]
fn a_node_that_is_to_reboot_does_so_or_says_that_it_cannot() {
    for there in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let sysrq = folder.path().join("sysrq-trigger");
        if there {
            std::fs::write(&sysrq, "").unwrap();
        }
        let request = GabConfigure { process_death_halt: Some(true), ..GabConfigure::default() };
        let args = ["--halt", "reboot", "--sysrq", sysrq.to_str().unwrap()];
        let mut nodes = formed(1, &args, request);
        // Whom nobody supervises may die.
        let mut plain = Victim::start(&nodes[0], 'B', 0, false, Life::Serve);
        plain.signal(Signal::KILL);
        plain.killed_by();
        wait_for("it is not registered", || !registered(&nodes[0], "B"));
        let victim = Victim::start(&nodes[0], 'h', 60_000, false, Life::Serve);
        victim.signal(Signal::KILL);
        assert_eq!(nodes[0].wait(), Some(75));
        let text = nodes[0].stderr();
        assert!(text.contains("Port h halting system due to client process death"), "{text}");
        assert_eq!(std::fs::read(&sysrq).ok(), there.then(|| b"b".to_vec()));
        assert_eq!(text.contains("cannot reboot the machine through"), !there, "{text}");
    }
}

#[test]
fn switches_that_are_taken_back_halt_nobody() {
    let switched = |on| GabConfigure {
        missed_heartbeat_halt: Some(on),
        process_death_halt: Some(on),
        rejoin_halt: Some(on),
        ..GabConfigure::default()
    };
    let nodes = formed(3, &[], switched(true));
    for node in &nodes {
        let done: Configured = ask(node, AdminRequest::GabConfigure(switched(false))).unwrap();
        assert!(!done.already);
    }
    // -B: it is killed, as without the switch.
    let mut hung = Victim::start(&nodes[2], 'h', 400, false, Life::Serve);
    hung.signal(Signal::STOP);
    assert_eq!(hung.killed_by(), Some(Signal::KILL.as_raw()));
    // -P
    let mut dead = Victim::start(&nodes[2], 'd', 60_000, false, Life::Serve);
    dead.signal(Signal::KILL);
    assert_eq!(dead.killed_by(), Some(Signal::KILL.as_raw()));
    wait_for("port d without it", || !registered(&nodes[2], "d"));
    // -J
    let first_life = snapshot(&nodes[2]).llt.incarnation;
    faults(&nodes[2], FaultRequest { blocked: Some(vec![0, 1]), ..FaultRequest::default() });
    wait_for("it goes on alone", || members(&nodes[2]) == [2]);
    faults(&nodes[2], FaultRequest { clear: true, ..FaultRequest::default() });
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1, 2]);
    }
    assert!(snapshot(&nodes[2]).llt.incarnation > first_life, "thrown out, and back by itself");
    assert!(!nodes[2].log().contains("halting system"), "{}", nodes[2].log());
}

#[test]
fn who_does_not_come_back_halts_the_node_if_asked_to() {
    let set = vec![GabTunable::RmTimeout(1000), GabTunable::RmAction { halt: true }];
    let mut nodes = formed(1, &[], GabConfigure { set, ..GabConfigure::default() });
    let victim = Victim::start(&nodes[0], 'h', 60_000, false, Life::Serve);
    victim.signal(Signal::KILL);
    wait_for("it is not registered", || !registered(&nodes[0], "h"));
    // Whoever registers there will do, and may leave in order.
    let mut next = Port::register(port('h'), &options(&nodes[0])).unwrap();
    view(&mut next, |_| true);
    next.close().unwrap();
    let victim = Victim::start(&nodes[0], 'h', 60_000, false, Life::Serve);
    victim.signal(Signal::KILL);
    assert_eq!(nodes[0].wait(), Some(75));
    let log = nodes[0].log();
    let missed = "Port h: process died and did not register again in time";
    assert_eq!(log.matches(missed).count(), 1, "{log}");
    assert!(
        log.contains("Port h halting system due to client process not registering again"),
        "{log}"
    );
}

#[test]
fn c08_a_kernel_type_client_stays_for_its_drain_time_after_its_process() {
    let set = vec![GabTunable::DrainTime(1500)];
    let nodes = formed(2, &[], GabConfigure { set, ..GabConfigure::default() });
    let mut watcher = Port::register(port('d'), &options(&nodes[0])).unwrap();
    let victim = Victim::start(&nodes[1], 'd', 0, true, Life::Serve);
    view(&mut watcher, |view| view.members.len() == 2);
    let clock = Clock::new();
    let killed = clock.now();
    victim.signal(Signal::KILL);
    view(&mut watcher, |view| view.left.len() == 1);
    assert!(clock.now().since(killed) >= Duration::from_millis(1500));
    let inited = "GAB INFO V-15-1-20230 Client victim inited GAB API with handle 00000000";
    let deiniting = "GAB INFO V-15-1-20229 Client victim deiniting GAB API";
    assert_logged(&nodes[1], &[inited, deiniting]);
}

#[test]
fn whoever_breaks_the_protocol_is_closed_and_has_to_hang_up_or_is_killed() {
    let nodes = formed(1, &[], GabConfigure::default());
    // Another client takes in what these leave.
    let mut watcher = Port::register(port('w'), &options(&nodes[0])).unwrap();
    view(&mut watcher, |view| view.members.len() == 1);
    let mut plain = Victim::start(&nodes[0], 'C', 0, false, Life::Babble);
    let mut supervised = Victim::start(&nodes[0], 'h', 60_000, false, Life::Babble);
    let mut kernel = Victim::start(&nodes[0], 'd', 0, true, Life::Babble);
    assert_eq!(supervised.killed_by(), Some(Signal::ABORT.as_raw()));
    assert_eq!(kernel.killed_by(), Some(Signal::KILL.as_raw()));
    for letter in ["C", "d", "h"] {
        wait_for("an empty port", || !registered(&nodes[0], letter));
    }
    assert!(plain.ended().is_none());
    let why =
        "the client broke the protocol of gab.sock; it is killed, for it is of the kernel type";
    let killed = format!("GAB WARNING Port d process {}: {why}", kernel.child.id());
    let attempt = "V-15-1-20035 Port d attempting to kill process";
    assert_logged(&nodes[0], &[&killed, attempt, "Client victim deiniting GAB API"]);
}

/// It may still write where it must not when the others go on without its node.
#[test]
fn a_node_that_is_to_stop_kills_a_kernel_type_client_that_does_not_hang_up() {
    let mut nodes = formed(2, &[], GabConfigure::default());
    let mut watcher = Port::register(port('d'), &options(&nodes[0])).unwrap();
    let mut lingers = Victim::start(&nodes[1], 'd', 0, true, Life::Linger);
    view(&mut watcher, |view| view.members.len() == 2);
    nodes[1].signal(Signal::TERM);
    assert_eq!(lingers.killed_by(), Some(Signal::KILL.as_raw()));
    assert_eq!(nodes[1].wait(), Some(0));
    view(&mut watcher, |view| view.left.len() == 1);
    assert_logged(
        &nodes[1],
        &[
            "stopping: leaving the cluster",
            "Port d: its client is waited for, until it hangs up",
            "Port d: its client does not hang up, and is killed",
        ],
    );
}

/// Something else than its process holds the socket: what that may do, the end of the process does not end.
#[test]
fn a_node_that_is_to_stop_halts_if_a_kernel_type_client_leaves_its_socket_behind() {
    let mut nodes = formed(2, &[], GabConfigure::default());
    let mut watcher = Port::register(port('d'), &options(&nodes[0])).unwrap();
    let mut leaves = Victim::start(&nodes[1], 'd', 0, true, Life::Bequeath);
    view(&mut watcher, |view| view.members.len() == 2);
    nodes[1].signal(Signal::TERM);
    assert_eq!(leaves.killed_by(), Some(Signal::KILL.as_raw()));
    assert_eq!(nodes[1].wait(), Some(75));
    view(&mut watcher, |view| view.left.len() == 1);
    assert_logged(
        &nodes[1],
        &[
            "Port d: its client does not hang up, and is killed",
            "GAB: Port d halting system due to client process failure",
        ],
    );
}

#[test]
fn c10_a_supervised_client_that_does_not_hang_up_after_an_ejection_is_killed() {
    let nodes = formed(3, &[], GabConfigure::default());
    let mut watcher = Port::register(port('h'), &options(&nodes[0])).unwrap();
    let mut lingers = Victim::start(&nodes[2], 'h', 60_000, false, Life::Linger);
    let mut leaves = Victim::start(&nodes[2], 'B', 60_000, false, Life::Serve);
    let mut plain = Victim::start(&nodes[2], 'C', 0, false, Life::Linger);
    view(&mut watcher, |view| view.members.len() == 2);
    faults(&nodes[2], FaultRequest { blocked: Some(vec![0, 1]), ..FaultRequest::default() });
    view(&mut watcher, |view| view.left.len() == 1);
    wait_for("it goes on alone", || members(&nodes[2]) == [2]);
    let mut watch = Watch::start(nodes[2].root()).unwrap();
    event(&mut watch, &json!({"event": "port", "port": "h", "members": [2]}));
    faults(&nodes[2], FaultRequest { clear: true, ..FaultRequest::default() });
    event(&mut watch, &json!({"event": "ejected"}));
    event(&mut watch, &json!({"event": "membership", "port": "h", "members": [], "left": [2]}));
    assert_eq!(lingers.killed_by(), Some(Signal::ABORT.as_raw()));
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1, 2]);
    }
    assert!(leaves.ended().is_none() && plain.ended().is_none());
    let log = nodes[2].log();
    assert!(log.contains("V-15-1-20035 Port h") && !log.contains("V-15-1-20035 Port B"), "{log}");
}

#[test]
fn a_heartbeat_time_out_of_range_is_refused() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    let heartbeat = Some(Duration::from_millis(99));
    let error = Port::register(port('h'), &Options { heartbeat, ..options(&node) }).unwrap_err();
    assert_eq!(error.errno(), 22);
    assert!(error.to_string().contains("between 100 and 3600000 ms"), "{error}");
    assert_eq!(CloseReason::from_errno(62), Some(CloseReason::NoHeartbeat));
}
