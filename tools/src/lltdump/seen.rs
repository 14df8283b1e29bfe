//! A frame as one of the sources saw it.

use bytes::Bytes;
use llt::LinkAddr;
use llt::seal::{ClearHeader, Keyring, OVERHEAD, Unopened, is_sealed, peek};
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
    /// It is none that a gabd could use.
    pub(super) is_corrupt: bool,
    /// The newest version of its sender, if it speaks none of ours.
    pub(super) foreign: Option<u8>,
    /// The frame in a sealed one that a key opened.
    pub(super) opened: Option<Bytes>,
    /// In words.
    pub(super) words: Description,
}

impl Seen {
    /// What it is; a sealed frame is opened if one of `keys` does.
    pub(super) fn meaning(&self, keys: Option<&Keyring>) -> Meaning {
        if !is_sealed(&self.frame) {
            return plain(&self.frame);
        }
        let clear = match ClearHeader::check(&self.frame) {
            Ok(clear) => clear,
            Err(error) => return corrupt(&error, self.frame.get(2).copied()),
        };
        match keys.map(|keys| peek(keys, &self.frame)) {
            Some(Ok(frame)) => {
                let mut meaning = plain(&frame);
                let ClearHeader { key, count, .. } = clear;
                meaning.words.summary += &format!(" (sealed with key {key}, count {count})");
                meaning.words.fields.push(("key", key.to_string()));
                meaning.words.fields.push(("count", count.to_string()));
                meaning.opened = Some(frame);
                meaning
            }
            None | Some(Err(Unopened::UnknownKey)) => sealed(&clear, self.frame.len()),
            Some(Err(error)) => corrupt(&error, None),
        }
    }

    /// Came or goes over Ethernet; else over UDP.
    pub(super) fn is_ether(&self) -> Option<bool> {
        let addr = self.source.or(self.destination)?;
        Some(matches!(addr, LinkAddr::Mac(_)))
    }
}

fn plain(frame: &Bytes) -> Meaning {
    match Frame::check(frame) {
        Ok(frame) => Meaning {
            cluster: Some(frame.header.cluster.0),
            source: Some(frame.header.src),
            destination: Some(frame.header.dst),
            is_corrupt: false,
            foreign: None,
            opened: None,
            words: describe(&frame),
        },
        Err(error) => {
            let foreign = match error {
                WireError::Version { max, .. } => Some(max),
                WireError::Checksum | WireError::Malformed { .. } => None,
            };
            Meaning { words: describe_error(error), ..nothing(foreign) }
        }
    }
}

/// What a sealed frame says in the clear.
fn sealed(clear: &ClearHeader, len: usize) -> Meaning {
    let ClearHeader { key, src, dst, link, incarnation, count } = *clear;
    let inside = len.saturating_sub(OVERHEAD);
    let to = if dst == BROADCAST_NODE { "all".to_owned() } else { dst.to_string() };
    let words = Description {
        name: "SEALED",
        summary: format!("with key {key}, count {count} on link {link}, {inside} bytes inside"),
        fields: vec![
            ("source", src.to_string()),
            ("destination", to),
            ("source incarnation", incarnation.to_string()),
            ("link", link.to_string()),
            ("key", key.to_string()),
            ("count", count.to_string()),
        ],
    };
    Meaning { source: Some(src), destination: Some(dst), is_corrupt: false, words, ..nothing(None) }
}

/// A sealed frame that is not what it should be.
fn corrupt(error: &Unopened, newest: Option<u8>) -> Meaning {
    let foreign = newest.filter(|_| *error == Unopened::Version);
    let summary = format!("sealed, but {error}");
    Meaning {
        words: Description { name: "CORRUPT", summary, fields: Vec::new() },
        ..nothing(foreign)
    }
}

fn nothing(foreign: Option<u8>) -> Meaning {
    Meaning {
        cluster: None,
        source: None,
        destination: None,
        is_corrupt: true,
        foreign,
        opened: None,
        words: Description { name: "CORRUPT", summary: String::new(), fields: Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use llt::limits::HEADER_LEN;
    use llt::seal::{Key, Sealer};
    use llt::wire::{Header, Kind, emit_bye};
    use llt::{ClusterId, Id, Incarnation, LinkId, NodeId};

    use super::*;

    fn seen(frame: Bytes) -> Seen {
        Seen {
            time_ns: 0,
            link: None,
            outgoing: None,
            source: None,
            destination: None,
            lost: 0,
            frame,
        }
    }

    fn keys(byte: u8) -> Keyring {
        Keyring::new(Key::new([byte; 32]), None).unwrap()
    }

    /// A goodbye of node 3 to all, sealed.
    fn sealed_bye() -> Bytes {
        let header = Header {
            cluster: ClusterId(7),
            kind: Kind::Bye,
            src: 3,
            dst: BROADCAST_NODE,
            sequence: 0,
            src_incarnation: Incarnation(0xa0),
            dst_incarnation: Incarnation(0),
            src_session: 0,
            dst_session: 0,
            ack: 0,
        };
        let sender = Id { node: NodeId::new(3).unwrap(), incarnation: Incarnation(0xa0) };
        let mut sealer = Sealer::new(sender, LinkId::new(1).unwrap());
        sealer.seal(keys(1).sealing(), BROADCAST_NODE, &emit_bye(&header))
    }

    #[test]
    fn a_key_opens_a_sealed_frame() {
        let meaning = seen(sealed_bye()).meaning(Some(&keys(1)));
        assert_eq!((meaning.words.name, meaning.cluster), ("BYE", Some(7)));
        let key = keys(1).sealing().id();
        let summary = format!("the sender's incarnation ends (sealed with key {key}, count 1)");
        assert_eq!(meaning.words.summary, summary);
        assert_eq!(meaning.opened.map(|frame| frame.len()), Some(HEADER_LEN));
    }

    #[test]
    fn without_its_key_a_sealed_frame_says_what_is_in_the_clear() {
        for keys in [None, Some(keys(2))] {
            let meaning = seen(sealed_bye()).meaning(keys.as_ref());
            assert_eq!((meaning.source, meaning.destination), (Some(3), Some(BROADCAST_NODE)));
            assert_eq!((meaning.words.name, meaning.cluster), ("SEALED", None));
            let end = ", count 1 on link 1, 48 bytes inside";
            assert!(meaning.words.summary.ends_with(end), "{}", meaning.words.summary);
        }
    }

    #[test]
    fn a_forged_or_short_sealed_frame_is_corrupt() {
        let mut forged = sealed_bye().to_vec();
        forged[40] ^= 1;
        let meaning = seen(forged.into()).meaning(Some(&keys(1)));
        assert_eq!((meaning.words.name, meaning.is_corrupt), ("CORRUPT", true));
        assert_eq!(meaning.words.summary, "sealed, but its tag does not match");
        let short = seen(sealed_bye().slice(..60)).meaning(None);
        assert_eq!(short.words.summary, "sealed, but it is malformed");
    }
}
