//! Daemons and nodes that are killed while programs write, again and again: what is lost of it, what
//! waits for it, and what is copied afterwards.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;
use tools::muster::temporary::Temporary;
use tools::muster::wait;

use crate::process::{LIMIT, are_missing, beside_another};
use crate::process_volumes::{CLIENTS, check_on, fio_for, group, longest, prepared};

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
