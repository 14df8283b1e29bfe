//! What administrators meet: disks that are wrong, full, or cannot be written, and arguments that mean
//! nothing. Real commands on real daemons; what fails changes nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{beside_another, options};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{programs, volumes};

fn up() -> Temporary {
    let options = UpOptions { disks: 4, disk_size: 64 << 20, ..options() };
    let cluster = Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"));
    for disk in 0..4 {
        run(&cluster, 0, &format!("vxdisksetup -i disk_{disk} privlen=4m"));
    }
    run(&cluster, 0, "vxdg -s init shdg disk_0 disk_1");
    run(&cluster, 1, "vxassist -g shdg make vol1 1m layout=mirror");
    cluster
}

#[track_caller]
fn run(cluster: &Temporary, node: u8, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    programs::run(cluster, node, &words, "").unwrap_or_else(|error| panic!("{line}: {error:#}"))
}

/// The exit status of a command, and what it said on stderr.
fn failing(cluster: &Temporary, node: u8, line: &str) -> (i32, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let output = programs::spawn(cluster, node, &words).unwrap().wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What all nodes have in force, and what lies on the disks.
fn all(cluster: &Temporary) -> Vec<String> {
    let nodes = cluster.cluster.ids().map(|node| run(cluster, node, "vxprint -g shdg -m"));
    nodes.chain([run(cluster, 0, "vxdg list shdg")]).collect()
}

/// Each line fails with this status and a message with these words, and nothing is changed.
#[track_caller]
fn all_fail(cluster: &Temporary, lines: &[(&str, i32, &str)]) {
    let before = all(cluster);
    let mut wrong = String::new();
    for (line, status, words) in lines {
        let (code, said) = failing(cluster, 1, line);
        if code != *status || !said.contains(words) {
            wrong += &format!("{line}\n  expected {status}, {words:?}\n  got {code}, {said:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(all(cluster), before);
}

/// A file that all nodes see as a disk.
fn disk(cluster: &Temporary, name: &str) -> PathBuf {
    let path = cluster.cluster.dir.join(name);
    show(cluster, name, &path);
    path
}

fn show(cluster: &Temporary, name: &str, path: &Path) {
    for node in cluster.cluster.ids() {
        symlink(path, cluster.cluster.root(node).join("dev/vx/dmp").join(name)).unwrap();
    }
}

/// Of volumes and plexes.
const WRONG: &[(&str, i32, &str)] = &[
    ("vxvol -g shdg start nosuch", 1, "nosuch"),
    ("vxvol -g shdg start vol1", 1, "Volume vol1 is started already"),
    ("vxvol -g shdg stop nosuch vol1-01", 1, "vol1-01 is a plex, not a volume"),
    ("vxvol -g nosuch startall", 1, "V-5-1-2275"),
    ("vxvol -g shdg init active vol1", 1, "Volume vol1 is enabled"),
    ("vxvol -g shdg init zero vol1", 2, "zero"),
    ("vxvol -g shdg rdpol prefer vol1", 2, "prefer"),
    ("vxvol -g shdg rdpol prefer vol1 nosuch", 1, "nosuch"),
    ("vxvol start vol1", 2, "no disk group"),
    ("vxplex -g shdg att vol1 vol1-01", 1, "Plex vol1-01 is attached already"),
    ("vxplex -g shdg att vol1 nosuch", 1, "nosuch"),
    ("vxplex -g shdg det vol1-01 vol1-02", 1, "without a complete copy of its data"),
    ("vxplex -g shdg -f det vol1-01 vol1-02", 1, "without a complete copy of its data"),
    ("vxplex -g shdg -o rm det vol1-01", 2, "-o rm is for dis"),
    ("vxplex -g shdg dis nosuch", 1, "nosuch"),
    ("vxrecover -g shdg nosuch", 1, "nosuch"),
    ("vxrecover -g nosuch", 1, "V-5-1-2275"),
    ("vxrecover -c", 2, "no meaning here"),
];

#[test]
fn arguments_that_mean_nothing_are_told_and_change_nothing() {
    let _room = beside_another();
    let cluster = up();
    let list = cluster.folder().join("list.desc");
    fs::write(&list, "vol v\n\tlen=8\n\tcolour=red\n").unwrap();
    let make = format!("vxmake -g shdg -d {}", list.display());
    all_fail(&cluster, WRONG);
    all_fail(
        &cluster,
        &[
            ("vxdg list nosuch", 1, "V-5-1-2275"),
            ("vxdg deport nosuch", 1, "V-5-1-2275"),
            ("vxdg -s init shdg disk_2", 1, "V-5-1-585 Disk group shdg: cannot create"),
            (
                "vxdg -s init newdg disk_0",
                1,
                "V-5-1-2349 Device disk_0 appears to be owned by disk group shdg.",
            ),
            ("vxdg -s init newdg disk_9", 1, "disk_9"),
            ("vxdg -s import nosuch", 1, "V-5-1-587"),
            ("vxdg -s import shdg", 1, "V-5-1-587"),
            ("vxdg init", 2, "init"),
            ("vxdg -g shdg rmdisk nosuch", 1, "nosuch"),
            ("vxdg -g shdg rmdisk shdg01", 1, "shdg01"),
            ("vxdg -g shdg set activation=sometimes", 2, "sometimes"),
            ("vxdg -g shdg adddisk disk_1", 1, "V-5-1-2349"),
            ("vxassist -g nosuch make v 1m", 1, "V-5-1-2275"),
            ("vxassist -g shdg make v 1q", 2, "1q"),
            ("vxassist -g shdg make v 10g", 1, "space"),
            ("vxassist -g shdg make vol1 1m", 1, "already"),
            ("vxassist -g shdg make v 1m layout=raid5", 2, "raid5"),
            ("vxassist -g shdg make v 1m nosuch", 1, "nosuch"),
            ("vxassist make v 1m", 2, "no disk group"),
            ("vxassist -g shdg remove volume nosuch", 1, "nosuch"),
            ("vxassist -g shdg growto vol1 10g", 1, "space"),
            ("vxedit -g shdg rm nosuch", 1, "nosuch"),
            ("vxedit -g shdg set colour=red vol1", 2, "colour"),
            ("vxmend -g shdg fix clean nosuch", 1, "nosuch"),
            (&make, 1, "list.desc:3"),
            ("vxmake -g shdg -d /nowhere", 1, "/nowhere"),
            ("vxprint -g nosuch", 1, "nosuch"),
            ("vxprint -g shdg nosuch", 1, "nosuch"),
            ("vxdisk list nosuch", 1, "nosuch"),
            ("vxdisksetup -i nosuch", 1, "nosuch"),
            ("vxdisksetup -i disk_0", 1, "shdg"),
            ("vxdisksetup -i disk_3 privlen=1", 2, "4096 to 2097152 sectors"),
            ("vxdiskunsetup disk_0", 1, "shdg"),
            ("vxclustadm setmaster nobody", 2, "known nodes are node0, node1, node2"),
            ("vxclustadm setpreference much", 2, "much"),
            ("vxclustadm nosuch", 2, "nosuch"),
            ("vxdctl transstate x", 2, "x"),
            ("vxinfo -g shdg nosuch", 1, "nosuch"),
            ("vxconfigbackup nosuch", 1, "nosuch"),
            ("vxconfigrestore -p nosuch", 1, "nosuch"),
            ("vxconfigd -r reset", 1, "V-5-1-2290"),
            ("vxconfigd -f", 1, "already running"),
            ("vxconfigd -x much", 2, "tracefile=FILE"),
            ("vxiod", 1, "already running"),
        ],
    );
    let log = cluster.cluster.root(1).join("var/log/vxconfigd.log");
    let said = fs::read_to_string(log).unwrap();
    assert!(!said.contains("vxiod is gone"), "a second vxiod is in the way of the first: {said}");
    cluster.down().unwrap();
}

#[test]
fn disks_that_are_none_are_told_from_others_and_left_alone() {
    let _room = beside_another();
    let cluster = up();
    // Something else was on it.
    let garbage = disk(&cluster, "garbage");
    let bytes: Vec<u8> = (0..4_u32 << 20).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
    fs::write(&garbage, &bytes).unwrap();
    OpenOptions::new().write(true).open(&garbage).unwrap().set_len(64 << 20).unwrap();
    // Too short for anything.
    let short = disk(&cluster, "short");
    File::create(&short).unwrap().set_len(1 << 20).unwrap();
    // A disk whose end is gone.
    let truncated = disk(&cluster, "truncated");
    fs::copy(cluster.cluster.dir.join("disk_3"), &truncated).unwrap();
    OpenOptions::new().write(true).open(&truncated).unwrap().set_len(8 << 20).unwrap();
    // Sectors that cannot be read: nothing is mapped there.
    show(&cluster, "unreadable", Path::new("/proc/self/mem"));
    fs::create_dir(disk(&cluster, "folder")).unwrap();
    // Its link leads nowhere.
    disk(&cluster, "nowhere");
    run(&cluster, 1, "vxdisk scandisks");
    run(&cluster, 0, "vxdisk scandisks");
    let list = run(&cluster, 1, "vxdisk list");
    let status = |access: &str| {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(access));
        line.map(|line| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" "))
    };
    let expected = [
        ("disk_0", "online shared"),
        ("disk_3", "online"),
        ("garbage", "online invalid"),
        ("short", "online invalid"),
        ("truncated", "error"),
        ("unreadable", "error"),
        ("folder", "error"),
        ("nowhere", "error"),
    ];
    for (access, word) in expected {
        assert_eq!(status(access).as_deref(), Some(word), "{access}:\n{list}");
    }
    all_fail(
        &cluster,
        &[
            ("vxdg -g shdg adddisk garbage", 1, "garbage"),
            (
                "vxdg -g shdg adddisk truncated",
                1,
                "truncated: it has 16384 sectors, and its label says",
            ),
            ("vxdg -g shdg adddisk unreadable", 1, "unreadable: Input/output error"),
            ("vxdg -s init newdg folder", 1, "folder: it is neither a file nor a block device"),
            ("vxdg -s init newdg nowhere", 1, "nowhere: No such file or directory"),
            ("vxdisksetup -i short", 1, "short"),
            ("vxdisksetup -i truncated", 1, "truncated"),
            ("vxdisksetup -i unreadable", 1, "unreadable"),
        ],
    );
    // What is invalid can be made a disk.
    run(&cluster, 0, "vxdisksetup -i garbage");
    run(&cluster, 2, "vxdg -g shdg adddisk garbage");
    cluster.down().unwrap();
}

/// Facts 3.10.
#[test]
fn disks_of_others_are_not_imported_unless_it_is_said_twice() {
    let _room = beside_another();
    let cluster = up();
    run(&cluster, 0, "vxdg -s init other disk_2");
    run(&cluster, 1, "vxassist -g other make vol1 1m");
    run(&cluster, 0, "vxdg -h elsewhere deport other");
    all_fail(
        &cluster,
        &[
            (
                "vxdg -s import other",
                1,
                "V-5-1-587 Disk group other: import failed: Disk is in use by another host",
            ),
            ("vxdg import other", 1, "Disk is in use by another host"),
            (
                "vxdg -g shdg adddisk disk_2",
                1,
                "V-5-1-2349 Device disk_2 appears to be owned by disk group other.",
            ),
            ("vxdisksetup -i disk_2", 1, "V-5-1-2349"),
        ],
    );
    run(&cluster, 1, "vxdg -C -s import other");
    assert!(run(&cluster, 2, "vxprint -g other -vn").contains("vol1"));
    // A disk of a group that is gone is missing; -f does without it, if enough is there.
    run(&cluster, 0, "vxdg deport shdg");
    for node in cluster.cluster.ids() {
        fs::remove_file(cluster.cluster.root(node).join("dev/vx/dmp/disk_1")).unwrap();
    }
    let (code, said) = failing(&cluster, 1, "vxdg -s import shdg");
    assert_eq!(code, 1);
    assert!(
        said.contains("V-5-1-587 Disk group shdg: import failed: Disk for disk group not found"),
        "{said}"
    );
    run(&cluster, 1, "vxdg -s -f import shdg");
    assert!(run(&cluster, 2, "vxdisk list").contains("failed was:"));
    cluster.down().unwrap();
}

#[test]
fn a_group_that_was_used_apart_is_told_of_and_one_side_is_chosen() {
    let _room = beside_another();
    let cluster = up();
    let disk = |number: u8| cluster.cluster.dir.join(format!("disk_{number}"));
    let hide = |number: u8| {
        for node in cluster.cluster.ids() {
            let link = cluster.cluster.root(node).join(format!("dev/vx/dmp/disk_{number}"));
            fs::remove_file(link).unwrap();
        }
    };
    assert_eq!(run(&cluster, 0, "vxsplitlines"), "");
    run(&cluster, 0, "vxdg deport shdg");
    for (here, away, volume) in [(0, 1, "left"), (1, 0, "right")] {
        hide(away);
        run(&cluster, 0, "vxdg -s -f import shdg");
        run(&cluster, 0, &format!("vxassist -g shdg make {volume} 1m shdg0{}", here + 1));
        run(&cluster, 0, "vxdg deport shdg");
        show(&cluster, &format!("disk_{away}"), &disk(away));
    }
    all_fail_unimported(&cluster, "vxdg -s import shdg", "Serial Split Brain detected");
    all_fail_unimported(&cluster, "vxdg -s -f import shdg", "Serial Split Brain detected");
    let shown = run(&cluster, 2, "vxsplitlines -g shdg");
    assert!(shown.contains("There are 2 pools."), "{shown}");
    let commands: Vec<&str> = shown.lines().filter(|line| line.starts_with("vxdg ")).collect();
    assert_eq!(commands.len(), 2, "{shown}");
    // The newest side is the first.
    run(&cluster, 1, &commands[1].replace("vxdg ", "vxdg -s "));
    let names = run(&cluster, 2, "vxprint -g shdg -vn");
    assert!(names.contains("left") && !names.contains("right"), "{names}");
    assert_eq!(run(&cluster, 0, "vxsplitlines"), "");
    cluster.down().unwrap();
}

/// It fails with these words, and the group is imported nowhere.
#[track_caller]
fn all_fail_unimported(cluster: &Temporary, line: &str, words: &str) {
    let (code, said) = failing(cluster, 1, line);
    assert!(code == 1 && said.contains(words), "{line}: {code}, {said}");
    assert!(!run(cluster, 0, "vxdg list").contains("shdg"));
}

/// Whether this process is inside a mount namespace of its own; else the test of this name runs in one.
fn in_own_mounts(test: &str) -> bool {
    const MARK: &str = "MUSTER_OWN_MOUNTS";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let me = std::env::current_exe().unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    let _room = beside_another();
    let words = ["--exact", &format!("{module}::{test}"), "--nocapture"];
    let output = unshare.arg(me).args(words).env(MARK, "1").output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    false
}

fn mount(words: &[&str]) {
    let done = Command::new("mount").args(words).status().unwrap();
    assert!(done.success(), "mount {words:?}");
}

#[test]
fn a_disk_that_cannot_be_written_is_passed_over_and_one_too_many_ends_it() {
    if !in_own_mounts("a_disk_that_cannot_be_written_is_passed_over_and_one_too_many_ends_it") {
        return;
    }
    let _room = beside_another();
    let cluster = up();
    run(&cluster, 0, "vxdg -g shdg adddisk disk_2");
    let file = |disk: u8| cluster.cluster.dir.join(format!("disk_{disk}")).display().to_string();
    let read_only = |disk| {
        mount(&["--bind", &file(disk), &file(disk)]);
        mount(&["-o", "remount,bind,ro", &file(disk)]);
    };
    read_only(2);
    run(&cluster, 1, "vxassist -g shdg make vol2 1m");
    // What the first change missed the second one knows.
    run(&cluster, 1, "vxassist -g shdg make vol3 1m");
    let shown = run(&cluster, 1, "vxdg list shdg");
    assert!(shown.contains("disabled") || shown.contains("failed"), "{shown}");
    all_fail(&cluster, &[("vxdisksetup -i -f disk_2", 1, "shdg")]);
    read_only(0);
    read_only(1);
    let (code, said) = failing(&cluster, 1, "vxassist -g shdg make vol4 1m");
    assert_eq!(code, 1);
    // Nobody can say what lies on disks that take no write any more.
    assert!(said.contains("it may or may not be done"), "{said}");
    tools::muster::wait::until("the group is disabled everywhere", crate::process::LIMIT, || {
        let mut disabled = true;
        for node in cluster.cluster.ids() {
            let snapshot = volumes::snapshot(&cluster.cluster, node)?;
            disabled &= snapshot.groups.iter().all(|group| group.disabled);
        }
        Ok(disabled.then_some(()))
    })
    .unwrap();
    assert!(run(&cluster, 2, "vxdg list").contains("disabled"));
    let (code, said) = failing(&cluster, 1, "vxassist -g shdg make vol4 1m");
    assert_eq!(code, 1);
    assert!(said.contains("V-5-1-123 Disk group shdg: Disabled by errors"), "{said}");
    run(&cluster, 2, "vxdg deport shdg");
    for disk in 0..3 {
        assert!(Command::new("umount").arg(file(disk)).status().unwrap().success());
    }
    run(&cluster, 2, "vxdg -s import shdg");
    assert_eq!(run(&cluster, 0, "vxprint -g shdg -vn"), "vol1\nvol2\nvol3\n");
    cluster.down().unwrap();
}

#[test]
fn a_disk_that_is_full_fails_the_change_and_no_other() {
    if !in_own_mounts("a_disk_that_is_full_fails_the_change_and_no_other") {
        return;
    }
    let _room = beside_another();
    // The disks are sparse files of a file system that has no room for all of them.
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    fs::create_dir(&place).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=24m", "small", &place.display().to_string()]);
    let options = UpOptions { disks: 2, disk_size: 64 << 20, ..options() };
    let cluster = Temporary::up_in(&place.join("cluster"), &options).unwrap();
    for disk in 0..2 {
        run(&cluster, 0, &format!("vxdisksetup -i disk_{disk} privlen=4m"));
    }
    run(&cluster, 0, "vxdg -s init shdg disk_0 disk_1");
    run(&cluster, 1, "vxassist -g shdg make vol1 1m");
    let filler = place.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[1; 65_536]).is_ok() {}
    while file.write_all(&[1; 512]).is_ok() {}
    // Slots that were written before are there; the configuration grows into blocks that are not.
    let mut refused = None;
    for number in 0..400 {
        let (code, said) = failing(&cluster, 1, &format!("vxassist -g shdg make new{number} 8k"));
        if code != 0 {
            assert_eq!(code, 1, "{said}");
            refused = Some((number, said));
            break;
        }
    }
    let (number, said) = refused.expect("it comes to an end");
    let is_told = ["cvm config update failed", "it may or may not be done"];
    assert!(is_told.iter().any(|text| said.contains(text)), "{said}");
    drop(file);
    fs::remove_file(filler).unwrap();
    // Written back as it was, or disabled: either way what was told is what is there.
    let limit = crate::process::LIMIT;
    tools::muster::wait::until("it goes on", limit, || {
        let snapshot = volumes::snapshot(&cluster.cluster, 1)?;
        if snapshot.groups.iter().any(|group| group.disabled) {
            run(&cluster, 1, "vxdg deport shdg");
            run(&cluster, 1, "vxdg -s import shdg");
        }
        let (code, _) = failing(&cluster, 1, "vxassist -g shdg make after 8k");
        Ok((code == 0).then_some(()))
    })
    .unwrap();
    let volumes = run(&cluster, 2, "vxprint -g shdg -vn");
    assert_eq!(volumes.lines().filter(|name| name.starts_with("new")).count(), number);
    cluster.down().unwrap();
}
