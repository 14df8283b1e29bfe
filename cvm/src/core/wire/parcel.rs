//! Messages that are longer than GAB's: cut into parcels, put together again.
//!
//! GAB keeps the order of what one node sends to one destination, so the parcels of a message come one
//! after the other; those of another sender, or of another destination, may come in between.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use llt::NodeId;

/// What fits a message of GAB beside the head.
pub const PARCEL_MAX: usize = gab::limits::MESSAGE_MAX - HEAD;

/// Longest message: an image of the largest copy of a configuration, and room for what is around it.
pub const WHOLE_MAX: usize = 32 << 20;

/// Kind and what is still to come.
const HEAD: usize = 5;

/// How a message was sent: its parcels come in order only among their like.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Way {
    /// To all.
    Broadcast,
    /// To one.
    Direct,
}

/// A parcel that does not fit what came before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a parcel that is none, or does not fit those before it")]
pub struct BadParcel;

/// Cuts a message; at least one parcel. Each begins with how many bytes of the message follow it.
pub fn cut(message: &Bytes) -> impl Iterator<Item = Bytes> + use<> {
    let message = message.clone();
    let count = message.len().div_ceil(PARCEL_MAX).max(1);
    (0..count).map(move |number| {
        let begin = number * PARCEL_MAX;
        let end = message.len().min(begin + PARCEL_MAX);
        let mut parcel = BytesMut::with_capacity(HEAD + end - begin);
        parcel.put_u8(u8::from(begin == 0));
        parcel.put_u32(u32::try_from(message.len() - end).expect("no message is so long"));
        parcel.put_slice(&message[begin..end]);
        parcel.freeze()
    })
}

/// Puts messages together.
#[derive(Clone, Debug, Default)]
pub struct Parcels {
    begun: BTreeMap<(NodeId, Way), (BytesMut, usize)>,
}

impl Parcels {
    /// Takes a parcel; gives the message that it completes.
    ///
    /// # Errors
    /// [`BadParcel`]; what was begun with it is dropped.
    pub fn take(
        &mut self,
        from: NodeId,
        way: Way,
        parcel: &Bytes,
    ) -> Result<Option<Bytes>, BadParcel> {
        let begun = self.begun.remove(&(from, way));
        let (head, body) = parcel.split_at_checked(HEAD).ok_or(BadParcel)?;
        let left = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let left = usize::try_from(left).map_err(|_| BadParcel)?;
        let (mut message, expected) = match (head[0], begun) {
            (1, _) => (BytesMut::new(), body.len() + left),
            (0, Some((message, expected))) => (message, expected),
            _ => return Err(BadParcel),
        };
        if message.len() + body.len() + left != expected || expected > WHOLE_MAX {
            return Err(BadParcel);
        }
        message.extend_from_slice(body);
        if left == 0 {
            return Ok(Some(message.freeze()));
        }
        self.begun.insert((from, way), (message, expected));
        Ok(None)
    }

    /// A node is gone: what it had begun comes to nothing.
    pub fn forget(&mut self, node: NodeId) {
        self.begun.retain(|(from, _), _| *from != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::new(number).unwrap()
    }

    #[test]
    fn messages_of_any_length_arrive_whole_and_beside_each_other() {
        let mut parcels = Parcels::default();
        for len in [0, 1, PARCEL_MAX, PARCEL_MAX + 1, 3 * PARCEL_MAX, 200_000] {
            let message = Bytes::from(vec![7; len]);
            let short = Bytes::from_static(b"short");
            let mut came = None;
            for parcel in cut(&message) {
                assert!(came.is_none());
                came = parcels.take(node(1), Way::Broadcast, &parcel).unwrap();
                let other = cut(&short).next().unwrap();
                assert_eq!(parcels.take(node(1), Way::Direct, &other), Ok(Some(short.clone())));
            }
            assert_eq!(came, Some(message));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_forgotten() {
        let mut parcels = Parcels::default();
        let long: Vec<Bytes> = cut(&Bytes::from(vec![7; 200_000])).collect();
        assert_eq!(parcels.take(node(1), Way::Direct, &long[1]), Err(BadParcel), "no beginning");
        assert_eq!(parcels.take(node(1), Way::Direct, &long[0]), Ok(None));
        assert_eq!(parcels.take(node(1), Way::Direct, &long[2]), Err(BadParcel), "one is missing");
        assert_eq!(parcels.take(node(1), Way::Direct, &long[1]), Err(BadParcel), "it is forgotten");
        assert_eq!(parcels.take(node(1), Way::Direct, &Bytes::from_static(b"x")), Err(BadParcel));
        let huge = Bytes::from_static(&[1, 0xff, 0xff, 0xff, 0xff, 0]);
        assert_eq!(parcels.take(node(1), Way::Direct, &huge), Err(BadParcel));
    }
}
