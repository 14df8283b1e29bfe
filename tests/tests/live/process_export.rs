//! Volumes as programs reach them: images that QEMU converts, the same over TCP, and a node that is
//! to leave while a program has a volume open.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tools::muster::process::Process;
use tools::muster::temporary::Temporary;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, muster, run};
use crate::process_cvm::{wait_members, wait_out};
use crate::process_volumes::{
    CLIENTS, check_on, group, hold, output, prepared, qemu_io, read, succeeds, uri, write,
};

/// An image of QEMU's own kind, of 8 MB, that holds something here and nothing there.
fn image(path: &Path) {
    let path = path.to_str().unwrap();
    succeeds("qemu-img", &["create", "-q", "-f", "qcow2", path, "8m"]);
    qemu_io("qcow2", path, &["write -P 1 0 1m", "write -P 2 3m 512", "write -P 3 7m 1m"]);
}

/// True: QEMU says that the image and the volume hold the same. False: it says that they do not.
fn are_equal(image: &Path, volume: &str) -> bool {
    let words = ["compare", "-f", "qcow2", "-F", "raw", image.to_str().unwrap(), volume];
    let output = output("qemu-img", &words);
    match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Done when of issue 7: qemu-img converts, compares and informs.
#[test]
fn qemu_img_converts_an_image_into_a_volume_and_back() {
    if are_missing(CLIENTS) || are_missing(&["qemu-img"]) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror", "sm 8m layout=stripe-mirror ncol=2"]);
    let (first, back) = (cluster.folder().join("first"), cluster.folder().join("back"));
    image(&first);
    for (volume, into, from) in [("vol1", 0, 1), ("sm", 1, 0)] {
        let (into, from) = (uri(&cluster, into, volume), uri(&cluster, from, volume));
        let told = succeeds("qemu-img", &["info", "--output=json", &from]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["virtual-size"], &told["format"]), (&(8 << 20).into(), &"raw".into()));
        assert!(!are_equal(&first, &from), "nothing was written yet");
        // The volume is there already: -n.
        let words = ["convert", "-n", "-f", "qcow2", "-O", "raw", first.to_str().unwrap(), &into];
        succeeds("qemu-img", &words);
        assert!(are_equal(&first, &into) && are_equal(&first, &from), "{volume}");
        let words = ["convert", "-f", "raw", "-O", "qcow2", &from, back.to_str().unwrap()];
        succeeds("qemu-img", &words);
        let words = ["compare", "-f", "qcow2", "-F", "qcow2"];
        let both = [first.to_str().unwrap(), back.to_str().unwrap()];
        succeeds("qemu-img", &[&words[..], &both].concat());
        // One sector less is noticed, and by the other node.
        qemu_io("raw", &from, &["write -P 9 3m 512"]);
        assert!(!are_equal(&first, &into), "{volume}");
        check_on(&cluster, 1, volume);
    }
    cluster.down().unwrap();
}

/// Ends the vxiod of a node in order, and starts it as one that serves volumes over TCP, too.
fn serve_over_tcp(cluster: &mut Temporary, node: u8) -> SocketAddr {
    // Addresses of the cluster, on which nobody else listens.
    let address = SocketAddr::new(cluster.cluster.address(node, 0).into(), cluster.cluster.port(0));
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "nobody has asked for it");
    run(cluster, node, "vxclustadm stopnode");
    let old = cluster.cluster.node(node).vxiod.unwrap();
    old.signal(Signal::TERM).unwrap();
    assert!(old.wait_gone(LIMIT).unwrap());
    let parent = std::process::id().to_string();
    let vxiod = cluster.binaries.path("vxiod").into_os_string().into_string().unwrap();
    let root = cluster.cluster.root(node).into_os_string().into_string().unwrap();
    let mut command = muster(cluster, &["detach", "--parent", &parent, "--", &vxiod]);
    command.args(["--root", &root, "--nbd", &address.to_string()]);
    // It has its own log, and ends with the cluster.
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    cluster.cluster.node_mut(node).vxiod = Process::of(spawned.unwrap().id());
    cluster.start_volumes(node).unwrap();
    run(cluster, node, "vxdg -g shdg set activation=sw");
    address
}

/// docs/volumes.md: `vxiod --nbd` serves over TCP what it serves on its socket.
#[test]
fn volumes_are_served_over_tcp_by_a_node_that_is_told_to() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let mut cluster = prepared(&["vol1 8m layout=mirror"]);
    let address = serve_over_tcp(&mut cluster, 1);
    let log = cluster.cluster.root(1).join("var/log/vxiod.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("served on {address} without TLS")), "{log}");
    let remote = format!("nbd://{address}/shdg/vol1");
    let told = succeeds("nbdinfo", &[&remote]);
    assert!(told.contains("export-size: 8388608"), "{told}");
    assert!(succeeds("nbdinfo", &["--list", &format!("nbd://{address}")]).contains("shdg/vol1"));
    write(&cluster, 0, "vol1", 5, "0 8m");
    let commands = ["read -P 5 0 8m", "write -P 6 1m 2m", "write -z 5m 64k", "flush"];
    qemu_io("raw", &remote, &commands);
    let copied = cluster.folder().join("copied");
    succeeds("nbdcopy", &[&remote, copied.to_str().unwrap()]);
    let held = std::fs::read(copied).unwrap();
    assert!(held == read(&cluster, 0, "vol1"), "the other node reads the same");
    assert_eq!([held[0], held[1 << 20], held[3 << 20], held[5 << 20]], [5, 6, 5, 0]);
    check_on(&cluster, 1, "vol1");
    // The same rules hold for who comes from afar.
    run(&cluster, 1, "vxdg -g shdg set activation=off");
    let refused = output("qemu-io", &["-f", "raw", "-c", "quit", &remote]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("is not activated"), "{said}");
    cluster.down().unwrap();
}

/// Bytes that are written through a connection that [`hold`] made: the error that is answered.
pub(crate) fn write_held(socket: &mut (impl Read + Write), at: u64, bytes: &[u8]) -> u32 {
    let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let (magic, handle) = (0x2560_9513_u32.to_be_bytes(), 7_u64.to_be_bytes());
    // No flags; WRITE.
    let head = [&magic[..], &[0, 0, 0, 1], &handle, &at.to_be_bytes(), &len].concat();
    socket.write_all(&[&head, bytes].concat()).unwrap();
    let mut reply = [0; 16];
    socket.read_exact(&mut reply).unwrap();
    assert_eq!(reply[8..], handle);
    u32::from_be_bytes(reply[4..8].try_into().unwrap())
}

/// CVM-26, CVM-27: a node leaves when its programs have closed what they have open, and leaves nothing
/// that had to be made equal.
#[test]
fn a_node_waits_with_leaving_until_its_programs_have_closed_their_volumes() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror"]);
    let mut held = hold(&cluster, 1, "shdg/vol1");
    assert_eq!(write_held(&mut held, 0, &[1; 512]), 0);
    let mut leaving = programs::spawn(&cluster, 1, &["vxclustadm", "stopnode"]).unwrap();
    wait::until("it lets nobody in any more", LIMIT, || {
        let tried = output("qemu-io", &["-f", "raw", "-c", "quit", &uri(&cluster, 1, "vol1")]);
        let said = String::from_utf8_lossy(&tried.stderr);
        Ok(said.contains("is being taken away").then_some(()))
    })
    .unwrap();
    // Whoever is in goes on, and the node is a member as long.
    for sector in 1..100 {
        assert_eq!(write_held(&mut held, sector * 512, &[1; 512]), 0, "sector {sector}");
    }
    assert_eq!(leaving.try_wait().unwrap(), None);
    assert!(volumes::snapshot(&cluster.cluster, 0).unwrap().cluster.nodes[1].is_member);
    assert!(group(&cluster, 0).volumes["vol1"].writers.contains(&1));
    assert!(read(&cluster, 0, "vol1")[..512 * 100].iter().all(|byte| *byte == 1));
    drop(held);
    let left = leaving.wait_with_output().unwrap();
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    wait_out(&cluster, 1);
    wait_members(&cluster, 0, &[0, 2]);
    let volume = &group(&cluster, 0).volumes["vol1"];
    assert!(!volume.needs_sync() && !volume.writers.contains(&1), "{volume:?}");
    check_on(&cluster, 0, "vol1");
    cluster.down().unwrap();
}
