//! The bytes that simulated clients send: a number, a length, a checksum and filling.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Names one accepted message in one run; the index into [`History::sent`].
///
/// [`History::sent`]: crate::history::History::sent
pub type Uid = u64;

/// The smallest payload: number, length, checksum.
pub const LEN_MIN: usize = 16;

/// The payload of message `uid`, `len` bytes long (at least [`LEN_MIN`]).
pub fn encode(uid: Uid, len: usize) -> Bytes {
    let len = len.max(LEN_MIN);
    let mut bytes = BytesMut::with_capacity(len);
    bytes.put_u64(uid);
    bytes.put_u32(u32::try_from(len).expect("payloads are at most 64 KiB"));
    bytes.put_u32(0);
    let mut fill = uid.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < len {
        fill ^= fill << 13;
        fill ^= fill >> 7;
        fill ^= fill << 17;
        let chunk = fill.to_be_bytes();
        bytes.put_slice(&chunk[..chunk.len().min(len - bytes.len())]);
    }
    let sum = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&sum.to_be_bytes());
    bytes.freeze()
}

/// The number in a payload, if it arrived whole; else what is wrong with it.
pub fn decode(payload: &[u8]) -> Result<Uid, &'static str> {
    let Some((head, body)) = payload.split_at_checked(LEN_MIN) else {
        return Err("shorter than its own header");
    };
    let uid = Uid::from_be_bytes(head[..8].try_into().expect("8 bytes"));
    let len = u32::from_be_bytes(head[8..12].try_into().expect("4 bytes"));
    let sum = u32::from_be_bytes(head[12..16].try_into().expect("4 bytes"));
    if u32::try_from(payload.len()) != Ok(len) {
        return Err("not as long as it was sent");
    }
    let start = crc32c::crc32c_append(crc32c::crc32c(&head[..12]), &[0; 4]);
    if crc32c::crc32c_append(start, body) != sum {
        return Err("its bytes changed");
    }
    Ok(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_and_damage_shows() {
        for len in [16, 17, 100, 65_536] {
            let bytes = encode(77, len);
            assert_eq!(bytes.len(), len);
            assert_eq!(decode(&bytes), Ok(77));
            let mut damaged = bytes.to_vec();
            damaged[len - 1] ^= 4;
            assert!(decode(&damaged).is_err());
            assert!(decode(&bytes[..len - 1]).is_err());
        }
    }
}
