//! Waiting until vxiod has copied: what commands do that make it copy, unless they are told not to.
//!
//! What happens is read from the records: a plex that is ENABLED and STALE is being copied to, and is
//! ACTIVE, or if it is to be broken off SNAPDONE, when that is over. Whoever waits and is interrupted changes nothing.

use std::collections::BTreeSet;

use cvm::model::{Group, KernelState, Name, Plex, PlexState, VolumeState};
use cvm::request::{Reply, Request};
use cvm::snapshot::Snapshot;

use super::{Daemon, view};
use crate::common::{Failure, Root};

/// What is being copied; each is a group and a name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Pending {
    plexes: BTreeSet<(Name, Name)>,
    /// Plexes that leave their volume then (`vxplex cp`).
    copies: BTreeSet<(Name, Name)>,
    /// Volumes whose copies are being made equal, or that are being filled.
    volumes: BTreeSet<(Name, Name)>,
}

impl Pending {
    /// All that is being copied of a volume, and of its layers.
    pub(super) fn add(&mut self, group: &Group, volume: &Name) {
        for (name, volume) in view::with_layers(group, volume) {
            let is_copied = volume.may_differ() || volume.fill.is_some();
            if is_copied && volume.kernel == KernelState::Enabled {
                self.volumes.insert((group.name.clone(), name.clone()));
            }
            let is_copied = |name: &&Name| group.plexes.get(*name).is_some_and(Plex::needs_copy);
            for plex in volume.plexes.iter().filter(is_copied) {
                self.add_one(group, plex);
            }
        }
    }

    fn add_one(&mut self, group: &Group, plex: &Name) {
        let leaves = group.plexes.get(plex).is_some_and(Plex::is_only_copied);
        let all = if leaves { &mut self.copies } else { &mut self.plexes };
        all.insert((group.name.clone(), plex.clone()));
    }

    /// These plexes of a volume, if it is started: else nothing is copied.
    pub(super) fn add_plexes(&mut self, group: &Group, volume: &Name, plexes: &[Name]) {
        let volume = group.volumes.get(volume);
        if volume.is_some_and(|volume| volume.kernel == KernelState::Enabled) {
            plexes.iter().for_each(|plex| self.add_one(group, plex));
        }
    }

    /// A plex of a volume that is started.
    pub(super) fn add_plex(&mut self, group: &Name, plex: &Name) {
        self.plexes.insert((group.clone(), plex.clone()));
    }

    /// These plexes leave their volume when they are copied.
    pub(super) fn add_copies(&mut self, group: &Name, plexes: &[Name]) {
        self.copies.extend(plexes.iter().map(|plex| (group.clone(), plex.clone())));
    }

    /// Waits until all of it is copied. What is not copied any more, and is not current, is a failure;
    /// the others are waited for.
    ///
    /// # Errors
    /// If nobody can be asked any more.
    pub(super) fn wait(self, root: &Root) -> Result<Vec<Failure>, Failure> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let (events, daemon) = (Daemon::connect(root)?, Daemon::connect(root)?);
        self.listen(events, daemon).map_err(|failure| match failure {
            Failure::Operation { id, text } => {
                let text = format!("{text} (it is still being copied: vxrecover waits for that)");
                Failure::Operation { id, text }
            }
            failure => failure,
        })
    }

    fn is_empty(&self) -> bool {
        self.plexes.is_empty() && self.copies.is_empty() && self.volumes.is_empty()
    }

    fn listen(mut self, mut events: Daemon, mut daemon: Daemon) -> Result<Vec<Failure>, Failure> {
        let mut failures = Vec::new();
        // Whatever happens after the first event is told by another one.
        let mut event = events.ask(&Request::Events)?;
        loop {
            match event {
                Reply::Event(_) => failures.append(&mut self.look(&daemon.snapshot()?)),
                other => {
                    let text = format!("vxconfigd answered with something else: {other:?}");
                    return Err(Failure::operation(text));
                }
            }
            if self.is_empty() {
                return Ok(failures);
            }
            event = events.answer()?;
        }
    }

    /// Forgets what is over; what of it has failed.
    fn look(&mut self, snapshot: &Snapshot) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut is_pending = |now: Now| match now {
            Now::Copied => false,
            Now::Copying => true,
            Now::Failed(text) => {
                failures.push(Failure::operation(text));
                false
            }
        };
        self.plexes.retain(|(group, plex)| is_pending(plex_now(snapshot, group, plex)));
        self.copies.retain(|(group, plex)| is_pending(copy_now(snapshot, group, plex)));
        self.volumes.retain(|(group, volume)| is_pending(volume_now(snapshot, group, volume)));
        failures
    }
}

/// How it stands.
enum Now {
    Copied,
    Copying,
    Failed(String),
}

fn plex_now(snapshot: &Snapshot, group: &Name, name: &Name) -> Now {
    let Some(plex) = imported(snapshot, group).and_then(|group| group.plexes.get(name)) else {
        return Now::Failed(format!("Plex {name} is gone, or its disk group cannot be used here"));
    };
    let (kernel, state) = (plex.kernel, plex.state);
    let is_copied = matches!(state, PlexState::Active | PlexState::SnapDone);
    if kernel == KernelState::Enabled && is_copied {
        Now::Copied
    } else if plex.needs_copy() {
        Now::Copying
    } else {
        Now::Failed(format!("Plex {name} was taken off before it was copied: {kernel} {state}"))
    }
}

/// Of a plex that leaves its volume when it is copied.
fn copy_now(snapshot: &Snapshot, group: &Name, name: &Name) -> Now {
    let found = imported(snapshot, group).and_then(|group| Some((group, group.plexes.get(name)?)));
    let Some((group, plex)) = found else {
        return Now::Failed(format!("Plex {name} is gone, or its disk group cannot be used here"));
    };
    match group.volume_of(name) {
        None if plex.state == PlexState::Active => Now::Copied,
        None => Now::Failed(format!("Plex {name} was given up before it was copied")),
        Some((volume, _)) if !plex.is_only_copied() => {
            Now::Failed(format!("Plex {name} stays in volume {volume}: its putil0 was cleared"))
        }
        Some(_) if plex.needs_copy() => Now::Copying,
        Some(_) => {
            let (kernel, state) = (plex.kernel, plex.state);
            Now::Failed(format!("Plex {name} was taken off before it was copied: {kernel} {state}"))
        }
    }
}

fn volume_now(snapshot: &Snapshot, group: &Name, name: &Name) -> Now {
    let Some(volume) = imported(snapshot, group).and_then(|group| group.volumes.get(name)) else {
        return Now::Failed(format!(
            "Volume {name} is gone, or its disk group cannot be used here"
        ));
    };
    match (volume.may_differ() || volume.fill.is_some(), volume.kernel) {
        (false, kernel) if volume.state == VolumeState::Invalid => {
            Now::Failed(format!("Volume {name} could not be filled: {kernel} INVALID"))
        }
        (false, _) => Now::Copied,
        (true, KernelState::Enabled) => Now::Copying,
        (true, kernel) => {
            let state = volume.state;
            Now::Failed(format!("Volume {name} was stopped before that: {kernel} {state}"))
        }
    }
}

/// Nothing is copied in a group that is disabled.
fn imported<'a>(snapshot: &'a Snapshot, group: &Name) -> Option<&'a Group> {
    let mut groups = snapshot.groups.iter().filter(|shown| !shown.disabled);
    groups.find(|shown| shown.group.name == *group).map(|shown| &shown.group)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use clap::{Args, Command, FromArgMatches};
    use cvm::client::{socket_path, write_message};
    use cvm::request::{Event, EventGroup};

    use super::*;
    use crate::vx::name;
    use crate::vx::vxprint::sample;

    fn root(path: &Path) -> Root {
        let command = Root::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.get_matches_from([Path::new("--root"), path]);
        Root::from_arg_matches(&matches).unwrap()
    }

    /// With this plex in other states.
    fn with(snapshot: &Snapshot, plex: &str, kernel: KernelState, state: PlexState) -> Snapshot {
        let mut snapshot = snapshot.clone();
        let plex = snapshot.groups[0].group.plexes.get_mut(plex).unwrap();
        (plex.kernel, plex.state) = (kernel, state);
        snapshot
    }

    fn copying() -> Snapshot {
        with(&sample::facts(), "vol1-02", KernelState::Enabled, PlexState::Stale)
    }

    fn pending(snapshot: &Snapshot) -> Pending {
        let mut pending = Pending::default();
        pending.add(&snapshot.groups[0].group, &name("vol1").unwrap());
        pending
    }

    /// What came of waiting for a vxconfigd that tells one event for each of these snapshots.
    fn waited(pending: Pending, snapshots: &[Snapshot]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let listener = UnixListener::bind(socket_path(folder.path())).unwrap();
        let connect = |replies: Vec<Reply>| {
            let daemon = Daemon::connect(&root(folder.path())).unwrap();
            let (mut socket, _) = listener.accept().unwrap();
            for reply in replies {
                write_message(&mut socket, &serde_json::to_vec(&reply).unwrap()).unwrap();
            }
            (daemon, socket)
        };
        let group = || EventGroup { name: "mydg".to_owned(), id: "1.2.host1".to_owned() };
        let changed = || Reply::Event(Event::Changed(group()));
        let connected = std::iter::once(Reply::Event(Event::Connected));
        let events = connected.chain(snapshots.iter().skip(1).map(|_| changed()));
        let (events, teller) = connect(events.collect());
        let all = snapshots.iter().map(|snapshot| Reply::Snapshot(Box::new(snapshot.clone())));
        let (daemon, _answerer) = connect(all.collect());
        teller.shutdown(std::net::Shutdown::Write).unwrap();
        let failures = pending.listen(events, daemon).map_err(|failure| failure.to_string())?;
        Ok(failures.iter().map(Failure::to_string).collect())
    }

    #[test]
    fn a_plex_is_waited_for_until_it_is_active() {
        let all = [copying(), copying(), sample::facts()];
        assert_eq!(waited(pending(&all[0]), &all), Ok(vec![]));
        // Nothing to wait for, and nobody to ask.
        let nowhere = tempfile::tempdir().unwrap();
        let none = pending(&sample::facts()).wait(&root(nowhere.path())).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_plex_that_is_taken_off_is_a_failure() {
        let off = with(&copying(), "vol1-02", KernelState::Detached, PlexState::IoFail);
        let said = "Plex vol1-02 was taken off before it was copied: DETACHED IOFAIL";
        assert_eq!(waited(pending(&copying()), &[off]), Ok(vec![said.to_owned()]));
        let mut gone = copying();
        gone.groups[0].group.plexes.remove("vol1-02");
        let said = "Plex vol1-02 is gone, or its disk group cannot be used here".to_owned();
        assert_eq!(waited(pending(&copying()), &[gone]), Ok(vec![said.clone()]));
        let mut disabled = copying();
        disabled.groups[0].disabled = true;
        assert_eq!(waited(pending(&copying()), &[disabled]), Ok(vec![said]));
    }

    #[test]
    fn a_volume_is_waited_for_until_its_copies_are_equal() {
        let mut sync = sample::facts();
        sync.groups[0].group.volumes.get_mut("vol1").unwrap().state = VolumeState::Sync;
        assert_eq!(waited(pending(&sync), &[sync.clone(), sample::facts()]), Ok(vec![]));
        let mut stopped = sync.clone();
        let volume = stopped.groups[0].group.volumes.get_mut("vol1").unwrap();
        (volume.kernel, volume.state) = (KernelState::Disabled, VolumeState::NeedSync);
        let said = "Volume vol1 was stopped before that: DISABLED NEEDSYNC".to_owned();
        assert_eq!(waited(pending(&sync), &[stopped]), Ok(vec![said]));
    }

    /// `vxplex cp`
    #[test]
    fn a_plex_that_leaves_its_volume_is_waited_for_until_it_has() {
        let change = |snapshot: &Snapshot, change: &dyn Fn(&mut Group)| {
            let mut snapshot = snapshot.clone();
            change(&mut snapshot.groups[0].group);
            snapshot
        };
        let copies = || {
            let mut pending = Pending::default();
            pending.add_copies(&name("mydg").unwrap(), &[name("vol1-02").unwrap()]);
            pending
        };
        let marked = change(&copying(), &|group| {
            group.plexes.get_mut("vol1-02").unwrap().common.putil[0] = Plex::COPIED.to_owned();
        });
        let out = |state: PlexState| {
            change(&marked, &|group| {
                group
                    .volumes
                    .get_mut("vol1")
                    .unwrap()
                    .plexes
                    .retain(|plex| plex.as_str() != "vol1-02");
                let plex = group.plexes.get_mut("vol1-02").unwrap();
                (plex.kernel, plex.state) = (KernelState::Disabled, state);
            })
        };
        let all = [marked.clone(), marked.clone(), out(PlexState::Active)];
        assert_eq!(waited(copies(), &all), Ok(vec![]));
        for (then, said) in [
            (out(PlexState::Stale), "Plex vol1-02 was given up before it was copied"),
            (copying(), "Plex vol1-02 stays in volume vol1: its putil0 was cleared"),
            (
                with(&marked, "vol1-02", KernelState::Detached, PlexState::IoFail),
                "Plex vol1-02 was taken off before it was copied: DETACHED IOFAIL",
            ),
        ] {
            assert_eq!(waited(copies(), &[marked.clone(), then]), Ok(vec![said.to_owned()]));
        }
    }

    #[test]
    fn a_vxconfigd_that_is_gone_ends_the_wait() {
        let said = waited(pending(&copying()), &[copying()]).unwrap_err();
        assert!(said.contains("the connection to vxconfigd broke"), "{said}");
    }

    #[test]
    fn layers_are_waited_for_with_their_volume() {
        let layered = sample::layered();
        let found = pending(&layered);
        let all: Vec<&str> = found.plexes.iter().map(|(_, plex)| plex.as_str()).collect();
        assert_eq!(all, ["vol1-P04"]);
        // Of a volume that is not started nothing is copied.
        let mut none = Pending::default();
        let plexes = [name("vol3-01").unwrap()];
        none.add_plexes(&sample::missing().groups[0].group, &name("vol3").unwrap(), &plexes);
        assert!(none.is_empty());
    }
}
