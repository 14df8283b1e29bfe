//! A volume that is filled with what another one held, as both of them see it.
//!
//! ```text
//! of the one that is filled    everything waits until it is filled there
//! of the other one             changes wait for that, so that there is something to fill it with
//! ```
//! Who fills is one node; the others hear of it. A region that is filled stays so, whatever happens to
//! nodes; of one that this node has not heard of it asks, and asks anew when I/O has stood still.

use fixedbitset::FixedBitSet;

use super::request::{IoFailed, Request, VolumeOutput, What};
use super::state::Volume;
use crate::disk::DRL_REGION;
use crate::model::{Rid, Sectors};

/// What this node knows of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Filling {
    id: Option<Rid>,
    filled: FixedBitSet,
    /// Regions that were asked for.
    asked: FixedBitSet,
}

impl Volume {
    /// These regions are filled, and will be: what waits for that goes on. What is about another filling
    /// changes nothing.
    pub fn filled(&mut self, id: Rid, at: Sectors, len: Sectors) {
        if self.filling.id == Some(id) {
            for region in regions(at, len) {
                self.filling.filled.grow_and_insert(region);
            }
            self.settle();
        }
    }

    /// Other rules: what was known is of use only if the same is filled, and whoever was asked may be
    /// gone.
    pub(super) fn fill_anew(&mut self) {
        let id = self.rules.fill.map(|fill| fill.id);
        if self.filling.id != id {
            self.filling = Filling { id, ..Filling::default() };
        }
        self.filling.asked.clear();
        // What was to be copied for an earlier one would come too late.
        let is_late = |what: What| matches!(what, What::Fill { id: own } if Some(own) != id);
        let late = self.active.iter().filter(|(_, active)| is_late(active.request.what));
        for slot in late.map(|(slot, _)| slot).collect::<Vec<usize>>() {
            self.waiting.retain(|waiting| *waiting != slot);
            self.end(slot, Err(IoFailed::Gone));
        }
    }

    /// A request has all its blocks; if not, they are asked for.
    pub(super) fn is_filled(&mut self, slot: usize) -> bool {
        let Some(rule) = self.rules.fill else { return true };
        let Some(active) = self.active.get(slot) else { return true };
        let Request { what, at, len, .. } = active.request;
        let waits = match what {
            What::Fill { .. } | What::Flush | What::Hold => false,
            What::Copy | What::Read => rule.is_target,
            What::Write { .. } | What::Zero { .. } => true,
        };
        let end = at.saturating_add(len).min(self.map.len());
        if !waits || at >= end {
            return true;
        }
        let is_missing = |region: &usize| !self.filling.filled.contains(*region);
        let missing: Vec<usize> = regions(at, end - at).filter(is_missing).collect();
        for region in &missing {
            if !self.filling.asked.contains(*region) {
                self.filling.asked.grow_and_insert(*region);
                let at = *region as u64 * DRL_REGION;
                let len = DRL_REGION.min(self.map.len() - at);
                self.out.push_back(VolumeOutput::Unfilled { at, len });
            }
        }
        missing.is_empty()
    }
}

/// Regions that lie in a range, if only in part.
fn regions(at: Sectors, len: Sectors) -> std::ops::Range<usize> {
    let region = |sector: Sectors| usize::try_from(sector / DRL_REGION).unwrap_or(usize::MAX);
    if len == 0 { 0..0 } else { region(at)..region(at.saturating_add(len - 1)).saturating_add(1) }
}
