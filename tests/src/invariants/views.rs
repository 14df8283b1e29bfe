//! VW1 to VW7: what nodes install. VW8 needs the network and is watched by [`super::limits`].

use std::collections::BTreeSet;

use gab::ids::Vid;
use llt::{Id, Instant};

use super::{Context, Violations};

/// VW1: a node is a member of every view that it installs.
pub fn invariant_vw1_a_node_is_a_member_of_what_it_installs(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for life in &context.history.lives {
        for installed in &life.views {
            if !installed.view.contains(life.id) {
                out.add("vw1-self", || format!("{} is not in {}", life.id, installed.view.vid));
            }
        }
    }
}

/// VW2: the view ids that a node installs rise, and so do their bases.
pub fn invariant_vw2_a_node_installs_rising_views(context: &Context<'_>, out: &mut Violations) {
    for life in &context.history.lives {
        for pair in life.views.windows(2) {
            let (one, two) = (&pair[0], &pair[1]);
            if one.view.vid >= two.view.vid || one.base > two.base {
                out.add("vw2-rising", || {
                    format!(
                        "{}: {} from {} then {} from {}",
                        life.id, one.view.vid, one.base, two.view.vid, two.base
                    )
                });
            }
        }
    }
}

/// VW3: one view id has one list of members, in one order, and one base, at everybody.
pub fn invariant_vw3_a_view_is_the_same_everywhere(context: &Context<'_>, out: &mut Violations) {
    for (vid, facts) in &context.views {
        let (life, at) = facts.installers[0];
        let first = &context.history.lives[life].views[at];
        for (life, at) in &facts.installers {
            let life = &context.history.lives[*life];
            let installed = &life.views[*at];
            if installed.view.members != first.view.members || installed.base != first.base {
                out.add("vw3-agreement", || {
                    format!(
                        "{vid}: {:?} from {} and, at {}, {:?} from {}",
                        first.view.members,
                        first.base,
                        life.id,
                        installed.view.members,
                        installed.base
                    )
                });
            }
        }
    }
}

/// VW4: every member of an installed view answered READY, so it never installs a lower one after.
pub fn invariant_vw4_members_of_an_installed_view_go_on_from_it(
    context: &Context<'_>,
    out: &mut Violations,
) {
    for (vid, facts) in &context.views {
        for member in &facts.view.members {
            let Some(life) = context.history.life_of(*member) else {
                out.add("vw4-no-half-view", || format!("{vid}: nobody was ever {member}"));
                continue;
            };
            let life = &context.history.lives[life];
            let lower =
                life.views.iter().find(|other| other.at > facts.first && other.view.vid < *vid);
            if let Some(lower) = lower {
                out.add("vw4-no-half-view", || {
                    format!("{member} installs {} after others installed {vid}", lower.view.vid)
                });
            }
        }
    }
}

/// VW5: all that come to a view from another come from the same: members pass the same views.
pub fn invariant_vw5_a_view_has_one_predecessor(context: &Context<'_>, out: &mut Violations) {
    for (vid, facts) in &context.views {
        for (life, at) in &facts.installers {
            let life = &context.history.lives[*life];
            let before = at.checked_sub(1).map(|at| life.views[at].view.vid);
            if before.is_some() && before != facts.before {
                out.add("vw5-same-sequence", || {
                    format!(
                        "{vid}: {} comes from {:?}, others from {:?}",
                        life.id,
                        before.map(|vid| vid.to_string()),
                        facts.before.map(|vid| vid.to_string())
                    )
                });
            }
        }
    }
}

/// VW6: an identity that left a view of a lineage is in no later view of it.
pub fn invariant_vw6_who_left_a_lineage_stays_out(context: &Context<'_>, out: &mut Violations) {
    for (vid, facts) in &context.views {
        let members: BTreeSet<Id> = facts.view.members.iter().copied().collect();
        // From the view backwards: a member that is missing in an ancestor joined after it, so it
        // must not be found in an older one.
        let mut gap: BTreeSet<Id> = BTreeSet::new();
        for (_, before) in context.chain(*vid).skip(1) {
            let there: BTreeSet<Id> = before.view.members.iter().copied().collect();
            gap.extend(members.difference(&there));
            if let Some(back) = there.intersection(&gap).next() {
                out.add("vw6-readmission", || format!("{back} came back into {vid}"));
                break;
            }
        }
    }
}

/// VW7: no view takes one life of a node in and another out.
pub fn invariant_vw7_no_view_swaps_lives_of_a_node(context: &Context<'_>, out: &mut Violations) {
    for (vid, facts) in &context.views {
        let Some(before) = facts.before.and_then(|before| context.views.get(&before)) else {
            continue;
        };
        for member in &facts.view.members {
            let old = before.view.member(member.node);
            if old.is_some_and(|old| old != *member) {
                out.add("vw7-swap", || format!("{vid} swaps lives of node {}", member.node));
            }
        }
        if facts.view.nodes().len() != facts.view.members.len() {
            out.add("vw7-swap", || format!("{vid} has two lives of one node"));
        }
    }
}

/// The first installation of each view, in order of time, for checks that need the network.
pub fn first_installations(context: &Context<'_>) -> Vec<(Instant, Vid)> {
    let mut list: Vec<_> = context.views.iter().map(|(vid, facts)| (facts.first, *vid)).collect();
    list.sort();
    list
}
