//! From an image to its blocks.

use bytes::BufMut;

use super::{CLAIMING, EARLIER_MAX, FIRST, HEAD, Image, ImageError, OTHER, STAMP, blocks_for};
use crate::disk::block::{BLOCK, BlockKind, PAYLOAD_MAX, seal};
use crate::disk::codec::{Put, check_counters};
use crate::disk::copies::CopyState;
use crate::disk::outcome::Decision;
use crate::model::text;

impl Image {
    /// Its blocks, for a slot of `room` of them: the shortest of all disks that hold a copy.
    ///
    /// What comes of it was read back: a configuration that nobody can read is not written.
    pub fn encode(&self, room: u32) -> Result<Vec<u8>, ImageError> {
        let mut stream = self.before_text()?;
        let text = text::write_group(&self.group);
        stream.extend_from_slice(text.as_bytes());
        let blocks = u32::try_from(blocks_for(stream.len())).unwrap_or(u32::MAX);
        if blocks > room {
            return Err(ImageError::NoSpace { blocks, room });
        }
        let head = self.head(text.len(), &stream)?;
        let bytes = self.blocks(&head, &stream);
        if Self::decode(self.slot, &bytes)? == *self {
            Ok(bytes)
        } else {
            Err(ImageError::Field("a configuration that reads as it was written"))
        }
    }

    /// What is before the text of the configuration.
    fn before_text(&self) -> Result<Vec<u8>, ImageError> {
        let mut lists = Vec::new();
        for outcome in self.outcomes.iter() {
            let request = outcome.request;
            lists.put_u8(request.origin.node.get());
            lists.put_u8(match outcome.decision {
                Decision::Abandoned => 0,
                Decision::Committed => 1,
            });
            lists.put_u64_le(request.origin.incarnation.0);
            lists.put_u64_le(request.number);
            lists.put_u64_le(outcome.tid.0);
        }
        if self.earlier.len() > EARLIER_MAX {
            return Err(ImageError::Field("not more than seven earlier lists of copies"));
        }
        for (number, list) in (0..).zip(self.lists()) {
            for (disk, copies) in list.iter() {
                lists.put_unique_id(disk);
                lists.put_u8(number);
                for state in [copies.config, copies.log] {
                    lists.put_u8(match state {
                        None => 0,
                        Some(CopyState::Active) => 1,
                        Some(CopyState::Failed) => 2,
                    });
                }
            }
        }
        Ok(lists)
    }

    fn head(&self, text_len: usize, stream: &[u8]) -> Result<Vec<u8>, ImageError> {
        check_counters(&[self.stamp.epoch.0, self.stamp.tid.0])?;
        let short = |len: usize| {
            u16::try_from(len).map_err(|_| ImageError::Field("a list that is not too long"))
        };
        let text_len = u32::try_from(text_len)
            .map_err(|_| ImageError::Field("a configuration that is not too long"))?;
        let mut head = Vec::with_capacity(HEAD);
        head.put_u8(self.writer.node.get());
        head.put_u8(if self.claiming { CLAIMING } else { 0 });
        head.put_u16_le(short(self.outcomes.iter().len())?);
        head.put_u16_le(short(self.lists().map(|list| list.iter().len()).sum())?);
        head.put_u16_le(0);
        head.put_u64_le(self.writer.incarnation.0);
        head.put_u32_le(text_len);
        head.put_u32_le(crc32c::crc32c(stream));
        head.put_unique_id(&self.group.id);
        Ok(head)
    }

    fn blocks(&self, head: &[u8], stream: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(blocks_for(stream.len()) * BLOCK);
        let (mut chunk, mut rest) = stream.split_at(stream.len().min(FIRST));
        let mut payload = Vec::with_capacity(PAYLOAD_MAX);
        for number in 0.. {
            payload.clear();
            payload.put_stamp(self.stamp);
            debug_assert_eq!(payload.len(), STAMP);
            if number == 0 {
                payload.extend_from_slice(head);
            }
            payload.extend_from_slice(chunk);
            bytes.extend(seal(BlockKind::Image, self.slot.place(number), &payload));
            if rest.is_empty() {
                break;
            }
            (chunk, rest) = rest.split_at(rest.len().min(OTHER));
        }
        bytes
    }
}
