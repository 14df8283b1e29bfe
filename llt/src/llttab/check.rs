//! What the directives and `llthosts` say together.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use crate::ids::{ClusterId, NodeId};
use crate::limits::LINKS_MAX;
use crate::llttab::link::RawLink;
use crate::llttab::parser::{At, RawTab};
use crate::llttab::report::{Problem, Source, Warning};
use crate::llttab::values::node_id;
use crate::llttab::{Hosts, LltTab, addresses, flow, pairs, texts, timers};

/// `None` if something essential is missing, which then stands in `problems`.
pub(super) fn check(
    source: &Source,
    mut raw: RawTab,
    hosts: Hosts,
    read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    problems: &mut Vec<Problem>,
) -> Option<LltTab> {
    let clean_so_far = problems.is_empty();
    let hosts_complete = !problems.iter().any(|problem| !problem.is_in(source));
    let mut checker = Checker { source, hosts: &hosts, hosts_complete, problems };
    let mut warnings = std::mem::take(&mut raw.warnings);
    checker.timers(&mut raw);
    checker.flow(&mut raw);
    let node = checker.own_node(raw.node.as_ref(), read);
    let mine = checker.mine(&raw, node, &mut warnings);
    checker.links(&raw, &mine, &mut warnings);
    let links = addresses::links(&mut checker, &raw, &mine, node);
    let node = node?;
    checker.excluded(&raw, node);
    if clean_so_far && checker.problems.is_empty() {
        let others = addresses::others(&hosts, &raw, node);
        addresses::reachable(&mut checker, &mine, others, &links, &mut warnings);
    }
    warnings.sort_by_key(|warning| warning.line);
    Some(LltTab {
        node,
        cluster: ClusterId(raw.cluster.map_or(0, |at| at.value)),
        links,
        excluded: raw.excluded,
        timers: raw.timers,
        flow: raw.flow,
        checksum: raw.checksum,
        links_min: raw.links_min.map_or(1, |at| at.value),
        verbose: raw.verbose.unwrap_or(false),
        warnings,
        hosts,
    })
}

pub(super) struct Checker<'a> {
    pub(super) source: &'a Source,
    pub(super) hosts: &'a Hosts,
    /// `llthosts` was read without a mistake: what it does not name is not there.
    pub(super) hosts_complete: bool,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    pub(super) fn problem(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.problems.push(Problem::new(self.source, at.clone(), message, label));
    }

    /// The end of the file, where what is missing would stand.
    fn end(&self) -> Range<usize> {
        let end = self.source.text().trim_end().len();
        end..end
    }

    fn timers(&mut self, raw: &mut RawTab) {
        timers::follow(&mut raw.timers, |name| raw.timers_set.contains_key(name));
        for error in timers::timer_errors(&raw.timers) {
            self.settings(&raw.timers_set, error.message(), &error.parties());
        }
    }

    fn flow(&mut self, raw: &mut RawTab) {
        flow::follow(&mut raw.flow, |name| raw.flow_set.contains_key(name));
        for error in flow::flow_errors(&raw.flow) {
            self.settings(&raw.flow_set, error.message(), &error.parties());
        }
    }

    /// Settings that contradict each other: where each was set, or what it is if nobody did.
    fn settings(
        &mut self,
        places: &BTreeMap<&'static str, Range<usize>>,
        message: String,
        parties: &[(&'static str, String)],
    ) {
        let mut problem: Option<Problem> = None;
        let mut unset = Vec::new();
        for (name, value) in parties {
            let Some(place) = places.get(name).cloned() else {
                unset.push(texts::setting_unset(name, value));
                continue;
            };
            let label = texts::setting_is(name, value);
            problem = Some(match problem.take() {
                Some(problem) => problem.and(place, label),
                None => Problem::new(self.source, place, message.clone(), label),
            });
        }
        // What nobody set agrees with itself: one of them was.
        let Some(problem) = problem else { return };
        self.problems.push(match unset.is_empty() {
            true => problem,
            false => problem.help(unset.join("; ")),
        });
    }

    fn own_node(
        &mut self,
        given: Option<&At<String>>,
        read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Option<NodeId> {
        let Some(given) = given else {
            let end = self.end();
            self.problem(&end, texts::node_missing(), texts::node_missing_expected());
            return None;
        };
        let (path, span) = (&given.value, &given.span);
        let mut text = path.clone();
        if path.starts_with('/') {
            text = match read(path) {
                Ok(bytes) => name_in(&bytes),
                Err(error) => {
                    let message = texts::node_file(path, error);
                    self.problem(span, message, texts::node_file_expected());
                    return None;
                }
            };
            if text.is_empty() {
                self.problem(span, texts::node_file_empty(path), texts::node_file_expected());
                return None;
            }
        }
        let node = node_id(&text).or_else(|| self.hosts.node(&text));
        let node = node.filter(|node| self.hosts.name(*node).is_some());
        if node.is_none() {
            self.problem(span, texts::node_unknown(&text), texts::node_expected());
        }
        node
    }

    /// The links of this node; all of them if it is not known which one this is.
    fn mine<'r>(
        &mut self,
        raw: &'r RawTab,
        own: Option<NodeId>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<&'r RawLink> {
        let mut mine = Vec::new();
        for link in &raw.links {
            if is_for(link, own) {
                mine.push(link);
            } else {
                let text = texts::link_of_others_out(&link.tag.value);
                warnings.push(Warning::new(self.source, link.span.start, text));
            }
        }
        let end = self.end();
        if raw.links.is_empty() && raw.broken_tags.is_empty() {
            self.problem(&end, texts::link_none(), texts::link_none_expected());
        } else if mine.is_empty() && raw.broken_tags.is_empty() {
            self.problem(&end, texts::link_of_others_all(), texts::link_of_others());
        }
        mine
    }

    fn links(&mut self, raw: &RawTab, mine: &[&RawLink], warnings: &mut Vec<Warning>) {
        if let Some(ninth) = mine.get(usize::from(LINKS_MAX)) {
            let message = texts::links_many(mine.len());
            self.problem(&ninth.span, message, texts::links_many_most(LINKS_MAX));
        }
        // Beyond the eighth each is one too many, whatever it says: a file of links only must not take
        // the square of its length.
        for (index, link) in mine.iter().take(usize::from(LINKS_MAX)).enumerate() {
            for first in &mine[..index] {
                pairs::pair(self.source, first, link, self.problems, warnings);
            }
        }
        let Some(required) = &raw.links_min else { return };
        if let Some(last) = mine.last()
            && usize::from(required.value) > mine.len()
            && raw.broken_tags.is_empty()
        {
            let (message, label) = (texts::links_few(mine.len()), texts::links_few_required());
            let problem = Problem::new(self.source, required.span.clone(), message, label);
            self.problems.push(problem.and(last.span.clone(), texts::links_few_last()));
        }
    }

    fn excluded(&mut self, raw: &RawTab, own: NodeId) {
        let (true, Some(given)) = (raw.excluded.contains(own), &raw.node) else { return };
        let message = texts::node_excluded(own);
        let mut problem =
            Problem::new(self.source, given.span.clone(), message, texts::node_this());
        if let Some(range) = raw.excludes.iter().rfind(|range| range.value.contains(own)) {
            problem = problem.and(range.span.clone(), texts::node_excluded_here());
        }
        self.problems.push(problem);
    }
}

/// Does this node have the link?
pub(super) fn is_for(link: &RawLink, own: Option<NodeId>) -> bool {
    match (link.nodes, own) {
        (Some(nodes), Some(own)) => nodes.contains(own),
        (None, _) | (_, None) => true,
    }
}

/// The first word of a file that `set-node` names, cut at the first dot (facts 1.3), as it can be
/// shown.
fn name_in(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let word = text.split_whitespace().next().unwrap_or_default();
    let name = word.split('.').next().unwrap_or_default().chars().take(NAME_CHARS_MAX);
    name.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// No name is longer.
const NAME_CHARS_MAX: usize = 255;
