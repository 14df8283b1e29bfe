//! Questions whether a node is alive, and their answers: what `lltping` sends on LLT port 30 and
//! every gabd answers (protocols.md, precise rule 14). The bytes are ours; `docs/wire.md` draws them.
//!
//! ```text
//!        0       1       2       3       4       5       6       7
//!    +-------+-------+-------+-------+-------+-------+-------+-------+
//!  0 |     "LP"      | kind  | flags |            CRC-32C            |
//!    +-------+-------+-------+-------+-------+-------+-------+-------+
//!  8 |                             token                             |
//!    +-------+-------+-------+-------+-------+-------+-------+-------+
//! 16 |                            number                             |
//!    +-------+-------+-------+-------+-------+-------+-------+-------+
//! 24 | filling ...
//! ```
//!
//! An answer repeats the question but for the kind and the flag that a checksum did not match.
//! Whoever answers keeps nothing and says nothing of itself, so it costs one message per message.

use bytes::{Bytes, BytesMut};

/// Bytes before the filling.
pub const HEADER_LEN: usize = 24;
/// The longest question, header included (facts 1.12).
pub const ECHO_MAX: usize = 16 << 10;

/// A question or an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    /// An answer; else a question.
    pub answer: bool,
    /// It carries a checksum of its filling.
    pub checked: bool,
    /// Answers: the checksum of the question did not match where it arrived.
    pub damaged: bool,
    /// The checksum, or 0.
    pub crc: u32,
    /// Who asks: several may ask over one port.
    pub token: u64,
    /// Which of its questions.
    pub number: u64,
}

/// Why a message on the port is neither a question nor an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EchoError {
    /// The first bytes are not the head of one.
    #[error("not the head of a question or an answer")]
    Head,
    /// Shorter than its head or longer than [`ECHO_MAX`].
    #[error("its {0} bytes are not between {HEADER_LEN} and {ECHO_MAX}")]
    Length(usize),
}

impl Echo {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is none of ours.
    pub fn read(message: &[u8]) -> Result<Self, EchoError> {
        if !(HEADER_LEN..=ECHO_MAX).contains(&message.len()) {
            return Err(EchoError::Length(message.len()));
        }
        let (kind, flags) = (message[2], message[3]);
        let known = flags & !(CHECKED | DAMAGED) == 0 && matches!(kind, QUESTION | ANSWER);
        if message[..2] != MAGIC || !known {
            return Err(EchoError::Head);
        }
        Ok(Self {
            answer: kind == ANSWER,
            checked: flags & CHECKED != 0,
            damaged: flags & DAMAGED != 0,
            crc: u32::from_be_bytes(array(&message[4..8])),
            token: u64::from_be_bytes(array(&message[8..16])),
            number: u64::from_be_bytes(array(&message[16..24])),
        })
    }

    /// Is the filling of this message the one that the checksum is of? Yes if it has none.
    pub fn is_whole(&self, message: &[u8]) -> bool {
        !self.checked
            || message.get(HEADER_LEN..).is_some_and(|rest| llt::crc::crc32c(rest) == self.crc)
    }
}

/// A question of `len` bytes in all, brought between [`HEADER_LEN`] and [`ECHO_MAX`]. The filling
/// depends on the number, so that no two look the same.
pub fn question(token: u64, number: u64, len: usize, checked: bool) -> Bytes {
    let len = len.clamp(HEADER_LEN, ECHO_MAX);
    let mut message = BytesMut::zeroed(len);
    for (at, byte) in (0u64..).zip(&mut message[HEADER_LEN..]) {
        *byte = number.wrapping_add(at).to_be_bytes()[7];
    }
    let crc = if checked { llt::crc::crc32c(&message[HEADER_LEN..]) } else { 0 };
    message[..2].copy_from_slice(&MAGIC);
    message[2] = QUESTION;
    message[3] = if checked { CHECKED } else { 0 };
    message[4..8].copy_from_slice(&crc.to_be_bytes());
    message[8..16].copy_from_slice(&token.to_be_bytes());
    message[16..24].copy_from_slice(&number.to_be_bytes());
    message.freeze()
}

/// The answer to a message; `None` if it is no question.
pub fn answer(message: &[u8]) -> Option<Bytes> {
    let echo = Echo::read(message).ok().filter(|echo| !echo.answer)?;
    let mut answer = BytesMut::from(message);
    answer[2] = ANSWER;
    if !echo.is_whole(message) {
        answer[3] |= DAMAGED;
    }
    Some(answer.freeze())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts as many bytes as the number has")
}

const MAGIC: [u8; 2] = *b"LP";
const QUESTION: u8 = 1;
const ANSWER: u8 = 2;
const CHECKED: u8 = 0b01;
const DAMAGED: u8 = 0b10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_has_these_bytes() {
        let bytes = question(0x0102, 7, 27, true);
        let crc = llt::crc::crc32c(&[7, 8, 9]).to_be_bytes();
        let mut expected = vec![b'L', b'P', 1, 1];
        expected.extend(crc);
        expected.extend([0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 7, 8, 9]);
        assert_eq!(bytes[..], expected[..]);
    }

    #[test]
    fn an_answer_repeats_its_question() {
        let asked = question(5, 9, 128, true);
        let told = answer(&asked).unwrap();
        assert_eq!((told.len(), told[2]), (128, 2));
        assert_eq!((&told[..2], &told[3..]), (&asked[..2], &asked[3..]));
        let echo = Echo::read(&told).unwrap();
        assert!(echo.answer && echo.is_whole(&told) && !echo.damaged);
        assert_eq!((echo.token, echo.number), (5, 9));
        assert_eq!(answer(&told), None, "an answer is not answered");
    }

    #[test]
    fn a_damaged_question_is_answered_as_such() {
        let mut asked = question(5, 9, 128, true).to_vec();
        asked[100] ^= 1;
        let told = answer(&asked).unwrap();
        assert!(Echo::read(&told).unwrap().damaged);
        let mut asked = question(5, 9, 128, false).to_vec();
        asked[100] ^= 1;
        assert!(!Echo::read(&answer(&asked).unwrap()).unwrap().damaged, "nobody asked to look");
    }

    #[test]
    fn what_is_too_long_or_too_short_is_not_answered() {
        assert_eq!(question(1, 1, 0, false).len(), HEADER_LEN);
        assert_eq!(question(1, 1, usize::MAX, false).len(), ECHO_MAX);
        let mut long = question(1, 1, ECHO_MAX, false).to_vec();
        assert!(answer(&long).is_some());
        long.push(0);
        assert_eq!(answer(&long), None);
        assert_eq!(answer(&long[..23]), None);
        assert_eq!(Echo::read(&long[..3]), Err(EchoError::Length(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(told) = answer(&bytes) {
                prop_assert_eq!(told.len(), bytes.len());
            }
        }
    }
}
