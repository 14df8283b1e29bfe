//! `lltstat` and `lltconfig` on real daemons: what they print, byte by byte, and what they do.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tools::muster::cluster::TimerProfile;
use tools::muster::programs;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;

/// One cluster at a time: two on two cores would disturb each other's timers.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn three_nodes() -> Temporary {
    let options = UpOptions { timers: TimerProfile::Patient, ..UpOptions::default() };
    Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What a command prints on a node.
fn run(cluster: &Temporary, node: u8, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    programs::run(cluster, node, &words, "").unwrap_or_else(|error| panic!("{line}: {error:#}"))
}

/// The exit code of a command that fails on a node, and what it says.
fn fails(cluster: &Temporary, node: u8, line: &str) -> (Option<i32>, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let child = programs::spawn(cluster, node, &words).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Waits until a command prints what fits.
fn wait_for(cluster: &Temporary, node: u8, line: &str, fits: impl Fn(&str) -> bool) -> String {
    let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let mut last = String::new();
    for _ in 0..1200 {
        last = run(cluster, node, line);
        if fits(&last) {
            return last;
        }
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    panic!("{line} did not come to fit within a minute:\n{last}");
}

/// With each number as `N`.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            c => out.push(c),
        }
    }
    out
}

#[test]
#[expect(clippy::too_many_lines, reason = "one listing after the other, each as it is printed")]
fn listings_of_a_cluster_look_as_in_the_original() {
    let _alone = alone();
    let cluster = three_nodes();
    let (id, ports) = (cluster.cluster.cluster_id, [0, 1].map(|link| cluster.cluster.port(link)));
    assert_eq!(
        run(&cluster, 1, "lltstat -n"),
        "\
LLT node information:
    Node                 State    Links
     0 node0             OPEN        2
   * 1 node1             OPEN        2
     2 node2             OPEN        2
"
    );
    let links = "\
LLT node information:
    Node                 State    Link  Status  Address
     0 node0             OPEN
                                  link0  UP    127.77.0.0
                                  link1  UP    127.77.1.0
   * 1 node1             OPEN
                                  link0  UP    127.77.0.1
                                  link1  UP    127.77.1.1
     2 node2             OPEN
                                  link0  UP    127.77.0.2
                                  link1  UP    127.77.1.2
";
    for line in ["lltstat -nvv active", "lltstat -nvv configured", "lltstat -nv"] {
        assert_eq!(run(&cluster, 1, line), links, "{line}");
    }
    let all = run(&cluster, 1, "lltstat -nvv");
    assert!(all.starts_with(links), "{all}");
    assert_eq!(all.lines().count(), 2 + 64 * 3, "a node and two links, 64 times");
    assert_eq!(
        run(&cluster, 1, "lltstat -c"),
        format!(
            "\
LLT configuration information:
    node: 1
    name: node1
    cluster: {id}
    Supported Protocol Version(s)     : 1.0
    nodes: 0 - 63
    max nodes: 64
    max ports: 32
    links: 2
    mtu: 8952
    max sdu: 66560
    checksum level: 10
"
        )
    );
    assert_eq!(run(&cluster, 1, "lltstat -C"), format!("{id}\n"));
    assert_eq!(
        run(&cluster, 1, "lltstat -p"),
        "\
LLT port information:
    Port  Usage   Cookie
      0    gab       0x0
           opens:    0 1 2
           connects: 0 1 2
     30    lltping   0x1E
           opens:    0 1 2
           connects: 0 1 2
"
    );
    let [first, second] = ports;
    let link = |number: u8, port: u16| {
        format!(
            "\
link  {number}  link{number} on udp hipri
     mtu 8952, sap {port}, broadcast -, addrlen 4
     txpkts N  txbytes N
     rxpkts N  rxbytes N
     latency Nus
"
        )
    };
    let expected = format!("LLT link information:\n{}{}", link(0, first), link(1, second));
    assert_eq!(masked(&run(&cluster, 1, "lltstat -l")), masked(&expected));
    assert_eq!(
        run(&cluster, 1, "lltconfig -a list"),
        "\
Link 0 (link0):
  Node   0 node0          : 127.77.0.0  permanent
  Node   1 node1          : 127.77.0.1  permanent
  Node   2 node2          : 127.77.0.2  permanent
Link 1 (link1):
  Node   0 node0          : 127.77.1.0  permanent
  Node   1 node1          : 127.77.1.1  permanent
  Node   2 node2          : 127.77.1.2  permanent
"
    );
    // A testbed asks for no real-time priority.
    let tunables = run(&cluster, 1, "lltstat -t");
    assert!(tunables.contains("    rthreadpri: 0\n    basetimer: 1000\n"), "{tunables}");
    let counters = masked(&run(&cluster, 1, "lltstat"));
    assert!(counters.starts_with("LLT statistics:\n    N "), "{counters}");
    assert_eq!(counters.lines().count(), 15, "nothing was refused: {counters}");
    assert_eq!(run(&cluster, 1, "lltstat -z"), "");
    cluster.down().unwrap();
}

#[test]
fn a_running_llt_is_changed_and_says_how_to_keep_it() {
    let _alone = alone();
    let cluster = three_nodes();
    assert_eq!(run(&cluster, 0, "lltconfig"), "LLT is running\n");
    let id = cluster.cluster.cluster_id;
    assert_eq!(
        run(&cluster, 0, "lltconfig -v"),
        format!("LLT is running\nnode 0 (node0), cluster {id}, 2 of 2 links up\n")
    );
    assert_eq!(
        run(&cluster, 0, "lltconfig -T retrans:110ms"),
        "retrans: 10 -> 11\nuntil gabd ends; to keep it, put into etc/llttab:\n    set-timer retrans:110ms\n"
    );
    assert_eq!(run(&cluster, 0, "lltconfig -T retrans:11"), "nothing changed: it was so already\n");
    assert_eq!(run(&cluster, 0, "lltconfig -T rpeerinact:5"), "nothing changed\n");
    let timers = run(&cluster, 0, "lltconfig -T query");
    assert!(timers.starts_with("Current LLT timer values (.01 sec units):\n"), "{timers}");
    assert!(timers.contains("\n  retrans     = 11\n"), "{timers}");
    run(&cluster, 0, "lltconfig -F window:50 sws:40");
    let flow = run(&cluster, 0, "lltconfig -F query");
    assert!(flow.contains("\n  window         = 50\n"), "{flow}");
    for (line, said) in [
        ("lltconfig -T peerinact:1", "peerinact"),
        ("lltconfig -T peerinert:1", "peerinert:1: "),
        ("lltconfig -F highwater:1", "lowwater"),
        ("lltconfig -u link0", "link 0 (link0) is enabled: disable it first"),
        ("lltconfig -u link9", "there is no link link9: expected one of link0, link1"),
        ("lltconfig -x 0-9", "node 0 is this node"),
        ("lltconfig -K 0", "checksums cannot be turned off"),
        ("lltconfig -a set 1 link0 00:11:22:33:44:55", "00:11:22:33:44:55"),
        ("lltconfig -a set 1 link0 127.77.0.2", "nodes 2 and 1 share 127.77.0.2"),
        ("lltconfig -a delete 0 link0", "node 0 is this node, whose address is that of link0"),
        ("lltconfig -t l2 -d no-such-device -b ether", "no-such-device"),
    ] {
        let (code, said_) = fails(&cluster, 0, line);
        assert_eq!(code, Some(1), "{line}: {said_}");
        assert!(
            said_.starts_with("LLT lltconfig ERROR ") && said_.contains(said),
            "{line}: {said_}"
        );
    }

    assert_eq!(run(&cluster, 0, "lltconfig -t link0 -L disable"), "link 0 (link0): disabled\n");
    let alone =
        |text: &str| text.contains("link0  DOWN\n") && text.contains("link1  UP    127.77.1.1");
    wait_for(&cluster, 0, "lltstat -nvv active", alone);
    wait_for(&cluster, 1, "lltstat -n", |text| {
        text.contains("     0 node0             OPEN        1\n")
    });
    assert_eq!(run(&cluster, 0, "lltconfig -u link0"), "link 0 (link0): removed\n");
    assert_eq!(run(&cluster, 0, "lltstat -l").lines().count(), 6);
    let list = run(&cluster, 0, "lltconfig -a list");
    assert!(list.starts_with("Link 1 (link1):\n"), "{list}");

    run(&cluster, 2, "lltconfig -x 1");
    let gone = |text: &str| text.contains("     1                   EXCLUDED");
    wait_for(&cluster, 2, "lltstat -N", |text| gone(&text.replace("node1", "     ")));
    run(&cluster, 2, "lltconfig -i 1");
    wait_for(&cluster, 2, "lltstat -n", |text| {
        text.contains("     1 node1             OPEN        2\n")
    });
    let running = run(&cluster, 2, "lltconfig -c");
    assert!(running.starts_with("LLT is already running with that configuration\n"), "{running}");
    assert!(running.contains("exclude 1\n") && running.contains("include 1\n"), "{running}");
    cluster.down().unwrap();
}

#[test]
fn a_repeated_listing_ends_with_its_count() {
    let _alone = alone();
    let cluster = three_nodes();
    let text = run(&cluster, 0, "lltstat -n 0.05 3");
    let once = run(&cluster, 0, "lltstat -n");
    assert_eq!(text, format!("{once}\n{once}\n{once}"));
    let lines = run(&cluster, 0, "lltstat -l 0.05 3 --json");
    let sent = lines.lines().map(|line| {
        let links: serde_json::Value = serde_json::from_str(line).unwrap();
        links[0]["tx_packets"].as_u64().unwrap()
    });
    assert_eq!(sent.count(), 3);
    cluster.down().unwrap();
}

/// A root with one node of two, who finds the other at the loopback's broadcast address.
fn root(node: u8, host: u8, port: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("llthosts"), "0 north\n1 south\n").unwrap();
    let others: String = [(0, 1), (0, 2), (1, 3)]
        .iter()
        .filter(|(id, _)| *id != node)
        .map(|(id, host)| format!("set-addr {id} l0 127.66.9.{host}\n"))
        .next()
        .unwrap();
    let llttab = format!(
        "set-node {node}\nset-cluster {port}\nlink l0 udp - udp {port} - 127.66.9.{host} -\n{others}\
         set-timer heartbeat:50ms heartbeatlo:100ms peertrouble:500ms peertroublelo:1s peerinact:2s\n"
    );
    std::fs::write(etc.join("llttab"), llttab).unwrap();
    folder
}

fn lltconfig(root: &Path, line: &str) -> Output {
    let words = line.split_whitespace();
    let mut command = Command::new(lltconfig_beside_gabd());
    command.args(words).env("MUSTER_ROOT", root).env("MUSTER_NO_RT", "1").stdin(Stdio::null());
    command.output().unwrap()
}

/// It starts the gabd beside it, which muster has built if it was missing.
fn lltconfig_beside_gabd() -> PathBuf {
    tools::muster::binaries::Binaries::locate().unwrap().path("lltconfig")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Stops LLT when it is dropped, whatever happened.
struct Stopped<'a>(&'a Path);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let _ = lltconfig(self.0, "-U -o");
    }
}

/// What is said at each start without a key.
const UNAUTHENTICATED: &str =
    "LLT lltconfig WARNING frames are not authenticated: no etc/muster.key\n";

#[test]
fn lltconfig_tells_which_link_was_not_opened() {
    let _alone = alone();
    let free = |port: &u16| std::net::UdpSocket::bind(("127.66.9.1", *port)).is_ok();
    let port = (61_100..u16::MAX).find(free).unwrap();
    let north = root(0, 1, port);
    let _stopped = Stopped(north.path());
    let path = north.path().join("etc/llttab");
    let llttab = std::fs::read_to_string(&path).unwrap();
    // 192.0.2.0/24 is nobody's address.
    let two = llttab + &format!("link l1 udp - udp {port} - 192.0.2.1 192.0.2.255\n");
    std::fs::write(&path, two.clone() + "set-dbg-minlinks 2\n").unwrap();
    let (code, out, err) = said(&lltconfig(north.path(), "-c -o"));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let bound =
        format!("cannot bind 192.0.2.1:{port}: Cannot assign requested address (os error 99)");
    let not_opened = format!(
        "LLT lltconfig ERROR V-14-2-15336 dlatt failed: {bound}\n\
         LLT lltconfig ERROR V-14-2-15074 cannot DL_ATTACH 1 on udp\n"
    );
    let why = "1 of 2 links could be opened, and set-dbg-minlinks asks for 2";
    assert_eq!(err, format!("{not_opened}LLT lltconfig ERROR {why}: {bound}\n"));
    std::fs::write(&path, two).unwrap();
    let (code, out, err) = said(&lltconfig(north.path(), "-c -o"));
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert_eq!(err, format!("{UNAUTHENTICATED}{not_opened}"));
}

#[test]
fn lltconfig_starts_listens_and_refuses_to_be_there_twice() {
    let _alone = alone();
    // Above those that the system gives away: of lower ones lltconfig warns.
    let free = |port: &u16| std::net::UdpSocket::bind(("127.66.9.1", *port)).is_ok();
    let port = (61_000..u16::MAX).find(free).unwrap();
    let (north, twin, south) = (root(0, 1, port), root(0, 2, port), root(1, 3, port));
    let _stopped = (Stopped(north.path()), Stopped(south.path()), Stopped(twin.path()));
    let started = || (Some(0), String::new(), UNAUTHENTICATED.to_owned());
    assert_eq!(said(&lltconfig(south.path(), "-c -o")), started());
    let clock = llt::io::Clock::new();
    let start = clock.now();
    let verbose = said(&lltconfig(north.path(), "-c -v"));
    let took = clock.now().since(start);
    let up = format!("node 0 (north), cluster {port}, 1 of 1 links up\n");
    assert_eq!(verbose, (Some(0), up, UNAUTHENTICATED.to_owned()));
    assert!(took >= Duration::from_secs(5), "it must listen: {took:?}");
    let again = said(&lltconfig(north.path(), "-c"));
    let already = "LLT is already running with that configuration\n".to_owned();
    assert_eq!(again, (Some(0), already, String::new()));

    let (code, out, err) = said(&lltconfig(twin.path(), "-c"));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    let [exists, used, hint] = lines[..] else { panic!("{err}") };
    let text =
        format!("V-14-2-15238 node 0 already exists in cluster {port} and has the address - ");
    assert!(exists.starts_with(&format!("LLT lltconfig ERROR {text}")), "{err}");
    let text =
        format!("V-14-2-15245 cluster id {port} nodeid 0 has already been used by some other");
    assert!(used.starts_with(&format!("LLT lltconfig ERROR {text}")), "{err}");
    assert_eq!(
        hint,
        "LLT lltconfig ERROR V-14-2-15241 LLT not started, use -o to override this error"
    );
    let gone = said(&lltconfig(twin.path(), ""));
    assert_eq!(gone, (Some(3), "LLT is not running\n".to_owned(), String::new()));
    assert_eq!(said(&lltconfig(north.path(), "-oU")), (Some(0), String::new(), String::new()));
}
