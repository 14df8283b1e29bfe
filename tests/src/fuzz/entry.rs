//! The decoders as functions of any bytes: the way in for `cargo fuzz` (`tests/fuzz`), for the
//! command `fuzz-decoders` and for the test that runs the corpus.
//!
//! What is accepted is also read to its end: formatting it visits every field.

use std::fmt::Debug;
use std::hint::black_box;
use std::io;
use std::path::Path;

use bytes::Bytes;
use cvm::disk;
use gab::ipc::Reader;
use llt::io::keyfile;
use llt::llttab::{self, LltTab, Source, TabLink};
use llt::seal::{ClearHeader, Opener, peek};
use llt::wire::Frame;
use llt::{Id, Incarnation, LinkId, NodeId};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::frames;
use crate::setup::keyring;

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As `cargo fuzz` and the folder of the corpus call it.
    pub name: &'static str,
    /// Reads any bytes; true if all of them were accepted. Never panics.
    pub run: fn(&[u8]) -> bool,
}

/// All of them but lltdump's `packet`, which is not needed where a cluster is simulated.
pub const TARGETS: [Target; 7] = [
    Target { name: "disk_blocks", run: forged_blocks },
    Target { name: "gab_message", run: |bytes| gab_message(&Bytes::copy_from_slice(bytes)) },
    Target { name: "ipc_records", run: |bytes| ipc_records(&Bytes::copy_from_slice(bytes)) },
    Target { name: "key_file", run: key_file },
    Target { name: "llt_config", run: llt_config },
    Target { name: "llt_frame", run: forged_frame },
    Target { name: "sealed_frame", run: sealed_frame },
];

impl Target {
    /// The decoder of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Self {
        let found = TARGETS.into_iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("no decoder is called {name}"))
    }
}

/// A frame of LLT as it is.
pub fn llt_frame(bytes: &Bytes) -> bool {
    accept(Frame::check(bytes))
}

/// The same, and once more with the right length and checksum: a fuzzer finds neither, and nearly
/// everything lies behind them.
fn forged_frame(bytes: &[u8]) -> bool {
    let mut forged = bytes.to_vec();
    if frames::set_length_and_checksum(&mut forged) {
        llt_frame(&forged.into());
    }
    llt_frame(&Bytes::copy_from_slice(bytes))
}

/// A sealed frame, for node 1 and for who only watches, with the first two test keys.
pub fn sealed_frame(bytes: &[u8]) -> bool {
    let keys = keyring(1, Some(2));
    black_box(format!("{:?}", ClearHeader::check(bytes)));
    let own = Id { node: NodeId::new(1).expect("below 128"), incarnation: Incarnation(1) };
    let link = LinkId::new(0).expect("below 8");
    let opened = Opener::new(own).open(&keys, link, |_| Incarnation(0), bytes);
    if let Ok(plain) = &opened {
        assert_eq!(peek(&keys, bytes).as_ref(), Ok(plain), "both see the same");
    }
    opened.is_ok_and(|plain| llt_frame(&plain))
}

/// `etc/muster.key`.
pub fn key_file(bytes: &[u8]) -> bool {
    match keyfile::parse(Path::new("muster.key"), bytes) {
        Ok(keys) => keys.ids().count() > 0,
        Err(error) => {
            // Whatever is wrong, nothing of the text is repeated.
            let said = error.to_string();
            assert!(said.starts_with("muster.key"), "{said}");
            false
        }
    }
}

/// A message of GAB.
pub fn gab_message(bytes: &Bytes) -> bool {
    accept(gab::wire::Message::decode(bytes.clone()))
}

/// A datagram on `gab.sock`.
pub fn ipc_records(bytes: &Bytes) -> bool {
    // After a broken record there is none: the last one tells.
    Reader::new(bytes.clone()).map(accept).last().unwrap_or(false)
}

/// Blocks of a private region as they are.
pub fn disk_blocks(bytes: &[u8]) -> bool {
    let block = &bytes[..bytes.len().min(disk::BLOCK)];
    let label = [0, 1].into_iter().any(|copy| accept(disk::Label::decode(copy, block)));
    let claim = disk::Slot::ALL
        .into_iter()
        .any(|slot| [0, 1].into_iter().any(|copy| accept(disk::Claim::decode(slot, copy, block))));
    let image = disk::Slot::ALL.into_iter().any(|slot| {
        accept(disk::Head::decode(slot, block));
        let image = disk::Image::decode(slot, bytes);
        if let Ok(image) = &image {
            let written = image.encode(u32::MAX).expect("what is read can be written");
            assert!(bytes.starts_with(&written), "and has the same bytes");
        }
        accept(image)
    });
    label || claim || image
}

/// The same, and once more with right checksums.
fn forged_blocks(bytes: &[u8]) -> bool {
    let mut forged = bytes.to_vec();
    forged.chunks_exact_mut(disk::BLOCK).for_each(disk::forge_checksum);
    disk_blocks(&forged);
    disk_blocks(bytes)
}

/// `llttab`, and behind a line of dashes `llthosts`; the lines of `llttab` are also read as what
/// an administrator changes while LLT runs.
pub fn llt_config(bytes: &[u8]) -> bool {
    let at = bytes.windows(DASHES.len()).position(|window| window == DASHES);
    let (tab, hosts) = match at {
        Some(at) => (&bytes[..at], &bytes[at + DASHES.len()..]),
        None => (bytes, HOSTS),
    };
    let (tab, hosts) = (Source::new("llttab", tab), Source::new("llthosts", hosts));
    // A file that `set-node` names is not there.
    let none = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let parsed = LltTab::parse(&tab, &hosts, &none);
    let names = parsed.as_ref().map(|tab| tab.hosts.clone()).unwrap_or_default();
    for line in tab.text().lines() {
        let mut warnings = Vec::new();
        let link = TabLink::parse_line(line, NodeId::ZERO, &names, &[], &mut warnings);
        accept(link.map(|link| (link.config(None), warnings)));
    }
    let (mut timers, mut flow) = Default::default();
    for word in llttab::words(tab.text()).flatten() {
        black_box(llttab::parse_timer(&mut timers, word.text).is_ok());
        black_box(llttab::parse_flow(&mut flow, word.text).is_ok());
    }
    black_box((llttab::check_timers(&timers).is_ok(), llttab::check_flow(&flow).is_ok()));
    match &parsed {
        Ok(tab) => {
            llttab::check_timers(&tab.timers).expect("what was accepted agrees with itself");
            llttab::check_flow(&tab.flow).expect("what was accepted agrees with itself");
        }
        Err(errors) => {
            // A report of many mistakes takes longer than finding them.
            errors.problems().iter().take(REPORTED).for_each(|problem| report(problem));
        }
    }
    accept(parsed)
}

/// Whatever is wrong can be shown.
fn report(errors: &dyn Diagnostic) {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
    let mut text = String::new();
    handler.render_report(&mut text, errors).expect("a string takes all");
    black_box(text);
}

fn accept<T: Debug, E>(result: Result<T, E>) -> bool {
    if let Ok(value) = &result {
        black_box(format!("{value:?}"));
    }
    result.is_ok()
}

const REPORTED: usize = 3;
const DASHES: &[u8] = b"\n---\n";
const HOSTS: &[u8] = b"0 north\n1 south\n2 east\n";
