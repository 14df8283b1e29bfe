//! PT1 to PT3: memberships of ports.

use std::collections::BTreeMap;

use gab::PortName;
use gab::event::PortView;
use llt::{Id, Instant, NodeSet};

use super::{Context, Violations};
use crate::history::{Installed, Life, What};

/// Who saw which members, by port and generation.
type Seen = BTreeMap<(PortName, u64), Vec<(Id, Vec<Id>)>>;

/// PT1: two nodes that count each other in at one generation of a port count the same members, and
/// clients read what their node announced.
pub fn invariant_pt1_memberships_are_equal_at_equal_points(
    context: &Context<'_>,
    out: &mut Violations,
) {
    let mut seen = Seen::new();
    for life in &context.history.lives {
        let mut announced: BTreeMap<(PortName, u64), NodeSet> = BTreeMap::new();
        for (at, port, generation, members) in &life.memberships {
            announced.insert((*port, *generation), *members);
            // On a held port the announcement comes later than the view it belongs to.
            if !context.is_held(*port)
                && let Some(ids) = lives_of(life, views_by(life, *at), *members)
            {
                seen.entry((*port, *generation)).or_default().push((life.id, ids));
            }
        }
        for log in &life.clients {
            for (_, view) in log.port_views() {
                let said = announced.get(&(log.port, view.generation));
                if said != Some(&view.members) {
                    out.add("pt1-membership", || {
                        format!("{}: port {}: {view:?}, announced {said:?}", life.id, log.port)
                    });
                }
            }
        }
    }
    for ((port, generation), list) in &seen {
        for (index, (one, members)) in list.iter().enumerate() {
            for (other, others) in &list[..index] {
                if members != others && members.contains(other) && others.contains(one) {
                    out.add("pt1-membership", || {
                        format!(
                            "port {port} gen {generation:x}: {one} sees {members:?}, {other} {others:?}"
                        )
                    });
                }
            }
        }
    }
}

/// In which of their lives `members` of a port are members, as `life` knew when it had installed
/// the first `views` of its views: the last of these that has all of them says so. None if none has.
fn lives_of(life: &Life, views: usize, members: NodeSet) -> Option<Vec<Id>> {
    let known = life.views[..views]
        .iter()
        .rev()
        .find(|installed| members.difference(installed.view.nodes()).is_empty())?;
    Some(members.iter().filter_map(|node| known.view.member(node)).collect())
}

/// How many views `life` had installed at `at`.
fn views_by(life: &Life, at: Instant) -> usize {
    life.views.iter().filter(|view| view.at <= at).count()
}

/// PT1: generations of a port rise, and each membership follows from the one before.
pub fn invariant_pt1_generations_rise(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        let node = context.history.lives[reader.life].id.node;
        let mut last: Option<PortView> = None;
        for (_, view) in reader.log.port_views() {
            let follows = last.is_none_or(|last| {
                view.generation > last.generation
                    && view.members == last.members.difference(view.left).union(view.joined)
            });
            if !follows || !view.members.contains(node) {
                out.add("pt1-generation", || {
                    format!("{}: {view:?} after {last:?}", context.name(reader))
                });
            }
            last = Some(*view);
        }
    }
    for life in &context.history.lives {
        let mut last: BTreeMap<PortName, u64> = BTreeMap::new();
        for (_, port, generation, members) in &life.memberships {
            let before = last.insert(*port, *generation);
            if before.is_some_and(|before| before >= *generation) {
                out.add("pt1-generation", || {
                    format!(
                        "{}: port {port} gen {generation:x} of {members} after {before:x?}",
                        life.id
                    )
                });
            }
        }
    }
}

/// PT2: only members of a port, as the reader sees it at that moment, are heard on it.
pub fn invariant_pt2_only_members_are_heard(context: &Context<'_>, out: &mut Violations) {
    for reader in &context.readers {
        let mut members = NodeSet::EMPTY;
        for entry in &reader.log.entries {
            match &entry.what {
                What::View(view) => members = view.members,
                What::Deliver(read) if !members.contains(read.sender) => {
                    out.add("pt2-members", || {
                        format!("{}: {read:?} among {members}", context.name(reader))
                    });
                }
                What::Closed(_) | What::Deliver(_) | What::Status(_) => {}
            }
        }
    }
}

/// PT3: a node that departs leaves every port with the view that it departs from.
pub fn invariant_pt3_the_departed_are_in_no_port(context: &Context<'_>, out: &mut Violations) {
    for life in &context.history.lives {
        let mut views = life.views.iter();
        let mut installed = None;
        // The last word on every port while a view was in force. Each view is announced by a
        // membership of port a, perhaps later than it is installed, and later than the next is.
        let mut ports: BTreeMap<PortName, NodeSet> = BTreeMap::new();
        for (_, port, _, members) in &life.memberships {
            if *port == PortName::CONTROL {
                check_departed(life, installed, &ports, out);
                installed = views.next();
            }
            // A held port keeps its members until the view is authorised.
            if !context.is_held(*port) {
                ports.insert(*port, *members);
            }
        }
        // A view in which the node learnt that it is out is announced to nobody.
        let last = life.ended.map(|(at, _)| at);
        installed = installed.filter(|installed| Some(installed.at) != last);
        check_departed(life, installed, &ports, out);
    }
}

/// PT3: who is lost in jeopardy is so for everybody who is told of it: services are taken over
/// everywhere or nowhere.
pub fn invariant_pt3_jeopardy_of_the_departed_is_agreed(
    context: &Context<'_>,
    out: &mut Violations,
) {
    let mut told: BTreeMap<_, NodeSet> = BTreeMap::new();
    for reader in &context.readers {
        for (_, view) in reader.log.port_views().filter(|(_, view)| !view.left.is_empty()) {
            // Parts of a split may use the same generation, but not with the same members; nor have
            // those that all have started anew the same incarnations.
            let life = &context.history.lives[reader.life];
            let Some(members) = lives_as_announced(life, reader.log.port, view) else { continue };
            let key = (reader.log.port, view.generation, view.left.bits(), members);
            let lost = view.jeopardy.intersection(view.left);
            let known = *told.entry(key).or_insert(lost);
            if known != lost {
                out.add("pt3-jeopardy", || {
                    let generation = view.generation;
                    format!("{}: {lost} at {generation:x}, others {known}", context.name(reader))
                });
            }
        }
    }
}

/// [`lives_of`] the members of a port when `life` announced that its membership is now `view`.
fn lives_as_announced(life: &Life, port: PortName, view: &PortView) -> Option<Vec<Id>> {
    let is_this = |(_, name, generation, _): &&(Instant, PortName, u64, NodeSet)| {
        *name == port && *generation == view.generation
    };
    let (at, ..) = life.memberships.iter().find(is_this)?;
    lives_of(life, views_by(life, *at), view.members)
}

fn check_departed(
    life: &Life,
    installed: Option<&Installed>,
    ports: &BTreeMap<PortName, NodeSet>,
    out: &mut Violations,
) {
    let Some(installed) = installed else { return };
    for (port, members) in ports {
        let gone = members.difference(installed.view.nodes());
        if !gone.is_empty() {
            out.add("pt3-departed", || {
                format!("{}: port {port} keeps {gone} in {}", life.id, installed.view.vid)
            });
        }
    }
}
