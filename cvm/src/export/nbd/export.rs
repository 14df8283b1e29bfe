//! What is exported, as a client gets to know it.

use super::reply::Replies;
use super::request::PAYLOAD_MAX;

/// A volume as it is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    /// Its name, at most 4096 bytes: the one that it is listed under.
    pub name: String,
    /// Something for people to read, at most 4096 bytes; may be empty.
    pub description: String,
    /// Its length in bytes, a multiple of `min_block`.
    pub size: u64,
    /// It cannot be written.
    pub read_only: bool,
    /// Requests begin and end at multiples of it, in bytes: a power of 2, at most 64 KiB.
    pub min_block: u32,
    /// Requests of multiples of it are best, in bytes: a power of 2, at least `min_block` and 512.
    pub preferred_block: u32,
    /// The longest read or write, in bytes: at least `preferred_block` and 64 KiB, at most
    /// [`PAYLOAD_MAX`].
    pub max_block: u32,
}

/// Why a client does not get an export; the text is for people, and it is told to them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It is there, and may not be opened.
    Policy(String),
    /// It is not there.
    Unknown(String),
}

impl Export {
    /// What a client is told to be possible, which depends on the replies that it understands.
    pub const fn transmission_flags(&self, replies: Replies) -> u16 {
        let access = if self.read_only { READ_ONLY } else { SEND_TRIM | SEND_WRITE_ZEROES };
        // "Transmission flags": without structured replies it must not be set. With them it costs
        // nothing, as no read is answered in several pieces.
        let unbroken = match replies {
            Replies::Simple => 0,
            Replies::Structured => SEND_DF,
        };
        HAS_FLAGS | SEND_FLUSH | SEND_FUA | CAN_MULTI_CONN | access | unbroken
    }

    /// Its sizes are what the fields say ("Size constraints"). No other export may be granted.
    pub const fn is_sound(&self) -> bool {
        self.min_block.is_power_of_two()
            && self.min_block <= MIN_BLOCK_MAX
            && self.size.is_multiple_of(self.min_block as u64)
            && self.preferred_block.is_power_of_two()
            && self.preferred_block >= self.min_block
            && self.preferred_block >= PREFERRED_BLOCK_MIN
            && self.max_block >= self.preferred_block
            && self.max_block >= UNBROKEN_MIN
            && self.max_block <= PAYLOAD_MAX
    }
}

const HAS_FLAGS: u16 = 1;
const READ_ONLY: u16 = 1 << 1;
const SEND_FLUSH: u16 = 1 << 2;
const SEND_FUA: u16 = 1 << 3;
const SEND_TRIM: u16 = 1 << 5;
const SEND_WRITE_ZEROES: u16 = 1 << 6;
const SEND_DF: u16 = 1 << 7;
const CAN_MULTI_CONN: u16 = 1 << 8;

/// In bytes.
const MIN_BLOCK_MAX: u32 = 64 << 10;
/// In bytes.
const PREFERRED_BLOCK_MIN: u32 = 512;
/// "Request types", READ: what must be read in one piece if a client wants it so, in bytes.
const UNBROKEN_MIN: u32 = 64 << 10;
