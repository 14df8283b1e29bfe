//! `vxmend`: states that an administrator knows better than the records do (facts 1.3, 4.4).

use super::tree;
use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::op::Mend;
use crate::model::record::Volume;
use crate::model::refused::Refused;
use crate::model::states::{KernelState, PlexState, VolumeState};

pub(super) fn mend(group: &mut Group, name: &Name, how: Mend, force: bool) -> Result<(), Refused> {
    match how {
        Mend::Clear { tutil, putil, number } => clear(group, name, (tutil, putil), number),
        Mend::Fix(PlexState::Empty) => fix_empty(group, name, force),
        Mend::Fix(state @ (PlexState::Active | PlexState::Clean | PlexState::Stale)) => {
            let target = Target::of(group, name)?;
            target.check_stopped(group)?;
            target.fix(group, state, force)
        }
        Mend::Fix(state) => {
            let what = format!("vxmend fix sets clean, active, stale or empty, not {state}");
            Err(Refused::Invalid(what))
        }
        Mend::Off => Target::of(group, name)?.off(group, force),
        Mend::On => Target::of(group, name)?.on(group),
    }
}

/// Locks of an operation that is known to be over are taken away.
fn clear(
    group: &mut Group,
    name: &Name,
    (tutil, putil): (bool, bool),
    number: Option<u8>,
) -> Result<(), Refused> {
    let common = group.common_mut(name.as_str());
    let common = common.ok_or_else(|| Refused::Missing { what: "record", name: name.clone() })?;
    if number.is_some_and(|number| number > 2) {
        return Err(Refused::Invalid("there are utility fields 0, 1 and 2".to_owned()));
    }
    let cleared = |at: usize| number.is_none_or(|number| usize::from(number) == at);
    let clear = |locks: &mut [String; 3]| {
        locks.iter_mut().enumerate().filter(|(at, _)| cleared(*at)).for_each(|(_, l)| l.clear());
    };
    if tutil {
        clear(&mut common.tutil);
    }
    if putil {
        clear(&mut common.putil);
    }
    Ok(())
}

/// One plex of a volume, or all that hold data.
struct Target {
    volume: Name,
    plexes: Vec<Name>,
    /// The volume itself was named.
    whole: bool,
}

impl Target {
    fn of(group: &Group, name: &Name) -> Result<Self, Refused> {
        match group.kind_of(name.as_str()) {
            Some(Kind::Volume) => {
                let volume = tree::volume(group, name)?;
                let plexes = tree::data_plexes(group, volume).map(|(name, _)| name.clone());
                Ok(Self { volume: name.clone(), plexes: plexes.collect(), whole: true })
            }
            Some(Kind::Plex) => {
                if group.plexes.get(name).is_some_and(|plex| plex.state == PlexState::Log) {
                    let what = format!("Plex {name} is a log: its state is always LOG");
                    return Err(Refused::Invalid(what));
                }
                let none = || Refused::Invalid(format!("Plex {name} belongs to no volume"));
                let (volume, _) = group.volume_of(name).ok_or_else(none)?;
                Ok(Self { volume: volume.clone(), plexes: vec![name.clone()], whole: false })
            }
            Some(kind @ (Kind::Disk | Kind::Subdisk)) => {
                let expected = "volume or plex";
                Err(Refused::WrongKind { expected, name: name.clone(), kind })
            }
            None => Err(Refused::Missing { what: "volume or plex", name: name.clone() }),
        }
    }

    fn record<'a>(&self, group: &'a Group) -> Result<&'a Volume, Refused> {
        tree::volume(group, &self.volume)
    }

    /// What a running volume consists of is not a matter of opinion.
    fn check_stopped(&self, group: &Group) -> Result<(), Refused> {
        match self.record(group)?.kernel {
            KernelState::Detached | KernelState::Enabled => {
                Err(Refused::Enabled(self.volume.clone()))
            }
            KernelState::Disabled => Ok(()),
        }
    }

    /// The volume follows its plexes: CLEAN with a clean plex and no active one, else ACTIVE.
    fn fix(&self, group: &mut Group, state: PlexState, force: bool) -> Result<(), Refused> {
        if state == PlexState::Clean && !force {
            self.check_clean(group)?;
        }
        self.set(group, state, KernelState::Disabled);
        let volume = self.record(group)?;
        let has = |state| tree::data_plexes(group, volume).any(|(_, plex)| plex.state == state);
        let state = match (has(PlexState::Active), has(PlexState::Clean)) {
            // No plex of it holds what it should.
            _ if volume.state == VolumeState::Invalid && !force => volume.state,
            (true, _) => VolumeState::Active,
            (false, true) => VolumeState::Clean,
            (false, false) => volume.state,
        };
        if let Some(volume) = group.volumes.get_mut(&self.volume) {
            volume.state = state;
        }
        Ok(())
    }

    /// A stale plex becomes the good one only if no other one is: they could differ.
    fn check_clean(&self, group: &Group) -> Result<(), Refused> {
        let volume = self.record(group)?;
        let wrong = |what: String| Err(Refused::Invalid(format!("{what} (-o force does it)")));
        if self.whole && self.plexes.len() > 1 {
            return wrong(format!("Plexes of volume {} are perhaps not equal", self.volume));
        }
        for (name, plex) in tree::data_plexes(group, volume) {
            let good = matches!(plex.state, PlexState::Active | PlexState::Clean);
            if !self.plexes.contains(name) && good {
                return wrong(format!("Plex {name} of volume {} is {}", self.volume, plex.state));
            }
            if self.plexes.contains(name) && plex.state != PlexState::Stale {
                return wrong(format!("Plex {name} is {}, not STALE", plex.state));
            }
        }
        Ok(())
    }

    fn set(&self, group: &mut Group, state: PlexState, kernel: KernelState) {
        for name in &self.plexes {
            if let Some(plex) = group.plexes.get_mut(name) {
                plex.state = state;
                plex.kernel = kernel;
            }
        }
    }

    /// Puts plexes aside. A volume that is enabled keeps a complete plex whatever the force; one
    /// that is not keeps one unless it is forced.
    fn off(&self, group: &mut Group, force: bool) -> Result<(), Refused> {
        let volume = self.record(group)?;
        let started = volume.kernel != KernelState::Disabled;
        let kept = tree::has_copy(group, volume, |name| !self.plexes.contains(name));
        if !kept && (started || !force) {
            return Err(Refused::NoCopy(self.volume.clone()));
        }
        let kernel = if started { KernelState::Detached } else { KernelState::Disabled };
        self.set(group, PlexState::Offline, kernel);
        Ok(())
    }

    /// What was put aside missed writes: it is stale now.
    fn on(self, group: &mut Group) -> Result<(), Refused> {
        let volume = self.record(group)?;
        let (state, kernel) = match (volume.state, volume.kernel) {
            (VolumeState::Empty, _) => (PlexState::Empty, KernelState::Disabled),
            (_, KernelState::Disabled) => (PlexState::Stale, KernelState::Disabled),
            (_, KernelState::Detached | KernelState::Enabled) => {
                (PlexState::Stale, KernelState::Detached)
            }
        };
        let offline: Vec<Name> = tree::data_plexes(group, volume)
            .filter(|(name, plex)| self.plexes.contains(name) && plex.state == PlexState::Offline)
            .map(|(name, _)| name.clone())
            .collect();
        if offline.is_empty() {
            let name = self.plexes.first().filter(|_| !self.whole).unwrap_or(&self.volume);
            return Err(Refused::Invalid(format!("{name} is not OFFLINE")));
        }
        Self { plexes: offline, ..self }.set(group, state, kernel);
        Ok(())
    }
}

/// The volume begins anew: nothing of its contents counts.
fn fix_empty(group: &mut Group, name: &Name, force: bool) -> Result<(), Refused> {
    let volume = tree::volume(group, name)?;
    if volume.kernel != KernelState::Disabled {
        return Err(Refused::Enabled(name.clone()));
    }
    let active = |state| tree::data_plexes(group, volume).any(|(_, plex)| plex.state == state);
    if active(PlexState::Active) && !force {
        let what = format!("Volume {name} has active plexes: its data count (-o force empties it)");
        return Err(Refused::Invalid(what));
    }
    Target::of(group, name)?.set(group, PlexState::Empty, KernelState::Disabled);
    if let Some(volume) = group.volumes.get_mut(name) {
        volume.state = VolumeState::Empty;
    }
    Ok(())
}
