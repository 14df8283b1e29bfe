//! What two links must not have in common.

use std::ops::Range;

use crate::llttab::link::RawLink;
use crate::llttab::report::{Problem, Source, Warning};
use crate::llttab::{Medium, TabLink, texts};

/// What two links have in common.
enum Common {
    /// They cannot both be open, or would hear each other.
    Clash { message: String, help: String },
    /// Only a cable: a second link that protects from nothing.
    Fate(String),
}

fn common(one: (&str, &Medium), other: (&str, &Medium)) -> Option<Common> {
    let ((tag, one), (other_tag, other)) = (one, other);
    match (one, other) {
        (Medium::Ether { device, sap }, Medium::Ether { device: second, sap: other_sap }) => {
            if device != second {
                return None;
            }
            if sap != other_sap {
                return Some(Common::Fate(texts::fate_device(tag, other_tag, device)));
            }
            let message = texts::link_device(device, format!("0x{sap:04X}"));
            Some(Common::Clash { message, help: texts::link_device_help() })
        }
        (Medium::Udp { local: a, .. }, Medium::Udp { local: b, .. }) => {
            let is_any = a.ip().is_unspecified() || b.ip().is_unspecified();
            if a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (is_any || a.ip() == b.ip()) {
                let message = texts::link_address(b);
                return Some(Common::Clash { message, help: texts::link_address_help() });
            }
            let is_one = !is_any && a.ip() == b.ip();
            is_one.then(|| Common::Fate(texts::fate_address(tag, other_tag, a.ip())))
        }
        (Medium::Ether { .. }, Medium::Udp { .. }) | (Medium::Udp { .. }, Medium::Ether { .. }) => {
            None
        }
    }
}

/// Judges two links of one file.
pub(super) fn pair(
    source: &Source,
    first: &RawLink,
    second: &RawLink,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let (tag, other) = (&first.tag.value, &second.tag.value);
    if tag == other {
        let at = second.tag.span.clone();
        let problem = Problem::new(source, at, texts::link_tag(tag), texts::again());
        problems.push(problem.and(first.tag.span.clone(), texts::first_here()));
    }
    match common((tag, &first.medium.value), (other, &second.medium.value)) {
        Some(Common::Clash { message, help }) => {
            let at = second.medium.span.clone();
            let problem = Problem::new(source, at, message, texts::link_taken_again());
            let problem = problem.and(first.medium.span.clone(), texts::link_taken());
            problems.push(problem.help(help));
        }
        Some(Common::Fate(text)) => {
            warnings.push(Warning::new(source, second.span.start, text));
        }
        None => {}
    }
}

/// Judges a new link beside one that is there.
pub(super) fn beside(
    source: &Source,
    old: &TabLink,
    new: &RawLink,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let problem = |at: &Range<usize>, message: String| {
        Problem::new(source, at.clone(), message, texts::link_running(&old.tag))
    };
    if old.tag == new.tag.value {
        problems.push(problem(&new.tag.span, texts::link_tag(&old.tag)));
    }
    match common((&old.tag, &old.medium), (&new.tag.value, &new.medium.value)) {
        Some(Common::Clash { message, help }) => {
            problems.push(problem(&new.medium.span, message).help(help));
        }
        Some(Common::Fate(text)) => {
            warnings.push(Warning::new(source, new.span.start, text));
        }
        None => {}
    }
}
