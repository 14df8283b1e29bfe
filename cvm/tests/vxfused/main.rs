//! vxfused as a process, mounted: over a server in this process, and over nbdkit.
//!
//! It takes root and `/dev/fuse`; where there is neither, each test says so and does nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod server;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use self::server::{Kind, Server, Store};

/// A node's folder with a vxfused.
struct Node {
    root: tempfile::TempDir,
    process: Child,
}

impl Node {
    /// `None`, and a line that says so: nothing can be mounted here.
    fn root() -> Option<tempfile::TempDir> {
        let is_there = OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
        if !is_there || !rustix::process::geteuid().is_root() {
            eprintln!("skipped: file systems can only be mounted by root, where /dev/fuse is");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run")).unwrap();
        Some(root)
    }

    fn start(root: tempfile::TempDir) -> Self {
        let process = spawn(root.path());
        let node = Self { root, process };
        wait_until(|| is_mounted(&node.path("dsk")) && is_mounted(&node.path("rdsk")));
        node
    }

    fn with(store: &Store) -> Option<(Self, Server)> {
        let root = Self::root()?;
        let server = Server::start(&root.path().join("run/nbd.sock"), store);
        Some((Self::start(root), server))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("dev/vx").join(name)
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("run/nbd.sock")
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(name))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("var/log/vxfused.log")).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for tree in ["dsk", "rdsk"] {
            while unmount(self.path(tree), UnmountFlags::DETACH).is_ok() {}
        }
    }
}

fn spawn(root: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vxfused"));
    command.arg("--root").arg(root).stderr(Stdio::piped()).spawn().unwrap()
}

/// Another file system than what it is in.
fn is_mounted(path: &Path) -> bool {
    let parent = path.parent().unwrap();
    fs::metadata(path).is_ok_and(|it| it.dev() != fs::metadata(parent).unwrap().dev())
}

/// With a deadline of some seconds.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        let _ = poll(&mut [], Some(&pause));
    }
    panic!("it did not come to that");
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().and_then(|error| Errno::from_io_error(&error))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn volumes_are_files_in_folders_of_their_groups() {
    let store = Store::default();
    for (name, kind, len) in [
        ("dg1/a", Kind::Sound, 10240),
        ("dg1/b", Kind::ReadOnly, 512),
        ("dg2/a", Kind::Sound, 0),
        ("plain", Kind::Sound, 512),
        ("dg3/b/c", Kind::Sound, 512),
        ("../x", Kind::Sound, 512),
    ] {
        store.add(name, kind, len);
    }
    for number in 0..2000 {
        store.add(&format!("many/volume-with-quite-a-long-name-{number}"), Kind::Sound, 512);
    }
    let Some((node, _server)) = Node::with(&store) else { return };
    for tree in ["dsk", "rdsk"] {
        assert_eq!(names(&node.path(tree)), ["dg1", "dg2", "many"]);
        assert_eq!(names(&node.path(tree).join("dg1")), ["a", "b"]);
        assert_eq!(names(&node.path(tree).join("many")).len(), 2000);
        let stat = |name: &str| {
            let status = fs::metadata(node.path(tree).join(name)).unwrap();
            (status.len(), status.permissions().mode() & 0o7777, status.uid())
        };
        assert_eq!(stat("dg1/a"), (10240, 0o600, 0));
        assert_eq!(stat("dg1/b"), (512, 0o400, 0));
        assert_eq!(stat("dg1"), (0, 0o755, 0));
    }
    for missing in ["dsk/dg3", "dsk/dg1/c", "rdsk/plain"] {
        assert_eq!(errno(fs::metadata(node.path(missing))), Some(Errno::NOENT));
    }
    // What comes and goes is seen within a second.
    store.add("dg4/new", Kind::Sound, 512);
    wait_until(|| node.path("dsk/dg4/new").exists());
    for result in [
        fs::remove_file(node.path("dsk/dg1/a")),
        fs::create_dir(node.path("dsk/x")),
        fs::write(node.path("dsk/dg1/x"), ""),
        fs::rename(node.path("dsk/dg1/a"), node.path("dsk/dg1/z")),
        fs::set_permissions(node.path("dsk/dg1/a"), fs::Permissions::from_mode(0o666)),
    ] {
        assert_eq!(errno(result), Some(Errno::PERM));
    }
}

#[test]
fn what_is_written_is_read_and_safe_when_that_is_asked_for() {
    let store = Store::default();
    store.add("dg/v", Kind::Sound, 9 * 512);
    let Some((node, _server)) = Node::with(&store) else { return };
    let block = node.open("dsk/dg/v").unwrap();
    let mut model = vec![0; 9 * 512];
    for (at, text) in [(0, "begin"), (510, "over an edge"), (4600, "the end.")] {
        block.write_all_at(text.as_bytes(), at).unwrap();
        let at = usize::try_from(at).unwrap();
        model[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    assert_eq!(store.bytes("dg/v"), model, "the end of a volume need not be that of a page");
    assert_eq!(errno(block.write_at(b"x", 9 * 512)), Some(Errno::NOSPC));
    assert_eq!(block.write_at(b"short", 9 * 512 - 3).unwrap(), 3);
    // A flush may be among them: the kernel sends one whenever a descriptor is closed, also the
    // copy in a process that another test is just starting.
    assert!(!store.take_seen().contains(&(1, 1)), "nobody asked for FUA");
    block.sync_all().unwrap();
    assert!(store.take_seen().contains(&(0, 3)), "sync is a flush");
    // As a device takes it.
    assert_eq!(errno(block.set_len(512)), Some(Errno::PERM));
    block.set_len(9 * 512).unwrap();
    File::create(node.path("dsk/dg/v")).unwrap();
    assert_eq!(fs::metadata(node.path("dsk/dg/v")).unwrap().len(), 9 * 512);

    let raw = node.open("rdsk/dg/v").unwrap();
    assert_eq!(errno(raw.write_at(b"odd", 0)), Some(Errno::INVAL));
    assert_eq!(errno(raw.read_at(&mut [0; 512], 100)), Some(Errno::INVAL));
    assert_eq!(raw.write_at(&[7; 1024], 512).unwrap(), 1024);
    assert_eq!(store.bytes("dg/v")[512..1536], [7; 1024]);
    drop((block, raw));
    wait_until(|| store.open() == 0);
    store.take_seen();
    let durable = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DSYNC)
        .open(node.path("rdsk/dg/v"))
        .unwrap();
    durable.write_all_at(&[8; 512], 0).unwrap();
    let seen = store.take_seen();
    let writes: Vec<_> = seen.iter().filter(|(_, command)| *command == 1).collect();
    assert_eq!(writes, [&(1, 1)], "FUA");
    drop(durable);
    wait_until(|| store.open() == 0);
    let mut all = Vec::new();
    node.open("dsk/dg/v").unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all, store.bytes("dg/v"));
}

#[test]
fn whoever_may_not_open_a_volume_learns_why() {
    let store = Store::default();
    let (group, exclusive) = (
        "v: the disk group is not activated for this on this node",
        "v: the volume is exclusive, and node 2 has it open",
    );
    store.add("dg/off", Kind::Refused(group), 512);
    store.add("dg/ex", Kind::Refused(exclusive), 512);
    store.add("dg/stopped", Kind::Refused("v: the volume is not started"), 512);
    store.add("dg/ro", Kind::ReadOnly, 512);
    let Some((node, _server)) = Node::with(&store) else { return };
    for (name, expected) in [
        ("off", Errno::ACCESS),
        ("ex", Errno::BUSY),
        ("stopped", Errno::NXIO),
        ("ro", Errno::ROFS),
        ("gone", Errno::NOENT),
    ] {
        assert_eq!(errno(node.open(&format!("dsk/dg/{name}"))), Some(expected), "{name}");
    }
    assert_eq!(fs::read(node.path("dsk/dg/ro")).unwrap(), [0; 512]);
    let log = node.log();
    assert!(log.contains(&format!(" INFO dg/ex is not opened to write: {exclusive}")), "{log}");
    wait_until(|| store.open() == 0);
}

#[test]
fn a_volume_that_is_silent_stops_nobody_and_a_server_that_dies_fails_what_is_open() {
    let store = Store::default();
    store.add("dg/silent", Kind::Silent, 1 << 20);
    store.add("dg/v", Kind::Sound, 1 << 20);
    let Some((node, server)) = Node::with(&store) else { return };
    let (tell, told) = channel();
    for number in 0..40 {
        let (tell, path) = (tell.clone(), node.path("rdsk/dg/silent"));
        let read = move || {
            let file = File::open(path).unwrap();
            tell.send(errno(file.read_at(&mut [0; 4096], number * 4096))).unwrap();
        };
        std::thread::Builder::new().name("reader".to_owned()).spawn(read).unwrap();
    }
    wait_until(|| store.open() == 40);
    let file = node.open("dsk/dg/v").unwrap();
    file.write_all_at(b"meanwhile", 100).unwrap();
    file.sync_all().unwrap();
    assert_eq!(names(&node.path("dsk/dg")), ["silent", "v"]);
    assert!(told.try_recv().is_err(), "it is silent still");

    drop(server);
    for _ in 0..40 {
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), Some(Errno::IO));
    }
    for _ in 0..2 {
        assert_eq!(errno(file.write_at(b"x", 0)), Some(Errno::IO));
        assert_eq!(errno(file.sync_all()), Some(Errno::IO));
    }
    assert_eq!(errno(node.open("dsk/dg/v")), Some(Errno::NXIO));
    assert_eq!(names(&node.path("")), ["dsk", "rdsk"]);
    let _server = Server::start(&node.socket(), &store);
    let again = node.open("dsk/dg/v").unwrap();
    let mut bytes = [0; 9];
    again.read_exact_at(&mut bytes, 100).unwrap();
    assert_eq!(&bytes, b"meanwhile");
    assert_eq!(errno(file.read_at(&mut [0; 512], 512 << 10)), Some(Errno::IO), "for good");
}

#[test]
fn it_ends_in_order_and_takes_over_from_one_that_did_not() {
    let store = Store::default();
    store.add("dg/v", Kind::Sound, 1 << 20);
    let Some((mut node, _server)) = Node::with(&store) else { return };
    let refused = spawn(node.root.path()).wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("vxfused is already running") && !refused.status.success(), "{said}");

    let orphan = node.open("dsk/dg/v").unwrap();
    node.process.kill().unwrap();
    node.process.wait().unwrap();
    assert_eq!(errno(fs::metadata(node.path("dsk/nobody"))), Some(Errno::NOTCONN));
    node.process = spawn(node.root.path());
    wait_until(|| node.log().matches("volumes are files in").count() == 2);
    assert_eq!(node.log().matches("was left by a vxfused that has died: unmounted").count(), 2);
    node.open("dsk/dg/v").unwrap().write_all(b"again").unwrap();
    assert_eq!(errno(orphan.write_at(b"x", 0)), Some(Errno::NOTCONN));

    // A file that is open is served until it is closed.
    let file = node.open("dsk/dg/v").unwrap();
    let pid = Pid::from_child(&node.process);
    kill_process(pid, Signal::TERM).unwrap();
    wait_until(|| !is_mounted(&node.path("dsk")) && !is_mounted(&node.path("rdsk")));
    file.write_all_at(b"still here", 4000).unwrap();
    file.sync_all().unwrap();
    assert_eq!(store.bytes("dg/v")[4000..4010], *b"still here");
    assert!(node.process.try_wait().unwrap().is_none());
    drop(file);
    assert!(node.process.wait().unwrap().success());
}

#[test]
fn nbdkit_is_understood() {
    let Some(root) = Node::root() else { return };
    let socket = root.path().join("run/nbd.sock");
    let mut command = Command::new("nbdkit");
    command.args(["-f", "--exit-with-parent", "--filter=exportname", "-U"]).arg(&socket);
    command.args(["memory", "16M", "exportname-list=explicit", "exportname=dg/v"]);
    let Ok(mut nbdkit) = command.spawn() else {
        eprintln!("skipped: nbdkit is not installed");
        return;
    };
    wait_until(|| socket.exists());
    let node = Node::start(root);
    let (block, raw) = (node.open("dsk/dg/v").unwrap(), node.open("rdsk/dg/v").unwrap());
    assert_eq!(block.metadata().unwrap().len(), 16 << 20);
    let data: Vec<u8> = (0..5 << 20_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    block.write_all_at(&data, 12345).unwrap();
    block.sync_all().unwrap();
    let mut read = vec![0; data.len()];
    raw.read_exact_at(&mut read[..4 << 20], 12288).unwrap();
    assert_eq!(read[57..4 << 20], data[..(4 << 20) - 57]);
    block.read_exact_at(&mut read, 12345).unwrap();
    assert!(read == data);
    for mode in [rustix::fs::FallocateFlags::PUNCH_HOLE, rustix::fs::FallocateFlags::ZERO_RANGE] {
        let mode = mode | rustix::fs::FallocateFlags::KEEP_SIZE;
        block.write_all_at(&[1; 10_000], 0).unwrap();
        rustix::fs::fallocate(&block, mode, 1000, 8000).unwrap();
        let mut bytes = [2; 10_000];
        block.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[1000..9000].iter().all(|byte| *byte == 0));
        assert!(bytes[..1000].iter().chain(&bytes[9000..]).all(|byte| *byte == 1));
    }
    drop((block, raw, node));
    nbdkit.kill().unwrap();
    nbdkit.wait().unwrap();
}
