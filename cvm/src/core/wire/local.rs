//! Between the two daemons of a node, over `run/vxiod.sock`: commands one way, upcalls the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use llt::NodeSet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{Malformed, Put, Reader};
use super::images::{Told, put_image, put_told, read_image, read_told};
use super::v::{put_announce, put_busy, put_pace, read_announce, read_busy, read_mode, read_pace};
use super::w::{put_precheck, put_tenures, read_precheck, read_tenures};
use crate::core::iod::{
    Command, ModeRefused, ObserveNumber, Role, TableView, TablesView, Task, Upcall,
};
use crate::disk::Decision;
use crate::model::UniqueId;

/// The bytes of a command.
pub fn encode_command(command: &Command) -> Bytes {
    let mut out = BytesMut::new();
    match command {
        Command::Abandon { id, node, why } => {
            out.put_u8(0);
            out.put_txn_id(id);
            out.put_u8(node.get());
            out.put_text(why);
        }
        Command::AbortNode => out.put_u8(1),
        Command::Activate { group, mode } => {
            out.put_u8(2);
            out.put_unique_id(group);
            out.put_text(mode.short());
        }
        Command::Admit { node, groups } => {
            out.put_slice(&[3, node.get()]);
            out.put_list(groups, |out, (group, stamp)| {
                out.put_unique_id(group);
                out.put_stamp(*stamp);
            });
        }
        Command::Begin { id } => {
            out.put_u8(4);
            out.put_txn_id(id);
        }
        Command::Load(precheck) => {
            out.put_u8(5);
            put_precheck(&mut out, precheck);
        }
        Command::Reject { node, reason } => {
            out.put_slice(&[6, node.get()]);
            out.put_text(reason);
        }
        Command::SetMaster { node } => out.put_slice(&[7, node.get()]),
        Command::Stage(groups) => {
            out.put_u8(8);
            out.put_list(groups, |out, (image, tenures)| {
                put_image(out, image);
                put_tenures(out, tenures);
            });
        }
        Command::StartNode => out.put_u8(9),
        Command::StopNode => out.put_u8(10),
        Command::Drop { group } => {
            out.put_u8(12);
            out.put_unique_id(group);
        }
        Command::Observe(ask, what) => {
            out.put_u8(14);
            out.put_u64(ask.0);
            put_json(&mut out, what);
        }
        Command::Pace { group, volume, pace } => {
            out.put_u8(13);
            out.put_unique_id(group);
            out.put_text(volume.as_str());
            put_pace(&mut out, *pace);
        }
        Command::Prefer(preference) => {
            out.put_u8(11);
            out.put_i32(*preference);
        }
    }
    out.freeze()
}

/// Reads what [`encode_command`] wrote.
///
/// # Errors
/// If it is none.
pub fn decode_command(bytes: Bytes) -> Result<Command, Malformed> {
    let mut reader = Reader::new(bytes);
    let command = match reader.u8("a command")? {
        0 => Command::Abandon {
            id: reader.txn_id()?,
            node: reader.node()?,
            why: reader.text("what went wrong")?,
        },
        1 => Command::AbortNode,
        2 => Command::Activate { group: reader.unique_id()?, mode: read_mode(&mut reader)? },
        3 => Command::Admit {
            node: reader.node()?,
            groups: reader.list("groups", |reader| Ok((reader.unique_id()?, reader.stamp()?)))?,
        },
        4 => Command::Begin { id: reader.txn_id()? },
        5 => Command::Load(Box::new(read_precheck(&mut reader)?)),
        6 => Command::Reject { node: reader.node()?, reason: reader.text("a reason")? },
        7 => Command::SetMaster { node: reader.node()? },
        8 => Command::Stage(reader.list("groups", |reader| {
            let image = read_image(reader)?;
            Ok((Arc::new(image), read_tenures(reader)?.into_iter().collect()))
        })?),
        9 => Command::StartNode,
        10 => Command::StopNode,
        12 => Command::Drop { group: reader.unique_id()? },
        13 => Command::Pace {
            group: reader.unique_id()?,
            volume: reader.name()?,
            pace: read_pace(&mut reader)?,
        },
        14 => {
            let ask = ObserveNumber(reader.u64("the number of a question")?);
            Command::Observe(ask, read_json(&mut reader, "a question about volumes")?)
        }
        11 => Command::Prefer(reader.u32("a preference")?.cast_signed()),
        _ => return Reader::wrong("a command that this version knows"),
    };
    reader.end(command)
}

/// Writes upcalls for one vxconfigd, from the first on.
#[derive(Clone, Debug, Default)]
pub struct UpcallWriter {
    told: Told,
}

/// Reads what an [`UpcallWriter`] has written, all of it and in order.
#[derive(Clone, Debug, Default)]
pub struct UpcallReader {
    told: Told,
}

impl UpcallWriter {
    /// The bytes of the next upcall.
    pub fn encode(&mut self, upcall: &Upcall) -> Bytes {
        let mut out = BytesMut::new();
        match upcall {
            Upcall::Activated { group, mode, refused } => {
                out.put_u8(0);
                out.put_unique_id(group);
                out.put_text(mode.short());
                put_refused(&mut out, refused.as_ref());
            }
            Upcall::Decided { id, request, outcome, fault } => {
                out.put_u8(1);
                out.put_txn_id(id);
                out.put_request_id(*request);
                out.put_u8(u8::from(*outcome == Decision::Committed));
                out.put_u8(u8::from(fault.is_some()));
                if let Some((node, why)) = fault {
                    out.put_u8(node.get());
                    out.put_text(why);
                }
            }
            Upcall::Joining { announce } => {
                out.put_u8(2);
                put_announce(&mut out, announce);
            }
            Upcall::Loaded { id, refused } => {
                out.put_u8(3);
                out.put_txn_id(id);
                out.put_u8(u8::from(refused.is_some()));
                out.put_text(refused.as_deref().unwrap_or_default());
            }
            Upcall::Observed(ask, observed) => {
                out.put_u8(10);
                out.put_u64(ask.0);
                put_json(&mut out, observed);
            }
            Upcall::Out { reason } => {
                out.put_u8(4);
                out.put_text(reason);
            }
            Upcall::Role(role) => {
                out.put_u8(5);
                out.put_u8(role.master.map_or(u8::MAX, llt::NodeId::get));
                out.put_u128(role.members.bits());
                out.put_u128(role.joiners.bits());
                out.put_u8(u8::from(role.is_member));
                out.put_u64(role.reconfig);
                out.put_u8(u8::from(role.is_suspended));
            }
            Upcall::Staged => out.put_u8(6),
            Upcall::Tasks(tasks) => {
                out.put_u8(9);
                out.put_list(tasks, put_task);
            }
            Upcall::GivenUp { group } => {
                out.put_u8(8);
                out.put_unique_id(group);
            }
            Upcall::Tables(view) => {
                out.put_u8(7);
                put_tables(&mut out, view, &self.told);
                self.told = images_of(view);
            }
        }
        out.freeze()
    }
}

impl UpcallReader {
    /// The next upcall.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(&mut self, bytes: Bytes) -> Result<Upcall, Malformed> {
        let mut reader = Reader::new(bytes);
        let upcall = match reader.u8("an upcall")? {
            0 => Upcall::Activated {
                group: reader.unique_id()?,
                mode: read_mode(&mut reader)?,
                refused: read_refused(&mut reader)?,
            },
            1 => Upcall::Decided {
                id: reader.txn_id()?,
                request: reader.request_id()?,
                outcome: match reader.flag("an outcome")? {
                    true => Decision::Committed,
                    false => Decision::Abandoned,
                },
                fault: match reader.flag("whether something went wrong")? {
                    true => Some((reader.node()?, reader.text("what went wrong")?)),
                    false => None,
                },
            },
            2 => Upcall::Joining {
                announce: match reader.u8("an announcement")? {
                    super::v::ANNOUNCE => read_announce(&mut reader)?,
                    _ => return Reader::wrong("an announcement"),
                },
            },
            3 => Upcall::Loaded {
                id: reader.txn_id()?,
                refused: {
                    let is_refused = reader.flag("whether it is refused")?;
                    Some(reader.text("why it is refused")?).filter(|_| is_refused)
                },
            },
            4 => Upcall::Out { reason: reader.text("a reason")? },
            5 => Upcall::Role(Role {
                master: llt::NodeId::new(reader.u8("the master")?),
                members: NodeSet::from_bits(reader.u128("members")?),
                joiners: NodeSet::from_bits(reader.u128("joiners")?),
                is_member: reader.flag("whether it is a member")?,
                reconfig: reader.counter("a reconfiguration")?,
                is_suspended: reader.flag("whether I/O stands still")?,
            }),
            6 => Upcall::Staged,
            10 => {
                let ask = ObserveNumber(reader.u64("the number of a question")?);
                Upcall::Observed(ask, read_json(&mut reader, "what volumes have done")?)
            }
            9 => Upcall::Tasks(reader.list("tasks", read_task)?),
            8 => Upcall::GivenUp { group: reader.unique_id()? },
            7 => {
                let view = read_tables(&mut reader, &self.told)?;
                self.told = images_of(&view);
                Upcall::Tables(view)
            }
            _ => return Reader::wrong("an upcall that this version knows"),
        };
        reader.end(upcall)
    }
}

/// What both sides know after it.
fn images_of(view: &TablesView) -> Told {
    view.tables.iter().map(|(id, table)| (id.clone(), Arc::clone(&table.image))).collect()
}

fn put_tables(out: &mut BytesMut, view: &TablesView, told: &Told) {
    let tables: Vec<(&UniqueId, &TableView)> = view.tables.iter().collect();
    out.put_list(&tables, |out, (id, table)| {
        put_told(out, id, &table.image, told);
        put_tenures(out, &table.tenures);
        let failed: Vec<_> = table.failed.iter().cloned().collect();
        out.put_list(&failed, |out, disk| out.put_unique_id(disk));
        out.put_stamp(table.next);
    });
    out.put_list(&view.disabled, |out, image| put_image(out, image));
    out.put_list(&view.repairing, |out, group| out.put_unique_id(group));
    let over: Vec<_> = view.over.iter().collect();
    out.put_list(&over, |out, (id, stamp)| {
        out.put_unique_id(id);
        out.put_stamp(**stamp);
    });
    out.put_list(&view.busy, put_busy);
    out.put_list(&view.modes, |out, (group, node, mode)| {
        out.put_unique_id(group);
        out.put_u8(node.get());
        out.put_text(mode.short());
    });
}

fn read_tables(reader: &mut Reader, told: &Told) -> Result<TablesView, Malformed> {
    let table = |reader: &mut Reader| {
        let image = read_told(reader, told)?;
        let tenures = read_tenures(reader)?.into_iter().collect();
        let failed = reader.list("disks", Reader::unique_id)?.into_iter().collect();
        let next = reader.stamp()?;
        let id = image.group.id.clone();
        Ok((id, TableView { image, tenures, failed, next }))
    };
    let over = |reader: &mut Reader| Ok((reader.unique_id()?, reader.stamp()?));
    let tables: BTreeMap<_, _> = reader.list("groups", table)?.into_iter().collect();
    let disabled = reader.list("groups", read_image)?.into_iter().map(Arc::new).collect();
    Ok(TablesView {
        tables,
        disabled,
        repairing: reader.list("groups", Reader::unique_id)?,
        over: reader.list("groups", over)?.into_iter().collect(),
        busy: reader.list("busy slots", read_busy)?,
        modes: reader.list("modes", |reader| {
            Ok((reader.unique_id()?, reader.node()?, read_mode(reader)?))
        })?,
    })
}

/// What nothing but listings depends on travels as they show it.
fn put_json(out: &mut BytesMut, value: &impl Serialize) {
    let json = serde_json::to_vec(value);
    debug_assert!(json.is_ok(), "keys are texts");
    out.put_blob(&json.unwrap_or_default());
}

fn read_json<T: DeserializeOwned>(reader: &mut Reader, what: &'static str) -> Result<T, Malformed> {
    let json = reader.bytes(what)?;
    serde_json::from_slice(&json).or_else(|_| Reader::wrong(what))
}

fn put_task(out: &mut BytesMut, task: &Task) {
    let Task { group, volume, plexes, is_whole, source, at, len, pace } = task;
    out.put_unique_id(group);
    out.put_text(volume.as_str());
    out.put_list(plexes, |out, plex| out.put_text(plex.as_str()));
    out.put_u8(u8::from(*is_whole));
    out.put_list(source.as_slice(), |out, source| out.put_text(source.as_str()));
    [*at, *len].into_iter().for_each(|sectors| out.put_u64(sectors));
    put_pace(out, *pace);
}

fn read_task(reader: &mut Reader) -> Result<Task, Malformed> {
    Ok(Task {
        group: reader.unique_id()?,
        volume: reader.name()?,
        plexes: reader.list("plexes", Reader::name)?,
        is_whole: reader.flag("whether all copies are meant")?,
        source: reader.list("volumes", Reader::name)?.pop(),
        at: reader.u64("how far it is")?,
        len: reader.u64("how long it is")?,
        pace: read_pace(reader)?,
    })
}

fn put_refused(out: &mut BytesMut, refused: Option<&ModeRefused>) {
    match refused {
        None => out.put_u8(0),
        Some(ModeRefused::Conflict { node, mode }) => {
            out.put_slice(&[1, node.get()]);
            out.put_text(mode.short());
        }
        Some(ModeRefused::NotOff(mode)) => {
            out.put_u8(2);
            out.put_text(mode.short());
        }
        Some(ModeRefused::InUse) => out.put_u8(3),
        Some(ModeRefused::NoGroup) => out.put_u8(4),
    }
}

fn read_refused(reader: &mut Reader) -> Result<Option<ModeRefused>, Malformed> {
    Ok(Some(match reader.u8("why a mode is refused")? {
        0 => return Ok(None),
        1 => ModeRefused::Conflict { node: reader.node()?, mode: read_mode(reader)? },
        2 => ModeRefused::NotOff(read_mode(reader)?),
        3 => ModeRefused::InUse,
        4 => ModeRefused::NoGroup,
        _ => return Reader::wrong("why a mode is refused"),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use llt::{Id, Incarnation, NodeId};

    use super::*;
    use crate::core::iod::{Pace, Tenures};
    use crate::core::txn::TxnId;
    use crate::core::wire::w::{Base, Precheck};
    use crate::disk::{CopyList, Image, Outcome, Outcomes, RequestId, Slot};
    use crate::model::change::Change;
    use crate::model::sample;
    use crate::model::{Epoch, Group, Name, Stamp, Tid};
    use crate::stats::{Observe, Observed, Traced};

    fn id_of_node() -> NodeId {
        NodeId::new(3).unwrap()
    }

    fn id() -> Id {
        Id { node: id_of_node(), incarnation: Incarnation(77) }
    }

    fn image(tid: u64, group: Group) -> Arc<Image> {
        let request = RequestId { origin: id(), number: tid };
        let outcome = Outcome { request, decision: Decision::Abandoned, tid: Tid(tid) };
        let copies = CopyList::default().assign(&group, &BTreeSet::new());
        Arc::new(Image {
            slot: Slot::ALL[1],
            stamp: Stamp { epoch: Epoch(2), tid: Tid(tid) },
            writer: id(),
            claiming: tid == 1,
            outcomes: Outcomes::from_iter([outcome]),
            earlier: vec![copies.only_active()],
            copies,
            group: Arc::new(group),
        })
    }

    fn view(images: &[Arc<Image>]) -> Upcall {
        let table = |image: &Arc<Image>| {
            let disks = image.group.disks.values().filter_map(|dm| dm.disk.clone());
            let disks: Vec<UniqueId> = disks.collect();
            let view = TableView {
                image: Arc::clone(image),
                tenures: disks.iter().cloned().map(|disk| (disk, 4)).collect(),
                failed: disks.into_iter().take(1).collect(),
                next: Stamp { epoch: Epoch(2), tid: Tid(9) },
            };
            (image.group.id.clone(), view)
        };
        let tables = images.iter().map(table).collect();
        Upcall::Tables(TablesView { tables, ..TablesView::default() })
    }

    /// Three groups' worth of upcalls: made, the same again, changed, and gone.
    fn upcalls() -> Vec<Upcall> {
        let first = image(1, sample::group());
        let mut changed = sample::group();
        changed.volumes.clear();
        changed.fail_policy = crate::model::FailPolicy::Leave;
        let second = image(2, changed);
        vec![
            view(&[]),
            view(&[Arc::clone(&first)]),
            view(&[first]),
            view(&[Arc::clone(&second)]),
            view(&[]),
            view(&[second]),
        ]
    }

    #[test]
    fn tables_are_read_back_however_they_differ_from_those_before() {
        let (mut writer, mut reader) = (UpcallWriter::default(), UpcallReader::default());
        for (number, upcall) in upcalls().into_iter().enumerate() {
            let bytes = writer.encode(&upcall);
            for len in 0..bytes.len() {
                assert!(
                    reader.clone().decode(bytes.slice(..len)).is_err(),
                    "{number} cut to {len}"
                );
            }
            assert_eq!(reader.decode(bytes), Ok(upcall), "{number}");
        }
    }

    fn commands() -> Vec<Command> {
        let image = image(4, sample::group());
        let (group, stamp) = (image.group.id.clone(), image.stamp);
        let id = TxnId { group: group.clone(), stamp, reconfig: 5 };
        let node = id_of_node();
        let why = "it is full".to_owned();
        let names: Vec<Name> = image.group.volumes.keys().cloned().collect();
        let disks: Vec<UniqueId> =
            image.group.disks.values().filter_map(|dm| dm.disk.clone()).collect();
        let tenures: Tenures = disks.iter().cloned().map(|disk| (disk, 3)).collect();
        let precheck = Precheck {
            id: id.clone(),
            request: RequestId { origin: self::id(), number: 5 },
            base: Base::InForce(stamp),
            change: Change::between(None, &image.group),
            copies: image.copies.iter().map(|(disk, copies)| (disk.clone(), copies)).collect(),
            tenures: tenures.clone(),
            time: 1_283_432_345,
            slot: Slot::ALL[2],
            volumes: names.clone(),
            closed: names,
            disks,
        };
        vec![
            Command::Abandon { id: id.clone(), node, why: why.clone() },
            Command::AbortNode,
            Command::Activate { group: group.clone(), mode: crate::model::Activation::Off },
            Command::Admit { node, groups: vec![(group.clone(), stamp)] },
            Command::Begin { id },
            Command::Drop { group },
            Command::Load(Box::new(precheck)),
            Command::Observe(ObserveNumber(3), Observe::Stats { reset: None }),
            Command::Pace {
                group: UniqueId::new(1, 2, "host"),
                volume: Name::new("vol1").unwrap(),
                pace: Pace { is_paused: true, delay: 20 },
            },
            Command::Prefer(-3),
            Command::Reject { node, reason: why },
            Command::SetMaster { node },
            Command::Stage(vec![(image, tenures)]),
            Command::StartNode,
            Command::StopNode,
        ]
    }

    #[test]
    fn commands_are_read_back_and_nothing_cut_short_is_one() {
        for command in commands() {
            let bytes = encode_command(&command);
            assert_eq!(decode_command(bytes.clone()), Ok(command.clone()));
            for len in 0..bytes.len() {
                assert!(decode_command(bytes.slice(..len)).is_err(), "{command:?} cut to {len}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(decode_command(longer.into()).is_err(), "{command:?} and a byte more");
        }
    }

    #[test]
    fn an_answer_about_volumes_is_read_back() {
        let upcall = Upcall::Observed(ObserveNumber(3), Observed::Traced(Traced::default()));
        let bytes = UpcallWriter::default().encode(&upcall);
        for len in 0..bytes.len() {
            assert!(UpcallReader::default().decode(bytes.slice(..len)).is_err(), "cut to {len}");
        }
        assert_eq!(UpcallReader::default().decode(bytes), Ok(upcall));
    }

    #[test]
    fn what_has_not_changed_is_not_said_again() {
        let mut writer = UpcallWriter::default();
        let lens: Vec<usize> = upcalls().iter().map(|call| writer.encode(call).len()).collect();
        let [_, whole, same, changed, ..] = lens[..] else { panic!("{lens:?}") };
        assert!(same < changed && changed < whole, "{lens:?}");
    }

    #[test]
    fn a_change_of_what_was_never_told_is_refused() {
        let mut writer = UpcallWriter::default();
        let bytes: Vec<Bytes> = upcalls().iter().map(|call| writer.encode(call)).collect();
        assert!(UpcallReader::default().decode(bytes[2].clone()).is_err());
        assert!(UpcallReader::default().decode(bytes[3].clone()).is_err());
    }
}
