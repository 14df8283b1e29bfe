//! MS7: an answer is never read before what it answers.

use super::{Context, Reader, Violations};
use crate::payload::Uid;

/// MS7: if a client had read m before it sent m', nobody reads m' before m on that port.
pub fn invariant_ms7_nobody_reads_an_answer_before_its_cause(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in &context.readers {
        let reads = reader.log.reads().filter(|(_, read)| read.broadcast);
        // A number for each message that was sent: they are looked up for each sender anew.
        let mut places = vec![None; context.history.sent.len()];
        for (place, (_, read)) in reads.enumerate() {
            if let Some(known) = index(read.uid).and_then(|at| places.get_mut(at)) {
                *known = Some(place);
            }
        }
        if places.iter().all(Option::is_none) {
            continue;
        }
        for sender in &context.readers {
            if sender.log.port == reader.log.port && !sender.log.broadcasts.is_empty() {
                check_pair(context, reader, &places, sender, out);
            }
        }
    }
}

/// Where a message is among those that were sent.
fn index(uid: Uid) -> Option<usize> {
    usize::try_from(uid).ok()
}

/// Walks what the sender read and sent in the order of time, with the latest place at which the
/// reader has anything that the sender knew.
fn check_pair(
    context: &Context<'_>,
    reader: &Reader<'_>,
    places: &[Option<usize>],
    sender: &Reader<'_>,
    out: &mut Violations,
) {
    let mut known = sender.log.reads().filter(|(_, read)| read.broadcast).peekable();
    let mut latest: Option<(usize, Uid)> = None;
    let place_of = |uid: Uid| index(uid).and_then(|at| places.get(at).copied().flatten());
    for answer in &sender.log.broadcasts {
        let Some(sent) = index(*answer).and_then(|at| context.history.sent.get(at)) else {
            continue;
        };
        // Within one turn of a node clients send first and read then.
        while let Some((_, cause)) = known.next_if(|(entry, _)| entry.at < sent.at) {
            latest = latest.max(place_of(cause.uid).map(|place| (place, cause.uid)));
        }
        if let (Some(place), Some((late, cause))) = (place_of(*answer), latest)
            && place < late
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
