//! A source of hostile frames, reproducible from a seed.

use bytes::Bytes;
use llt::Id;
use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Malice {
    /// Some bits of a real frame are flipped.
    Corrupted,
    /// The right checksum over fields at the ends of their ranges and a random body.
    Extreme,
    /// The right checksum over a random body.
    Fabricated,
    /// Longer than it says, up to what UDP carries.
    Oversized,
    /// Nothing but noise, some of it behind the right magic number.
    Random,
    /// A real frame once more.
    Replayed,
    /// The head of one real frame and the tail of another, half of them with the right checksum.
    Spliced,
    /// A real frame cut short.
    Truncated,
}

impl Malice {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Corrupted,
        Self::Extreme,
        Self::Fabricated,
        Self::Oversized,
        Self::Random,
        Self::Replayed,
        Self::Spliced,
        Self::Truncated,
    ];
}

/// How far forgery goes. Frames are not authenticated without a key: one that carries the right
/// incarnations, sessions and checksum is not hostile but obeyed, be it a goodbye.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forgery {
    /// Anything, perfect forgeries included. Nobody may panic or grow.
    Any,
    /// What has the right checksum never speaks for a living incarnation. Everything must go on as if nothing
    /// had come.
    Strangers,
}

/// The source.
#[derive(Debug)]
pub struct Frames {
    rng: Xoshiro256PlusPlus,
    forgery: Forgery,
    /// Real frames, as they were on a wire.
    samples: Vec<Bytes>,
    /// The living incarnations of the cluster.
    living: Vec<Id>,
    frame: Vec<u8>,
}

/// Makes what a header says about the rest of the frame right. False if there is no header.
pub(super) fn set_length_and_checksum(frame: &mut [u8]) -> bool {
    let Some(body) = frame.len().checked_sub(HEADER_LEN) else { return false };
    let body = u16::try_from(body).unwrap_or(u16::MAX);
    frame[BODY_LEN].copy_from_slice(&body.to_be_bytes());
    frame[CRC].fill(0);
    let crc = crc32c::crc32c(frame);
    frame[CRC].copy_from_slice(&crc.to_be_bytes());
    true
}

// Places in the header of a frame (docs/wire.md).
const MAGIC: std::ops::Range<usize> = 0..2;
const CLUSTER: usize = 4;
const KIND: usize = 6;
const FLAGS: usize = 7;
const SRC: usize = 8;
const DST: usize = 9;
const BODY_LEN: std::ops::Range<usize> = 10..12;
const SRC_INCARNATION: std::ops::Range<usize> = 16..24;
const CRC: std::ops::Range<usize> = 44..48;
const HEADER_LEN: usize = llt::limits::HEADER_LEN;
/// All that a header says after its versions and before its checksum.
const FIELDS: std::ops::Range<usize> = 4..44;

impl Frames {
    /// A source over `samples`, of which there must be one at least.
    pub fn new(seed: u64, forgery: Forgery, samples: Vec<Bytes>, living: Vec<Id>) -> Self {
        assert!(!samples.is_empty(), "there is nothing to imitate");
        assert!(samples.iter().all(|sample| sample.len() >= HEADER_LEN), "a sample is no frame");
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { rng, forgery, samples, living, frame: Vec::new() }
    }

    /// Adds a real frame; the oldest make room.
    pub fn learn(&mut self, sample: Bytes) {
        const SAMPLES_MAX: usize = 4096;
        if sample.len() < HEADER_LEN {
            return;
        }
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(sample);
        } else {
            let place = self.below(SAMPLES_MAX);
            self.samples[place] = sample;
        }
    }

    /// The next frame, and what is wrong with it.
    pub fn next_frame(&mut self) -> (Malice, &[u8]) {
        let malice = Malice::ALL[self.below(Malice::ALL.len())];
        self.take_sample();
        match malice {
            Malice::Corrupted => self.corrupt(),
            Malice::Extreme => self.extreme(),
            Malice::Fabricated => self.random_body(),
            Malice::Oversized => self.oversize(),
            Malice::Random => self.noise(),
            Malice::Replayed => {}
            Malice::Spliced => self.splice(),
            Malice::Truncated => {
                let length = self.below(self.frame.len());
                self.frame.truncate(length);
            }
        }
        (malice, &self.frame)
    }

    fn take_sample(&mut self) {
        let sample = self.below(self.samples.len());
        self.frame.clear();
        self.frame.extend_from_slice(&self.samples[sample]);
    }

    fn corrupt(&mut self) {
        for _ in 0..=self.below(4) {
            let (at, bit) = (self.below(self.frame.len()), self.below(8));
            self.frame[at] ^= 1 << bit;
        }
    }

    fn extreme(&mut self) {
        for _ in 0..=self.below(3) {
            let at = FIELDS.start + self.below(FIELDS.len() - 8);
            let value = match self.below(3) {
                0 => 0_u64,
                1 => u64::MAX,
                _ => 1 << self.below(64),
            };
            let length = 1 << self.below(4);
            self.frame[at..at + length].copy_from_slice(&value.to_be_bytes()[8 - length..]);
        }
        if self.below(2) == 0 && self.frame.len() > HEADER_LEN {
            // Counts and lengths stand in the first bytes of a body.
            let at = HEADER_LEN + self.below((self.frame.len() - HEADER_LEN).min(64));
            self.frame[at] = 0xFF;
        }
        self.finish();
    }

    fn oversize(&mut self) {
        let length =
            if self.below(64) == 0 { 65_507 } else { self.frame.len() + 1 + self.below(512) };
        self.fill(length);
        match self.below(3) {
            0 => self.finish(),
            1 => self.frame[BODY_LEN].fill(0xFF),
            _ => {}
        }
    }

    fn noise(&mut self) {
        let magic = [self.frame[MAGIC.start], self.frame[MAGIC.start + 1]];
        self.frame.clear();
        let length = self.below(2048);
        self.fill(length);
        if self.below(2) == 0 && self.frame.len() >= MAGIC.end {
            self.frame[MAGIC].copy_from_slice(&magic);
        }
    }

    fn random_body(&mut self) {
        self.frame.truncate(HEADER_LEN);
        let length = HEADER_LEN + self.below(1400);
        self.fill(length);
        if self.below(2) == 0 {
            let kinds = [0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x01, 0xff];
            self.frame[KIND] = kinds[self.below(kinds.len())];
        }
        if self.below(4) == 0 {
            let at = FIELDS.start + self.below(FIELDS.len());
            self.frame[at] = self.byte();
        }
        self.finish();
    }

    fn splice(&mut self) {
        let head = self.below(self.frame.len());
        self.frame.truncate(head);
        let other = self.below(self.samples.len());
        let other = self.samples[other].clone();
        let tail = self.below(other.len());
        self.frame.extend_from_slice(&other[tail..]);
        if self.below(2) == 0 && self.frame.len() >= HEADER_LEN {
            self.finish();
        }
    }

    /// Appends random bytes up to `length`.
    fn fill(&mut self, length: usize) {
        let start = self.frame.len().min(length);
        self.frame.resize(length, 0);
        self.rng.fill_bytes(&mut self.frame[start..]);
    }

    /// Makes length, flags and checksum right, and the sender a stranger if it has to be one.
    fn finish(&mut self) {
        if self.forgery == Forgery::Strangers {
            self.disown();
        }
        if self.below(8) != 0 {
            self.frame[FLAGS] = u8::from(self.frame[DST] == 0xFF);
        }
        set_length_and_checksum(&mut self.frame);
    }

    /// Gives the frame another cluster, or a sender's incarnation that nobody has. Each is used
    /// once: one that comes again and again is a second node with this id, and by right heard.
    fn disown(&mut self) {
        if self.below(4) == 0 {
            self.frame[CLUSTER] ^= 1;
            return;
        }
        let stranger = self.rng.next_u64();
        if self.living.iter().any(|id| id.incarnation.0 == stranger) {
            self.frame[CLUSTER] ^= 1;
        }
        self.frame[SRC_INCARNATION].copy_from_slice(&stranger.to_be_bytes());
        if self.below(4) == 0 {
            self.frame[SRC] = self.byte();
        }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// A number in `0..limit`; 0 if that is empty.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a length fits 64 bits").max(1);
        usize::try_from(self.rng.next_u64() % limit).expect("below a length")
    }
}
