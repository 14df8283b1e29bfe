//! Clients that send anything, and callers that answer anything. The seeds are fixed.

use super::script::{Dump, talk};
use super::*;

/// Marsaglia's xorshift, of 64 bits.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// A counted text, mostly.
    fn text(&mut self) -> Vec<u8> {
        let long = "a".repeat(4000 + self.below(200));
        let texts = ["", "dg/vol1", "dg/vol2", "dg/off", "base:", "base:allocation", "\0", &long];
        let text = if self.one_in(9) { self.bytes(5) } else { self.pick(&texts).into() };
        let wrong = if self.one_in(20) { self.next() % 9 } else { 0 };
        let len = u32::try_from(text.len() as u64 + wrong).unwrap();
        [&len.to_be_bytes()[..], &text].concat()
    }

    fn data(&mut self, option: u32) -> Vec<u8> {
        match option {
            1 => self.text().split_off(4),
            6 | 7 => {
                let count = self.below(5);
                let infos = (0..count).flat_map(|_| [0, self.below(6).to_le_bytes()[0]]);
                let infos: Vec<u8> = infos.collect();
                [&self.text()[..], &[0, count.to_le_bytes()[0]], &infos].concat()
            }
            9 | 10 => {
                let count = self.below(4);
                let queries: Vec<u8> = (0..count).flat_map(|_| self.text()).collect();
                [&self.text()[..], &[0, 0, 0, count.to_le_bytes()[0]], &queries].concat()
            }
            _ if self.one_in(500) => vec![0x49; self.below(1_100_000)],
            _ if self.one_in(4) => {
                let len = self.below(30);
                self.bytes(len)
            }
            _ => Vec::new(),
        }
    }

    /// What a client may send, with some damage.
    fn stream(&mut self) -> Vec<u8> {
        if self.one_in(20) {
            let len = self.below(200);
            return self.bytes(len);
        }
        let mut stream = vec![0, 0, 0, self.pick(&[0, 1, 2, 3, 3, 3, 3, 3, 3, 3])];
        for _ in 0..self.below(6) {
            let option = match self.below(15) {
                0 => u32::MAX,
                number => u32::try_from(number).unwrap(),
            };
            let data = self.data(option);
            let len = match self.below(40) {
                0 => self.pick(&[0, 1, 65536, 65537, 1 << 20, u32::MAX]),
                _ => u32::try_from(data.len()).unwrap(),
            };
            stream.extend_from_slice(b"IHAVEOPT");
            stream.extend_from_slice(&option.to_be_bytes());
            stream.extend_from_slice(&len.to_be_bytes());
            stream.extend_from_slice(&data);
        }
        if self.one_in(3) {
            for _ in 0..self.below(4) {
                let at = self.below(stream.len());
                stream[at] ^= 1 << self.below(8);
            }
        }
        stream
    }

    fn answer(&mut self) -> Result<Export, Refused> {
        match self.below(4) {
            0 => Err(Refused::Policy("a".repeat(self.below(5000)))),
            1 => Err(Refused::Unknown(String::new())),
            2 => Ok(read_only()),
            _ => Ok(volume()),
        }
    }
}

/// The answers that some bytes are; the number of those that are the last to an option.
fn final_answers(mut bytes: &[u8]) -> usize {
    let mut finals = 0;
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<20>().expect("a whole head");
        assert_eq!(head[..8], [0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9]);
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let len = usize::try_from(number(16)).unwrap();
        let (kind, data) = (number(12), &rest[..len]);
        match kind {
            1 => assert!(data.is_empty()),
            2 | 3 => assert!((2..=4100).contains(&data.len())),
            _ => {
                assert!(kind & (1 << 31) != 0 && len <= 4096);
                assert!(str::from_utf8(data).is_ok());
            }
        }
        finals += usize::from(kind == 1 || kind & (1 << 31) != 0);
        bytes = &rest[len..];
    }
    finals
}

/// What became of it all, so that no part of the test is without work.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    begun: usize,
    closed: usize,
    flooded: usize,
    waiting: usize,
}

/// One client, from its first byte to the end.
fn client(random: &mut Random, seen: &mut Seen) {
    let stream = random.stream();
    let (mut handshake, mut input) = (Handshake::new(), &stream[..]);
    let floods = random.one_in(50);
    let mut greeted = false;
    loop {
        assert!(handshake.held() <= 64 << 10);
        match handshake.poll() {
            Step::Ask(Ask::Export { name, .. }) => {
                assert!(name.len() <= 4096 && !name.contains('\0'));
                handshake.answer_export(random.answer());
            }
            Step::Ask(Ask::List) => {
                handshake.answer_list(&vec!["a".repeat(random.below(4100)); random.below(3)]);
            }
            Step::Begin(session) => {
                let unread = [&session.rest[..], input].concat();
                assert!(stream.ends_with(&unread));
                seen.begun += 1;
                return;
            }
            Step::Close(end) => {
                assert_eq!(handshake.poll(), Step::Close(end));
                seen.closed += 1;
                return;
            }
            Step::NeedInput if input.is_empty() => {
                seen.waiting += 1;
                return;
            }
            Step::NeedInput if floods && input.len() > handshake.room() => {
                handshake.handle_input(input);
                assert_eq!(handshake.poll(), Step::Close(HandshakeEnd::Flooded));
                seen.flooded += 1;
                return;
            }
            Step::NeedInput => {
                let most = random.pick(&[1, 10, 100, 100_000]).min(handshake.room());
                assert!(most > 0, "there is always room for more");
                let (head, rest) = input.split_at(most.min(input.len()));
                handshake.handle_input(head);
                input = rest;
            }
            Step::Send(bytes) if !greeted => {
                assert_eq!(bytes.len(), 18);
                greeted = true;
            }
            // The answer to EXPORT_NAME; others begin with their magic.
            Step::Send(bytes) if bytes.starts_with(&(1_u64 << 30).to_be_bytes()) => {
                assert!([10, 134].contains(&bytes.len()));
            }
            Step::Send(bytes) => {
                assert_eq!(final_answers(&bytes), 1, "{:?}", Dump(&bytes));
                seen.answers += 1;
            }
        }
    }
}

#[test]
fn clients_that_send_anything_do_no_harm() {
    let (mut random, mut seen) = (Random(0x6e62_6421), Seen::default());
    for _ in 0..200_000 {
        client(&mut random, &mut seen);
    }
    let Seen { answers, begun, closed, flooded, waiting } = seen;
    let least = *[answers, begun, closed, flooded, waiting].iter().min().unwrap();
    assert!(least > 10, "{seen:?}");
}

#[test]
fn it_does_not_matter_how_the_bytes_come() {
    let mut random = Random(0x5eed);
    for _ in 0..5_000 {
        let stream = random.stream();
        let (sent, end) = talk(&stream, usize::MAX);
        let at_once = if stream.len() > 10_000 { 1 + random.below(3000) } else { 1 };
        let (sent_piecewise, end_piecewise) = talk(&stream, at_once);
        assert_eq!(Dump(&sent), Dump(&sent_piecewise));
        assert_eq!(end, end_piecewise, "{:?}", Dump(&stream));
    }
}

/// The definition, with numbers that cannot overflow.
fn is_within(head: &RequestHead, export: &Export) -> bool {
    let (offset, length) = (u128::from(head.offset), u128::from(head.length));
    let block = u128::from(export.min_block);
    offset % block == 0 && length % block == 0 && offset + length <= u128::from(export.size)
}

#[test]
fn requests_of_any_kind_stay_within_the_export() {
    let mut random = Random(0x7a11);
    let (mut allowed, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut bytes = random.bytes(REQUEST_LEN);
        bytes[..4].copy_from_slice(&0x2560_9513_u32.to_be_bytes());
        let flags: u16 = random.pick(&[0, 0, 0, 1, 2, 3, 4, 8, 0x8000]);
        bytes[4..6].copy_from_slice(&flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&[0, random.below(9).to_le_bytes()[0]]);
        let export = Export {
            min_block: random.pick(&[1, 512, 4096]),
            read_only: random.one_in(8),
            size: random.pick(&[0, 4096, 1 << 30, u64::MAX - 4095]),
            ..volume()
        };
        let near = [0, 1, 512, 4096, export.size, export.size.wrapping_sub(4096), u64::MAX];
        if !random.one_in(4) {
            let offset = random.pick(&near).wrapping_add(random.pick(&[0, 0, 512, u64::MAX]));
            bytes[16..24].copy_from_slice(&offset.to_be_bytes());
            let length: u32 = random.pick(&[0, 1, 512, 4096, 1 << 20, 32 << 20, u32::MAX]);
            bytes[24..].copy_from_slice(&length.to_be_bytes());
        }
        let replies = random.pick(&[Replies::Simple, Replies::Structured]);
        let head = match RequestHead::decode(bytes[..].try_into().unwrap()) {
            Ok(head) => head,
            Err(error) => {
                assert!(matches!(error, BadRequest::Payload(len) if len > PAYLOAD_MAX));
                continue;
            }
        };
        if head.check(&export, replies).is_err() {
            refused += 1;
            continue;
        }
        allowed += 1;
        match head.command {
            Command::Disconnect => {}
            Command::Flush => assert_eq!((head.offset, head.length), (0, 0)),
            Command::Read => {
                assert!(is_within(&head, &export) && head.length <= export.max_block);
            }
            Command::Write => {
                assert!(is_within(&head, &export) && head.length <= export.max_block);
                assert!(!export.read_only);
            }
            Command::Trim | Command::WriteZeroes => {
                assert!(is_within(&head, &export) && !export.read_only);
            }
            Command::BlockStatus | Command::Cache | Command::Unknown(_) => panic!("{head:?}"),
        }
    }
    assert!(allowed > 10_000 && refused > 10_000, "{allowed} {refused}");
}
