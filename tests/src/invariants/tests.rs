//! Small histories, right and wrong, to show that each invariant sees what it is for.

use gab::core::ClientId;
use gab::event::{Level, OpenOptions, PortView};
use gab::ids::Vid;
use gab::{PortName, View};
use llt::{Id, Incarnation, Instant, NodeId, NodeSet};

use super::{Arbitration, check};
use crate::history::{ClientLog, End, Entry, History, Installed, Life, Read, Sent, What};
use crate::input::RecordValue;

fn id(node: u8) -> Id {
    Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(u64::from(node) + 1) }
}

fn vid(round: u64) -> Vid {
    Vid { round, proposer: id(0) }
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn set(nodes: &[u8]) -> NodeSet {
    nodes.iter().filter_map(|node| NodeId::new(*node)).collect()
}

/// A history under construction: node n is life n, with one client on port `port`.
struct Story {
    history: History,
    port: PortName,
    clock: u64,
}

impl Story {
    fn new(nodes: u8) -> Self {
        Self::on('G', nodes)
    }

    fn on(letter: char, nodes: u8) -> Self {
        let port = PortName::new(letter).unwrap();
        let lives = (0..nodes).map(|node| Life {
            id: id(node),
            started: at(0),
            ended: None,
            goes_on: false,
            leaves: None,
            views: Vec::new(),
            memberships: Vec::new(),
            notices: Vec::new(),
            clients: vec![ClientLog::new(
                ClientId(u32::from(node)),
                port,
                OpenOptions::default(),
                at(0),
            )],
        });
        let history = History { lives: lives.collect(), ..History::default() };
        Self { history, port, clock: 1 }
    }

    fn tick(&mut self) -> Instant {
        self.clock += 1;
        at(self.clock)
    }

    /// `node` installs view `round` of these nodes, its numbering starting after `base`.
    fn installs(&mut self, node: u8, round: u64, members: &[u8], base: u64) {
        let at = self.tick();
        let nodes = set(members);
        let members = members.iter().map(|node| id(*node)).collect();
        let view = View { vid: vid(round), members };
        let life = self.life(node);
        life.views.push(Installed { at, view, base });
        life.memberships.push((at, PortName::CONTROL, round, nodes));
    }

    /// GAB announces a membership of the port, and the client reads it.
    fn sees(&mut self, node: u8, generation: u64, members: &[u8]) {
        let before = self.life(node).clients[0].view.map_or(NodeSet::EMPTY, |view| view.members);
        let members = set(members);
        let view = PortView {
            generation,
            members,
            joined: members.difference(before),
            left: before.difference(members),
            jeopardy: NodeSet::EMPTY,
            visible: NodeSet::EMPTY,
        };
        let (now, port) = (self.tick(), self.port);
        let life = self.life(node);
        life.memberships.push((now, port, generation, members));
        life.clients[0].view = Some(view);
        self.entry(node, What::View(view));
    }

    fn sends(&mut self, node: u8, level: Level) -> u64 {
        let at = self.tick();
        let uid = self.history.sent.len() as u64;
        let port = self.port;
        let log = &mut self.life(node).clients[0];
        log.broadcasts.push(uid);
        let sent = Sent {
            life: usize::from(node),
            client: 0,
            port,
            level,
            to: None,
            at,
            generation: log.view.map_or(0, |view| view.generation),
            index: log.broadcasts.len() - 1,
        };
        self.history.sent.push(sent);
        uid
    }

    /// Its client reads message `uid` at this position.
    fn reads(&mut self, node: u8, uid: u64, sequence: u64) {
        let sent = self.history.sent[usize::try_from(uid).unwrap()];
        let generation = self.life(node).clients[0].view.map_or(0, |view| view.generation);
        let sender = self.history.lives[sent.life].id.node;
        let read = Read { uid, sender, broadcast: true, level: sent.level, generation, sequence };
        self.entry(node, What::Deliver(read));
    }

    fn entry(&mut self, node: u8, what: What) {
        let at = self.tick();
        let life = self.life(node);
        let views = life.views.len();
        life.clients[0].entries.push(Entry { at, views, what });
        life.clients[0].drained = views;
    }

    /// Everybody has read what there is.
    fn drained(&mut self) {
        for life in &mut self.history.lives {
            let views = life.views.len();
            life.clients[0].drained = views;
        }
    }

    fn life(&mut self, node: u8) -> &mut Life {
        &mut self.history.lives[usize::from(node)]
    }

    fn kinds(&self, by: Arbitration, settled: bool) -> Vec<&'static str> {
        check(&self.history, by, settled).counts().keys().copied().collect()
    }

    #[track_caller]
    fn fails(&self, kind: &str) {
        let kinds = self.kinds(Arbitration::None, true);
        assert!(kinds.contains(&kind), "expected {kind}, found {kinds:?}");
    }

    #[track_caller]
    fn holds(&self) {
        let violations = check(&self.history, Arbitration::None, true);
        assert!(violations.is_empty(), "{:#?}", violations.list());
    }
}

/// Three nodes in view 1, all on the port since before view 2 of the same three.
fn three() -> Story {
    let mut story = Story::new(3);
    for node in 0..3 {
        story.installs(node, 1, &[0, 1, 2], 0);
        story.sees(node, 5, &[0, 1, 2]);
    }
    for node in 0..3 {
        story.installs(node, 2, &[0, 1, 2], 10);
    }
    story
}

#[test]
fn a_plain_run_holds() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(1, Level::Safe);
    for node in 0..3 {
        story.reads(node, one, 11);
        story.reads(node, two, 14);
    }
    story.holds();
}

#[test]
fn vw1_sees_a_view_without_its_installer() {
    let mut story = three();
    story.installs(2, 3, &[0, 1], 20);
    story.fails("vw1-self");
}

#[test]
fn vw2_sees_a_falling_view() {
    let mut story = three();
    story.installs(2, 1, &[0, 1, 2], 20);
    story.fails("vw2-rising");
}

#[test]
fn vw3_sees_two_versions_of_a_view() {
    let mut story = three();
    story.installs(0, 3, &[0, 1], 20);
    story.installs(1, 3, &[1, 0], 20);
    story.fails("vw3-agreement");
}

#[test]
fn vw4_sees_a_member_that_installs_a_lower_view_later() {
    let mut story = three();
    story.installs(0, 4, &[0, 1, 2], 20);
    story.installs(1, 3, &[1, 2], 20);
    story.fails("vw4-no-half-view");
}

#[test]
fn vw5_sees_a_member_that_skipped_a_view() {
    let mut story = three();
    story.installs(0, 3, &[0, 1, 2], 20);
    story.installs(0, 4, &[0, 1, 2], 20);
    story.installs(1, 4, &[0, 1, 2], 20);
    story.fails("vw5-same-sequence");
}

#[test]
fn vw6_sees_who_comes_back_under_its_old_identity() {
    let mut story = three();
    story.installs(0, 3, &[0, 1], 20);
    story.installs(0, 4, &[0, 1, 2], 20);
    story.fails("vw6-readmission");
}

#[test]
fn vw7_sees_two_lives_of_a_node_swapped() {
    let mut story = three();
    let mut members = vec![id(0), id(1), id(2)];
    members[2].incarnation = Incarnation(77);
    let at = story.tick();
    let view = View { vid: vid(3), members };
    story.life(0).views.push(Installed { at, view, base: 20 });
    story.fails("vw7-swap");
}

#[test]
fn ms1_sees_a_message_that_nobody_sent() {
    let mut story = three();
    let uid = story.sends(0, Level::Agreed);
    story.reads(1, uid, 11);
    story.history.sent[0].at = at(1_000_000);
    story.fails("ms1-integrity");
}

#[test]
fn ms2_sees_a_message_read_twice() {
    let mut story = three();
    let uid = story.sends(0, Level::Agreed);
    story.reads(1, uid, 11);
    story.reads(1, uid, 12);
    story.fails("ms2-duplicate");
}

#[test]
fn ms3_sees_a_message_of_another_generation() {
    let mut story = three();
    let uid = story.sends(0, Level::Agreed);
    story.reads(1, uid, 11);
    let log = &mut story.life(1).clients[0];
    if let Some(Entry { what: What::Deliver(read), .. }) = log.entries.last_mut() {
        read.generation += 1;
    }
    story.fails("ms3-right-view");
}

#[test]
fn ms4_sees_a_message_read_before_the_view_it_was_sent_in() {
    let mut story = three();
    story.sees(0, 6, &[0, 1]);
    let uid = story.sends(0, Level::Agreed);
    story.reads(1, uid, 11);
    story.fails("ms4-sending-view");
}

#[test]
fn ms5_sees_two_messages_in_one_place() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(1, Level::Agreed);
    story.reads(0, one, 11);
    story.reads(1, two, 11);
    story.fails("ms5-total-order");
}

#[test]
fn ms5_sees_a_message_left_out() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(1, Level::Agreed);
    story.reads(0, one, 11);
    story.reads(0, two, 12);
    story.reads(1, two, 12);
    story.fails("ms5-gap");
}

#[test]
fn ms6_sees_messages_of_a_sender_swapped() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(0, Level::Agreed);
    for node in 0..3 {
        story.reads(node, two, 11);
        story.reads(node, one, 12);
    }
    story.fails("ms6-fifo");
}

#[test]
fn ms7_sees_an_answer_read_before_its_cause() {
    let mut story = three();
    let cause = story.sends(0, Level::Agreed);
    story.reads(1, cause, 11);
    let answer = story.sends(1, Level::Agreed);
    story.reads(2, answer, 12);
    story.reads(2, cause, 13);
    story.fails("ms7-causal");
}

#[test]
fn ms7_lets_messages_pass_that_know_nothing_of_each_other() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(1, Level::Agreed);
    for node in 0..3 {
        story.reads(node, two, 11);
        story.reads(node, one, 12);
    }
    story.holds();
}

#[test]
fn ms8_sees_survivors_that_read_different_things() {
    let mut story = three();
    let one = story.sends(2, Level::Agreed);
    story.reads(0, one, 11);
    for node in 0..2 {
        story.installs(node, 3, &[0, 1], 11);
        story.sees(node, 6, &[0, 1]);
    }
    story.life(2).ended = Some((at(500), End::Crashed));
    story.drained();
    story.fails("ms8-virtual-synchrony");
}

#[test]
fn ms8_excuses_the_one_that_died() {
    let mut story = three();
    let one = story.sends(2, Level::Agreed);
    story.reads(2, one, 11);
    for node in 0..2 {
        story.installs(node, 3, &[0, 1], 10);
        story.sees(node, 6, &[0, 1]);
    }
    story.life(2).ended = Some((at(500), End::Crashed));
    story.drained();
    story.holds();
}

#[test]
fn ms10_sees_a_survivor_that_misses_what_a_dead_node_read_as_safe() {
    let mut story = three();
    let one = story.sends(2, Level::Safe);
    story.reads(2, one, 11);
    for node in 0..2 {
        story.installs(node, 3, &[0, 1], 10);
        story.sees(node, 6, &[0, 1]);
    }
    story.life(2).ended = Some((at(500), End::Crashed));
    story.drained();
    story.fails("ms10-safe-uniform");
}

#[test]
fn ms10_with_an_arbiter_sees_safe_messages_of_a_side_that_lost() {
    let mut story = Story::on('w', 3);
    for node in 0..3 {
        story.installs(node, 1, &[0, 1, 2], 0);
        story.sees(node, 5, &[0, 1, 2]);
    }
    record(&mut story, 1, &[0, 1, 2]);
    story.installs(2, 2, &[2], 0);
    story.sees(2, 6, &[2]);
    let uid = story.sends(2, Level::Safe);
    story.reads(2, uid, 1);
    for node in 0..2 {
        story.installs(node, 3, &[0, 1], 0);
    }
    record(&mut story, 3, &[0, 1]);
    let kinds = story.kinds(Arbitration::Record, false);
    assert!(kinds.contains(&"pc3-held"), "{kinds:?}");
}

#[test]
fn pc1_sees_a_record_that_jumps_to_another_lineage() {
    let mut story = three();
    story.installs(0, 3, &[0, 1], 20);
    story.installs(2, 4, &[2], 20);
    record(&mut story, 2, &[0, 1, 2]);
    record(&mut story, 3, &[0, 1]);
    record(&mut story, 4, &[2]);
    assert!(story.kinds(Arbitration::Record, false).contains(&"pc1-chain"));
}

fn record(story: &mut Story, round: u64, members: &[u8]) {
    let at = story.tick();
    let members = members.iter().map(|node| id(*node)).collect();
    let value = RecordValue { promise: Vid::NONE, vid: vid(round), members };
    story.history.records.push((at, value));
}

#[test]
fn ms15_sees_a_message_that_was_accepted_and_never_read() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    story.reads(0, one, 11);
    story.reads(1, one, 11);
    story.fails("ms15-validity");
}

#[test]
fn sequences_must_rise() {
    let mut story = three();
    let one = story.sends(0, Level::Agreed);
    let two = story.sends(1, Level::Agreed);
    story.reads(0, one, 12);
    story.reads(0, two, 11);
    story.fails("sequence");
}

#[test]
fn pt1_sees_two_memberships_of_one_generation() {
    let mut story = three();
    story.sees(0, 6, &[0, 1]);
    story.sees(1, 6, &[0, 1, 2]);
    story.fails("pt1-membership");
}

#[test]
fn pt1_sees_a_generation_used_twice() {
    let mut story = three();
    story.sees(0, 5, &[0, 1]);
    story.fails("pt1-generation");
}

#[test]
fn pt2_sees_a_message_of_a_stranger() {
    let mut story = three();
    story.sees(0, 6, &[0, 1]);
    let uid = story.sends(2, Level::Agreed);
    story.reads(0, uid, 11);
    story.fails("pt2-members");
}

#[test]
fn pt3_sees_a_port_that_keeps_a_departed_node() {
    let mut story = three();
    let port = story.port;
    let now = story.tick();
    story.life(0).memberships.push((now, port, 5, set(&[0, 1, 2])));
    story.installs(0, 3, &[0, 1], 20);
    story.fails("pt3-departed");
}

/// Node 2 has gone; 0 and 1 read so, with whom they say it was in jeopardy.
fn lost(jeopardy: [&[u8]; 2]) -> Story {
    let mut story = three();
    for (node, lost) in (0..).zip(jeopardy) {
        story.installs(node, 3, &[0, 1], 20);
        story.sees(node, 6, &[0, 1]);
        let log = &mut story.life(node).clients[0];
        if let Some(Entry { what: What::View(view), .. }) = log.entries.last_mut() {
            view.jeopardy = set(lost);
        }
    }
    story.life(2).ended = Some((at(500), End::Crashed));
    story.drained();
    story
}

#[test]
fn pt3_sees_a_node_lost_in_jeopardy_for_one_alone() {
    lost([&[2], &[]]).fails("pt3-jeopardy");
}

#[test]
fn pt3_lets_jeopardy_of_members_differ() {
    // Node 0 says that 1 has one link left, which only 0 can know.
    lost([&[1, 2], &[2]]).holds();
}

#[test]
fn pc6_sees_a_minority_that_goes_on() {
    let mut story = three();
    story.installs(2, 3, &[2], 20);
    let kinds = story.kinds(Arbitration::Majority, false);
    assert!(kinds.contains(&"pc6-majority"), "{kinds:?}");
}

#[test]
fn pc6_lets_a_majority_go_on() {
    let mut story = three();
    for node in 0..2 {
        story.installs(node, 3, &[0, 1], 20);
        story.sees(node, 6, &[0, 1]);
    }
    // Half of two, with the lowest id.
    story.installs(0, 4, &[0], 30);
    story.sees(0, 7, &[0]);
    assert_eq!(story.kinds(Arbitration::Majority, false), [""; 0]);
}

/// Views 3 and 4 both follow on view 2; `round` of them goes on.
fn two_that_follow(round: u64) -> Story {
    let mut story = three();
    story.installs(0, 3, &[0, 1], 20);
    story.installs(1, 4, &[1, 2], 20);
    let node = if round == 3 { 0 } else { 1 };
    story.installs(node, 5, if round == 3 { &[0] } else { &[1] }, 30);
    story
}

#[test]
fn pc6_sees_a_view_that_goes_on_after_another_took_its_place() {
    let kinds = two_that_follow(3).kinds(Arbitration::Majority, false);
    assert!(kinds.contains(&"pc6-chain"), "{kinds:?}");
}

#[test]
fn pc6_lets_the_last_view_go_on() {
    let kinds = two_that_follow(4).kinds(Arbitration::Majority, false);
    assert!(!kinds.contains(&"pc6-chain"), "{kinds:?}");
}

#[test]
fn pc4_sees_a_message_after_the_end() {
    let mut story = three();
    let uid = story.sends(1, Level::Agreed);
    story.entry(0, What::Closed(gab::CloseReason::Ejected));
    story.reads(0, uid, 11);
    story.fails("pc4-after-the-end");
}
