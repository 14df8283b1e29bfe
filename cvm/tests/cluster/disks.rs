//! Disks with three slots, written when their time comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use cvm::core::image::{Claim, Image};
use cvm::core::iod::{Token, Write};
use cvm::core::txn::Slot;
use cvm::model::UniqueId;
use llt::NodeId;

/// What lies in a slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) claim: Option<Claim>,
    pub(crate) image: Option<Arc<Image>>,
}

#[derive(Debug, Default)]
pub(crate) struct Disks {
    pub(crate) slots: BTreeMap<(UniqueId, Slot), Place>,
    /// Under way: of which node, what for, what.
    pub(crate) writes: Vec<(NodeId, Token, Write)>,
}

/// What becomes of the writes of a node that is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// They come when everything else is over.
    Late,
    /// Done.
    Landed,
    /// Not done.
    Lost,
    /// Every second one is half done: nothing in its place is whole.
    Torn,
}

impl Disks {
    pub(crate) fn submit(&mut self, node: NodeId, token: Token, write: Write) {
        self.writes.push((node, token, write));
    }

    /// The next write of a node is done.
    pub(crate) fn next_of(&mut self, node: NodeId) -> Option<Token> {
        let place = self.writes.iter().position(|(of, ..)| *of == node)?;
        let (_, token, write) = self.writes.remove(place);
        self.apply(write);
        Some(token)
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Claim { disk, slot, claim } => {
                self.slots.entry((disk, slot)).or_default().claim = Some(claim);
            }
            Write::Image { disk, slot, image } => {
                self.slots.entry((disk, slot)).or_default().image = Some(image);
            }
        }
    }

    fn tear(&mut self, write: &Write) {
        match write {
            Write::Claim { disk, slot, .. } => {
                self.slots.entry((disk.clone(), *slot)).or_default().claim = None;
            }
            Write::Image { disk, slot, .. } => {
                self.slots.entry((disk.clone(), *slot)).or_default().image = None;
            }
        }
    }

    /// A node is gone with writes under way. Late ones are given back, to be applied at the end.
    pub(crate) fn orphan(&mut self, node: NodeId, fate: Fate) -> Vec<Write> {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.writes.drain(..).partition(|(of, ..)| *of == node);
        self.writes = rest;
        let mut late = Vec::new();
        for (number, (_, _, write)) in mine.into_iter().enumerate() {
            match fate {
                Fate::Landed => self.apply(write),
                Fate::Late => late.push(write),
                Fate::Lost => {}
                Fate::Torn if number % 2 == 0 => self.tear(&write),
                Fate::Torn => self.apply(write),
            }
        }
        late
    }

    pub(crate) fn land(&mut self, late: Vec<Write>) {
        late.into_iter().for_each(|write| self.apply(write));
    }

    /// What an import would find of a group: the newest image that more than half of the disks that
    /// it names have, on disks that say that they belong to it.
    pub(crate) fn import(&self, id: &UniqueId) -> Option<Arc<Image>> {
        let images = self.slots.values().filter_map(|place| place.image.as_ref());
        let mut of_group: Vec<&Arc<Image>> = images.filter(|image| image.group.id == *id).collect();
        of_group.sort_by_key(|image| image.stamp);
        let newest = of_group.last()?;
        let has = |disk: &UniqueId| {
            let member = self.claim(disk).and_then(|claim| claim.member);
            let is_member = member.is_some_and(|member| member.group_id == *id);
            is_member
                && Slot::all().any(|slot| {
                    let place = self.slots.get(&(disk.clone(), slot));
                    place.and_then(|place| place.image.as_ref()) == Some(newest)
                })
        };
        let copies = newest.copies.iter().filter(|copy| has(&copy.disk)).count();
        (copies * 2 > newest.copies.len()).then(|| Arc::clone(newest))
    }

    /// What a disk says of itself.
    pub(crate) fn claim(&self, disk: &UniqueId) -> Option<Claim> {
        let claims = Slot::all().filter_map(|slot| {
            self.slots.get(&(disk.clone(), slot)).and_then(|place| place.claim.clone())
        });
        claims.max_by_key(|claim| claim.stamp)
    }

    /// A group is on its disks as it was made.
    pub(crate) fn put(&mut self, image: &Arc<Image>, slot: Slot) {
        for disk in image.group.disks.values().filter_map(|disk| disk.disk.clone()) {
            let claim = image.claim(&disk);
            self.apply(Write::Claim { disk: disk.clone(), slot, claim });
            self.apply(Write::Image { disk, slot, image: Arc::clone(image) });
        }
    }
}
