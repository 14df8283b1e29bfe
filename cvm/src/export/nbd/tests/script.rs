//! Conversations in words of hexadecimal digits, text in quotes, and repeated bytes as `124*00`.
//!
//! `C` begins what the client sends, `S` what the server does; a line that begins with `.` goes on
//! with the one before, and one that begins with `#` is for people.

use std::fmt;

use super::*;

/// A handshake with all that it has sent.
#[derive(Default)]
struct Peer {
    handshake: Handshake,
    sent: Vec<u8>,
}

impl Peer {
    /// Hands in what there is, `at_once` bytes or fewer at a time, until nothing more happens.
    fn feed(&mut self, mut input: &[u8], at_once: usize) -> Step {
        loop {
            match self.handshake.poll() {
                Step::Ask(Ask::Export { name, .. }) => self.handshake.answer_export(find(&name)),
                Step::Ask(Ask::List) => self.handshake.answer_list(&list()),
                Step::Begin(mut session) => {
                    let rest = [&session.rest[..], input].concat();
                    session.rest = rest.into();
                    return Step::Begin(session);
                }
                Step::Close(end) => return Step::Close(end),
                Step::NeedInput if input.is_empty() => return Step::NeedInput,
                Step::NeedInput => {
                    let len = at_once.min(self.handshake.room()).min(input.len());
                    assert!(len > 0, "there is always room for more");
                    self.handshake.handle_input(&input[..len]);
                    input = &input[len..];
                }
                Step::Send(bytes) => {
                    assert!(!bytes.is_empty());
                    self.sent.extend_from_slice(&bytes);
                }
            }
        }
    }
}

fn list() -> Vec<String> {
    ["dg/vol1", "dg/vol2"].map(str::to_owned).into()
}

/// What is sent and how it ends, if `input` comes in pieces of some length.
pub(super) fn talk(input: &[u8], at_once: usize) -> (Vec<u8>, Step) {
    let mut peer = Peer::default();
    let end = peer.feed(input, at_once);
    (peer.sent, end)
}

/// Goes through a conversation turn by turn, and once more in pieces of all lengths: what is sent
/// and how it ends must be the same.
#[track_caller]
pub(super) fn play(script: &str) -> Step {
    let turns = parse(script);
    let (mut peer, mut end) = (Peer::default(), Step::NeedInput);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for (side, bytes) in &turns {
        if *side == Side::Client {
            input.extend_from_slice(bytes);
            if let Step::Begin(session) = &mut end {
                session.rest = [&session.rest[..], bytes].concat().into();
            } else {
                end = peer.feed(bytes, usize::MAX);
            }
        } else {
            if peer.sent.is_empty() {
                end = peer.feed(&[], usize::MAX);
            }
            output.extend_from_slice(bytes);
            assert_eq!(Dump(&peer.sent), Dump(&output), "after {:?}", Dump(&input));
        }
    }
    assert_eq!(Dump(&peer.sent), Dump(&output), "at the end");
    for at_once in [1, 2, 3, 7, 16, 19, 4096, usize::MAX] {
        let (sent, last) = talk(&input, at_once);
        assert_eq!(Dump(&sent), Dump(&output), "{at_once} bytes at once");
        assert_eq!(last, end, "{at_once} bytes at once");
    }
    // Cut in two anywhere.
    for cut in (0..=input.len()).step_by(1 + input.len() / 2000) {
        let mut peer = Peer::default();
        let first = peer.feed(&input[..cut], usize::MAX);
        if first == Step::NeedInput {
            assert_eq!(peer.feed(&input[cut..], usize::MAX), end, "cut at {cut}");
        }
        assert_eq!(Dump(&peer.sent), Dump(&output), "cut at {cut}");
    }
    end
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    Client,
    Server,
}

fn parse(script: &str) -> Vec<(Side, Vec<u8>)> {
    let mut turns: Vec<(Side, Vec<u8>)> = Vec::new();
    for line in script.lines().map(str::trim) {
        let last = turns.last().map(|(side, _)| *side);
        let (side, line) = if let Some(line) = line.strip_prefix("C ") {
            (Side::Client, line)
        } else if let Some(line) = line.strip_prefix("S ") {
            (Side::Server, line)
        } else if let Some(line) = line.strip_prefix(". ") {
            (last.expect("a line before"), line)
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "whose is {line}?");
            continue;
        };
        match turns.last_mut() {
            Some((last, turn)) if *last == side => turn.extend(bytes(line)),
            _ => turns.push((side, bytes(line))),
        }
    }
    turns
}

/// The bytes that a line stands for.
pub(super) fn bytes(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        for word in part.split_whitespace() {
            match word.split_once('*') {
                Some((count, word)) => bytes.extend(hex(word).repeat(count.parse().unwrap())),
                None => bytes.extend(hex(word)),
            }
        }
    }
    bytes
}

fn hex(word: &str) -> Vec<u8> {
    assert!(word.len().is_multiple_of(2), "half a byte in {word}");
    let byte = |at| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
    (0..word.len()).step_by(2).map(byte).collect()
}

/// Bytes that a failed test shows as lines of 16; of many, the first.
#[derive(Eq, PartialEq)]
pub(super) struct Dump<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} bytes", self.0.len())?;
        for line in self.0.chunks(16).take(64) {
            let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(f, "{hex:<32}  {}", line.escape_ascii())?;
        }
        Ok(())
    }
}
