//! MS10: nobody reads a SAFE message that a survivor can miss.

use std::collections::{BTreeMap, BTreeSet};

use gab::PortName;
use gab::event::Level;
use gab::ids::Vid;

use super::{Context, Reader, Violations};

/// MS10. Without an arbiter: whoever reads a SAFE message in the middle of its view, nobody who
/// goes on from that view misses it, on whichever side. With one, on held ports: nobody misses it
/// who is in a later authorised view.
pub fn invariant_ms10_safe_is_uniform(context: &Context<'_>, out: &mut Violations) {
    let stable = stable(context);
    for reader in &context.readers {
        let life = &context.history.lives[reader.life];
        for (at, installed) in life.views.iter().enumerate() {
            let Some(start) = reader.start(at) else { continue };
            if at + 1 >= life.views.len() || !reader.is_complete(context, at) {
                continue;
            }
            let mine: BTreeSet<u64> = reader.segment(at).iter().map(|read| read.sequence).collect();
            let all = stable.get(&(installed.view.vid, reader.log.port));
            for sequence in all.into_iter().flatten() {
                if *sequence >= start && !mine.contains(sequence) {
                    out.add("ms10-safe-uniform", || {
                        format!(
                            "{}: misses {sequence} of {}, which was read as SAFE",
                            context.name(reader),
                            installed.view.vid
                        )
                    });
                }
            }
        }
    }
    if context.arbiter {
        check_foreign(context, &stable, out);
    }
}

/// What was read as SAFE: without an arbiter in the middle of its view, when every member of it held
/// it; on held ports at any time.
fn stable(context: &Context<'_>) -> BTreeMap<(Vid, PortName), BTreeSet<u64>> {
    let mut stable: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    for reader in &context.readers {
        for (at, segment) in &reader.segments {
            let vid = context.history.lives[reader.life].views[*at].view.vid;
            let held = context.is_held(reader.log.port);
            let safe = segment
                .iter()
                .filter(|read| read.level == Level::Safe && (held || read.views == at + 1));
            stable
                .entry((vid, reader.log.port))
                .or_default()
                .extend(safe.map(|read| read.sequence));
        }
    }
    stable
}

/// A SAFE message was read on a held port in a view: each of its members that is in a later
/// authorised view has that view in its history.
fn check_foreign(
    context: &Context<'_>,
    stable: &BTreeMap<(Vid, PortName), BTreeSet<u64>>,
    out: &mut Violations,
) {
    for ((vid, port), sequences) in stable {
        if !context.is_held(*port) || sequences.is_empty() {
            continue;
        }
        let Some(facts) = context.views.get(vid) else { continue };
        for (_, record) in context.history.records.iter().filter(|(_, r)| r.vid > *vid) {
            let lost = facts.view.members.iter().any(|member| record.members.contains(member))
                && !context.descends(record.vid, *vid);
            if lost {
                out.add("ms10-safe-uniform", || {
                    format!(
                        "{vid} read SAFE on port {port}, but {} does not descend from it",
                        record.vid
                    )
                });
            }
        }
    }
}

/// How many SAFE messages a reader read, for scenarios.
pub fn safe_reads(reader: &Reader<'_>) -> usize {
    reader.segments.values().flatten().filter(|read| read.level == Level::Safe).count()
}
