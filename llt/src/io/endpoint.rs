//! A link with what stands in front of it.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use bytes::Bytes;

use crate::core::Transmit;
use crate::ids::LinkAddr;
use crate::io::tap::{Tap, Verdict};
use crate::io::{Flushed, Link, LinkCounters, LinkFrame, Received};
use crate::time::Instant;

/// One link of a running node: the backend while there is one, the tap of a testbed if there is
/// one, and whoever watches.
///
/// Every frame of the node passes [`Endpoint::send`] or [`Endpoint::receive`]. The backend may go
/// and come back with its device; everything else stays.
#[derive(Debug)]
pub struct Endpoint {
    link: Option<Box<dyn Link>>,
    tap: Option<Tap>,
    observer: Option<Box<Observer>>,
    /// Of backends that are closed.
    past: LinkCounters,
}

/// A frame that went by, between the tap and the backend: what the tap takes away never was on the
/// wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// We sent it.
    pub outgoing: bool,
    /// Whom it goes to or comes from.
    pub addr: LinkAddr,
    /// When.
    pub at: Instant,
    /// The frame, header included.
    pub frame: Bytes,
}

#[derive(Debug, Default)]
struct Observer {
    frames: VecDeque<Observed>,
    lost: u64,
}

impl Endpoint {
    /// A link without a backend yet, and with a tap if faults may be injected into it.
    pub fn new(tap: Option<Tap>) -> Self {
        Self { link: None, tap, observer: None, past: LinkCounters::default() }
    }

    /// Gives it a backend; one that it had is closed.
    pub fn open(&mut self, link: Box<dyn Link>) {
        self.close();
        self.link = Some(link);
    }

    /// Closes the backend, with what is queued in it. Frames to be sent are dropped from now on.
    pub fn close(&mut self) {
        if let Some(link) = self.link.take() {
            self.past += *link.counters();
        }
    }

    /// Has it a backend?
    pub fn is_open(&self) -> bool {
        self.link.is_some()
    }

    /// What to wait on, while there is a backend.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(|link| link.as_fd())
    }

    /// Takes a frame to be sent with the next flush.
    pub fn send(&mut self, now: Instant, frame: Transmit) {
        let Self { link, tap, observer, past } = self;
        let mut put = |frame| queue(link, observer, past, now, frame);
        match tap {
            Some(tap) => tap.outgoing(now, frame, put),
            None => put(frame),
        }
    }

    /// Appends what one system call yields to `into`.
    pub fn receive(&mut self, now: Instant, into: &mut Vec<LinkFrame>) -> Received {
        let Some(link) = &mut self.link else { return Received::Drained };
        let before = into.len();
        let received = link.receive(into);
        if let Some(tap) = &mut self.tap {
            let mut index = 0;
            into.retain(|(_, frame)| {
                index += 1;
                index <= before || tap.incoming(frame) == Verdict::Pass
            });
        }
        if let Some(observer) = &mut self.observer {
            for (addr, frame) in &into[before..] {
                observer.note(false, *addr, now, frame);
            }
        }
        received
    }

    /// Sends what is queued and, of what the tap holds back, what is due.
    pub fn flush(&mut self, now: Instant) -> Flushed {
        let Self { link, tap, observer, past } = self;
        if let Some(tap) = tap {
            tap.release(now, |frame| queue(link, observer, past, now, frame));
        }
        link.as_mut().map_or(Flushed::Done, |link| link.flush())
    }

    /// When [`Endpoint::flush`] wants to be called for what the tap holds back, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tap.as_ref().and_then(Tap::next_deadline)
    }

    /// See [`Link::went_down`].
    pub fn went_down(&mut self) -> bool {
        self.link.as_mut().is_some_and(|link| link.went_down())
    }

    /// The tap, if there is one.
    pub fn tap_mut(&mut self) -> Option<&mut Tap> {
        self.tap.as_mut()
    }

    /// What went by and what was lost in the link, all its backends together; what the tap took
    /// away was never sent.
    pub fn counters(&self) -> LinkCounters {
        let mut counters = self.past;
        if let Some(link) = &self.link {
            counters += *link.counters();
        }
        counters
    }

    /// Begins or ends to keep a copy of every frame for [`Endpoint::observed`]. Ending drops what
    /// nobody took.
    pub fn set_observer(&mut self, on: bool) {
        if on {
            self.observer.get_or_insert_default();
        } else {
            self.observer = None;
        }
    }

    /// Takes the frames that went by since the last call, oldest first.
    pub fn observed(&mut self) -> impl Iterator<Item = Observed> {
        self.observer.as_mut().map(|observer| observer.frames.drain(..)).into_iter().flatten()
    }

    /// How many frames since the observer began went by untold, because [`OBSERVED_MAX`] waited
    /// to be taken.
    pub fn observed_lost(&self) -> u64 {
        self.observer.as_ref().map_or(0, |observer| observer.lost)
    }
}

/// A frame on its way from the tap to the backend.
fn queue(
    link: &mut Option<Box<dyn Link>>,
    observer: &mut Option<Box<Observer>>,
    past: &mut LinkCounters,
    now: Instant,
    frame: Transmit,
) {
    let Some(link) = link else {
        past.dropped_error += 1;
        return;
    };
    if let Some(observer) = observer {
        observer.note(true, frame.to, now, &frame.frame);
    }
    link.queue(frame.to, frame.urgent, frame.frame);
}

impl Observer {
    fn note(&mut self, outgoing: bool, addr: LinkAddr, at: Instant, frame: &Bytes) {
        if self.frames.len() == OBSERVED_MAX {
            self.lost += 1;
            return;
        }
        self.frames.push_back(Observed { outgoing, addr, at, frame: frame.clone() });
    }
}

/// Observed frames that nobody has taken yet: a few turns of a busy link, and at most 64 MiB where
/// each keeps the buffer alive that it came in.
pub const OBSERVED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LinkId, NodeId};
    use crate::io::memory::Cable;
    use crate::io::tap::Faults;

    fn address(port: u16) -> LinkAddr {
        LinkAddr::V4 { ip: [10, 0, 0, 1], port }
    }

    fn frame(to: u16, bytes: &'static [u8]) -> Transmit {
        let link = LinkId::new(0).unwrap();
        Transmit { link, to: address(to), urgent: false, frame: Bytes::from_static(bytes) }
    }

    fn observed(endpoint: &mut Endpoint) -> Vec<(bool, LinkAddr, Bytes)> {
        endpoint.observed().map(|seen| (seen.outgoing, seen.addr, seen.frame)).collect()
    }

    #[test]
    fn an_observer_sees_what_passes_the_tap_both_ways() {
        let cable = Cable::new(address(0), 100);
        let mut a = Endpoint::new(Some(Tap::new(&[(NodeId::ZERO, address(2))], 1)));
        a.open(Box::new(cable.plug(address(1)).unwrap()));
        let mut b = Endpoint::new(None);
        b.open(Box::new(cable.plug(address(2)).unwrap()));
        let now = Instant::from_millis(7);
        a.send(now, frame(2, b"unseen"));
        a.set_observer(true);
        a.send(now, frame(2, b"there"));
        b.send(now, frame(1, b"back"));
        for link in [&mut a, &mut b] {
            assert_eq!(link.flush(now), Flushed::Done);
        }
        let mut frames = Vec::new();
        a.receive(now, &mut frames);
        a.tap_mut().unwrap().set_faults(Faults { cut: true, ..Faults::default() });
        a.send(now, frame(2, b"lost"));
        let seen = [
            (true, address(2), Bytes::from_static(b"there")),
            (false, address(2), Bytes::from_static(b"back")),
        ];
        assert_eq!(observed(&mut a), seen);
        assert_eq!(observed(&mut a), []);
        a.tap_mut().unwrap().set_faults(Faults::default());
        for _ in 0..OBSERVED_MAX + 5 {
            a.send(now, frame(2, b"many"));
        }
        assert_eq!((observed(&mut a).len(), a.observed_lost()), (OBSERVED_MAX, 5));
        a.set_observer(false);
        a.send(now, frame(2, b"unseen"));
        assert_eq!((observed(&mut a).len(), a.observed_lost()), (0, 0));
    }

    #[test]
    fn counters_outlive_a_backend_and_a_closed_link_drops() {
        let cable = Cable::new(address(0), 100);
        let mut a = Endpoint::new(None);
        let now = Instant::ZERO;
        a.send(now, frame(2, b"nowhere"));
        assert_eq!(a.flush(now), Flushed::Done);
        for _ in 0..2 {
            a.open(Box::new(cable.plug(address(1)).unwrap()));
            a.send(now, frame(2, b"x"));
            a.flush(now);
        }
        a.close();
        assert!(!a.is_open() && a.as_fd().is_none());
        let counters = a.counters();
        assert_eq!((counters.sent, counters.dropped_error), (2, 1));
    }
}
