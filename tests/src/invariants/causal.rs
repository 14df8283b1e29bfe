//! MS7: an answer is never read before what it answers.

use std::collections::BTreeMap;

use super::{Context, Reader, Violations};
use crate::payload::Uid;

/// MS7: if a client had read m before it sent m', nobody reads m' before m on that port.
pub fn invariant_ms7_nobody_reads_an_answer_before_its_cause(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        let reads = reader.log.reads().filter(|(_, read)| read.broadcast);
        let places: BTreeMap<Uid, usize> =
            reads.enumerate().map(|(place, (_, read))| (read.uid, place)).collect();
        if places.is_empty() {
            continue;
        }
        for sender in &context.readers {
            if sender.log.port == reader.log.port && !sender.log.broadcasts.is_empty() {
                check_pair(context, reader, &places, sender, out);
            }
        }
    }
}

/// Walks what the sender read and sent in the order of time, with the latest place at which the
/// reader has anything that the sender knew.
fn check_pair(
    context: &Context<'_>,
    reader: &Reader<'_>,
    places: &BTreeMap<Uid, usize>,
    sender: &Reader<'_>,
    out: &mut Violations,
) {
    let mut known = sender.log.reads().filter(|(_, read)| read.broadcast).peekable();
    let mut latest: Option<(usize, Uid)> = None;
    for answer in &sender.log.broadcasts {
        let Some(sent) = usize::try_from(*answer).ok().and_then(|at| context.history.sent.get(at))
        else {
            continue;
        };
        // Within one turn of a node clients send first and read then.
        while let Some((_, cause)) = known.next_if(|(entry, _)| entry.at < sent.at) {
            let place = places.get(&cause.uid).map(|place| (*place, cause.uid));
            latest = latest.max(place);
        }
        if let (Some(place), Some((late, cause))) = (places.get(answer), latest)
            && *place < late
        {
            out.add("ms7-causal", || {
                format!(
                    "{}: read {answer} before {cause}, which its sender knew",
                    context.name(reader)
                )
            });
        }
    }
}
