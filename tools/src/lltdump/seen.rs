//! A frame as one of the sources saw it.

use bytes::Bytes;
use llt::LinkAddr;
use llt::limits::HEADER_LEN;
use llt::wire::{BROADCAST_NODE, Description, Frame, WireError, describe, describe_error};

/// One frame, wherever it was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    /// Nanoseconds since 1970.
    pub(super) time_ns: u64,
    /// The link of the own gabd, by number and tag.
    pub(super) link: Option<(u8, String)>,
    /// Sent by the own gabd, or received.
    pub(super) outgoing: Option<bool>,
    /// From which address, as far as known.
    pub(super) source: Option<LinkAddr>,
    /// To which address.
    pub(super) destination: Option<LinkAddr>,
    /// Frames that went by unseen before this one.
    pub(super) lost: u32,
    /// The frame.
    pub(super) frame: Bytes,
}

/// What a frame is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Meaning {
    /// The cluster, if it is not hidden.
    pub(super) cluster: Option<u16>,
    /// The node that sent it; of a corrupt frame nothing is believed.
    pub(super) source: Option<u8>,
    /// The node that it is for, or [`BROADCAST_NODE`].
    pub(super) destination: Option<u8>,
    /// What is wrong with it.
    pub(super) error: Option<WireError>,
    /// In words.
    pub(super) words: Description,
}

impl Seen {
    /// What it is.
    pub(super) fn meaning(&self) -> Meaning {
        if let Some(meaning) = sealed(&self.frame) {
            return meaning;
        }
        match Frame::check(&self.frame) {
            Ok(frame) => Meaning {
                cluster: Some(frame.header.cluster.0),
                source: Some(frame.header.src),
                destination: Some(frame.header.dst),
                error: None,
                words: describe(&frame),
            },
            Err(error) => Meaning {
                cluster: None,
                source: None,
                destination: None,
                error: Some(error),
                words: describe_error(error),
            },
        }
    }

    /// Came or goes over Ethernet; else over UDP.
    pub(super) fn is_ether(&self) -> Option<bool> {
        let addr = self.source.or(self.destination)?;
        Some(matches!(addr, LinkAddr::Mac(_)))
    }
}

/// What a sealed frame says in the clear (docs/wire.md, "Sealed frames"); `None` for others.
fn sealed(frame: &[u8]) -> Option<Meaning> {
    if !frame.starts_with(SEALED) || frame.len() < CLEAR_LEN + HEADER_LEN + TAG_LEN {
        return None;
    }
    let number = |at: usize, len: usize| {
        frame[at..at + len].iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let (source, destination, link) = (frame[8], frame[9], frame[10]);
    let (key, count) = (format!("{:08x}", number(4, 4)), number(20, 8));
    let inside = frame.len() - CLEAR_LEN - TAG_LEN;
    let to = if destination == BROADCAST_NODE { "all".to_owned() } else { destination.to_string() };
    Some(Meaning {
        cluster: None,
        source: Some(source),
        destination: Some(destination),
        error: None,
        words: Description {
            name: "SEALED",
            summary: format!("with key {key}, count {count} on link {link}, {inside} bytes inside"),
            fields: vec![
                ("source", source.to_string()),
                ("destination", to),
                ("source incarnation", format!("{:x}", number(12, 8))),
                ("link", link.to_string()),
                ("key", key),
                ("count", count.to_string()),
            ],
        },
    })
}

/// The first two bytes of a sealed frame.
pub(super) const SEALED: &[u8] = b"LS";
/// Bytes of a sealed frame before the encrypted ones, and after them.
const CLEAR_LEN: usize = 28;
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_frame_says_what_is_in_the_clear() {
        let mut frame = vec![0xee; CLEAR_LEN + 50 + TAG_LEN];
        frame[..CLEAR_LEN].copy_from_slice(&[
            b'L', b'S', 1, 1, 0x0a, 0x1b, 0x2c, 0x3d, // key
            3, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0,
            0xa0, // source, destination, link, incarnation
            0, 0, 0, 0, 0, 0, 1, 2,
        ]);
        let seen = Seen {
            time_ns: 0,
            link: None,
            outgoing: None,
            source: None,
            destination: None,
            lost: 0,
            frame: frame.clone().into(),
        };
        let meaning = seen.meaning();
        assert_eq!((meaning.source, meaning.destination), (Some(3), Some(BROADCAST_NODE)));
        let words = &meaning.words;
        assert_eq!(
            (words.name, words.summary.as_str()),
            ("SEALED", "with key 0a1b2c3d, count 258 on link 1, 50 bytes inside")
        );
        assert!(words.fields.contains(&("source incarnation", "a0".to_owned())));
        // Cut short it is nothing at all.
        let short = Seen { frame: frame[..60].to_vec().into(), ..seen };
        assert_eq!(short.meaning().words.name, "CORRUPT");
    }
}
