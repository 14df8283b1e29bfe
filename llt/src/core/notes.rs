//! What is wrong with links, found and told: once when it begins, once when it is over.

use std::collections::BTreeMap;

use super::Llt;
use super::context::{Context, OwnLink};
use super::output::{Event, Note, RefusedCause};
use super::peer::Peer;
use super::rhythm::Rhythm;
use super::status::OwnNote;
use crate::ids::{LinkAddr, LinkId, NodeId};
use crate::limits::{Bounded, LINKS_MAX, NODES_MAX};
use crate::time::{Duration, Instant};

/// What is wrong with a link to a peer.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Since when the peer has said that it does not hear us.
    unheard_since: Option<Instant>,
    /// When the last heartbeat named the peer's number of the link; the number before the last
    /// change, and when that was named last.
    number_at: Instant,
    number_before: Option<(u8, Instant)>,
    /// When two numbers were last seen to take turns.
    crossed_at: Instant,
    /// What was told, of each kind.
    one_way: bool,
    lossy: bool,
    crossed: Option<LinkId>,
    mtu: Option<usize>,
}

/// What is wrong on our side.
#[derive(Debug, Default)]
pub(super) struct OwnNotes {
    /// How often our timer was late, by how much the last time, and when.
    late: Option<(u64, u64, Instant)>,
    /// When a node id was last seen to be used twice.
    duplicates: BTreeMap<NodeId, Instant>,
    /// Our links on which frames of another come in (the first is where), and when they last did.
    crossed: BTreeMap<(LinkId, LinkId), Instant>,
    /// Frames that are none of ours.
    refused: BTreeMap<(RefusedCause, LinkId), Refused>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    from: LinkAddr,
    count: u64,
    /// When the layer above may be told again.
    event_at: Instant,
}

impl OwnNotes {
    pub(super) fn bounded(&self) -> [Bounded; 3] {
        let (nodes, links) = (usize::from(NODES_MAX), usize::from(LINKS_MAX));
        [
            Bounded::new("llt duplicates", self.duplicates.len(), nodes),
            Bounded::new("llt crossed links", self.crossed.len(), links * links),
            Bounded::new("llt refused frames", self.refused.len(), REFUSED_CAUSES * links),
        ]
    }
}

/// Causes in [`RefusedCause`].
const REFUSED_CAUSES: usize = 7;

impl Notes {
    /// What was told and is not over.
    pub(super) fn list(&self) -> Vec<Note> {
        let crossed = self.crossed.map(|with| Note::Crossed { with });
        let mtu = self.mtu.map(|sent| Note::Mtu { sent });
        let lossy = self.lossy.then_some(Note::Lossy);
        let one_way = self.one_way.then_some(Note::OneWay);
        [crossed, lossy, mtu, one_way].into_iter().flatten().collect()
    }
}

impl Context {
    fn tell_note(&mut self, peer: &Peer, link: usize, note: Note, found: bool) {
        let link = self.links[link].id;
        self.event(Event::Note { peer: peer.id(), link, note, found });
    }

    /// A heartbeat on the link says whether the peer hears us there.
    pub(super) fn note_report(&mut self, peer: &mut Peer, link: usize, is_heard: bool) {
        if is_heard {
            self.note_no_one_way(peer, link);
            return;
        }
        let since = *peer.links[link].notes.unheard_since.get_or_insert(self.now);
        if self.now.since(since) > self.judge(link).trouble && !peer.links[link].notes.one_way {
            peer.links[link].notes.one_way = true;
            self.tell_note(peer, link, Note::OneWay, true);
        }
    }

    /// The link works both ways, or we do not hear the peer there either.
    pub(super) fn note_no_one_way(&mut self, peer: &mut Peer, link: usize) {
        peer.links[link].notes.unheard_since = None;
        if std::mem::take(&mut peer.links[link].notes.one_way) {
            self.tell_note(peer, link, Note::OneWay, false);
        }
    }

    /// Tells whether most heartbeats of the peer are lost here.
    pub(super) fn note_lossy(&mut self, peer: &mut Peer, link: usize) {
        let is_lossy = peer.links[link].rhythm.is_lossy();
        if std::mem::replace(&mut peer.links[link].notes.lossy, is_lossy) != is_lossy {
            self.tell_note(peer, link, Note::Lossy, is_lossy);
        }
    }

    /// A heartbeat on the link names the peer's number of it. One that changes and changes back
    /// is of two links; one that only changes was renumbered. `true`: it is another link than
    /// before, so its sequences are others, too.
    pub(super) fn note_number(&mut self, peer: &mut Peer, link: usize, number: u8) -> bool {
        let trouble = self.judge(link).trouble;
        let entry = &mut peer.links[link];
        let number_at = std::mem::replace(&mut entry.notes.number_at, self.now);
        let Some(before) = entry.peer_link.replace(number).filter(|before| *before != number)
        else {
            return false;
        };
        let last = entry.notes.number_before.replace((before, number_at));
        let alternates =
            last.is_some_and(|(other, at)| other == number && self.now.since(at) < trouble);
        if !alternates {
            return true;
        }
        entry.notes.crossed_at = self.now;
        if entry.notes.crossed.is_none() {
            // Of the two the one that is not ours is the stranger.
            let other = if number == self.links[link].id.get() { before } else { number };
            let Some(with) = LinkId::new(other) else { return false };
            peer.links[link].notes.crossed = Some(with);
            self.tell_note(peer, link, Note::Crossed { with }, true);
        }
        false
    }

    /// Tells whether frames of the full size get through.
    pub(super) fn note_mtu(&mut self, peer: &mut Peer, link: usize) {
        let (own, entry) = (self.config.links[link].mtu, &peer.links[link]);
        let lost = if entry.peer_mtu < own {
            Some(own)
        } else {
            entry.path.limit.map(|_| own.min(entry.peer_mtu))
        };
        let before = std::mem::replace(&mut peer.links[link].notes.mtu, lost);
        if before == lost {
            return;
        }
        if let Some(sent) = before {
            self.tell_note(peer, link, Note::Mtu { sent }, false);
        }
        if let Some(sent) = lost {
            self.tell_note(peer, link, Note::Mtu { sent }, true);
        }
    }

    /// How long what shows crossed links may be away until they are taken for untangled: frames
    /// to everybody may be as rare as the search for peers.
    fn crossed_for(&self) -> Duration {
        self.config.timers.peer_inact.max(self.config.timers.discover * 2)
    }

    /// Looks for crossed links that are not crossed any more.
    pub(super) fn review_crossed(&mut self, peer: &mut Peer, link: usize) {
        let notes = &peer.links[link].notes;
        if notes.crossed.is_some() && self.now.since(notes.crossed_at) > self.crossed_for() {
            self.note_not_crossed(peer, link);
        }
    }

    fn note_not_crossed(&mut self, peer: &mut Peer, link: usize) {
        if let Some(with) = peer.links[link].notes.crossed.take() {
            self.tell_note(peer, link, Note::Crossed { with }, false);
        }
    }

    /// Nothing is known of the link any more: what was wrong is over.
    pub(super) fn forget_notes(&mut self, peer: &mut Peer, link: usize) {
        self.note_no_one_way(peer, link);
        self.note_not_crossed(peer, link);
        peer.links[link].rhythm = Rhythm::default();
        self.note_lossy(peer, link);
        peer.links[link].notes.number_before = None;
        if let Some(sent) = peer.links[link].notes.mtu.take() {
            self.tell_note(peer, link, Note::Mtu { sent }, false);
        }
    }

    /// The peer has started anew or is gone: what it said is void; the path is what it was.
    pub(super) fn forget_words(&mut self, peer: &mut Peer, link: usize) {
        self.note_no_one_way(peer, link);
        self.note_not_crossed(peer, link);
        peer.links[link].notes.number_before = None;
    }

    /// A heartbeat of our own comes in on a link; the number is that of the link it was sent on.
    pub(super) fn note_own_frame(&mut self, link: usize, number: u8) {
        let link = self.links[link].id;
        let Some(with) = LinkId::new(number).filter(|with| *with != link) else { return };
        if self.notes.crossed.insert((link, with), self.now).is_none() {
            self.event(Event::Note { peer: None, link, note: Note::Crossed { with }, found: true });
        }
    }

    /// Looks for own links that are not crossed any more.
    pub(super) fn review_own_notes(&mut self) {
        let (now, time) = (self.now, self.crossed_for());
        let carry = |link: LinkId| self.links.get(link.index()).is_some_and(OwnLink::carries);
        let over = |((link, with), at): (&(LinkId, LinkId), &Instant)| {
            let is_over = now.since(*at) > time || !carry(*link) || !carry(*with);
            is_over.then_some((*link, *with))
        };
        let over: Vec<(LinkId, LinkId)> = self.notes.crossed.iter().filter_map(over).collect();
        for (link, with) in over {
            self.notes.crossed.remove(&(link, with));
            let note = Note::Crossed { with };
            self.event(Event::Note { peer: None, link, note, found: false });
        }
    }

    /// Our own timer was late.
    pub(super) fn note_late(&mut self, late_ms: u64) {
        let times = self.notes.late.map_or(0, |(times, ..)| times) + 1;
        self.notes.late = Some((times, late_ms, self.now));
        self.event(Event::Late { late_ms });
    }

    /// Two nodes use one id.
    pub(super) fn note_duplicate(&mut self, node: NodeId) {
        self.notes.duplicates.insert(node, self.now);
    }

    /// A frame is none of ours: that is counted, and told once in a while per cause and link.
    pub(super) fn note_refused(&mut self, cause: RefusedCause, link: usize, from: LinkAddr) {
        let link = self.links[link].id;
        let known = self.notes.refused.entry((cause, link));
        let refused = known.or_insert(Refused { from, count: 0, event_at: self.now });
        refused.from = from;
        refused.count += 1;
        if self.now >= refused.event_at {
            refused.event_at = self.now + cause.interval(self.config.timers.peer_inact);
            self.event(Event::Refused { cause, link, from });
        }
    }
}

impl Llt {
    /// As if a frame had come in that is none of ours.
    #[cfg(test)]
    pub(crate) fn refuse(&mut self, cause: RefusedCause, link: usize, from: LinkAddr) {
        self.context.note_refused(cause, link, from);
    }

    /// What is wrong here and belongs to no peer.
    pub fn own_notes(&self) -> Vec<OwnNote> {
        let notes = &self.context.notes;
        let now = self.context.now;
        let fresh = self.context.config.timers.peer_inact * 2;
        let crossed = notes.crossed.keys().map(|&(link, with)| OwnNote::Crossed { link, with });
        let duplicates = notes.duplicates.iter().filter(|(_, at)| now.since(**at) < fresh);
        let duplicates = duplicates.map(|(&node, _)| OwnNote::Duplicate { node });
        let late = notes.late.map(|(times, last_ms, at)| OwnNote::Late { times, last_ms, at });
        // Another cluster on the same wire is nothing that would be wrong: see `Llt::ignored`.
        let wrong = notes.refused.iter().filter(|((c, _), _)| *c != RefusedCause::OtherCluster);
        let refused = wrong.map(|(&(cause, link), refused)| OwnNote::Refused {
            cause,
            link,
            from: refused.from,
            count: refused.count,
        });
        crossed.chain(duplicates).chain(late).chain(refused).collect()
    }
}
