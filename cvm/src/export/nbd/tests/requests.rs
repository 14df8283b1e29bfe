//! Requests: how they are read, and at what edge they are refused.

use super::script::bytes;
use super::*;

const FUA: u16 = 1;
const NO_HOLE: u16 = 2;
const DF: u16 = 4;
const REQ_ONE: u16 = 8;
const FAST_ZERO: u16 = 16;
const PAYLOAD_LEN: u16 = 32;

const SIZE: u64 = 1 << 30;
const BLOCK: u32 = 512;
const LONGEST: u32 = 32 << 20;

/// All that are known.
const COMMANDS: [Command; 8] = [
    Command::Read,
    Command::Write,
    Command::Disconnect,
    Command::Flush,
    Command::Trim,
    Command::Cache,
    Command::WriteZeroes,
    Command::BlockStatus,
];

fn decode(line: &str) -> Result<RequestHead, BadRequest> {
    RequestHead::decode(bytes(line)[..].try_into().unwrap())
}

fn request(command: Command, offset: u64, length: u32) -> RequestHead {
    RequestHead { command, flags: 0, cookie: 1, offset, length }
}

/// What it is told, in both kinds of reply.
#[track_caller]
fn both(head: RequestHead, export: &Export) -> Result<(), NbdError> {
    let simple = head.check(export, Replies::Simple);
    assert_eq!(simple, head.check(export, Replies::Structured));
    simple
}

#[test]
fn heads_are_read() {
    let head = decode("25609513 0003 0006 0102030405060708 1112131415161718 21222324").unwrap();
    let expected = RequestHead {
        command: Command::WriteZeroes,
        flags: FUA | NO_HOLE,
        cookie: 0x0102_0304_0506_0708,
        offset: 0x1112_1314_1516_1718,
        length: 0x2122_2324,
    };
    assert_eq!(head, expected);
    assert!(head.has_fua() && head.has_no_hole());
    for (number, command) in (0_u16..).zip(COMMANDS) {
        let line = format!("25609513 0000 {number:04x} 8*01 8*00 00000200");
        let head = decode(&line).unwrap();
        assert_eq!(head.command, command);
        assert_eq!(head.payload_len(), if command == Command::Write { 512 } else { 0 });
        assert!(!head.has_fua() && !head.has_no_hole());
    }
    for number in [8, 0x0100, 0xffff] {
        let line = format!("25609513 0000 {number:04x} 8*01 8*00 ffffffff");
        let head = decode(&line).unwrap();
        assert_eq!((head.command, head.payload_len()), (Command::Unknown(number), 0));
    }
}

#[test]
fn what_cannot_be_followed_is_no_request() {
    let line = "0000 0000 8*01 8*00 00000200";
    for magic in [0x2560_9514, 0x1256_0953, 0x21e4_1c71, 0] {
        assert_eq!(decode(&format!("{magic:08x} {line}")), Err(BadRequest::Magic(magic)));
    }
    let write = |length: u32| decode(&format!("25609513 0000 0001 8*01 8*00 {length:08x}"));
    assert_eq!(write(PAYLOAD_MAX).unwrap().payload_len(), PAYLOAD_MAX);
    assert_eq!(write(PAYLOAD_MAX + 1), Err(BadRequest::Payload(PAYLOAD_MAX + 1)));
    assert_eq!(write(u32::MAX), Err(BadRequest::Payload(u32::MAX)));
    // Nothing follows these.
    assert!(decode("25609513 0000 0000 8*01 8*00 ffffffff").is_ok());
    assert!(decode("25609513 0000 0006 8*01 8*00 ffffffff").is_ok());
}

#[test]
fn the_end_of_the_export() {
    let beyond = [
        (Command::Read, NbdError::Inval),
        (Command::Write, NbdError::NoSpc),
        (Command::Trim, NbdError::Inval),
        (Command::WriteZeroes, NbdError::NoSpc),
    ];
    for (command, error) in beyond {
        let check = |offset, length| both(request(command, offset, length), &volume());
        for (offset, length) in [(0, BLOCK), (SIZE - 512, BLOCK), (SIZE - 1024, 2 * BLOCK)] {
            assert_eq!(check(offset, length), Ok(()), "{command:?} {offset} {length}");
        }
        for (offset, length) in [
            (SIZE, BLOCK),
            (SIZE - 512, 2 * BLOCK),
            (SIZE - 512, LONGEST),
            (SIZE + 512, 0),
            // They overflow, to 0 and to a block.
            (u64::MAX - 511, BLOCK),
            (u64::MAX - 511, 2 * BLOCK),
            (u64::MAX - 511, 0),
            (1 << 63, LONGEST),
        ] {
            assert_eq!(check(offset, length), Err(error), "{command:?} {offset} {length}");
        }
    }
}

#[test]
fn the_end_of_the_largest_export_there_can_be() {
    let export = Export { size: u64::MAX - 511, ..volume() };
    let read = |offset, length| both(request(Command::Read, offset, length), &export);
    assert_eq!(read(u64::MAX - 1023, BLOCK), Ok(()));
    assert_eq!(read(u64::MAX - 1023, 2 * BLOCK), Err(NbdError::Inval));
    assert_eq!(read(u64::MAX - 511, 0), Ok(()));
    let odd = Export { size: u64::MAX, min_block: 1, ..volume() };
    let read = |offset, length| both(request(Command::Read, offset, length), &odd);
    assert_eq!(read(u64::MAX - 1, 1), Ok(()));
    assert_eq!(read(u64::MAX, 0), Ok(()));
    assert_eq!(read(u64::MAX, 1), Err(NbdError::Inval));
    assert_eq!(read(u64::MAX, u32::MAX), Err(NbdError::Inval));
}

#[test]
fn requests_lie_between_blocks() {
    for command in [Command::Read, Command::Write, Command::Trim, Command::WriteZeroes] {
        for (offset, length) in [(1, BLOCK), (511, BLOCK), (0, 1), (0, 511), (256, 256), (1, 0)] {
            let answer = both(request(command, offset, length), &volume());
            assert_eq!(answer, Err(NbdError::Inval), "{command:?} {offset} {length}");
        }
        // Beyond the end, too: this is said first.
        let answer = both(request(command, u64::MAX, u32::MAX), &volume());
        assert_eq!(answer, Err(NbdError::Inval));
        let bytewise = Export { min_block: 1, ..volume() };
        assert_eq!(both(request(command, 3, 7), &bytewise), Ok(()));
    }
}

#[test]
fn nothing_to_do_is_done() {
    for command in [Command::Read, Command::Write, Command::Trim, Command::WriteZeroes] {
        for offset in [0, 512, SIZE] {
            let head = request(command, offset, 0);
            assert!(head.is_empty());
            assert_eq!(both(head, &volume()), Ok(()));
        }
        assert!(!request(command, 0, 1).is_empty());
    }
    assert!(!request(Command::Flush, 0, 0).is_empty());
}

#[test]
fn the_longest_read_and_write() {
    let export = Export { max_block: 1 << 20, ..volume() };
    let check = |command, length, replies| request(command, 0, length).check(&export, replies);
    let (fits, longer) = (1 << 20, (1 << 20) + BLOCK);
    for replies in [Replies::Simple, Replies::Structured] {
        assert_eq!(check(Command::Read, fits, replies), Ok(()));
        assert_eq!(check(Command::Write, fits, replies), Ok(()));
        assert_eq!(check(Command::Write, longer, replies), Err(NbdError::Inval));
        // Nothing is carried.
        assert_eq!(check(Command::Trim, longer, replies), Ok(()));
        assert_eq!(check(Command::WriteZeroes, 1 << 30, replies), Ok(()));
    }
    assert_eq!(check(Command::Read, longer, Replies::Simple), Err(NbdError::Inval));
    assert_eq!(check(Command::Read, longer, Replies::Structured), Err(NbdError::Overflow));
}

#[test]
fn a_read_only_export_is_not_written() {
    let export = read_only();
    for command in [Command::Write, Command::Trim, Command::WriteZeroes] {
        for (offset, length) in [(0, BLOCK), (0, 0), (1, 1), (u64::MAX, u32::MAX)] {
            assert_eq!(both(request(command, offset, length), &export), Err(NbdError::Perm));
        }
    }
    assert_eq!(both(request(Command::Read, 0, BLOCK), &export), Ok(()));
    assert_eq!(both(request(Command::Flush, 0, 0), &export), Ok(()));
}

#[test]
fn flags_belong_to_commands() {
    let flags = [FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN, 1 << 15];
    for command in [Command::Read, Command::Write, Command::Trim, Command::WriteZeroes] {
        for flag in flags {
            for replies in [Replies::Simple, Replies::Structured] {
                let head = RequestHead { flags: flag, ..request(command, 0, BLOCK) };
                let is_known = flag == FUA
                    || flag == NO_HOLE && command == Command::WriteZeroes
                    || flag == DF && command == Command::Read && replies == Replies::Structured;
                let expected = if is_known { Ok(()) } else { Err(NbdError::Inval) };
                assert_eq!(head.check(&volume(), replies), expected, "{head:?} {replies:?}");
                // Known ones do not make up for one that is not.
                let head = RequestHead { flags: flag | FUA | REQ_ONE, ..head };
                assert_eq!(head.check(&volume(), replies), Err(NbdError::Inval));
            }
        }
    }
}

#[test]
fn flush_has_no_range() {
    assert_eq!(both(request(Command::Flush, 0, 0), &volume()), Ok(()));
    let fua = RequestHead { flags: FUA, ..request(Command::Flush, 0, 0) };
    assert_eq!(both(fua, &volume()), Ok(()));
    for (offset, length) in [(512, 0), (0, 512), (u64::MAX, u32::MAX)] {
        assert_eq!(both(request(Command::Flush, offset, length), &volume()), Err(NbdError::Inval));
    }
}

#[test]
fn what_is_not_served() {
    for command in [Command::Cache, Command::BlockStatus, Command::Unknown(8)] {
        for length in [0, BLOCK] {
            assert_eq!(both(request(command, 0, length), &volume()), Err(NbdError::Inval));
        }
    }
}

#[test]
fn whoever_goes_may_go() {
    let head = RequestHead { flags: u16::MAX, ..request(Command::Disconnect, u64::MAX, 1) };
    assert_eq!(both(head, &volume()), Ok(()));
    assert_eq!(both(head, &read_only()), Ok(()));
}
