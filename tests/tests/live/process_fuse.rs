//! Volumes as files, through the vxfused of two nodes that share the disks: what programs do with them,
//! and what becomes of it when daemons are killed.
//!
//! It takes root and `/dev/fuse`, and loop devices for the file system; where one is missing, each test
//! says so and does nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::Signal;
use tools::muster::process::{Process, State};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{fuse, programs, wait};

use crate::process::{LIMIT, are_missing, beside_another, options, run};

/// Can nothing be mounted here? Says why.
pub(crate) fn is_barred() -> bool {
    let checked = fuse::check();
    if let Err(error) = &checked {
        println!("skipped: {error:#}");
    }
    checked.is_err()
}

/// Two nodes with a vxfused each, and a group on two disks that neither has activated.
fn prepared(made: &[&str]) -> Temporary {
    let disks = UpOptions { nodes: 2, disks: 2, disk_size: 128 << 20, ..options() };
    let cluster = Temporary::up(&UpOptions { fuse: true, ..disks });
    let cluster = cluster.unwrap_or_else(|error| panic!("{error:#}"));
    for disk in 0..2 {
        run(&cluster, 0, &format!("vxdisksetup -i disk_{disk} privlen=4m"));
    }
    run(&cluster, 0, "vxdg -s init mydg disk_0 disk_1");
    for volume in made {
        run(&cluster, 0, &format!("vxassist -g mydg make {volume}"));
    }
    cluster
}

/// A file that was closed is so a moment later for vxiod, and a node that was lost is back then.
fn activate(cluster: &Temporary, node: u8, mode: &str) {
    let mode = format!("activation={mode}");
    wait::until(&format!("node {node} has {mode}"), LIMIT, || {
        Ok(programs::run(cluster, node, &["vxdg", "-g", "mydg", "set", &mode], "").ok())
    })
    .unwrap();
}

/// Of a tree and a volume: `dsk/vol1`.
fn path(cluster: &Temporary, node: u8, name: &str) -> PathBuf {
    let (tree, volume) = name.split_once('/').unwrap();
    cluster.cluster.root(node).join("dev/vx").join(tree).join("mydg").join(volume)
}

fn reading(cluster: &Temporary, node: u8, name: &str) -> io::Result<File> {
    File::open(path(cluster, node, name))
}

fn writing(cluster: &Temporary, node: u8, name: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path(cluster, node, name))
}

#[track_caller]
fn fails<T>(result: io::Result<T>, expected: Errno) {
    let error = result.err().and_then(|error| Errno::from_io_error(&error));
    assert_eq!(error, Some(expected));
}

fn kill(process: Option<Process>) {
    let process = process.unwrap();
    assert!(process.signal(Signal::KILL).unwrap());
    assert!(process.wait_gone(LIMIT).unwrap());
}

/// Takes the cluster down, and looks for what may not be there any more.
fn down(cluster: Temporary) {
    let dir = cluster.cluster.dir.display().to_string();
    cluster.down().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&dir), "{mounts}");
}

/// What `program` printed, which has two minutes.
#[track_caller]
fn succeeds(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "120", program]).args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {printed}{said}");
    printed
}

/// CVM-39, CVM-28, facts 3.8, as programs see it that know files only.
#[test]
fn a_file_is_opened_by_those_who_may_and_keeps_its_volume_open() {
    if is_barred() {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 2m", "ex 2m exclusive=on"]);
    fails(reading(&cluster, 1, "dsk/vol1"), Errno::ACCESS);
    run(&cluster, 1, "vxdg -g mydg set activation=sharedread");
    fails(writing(&cluster, 1, "rdsk/vol1"), Errno::ROFS);
    let mut bytes = [1; 512];
    reading(&cluster, 1, "rdsk/vol1").unwrap().read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [0; 512]);
    activate(&cluster, 1, "off");
    for node in 0..2 {
        activate(&cluster, node, "sharedwrite");
    }
    fails(reading(&cluster, 0, "dsk/vol9"), Errno::NOENT);

    let held = writing(&cluster, 0, "dsk/ex").unwrap();
    fails(reading(&cluster, 1, "dsk/ex"), Errno::BUSY);
    let refused = programs::run(&cluster, 0, &["vxdg", "deport", "mydg"], "").unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("Some volumes in the disk group are in use"), "{refused}");
    drop(held);
    wait::until("it is closed", LIMIT, || Ok(reading(&cluster, 1, "dsk/ex").ok())).unwrap();

    // One that ends in order unmounts.
    assert!(cluster.stop(1).unwrap());
    for tree in fuse::trees(&cluster.cluster, 1) {
        assert!(!fuse::is_mounted(&tree).unwrap());
    }
    assert_eq!(cluster.cluster.node(1).vxfused.unwrap().state(), State::Gone);
    down(cluster);
}

/// Writes and verifies.
#[track_caller]
fn fio(cluster: &Temporary, name: &str, file: &str, arguments: &str) {
    let names =
        [format!("--name={name}"), format!("--filename={}", path(cluster, 0, file).display())];
    let verify = "--verify=crc32c --verify_fatal=1 --verify_state_save=0".split(' ');
    let all: Vec<&str> =
        names.iter().map(String::as_str).chain(verify).chain(arguments.split(' ')).collect();
    let said = succeeds(cluster.folder(), "fio", &all);
    assert!(said.contains("err= 0"), "{said}");
}

#[test]
fn any_bytes_that_one_node_writes_to_a_file_the_other_reads() {
    if is_barred() {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["odd 12345", "vol1 32m layout=mirror"]);
    for node in 0..2 {
        activate(&cluster, node, "sharedwrite");
    }
    let (block, raw) = (writing(&cluster, 0, "dsk/odd").unwrap(), writing(&cluster, 0, "rdsk/odd"));
    let (raw, len) = (raw.unwrap(), block.metadata().unwrap().len());
    assert!(len >= 12345 * 512, "{len}");
    let data: Vec<u8> = (0..700_000_u32).map(|at| (at % 251).try_into().unwrap()).collect();
    for (at, piece) in (3000..).step_by(1000).zip(data.chunks(1000)) {
        block.write_all_at(piece, at).unwrap();
    }
    assert_eq!(block.write_at(b"the end", len - 3).unwrap(), 3);
    fails(block.write_at(b"x", len), Errno::NOSPC);
    block.sync_all().unwrap();
    let (mut read, mut end) = (vec![0; data.len()], [0; 3]);
    let there = reading(&cluster, 1, "dsk/odd").unwrap();
    there.read_exact_at(&mut read, 3000).unwrap();
    there.read_exact_at(&mut end, len - 3).unwrap();
    assert!(read == data && end == *b"the");
    fails(raw.write_at(&[0; 1000], 0), Errno::INVAL);
    fails(raw.read_at(&mut [0; 513], 0), Errno::INVAL);
    drop((block, raw, there));

    if !are_missing(&["fio"]) {
        let line = "--direct=1 --ioengine=libaio --iodepth=32 --rw=randrw --bsrange=512-256k \
                    --blockalign=512 --size=24m --io_size=8m";
        fio(&cluster, "raw", "rdsk/vol1", line);
        let line = "--ioengine=psync --rw=randwrite --bsrange=1-70000 --bs_unaligned=1 --size=16m \
                    --io_size=4m --fsync=64";
        fio(&cluster, "any-bytes", "dsk/vol1", line);
        fio(&cluster, "mmap", "dsk/odd", "--ioengine=mmap --rw=randwrite --bs=4k --size=4m");
        let line = "--numjobs=4 --group_reporting --ioengine=psync --direct=1 --rw=randwrite --bs=4k \
                    --size=8m --offset_increment=8m --io_size=1m";
        fio(&cluster, "jobs", "rdsk/vol1", line);
    }
    down(cluster);
}

/// A loop device over a file, as long as this.
pub(crate) struct Loop(String);

impl Loop {
    /// There are none here; that is said.
    pub(crate) fn is_barred() -> bool {
        let found = Command::new("losetup").arg("--find").output().unwrap();
        if !found.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&found.stderr));
        }
        !found.status.success()
    }

    pub(crate) fn over(file: &Path, option: &str) -> Self {
        let file = file.to_str().unwrap();
        let printed = succeeds(Path::new("/"), "losetup", &[option, "--find", "--show", file]);
        Self(printed.trim().to_owned())
    }

    /// Its path.
    pub(crate) fn device(&self) -> &str {
        &self.0
    }

    /// Does it go past the page cache of what it lies over?
    fn is_direct(&self) -> bool {
        let device = self.0.strip_prefix("/dev/").unwrap();
        fs::read_to_string(format!("/sys/block/{device}/loop/dio")).unwrap().trim() == "1"
    }

    /// With the device and a folder as arguments, where nobody else sees what is mounted, and where
    /// nothing of it remains.
    fn script(&self, folder: &Path, script: &str) {
        let shell = ["--mount", "--propagation", "slave", "sh", "-euc", script, "sh"];
        let arguments = [&shell[..], &[&self.0, folder.to_str().unwrap()]].concat();
        succeeds(folder, "unshare", &arguments);
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

const FILL: &str = "
    mkfs.ext4 -q -F $1
    mount $1 $2/mnt
    mkdir $2/mnt/tree
    for n in $(seq 20); do head -c $((n * 40123)) /dev/urandom > $2/mnt/tree/$n; done
    rm $2/mnt/tree/3 $2/mnt/tree/13
    fstrim $2/mnt
    (cd $2/mnt && find tree -type f | sort | xargs sha256sum) > $2/sums
    umount $2/mnt
    e2fsck -fn $1";
const COMPARE: &str = "
    e2fsck -fn $1
    mount -o ro $1 $2/mnt
    (cd $2/mnt && sha256sum --quiet -c $2/sums)
    umount $2/mnt";

#[test]
fn ext4_that_one_node_has_filled_is_sound_on_the_other() {
    let needed = ["losetup", "unshare", "mkfs.ext4", "e2fsck", "fstrim", "timeout"];
    if is_barred() || are_missing(&needed) || Loop::is_barred() {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 48m layout=mirror"]);
    for node in 0..2 {
        activate(&cluster, node, "sharedwrite");
    }
    let folder = cluster.folder();
    fs::create_dir(folder.join("mnt")).unwrap();
    for direct in [false, true] {
        let option = if direct { "--direct-io=on" } else { "--direct-io=off" };
        let filled = Loop::over(&path(&cluster, 0, "dsk/vol1"), option);
        assert_eq!(filled.is_direct(), direct);
        filled.script(folder, FILL);
        assert_eq!(fs::read_to_string(folder.join("sums")).unwrap().lines().count(), 18);
        drop(filled);
        Loop::over(&path(&cluster, 1, "dsk/vol1"), "--read-only").script(folder, COMPARE);
    }
    down(cluster);
}

/// The beginning of a volume, as a node reads it.
fn beginning(cluster: &Temporary, node: u8) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    reading(cluster, node, "dsk/vol1").unwrap().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Writes until that fails, and says how it did. Ends with the cluster at the latest.
fn write(file: &File, written: &AtomicU64) -> io::Error {
    loop {
        let at = written.fetch_add(1, Ordering::Relaxed);
        let bytes = [at.to_le_bytes()[0]; 4096];
        if let Err(error) = file.write_all_at(&bytes, at % 4096 * 4096) {
            return error;
        }
    }
}

#[test]
fn a_vxiod_and_a_vxfused_are_killed_and_files_can_be_opened_again() {
    if is_barred() {
        return;
    }
    let _room = beside_another();
    let mut cluster = prepared(&["vol1 24m layout=mirror"]);
    for node in 0..2 {
        activate(&cluster, node, "sharedwrite");
    }
    let (file, written) =
        (Arc::new(writing(&cluster, 1, "rdsk/vol1").unwrap()), Arc::new(AtomicU64::new(0)));
    let (same, count) = (Arc::clone(&file), Arc::clone(&written));
    let writer = std::thread::Builder::new().name("writer".to_owned());
    let writer = writer.spawn(move || write(&same, &count)).unwrap();
    wait::until("it is written", LIMIT, || {
        Ok((written.load(Ordering::Relaxed) > 300).then_some(()))
    })
    .unwrap();
    kill(cluster.cluster.node(1).vxiod);
    fails::<()>(Err(writer.join().unwrap()), Errno::IO);
    fails(reading(&cluster, 1, "dsk/vol1"), Errno::NXIO);
    assert!(beginning(&cluster, 0).iter().any(|byte| *byte != 0), "the other node goes on");

    // Its node may not be missed yet by the other one.
    wait::until("node 1 is back", LIMIT, || Ok(cluster.start_volumes(1).ok())).unwrap();
    activate(&cluster, 1, "sharedwrite");
    assert!(beginning(&cluster, 1) == beginning(&cluster, 0));
    fails(file.write_at(&[0; 512], 0), Errno::IO);

    let again = writing(&cluster, 1, "rdsk/vol1").unwrap();
    kill(cluster.cluster.node(1).vxfused);
    fails(fs::metadata(path(&cluster, 1, "dsk/nobody")), Errno::NOTCONN);
    cluster.start_volumes(1).unwrap();
    assert!(beginning(&cluster, 1) == beginning(&cluster, 0));
    fails(again.write_at(&[0; 512], 0), Errno::NOTCONN);
    let log = cluster.cluster.root(1).join("var/log/vxfused.log");
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("was left by a vxfused that has died: unmounted").count(), 2, "{log}");

    // What one that was killed has left does not outlive the cluster, whoever has a file open.
    kill(cluster.cluster.node(0).vxfused);
    let open = reading(&cluster, 1, "dsk/vol1").unwrap();
    down(cluster);
    fails(open.read_at(&mut [0; 512], 8 << 20), Errno::NOTCONN);
}
