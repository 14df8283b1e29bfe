//! What the ring and the threads both do, on the disks that there are here: of a file system with
//! direct I/O, and of one in memory.

mod buffers;
mod disks;
mod edges;
mod forbidden;
mod lifetimes;
mod sockets;
mod work;
mod zeros;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::time::{ClockId, clock_gettime};

use super::ring::{Ring, Setup};
use super::*;

/// The ring in each way in which it can be set up here, and the threads.
fn drivers() -> Vec<Driver> {
    let mut drivers = Vec::new();
    for setup in Setup::ALL {
        match Ring::new(&[setup]) {
            Ok(ring) => drivers.push(Driver::of(Inner::Ring(Box::new(ring)))),
            Err(error) => eprintln!("no ring that is {setup:?}: {error}"),
        }
    }
    drivers.push(Driver::new(Choice::Threads).unwrap());
    drivers
}

/// A directory of each kind.
fn places() -> [PathBuf; 2] {
    [std::env::temp_dir(), PathBuf::from("/dev/shm")]
}

/// Each driver, in each of the places.
fn everywhere() -> Vec<(PathBuf, Driver)> {
    let of = |place: PathBuf| drivers().into_iter().map(move |driver| (place.clone(), driver));
    places().into_iter().flat_map(of).collect()
}

/// A file that is there as long as this.
struct Scratch(PathBuf);

impl Scratch {
    fn new(place: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(place.join(format!("vxiod-driver-{}-{number}", std::process::id())))
    }

    /// With so many bytes that are random.
    fn random(place: &Path, len: usize, random: &mut Random) -> (Self, Vec<u8>) {
        let (scratch, bytes) = (Self::new(place), random.bytes(len));
        File::create(&scratch.0).unwrap().write_all_at(&bytes, 0).unwrap();
        (scratch, bytes)
    }

    fn open(&self) -> Arc<DiskFile> {
        Arc::new(DiskFile::open(&self.0, true).unwrap())
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end as u64).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Something that takes longer than this never happens.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until `is_enough` has seen what it waits for in the events that were told.
fn wait_until(driver: &mut Driver, mut is_enough: impl FnMut(&[Event]) -> bool) -> Vec<Event> {
    let (begin, mut events) = (now(), Vec::new());
    while !is_enough(&events) {
        assert!(now() - begin < LONGEST, "only {events:?}");
        driver.wait(Some(Duration::from_secs(1)), &mut events).unwrap();
    }
    events
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Waits until nothing is in flight, and tells the results.
fn finish(driver: &mut Driver) -> BTreeMap<u64, Result<(), i32>> {
    let (begin, mut results, mut events) = (now(), BTreeMap::new(), Vec::new());
    while driver.in_flight() > 0 {
        assert!(now() - begin < LONGEST, "{} are left", driver.in_flight());
        driver.wait(Some(Duration::from_secs(1)), &mut events).unwrap();
        for event in events.drain(..) {
            let Event::Done { key, result } = event else { panic!("nothing is watched") };
            assert_eq!(results.insert(key, result), None, "the end of {key} is told once");
        }
    }
    results
}

/// Does one thing.
fn perform(driver: &mut Driver, file: &Arc<DiskFile>, what: What) -> Result<(), i32> {
    driver.submit(77, Operation { file: Arc::clone(file), what });
    let results = finish(driver);
    assert_eq!(results.len(), 1);
    results[&77]
}

fn read(buffer: &IoBuffer, at: u64) -> What {
    let (buffer, len) = (buffer.clone(), u32::try_from(buffer.len()).unwrap());
    What::Read { buffer, from: 0, len, at }
}

fn write(buffer: &IoBuffer, at: u64) -> What {
    let (buffer, len) = (buffer.clone(), u32::try_from(buffer.len()).unwrap());
    What::Write { buffer, from: 0, len, at, durable: false }
}

fn buffer_of(bytes: &[u8]) -> IoBuffer {
    let buffer = IoBuffer::zeroed(bytes.len());
    buffer.fill(0..bytes.len()).unwrap().copy_from_slice(bytes);
    buffer
}

#[test]
fn what_is_chosen_is_there() {
    assert_eq!(Driver::new(Choice::Threads).unwrap().choice(), Choice::Threads);
    assert_ne!(Driver::new(Choice::Auto).unwrap().choice(), Choice::Auto);
    match Driver::new(Choice::Ring) {
        Ok(driver) => assert_eq!(driver.choice(), Choice::Ring),
        Err(error) => assert!(error.to_string().starts_with("no io_uring"), "{error}"),
    }
}
