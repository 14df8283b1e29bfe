//! Packets in parts: what was cut for a link that takes long frames and has to go over one that
//! does not. A packet keeps its number; each part says where in the packet it belongs.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::wire::Data;

/// The parts of a packet that fit `len` bytes of payload each, in order.
pub(super) fn split(data: &Data, len: usize) -> impl Iterator<Item = Data> {
    let count = data.payload.len().div_ceil(len);
    (0..count).map(move |index| {
        let (start, end) = (index * len, data.payload.len().min((index + 1) * len));
        Data {
            offset: u16::try_from(start).expect("a packet fits a frame, which has a 16-bit length"),
            more: end < data.payload.len(),
            payload: data.payload.slice(start..end),
            ..data.clone()
        }
    })
}

/// Packets of which parts are missing; bounded by the window and `PARTS_MAX`.
#[derive(Debug, Default)]
pub(super) struct Parts {
    packets: BTreeMap<u64, Partial>,
}

#[derive(Debug, Default)]
struct Partial {
    pieces: BTreeMap<usize, Bytes>,
    /// Where the packet ends, once its last part is here.
    end: Option<usize>,
}

/// Parts of one packet: the longest frame cut for the shortest takes fewer, and one that is cut
/// anew for another link begins elsewhere.
const PARTS_MAX: usize = 256;

impl Parts {
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Takes a part; gives the packet if that makes it whole.
    pub(super) fn add(&mut self, part: Data) -> Option<Data> {
        let packet = self.packets.entry(part.number).or_default();
        let start = usize::from(part.offset);
        if !part.more {
            packet.end = Some(start + part.payload.len());
        }
        if packet.pieces.len() < PARTS_MAX {
            let piece = packet.pieces.entry(start).or_default();
            if piece.len() < part.payload.len() {
                *piece = part.payload.clone();
            }
        }
        let payload = packet.whole()?;
        self.packets.remove(&part.number);
        Some(Data { offset: 0, more: false, payload, ..part })
    }

    /// Everything up to `number` has arrived.
    pub(super) fn forget_up_to(&mut self, number: u64) {
        if !self.packets.is_empty() {
            self.packets = self.packets.split_off(&(number + 1));
        }
    }
}

impl Partial {
    fn whole(&self) -> Option<Bytes> {
        let end = self.end?;
        if self.pieces.values().map(Bytes::len).sum::<usize>() < end {
            return None;
        }
        let mut bytes = BytesMut::with_capacity(end);
        for (&start, piece) in &self.pieces {
            if start > bytes.len() {
                return None;
            }
            let known = bytes.len() - start;
            if known < piece.len() {
                bytes.extend_from_slice(&piece[known..]);
            }
        }
        (bytes.len() == end).then(|| bytes.freeze())
    }
}
