//! A frame's way in: every check in order, and one counter for every refusal.

use bytes::Bytes;

use super::Llt;
use super::context::Context;
use super::output::{DownReason, Event, RefusedCause};
use super::peer::Peer;
use super::receiver::Arrival;
use crate::ids::{LinkAddr, NodeId};
use crate::stats::Stats;
use crate::time::Duration;
use crate::wire::{Ack, Body, Data, Datagram, Frame, Header, WireError};

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    BadChecksum,
    BadCluster,
    BadDest,
    BadGeneration,
    BadSource,
    BadTag,
    BadVersion,
    DatagramDropped,
    Duplicate,
    Loopback,
    Malformed,
    NotConnected,
    NotSealed,
    OutOfWindow,
    Replayed,
    Sealed,
    Unconfigured,
    UnknownKey,
}

impl Refusal {
    pub(super) fn counter(self, stats: &mut Stats) -> &mut u64 {
        match self {
            Self::BadChecksum => &mut stats.rcv_bad_checksum,
            Self::BadCluster => &mut stats.rcv_bad_cluster,
            Self::BadDest => &mut stats.rcv_bad_dest,
            Self::BadGeneration => &mut stats.rcv_bad_generation,
            Self::BadSource => &mut stats.rcv_bad_source,
            Self::BadTag => &mut stats.rcv_bad_tag,
            Self::BadVersion => &mut stats.rcv_bad_version,
            Self::DatagramDropped => &mut stats.rcv_datagram_dropped,
            Self::Duplicate => &mut stats.rcv_duplicate,
            Self::Loopback => &mut stats.snd_loopback,
            Self::Malformed => &mut stats.rcv_malformed,
            Self::NotConnected => &mut stats.rcv_not_connected,
            Self::NotSealed => &mut stats.rcv_not_sealed,
            Self::OutOfWindow => &mut stats.rcv_out_of_window,
            Self::Replayed => &mut stats.rcv_replayed,
            Self::Sealed => &mut stats.rcv_sealed,
            Self::Unconfigured => &mut stats.rcv_unconfigured,
            Self::UnknownKey => &mut stats.rcv_unknown_key,
        }
    }
}

impl Refusal {
    /// Why the frame is none of ours, if that is worth telling: strangers and the key's business.
    pub(super) fn cause(self) -> Option<RefusedCause> {
        match self {
            Self::BadCluster => Some(RefusedCause::OtherCluster),
            Self::BadTag => Some(RefusedCause::BadTag),
            Self::BadVersion => Some(RefusedCause::OtherVersion),
            Self::NotSealed => Some(RefusedCause::NotSealed),
            Self::Replayed => Some(RefusedCause::Replayed),
            Self::Sealed => Some(RefusedCause::Sealed),
            Self::UnknownKey => Some(RefusedCause::UnknownKey),
            Self::BadChecksum
            | Self::BadDest
            | Self::BadGeneration
            | Self::BadSource
            | Self::DatagramDropped
            | Self::Duplicate
            | Self::Loopback
            | Self::Malformed
            | Self::NotConnected
            | Self::OutOfWindow
            | Self::Unconfigured => None,
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Checksum => Self::BadChecksum,
            WireError::Malformed { .. } => Self::Malformed,
            WireError::Version { .. } => Self::BadVersion,
        }
    }
}

impl Llt {
    /// Judges a frame and takes it in.
    pub(super) fn receive(
        &mut self,
        link: usize,
        from: LinkAddr,
        bytes: &Bytes,
    ) -> Result<(), Refusal> {
        let opened = self.open(link, bytes)?;
        let bytes = opened.as_ref().unwrap_or(bytes);
        let frame = Frame::check(bytes)?;
        let header = &frame.header;
        let source = NodeId::new(header.src).ok_or(Refusal::BadSource);
        if header.cluster != self.context.config.cluster {
            if let Ok(source) = source {
                self.context.ignore(header.cluster, source, link, from);
            }
            return Err(Refusal::BadCluster);
        }
        let source = source?;
        if header.src_incarnation.0 == 0 {
            return Err(Refusal::BadSource);
        }
        if !header.is_broadcast() && header.dst != self.context.config.node.get() {
            return Err(Refusal::BadDest);
        }
        if source == self.context.config.node {
            return Err(self.context.on_own_id(link, from, header, &frame.body));
        }
        if self.context.config.excluded.contains(source) {
            self.context.ignore(header.cluster, source, link, from);
            return Err(Refusal::Unconfigured);
        }
        if self.has_left {
            return Err(self.repeat_bye(link, from, source));
        }
        let context = &mut self.context;
        if let Body::Duplicate(notice) = &frame.body {
            return context.on_duplicate_notice(header, *notice);
        }
        let peer = super::slot(&mut self.peers, source)
            .get_or_insert_with(|| Box::new(context.new_peer(source)));
        context.identify(peer, link, from, &frame)?;
        context.learn(peer, link, from);
        match frame.body {
            Body::Ack(ack) => context.on_ack(peer, link, header, &ack),
            // For ever is a long time: only who was here can leave.
            Body::Bye if !peer.connected => Err(Refusal::NotConnected),
            Body::Bye => {
                context.on_bye(peer);
                Ok(())
            }
            Body::Data(data) => context.on_data(peer, link, header, data),
            Body::Datagram(datagram) => context.on_datagram(peer, link, header, datagram),
            Body::Duplicate(_) => Ok(()),
            Body::Heartbeat(heartbeat) => context.on_heartbeat(peer, link, header, &heartbeat),
            Body::Probe(probe) => context.on_probe(peer, link, header, probe),
            Body::Request => {
                context.on_request(peer, link, header);
                Ok(())
            }
        }
    }
}

impl Context {
    /// The peer says goodbye: this incarnation is never heeded again.
    fn on_bye(&mut self, peer: &mut Peer) {
        self.disconnect(peer, DownReason::Left);
        peer.gone_up_to = peer.incarnation.unwrap_or_default();
        peer.incarnation = None;
        peer.session = 0;
        peer.peer_session = 0;
        peer.probation = None;
        peer.rejected = None;
        peer.elder = None;
        self.forget_links(peer);
    }

    /// Only what belongs to the connection that both sides mean gets past here. It counts as a
    /// sign of life.
    pub(super) fn admit(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
    ) -> Result<(), Refusal> {
        let is_current = if header.is_broadcast() {
            // In a broadcast the field counts the sender's heartbeats.
            header.ack >= peer.session_since
        } else {
            header.dst_incarnation == self.config.incarnation
                && header.src_session == peer.peer_session
                && header.dst_session == peer.session
        };
        if !is_current {
            return Err(Refusal::BadGeneration);
        }
        if !peer.connected || peer.peer_session == 0 {
            return Err(Refusal::NotConnected);
        }
        let silence = peer.links[link].silence(self.now).unwrap_or(Duration::ZERO);
        peer.links[link].on_heard(self.now);
        self.refresh(peer, link, silence);
        Ok(())
    }

    fn on_data(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
        data: Data,
    ) -> Result<(), Refusal> {
        self.admit(peer, link, header)?;
        let holes = peer.links[link].rx_unicast.on_frame(header.sequence);
        self.on_holes(peer, link, holes);
        self.on_cumulative_ack(peer, header.ack, None)?;
        let Some(from) = peer.id() else { return Err(Refusal::NotConnected) };
        let outputs = &mut self.outputs;
        let window = self.config.flow.window;
        let arrival = peer.receiver.on_data(self.now, data, window, &mut |port, payload| {
            outputs.push_back(super::Output::Event(Event::Message { from, port, payload }));
        });
        match arrival {
            Arrival::InOrder => self.stats.rcv_data += 1,
            Arrival::Ahead => {
                self.stats.rcv_data += 1;
                self.stats.rcv_out_of_sequence += 1;
            }
            Arrival::Duplicate => return Err(Refusal::Duplicate),
            Arrival::Inconsistent => {
                // A piece of a message cannot be left out of a stream that promises all of it.
                self.disconnect(peer, DownReason::Reset);
                return Err(Refusal::Malformed);
            }
            Arrival::OutOfWindow => return Err(Refusal::OutOfWindow),
            Arrival::Part => self.stats.rcv_part += 1,
        }
        Ok(())
    }

    fn on_datagram(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
        datagram: Datagram,
    ) -> Result<(), Refusal> {
        self.admit(peer, link, header)?;
        let holes = if header.is_broadcast() {
            peer.links[link].rx_broadcast.on_frame(header.sequence)
        } else {
            peer.links[link].rx_unicast.on_frame(header.sequence)
        };
        self.on_holes(peer, link, holes);
        if header.is_broadcast() {
            if !datagram.recipients.contains(self.config.node) {
                return Err(Refusal::DatagramDropped);
            }
        } else {
            self.on_cumulative_ack(peer, header.ack, None)?;
        }
        let Some(from) = peer.id() else { return Err(Refusal::NotConnected) };
        self.stats.rcv_datagram += 1;
        self.outputs.push_back(super::Output::Event(Event::Datagram {
            from,
            port: datagram.port,
            payload: datagram.payload,
        }));
        Ok(())
    }

    fn on_ack(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
        ack: &Ack<'_>,
    ) -> Result<(), Refusal> {
        self.admit(peer, link, header)?;
        peer.links[link].rx_unicast.on_claim(self.now, header.sequence);
        self.on_busy_ports(peer, ack.busy_ports);
        let delay = Duration::from_micros(u64::from(ack.delay_us));
        self.on_cumulative_ack(peer, header.ack, Some(delay))?;
        peer.sender.on_ranges(self.now, ack.ranges(), self.config.timers.retrans);
        peer.sender.on_missing(self.now, ack.missing_before);
        Ok(())
    }

    /// `delay` is how long the peer sat on the acknowledgement, if that is known; without it the
    /// round trip is measured too long rather than not at all.
    pub(super) fn on_cumulative_ack(
        &mut self,
        peer: &mut Peer,
        ack: u64,
        delay: Option<Duration>,
    ) -> Result<(), Refusal> {
        let ceiling = self.config.timers.retrans;
        let delay = delay.unwrap_or(Duration::ZERO);
        let Some(is_news) = peer.sender.on_ack(self.now, ack, delay, ceiling) else {
            return Err(Refusal::Malformed);
        };
        if is_news {
            self.offer(peer);
        }
        Ok(())
    }
}
