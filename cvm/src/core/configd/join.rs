//! A node joins: the master gives it the groups, it checks that it can do with them (CVM-31 to 33).
//!
//! ```text
//! master    vxiod tells of a joiner -> OFFER ------> look at the disks, check, stage in vxiod
//!           ADMIT or REJECT by vxiod <-- ANSWER ---- all well, or one of the original's reasons
//! ```

use std::sync::Arc;

use bytes::Bytes;
use llt::{Instant, NodeId, NodeSet};

use super::{Configd, ConfigdNotice, Scan, Work};
use crate::core::iod::{Command, VERSIONS};
use crate::core::wire::v::Announce;
use crate::core::wire::w::{JoinOffer, OfferedGroup, WMessage};
use crate::disk::Image;
use crate::model::{Stamp, UniqueId};

/// A join that the master sees to.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    node: NodeId,
    number: u64,
    deadline: Instant,
    /// It was told to vxiod; it ends when that says so.
    is_decided: bool,
    /// What it was given.
    groups: Vec<(UniqueId, Stamp)>,
}

impl Joining {
    /// When it is given up; what was told to vxiod is not.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.deadline).filter(|_| !self.is_decided)
    }
}

impl Configd {
    /// vxiod tells of a joiner, after every reconfiguration again: what was decided of it before one
    /// has come to nothing.
    pub(super) fn on_joining(&mut self, now: Instant, announce: Announce) {
        let node = announce.id.node;
        if matches!(&self.work, Work::Join(joining) if joining.node == node && joining.is_decided) {
            self.work = Work::Idle;
        }
        self.joiners.entry(node).or_insert((announce, now));
        self.next_work(now);
    }

    /// Sees to the next joiner, if there is one that can be seen to.
    pub(super) fn begin_join(&mut self, now: Instant) -> bool {
        let late = self.joiners.iter().find(|(node, (_, since))| {
            !self.present.contains(**node) && *since + self.config.join_limit <= now
        });
        if let Some(node) = late.map(|(node, _)| *node) {
            self.joiners.remove(&node);
            self.reject(node, "vxconfigd is not enabled", "");
        }
        let next = self.joiners.iter().find(|(node, _)| self.present.contains(**node));
        let Some((&node, (announce, _))) = next else { return false };
        let (low, high) = announce.versions;
        self.joiners.remove(&node);
        if high < VERSIONS.0 || low > VERSIONS.1 {
            // Facts 3.12: it is told what is spoken.
            let about = format!("the cluster speaks {} to {}", VERSIONS.0, VERSIONS.1);
            self.reject(node, "protocol version out of range", &about);
            return false;
        }
        let shared = self.tables.values().filter(|table| table.image.group.is_shared());
        let group = |table: &crate::core::iod::TableView| {
            let image = table.image.encode(u32::MAX).ok()?;
            let tenures = table.tenures.clone();
            let (image, slot) = (Bytes::from(image), table.image.slot);
            let dms = table.image.group.disks.values().filter_map(|dm| dm.disk.as_ref());
            let disks = dms.filter(|id| self.found_by_id(id).is_some()).cloned().collect();
            Some(OfferedGroup { image, slot, tenures, disks })
        };
        let groups = shared.filter_map(group).collect();
        self.offers += 1;
        let number = self.offers;
        let deadline = now + self.config.join_limit;
        let given = self.tables.values().filter(|table| table.image.group.is_shared());
        let given = given.map(|table| (table.image.group.id.clone(), table.image.stamp)).collect();
        self.work =
            Work::Join(Joining { node, number, deadline, is_decided: false, groups: given });
        self.send_to(node, &WMessage::JoinOffer(JoinOffer { number, versions: VERSIONS, groups }));
        true
    }

    fn reject(&mut self, node: NodeId, reason: &str, about: &str) {
        let refused =
            if about.is_empty() { reason.to_owned() } else { format!("{reason}: {about}") };
        self.notice(ConfigdNotice::Join { node, refused: Some(refused) });
        self.command(Command::Reject { node, reason: reason.to_owned() });
    }

    pub(super) fn on_offer(&mut self, from: NodeId, offer: JoinOffer) {
        if self.role.master == Some(from) && !self.role.is_member {
            self.scan(Scan::Join(Box::new(offer), from));
        } else {
            self.early_offer = Some((from, offer));
        }
    }

    /// There is another master: an offer of it may be here already.
    pub(super) fn look_at_early_offer(&mut self) {
        let master = self.role.master;
        if let Some((from, offer)) = self.early_offer.take_if(|(from, _)| master == Some(*from)) {
            self.on_offer(from, offer);
        }
    }

    /// The disks were looked at.
    pub(super) fn check_offer(&mut self, from: NodeId, offer: JoinOffer) {
        let number = offer.number;
        match self.checked_offer(offer) {
            Ok(groups) => {
                self.staging = Some((from, number));
                self.command(Command::Stage(groups));
            }
            Err(refused) => {
                let refused = Some(refused);
                self.send_to(from, &WMessage::JoinAnswer { number, refused });
            }
        }
    }

    /// vxiod has what it was given: it may be admitted.
    pub(super) fn on_staged(&mut self) {
        if let Some((master, number)) = self.staging.take() {
            self.send_to(master, &WMessage::JoinAnswer { number, refused: None });
        }
    }

    #[expect(clippy::type_complexity, reason = "said once, read once")]
    fn checked_offer(
        &self,
        offer: JoinOffer,
    ) -> Result<Vec<(Arc<Image>, crate::core::iod::Tenures)>, (String, String)> {
        let (low, high) = offer.versions;
        if high < VERSIONS.0 || low > VERSIONS.1 {
            let about = format!("the cluster speaks {low} to {high}");
            return Err(("protocol version out of range".to_owned(), about));
        }
        let mut groups = Vec::new();
        for offered in offer.groups {
            let image = Image::decode(offered.slot, &offered.image).map_err(|error| {
                ("cannot obtain configuration data".to_owned(), error.to_string())
            })?;
            self.check_private(&image.group).map_err(|what| {
                let reason = match what.as_str() {
                    "minor number conflict" => "minor number conflict",
                    _ => "connection refused by master",
                };
                (reason.to_owned(), format!("disk group {}: {what}", image.group.name))
            })?;
            // CVM-32: any one.
            if let Some(id) = offered.disks.iter().find(|id| self.found_by_id(id).is_none()) {
                let about = format!("disk {id} of group {}", image.group.name);
                return Err(("cannot find disk on slave node".to_owned(), about));
            }
            groups.push((Arc::new(image), offered.tenures));
        }
        Ok(groups)
    }

    pub(super) fn on_join_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        number: u64,
        refused: Option<(String, String)>,
    ) {
        let Work::Join(joining) = &mut self.work else { return };
        if joining.node != from || joining.number != number || joining.is_decided {
            return;
        }
        if let Some((reason, about)) = refused {
            self.work = Work::Idle;
            self.reject(from, &reason, &about);
            self.next_work(now);
        } else {
            joining.is_decided = true;
            let groups = joining.groups.clone();
            self.notice(ConfigdNotice::Join { node: from, refused: None });
            self.command(Command::Admit { node: from, groups });
        }
    }

    /// The joiner is a member, or gone.
    pub(super) fn end_join(&mut self) {
        let over = match &self.work {
            Work::Join(joining) => !self.role.joiners.contains(joining.node),
            Work::Idle | Work::Txn(_) => false,
        };
        if over {
            self.work = Work::Idle;
        }
    }

    pub(super) fn joiner_left(&mut self, now: Instant, left: NodeSet) {
        let node = match &self.work {
            Work::Join(joining) if left.contains(joining.node) && !joining.is_decided => {
                joining.node
            }
            Work::Idle | Work::Join(_) | Work::Txn(_) => return,
        };
        self.work = Work::Idle;
        self.reject(node, "vxconfigd is not enabled", "");
        self.next_work(now);
    }

    pub(super) fn check_join(&mut self, now: Instant) {
        let node = match &self.work {
            Work::Join(joining) if joining.deadline <= now && !joining.is_decided => joining.node,
            Work::Idle | Work::Join(_) | Work::Txn(_) => return,
        };
        self.work = Work::Idle;
        self.reject(node, "join timed out during reconfiguration", "");
    }
}
