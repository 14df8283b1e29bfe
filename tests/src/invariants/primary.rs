//! PC1, PC3, PC4: with an arbiter, one chain of authorised views; nothing after the end. PC6: under
//! a majority, one chain of views.

use std::collections::BTreeMap;

use gab::ids::Vid;
use llt::{Id, Instant};

use super::{Context, Violations};
use crate::history::What;

/// PC1, PC2: every authorised view descends from the one authorised before it.
pub fn invariant_pc1_authorised_views_form_one_chain(context: &Context<'_>, out: &mut Violations) {
    for pair in context.history.records.windows(2) {
        let (before, after) = (&pair[0].1, &pair[1].1);
        if before.vid.is_none() || after.vid.is_none() {
            // Cleared by the operator, when all that it named were dead: a new chain begins.
            continue;
        }
        if after.vid < before.vid || after.promise < before.promise {
            out.add("pc1-chain", || format!("the record fell from {before:?} to {after:?}"));
        }
        if after.vid != before.vid && !context.descends(after.vid, before.vid) {
            out.add("pc1-chain", || format!("{} does not descend from {}", after.vid, before.vid));
        }
    }
}

/// PC3: what a held port hears in a view, its node was authorised for by then.
pub fn invariant_pc3_held_ports_hear_nothing_unauthorised(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for reader in context.readers.iter().filter(|reader| context.is_held(reader.log.port)) {
        let life = &context.history.lives[reader.life];
        for (at, segment) in &reader.segments {
            let vid = life.views[*at].view.vid;
            let Some(first) = segment.iter().map(|read| read.at).min() else { continue };
            let latest = life.views.iter().rfind(|view| view.at <= first);
            let latest = latest.map_or(vid, |installed| installed.view.vid);
            if !was_authorised(context, life.id, vid, latest, first) {
                out.add("pc3-held", || {
                    format!("{}: read in {vid} at {first}, unauthorised", context.name(reader))
                });
            }
        }
    }
}

/// Did the record authorise `id` for what it read in `vid`, at a time when `latest` was its view?
fn was_authorised(context: &Context<'_>, id: Id, vid: Vid, latest: Vid, by: Instant) -> bool {
    context.history.records.iter().take_while(|(at, _)| *at <= by).any(|(_, record)| {
        record.members.contains(&id)
            && if record.vid >= vid {
                context.descends(latest, record.vid)
            } else {
                context.descends(vid, record.vid) && nobody_left(context, vid, record.vid)
            }
    })
}

/// Did nobody depart on the way from `from` to its descendant `vid`?
fn nobody_left(context: &Context<'_>, vid: Vid, from: Vid) -> bool {
    let (Some(now), Some(then)) = (context.views.get(&vid), context.views.get(&from)) else {
        return false;
    };
    then.view.members.iter().all(|member| now.view.contains(*member))
}

/// PC6 (ours): under a majority a view holds one of the view before it, and of several views that
/// follow on the same one, which only a proposer that dies or is cut off leaves behind, only the
/// last goes on.
pub fn invariant_pc6_majority_views_are_one_chain(context: &Context<'_>, out: &mut Violations) {
    if !context.majority {
        return;
    }
    let mut after: BTreeMap<Vid, Vec<Vid>> = BTreeMap::new();
    for (vid, facts) in &context.views {
        let Some(before) = facts.before else { continue };
        after.entry(before).or_default().push(*vid);
        let Some(base) = context.views.get(&before) else { continue };
        if !goes_on(context, &base.view.members, &facts.view.members, facts.first) {
            out.add("pc6-majority", || format!("{vid} is no majority of {before}"));
        }
    }
    for (base, vids) in &after {
        for vid in &vids[..vids.len() - 1] {
            if after.contains_key(vid) {
                out.add("pc6-chain", || format!("of {vids:?}, which follow {base}, {vid} went on"));
            }
        }
    }
}

/// Are these members enough of `base` to go on? Who was about to leave in order does not count.
fn goes_on(context: &Context<'_>, base: &[Id], members: &[Id], at: Instant) -> bool {
    let leaves = |id: &Id| {
        let life = context.history.lives.iter().find(|life| life.id == *id);
        life.and_then(|life| life.leaves).is_some_and(|since| since <= at)
    };
    let of: Vec<&Id> = base.iter().filter(|id| members.contains(id) || !leaves(id)).collect();
    let present = of.iter().filter(|id| members.contains(id)).count();
    let lowest = of.iter().min_by_key(|id| id.node).is_none_or(|id| members.contains(id));
    present * 2 > of.len() || present * 2 == of.len() && lowest
}

/// PC4: a client whose registration ended reads nothing more.
pub fn invariant_pc4_after_the_end_nothing_is_read(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        let end = reader.log.entries.iter().position(|e| matches!(e.what, What::Closed(_)));
        if end.is_some_and(|end| end + 1 != reader.log.entries.len()) {
            out.add("pc4-after-the-end", || context.name(reader));
        }
    }
}
