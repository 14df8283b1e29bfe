//! Reading and writing.

use super::*;

const LEN: usize = 4 << 20;

/// Operations on a file, and what it holds when they are over.
struct Model {
    file: Arc<DiskFile>,
    scratch: Scratch,
    bytes: Vec<u8>,
    /// Where operations are in flight: their results would be a matter of chance.
    busy: Vec<bool>,
    /// By key.
    flying: BTreeMap<u64, Flying>,
}

struct Flying {
    range: std::ops::Range<usize>,
    /// Of what is read: the buffer, and where it is read to.
    read: Option<(IoBuffer, usize)>,
}

impl Model {
    fn new(place: &Path, random: &mut Random) -> Self {
        let (scratch, bytes) = Scratch::random(place, LEN, random);
        let (file, busy) = (scratch.open(), vec![false; LEN / BLOCK]);
        Self { file, scratch, bytes, busy, flying: BTreeMap::new() }
    }

    fn submit(&mut self, key: u64, random: &mut Random, driver: &mut Driver) {
        let most = if random.below(10) == 0 { 300 } else { 8 };
        let blocks = 1 + random.below(most);
        let first = random.below(self.busy.len() - blocks);
        let range = first * BLOCK..(first + blocks) * BLOCK;
        if self.busy[first..first + blocks].contains(&true) {
            return;
        }
        self.busy[first..first + blocks].fill(true);
        let (at, len) = (range.start as u64, u32::try_from(range.len()).unwrap());
        // Somewhere in a longer buffer.
        let from = BLOCK * random.below(3);
        let mut flying = Flying { range: range.clone(), read: None };
        let what = match random.below(8) {
            0..3 => {
                let buffer = IoBuffer::zeroed(from + range.len());
                flying.read = Some((buffer.clone(), from));
                What::Read { buffer, from, len, at }
            }
            7 => {
                self.bytes[range].fill(0);
                What::Zero { at, len: u64::from(len), may_unmap: random.below(2) == 0 }
            }
            kind => {
                let bytes = random.bytes(from + range.len());
                self.bytes[range].copy_from_slice(&bytes[from..]);
                What::Write { buffer: buffer_of(&bytes), from, len, at, durable: kind == 3 }
            }
        };
        self.flying.insert(key, flying);
        driver.submit(key, Operation { file: Arc::clone(&self.file), what });
    }

    fn on_done(&mut self, key: u64) {
        // Of a flush there is nothing to know.
        let Some(Flying { range, read }) = self.flying.remove(&key) else { return };
        self.busy[range.start / BLOCK..range.end / BLOCK].fill(false);
        if let Some((buffer, from)) = read {
            let view = buffer.view(from..buffer.len()).unwrap();
            assert!(*view == self.bytes[range.clone()], "{range:?} of {key}");
        }
    }
}

const BLOCK: usize = 4096;

#[test]
fn what_is_read_is_what_was_written() {
    for (place, mut driver) in everywhere() {
        let mut random = Random::new(41);
        let mut model = Model::new(&place, &mut random);
        let mut events = Vec::new();
        for key in 0..3000 {
            if key % 100 == 99 {
                driver.submit(key, Operation { file: Arc::clone(&model.file), what: What::Flush });
            } else {
                model.submit(key, &mut random, &mut driver);
            }
            let wait = if driver.in_flight() > 64 { None } else { Some(Duration::ZERO) };
            if wait.is_none() || random.below(4) == 0 {
                driver.wait(wait, &mut events).unwrap();
            }
            for event in events.drain(..) {
                let Event::Done { key, result } = event else { panic!("{event:?}") };
                assert_eq!(result, Ok(()), "{key}");
                model.on_done(key);
            }
        }
        for (key, result) in finish(&mut driver) {
            assert_eq!(result, Ok(()), "{key}");
            model.on_done(key);
        }
        assert!(model.scratch.bytes() == model.bytes, "the file is what the model is");
    }
}

#[test]
fn parts_of_a_buffer_are_read_into_at_once() {
    let mut random = Random::new(42);
    let (scratch, bytes) = Scratch::random(&std::env::temp_dir(), 16 * BLOCK, &mut random);
    for mut driver in drivers() {
        let (file, buffer) = (scratch.open(), IoBuffer::zeroed(16 * BLOCK));
        for part in 0..16_usize {
            let from = part * BLOCK;
            let at = bytes.len() - from - BLOCK;
            let (buffer, len) = (buffer.clone(), u32::try_from(BLOCK).unwrap());
            let what = What::Read { buffer, from, len, at: at as u64 };
            driver.submit(part as u64, Operation { file: Arc::clone(&file), what });
        }
        assert_eq!(driver.in_flight(), 16);
        assert!(finish(&mut driver).values().all(Result::is_ok));
        let view = buffer.view(0..16 * BLOCK).unwrap();
        for (there, here) in view.chunks(BLOCK).zip(bytes.chunks(BLOCK).rev()) {
            assert!(there == here);
        }
    }
}

#[test]
fn a_buffer_is_written_to_several_disks_at_once() {
    let mut random = Random::new(43);
    for mut driver in drivers() {
        let bytes = random.bytes(64 * BLOCK);
        let (buffer, [here, there]) = (buffer_of(&bytes), places());
        let mirrors = [&here, &there, &here].map(|place| {
            let (scratch, _) = Scratch::random(place, bytes.len(), &mut random);
            scratch
        });
        for (key, mirror) in (0..).zip(&mirrors) {
            driver.submit(key, Operation { file: mirror.open(), what: write(&buffer, 0) });
        }
        driver.flush();
        // It may be looked at meanwhile, too.
        assert!(*buffer.view(0..bytes.len()).unwrap() == bytes);
        assert_eq!(finish(&mut driver).into_values().collect::<Vec<_>>(), [Ok(()); 3]);
        assert!(mirrors.iter().all(|mirror| mirror.bytes() == bytes));
    }
}

#[test]
fn durable_writes_and_flushes_are_done() {
    let mut random = Random::new(44);
    for (place, mut driver) in everywhere() {
        let (scratch, mut bytes) = Scratch::random(&place, 8 * BLOCK, &mut random);
        let file = scratch.open();
        let new = random.bytes(2 * BLOCK);
        let (buffer, len) = (buffer_of(&new), u32::try_from(new.len()).unwrap());
        let what = What::Write { buffer, from: 0, len, at: BLOCK as u64, durable: true };
        assert_eq!(perform(&mut driver, &file, what), Ok(()));
        assert_eq!(perform(&mut driver, &file, What::Flush), Ok(()));
        bytes[BLOCK..3 * BLOCK].copy_from_slice(&new);
        assert!(scratch.bytes() == bytes);
    }
}

#[test]
fn more_is_in_flight_than_the_queue_has_room_for() {
    let mut random = Random::new(45);
    let (scratch, bytes) = Scratch::random(&std::env::temp_dir(), 256 * BLOCK, &mut random);
    for mut driver in drivers() {
        let (file, mut buffers) = (scratch.open(), Vec::new());
        for key in 0..10_000_u64 {
            let block = random.below(256);
            let buffer = IoBuffer::zeroed(BLOCK);
            driver.submit(
                key,
                Operation { file: Arc::clone(&file), what: read(&buffer, (block * BLOCK) as u64) },
            );
            buffers.push((block, buffer));
        }
        assert_eq!(driver.in_flight(), 10_000);
        let results = finish(&mut driver);
        assert_eq!(results.len(), 10_000);
        assert!(results.values().all(Result::is_ok));
        for (block, buffer) in buffers {
            let expected = &bytes[block * BLOCK..][..BLOCK];
            assert!(*buffer.view(0..BLOCK).unwrap() == *expected);
        }
    }
}
