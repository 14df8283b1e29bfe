//! CRC-32C, of frames and of payloads that travel apart from their order.
//!
//! `crc-fast` takes the widest instructions that the processor has, which for whole payloads is
//! several times as fast as the instruction made for it: a payload is summed at each of its hops.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C (Castagnoli; iSCSI) of the bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The same of two pieces, one after the other.
pub fn crc32c_of(head: &[u8], body: &[u8]) -> u32 {
    let len = head.len() + body.len();
    let mut short = [0; SHORT];
    // For short frames one call is cheaper than a digest.
    if let Some(joined) = short.get_mut(..len) {
        joined[..head.len()].copy_from_slice(head);
        joined[head.len()..].copy_from_slice(body);
        return crc32c(joined);
    }
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(head);
    digest.update(body);
    u32::try_from(digest.finalize()).expect("the algorithm has 32 bits")
}

const SHORT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_that_everybody_has() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283, "the check value of CRC-32C");
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA, "RFC 3720, B.4");
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43, "RFC 3720, B.4");
    }

    #[test]
    fn pieces_sum_to_the_whole_at_any_length() {
        let bytes: Vec<u8> = (0..9000_u32).map(|at| ((at * 7) >> 3).to_le_bytes()[0]).collect();
        for len in (0..600).chain([1024, 4095, 8192, 9000]) {
            for cut in [0, 1, 48, 255, len / 2, len] {
                let cut = cut.min(len);
                let (head, body) = bytes[..len].split_at(cut);
                assert_eq!(crc32c_of(head, body), crc32c(&bytes[..len]), "{len} at {cut}");
            }
        }
    }
}
