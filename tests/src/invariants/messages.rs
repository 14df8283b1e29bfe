//! MS1 to MS9 and MS15: what clients read.

use std::collections::{BTreeMap, BTreeSet};

use gab::PortName;
use gab::ids::Vid;

use super::{Context, Reader, Violations};
use crate::history::{Read, Sent, What};

/// MS1: whatever is read was sent before, by whom it says, on this port, to this node, as it is.
pub fn invariant_ms1_what_is_read_was_sent(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        for (entry, read) in reader.log.reads() {
            let Some(sent) = sent(context, read) else {
                out.add("ms1-integrity", || {
                    format!("{}: message {} was never accepted", context.name(reader), read.uid)
                });
                continue;
            };
            let node = context.history.lives[reader.life].id.node;
            let sender = context.history.lives[sent.life].id.node;
            let right = sender == read.sender
                && sent.port == reader.log.port
                && sent.at <= entry.at
                && sent.to.is_none() == read.broadcast
                && sent.to.is_none_or(|to| to == node)
                && (sent.to.is_some() || sent.level == read.level);
            if !right {
                out.add("ms1-integrity", || {
                    format!("{}: {read:?} of {sent:?} by node {sender}", context.name(reader))
                });
            }
        }
    }
}

/// MS2: no client reads a message twice.
pub fn invariant_ms2_a_message_is_read_once(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        let mut seen = BTreeSet::new();
        for (entry, read) in reader.log.reads() {
            if !seen.insert(read.uid) {
                out.add("ms2-duplicate", || {
                    format!("{}: {} again at {}", context.name(reader), read.uid, entry.at)
                });
            }
        }
    }
}

/// MS3: every message is read between the membership of its generation and the next.
pub fn invariant_ms3_a_message_is_read_in_its_generation(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        let mut generation = None;
        for entry in &reader.log.entries {
            match &entry.what {
                What::View(view) => generation = Some(view.generation),
                What::Deliver(read) if generation != Some(read.generation) => {
                    out.add("ms3-right-view", || {
                        format!("{}: {read:?} in {generation:?}", context.name(reader))
                    });
                }
                What::Closed(_) | What::Deliver(_) | What::Status(_) => {}
            }
        }
    }
}

/// MS4: no message is read in a generation before the one its sender had seen when it sent it.
pub fn invariant_ms4_no_message_is_read_before_the_view_it_was_sent_in(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        for (_, read) in reader.log.reads() {
            if let Some(sent) = sent(context, read)
                && read.generation < sent.generation
            {
                out.add("ms4-sending-view", || {
                    format!("{}: {read:?} of {sent:?}", context.name(reader))
                });
            }
        }
    }
}

/// MS5: a position in a view names one message everywhere, and nobody who reads on skips one.
pub fn invariant_ms5_one_order_without_gaps(context: &Context<'_>, out: &mut Violations) {
    let mut names: BTreeMap<(Vid, u64), (u64, PortName)> = BTreeMap::new();
    for reader in &context.readers {
        for (at, segment) in &reader.segments {
            let vid = context.history.lives[reader.life].views[*at].view.vid;
            for read in segment {
                let name = (read.uid, reader.log.port);
                let known = *names.entry((vid, read.sequence)).or_insert(name);
                if known != name {
                    out.add("ms5-total-order", || {
                        format!(
                            "{}: {vid} at {} is {name:?}, elsewhere {known:?}",
                            context.name(reader),
                            read.sequence
                        )
                    });
                }
            }
            check_gap(context, reader, *at, vid, out);
        }
    }
}

fn check_gap(
    context: &Context<'_>,
    reader: &Reader<'_>,
    at: usize,
    vid: Vid,
    out: &mut Violations,
) {
    let segment = reader.segment(at);
    let Some(last) = segment.last() else { return };
    let start = reader.start(at).unwrap_or(last.sequence);
    let stream = &context.streams[&(vid, reader.log.port)];
    let expected = stream.range(start..=last.sequence).map(|(_, uid)| *uid);
    if !expected.eq(segment.iter().map(|read| read.uid)) {
        let mine: BTreeSet<u64> = segment.iter().map(|read| read.sequence).collect();
        let missing: Vec<u64> = stream
            .range(start..=last.sequence)
            .map(|(sequence, _)| *sequence)
            .filter(|sequence| !mine.contains(sequence))
            .take(5)
            .collect();
        out.add("ms5-gap", || {
            format!(
                "{}: in {vid} up to {}: misses {missing:?}",
                context.name(reader),
                last.sequence
            )
        });
    }
}

/// MS6: broadcasts of one client are read in the order they were sent, none left out between.
pub fn invariant_ms6_messages_of_a_sender_keep_their_order(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (_, read) in reader.log.reads().filter(|(_, read)| read.broadcast) {
            let Some(sent) = sent(context, read) else { continue };
            let before = last.insert((sent.life, sent.client), sent.index);
            if before.is_some_and(|before| before + 1 != sent.index) {
                out.add("ms6-fifo", || {
                    format!(
                        "{}: number {} of node {} client {} after {before:?}",
                        context.name(reader),
                        sent.index,
                        context.history.lives[sent.life].id,
                        sent.client
                    )
                });
            }
        }
    }
}

/// MS8: who goes from one view to the same next one has read the same in the first.
pub fn invariant_ms8_who_goes_on_together_read_the_same(
    context: &Context<'_>,
    out: &mut Violations,
) {
    let mut groups: BTreeMap<_, Vec<(u64, usize, &Reader<'_>)>> = BTreeMap::new();
    for reader in &context.readers {
        let views = &context.history.lives[reader.life].views;
        for (at, pair) in views.windows(2).enumerate() {
            let Some(start) = reader.start(at) else { continue };
            if reader.is_complete(context, at) {
                let key = (pair[0].view.vid, pair[1].view.vid, reader.log.port);
                groups.entry(key).or_default().push((start, at, reader));
            }
        }
    }
    for ((vid, next, _), group) in &groups {
        let Some((start, at, first)) = group.iter().min_by_key(|(start, ..)| *start) else {
            continue;
        };
        debug_assert!(first.start(*at) == Some(*start));
        for (start, other_at, other) in group {
            let one = first.segment(*at).iter().filter(|read| read.sequence >= *start);
            let two = other.segment(*other_at);
            if !one.clone().map(|read| read.uid).eq(two.iter().map(|read| read.uid)) {
                out.add("ms8-virtual-synchrony", || {
                    format!(
                        "{vid} to {next}: {} read {} messages, {} read {}",
                        context.name(first),
                        one.count(),
                        context.name(other),
                        two.len()
                    )
                });
            }
        }
    }
}

/// MS9, MS15: when all has come to rest, what a living node accepted has been read by everybody who
/// was a member before and still is, the sender included.
pub fn invariant_ms9_ms15_what_was_accepted_is_read(context: &Context<'_>, out: &mut Violations) {
    if !context.settled {
        return;
    }
    let mut open: BTreeMap<PortName, Vec<(&Reader<'_>, BTreeSet<u64>)>> = BTreeMap::new();
    for reader in &context.readers {
        if context.history.lives[reader.life].is_alive() && reader.log.is_open() {
            let read = reader.log.reads().map(|(_, read)| read.uid).collect();
            open.entry(reader.log.port).or_default().push((reader, read));
        }
    }
    for (uid, sent) in (0u64..).zip(&context.history.sent) {
        let life = &context.history.lives[sent.life];
        let sender = &life.clients[sent.client];
        if !life.is_alive() || !(sender.is_open() || sender.closed.is_some()) {
            continue;
        }
        for (reader, read) in open.get(&sent.port).into_iter().flatten() {
            // A directed message is for the client that was the member when it was sent: the sender
            // may not have learnt yet that the port was opened anew.
            let member = reader.log.port_views().next().is_some_and(|(entry, view)| {
                entry.at <= sent.at && (sent.to.is_none() || view.generation <= sent.generation)
            });
            if member && is_addressed(context, sent, reader) && !read.contains(&uid) {
                out.add("ms15-validity", || {
                    format!("{}: never read {uid}, {sent:?} by {}", context.name(reader), life.id)
                });
            }
        }
    }
}

/// Must this reader get it? A point-to-point message may die with its sender's registration.
fn is_addressed(context: &Context<'_>, sent: &Sent, reader: &Reader<'_>) -> bool {
    let Some(to) = sent.to else { return true };
    let sender = &context.history.lives[sent.life].clients[sent.client];
    to == context.history.lives[reader.life].id.node
        && !reader.log.options.shared
        && sender.is_open()
}

/// Precise rule 4: sequences rise strictly over a registration; 0 is for point-to-point only.
pub fn invariant_sequences_rise_over_a_registration(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        let mut last = 0;
        for (_, read) in reader.log.reads() {
            if !read.broadcast {
                if read.sequence != 0 {
                    out.add("sequence", || format!("{}: {read:?}", context.name(reader)));
                }
                continue;
            }
            if read.sequence <= last {
                out.add("sequence", || format!("{}: {read:?} after {last}", context.name(reader)));
            }
            last = read.sequence;
        }
    }
}

/// Precise rule 6: point-to-point messages of one client arrive in order and once per receiver.
pub fn invariant_directed_messages_arrive_in_order_once(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (_, read) in reader.log.reads().filter(|(_, read)| !read.broadcast) {
            let Some(sent) = sent(context, read) else { continue };
            let before = last.insert((sent.life, sent.client), sent.index);
            if before.is_some_and(|before| before >= sent.index) {
                out.add("directed-order", || {
                    format!("{}: {} after {before:?}", context.name(reader), sent.index)
                });
            }
        }
    }
}

fn sent<'a>(context: &Context<'a>, read: &Read) -> Option<&'a Sent> {
    usize::try_from(read.uid).ok().and_then(|uid| context.history.sent.get(uid))
}
