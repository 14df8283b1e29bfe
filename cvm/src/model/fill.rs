//! Volumes that are being filled with what another one held (full-sized instant snapshots): what has to
//! stay as it is until that is over.

use super::group::Group;
use super::ids::{Name, Rid};
use super::record::Volume;
use super::refused::Refused;
use super::states::KernelState;

impl Group {
    /// What a volume is being filled from; none if it is not, or that is gone.
    pub fn source_of(&self, volume: &Volume) -> Option<(&Name, &Volume)> {
        self.volume_with(volume.fill?.from)
    }

    /// The volume that is being filled from this one.
    pub fn filled_from(&self, source: Rid) -> Option<(&Name, &Volume)> {
        let is_it = |volume: &Volume| volume.fill.is_some_and(|fill| fill.from == source);
        self.volumes.iter().find(|(_, volume)| is_it(volume))
    }

    /// The other volume of the two of which one is being filled.
    pub fn filled_with(&self, name: &Name) -> Option<&Name> {
        let volume = self.volumes.get(name)?;
        let other = self.source_of(volume).or_else(|| self.filled_from(volume.common.rid));
        other.map(|(name, _)| name)
    }

    /// After what an administrator has asked for: nothing that fills go on by has gone.
    pub(super) fn check_fills(&self, before: &Self) -> Result<(), Refused> {
        for (name, volume) in self.volumes.iter().filter(|(_, volume)| volume.fill.is_some()) {
            let source = self.source_of(volume).map(|(_, source)| source);
            let mut both = source.into_iter().chain([volume]);
            let why = self.why_not_filled(name, volume, before).or_else(|| {
                let is_same = both.all(|volume| self.holds_the_same(before, volume));
                (!is_same).then_some("what the two hold does not come from anywhere else meanwhile")
            });
            if let Some(why) = why {
                let what = format!("Volume {name} is being filled (vxsnap syncwait): {why}");
                return Err(Refused::Invalid(what));
            }
        }
        Ok(())
    }

    /// After what has happened: what cannot be filled any more is no volume for programs.
    pub(super) fn end_fills(&mut self, before: &Self) {
        let fills = self.volumes.iter().filter(|(_, volume)| volume.fill.is_some());
        let over =
            fills.filter(|(name, volume)| self.why_not_filled(name, volume, before).is_some());
        let over: Vec<Name> = over.map(|(name, _)| name.clone()).collect();
        for name in over {
            self.volumes.get_mut(&name).into_iter().for_each(Volume::spoil);
        }
    }

    fn why_not_filled(&self, name: &Name, volume: &Volume, before: &Self) -> Option<&'static str> {
        let is_on = |volume: &Volume| volume.kernel == KernelState::Enabled;
        let Some((_, source)) = self.source_of(volume) else {
            return Some("what it is filled from has to stay");
        };
        if source.len != volume.len {
            return Some("neither of the two becomes longer or shorter");
        }
        if is_on(source) != is_on(volume) {
            return Some("both of the two are started, or none");
        }
        let logs = self.map_places(name);
        if is_on(volume) && logs.is_empty() {
            return Some("a log of it has to stay");
        }
        // Another copy says less than there is. Where it was stopped none has missed anything.
        let old = before.volume_with(volume.common.rid).filter(|(_, old)| is_on(old));
        let is_new = old.is_some_and(|(old, _)| !logs.is_subset(&before.map_places(old)));
        (is_on(volume) && is_new).then_some("its logs stay as they are")
    }
}
