//! Daemons and nodes that are killed while programs write, again and again: what is lost of it, what
//! waits for it, and what is copied afterwards.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Child;
use std::time::Duration;

use cvm::model::{KernelState, PlexState};
use rustix::process::Signal;
use tools::muster::cluster::Cluster;
use tools::muster::temporary::Temporary;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, run, size};
use crate::process_volumes::{
    CLIENTS, Unwritable, check_on, copied_so_far, damage, fio, fio_for, group, longest, marked,
    prepared, wait_equal_on,
};

fn wait_writers(cluster: &Temporary, node: u8, volume: &str, writers: &[u8]) {
    wait::until("all of them write", LIMIT, || {
        let now = &group(cluster, node).volumes[volume].writers;
        Ok(writers.iter().all(|writer| now.contains(writer)).then_some(()))
    })
    .unwrap();
}

/// Two nodes write a mirrored volume, one half each.
fn both_write(cluster: &Temporary, seconds: u8) -> [Child; 2] {
    let load =
        [("0", 0), ("4m", 1)].map(|(offset, node)| fio_for(cluster, node, "vol1", offset, seconds));
    wait_writers(cluster, 2, "vol1", &[0, 1]);
    load
}

/// What a request may take on this machine while others use it, whatever happens to vxconfigd.
const UNNOTICED: Duration = Duration::from_secs(1);

fn kill_configds(cluster: &Temporary) {
    for node in 0..3 {
        let process = cluster.cluster.node(node).vxconfigd.unwrap();
        process.signal(Signal::KILL).unwrap();
        assert!(process.wait_gone(LIMIT).unwrap());
    }
}

/// Facts 3.7: of requests of programs not one fails, and not one waits, for a vxconfigd.
#[test]
fn vxconfigds_are_killed_again_and_again_and_no_request_fails_or_waits() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let mut cluster = prepared(&["vol1 8m layout=mirror"]);
    // What requests take where nobody is killed, on this machine and at this hour.
    let quiet = both_write(&cluster, 2).map(longest).into_iter().max().unwrap();
    let mut load = both_write(&cluster, 4);
    let mut times = 0;
    while times < 6 && load.iter_mut().all(|fio| fio.try_wait().unwrap().is_none()) {
        // All of them are away at the same time, that of the master too.
        kill_configds(&cluster);
        // One stays away until the others have been killed once more.
        for node in (0..3).filter(|node| *node != times % 3) {
            cluster.start_volumes(node).unwrap();
        }
        times += 1;
    }
    assert!(times >= 3, "{times} times");
    // And for the rest of the time nobody has one: what waited for it would wait for seconds.
    kill_configds(&cluster);
    wait::until("the programs have written all the time that they were to", LIMIT, || {
        let mut ended = load.iter_mut().map(Child::try_wait);
        Ok(ended.all(|ended| matches!(ended, Ok(Some(_)))).then_some(()))
    })
    .unwrap();
    let killed = load.map(longest).into_iter().max().unwrap();
    println!("killed {times} times: the longest request took {killed:?}; else {quiet:?}");
    assert!(killed <= UNNOTICED.max(quiet * 3), "{killed:?}, without any kill {quiet:?}");
    for node in 0..3 {
        cluster.start_volumes(node).unwrap();
    }
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

/// What the machine may do beside, that a request waits for.
const OTHER_LOAD: Duration = Duration::from_secs(3);

/// Volumes without a log, with one, and with a sequential one, on disks that are not those of `vol1`.
const VOLUMES: [&str; 4] = [
    "vol1 16m layout=mirror shdg01 shdg02",
    "sm 8m layout=stripe-mirror ncol=2",
    "drl 24m layout=mirror,log init=active shdg03 shdg04",
    "drlseq 24m layout=mirror logtype=drlseq init=active shdg03 shdg04",
];

/// One kill: who, how much of it, and what fails beside.
#[derive(Clone, Copy, Debug)]
struct Blow {
    victim: u8,
    /// Writes on; it is asked what became of all.
    survivor: u8,
    master: u8,
    /// All daemons of the node, or its vxiod.
    is_whole: bool,
    /// A disk that cannot be written any more, by its number.
    disk: Option<usize>,
    /// A volume with a dirty region log, which both nodes write, too.
    logged: &'static str,
    /// Later in the work of the victim each time.
    delay: u64,
}

impl Blow {
    /// Twenty-four of them are all that can be combined, and the next ones the same with the other writer.
    fn new(time: u64) -> Self {
        let (is_master, of_two) = (time % 2 == 1, (time / 24 + time) % 2);
        let (victim, survivor) = if of_two == 0 { (1, 0) } else { (0, 1) };
        let others = [survivor, 2];
        Self {
            victim,
            survivor,
            master: if is_master { victim } else { others[usize::from(time % 4 == 2)] },
            is_whole: matches!(time % 4, 0 | 3),
            disk: (time % 3 == 1).then_some(if time % 6 == 1 { 1 } else { 2 }),
            logged: if (time / 4 + time).is_multiple_of(2) { "drl" } else { "drlseq" },
            delay: time / 2 % 25,
        }
    }
}

/// CVM-24: whoever is left goes on, and the copies of what the lost node was writing become equal, of
/// volumes with a log where it was writing only. Repetitions of two kills each: `MUSTER_REPS`.
#[test]
fn cvm_24_a_node_is_killed_under_load_and_copies_are_equal_again() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let mut cluster = prepared(&VOLUMES);
    for time in 0..2 * size("MUSTER_REPS", 1) {
        let blow = Blow::new(time);
        println!("{}: {blow:?}", time + 1);
        make_master(&cluster, blow.master);
        strike_and_compare(&mut cluster, blow);
        bring_back(&mut cluster, blow);
    }
    cluster.down().unwrap();
}

fn make_master(cluster: &Temporary, node: u8) {
    wait::until("it is master, as all see it", LIMIT, || {
        let views = (0..3).map(|seen| volumes::snapshot(&cluster.cluster, seen));
        let views = views.map(|view| view.map(|view| view.cluster.master));
        let masters = views.collect::<anyhow::Result<Vec<_>>>()?;
        if masters.iter().all(|master| *master == Some(node)) {
            return Ok(Some(()));
        }
        // Refused while another change of the master is under way.
        let wanted = format!("node{node}");
        let _ = programs::run(cluster, node, &["vxclustadm", "setmaster", &wanted], "");
        Ok(None)
    })
    .unwrap();
}

/// The last reconfiguration that a node has seen, and whether it is still under way.
fn view_of(cluster: &Cluster, node: u8) -> (u64, bool) {
    let view = volumes::snapshot(cluster, node).unwrap().cluster;
    (view.reconfig_seqnum, view.is_suspended)
}

/// Kills, and measures until I/O goes on: the node is missed, and the cluster of volumes is made anew.
fn strike(cluster: &Temporary, blow: Blow) -> Duration {
    let before = view_of(&cluster.cluster, blow.survivor).0;
    let (killed, snapshots) = (wait::now(), cluster.cluster.clone());
    std::thread::scope(|scope| {
        let over = scope.spawn(|| {
            wait::until("the others go on", LIMIT, || {
                let (reconfig, is_suspended) = view_of(&snapshots, blow.survivor);
                Ok((reconfig != before && !is_suspended).then(|| wait::now().since(killed)))
            })
            .unwrap()
        });
        if blow.is_whole {
            cluster.kill(blow.victim).unwrap();
        } else {
            let vxiod = cluster.cluster.node(blow.victim).vxiod.unwrap();
            vxiod.signal(Signal::KILL).unwrap();
        }
        over.join().unwrap()
    })
}

/// What the nodes that may be master have said so far of a volume that was made equal.
fn all_copied(cluster: &Temporary, blow: Blow, volume: &str) -> [Vec<u64>; 2] {
    [blow.survivor, 2].map(|node| copied_so_far(cluster, node, volume))
}

/// Kills a node, or its vxiod, while it writes.
fn strike_and_compare(cluster: &mut Temporary, blow: Blow) {
    let Blow { victim, survivor, logged, .. } = blow;
    let load = [fio(cluster, survivor, "vol1", "0"), fio(cluster, survivor, logged, "16m")];
    let doomed = [
        fio(cluster, victim, "vol1", "4m"),
        fio(cluster, victim, "sm", "0"),
        fio(cluster, victim, logged, "4608k"),
    ];
    wait_writers(cluster, 2, "vol1", &[victim, survivor]);
    wait_writers(cluster, 2, "sm", &[victim]);
    wait::until(
        "the lower half of a region is marked, and the upper one is written",
        LIMIT,
        || Ok(marked(cluster, logged, victim).contains(&4).then_some(())),
    )
    .unwrap();
    // As though a write had reached one copy only, where nobody writes any more.
    damage(cluster, "vol1", 1, 24_000);
    if logged == "drl" {
        // That region stays marked as long as the upper half of it is written.
        damage(cluster, logged, 1, 8600);
    }
    // It writes for five seconds, and each of these takes some milliseconds.
    for _ in 0..blow.delay {
        run(cluster, 2, "vxprint -g shdg");
    }
    let before = all_copied(cluster, blow, logged);
    let disk = blow.disk.map(|disk| volumes::disk_paths(&cluster.cluster)[disk].clone());
    let dead = disk.and_then(Unwritable::new);
    let over = strike(cluster, blow);
    for fio in doomed {
        let output = fio.wait_with_output().unwrap();
        assert!(!output.status.success(), "its node is lost");
    }
    let stall = load.map(longest).into_iter().max().unwrap();
    println!("the longest request took {stall:?}, the reconfiguration {over:?}");
    assert!(stall < over + OTHER_LOAD, "{stall:?}, {over:?}");
    for volume in ["vol1", "sm", logged] {
        wait_equal_on(cluster, survivor, volume, victim);
        check_on(cluster, survivor, volume);
    }
    if blow.disk == Some(2) {
        // One copy of it is left, and its log is gone: nothing had to be made equal, or all of it.
        return drop(dead);
    }
    let copied = wait::until("it is said how much was copied", LIMIT, || {
        let now = all_copied(cluster, blow, logged);
        let new = now.iter().zip(&before).find(|(now, before)| now.len() > before.len());
        Ok(new.and_then(|(now, _)| now.last().copied()))
    })
    .unwrap();
    // fio writes from the middle of the region 4 to that of the region 8.
    println!("{copied} MB of {logged} copied");
    assert!((1..=5).contains(&copied), "{copied} MB");
}

/// The node is back, and what had failed; all copies are current and equal.
fn bring_back(cluster: &mut Temporary, blow: Blow) {
    if blow.is_whole {
        cluster.start(blow.victim).unwrap();
    }
    wait::until("the node is back", LIMIT, || Ok(cluster.start_volumes(blow.victim).ok())).unwrap();
    wait::until("it writes again", LIMIT, || {
        let words = ["vxdg", "-g", "shdg", "set", "activation=sw"];
        Ok(programs::run(cluster, blow.victim, &words, "").ok())
    })
    .unwrap();
    if let Some(disk) = blow.disk {
        run(cluster, 2, "vxrecover -g shdg");
        run(cluster, 2, &format!("vxedit -g shdg set failing=off shdg0{}", disk + 1));
        renew_logs(cluster);
    }
    for (name, plex) in &group(cluster, 2).plexes {
        let is_good = matches!(plex.state, PlexState::Active | PlexState::Log);
        assert!(plex.kernel == KernelState::Enabled && is_good, "{name}: {plex:?}");
    }
    for volume in ["vol1", "sm", "drl", "drlseq"] {
        check_on(cluster, blow.victim, volume);
    }
}

/// A log that was taken off comes back with the next start of its volume: another one is made instead.
fn renew_logs(cluster: &Temporary) {
    let group = group(cluster, 2);
    for volume in ["drl", "drlseq"] {
        let plexes = group.volumes[volume].plexes.iter().map(|plex| &group.plexes[plex]);
        let mut logs = plexes.filter(|plex| plex.is_log_only());
        if logs.any(|log| log.kernel != KernelState::Enabled) {
            run(cluster, 2, &format!("vxassist -g shdg remove log {volume}"));
            let words = format!("addlog {volume} logtype={volume} shdg03 shdg04");
            run(cluster, 2, &format!("vxassist -g shdg {words}"));
        }
    }
}
