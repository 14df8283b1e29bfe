//! Descriptions: records as text (facts 1.5, the format of `vxmake`).
//!
//! ```text
//! vol vol1 use_type=fsgen        a record: kind, name, fields; at the beginning of a line
//!     len=2097152                more fields of it: indented
//!     comment="two words"        quoted if there is a space, quote, # or backslash in it
//!     plex=vol1-01,vol1-02
//! # a comment
//! ```
//! One format for everything that lists records: what `vxprint -m` prints and `vxmake` reads, the
//! images on disk and the changes that nodes send each other. Fields that have their default are left
//! out, the order is fixed, so equal groups have equal texts.

mod parse;
mod read;
mod write;

pub use parse::{Description, Field, TextError, parse};
pub use read::{read_group, read_into};
pub use write::{write_group, write_record};

/// The words that records begin with, by [`super::Kind`]; the group itself is [`GROUP`].
pub(in crate::model) const GROUP: &str = "dg";

const TUTIL: [&str; 3] = ["tutil0", "tutil1", "tutil2"];
const PUTIL: [&str; 3] = ["putil0", "putil1", "putil2"];

pub(in crate::model) const fn word(kind: super::Kind) -> &'static str {
    match kind {
        super::Kind::Disk => "dm",
        super::Kind::Plex => "plex",
        super::Kind::Subdisk => "sd",
        super::Kind::Volume => "vol",
    }
}

#[cfg(test)]
mod tests;
