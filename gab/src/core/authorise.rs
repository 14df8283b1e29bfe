//! Arbitration: which view may deliver to ports that must not run twice (facts algorithms 3.2).
//!
//! Independent of INSTALL: further failures may change the view while the race is on; what is held
//! queues up in order and is released together once a view is authorised.

use llt::{Duration, Instant};

use super::{ArbiterKind, ArbiterReply, ArbiterRequest, Gab, GabOutput, Record, RecordChange};
use crate::ids::{PortName, Vid};
use crate::wire::Proposal;

/// What this node knows of the record.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Authorisation {
    record: Option<Record>,
    /// The record has been read at least once.
    known: bool,
    authorised: bool,
    /// Some view of ours was authorised.
    ever: bool,
    /// Members departed since our last authorised view.
    departed: bool,
    tickets: u64,
    /// A consultation under way: its ticket, what was prepared, for which round, and for whom.
    consulting: Option<Consultation>,
    /// When to look at the record again, and how often we did in this view.
    next: Option<Instant>,
    tries: u32,
    /// Since when it is known that this view comes too late: the record promises more.
    outranked: Option<Instant>,
}

#[derive(Clone, Debug, Hash)]
struct Consultation {
    ticket: u64,
    prepared: Vid,
    vid: Vid,
    by: Consulted,
    /// The record's view when the promise was last tried to be raised.
    fenced_at: Option<Vid>,
}

/// On whose behalf the record is consulted before a prepared view is dropped.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Consulted {
    /// As a member that got another proposal.
    AsMember(Box<Proposal>),
    /// As the proposer of another view.
    AsProposer,
}

const FIRST_LOOK: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(500);

impl Authorisation {
    /// A view is in force; `departed`: without somebody who was in the one before.
    pub(crate) fn note_view(&mut self, now: Instant, departed: bool) {
        self.departed |= departed;
        // A view that only grew is as authorised as the one before.
        self.authorised &= !departed;
        self.tries = 0;
        self.next = Some(now);
        self.outranked = None;
    }

    /// Since when the view in force is known to be one that can never be authorised itself.
    pub(crate) fn outranked(&self) -> Option<Instant> {
        self.outranked
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }
}

impl Gab {
    /// May what is due on this port go to its clients?
    pub(super) fn may_release(&self, port: PortName) -> bool {
        self.config.arbiter != ArbiterKind::Record
            || !port.is_arbitrated()
            || self.authorisation.authorised
            || self.is_mutant_leftovers_released()
    }

    /// Is the view in force authorised? Always, without a record: what a majority does not
    /// authorise does not come into force.
    pub fn is_authorised(&self) -> bool {
        self.config.arbiter != ArbiterKind::Record || self.authorisation.authorised
    }

    fn ask(&mut self, change: RecordChange) -> u64 {
        self.authorisation.tickets += 1;
        let ticket = self.authorisation.tickets;
        self.out.push_back(GabOutput::Arbiter(ArbiterRequest { ticket, change }));
        ticket
    }

    /// Reads the record: somebody says that we may be out.
    pub(super) fn read_record(&mut self, now: Instant) {
        if self.authorisation.next.is_none_or(|at| at > now) {
            self.authorisation.next = Some(now);
            self.race(now);
        }
    }

    /// Looks at the record until the view is authorised or lost.
    pub(super) fn race(&mut self, now: Instant) {
        let none = self.config.arbiter != ArbiterKind::Record;
        if none
            || self.over
            || self.view.is_none()
            || self.authorisation.next.is_none_or(|at| at > now)
        {
            if none {
                self.authorisation.next = None;
            }
            return;
        }
        self.authorisation.tries += 1;
        let wait = (FIRST_LOOK * self.authorisation.tries).min(LOOK_MAX);
        self.authorisation.next = Some(now + wait);
        self.ask(RecordChange::Read);
    }

    /// The arbiter answers.
    pub fn handle_arbiter(&mut self, now: Instant, reply: ArbiterReply) {
        self.turn(now);
        if self.over {
            return;
        }
        self.authorisation.record = reply.record;
        self.authorisation.known = true;
        if self.authorisation.consulting.as_ref().is_some_and(|c| c.ticket == reply.ticket) {
            self.finish_consulting(now);
        }
        self.judge(now);
    }

    /// What the record says of us, and what we may do about it.
    fn judge(&mut self, now: Instant) {
        let Some(view) = self.view.clone() else { return };
        let Some(record) = self.authorisation.record.clone() else {
            // Nobody has seeded: this view does, by its lowest member.
            if self.is_racer(&view.members, &view.members) {
                self.ask(RecordChange::Swap {
                    expect: Vid::NONE,
                    vid: view.vid,
                    members: view.members,
                });
            }
            return;
        };
        // Whatever comes next has to be above what the record promises.
        let highest = self.membership.highest_round;
        self.membership.highest_round = highest.max(record.promise.round);
        let listed = record.members.contains(&self.id);
        let mine = self.membership.chain.contains(&record.vid) || self.is_mutant_race();
        let absent =
            self.is_mutant_absence() && view.nodes().len() < record.members.len() && listed;
        if listed && (record.vid == view.vid || !self.authorisation.departed && mine) || absent {
            self.authorisation.ever = true;
            if !self.authorisation.authorised {
                self.authorisation.authorised = true;
                self.release_held(now);
            }
            self.authorisation.departed = false;
        }
        if !listed {
            // Out, if we were in, if the record has gone beyond us, or if nobody in this view may
            // ever race for it.
            let hopeless = view.members.iter().all(|id| !record.members.contains(id));
            if self.authorisation.ever || record.vid > view.vid || hopeless {
                self.eject(now, record.vid);
            }
            return;
        }
        if record.vid == view.vid {
            // Whoever has gone on without us may be authorised later than we looked: then we are
            // out, and nobody else would tell us.
            if !self.meets_rival() {
                self.authorisation.next = None;
            }
            return;
        }
        if record.vid > view.vid {
            // We are about to be in that view, or to be left out of the next.
            return;
        }
        if !mine {
            // It names us in a view that we dropped before anybody could tell us that it was in
            // force. What follows it follows from there, so never from our history.
            self.eject(now, record.vid);
            return;
        }
        if record.promise > view.vid {
            // Somebody whose own view came to nothing has shut out all below it.
            if !self.authorisation.authorised {
                self.authorisation.outranked.get_or_insert(now);
            }
            return;
        }
        if self.is_racer(&view.members, &record.members) {
            self.ask(RecordChange::Swap {
                expect: record.vid,
                vid: view.vid,
                members: view.members,
            });
        }
    }

    /// The lowest-ranked member that the record names races; the others take over after a while.
    fn is_racer(&self, members: &[llt::Id], named: &[llt::Id]) -> bool {
        let mut named_members = members.iter().filter(|id| named.contains(id));
        let rank = named_members.position(|&id| id == self.id);
        rank.is_some_and(|rank| {
            u32::try_from(rank * 3).unwrap_or(u32::MAX) < self.authorisation.tries
        })
    }

    /// Step 2 of the view change: was the view that we are ready for authorised somewhere? If not
    /// it must not be any more.
    pub(super) fn consult(&mut self, _now: Instant, prepared: Vid, vid: Vid, by: Consulted) {
        let ticket = self.ask(RecordChange::Read);
        let consultation = Consultation { ticket, prepared, vid, by, fenced_at: None };
        self.authorisation.consulting = Some(consultation);
    }

    fn finish_consulting(&mut self, now: Instant) {
        let Some(mut consultation) = self.authorisation.consulting.take() else { return };
        let record = self.authorisation.record.as_ref();
        let in_force = record.is_some_and(|record| record.vid == consultation.prepared);
        // Tried again if the record moved on in between: it may still come to what we drop.
        let to_fence = record.filter(|record| {
            record.promise < consultation.vid
                && consultation.fenced_at != Some(record.vid)
                && record.members.contains(&self.id)
                && self.membership.chain.contains(&record.vid)
        });
        if let Some(expect) = to_fence.filter(|_| !in_force).map(|record| record.vid) {
            consultation.ticket = self.ask(RecordChange::Fence { expect, vid: consultation.vid });
            consultation.fenced_at = Some(expect);
            self.authorisation.consulting = Some(consultation);
            return;
        }
        let Consultation { prepared, vid, by, .. } = consultation;
        match by {
            Consulted::AsProposer => self.consulted_as_proposer(now, vid, prepared, in_force),
            Consulted::AsMember(_) if in_force => self.receive_install(now, prepared),
            Consulted::AsMember(proposal) => self.accept(now, *proposal),
        }
    }
}

#[cfg(test)]
mod tests {
    use llt::{Id, Incarnation, NodeId};

    use super::super::{GabConfig, Transport};
    use super::*;
    use crate::ids::View;

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) }
    }

    fn vid(round: u64) -> Vid {
        Vid { round, proposer: id(0) }
    }

    fn record(round: u64, promise: Vid) -> Record {
        Record { promise, vid: vid(round), members: vec![id(0), id(1)] }
    }

    /// Node 0, which has installed views 1 and 2, is about to drop view 3 for view 4.
    fn consulting() -> Gab {
        let config = GabConfig { arbiter: ArbiterKind::Record, ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let mut gab = Gab::new(Instant::ZERO, id(0), config, transport, 1);
        gab.view = Some(View { vid: vid(2), members: vec![id(0), id(1)] });
        gab.membership.chain.extend([vid(1), vid(2)]);
        gab.promised = vid(4);
        gab.consult(Instant::ZERO, vid(3), vid(4), Consulted::AsProposer);
        gab
    }

    /// The arbiter answers what was asked last; what is asked then.
    fn answer(gab: &mut Gab, record: Record) -> Option<RecordChange> {
        let asked = gab.out.drain(..).filter_map(|output| match output {
            GabOutput::Arbiter(request) => Some(request.ticket),
            _ => None,
        });
        let ticket = asked.last().expect("something was asked");
        gab.handle_arbiter(Instant::ZERO, ArbiterReply { ticket, record: Some(record) });
        gab.out.iter().find_map(|output| match output {
            GabOutput::Arbiter(request) => Some(request.change.clone()),
            _ => None,
        })
    }

    fn fence(expect: u64) -> Option<RecordChange> {
        Some(RecordChange::Fence { expect: vid(expect), vid: vid(4) })
    }

    #[test]
    fn a_promise_is_raised_again_if_the_record_moved_on_to_our_own_view() {
        let mut gab = consulting();
        assert_eq!(answer(&mut gab, record(1, Vid::NONE)), fence(1));
        // Somebody swapped in between: view 3 may follow on that.
        assert_eq!(answer(&mut gab, record(2, Vid::NONE)), fence(2));
        assert_eq!(answer(&mut gab, record(2, vid(4))), None, "nothing below 4 any more");
        assert!(gab.authorisation.consulting.is_none());
    }

    #[test]
    fn a_promise_that_the_arbiter_does_not_raise_is_not_waited_for() {
        let mut gab = consulting();
        assert_eq!(answer(&mut gab, record(1, Vid::NONE)), fence(1));
        assert_eq!(answer(&mut gab, record(1, Vid::NONE)), None);
        assert!(gab.authorisation.consulting.is_none());
    }

    #[test]
    fn a_view_below_the_promise_is_a_reason_for_a_higher_one() {
        let mut gab = consulting();
        gab.config.configured = true;
        gab.promised = vid(2);
        gab.authorisation.note_view(Instant::ZERO, true);
        assert_eq!(gab.change_due(), None);
        answer(&mut gab, record(1, vid(7)));
        assert!(gab.change_due().is_some());
        assert_eq!(gab.membership.highest_round, 7);
    }

    #[test]
    fn a_record_of_a_view_that_was_passed_by_means_that_we_are_out() {
        let mut gab = consulting();
        gab.membership.chain.remove(&vid(1));
        answer(&mut gab, record(1, Vid::NONE));
        assert!(gab.over);
    }
}
