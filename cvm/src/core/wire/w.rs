//! Port w: what the vxconfigds say to each other.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::{Malformed, Put, Reader};
use crate::core::iod::Tenures;
use crate::core::txn::TxnId;
use crate::disk::{CopyState, DiskCopies, RequestId, Slot};
use crate::model::change::Change;
use crate::model::{Name, Stamp, UniqueId};

/// A message on port w. The master's are broadcast, answers go to who asked alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WMessage {
    /// The transaction ends before it was begun; the master's vxiod tells those that have loaded it.
    Forget {
        /// Which.
        id: TxnId,
    },
    /// To a joiner: everything that it has to have and to check.
    JoinOffer(JoinOffer),
    /// A joiner has all of it, or not.
    JoinAnswer {
        /// The offer that is answered.
        number: u64,
        /// One of the original's reasons (facts 3.11), and what it is about.
        refused: Option<(String, String)>,
    },
    /// Load what was checked.
    Load {
        /// Which.
        id: TxnId,
    },
    /// It is loaded, or the sender's vxiod does not take it.
    Loaded {
        /// Which.
        id: TxnId,
        /// Why not.
        refused: Option<String>,
    },
    /// Is anything in the way of this change at your node?
    Precheck(Box<Precheck>),
    /// To the vxconfigd whose request it was: what was decided is in force at the sender's.
    Settled {
        /// Whose request it was.
        request: RequestId,
    },
    /// Nothing is, or this.
    Vote {
        /// Which.
        id: TxnId,
        /// What is in the way.
        refused: Option<String>,
    },
}

/// The groups of the cluster, for a joiner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinOffer {
    /// Names it in the answer.
    pub number: u64,
    /// Lowest and highest version that the cluster speaks.
    pub versions: (u16, u16),
    /// The groups.
    pub groups: Vec<OfferedGroup>,
}

/// A group of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfferedGroup {
    /// The configuration in force, as it lies on the disks.
    pub image: Bytes,
    /// In which slot.
    pub slot: Slot,
    /// How often each disk was given to a group.
    pub tenures: Tenures,
    /// The disks that the master reaches: all of them have to be reached.
    pub disks: Vec<UniqueId>,
}

/// A change that is to be checked by all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Precheck {
    /// What it will be called.
    pub id: TxnId,
    /// Whose request it is.
    pub request: RequestId,
    /// What it changes.
    pub base: Base,
    /// What becomes of it; of nothing, a whole configuration.
    pub change: Change,
    /// Where the copies of the configuration are after it.
    pub copies: Vec<(UniqueId, DiskCopies)>,
    /// How often each disk was given to a group, this time included.
    pub tenures: Tenures,
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// Where it is written.
    pub slot: Slot,
    /// Volumes whose I/O stands still.
    pub volumes: Vec<Name>,
    /// Volumes that nobody may have open.
    pub closed: Vec<Name>,
    /// Disks that every node has to reach (CVM-04).
    pub disks: Vec<UniqueId>,
}

/// What a change begins with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Base {
    /// What is in force.
    InForce(Stamp),
    /// Nothing: the group is made.
    Nothing,
    /// What was found on its disks, and in which slot.
    OnDisk(Bytes, Slot),
}

const FORGET: u8 = 1;
const JOIN_OFFER: u8 = 2;
const JOIN_ANSWER: u8 = 3;
const LOAD: u8 = 4;
const LOADED: u8 = 5;
const PRECHECK: u8 = 6;
const VOTE: u8 = 7;
const SETTLED: u8 = 8;

impl WMessage {
    /// Its bytes; what is longer than a message of GAB travels in [`super::parcel`]s.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Forget { id } => {
                out.put_u8(FORGET);
                out.put_txn_id(id);
            }
            Self::JoinOffer(offer) => {
                out.put_u8(JOIN_OFFER);
                out.put_u64(offer.number);
                out.put_u16(offer.versions.0);
                out.put_u16(offer.versions.1);
                out.put_list(&offer.groups, |out, group| {
                    out.put_blob(&group.image);
                    out.put_slot(group.slot);
                    put_tenures(out, &group.tenures);
                    out.put_list(&group.disks, |out, disk| out.put_unique_id(disk));
                });
            }
            Self::JoinAnswer { number, refused } => {
                out.put_u8(JOIN_ANSWER);
                out.put_u64(*number);
                out.put_u8(u8::from(refused.is_some()));
                if let Some((reason, about)) = refused {
                    out.put_text(reason);
                    out.put_text(about);
                }
            }
            Self::Load { id } => {
                out.put_u8(LOAD);
                out.put_txn_id(id);
            }
            Self::Loaded { id, refused } => put_answer(&mut out, LOADED, id, refused.as_deref()),
            Self::Precheck(precheck) => {
                out.put_u8(PRECHECK);
                put_precheck(&mut out, precheck);
            }
            Self::Settled { request } => {
                out.put_u8(SETTLED);
                out.put_request_id(*request);
            }
            Self::Vote { id, refused } => put_answer(&mut out, VOTE, id, refused.as_deref()),
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("a kind of message")? {
            FORGET => Self::Forget { id: reader.txn_id()? },
            JOIN_OFFER => Self::JoinOffer(JoinOffer {
                number: reader.counter("the number of an offer")?,
                versions: (reader.u16("a version")?, reader.u16("a version")?),
                groups: reader.list("groups", |reader| {
                    let (image, slot) = (reader.bytes("a configuration")?, reader.slot()?);
                    let tenures = read_tenures(reader)?;
                    let disks = reader.list("disks", Reader::unique_id)?;
                    Ok(OfferedGroup { image, slot, tenures, disks })
                })?,
            }),
            JOIN_ANSWER => Self::JoinAnswer {
                number: reader.counter("the number of an offer")?,
                refused: match reader.flag("whether it is refused")? {
                    true => Some((reader.text("a reason")?, reader.text("what it is about")?)),
                    false => None,
                },
            },
            LOAD => Self::Load { id: reader.txn_id()? },
            LOADED => Self::Loaded { id: reader.txn_id()?, refused: read_refused(&mut reader)? },
            PRECHECK => Self::Precheck(Box::new(read_precheck(&mut reader)?)),
            SETTLED => Self::Settled { request: reader.request_id()? },
            VOTE => Self::Vote { id: reader.txn_id()?, refused: read_refused(&mut reader)? },
            _ => return Reader::wrong("a kind of message that this version knows"),
        };
        reader.end(message)
    }
}

fn put_answer(out: &mut BytesMut, kind: u8, id: &TxnId, refused: Option<&str>) {
    out.put_u8(kind);
    out.put_txn_id(id);
    out.put_u8(u8::from(refused.is_some()));
    if let Some(why) = refused {
        out.put_text(why);
    }
}

fn read_refused(reader: &mut Reader) -> Result<Option<String>, Malformed> {
    match reader.flag("whether it is refused")? {
        true => Ok(Some(reader.text("why it is refused")?)),
        false => Ok(None),
    }
}

pub(super) fn read_change(reader: &mut Reader) -> Result<Change, Malformed> {
    let text = String::from_utf8(reader.bytes("a change")?.to_vec());
    text.map(Change::from_text).or_else(|_| Reader::wrong("a change as text"))
}

pub(super) fn put_precheck(out: &mut BytesMut, precheck: &Precheck) {
    out.put_txn_id(&precheck.id);
    out.put_request_id(precheck.request);
    match &precheck.base {
        Base::InForce(stamp) => {
            out.put_u8(0);
            out.put_stamp(*stamp);
        }
        Base::Nothing => out.put_u8(1),
        Base::OnDisk(image, slot) => {
            out.put_u8(2);
            out.put_blob(image);
            out.put_slot(*slot);
        }
    }
    out.put_blob(precheck.change.as_text().as_bytes());
    put_copies(out, &precheck.copies);
    put_tenures(out, &precheck.tenures);
    out.put_u64(precheck.time);
    out.put_slot(precheck.slot);
    out.put_list(&precheck.volumes, |out, name| out.put_text(name.as_str()));
    out.put_list(&precheck.closed, |out, name| out.put_text(name.as_str()));
    out.put_list(&precheck.disks, |out, disk| out.put_unique_id(disk));
}

const fn put_copy(copy: Option<CopyState>) -> u8 {
    match copy {
        None => 0,
        Some(CopyState::Active) => 1,
        Some(CopyState::Failed) => 2,
    }
}

fn read_copy(reader: &mut Reader) -> Result<Option<CopyState>, Malformed> {
    match reader.u8("the state of a copy")? {
        0 => Ok(None),
        1 => Ok(Some(CopyState::Active)),
        2 => Ok(Some(CopyState::Failed)),
        _ => Reader::wrong("the state of a copy"),
    }
}

pub(super) fn put_copies(out: &mut BytesMut, copies: &[(UniqueId, DiskCopies)]) {
    out.put_list(copies, |out, (disk, copies)| {
        out.put_unique_id(disk);
        out.put_u8(put_copy(copies.config));
        out.put_u8(put_copy(copies.log));
    });
}

pub(super) fn read_copies(reader: &mut Reader) -> Result<Vec<(UniqueId, DiskCopies)>, Malformed> {
    reader.list("disks", |reader| {
        let disk = reader.unique_id()?;
        Ok((disk, DiskCopies { config: read_copy(reader)?, log: read_copy(reader)? }))
    })
}

pub(super) fn put_tenures(out: &mut BytesMut, tenures: &Tenures) {
    let tenures: Vec<(&UniqueId, u64)> = tenures.iter().map(|(id, tenure)| (id, *tenure)).collect();
    out.put_list(&tenures, |out, (disk, tenure)| {
        out.put_unique_id(disk);
        out.put_u64(*tenure);
    });
}

pub(super) fn read_tenures(reader: &mut Reader) -> Result<Tenures, Malformed> {
    let tenures =
        reader.list("disks", |reader| Ok((reader.unique_id()?, reader.counter("a tenure")?)))?;
    Ok(tenures.into_iter().collect())
}

pub(super) fn read_precheck(reader: &mut Reader) -> Result<Precheck, Malformed> {
    Ok(Precheck {
        id: reader.txn_id()?,
        request: reader.request_id()?,
        base: match reader.u8("what it begins with")? {
            0 => Base::InForce(reader.stamp()?),
            1 => Base::Nothing,
            2 => Base::OnDisk(reader.bytes("a configuration")?, reader.slot()?),
            _ => return Reader::wrong("what it begins with"),
        },
        change: read_change(reader)?,
        copies: read_copies(reader)?,
        tenures: read_tenures(reader)?,
        time: reader.counter("a time")?,
        slot: reader.slot()?,
        volumes: reader.list("volumes", Reader::name)?,
        closed: reader.list("volumes", Reader::name)?,
        disks: reader.list("disks", Reader::unique_id)?,
    })
}

#[cfg(test)]
mod tests {
    use llt::{Id, Incarnation, NodeId};

    use super::*;
    use crate::model::{Epoch, Tid};

    fn samples() -> Vec<WMessage> {
        let origin = Id { node: NodeId::new(2).unwrap(), incarnation: Incarnation(77) };
        let group = UniqueId::new(1_283_432_345, 33, "host1");
        let stamp = Stamp { epoch: Epoch(3), tid: Tid(41) };
        let id = TxnId { group: group.clone(), stamp, reconfig: 9 };
        let name = |text| Name::new(text).unwrap();
        let precheck = |base| Precheck {
            id: id.clone(),
            request: RequestId { origin, number: 5 },
            base,
            change: Change::from_text("dg x\n".to_owned()),
            copies: vec![(
                group.clone(),
                DiskCopies { config: Some(CopyState::Active), log: Some(CopyState::Failed) },
            )],
            tenures: Tenures::from([(group.clone(), 3)]),
            time: 1_283_432_345,
            slot: Slot::new(2).unwrap(),
            volumes: vec![name("vol1")],
            closed: vec![name("vol2"), name("vol3")],
            disks: Vec::new(),
        };
        let image = Bytes::from_static(b"image");
        let tenures = Tenures::from([(group.clone(), 1)]);
        let offered = OfferedGroup {
            image: image.clone(),
            slot: Slot::ALL[1],
            tenures,
            disks: vec![group.clone()],
        };
        let groups = vec![offered.clone(), OfferedGroup { tenures: Tenures::new(), ..offered }];
        let refused = Some("no such disk".to_owned());
        vec![
            WMessage::Forget { id: id.clone() },
            WMessage::JoinOffer(JoinOffer { number: 3, versions: (1, 4), groups }),
            WMessage::JoinAnswer { number: 3, refused: None },
            WMessage::JoinAnswer { number: 3, refused: Some(("a".to_owned(), "b".to_owned())) },
            WMessage::Load { id: id.clone() },
            WMessage::Loaded { id: id.clone(), refused: refused.clone() },
            WMessage::Precheck(Box::new(precheck(Base::InForce(stamp)))),
            WMessage::Precheck(Box::new(precheck(Base::Nothing))),
            WMessage::Precheck(Box::new(precheck(Base::OnDisk(image, Slot::ALL[0])))),
            WMessage::Settled { request: RequestId { origin, number: 5 } },
            WMessage::Vote { id: id.clone(), refused: None },
            WMessage::Vote { id: id.clone(), refused },
        ]
    }

    #[test]
    fn messages_are_read_back_and_nothing_cut_short_is_one() {
        for message in samples() {
            let bytes = message.encode();
            assert_eq!(WMessage::decode(bytes.clone()), Ok(message.clone()));
            for len in 0..bytes.len() {
                assert!(WMessage::decode(bytes.slice(..len)).is_err(), "{message:?} cut to {len}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(WMessage::decode(longer.into()).is_err(), "{message:?} and a byte more");
        }
    }
}
