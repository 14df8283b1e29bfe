//! Arbitration: which view may deliver to ports that must not run twice (facts algorithms 3.2).
//!
//! Independent of INSTALL: further failures may change the view while the race is on; what is held
//! queues up in order and is released together once a view is authorised.

use llt::{Duration, Instant};

use super::{ArbiterKind, ArbiterReply, ArbiterRequest, Gab, GabOutput, Record, RecordChange};
use crate::ids::{PortName, Vid};
use crate::wire::Proposal;

/// What this node knows of the record.
#[derive(Debug, Default)]
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
}

#[derive(Debug)]
struct Consultation {
    ticket: u64,
    prepared: Vid,
    vid: Vid,
    by: Consulted,
    fencing: bool,
}

/// On whose behalf the record is consulted before a prepared view is dropped.
#[derive(Debug)]
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
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }
}

impl Gab {
    /// May what is due on this port go to its clients?
    pub(super) fn may_release(&self, port: PortName) -> bool {
        self.config.arbiter == ArbiterKind::None
            || !port.is_arbitrated()
            || self.authorisation.authorised
            || self.is_mutant_leftovers_released()
    }

    /// Is the view in force authorised? Always, without an arbiter.
    pub fn is_authorised(&self) -> bool {
        self.config.arbiter == ArbiterKind::None || self.authorisation.authorised
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
        let none = self.config.arbiter == ArbiterKind::None;
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
        let allowed = mine && record.vid < view.vid && record.promise <= view.vid;
        if allowed && self.is_racer(&view.members, &record.members) {
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
        let fencing = false;
        self.authorisation.consulting = Some(Consultation { ticket, prepared, vid, by, fencing });
    }

    fn finish_consulting(&mut self, now: Instant) {
        let Some(mut consultation) = self.authorisation.consulting.take() else { return };
        let record = self.authorisation.record.clone();
        let in_force = record.as_ref().is_some_and(|record| record.vid == consultation.prepared);
        let may_fence = record.as_ref().is_some_and(|record| {
            record.members.contains(&self.id) && self.membership.chain.contains(&record.vid)
        });
        if !in_force && may_fence && !consultation.fencing {
            let expect = record.map_or(Vid::NONE, |record| record.vid);
            consultation.ticket = self.ask(RecordChange::Fence { expect, vid: consultation.vid });
            consultation.fencing = true;
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
