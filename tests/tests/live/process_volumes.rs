//! Volumes served to programs that others wrote: what they write is what every node reads, through
//! disks that die, changes of the configuration and daemons that are killed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cvm::model::{Group, KernelState, PlexState, Tid};
use cvm::snapshot::GroupSnapshot;
use cvm::volume::{MirrorIndex, PlexMode, Target, VolumeMap};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, options, run};

/// libnbd's, QEMU's, and fio.
pub(crate) const CLIENTS: &[&str] = &["nbdinfo", "nbdcopy", "qemu-io", "fio"];

/// Three nodes and a group on four disks, which the first two nodes write.
pub(crate) fn prepared(made: &[&str]) -> Temporary {
    prepared_as(options(), made)
}

/// The same, in a cluster of another kind.
pub(crate) fn prepared_as(kind: UpOptions, made: &[&str]) -> Temporary {
    let options = UpOptions { disks: 4, disk_size: 64 << 20, ..kind };
    let cluster = Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"));
    for disk in 0..4 {
        run(&cluster, 0, &format!("vxdisksetup -i disk_{disk} privlen=4m"));
    }
    run(&cluster, 0, "vxdg -s init shdg disk_0 disk_1 disk_2 disk_3");
    for volume in made {
        run(&cluster, 0, &format!("vxassist -g shdg make {volume}"));
    }
    for node in 0..2 {
        run(&cluster, node, "vxdg -g shdg set activation=sw");
    }
    cluster
}

pub(crate) fn uri(cluster: &Temporary, node: u8, volume: &str) -> String {
    let socket = cluster.cluster.root(node).join("run/nbd.sock");
    format!("nbd+unix:///shdg/{volume}?socket={}", socket.display())
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[track_caller]
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Commands of qemu-io, one after the other, to a volume or an image.
#[track_caller]
pub(crate) fn qemu_io(format: &str, place: &str, commands: &[&str]) {
    let mut arguments = vec!["-f", format];
    commands.iter().for_each(|command| arguments.extend(["-c", command]));
    arguments.push(place);
    succeeds("qemu-io", &arguments);
}

/// The group as a node has it, if it has it; not older than what any node has. A command ends when its
/// own node has what it asked for, and the commit may reach the others a moment later.
pub(crate) fn group_if_any(cluster: &Temporary, node: u8) -> Option<Group> {
    let seen = |node| -> anyhow::Result<Option<GroupSnapshot>> {
        let shown = volumes::snapshot(&cluster.cluster, node)?.groups;
        Ok(shown.into_iter().find(|shown| shown.group.name.as_str() == "shdg"))
    };
    let made = |shown: &GroupSnapshot| (shown.epoch, shown.tid.parse::<Tid>().unwrap());
    let running = cluster.cluster.running().into_iter();
    let newest = running.filter_map(|node| seen(node).ok()?.as_ref().map(made)).max();
    let shown = wait::until("the node has the newest configuration", LIMIT, || {
        let shown = seen(node)?;
        let is_new = shown.as_ref().is_none_or(|shown| Some(made(shown)) >= newest);
        Ok(is_new.then_some(shown))
    });
    shown.unwrap().map(|shown| shown.group)
}

/// The same, of a node that has it.
pub(crate) fn group(cluster: &Temporary, node: u8) -> Group {
    group_if_any(cluster, node).unwrap()
}

/// What a mirror holds according to one plex of it, read past all daemons.
fn contents(
    cluster: &Temporary,
    map: &VolumeMap,
    mirror: MirrorIndex,
    at: u64,
    len: u64,
) -> Vec<Vec<u8>> {
    let paths = volumes::disk_paths(&cluster.cluster);
    let devices: Vec<_> = paths.iter().map(|path| cvm::io::Device::open(path).unwrap()).collect();
    let bytes = |disk: &cvm::model::UniqueId, at: u64, len: u64| {
        let is_it = |device: &&cvm::io::Device| device.label().is_ok_and(|l| l.disk == *disk);
        let device = devices.iter().find(is_it).expect("a disk that is in use is there");
        let begin = device.label().unwrap().geometry.public().offset + at;
        let mut bytes = vec![0; usize::try_from(len * 512).unwrap()];
        let file = std::fs::File::open(device.path()).unwrap();
        file.read_exact_at(&mut bytes, begin * 512).unwrap();
        bytes
    };
    let plexes = map.mirror(mirror).plexes.iter().map(|index| map.plex(*index));
    let current = plexes.filter(|plex| plex.mode == PlexMode::ReadWrite);
    current
        .map(|plex| {
            let part = |part: cvm::volume::Part| match part.target.unwrap() {
                Target::Disk { disk, at } => bytes(&map.disks()[disk.0], at, part.len),
                Target::Layer { mirror, at } => {
                    let copies = contents(cluster, map, mirror, at, part.len);
                    assert!(copies.iter().all(|copy| *copy == copies[0]), "copies of a layer");
                    copies.into_iter().next().unwrap()
                }
            };
            // Parts and not bytes, one after the other: there are many megabytes.
            plex.parts(at, len).map(part).collect::<Vec<Vec<u8>>>().concat()
        })
        .collect()
}

/// What the copies of a volume hold, read past all daemons.
pub(crate) fn copies(cluster: &Temporary, volume: &str) -> Vec<Vec<u8>> {
    copies_on(cluster, 0, volume)
}

/// The same; a node says where they are.
fn copies_on(cluster: &Temporary, node: u8, volume: &str) -> Vec<Vec<u8>> {
    let map = VolumeMap::new(&group(cluster, node), volume).unwrap();
    contents(cluster, &map, MirrorIndex::VOLUME, 0, map.len())
}

/// All copies are equal, and are what node 1 reads.
fn check(cluster: &Temporary, volume: &str) {
    check_on(cluster, 1, volume);
}

pub(crate) fn check_on(cluster: &Temporary, node: u8, volume: &str) {
    let copies = copies_on(cluster, node, volume);
    assert!(!copies.is_empty());
    let copied = tempfile::NamedTempFile::new().unwrap();
    let path = copied.path().to_str().unwrap();
    succeeds("nbdcopy", &[&uri(cluster, node, volume), path]);
    let read = std::fs::read(path).unwrap();
    for (number, copy) in copies.iter().enumerate() {
        if *copy != read {
            let mut sectors = copy.chunks(512).zip(read.chunks(512));
            let differs = sectors.position(|(one, other)| one != other);
            panic!("copy {number} of {volume} differs from what is read: sector {differs:?}");
        }
    }
}

/// Writes and verifies in a part of a volume for five seconds; `--offset` keeps nodes apart.
pub(crate) fn fio(cluster: &Temporary, node: u8, volume: &str, offset: &str) -> Child {
    fio_for(cluster, node, volume, offset, 5)
}

/// The same, for so many seconds.
pub(crate) fn fio_for(
    cluster: &Temporary,
    node: u8,
    volume: &str,
    offset: &str,
    seconds: u8,
) -> Child {
    let uri = format!("--uri={}", uri(cluster, node, volume));
    let mut command = Command::new("fio");
    command.args(["--name=verify", "--ioengine=nbd", &uri, "--rw=randrw", "--bsrange=512-64k"]);
    command.args(["--iodepth=8", "--size=4m", &format!("--offset={offset}"), "--time_based"]);
    command.arg(format!("--runtime={seconds}"));
    command.args(["--verify=crc32c", "--verify_backlog=32", "--verify_fatal=1"]);
    command.args(["--verify_state_save=0", "--output-format=normal,json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// It has read what it wrote.
#[track_caller]
pub(crate) fn verified(fio: Child) {
    let _: Duration = longest(fio);
}

/// The same; how long its longest request took.
#[track_caller]
pub(crate) fn longest(fio: Child) -> Duration {
    let output = fio.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("err= 0"), "{said}");
    let json = said.split_once("\n{").map(|(_, json)| format!("{{{json}")).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(&json).into_iter::<serde_json::Value>();
    let told = values.next().unwrap_or_else(|| panic!("{said}")).unwrap();
    let of = |way: &str| told["jobs"][0][way]["clat_ns"]["max"].as_u64();
    let both = ["read", "write"].map(|way| of(way).unwrap_or_else(|| panic!("{said}")));
    Duration::from_nanos(both.into_iter().max().unwrap())
}

/// A disk that can be read and not written, also by those who have it open.
pub(crate) struct Unwritable(PathBuf);

impl Unwritable {
    /// Where the file system, or this user, cannot do that, it says so.
    pub(crate) fn new(disk: PathBuf) -> Option<Self> {
        let output = Command::new("chattr").arg("+i").arg(&disk).output().ok()?;
        if !output.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(Self(disk))
    }
}

impl Drop for Unwritable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// A connection with a volume open, as a client makes it that knows no newer way.
pub(crate) fn hold(cluster: &Temporary, node: u8, export: &str) -> UnixStream {
    let mut socket = UnixStream::connect(cluster.cluster.root(node).join("run/nbd.sock")).unwrap();
    let mut greeting = [0; 18];
    socket.read_exact(&mut greeting).unwrap();
    // Fixed newstyle, no zeros; EXPORT_NAME.
    let len = u32::try_from(export.len()).unwrap().to_be_bytes();
    let option = [&3_u32.to_be_bytes(), &b"IHAVEOPT"[..], &1_u32.to_be_bytes(), &len].concat();
    socket.write_all(&[&option, export.as_bytes()].concat()).unwrap();
    let mut answer = [0; 10];
    socket.read_exact(&mut answer).unwrap();
    socket
}

/// CVM-46: every layout.
#[test]
fn what_one_node_writes_the_other_reads() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let made = [
        "concat 8m",
        "stripe 8m layout=stripe ncol=2",
        "mirror 8m layout=mirror",
        "ms 8m layout=mirror-stripe ncol=2",
        "sm 8m layout=stripe-mirror ncol=2",
    ];
    let cluster = prepared(&made);
    let mut data = vec![0; 8 << 20];
    let mut state = 7_u64;
    for byte in &mut data {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_le_bytes()[7];
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let path = file.path().to_str().unwrap();
    for volume in made.map(|line| line.split(' ').next().unwrap()) {
        let (here, there) = (uri(&cluster, 0, volume), uri(&cluster, 1, volume));
        succeeds("nbdcopy", &["--flush", path, &here]);
        let back = tempfile::NamedTempFile::new().unwrap();
        succeeds("nbdcopy", &[&there, back.path().to_str().unwrap()]);
        assert!(std::fs::read(back.path()).unwrap() == data, "{volume}");
        let commands = [
            "write -P 0xab 1m 512k",
            "read -P 0xab 1m 512k",
            "write -z 1m 64k",
            "read -P 0 1m 64k",
            "discard 2m 1m",
            "read -P 0 2m 1m",
            "write -f -P 7 512 512",
            "read -P 7 512 512",
            "flush",
        ];
        qemu_io("raw", &here, &commands);
        check(&cluster, volume);
    }
    assert!(succeeds("nbdinfo", &["--list", &uri(&cluster, 0, "")]).contains("shdg/ms"));
}

/// Facts 4.3: what was on the disks is the same on all copies of a new volume, unless that is not wanted.
#[test]
fn copies_of_a_new_volume_are_made_equal() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&[]);
    // Nothing of ours is there but what the headers of the disks say, which lie before it.
    for (path, byte) in volumes::disk_paths(&cluster.cluster).iter().zip(1..) {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&vec![byte; 40 << 20], 16 << 20).unwrap();
        file.sync_all().unwrap();
    }
    let made = ["vol1 16m layout=mirror,log", "sm 16m layout=stripe-mirror ncol=2"];
    for volume in made {
        run(&cluster, 1, &format!("vxassist -g shdg make {volume}"));
    }
    for volume in ["vol1", "sm"] {
        assert!(!group(&cluster, 1).volumes[volume].needs_sync(), "vxassist waits");
        check(&cluster, volume);
    }
    run(&cluster, 1, "vxassist -g shdg make raw 16m layout=mirror init=active");
    let map = VolumeMap::new(&group(&cluster, 0), "raw").unwrap();
    let copies = contents(&cluster, &map, MirrorIndex::VOLUME, 0, map.len());
    assert_ne!(copies[0], copies[1], "nobody was to copy");
    // Whoever does not wait finds it in use, and equal later.
    run(&cluster, 1, "vxassist -g shdg -b make late 8m layout=mirror");
    wait_equal(&cluster, "late", 9);
    check(&cluster, "late");
}

/// Facts 2.10, CVM-48: what is acknowledged is on every plex that is in use.
#[test]
fn a_disk_dies_under_load_and_no_write_is_lost() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror", "sm 8m layout=stripe-mirror ncol=2"]);
    let load = [
        fio(&cluster, 0, "vol1", "0"),
        fio(&cluster, 1, "vol1", "4m"),
        fio(&cluster, 1, "sm", "0"),
    ];
    wait::until("something is written", LIMIT, || {
        let map = VolumeMap::new(&group(&cluster, 0), "vol1").unwrap();
        let copies = contents(&cluster, &map, MirrorIndex::VOLUME, 0, map.len());
        Ok(copies.iter().all(|copy| copy.iter().any(|byte| *byte != 0)).then_some(()))
    })
    .unwrap();
    let disk = volumes::disk_paths(&cluster.cluster)[1].clone();
    let Some(dead) = Unwritable::new(disk) else {
        load.into_iter().for_each(verified);
        return;
    };
    load.into_iter().for_each(verified);
    let groups = [0, 1, 2].map(|node| group(&cluster, node));
    assert!(groups.iter().all(|other| *other == groups[0]));
    let off: Vec<&str> = groups[0]
        .plexes
        .iter()
        .filter(|(_, plex)| (plex.kernel, plex.state) == (KernelState::Detached, PlexState::IoFail))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(off.len(), 2, "one of vol1, one of a layer of sm: {off:?}");
    drop(dead);
    for volume in ["vol1", "sm"] {
        check(&cluster, volume);
    }
    // The disk is as good as new, and what it has missed is copied while programs write.
    let load = [fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "sm", "0")];
    run(&cluster, 1, "vxrecover -g shdg");
    let all = group(&cluster, 0).plexes;
    let is_on = |plex: &cvm::model::Plex| {
        (plex.kernel, plex.state) == (KernelState::Enabled, PlexState::Active)
    };
    assert!(all.values().all(is_on), "vxrecover waits: {all:?}");
    load.into_iter().for_each(verified);
    for volume in ["vol1", "sm"] {
        check(&cluster, volume);
    }
}

/// Facts 3.7: killing vxconfigd leaves I/O untouched; nor do changes of the volume harm it.
#[test]
fn volumes_grow_and_vxconfigd_dies_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let mut cluster = prepared(&["vol1 8m layout=mirror"]);
    let load = [fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "vol1", "4m")];
    for _ in 0..3 {
        run(&cluster, 2, "vxassist -g shdg growby vol1 1m");
    }
    for node in 0..3 {
        let process = cluster.cluster.node(node).vxconfigd.unwrap();
        process.signal(rustix::process::Signal::KILL).unwrap();
    }
    load.into_iter().for_each(verified);
    for node in 0..3 {
        cluster.start_volumes(node).unwrap();
    }
    assert_eq!(group(&cluster, 0).volumes["vol1"].len, 11 * 2048);
    check(&cluster, "vol1");
}

/// Bytes of one plex of a volume, changed past all daemons.
pub(crate) fn damage(cluster: &Temporary, volume: &str, plex: usize, at: u64) {
    let map = VolumeMap::new(&group(cluster, 0), volume).unwrap();
    let index = map.mirror(MirrorIndex::VOLUME).plexes[plex];
    let part = map.plex(index).parts(at, 8).next().unwrap();
    let Some(Target::Disk { disk, at }) = part.target else { panic!("{part:?}") };
    let paths = volumes::disk_paths(&cluster.cluster);
    let devices = paths.iter().map(|path| cvm::io::Device::open(path).unwrap());
    let is_it = |device: &cvm::io::Device| {
        device.label().is_ok_and(|label| label.disk == map.disks()[disk.0])
    };
    let device = devices.into_iter().find(is_it).unwrap();
    let begin = (device.label().unwrap().geometry.public().offset + at) * 512;
    let file = std::fs::OpenOptions::new().write(true).open(device.path()).unwrap();
    file.write_all_at(&[0xdd; 4096], begin).unwrap();
    file.sync_all().unwrap();
}

/// Nobody that is lost is said to write the volume, and its copies are equal.
pub(crate) fn wait_equal(cluster: &Temporary, volume: &str, lost: u8) {
    wait_equal_on(cluster, 0, volume, lost);
}

/// The same, as a node sees it.
pub(crate) fn wait_equal_on(cluster: &Temporary, node: u8, volume: &str, lost: u8) {
    wait::until("copies are made equal", LIMIT, || {
        let group = group(cluster, node);
        let record = &group.volumes[volume];
        let is_equal = !record.needs_sync() && !record.writers.contains(&lost);
        let is_copied = group.plexes.values().any(cvm::model::Plex::is_being_copied);
        Ok((is_equal && !is_copied).then_some(()))
    })
    .unwrap();
}

/// The regions that a node has marked in the log of a volume, in all copies of it.
pub(crate) fn marked(cluster: &Temporary, volume: &str, node: u8) -> Vec<usize> {
    volumes::marked(&cluster.cluster, "shdg", volume, node).unwrap()
}

/// What a vxiod has said of a volume each time that it was made equal: how many megabytes it has copied
/// for that.
pub(crate) fn copied_so_far(cluster: &Temporary, node: u8, volume: &str) -> Vec<u64> {
    let log = cluster.cluster.root(node).join("var/log/vxiod.log");
    let about = format!("volume {volume} of group");
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().filter(|line| line.contains(&about));
    let said = lines.filter_map(|line| Some((line, line.strip_suffix(" MB copied")?)));
    let number = |(line, said): (&str, &str)| {
        let number = said.rsplit(' ').next().unwrap();
        number.parse().unwrap_or_else(|_| panic!("{line}"))
    };
    said.map(number).collect()
}

/// The last of that.
fn megabytes_copied(cluster: &Temporary, node: u8, volume: &str) -> u64 {
    wait::until("it is said how much was copied", LIMIT, || {
        Ok(copied_so_far(cluster, node, volume).pop())
    })
    .unwrap()
}

/// Facts 2.5: of a volume with a dirty region log only what the lost node may have been writing is
/// copied, and the rest is not touched.
#[test]
fn only_dirty_regions_are_copied_after_a_node_is_killed() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    // What is copied is counted: nothing is before that.
    let volumes = [
        "vol1 40m layout=mirror,log nlog=2 init=active",
        "sm 8m layout=stripe-mirror,log ncol=2 init=active",
    ];
    let mut cluster = prepared(&volumes);
    let load = fio(&cluster, 0, "vol1", "16m");
    let doomed = [fio(&cluster, 1, "vol1", "4608k"), fio(&cluster, 1, "sm", "0")];
    wait::until(
        "the lower half of a region is marked, and the upper one is written",
        LIMIT,
        || Ok(marked(&cluster, "vol1", 1).contains(&4).then_some(())),
    )
    .unwrap();
    wait::until("the other volume is written, too", LIMIT, || {
        Ok(read(&cluster, 0, "sm").iter().any(|byte| *byte != 0).then_some(()))
    })
    .unwrap();
    // As though a write had reached one copy only: where the node is writing, and where nobody is.
    damage(&cluster, "vol1", 1, 8600);
    damage(&cluster, "vol1", 1, 30 << 11);
    cluster.kill(1).unwrap();
    for fio in doomed {
        assert!(!fio.wait_with_output().unwrap().status.success(), "its node is lost");
    }
    verified(load);
    for volume in ["vol1", "sm"] {
        wait_equal(&cluster, volume, 1);
    }
    check_on(&cluster, 0, "sm");
    let map = VolumeMap::new(&group(&cluster, 0), "vol1").unwrap();
    let copies = contents(&cluster, &map, MirrorIndex::VOLUME, 0, map.len());
    let sectors = copies[0].chunks(512).zip(copies[1].chunks(512)).enumerate();
    let differ: Vec<usize> =
        sectors.filter(|(_, (one, other))| one != other).map(|(sector, _)| sector).collect();
    assert_eq!(differ, (30 << 11..(30 << 11) + 8).collect::<Vec<usize>>());
    // fio writes from the middle of the region 4 to that of the region 8.
    assert!((1..=5).contains(&megabytes_copied(&cluster, 0, "vol1")));
    assert!((1..=5).contains(&megabytes_copied(&cluster, 0, "sm")));
    qemu_io("raw", &uri(&cluster, 0, "vol1"), &["write 30m 4k", "flush"]);
    check_on(&cluster, 0, "vol1");
    cluster.start(1).unwrap();
    cluster.start_volumes(1).unwrap();
    wait::until("node 1 is back", LIMIT, || {
        Ok(programs::run(&cluster, 1, &["vxdg", "-g", "shdg", "set", "activation=sw"], "").ok())
    })
    .unwrap();
    check(&cluster, "vol1");
}

/// A plex is added while two nodes write.
#[test]
fn a_mirror_is_made_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 16m"]);
    let load = [fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "vol1", "4m")];
    run(&cluster, 2, "vxassist -g shdg mirror vol1");
    wait_equal(&cluster, "vol1", 9);
    load.into_iter().for_each(verified);
    let map = VolumeMap::new(&group(&cluster, 0), "vol1").unwrap();
    let modes: Vec<PlexMode> = map.plexes().map(|(_, plex)| plex.mode).collect();
    assert_eq!(modes, [PlexMode::ReadWrite; 2]);
    check(&cluster, "vol1");
}

/// All that a volume holds, as a node reads it.
pub(crate) fn read(cluster: &Temporary, node: u8, volume: &str) -> Vec<u8> {
    let copied = tempfile::NamedTempFile::new().unwrap();
    succeeds("nbdcopy", &[&uri(cluster, node, volume), copied.path().to_str().unwrap()]);
    std::fs::read(copied.path()).unwrap()
}

/// Fills a range, such as `0 1m`, with a byte.
pub(crate) fn write(cluster: &Temporary, node: u8, volume: &str, byte: u8, range: &str) {
    let command = format!("write -P {byte} {range}");
    qemu_io("raw", &uri(cluster, node, volume), &[&command]);
}

/// CVM-46: a backup is made elsewhere of what a volume held at one moment, while it is written.
#[test]
fn cvm_46_a_snapshot_keeps_what_a_volume_held_for_another_node() {
    if are_missing(CLIENTS) {
        return;
    }
    let _turn = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror"]);
    let on = |line: &str| run(&cluster, 0, &format!("vxassist -g shdg {line}"));
    write(&cluster, 0, "vol1", 1, "0 6m");
    // It is filled while two nodes write, and full when the command ends.
    let writers = [fio(&cluster, 0, "vol1", "6m"), fio(&cluster, 1, "vol1", "7m")];
    on("snapstart vol1");
    let record = group(&cluster, 1);
    let states = record.volumes["vol1"].plexes.iter().map(|plex| record.plexes[plex].state);
    assert_eq!(states.filter(|state| *state == PlexState::SnapDone).count(), 1);
    write(&cluster, 1, "vol1", 2, "1m 1m");
    on("snapshot vol1 monday");
    let taken = read(&cluster, 0, "monday");
    write(&cluster, 0, "vol1", 3, "2m 1m");
    writers.into_iter().for_each(verified);
    let byte = |bytes: &[u8], mib: usize| {
        let mib = &bytes[mib << 20..(mib + 1) << 20];
        assert!(mib.iter().all(|byte| *byte == mib[0]));
        mib[0]
    };
    let first = |bytes: &[u8]| [0, 1, 2, 3].map(|mib| byte(bytes, mib));
    assert_eq!(first(&taken), [1, 2, 1, 1]);
    // Nothing that is written to the volume gets there, whoever looks.
    assert!(read(&cluster, 1, "monday") == taken && read(&cluster, 0, "monday") == taken);
    assert_eq!(first(&read(&cluster, 1, "vol1")), [1, 2, 3, 1]);
    check(&cluster, "vol1");
    let shown = run(&cluster, 1, "vxassist -g shdg snapprint");
    assert!(shown.contains("ss monday       vol1"), "{shown}");

    // The same mirror once more, with what the volume holds by now.
    write(&cluster, 1, "monday", 9, "0 1m");
    on("snapback monday");
    on("snapshot vol1 tuesday");
    assert_eq!(first(&read(&cluster, 1, "tuesday")), [1, 2, 3, 1]);
    assert!(read(&cluster, 0, "tuesday") == read(&cluster, 1, "vol1"));

    // And the other way round.
    write(&cluster, 1, "tuesday", 7, "3m 1m");
    let kept = read(&cluster, 1, "tuesday");
    run(&cluster, 0, "vxvol -g shdg stop vol1");
    on("-b -o resyncfromreplica snapback tuesday");
    run(&cluster, 0, "vxvol -g shdg start vol1");
    assert!(read(&cluster, 1, "vol1") == kept);
    run(&cluster, 0, "vxrecover -g shdg -s vol1");
    check(&cluster, "vol1");
    assert_eq!(group(&cluster, 1).volumes["vol1"].plexes.len(), 3);
    cluster.down().unwrap();
}

/// With a dirty region log a snapshot comes back in the time that what was changed takes, not all.
#[test]
fn cvm_46_only_what_two_nodes_have_changed_is_copied_when_a_snapshot_is_back() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 40m layout=mirror,log init=active"]);
    let on = |line: &str| run(&cluster, 0, &format!("vxassist -g shdg {line}"));
    write(&cluster, 0, "vol1", 1, "0 20m");
    on("snapstart vol1");
    on("snapshot vol1 monday");
    // One of them has the mark already, for the other it is the first time.
    write(&cluster, 0, "vol1", 2, "19m 1m");
    write(&cluster, 1, "vol1", 3, "7m 1m");
    write(&cluster, 0, "vol1", 4, "30m 512k");
    on("snapback monday");
    let copied = wait::until("it is said how much was copied", LIMIT, || {
        Ok(copied_so_far(&cluster, 0, "vol1").get(1).copied())
    })
    .unwrap();
    assert!((3..10).contains(&copied), "{copied} MB");
    on("snapshot vol1 tuesday");
    assert!(read(&cluster, 0, "tuesday") == read(&cluster, 1, "vol1"));
    // What is written to the snapshot is not there any more when it is back.
    write(&cluster, 1, "tuesday", 9, "35m 1m");
    on("snapback tuesday");
    on("snapshot vol1 wednesday");
    assert!(read(&cluster, 0, "wednesday") == read(&cluster, 1, "vol1"));
    check(&cluster, "vol1");
    cluster.down().unwrap();
}

/// CVM-39, CVM-28, facts 3.8: who may not is told why, and who has a volume open keeps it.
#[test]
fn a_volume_is_opened_by_those_who_may_and_stays_while_it_is_open() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 1m layout=mirror"]);
    let refused = |node, volume: &str| {
        let output = output("qemu-io", &["-f", "raw", "-c", "quit", &uri(&cluster, node, volume)]);
        assert!(!output.status.success(), "{volume} on {node}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Node 2 has the group off.
    let said = refused(2, "vol1");
    assert!(said.contains("the disk group is not activated for this on this node"), "{said}");
    let said = refused(0, "vol9");
    assert!(said.contains("no volume \"shdg/vol9\": expected GROUP/VOLUME"), "{said}");
    run(&cluster, 2, "vxdg -g shdg set activation=sr");
    let shown = succeeds("nbdinfo", &[&uri(&cluster, 2, "vol1")]);
    assert!(shown.contains("is_read_only: true"), "{shown}");
    let mut held = hold(&cluster, 1, "shdg/vol1");
    let deport = || programs::run(&cluster, 0, &["vxdg", "deport", "shdg"], "");
    let refused = deport().unwrap_err().to_string();
    assert!(refused.contains("Some volumes in the disk group are in use"), "{refused}");
    // As much as it likes at once, of what is refused and of what needs no disk.
    for (command, length, error) in [(5_u16, 512_u32, 22_u32), (0, 0, 0)] {
        let request = [
            &0x2560_9513_u32.to_be_bytes(),
            &[0, 0][..],
            &command.to_be_bytes(),
            &7_u64.to_be_bytes(),
            &0_u64.to_be_bytes(),
            &length.to_be_bytes(),
        ];
        let mut sender = held.try_clone().unwrap();
        let requests = request.concat().repeat(3000);
        let mut replies = vec![0; 16 * 3000];
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || sender.write_all(&requests));
            held.read_exact(&mut replies).unwrap();
            sending.join().unwrap().unwrap();
        });
        assert!(replies.chunks(16).all(|reply| reply[4..8] == error.to_be_bytes()));
    }
    drop(held);
    wait::until("it is closed", LIMIT, || Ok(deport().is_ok().then_some(()))).unwrap();
}
