//! What must come true after the last fault: one cluster, every group imported everywhere, and disks
//! that say what the nodes say.

use core::time::Duration;
use std::collections::BTreeSet;

use cvm::core::iod::{Iod, Table};
use cvm::disk::{FoundDisk, FoundSlot, ImportError, groups};
use cvm::model::op::{Attribute, Op};
use cvm::model::{Group, Name, Owner, UniqueId, Volume, VolumeState};
use cvm::request::{GroupRequest, Reply, Request};
use cvm::sim::access;
use llt::NodeSet;

use super::driver::Driver;
use super::invariants::short;
use super::workload::{Asked, Effect, import, make};
use crate::liveness;

/// How long an administrator tries something again that must succeed.
const PATIENCE: Duration = Duration::from_secs(30);

impl Driver {
    /// The last fault is over.
    pub fn heal(&mut self) {
        self.world.heal();
        self.storage.mend();
        self.programs_run = false;
        for node in &mut self.nodes {
            node.hangs_until = llt::Instant::ZERO;
        }
    }

    /// What keeps the cluster from being at rest; `None` when it is.
    pub fn unsettled(&self) -> Option<String> {
        liveness::unsettled(&self.world).or_else(|| self.nodes_unsettled()).or_else(|| {
            let waits = |asked: &Asked| asked.reply.is_none() && !asked.is_lost;
            let place = self.asked.iter().position(waits);
            place.map(|place| format!("{:?} has no answer", self.asked[place]))
        })
    }

    fn nodes_unsettled(&self) -> Option<String> {
        let everybody: NodeSet = self.nodes.iter().map(|node| node.id).collect();
        let mut master = None;
        for node in &self.nodes {
            let name = node.id;
            let Some(iod) = &node.iod else { return Some(format!("node {name}: no vxiod")) };
            if node.configd.is_none() {
                return Some(format!("node {name}: no vxconfigd"));
            }
            if let Some(reason) = iod.out_of_cluster() {
                return Some(format!("node {name} is out: {reason}"));
            }
            let role = iod.role();
            if role.members != everybody || role.is_suspended || !role.joiners.is_empty() {
                return Some(format!("node {name}: {role:?}"));
            }
            if *master.get_or_insert(role.master) != role.master || role.master.is_none() {
                return Some(format!(
                    "node {name} has master {:?}, others {master:?}",
                    role.master
                ));
            }
            if let Some(why) = node.plane.unsettled() {
                return Some(format!("node {name}: {why}"));
            }
            let told = node.configd.as_ref().map(|configd| configd.role().clone());
            if ![&node.v, &node.w, &node.u].iter().all(|port| port.is_read(&self.world)) {
                return Some(format!("node {name} has something to read"));
            }
            if told.as_ref() != Some(&role) || !node.is_quiet() {
                return Some(format!("node {name}: vxconfigd is told {told:?}, of {role:?}"));
            }
        }
        (!self.storage.is_quiet()).then(|| "writes are under way".to_owned()).or_else(|| {
            let tables = self.nodes.first()?.iod.as_ref()?.tables().values();
            tables.into_iter().find_map(unequal)
        })
    }

    /// Waits for rest, imports what nobody has imported, changes every group once more and looks at
    /// everything. The time to the first rest, if all came true.
    pub fn come_to_rest(&mut self) -> Option<Duration> {
        let healed = self.world.now();
        let limit = self.world.profile().liveness;
        if !self.rests(limit) {
            return None;
        }
        let recovery = self.world.now().since(healed);
        self.import_all();
        self.change_all();
        let rested = self.rests(limit);
        if rested {
            self.check_agreement();
            self.check_data();
        }
        rested.then_some(recovery)
    }

    fn rests(&mut self, limit: Duration) -> bool {
        // Asking about everything takes longer than a step.
        let end = self.world.now() + limit;
        while let Some(why) = self.unsettled() {
            if self.world.now() >= end {
                self.fault("cvm-liveness", || why);
                return false;
            }
            self.pass(Duration::from_millis(20));
        }
        true
    }

    /// Asks until it is done. Why not, if it never is.
    fn insist(&mut self, request: &Request) -> Result<(), String> {
        let end = self.world.now() + PATIENCE;
        loop {
            let place = self.ask(0, request.clone(), Effect::None);
            self.until(PATIENCE, |driver| driver.asked[place].reply.is_some());
            match &self.asked[place].reply {
                Some(Reply::Done) => return Ok(()),
                reply if self.world.now() >= end => return Err(format!("{reply:?}")),
                _ => self.pass(Duration::from_millis(500)),
            }
        }
    }

    fn table(&self, node: usize, group: &UniqueId) -> Option<&Table> {
        self.nodes[node].iod.as_ref().and_then(|iod| iod.tables().get(group))
    }

    /// Whether each disk of the group says that it belongs to it.
    fn claims(&self, group: &Group) -> impl Iterator<Item = bool> {
        let disks = group.disks.values().filter_map(|dm| dm.disk.as_ref());
        disks.map(|disk| {
            let claim = self.storage.disks.claim(disk).and_then(|claim| claim.member);
            claim.is_some_and(|member| member.group == group.id)
        })
    }

    /// Every group that is on the disks is imported. One that was never made, as far as anybody was
    /// told, may have left nothing but claims, or nothing but images.
    fn import_all(&mut self) {
        for (group, names) in groups(&self.storage.disks.found()) {
            if self.table(0, &group).is_some() {
                continue;
            }
            let was_made = names.iter().any(|name| self.was_made(name));
            let mut request = import(&group.to_string());
            match self.storage.disks.import(&group) {
                Ok(choice) if choice.image.group.destroyed => continue,
                Err(_) if !was_made => continue,
                Ok(choice) if !was_made && !self.claims(&choice.image.group).any(|is| is) => {
                    continue;
                }
                // Copies of disks that were removed are missing until the next change (ondisk.md).
                Err(ImportError::TooFewCopies { .. }) => force(&mut request),
                // A claim could not be written when the group was imported or deported: its serial
                // lags, and an administrator says which disk is right.
                Err(ImportError::SplitBrain { .. }) => self.select(&mut request, &group),
                // Everything was lost in the middle of making it, and another group has a disk of it since.
                Ok(choice) if !self.claims(&choice.image.group).all(|is| is) => force(&mut request),
                Ok(_) => {}
                Err(error) => {
                    self.fault("cvm-import", || format!("{group} {names:?}: {error}"));
                    continue;
                }
            }
            if let Err(why) = self.insist(&request) {
                // What could not be made may have been undone since.
                let is_there = groups(&self.storage.disks.found()).contains_key(&group);
                if was_made || is_there {
                    self.fault("cvm-import", || format!("{group} {names:?}: {why}"));
                }
            }
        }
    }

    /// `-o selectcp=`, with a disk that has the newest configuration.
    fn select(&self, request: &mut Request, group: &UniqueId) {
        let newest = |disk: &FoundDisk| {
            let images = disk.slots.iter().filter_map(|slot| match slot {
                FoundSlot::Image(image) if image.group.id == *group => Some(image.stamp),
                FoundSlot::Image(_) | FoundSlot::Invalid { .. } | FoundSlot::Unreadable => None,
            });
            images.max()
        };
        let disk = self.storage.disks.found().into_iter().max_by_key(newest);
        if let Request::Group(GroupRequest::Import(import)) = request {
            import.select = disk.map(|disk| disk.label.disk);
        }
    }

    fn was_made(&self, name: &Name) -> bool {
        let effect = Effect::Group { group: name.clone(), made: true };
        let destroyed = Effect::Group { group: name.clone(), made: false };
        let done = |asked: &&Asked| asked.reply == Some(Reply::Done);
        self.asked.iter().filter(done).any(|asked| asked.effect == effect)
            && self.asked.iter().all(|asked| {
                asked.effect != destroyed || matches!(asked.reply, Some(Reply::Failed(_)))
            })
    }

    /// Nothing is stuck: a volume can be made in every group.
    fn change_all(&mut self) {
        let Some(iod) = &self.nodes[0].iod else { return };
        let failing = |group: &Group| -> Vec<Name> {
            let failing = group.disks.iter().filter(|(_, disk)| disk.failing);
            failing.map(|(name, _)| name.clone()).collect()
        };
        let groups = iod.tables().values().map(|table| &table.image.group);
        let groups: Vec<(Name, Vec<Name>)> =
            groups.map(|group| (group.name.clone(), failing(group))).collect();
        for (group, names) in groups {
            let mut requests = Vec::new();
            if !names.is_empty() {
                // What disks are sound again an administrator says.
                let set = vec![Attribute::Failing(false)];
                requests.push(Request::Op { group: group.clone(), op: Op::Edit { names, set } });
            }
            let volume = self.new_name('z');
            requests.push(make(group.as_str(), volume.as_str(), false));
            for request in &requests {
                if let Err(why) = self.insist(request) {
                    self.fault("cvm-stuck", || format!("{group}: {why}"));
                }
            }
        }
    }

    /// All nodes and all disks say the same.
    fn check_agreement(&mut self) {
        let Some(first) = self.nodes[0].iod.as_ref() else { return };
        let mut wrong = Vec::new();
        for node in &self.nodes {
            let Some(iod) = &node.iod else { continue };
            let same = iod.tables().len() == first.tables().len()
                && iod.tables().iter().all(|(id, table)| {
                    first.tables().get(id).is_some_and(|other| {
                        (&table.image, table.epoch) == (&other.image, other.epoch)
                            && table.tenures == other.tenures
                    })
                });
            if !same {
                let table = |iod: &Iod| {
                    let tables = iod.tables().iter();
                    let one = |(id, table): (&UniqueId, &Table)| {
                        let outcomes = short(&table.image);
                        (id.to_string(), table.epoch, table.stamp(), outcomes)
                    };
                    tables.map(one).collect::<Vec<_>>()
                };
                let text = format!("0 has {:?}, {} {:?}", table(first), node.id, table(iod));
                wrong.push(("cvm-tables", text));
            }
            let told = node.configd.as_ref().map(cvm::core::configd::Configd::tables);
            let is_told = told.is_some_and(|told| {
                told.len() == iod.tables().len()
                    && told.iter().all(|(id, view)| {
                        iod.tables().get(id).is_some_and(|table| table.image == view.image)
                    })
            });
            if !is_told {
                wrong.push(("cvm-told-tables", format!("vxconfigd of {}", node.id)));
            }
        }
        for (id, table) in first.tables() {
            match self.storage.disks.import(id) {
                Ok(choice) if choice.image == *table.image => {}
                Ok(choice)
                    if choice.image.stamp == table.stamp()
                        && choice.image.group == table.image.group => {}
                Ok(choice) => {
                    let (on_disk, here) = (choice.image.stamp, table.stamp());
                    wrong.push(("cvm-disks", format!("{id}: {on_disk} on disk, {here} in force")));
                }
                Err(error) => wrong.push(("cvm-disks", format!("{id}: {error}"))),
            }
            wrong.extend(self.wrong_claims(id, table));
        }
        for (kind, text) in wrong {
            self.fault(kind, || text);
        }
        self.check_effects();
    }

    /// Disks that do not say that they belong to the group, or say so and do not.
    fn wrong_claims(&self, id: &UniqueId, table: &Table) -> Option<(&'static str, String)> {
        let disks = table.image.group.disks.values().filter_map(|dm| dm.disk.as_ref());
        let disks: BTreeSet<&UniqueId> = disks.collect();
        let wrong = self.storage.disks.known().iter().find(|disk| {
            let claim = self.storage.disks.claim(disk).and_then(|claim| claim.member);
            let says = claim.as_ref().is_some_and(|member| member.group == *id);
            let owner = claim.is_some_and(|member| member.owner != Owner::Nobody);
            // One that was removed when it could not be reached says what it said.
            disks.contains(disk) && !(says && owner) && !table.failed.contains(*disk)
        });
        wrong.map(|disk| {
            let claim = self.storage.disks.claim(disk).map(|claim| (claim.stamp, claim.member));
            ("cvm-claims", format!("{id}: {} says {claim:?}", access(disk)))
        })
    }

    /// What utilities were told is what there is.
    fn check_effects(&mut self) {
        let Some(iod) = &self.nodes[0].iod else { return };
        let mut wrong = Vec::new();
        for asked in self.asked.iter().filter(|asked| !asked.is_unknown()) {
            let is_done = asked.reply == Some(Reply::Done);
            let (group, made) = match &asked.effect {
                Effect::Disk { group, made, .. }
                | Effect::Group { group, made }
                | Effect::Volume { group, made, .. } => (group, *made),
                Effect::None => continue,
            };
            let mut tables = iod.tables().values().map(|table| &table.image.group);
            let table = tables.find(|there| there.name == *group);
            let there = match (&asked.effect, table) {
                (Effect::Disk { dm, .. }, Some(table)) => table.disks.contains_key(dm),
                (Effect::Volume { volume, .. }, Some(table)) => table.volumes.contains_key(volume),
                (Effect::Group { .. }, table) => table.is_some(),
                (_, None) | (Effect::None, _) => continue,
            };
            let undone = self.asked.iter().any(|other| {
                is_opposite(&asked.effect, &other.effect)
                    && !matches!(other.reply, Some(Reply::Failed(_)))
            });
            let is_wrong = match (made, is_done) {
                // It was made, and nobody may have removed it.
                (true, true) => !there && !undone,
                (true, false) => there,
                (false, true) => there,
                (false, false) => false,
            };
            if is_wrong {
                wrong.push(format!("{:?} was told {:?}", asked.effect, asked.reply));
            }
        }
        for text in wrong {
            self.fault("cvm-effects", || text);
        }
    }

    /// What can be said of any run, at rest or not.
    pub(super) fn check_end(&mut self) {
        let alarms = self.nodes.iter().filter_map(|node| {
            let alarms = node.iod.as_ref()?.alarms();
            (alarms > 0).then(|| format!("node {}: {alarms}", node.id))
        });
        for text in alarms.collect::<Vec<_>>() {
            self.fault("cvm-alarm", || text);
        }
    }

    /// Heals everything, waits for rest and fails if anything was ever wrong.
    ///
    /// # Panics
    /// With all that was wrong.
    #[track_caller]
    pub fn conclude(mut self) {
        self.heal();
        let recovery = self.come_to_rest();
        let outcome = self.finish(recovery);
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations.list());
    }
}

/// `-f`
fn force(request: &mut Request) {
    if let Request::Group(GroupRequest::Import(import)) = request {
        import.force = true;
    }
}

/// One was to make what the other was to remove.
fn is_opposite(one: &Effect, other: &Effect) -> bool {
    match (one, other) {
        (Effect::Disk { group, dm, made }, Effect::Disk { group: g, dm: d, made: m }) => {
            (group, dm, *made) == (g, d, !*m)
        }
        (Effect::Group { group, made }, Effect::Group { group: g, made: m }) => {
            (group, *made) == (g, !*m)
        }
        (
            Effect::Volume { group, volume, made },
            Effect::Volume { group: g, volume: v, made: m },
        ) => (group, volume, *made) == (g, v, !*m),
        _ => false,
    }
}

/// A volume of a group whose copies are not equal yet, or that somebody still seems to write.
fn unequal(table: &Table) -> Option<String> {
    let group = &table.image.group;
    let name = &group.name;
    let is_done = |volume: &Volume| !volume.needs_sync() && volume.writers.is_empty();
    if let Some((volume, record)) = group.volumes.iter().find(|(_, volume)| !is_done(volume)) {
        let (state, writers) = (record.state, &record.writers);
        return Some(format!("volume {volume} of {name} is {state}, written by {writers:?}"));
    }
    if let Some((volume, _)) = group.volumes.iter().find(|(_, volume)| volume.fill.is_some()) {
        return Some(format!("volume {volume} of {name} is filled for ever"));
    }
    // Of a volume that holds nothing of use nothing is copied.
    let is_valid = |plex: &Name| {
        group.volume_of(plex).is_some_and(|(_, volume)| volume.state != VolumeState::Invalid)
    };
    let copied = group.plexes.iter().find(|(name, plex)| plex.needs_copy() && is_valid(name));
    copied.map(|(plex, record)| format!("plex {plex} of {name} is {} for ever", record.state))
}
