//! A program that writes a volume through NBD, and knows what has to be there afterwards.
//!
//! It writes its blocks again and again, in an order that looks random, several at a time and each
//! of them once at a time. A sector begins with the number of the write that it is of, and all the
//! rest of it follows from that number and from its place: whoever reads it sees whether it is
//! whole, and of when it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail, ensure};
use cvm::fuse::volume::{IoFailed, Volume};

use super::super::wait;
use super::steps::PATIENCE;

/// The program, a thread. It stops when this is dropped.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// `None` when it has been joined.
    thread: Option<JoinHandle<Result<Written>>>,
}

/// What has been written.
#[derive(Default)]
pub(super) struct Written {
    /// Writes that were acknowledged.
    pub(super) acknowledged: u64,
    /// The server went away.
    pub(super) is_cut_off: bool,
    /// By their numbers in the volume.
    blocks: BTreeMap<u64, Block>,
}

/// The last writes of a block; 0 is none.
#[derive(Clone, Copy, Default)]
struct Block {
    asked: u64,
    acknowledged: u64,
}

#[derive(Default)]
struct Shared {
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Writer {
    /// Begins to write these blocks of a volume that nobody has written them in before.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn start(
        volume: Arc<dyn Volume>,
        blocks: impl Iterator<Item = u64>,
    ) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let blocks = blocks.map(|block| (block, Block::default())).collect();
        let written = Written { blocks, ..Written::default() };
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || written.go_on(volume.as_ref(), &theirs))
            .context("cannot start a thread")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until so many more writes are acknowledged.
    ///
    /// # Errors
    /// If it ends, with the reason, or it takes too long.
    pub(super) fn wait_progress(&mut self, more: u64) -> Result<()> {
        let acknowledged = |shared: &Shared| shared.acknowledged.load(Ordering::Relaxed);
        let goal = acknowledged(&self.shared) + more;
        wait::until(&format!("{more} more writes are acknowledged"), PATIENCE, || {
            if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
                self.join()?;
                bail!("the program that writes was cut off");
            }
            Ok((acknowledged(&self.shared) >= goal).then_some(()))
        })
    }

    /// Lets it end, when all is answered.
    ///
    /// # Errors
    /// If a write failed or was not answered.
    pub(super) fn stop(mut self) -> Result<Written> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until its server is gone.
    ///
    /// # Errors
    /// If a write failed or was not answered.
    pub(super) fn cut_off(mut self) -> Result<Written> {
        self.join()
    }

    fn join(&mut self) -> Result<Written> {
        let thread = self.thread.take().context("it has been joined")?;
        thread.join().map_err(|_| anyhow!("the program that writes panicked"))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Written {
    /// Writes until it is to stop, or its server is gone.
    fn go_on(mut self, volume: &dyn Volume, shared: &Shared) -> Result<Self> {
        let (tell, told) = mpsc::channel();
        let blocks: Vec<u64> = self.blocks.keys().copied().collect();
        let (mut last, mut under_way) = (0, 0);
        loop {
            let ends = self.is_cut_off || shared.stop.load(Ordering::Relaxed);
            if !ends && under_way < WINDOW {
                last += 1;
                let (number, write) = (self.quiet(&blocks, last)?, last);
                self.blocks.entry(number).or_default().asked = write;
                let tell = tell.clone();
                let done = move |result: Result<(), IoFailed>| {
                    let _ = tell.send((number, write, result));
                };
                volume.write(number * BLOCK, contents(number, write), false, Box::new(done));
                under_way += 1;
                continue;
            }
            if under_way == 0 {
                return Ok(self);
            }
            let answer = told.recv_timeout(PATIENCE).context("a write was not answered")?;
            under_way -= 1;
            match answer {
                (number, write, Ok(())) => {
                    self.blocks.entry(number).or_default().acknowledged = write;
                    self.acknowledged += 1;
                    shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (_, _, Err(IoFailed::Gone)) => self.is_cut_off = true,
                (number, _, Err(failed @ IoFailed::Told(_))) => {
                    return Err(failed).with_context(|| format!("block {number} is not written"));
                }
            }
        }
    }

    /// Any block that is not being written.
    fn quiet(&self, blocks: &[u64], write: u64) -> Result<u64> {
        let begin = usize::try_from(mix(write) % blocks.len() as u64)?;
        let mut all = blocks[begin..].iter().chain(&blocks[..begin]);
        let is_quiet =
            |number: &&u64| self.blocks[*number].asked == self.blocks[*number].acknowledged;
        all.find(is_quiet).copied().context("more writes than blocks")
    }

    /// The volume has what was acknowledged last, or what was asked for since, sector by sector; gives
    /// how many blocks have something that was acknowledged.
    ///
    /// # Errors
    /// What is not so.
    pub(super) fn check(&self, volume: &[u8]) -> Result<usize> {
        for (number, block) in &self.blocks {
            let begin = usize::try_from(number * BLOCK)?;
            let found = volume.get(begin..).context("the volume is shorter")?;
            let first = number * SECTORS;
            for (at, found) in (first..first + SECTORS).zip(found.chunks(SECTOR)) {
                let (head, _) = found.split_first_chunk().context("the volume is shorter")?;
                let write = u64::from_le_bytes(*head);
                let Block { asked, acknowledged } = *block;
                ensure!(
                    write == asked || write == acknowledged,
                    "sector {at} is of write {write}, not of {acknowledged} or {asked}"
                );
                ensure!(*found == sector(at, write), "sector {at} is not as write {write} made it");
            }
        }
        Ok(self.blocks.values().filter(|block| block.acknowledged > 0).count())
    }
}

/// A block as a write leaves it.
fn contents(number: u64, write: u64) -> Vec<u8> {
    let first = number * SECTORS;
    (first..first + SECTORS).flat_map(|at| sector(at, write)).collect()
}

/// A sector of a volume as a write leaves it; what was never written is zeros.
fn sector(at: u64, write: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    if write > 0 {
        let seed = mix(mix(at) ^ write);
        let words = std::iter::once(write).chain((0..).map(|word| mix(seed ^ word)));
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

/// The output of splitmix64 for this state: numbers that look random, for others other ones.
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Of one request, in bytes.
pub(super) const BLOCK: u64 = 4096;
const SECTOR: usize = 512;
const SECTORS: u64 = 8;
/// So many writes are under way at a time.
const WINDOW: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two blocks: one with an answer, one that was also asked for since.
    fn written() -> Written {
        let blocks =
            [(1, Block { asked: 7, acknowledged: 7 }), (3, Block { asked: 9, acknowledged: 0 })];
        Written { acknowledged: 1, is_cut_off: true, blocks: blocks.into() }
    }

    fn volume(writes: [u64; 4]) -> Vec<u8> {
        (0..).zip(writes).flat_map(|(number, write)| contents(number, write)).collect()
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there_and_what_was_asked_for_may_be() {
        assert_eq!(written().check(&volume([0, 7, 0, 0])).unwrap(), 1);
        assert_eq!(written().check(&volume([5, 7, 5, 9])).unwrap(), 1);
        let mut torn = volume([0, 7, 0, 9]);
        torn[3 * 4096 + 512..4 * 4096].fill(0);
        assert_eq!(written().check(&torn).unwrap(), 1);
    }

    #[test]
    fn what_is_lost_old_or_damaged_is_noticed() {
        let failed = |volume: &[u8]| written().check(volume).unwrap_err().to_string();
        assert_eq!(failed(&volume([0, 0, 0, 9])), "sector 8 is of write 0, not of 7 or 7");
        assert_eq!(failed(&volume([0, 6, 0, 9])), "sector 8 is of write 6, not of 7 or 7");
        let mut damaged = volume([0, 7, 0, 9]);
        damaged[8191] ^= 1;
        assert_eq!(failed(&damaged), "sector 15 is not as write 7 made it");
        // Of the same write, and of another block.
        let moved = [contents(0, 0), contents(2, 7), contents(2, 0), contents(3, 0)].concat();
        assert_eq!(failed(&moved), "sector 8 is not as write 7 made it");
        assert_eq!(failed(&damaged[..4096]), "the volume is shorter");
    }
}
