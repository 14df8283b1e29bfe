//! Every participant is lost at every step of every kind of transaction: enumerated, not sampled.

use std::sync::Arc;

use cvm::disk::Image;
use cvm::model::op::{DiskName, Init, Make, Op, VolumeLayout};
use cvm::model::{Copies, Group, Owner, UniqueId};
use cvm::request::{GroupRequest, Import, Reply, Request};
use cvm::sim::{Fate, access};
use llt::{Duration, NodeId};

use crate::world::{World, name, node};

/// Kinds of transactions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    AddDisk,
    Create,
    Deport,
    Destroy,
    Import,
    MakeVolume,
    RemoveDisk,
}

/// What happens to the victim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blow {
    /// Both processes die.
    Crash(Fate),
    /// It stands still, is thrown out, and goes on when another transaction has committed.
    Freeze,
    /// Only vxconfigd dies, and starts again.
    Configd,
    /// All nodes die, and start again.
    Outage(Fate),
}

/// Disks that all nodes reach; the group has the first three.
const DISKS: u32 = 4;

pub(crate) fn disks(numbers: std::ops::RangeInclusive<u32>) -> Vec<DiskName> {
    numbers.map(|number| DiskName { name: None, access: format!("disk_{number}") }).collect()
}

pub(crate) fn init() -> Request {
    Request::Group(GroupRequest::Init {
        name: name("shdg"),
        shared: true,
        disks: disks(1..=3),
        minors: None,
        nconfig: Copies::Default,
        nlog: Copies::Default,
        cds: true,
    })
}

pub(crate) fn op(op: Op) -> Request {
    Request::Op { group: name("shdg"), op }
}

pub(crate) fn make(volume: &str) -> Request {
    // What is on new disks counts as equal: nothing of what follows is about that.
    let make =
        Make { init: Init::Active, ..Make::new(name(volume), Some(2048), VolumeLayout::Mirror) };
    op(Op::Make(Box::new(make)))
}

pub(crate) fn import() -> Request {
    Request::Group(GroupRequest::Import(Import {
        group: "shdg".to_owned(),
        shared: true,
        force: false,
        clear: false,
        temporary: false,
        rename: None,
        select: None,
        reminor: None,
    }))
}

pub(crate) fn deport() -> Request {
    Request::Group(GroupRequest::Deport { group: name("shdg"), rename: None, host: None })
}

fn request(kind: Kind) -> Request {
    match kind {
        Kind::AddDisk => op(Op::AddDisks(disks(4..=4))),
        Kind::Create => init(),
        Kind::Deport => deport(),
        Kind::Destroy => Request::Group(GroupRequest::Destroy(name("shdg"))),
        Kind::Import => import(),
        Kind::MakeVolume => make("vol1"),
        Kind::RemoveDisk => op(Op::RemoveDisks { names: vec![name("shdg03")], keep: false }),
    }
}

/// A cluster that is about to be asked.
fn prepared(kind: Kind, seed: u64) -> World {
    let mut world = World::formed(seed, 3, DISKS);
    let done = |world: &mut World, request: Request| {
        let reply = world.ask(node(0), request);
        assert_eq!(reply, Reply::Done, "{:?}", world.said);
    };
    if kind != Kind::Create {
        done(&mut world, init());
    }
    if kind == Kind::Import {
        done(&mut world, deport());
    }
    world
}

/// The only group there is, as a node has it.
fn in_force(world: &World, node: NodeId) -> Option<Arc<Image>> {
    let ids: Vec<UniqueId> = world.nodes[&node].iod.tables().keys().cloned().collect();
    assert!(ids.len() <= 1, "one group is made: {ids:?}");
    ids.first().and_then(|id| world.image(node, id))
}

/// Everything but what differs from run to run.
fn plain(group: &Group) -> Group {
    let mut group = group.clone();
    group.disks.values_mut().for_each(|disk| disk.serial.0 = 0);
    group.serial.0 = 0;
    // A request that was put aside makes another one.
    group.id = UniqueId::new(0, 0, "any");
    group
}

/// What is there after a transaction, when nobody is lost.
fn committed(kind: Kind) -> Option<Group> {
    let mut world = prepared(kind, 0);
    assert_eq!(world.ask(node(0), request(kind)), Reply::Done, "{:?}", world.said);
    in_force(&world, node(1)).map(|image| plain(&image.group))
}

fn before(kind: Kind) -> Option<Group> {
    let world = prepared(kind, 0);
    in_force(&world, node(1)).map(|image| plain(&image.group))
}

struct Case {
    kind: Kind,
    before: Option<Group>,
    after: Option<Group>,
}

/// All survivors agree, the disks agree with them, and what was told is what happened. True if it is
/// committed.
fn check(world: &World, case: &Case, asked: NodeId, session: u64) -> bool {
    let members = world.members();
    assert!(!members.is_empty(), "somebody is left");
    let images: Vec<Option<Arc<Image>>> =
        members.iter().map(|node| in_force(world, *node)).collect();
    for (node, image) in members.iter().zip(&images) {
        assert_eq!(*image, images[0], "{node} and {} have different tables", members[0]);
        assert!(!world.nodes[node].iod.role().is_suspended, "{node}: I/O goes on");
    }
    for (number, node) in &world.nodes {
        assert_eq!(node.iod.alarms(), 0, "{number}");
    }
    let now = images[0].as_ref().map(|image| plain(&image.group));
    let is_committed = now == case.after;
    assert!(is_committed || now == case.before, "neither old nor new: {now:?}");
    match world.reply(asked, session) {
        Some(Reply::Done) => assert!(is_committed, "told that it is done: {:?}", world.said),
        Some(Reply::Failed(failure)) => {
            assert!(!is_committed, "told {failure:?}, and it is done: {:?}", world.said);
        }
        Some(Reply::Unknown(_)) | None => {
            let answers = world.members().contains(&asked) && world.nodes[&asked].answers();
            assert!(!answers, "node {asked} never answers: {:?}", world.said);
        }
        Some(reply) => panic!("an answer to something else: {reply:?}"),
    }
    check_disks(world, case, images[0].as_deref());
    is_committed
}

/// An import would find what is in force, and no disk says anything else.
fn check_disks(world: &World, case: &Case, in_force: Option<&Image>) {
    let claims = world.disks.known().iter().map(|disk| (disk, world.disks.claim(disk)));
    let claims: Vec<_> =
        claims.map(|(disk, claim)| (disk, claim.and_then(|claim| claim.member))).collect();
    let Some(image) = in_force else {
        let owners = claims.iter().filter_map(|(_, member)| member.as_ref());
        let owned = owners.filter(|member| member.owner != Owner::Nobody).count();
        assert_eq!(owned, 0, "no group is imported, and disks have an owner: {claims:?}");
        if matches!(case.kind, Kind::Create | Kind::Destroy) {
            let members = claims.iter().filter(|(_, member)| member.is_some()).count();
            assert_eq!(members, 0, "no group is there, and disks belong to it: {claims:?}");
        }
        return;
    };
    let found = world.disks.import(&image.group.id).expect("it can be imported").image;
    assert_eq!((found.stamp, &found.group), (image.stamp, &image.group), "on disk");
    for (disk, member) in claims {
        let here = image.group.disks.values().any(|dm| dm.disk.as_ref() == Some(disk));
        let says = member.is_some_and(|member| {
            member.group == image.group.id && member.owner == image.group.owner
        });
        assert_eq!(says, here, "{} says whether it belongs to the group", access(disk));
    }
}

/// Another transaction commits: nothing is stuck.
fn go_on(world: &mut World) {
    let member = world.members()[0];
    let next = if in_force(world, member).is_some() { make("vol9") } else { import() };
    let reply = world.ask(member, next);
    let again = match reply {
        Reply::Failed(_) if in_force(world, member).is_none() => world.ask(member, init()),
        reply => reply,
    };
    assert_eq!(again, Reply::Done, "the next transaction: {:?}", world.said);
}

/// The power fails everywhere: what is found on the disks afterwards is the old configuration or the
/// new one, and if anybody was told, it is what was told. True if it is the new one.
fn fail_everywhere(mut world: World, case: &Case, asked: (NodeId, u64), fate: Fate) -> bool {
    for number in 0..3 {
        world.crash(node(number), fate);
    }
    let told = world.reply(asked.0, asked.1).cloned();
    for number in 0..3 {
        world.boot(node(number));
        world.settle();
    }
    assert_eq!(world.members().len(), 3, "the cluster is there again: {:?}", world.said);
    let images: Vec<_> = (0..3).map(|number| in_force(&world, node(number))).collect();
    assert!(images.iter().all(|image| *image == images[0]), "all have the same");
    let now = images[0].as_ref().map(|image| plain(&image.group));
    // Disks of a group that was half made say that they belong to it: that it never was cannot be told
    // from that its configuration was lost, and vxdisksetup -f decides.
    let is_committed = now == case.after;
    assert!(is_committed || now == case.before, "neither old nor new: {now:?}, {:?}", world.said);
    match told {
        Some(Reply::Done) => assert!(is_committed, "it was done"),
        Some(Reply::Failed(_)) => assert!(!is_committed, "it was not done"),
        Some(Reply::Unknown(_)) | None => {}
        Some(reply) => panic!("an answer to something else: {reply:?}"),
    }
    if case.kind != Kind::Create || is_committed {
        go_on(&mut world);
    }
    is_committed
}

/// What comes after a blow that falls now. True if the transaction is committed.
fn strike(mut world: World, case: &Case, asked: (NodeId, u64), victim: NodeId, blow: Blow) -> bool {
    if let Blow::Outage(fate) = blow {
        return fail_everywhere(world, case, asked, fate);
    }
    world.horizon = Some(world.now + Duration::from_secs(45));
    match blow {
        Blow::Outage(_) => {}
        Blow::Crash(fate) => world.crash(victim, fate),
        Blow::Freeze => world.freeze(victim),
        Blow::Configd => world.kill_configd(victim),
    }
    world.settle();
    let is_committed = check(&world, case, asked.0, asked.1);
    if blow == Blow::Configd {
        world.start_configd(victim);
        world.settle();
    }
    go_on(&mut world);
    let image = in_force(&world, world.members()[0]);
    world.thaw(victim);
    world.settle();
    world.land_late_writes();
    check_disks(&world, case, image.as_deref());
    // Whoever was lost comes back and is told everything.
    if blow != Blow::Configd {
        world.boot(victim);
        world.settle();
        assert_eq!(world.members().len(), 3, "it joins: {:?}", world.said);
        assert_eq!(in_force(&world, victim), image, "and has what is in force");
    }
    is_committed
}

const BLOWS: [Blow; 9] = [
    Blow::Crash(Fate::Late),
    Blow::Crash(Fate::Landed),
    Blow::Crash(Fate::Lost),
    Blow::Crash(Fate::Torn),
    Blow::Freeze,
    Blow::Configd,
    Blow::Outage(Fate::Landed),
    Blow::Outage(Fate::Lost),
    Blow::Outage(Fate::Torn),
];

/// All steps of one kind, with `CVM_SEEDS` interleavings of each (2), asked at the master and at a
/// slave; or one step of `CVM_STRIDE` (1), from `CVM_FROM` (0) on.
fn enumerate(kind: Kind) {
    let size = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = size("CVM_SEEDS").unwrap_or(2);
    let stride = size("CVM_STRIDE").unwrap_or(1).max(1);
    let from = size("CVM_FROM").unwrap_or(0) % stride;
    let case = Case { kind, before: before(kind), after: committed(kind) };
    assert_ne!(case.before, case.after, "it changes something");
    let (mut committed, mut abandoned) = (0, 0);
    for seed in 0..seeds {
        let asked = node(u8::try_from(seed % 2).unwrap());
        let mut world = prepared(kind, seed);
        let session = world.request(asked, request(kind));
        for at in 0_u64.. {
            let blows = if at % stride == from { &BLOWS[..] } else { &[] };
            for &blow in blows {
                let victims = if matches!(blow, Blow::Outage(_)) { 1 } else { 3 };
                for victim in 0..victims {
                    let world = world.clone();
                    let struck = || strike(world, &case, (asked, session), node(victim), blow);
                    let struck = std::panic::AssertUnwindSafe(struck);
                    let told = std::panic::catch_unwind(struck).unwrap_or_else(|_| {
                        panic!(
                            "{kind:?} at {asked}, {blow:?} of {victim} at step {at}, seed {seed}"
                        )
                    });
                    if told { committed += 1 } else { abandoned += 1 }
                }
            }
            if !world.step() {
                break;
            }
        }
    }
    println!("{kind:?}: {committed} committed, {abandoned} abandoned");
    let least = 100 / stride;
    assert!(committed > least && abandoned > least, "both happen: {committed}, {abandoned}");
}

/// CVM-04 to CVM-13, CVM-35.
#[test]
fn cvm_10_to_13_a_volume_is_made_by_all_or_none_whoever_is_lost_when() {
    enumerate(Kind::MakeVolume);
}

#[test]
fn a_disk_is_added_everywhere_or_nowhere() {
    enumerate(Kind::AddDisk);
}

#[test]
fn a_disk_is_removed_everywhere_or_nowhere() {
    enumerate(Kind::RemoveDisk);
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

#[test]
fn a_group_is_destroyed_everywhere_or_nowhere() {
    enumerate(Kind::Destroy);
}
