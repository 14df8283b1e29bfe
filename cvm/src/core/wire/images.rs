//! Configurations between the two daemons of a node: whole once, and then what has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::codec::{Malformed, Put, Reader};
use super::w::{put_copies, read_change, read_copies};
use crate::disk::{CopyList, Decision, DiskCopies, Image, Outcome};
use crate::model::change::Change;
use crate::model::{Tid, UniqueId};

/// What was last told of the groups that are imported. Both sides keep it, and messages between them
/// come in order, so it is the same on both.
pub(super) type Told = BTreeMap<UniqueId, Arc<Image>>;

const SAME: u8 = 0;
const CHANGED: u8 = 1;
const WHOLE: u8 = 2;

/// The configuration of an imported group, as it differs from what was told.
pub(super) fn put_told(out: &mut BytesMut, id: &UniqueId, image: &Arc<Image>, told: &Told) {
    out.put_unique_id(id);
    match told.get(id) {
        Some(last) if Arc::ptr_eq(last, image) => out.put_u8(SAME),
        Some(last) => {
            out.put_u8(CHANGED);
            put_fields(out, image, Some(last));
        }
        None => put_image(out, image),
    }
}

pub(super) fn read_told(reader: &mut Reader, told: &Told) -> Result<Arc<Image>, Malformed> {
    let last = told.get(&reader.unique_id()?);
    let last = || last.ok_or(Malformed { what: "a group that was told of" });
    match reader.u8("whether it has changed")? {
        SAME => last().cloned(),
        CHANGED => read_fields(reader, Some(last()?)).map(Arc::new),
        WHOLE => read_fields(reader, None).map(Arc::new),
        _ => Reader::wrong("whether it has changed"),
    }
}

pub(super) fn put_image(out: &mut BytesMut, image: &Image) {
    out.put_u8(WHOLE);
    put_fields(out, image, None);
}

pub(super) fn read_image(reader: &mut Reader) -> Result<Image, Malformed> {
    match reader.u8("whether it is whole")? {
        WHOLE => read_fields(reader, None),
        _ => Reader::wrong("a whole configuration"),
    }
}

fn put_fields(out: &mut BytesMut, image: &Image, last: Option<&Image>) {
    out.put_slot(image.slot);
    out.put_stamp(image.stamp);
    out.put_id(image.writer);
    out.put_u8(u8::from(image.claiming));
    let outcomes: Vec<&Outcome> = image.outcomes.iter().collect();
    out.put_list(&outcomes, |out, outcome| {
        out.put_request_id(outcome.request);
        out.put_u8(u8::from(outcome.decision == Decision::Committed));
        out.put_u64(outcome.tid.0);
    });
    put_list(out, &image.copies);
    out.put_list(&image.earlier, put_list);
    let change = Change::between(last.map(|last| &*last.group), &image.group);
    out.put_blob(change.as_text().as_bytes());
}

fn read_fields(reader: &mut Reader, last: Option<&Arc<Image>>) -> Result<Image, Malformed> {
    let outcome = |reader: &mut Reader| {
        let request = reader.request_id()?;
        let decision = match reader.flag("an outcome")? {
            true => Decision::Committed,
            false => Decision::Abandoned,
        };
        Ok(Outcome { request, decision, tid: Tid(reader.counter("a transaction id")?) })
    };
    Ok(Image {
        slot: reader.slot()?,
        stamp: reader.stamp()?,
        writer: reader.id()?,
        claiming: reader.flag("whether it is being imported")?,
        outcomes: reader.list("outcomes", outcome)?.into_iter().collect(),
        copies: read_list(reader)?,
        earlier: reader.list("lists of copies", read_list)?,
        group: {
            // Who has it in force, or is about to, has checked it.
            let group = read_change(reader)?.apply_checked(last.map(|last| &*last.group));
            Arc::new(group.or_else(|_| Reader::wrong("a change that fits what was told"))?)
        },
    })
}

fn put_list(out: &mut BytesMut, list: &CopyList) {
    let copies: Vec<(UniqueId, DiskCopies)> =
        list.iter().map(|(disk, copies)| (disk.clone(), copies)).collect();
    put_copies(out, &copies);
}

fn read_list(reader: &mut Reader) -> Result<CopyList, Malformed> {
    Ok(read_copies(reader)?.into_iter().collect())
}
