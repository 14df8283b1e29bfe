//! From blocks to an image.

use std::collections::BTreeSet;
use std::sync::Arc;

use llt::Id;

use super::{
    CLAIMING, COPY, EARLIER_MAX, FIRST, HEAD, Head, Image, ImageError, OTHER, OUTCOME, STAMP,
    blocks_for,
};
use crate::disk::block::{BLOCK, BlockKind, open};
use crate::disk::codec::{FormatError, Reader};
use crate::disk::copies::{CopyKind, CopyList, CopyState, DiskCopies};
use crate::disk::outcome::{Decision, OUTCOMES_MAX, Outcome, Outcomes, RequestId};
use crate::disk::slot::Slot;
use crate::model::limits::DISKS_MAX;
use crate::model::{Group, Tid, UniqueId, check, text};

impl Head {
    /// From the first block of a slot; what follows it is not looked at.
    pub fn decode(slot: Slot, bytes: &[u8]) -> Result<Self, ImageError> {
        read_first(slot, bytes).map(|(head, _)| head)
    }

    /// Bytes of the whole image, from the beginning of the slot.
    pub const fn byte_len(&self) -> usize {
        self.blocks as usize * BLOCK
    }

    fn lists(&self) -> usize {
        self.outcomes * OUTCOME + self.copies * COPY
    }

    fn stream(&self) -> usize {
        self.lists() + self.text
    }
}

impl Image {
    /// The image at the beginning of a slot, checked in every way: each block, that all are of one
    /// image, the records, and that they go together. What follows it is not looked at.
    pub fn decode(slot: Slot, bytes: &[u8]) -> Result<Self, ImageError> {
        let (head, first) = read_first(slot, bytes)?;
        let stream = read_stream(slot, &head, first, bytes)?;
        if crc32c::crc32c(&stream) != head.sum {
            return Err(ImageError::Field("the checksum of all blocks"));
        }
        let mut reader = Reader::new(&stream);
        let outcomes = read_outcomes(&mut reader, head.outcomes)?;
        let mut lists = read_lists(&mut reader, head.copies)?.into_iter();
        let copies = lists.next().ok_or(ImageError::Field("an active configuration copy"))?;
        let text = std::str::from_utf8(reader.bytes(head.text)?)
            .map_err(|_| ImageError::Field("a text in UTF-8"))?;
        reader.end()?;
        let group = Arc::new(read_text(text)?);
        if group.id != head.group {
            return Err(ImageError::Field("the group that its head names"));
        }
        let members: BTreeSet<_> = group.disks.values().filter_map(|dm| dm.disk.as_ref()).collect();
        if !copies.iter().all(|(disk, _)| members.contains(disk)) {
            return Err(ImageError::Field("copies on disks of the group"));
        }
        let Head { stamp, writer, claiming, .. } = head;
        let earlier = lists.collect();
        Ok(Self { slot, stamp, writer, claiming, outcomes, copies, earlier, group })
    }
}

/// The head, and what follows it in the first block.
fn read_first(slot: Slot, bytes: &[u8]) -> Result<(Head, &[u8]), ImageError> {
    let block = bytes.get(..BLOCK).unwrap_or(bytes);
    let mut reader =
        Reader::new(open(BlockKind::Image, slot.place(0), block).map_err(FormatError::from)?);
    let stamp = reader.stamp()?;
    let node = reader.node()?;
    let claiming = match reader.u8()? {
        0 => false,
        CLAIMING => true,
        _ => return Err(ImageError::Field("a flag that has a meaning")),
    };
    let (outcomes, copies) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
    if outcomes > OUTCOMES_MAX || copies > COPIES_MAX {
        return Err(ImageError::Field("lists that are not too long"));
    }
    reader.zeros(2)?;
    let writer = Id { node, incarnation: reader.incarnation()? };
    let (text, sum) = (reader.u32()?, reader.u32()?);
    let text = usize::try_from(text).map_err(|_| ImageError::Field("a text that fits memory"))?;
    let group = reader.unique_id()?;
    let mut head = Head { group, stamp, writer, blocks: 0, claiming, outcomes, copies, text, sum };
    head.blocks = u32::try_from(blocks_for(head.stream()))
        .map_err(|_| ImageError::Field("a text that is not too long"))?;
    let first = reader.bytes(head.stream().min(FIRST))?;
    reader.end()?;
    Ok((head, first))
}

/// What the blocks hold together, without their stamps and the head.
fn read_stream(slot: Slot, head: &Head, first: &[u8], bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let short = || ImageError::Short { blocks: head.blocks, read: bytes.len() };
    let whole = bytes.get(..head.byte_len()).ok_or_else(short)?;
    // Not longer than what was read: nothing is believed of a length before it is there.
    let mut stream = Vec::with_capacity(head.stream());
    stream.extend_from_slice(first);
    for (number, block) in (1..).zip(whole.chunks_exact(BLOCK).skip(1)) {
        let payload = open(BlockKind::Image, slot.place(number), block)
            .map_err(|error| ImageError::Block { number, error })?;
        let mut reader = Reader::new(payload);
        if reader.stamp()? != head.stamp {
            return Err(ImageError::Mixed { number });
        }
        let left = head.stream() - stream.len();
        stream.extend_from_slice(reader.bytes(left.min(OTHER))?);
        reader.end()?;
    }
    Ok(stream)
}

fn read_outcomes(reader: &mut Reader<'_>, count: usize) -> Result<Outcomes, ImageError> {
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let node = reader.node()?;
        let decision = match reader.u8()? {
            0 => Decision::Abandoned,
            1 => Decision::Committed,
            _ => return Err(ImageError::Field("a request is committed or abandoned")),
        };
        let origin = Id { node, incarnation: reader.incarnation()? };
        let request = RequestId { origin, number: reader.u64()? };
        list.push(Outcome { request, decision, tid: Tid(reader.u64()?) });
    }
    let outcomes: Outcomes = list.iter().copied().collect();
    if outcomes.iter().eq(&list) {
        Ok(outcomes)
    } else {
        Err(ImageError::Field("one outcome of each request"))
    }
}

/// The lists of copies: the image's own, and the earlier ones.
fn read_lists(reader: &mut Reader<'_>, count: usize) -> Result<Vec<CopyList>, ImageError> {
    let mut entries: Vec<(u8, UniqueId, DiskCopies)> = Vec::with_capacity(count);
    for _ in 0..count {
        let (disk, list) = (reader.unique_id()?, reader.u8()?);
        let copies = DiskCopies { config: read_state(reader)?, log: read_state(reader)? };
        if copies == DiskCopies::default() {
            return Err(ImageError::Field("a disk with copies has some"));
        }
        if entries.last().is_some_and(|(last, id, _)| (*last, id) >= (list, &disk)) {
            return Err(ImageError::Field("each disk with copies once, in order"));
        }
        entries.push((list, disk, copies));
    }
    let mut lists = Vec::new();
    for chunk in entries.chunk_by(|(first, ..), (second, ..)| first == second) {
        let list: CopyList = chunk.iter().map(|(_, id, copies)| (id.clone(), *copies)).collect();
        let expected =
            chunk.first().is_some_and(|(number, ..)| usize::from(*number) == lists.len());
        if !expected || lists.len() > EARLIER_MAX {
            return Err(ImageError::Field("lists of copies one after the other"));
        }
        if list.active(CopyKind::Config).next().is_none() {
            return Err(ImageError::Field("an active configuration copy"));
        }
        lists.push(list);
    }
    Ok(lists)
}

fn read_state(reader: &mut Reader<'_>) -> Result<Option<CopyState>, ImageError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(CopyState::Active)),
        2 => Ok(Some(CopyState::Failed)),
        _ => Err(ImageError::Field("a copy is active or failed")),
    }
}

fn read_text(text: &str) -> Result<Group, ImageError> {
    let group = text::read_group(text)?;
    check(&group)?;
    // A record that is there twice would be read as one.
    if text::write_group(&group) == text {
        Ok(group)
    } else {
        Err(ImageError::Field("records as they are written, each once"))
    }
}

/// Disks in all lists of an image.
const COPIES_MAX: usize = DISKS_MAX * (1 + EARLIER_MAX);

const _: () = assert!(STAMP + HEAD + FIRST == crate::disk::block::PAYLOAD_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    /// A head may say whatever it likes: the rest is asked for before anything is believed.
    #[test]
    fn the_length_of_an_image_follows_from_its_head() {
        assert_eq!(blocks_for(0), 1);
        assert_eq!(blocks_for(FIRST), 1);
        assert_eq!(blocks_for(FIRST + 1), 2);
        assert_eq!(blocks_for(FIRST + OTHER), 2);
        assert_eq!(blocks_for(FIRST + OTHER + 1), 3);
        let longest = u32::MAX as usize + OUTCOMES_MAX * OUTCOME + COPIES_MAX * COPY;
        assert!(u32::try_from(blocks_for(longest)).is_ok());
    }
}
