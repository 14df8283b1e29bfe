//! Heartbeats: what we say of whom we hear, and what others say of us.

use super::context::Context;
use super::link::ANSWERS_MAX;
use super::peer::Peer;
use super::probe::PROBES_PER_ROUND;
use super::receive::Refusal;
use super::rhythm::Rhythm;
use super::sequence::Sequence;
use crate::ids::LinkAddr;
use crate::limits::{HEADER_LEN, HEARTBEAT_MAX, MTU_MIN};
use crate::time::Duration;
use crate::wire::{
    ENTRY_LEN, HEARTBEAT_HEADER_LEN, Header, Heard, Heartbeat, HeartbeatHeader, Kind,
    emit_heartbeat,
};

/// What an echo repeats of a heartbeat's sequence.
#[expect(clippy::cast_possible_truncation, reason = "the rest is known to both sides")]
pub(super) const fn low_half_word(sequence: u64) -> u16 {
    sequence as u16
}

/// Does this echo show that the heartbeat with this half-word, or a later one, was heard?
pub(super) const fn is_echo_of(echo: u16, sent: u16) -> bool {
    echo.wrapping_sub(sent) < 1 << 15
}

impl Context {
    /// Bit n: our link n carries nothing.
    fn dead_links(&self) -> u8 {
        let dead = self.links.iter().filter(|own| !own.carries());
        dead.fold(0, |bits, own| bits | 1 << own.id.get())
    }

    /// The fixed part of the next heartbeat on a link.
    fn next_heartbeat(&mut self, link: usize, covers: (u8, u8)) -> HeartbeatHeader {
        self.heartbeat_sequence += 1;
        self.stats.snd_heartbeat += 1;
        HeartbeatHeader {
            sequence: self.heartbeat_sequence,
            broadcast_sequence: self.links[link].broadcast_sequence,
            mtu: u16::try_from(self.config.links[link].mtu).unwrap_or(u16::MAX),
            window: u16::try_from(self.config.flow.window).unwrap_or(u16::MAX),
            link: self.links[link].id.get(),
            dead: self.dead_links(),
            // Answers do not count: with them a link that loses most frames would look sound.
            beat: if self.in_turn { self.links[link].beat } else { 0 },
            open_ports: self.open_ports,
            busy_ports: self.busy_ports,
            covers,
        }
    }

    /// What the next heartbeat on a link says of a peer.
    fn heard(&self, peer: &mut Peer, link: usize) -> Option<Heard> {
        let is_heard = peer.links[link].is_heard(&self.judge(link));
        let keeps = is_heard && peer.connected;
        peer.links[link].proof.on_said(self.now, self.heartbeat_sequence + 1, keeps);
        Some(Heard {
            node: peer.node,
            heard: is_heard,
            connected: peer.connected,
            session: self.session(peer),
            peer_session: peer.peer_session,
            echo: low_half_word(peer.links[link].heartbeat_sequence),
            incarnation: peer.incarnation?,
            probe: peer.links[link].path.heard,
        })
    }

    /// Sends a heartbeat to one peer, if its address is known.
    pub(super) fn send_heartbeat(&mut self, peer: &mut Peer, link: usize) {
        if let Some(to) = peer.links[link].addr {
            self.send_heartbeat_to(peer, link, to);
        }
    }

    /// Sends what a peer is told to an address, if the link carries anything.
    pub(super) fn send_heartbeat_to(&mut self, peer: &mut Peer, link: usize, to: LinkAddr) {
        if !self.links[link].carries() {
            return;
        }
        if !peer.connected {
            self.stats.snd_connect += 1;
        }
        let fixed = self.next_heartbeat(link, (peer.node.get(), peer.node.get()));
        let header = self.header(Kind::Heartbeat, peer, link);
        let entry = self.heard(peer, link);
        let frame = emit_heartbeat(&header, &fixed, entry.as_slice());
        self.transmit(link, to, true, frame);
    }

    /// Sends a heartbeat to everybody on a link, in as many frames as it takes.
    pub(super) fn broadcast_heartbeat(
        &mut self,
        peers: &mut [Option<Box<Peer>>],
        link: usize,
        to: LinkAddr,
    ) {
        let known = peers.iter_mut().flatten();
        let heard: Vec<Heard> = known.filter_map(|peer| self.heard(peer, link)).collect();
        let longest = self.config.links[link].mtu.clamp(MTU_MIN, HEARTBEAT_MAX);
        let room = longest - self.seal_len() - HEADER_LEN - HEARTBEAT_HEADER_LEN;
        let mut rest = &heard[..];
        let mut first = 0;
        loop {
            let (part, others) = rest.split_at(rest.len().min(room / ENTRY_LEN));
            rest = others;
            let last = if rest.is_empty() { u8::MAX } else { part[part.len() - 1].node.get() };
            let fixed = self.next_heartbeat(link, (first, last));
            let header = self.broadcast_header(Kind::Heartbeat, link);
            self.transmit(link, to, true, emit_heartbeat(&header, &fixed, part));
            if rest.is_empty() {
                return;
            }
            first = last.saturating_add(1);
        }
    }

    /// One round of heartbeats on a link: to everybody at once, or to each whose address is known.
    pub(super) fn heartbeats(&mut self, peers: &mut [Option<Box<Peer>>], link: usize) {
        let config = &self.config.links[link];
        if let Some(to) = config.broadcast.filter(|_| config.broadcast_heartbeats) {
            self.broadcast_heartbeat(peers, link, to);
            return;
        }
        for peer in peers.iter_mut().flatten() {
            self.send_heartbeat(peer, link);
        }
        self.discover(peers, link);
    }

    /// What is done on a link in every heartbeat period.
    pub(super) fn round(&mut self, peers: &mut [Option<Box<Peer>>], link: usize) {
        self.links[link].beat = self.links[link].beat.wrapping_add(1).max(1);
        self.forget_old_addresses(peers, link);
        self.in_turn = true;
        self.heartbeats(peers, link);
        self.in_turn = false;
        let mut probes = 0;
        for peer in peers.iter_mut().flatten() {
            peer.links[link].answers_left = ANSWERS_MAX;
            self.review_crossed(peer, link);
            if probes < PROBES_PER_ROUND && self.probe(peer, link) {
                probes += 1;
            }
        }
    }

    /// Sends a heartbeat out of turn, so that connecting takes round trips, not periods.
    pub(super) fn answer(&mut self, peer: &mut Peer, link: usize) {
        if peer.links[link].answers_left > 0 {
            peer.links[link].answers_left -= 1;
            self.send_heartbeat(peer, link);
        }
    }

    /// What a heartbeat says of its sender, whoever it is for.
    fn on_fixed(&mut self, peer: &mut Peer, link: usize, fixed: HeartbeatHeader) {
        if self.note_number(peer, link, fixed.link) {
            peer.links[link].rx_unicast = Sequence::default();
            peer.links[link].rx_broadcast = Sequence::default();
            peer.links[link].rhythm = Rhythm::default();
        }
        self.on_dead_links(peer, link, fixed);
        let entry_link = &mut peer.links[link];
        entry_link.heartbeat_sequence = fixed.sequence;
        entry_link.on_heard(self.now);
        let peer_mtu = usize::from(fixed.mtu).max(MTU_MIN);
        if std::mem::replace(&mut entry_link.peer_mtu, peer_mtu) != peer_mtu {
            self.note_mtu(peer, link);
        }
        self.on_beat(peer, link, fixed.beat, fixed.sequence);
        peer.peer_window = usize::from(fixed.window).max(1);
        peer.open_ports = fixed.open_ports;
        self.on_busy_ports(peer, fixed.busy_ports);
    }

    /// A heartbeat of the peer's present incarnation arrived.
    pub(super) fn on_heartbeat(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
        heartbeat: &Heartbeat<'_>,
    ) -> Result<(), Refusal> {
        let fixed = heartbeat.header;
        if fixed.sequence <= peer.links[link].heartbeat_sequence {
            return Err(Refusal::Duplicate);
        }
        let about_us = heartbeat.entry(self.config.node);
        if let Some(rumour) = &about_us {
            self.on_rumour(link, rumour, fixed.sequence);
        }
        let entry = about_us.filter(|entry| entry.incarnation == self.config.incarnation);
        let session = match entry {
            Some(entry) => entry.session,
            None if header.is_broadcast() => peer.peer_session,
            None => header.src_session,
        };
        if !self.on_peer_session(peer, session, fixed.sequence) {
            return Err(Refusal::BadGeneration);
        }
        self.stats.rcv_heartbeat += 1;
        let silence = peer.links[link].silence(self.now);
        self.on_fixed(peer, link, fixed);
        let mut is_answer_due = silence.is_none();
        if heartbeat.covers(self.config.node) {
            let is_heard = entry.is_some_and(|entry| entry.heard);
            self.note_report(peer, link, is_heard);
            let current = entry.is_some_and(|entry| {
                entry.peer_session == peer.session && entry.session == peer.peer_session
            });
            let hears_us = current && is_heard;
            let was_two_way = peer.links[link].hears_us;
            peer.links[link].on_report(self.now, hears_us);
            // Over a link on which we hear next to nothing of it nothing would come of it.
            let is_good = hears_us && !peer.links[link].rhythm.is_lossy();
            if is_good && !peer.connected && peer.peer_session != 0 && self.listening.is_none() {
                self.connect(peer);
            }
            if let Some(entry) = entry.filter(|_| current) {
                self.on_probe_report(peer, link, &entry);
                if entry.heard && entry.connected {
                    peer.links[link].proof.on_echo(entry.echo);
                }
            }
            let agreed = entry.is_some_and(|entry| entry.connected == peer.connected);
            let is_quiet = self.listening.is_some() && is_heard;
            is_answer_due |= (!hears_us || !was_two_way || !agreed) && !is_quiet;
        }
        self.refresh(peer, link, silence.unwrap_or(Duration::ZERO));
        let is_of_session = !header.is_broadcast()
            && header.src_session == peer.peer_session
            && header.dst_session == peer.session;
        if peer.connected && is_of_session {
            self.on_cumulative_ack(peer, header.ack, None)?;
        }
        if is_answer_due {
            self.answer(peer, link);
        }
        peer.links[link].rx_broadcast.on_claim(self.now, fixed.broadcast_sequence);
        if !header.is_broadcast() {
            peer.links[link].rx_unicast.on_claim(self.now, header.sequence);
        }
        Ok(())
    }

    /// A heartbeat that came in on `link` says which of the peer's links carry nothing. They are
    /// in trouble at once, whatever has been heard on them before; the heartbeat's own is not.
    fn on_dead_links(&mut self, peer: &mut Peer, link: usize, fixed: HeartbeatHeader) {
        peer.links[link].peer_dead = fixed.is_dead(fixed.link);
        if fixed.dead == 0 {
            return;
        }
        let mut changes = Vec::new();
        for other in (0..peer.links.len()).filter(|other| *other != link) {
            let judge = self.judge(other);
            let entry = &mut peer.links[other];
            let is_news = !entry.peer_dead && entry.heartbeat_sequence < fixed.sequence;
            if is_news && entry.peer_link.is_some_and(|number| fixed.is_dead(number)) {
                entry.peer_dead = true;
                let status = entry.judge(&judge);
                if status != entry.status {
                    let silence = entry.silence(self.now).unwrap_or(Duration::ZERO);
                    changes.push((other, status, silence));
                }
            }
        }
        self.set_statuses(peer, &changes);
    }
}
