//! Any bytes, in blocks.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustix::io::Errno;

use super::super::file::{Access, Clear, OpenFile};
use super::super::volume::IoFailed;
use super::{Memory, Random};

/// Of 1 MiB and 1 MiB less a page.
const CUT: u32 = (1 << 20) - 4096;

fn opened(access: Access, memory: &Arc<Memory>) -> Arc<OpenFile> {
    Arc::new(OpenFile::new(access, Arc::<Memory>::clone(memory), Arc::default(), CUT))
}

type Answered<T> = Receiver<Result<T, IoFailed>>;

fn read(file: &OpenFile, offset: u64, len: u32) -> Answered<Vec<u8>> {
    let (tell, answered) = channel();
    let done = move |result: Result<&[u8], _>| tell.send(result.map(<[u8]>::to_vec)).unwrap();
    file.read(offset, len, Box::new(done));
    answered
}

fn write(file: &Arc<OpenFile>, offset: u64, data: &[u8]) -> Answered<u32> {
    let (tell, answered) = channel();
    file.write(offset, data, false, Box::new(move |result| tell.send(result).unwrap()));
    answered
}

fn clear(file: &Arc<OpenFile>, range: Range<u64>, how: Clear) -> Answered<()> {
    let (tell, answered) = channel();
    file.clear(range, how, Box::new(move |result| tell.send(result).unwrap()));
    answered
}

fn flush(file: &Arc<OpenFile>) -> Answered<()> {
    let (tell, answered) = channel();
    file.flush(Box::new(move |result| tell.send(result).unwrap()));
    answered
}

fn told<T>(errno: Errno) -> Result<T, IoFailed> {
    Err(IoFailed::Told(errno))
}

#[test]
fn any_bytes_are_read_and_written_as_in_a_plain_file() {
    let memory = Memory::new(20 * 512);
    let file = opened(Access::Block, &memory);
    let (mut model, mut random) = (memory.bytes(), Random(42));
    for round in 0..2000 {
        let offset = random.below(model.len() + 600);
        let len = random.below(2000);
        let end = model.len().min(offset + len);
        let range = offset.min(end)..end;
        let at = u64::try_from(offset).unwrap();
        if random.below(2) == 0 {
            let data: Vec<u8> =
                (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            let answered = write(&file, at, &data);
            memory.run();
            let expected = if range.is_empty() && len > 0 {
                told(Errno::NOSPC)
            } else {
                Ok(u32::try_from(range.len()).unwrap())
            };
            assert_eq!(answered.try_recv().unwrap(), expected, "{round}: {range:?}");
            let count = range.len();
            model[range].copy_from_slice(&data[..count]);
            assert_eq!(memory.bytes(), model, "{round}");
        } else {
            let answered = read(&file, at, u32::try_from(len).unwrap());
            memory.run();
            assert_eq!(answered.try_recv().unwrap().unwrap(), model[range], "{round}");
        }
    }
}

/// Whatever the order in which the volume does what it is asked for.
#[test]
fn writes_that_share_a_block_do_not_lose_each_other() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let memory = Memory::new(8 * 512);
        let (block, raw) = {
            let (ranges, volume) = (Arc::default(), Arc::<Memory>::clone(&memory));
            let file = |access| {
                OpenFile::new(access, Arc::<Memory>::clone(&volume), Arc::clone(&ranges), CUT)
            };
            (Arc::new(file(Access::Block)), Arc::new(file(Access::Raw)))
        };
        let mut model = memory.bytes();
        let (mut at, mut answers) = (0, Vec::new());
        while at < model.len() {
            // Nobody writes what another one does, but for whole blocks of the raw file in between.
            let is_raw = at.is_multiple_of(512) && random.below(3) == 0;
            let len = if is_raw { 512 } else { 1 + random.below(700) };
            let end = model.len().min(at + len);
            let byte = u8::try_from(200 + answers.len() % 50).unwrap();
            let file = if is_raw { &raw } else { &block };
            answers.push(write(file, u64::try_from(at).unwrap(), &vec![byte; end - at]));
            model[at..end].fill(byte);
            at = end;
            if random.below(4) == 0 {
                memory.turn(&mut random);
            }
        }
        while memory.turn(&mut random) {}
        assert!(answers.iter().all(|answered| answered.try_recv().unwrap().is_ok()), "{seed}");
        assert_eq!(memory.bytes(), model, "{seed}");
    }
}

#[test]
fn only_blocks_that_are_written_in_part_are_read() {
    let memory = Memory::new(20 * 512);
    let file = opened(Access::Block, &memory);
    for (offset, len, expected) in [
        (512, 1024, &["write 512 1024"][..]),
        (512, 1000, &["read 1024 512", "write 512 1024"]),
        (600, 936, &["read 512 512", "write 512 1024"]),
        (600, 2000, &["read 2560 512", "read 512 512", "write 512 2560"]),
        (600, 10, &["read 512 512", "write 512 512"]),
        (9728, 9000, &["write 9728 512"]),
    ] {
        let answered = write(&file, offset, &vec![1; len]);
        memory.run();
        assert!(answered.try_recv().unwrap().is_ok());
        assert_eq!(memory.take_log(), expected);
    }
}

#[test]
fn a_raw_file_takes_whole_blocks_only() {
    let memory = Memory::new(2 << 20);
    let file = opened(Access::Raw, &memory);
    for (offset, len) in [(0, 1), (0, 511), (1, 512), (100, 100), (512, 513), (0, CUT - 1)] {
        assert_eq!(read(&file, offset, len).try_recv().unwrap(), told(Errno::INVAL));
        let data = vec![0; usize::try_from(len).unwrap()];
        assert_eq!(write(&file, offset, &data).try_recv().unwrap(), told(Errno::INVAL));
    }
    assert_eq!(memory.take_log(), [""; 0]);
    // The kernel has cut it where the memory of a program has a page: what is whole is done.
    let answered = write(&file, 0, &vec![1; (1 << 20) - 16]);
    memory.run();
    assert_eq!(answered.try_recv().unwrap(), Ok((1 << 20) - 512));
    // At the end there is nothing, and as much as there is before it.
    let end = 2 << 20;
    assert_eq!(read(&file, end, 512).try_recv().unwrap(), Ok(vec![]));
    assert_eq!(write(&file, end, &[0; 512]).try_recv().unwrap(), told(Errno::NOSPC));
    let (short_read, short) = (read(&file, end - 512, 1024), write(&file, end - 512, &[0; 1024]));
    memory.run();
    assert_eq!(short.try_recv().unwrap(), Ok(512));
    assert_eq!(short_read.try_recv().unwrap().unwrap().len(), 512);
}

#[test]
fn a_range_becomes_zeros_with_the_parts_of_blocks_at_its_ends() {
    let memory = Memory::new(20 * 512);
    let (block, raw) = (opened(Access::Block, &memory), opened(Access::Raw, &memory));
    let mut model = memory.bytes();
    for (range, how, expected) in [
        (512..1536, Clear::Trim, &["trim 512 1024"][..]),
        (512..1536, Clear::Zero, &["zero 512 1024"]),
        (100..200, Clear::Trim, &["read 0 512", "write 0 512"]),
        (
            2100..5000,
            Clear::Zero,
            &[
                "read 2048 512",
                "write 2048 512",
                "zero 2560 2048",
                "read 4608 512",
                "write 4608 512",
            ],
        ),
    ] {
        let answered = clear(&block, range.clone(), how);
        memory.run();
        assert_eq!(answered.try_recv().unwrap(), Ok(()));
        assert_eq!(memory.take_log(), expected);
        model[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].fill(0);
        assert_eq!(memory.bytes(), model);
    }
    assert_eq!(clear(&raw, 100..612, Clear::Trim).try_recv().unwrap(), told(Errno::INVAL));
    assert_eq!(clear(&block, 0..10241, Clear::Trim).try_recv().unwrap(), told(Errno::INVAL));
}

#[test]
fn no_request_is_longer_than_servers_take() {
    let memory = Memory::new(80 << 20);
    let file = opened(Access::Block, &memory);
    let answered = clear(&file, 0..80 << 20, Clear::Trim);
    memory.run();
    assert_eq!(answered.try_recv().unwrap(), Ok(()));
    let expected = ["trim 0 33554432", "trim 33554432 33554432", "trim 67108864 16777216"];
    assert_eq!(memory.take_log(), expected);
}

#[test]
fn a_block_that_cannot_be_read_fails_the_write_and_is_free_again() {
    let memory = Memory::new(4096);
    let file = opened(Access::Block, &memory);
    memory.fail_reads(Some(Errno::IO));
    let (failed, behind) = (write(&file, 10, b"abc"), write(&file, 20, b"def"));
    memory.run();
    assert_eq!(failed.try_recv().unwrap(), told(Errno::IO));
    assert_eq!(behind.try_recv().unwrap(), told(Errno::IO));
    memory.fail_reads(None);
    let written = write(&file, 10, b"abc");
    memory.run();
    assert_eq!(written.try_recv().unwrap(), Ok(3));
    assert_eq!(memory.bytes()[10..13], *b"abc");
}

#[test]
fn closing_flushes_what_was_written_and_nothing_else() {
    let memory = Memory::new(4096);
    let file = opened(Access::Block, &memory);
    assert_eq!(flush(&file).try_recv().unwrap(), Ok(()));
    assert_eq!(memory.take_log(), [""; 0]);
    let (written, flushed) = (write(&file, 0, &[1; 512]), flush(&file));
    memory.run();
    assert_eq!((written.try_recv().unwrap(), flushed.try_recv().unwrap()), (Ok(512), Ok(())));
    assert_eq!(memory.take_log(), ["write 0 512", "flush"]);
    assert_eq!(flush(&file).try_recv().unwrap(), Ok(()));
    assert_eq!(memory.take_log(), [""; 0]);
    // To sync is to sync, whoever has written.
    file.sync(Box::new(|_| {}));
    assert_eq!(memory.take_log(), ["flush"]);
}
