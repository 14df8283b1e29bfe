//! What there is to relocate, and what is said of it. Pure: all is read from what vxconfigd knows.

use cvm::model::apply::{Failed, Relocation, failed};
use cvm::model::{Group, KernelState, Name, PlexState, Refused};
use cvm::snapshot::{GroupSnapshot, Snapshot};

/// Names what has failed: a group by its id, and a plex.
pub(super) type Key = (String, Name);

/// Something that has failed, and what is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) group: Name,
    pub(super) failed: Failed,
    pub(super) is_log: bool,
    pub(super) plan: Result<Relocation, Refused>,
}

/// All that this node is to care for.
pub(super) fn found(snapshot: &Snapshot) -> Vec<Found> {
    let ours = snapshot.groups.iter().filter(|shown| acts_for(snapshot, shown));
    let of_group = |shown: &GroupSnapshot| {
        let group = &shown.group;
        let all = failed(group).into_iter().map(|failed| {
            let is_log = group.plexes.get(&failed.plex).is_some_and(|plex| plex.is_log_only());
            let key = (group.id.to_string(), failed.plex.clone());
            let plan = failed.plan(group);
            Found { key, group: group.name.clone(), failed, is_log, plan }
        });
        all.collect::<Vec<_>>()
    };
    ours.flat_map(of_group).collect()
}

/// The master acts for shared groups, as long as it is one.
fn acts_for(snapshot: &Snapshot, shown: &GroupSnapshot) -> bool {
    let cluster = &snapshot.cluster;
    let is_master = cluster.state == "cluster member" && cluster.master == Some(cluster.node);
    !shown.disabled && (!shown.group.is_shared() || is_master)
}

impl Found {
    /// What was done, in the manner of the original's mail.
    pub(super) fn lines(&self) -> Vec<String> {
        let Failed { top, plex, subdisks, .. } = &self.failed;
        let Ok(Relocation { from, places }) = &self.plan else { return Vec::new() };
        let mut lines = Vec::new();
        for ((subdisk, disk), places) in subdisks.iter().zip(places) {
            let to: Vec<&str> = places.iter().map(|place| place.disk.as_str()).collect();
            let (to, group) = (to.join(", "), &self.group);
            lines.push(match from {
                Some(from) => format!(
                    "Volume {top} of disk group {group}: subdisk {subdisk} of plex {plex} is \
                     relocated from disk {disk} to {to}, but not yet recovered. The available plex \
                     {from} is used to recover the data"
                ),
                None => format!(
                    "Volume {top} of disk group {group}: log {subdisk} of plex {plex} is relocated \
                     from disk {disk} to {to}, and begins anew"
                ),
            });
        }
        lines
    }

    /// What was not.
    pub(super) fn not_done(&self, why: &str) -> String {
        let Failed { top, plex, subdisks, .. } = &self.failed;
        let all: Vec<String> =
            subdisks.iter().map(|(subdisk, disk)| format!("{subdisk} on disk {disk}")).collect();
        let (group, all) = (&self.group, all.join(", "));
        format!(
            "Relocation was not successful for {all} of plex {plex} in volume {top} in disk group \
             {group}. No replacement was made: {why}"
        )
    }
}

/// What became of a plex that was relocated: nothing as long as it is copied.
pub(super) fn outcome(
    snapshot: &Snapshot,
    (group, plex): &Key,
    volume: &Name,
) -> Option<Result<String, String>> {
    let mut groups = snapshot.groups.iter().map(|shown| &shown.group);
    let record = |group: &Group| group.plexes.get(plex).map(|plex| (plex.kernel, plex.state));
    let group = groups.find(|known| known.id.to_string() == *group);
    let name = group.map_or("-", |group| group.name.as_str());
    match group.and_then(record) {
        Some((KernelState::Enabled, PlexState::Active)) => {
            let text = format!("Recovery complete for volume {volume} in disk group {name}");
            Some(Ok(format!("{text}: plex {plex}")))
        }
        // It is copied when the volume is started.
        Some((KernelState::Enabled | KernelState::Disabled, PlexState::Stale)) => None,
        Some((kernel, state)) => Some(Err(format!(
            "Failure recovering volume {volume} in disk group {name}: plex {plex} is {kernel} {state}"
        ))),
        None => Some(Err(format!(
            "Failure recovering volume {volume} in disk group {name}: plex {plex} is gone"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::vx::name;
    use crate::vx::vxprint::sample;

    /// The facts' group with one more disk, and what has failed on one.
    fn hurt(disk: &str, plex: &str) -> Snapshot {
        let mut snapshot = sample::facts();
        snapshot.cluster.node = 2;
        snapshot.cluster.master = Some(2);
        snapshot.cluster.state = "cluster member".to_owned();
        let group = &mut snapshot.groups[0].group;
        let mut spare = group.disks["mydg03"].clone();
        spare.disk = "1283432300.4.host1".parse().ok();
        (spare.spare, spare.common.rid) = (true, group.next_rid);
        group.next_rid.0 += 1;
        group.disks.insert(name("mydg04").unwrap(), spare);
        group.disks.get_mut(disk).unwrap().failing = true;
        let plex = group.plexes.get_mut(plex).unwrap();
        plex.kernel = KernelState::Detached;
        if !plex.is_log_only() {
            plex.state = PlexState::IoFail;
        }
        snapshot
    }

    #[test]
    fn what_is_told_of_a_relocation() {
        let mut text = String::new();
        for (disk, plex) in [("mydg02", "vol1-02"), ("mydg01", "vol1-03")] {
            let mut snapshot = hurt(disk, plex);
            let one = found(&snapshot).into_iter().next().unwrap();
            text += &(one.lines().join("\n") + "\n");
            snapshot.groups[0].group.disks.get_mut("mydg04").unwrap().spare = false;
            for disk in snapshot.groups[0].group.disks.values_mut() {
                disk.nohotuse = true;
            }
            let one = found(&snapshot).into_iter().next().unwrap();
            let why = one.plan.clone().unwrap_err().to_string();
            text += &(one.not_done(&why) + "\n");
        }
        let key = ("1283432345.33.host1".to_owned(), name("vol1-02").unwrap());
        let volume = name("vol1").unwrap();
        let mut snapshot = sample::facts();
        let mut told = |kernel: KernelState, state: PlexState| {
            let plex = snapshot.groups[0].group.plexes.get_mut("vol1-02").unwrap();
            (plex.kernel, plex.state) = (kernel, state);
            outcome(&snapshot, &key, &volume)
        };
        assert_eq!(told(KernelState::Enabled, PlexState::Stale), None);
        let ends = [
            told(KernelState::Enabled, PlexState::Active).unwrap().unwrap(),
            told(KernelState::Detached, PlexState::IoFail).unwrap().unwrap_err(),
        ];
        text += &(ends.join("\n") + "\n");
        golden::check("vxrelocd", &text);
    }

    #[test]
    fn the_master_acts_for_shared_groups_and_each_node_for_its_own() {
        let acts = |change: &dyn Fn(&mut Snapshot)| {
            let mut snapshot = hurt("mydg02", "vol1-02");
            change(&mut snapshot);
            !found(&snapshot).is_empty()
        };
        let own = cvm::model::Owner::Host(name("host1").unwrap());
        assert!(acts(&|_| {}));
        assert!(!acts(&|snapshot| snapshot.cluster.master = Some(1)));
        assert!(!acts(&|snapshot| snapshot.cluster.state = "joining".to_owned()));
        assert!(!acts(&|snapshot| snapshot.groups[0].disabled = true));
        assert!(acts(&|snapshot| {
            snapshot.cluster.master = Some(1);
            snapshot.groups[0].group.owner = own.clone();
        }));
        // Nothing has failed, or it is to stay where it is.
        assert!(!acts(&|snapshot| {
            let plex = snapshot.groups[0].group.plexes.get_mut("vol1-02").unwrap();
            plex.state = PlexState::Offline;
        }));
    }
}
