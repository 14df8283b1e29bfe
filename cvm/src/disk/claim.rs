//! The claim: to which group a disk belongs, and who may use it. With the label it is what the
//! original calls the header of a disk.
//!
//! There are three slots of two copies each. A change writes the first copy of its slot, waits until
//! it is safe, then the second: one of them is always whole. What counts is the newest claim of all,
//! by tenure, then stamp, then seqno: while a disk belongs to a group, the group's stamps say which
//! claim is the newer one; stamps of two groups cannot be compared, so a disk that is given to a
//! group gets the next tenure.

use bytes::BufMut;
use llt::Id;

use super::block::{BlockError, BlockKind, PAYLOAD_MAX, open, seal};
use super::codec::{FormatError, ID_LEN, NAME_LEN, Put, Reader, check_counters, flags};
use super::geometry::COPIES;
use super::slot::{SLOTS, Slot};
use crate::model::{Name, Owner, Serial, Stamp, UniqueId};

/// To whom a disk belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Where it is written.
    pub slot: Slot,
    /// Which disk it is about. One of another disk was there before this one was initialised.
    pub disk: UniqueId,
    /// The group; `None` if the disk is free.
    pub member: Option<Member>,
    /// How often the disk was given to a group.
    pub tenure: u64,
    /// Of the change that it belongs to; of a free disk, of the one that freed it.
    pub stamp: Stamp,
    /// That of the configuration that was in force when it was written. Older ones do not count any
    /// more: neither those that this disk has, nor any if this disk is there. A disk that does not
    /// have the configuration in force gets a claim that says so before it gets a newer one: when
    /// that is torn, something old may be the newest that is left.
    pub floor: Stamp,
    /// Who wrote it.
    pub writer: Id,
    /// When, in seconds since 1970, `update: time=` of `vxdisk list`.
    pub updated: u64,
    /// How often the claims of this disk were written, `seqno=` there.
    pub seqno: u64,
}

/// A disk as a member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The identity of the group.
    pub group: UniqueId,
    /// Its name.
    pub group_name: Name,
    /// The name of the disk in the group.
    pub dm: Name,
    /// Who may import the group. A disk of a cluster is shared.
    pub owner: Owner,
    /// The group is imported by itself when its owner starts.
    pub autoimport: bool,
    /// How often the group was imported with this disk, to be compared with its record (facts 3.17).
    pub serial: Serial,
}

/// What was found where claims are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims {
    /// The one that counts; `None` if there is none at all.
    pub newest: Option<Claim>,
    /// How many copies were unreadable or damaged. Empty ones and those of another disk are fine.
    pub damaged: usize,
}

impl Claim {
    /// The blocks of both copies, in the order in which they are written.
    pub fn encode(&self) -> Result<[Vec<u8>; COPIES], FormatError> {
        check_counters(&[self.tenure, self.updated, self.seqno])?;
        for stamp in [self.stamp, self.floor] {
            check_counters(&[stamp.epoch.0, stamp.tid.0])?;
        }
        let mut payload = Vec::with_capacity(PAYLOAD_MAX);
        let member = self.member.as_ref();
        let autoimport = member.is_some_and(|member| member.autoimport);
        let (owner, owner_name) = match member.map(|member| &member.owner) {
            None | Some(Owner::Nobody) => (NOBODY, None),
            Some(Owner::Host(name)) => (HOST, Some(name)),
            Some(Owner::Cluster(name)) => (CLUSTER, Some(name)),
        };
        payload.put_u8(u8::from(member.is_some()) | u8::from(autoimport) << 1);
        payload.put_u8(owner);
        payload.put_u8(self.writer.node.get());
        payload.put_bytes(0, 5);
        payload.put_u64_le(self.writer.incarnation.0);
        payload.put_u64_le(self.tenure);
        payload.put_stamp(self.stamp);
        payload.put_stamp(self.floor);
        payload.put_u64_le(self.updated);
        payload.put_u64_le(self.seqno);
        payload.put_u64_le(member.map_or(0, |member| member.serial.0));
        payload.put_unique_id(&self.disk);
        if let Some(member) = member {
            check_counters(&[member.serial.0])?;
            payload.put_unique_id(&member.group);
            payload.put_name(&member.group_name);
            payload.put_name(&member.dm);
            match owner_name {
                Some(name) => payload.put_name(name),
                None => payload.put_bytes(0, NAME_LEN),
            }
        } else {
            payload.put_bytes(0, ID_LEN + 3 * NAME_LEN);
        }
        Ok([0, 1].map(|copy| seal(BlockKind::Claim, self.slot.place(copy), &payload)))
    }

    /// One copy, 0 or 1, from its block.
    pub fn decode(slot: Slot, copy: u32, block: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(open(BlockKind::Claim, slot.place(copy), block)?);
        let flag = flags(reader.u8()?, 2)?;
        let (is_member, autoimport) = (flag(0), flag(1));
        let owner = reader.u8()?;
        let node = reader.node()?;
        reader.zeros(5)?;
        let writer = Id { node, incarnation: reader.incarnation()? };
        let tenure = reader.counter()?;
        let (stamp, floor) = (reader.stamp()?, reader.stamp()?);
        let (updated, seqno) = (reader.counter()?, reader.counter()?);
        let serial = Serial(reader.counter()?);
        let disk = reader.unique_id()?;
        let member = if is_member {
            let (group, group_name, dm) = (reader.unique_id()?, reader.name()?, reader.name()?);
            let owner = match owner {
                NOBODY => reader.zeros(NAME_LEN).map(|()| Owner::Nobody),
                HOST => reader.name().map(Owner::Host),
                CLUSTER => reader.name().map(Owner::Cluster),
                _ => Err(FormatError::Field("an owner is nobody, a host or a cluster")),
            }?;
            Some(Member { group, group_name, dm, owner, autoimport, serial })
        } else {
            reader.zeros(ID_LEN + 3 * NAME_LEN)?;
            if owner != NOBODY || autoimport || serial != Serial(0) {
                return Err(FormatError::Field("a free disk has no owner"));
            }
            None
        };
        reader.end()?;
        Ok(Self { slot, disk, member, tenure, stamp, floor, writer, updated, seqno })
    }

    /// What orders the claims of a disk.
    pub const fn order(&self) -> (u64, Stamp, u64) {
        (self.tenure, self.stamp, self.seqno)
    }
}

impl Claims {
    /// What the blocks of a disk say, by slot and copy; `None` is one that cannot be read.
    pub fn read(disk: &UniqueId, blocks: &[[Option<&[u8]>; COPIES]; SLOTS]) -> Self {
        let mut claims = Self::default();
        for (slot, copies) in Slot::ALL.into_iter().zip(blocks) {
            for (copy, block) in (0..).zip(copies) {
                match block.map(|block| Claim::decode(slot, copy, block)) {
                    Some(Ok(claim)) if claim.disk == *disk => claims.take(claim),
                    Some(Ok(_)) | Some(Err(FormatError::Block(BlockError::Blank))) => {}
                    Some(Err(_)) | None => claims.damaged += 1,
                }
            }
        }
        claims
    }

    fn take(&mut self, claim: Claim) {
        if self.newest.as_ref().is_none_or(|newest| newest.order() < claim.order()) {
            self.newest = Some(claim);
        }
    }

    /// The group that the disk belongs to.
    pub fn member(&self) -> Option<&Member> {
        self.newest.as_ref()?.member.as_ref()
    }

    /// The tenure of the next group that gets the disk.
    pub fn next_tenure(&self) -> u64 {
        self.newest.as_ref().map_or(1, |newest| newest.tenure + 1)
    }

    /// The number of the next claim.
    pub fn next_seqno(&self) -> u64 {
        self.newest.as_ref().map_or(1, |newest| newest.seqno + 1)
    }
}

const NOBODY: u8 = 0;
const HOST: u8 = 1;
const CLUSTER: u8 = 2;
