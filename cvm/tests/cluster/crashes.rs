//! Every participant is lost at every step of every kind of transaction: enumerated, not sampled.

use std::sync::Arc;

use cvm::core::txn::Before;
use cvm::disk::{Decision, Image, Outcomes, RequestId, Slot};
use cvm::model::{Disk, Epoch, Group, Name, Owner, Serial, Stamp, Tid, UniqueId, Volume};
use llt::{Duration, Id, Incarnation, NodeId};

use crate::disks::Fate;
use crate::world::{World, copies, node};

/// Kinds of transactions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Change,
    Create,
    Deport,
    Import,
}

/// What happens to the victim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blow {
    /// vxiod and everything else dies.
    Crash(Fate),
    /// It stands still, is thrown out, and goes on when another transaction has committed.
    Freeze,
    /// Only vxconfigd dies, and starts again.
    Configd,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A shared group with three disks and one volume without plexes.
fn group() -> Group {
    let owner = Owner::Cluster(name("clus1"));
    let mut group = Group::new(name("shdg"), UniqueId::new(1_283_432_345, 7, "host1"), owner);
    for number in 1..=3 {
        let disk = Disk {
            common: group.common(),
            disk: Some(UniqueId::new(1_283_432_300, number, "host1")),
            access: format!("disk_{number}"),
            public_len: 131_072,
            private_len: 65_536,
            serial: Serial(1),
            spare: false,
            nohotuse: false,
            reserve: false,
            failing: false,
            removed: false,
        };
        group.disks.insert(name(&format!("shdg0{number}")), disk);
    }
    add_volume(&mut group, "vol1");
    group
}

fn add_volume(group: &mut Group, volume: &str) {
    let text = format!(
        "vol {volume}\n\tuse_type=fsgen len=0 state=EMPTY kstate=DISABLED minor={} rid=0.{}\n",
        group.free_minor(),
        group.next_rid.0,
    );
    group.next_rid.0 += 1;
    let records = cvm::model::text::parse(&text).unwrap();
    cvm::model::text::read_into(group, records).unwrap();
    let _: &Volume = &group.volumes[volume];
}

fn changed(group: &Group) -> Group {
    let mut group = group.clone();
    add_volume(&mut group, "vol2");
    cvm::model::check(&group).unwrap();
    group
}

/// The group before and after a transaction of this kind, on the nodes of the cluster.
fn states(kind: Kind) -> (Option<Group>, Option<Group>) {
    let group = group();
    match kind {
        Kind::Change => (Some(group.clone()), Some(changed(&group))),
        Kind::Create | Kind::Import => (None, Some(group)),
        Kind::Deport => (Some(group), None),
    }
}

/// Prepares a cluster and begins the transaction.
fn begin(world: &mut World, kind: Kind) -> RequestId {
    let base = group();
    match kind {
        Kind::Create => world.begin(&Arc::new(base), Before::Nothing),
        Kind::Import => {
            let deported = Group { owner: Owner::Nobody, ..base.clone() };
            let writer = Id { node: node(9), incarnation: Incarnation(1) };
            let image = Arc::new(Image {
                slot: Slot::new(1).unwrap(),
                stamp: Stamp { epoch: Epoch(5), tid: Tid(50) },
                writer,
                claiming: false,
                copies: copies(&deported),
                group: deported,
                outcomes: Outcomes::default(),
            });
            world.disks.put(&image);
            world.begin(&Arc::new(base), Before::OnDisk(image))
        }
        Kind::Change | Kind::Deport => {
            world.begin(&Arc::new(base.clone()), Before::Nothing);
            world.settle();
            let before = Before::InForce(world.image(node(0), &base.id).unwrap().stamp);
            let new = match kind {
                Kind::Deport => Group { owner: Owner::Nobody, ..base },
                Kind::Change | Kind::Create | Kind::Import => changed(&base),
            };
            world.begin(&Arc::new(new), before)
        }
    }
}

/// All survivors agree, the disks agree with them, and what was told is what happened.
fn check(world: &World, kind: Kind, request: RequestId) -> Decision {
    let (before, after) = states(kind);
    let id = group().id;
    let members = world.members();
    assert!(!members.is_empty(), "somebody is left");
    let in_force: Vec<Option<Arc<Image>>> =
        members.iter().map(|node| world.image(*node, &id)).collect();
    for (node, image) in members.iter().zip(&in_force) {
        assert_eq!(*image, in_force[0], "{node} and {} have different tables", members[0]);
    }
    for (number, node) in &world.nodes {
        assert_eq!(node.iod.alarms(), 0, "{number}");
    }
    for node in &members {
        assert!(!world.nodes[node].iod.role().is_suspended, "{node}: I/O goes on");
    }
    let now = in_force[0].as_ref().map(|image| image.group.clone());
    let outcome = match (now == after, now == before) {
        (true, _) => Decision::Committed,
        (false, true) => Decision::Abandoned,
        (false, false) => panic!("neither the old configuration nor the new one: {now:?}"),
    };
    for (number, node) in &world.nodes {
        for (_, told) in node.told.iter().filter(|(of, _)| *of == request) {
            assert_eq!(*told, outcome, "what node {number} was told is not what happened");
        }
    }
    let on_disk = world.disks.import(&id);
    match &in_force[0] {
        Some(image) => {
            let found = on_disk.expect("it can be imported");
            assert_eq!((found.stamp, &found.group), (image.stamp, &image.group), "on disk");
        }
        None if kind == Kind::Create => assert!(on_disk.is_err(), "a group that was never made"),
        None => assert_eq!(on_disk.expect("deported").group.owner, Owner::Nobody),
    }
    for disk in group().disks.values().filter_map(|disk| disk.disk.as_ref()) {
        let claim = world.disks.claim(disk).and_then(|claim| claim.member);
        let owner = claim.map(|member| member.owner);
        let expected = match &in_force[0] {
            Some(image) => Some(image.group.owner.clone()),
            None if kind == Kind::Create => None,
            None => Some(Owner::Nobody),
        };
        assert_eq!(owner, expected, "{disk} says so");
    }
    outcome
}

/// Another transaction commits: nothing is stuck.
fn go_on(world: &mut World, kind: Kind) {
    let id = group().id;
    let member = world.members()[0];
    let Some(image) = world.image(member, &id) else {
        if kind == Kind::Create {
            let request = world.begin(&Arc::new(group()), Before::Nothing);
            world.settle();
            told(world, request);
        }
        return;
    };
    let mut next = image.group.clone();
    add_volume(&mut next, "vol9");
    let request = world.begin(&Arc::new(next), Before::InForce(image.stamp));
    world.settle();
    told(world, request);
    assert!(world.image(member, &id).unwrap().group.volumes.contains_key("vol9"));
}

fn told(world: &World, request: RequestId) {
    let master = world.master().unwrap();
    let told = &world.nodes[&master].told;
    assert!(told.contains(&(request, Decision::Committed)), "the next transaction: {told:?}, {:?}", world.notices);
}

/// One run; `None` if the transaction was over before the step.
fn run(kind: Kind, victim: NodeId, blow: Blow, at: usize, seed: u64) -> Option<Decision> {
    let mut world = World::formed(seed, 3);
    let request = begin(&mut world, kind);
    for _ in 0..at {
        if !world.step() {
            return None;
        }
    }
    world.horizon = Some(world.now + Duration::from_secs(45));
    match blow {
        Blow::Crash(fate) => world.crash(victim, fate),
        Blow::Freeze => world.freeze(victim),
        Blow::Configd => world.kill_configd(victim),
    }
    world.settle();
    let outcome = check(&world, kind, request);
    if blow == Blow::Configd {
        world.start_configd(victim);
        world.settle();
    }
    go_on(&mut world, kind);
    let id = group().id;
    let in_force = world.image(world.members()[0], &id);
    world.thaw(victim);
    world.settle();
    world.land_late_writes();
    if let Some(image) = &in_force {
        let found = world.disks.import(&id).expect("it can be imported");
        assert_eq!((found.stamp, &found.group), (image.stamp, &image.group), "after late writes");
    }
    // Whoever was lost comes back and is told everything.
    if blow != Blow::Configd {
        world.boot(victim);
        world.settle();
        assert_eq!(world.members().len(), 3, "it joins");
        assert_eq!(world.image(victim, &id), in_force, "and has what is in force");
    }
    Some(outcome)
}

const BLOWS: [Blow; 6] = [
    Blow::Crash(Fate::Late),
    Blow::Crash(Fate::Landed),
    Blow::Crash(Fate::Lost),
    Blow::Crash(Fate::Torn),
    Blow::Freeze,
    Blow::Configd,
];

/// All steps of one kind, with `CVM_SEEDS` interleavings of each (4).
fn enumerate(kind: Kind) {
    let seeds = std::env::var("CVM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let (mut committed, mut abandoned) = (0, 0);
    for seed in 0..seeds {
        for blow in BLOWS {
            for victim in 0..3 {
                for at in 0.. {
                    let told = std::panic::catch_unwind(|| run(kind, node(victim), blow, at, seed));
                    let outcome = told.unwrap_or_else(|_| {
                        panic!("{kind:?}, node {victim}, {blow:?} at step {at}, seed {seed}")
                    });
                    match outcome {
                        Some(Decision::Committed) => committed += 1,
                        Some(Decision::Abandoned) => abandoned += 1,
                        None => break,
                    }
                }
            }
        }
    }
    println!("{kind:?}: {committed} committed, {abandoned} abandoned");
    assert!(committed > 100 && abandoned > 100, "both happen: {committed}, {abandoned}");
}

/// CVM-05 to CVM-13, CVM-35.
#[test]
fn cvm_10_to_13_a_change_is_committed_by_all_or_none_whoever_is_lost_when() {
    enumerate(Kind::Change);
}

#[test]
fn a_group_is_made_everywhere_or_nowhere() {
    enumerate(Kind::Create);
}

#[test]
fn a_group_is_imported_everywhere_or_nowhere() {
    enumerate(Kind::Import);
}

#[test]
fn a_group_is_deported_everywhere_or_nowhere() {
    enumerate(Kind::Deport);
}
