//! Open files and trees over volumes in memory.

mod files;
mod trees;

use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::volume::{Done, IoFailed, ReadDone, Volume};

/// A volume in memory. What is asked of it happens when [`Memory::turn`] is called.
pub(super) struct Memory {
    bytes: Mutex<Vec<u8>>,
    waiting: Mutex<Vec<Asked>>,
    /// What was asked, in words.
    log: Mutex<Vec<String>>,
    /// What reads are told.
    failed: Mutex<Option<Errno>>,
}

enum Asked {
    Other(Done),
    Read(usize, usize, ReadDone),
    Write(usize, Vec<u8>, Done),
}

const BLOCK: u32 = 512;

impl Memory {
    pub(super) fn new(len: usize) -> Arc<Self> {
        let bytes = (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
        let (waiting, log, failed) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { bytes: Mutex::new(bytes), waiting, log, failed })
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn fail_reads(&self, errno: Option<Errno>) {
        *self.failed.lock().unwrap() = errno;
    }

    /// Does one of the things that it was asked for; `false`: there is none.
    fn turn(&self, random: &mut Random) -> bool {
        let asked = {
            let mut waiting = self.waiting.lock().unwrap();
            if waiting.is_empty() {
                return false;
            }
            let place = random.below(waiting.len());
            waiting.swap_remove(place)
        };
        match asked {
            Asked::Other(done) => done(Ok(())),
            Asked::Read(at, len, done) => {
                let bytes = self.bytes();
                let failed = *self.failed.lock().unwrap();
                done(match failed {
                    Some(errno) => Err(IoFailed::Told(errno)),
                    None => Ok(&bytes[at..at + len]),
                });
            }
            Asked::Write(at, data, done) => {
                self.bytes.lock().unwrap()[at..at + data.len()].copy_from_slice(&data);
                done(Ok(()));
            }
        }
        true
    }

    fn run(&self) {
        while self.turn(&mut Random(1)) {}
    }

    fn ask(&self, what: String, offset: u64, len: usize, asked: Asked) {
        let end = offset + u64::try_from(len).unwrap();
        assert!(offset.is_multiple_of(u64::from(BLOCK)) && end.is_multiple_of(u64::from(BLOCK)));
        assert!(end <= self.size(), "it lies within the volume");
        self.log.lock().unwrap().push(what);
        self.waiting.lock().unwrap().push(asked);
    }
}

impl Volume for Memory {
    fn size(&self) -> u64 {
        u64::try_from(self.bytes.lock().unwrap().len()).unwrap()
    }

    fn block(&self) -> u32 {
        BLOCK
    }

    fn read(&self, offset: u64, len: u32, done: ReadDone) {
        let len = usize::try_from(len).unwrap();
        let asked = Asked::Read(usize::try_from(offset).unwrap(), len, done);
        self.ask(format!("read {offset} {len}"), offset, len, asked);
    }

    fn write(&self, offset: u64, data: Vec<u8>, durable: bool, done: Done) {
        let (what, len) = (if durable { "write durably" } else { "write" }, data.len());
        let asked = Asked::Write(usize::try_from(offset).unwrap(), data, done);
        self.ask(format!("{what} {offset} {len}"), offset, len, asked);
    }

    fn flush(&self, done: Done) {
        self.ask("flush".to_owned(), 0, 0, Asked::Other(done));
    }

    fn trim(&self, offset: u64, len: u32, done: Done) {
        let len = usize::try_from(len).unwrap();
        let asked = Asked::Write(usize::try_from(offset).unwrap(), vec![0; len], done);
        self.ask(format!("trim {offset} {len}"), offset, len, asked);
    }

    fn zero(&self, offset: u64, len: u32, done: Done) {
        let len = usize::try_from(len).unwrap();
        let asked = Asked::Write(usize::try_from(offset).unwrap(), vec![0; len], done);
        self.ask(format!("zero {offset} {len}"), offset, len, asked);
    }
}

/// The same numbers each time.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}
