//! Who is who: incarnations, duplicate node ids, our own frames coming back.

use super::Llt;
use super::context::Context;
use super::heartbeat::{is_echo_of, low_half_word};
use super::link::PeerLink;
use super::output::{DuplicateScope, Event};
use super::peer::{Peer, Probation, Rejected};
use super::receive::Refusal;
use crate::ids::{Incarnation, LinkAddr, LinkId, NodeId};
use crate::time::{Duration, Instant};
use crate::wire::{Body, Duplicate, Frame, Header, Heard, Kind, emit_bye, emit_duplicate};

/// Another node with our id or a peer's, or an echo of its last life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namesake {
    incarnation: Incarnation,
    since: Instant,
    last: Instant,
    heartbeat_sequence: u64,
    /// How often the sequence has risen.
    rises: u32,
    /// It has talked for long enough to be believed.
    lives: bool,
    /// When it may be told again that we have its id.
    notice_at: Instant,
}

impl Namesake {
    /// There is a sign of another node with an id, which counts if signs go on for `time`: a few
    /// frames of a last life may still come in, but that does not go on talking.
    fn sign(
        known: Option<Self>,
        incarnation: Incarnation,
        sequence: u64,
        context: &Context,
        time: Duration,
    ) -> Self {
        let now = context.now;
        let known = known.filter(|namesake| {
            namesake.incarnation == incarnation
                && now.since(namesake.last) < context.config.timers.peer_inact
        });
        let mut namesake = known.unwrap_or(Self {
            incarnation,
            since: now,
            last: now,
            heartbeat_sequence: sequence,
            rises: 0,
            lives: false,
            notice_at: now,
        });
        namesake.last = now;
        if sequence > namesake.heartbeat_sequence {
            namesake.heartbeat_sequence = sequence;
            namesake.rises += 1;
        }
        namesake.lives = namesake.rises >= 3 && now.since(namesake.since) > time;
        namesake
    }
}

impl Context {
    /// A peer that has not been heard yet.
    pub(super) fn new_peer(&self, node: NodeId) -> Peer {
        let links = (0..self.links.len())
            .map(|link| PeerLink::new(self.static_address(node, link), self.first_sequence));
        Peer::new(node, links.collect())
    }

    /// Is the frame of the peer's present incarnation? A newer one takes over, once it is clear
    /// that the node restarted and is not there twice.
    pub(super) fn identify(
        &mut self,
        peer: &mut Peer,
        link: usize,
        from: LinkAddr,
        frame: &Frame<'_>,
    ) -> Result<(), Refusal> {
        let incarnation = frame.header.src_incarnation;
        if incarnation <= peer.gone_up_to {
            return Err(Refusal::BadGeneration);
        }
        let Some(known) = peer.incarnation else {
            self.adopt(peer, incarnation, link, from);
            return Ok(());
        };
        if incarnation < known {
            if let Body::Heartbeat(heartbeat) = &frame.body {
                if self.is_survivor(peer, link, incarnation) {
                    self.adopt(peer, incarnation, link, from);
                    return Ok(());
                }
                self.on_elder(peer, link, from, incarnation, heartbeat.header.sequence);
            }
            return Err(Refusal::BadGeneration);
        }
        if incarnation == known {
            if let (Some(probation), Body::Heartbeat(heartbeat)) = (peer.probation, &frame.body)
                && let Some(entry) = heartbeat.entry(self.config.node)
                && entry.incarnation == self.config.incarnation
                && entry.heard
                && is_echo_of(entry.echo, probation.probe)
            {
                self.reject(peer, probation);
            }
            return Ok(());
        }
        let heard =
            peer.last_heard().is_some_and(|at| self.now.since(at) < self.judge(link).trouble);
        if !heard {
            self.adopt(peer, incarnation, link, from);
            return Ok(());
        }
        if let Some(rejected) = peer.rejected.filter(|rejected| rejected.incarnation == incarnation)
        {
            self.remind(peer, rejected, known, link, (from, from));
            return Err(Refusal::BadGeneration);
        }
        match peer.probation.filter(|probation| probation.incarnation >= incarnation) {
            Some(probation) if probation.incarnation > incarnation => Err(Refusal::BadGeneration),
            Some(probation) if self.now >= probation.until => {
                self.adopt(peer, incarnation, link, from);
                Ok(())
            }
            Some(_) => Err(Refusal::NotConnected),
            None => {
                self.begin_probation(peer, incarnation, link, from);
                Err(Refusal::NotConnected)
            }
        }
    }

    /// An older incarnation speaks from another address than the present one, which lives: it gets
    /// our heartbeat, which names the younger one. What is still under way from a life that has
    /// ended has nobody to hear it. If it goes on, there are two, and the present one is the
    /// younger.
    fn on_elder(
        &mut self,
        peer: &mut Peer,
        link: usize,
        from: LinkAddr,
        older: Incarnation,
        sequence: u64,
    ) {
        let Some(to) = peer.links[link].addr.filter(|addr| *addr != from) else { return };
        if !peer.links[link].is_heard(&self.judge(link)) {
            return;
        }
        // One for each of its own: fewer would look as if some were lost.
        self.send_heartbeat_to(peer, link, from);
        let time = self.config.timers.heartbeat * 2;
        let elder = Namesake::sign(peer.elder, older, sequence, self, time);
        peer.elder = Some(elder);
        if elder.lives {
            let incarnation = peer.incarnation.unwrap_or_default();
            let known = peer.rejected.filter(|rejected| rejected.incarnation == incarnation);
            let rejected = known.unwrap_or_else(|| self.rejected(incarnation));
            self.remind(peer, rejected, older, link, (to, from));
        }
    }

    /// Of two that had one node id the younger is silent now: the older one has its place again.
    /// Nobody takes it for what it was: it has to connect anew, and GAB refuses it if the younger
    /// one had been a member.
    fn is_survivor(&self, peer: &Peer, link: usize, incarnation: Incarnation) -> bool {
        let trouble = self.judge(link).trouble;
        let is_silent = peer.last_heard().is_none_or(|at| self.now.since(at) >= trouble);
        is_silent
            && peer.elder.is_some_and(|elder| {
                elder.lives
                    && elder.incarnation == incarnation
                    && self.now.since(elder.last) < self.config.timers.peer_inact
            })
    }

    /// An incarnation that shares its node id, of which nobody has been told.
    fn rejected(&self, incarnation: Incarnation) -> Rejected {
        Rejected { incarnation, notice_at: self.now, event_at: self.now }
    }

    /// Gives the older incarnation one and a half heartbeats to show that it lives: it is asked at
    /// once, and its next heartbeat echoes the question. What it had sent before cannot.
    fn begin_probation(
        &mut self,
        peer: &mut Peer,
        incarnation: Incarnation,
        link: usize,
        from: LinkAddr,
    ) {
        let heartbeat = self.heartbeat(link);
        peer.probation = Some(Probation {
            incarnation,
            probe: low_half_word(self.heartbeat_sequence + 1),
            until: self.now + heartbeat + heartbeat / 2,
            link: self.links[link].id,
            addr: from,
        });
        for link in 0..peer.links.len() {
            self.send_heartbeat(peer, link);
        }
    }

    /// The older incarnation lives: the newer one shares its node id.
    fn reject(&mut self, peer: &mut Peer, probation: Probation) {
        peer.probation = None;
        let (rejected, older) =
            (self.rejected(probation.incarnation), peer.incarnation.unwrap_or_default());
        let addr = probation.addr;
        self.remind(peer, rejected, older, probation.link.index(), (addr, addr));
    }

    /// Tells a rejected incarnation at its address, and the layer above of the address that is not
    /// the peer's, again if it is time.
    fn remind(
        &mut self,
        peer: &mut Peer,
        mut rejected: Rejected,
        older: Incarnation,
        link: usize,
        (to, stranger): (LinkAddr, LinkAddr),
    ) {
        if self.now >= rejected.notice_at {
            rejected.notice_at = self.now + self.heartbeat(link);
            let header = Header {
                dst_incarnation: rejected.incarnation,
                src_session: 0,
                dst_session: 0,
                ack: 0,
                ..self.header(Kind::Duplicate, peer, link)
            };
            let frame = emit_duplicate(&header, older);
            self.transmit(link, to, true, frame);
        }
        self.note_duplicate(peer.node);
        if self.now >= rejected.event_at {
            rejected.event_at = self.now + self.config.timers.peer_inact;
            let (node, scope) = (peer.node, DuplicateScope::Peer);
            let from = Some((self.links[link].id, stranger));
            self.event(Event::Duplicate { node, scope, from });
        }
        peer.rejected = Some(rejected);
    }

    /// Somebody says that an older node has our id.
    pub(super) fn on_duplicate_notice(
        &mut self,
        header: &Header,
        notice: Duplicate,
    ) -> Result<(), Refusal> {
        let own = self.config.incarnation;
        if header.dst_incarnation != own || notice.older >= own {
            return Err(Refusal::BadGeneration);
        }
        // The address is that of who knows the other one.
        self.tell_own_duplicate(DuplicateScope::OwnYounger, None);
        Ok(())
    }

    /// Another node has our id: the layer above is told, once in an inactive time.
    fn tell_own_duplicate(&mut self, scope: DuplicateScope, from: Option<(LinkId, LinkAddr)>) {
        let node = self.config.node;
        self.note_duplicate(node);
        if self.now >= self.notice_at {
            self.notice_at = self.now + self.config.timers.peer_inact;
            self.event(Event::Duplicate { node, scope, from });
        }
    }

    /// A frame from our own node id: one of ours that came back, or somebody else's.
    pub(super) fn on_own_id(
        &mut self,
        link: usize,
        from: LinkAddr,
        header: &Header,
        body: &Body<'_>,
    ) -> Refusal {
        if header.src_incarnation == self.config.incarnation {
            if let Body::Heartbeat(heartbeat) = body {
                self.note_own_frame(link, heartbeat.header.link);
            }
            return Refusal::Loopback;
        }
        match body {
            Body::Duplicate(notice) => {
                let refused = self.on_duplicate_notice(header, *notice);
                return refused.err().unwrap_or(Refusal::BadSource);
            }
            Body::Heartbeat(heartbeat) => {
                let time = self.config.timers.heartbeat * 2;
                let place = Some((self.links[link].id, from));
                self.on_namesake(header.src_incarnation, heartbeat.header.sequence, time, place);
                self.tell_namesake(link, from);
            }
            Body::Ack(_)
            | Body::Bye
            | Body::Data(_)
            | Body::Datagram(_)
            | Body::Probe(_)
            | Body::Request => {}
        }
        Refusal::BadSource
    }

    /// Where frames are sealed, the younger of two with one id believes only who names its present
    /// incarnation: the older one, which is us, does, as long as the other goes on talking.
    fn tell_namesake(&mut self, link: usize, to: LinkAddr) {
        let (now, own) = (self.now, self.config.incarnation);
        let Some(namesake) = &mut self.namesake else { return };
        if self.config.keys.is_none()
            || !namesake.lives
            || own > namesake.incarnation
            || now < namesake.notice_at
        {
            return;
        }
        namesake.notice_at = now + self.config.timers.heartbeat;
        let younger = namesake.incarnation;
        let header = Header {
            dst: self.config.node.get(),
            dst_incarnation: younger,
            ..self.broadcast_header(Kind::Duplicate, link)
        };
        self.transmit(link, to, true, emit_duplicate(&header, own));
    }

    /// A peer's heartbeat says that it hears a younger node with our id: it will not hear us, so
    /// nobody else can tell. An older life of ours is no younger node.
    pub(super) fn on_rumour(&mut self, link: usize, rumour: &Heard, sequence: u64) {
        if rumour.heard && rumour.incarnation > self.config.incarnation {
            // A dead one counts as heard for a trouble time.
            let time = self.judge(link).trouble + self.config.timers.heartbeat * 2;
            self.on_namesake(rumour.incarnation, sequence, time, None);
        }
    }

    /// There is a sign of another node with our id, which counts if signs go on for this time.
    fn on_namesake(
        &mut self,
        incarnation: Incarnation,
        sequence: u64,
        time: Duration,
        from: Option<(LinkId, LinkAddr)>,
    ) {
        let namesake = Namesake::sign(self.namesake, incarnation, sequence, self, time);
        // Sealed frames of an earlier life of ours may have been recorded: that somebody older
        // lives is only believed of a notice that names our present incarnation.
        let proven = self.config.keys.is_none() || self.config.incarnation < namesake.incarnation;
        if namesake.lives && proven {
            let scope = if self.config.incarnation > namesake.incarnation {
                DuplicateScope::OwnYounger
            } else {
                DuplicateScope::OwnOlder
            };
            self.tell_own_duplicate(scope, from);
        }
        self.namesake = Some(namesake);
    }
}

impl Llt {
    /// Somebody talks to us after our goodbye: it was lost.
    pub(super) fn repeat_bye(&mut self, link: usize, to: LinkAddr, source: NodeId) -> Refusal {
        let context = &mut self.context;
        if context.now >= self.bye_at {
            self.bye_at = context.now + Duration::from_millis(1);
            let peer = context.new_peer(source);
            let frame = emit_bye(&context.header(Kind::Bye, &peer, link));
            context.transmit(link, to, true, frame);
        }
        Refusal::NotConnected
    }

    /// Says goodbye to everybody on every link.
    pub(super) fn send_byes(&mut self) {
        let context = &mut self.context;
        for link in 0..context.links.len() {
            if let Some(to) = context.config.links[link].broadcast {
                let frame = emit_bye(&context.broadcast_header(Kind::Bye, link));
                context.transmit(link, to, true, frame);
            }
            for peer in self.peers.iter().flatten() {
                if let Some(to) = peer.links[link].addr {
                    let frame = emit_bye(&context.header(Kind::Bye, peer, link));
                    context.transmit(link, to, true, frame);
                }
            }
        }
    }
}
