//! A hash over everything that reaches a stack, for comparing two runs, and the log of the same.

use std::io::Write;

use crate::input::Line;

/// A running hash. Not cryptographic; a difference anywhere shows with near certainty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Digest {
    /// Mixes a number in.
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    }

    /// Mixes bytes in.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(u64::from(crc32c::crc32c(bytes)) << 32 | bytes.len() as u64);
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// Writes [`Line`]s as JSON, one per line.
pub struct Recorder {
    out: Box<dyn Write + Send>,
    error: Option<std::io::Error>,
}

impl Recorder {
    /// A recorder that writes to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, error: None }
    }

    /// Writes one line. The first error is kept for [`Recorder::finish`].
    pub fn line(&mut self, line: &Line) {
        if self.error.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.error = written.err();
    }

    /// Flushes; the first error of all writes, if any.
    pub fn finish(mut self) -> std::io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

impl core::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recorder").field("error", &self.error).finish_non_exhaustive()
    }
}
