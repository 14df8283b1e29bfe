//! The invariants of facts algorithms 4.1, each a function named after what it states.
//!
//! They judge a [`History`] afterwards, in one pass each; what needs the network or the inside of a
//! stack (VW8, MS11 to MS14) is watched by [`limits`] and [`wire`] while the world runs. The order of a broadcast is known by
//! its view and sequence; the view follows from the base of the views that the node installed.

pub mod causal;
pub mod limits;
pub mod messages;
pub mod ports;
pub mod primary;
pub mod safe;
pub mod views;
pub mod wire;

use std::collections::BTreeMap;

use gab::event::Level;
use gab::ids::Vid;
use gab::{PortName, View};
use llt::Instant;

use crate::history::{ClientLog, History};
use crate::payload::Uid;

/// Something that must not happen and did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which invariant.
    pub kind: &'static str,
    /// Where, for people.
    pub text: String,
}

/// Violations found so far: all are counted, the first of each kind are kept.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    list: Vec<Violation>,
    counts: BTreeMap<&'static str, usize>,
}

impl Violations {
    /// Notes one.
    pub fn add(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        const KEPT_PER_KIND: usize = 5;
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        if *count <= KEPT_PER_KIND {
            self.list.push(Violation { kind, text: text() });
        }
    }

    /// The first of each kind.
    pub fn list(&self) -> &[Violation] {
        &self.list
    }

    /// How many of each kind.
    pub fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// Their kinds in one line.
    pub fn kinds(&self) -> String {
        self.counts.keys().copied().collect::<Vec<_>>().join(", ")
    }

    /// Is there one of this kind?
    pub fn has(&self, kind: &str) -> bool {
        self.counts.contains_key(kind)
    }

    /// Is all well?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Who authorises views with departures.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Arbitration {
    /// A majority of the view before.
    Majority,
    /// Nobody.
    #[default]
    None,
    /// The record.
    Record,
}

/// Judges a history by every invariant. With `settled`, the run came to rest after its last fault,
/// so what had to come true must have come true.
pub fn check(history: &History, by: Arbitration, settled: bool) -> Violations {
    let mut out = Violations::default();
    for fault in &history.faults {
        out.add(fault.kind, || format!("{}: {}", fault.at, fault.text));
    }
    let context = Context::new(history, by, settled);
    for invariant in INVARIANTS {
        invariant(&context, &mut out);
    }
    out
}

/// An invariant.
pub type Invariant = fn(&Context<'_>, &mut Violations);

/// All of them.
pub const INVARIANTS: &[Invariant] = &[
    views::invariant_vw1_a_node_is_a_member_of_what_it_installs,
    views::invariant_vw2_a_node_installs_rising_views,
    views::invariant_vw3_a_view_is_the_same_everywhere,
    views::invariant_vw4_members_of_an_installed_view_go_on_from_it,
    views::invariant_vw5_a_view_has_one_predecessor,
    views::invariant_vw6_who_left_a_lineage_stays_out,
    views::invariant_vw7_no_view_swaps_lives_of_a_node,
    messages::invariant_ms1_what_is_read_was_sent,
    messages::invariant_ms2_a_message_is_read_once,
    messages::invariant_ms3_a_message_is_read_in_its_generation,
    messages::invariant_ms4_no_message_is_read_before_the_view_it_was_sent_in,
    messages::invariant_ms5_one_order_without_gaps,
    messages::invariant_ms6_messages_of_a_sender_keep_their_order,
    causal::invariant_ms7_nobody_reads_an_answer_before_its_cause,
    messages::invariant_ms8_who_goes_on_together_read_the_same,
    messages::invariant_ms9_ms15_what_was_accepted_is_read,
    messages::invariant_sequences_rise_over_a_registration,
    messages::invariant_directed_messages_arrive_in_order_once,
    safe::invariant_ms10_safe_is_uniform,
    ports::invariant_pt1_memberships_are_equal_at_equal_points,
    ports::invariant_pt1_generations_rise,
    ports::invariant_pt2_only_members_are_heard,
    ports::invariant_pt3_the_departed_are_in_no_port,
    ports::invariant_pt3_jeopardy_of_the_departed_is_agreed,
    primary::invariant_pc1_authorised_views_form_one_chain,
    primary::invariant_pc3_held_ports_hear_nothing_unauthorised,
    primary::invariant_pc4_after_the_end_nothing_is_read,
    primary::invariant_pc6_majority_views_are_one_chain,
];

/// A history, with what several invariants need to know.
#[derive(Debug)]
pub struct Context<'a> {
    /// What happened.
    pub history: &'a History,
    /// The run came to rest after its last fault.
    pub settled: bool,
    /// The record decided over views.
    pub arbiter: bool,
    /// Majorities did.
    pub majority: bool,
    /// Every installed view.
    pub views: BTreeMap<Vid, Facts<'a>>,
    /// Every registration and what it read by broadcast.
    pub readers: Vec<Reader<'a>>,
    /// What anybody read, by view, port and sequence.
    pub streams: BTreeMap<(Vid, PortName), BTreeMap<u64, Uid>>,
}

/// What is known of a view.
#[derive(Debug)]
pub struct Facts<'a> {
    /// As the first installer has it.
    pub view: &'a View,
    /// The view before it, at those who had one.
    pub before: Option<Vid>,
    /// Who installed it: index of the life, position among its views.
    pub installers: Vec<(usize, usize)>,
    /// When it was first installed.
    pub first: Instant,
}

/// A registration and what it read by broadcast, per view of its node.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Index of the life.
    pub life: usize,
    /// The log.
    pub log: &'a ClientLog,
    /// By position among the views of the life.
    pub segments: BTreeMap<usize, Vec<Broadcast>>,
    /// It was a member before the views from this position on; `None`: never.
    pub since: Option<usize>,
}

/// A broadcast as read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broadcast {
    /// Position in the order.
    pub sequence: u64,
    /// Which message.
    pub uid: Uid,
    /// As SAFE or not.
    pub level: Level,
    /// World time.
    pub at: Instant,
    /// Views that the node had installed when it was read.
    pub views: usize,
}

impl<'a> Context<'a> {
    /// Indexes a history.
    pub fn new(history: &'a History, by: Arbitration, settled: bool) -> Self {
        let mut views: BTreeMap<Vid, Facts<'a>> = BTreeMap::new();
        let mut readers = Vec::new();
        for (index, life) in history.lives.iter().enumerate() {
            for (at, installed) in life.views.iter().enumerate() {
                let facts = views.entry(installed.view.vid).or_insert_with(|| Facts {
                    view: &installed.view,
                    before: None,
                    installers: Vec::new(),
                    first: installed.at,
                });
                facts.installers.push((index, at));
                facts.first = facts.first.min(installed.at);
                if at > 0 && facts.before.is_none() {
                    facts.before = Some(life.views[at - 1].view.vid);
                }
            }
            readers.extend(life.clients.iter().map(|log| Reader::new(history, index, log)));
        }
        let mut streams: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for reader in &readers {
            for (at, segment) in &reader.segments {
                let vid = history.lives[reader.life].views[*at].view.vid;
                let stream = streams.entry((vid, reader.log.port)).or_default();
                for read in segment {
                    stream.entry(read.sequence).or_insert(read.uid);
                }
            }
        }
        let (arbiter, majority) = (by == Arbitration::Record, by == Arbitration::Majority);
        Self { history, settled, arbiter, majority, views, readers, streams }
    }

    /// The views from which `vid` descends, itself first.
    pub fn chain(&self, vid: Vid) -> impl Iterator<Item = (Vid, &Facts<'a>)> {
        let mut next = Some(vid);
        let mut steps = self.views.len();
        core::iter::from_fn(move || {
            let vid = next?;
            let facts = self.views.get(&vid)?;
            // A circle would be a violation of its own (rising views); do not walk it for ever.
            steps = steps.checked_sub(1)?;
            next = facts.before;
            Some((vid, facts))
        })
    }

    /// Is `ancestor` the same as `vid` or one of those it descends from?
    pub fn descends(&self, vid: Vid, ancestor: Vid) -> bool {
        self.chain(vid).any(|(at, _)| at == ancestor)
    }

    /// Delivery on this port waits for the arbiter.
    pub fn is_held(&self, port: PortName) -> bool {
        self.arbiter && port.is_arbitrated()
    }

    /// How a reader is called.
    pub fn name(&self, reader: &Reader<'_>) -> String {
        let id = self.history.lives[reader.life].id;
        format!("node {id} port {} client {}", reader.log.port, reader.log.client.0)
    }
}

impl<'a> Reader<'a> {
    fn new(history: &'a History, life: usize, log: &'a ClientLog) -> Self {
        let mut segments: BTreeMap<usize, Vec<Broadcast>> = BTreeMap::new();
        for (entry, read) in log.reads().filter(|(_, read)| read.broadcast) {
            // A sequence before every view is found by the check of rising sequences.
            let Some(at) = history.lives[life].view_of(read.sequence) else { continue };
            segments.entry(at).or_default().push(Broadcast {
                sequence: read.sequence,
                uid: read.uid,
                level: read.level,
                at: entry.at,
                views: entry.views,
            });
        }
        let since = log.port_views().next().map(|(entry, _)| entry.views);
        Self { life, log, segments, since }
    }

    /// Was it a member of its port before the view at this position was installed?
    pub fn was_member_before(&self, at: usize) -> bool {
        self.since.is_some_and(|since| since <= at) || self.segments.range(..at).next().is_some()
    }

    /// What it read in the view at this position.
    pub fn segment(&self, at: usize) -> &[Broadcast] {
        self.segments.get(&at).map_or(&[], Vec::as_slice)
    }

    /// The first sequence of the view at this position that it must have read: 0 if all; `None` if
    /// that cannot be told.
    pub fn start(&self, at: usize) -> Option<u64> {
        if self.was_member_before(at) {
            return Some(0);
        }
        self.segment(at).first().map(|read| read.sequence)
    }

    /// Has it read everything of the view at this position? False also where it cannot be told.
    pub fn is_complete(&self, context: &Context<'_>, at: usize) -> bool {
        if context.is_held(self.log.port) {
            let alive = context.history.lives[self.life].is_alive() && self.log.is_open();
            return self.segments.range(at + 1..).next().is_some()
                || (context.settled && alive && self.log.drained > at + 1);
        }
        self.log.drained > at + 1
    }
}

#[cfg(test)]
mod tests;
