//! A frame as text: one line, or with its fields and bytes.

use std::fmt::Write as _;

use llt::LinkAddr;
use llt::wire::BROADCAST_NODE;

use super::seen::{Meaning, Seen};

/// How much of a frame to show.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Detail {
    /// One line.
    #[default]
    Line,
    /// And its fields.
    Fields,
    /// And its bytes.
    Bytes,
}

/// The text of a frame, with line ends.
pub(super) fn text(seen: &Seen, meaning: &Meaning, detail: Detail) -> String {
    let mut out = String::new();
    if seen.lost > 0 {
        let _ = writeln!(out, "... {} frames went by unseen", seen.lost);
    }
    let _ = write!(out, "{} {} ", time(seen.time_ns), way(seen));
    if let (Some(source), Some(destination)) = (meaning.source, meaning.destination) {
        let to =
            if destination == BROADCAST_NODE { "all".to_owned() } else { destination.to_string() };
        let _ = write!(out, "node {source} > {to} ");
    }
    let words = &meaning.words;
    let _ = write!(out, "{} {}", words.name, words.summary);
    if meaning.is_corrupt {
        let _ = write!(out, ", {} bytes", seen.frame.len());
    }
    out.push('\n');
    if detail >= Detail::Fields {
        fields(&mut out, seen, meaning);
    }
    if detail == Detail::Bytes {
        bytes(&mut out, &seen.frame);
    }
    out
}

/// Over which link, or between which addresses.
fn way(seen: &Seen) -> String {
    let name = |addr: Option<LinkAddr>| addr.map_or_else(|| "?".to_owned(), |a| a.to_string());
    match (&seen.link, seen.outgoing) {
        (Some((_, tag)), Some(true)) => format!("{tag} out {}", name(seen.destination)),
        (Some((_, tag)), _) => format!("{tag} in {}", name(seen.source)),
        (None, _) => format!("{} > {}", name(seen.source), name(seen.destination)),
    }
}

fn fields(out: &mut String, seen: &Seen, meaning: &Meaning) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "    {name}: {value}");
    };
    line("from", &address(seen.source));
    line("to", &address(seen.destination));
    line("frame", &format!("{} bytes", seen.frame.len()));
    for (name, value) in &meaning.words.fields {
        line(name, value);
    }
}

/// With its port.
fn address(addr: Option<LinkAddr>) -> String {
    match addr {
        None => "not known".to_owned(),
        Some(LinkAddr::Mac(_)) => addr.map(|addr| addr.to_string()).unwrap_or_default(),
        Some(addr @ (LinkAddr::V4 { port, .. } | LinkAddr::V6 { port, .. })) => {
            format!("{addr} port {port}")
        }
    }
}

/// Sixteen bytes a line, as hexadecimal and as letters.
fn bytes(out: &mut String, frame: &[u8]) {
    for (row, chunk) in frame.chunks(16).enumerate() {
        let _ = write!(out, "    {:04x} ", row * 16);
        for at in 0..16 {
            match chunk.get(at) {
                Some(byte) => {
                    let _ = write!(out, " {byte:02x}");
                }
                None => out.push_str("   "),
            }
        }
        out.push_str("  ");
        out.extend(chunk.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        out.push('\n');
    }
}

/// Time of the day in UTC, to the microsecond.
pub(super) fn time(time_ns: u64) -> String {
    let (seconds, ns) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:06}", seconds % 60, ns / 1000)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use llt::wire::{Header, Kind, emit_bye, emit_data};
    use llt::{ClusterId, Incarnation, LltPort};

    use super::*;
    use crate::golden;

    fn header(kind: Kind) -> Header {
        Header {
            cluster: ClusterId(7),
            kind,
            src: 0,
            dst: 1,
            sequence: 12,
            src_incarnation: Incarnation(0xa0),
            dst_incarnation: Incarnation(0xb0),
            src_session: 1,
            dst_session: 2,
            ack: 510,
        }
    }

    fn seen(frame: Bytes) -> Seen {
        Seen {
            time_ns: 1_795_847_702_123_456_789,
            link: Some((0, "eth1".to_owned())),
            outgoing: Some(true),
            source: Some(LinkAddr::V4 { ip: [127, 77, 0, 0], port: 50_000 }),
            destination: Some(LinkAddr::V4 { ip: [127, 77, 0, 1], port: 50_000 }),
            lost: 0,
            frame,
        }
    }

    fn shown(seen: &Seen, detail: Detail) -> String {
        text(seen, &seen.meaning(None), detail)
    }

    fn data() -> Bytes {
        let data = llt::wire::Data {
            number: 42,
            port: LltPort::GAB,
            first: true,
            last: true,
            message_len: 5,
            offset: 0,
            more: false,
            payload: Bytes::from_static(b"hello"),
        };
        emit_data(&header(Kind::Data), &data)
    }

    #[test]
    fn a_frame_is_one_line() {
        let mut seen = seen(data());
        golden::check("lltdump", &shown(&seen, Detail::Line));
        seen.outgoing = Some(false);
        assert!(shown(&seen, Detail::Line).contains(" eth1 in 127.77.0.0 node 0 > 1 "));
        (seen.link, seen.lost) = (None, 3);
        let lines = shown(&seen, Detail::Line);
        assert!(lines.starts_with("... 3 frames went by unseen\n"), "{lines}");
        assert!(lines.contains("06:35:02.123456 127.77.0.0 > 127.77.0.1 node 0 > 1 "), "{lines}");
    }

    #[test]
    fn fields_and_bytes_follow_if_they_are_asked_for() {
        golden::check("lltdump-v", &shown(&seen(data()), Detail::Fields));
        let bytes = shown(&seen(data()), Detail::Bytes);
        let last = bytes.lines().last().unwrap();
        golden::check("lltdump-bytes", &bytes);
        assert_eq!(last.trim(), "0040  68 65 6c 6c 6f                                   hello");
    }

    #[test]
    fn a_corrupt_frame_says_what_is_wrong() {
        let mut bytes = emit_bye(&header(Kind::Bye)).to_vec();
        bytes[30] ^= 4;
        golden::check("lltdump-corrupt", &shown(&seen(bytes.into()), Detail::Line));
    }
}
