//! Hostile datagrams at the sockets of living daemons.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use crate::process::{LIMIT, alone, options, port, roots, size};
use bytes::Bytes;
use llt::stats::Stats;
use llt::{Id, Incarnation, NodeId};
use sim::fuzz::{Forgery, Frames, Malice};
use tools::muster::control;
use tools::muster::storm::{Plan, Storm, check};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::wait;

/// What a gabd may grow by, beyond what it has when a tenth of the datagrams has come.
const GROWTH_MAX: u64 = 16 << 20;
/// Datagrams between two looks at whether messages still flow. A socket's buffer holds as many:
/// what is tested is how they are borne, not who is faster.
const BURST: u64 = 200;

/// The place of a node that is configured everywhere and that the others therefore greet: what
/// comes there are real frames, and what is sent from there comes from a known address.
struct Stranger {
    sockets: Vec<UdpSocket>,
}

impl Stranger {
    fn new(cluster: &Temporary) -> Self {
        let node = u8::try_from(cluster.cluster.nodes.len()).unwrap();
        let bind = |link| {
            let address = (cluster.cluster.address(node, link), cluster.cluster.port(link));
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Self { sockets: (0..cluster.cluster.links).map(bind).collect() }
    }

    /// The frames that have come since the last call.
    fn overhear(&self) -> Vec<Bytes> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 65_536];
        for socket in &self.sockets {
            while let Ok(length) = socket.recv(&mut buffer) {
                frames.push(Bytes::copy_from_slice(&buffer[..length]));
            }
        }
        frames
    }
}

/// Frames dropped, all causes together.
fn dropped(cluster: &Temporary) -> u64 {
    let of = |stats: Stats| {
        [
            stats.rcv_bad_checksum,
            stats.rcv_bad_cluster,
            stats.rcv_bad_dest,
            stats.rcv_bad_generation,
            stats.rcv_bad_source,
            stats.rcv_bad_version,
            stats.rcv_malformed,
            stats.rcv_not_connected,
            stats.rcv_unconfigured,
            stats.snd_loopback,
        ]
        .iter()
        .sum::<u64>()
    };
    let snapshot = |id| control::snapshot(&cluster.cluster, id).unwrap();
    cluster.cluster.ids().map(|id| of(snapshot(id).llt.stats)).sum()
}

fn resident(cluster: &Temporary) -> Vec<u64> {
    let gabds = cluster.cluster.nodes.iter().map(|node| node.gabd.expect("up started it"));
    gabds.map(|gabd| gabd.resident_bytes().expect("it runs")).collect()
}

fn living(cluster: &Temporary) -> Vec<Id> {
    let id = |node| Id {
        node: NodeId::new(node).unwrap(),
        incarnation: Incarnation(crate::process::incarnation(cluster, node)),
    };
    cluster.cluster.ids().map(id).collect()
}

/// Datagrams: `MUSTER_FUZZ`. Seed: `MUSTER_SEED`.
#[test]
fn s55_s56_hostile_datagrams_are_counted_and_change_nothing() {
    let _room = alone();
    let (count, seed) = (size("MUSTER_FUZZ", 20_000), size("MUSTER_SEED", 1));
    println!("MUSTER_FUZZ={count} MUSTER_SEED={seed}");
    let cluster = Temporary::up(&UpOptions { phantoms: 1, ..options() }).unwrap();
    let stranger = Stranger::new(&cluster);
    let samples = wait::until("the stranger is greeted", LIMIT, || {
        let frames = stranger.overhear();
        Ok((!frames.is_empty()).then_some(frames))
    });
    let before = living(&cluster);
    let mut frames = Frames::new(seed, Forgery::Strangers, samples.unwrap(), before.clone());
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    let plan = Plan { window: 2, ..Plan::on(port('S')) };
    let storm = Storm::start(&roots(&cluster), plan, LIMIT).unwrap();
    let dropped_before = dropped(&cluster);

    let mut tally: BTreeMap<Malice, u64> = BTreeMap::new();
    let mut settled = None;
    for number in 0..count {
        let node = u8::try_from(number % 3).unwrap();
        let link = u8::try_from(number / 3 % 2).unwrap();
        let target = (cluster.cluster.address(node, link), cluster.cluster.port(link));
        let socket = if number % 5 == 0 { &outsider } else { &stranger.sockets[usize::from(link)] };
        let (malice, frame) = frames.next_frame();
        // What does not fit into a datagram at all is not the daemon's problem.
        if socket.send_to(frame, target).is_ok() {
            *tally.entry(malice).or_default() += 1;
        }
        if number % BURST == 0 {
            storm.wait_progress(node, 5, LIMIT).unwrap();
            stranger.overhear().into_iter().for_each(|frame| frames.learn(frame));
        }
        if settled.is_none() && number >= count / 10 {
            settled = Some(resident(&cluster));
        }
    }
    println!("{tally:?}");

    let sent: u64 = tally.values().sum();
    wait::until("the counters show half of the datagrams", LIMIT, || {
        Ok((dropped(&cluster) - dropped_before >= sent / 2).then_some(()))
    })
    .unwrap();
    for (before, after) in settled.expect("a tenth was sent").into_iter().zip(resident(&cluster)) {
        assert!(after <= before + GROWTH_MAX, "gabd grew from {before} to {after} bytes");
    }
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, 100, Duration::from_secs(60)).unwrap();
    }
    let summary =
        check(&storm.finish(LIMIT).unwrap(), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.views, 1, "the membership changed under fire");
    assert_eq!(living(&cluster), before, "a node began a new life");
    cluster.wait_formed().unwrap();
    cluster.down().unwrap();
}
