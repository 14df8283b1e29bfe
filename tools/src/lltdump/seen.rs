//! A frame as one of the sources saw it.

use bytes::Bytes;
use llt::LinkAddr;
use llt::wire::{Description, Frame, Header, WireError, describe, describe_error};

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
    /// Its header, if it is whole.
    pub(super) header: Option<Header>,
    /// What is wrong with it, if it is not.
    pub(super) error: Option<WireError>,
    /// In words.
    pub(super) words: Description,
}

impl Seen {
    /// What it is.
    pub(super) fn meaning(&self) -> Meaning {
        match Frame::check(&self.frame) {
            Ok(frame) => {
                Meaning { header: Some(frame.header), error: None, words: describe(&frame) }
            }
            Err(error) => {
                Meaning { header: None, error: Some(error), words: describe_error(error) }
            }
        }
    }

    /// Came or goes over Ethernet; else over UDP.
    pub(super) fn is_ether(&self) -> Option<bool> {
        let addr = self.source.or(self.destination)?;
        Some(matches!(addr, LinkAddr::Mac(_)))
    }
}
