//! Port v: what the vxiods say to each other.

use bytes::{BufMut, Bytes, BytesMut};
use llt::{Id, NodeId};

use super::codec::{Malformed, Put, Reader};
use super::w::{put_copies, read_copies};
use crate::core::iod::Pace;
use crate::core::txn::TxnId;
use crate::disk::{DiskCopies, RequestId, Slot};
use crate::model::{Activation, Epoch, Finding, MapPlace, Name, Rid, Sectors, Stamp, UniqueId};

/// A message on port v. All are broadcast SAFE, but [`FillWanted`](Self::FillWanted),
/// [`Quiesced`](Self::Quiesced), [`RangeClear`](Self::RangeClear), [`Refuse`](Self::Refuse) and [`WantMaster`](Self::WantMaster),
/// which go to the master alone, and [`MasterStays`](Self::MasterStays), which answers the last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VMessage {
    /// The transaction ends as though it had never been.
    Abandon {
        /// Which.
        id: TxnId,
        /// Whose request it was.
        request: RequestId,
        /// The master may have written some of it: I/O waits for [`Resume`](Self::Resume).
        wrote: bool,
        /// The node where it went wrong.
        node: NodeId,
        /// What went wrong, for people.
        why: String,
    },
    /// Another activation mode of the sender for a group; refused where it does not agree with those
    /// of the others, at the same place everywhere.
    Activate {
        /// Which group.
        group: UniqueId,
        /// The mode.
        mode: Activation,
    },
    /// The joiner is a member of the cluster from here on.
    Admit(Admit),
    /// The sender alone cannot write a disk of the volume: it has stopped writing the volume.
    Apart {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
    },
    /// Who I am; said by every member in every view, and when all have said it the roles are known.
    Announce(Announce),
    /// The transaction is in force from here on (CVM-12).
    Commit {
        /// Which.
        id: TxnId,
        /// Disks whose copy of the configuration could not be written.
        failed: Vec<UniqueId>,
    },
    /// Nothing of the group could be written: it cannot be used any more.
    Disable {
        /// Which.
        group: UniqueId,
    },
    /// The group, which is disabled, is not imported any more.
    Drop {
        /// Which.
        group: UniqueId,
    },
    /// The sender leaves in order: its volumes are closed.
    Goodbye,
    /// Said by every member in every view, before anything else: who is given it knows that all nodes of
    /// the view are in it, and none of them has gone on without it.
    Here {
        /// The generation of port v.
        generation: u64,
    },
    /// The sender wants to open a volume that only one node may have open.
    Hold {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
    },
    /// The master is about to make the copies of a range of a volume equal: nobody changes it, and who
    /// has no change of it under way any more says [`RangeClear`](Self::RangeClear). The range before,
    /// of the same volume, is done.
    CopyRange(CopyRange),
    /// Nothing of the volume is copied any more, or for now.
    CopyOver {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
        /// The reconfiguration in which that was said.
        reconfig: u64,
    },
    /// To the master: a program of the sender waits for a region of a volume that is being filled.
    FillWanted {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
        /// Its number.
        region: u32,
    },
    /// Regions of a volume are filled: who waits for them goes on.
    Filled {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
        /// What it is filled with.
        id: Rid,
        /// Their numbers.
        regions: Vec<u32>,
        /// How many are, in all.
        done: u32,
    },
    /// The sender has found out something that belongs into the configuration.
    Finding {
        /// Of this group.
        group: UniqueId,
        /// What.
        finding: Finding,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// A transaction of the master's vxiod with what was found; [`Quiesce`](Self::Quiesce) follows.
    Findings(Box<Findings>),
    /// That node is master from here on.
    Master {
        /// Which.
        node: NodeId,
    },
    /// To a slave that wanted another master: nothing comes of it now.
    MasterStays,
    /// Copies of a volume are made faster, slower, or later, until they are equal.
    Pace {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
        /// How fast.
        pace: Pace,
    },
    /// Stop I/O on the volumes of the transaction, and say so.
    Quiesce {
        /// Which.
        id: TxnId,
    },
    /// No I/O is under way any more.
    Quiesced {
        /// Of which transaction.
        id: TxnId,
    },
    /// To the master: the sender changes nothing in the range.
    RangeClear {
        /// Which.
        number: u64,
        /// The reconfiguration in which that was said.
        reconfig: u64,
    },
    /// The transaction cannot go on at the sender.
    Refuse {
        /// Which.
        id: TxnId,
        /// For people.
        why: String,
    },
    /// The joiner does not become a member.
    Reject {
        /// Which node.
        node: NodeId,
        /// One of the original's reasons (facts 3.11).
        reason: String,
    },
    /// The sender has closed a volume that only one node may have open.
    Release {
        /// Of this group.
        group: UniqueId,
        /// Which.
        volume: Name,
    },
    /// The reconfiguration, or the repair after an abandoned transaction, is over.
    Resume {
        /// Of the view that it belongs to.
        generation: u64,
        /// All imported shared groups as they stand.
        groups: Vec<GroupState>,
    },
    /// The sender has looked at a disk that another node cannot write.
    Sight {
        /// Of this group.
        group: UniqueId,
        /// Which.
        disk: UniqueId,
        /// The reconfiguration in which that was said.
        reconfig: u64,
        /// It could be written by the sender.
        sees: bool,
    },
    /// To the master: that node is to be master.
    WantMaster {
        /// Which.
        node: NodeId,
    },
}

/// What every member says of itself when a view begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Announce {
    /// Of the view.
    pub generation: u64,
    /// The sender, and the life of its vxiod.
    pub id: Id,
    /// The newest reconfiguration that it knows.
    pub reconfig: u64,
    /// The greatest becomes master.
    pub preference: i32,
    /// Lowest and highest version of this protocol that it speaks.
    pub versions: (u16, u16),
    /// It is master already.
    pub is_master: bool,
    /// It has joined the cluster.
    pub is_member: bool,
    /// The request whose transaction the view has abandoned: who had not loaded it learns of it.
    pub abandoned: Option<(TxnId, RequestId)>,
}

/// What a joiner has to know beside the configurations, which it has from the master's vxconfigd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admit {
    /// The joiner.
    pub node: NodeId,
    /// The reconfiguration in which it joins.
    pub reconfig: u64,
    /// All imported shared groups.
    pub groups: Vec<GroupState>,
    /// Who may do what with them; who is not listed has them off.
    pub modes: Vec<(UniqueId, NodeId, Activation)>,
    /// Who has volumes that only one node may have open.
    pub holders: Vec<Holder>,
    /// Ranges of volumes that nobody changes for now.
    pub ranges: Vec<CopyRange>,
    /// Slots that are left alone.
    pub busy: Vec<BusySlot>,
    /// How many ACTIVATE, HOLD and RELEASE of this view the master had heard by then.
    pub wishes: u64,
}

/// A range of a volume whose copies are made equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyRange {
    /// Of this group.
    pub group: UniqueId,
    /// Which volume.
    pub volume: Name,
    /// Names the range.
    pub number: u64,
    /// The reconfiguration in which that was said.
    pub reconfig: u64,
    /// From which sector on.
    pub at: Sectors,
    /// How many sectors.
    pub len: Sectors,
    /// Plexes that are current when all is done, and were not before.
    pub plexes: Vec<Name>,
    /// All copies are made equal, not only those plexes.
    pub is_whole: bool,
    /// How fast; for a joiner, who has not heard PACE.
    pub pace: Pace,
}

/// What vxiods have found; what comes of it everybody makes of the configuration in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Findings {
    /// What the transaction is called.
    pub id: TxnId,
    /// The configuration that it changes.
    pub base: Stamp,
    /// What.
    pub findings: Vec<Finding>,
    /// Where the copies of the configuration are after it.
    pub copies: Vec<(UniqueId, DiskCopies)>,
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// Where it is written.
    pub slot: Slot,
}

/// Who has a volume that only one node may have open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Of which group.
    pub group: UniqueId,
    /// Which volume.
    pub volume: Name,
    /// Who.
    pub node: NodeId,
}

/// Where a group stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupState {
    /// Which.
    pub id: UniqueId,
    /// The next transaction has this epoch.
    pub epoch: Epoch,
    /// The configuration in force.
    pub stamp: Stamp,
    /// Where it lies.
    pub slot: Slot,
}

/// A slot of some disks that a vxiod which is gone may still write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BusySlot {
    /// Which.
    pub slot: Slot,
    /// Whose last write may still come.
    pub writer: Id,
    /// On these disks.
    pub disks: Vec<UniqueId>,
}

const ABANDON: u8 = 1;
const ACTIVATE: u8 = 2;
const ADMIT: u8 = 3;
pub(super) const ANNOUNCE: u8 = 4;
const COMMIT: u8 = 5;
const GOODBYE: u8 = 6;
const MASTER: u8 = 7;
const QUIESCE: u8 = 8;
const QUIESCED: u8 = 9;
const REFUSE: u8 = 10;
const REJECT: u8 = 11;
const RESUME: u8 = 12;
const HOLD: u8 = 13;
const RELEASE: u8 = 14;
const DISABLE: u8 = 15;
const DROP: u8 = 16;
const WANT_MASTER: u8 = 17;
const MASTER_STAYS: u8 = 18;
const FINDINGS: u8 = 19;
const FINDING: u8 = 20;
const COPY_RANGE: u8 = 21;
const COPY_OVER: u8 = 22;
const RANGE_CLEAR: u8 = 23;
const PACE: u8 = 24;
const FILL_WANTED: u8 = 25;
const FILLED: u8 = 26;
const SIGHT: u8 = 27;
const APART: u8 = 28;
const HERE: u8 = 29;

const PLEX_FAILED: u8 = 1;
const WRITES: u8 = 2;
const RESTS: u8 = 3;
const LOST: u8 = 4;
const EQUAL: u8 = 5;
const FILL_BEGUN: u8 = 6;
const ALL_FILLED: u8 = 7;
const SPOILT: u8 = 8;

impl VMessage {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Abandon { id, request, wrote, node, why } => {
                out.put_u8(ABANDON);
                out.put_txn_id(id);
                out.put_request_id(*request);
                out.put_u8(u8::from(*wrote));
                out.put_u8(node.get());
                out.put_text(why);
            }
            Self::Activate { group, mode } => {
                out.put_u8(ACTIVATE);
                out.put_unique_id(group);
                out.put_text(mode.short());
            }
            Self::Admit(admit) => put_admit(&mut out, admit),
            Self::Announce(announce) => put_announce(&mut out, announce),
            Self::Apart { group, volume } => put_volume(&mut out, APART, group, volume),
            Self::Commit { id, failed } => {
                out.put_u8(COMMIT);
                out.put_txn_id(id);
                out.put_list(failed, |out, disk| out.put_unique_id(disk));
            }
            Self::CopyOver { group, volume, reconfig } => {
                put_volume(&mut out, COPY_OVER, group, volume);
                out.put_u64(*reconfig);
            }
            Self::CopyRange(range) => {
                out.put_u8(COPY_RANGE);
                put_copy_range(&mut out, range);
            }
            Self::Disable { group } => put_group(&mut out, DISABLE, group),
            Self::Drop { group } => put_group(&mut out, DROP, group),
            Self::FillWanted { .. } | Self::Filled { .. } => self.put_fill(&mut out),
            Self::Finding { group, finding, time } => {
                out.put_u8(FINDING);
                out.put_unique_id(group);
                put_finding(&mut out, finding);
                out.put_u64(*time);
            }
            Self::Findings(findings) => put_findings(&mut out, findings),
            Self::Goodbye => out.put_u8(GOODBYE),
            Self::Here { generation } => put_here(&mut out, *generation),
            Self::Hold { group, volume } => put_volume(&mut out, HOLD, group, volume),
            Self::Master { node } => out.put_slice(&[MASTER, node.get()]),
            Self::MasterStays => out.put_u8(MASTER_STAYS),
            Self::Pace { group, volume, pace } => {
                put_volume(&mut out, PACE, group, volume);
                put_pace(&mut out, *pace);
            }
            Self::Quiesce { id } => put_txn(&mut out, QUIESCE, id),
            Self::Quiesced { id } => put_txn(&mut out, QUIESCED, id),
            Self::RangeClear { number, reconfig } => {
                put_range_clear(&mut out, *number, *reconfig);
            }
            Self::Refuse { id, why } => {
                out.put_u8(REFUSE);
                out.put_txn_id(id);
                out.put_text(why);
            }
            Self::Reject { node, reason } => {
                out.put_slice(&[REJECT, node.get()]);
                out.put_text(reason);
            }
            Self::Release { group, volume } => put_volume(&mut out, RELEASE, group, volume),
            Self::Resume { generation, groups } => put_resume(&mut out, *generation, groups),
            Self::Sight { .. } => self.put_sight(&mut out),
            Self::WantMaster { node } => out.put_slice(&[WANT_MASTER, node.get()]),
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("a kind of message")? {
            ABANDON => Self::Abandon {
                id: reader.txn_id()?,
                request: reader.request_id()?,
                wrote: reader.flag("whether it was written")?,
                node: reader.node()?,
                why: reader.text("what went wrong")?,
            },
            ACTIVATE => {
                Self::Activate { group: reader.unique_id()?, mode: read_mode(&mut reader)? }
            }
            ADMIT => Self::Admit(read_admit(&mut reader)?),
            ANNOUNCE => Self::Announce(read_announce(&mut reader)?),
            APART => Self::Apart { group: reader.unique_id()?, volume: reader.name()? },
            COMMIT => Self::Commit {
                id: reader.txn_id()?,
                failed: reader.list("disks", Reader::unique_id)?,
            },
            DISABLE => Self::Disable { group: reader.unique_id()? },
            DROP => Self::Drop { group: reader.unique_id()? },
            GOODBYE => Self::Goodbye,
            HERE => Self::Here { generation: reader.counter("a generation")? },
            HOLD => Self::Hold { group: reader.unique_id()?, volume: reader.name()? },
            RELEASE => Self::Release { group: reader.unique_id()?, volume: reader.name()? },
            COPY_OVER => Self::CopyOver {
                group: reader.unique_id()?,
                volume: reader.name()?,
                reconfig: reader.counter("a reconfiguration")?,
            },
            COPY_RANGE => Self::CopyRange(read_copy_range(&mut reader)?),
            FILL_WANTED => Self::read_fill_wanted(&mut reader)?,
            FILLED => Self::read_filled(&mut reader)?,
            FINDING => Self::Finding {
                group: reader.unique_id()?,
                finding: read_finding(&mut reader)?,
                time: reader.counter("a time")?,
            },
            FINDINGS => Self::Findings(Box::new(Findings {
                id: reader.txn_id()?,
                base: reader.stamp()?,
                findings: reader.list("findings", read_finding)?,
                copies: read_copies(&mut reader)?,
                time: reader.counter("a time")?,
                slot: reader.slot()?,
            })),
            MASTER_STAYS => Self::MasterStays,
            RANGE_CLEAR => Self::RangeClear {
                number: reader.u64("the number of a range")?,
                reconfig: reader.counter("a reconfiguration")?,
            },
            SIGHT => Self::read_sight(&mut reader)?,
            WANT_MASTER => Self::WantMaster { node: reader.node()? },
            MASTER => Self::Master { node: reader.node()? },
            PACE => Self::Pace {
                group: reader.unique_id()?,
                volume: reader.name()?,
                pace: read_pace(&mut reader)?,
            },
            QUIESCE => Self::Quiesce { id: reader.txn_id()? },
            QUIESCED => Self::Quiesced { id: reader.txn_id()? },
            REFUSE => Self::Refuse { id: reader.txn_id()?, why: reader.text("what went wrong")? },
            REJECT => Self::Reject { node: reader.node()?, reason: reader.text("a reason")? },
            RESUME => Self::Resume {
                generation: reader.u64("a generation")?,
                groups: reader.list("groups", read_group_state)?,
            },
            _ => return Reader::wrong("a kind of message that this version knows"),
        };
        reader.end(message)
    }

    fn put_sight(&self, out: &mut BytesMut) {
        if let Self::Sight { group, disk, reconfig, sees } = self {
            put_group(out, SIGHT, group);
            out.put_unique_id(disk);
            out.put_u64(*reconfig);
            out.put_u8(u8::from(*sees));
        }
    }

    fn read_sight(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self::Sight {
            group: reader.unique_id()?,
            disk: reader.unique_id()?,
            reconfig: reader.counter("a reconfiguration")?,
            sees: reader.flag("whether it is seen")?,
        })
    }

    fn put_fill(&self, out: &mut BytesMut) {
        match self {
            Self::FillWanted { group, volume, region } => {
                put_volume(out, FILL_WANTED, group, volume);
                out.put_u32(*region);
            }
            Self::Filled { group, volume, id, regions, done } => {
                put_volume(out, FILLED, group, volume);
                out.put_u64(id.0);
                out.put_list(regions, |out, region| out.put_u32(*region));
                out.put_u32(*done);
            }
            _ => {}
        }
    }

    fn read_fill_wanted(reader: &mut Reader) -> Result<Self, Malformed> {
        let (group, volume) = (reader.unique_id()?, reader.name()?);
        Ok(Self::FillWanted { group, volume, region: reader.u32("a region")? })
    }

    fn read_filled(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self::Filled {
            group: reader.unique_id()?,
            volume: reader.name()?,
            id: Rid(reader.u64("a rid")?),
            regions: reader.list("regions", |reader| reader.u32("a region"))?,
            done: reader.u32("how many regions")?,
        })
    }
}

fn put_here(out: &mut BytesMut, generation: u64) {
    out.put_u8(HERE);
    out.put_u64(generation);
}

fn put_resume(out: &mut BytesMut, generation: u64, groups: &[GroupState]) {
    out.put_u8(RESUME);
    out.put_u64(generation);
    out.put_list(groups, put_group_state);
}

pub(super) fn put_busy(out: &mut BytesMut, busy: &BusySlot) {
    out.put_slot(busy.slot);
    out.put_id(busy.writer);
    out.put_list(&busy.disks, |out, disk| out.put_unique_id(disk));
}

pub(super) fn read_busy(reader: &mut Reader) -> Result<BusySlot, Malformed> {
    let (slot, writer) = (reader.slot()?, reader.id()?);
    Ok(BusySlot { slot, writer, disks: reader.list("disks", Reader::unique_id)? })
}

pub(super) fn put_announce(out: &mut BytesMut, announce: &Announce) {
    out.put_u8(ANNOUNCE);
    out.put_u64(announce.generation);
    out.put_id(announce.id);
    out.put_u64(announce.reconfig);
    out.put_i32(announce.preference);
    out.put_u16(announce.versions.0);
    out.put_u16(announce.versions.1);
    out.put_u8(u8::from(announce.is_master));
    out.put_u8(u8::from(announce.is_member));
    out.put_u8(u8::from(announce.abandoned.is_some()));
    if let Some((id, request)) = &announce.abandoned {
        out.put_txn_id(id);
        out.put_request_id(*request);
    }
}

pub(super) fn read_announce(reader: &mut Reader) -> Result<Announce, Malformed> {
    let announce = Announce {
        generation: reader.u64("a generation")?,
        id: reader.id()?,
        reconfig: reader.counter("a reconfiguration")?,
        preference: reader.u32("a preference")?.cast_signed(),
        versions: (reader.u16("a version")?, reader.u16("a version")?),
        is_master: reader.flag("whether it is master")?,
        is_member: reader.flag("whether it is a member")?,
        abandoned: match reader.flag("whether a request was abandoned")? {
            true => Some((reader.txn_id()?, reader.request_id()?)),
            false => None,
        },
    };
    if announce.versions.0 > announce.versions.1 {
        return Reader::wrong("versions from the lowest to the highest");
    }
    Ok(announce)
}

fn put_findings(out: &mut BytesMut, findings: &Findings) {
    out.put_u8(FINDINGS);
    out.put_txn_id(&findings.id);
    out.put_stamp(findings.base);
    out.put_list(&findings.findings, put_finding);
    put_copies(out, &findings.copies);
    out.put_u64(findings.time);
    out.put_slot(findings.slot);
}

fn put_finding(out: &mut BytesMut, finding: &Finding) {
    let (kind, name) = match finding {
        Finding::PlexFailed(plex, _) => (PLEX_FAILED, plex),
        Finding::Writes(volume, _) => (WRITES, volume),
        Finding::Rests(volume, _) => (RESTS, volume),
        Finding::Lost(volume, ..) => (LOST, volume),
        Finding::Equal(volume, _) => (EQUAL, volume),
        Finding::FillBegun(volume, _) => (FILL_BEGUN, volume),
        Finding::Filled(volume, _) => (ALL_FILLED, volume),
        Finding::Spoilt(volume, _) => (SPOILT, volume),
    };
    out.put_u8(kind);
    out.put_text(name.as_str());
    match finding {
        Finding::PlexFailed(_, disk) => {
            out.put_list(disk.as_slice(), |out, disk| out.put_unique_id(disk));
        }
        Finding::Writes(_, node) | Finding::Rests(_, node) => out.put_u8(*node),
        Finding::FillBegun(_, id) | Finding::Filled(_, id) | Finding::Spoilt(_, id) => {
            out.put_u64(id.0);
        }
        Finding::Lost(_, nodes, maps) => {
            let nodes: Vec<u8> = nodes.iter().copied().collect();
            out.put_list(&nodes, |out, node| out.put_u8(*node));
            let maps: Vec<MapPlace> = maps.iter().copied().collect();
            out.put_list(&maps, |out, MapPlace { volume, len, log }| {
                [volume.0, *len, log.0].into_iter().for_each(|number| out.put_u64(number));
            });
        }
        Finding::Equal(_, plexes) => {
            let plexes: Vec<Name> = plexes.iter().cloned().collect();
            put_names(out, &plexes);
        }
    }
}

fn read_finding(reader: &mut Reader) -> Result<Finding, Malformed> {
    let kind = reader.u8("a kind of finding")?;
    let name = reader.name()?;
    Ok(match kind {
        PLEX_FAILED => {
            let mut disks = reader.list("disks", Reader::unique_id)?;
            let disk = disks.pop();
            if !disks.is_empty() {
                return Reader::wrong("one disk at most");
            }
            Finding::PlexFailed(name, disk)
        }
        WRITES => Finding::Writes(name, reader.u8("a node")?),
        RESTS => Finding::Rests(name, reader.u8("a node")?),
        LOST => {
            let nodes = reader.list("nodes", |reader| reader.u8("a node"))?;
            let maps = reader.list("recovery maps", |reader| {
                let volume = Rid(reader.u64("a rid")?);
                let len = reader.u64("a length")?;
                Ok(MapPlace { volume, len, log: Rid(reader.u64("a rid")?) })
            })?;
            Finding::Lost(name, nodes.into_iter().collect(), maps.into_iter().collect())
        }
        EQUAL => Finding::Equal(name, read_names(reader)?.into_iter().collect()),
        FILL_BEGUN => Finding::FillBegun(name, Rid(reader.u64("a rid")?)),
        ALL_FILLED => Finding::Filled(name, Rid(reader.u64("a rid")?)),
        SPOILT => Finding::Spoilt(name, Rid(reader.u64("a rid")?)),
        _ => return Reader::wrong("a kind of finding that this version knows"),
    })
}

pub(super) fn put_copy_range(out: &mut BytesMut, range: &CopyRange) {
    out.put_unique_id(&range.group);
    out.put_text(range.volume.as_str());
    out.put_u64(range.number);
    out.put_u64(range.reconfig);
    out.put_u64(range.at);
    out.put_u64(range.len);
    put_names(out, &range.plexes);
    out.put_u8(u8::from(range.is_whole));
    put_pace(out, range.pace);
}

fn put_range_clear(out: &mut BytesMut, number: u64, reconfig: u64) {
    out.put_u8(RANGE_CLEAR);
    out.put_u64(number);
    out.put_u64(reconfig);
}

pub(super) fn put_pace(out: &mut BytesMut, pace: Pace) {
    out.put_u8(u8::from(pace.is_paused));
    out.put_u32(pace.delay);
}

pub(super) fn read_pace(reader: &mut Reader) -> Result<Pace, Malformed> {
    let is_paused = reader.flag("whether it is paused")?;
    Ok(Pace { is_paused, delay: reader.u32("milliseconds")? })
}

fn read_copy_range(reader: &mut Reader) -> Result<CopyRange, Malformed> {
    let range = CopyRange {
        group: reader.unique_id()?,
        volume: reader.name()?,
        number: reader.counter("the number of a range")?,
        reconfig: reader.counter("a reconfiguration")?,
        at: reader.counter("where a range begins")?,
        len: reader.counter("the length of a range")?,
        plexes: read_names(reader)?,
        is_whole: reader.flag("whether all copies are meant")?,
        pace: read_pace(reader)?,
    };
    Ok(range)
}

fn put_names(out: &mut BytesMut, names: &[Name]) {
    out.put_list(names, |out, name| out.put_text(name.as_str()));
}

fn read_names(reader: &mut Reader) -> Result<Vec<Name>, Malformed> {
    reader.list("names", Reader::name)
}

fn put_admit(out: &mut BytesMut, admit: &Admit) {
    out.put_u8(ADMIT);
    out.put_u8(admit.node.get());
    out.put_u64(admit.reconfig);
    out.put_list(&admit.groups, put_group_state);
    out.put_list(&admit.modes, |out, (group, node, mode)| {
        out.put_unique_id(group);
        out.put_u8(node.get());
        out.put_text(mode.short());
    });
    out.put_list(&admit.holders, |out, holder| {
        out.put_unique_id(&holder.group);
        out.put_text(holder.volume.as_str());
        out.put_u8(holder.node.get());
    });
    out.put_list(&admit.ranges, put_copy_range);
    out.put_list(&admit.busy, put_busy);
    out.put_u64(admit.wishes);
}

fn read_admit(reader: &mut Reader) -> Result<Admit, Malformed> {
    Ok(Admit {
        node: reader.node()?,
        reconfig: reader.counter("a reconfiguration")?,
        groups: reader.list("groups", read_group_state)?,
        modes: reader.list("modes", |reader| {
            Ok((reader.unique_id()?, reader.node()?, read_mode(reader)?))
        })?,
        holders: reader.list("holders", |reader| {
            let (group, volume) = (reader.unique_id()?, reader.name()?);
            Ok(Holder { group, volume, node: reader.node()? })
        })?,
        ranges: reader.list("ranges", read_copy_range)?,
        busy: reader.list("busy slots", read_busy)?,
        wishes: reader.counter("a number of wishes")?,
    })
}

fn put_group(out: &mut BytesMut, kind: u8, group: &UniqueId) {
    out.put_u8(kind);
    out.put_unique_id(group);
}

fn put_txn(out: &mut BytesMut, kind: u8, id: &TxnId) {
    out.put_u8(kind);
    out.put_txn_id(id);
}

fn put_volume(out: &mut BytesMut, kind: u8, group: &UniqueId, volume: &Name) {
    out.put_u8(kind);
    out.put_unique_id(group);
    out.put_text(volume.as_str());
}

fn put_group_state(out: &mut BytesMut, state: &GroupState) {
    out.put_unique_id(&state.id);
    out.put_u64(state.epoch.0);
    out.put_stamp(state.stamp);
    out.put_slot(state.slot);
}

fn read_group_state(reader: &mut Reader) -> Result<GroupState, Malformed> {
    Ok(GroupState {
        id: reader.unique_id()?,
        epoch: Epoch(reader.counter("an epoch")?),
        stamp: reader.stamp()?,
        slot: reader.slot()?,
    })
}

pub(super) fn read_mode(reader: &mut Reader) -> Result<Activation, Malformed> {
    let mode = Activation::from_any(&reader.text("an activation mode")?);
    mode.map_or_else(|| Reader::wrong("an activation mode"), Ok)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use llt::Incarnation;

    use super::*;
    use crate::model::Tid;

    fn samples() -> Vec<VMessage> {
        let node = NodeId::new(2).unwrap();
        let id = Id { node, incarnation: Incarnation(77) };
        let group = UniqueId::new(1_283_432_345, 33, "host1");
        let stamp = Stamp { epoch: Epoch(3), tid: Tid(41) };
        let txn = TxnId { group: group.clone(), stamp, reconfig: 9 };
        let slot = |number| Slot::new(number).unwrap();
        let busy = vec![BusySlot { slot: slot(1), writer: id, disks: vec![group.clone()] }];
        let state = GroupState { id: group.clone(), epoch: Epoch(4), stamp, slot: slot(2) };
        let request = RequestId { origin: id, number: 8 };
        let modes = vec![(group.clone(), node, Activation::SharedWrite)];
        let volume = Name::new("vol1").unwrap();
        let holders = vec![Holder { group: group.clone(), volume: volume.clone(), node }];
        let announce = Announce {
            generation: 5,
            id,
            reconfig: 4,
            preference: -7,
            versions: (1, 2),
            is_master: true,
            is_member: false,
            abandoned: Some((txn.clone(), request)),
        };
        vec![
            VMessage::Abandon {
                id: txn.clone(),
                request,
                wrote: true,
                node,
                why: "it left".to_owned(),
            },
            VMessage::Activate { group: group.clone(), mode: Activation::Off },
            VMessage::Admit(Admit {
                node,
                reconfig: 9,
                groups: vec![state.clone()],
                modes,
                holders,
                ranges: Vec::new(),
                busy,
                wishes: 7,
            }),
            VMessage::Announce(announce),
            VMessage::Commit { id: txn.clone(), failed: vec![group] },
            VMessage::Disable { group: txn.group.clone() },
            VMessage::Drop { group: txn.group.clone() },
            VMessage::Goodbye,
            VMessage::Here { generation: 5 },
            VMessage::Hold { group: txn.group.clone(), volume: volume.clone() },
            VMessage::Release { group: txn.group.clone(), volume: volume.clone() },
            VMessage::Master { node },
            VMessage::MasterStays,
            VMessage::WantMaster { node },
            VMessage::Quiesce { id: txn.clone() },
            VMessage::Quiesced { id: txn.clone() },
            VMessage::Refuse { id: txn, why: String::new() },
            VMessage::Reject { node, reason: "recovery in progress".to_owned() },
            VMessage::Resume { generation: 5, groups: vec![state] },
        ]
    }

    /// What vxiods find, and what is copied.
    fn samples_of_findings(txn: &TxnId, volume: &Name) -> Vec<VMessage> {
        vec![
            VMessage::CopyOver { group: txn.group.clone(), volume: volume.clone(), reconfig: 9 },
            VMessage::FillWanted { group: txn.group.clone(), volume: volume.clone(), region: 77 },
            VMessage::Filled {
                group: txn.group.clone(),
                volume: volume.clone(),
                id: Rid(1030),
                regions: vec![3, 9],
                done: 12,
            },
            VMessage::CopyRange(CopyRange {
                group: txn.group.clone(),
                volume: volume.clone(),
                number: 4,
                reconfig: 9,
                at: 2048,
                len: 1024,
                plexes: vec![volume.clone()],
                is_whole: true,
                pace: Pace { is_paused: true, delay: 0 },
            }),
            VMessage::Pace {
                group: txn.group.clone(),
                volume: volume.clone(),
                pace: Pace { is_paused: false, delay: 250 },
            },
            VMessage::Finding {
                group: txn.group.clone(),
                finding: Finding::Lost(
                    volume.clone(),
                    BTreeSet::from([3, 5]),
                    BTreeSet::from([MapPlace { volume: Rid(7), len: 8192, log: Rid(9) }]),
                ),
                time: 7,
            },
            VMessage::Findings(Box::new(Findings {
                id: txn.clone(),
                base: txn.stamp,
                findings: vec![
                    Finding::Equal(volume.clone(), BTreeSet::from([volume.clone()])),
                    Finding::PlexFailed(volume.clone(), None),
                    Finding::PlexFailed(volume.clone(), Some(txn.group.clone())),
                    Finding::Rests(volume.clone(), 1),
                    Finding::Writes(volume.clone(), 2),
                ],
                copies: vec![(txn.group.clone(), DiskCopies::default())],
                time: 7,
                slot: Slot::new(1).unwrap(),
            })),
            VMessage::RangeClear { number: 4, reconfig: 9 },
            VMessage::Apart { group: txn.group.clone(), volume: volume.clone() },
            VMessage::Sight {
                group: txn.group.clone(),
                disk: txn.group.clone(),
                reconfig: 9,
                sees: true,
            },
        ]
    }

    #[test]
    fn messages_are_read_back_and_nothing_cut_short_is_one() {
        let all = samples();
        let id = all.iter().find_map(|message| match message {
            VMessage::Quiesce { id } => Some(id.clone()),
            _ => None,
        });
        let more = samples_of_findings(&id.unwrap(), &Name::new("vol1").unwrap());
        for message in all.into_iter().chain(more) {
            let bytes = message.encode();
            assert_eq!(VMessage::decode(bytes.clone()), Ok(message.clone()));
            for len in 0..bytes.len() {
                assert!(VMessage::decode(bytes.slice(..len)).is_err(), "{message:?} cut to {len}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(VMessage::decode(longer.into()).is_err(), "{message:?} and a byte more");
        }
    }
}
